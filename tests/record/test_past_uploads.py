"""A file that is handed in about the past: its readings count as if they had come in time, however far behind live data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from greenmine.readings import Readings
from greenmine.record import schema
from greenmine.record.results import UPLOADED
from greenmine.record.writer import Pipeline
from greenmine.registry import Registry
from tests.processing.mine import HOUR, MINUTE, Held, assert_same, at, batch_of, feed, held, record_at
from tests.processing.streams import far_later, stream
from tests.records import record_in

EVENING = at("2026-06-01T17:13:00")
END = EVENING + 20 * HOUR
PAST = EVENING + 7 * HOUR
"""Until here what is handed in reaches; live data are days further by then."""
LATENESS = 180


@pytest.fixture(scope="module")
def some(registry: Registry) -> Readings:
    return stream(registry, np.random.default_rng(1), EVENING, END, gaps=0)


@pytest.fixture(scope="module")
def undisturbed(registry: Registry, some: Readings, tmp_path_factory: pytest.TempPathFactory) -> Held:
    record = record_at(record_in(tmp_path_factory.mktemp("undisturbed")), registry)
    pipeline = Pipeline(registry, record, lateness=LATENESS)
    feed(pipeline, [some, far_later(registry, END + 80 * HOUR)])
    carry_on(pipeline)
    return held(record)


def carry_on(pipeline: Pipeline) -> None:
    pipeline.wait(END + 80 * HOUR + MINUTE)
    while pipeline.carry_on(END + 81 * HOUR):
        pass


@pytest.mark.parametrize("stations", [{"north"}, None], ids=["one station", "all"])
def test_readings_of_before_the_live_data_are_stored_and_restated(
    registry: Registry, some: Readings, undisturbed: Held, tmp_path: Path, stations: set[str] | None
) -> None:
    chosen = np.array([stations is None or c.station in stations for c in registry.channels])
    handed = chosen[some.channel] & (some.time < PAST)
    record = record_at(record_in(tmp_path), registry)
    checkpoint = tmp_path / "rings.checkpoint"
    pipeline = Pipeline(registry, record, lateness=LATENESS, checkpoint=checkpoint)
    feed(pipeline, [some.take(~handed), far_later(registry, END + 80 * HOUR)])
    carry_on(pipeline)
    pipeline.keep(END + 81 * HOUR, everything=True)
    pipeline = Pipeline(registry, record, lateness=LATENESS, checkpoint=checkpoint)
    for part in np.array_split(np.flatnonzero(handed), 3):
        batch = batch_of(registry, some.take(part))
        pipeline.commit(replace(batch, devices=[(site, f"{UPLOADED}1") for site, _ in batch.devices]), END + 81 * HOUR)
    pipeline = Pipeline(registry, record, lateness=LATENESS, checkpoint=checkpoint)
    carry_on(pipeline)
    assert_same(undisturbed, held(record))
    assert record.rows(schema.late.select()) == []
    counted = record.rows(schema.ledger.select().where(schema.ledger.c.device == f"{UPLOADED}1"))
    assert sum(row["stored"] for row in counted) == np.count_nonzero(handed)
