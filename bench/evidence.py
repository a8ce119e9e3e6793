"""A half year of one mine as an evidence bundle: time and memory of building and of verifying it."""

from __future__ import annotations

import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.batches import batch_of
from bench.core import START
from bench.sites import device_of, write_registry
from bench.table import Row
from greenmine.evidence.bundle import Installation, build
from greenmine.evidence.verify import verify
from greenmine.loading import load_registry
from greenmine.readings import NORMAL, Readings
from greenmine.record.archive.archive import Archive
from greenmine.record.archive.signing import PublicKey, SigningKey
from greenmine.record.record import Record, migrate, open_engine
from greenmine.record.writer import Pipeline
from greenmine.reporting import Period

_FIRST: Final = date(2026, 3, 2)
_DAY: Final = 86_400_000
_CASES: Final = ((30, 60_000), (5, 1_000))
"""Channels, and the time between readings of each [ms]."""
_SECONDS: Final = 60.0
_MEMORY: Final = 1e9


def measure(days: int = 182) -> Iterator[Row]:
    """The rows of this subject."""
    for channels, interval in _CASES:
        with tempfile.TemporaryDirectory(prefix="greenmine-bench-") as name:
            folder = Path(name)
            readings = _fill(folder, channels, interval, days)
            what = f"{days} days of {channels} channels, a reading each {interval // 1000} s ({readings / 1e6:.1f} million)"
            bounded = interval == 60_000
            for task in (_build, _verify):
                took, memory = _apart(task, folder, days)
                verb = task.__name__.strip("_")
                yield Row(
                    "evidence", f"{verb} {what}", f"{took:.1f} s", f"{_SECONDS:.0f} s", took / _SECONDS,
                    "<=" if bounded else "", 1.0 if bounded else None,
                )  # fmt: skip
                yield Row(
                    "evidence", f"{verb}, peak memory", f"{memory / 1e6:.0f} MB", f"{_MEMORY / 1e6:.0f} MB",
                    memory / _MEMORY, "<=" if bounded else "", 1.0 if bounded else None,
                )  # fmt: skip


def _fill(folder: Path, channels: int, interval: int, days: int) -> int:
    """An installation whose record holds the days; returns how many readings."""
    registry = load_registry(write_registry(folder / "registry", channels, interval=f"{interval}ms"))
    engine = open_engine(folder / "record.sqlite")
    migrate(engine)
    pipeline = Pipeline(registry, Record(engine, registry))
    random = np.random.default_rng(6)
    instants = np.arange(0, _DAY, interval, dtype=np.int64)
    channel = np.repeat(np.arange(channels, dtype=np.int32), len(instants))
    flag = np.full(len(channel), NORMAL, np.uint8)
    midnight = START - 8 * 3_600_000  # in Asia/Shanghai
    for day in range(days):
        time_ = np.tile(midnight + day * _DAY + instants, channels)
        value = np.round(random.normal(45.0, 4.0, len(channel)), 1)
        pipeline.commit(batch_of(registry, Readings(channel, time_, value, flag)), int(time_.max()))
    engine.dispose()
    return len(channel) * days


def _apart(task: Callable[[Path, int], None], folder: Path, days: int) -> tuple[float, float]:
    """Time [s] and peak resident memory [bytes] of a task in a process of its own."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_run, args=(there, task, folder, days))
    process.start()
    there.close()
    try:
        result: tuple[float, float] = here.recv()
    finally:
        process.join()
    return result


def _run(pipe: Connection, task: Any, folder: Path, days: int) -> None:
    begun = time.perf_counter()
    task(folder, days)
    pipe.send((time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0))


def _build(folder: Path, days: int) -> None:
    registry = load_registry(folder / "registry")
    engine = open_engine(folder / "record.sqlite")
    here = Installation(
        engine, registry, folder / "registry", Archive(folder / "archive"), SigningKey(folder / "keys"), _DAY
    )
    period = Period("bench", _FIRST, _FIRST + timedelta(days=days - 1))
    build(here, device_of(0)[0], period, folder / "bundle.zip", START + (days + 3) * _DAY)


def _verify(folder: Path, _days: int) -> None:
    assert verify(folder / "bundle.zip", {PublicKey.read(folder / "keys" / "archive.pub").fingerprint}).findings == []
