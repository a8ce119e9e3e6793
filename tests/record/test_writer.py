"""From batches to the record: order does not matter, restarts do not matter, and nothing is half done."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

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
    batch_of,
    channel,
    every,
    feed,
    held,
    readings,
    record_at,
    registry_of,
)
from tests.processing.streams import disordered, far_later, pieces, stream
from tests.records import record_in


def run(
    registry: Registry, folder: str, parts: list[Readings], lateness: int, restarts: set[int] | None = None
) -> Held:
    """What a new record holds in the end; before the parts of these numbers the pipeline starts anew."""
    with TemporaryDirectory(dir=folder) as own:
        record = record_at(record_in(Path(own)), registry)
        pipeline = Pipeline(registry, record, lateness=lateness)
        for number, part in enumerate(parts):
            if number in (restarts or ()):
                pipeline = Pipeline(registry, record, lateness=lateness)
            feed(pipeline, [part])
        found = held(record)
        record.engine.dispose()
    return found


@pytest.mark.parametrize(("hours", "examples"), [(7, 6), (31, 3)])
def test_any_order_and_repetition_within_the_lateness_gives_the_same(
    registry: Registry, tmp_path: Path, hours: int, examples: int
) -> None:
    @settings(max_examples=examples, derandomize=True, database=None)
    @given(
        seed=st.integers(0, 2**32 - 1),
        lateness=st.sampled_from([30, 180, 1440]),
        cuts=st.integers(1, 12),
        restarts=st.sets(st.integers(1, 11), max_size=2),
        later=st.integers(26, 70),
    )
    def same(seed: int, lateness: int, cuts: int, restarts: set[int], later: int) -> None:
        rng = np.random.default_rng(seed)
        end = EVENING + hours * HOUR
        some = stream(registry, rng, EVENING, end)
        mixed = disordered(some, rng, lateness * MINUTE)
        last = far_later(registry, end + later * HOUR)
        ordered = run(registry, str(tmp_path), [*pieces(some, rng, 8), last], lateness)
        assert ordered.statistics
        assert ordered.verdicts
        assert_same(ordered, run(registry, str(tmp_path), [*pieces(mixed, rng, cuts), last], lateness, restarts))

    same()


def test_the_random_streams_have_what_it_takes(registry: Registry, tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    some = stream(registry, rng, EVENING, EVENING + 31 * HOUR)
    found = run(registry, str(tmp_path), [*pieces(some, rng, 5), far_later(registry, EVENING + 90 * HOUR)], 1440)
    assert {v[1] for v in found.verdicts.values()} == {"meets", "exceeds", "not assessable"}
    assert {rule.split("/")[2] for rule, _ in found.exceedances} >= {"zero-discharge", "gb12348-class2-night"}
    assert sum(s[9] > 0 for s in found.statistics.values()) > 5  # minutes excluded
    assert {v[6] for v in found.verdicts.values()} >= {"within-limit", "above-limit", "too-few-minutes", "not-downwind"}


@pytest.fixture
def record(registry: Registry, tmp_path: Path) -> Record:
    return record_at(record_in(tmp_path), registry)


@pytest.fixture
def pipeline(registry: Registry, record: Record) -> Pipeline:
    return Pipeline(registry, record)


def rows(record: Record, table: sa.Table, **equal: Any) -> list[dict[str, Any]]:
    conditions = [table.c[name] == value for name, value in equal.items()]
    order = [table.c[n] for n in ("start", "revision", "day", "since") if n in table.c]
    return [dict(r) for r in record.rows(sa.select(table).where(*conditions).order_by(*order))]


def key_of(record: Record, key: str) -> int:
    return int(record.channel_ids[channel(record.registry, key)])


def test_a_device_that_sends_again_changes_nothing_but_the_ledger(pipeline: Pipeline, record: Record) -> None:
    homes = channel(pipeline.registry, "mine/homes/pm10")
    time = np.sort(np.concatenate([every(EVENING, EVENING + 3 * HOUR), every(EVENING, EVENING + HOUR) + 250]))
    some = readings(homes, time, np.arange(len(time)) % 90)
    feed(pipeline, [some])
    before = held(record)
    pipeline.commit(batch_of(pipeline.registry, some), EVENING + 4 * HOUR)
    pipeline = Pipeline(pipeline.registry, record)
    pipeline.commit(batch_of(pipeline.registry, some), EVENING + 5 * HOUR)
    assert_same(before, held(record), 0)
    assert not rows(record, schema.statistic, latest=False)
    ledger = rows(record, schema.ledger, device="homes")
    assert sum(r["stored"] for r in ledger) == len(some)
    assert sum(r["duplicate"] for r in ledger) == 2 * len(some)
    assert sum(r["received"] for r in ledger) == 3 * len(some)


def test_another_value_for_an_instant_is_kept_as_a_conflict(pipeline: Pipeline, record: Record) -> None:
    homes = channel(pipeline.registry, "mine/homes/pm10")
    feed(pipeline, [readings(homes, [EVENING, EVENING], [50.0, 51.0]), readings(homes, [EVENING], 52.0)])
    assert [r["value"] for r in rows(record, schema.conflict)] == [51.0, 52.0]
    assert record.readings(homes, EVENING, EVENING + 1)["value"].tolist() == [50.0]
    ledger = rows(record, schema.ledger, device="homes")[0]
    assert (ledger["received"], ledger["stored"], ledger["duplicate"], ledger["conflict"]) == (3, 1, 2, 2)


def test_a_reading_beyond_the_lateness_is_kept_and_not_used(registry: Registry, record: Record) -> None:
    pipeline = Pipeline(registry, record, lateness=60)
    homes = channel(registry, "mine/homes/pm10")
    feed(pipeline, [readings(homes, every(EVENING, EVENING + 3 * HOUR), 50.0)])
    before = held(record)
    feed(pipeline, [readings(homes, [EVENING + 1000, EVENING + 3 * HOUR - 30_000], 99.0)])
    assert_same(before, held(record), 0)
    assert [(r["time"], r["value"]) for r in rows(record, schema.late)] == [(EVENING + 1000, 99.0)]
    assert rows(record, schema.ledger, device="homes")[0]["late"] == 1


def test_the_ledger_adds_up_for_disordered_and_repeated_batches(pipeline: Pipeline, record: Record) -> None:
    rng = np.random.default_rng(5)
    some = disordered(stream(pipeline.registry, rng, EVENING, EVENING + 6 * HOUR), rng, 3 * HOUR)
    feed(pipeline, pieces(some, rng, 7))
    ledger = rows(record, schema.ledger)
    assert all(r["received"] == r["stored"] + r["duplicate"] + r["rejected"] + r["late"] for r in ledger)
    assert sum(r["received"] for r in ledger) == len(some)
    stored = sum(r["count"] for r in rows(record, schema.reading_block))
    assert (
        sum(r["stored"] for r in ledger)
        == stored
        == len(set(zip(some.channel.tolist(), some.time.tolist(), strict=True)))
    )


def test_a_batch_around_midnight_counts_what_it_missed_once(pipeline: Pipeline, record: Record) -> None:
    registry = pipeline.registry
    homes = channel(registry, "mine/homes/pm10")
    midnight = at("2026-03-01T00:00:00")
    first = batch_of(registry, readings(homes, [midnight - 9 * MINUTE], 1.0), sequence={("mine", "homes"): 3})
    pipeline.commit(first, midnight)
    one = batch_of(registry, readings(homes, [midnight - MINUTE], 1.0), midnight - 1, {("mine", "homes"): 4})
    two = batch_of(registry, readings(homes, [midnight], 1.0), midnight + 1, {("mine", "homes"): 8})
    both = type(one)(
        Readings.concat([one.readings, two.readings]),
        np.array([0, 1], np.int32),
        one.devices,
        np.concatenate([one.message_device, two.message_device]),
        np.concatenate([one.message_seq, two.message_seq]),
        np.concatenate([one.message_received, two.message_received]),
        np.concatenate([one.message_bytes, two.message_bytes]),
        np.concatenate([one.message_readings, two.message_readings]),
        [],
    )
    pipeline.commit(both, midnight + 2)
    ledger = rows(record, schema.ledger, device="homes")
    assert [(r["day"], r["messages"], r["sequence_missing"]) for r in ledger] == [
        ("2026-02-28", 2, 0),
        ("2026-03-01", 1, 3),
    ]
    assert [(g["first"], g["last"]) for g in rows(record, schema.sequence_gap)] == [(5, 7)]
    again = Pipeline(registry, record)
    late = batch_of(registry, readings(homes, [midnight - 5 * MINUTE], 1.0), midnight + 9, {("mine", "homes"): 6})
    again.commit(late, midnight + 10)
    assert sum(r["sequence_missing"] for r in rows(record, schema.ledger, device="homes")) == 2
    assert [(g["first"], g["last"]) for g in rows(record, schema.sequence_gap)] == [(5, 5), (7, 7)]
    assert rows(record, schema.ledger, device="homes")[-1]["sequence_last"] == 8


@pytest.mark.sqlite("a file is bounded by a count of its pages")
def test_a_full_disk_is_a_clear_error_leaves_all_as_it_was_and_is_recovered_from(
    registry: Registry, tmp_path: Path
) -> None:
    rng = np.random.default_rng(6)
    parts = pieces(stream(registry, rng, EVENING, EVENING + 12 * HOUR), rng, 4)
    expected = run(registry, str(tmp_path), parts, 1440)
    record = record_at(record_in(tmp_path / "full"), registry)
    pipeline = Pipeline(registry, record)
    feed(pipeline, parts[:2])
    before = held(record)
    with record.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    for _ in range(2):
        with pytest.raises(StoreError, match="full"):
            feed(pipeline, [parts[2]])
        assert_same(before, held(record), 0)
    with record.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=1000000")
    feed(pipeline, parts[2:])
    assert_same(expected, held(record))
    assert all(r["received"] == r["stored"] for r in rows(record, schema.ledger))


def test_what_goes_wrong_in_any_other_way_is_undone_by_the_next_commit(pipeline: Pipeline, record: Record) -> None:
    homes = channel(pipeline.registry, "mine/homes/pm10")
    some = batch_of(pipeline.registry, readings(homes, every(EVENING, EVENING + 2 * HOUR), 50.0))
    broken = type(some)(
        **{f: getattr(some, f) for f in some.__slots__} | {"message_received": some.message_received[:0]}
    )
    with pytest.raises((IndexError, ValueError)):
        pipeline.commit(broken, EVENING)
    pipeline.commit(some, EVENING)
    assert rows(record, schema.ledger, device="homes")[0]["stored"] == 120
    assert rows(record, schema.statistic, window="hour")[0]["count"] == 23


def test_a_stored_mark_excludes_its_minutes_when_a_window_is_restated(registry: Registry, record: Record) -> None:
    homes = channel(registry, "mine/homes/pm10")
    start = at("2026-03-02T10:00:00")
    everything = readings(homes, every(start, start + 3 * HOUR), np.where(np.arange(180) < 30, 500.0, 50.0))
    late = np.arange(180) == 40
    feed(Pipeline(registry, record), [everything.take(~late)])
    mark = {"site": "mine", "station": "homes", "parameter": "pm10", "start": start, "end": start + 10 * MINUTE + 1}
    with record.transaction() as connection:
        connection.execute(
            sa.insert(schema.mark), mark | {"kind": "maintenance", "reason": "filter", "author": "x", "made": start}
        )
    feed(Pipeline(registry, record), [everything.take(late)])
    first, second = rows(record, schema.statistic, window="hour", start=start)
    assert (first["count"], first["excluded"], first["latest"], first["reason"]) == (59, 0, False, "first")
    assert (second["count"], second["excluded"], second["latest"], second["reason"]) == (49, 11, True, "late data")
    assert second["mean"] == pytest.approx((19 * 500 + 30 * 50) / 49)


def hour_of_dust(pipeline: Pipeline, start: int, values: np.ndarray) -> Readings:
    south = channel(pipeline.registry, "mine/south/tsp")
    return readings(south, start + MINUTE * np.arange(len(values)), values)


DUST = "mine/south/db50-418-fugitive"


def test_late_data_that_take_an_exceedance_away_withdraw_it_and_its_earlier_form_stays(
    pipeline: Pipeline, record: Record
) -> None:
    start = at("2026-03-02T10:00:00")
    values = np.full(240, 500.0)
    values[60:105] = 1100.0  # 45 of 60 minutes arrived, so the hour can be assessed without the rest
    values[105:120] = 300.0
    some = hour_of_dust(pipeline, start, values)
    late = (np.arange(240) < 60) | ((np.arange(240) >= 105) & (np.arange(240) < 120))
    feed(pipeline, [some.take(~late)])
    (found,) = rows(record, schema.exceedance, rule=DUST)
    assert (found["state"], found["revision"], found["start"]) == ("closed", 0, start + 105 * MINUTE)
    feed(pipeline, [some.take(late)])
    (gone,) = rows(record, schema.exceedance, rule=DUST)
    (earlier,) = rows(record, schema.exceedance_revision)
    assert (gone["id"], gone["state"], gone["revision"]) == (found["id"], "withdrawn", 1)
    assert {k: earlier[k] for k in ("id", "revision", "start", "end", "state", "peak", "minutes")} == {
        k: found[k] for k in ("id", "revision", "start", "end", "state", "peak", "minutes")
    }
    verdicts = rows(record, schema.verdict, rule=DUST, start=start + HOUR)
    assert [(v["verdict"], v["latest"], v["change"]) for v in verdicts] == [
        ("exceeds", False, "first"),
        ("meets", True, "late data"),
    ]


def test_hours_of_exactly_the_limit_are_no_exceedance_however_they_are_summed(
    pipeline: Pipeline, record: Record
) -> None:
    steps = np.arange(1, 31) / 10
    hour = np.random.default_rng(7).permutation(np.concatenate([1000 + steps, 1000 - steps]))
    values = np.tile(hour, 5)
    assert max(values[i : i + 60].sum() for i in range(240)) > 60_000  # in floating point
    feed(pipeline, [hour_of_dust(pipeline, at("2026-03-02T10:00:00"), values)])
    assert [v["verdict"] for v in rows(record, schema.verdict, rule=DUST)] == ["meets"] * 4
    whole = [r for r in rows(record, schema.sliding_hour, rule=DUST) if r["hour"] * HOUR >= at("2026-03-02T11:00:00")]
    assert [r["above"] for r in whole] == [0] * 4


def test_a_slow_weather_reading_reaches_back_into_the_sliding_minutes_before(tmp_path: Path) -> None:
    fence = Station("fence", ("laeq",), limits=("gb12348-class2-day",))
    registry = registry_of(tmp_path, {"mine": ("Asia/Shanghai", [fence, Station("weather", ("rain",), "300s")])})
    start = at("2026-03-02T10:00:00")
    minutes = np.arange(240)
    noise = readings(0, every(start, start + 4 * HOUR), 50.0).take((minutes < 100) | (minutes >= 115))
    rain = readings(1, [start + 2 * HOUR + 2 * MINUTE], 1.0)
    first = run(registry, str(tmp_path), [rain, noise], 1440)
    after = run(registry, str(tmp_path), [noise, rain], 1440)
    assert first.sliding == after.sliding
    dry = run(registry, str(tmp_path), [noise], 1440)
    key = ("mine/fence/gb12348-class2-day", start // HOUR + 1)
    assert dry.sliding[key] != after.sliding[key]


@pytest.mark.parametrize("restarts", [set(), {3}, {1, 4, 7}])
def test_an_episode_longer_than_the_ring_counts_all_its_minutes(
    registry: Registry, tmp_path: Path, restarts: set[int]
) -> None:
    flow = channel(registry, "mine/pond/flow")
    time = every(EVENING, EVENING + 6 * DAY, 15 * MINUTE)
    parts = [readings(flow, time[part], 0.4) for part in np.split(np.arange(len(time)), 9)]
    found = run(registry, str(tmp_path), parts, 1440, restarts)
    (key,) = found.exceedances
    assert key[1] == EVENING + MINUTE
    assert found.exceedances[key] == [None, "open", 0.4, EVENING + MINUTE, 0.0, (time[-1] - time[0]) // MINUTE]


def test_a_limit_that_changes_at_midnight_is_judged_by_the_limit_of_each_minute(
    pipeline: Pipeline, record: Record
) -> None:
    homes = channel(pipeline.registry, "mine/homes/pm10")
    midnight = at("2026-03-01T00:00:00")
    feed(pipeline, [readings(homes, every(midnight - DAY, midnight + DAY + 5 * MINUTE), 130.0)])
    (found,) = rows(record, schema.exceedance, rule="mine/homes/gb3095-pm10-day-class2")
    assert (found["start"], found["end"]) == (midnight, midnight + DAY)
    assert (found["threshold"], found["peak"]) == (120.0, 130.0)
    days = rows(record, schema.verdict, rule="mine/homes/gb3095-pm10-day-class2")
    assert [(v["start"], v["verdict"], v["high"]) for v in days] == [
        (midnight - DAY, "meets", 150.0),
        (midnight, "exceeds", 120.0),
    ]


def test_a_night_limit_holds_by_the_local_clock_on_the_day_it_changes(tmp_path: Path) -> None:
    zone = "America/New_York"
    fence = Station("fence", ("laeq",), limits=("gb12348-class2-night",))
    registry = registry_of(tmp_path, {"west": (zone, [fence])})
    record = record_at(record_in(tmp_path), registry)
    start = at("2026-03-06T18:00:00", zone)
    feed(Pipeline(registry, record), [readings(0, every(start, start + 3 * DAY), 52.0)])
    ends = [datetime.fromtimestamp(r["end"] / 1000, ZoneInfo(zone)) for r in rows(record, schema.exceedance)]
    assert [(e.day, e.hour, e.minute) for e in ends] == [(7, 6, 16), (8, 6, 16), (9, 6, 16)]


def test_a_silent_channel_is_issued_not_assessable_and_restated_by_late_data(
    registry: Registry, record: Record
) -> None:
    start = at("2026-03-02T10:00:00")
    pipeline = Pipeline(registry, record, now=start)
    some = hour_of_dust(pipeline, start, np.full(240, 500.0))
    pipeline.commit(batch_of(registry, some.take(np.arange(70))), start + 70 * MINUTE)
    assert len(rows(record, schema.statistic, window="hour")) == 1
    pipeline.wait(start + 80 * MINUTE)
    assert len(rows(record, schema.statistic, window="hour")) == 1
    pipeline.wait(start + 190 * MINUTE)
    hours = rows(record, schema.statistic, window="hour")
    assert [(h["count"], h["valid"]) for h in hours] == [(60, True), (10, False), (0, False)]
    verdicts = rows(record, schema.verdict, rule=DUST)
    assert [(v["verdict"], v["reason"]) for v in verdicts] == [
        ("meets", "within-limit"),
        ("not assessable", "too-few-minutes"),
        ("not assessable", "no-data"),
    ]
    feed(pipeline, [some.take(np.arange(240) >= 70)])
    latest = [h for h in rows(record, schema.statistic, window="hour") if h["latest"]]
    assert [(h["count"], h["revision"]) for h in latest] == [(60, 0), (60, 1), (60, 1)]
    assert [v["verdict"] for v in rows(record, schema.verdict, rule=DUST) if v["latest"]] == ["meets"] * 3


def test_waiting_leaves_no_trace_once_the_backlog_has_come(registry: Registry, tmp_path: Path) -> None:
    rng = np.random.default_rng(9)
    some = stream(registry, rng, EVENING, EVENING + 20 * HOUR, gaps=0)
    cut = EVENING + 3 * HOUR
    first, rest = some.take(some.time < cut), pieces(some.take(some.time >= cut), rng, 6)
    last = far_later(registry, EVENING + 60 * HOUR)
    expected = run(registry, str(tmp_path), [first, *rest, last], 1440)
    record = record_at(record_in(tmp_path / "waiting"), registry)
    pipeline = Pipeline(registry, record, now=EVENING)
    feed(pipeline, [first])
    for minutes in (20, 90, 600, 17 * 60, 10 * 1440):
        pipeline.wait(cut + minutes * MINUTE)
    assert not [e for e in rows(record, schema.exceedance) if e["state"] == "open"]
    feed(pipeline, rest)
    pipeline.wait(EVENING + 22 * HOUR)
    feed(pipeline, [last])
    found = held(record)
    for name in ("statistics", "verdicts", "sliding"):
        extra = getattr(found, name)
        assert {k: extra[k] for k in getattr(expected, name)} != {}
        kept = {k: v for k, v in extra.items() if k in getattr(expected, name)}
        setattr(found, name, kept)
    assert_same(expected, found)


def test_a_site_that_sends_a_backlog_is_waited_for(registry: Registry, record: Record) -> None:
    start = at("2026-03-02T10:00:00")
    pipeline = Pipeline(registry, record, now=start)
    some = hour_of_dust(pipeline, start, np.full(30, 500.0))
    clock = start + 10 * HOUR
    pipeline.commit(batch_of(registry, some), clock)
    pipeline.wait(clock + 10 * MINUTE)
    assert rows(record, schema.statistic) == []
    pipeline.wait(clock + 16 * MINUTE)
    assert len(rows(record, schema.statistic, window="hour")) == 10


def test_states_of_health_are_stored_and_taken_over_by_a_restart(registry: Registry, record: Record) -> None:
    pipeline = Pipeline(registry, record, now=EVENING)
    feed(pipeline, [readings(channel(registry, "mine/homes/pm10"), every(EVENING, EVENING + 4 * HOUR), 77.0)])
    number = key_of(record, "mine/homes/pm10")
    assert rows(record, schema.health, channel=number)[-1]["state"] == "frozen"
    again = Pipeline(registry, record, now=EVENING)
    again.wait(EVENING + 5 * HOUR)
    assert [r["state"] for r in rows(record, schema.health, channel=number)][-2:] == ["frozen", "silent"]


def test_whoever_follows_the_serials_holds_what_the_record_holds(registry: Registry, record: Record) -> None:
    pipeline = Pipeline(registry, record)
    tables = (schema.statistic, schema.verdict, schema.exceedance, schema.sliding_hour, schema.health, schema.ledger)
    seen: dict[str, dict[Any, Any]] = {table.name: {} for table in tables}
    cursor = 0
    rng = np.random.default_rng(7)
    mixed = disordered(stream(registry, rng, EVENING, EVENING + 31 * HOUR), rng, 1440 * MINUTE)
    for part in [*pieces(mixed, rng, 5), far_later(registry, EVENING + 60 * HOUR)]:
        feed(pipeline, [part])
        newest = cursor
        for table in tables:
            for row in record.rows(sa.select(table).where(table.c.serial > cursor)):
                seen[table.name][tuple(row[c.name] for c in table.primary_key)] = row
                newest = max(newest, row["serial"])
        cursor = newest
    for table in tables:
        keys = [c.name for c in table.primary_key]
        # That a later revision exists is known from the revision itself.
        stored = {tuple(row[k] for k in keys): row | {"latest": None} for row in record.rows(sa.select(table))}
        assert {key: row | {"latest": None} for key, row in seen[table.name].items()} == stored
        assert stored
