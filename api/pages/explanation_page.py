"""The page of one verdict: how it came about, from the readings to the clause and its standing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

import numpy as np
from fastapi import APIRouter
from starlette.responses import Response

from greenmine.api.http import arguments
from greenmine.api.http.dependencies import Given
from greenmine.api.http.explanations import ExplanationView, explained, verdict_of
from greenmine.api.http.responses import JSON
from greenmine.api.http.views import verdict_view
from greenmine.api.pages.page import RecordPageOf
from greenmine.api.pages.wording import Wording
from greenmine.evidence.borrowed import borrowed_sentence
from greenmine.evidence.charts import LimitStep, Note, Series, line_chart
from greenmine.evidence.recomputation import judge_command
from greenmine.processing.calibration import Calibrations
from greenmine.processing.flags import counted
from greenmine.record.reader import Queries, Row, Rows, Scope
from greenmine.registry import Rule
from greenmine.times import DAY, local, milliseconds

router = APIRouter()

_LISTED: Final = 3_000
"""Readings that the table of a page holds at most; the API has all."""


@router.get("/explanation")
def explanation_page(given: Given[arguments.ExplanationPageArguments], page: RecordPageOf) -> Response:
    """Page of how a verdict came about."""
    queries, scope, registry = page.queries, page.scope, page.registry
    rule, row = verdict_of(queries, scope, given)
    zone = registry.site(rule.site).zone
    view = explained(queries, scope, rule, row)
    asked = {"rule": rule.key, "start": view.window.start.isoformat(), "revision": row.revision}
    return page.render(
        "explanation.html",
        site=registry.site(rule.site),
        rule=rule,
        limit=rule.limit,
        parameter=registry.channels[rule.channel].parameter,
        view=view,
        verdict=verdict_view(registry, row),
        readings=_listed(queries, scope, rule, row, view, page.wording),
        states=_states(queries, scope, rule, row),
        revisions=[
            (verdict_view(registry, one), local(one.issued, zone))
            for one in queries.verdict_revisions(scope, rule.key, row.start)
        ],
        exceedances=_exceedances(queries, scope, rule, row),
        query=urlencode(asked),
        borrowed=None
        if view.window.borrowed_weather is None
        else borrowed_sentence(view.window.borrowed_weather, page.wording),
        command=judge_command(rule, view.window.start.date()),
    )


@router.get("/explanation/chart")
def explanation_chart(given: Given[arguments.ExplanationChartArguments], page: RecordPageOf) -> Response:
    """Vega-Lite specification of a verdict's readings, with the judged figure over them."""
    queries, scope, wording = page.queries, page.scope, page.wording
    rule, row = verdict_of(queries, scope, given)
    view = explained(queries, scope, rule, row)
    parameter = page.registry.channels[rule.channel].parameter
    zone = page.registry.site(rule.site).zone
    window = view.window
    shown = min(window.start, window.judged_start), max(window.end, window.judged_end)
    rows = _received(queries, scope, rule, row, shown)
    good = counted(rows["flag"], rows["quality"])
    readings = [
        (local(time, zone), value if keep else None)
        for time, value, keep in zip(rows["time"].tolist(), rows["value"].tolist(), good.tolist(), strict=True)
    ]
    lines = [Series(wording.t("why.readings"), readings)]
    if window.hours:
        hours = [
            point
            for hour in window.hours
            for point in (
                (hour.start, hour.mean if hour.valid else None),
                (local(milliseconds(hour.start) + DAY // 24 - 1, zone), hour.mean if hour.valid else None),
            )
        ]
        lines.append(Series(wording.t("why.hours"), hours))
    if window.value is not None:
        label = wording.t("why.figure-line", value=wording.figure(window.value, parameter))
        lines.append(Series(label, [(window.judged_start, window.value), (window.judged_end, window.value)]))
    limits = [
        LimitStep(
            wording.t("site.limit-label", window=wording.t(f"window.{rule.limit.window}"), value=wording.plain(value)),
            *shown,
            value,
        )
        for value in (view.clause.low, view.clause.high)
        if value is not None
    ]
    notes = [Note(mark.start, mark.end, f"{wording.t(f'mark.{mark.kind}')} {mark.reason}") for mark in window.marks]
    notes += [Note(one.start, one.end, wording.t(f"why.{one.cause}")) for one in window.weather]
    spec = line_chart(
        lines,
        limits,
        notes,
        title=wording.t("why.chart", station=wording.station(rule.site, rule.station), limit=wording.name(rule.limit)),
        unit=wording.unit(parameter.unit),
        columns=(wording.t("site.time"), wording.t("site.series")),
        decimals=parameter.decimals,
        from_zero=parameter.unit not in {"dB(A)", "1"},
    )
    return JSON(spec)


def _received(queries: Queries, scope: Scope, rule: Rule, row: Row, span: tuple[datetime, datetime]) -> Rows:
    channel = queries.registry.channels[rule.channel]
    start, end = map(milliseconds, span)
    return queries.readings_received(scope, channel.key, start, end, row.issued)


def _listed(
    queries: Queries, scope: Scope, rule: Rule, row: Row, view: ExplanationView, wording: Wording
) -> list[dict[str, Any]]:
    """Readings of the window in order: as received, as calibrated, flag, and why one does not count."""
    channel = queries.registry.channels[rule.channel]
    zone = queries.registry.site(rule.site).zone
    rows = _received(queries, scope, rule, row, (view.window.judged_start, view.window.judged_end))[:_LISTED]
    good = counted(rows["flag"], rows["quality"])
    values = Calibrations(queries.registry).applied(
        np.full(len(rows), channel.index), rows["time"], rows["value"].astype(np.float64)
    )
    out = [
        (mark.start, mark.end, wording.t("why.marked", kind=wording.t(f"mark.{mark.kind}")))
        for mark in view.window.marks
    ]
    out += [(one.start, one.end, wording.t(f"why.{one.cause}")) for one in view.window.weather]
    listed = []
    for (time, raw, flag, *_), value, counts in zip(rows.tolist(), values.tolist(), good.tolist(), strict=True):
        at = local(time, zone)
        why = "" if counts else wording.t("why.not-counted")
        why = why or next((text for start, end, text in out if start <= at < end), "")
        listed.append({"time": at, "raw": raw, "value": value, "flag": chr(flag), "why": why})
    return listed


def _states(queries: Queries, scope: Scope, rule: Rule, row: Row) -> list[tuple[Any, Row]]:
    """State of the judged channel when the window began, and its changes within, in order of time."""
    key = queries.registry.channels[rule.channel].key
    zone = queries.registry.site(rule.site).zone
    changes = queries.health_changes(scope, 0, row.end, site=rule.site, limit=5_000, before=None)
    mine = [change for channel, change in changes if channel.key == key]
    within = [change for change in mine if change.since >= row.start]
    before = next((change for change in mine if change.since < row.start), None)
    return [(local(change.since, zone), change) for change in [*([before] if before else []), *reversed(within)]]


def _exceedances(queries: Queries, scope: Scope, rule: Rule, row: Row) -> Sequence[Row]:
    """Exceedances of the rule that share an instant with the window."""
    found = queries.exceedances(scope, row.start, row.end, site=rule.site, limit=200)
    return [one for one in found if one.rule == rule.key and one.state != "withdrawn"]
