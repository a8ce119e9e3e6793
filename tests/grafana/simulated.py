"""A record of simulated days, made by the mines and the pipeline themselves, without a broker between them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from collector.payload import BatchBuilder
from greenmine.registry import Registry
from greenmine.settings import Settings
from greenmine.storage.record import Record, migrate, open_engine
from processing.pipeline import Pipeline
from simulators.faults import KINDS
from simulators.mine import stream

DAY = 86_400_000
_BATCH = 3_000


def simulate(path: Path, registry: Registry, sites: Collection[str], start: int, end: int, seed: int = 1) -> Record:
    """Commit what the mines of some sites send from ``start`` to before ``end`` [ms UTC]."""
    engine = open_engine(path)
    migrate(engine)
    record = Record(engine, registry)
    pipeline = Pipeline(registry, record, now=start)
    builder = BatchBuilder(registry, Settings())
    sent = start
    for message in stream(registry, sites, seed, start, end, KINDS):
        sent = message.time_sent
        builder.add(message.topic, message.payload, sent + 200)
        if len(builder) == _BATCH:
            pipeline.commit(builder.finish(), sent + 200)
            pipeline.wait(sent + 200)
    pipeline.commit(builder.finish(), sent + 200)
    pipeline.wait(end)
    return record
