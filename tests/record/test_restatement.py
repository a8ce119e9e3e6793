"""Restatement: after it, the record holds what it would hold had all been known from the beginning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from greenmine.errors import StoreError
from greenmine.readings import Readings
from greenmine.record import schema
from greenmine.record.record import Record
from greenmine.record.writer import Pipeline
from greenmine.registry import Registry
from tests.processing.mine import (
    DAY,
    EVENING,
    HOUR,
    MINUTE,
    Held,
    Station,
    assert_same,
    at,
    calibration,
    channel,
    every,
    feed,
    held,
    readings,
    record_at,
    registry_of,
)
from tests.processing.streams import far_later, pieces, stream
from tests.records import record_in, refuse_rows


def rows(record: Record, table: sa.Table, **equal: Any) -> list[dict[str, Any]]:
    order = [table.c[n] for n in ("start", "revision") if n in table.c]
    conditions = [table.c[name] == value for name, value in equal.items()]
    return [dict(r) for r in record.rows(sa.select(table).where(*conditions).order_by(*order))]


def parts_of(registry: Registry, seed: int, hours: int) -> list[Readings]:
    rng = np.random.default_rng(seed)
    return pieces(stream(registry, rng, EVENING, EVENING + hours * HOUR), rng, 4)


def add_mark(record: Record, station: str, span: tuple[int, int], kind: str) -> None:
    row = {"site": "mine", "station": station, "parameter": None, "start": span[0], "end": span[1]}
    with record.transaction() as connection:
        connection.execute(sa.insert(schema.mark), row | {"kind": kind, "reason": "x", "author": "y", "made": 0})


@pytest.mark.parametrize(
    ("seed", "station", "kind", "first", "minutes", "to_the_end"),
    [
        (1, "fence", "weather", 60, 300, True),
        (2, "south", "maintenance", 400, 200, False),
        (3, "weather", "fault", 100, 900, True),
        (4, "homes", "fault", -60, 1000, False),
        (5, "pond", "maintenance", 1700, 500, False),
        (6, "north", "calibration", 30, 1, True),
        (7, "fence", "stop", 300, 240, False),
    ],
)
def test_a_late_mark_leads_to_what_an_early_one_would_have(
    registry: Registry, tmp_path: Path, seed: int, station: str, kind: str, first: int, minutes: int, to_the_end: bool
) -> None:
    parts = parts_of(registry, seed, 30)
    last = far_later(registry, EVENING + 70 * HOUR)
    span = EVENING + first * MINUTE, EVENING + (first + minutes) * MINUTE
    early, late = (record_at(record_in(tmp_path / name), registry) for name in ("early", "late"))
    add_mark(early, station, span, kind)
    feed(Pipeline(registry, early), [*parts, last])
    pipeline = Pipeline(registry, late)
    before, after = ([*parts, last], []) if to_the_end else (parts, [last])
    feed(pipeline, before)
    pipeline.mark("mine", station, None, span, kind, "x", "y", EVENING + 80 * HOUR)
    feed(pipeline, after)
    assert_same(held(early), held(late))


@pytest.mark.parametrize("seed", [11, 12])
def test_a_changed_calibration_leads_to_what_it_would_have_from_the_beginning(tmp_path: Path, seed: int) -> None:
    old = registry_of(tmp_path / "old")
    later = at("2026-03-01T06:42:00")
    text = calibration("south", "tsp", "2026-03-01T06:42:00+08:00", 1.3)
    text += calibration("fence", "laeq", "2020-01-01T00:00:00+08:00", 0.97)
    new = registry_of(tmp_path / "new", more=text)
    parts = [*parts_of(old, seed, 30), far_later(old, EVENING + 70 * HOUR)]
    expected, restated = (record_at(record_in(tmp_path / name), old) for name in ("expected", "restated"))
    feed(Pipeline(new, Record(expected.engine, new)), parts)
    feed(Pipeline(old, restated), parts)
    assert held(expected).statistics != held(restated).statistics
    pipeline = Pipeline(new, Record(restated.engine, new))
    pipeline.restate("mine", EVENING - HOUR, EVENING + 71 * HOUR, EVENING + 80 * HOUR, "calibration")
    assert_same(held(expected), held(restated))
    changed = [r for r in rows(restated, schema.statistic) if r["revision"]]
    assert {r["reason"] for r in changed} == {"calibration"}
    south = int(restated.channel_ids[channel(old, "mine/south/tsp")])
    assert min(r["end"] for r in changed if r["channel"] == south) > later


def table_counts(record: Record) -> dict[str, int]:
    return {
        t.name: len(rows(record, t))
        for t in (schema.statistic, schema.verdict, schema.exceedance, schema.exceedance_revision)
    }


@pytest.mark.parametrize(("first", "hours"), [(-5, 3), (4, 1), (10, 15), (29, 4), (-100, 400), (300, 10)])
def test_where_nothing_changed_nothing_is_stored(registry: Registry, tmp_path: Path, first: int, hours: int) -> None:
    record = record_at(record_in(tmp_path), registry)
    pipeline = Pipeline(registry, record)
    feed(pipeline, parts_of(registry, 21, 30))
    pipeline.wait(EVENING + 33 * HOUR)
    before, counts = held(record), table_counts(record)
    pipeline.restate("mine", EVENING + first * HOUR, EVENING + (first + hours) * HOUR, EVENING, "nothing")
    assert_same(before, held(record), 0)
    assert table_counts(record) == counts


@pytest.fixture
def dust(tmp_path: Path) -> tuple[Pipeline, Record, int]:
    """Two sites; dust of 1100 from 12:00 to 14:00, of 500 before and after."""
    south = Station("south", ("tsp",), limits=("db50-418-fugitive",))
    registry = registry_of(tmp_path, {"mine": ("Asia/Shanghai", [south]), "other": ("Asia/Shanghai", [south])})
    record = record_at(record_in(tmp_path), registry)
    pipeline = Pipeline(registry, record)
    start = at("2026-03-02T10:00:00")
    values = np.where((np.arange(600) >= 120) & (np.arange(600) < 240), 1100.0, 500.0)
    feed(pipeline, [readings(i, every(start, start + 10 * HOUR), values) for i in range(2)])
    return pipeline, record, start


def test_a_mark_over_an_exceedance_withdraws_it_and_tells_why(dust: tuple[Pipeline, Record, int]) -> None:
    pipeline, record, start = dust
    pipeline.mark(
        "mine", "south", "tsp", (start + 2 * HOUR, start + 4 * HOUR), "maintenance", "filter", "x", start + DAY
    )
    mine, other = (rows(record, schema.exceedance, site=site) for site in ("mine", "other"))
    assert [(e["state"], e["revision"]) for e in mine] == [("withdrawn", 1)]
    assert [(e["state"], e["revision"]) for e in other] == [("closed", 0)]
    assert [(r["id"], r["state"]) for r in rows(record, schema.exceedance_revision)] == [(mine[0]["id"], "closed")]
    verdicts = rows(record, schema.verdict, rule="mine/south/db50-418-fugitive", start=start + 2 * HOUR)
    assert [(v["verdict"], v["latest"], v["change"]) for v in verdicts] == [
        ("exceeds", False, "first"),
        ("not assessable", True, "mark: maintenance"),
    ]
    (mark,) = rows(record, schema.mark)
    assert (mark["station"], mark["kind"], mark["reason"], mark["author"]) == ("south", "maintenance", "filter", "x")
    unchanged = rows(record, schema.statistic, window="hour", start=start + HOUR)
    assert [r["revision"] for r in unchanged] == [0, 0]


def test_a_mark_in_the_middle_of_an_exceedance_restates_it_under_its_identity(
    dust: tuple[Pipeline, Record, int],
) -> None:
    pipeline, record, start = dust
    (before,) = rows(record, schema.exceedance, site="mine")
    pipeline.mark("mine", "south", None, (start + 200 * MINUTE, start + 260 * MINUTE), "fault", "x", "y", start + DAY)
    after = rows(record, schema.exceedance, site="mine")
    assert after[0]["id"] == before["id"]
    assert after[0]["start"] == before["start"]
    assert (after[0]["state"], after[0]["revision"]) == ("closed", 1)
    assert after[0]["minutes"] != before["minutes"]


def test_a_mark_that_only_explains_changes_no_figure(dust: tuple[Pipeline, Record, int]) -> None:
    pipeline, record, start = dust
    before = held(record)
    pipeline.mark("mine", "south", None, (start, start + HOUR), "blasting", "bench 3", "x", start + DAY)
    assert_same(before, held(record), 0)
    assert len(rows(record, schema.mark)) == 1


def test_readings_that_come_after_a_mark_are_excluded_too(dust: tuple[Pipeline, Record, int]) -> None:
    pipeline, record, start = dust
    end = start + 10 * HOUR
    pipeline.mark("mine", "south", None, (end, end + 20 * MINUTE), "fault", "x", "y", end)
    feed(pipeline, [readings(0, every(end, end + 2 * HOUR), 5000.0)])
    hour = rows(record, schema.statistic, window="hour", start=end)[0]
    assert (hour["count"], hour["excluded"]) == (40, 20)


@pytest.mark.parametrize(
    ("station", "parameter", "minutes", "kind", "words"),
    [
        ("nowhere", None, 10, "fault", "there is no station mine/nowhere"),
        ("south", "pm10", 10, "fault", "mine/south measures tsp"),
        ("south", None, 0, "fault", "must end after its beginning"),
        ("south", None, 10, "holiday", "must be one of blasting, calibration"),
    ],
)
def test_a_wrong_mark_is_refused_with_what_would_be_right(
    dust: tuple[Pipeline, Record, int],
    station: str, parameter: str | None, minutes: int, kind: str, words: str,
) -> None:  # fmt: skip
    pipeline, record, start = dust
    with pytest.raises(ValueError, match=words):
        pipeline.mark("mine", station, parameter, (start, start + minutes * MINUTE), kind, "x", "y", start)
    assert rows(record, schema.mark) == []


def test_an_unknown_site_is_refused(dust: tuple[Pipeline, Record, int]) -> None:
    pipeline, _, start = dust
    with pytest.raises(KeyError):
        pipeline.restate("nowhere", start, start + HOUR, start, "x")


def test_a_mark_that_cannot_be_stored_changes_nothing(dust: tuple[Pipeline, Record, int]) -> None:
    pipeline, record, start = dust
    before: Held = held(record)
    span = (start, start + 9 * HOUR)
    with record.transaction() as connection:
        refuse_rows(connection, "verdict")
    with pytest.raises(StoreError, match="full"):
        pipeline.mark("mine", "south", None, span, "fault", "x", "y", start + DAY)
    assert rows(record, schema.mark) == []
    assert_same(before, held(record), 0)
    feed(pipeline, [readings(0, [start + 10 * HOUR], 1.0)])
    assert rows(record, schema.statistic, window="hour", start=start)[0]["excluded"] == 0
