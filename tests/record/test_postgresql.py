"""A record on PostgreSQL: what a row becomes, who sees what, who waits for whom, and what becomes of a commit nobody answered."""

from __future__ import annotations

import math
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from greenmine.cli.doctor import CHECKS
from greenmine.errors import SchemaError, StoreError, UncertainError
from greenmine.loading import load_registry
from greenmine.places import RecordServer
from greenmine.record import postgresql as driver
from greenmine.record import schema
from greenmine.record.access import RecordAccess
from greenmine.record.changes import Changes
from greenmine.record.follower import newest, passes
from greenmine.record.record import Record, migrate, next_serial, open_engine, there_is, transaction
from greenmine.record.rows import CurrentRow, MetaRow, SlidingHourRow
from greenmine.record.writer import Pipeline
from greenmine.registry import Registry
from greenmine.settings import Settings
from tests.processing.mine import EVENING, HOUR, assert_same, feed, held, record_at, registry_of
from tests.processing.streams import pieces, stream
from tests.records import PostgresServer, need_postgresql, server

_DDL_KILLED = """
import os, sys
import alembic.command
import sqlalchemy as sa
from greenmine.places import RecordServer
from greenmine.record.record import migrate, open_engine

engine, left = open_engine(RecordServer(sys.argv[1])), int(sys.argv[2])
@sa.event.listens_for(engine, "after_cursor_execute")
def count(connection, cursor, statement, *_):
    global left
    left -= statement.lstrip().startswith(("CREATE", "ALTER", "INSERT"))
    if left == 0:
        os._exit(9)
migrate(engine)
"""


@pytest.fixture(scope="module")
def postgres() -> PostgresServer:
    """The server of this run; a laptop without PostgreSQL skips."""
    need_postgresql()
    return server()


@pytest.fixture
def empty(postgres: PostgresServer, tmp_path: Path) -> RecordServer:
    """A database without tables."""
    return postgres.database(f"empty-{tmp_path.name[:40]}")


@pytest.fixture(scope="module")
def place(postgres: PostgresServer) -> RecordServer:
    """A record."""
    found = postgres.database("shared")
    engine = open_engine(found)
    migrate(engine)
    engine.dispose()
    return found


@pytest.fixture
def engine(place: RecordServer) -> Iterator[sa.Engine]:
    """To write it."""
    opened = open_engine(place)
    yield opened
    opened.dispose()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """A mine."""
    return registry_of(tmp_path_factory.mktemp("registry"))


class Cut:
    """Stands between us and the server, and lets go of both when a commit comes by.

    Parameters
    ----------
    port : int
        Of the server.
    handed_on : bool
        Whether the server gets the commit.
    """

    def __init__(self, port: int, *, handed_on: bool) -> None:
        self._server, self._handed_on, self.armed = port, handed_on, False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._server))
            threading.Thread(target=self._pass, args=(far, near, False), daemon=True).start()
            threading.Thread(target=self._pass, args=(near, far, True), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, watched: bool) -> None:
        try:
            while data := source.recv(65_536):
                if watched and self.armed and b"COMMIT" in data:
                    self.armed = False
                    if self._handed_on:
                        source.shutdown(socket.SHUT_RDWR)  # no answer comes back
                        target.sendall(data)
                        target.recv(1)
                    break
                target.sendall(data)
        except OSError:
            pass
        finally:
            for one in (source, target):
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # whoever waits in it is told
        self._listener.close()


@given(
    values=st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=5),
    floats=st.lists(st.none() | st.floats(), min_size=1, max_size=5),
    texts=st.lists(st.none() | st.text(), min_size=1, max_size=5),
    data=st.lists(st.none() | st.binary(), min_size=1, max_size=5),
    truths=st.lists(st.none() | st.booleans(), min_size=1, max_size=5),
)
def test_an_array_gives_back_what_went_into_it(
    place: RecordServer,
    values: list[int | None],
    floats: list[float | None],
    texts: list[str | None],
    data: list[bytes | None],
    truths: list[bool | None],
) -> None:
    with driver.connect(place) as connection:
        told = connection.execute(
            "SELECT %s::int8[], %s::float8[], %s::text[], %s::bytea[], %s::bool[]",
            [driver.array(n, v) for n, v in ((20, values), (701, floats), (25, texts), (17, data), (16, truths))],
        ).fetchone()
    assert told == (
        values,
        [None if v is None or math.isnan(v) else v for v in floats],
        [v if v is None else v.replace("\0", "\ufffd") for v in texts],
        data,
        truths,
    )


def test_a_row_that_comes_twice_in_one_go_ends_as_one_by_one(engine: sa.Engine, registry: Registry) -> None:
    record = Record(engine, registry)
    with record.transaction() as connection:
        rows = [CurrentRow("twice", "health", "site", time) for time in (3, 9, 5)]
        record.upsert(connection, schema.current, rows, newer="time")
        record.upsert(connection, schema.current, rows[:1], newer="time")
    c = schema.current.c
    assert [row["time"] for row in record.rows(sa.select(c.time).where(c.key == "twice"))] == [9]


def test_texts_are_as_long_and_numbers_as_wide_as_in_a_file(engine: sa.Engine, registry: Registry) -> None:
    record, long = Record(engine, registry), "长" * 500
    with record.transaction() as connection:
        record.upsert(connection, schema.sliding_hour, [SlidingHourRow(long, 2**40, 2**60, 0, math.nan, 1)])
    c = schema.sliding_hour.c
    assert record.rows(sa.select(c.hour, c.worst).where(c.rule == long)) == [{"hour": 2**40, "worst": None}]
    total = sa.select(sa.func.sum(c.hour).label("sum")).where(c.rule == long)
    assert [type(row["sum"]) for row in record.rows(total)] == [int]


def test_a_reader_sees_one_state_and_writes_nothing(place: RecordServer, engine: sa.Engine) -> None:
    reading, table = open_engine(place, read_only=True), schema.meta
    found = sa.select(sa.func.count()).select_from(table)
    with reading.connect() as connection:
        before = connection.scalar(found)
        with engine.begin() as other:
            other.execute(sa.insert(table).values(key="one state", value=""))
        assert connection.scalar(found) == before
        with pytest.raises(sa.exc.InternalError, match="read-only") as refused:
            connection.execute(sa.delete(table))
    assert passes(refused.value)
    with reading.connect() as connection:
        assert connection.scalar(found) == before + 1
    reading.dispose()


def test_who_numbers_a_transaction_waits_for_the_one_before(engine: sa.Engine) -> None:
    order: list[tuple[str, int]] = []

    def second() -> None:
        with engine.begin() as connection:
            order.append(("second", next_serial(connection)))

    with engine.begin() as connection:
        order.append(("first", next_serial(connection)))
        thread = threading.Thread(target=second)
        thread.start()
        waiting = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        with engine.connect() as looking:
            while not looking.scalar(waiting):
                looking.rollback()
        assert len(order) == 1
    thread.join()
    assert [who for who, _ in order] == ["first", "second"]
    assert order[1][1] == order[0][1] + 1


def test_who_follows_waits_for_a_lower_number_of_another_partition(place: RecordServer, engine: sa.Engine) -> None:
    reading, told = open_engine(place, read_only=True), []
    with engine.begin() as slow:
        lower = next_serial(slow, [0])
        with engine.begin() as quick:
            higher = next_serial(quick, [1])
        thread = threading.Thread(target=lambda: told.append(newest(reading)))
        thread.start()
        asked = sa.text(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%virtualtransaction%' AND pid <> pg_backend_pid()"
        )
        with engine.connect() as looking:
            while not looking.scalar(asked):
                looking.rollback()
        assert not told
        assert lower < higher
    thread.join()
    assert told == [higher]
    reading.dispose()


def test_changes_are_told_and_only_changes(place: RecordServer, engine: sa.Engine) -> None:
    with closing(Changes(place)) as changes:
        first = changes.number()
        assert first is not None
        assert changes.number() == first
        with engine.begin() as connection:
            connection.execute(sa.insert(schema.meta).values(key="changes", value=""))
        assert changes.number() != first


def test_there_is_one_worker_at_a_time(place: RecordServer) -> None:
    impatient = RecordServer(f"{place.address}?options=-c%20lock_timeout%3D200")
    one, other = (open_engine(impatient, owner="worker") for _ in range(2))
    with one.connect(), pytest.raises(sa.exc.OperationalError, match="another process is the worker") as refused:
        other.connect()
    assert passes(refused.value)
    one.dispose()
    with other.connect():
        pass
    other.dispose()


@pytest.mark.parametrize("handed_on", [True, False], ids=["committed", "lost"])
def test_a_commit_that_nobody_answers_is_asked_for(
    postgres: PostgresServer, place: RecordServer, handed_on: bool
) -> None:
    cut = Cut(postgres.port, handed_on=handed_on)
    engine = open_engine(RecordServer(place.address.replace(str(postgres.port), str(cut.port))))
    key = f"cut-{handed_on}"

    def commit() -> None:
        with transaction(engine, "the record") as connection:
            next_serial(connection)
            connection.execute(sa.insert(schema.meta).values(key=key, value=""))
            cut.armed = True

    if handed_on:
        commit()
    else:
        with pytest.raises(StoreError) as refused:
            commit()
        assert passes(refused.value)
    assert not cut.armed
    with engine.connect() as connection:
        found = sa.select(sa.func.count()).where(schema.meta.c.key == key)
        assert connection.scalar(found) == int(handed_on)
    engine.dispose()
    cut.close()


def test_where_the_server_does_not_come_back_nobody_guesses(
    postgres: PostgresServer, place: RecordServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "_PATIENCE", 0.0)
    cut = Cut(postgres.port, handed_on=True)
    engine = open_engine(RecordServer(place.address.replace(str(postgres.port), str(cut.port))))

    def commit() -> None:
        with transaction(engine, "the record") as connection:
            next_serial(connection)
            cut.close()
            cut.armed = True

    with pytest.raises(UncertainError):
        commit()
    engine.dispose()


def test_a_server_that_is_away_is_an_error_that_passes() -> None:
    need_postgresql()
    own = PostgresServer()
    try:
        place = own.database("record")
        engine = open_engine(place)
        migrate(engine)
        access, record = RecordAccess(place, load_registry()), Record(engine, load_registry())
        with access.queries() as queries:
            assert queries.newest_block() == 0
        number = access.changes.number()
        own.kill()
        assert access.changes.number() is None
        for attempt in (lambda: record.highest(schema.reading_block.c.id), lambda: there_is(place)):
            with pytest.raises(StoreError) as refused:
                attempt()
            assert passes(refused.value)
        own.start()
        assert record.highest(schema.reading_block.c.id) == 0
        assert access.changes.number() not in {None, number}
        with access.queries() as queries:
            assert queries.newest_block() == 0
        access.close()
        engine.dispose()
    finally:
        own.stop()


def test_before_the_first_worker_the_record_is_empty(empty: RecordServer, registry: Registry) -> None:
    assert not there_is(empty)
    access = RecordAccess(empty, registry)
    with access.queries() as queries:
        assert queries.newest_block() == 0
    migrate(open_engine(empty))
    assert there_is(empty)
    access.close()


def test_the_migrations_lead_to_the_tables_of_the_schema(engine: sa.Engine) -> None:
    migrate(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = [d if isinstance(d, tuple) else d[0] for d in compare_metadata(context, schema.metadata)]
    assert [d for d in found if "comment" not in d[0]] == []


@pytest.mark.parametrize("after", [1, 30, 60])
def test_a_migration_that_is_killed_leaves_nothing(empty: RecordServer, after: int) -> None:
    killed = subprocess.run([sys.executable, "-c", _DDL_KILLED, empty.address, str(after)], check=False)
    assert killed.returncode == 9
    engine = open_engine(empty)
    with engine.connect() as connection:
        assert sa.inspect(connection).get_table_names() == []
    engine.dispose()


def test_processes_that_start_together_migrate_one_after_the_other(empty: RecordServer) -> None:
    program = (
        "import sys; from greenmine.places import RecordServer; from greenmine.record.record import migrate, open_engine; "
        "migrate(open_engine(RecordServer(sys.argv[1])))"
    )
    command = [sys.executable, "-W", "ignore", "-c", program, empty.address]
    started = [subprocess.Popen(command, env=os.environ) for _ in range(3)]
    assert [process.wait() for process in started] == [0, 0, 0]
    assert there_is(empty)


def test_a_database_that_orders_texts_otherwise_is_refused(postgres: PostgresServer) -> None:
    place = postgres.database("other order", like="template0", locale="C.UTF-8")
    with pytest.raises(SchemaError, match="createdb --template template0 --encoding UTF8 --locale C"):
        migrate(open_engine(place))


def test_a_database_of_somebody_else_is_left_alone(empty: RecordServer) -> None:
    engine = open_engine(empty)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE theirs (id integer)")
    with pytest.raises(SchemaError, match="was not made by this version"):
        migrate(engine)
    engine.dispose()


def test_the_pipeline_leaves_the_same_as_on_a_file(empty: RecordServer, registry: Registry, tmp_path: Path) -> None:
    rng = np.random.default_rng(11)
    parts = pieces(stream(registry, rng, EVENING, EVENING + 14 * HOUR), rng, 6)
    file, served = record_at(tmp_path / "record.sqlite", registry), record_at(empty, registry)
    for record in (file, served):
        feed(Pipeline(registry, record), parts[:3])
        feed(Pipeline(registry, record), parts[3:])  # with what the first one left
    assert_same(held(file), held(served), 0)
    ledger = sa.select(*(c for c in schema.ledger.c if c.name != "serial")).order_by("site", "device", "day")
    assert file.rows(ledger) == served.rows(ledger)


def test_the_doctor_finds_a_server_that_does_not_wait_for_its_disk_or_is_away(place: RecordServer) -> None:
    found = list(CHECKS["server"](Settings(record=place.address)))  # the tests' server does not
    assert [finding.what for finding in found] == ["PostgreSQL does not wait for its disk"]
    (missing,) = CHECKS["server"](Settings(record=f"{place.address}-of-nobody"))
    assert "cannot be reached" in missing.what


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("postgresql://mine:hushhush@there/record", "GREENMINE_RECORD_PASSWORD"),
        ("postgresql://there/record?password=hushhush", "GREENMINE_RECORD_PASSWORD"),
        ("mysql://mine:hushhush@there/record", "begins with postgresql://"),
    ],
)
def test_an_address_that_is_none_or_holds_a_password_is_refused_and_not_repeated(address: str, told: str) -> None:
    command = [sys.executable, "-m", "greenmine", "status"]
    done = subprocess.run(
        command, env=os.environ | {"GREENMINE_RECORD": address}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert told in done.stderr
    assert "hushhush" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_refusal_of_the_server_is_told_without_the_password(postgres: PostgresServer) -> None:
    place = RecordServer(postgres.address("postgres").replace("greenmine@", "nobody@"), SecretStr("hushhush"))
    with pytest.raises(StoreError) as told:
        there_is(place)
    assert "hushhush" not in f"{told.value} {place} {place!r}"


def test_what_is_kept_is_not_overwritten(engine: sa.Engine, registry: Registry) -> None:
    record = Record(engine, registry)
    for value in ("first", "second"):
        with record.transaction() as connection:
            record.upsert(connection, schema.meta, [MetaRow("kept", value)], keep=True)
    assert record.rows(sa.select(schema.meta.c.value).where(schema.meta.c.key == "kept")) == [{"value": "first"}]
