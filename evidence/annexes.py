"""What a report must say beside the figures: calibrations, marks, restatements, handling, formulas and laws."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from greenmine.evidence.evaluation import Evaluation
from greenmine.evidence.from_record import ATTACHMENTS, FromRecord
from greenmine.evidence.recompute import Recomputed
from greenmine.evidence.sections import (
    CalibrationFigures,
    ChangeFigures,
    CitationFigures,
    ClaimFigures,
    FormulaFigures,
    HandlingFigures,
    MarkFigures,
    RemovedFigures,
    RestatementFigures,
)
from greenmine.processing.exclusion import Mark, excluded_channels, rests_on
from greenmine.processing.panes import MINUTE
from greenmine.registry import Calibration, Registry, Site
from greenmine.reporting import Period
from greenmine.times import local


def calibrations(site: Site, found: Recomputed) -> list[CalibrationFigures]:
    """Calibrations in force at some time of the period, by channel and time."""
    by_channel: dict[str, list[Calibration]] = defaultdict(list)
    for entry in sorted(site.calibrations, key=lambda c: c.valid_from):
        by_channel[f"{site.id}/{entry.station}/{entry.parameter}"].append(entry)
    start, end = found.start * 60, found.end * 60
    zone = ZoneInfo(site.zone)
    return [
        CalibrationFigures(
            channel=channel,
            valid_from=entry.valid_from.astimezone(zone).isoformat(),
            slope=entry.slope,
            offset=entry.offset,
            certificate=entry.certificate,
            note=entry.note,
        )
        for channel, entries in sorted(by_channel.items())
        for entry, following in zip(entries, [*entries[1:], None], strict=True)
        if entry.valid_from.timestamp() < end and (following is None or following.valid_from.timestamp() > start)
    ]


def marks(
    registry: Registry, site: Site, found: Recomputed, told: Mapping[int, Mapping[str, Any]]
) -> list[MarkFigures]:
    """Marks that touch the period, in the order in which they were made; ``told`` is what the sealed files hold."""
    return [
        MarkFigures(
            station=mark["station"],
            parameter=mark["parameter"],
            start=_text(mark["start"], site),
            end=_text(mark["end"], site),
            kind=mark["kind"],
            excludes=bool(
                excluded_channels(registry, Mark(site.id, mark["station"], mark["parameter"], 0, 0, mark["kind"]))
            ),
            reason=mark["reason"],
            author=mark["author"],
            made=_text(mark["made"], site),
            confirmed_by=mark.get("confirmed_by"),
        )
        for _, mark in sorted(told.items())
        if mark["start"] < found.end * 60_000 and mark["end"] > found.start * 60_000
    ]


def removed(
    registry: Registry, site: Site, unmarked: Recomputed, found: Recomputed, told: Mapping[int, Mapping[str, Any]]
) -> list[RemovedFigures]:
    """Windows that exceed without any mark and not with those that hold, by rule and start, with the marks that touch them."""
    out = []
    for key, before in sorted(unmarked.verdicts.items()):
        after = found.verdicts[key]
        if before.verdict.judgement != "exceeds" or after.verdict.judgement == "exceeds":
            continue
        rule = registry.rules[before.rule]
        channels = rests_on(registry, rule)
        first, last = min(before.start, before.begin) * MINUTE, max(before.end, before.finish) * MINUTE
        mine = [
            mark
            for _, mark in sorted(told.items())
            if mark["start"] < last
            and mark["end"] > first
            and not channels.isdisjoint(
                excluded_channels(registry, Mark(site.id, mark["station"], mark["parameter"], 0, 0, mark["kind"]))
            )
        ]
        out.append(
            RemovedFigures(
                rule=rule.key,
                start=_text(before.begin * MINUTE, site),
                end=_text(before.finish * MINUTE, site),
                value=before.value,
                value_with_marks=after.value,
                verdict_with_marks=after.verdict.judgement,
                kinds=_each(mine, "kind"),
                authors=_each(mine, "author"),
                reasons=_each(mine, "reason"),
                confirmed_by=_each(mine, "confirmed_by"),
            )
        )
    return out


def _each(marks: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    return list(dict.fromkeys(mark[name] for mark in marks if mark.get(name)))


def restatements(site: Site, from_record: FromRecord) -> list[RestatementFigures]:
    """Verdicts that were issued more than once, each form in its turn."""
    return [
        RestatementFigures(
            rule=row.rule,
            start=_text(row.start, site),
            revision=row.revision,
            verdict=row.verdict,
            value=row.value,
            capture=row.capture,
            reason=row.reason,
            change=row.change,
            issued=_text(row.issued, site),
        )
        for row in from_record.restatements
    ]


def changes(site: Site, from_record: FromRecord) -> list[ChangeFigures]:
    """What was changed in registry and limits, in the order in which it was taken up."""
    return [
        ChangeFigures(_text(row.time, site), row.author, row.part, row.before, row.after) for row in from_record.changes
    ]


def handling(site: Site, from_record: FromRecord) -> list[HandlingFigures]:
    """What people did about the exceedances, by limit, exceedance and time."""
    return [
        HandlingFigures(
            rule=row.rule,
            start=_text(row.start, site),
            made=_text(row.made, site),
            author=row.author,
            kind=row.kind,
            text=row.text,
            name=row.name,
            size=row.size,
            sha256=row.digest,
            file=f"{ATTACHMENTS}/{row.digest}" if row.kept else None,
        )
        for row in from_record.handling
    ]


def claims(site: Site, from_record: FromRecord) -> list[ClaimFigures]:
    """Marks that would take exceedances away and that nobody has decided on, in order of time."""
    told = (msgspec.structs.asdict(row) for row in from_record.claims)
    return [ClaimFigures(**row | {"start": _text(row["start"], site), "end": _text(row["end"], site)}) for row in told]


def formulas(evaluation: Evaluation) -> list[FormulaFigures]:
    """The formulas of the catalogue."""
    return [FormulaFigures(f.id, f.name_zh, f.name_en, f.formula, f.source) for f in evaluation.formulas]


def citations(evaluation: Evaluation, period: Period) -> list[CitationFigures]:
    """Laws in force on the last day of the period."""
    return [
        CitationFigures(c.name_zh, c.name_en, c.theme, c.source, c.confidence) for c in evaluation.cited(period.last)
    ]


def _text(instant: int, site: Site) -> str:
    """ISO 8601 of an instant [ms UTC] in the site's zone."""
    return local(instant, site.zone).isoformat()
