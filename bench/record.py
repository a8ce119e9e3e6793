"""Client CPU time of commits on PostgreSQL, against SQLite with the same batches; the server's beside it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np

from bench.batches import batch_of
from bench.core import START
from bench.sites import write_registry
from bench.table import Row
from greenmine.loading import load_registry
from greenmine.places import Place
from greenmine.readings import NORMAL, Readings
from greenmine.record.record import Record, migrate, open_engine
from greenmine.record.writer import Pipeline
from tests.records import PostgresServer, has_postgresql

_SHAPES: Final = (("20,000 readings of 100 channels", 100, 200, 8), ("1,000 channels, a reading each", 1_000, 1, 40))
"""What a batch is, channels, readings of each in a batch, and batches."""
_ROUNDS: Final = 3
"""Each figure is the best of so many runs; the databases take turns."""
_TARGET: Final = 1.5


def measure() -> Iterator[Row]:
    """The rows of this subject."""
    if not has_postgresql():
        yield Row("record", "commits on PostgreSQL", "PostgreSQL is not installed", "SQLite", None)
        return
    server = PostgresServer(durable=True)
    try:
        for what, channels, each, batches in _SHAPES:
            yield from _compared(server, what, channels, each, batches)
    finally:
        server.stop()


def _compared(server: PostgresServer, what: str, channels: int, each: int, batches: int) -> Iterator[Row]:
    filed, served, beside, waited = [], [], [], []
    for number in range(_ROUNDS):
        with tempfile.TemporaryDirectory(prefix="greenmine-bench-") as name:
            folder = Path(name)
            write_registry(folder / "registry", channels)
            took, _, _ = _committed(folder, folder / "record.sqlite", each, batches, lambda: 0.0)
            filed.append(took / batches * 1e3)
            place = server.database(f"{channels}-{number}")
            took, elapsed, there = _committed(folder, place, each, batches, server.cpu_seconds)
            served.append(took / batches * 1e3)
            waited.append(elapsed / batches * 1e3)
            beside.append(there / batches * 1e3)
    reference = f"SQLite {min(filed):.1f} ms"
    ratio = min(served) / min(filed)
    yield Row("record", f"{what}: client CPU of a commit", f"{min(served):.1f} ms", reference, ratio, "<=", _TARGET)
    yield Row(
        "record", f"{what}: CPU of the server for it", f"{min(beside):.1f} ms", reference, min(beside) / min(filed)
    )
    yield Row("record", f"{what}: until it was committed", f"{min(waited):.1f} ms", "", None)


def _committed(
    folder: Path, place: Place, each: int, batches: int, elsewhere: Callable[[], float]
) -> tuple[float, float, float]:
    """CPU time of this process, time, and CPU time of another program, for commits [s]."""
    random = np.random.default_rng(8)
    registry = load_registry(folder / "registry")
    engine = open_engine(place)
    migrate(engine)
    pipeline = Pipeline(registry, Record(engine, registry))
    channels = np.arange(len(registry.channels), dtype=np.int32)
    took = elapsed = before = 0.0
    for number in range(batches + 1):
        instants = START + (number * each + np.arange(each)) * 1_000
        channel = np.repeat(channels, each)
        values = random.normal(45.0, 4.0, len(channel))
        flags = np.full(len(channel), NORMAL, np.uint8)
        batch = batch_of(registry, Readings(channel, np.tile(instants, len(channels)), values, flags))
        begun, clock = time.process_time(), time.perf_counter()
        pipeline.commit(batch, int(instants[-1]))
        if number == 0:  # it prepares statements
            before = elsewhere()
        else:
            took += time.process_time() - begun
            elapsed += time.perf_counter() - clock
    there = elsewhere() - before
    engine.dispose()
    return took, elapsed, there
