"""What a report tells of: figures, registry, and what the manifest says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property

from greenmine.evidence.figures import FiguresDocument, RuleFigures
from greenmine.evidence.report.words import ReportWords
from greenmine.registry import Registry, Site
from greenmine.wording.messages import Language


@dataclass(frozen=True)
class Witnessed:
    """What witnesses outside were shown."""

    witnesses: list[str]
    """Names that the installation gave them."""
    receipts: int
    newest: int
    """[ms UTC]"""
    days: int
    """Entries of the chain of sealed days that were there then."""


@dataclass(frozen=True)
class Content:
    """All that a report is made of; who verifies a bundle has the same."""

    language: Language
    figures: FiguresDocument
    registry: Registry
    """Holds this site only."""
    provisional: list[str]
    """Days that were not sealed yet."""
    unbegun: tuple[date, date] | None
    """First and last of the days before the first reading ever."""
    to_come: tuple[date, date] | None
    """First and last of the days that were still to come."""
    key: str
    """Fingerprint of the key that signs the bundle."""
    software: str
    """Version of this software that made the bundle."""

    witnessed: Witnessed | None = None
    """Who outside was shown the state of the data; None: nobody."""

    @cached_property
    def words(self) -> ReportWords:
        """Words of its language."""
        return ReportWords(self.language, self.registry)

    @property
    def site(self) -> Site:
        """The mine."""
        return self.registry.sites[0]

    def legal(self, theme: str) -> list[RuleFigures]:
        """Legal limits of a theme."""
        return [rule for rule in self.figures.rules if rule.theme == theme and rule.kind == "legal"]
