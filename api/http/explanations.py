"""Explanations: a verdict computed once more from what was stored when it was issued, step by step."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from fastapi import APIRouter, Request
from numpy.typing import NDArray
from starlette.responses import Response

from greenmine.api.http import arguments
from greenmine.api.http.audit import get_audit
from greenmine.api.http.dependencies import ContextOf, Given, QueriesOf, ScopeOf
from greenmine.api.http.exports import entity_tag, tagged, unchanged
from greenmine.api.http.problems import Problem
from greenmine.api.http.responses import JSON
from greenmine.api.http.schemas import single, zipped
from greenmine.evidence.borrowed import BorrowedWeather, borrowed_weather
from greenmine.evidence.recomputation import recomputation
from greenmine.limits import LONG, Threshold
from greenmine.processing.explanation import Explanation, explain
from greenmine.readings import Readings
from greenmine.record.claims import stored_mark
from greenmine.record.reader import Queries, Row, Scope
from greenmine.registry import Rule
from greenmine.reporting import Period
from greenmine.times import MINUTE, local

router = APIRouter()

_SAME = 1e-9


class ReadingsStep(msgspec.Struct, frozen=True):
    """Stored readings of the judged channel in the window, their smallest and largest valid value, and where to get them."""

    channel: str
    readings: int
    lowest: float | None
    highest: float | None
    href: str


class FlagsStep(msgspec.Struct, frozen=True):
    """Readings by flag; only flag N within the plausible range is valid."""

    flags: dict[str, int]
    implausible: int
    valid: int


class CorrectionItem(msgspec.Struct, frozen=True):
    """A calibration: true value = slope · raw + offset from ``since`` on (null: since ever), and the readings under it."""

    since: datetime | None
    slope: float
    offset: float
    readings: int


class CalibrationStep(msgspec.Struct, frozen=True):
    """Corrections of the valid readings, and their smallest and largest value afterwards."""

    corrections: list[CorrectionItem]
    lowest: float | None
    highest: float | None


class MarkPeriod(msgspec.Struct, frozen=True):
    """A mark that takes minutes out of the window: what it says, who said it, and when."""

    kind: str
    station: str
    parameter: str | None
    start: datetime
    end: datetime
    reason: str
    author: str
    confirmed_by: str | None
    made: datetime


class WeatherPeriod(msgspec.Struct, frozen=True):
    """Minutes of the window that ``wind`` or ``rain`` takes out."""

    cause: str
    start: datetime
    end: datetime


class HourFigure(msgspec.Struct, frozen=True):
    """A clock hour of the window."""

    start: datetime
    mean: float | None
    count: int
    capture: float
    excluded: int
    valid: bool


class WindowStep(msgspec.Struct, frozen=True):
    """The statistic over the window: how it is averaged, what it rests on, and what was excluded.

    ``judged_start .. judged_end`` is what the figure is of: where any hour counts, the hour that decides, which ends in the window.
    """

    start: datetime
    end: datetime
    judged_start: datetime
    judged_end: datetime
    statistic: str
    averaging: str
    marks: list[MarkPeriod]
    weather: list[WeatherPeriod]
    borrowed_weather: BorrowedWeather | None
    """Whose weather it is, where another mine's holds."""
    excluded: int
    hours: list[HourFigure]
    valid_hours: int | None
    count: int
    expected: float
    capture: float
    value: float | None


class RoundingStep(msgspec.Struct, frozen=True):
    """How the value is compared: in full, or rounded to so many digits."""

    compare: str
    digits: int
    source: str
    value: float | None
    judged: str | None


class ClauseStep(msgspec.Struct, frozen=True):
    """The threshold in force and what the law says about it."""

    limit: str
    standard: str
    clause: str
    source: str
    confidence: str
    low: float | None
    high: float | None
    unit: str
    indicative: bool


class Outcome(msgspec.Struct, frozen=True):
    """A judgement with its reason."""

    verdict: str
    reason: str
    value: float | None
    judged: str | None
    have: float | None
    need: float | None
    standing: str
    reasons: list[str]
    """Why it is indicative; empty where it is statutory."""


class ExplanationView(msgspec.Struct, frozen=True):
    """A verdict step by step. ``agrees``: the computation comes to the stored figure and judgement.

    It rests on the readings received and the marks made until the revision was issued, and on today's registry: where
    ``agrees`` is false, limits or calibrations have changed since without a restatement.
    """

    rule: str
    revision: int
    latest: bool
    issued: datetime
    readings: ReadingsStep
    flags: FlagsStep
    calibration: CalibrationStep
    window: WindowStep
    rounding: RoundingStep
    clause: ClauseStep
    computed: Outcome
    stored: Outcome
    agrees: bool


@router.get("/api/v1/explanation", responses=single(ExplanationView))
def explanation(
    given: Given[arguments.ExplanationArguments], request: Request, scope: ScopeOf, queries: QueriesOf
) -> Response:
    """Explain a verdict: raw readings, flags, calibration, window, rounding, clause; computed now, beside what was stored."""
    rule, row = verdict_of(queries, scope, given)
    tag = entity_tag(request, scope, row.revision, row.serial, row.latest, queries.registry.digest)
    return unchanged(request, tag) or tagged(JSON(explained(queries, scope, rule, row)), tag)


@router.get("/api/v1/explanation/recomputation", responses=zipped())
def recomputation_file(
    given: Given[arguments.ExplanationArguments],
    request: Request,
    context: ContextOf,
    scope: ScopeOf,
    queries: QueriesOf,
) -> Response:
    """Everything that ``greenmine judge`` needs to come to a verdict once more: registry, readings, marks and the command."""
    from greenmine.evidence.recompute import days_needed, midnight  # noqa: PLC0415 - loads Arrow

    rule, row = verdict_of(queries, scope, given)
    site = queries.registry.site(rule.site)
    day = local(row.start, site.zone).date()
    days = days_needed(Period(f"{day}", day, day))
    start, end = (midnight(edge, ZoneInfo(site.zone)) * MINUTE for edge in (days[0], days[-1] + timedelta(days=1)))
    readings = Readings.concat(
        [
            received(queries, scope, row.issued, channel.index, start, end)[0]
            for channel in queries.registry.site_channels(site.id)
        ]
    )
    content = recomputation(
        queries.registry,
        context.settings.registry,
        rule,
        day,
        readings,
        queries.marks_made(scope, site.id, row.issued),
    )
    get_audit(request, context, request.state.caller).add(
        "export", site=site.id, subject="recomputation", query=request.url.query[:500]
    )
    name = f"{rule.key.replace('/', '-').replace('#', '-')}-{day}.zip"
    return Response(
        content, media_type="application/zip", headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


def verdict_of(queries: Queries, scope: Scope, given: arguments.ExplanationArguments) -> tuple[Rule, Row]:
    """The verdict that was asked for, with its rule.

    Raises
    ------
    Problem
        404 where there is no such verdict in scope; 400 for a month, quarter or year, which is a mean of days.
    """
    rule = queries.registry.rule(given.rule)
    if rule is None or rule.site not in scope:
        raise Problem(404, f"There is no rule {given.rule!r}; /api/v1/stations lists them as site/station/limit.")
    if rule.limit.window in LONG:
        raise Problem(400, f"rule: {rule.key} judges a {rule.limit.window}, which is made of days; ask for these.")
    rows = queries.verdict_revisions(scope, rule.key, given.start)
    row = next((r for r in rows if (r.latest if given.revision is None else r.revision == given.revision)), None)
    if row is None:
        zone = queries.registry.site(rule.site).zone
        raise Problem(404, f"There is no such verdict on {rule.key} for the period from {local(given.start, zone)}.")
    return rule, row


def explained(queries: Queries, scope: Scope, rule: Rule, row: Row) -> ExplanationView:
    """Explanation of a stored verdict in scope."""
    registry = queries.registry
    zone = registry.site(rule.site).zone
    made = {stored_mark(mark): mark for mark in queries.marks_made(scope, rule.site, row.issued)}
    found = explain(
        registry,
        rule,
        (row.start // MINUTE, row.end // MINUTE),
        partial(received, queries, scope, row.issued),
        made,
    )
    detail = msgspec.json.decode(row.detail) if row.detail else {}
    doubts = row.reasons.split()
    stored = Outcome(
        row.verdict,
        row.reason,
        row.value,
        row.judged,
        detail.get("have"),
        detail.get("need"),
        _standing(doubts),
        doubts,
    )
    judged = found.judged
    computed = Outcome("not in force", "not-in-force", None, None, None, None, "", [])
    if judged is not None:
        v = judged.verdict
        computed = Outcome(v.judgement, v.reason, judged.value, v.judged, v.have, v.need, v.standing, list(v.reasons))
    statistic = found.statistic
    channel = registry.channels[rule.channel]
    lowest, highest = found.raw or (None, None)
    corrected = found.calibrated or (None, None)
    start, end = local(row.start, zone), local(row.end, zone)
    seen = found.seen[0] * MINUTE, found.seen[1] * MINUTE
    whole = seen == (row.start, row.end)
    href = f"/api/v1/readings?channel={channel.key}&from={_utc(seen[0])}&to={_utc(seen[1])}"
    return ExplanationView(
        rule=rule.key,
        revision=row.revision,
        latest=row.latest,
        issued=local(row.issued, zone),
        readings=ReadingsStep(channel.key, found.readings, lowest, highest, href),
        flags=FlagsStep(found.flags, found.implausible, found.valid),
        calibration=CalibrationStep(
            [
                CorrectionItem(local(c.since, zone) if c.since is not None else None, c.slope, c.offset, c.readings)
                for c in found.corrections
            ],
            corrected[0],
            corrected[1],
        ),
        window=WindowStep(
            start,
            end,
            local(seen[0], zone),
            local(seen[1], zone),
            rule.limit.statistic,
            channel.parameter.averaging,
            [_mark(made[mark], zone) for mark in found.marks],
            [
                WeatherPeriod(cause, local(first * MINUTE, zone), local(last * MINUTE, zone))
                for cause, stretches in found.weather.items()
                for first, last in stretches
            ],
            next((one for one in borrowed_weather(registry, rule.site) if one.station == rule.station), None)
            if rule.limit.exclude_weather
            else None,
            (statistic.excluded if statistic else 0) if whole else found.excluded,
            _hours(found, zone) if rule.limit.window != "hour" else [],
            statistic.hours if statistic else None,
            (statistic.count if statistic else 0) if whole else found.used,
            (statistic.expected if statistic else 0.0) if whole else (seen[1] - seen[0]) / channel.interval,
            judged.capture if judged else 0.0,
            judged.value if judged else None,
        ),
        rounding=RoundingStep(
            rule.limit.rounding.compare,
            rule.limit.rounding.digits,
            rule.limit.rounding.source,
            judged.value if judged else None,
            computed.judged,
        ),
        clause=_clause(rule, judged.threshold if judged else None),
        computed=computed,
        stored=stored,
        agrees=_agree(computed, stored),
    )


def received(
    queries: Queries, scope: Scope, until: int, channel: int, start: int, end: int
) -> tuple[Readings, NDArray[np.uint8]]:
    """Readings of a channel in [start, end) [ms UTC] that had been received by an instant, with their quality bits."""
    rows = queries.readings_received(scope, queries.registry.channels[channel].key, start, end, until)
    return Readings(np.full(len(rows), channel, np.int32), rows["time"], rows["value"], rows["flag"]), rows["quality"]


def _hours(found: Explanation, zone: str) -> list[HourFigure]:
    return [
        HourFigure(local(s.start * MINUTE, zone), s.mean, s.count, s.capture, s.excluded, s.valid) for s in found.hours
    ]


def _mark(row: Mapping[str, Any], zone: str) -> MarkPeriod:
    start, end, made = (local(row[name], zone) for name in ("start", "end", "made"))
    return MarkPeriod(
        row["kind"],
        row["station"],
        row["parameter"],
        start,
        end,
        row["reason"],
        row["author"],
        row["confirmed_by"],
        made,
    )


def _standing(reasons: list[str]) -> str:
    return "indicative" if reasons else "statutory"


def _clause(rule: Rule, threshold: Threshold | None) -> ClauseStep:
    limit = rule.limit
    return ClauseStep(
        limit.id,
        limit.standard,
        threshold.clause if threshold else "",
        threshold.source if threshold else "",
        threshold.confidence if threshold else "",
        threshold.low if threshold else None,
        threshold.high if threshold else None,
        limit.unit,
        limit.indicative,
    )


def _agree(computed: Outcome, stored: Outcome) -> bool:
    same = all(getattr(computed, name) == getattr(stored, name) for name in ("verdict", "reason", "judged", "reasons"))
    if computed.value is None or stored.value is None:
        return same and computed.value is stored.value
    return same and abs(computed.value - stored.value) <= _SAME * max(1.0, abs(stored.value))


def _utc(time: int) -> str:
    return f"{local(time, 'UTC'):%Y-%m-%dT%H:%M:%S}Z"
