"""What a report tells of: figures, registry, and what only the record knows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from zoneinfo import ZoneInfo

from greenmine.messages import Language
from greenmine.registry import Registry, Site
from processing.evidence.figures import FiguresDocument, RuleFigures
from processing.evidence.report.words import Words
from processing.panes import MINUTE
from processing.windows import moment_of

UNJUDGED: Final = frozenset({"within-limit", "above-limit", "under-limit"})
"""Reasons of windows that could be assessed."""


@dataclass(frozen=True)
class Content:
    """All that a report is made of; who verifies a bundle has the same."""

    language: Language
    figures: FiguresDocument
    registry: Registry
    """Holds this site only."""
    exceedances: list[dict[str, Any]]
    """Exceedances of ``record.json``."""
    restatements: list[dict[str, Any]]
    """Restatements of ``record.json``."""
    provisional: list[str]
    """Days that were not sealed yet."""
    key: str
    """Fingerprint of the key that signs the bundle."""
    software: str
    """Version of this software that made the bundle."""

    @cached_property
    def words(self) -> Words:
        """Words of its language."""
        return Words(self.language, self.registry)

    @property
    def site(self) -> Site:
        """The mine."""
        return self.registry.sites[0]

    def legal(self, theme: str) -> list[RuleFigures]:
        """Legal limits of a theme."""
        return [rule for rule in self.figures.rules if rule.theme == theme and rule.kind == "legal"]

    def moment(self, milliseconds: int | None) -> str | None:
        """Instant of the record as ISO 8601 in the site's zone."""
        if milliseconds is None:
            return None
        return moment_of(milliseconds // MINUTE, ZoneInfo(self.figures.zone).key).isoformat()
