"""The place in the log: in the transaction of what was read, and fenced against former readers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from greenmine.batch import Batch
from greenmine.collector.intake import LogPlace
from greenmine.collector.payloads.payload import BatchBuilder
from greenmine.errors import StoreError
from greenmine.loading import load_registry
from greenmine.record import schema
from greenmine.record.log_positions import LogReader, SupersededError
from greenmine.record.record import Record, migrate, open_engine
from greenmine.record.writer import Pipeline
from greenmine.registry import Registry
from greenmine.settings import Settings
from tests.records import record_in

NOW = 1_750_000_000_000


@pytest.fixture(scope="module")
def mines() -> Registry:
    return load_registry()


@pytest.fixture
def pipeline(tmp_path: Path, mines: Registry) -> Iterator[Pipeline]:
    engine = open_engine(record_in(tmp_path))
    migrate(engine)
    yield Pipeline(mines, Record(engine, mines))
    engine.dispose()


def batch(mines: Registry, number: int) -> Batch:
    """One reading."""
    builder = BatchBuilder(mines, Settings())
    device = next(d for d in mines.site("yanjing").devices if not d.mn)
    parameter = device.parameters[0]
    payload = b'{"ts": %d, "values": {"%s": 1.0}}' % (NOW + number * 60_000, parameter.encode())
    builder.add(f"greenmine/v1/yanjing/{device.id}/readings", payload, NOW + number * 60_000)
    return builder.finish()


def messages(pipeline: Pipeline) -> int:
    with pipeline.record.transaction() as connection:
        return int(connection.scalar(sa.select(sa.func.coalesce(sa.func.sum(schema.ledger.c.messages), 0))))


def test_a_place_is_stored_with_its_batch_and_found_by_the_next_reader(pipeline: Pipeline, mines: Registry) -> None:
    reader = LogReader(pipeline.record.engine, [0], "one")
    assert reader.places == [LogPlace((0,), 0, 0)]
    place = LogPlace((0,), 12, 345)
    pipeline.commit(batch(mines, 0), NOW, lambda connection, _: reader.store(connection, place))
    assert LogReader(pipeline.record.engine, [0], "two").places == [place]
    assert LogReader(pipeline.record.engine, [1], "two").places == [LogPlace((1,))]


def test_a_former_reader_commits_nothing_any_more(pipeline: Pipeline, mines: Registry) -> None:
    former = LogReader(pipeline.record.engine, [0], "former")
    current = LogReader(pipeline.record.engine, [0], "current")
    with pytest.raises(SupersededError, match="another worker has one of the partitions 0"):
        pipeline.commit(batch(mines, 0), NOW, lambda c, _: former.store(c, LogPlace((0,), 5, 5)))
    assert messages(pipeline) == 0
    pipeline.commit(batch(mines, 0), NOW, lambda c, _: current.store(c, LogPlace((0,), 5, 5)))
    assert messages(pipeline) == 1
    assert LogReader(pipeline.record.engine, [0], "next").places[0].position == 5


def test_what_the_record_refuses_leaves_the_place_as_it_was(pipeline: Pipeline, mines: Registry) -> None:
    reader = LogReader(pipeline.record.engine, [0], "one")

    def refuse(connection: sa.Connection, _: int) -> None:
        reader.store(connection, LogPlace((0,), 7, 7))
        raise StoreError("the disk is full")

    with pytest.raises(StoreError):
        pipeline.commit(batch(mines, 0), NOW, refuse)
    assert LogReader(pipeline.record.engine, [0], "two").places[0].position == 0
    assert messages(pipeline) == 0


def test_a_site_that_is_new_is_read_from_where_it_was_refused_as_a_stranger(pipeline: Pipeline) -> None:
    engine = pipeline.record.engine
    before, after = {"here": 0, "there": 1}, {"here": 0, "there": 1, "new": 1}

    def at(reader: LogReader, number: int, position: int) -> None:
        with engine.begin() as connection:
            reader.store(connection, LogPlace((number,), position, position))

    first = LogReader(engine, [0], "one", before)
    assert first.strangers == set()  # whoever takes the other partition first reads all of the log
    at(first, 0, 5)
    second = LogReader(engine, [1], "two", before)
    assert second.places == [LogPlace((1,))]
    at(first, 0, 7)  # its partition was left to it
    at(second, 1, 20)
    # Only one of them knows the new registry: nobody reads the site's messages but as a stranger's.
    first = LogReader(engine, [0], "one", after)
    assert first.strangers == {"new"}
    at(first, 0, 12)
    second = LogReader(engine, [1], "two", after)
    assert second.places == [LogPlace((1,), 12, 12)]
    with pytest.raises(SupersededError):
        at(first, 0, 13)
    first = LogReader(engine, [0], "one", after)
    assert (first.strangers, first.places) == (frozenset(), [LogPlace((0,), 12, 12)])
