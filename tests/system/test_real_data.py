"""Real measurements through real Mosquitto into the record; every figure equals one computed here with polars."""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest

from greenmine.collector.files import Description, read_series
from greenmine.loading import load_registry
from greenmine.parameters import load_parameters
from greenmine.simulators.messages import Message, topic
from greenmine.simulators.replay import Replay
from tests.records import record_in
from tests.system.real_series import DATA, SERIES, Series, write_registry
from tests.system.running import COMMAND, PATIENCE, Environment, RestartableBroker, Worker
from tests.system.stored import Stored

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the real data sets are not on this machine")

HOUR = 3_600_000
MINUTE = 60_000
GRACE = 2 * MINUTE
BY_COMMAND = {"sensor", "river", "alamosa"}
"""Sent with `greenmine replay`; the others by what that command calls."""
PARAMETERS = load_parameters()
SCALES = {"pressure": 0.1}
"""hPa to kPa."""
NEED = {"day": 20, "daytime": 12, "nighttime": 6}
"""Valid hours that a longer window needs."""
BY_SITE = {series.site: series for series in SERIES}
CHANNELS = [(series.site, name) for series in SERIES for name in series.columns.values()]


@dataclass(frozen=True)
class Replayed:
    stored: Stored
    frames: dict[str, pl.DataFrame]
    """What was sent for each series: the file, and one reading on the day after, which closes the last windows."""


@pytest.fixture(scope="module")
def replayed(
    brokers: type[RestartableBroker], environment: Environment, tmp_path_factory: pytest.TempPathFactory
) -> Replayed:
    folder: Path = tmp_path_factory.mktemp("real")
    registry = load_registry(write_registry(folder / "registry"))
    frames = {series.site: series.frame() for series in SERIES}
    closing = {site: _closing(BY_SITE[site], frame) for site, frame in frames.items()}
    with (
        brokers(folder / "broker") as broker,
        Worker(folder, broker.port, registry=folder / "registry", batch_readings=20_000) as worker,
    ):
        worker.await_connection()
        commands = []
        for series in SERIES:
            if series.site in BY_COMMAND:
                commands.append(_command(series, frames[series.site], folder, broker.port, environment))
            else:
                names = {name: column for column, name in series.columns.items()}
                units = registry.profiles[registry.device(series.site, "device").profile].units
                wanted = [registry.parameters[name] for name in names]
                # Every number counts here, in the record and in what it is compared with.
                said = Description(missing=(), zone=series.zone)
                read = read_series(DATA / series.file, wanted, said, values=names, zone=series.zone, assumed=units)
                broker.publish(Replay(registry, read, series.site, "device").messages())
        for process in commands:
            assert process.wait(PATIENCE) == 0
        broker.publish([_message(site, row) for site, row in closing.items()])
        everything = {site: pl.concat([frame, closing[site]]) for site, frame in frames.items()}
        worker.await_all(lambda: worker.count("received"), sum(f.height * (f.width - 1) for f in everything.values()))
        worker.stop()
    return Replayed(Stored(record_in(folder), registry), everything)


def _command(
    series: Series, frame: pl.DataFrame, folder: Path, port: int, environment: Environment
) -> subprocess.Popen[bytes]:
    """Replay a series with the command: the file as it is, or as Parquet where it is no table that a logger writes."""
    file, columns = DATA / series.file, series.columns
    if file.suffix != ".csv":
        file, columns = folder / f"{series.site}.parquet", {name: name for name in series.columns.values()}
        frame.with_columns(pl.from_epoch("time", "ms").dt.replace_time_zone("UTC")).write_parquet(file)
    mapped = [part for column, name in columns.items() for part in ("--map", f"{column}={name}")]
    site = ["--site", series.site, "--device", "device", "--zone", series.zone, "--missing", "none"]
    return subprocess.Popen(
        [COMMAND, "replay", file, *site, "--broker", f"127.0.0.1:{port}", *mapped],
        cwd=folder,
        env=environment.variables({"registry": folder / "registry"}),
    )


def _closing(series: Series, frame: pl.DataFrame) -> pl.DataFrame:
    day = 24 * HOUR
    last, ahead = int(frame["time"].max()), series.ahead * HOUR  # type: ignore[arg-type]
    return frame.tail(1).with_columns(time=pl.lit(((last + ahead) // day + 1) * day - ahead + HOUR + 5 * MINUTE))


def _message(site: str, row: pl.DataFrame) -> Message:
    time, values = row["time"][0], row.drop("time").row(0, named=True)
    return Message(time, topic(site, "device"), msgspec.json.encode({"v": 1, "time": time, "values": values}))


# The independent computation.


def _valid(series: Series, name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Local hours and canonical values of the plausible readings."""
    value = pl.col(name) * SCALES.get(name, 1.0)
    parameter = PARAMETERS[name]
    local = pl.col("time") + series.ahead * HOUR
    return (
        frame.select("time", hour=local // HOUR, value=value)
        .filter(pl.col("value").is_between(parameter.low, parameter.high))
        .sort("time")
    )


def _spoken_for(series: Series, readings: pl.DataFrame) -> pl.DataFrame:
    """Of every minute with a reading how many of the due ones it speaks for: no more than the time since the one before."""
    minutes = readings.group_by(minute=pl.col("time") // MINUTE).agg(count=pl.len()).sort("minute")
    span = -(-series.interval * 1000 // MINUTE)
    if span == 1:
        assert (minutes["count"] <= 60 / series.interval).all()  # no stamp wavers into a minute that has one already
        return minutes.select("minute", held=pl.col("count").cast(pl.Float64))
    since = pl.col("minute").diff().fill_null(span).clip(upper_bound=span)
    return minutes.select("minute", held=since * 60 / series.interval)


def _average(name: str) -> pl.Expr:
    value = pl.col("value")
    match PARAMETERS[name].averaging:
        case "energy":
            return 10 * (10 ** (value / 10)).mean().log10()
        case "vector":
            return pl.arctan2(value.radians().sin().mean(), value.radians().cos().mean()).degrees() % 360
        case _:
            return value.mean()


def _summary(name: str) -> list[pl.Expr]:
    value = pl.col("value")
    levels = [value.quantile(1 - n / 100, "linear").alias(f"l{n}") for n in (10, 50, 90)]
    return [
        _average(name).alias("mean"),
        value.min().alias("min"),
        value.max().alias("max"),
        pl.len().alias("count"),
        *levels,
    ]


def _windows(series: Series, first: int, closing: int) -> Iterator[tuple[str, int, int]]:
    """Windows (kind, start, hours) that end after the first hour and not after the closing one; local hours since 1970."""
    for hour in range(first, closing):
        yield "hour", hour, 1
    noise = "laeq" in series.columns.values()
    kinds = [("day", 0, 24), *([("daytime", 6, 16), ("nighttime", 22, 8)] if noise else [])]
    for kind, begin, length in kinds:
        for day in range(first // 24 - 1, closing // 24 + 1):
            start = day * 24 + begin
            if first < start + length <= closing:
                yield kind, start, length


def _expected(series: Series, name: str, frame: pl.DataFrame) -> dict[tuple[str, int], dict[str, Any]]:
    """Figures by window kind and start [ms UTC]."""
    readings = _valid(series, name, frame)
    first = (int(frame["time"].min()) // HOUR) + series.ahead  # type: ignore[arg-type]
    closing = (int(frame["time"].max()) - GRACE) // HOUR + series.ahead  # type: ignore[arg-type]
    due = 3600 / series.interval
    averaging = PARAMETERS[name].averaging
    summary = _summary(name)
    local = (pl.col("minute") + series.ahead * 60) // 60
    held = _spoken_for(series, readings).group_by(hour=local).agg(pl.col("held").sum())
    hourly = readings.group_by("hour").agg(summary).join(held, on="hour").sort("hour")
    sufficient = hourly.filter(pl.col("held") >= 0.75 * due - 1e-6)
    hours = {row["hour"]: row for row in hourly.iter_rows(named=True)}
    enough = set(sufficient["hour"])
    nothing = readings.clear().select(summary).row(0, named=True)
    found = {}
    for kind, start, length in _windows(series, first, closing):
        good = sum(hour in enough for hour in range(start, start + length))
        row = hours.get(start, nothing)
        inside = pl.col("hour").is_between(start, start + length, closed="left")
        if length > 1:
            row = readings.filter(inside).select(summary).row(0, named=True)
            if averaging != "vector":
                row["mean"] = sufficient.filter(inside).select(value="mean").select(_average(name)).item()
        found[kind, (start - series.ahead) * HOUR] = row | {
            "end": (start + length - series.ahead) * HOUR,
            "hours": good if length > 1 else None,
            "capture": min(1.0, held.filter(inside)["held"].sum() / (due * length)),
            "valid": good >= NEED.get(kind, 1),
        }
    return found


def _close(found: Sequence[float | None], expected: Sequence[float | None], **tolerance: float) -> bool:
    """Equal within a tolerance; nothing equals nothing only."""
    numbers = [[math.nan if x is None else x for x in side] for side in (found, expected)]
    return bool(numbers[0] == pytest.approx(numbers[1], nan_ok=True, **tolerance))


@pytest.mark.parametrize(("site", "name"), CHANNELS)
def test_statistics_equal_an_independent_computation(replayed: Replayed, site: str, name: str) -> None:
    expected = _expected(BY_SITE[site], name, replayed.frames[site])
    stored = {key[1:]: row for key, row in replayed.stored.statistics.items() if key[0] == f"{site}/place/{name}"}
    assert stored.keys() == expected.keys()
    assert sum(row["valid"] for row in expected.values()) > 0
    levels = [n for n in ("l10", "l50", "l90") if PARAMETERS[name].averaging == "energy"]
    for key, row in stored.items():
        end, mean, low, high, count, _, capture, valid, hours, excluded, _, *percentiles = row[
            : len(row) - 3 + len(levels)
        ]
        e = expected[key]
        assert (end, count, bool(valid), hours, excluded) == (e["end"], e["count"], e["valid"], e["hours"], 0), key
        assert _close(
            (capture, mean, low, high), [e[n] for n in ("capture", "mean", "min", "max")], rel=1e-9, abs=1e-12
        ), key
        assert _close(percentiles, [e[n] for n in levels], rel=0, abs=0.05 + 1e-9), key
    assert all(row[-3:] == (None, None, None) for row in stored.values()) != bool(levels)


@pytest.mark.parametrize(
    ("site", "name", "rule", "high"),
    [
        ("sensor", "pm10", "gb3095-pm10-day-class2", 150),
        ("sensor", "pm10", "gb3095-pm10-day-class2#target-1", 50),
        ("sensor", "pm2.5", "gb3095-pm2.5-day-class2#target-1", 15),
        ("unit1", "pm2.5", "gb3095-pm2.5-day-class2#target-1", 7),
    ],
)
def test_rolling_means_equal_an_independent_computation(
    replayed: Replayed, site: str, name: str, rule: str, high: int
) -> None:
    """Of every minute the mean of the valid hours of 24 that end with it, rounded half to even, assessable with 20 of 45 min."""
    series, frame = BY_SITE[site], replayed.frames[site]
    first, last = int(frame["time"].min()) // MINUTE, int(frame["time"].max()) // MINUTE  # type: ignore[arg-type]
    readings = _valid(series, name, frame)
    minute = readings["time"].to_numpy() // MINUTE - first
    hundredths = np.round(readings["value"].to_numpy() * 100).astype(np.int64)
    counts, sums = np.zeros((2, last - first + 1441), np.int64)
    np.add.at(counts, minute + 1440, 1)
    np.add.at(sums, minute + 1440, hundredths)
    held = np.zeros(len(counts))
    spoken = _spoken_for(series, readings)
    held[spoken["minute"].to_numpy() - first + 1440] = spoken["held"].to_numpy()
    count, total, kept = (np.convolve(x, np.ones(60), "full")[59 : len(x)] for x in (counts, sums, held))
    valid = (count > 0) & (kept >= 0.75 * 3600 / series.interval - 1e-6)
    means = np.where(valid, total / np.maximum(count, 1) / 100, 0.0)
    hours_of = [slice(60 * k + 1, 60 * k + 1 + len(counts) - 1440) for k in range(24)]  # those that end with a minute
    valid_hours, sum_of = (np.sum([x[part] for part in hours_of], axis=0) for x in (valid, means))
    valid_hours, sum_of = valid_hours[:-1], sum_of[:-1]  # the newest minute is not complete
    assessable = valid_hours >= 20
    rounded = np.round(np.round(sum_of / np.maximum(valid_hours, 1), 9))
    above = assessable & (rounded > high)
    hours = (np.arange(len(valid_hours)) + first) // 60
    bits = np.left_shift(np.uint64(1), ((np.arange(len(valid_hours)) + first) % 60).astype(np.uint64))
    stored = {key[1]: row for key, row in replayed.stored.sliding.items() if key[0] == f"{site}/place/{rule}"}
    assert assessable.any()
    expected = {}
    for hour in np.unique(hours).tolist():
        mine = hours == hour
        some = rounded[mine & assessable]
        worst = float(some.max()) if len(some) else None
        expected[hour] = (int(bits[mine & assessable].sum()), int(bits[mine & above].sum()), worst)
    assert {hour: row for hour, row in expected.items() if row[0]} == {
        hour: row for hour, row in stored.items() if row[0]
    }


def test_the_ledger_adds_up_to_the_rows_of_the_files(replayed: Replayed) -> None:
    ledger = replayed.stored.ledger
    readings = {site: f.height * (f.width - 1) for site, f in replayed.frames.items()}
    assert ledger["received"] == sum(readings.values())
    assert (ledger["duplicate"], ledger["rejected"], ledger["late"]) == (0, 0, 0)
    for site, frame in replayed.frames.items():
        blocks = {key: rows for key, rows in replayed.stored.blocks.items() if key.startswith(f"{site}/")}
        assert sum(map(len, blocks.values())) == readings[site]
        for name in frame.columns[1:]:
            rows = np.sort(blocks[f"{site}/place/{name}"], order="time")
            ordered = frame.sort("time")
            assert rows["time"].tolist() == ordered["time"].to_list()
            np.testing.assert_allclose(rows["value"], ordered[name].to_numpy() * SCALES.get(name, 1.0), rtol=1e-15)


# Figures that were published or computed by others; their rules are the same where they are compared.


def _reference(name: str) -> Any:
    return json.loads((DATA / "reference" / name).read_text())


def _local(series: Series, text: str) -> int:
    moment = pl.Series([text]).str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="ms").cast(pl.Int64)[0]
    return int(moment) - series.ahead * HOUR


@pytest.mark.parametrize(
    ("site", "name", "file", "quantity", "dense"),
    [
        ("sensor", "pm10", "dust-expected-sensor-8733.json", "PM10_P1", ["2018-04-16 17:00:00"]),
        ("sensor", "pm2.5", "dust-expected-sensor-8733.json", "PM2.5_P2", ["2018-04-16 17:00:00"]),
        ("unit1", "pm2.5", "dust-expected-1min-unit-1.json", "PM2.5", []),
    ],
)
def test_dust_equals_the_reference(
    replayed: Replayed, site: str, name: str, file: str, quantity: str, dense: list[str]
) -> None:
    told, series = _reference(file)[quantity], BY_SITE[site]
    stored = {key[1:]: row for key, row in replayed.stored.statistics.items() if key[0] == f"{site}/place/{name}"}
    end = _closing(series, series.frame())["time"][0] - HOUR - 5 * MINUTE
    hours = {start: row for (window, start), row in stored.items() if window == "hour" and start < end}
    # There readings are counted wherever they lie in an hour; in the record they speak for no more time than they measured: of an
    # hour whose readings lie close together there are enough, and they speak for less than three quarters of it.
    enough = {start for start, row in hours.items() if row[4] >= 0.75 * 3600 / series.interval}
    crowded = {_local(series, text) for text in dense}
    assert len(enough) == told["hours_valid"]
    assert {start for start, row in hours.items() if row[7]} == enough - crowded
    assert sum(row[4] > 0 for row in hours.values()) == told["hours_with_any"]
    assert sum(row[4] for row in hours.values()) == told["readings_used"]
    moment, worst = told["max_valid_hour"]
    assert max(row[1] for row in hours.values() if row[7]) == pytest.approx(worst, abs=1e-6)
    assert hours[_local(series, moment)][1] == pytest.approx(worst, abs=1e-6)
    for day, mean, valid_hours in told["days"]:
        start = _local(series, f"{day} 00:00:00")
        row = stored["day", start]
        lost = [hours[hour][1] for hour in crowded if start <= hour < start + 24 * HOUR]
        left = valid_hours - len(lost)
        of_them = None if mean is None else pytest.approx((mean * valid_hours - sum(lost)) / left, abs=1e-6)
        assert (row[1] if row[7] else None, row[8]) == (of_them, left), day


def test_sound_equals_the_reference(replayed: Replayed) -> None:
    told = _reference("noise-series-expected.json")
    for hour in told["hours_from_1s"]:
        row = replayed.stored.statistics[
            "street-1s/place/laeq", "hour", _local(BY_SITE["street-1s"], hour["hour_start"])
        ]
        e = hour["half_open"]
        assert row[4] == hour["samples"]
        assert row[1:4] == pytest.approx((e["Leq"], e["Lmin"], e["Lmax"]), abs=1e-6)
        assert row[-3:] == pytest.approx((e["L10"], e["L50"], e["L90"]), abs=0.05)
    for day in told["days_from_1min"]:
        row = replayed.stored.statistics[
            "street/place/laeq", "day", _local(BY_SITE["street"], f"{day['day']} 00:00:00")
        ]
        assert (row[4], row[1], row[3]) == pytest.approx((day["minutes"], day["Leq"], day["Lmax_1min"]), abs=1e-6)


def test_water_equals_the_reference(replayed: Replayed) -> None:
    told = _reference("water-expected-main-street.json")["2019-01-to-06"]["quantities"]
    for column, name in BY_SITE["river"].columns.items():
        rows = np.sort(replayed.stored.blocks[f"river/place/{name}"], order="time")[:-1]
        used = rows["value"][rows["quality"] == 0]
        e = told[column]
        assert len(rows) - len(used) == e["code_-9999"]
        figures = (len(used), used.min(), np.median(used), np.percentile(used, 95), used.max())
        assert figures == pytest.approx((e["used"], e["min"], e["median"], e["p95_linear"], e["max"]), abs=1e-6)
