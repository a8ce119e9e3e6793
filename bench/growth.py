"""Cost of a reading as the number of channels grows."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from bench.batches import batch_of
from bench.core import START
from bench.sites import write_registry
from bench.table import Row
from greenmine.loading import load_registry
from greenmine.readings import NORMAL, Readings
from greenmine.record.record import Record, migrate, open_engine
from greenmine.record.writer import Pipeline

_SIZES: Final = (100, 1_000, 10_000)
_BATCH: Final = 20_000
_ROWS: Final = 60
_INTERVAL: Final = 10_000
"""Devices that measure every 10 s and send ten minutes at once: each size then has the same work for a reading."""
_HOUR: Final = 3_600_000
_STRETCHES: Final = 9
"""Messages of each device: an hour and a half, so that one hour is issued."""
_SLACK: Final = 1.25
"""Figures of short runs move by so much by themselves."""


def measure() -> Iterator[Row]:
    """The rows of this subject."""
    costs = {size: _cost(size) for size in _SIZES}
    first = _SIZES[0]
    for size in _SIZES[1:]:
        yield Row(
            "growth",
            f"a reading among {size:,} channels, committed",
            f"{costs[size]:.0f} ns",
            f"among {first:,}: {costs[first]:.0f} ns",
            costs[size] / costs[first],
            "<=",
            _SLACK,
        )


def _cost(size: int) -> float:
    """CPU time of a reading [ns] from batch to commit; the best of several runs where they are short."""
    return min(_run(size) for _ in range(3 if size < 1_000 else 1))


def _run(size: int) -> float:
    random = np.random.default_rng(5)
    with tempfile.TemporaryDirectory(prefix="greenmine-bench-") as name:
        registry = load_registry(write_registry(Path(name) / "registry", size))
        engine = open_engine(Path(name) / "record.sqlite")
        migrate(engine)
        pipeline = Pipeline(registry, Record(engine, registry))
        took, readings = 0.0, 0
        together = _BATCH // _ROWS
        for stretch in range(_STRETCHES):
            instants = START + _HOUR // 2 + (stretch * _ROWS + np.arange(_ROWS)) * _INTERVAL
            for k in range(0, size, together):
                some = np.arange(k, min(size, k + together), dtype=np.int32)
                channel = np.repeat(some, _ROWS)
                value = random.normal(45.0, 4.0, len(channel))
                flag = np.full(len(channel), NORMAL, np.uint8)
                batch = batch_of(registry, Readings(channel, np.tile(instants, len(some)), value, flag))
                begun = time.process_time()
                pipeline.commit(batch, int(instants[-1]))
                took += time.process_time() - begun
                readings += len(channel)
        engine.dispose()
    return took / readings * 1e9
