"""Memory of a channel, and growth of the process over a day of load."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import numpy as np
import psutil

from bench.batches import batch_of
from bench.core import START
from bench.sites import write_registry
from bench.table import Row
from greenmine.loading import load_registry
from greenmine.processing.panes import MINUTE
from greenmine.readings import NORMAL, Readings
from greenmine.record.record import Record, migrate, open_engine
from greenmine.record.writer import Pipeline

_CHANNELS: Final = (400, 1_000)
"""Two sizes, so that what does not depend on the channels drops out; both larger than the core's blocks of 182 days at once."""
_STRETCH: Final = 30
"""Minutes of all channels that are committed together."""
_BOUNDS: Final = {"tsp": 128.0, "laeq": 256.0}
"""[kB]"""
_GROWTH: Final = 1.01
"""A process that has settled may still move by the allocator's slack."""


def measure() -> Iterator[Row]:
    """The rows of this subject."""
    for parameter, bound in _BOUNDS.items():
        few, days = (_run(parameter, channels) for channels in _CHANNELS)
        each = (days[2] - few[2]) / (_CHANNELS[1] - _CHANNELS[0]) / 1000
        yield Row(
            "memory",
            f"a channel of {parameter}, 24 h + 24 h",
            f"{each:.0f} kB",
            f"{bound:.0f} kB",
            each / bound,
            "<=",
            1.0,
        )
        yield Row(
            "memory",
            f"the process over a day of {parameter}",
            f"{days[3] / 1e6:.1f} MB",
            f"the day before {days[2] / 1e6:.1f} MB",
            days[3] / days[2],
            "<=",
            _GROWTH,
        )


def _run(parameter: str, channels: int) -> list[int]:
    """Resident memory at the end of each of four days [bytes]."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_load, args=(there, parameter, channels))
    process.start()
    there.close()
    try:
        result: list[int] = here.recv()
    finally:
        process.join()
    return result


def _load(pipe: Connection, parameter: str, channels: int) -> None:
    """Four days of one reading a minute; the rings are full after little more than two."""
    random = np.random.default_rng(4)
    with tempfile.TemporaryDirectory(prefix="greenmine-bench-") as name:
        registry = load_registry(write_registry(Path(name) / "registry", channels, parameter=parameter))
        engine = open_engine(Path(name) / "record.sqlite")
        migrate(engine)
        pipeline = Pipeline(registry, Record(engine, registry))
        memory = psutil.Process()
        days = []
        for stretch in range(4 * 1440 // _STRETCH):
            minutes = START // MINUTE + stretch * _STRETCH + np.arange(_STRETCH)
            channel = np.repeat(np.arange(channels, dtype=np.int32), _STRETCH)
            instant = np.tile(minutes * MINUTE, channels)
            value = random.normal(45.0, 4.0, len(channel))
            flag = np.full(len(channel), NORMAL, np.uint8)
            pipeline.commit(batch_of(registry, Readings(channel, instant, value, flag)), int(instant[-1]))
            if (stretch + 1) * _STRETCH % 1440 == 0:
                days.append(memory.memory_info().rss)
        engine.dispose()
    pipe.send(days)
