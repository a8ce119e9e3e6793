"""An explanation computes a verdict once more and comes to what was stored."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import sqlalchemy as sa

from greenmine.processing.explanation import explain
from greenmine.processing.flags import counted
from greenmine.readings import Readings
from greenmine.record import schema
from greenmine.record.claims import stored_mark
from greenmine.record.record import Record
from greenmine.record.writer import Pipeline
from greenmine.registry import Registry
from tests.processing.mine import EVENING, HOUR, MINUTE, at, feed, record_at
from tests.processing.streams import far_later, pieces, stream
from tests.records import record_in


@pytest.fixture(scope="module")
def filled(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Record:
    record = record_at(record_in(tmp_path_factory.mktemp("explained")), registry)
    pipeline = Pipeline(registry, record)
    rng = np.random.default_rng(3)
    parts = pieces(stream(registry, rng, EVENING, EVENING + 52 * HOUR), rng, 5)
    feed(pipeline, [*parts, far_later(registry, EVENING + 80 * HOUR)])
    span = EVENING + 3 * HOUR, EVENING + 9 * HOUR
    pipeline.mark("mine", "homes", None, span, "maintenance", "filter", "tester", EVENING + 90 * HOUR)
    return record


def _fetch(filled: Record, channel: int, start: int, end: int) -> tuple[Readings, np.ndarray]:
    rows = filled.readings(channel, start, end)
    column = np.full(len(rows), channel, np.int32)
    return Readings(column, rows["time"], rows["value"], rows["flag"]), rows["quality"]


def test_every_stored_verdict_is_explained_to_the_same_figure(registry: Registry, filled: Record) -> None:
    rules = {rule.key: rule for rule in registry.rules}
    marks = [stored_mark(row) for row in filled.rows(sa.select(schema.mark))]

    fetch = partial(_fetch, filled)
    table = schema.verdict
    stored = filled.rows(sa.select(table).where(table.c.latest).order_by(table.c.rule, table.c.start))
    by_rule: dict[str, list[dict[str, object]]] = {}
    for row in stored:
        by_rule.setdefault(row["rule"], []).append(dict(row))
    assert set(by_rule) == set(rules)
    checked = 0
    for key, rows in by_rule.items():
        for row in rows[:: max(1, len(rows) // 4)]:
            span = row["start"] // MINUTE, row["end"] // MINUTE
            found = explain(registry, rules[key], span, fetch, marks)
            assert found.judged is not None, (key, row)
            assert found.judged.verdict.judgement == row["verdict"], (key, row)
            assert found.judged.verdict.reason == row["reason"], (key, row)
            assert found.judged.verdict.judged == row["judged"], (key, row)
            assert (found.judged.value is None) == (row["value"] is None)
            assert (found.judged.value or 0.0) == pytest.approx(row["value"] or 0.0, rel=1e-12), (key, row)
            assert (
                found.valid + found.implausible + sum(n for f, n in found.flags.items() if f != "N") == found.readings
            )
            checked += 1
    assert checked > 20


def test_where_any_hour_counts_the_readings_are_those_of_the_hour_that_decides(
    registry: Registry, filled: Record
) -> None:
    rule = next(rule for rule in registry.rules if rule.key == "mine/south/db50-418-fugitive")
    elsewhere = 0
    for row in filled.rows(sa.select(schema.verdict).where(schema.verdict.c.rule == rule.key, schema.verdict.c.latest)):
        span = row["start"] // MINUTE, row["end"] // MINUTE
        found = explain(registry, rule, span, partial(_fetch, filled), [])
        if row["verdict"] == "not assessable":
            continue
        readings, quality = _fetch(filled, rule.channel, found.seen[0] * MINUTE, found.seen[1] * MINUTE)
        valid = readings.value[counted(readings.flag, quality)]
        assert found.used == len(valid)
        assert span[0] < found.seen[1] <= span[1]
        assert valid.mean() == pytest.approx(row["value"], rel=1e-9)
        elsewhere += found.seen != span
    assert elsewhere > 5


def test_marks_of_the_window_are_named(registry: Registry, filled: Record) -> None:
    rule = next(rule for rule in registry.rules if rule.key == "mine/homes/gb3095-pm10-day-class2")
    marks = [stored_mark(row) for row in filled.rows(sa.select(schema.mark))]
    nothing = lambda *_: (Readings.empty(), np.empty(0, np.uint8))  # noqa: E731
    day = at("2026-03-01T00:00:00") // MINUTE
    found = explain(registry, rule, (day, day + 1440), nothing, marks)
    assert [mark.kind for mark in found.marks] == ["maintenance"]
    assert found.readings == 0
    assert found.raw is None
    assert found.judged is not None
    assert found.judged.verdict.reason == "no-data"
