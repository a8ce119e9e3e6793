"""Restatement in place: in short steps, between which others commit, and by itself where the registry has changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from msgspec import structs

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
    MINE,
    MINUTE,
    Station,
    assert_same,
    at,
    batch_of,
    calibration,
    every,
    feed,
    held,
    readings,
    record_at,
    registry_of,
)
from tests.processing.streams import disordered, far_later, pieces, stream
from tests.records import record_in, refuse_rows, take_rows


def parts_of(registry: Registry, seed: int, hours: int, number: int) -> list[Readings]:
    rng = np.random.default_rng(seed)
    return pieces(disordered(stream(registry, rng, EVENING, EVENING + hours * HOUR), rng, 20 * HOUR), rng, number)


def carry_on(pipeline: Pipeline, now: int) -> int:
    """Do all that is to be done; in how many steps."""
    steps = 0
    while pipeline.carry_on(now):
        steps += 1
    return steps


def ask(record: Record, station: str, span: tuple[int, int], kind: str) -> None:
    row = {
        "site": "mine", "station": station, "parameter": None, "start": span[0], "end": span[1], "kind": kind, "reason": "x",
        "author": "y", "made": 0, "state": "waiting", "answer": "", "decided_by": "z",
    }  # fmt: skip
    with record.transaction() as connection:
        connection.execute(sa.insert(schema.mark_request).values(row))


@pytest.mark.parametrize(
    ("seed", "station", "kind", "first", "minutes"),
    [(1, "weather", "fault", 100, 90), (2, "south", "maintenance", 200, 100)],
)
def test_readings_in_any_order_between_the_steps_of_a_mark_lead_to_the_same_figures(
    registry: Registry, tmp_path: Path, seed: int, station: str, kind: str, first: int, minutes: int
) -> None:
    parts = [*parts_of(registry, seed, 8, 14), far_later(registry, EVENING + 48 * HOUR)]
    span = EVENING + first * MINUTE, EVENING + (first + minutes) * MINUTE
    early, late = (record_at(record_in(tmp_path / name), registry) for name in ("early", "late"))
    ask(early, station, span, kind)
    pipeline = Pipeline(registry, early)
    carry_on(pipeline, EVENING)
    feed(pipeline, parts)
    pipeline = Pipeline(registry, late)
    feed(pipeline, parts[:6])
    ask(late, station, span, kind)
    commits = 0
    for part in parts[6:-1]:
        commits += pipeline.carry_on(EVENING)
        feed(pipeline, [part])
    assert commits > 5, "the mark was made too soon to be disturbed"
    carry_on(pipeline, EVENING)
    feed(pipeline, parts[-1:])
    assert_same(held(early), held(late))


@pytest.mark.parametrize(
    ("changed", "since"),
    [
        ({"more": calibration("south", "tsp", "2026-03-01T06:42:00+08:00", 1.3)}, "2026-03-01T06:00:00"),
        ({"more": calibration("fence", "laeq", "2020-01-01T00:00:00+08:00", 0.97)}, "2026-02-28T21:00:00"),
        ({"limits": ("db50-418-fugitive",)}, "2026-02-28T21:00:00"),
        ({"without": "pond"}, "2026-02-28T21:00:00"),
    ],
    ids=["calibration", "old calibration", "limit", "station"],
)
def test_what_the_registry_changes_is_restated_by_itself_since_it_holds(
    tmp_path: Path, changed: dict[str, object], since: str
) -> None:
    stations = list(MINE)
    if "limits" in changed:
        stations[1] = Station("south", ("tsp",), limits=("db50-418-fugitive",), place=MINE[1].place)
    stations = [station for station in stations if station.id != changed.get("without")]
    old = registry_of(tmp_path / "old")
    new = registry_of(tmp_path / "new", {"mine": ("Asia/Shanghai", stations)}, more=str(changed.get("more", "")))
    if "without" in changed:  # comes to the mine, instead of leaving it
        old, new = new, old
    keys = {c.key: c.index for c in new.channels}
    moved = np.array([keys[c.key] for c in old.channels], np.int32)
    rng = np.random.default_rng(11)
    parts = pieces(stream(old, rng, EVENING, EVENING + 18 * HOUR), rng, 3)
    parts.append(far_later(old, EVENING + 48 * HOUR))
    expected, restated = (record_at(record_in(tmp_path / name), old) for name in ("expected", "restated"))
    record = Record(expected.engine, new)
    feed(Pipeline(new, record), [Readings(moved[p.channel], p.time, p.value, p.flag) for p in parts])
    feed(Pipeline(old, restated), parts)
    again = Record(restated.engine, new)
    pipeline = Pipeline(new, again)
    assert carry_on(pipeline, EVENING) > 5
    rules = {rule.key for rule in new.rules}
    found, right = held(again), held(record)
    for kept in (found.verdicts, found.sliding, found.exceedances):
        for key in [key for key in kept if key[0] not in rules]:  # what a rule that has left has said stays
            del kept[key]
    assert_same(right, found)
    again_issued = again.rows(sa.select(schema.statistic).where(schema.statistic.c.revision > 0))
    assert {row["reason"] for row in again_issued} <= {"limits or instruments"}
    assert all(row["end"] > at(since) for row in again_issued)
    assert carry_on(Pipeline(new, again), EVENING) == 1, "the state of the mine is built; nothing has changed since"


def test_a_mine_whose_zone_was_put_right_is_restated_to_the_end(tmp_path: Path) -> None:
    """An episode of a night is of no night of the other zone."""
    old, new = registry_of(tmp_path / "old"), registry_of(tmp_path / "new", {"mine": ("UTC", MINE)})
    record = record_at(record_in(tmp_path), old)
    rng = np.random.default_rng(0)
    feed(Pipeline(old, record), pieces(stream(old, rng, EVENING, EVENING + 30 * HOUR), rng, 3))
    again = Record(record.engine, new)
    assert carry_on(Pipeline(new, again), EVENING) > 5
    assert again.rows(sa.select(schema.restatement)) == []


SLOW = tuple(replace(station, interval="300s") for station in MINE[2:4])
"""Of the mine, the noise and the dust of its neighbours, with fewer readings."""


def test_figures_of_a_mine_in_another_zone_and_in_the_first_one_again_are_those_of_a_new_record(tmp_path: Path) -> None:
    """Days, nights and hours of the zone of before are no latest figures any more; the hour that was begun is issued once."""
    zones = "Asia/Kolkata", "UTC", "Asia/Shanghai", "Asia/Kolkata"
    registries = [registry_of(tmp_path / str(n), {"mine": (zone, SLOW)}) for n, zone in enumerate(zones)]
    rng = np.random.default_rng(0)
    parts = pieces(stream(registries[0], rng, EVENING, EVENING + 40 * HOUR), rng, 2)
    record = record_at(record_in(tmp_path / "changed"), registries[0])
    feed(Pipeline(registries[0], record), parts)
    told = sa.select(schema.current).where(schema.current.c.kind == "verdict").order_by(schema.current.c.key)
    for n, registry in enumerate(registries[1:]):
        record = Record(record.engine, registry)
        pipeline = Pipeline(registry, record)
        carry_on(pipeline, EVENING)
        if n:
            parts.append(far_later(registry, EVENING + (60 + 2 * n) * HOUR))
            feed(pipeline, parts[-1:])
            new = record_at(record_in(tmp_path / f"new {n}"), registry)
            feed(Pipeline(registry, new), parts)
            assert_same(held(new), held(record))
            assert record.rows(told) == new.rows(told)


def test_verdicts_on_another_period_of_a_limit_take_the_place_of_those_of_before(tmp_path: Path) -> None:
    daily = registry_of(tmp_path, {"mine": ("Asia/Shanghai", SLOW[1:])})
    (rule,) = daily.rules
    validity = structs.replace(rule.limit.validity, hours=None)
    limit = structs.replace(rule.limit, window="hour", validity=validity)
    hourly = replace(daily, rules=(replace(rule, limit=limit),))
    rng = np.random.default_rng(0)
    parts = pieces(stream(daily, rng, EVENING, EVENING + 40 * HOUR), rng, 2)
    record = record_at(record_in(tmp_path / "changed"), daily)
    feed(Pipeline(daily, record), parts)
    for registry in (hourly, daily):
        carry_on(Pipeline(registry, Record(record.engine, registry)), EVENING)
        new = record_at(record_in(tmp_path / registry.rules[0].limit.window), registry)
        feed(Pipeline(registry, new), parts)
        assert_same(held(new), held(record))


def test_an_episode_that_lasts_ends_with_its_limit_and_goes_on_when_that_comes_back(tmp_path: Path) -> None:
    south = Station("south", ("tsp",), "60s", limits=("db50-418-fugitive",))
    limited = registry_of(tmp_path, {"mine": ("Asia/Shanghai", [south])})
    times = every(EVENING, EVENING + 5 * HOUR, MINUTE)
    early, late = np.split(np.arange(len(times)), [4 * 60])
    parts = [readings(0, times[some], np.full(len(some), 9_000.0)) for some in (early, late)]
    changed, new = (record_at(record_in(tmp_path / name), limited) for name in ("changed", "new"))
    feed(Pipeline(limited, changed), parts[:1])
    feed(Pipeline(limited, new), parts)

    def episodes() -> list[tuple[str, int | None, int]]:
        return [(row["state"], row["end"], row["revision"]) for row in changed.rows(sa.select(schema.exceedance))]

    ((state, _, revision),) = episodes()
    assert state == "open"
    left = replace(limited, rules=())
    for _ in range(2):  # what has ended stays as it is at the next start
        carry_on(Pipeline(left, Record(changed.engine, left), now=EVENING + DAY), EVENING + DAY)
        assert episodes() == [("closed", EVENING + DAY, revision + 1)]
    (former,) = changed.rows(
        sa.select(schema.exceedance_revision).where(schema.exceedance_revision.c.revision == revision)
    )
    assert (former["state"], former["end"]) == ("open", None)
    pipeline = Pipeline(limited, Record(changed.engine, limited), now=EVENING + DAY)
    carry_on(pipeline, EVENING + DAY)
    feed(pipeline, parts[1:])
    assert_same(held(new), held(changed))


def test_a_long_span_is_restated_in_parts_and_taken_up_again_after_a_crash(tmp_path: Path) -> None:
    south = Station("south", ("tsp",), "900s", limits=("db50-418-fugitive",))
    registry = registry_of(tmp_path, {"mine": ("Asia/Shanghai", [south])})
    times = every(EVENING, EVENING + 16 * DAY, 15 * MINUTE)
    values = np.random.default_rng(3).uniform(200.0, 1500.0, len(times))
    span = EVENING + DAY, EVENING + 15 * DAY
    early, late = (record_at(record_in(tmp_path / name), registry) for name in ("early", "late"))
    for record, when in ((early, 0), (late, 1)):
        pipeline = Pipeline(registry, record)
        for k in range(0, len(times), 96):
            if k == 0 and when == 0:
                pipeline.mark("mine", "south", None, span, "maintenance", "x", "y", EVENING)
            feed(pipeline, [readings(0, times[k : k + 96], values[k : k + 96])])
    ask(late, "south", span, "maintenance")
    while not late.rows(sa.select(schema.mark)):
        pipeline.carry_on(EVENING)
    (left,) = late.rows(sa.select(schema.restatement))
    assert span[0] < left["start"] < left["end"] == span[1]
    carry_on(Pipeline(registry, late), EVENING)
    assert late.rows(sa.select(schema.restatement)) == []
    assert_same(held(early), held(late))


def test_what_cannot_be_stored_for_a_while_is_stored_once_and_builds_nothing_anew(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [*parts_of(registry, 5, 10, 6), far_later(registry, EVENING + 48 * HOUR)]
    expected, record = (record_at(record_in(tmp_path / name), registry) for name in ("expected", "record"))
    feed(Pipeline(registry, expected), parts)
    pipeline = Pipeline(registry, record)
    feed(pipeline, parts[:3])
    monkeypatch.setattr(Record, "recent", None)
    with record.transaction() as connection:
        refuse_rows(connection, "ledger")
    for _ in range(2):
        with pytest.raises(StoreError, match="full"):
            feed(pipeline, [parts[3]])
    with pytest.raises(StoreError, match="full"):
        pipeline.wait(EVENING)
    with record.transaction() as connection:
        take_rows(connection)
    feed(pipeline, parts[3:])
    assert_same(held(expected), held(record))
    columns = schema.ledger.c.device, schema.ledger.c.day, schema.ledger.c.stored, schema.ledger.c.duplicate
    assert record.rows(sa.select(*columns)) == expected.rows(sa.select(*columns))


def test_a_batch_that_comes_back_otherwise_is_a_repeat_of_what_was_kept(registry: Registry, tmp_path: Path) -> None:
    record = record_at(record_in(tmp_path), registry)
    pipeline = Pipeline(registry, record)
    with record.transaction() as connection:
        refuse_rows(connection, "ledger")
    some = readings(0, every(EVENING, EVENING + 10 * MINUTE), 50.0)
    with pytest.raises(StoreError, match="full"):
        pipeline.commit(batch_of(registry, some), EVENING)
    with record.transaction() as connection:
        take_rows(connection)
    more = readings(0, every(EVENING, EVENING + 15 * MINUTE), 50.0)
    pipeline.commit(batch_of(registry, more), EVENING)
    (ledger,) = record.rows(sa.select(schema.ledger))
    assert (ledger["received"], ledger["stored"], ledger["duplicate"]) == (25, 15, 10)
    assert len(record.readings(0, EVENING, EVENING + HOUR)) == 15
