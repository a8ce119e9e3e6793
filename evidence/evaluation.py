"""What evidence of green-mine construction is asked for, and how it is worked out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Final

import msgspec

from greenmine.limits import Confidence
from greenmine.tables import CATALOGUES, DataFile, build, catalogue_of, nearest, read_catalogue
from greenmine.themes import Theme, load_themes

CATALOGUE: Final = CATALOGUES / "evaluation.toml"
"""The catalogue that ships with the package."""

PROOFS: Final = ("effect", "capture")
"""Proofs by readings besides the verdicts of a theme: the effect of measures, the capture of all channels."""

_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
_Count = Annotated[int, msgspec.Meta(ge=1)]
_Positive = Annotated[float, msgspec.Meta(gt=0)]


class Requirement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What readings prove of an item that a plan asks of mines."""

    item: str
    name_en: str = ""
    text_zh: str = ""
    text_en: str = ""
    proof: tuple[str, ...] = ()
    """Judged themes and `PROOFS`; empty: documents alone."""
    supporting: bool = False
    """The readings only support what documents prove."""


class IndicatorGroup(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A group of indicators; without points where they are not confirmed."""

    code: str
    name_zh: str
    name_en: str = ""
    points: float | None = None
    proof: tuple[str, ...] = ()


class IndicatorSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An edition of indicators for the evaluation of green mines."""

    id: str
    name_zh: str
    name_en: str = ""
    edition: str
    valid_from: date | None = None
    """None: not confirmed."""
    points: float | None = None
    pass_points: float | None = None
    pass_group_share: _Share | None = None
    """Least share of the points of each group."""
    source: str
    confidence: Confidence
    groups: tuple[IndicatorGroup, ...]


class Formula(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A formula by which figures come about."""

    id: str
    name_zh: str
    name_en: str
    formula: str
    source: str


class Citation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A law that reports cite while it is in force."""

    name_zh: str
    name_en: str
    theme: str | None = None
    valid_from: date | None = None
    valid_to: date | None = None
    """Last day, inclusive."""
    source: str
    confidence: Confidence


class EffectTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How effects of measures are worked out; see `greenmine.evidence.effect`."""

    before_minutes: _Count
    settle_minutes: Annotated[int, msgspec.Meta(ge=0)]
    least_minutes: _Count
    direction_class: _Positive
    """[deg]"""
    speed_class: _Positive
    """[m/s]"""
    hour_class: Annotated[int, msgspec.Meta(ge=1, le=24)]
    """Hours of the day that are compared with each other where there is no timetable."""
    sector: _Positive
    """Wind directions off the line from source to station [deg]."""
    wind_minimum: Annotated[float, msgspec.Meta(ge=0)]
    """[m/s]"""
    fit_minutes: _Count
    """Least minutes with the measure on to which the influence of the wind is fitted."""
    least_days: Annotated[int, msgspec.Meta(ge=3)]
    confidence: Annotated[float, msgspec.Meta(gt=0.5, lt=1)]
    source: str


class Evaluation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The catalogue."""

    requirements: tuple[Requirement, ...]
    indicator_sets: tuple[IndicatorSet, ...]
    formulas: tuple[Formula, ...]
    citations: tuple[Citation, ...]
    effect: EffectTerms

    def requirement(self, item: str) -> Requirement:
        """What is known of an item; an item that the catalogue does not name rests on documents."""
        return next((r for r in self.requirements if r.item == item), Requirement(item=item))

    def cited(self, on: date) -> list[Citation]:
        """Laws in force on a day."""
        return [c for c in self.citations if (c.valid_from or date.min) <= on <= (c.valid_to or date.max)]


def evaluation_of(registry: Path | None, themes: Mapping[str, Theme]) -> Evaluation:
    """Read the catalogue of a registry's directory, else the one that ships with the package.

    Parameters
    ----------
    registry : Path, optional
        The directory; None: that of the package.
    themes : mapping of Theme
        Those of the registry.

    Raises
    ------
    DataFileError
        With every fault of the file.
    """
    return load_evaluation(catalogue_of(registry, CATALOGUE), themes)


def load_evaluation(path: Path | None = None, themes: Mapping[str, Theme] | None = None) -> Evaluation:
    """Read a catalogue of evaluation.

    Parameters
    ----------
    path : Path, optional
        The file; None: the one that ships with the package.
    themes : mapping of Theme, optional
        What it may refer to; None: the catalogue that ships with the package.

    Raises
    ------
    DataFileError
        With every fault of the file.
    """

    def read(file: DataFile, faults: list[str]) -> Evaluation | None:
        found = build(Evaluation, file.table, file.name, faults)
        if found is not None:
            faults += _unknown(found, load_themes() if themes is None else themes, file.name)
        return found

    return read_catalogue(path or CATALOGUE, read)


def _unknown(found: Evaluation, themes: Mapping[str, Theme], name: str) -> Iterable[str]:
    """Yield a fault for each proof and theme that there is not."""
    known = [*(theme.id for theme in themes.values() if theme.judged), *PROOFS]
    proven = [(f'requirement "{r.item}"', r.proof) for r in found.requirements]
    proven += [(f'{s.id}, group "{g.code}"', g.proof) for s in found.indicator_sets for g in s.groups]
    for place, kinds in proven:
        yield from (
            f"{name}, {place}: there is no proof {kind!r}; {nearest(kind, known)}"
            for kind in kinds
            if kind not in known
        )
    for law in found.citations:
        if law.theme is not None and law.theme not in themes:
            yield f'{name}, citation "{law.name_en}": there is no theme {law.theme!r}; {nearest(law.theme, themes)}'
