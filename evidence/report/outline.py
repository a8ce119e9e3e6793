"""The order of a report's sections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from greenmine.evidence.report.acceptance import acceptance
from greenmine.evidence.report.blocks import Block, Break
from greenmine.evidence.report.bounds import bounds
from greenmine.evidence.report.comparison import comparison
from greenmine.evidence.report.completeness import completeness
from greenmine.evidence.report.content import Content
from greenmine.evidence.report.episodes import changes, episodes, restatements
from greenmine.evidence.report.measures import measures
from greenmine.evidence.report.method import checking, method
from greenmine.evidence.report.mine import mine
from greenmine.evidence.report.opening import opening
from greenmine.evidence.report.requirements import indicators, requirements
from greenmine.evidence.report.themes import rolling, themes

SECTIONS: Final[tuple[Callable[[Content], list[Block]], ...]] = (
    mine,
    bounds,
    completeness,
    themes,
    rolling,
    episodes,
    measures,
    comparison,
    requirements,
    indicators,
    acceptance,
    restatements,
    changes,
    method,
    checking,
)
"""Behind the first page."""


def report(content: Content) -> list[Block]:
    """All of a report."""
    return [*opening(content), Break(), *(block for section in SECTIONS for block in section(content))]
