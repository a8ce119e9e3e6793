"""The core against polars, river and a copy of its own panes."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from river import stats, utils

from bench.sites import write_registry
from bench.table import Row
from greenmine.loading import load_registry
from greenmine.processing.alarms import AlarmEngine
from greenmine.processing.engine import Engine, Statistic
from greenmine.processing.exclusion import Exclusion
from greenmine.processing.panes import MINUTE, Panes
from greenmine.readings import NORMAL, Readings
from greenmine.registry import Registry

START: Final = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp() * 1000)
CHANNELS: Final = 1_000
_BATCH: Final = 20_000
"""Mean size of a batch; the worker's own bound."""
_PARTITIONS: Final = os.cpu_count() or 1
"""Polars, too, uses all CPUs."""
_UNUSUAL: Final = 0.01
"""Share of the readings that comes twice, up to a minute late, or under flag M or C; each."""
_LATE: Final = 60
"""[s]"""
_RING: Final = 2 * 1440 + 240
"""Minutes that the product's core keeps: a day, the allowed lateness, and a margin."""
_RIVER: Final = 50_000


def measure(hours: float = 24.0) -> Iterator[Row]:
    """The rows of this subject, over so many hours of data."""
    random = np.random.default_rng(3)
    seconds = int(hours * 3600)
    values = random.normal(45.0, 4.0, (seconds, CHANNELS))  # under the limits, as most stations are
    flags = np.full(values.shape, NORMAL, np.uint8)
    unusual = random.integers(0, flags.size, int(flags.size * _UNUSUAL))
    flags.reshape(-1)[unusual] = random.choice(np.frombuffer(b"MC", np.uint8), len(unusual))
    span = "a day" if hours == 24 else f"{hours:g} h"
    with tempfile.TemporaryDirectory(prefix="greenmine-bench-") as name:
        directory = Path(name)
        _split(directory, values, flags)
        single = values[:, 0].copy()
        size = values.size
        del values, flags
        reference, expected = _polars(directory)
        for judged in (False, True):
            took, cpu, found = _ours(directory, judged=judged)
            _check(found, expected)
            what = "limits, alarms and verdicts too" if judged else "all windows issued"
            yield Row(
                "core",
                f"{span} of 1,000 channels, {what}",
                f"{took:.1f} s",
                f"polars {reference:.1f} s",
                took / reference,
                "<=",
                4.0 if judged else 1.5,
            )
            if not judged:
                each, one = cpu / size * 1e9, _river(single)
                what = f"river TimeRolling(Mean) {one:,.0f} ns"
                yield Row("core", "CPU time of a reading", f"{each:.0f} ns", what, one / each, ">=", 20)
    yield _sliding_day(random)


def _registry(channels: int, *, judged: bool, parameter: str = "laeq") -> Registry:
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory) / "registry"
        return load_registry(write_registry(folder, channels, parameter=parameter, judged=judged))


def _engine(registry: Registry, values: NDArray[np.float64], flags: NDArray[np.uint8]) -> Engine:
    """An engine whose record is the source of its readings: all that were sent by a moment are stored."""

    def stored(
        channel: NDArray[np.int32], instant: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.uint8]]:
        second = (instant - START) // 1000
        return np.ones(len(channel), np.bool_), values[second, channel], flags[second, channel]

    def samples(channel: int, start: int, end: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        first, last = (start - START) // 1000, (end - START) // 1000
        good = np.flatnonzero(flags[first:last, channel] == NORMAL) + first
        return START + 1000 * good, values[good, channel]

    return Engine(registry, stored, samples)


def micro_batches(
    values: NDArray[np.float64], flags: NDArray[np.uint8], size: int, random: np.random.Generator
) -> Iterator[Readings]:
    """All readings of a stretch, second by second, in batches of random size, some late and some twice.

    Parameters
    ----------
    values, flags : arrays (seconds, channels)
        One reading a second from `START` on.
    size : int
        Mean size of a batch.
    random : Generator
        Decides on everything.
    """
    seconds, channels = values.shape
    waiting = np.empty(0, np.int64)
    done = 0
    while done < seconds:
        span = min(seconds - done, max(1, int(random.integers(size // 2, 3 * size // 2)) // channels))
        place = np.arange(done * channels, (done + span) * channels)
        done += span
        late = random.random(len(place)) < _UNUSUAL
        again = place[random.random(len(place)) < _UNUSUAL]
        due = (waiting // channels < done - _LATE) | (random.random(len(waiting)) < 0.1) | (done == seconds)
        place, waiting = np.concatenate([place[~late], again[:], waiting[due]]), np.append(waiting[~due], place[late])
        if done == seconds:
            place, waiting = np.concatenate([place, waiting]), waiting[:0]
        second, channel = np.divmod(place, channels)
        yield Readings(
            channel.astype(np.int32),
            START + 1000 * second,
            values.reshape(-1)[place],
            flags.reshape(-1)[place],
        )


def _split(directory: Path, values: NDArray[np.float64], flags: NDArray[np.uint8]) -> None:
    """Divide the channels into as many partitions as there are CPUs, each to be loaded by its process."""
    for number, part in enumerate(np.array_split(np.arange(values.shape[1]), _PARTITIONS)):
        np.save(directory / f"values-{number}.npy", values[:, part[0] : part[-1] + 1])
        np.save(directory / f"flags-{number}.npy", flags[:, part[0] : part[-1] + 1])


def _ours(directory: Path, *, judged: bool) -> tuple[float, float, list[Statistic]]:
    """Longest time of a partition, CPU time of all [s], and hourly statistics; the last of each window is the one that stands.

    Partitions share nothing, so each is a worker's core in a process of its own, as on a machine with several workers.
    """
    with multiprocessing.get_context("spawn").Pool(_PARTITIONS) as pool:
        results = pool.starmap(_partition, [(directory, number, judged) for number in range(_PARTITIONS)], chunksize=1)
    found: list[Statistic] = []
    first = 0
    for _, _, some, channels in results:
        found += [replace(s, channel=s.channel + first) for s in some]
        first += channels
    return max(r[0] for r in results), sum(r[1] for r in results), found


def _partition(directory: Path, number: int, judged: bool) -> tuple[float, float, list[Statistic], int]:  # noqa: FBT001
    """Time and CPU time within the core [s], hourly statistics, and number of channels of one partition."""
    values, flags = np.load(directory / f"values-{number}.npy"), np.load(directory / f"flags-{number}.npy")
    random = np.random.default_rng(number)
    engine = _engine(_registry(values.shape[1], judged=judged), values, flags)
    took = cpu = 0.0
    found: dict[tuple[int, int], Statistic] = {}
    for readings in micro_batches(values, flags, _BATCH, random):
        begun, used = time.perf_counter(), time.process_time()
        outcome = engine.ingest(readings)
        took += time.perf_counter() - begun
        cpu += time.process_time() - used
        found.update({(s.channel, s.start): s for s in outcome.statistics if s.window == "hour"})
    return took, cpu, [found[key] for key in sorted(found)], values.shape[1]


def _polars(directory: Path) -> tuple[float, pl.DataFrame]:
    """Time [s] and hourly figures of all channels, one partition after the other, each on all CPUs: so it takes less memory."""
    took, hours, first = 0.0, [], 0
    for number in range(_PARTITIONS):
        values, flags = np.load(directory / f"values-{number}.npy"), np.load(directory / f"flags-{number}.npy")
        part, found = _polars_part(values, flags)
        took += part
        hours.append(found.with_columns(pl.col("channel") + first))
        first += values.shape[1]
    return took, pl.concat(hours)


def _polars_part(values: NDArray[np.float64], flags: NDArray[np.uint8]) -> tuple[float, pl.DataFrame]:
    seconds, channels = values.shape
    good = (flags == NORMAL).T.reshape(-1)
    frame = pl.DataFrame(
        {
            "channel": np.repeat(np.arange(channels, dtype=np.int32), seconds)[good],
            "time": np.tile(START + 1000 * np.arange(seconds), channels)[good],
            "value": values.T.reshape(-1)[good],
        }
    ).with_columns(pl.col("time").cast(pl.Datetime("ms")).set_sorted(), pl.col("channel").set_sorted())
    value = pl.col("value")
    begun = time.perf_counter()
    hours = frame.group_by_dynamic("time", every="1h", group_by="channel").agg(
        value.mean().alias("mean"),
        ((value * (np.log(10) / 10)).exp().mean().log10() * 10).alias("leq"),
        value.min().alias("minimum"),
        value.max().alias("maximum"),
        value.quantile(0.9, "linear").alias("l10"),
        value.quantile(0.5, "linear").alias("l50"),
        value.quantile(0.1, "linear").alias("l90"),
        pl.len().alias("count"),
    )
    return time.perf_counter() - begun, hours.sort("channel", "time")


def _check(found: list[Statistic], expected: pl.DataFrame) -> None:
    """Both must have computed the same, or the ratio says nothing; the last hour is not complete for us."""
    start = expected["time"].cast(pl.Int64).to_numpy() // MINUTE
    place = {key: i for i, key in enumerate(zip(expected["channel"].to_list(), start.tolist(), strict=True))}
    rows = np.array([place[s.channel, s.start] for s in found])
    assert len(rows) >= len(place) - CHANNELS > 0 or len(place) == CHANNELS
    for ours, name, slack in (
        ([s.mean for s in found], "leq", 1e-9),
        ([s.minimum for s in found], "minimum", 0),
        ([s.maximum for s in found], "maximum", 0),
        ([s.count for s in found], "count", 0),
        ([s.levels[0] for s in found], "l10", 0.0501),
        ([s.levels[1] for s in found], "l50", 0.0501),
        ([s.levels[2] for s in found], "l90", 0.0501),
    ):
        np.testing.assert_allclose(np.array(ours, float), expected[name].to_numpy()[rows], rtol=0, atol=slack)


def _river(values: NDArray[np.float64]) -> float:
    """Time of one reading [ns]."""
    rolling = utils.TimeRolling(stats.Mean(), period=timedelta(hours=1))
    begin = datetime(2026, 3, 2)  # noqa: DTZ001 - river compares naive instants faster
    instants = [begin + timedelta(seconds=i) for i in range(_RIVER)]
    series = np.resize(values, _RIVER).tolist()
    begun = time.perf_counter()
    for instant, value in zip(instants, series, strict=True):
        rolling.update(value, t=instant)
        rolling.get()
    return (time.perf_counter() - begun) / _RIVER * 1e9


def _sliding_day(random: np.random.Generator) -> Row:
    """An hour more of all sliding 24-hour statistics and their alarms, against a copy of the panes that they read."""
    registry = _registry(CHANNELS, judged=True, parameter="pm10")
    everyone = np.arange(CHANNELS)
    panes = Panes([c.parameter.averaging for c in registry.channels], _RING)
    alarms = AlarmEngine(registry, panes, Exclusion(registry, panes))
    first = START // MINUTE
    ours, copy = [], []
    for minute in range(first, first + _RING):
        value = random.normal(58.0, 6.0, 2 * CHANNELS)
        time_of = minute * MINUTE + np.tile([0, 30_000], CHANNELS)
        panes.add(np.repeat(everyone, 2), time_of, value, np.ones(2 * CHANNELS, np.bool_))
        if minute % 60 != 30:
            continue
        source = panes.sums(everyone, np.full(CHANNELS, minute - 1440 - 90), 1440 + 90)[:2]
        target = tuple(np.empty_like(a) for a in source)
        # Both run in one thread: CPU time is the steadier measure.
        begun = time.process_time()
        for a, b in zip(source, target, strict=True):
            np.copyto(b, a)
        copied = time.process_time()
        alarms.evaluate(everyone, np.full(CHANNELS, minute))
        if minute >= first + _RING - 600:
            copy.append(copied - begun)
            ours.append(time.process_time() - copied)
    return Row(
        "core",
        "an hour more of 1,000 sliding 24-hour means, with alarms",
        f"{min(ours) * 1000:.0f} ms",
        f"numpy copy of their panes {min(copy) * 1000:.1f} ms",
        min(ours) / min(copy),
        "<=",
        60,
    )
