"""A record is moved between databases: the same rows, the same numbers, and figures that go on as if it had stayed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from greenmine.cli.backup import backup
from greenmine.errors import StoreError
from greenmine.places import Place, RecordServer
from greenmine.readings import Readings
from greenmine.record import schema
from greenmine.record.copying import CopyError, copy
from greenmine.record.record import Record, last_number, migrate, next_serial, open_engine
from greenmine.record.writer import Pipeline
from greenmine.registry import Registry
from tests.processing.mine import EVENING, HOUR, assert_same, feed, held, registry_of
from tests.processing.streams import pieces, stream
from tests.records import need_postgresql, server

Somewhere = Callable[[str], Place]


@pytest.fixture
def served(tmp_path: Path) -> Somewhere:
    """Makes an empty database on a server; a laptop without PostgreSQL skips."""
    need_postgresql()
    return lambda name: server().database(f"{tmp_path.name[:30]} {name}")


@pytest.fixture
def filed(tmp_path: Path) -> Somewhere:
    """Names a file of SQLite that does not exist."""
    return lambda name: tmp_path / f"{name}.sqlite"


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return registry_of(tmp_path / "registry")


@pytest.fixture
def parts(registry: Registry) -> list[Readings]:
    """What a mine sends in half a day."""
    rng = np.random.default_rng(21)
    return pieces(stream(registry, rng, EVENING, EVENING + 12 * HOUR), rng, 6)


def opened(place: Place, registry: Registry) -> Record:
    migrate(engine := open_engine(place))
    return Record(engine, registry)


def rows(place: Place) -> dict[str, list[tuple[object, ...]]]:
    """All that a record holds."""
    engine = open_engine(place, read_only=True)
    with engine.connect() as connection:
        found = {
            table.name: [tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key))]
            for table in schema.metadata.sorted_tables
            if table is not schema.counter
        }
        found["numbers"] = [(last_number(connection),)]
    engine.dispose()
    return found


def test_there_and_back_everything_is_the_same_and_goes_on(
    served: Somewhere, filed: Somewhere, registry: Registry, parts: list[Readings]
) -> None:
    first, second, third, stayed = filed("first"), served("second"), filed("third"), filed("stayed")
    feed(Pipeline(registry, opened(stayed, registry)), parts)
    feed(Pipeline(registry, opened(first, registry)), parts[:2])
    list(copy(first, second))
    assert rows(second) == rows(first)
    feed(Pipeline(registry, opened(second, registry)), parts[2:4])
    list(copy(second, third))
    assert rows(third) == rows(second)
    feed(Pipeline(registry, opened(third, registry)), parts[4:])
    assert_same(held(opened(stayed, registry)), held(opened(third, registry)))
    blocks = rows(third)["reading_block"]
    assert [row[0] for row in blocks] == list(range(1, len(blocks) + 1))


def test_every_table_goes_along(served: Somewhere, filed: Somewhere) -> None:
    source, target = filed("source"), served("target")
    migrate(engine := open_engine(source))
    values = {sa.Integer: 7, sa.Float: 0.1, sa.Boolean: True, sa.LargeBinary: b"\0\xff", sa.String: "尘"}
    with engine.begin() as connection:
        for table in schema.metadata.sorted_tables:
            row = {c.name: next(v for kind, v in values.items() if isinstance(c.type, kind)) for c in table.columns}
            connection.execute(sa.insert(table).values(row))
    told = {table.name: table.rows for table in copy(source, target)}
    assert told == dict.fromkeys(set(schema.metadata.tables) - {"counter"}, 1)
    assert rows(target) == rows(source)
    with open_engine(target).begin() as connection:
        assert next_serial(connection) == 1
        made = connection.execute(sa.insert(schema.restatement).values(site="", start=0, end=0, reason=""))
        assert made.inserted_primary_key == (8,)


def test_an_interrupted_copy_goes_on_and_no_worker_begins_on_it(
    served: Somewhere, filed: Somewhere, registry: Registry, parts: list[Readings]
) -> None:
    source, target = filed("source"), served("target")
    feed(Pipeline(registry, opened(source, registry)), parts)
    begun = copy(source, target)
    next(begun)
    begun.close()
    engine = open_engine(target)
    with engine.begin() as connection:  # as if it had ended within a table
        connection.execute(sa.delete(schema.statistic).where(schema.statistic.c.channel > 2))
    with pytest.raises(StoreError, match="was interrupted"):
        Record(engine, registry)
    list(copy(source, target))
    assert rows(target) == rows(source)
    Record(engine, registry)
    engine.dispose()


def test_what_differs_is_found(served: Somewhere, filed: Somewhere, registry: Registry, parts: list[Readings]) -> None:
    source, target = filed("source"), served("target")
    feed(Pipeline(registry, opened(source, registry)), parts)
    begun = copy(source, target)
    next(begun)
    begun.close()
    with open_engine(target).begin() as connection:
        connection.execute(sa.update(schema.statistic).where(schema.statistic.c.channel == 2).values(count=5))
    with pytest.raises(CopyError, match=r"statistic channel 2, .* is not the same"):
        list(copy(source, target))


def test_a_backup_of_a_server_is_a_file_that_is_the_same(
    served: Somewhere, registry: Registry, parts: list[Readings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, data = served("record"), tmp_path / "data"
    assert isinstance(place, RecordServer)
    feed(Pipeline(registry, opened(place, registry)), parts[:2])
    data.mkdir()
    (data / "record.sqlite").write_bytes(b"of before")
    monkeypatch.setenv("GREENMINE_RECORD", place.address)
    for _ in range(2):
        backup(tmp_path / "copies", data=data)
        assert rows(tmp_path / "copies" / "record.sqlite") == rows(place)
    assert not list((tmp_path / "copies").glob("*.partial*"))


def test_a_database_that_holds_something_is_left_alone(filed: Somewhere, registry: Registry) -> None:
    source, target = filed("source"), filed("target")
    for place in (source, target):
        Pipeline(registry, opened(place, registry))
    with pytest.raises(CopyError, match="holds a record already"):
        list(copy(source, target))
