"""The core against an independent computation, and at its edges."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from greenmine.processing.engine import Engine, Statistic
from greenmine.readings import NORMAL, Readings
from greenmine.record.writer import Pipeline
from greenmine.registry import Registry
from tests.processing.mine import (
    BOUNDARY_SOUTH,
    DAY,
    HOUR,
    MINUTE,
    REFERENCE_NORTH,
    WEATHER,
    Station,
    at,
    channel,
    every,
    feed,
    held,
    readings,
    record_at,
    registry_of,
)
from tests.processing.streams import far_later, pieces, stream
from tests.records import record_in

NOISE = ("gb12348-class2-day", "gb12348-class2-night")
SITES = {
    "half": (
        "Asia/Kolkata",
        [
            Station("fence", ("laeq", "lafmax"), "10s", NOISE),
            Station("north", ("tsp",), place=REFERENCE_NORTH),
            Station("south", ("tsp",), "300s", ("gb4915-difference",), BOUNDARY_SOUTH),
            WEATHER,
        ],
    ),
    "dry": (
        "Asia/Shanghai",
        [
            Station("fence", ("laeq",), "60s", NOISE),
            Station("homes", ("pm10", "air-temperature", "equipment-state"), "900s", ("gb3095-pm10-day-class2",)),
        ],
    ),
    "west": ("America/New_York", [Station("fence", ("laeq",), "60s", NOISE), Station("homes", ("pm10",)), WEATHER]),
}
START = at("2026-03-06T20:13:00", "America/New_York")
"""The clocks of New York go forward on the second day."""


class Memory:
    """Readings that an engine took in, for its questions about them."""

    def __init__(self, registry: Registry, **options: Any) -> None:
        self.taken: list[Readings] = []
        self.statistics: dict[tuple[int, str, int], Statistic] = {}
        self.engine = Engine(registry, self.stored, self.samples, **options)

    def stored(self, channel: np.ndarray, time: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        known = {
            (c, t): (v, f) for r in self.taken for c, t, v, f in zip(r.channel, r.time, r.value, r.flag, strict=True)
        }
        found = [known.get(key) for key in zip(channel, time, strict=True)]
        return (
            np.array([f is not None for f in found], np.bool_),
            np.array([f[0] if f else np.nan for f in found]),
            np.array([f[1] if f else 0 for f in found], np.uint8),
        )

    def samples(self, channel: int, start: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        every = Readings.concat(self.taken)
        mine = (every.channel == channel) & (every.time >= start) & (every.time < end) & (every.flag == NORMAL)
        return every.time[mine], every.value[mine]

    def ingest(self, *parts: Readings) -> None:
        for part in parts:
            outcome = self.engine.ingest(part)
            self.taken.append(part.take(outcome.parts.fresh))
            self.keep(outcome.statistics)

    def keep(self, found: Iterable[Statistic]) -> None:
        self.statistics |= {(s.channel, s.window, s.start * MINUTE): s for s in found}


def valid_frame(registry: Registry, some: Readings) -> pl.DataFrame:
    """The readings that count before exclusion, with the local clock of their site."""
    low, high = (np.array([getattr(c.parameter, side) for c in registry.channels]) for side in ("low", "high"))
    with np.errstate(invalid="ignore"):
        good = (some.flag == NORMAL) & (some.value >= low[some.channel]) & (some.value <= high[some.channel])
    some = some.take(good)
    keys = [c.key for c in registry.channels]
    frame = pl.DataFrame(
        {"key": [keys[c] for c in some.channel], "time": some.time, "value": some.value},
        schema_overrides={"time": pl.Int64},
    )
    return frame.with_columns(
        site=pl.col("key").str.split("/").list.get(0),
        minute=pl.col("time") // MINUTE,
        utc=pl.from_epoch("time", time_unit="ms"),
    )


def spoiled(frame: pl.DataFrame) -> pl.DataFrame:
    """Minutes of sites with rain or with a mean wind of 5 m/s and more."""
    minutes = frame.group_by("site", "key", "minute").agg(pl.col("value").mean())
    rain = minutes.filter(pl.col("key").str.ends_with("/rain") & (pl.col("value") > 0))
    wind = minutes.filter(pl.col("key").str.ends_with("/wind-speed") & (pl.col("value").round(9) >= 5.0))
    return pl.concat([rain, wind]).select("site", "minute").unique()


def hourly(registry: Registry, frame: pl.DataFrame, kind: str) -> pl.DataFrame:
    """One row a channel of a kind and local hour, with what an hour is judged by."""
    mine = {c.key: 3_600_000 / c.interval for c in registry.channels if c.parameter.averaging == kind}
    zone = {site.id: site.zone for site in registry.sites}
    value = pl.col("value")
    mean = {
        "arithmetic": value.mean(),
        "state": value.mean(),
        "energy": 10 * (10 ** (value / 10)).mean().log10(),
        "sum": value.sum(),
        "maximum": value.max(),
    }[kind]
    out = []
    for site, part in frame.filter(pl.col("key").is_in(list(mine))).group_by("site"):
        local = part.with_columns(
            pl.col("utc").dt.replace_time_zone("UTC").dt.convert_time_zone(zone[str(site[0])]).alias("local")
        ).sort("key", "local")
        out.append(
            local.group_by_dynamic("local", every="1h", group_by="key")
            .agg(
                mean=mean, minimum=value.min(), maximum=value.max(), count=value.len(),
                l10=value.quantile(0.9, "linear"), l50=value.quantile(0.5, "linear"), l90=value.quantile(0.1, "linear"),
            )
            .with_columns(start=pl.col("local").dt.epoch("ms"), due=pl.col("key").replace_strict(mine))
            .with_columns(date=pl.col("local").dt.date(), hour=pl.col("local").dt.hour())
            .drop("local")
        )  # fmt: skip
    return pl.concat(out).with_columns(
        capture=pl.min_horizontal(pl.lit(1.0), pl.col("count") / pl.col("due")),
        valid=pl.col("count") >= 0.75 * pl.col("due") * (1 - 1e-9),
    )


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> tuple[Registry, pl.DataFrame, pl.DataFrame, dict[Any, Any]]:
    """A random stream through the record, its valid readings, and the minutes with bad weather."""
    registry = registry_of(tmp_path_factory.mktemp("zones"), SITES)
    rng = np.random.default_rng(20260306)
    some = stream(registry, rng, START, START + 52 * HOUR, gaps=5)
    record = record_at(record_in(tmp_path_factory.mktemp("record")), registry)
    parts = [part.take(rng.permutation(len(part))) for part in pieces(some, rng, 25)]
    feed(Pipeline(registry, record), [*parts, far_later(registry, START + 100 * HOUR)])
    frame = valid_frame(registry, some)
    return registry, frame, spoiled(frame), held(record).statistics


def without_spoiled(registry: Registry, frame: pl.DataFrame, bad: pl.DataFrame) -> pl.DataFrame:
    noise = [c.key for c in registry.channels if c.parameter.theme == "noise"]
    good = frame.filter(pl.col("key").is_in(noise)).join(bad, on=["site", "minute"], how="anti")
    return pl.concat([frame.filter(~pl.col("key").is_in(noise)), good])


_END, _MEAN, _MINIMUM, _MAXIMUM, _COUNT, _EXPECTED, _CAPTURE, _VALID, _HOURS, _EXCLUDED, _SUSPECT = range(11)
_L = slice(11, 14)


@pytest.mark.parametrize("kind", ["arithmetic", "state", "energy", "sum", "maximum"])
def test_hours_equal_those_of_polars(
    case: tuple[Registry, pl.DataFrame, pl.DataFrame, dict[Any, Any]], kind: str
) -> None:
    registry, frame, bad, found = case
    expected = hourly(registry, without_spoiled(registry, frame, bad), kind)
    assert len(expected) > 50
    assert len(expected.filter("valid")) > 20
    assert len(expected.filter(~pl.col("valid"))) > 0
    for row in expected.iter_rows(named=True):
        ours = found[row["key"], "hour", row["start"]]
        assert ours[_MEAN] == pytest.approx(row["mean"], rel=1e-9, abs=1e-12)
        assert (ours[_MINIMUM], ours[_MAXIMUM], ours[_COUNT]) == (row["minimum"], row["maximum"], row["count"])
        assert (ours[_EXPECTED], ours[_CAPTURE], ours[_VALID]) == (row["due"], row["capture"], row["valid"])
        assert ours[_END] == row["start"] + HOUR
    mine = {c.key for c in registry.channels if c.parameter.averaging == kind}
    hours = {(row["key"], row["start"]) for row in expected.iter_rows(named=True)}
    rest = [
        ours
        for (key, window, start), ours in found.items()
        if key in mine and window == "hour" and (key, start) not in hours
    ]
    assert all((ours[_MEAN], ours[_COUNT], ours[_VALID]) == (None, 0, False) for ours in rest)


def test_percentile_levels_of_hours_equal_those_of_polars(
    case: tuple[Registry, pl.DataFrame, pl.DataFrame, dict[Any, Any]],
) -> None:
    registry, frame, bad, found = case
    expected = hourly(registry, without_spoiled(registry, frame, bad), "energy")
    spoiled_hours = 0
    for row in expected.iter_rows(named=True):
        ours = found[row["key"], "hour", row["start"]]
        assert ours[_L] == pytest.approx([row["l10"], row["l50"], row["l90"]], abs=0.0500001)
        spoiled_hours += ours[_EXCLUDED] > 0
    assert 0 < spoiled_hours < len(expected)


def test_directions_of_hours_equal_those_of_polars(
    case: tuple[Registry, pl.DataFrame, pl.DataFrame, dict[Any, Any]],
) -> None:
    _, frame, _, found = case
    turned = frame.filter(pl.col("key") == "west/weather/wind-direction").with_columns(
        hour=pl.col("time") // HOUR * HOUR
    )
    radians = pl.col("value").radians()
    expected = turned.group_by("hour").agg(angle=pl.arctan2(radians.sin().sum(), radians.cos().sum()).degrees() % 360)
    assert len(expected) > 30
    for hour, angle in expected.iter_rows():
        assert found["west/weather/wind-direction", "hour", hour][_MEAN] == pytest.approx(angle, rel=1e-9)


@pytest.mark.parametrize(
    ("window", "need", "first", "last", "kinds"),
    [
        ("day", 20, 0, 24, ["arithmetic", "energy", "state"]),
        ("daytime", 12, 6, 22, ["energy"]),
        ("nighttime", 6, 22, 6, ["energy"]),
    ],
)
def test_days_and_nights_equal_those_of_polars(
    case: tuple[Registry, pl.DataFrame, pl.DataFrame, dict[Any, Any]],
    window: str, need: int, first: int, last: int, kinds: list[str],
) -> None:  # fmt: skip
    registry, frame, bad, found = case
    good = without_spoiled(registry, frame, bad)
    seen = 0
    for kind in kinds:
        hours = hourly(registry, good, kind)
        night = first > last
        inside = (
            (pl.col("hour") >= first) | (pl.col("hour") < last) if night else pl.col("hour").is_between(first, last - 1)
        )
        evening = pl.col("date") - pl.when(night & (pl.col("hour") < last)).then(pl.duration(days=1)).otherwise(
            pl.duration()
        )
        mean = 10 * (10 ** (pl.col("mean") / 10)).mean().log10() if kind == "energy" else pl.col("mean").mean()
        days = (
            hours.filter(inside)
            .with_columns(day=evening)
            .filter("valid")
            .group_by("key", "day")
            .agg(mean=mean, hours=pl.len())
        )
        zone = {site.id: site.zone for site in registry.sites}
        for key, day, value, count in days.iter_rows():
            start = at(f"{day}T{first:02}:00:00", zone[key.split("/")[0]])
            if (ours := found.get((key, window, start))) is not None:
                assert ours[_MEAN] == pytest.approx(value, rel=1e-9)
                assert (ours[_HOURS], ours[_VALID]) == (count, count >= need)
                seen += 1
    assert seen >= 4


def test_the_day_on_which_the_clocks_go_forward_has_23_hours(
    case: tuple[Registry, pl.DataFrame, pl.DataFrame, dict[Any, Any]],
) -> None:
    _, _, _, found = case
    day = found["west/homes/pm10", "day", at("2026-03-08T00:00:00", "America/New_York")]
    assert day[_EXPECTED] == 23 * 60
    assert day[_END] - at("2026-03-08T00:00:00", "America/New_York") == 23 * HOUR


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return registry_of(
        tmp_path_factory.mktemp("plain"),
        {"mine": ("Asia/Shanghai", [Station("homes", ("pm10", "laeq"), limits=("gb3095-pm10-day-class2",)), WEATHER])},
    )


@pytest.mark.parametrize("lateness", [0, 60, 1440])
@pytest.mark.parametrize("gap_hours", [11, 13, 30, 49, 53, 24 * 70])
def test_what_came_before_a_long_gap_is_issued_whole(plain: Registry, lateness: int, gap_hours: int) -> None:
    start = at("2026-06-01T00:00:00")
    memory = Memory(plain, lateness=lateness)
    memory.ingest(readings(0, every(start, start + 22 * HOUR + 31 * MINUTE), 50.0))
    memory.ingest(readings(0, [start + 22 * HOUR + 31 * MINUTE + gap_hours * HOUR], 50.0))
    memory.ingest(readings(0, [start + 48 * HOUR + gap_hours * HOUR], 50.0))
    day = memory.statistics[0, "day", start]
    hour = memory.statistics[0, "hour", start + 22 * HOUR]
    assert (day.mean, day.hours, day.count, day.valid) == (50.0, 22, 22 * 60 + 31, True)
    assert (hour.mean, hour.count, hour.valid) == (50.0, 31, False)


@pytest.mark.parametrize("lateness", [0, 60, 1440])
def test_ten_days_in_one_batch_equal_ten_days_in_many(plain: Registry, lateness: int) -> None:
    start = at("2026-06-01T00:00:00")
    rng = np.random.default_rng(4)
    time = every(start, start + 10 * DAY)
    some = readings(0, time, np.round(rng.normal(60, 9, len(time)), 1))
    whole, pieced = Memory(plain, lateness=lateness), Memory(plain, lateness=lateness)
    whole.ingest(some)
    pieced.ingest(*(some.take(part) for part in np.split(np.arange(len(time)), 80)))
    assert whole.statistics == pieced.statistics
    assert sum(s.valid for s in whole.statistics.values() if s.window == "day") == 9


@pytest.mark.parametrize("zone", ["Asia/Singapore", "Asia/Kathmandu", "America/Caracas"])
def test_hours_are_those_of_the_zone_today_not_of_1970(tmp_path: Path, zone: str) -> None:
    registry = registry_of(tmp_path, {"mine": (zone, [Station("homes", ("pm10",))])})
    start = at("2026-06-01T10:00:00", zone)
    memory = Memory(registry)
    memory.ingest(readings(0, every(start + 5 * MINUTE, start + 3 * HOUR), 50.0))
    assert sorted(start for _, window, start in memory.statistics if window == "hour") == [start, start + HOUR]


def test_a_zone_whose_clocks_change_by_half_an_hour_is_refused(tmp_path: Path) -> None:
    registry = registry_of(tmp_path, {"mine": ("Australia/Lord_Howe", [Station("homes", ("pm10",))])})
    with pytest.raises(ValueError, match="Australia/Lord_Howe: its clocks change by 30 minutes"):
        Memory(registry)


def test_time_begins_in_1970(tmp_path: Path) -> None:
    registry = registry_of(tmp_path, {"mine": ("UTC", [Station("homes", ("pm10",))])})
    memory = Memory(registry)
    memory.ingest(readings(0, every(0, 2 * HOUR), 50.0))
    assert memory.statistics[0, "hour", 0].count == 60


def test_not_a_number_under_a_normal_flag_is_kept_and_does_not_count(plain: Registry) -> None:
    start = at("2026-06-01T10:00:00")
    memory = Memory(plain)
    values = np.where(np.arange(120) % 2, 50.0, np.nan)
    outcome = memory.engine.ingest(readings(0, every(start, start + 2 * HOUR), values))
    hour = next(s for s in outcome.statistics if s.window == "hour")
    assert (hour.mean, hour.count) == (50.0, 30)
    assert outcome.quality.tolist() == [1, 0] * 60


@pytest.mark.parametrize("flag", list("FMSDCB"))
def test_only_normal_readings_enter_a_figure(plain: Registry, flag: str) -> None:
    start = at("2026-06-01T10:00:00")
    memory = Memory(plain)
    memory.ingest(readings(0, every(start, start + 2 * HOUR), [50.0, 900.0] * 60, [ord("N"), ord(flag)] * 60))
    hour = memory.statistics[0, "hour", start]
    assert (hour.mean, hour.maximum, hour.count) == (50.0, 50.0, 30)


def test_minutes_that_look_like_a_spike_or_a_jump_are_counted_and_stay(plain: Registry) -> None:
    start = at("2026-06-01T10:00:00")
    values = np.full(180, 50.0)
    values[[0, 70, 119]] = 9000.0
    memory = Memory(plain)
    memory.ingest(readings(0, every(start, start + 3 * HOUR), values))
    hour = memory.statistics[0, "hour", start + HOUR]
    assert hour.suspect == 3  # up and down again at 10, up at 59
    assert hour.maximum == 9000.0


@pytest.mark.parametrize("minute", [60, 59, 0])
def test_a_late_neighbour_decides_whether_the_last_minute_of_an_hour_is_suspect(plain: Registry, minute: int) -> None:
    start = at("2026-06-01T10:00:00")
    values = np.full(240, 50.0)
    values[[59, 120]] = 9000.0
    some = readings(0, every(start, start + 4 * HOUR), values)
    ordered, disordered = Memory(plain), Memory(plain)
    ordered.ingest(some)
    place = np.arange(240) == minute
    disordered.ingest(some.take(~place), some.take(place))
    assert ordered.statistics.keys() == disordered.statistics.keys()
    found = [{k: (s.suspect, s.count, s.mean) for k, s in m.statistics.items()} for m in (ordered, disordered)]
    assert found[0] == found[1]


def test_percentiles_of_a_silent_channel_count_every_sample_once(plain: Registry) -> None:
    start = at("2026-06-01T10:00:00")
    noise, rain = channel(plain, "mine/homes/laeq"), channel(plain, "mine/weather/rain")
    memory = Memory(plain)
    memory.ingest(readings(rain, every(start, start + HOUR), [1.0] * 10 + [0.0] * 50))
    levels = np.linspace(40, 80, 55)
    memory.ingest(readings(noise, every(start, start + 30 * MINUTE), levels[:30]))
    memory.ingest(readings(noise, every(start + 30 * MINUTE, start + 55 * MINUTE), levels[30:]))
    memory.keep(memory.engine.wait(start + 3 * HOUR, np.ones(len(plain.channels), np.bool_)).statistics)
    hour = memory.statistics[noise, "hour", start]
    assert (hour.count, hour.excluded) == (45, 10)
    assert hour.levels == pytest.approx(np.percentile(levels[10:], [90, 50, 10]))


@pytest.mark.parametrize("behind_days", [1, 4])
def test_a_weather_station_that_lags_behind_never_empties_what_the_ring_no_longer_holds(
    plain: Registry, behind_days: int
) -> None:
    start = at("2026-06-01T00:00:00")
    noise, rain = channel(plain, "mine/homes/laeq"), channel(plain, "mine/weather/rain")
    memory = Memory(plain)
    memory.ingest(readings(noise, every(start, start + behind_days * DAY + 2 * HOUR), 50.0))
    memory.ingest(readings(rain, every(start, start + 12 * HOUR), 0.0))
    memory.ingest(readings(rain, every(start + 12 * HOUR, start + 13 * HOUR), 1.0))
    for hour in range(behind_days * 24):
        found = memory.statistics[noise, "hour", start + hour * HOUR]
        assert found.count + found.excluded == 60
        assert found.excluded in {0, 60 if hour == 12 else 0}


def test_a_slow_weather_reading_reaches_back_into_the_hour_before(tmp_path: Path) -> None:
    stations = [Station("fence", ("laeq",)), Station("weather", ("rain",), "300s")]
    registry = registry_of(tmp_path, {"mine": ("Asia/Shanghai", stations)})
    start = at("2026-06-01T10:00:00")
    memory = Memory(registry)
    memory.ingest(readings(0, every(start, start + 2 * HOUR), 50.0))
    assert memory.statistics[0, "hour", start].excluded == 0
    memory.ingest(readings(1, [start + HOUR + 2 * MINUTE], 1.0))
    assert memory.statistics[0, "hour", start].excluded == 2


def test_hours_between_a_late_first_reading_and_what_followed_it_are_issued_too(plain: Registry) -> None:
    start = at("2026-06-01T10:00:00")
    memory = Memory(plain)
    memory.ingest(readings(0, every(start + 5 * HOUR, start + 7 * HOUR), 50.0))
    memory.ingest(readings(0, [start], 50.0))
    hours = {s: memory.statistics[0, "hour", s].count for _, w, s in memory.statistics if w == "hour"}
    assert hours == {start + h * HOUR: n for h, n in enumerate([1, 0, 0, 0, 0, 60])}


@pytest.mark.parametrize(("older", "reordered"), [(1000, True), (-1000, False)])
def test_reordered_readings_are_those_older_than_the_newest(plain: Registry, older: int, reordered: bool) -> None:
    start = at("2026-06-01T10:00:00")
    memory = Memory(plain)
    memory.ingest(readings(0, [start + 30_000], 50.0))
    assert memory.engine.ingest(readings(0, [start + 30_000 - older], 50.0)).reordered.tolist() == [reordered]


def test_an_empty_batch_leads_to_nothing(plain: Registry) -> None:
    outcome = Memory(plain).engine.ingest(Readings.empty())
    assert (outcome.statistics, outcome.verdicts, outcome.exceedances, len(outcome.parts.fresh)) == ([], [], [], 0)
