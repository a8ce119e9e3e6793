"""The figures of a bundle from what it holds; building and verifying do the same."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import msgspec

from greenmine.evidence.annexes import (
    calibrations,
    changes,
    citations,
    claims,
    formulas,
    handling,
    marks,
    removed,
    restatements,
)
from greenmine.evidence.comparison import comparison
from greenmine.evidence.figures import FiguresDocument, document
from greenmine.evidence.measures import effects, responses, watched
from greenmine.evidence.recompute import Recomputed, days_needed, readings_of, recompute
from greenmine.evidence.requirements import Proofs, indicators, requirements
from greenmine.evidence.signatures import signed_shares
from greenmine.evidence.source import Source
from greenmine.processing.exclusion import excluded_channels
from greenmine.readings import Readings
from greenmine.reporting import Period


def compute(
    source: Source, period: Period, progress: Callable[[int, int], None] | None = None
) -> tuple[Recomputed, FiguresDocument]:
    """All figures of a period.

    Parameters
    ----------
    source : Source
        The folder of the bundle, but for the figures.
    period : Period
        Its days.
    progress : callable, optional
        Told days done and their number.
    """
    registry, site, evaluation = source.registry, source.site, source.evaluation
    told = source.mark_rows(days_needed(period))
    index = {channel.key: channel.index for channel in registry.channels}

    def readings(day: date) -> Readings:
        return Readings.concat([readings_of(table, index) for table in source.tables(day)])

    found = recompute(registry, site, period, readings, source.marks(told), progress, watched(registry, site))
    marked = source.marks(told)
    taken = []
    if any(excluded_channels(registry, mark) for mark in marked):
        taken = removed(registry, site, recompute(registry, site, period, readings, []), found, told)
    figures = document(registry, site, period, source.reporting, found)
    figures = msgspec.structs.replace(
        figures,
        effects=effects(registry, site, evaluation.effect, found),
        responses=responses(registry, site, found),
    )
    proofs = Proofs(figures, source.reporting)
    enough = source.reporting.summary.assessable_share
    return found, msgspec.structs.replace(
        figures,
        comparison=comparison(registry, found, figures, source.from_record.last, enough),
        requirements=requirements(site, evaluation, proofs, source.documents),
        indicators=indicators(evaluation, proofs),
        calibrations=calibrations(site, found),
        marks=marks(registry, site, found, told),
        removed=taken,
        claims=claims(site, source.from_record),
        restatements=restatements(site, source.from_record),
        handling=handling(site, source.from_record),
        changes=changes(site, source.from_record),
        signed=signed_shares(source, period),
        formulas=formulas(evaluation),
        citations=citations(evaluation, period),
    )
