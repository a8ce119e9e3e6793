"""The order of a report's sections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from processing.evidence.report.blocks import Block, Break
from processing.evidence.report.bounds import bounds
from processing.evidence.report.comparison import comparison
from processing.evidence.report.completeness import completeness
from processing.evidence.report.content import Content
from processing.evidence.report.episodes import episodes, restatements
from processing.evidence.report.measures import measures
from processing.evidence.report.method import checking, method
from processing.evidence.report.mine import mine
from processing.evidence.report.opening import opening
from processing.evidence.report.requirements import indicators, requirements
from processing.evidence.report.themes import dust, noise, rolling, water

SECTIONS: Final[tuple[Callable[[Content], list[Block]], ...]] = (
    mine,
    bounds,
    completeness,
    dust,
    noise,
    water,
    rolling,
    episodes,
    measures,
    comparison,
    requirements,
    indicators,
    restatements,
    method,
    checking,
)
"""Behind the first page."""


def report(content: Content) -> list[Block]:
    """All of a report."""
    return [*opening(content), Break(), *(block for section in SECTIONS for block in section(content))]
