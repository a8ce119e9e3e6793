"""The system of record: one transaction holds the readings of a batch, its ledger, and all that follows from them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.dialects import postgresql, sqlite

from greenmine.errors import SchemaError, StoreError
from greenmine.files import locked
from greenmine.places import Place
from greenmine.readings import Readings
from greenmine.record import schema
from greenmine.record.blocks import COLUMNS, Blocks
from greenmine.record.rows import HOUR, ROW, BlockRow
from greenmine.registry import Registry

__all__ = ["MIGRATIONS", "DatabaseError", "Engine", "Record", "migrate", "next_serial", "open_engine", "there_is"]

MIGRATIONS: Final = Path(__file__).parent / "migrations"
_NUMBER: Final = 8
"""Length of a sequence number in a block [bytes]."""

_BLOCKS: Final = 20_000
"""Blocks read at once."""

_NAMED: Final = 1_000
"""So many values at most are named in a statement."""

COPYING: Final = "copying"
"""Key in the table ``meta`` of a record that is being copied into another database."""
_TRANSACTION: Final = "transaction"
"""Key in the information of a connection: the name that PostgreSQL gives the transaction, once it has its number."""

DatabaseError = sa.exc.SQLAlchemyError
"""Whatever a database answers instead of what it was asked for."""
Engine = sa.Engine
"""From `open_engine`."""


def open_engine(
    place: Place, *, read_only: bool = False, owner: str | None = None, name: str | None = None
) -> sa.Engine:
    """Open a record; commits are durable.

    Parameters
    ----------
    place : Path or RecordServer
        A file of SQLite, made with its folder if it does not exist, unless read-only; or a database of PostgreSQL.
    read_only : bool
        For readers in other processes: nothing can be written by mistake.
    owner : str, optional
        Task that one process does at a time, where the database is a server's; see `greenmine.record.postgresql.open_server`.
    name : str, optional
        Of this process; see `end_sessions`.
    """
    if not isinstance(place, Path):
        from greenmine.record.postgresql import open_server  # noqa: PLC0415 - whoever only checks evidence has no driver

        return open_server(place, read_only=read_only, owner=owner, name=name)
    path = place
    if not read_only:
        path.parent.mkdir(parents=True, exist_ok=True)
    mode = "ro" if read_only else "rwc"
    engine = sa.create_engine(f"sqlite:///file:{path.resolve()}?mode={mode}&uri=true", connect_args={"timeout": 10})

    @sa.event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _: object) -> None:
        cursor = connection.cursor()
        if not read_only:
            if cursor.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                with locked(path.parent):  # two processes that change it at once would wait for each other
                    cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=FULL")
            cursor.execute("PRAGMA wal_autocheckpoint=4000")
        cursor.execute("PRAGMA cache_size=-32000")
        cursor.close()

    return engine


def end_sessions(engine: sa.Engine, names: Collection[str]) -> None:
    """Let a server forget processes that do nothing any more, so that nobody waits for what they were in the midst of.

    In a file of SQLite that cannot be done: who stands still in a commit holds up all others until it goes on, or is killed.
    """
    if names and engine.dialect.name != "sqlite":
        from greenmine.record import postgresql as server  # noqa: PLC0415 - as in `open_engine`

        with transaction(engine, "the record") as connection:
            server.end_sessions(connection, names)


def there_is(place: Place) -> bool:
    """Return whether there is a record: a worker has run.

    Raises
    ------
    StoreError
        Its server is out of reach.
    """
    if isinstance(place, Path):
        return place.exists()
    from greenmine.record.postgresql import is_made  # noqa: PLC0415 - as in `open_engine`

    return is_made(place)


def migrate(engine: sa.Engine, scripts: Path = MIGRATIONS) -> None:
    """Bring the tables of a database to the newest form, all at once or not at all; other processes wait meanwhile.

    Parameters
    ----------
    engine : Engine
        From `open_engine`.
    scripts : Path
        Folder of the migrations of the record, or of another database.

    Raises
    ------
    SchemaError
        The file was made by another version of greenmine; nothing was changed.
    """
    # Whoever only checks evidence has no record, and need not have it.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(scripts))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # the driver begins no transaction by itself before DDL
        else:
            from greenmine.record.postgresql import begin_migration  # noqa: PLC0415 - as in `open_engine`

            begin_migration(connection)
        version = MigrationContext.configure(connection).get_current_revision()
        if version not in known and sa.inspect(connection).get_table_names():
            raise SchemaError(_named(connection))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


def _named(connection: sa.Connection) -> Path | str:
    """What a `SchemaError` says of a database."""
    if connection.dialect.name == "sqlite":
        return Path((connection.engine.url.database or "").removeprefix("file:"))
    name = connection.scalar(sa.select(sa.func.current_database()))
    return f"the database {name} was not made by this version of greenmine and is left as it is; name an empty one"


@contextmanager
def transaction(engine: sa.Engine, what: str) -> Iterator[sa.Connection]:
    """A transaction of the record or of another database that is durable when the block ends, or leaves nothing.

    Raises
    ------
    StoreError
        Saying that ``what`` cannot be written or read.
    UncertainError
        A server was lost during the commit, and nobody says what became of it.
    """
    ended: str | None = None
    try:
        with engine.begin() as connection:
            yield connection
            ended = connection.info.pop(_TRANSACTION, None)
    except (sa.exc.DBAPIError, sqlite3.Error, OSError) as error:
        if ended is not None and isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated:
            from greenmine.record.postgresql import was_committed  # noqa: PLC0415 - as in `open_engine`

            if was_committed(engine, ended):
                return
        raise StoreError(f"{what} cannot be written or read: {getattr(error, 'orig', None) or error}") from error


def next_serial(connection: sa.Connection, partitions: Collection[int] = (0,)) -> int:
    """Number of a transaction for the column ``serial`` of what it writes; to be drawn before anything is read in it.

    It is higher than that of every transaction of these partitions committed before, and a later one of them begins only when
    this has ended. A file has one writer at a time, so this holds for all partitions there. On a server those of other
    partitions go on side by side: who follows them all asks `greenmine.record.follower` up to which number nothing is missing.
    """
    number: int
    if connection.dialect.name == "sqlite":
        insert = sqlite.insert(schema.counter).values(name="transaction", value=1)
        one_more = insert.on_conflict_do_update(index_elements=["name"], set_={"value": schema.counter.c.value + 1})
        number = connection.execute(one_more.returning(schema.counter.c.value)).scalar_one()
        return number
    from greenmine.record.postgresql import numbered  # noqa: PLC0415 - as in `open_engine`

    number, connection.info[_TRANSACTION] = numbered(connection, partitions)
    return number


def last_number(connection: sa.Connection) -> int:
    """Return the highest number that a transaction has drawn."""
    if connection.dialect.name != "sqlite":
        from greenmine.record import postgresql as server  # noqa: PLC0415 - as in `open_engine`

        return server.last_number(connection)
    counter = schema.counter.c
    return connection.scalar(sa.select(counter.value).where(counter.name == "transaction")) or 0


def begin_writing(connection: sa.Connection, partitions: Collection[int] = (0,)) -> None:
    """Let no other writer of these partitions go on before this transaction has ended, which has no number."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        return
    from greenmine.record.postgresql import enter  # noqa: PLC0415 - as in `open_engine`

    enter(connection, partitions)


class Record:
    """Writer and reader of the record, bound to a registry.

    Parameters
    ----------
    engine : Engine
        From `open_engine`, or any SQLAlchemy engine of a supported database.
    registry : Registry
        Its channels get stable numbers in the record the first time they are seen.
    archive : str, optional
        Where readings lie that were pruned from the record.
    partitions : collection of int
        Those that the sites of the registry are in.
    fence : callable, optional
        Called in each transaction that writes, before anything else; raises what says that somebody else writes these partitions.

    others : collection of str
        Sites of other partitions, which other workers have.

    Raises
    ------
    StoreError
        By every method, when the database cannot do its work: disk full, file missing, locked for too long.
    """

    def __init__(
        self,
        engine: sa.Engine,
        registry: Registry,
        archive: str | None = None,
        partitions: Collection[int] = (0,),
        fence: Callable[[sa.Connection], None] | None = None,
        others: Collection[str] = (),
    ) -> None:
        self._others = sorted(others)
        self.engine = engine
        self.registry = registry
        self.partitions = tuple(sorted(partitions))
        self._fence = fence
        self._archived = Blocks(registry, archive)
        with self.transaction() as connection:
            meta = schema.meta.c
            if connection.scalar(sa.select(meta.value).where(meta.key == COPYING)) is not None:
                raise StoreError("a copy into this record was interrupted; let `greenmine record copy` end it")
            known = _numbers(connection)
        missing = [c.key for c in registry.channels if c.key not in known]
        if missing:
            with self.writing() as connection:
                known = _numbers(connection)
                connection.execute(sa.insert(schema.channel), [{"key": key} for key in missing if key not in known])
                known = _numbers(connection)
        self.channel_ids: NDArray[np.int64] = np.array([known[c.key] for c in registry.channels], np.int64)
        self._index = {int(i): k for k, i in enumerate(self.channel_ids)}

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """A transaction that is durable when the block ends, or leaves nothing."""
        with transaction(self.engine, "the record") as connection:
            yield connection

    def own(self, site: sa.Column[str]) -> sa.ColumnElement[bool]:
        """Condition that a site is one of the registry's, or nobody's where the first partition is among these."""
        if not self._others:
            return sa.true()
        return site.not_in(self._others) if 0 in self.partitions else site.in_([s.id for s in self.registry.sites])

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """The same for what is written without a number of a transaction."""
        with self.transaction() as connection:
            begin_writing(connection, self.partitions)
            if self._fence is not None:
                self._fence(connection)
            yield connection

    def serial(self, connection: sa.Connection) -> int:
        """Number of this transaction; see `next_serial`."""
        number = next_serial(connection, self.partitions)
        if self._fence is not None:
            self._fence(connection)
        return number

    def insert(self, connection: sa.Connection, table: sa.Table, rows: Sequence[NamedTuple]) -> None:
        """Insert many rows of one class of `greenmine.record.rows`."""
        if rows:
            hand_over(connection, table, rows[0]._fields, rows)

    def upsert(
        self,
        connection: sa.Connection,
        table: sa.Table,
        rows: Sequence[NamedTuple],
        *,
        add: Collection[str] = (),
        leave: Collection[str] = (),
        keep: bool = False,
        newer: str | None = None,
    ) -> None:
        """Insert rows, or where the primary key exists replace their columns; those of ``add`` are added up instead.

        Columns of ``leave`` stay as they are stored. With ``newer``, the whole row stays where its column of that name is higher.
        With ``keep``, a row that breaks any uniqueness is left out and the stored one stays.
        """
        if rows:
            hand_over(connection, table, rows[0]._fields, rows, (frozenset(add), frozenset(leave), keep, newer))

    def insert_readings(
        self,
        connection: sa.Connection,
        readings: Readings,
        quality: NDArray[np.uint8],
        received: int,
        sequence: NDArray[np.int64],
        sender: str | None = None,
    ) -> None:
        """Store new readings, sorted by channel and time, as blocks of one channel and hour each.

        ``sequence`` is the number of each reading's message, -1 where it has none; ``sender`` who sent them, where it was not the
        devices of their channels.
        """
        if not len(readings):
            return
        rows = np.empty(len(readings), ROW)
        rows["time"], rows["value"] = readings.time, readings.value
        rows["flag"], rows["quality"] = readings.flag, quality
        hour = readings.time // HOUR
        starts = np.flatnonzero(np.append(True, (np.diff(readings.channel) != 0) | (np.diff(hour) != 0)))
        ends = np.append(starts[1:], len(rows))
        data = memoryview(rows.tobytes())
        size = ROW.itemsize
        numbers = memoryview(sequence.astype("<i8").tobytes() if (sequence >= 0).any() else b"")
        blocks = [
            BlockRow(
                channel=int(self.channel_ids[c]), hour=h, count=b - a, received=received, data=data[a * size : b * size],
                device=sender or self.registry.channels[c].device, sequence=numbers[a * _NUMBER : b * _NUMBER],
            )
            for c, h, a, b in zip(
                readings.channel[starts].tolist(),
                hour[starts].tolist(),
                starts.tolist(),
                ends.tolist(),
                strict=True,
            )
        ]  # fmt: skip
        self.insert(connection, schema.reading_block, blocks)

    def stored(
        self, channel: NDArray[np.int32], time: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.uint8]]:
        """For each (channel, time): whether a reading is stored, with which value and flag."""
        known = np.zeros(len(time), np.bool_)
        value, flag = np.full(len(time), np.nan), np.zeros(len(time), np.uint8)
        hour = time // HOUR
        order = np.lexsort((hour, channel))
        edges = np.flatnonzero(np.append(True, (np.diff(channel[order]) != 0) | (np.diff(hour[order]) != 0)))
        with self.transaction() as connection:
            for group in np.split(order, edges[1:]):
                first = group[0]
                rows = self._blocks(connection, int(channel[first]), int(hour[first]), int(hour[first]))
                if len(rows):
                    place = np.minimum(np.searchsorted(rows["time"], time[group]), len(rows) - 1)
                    hit = rows["time"][place] == time[group]
                    known[group] = hit
                    value[group] = np.where(hit, rows["value"][place], np.nan)
                    flag[group] = np.where(hit, rows["flag"][place], 0)
        return known, value, flag

    def readings(self, channel: int, start: int, end: int) -> NDArray[np.void]:
        """Stored readings of a channel between two instants [ms UTC], half-open: array of `ROW`, sorted by time."""
        with self.transaction() as connection:
            rows = self._blocks(connection, channel, start // HOUR, (end - 1) // HOUR)
        return rows[(rows["time"] >= start) & (rows["time"] < end)]

    def readings_of(self, channels: range, start: int, end: int) -> tuple[Readings, NDArray[np.uint8]]:
        """Stored readings of neighbouring channels between two instants [ms UTC], half-open, with their quality bits.

        They are sorted by channel and time.
        """
        block = schema.reading_block.c
        some = self.channel_ids[channels.start : channels.stop].tolist()
        hours = block.hour.between(start // HOUR, (end - 1) // HOUR)
        with self.transaction() as connection:
            found = connection.execute(sa.select(*COLUMNS).where(block.channel.in_(some), hours)).all()
            rows = np.frombuffer(self._archived.joined(connection, found), ROW)
        channel = np.repeat([self._index[row.channel] for row in found], [row.readings for row in found])
        order = np.lexsort((rows["time"], channel))
        order = order[(rows["time"][order] >= start) & (rows["time"][order] < end)]
        rows = rows[order]
        return Readings(channel[order].astype(np.int32), rows["time"], rows["value"], rows["flag"]), rows["quality"]

    def _blocks(self, connection: sa.Connection, channel: int, first_hour: int, last_hour: int) -> NDArray[np.void]:
        block = schema.reading_block.c
        found = connection.execute(
            sa.select(*COLUMNS).where(
                block.channel == int(self.channel_ids[channel]), block.hour >= first_hour, block.hour <= last_hour
            )
        )
        rows = np.frombuffer(self._archived.joined(connection, found), ROW)
        return rows[np.argsort(rows["time"], kind="stable")]

    def extremes(
        self,
        value: sa.ColumnElement[int],
        channel: sa.ColumnElement[int],
        channels: NDArray[np.intp],
        *where: sa.ColumnElement[bool],
        connection: sa.Connection | None = None,
    ) -> NDArray[np.int64]:
        """For some channels of the registry the value, such as a maximum, of its rows; -1 if there are none, and for all others.

        Asked channel by channel: a place in an index is found at once, however many rows there are. It is done in the transaction
        of a ``connection``, or in one of its own.
        """
        numbers = schema.channel.c.id
        one = (
            sa.select(value).where(channel == numbers, *where).correlate(schema.channel).scalar_subquery().label("one")
        )
        chosen = sa.select(numbers, one).where(among(numbers, self.channel_ids[channels].tolist()))
        out = np.full(len(self.channel_ids), -1, np.int64)
        with self.transaction() if connection is None else nullcontext(connection) as within:
            for row in within.execute(chosen):
                if row.one is not None and row.id in self._index:
                    out[self._index[row.id]] = row.one
        return out

    def recent(self, channel: int, minutes: int) -> tuple[Readings, NDArray[np.uint8]]:
        """The last minutes of a channel, up to its newest reading: readings sorted by time, with quality bits."""
        block = schema.reading_block.c
        last = sa.select(sa.func.max(block.hour)).where(block.channel == int(self.channel_ids[channel]))
        with self.transaction() as connection:
            hour = connection.execute(last).scalar_one()
            since = 0 if hour is None else hour - minutes // 60 - 1
            rows = self._blocks(connection, channel, since, -1 if hour is None else hour)
        if len(rows):
            rows = rows[rows["time"] >= (rows["time"][-1] // 60_000 - minutes + 1) * 60_000]
        return Readings(np.full(len(rows), channel, np.int32), rows["time"], rows["value"], rows["flag"]), rows[
            "quality"
        ]

    def since(self, positions: Mapping[int, int]) -> Iterator[tuple[Readings, NDArray[np.uint8]]]:
        """Readings of channels that were committed after a block of each, in the order of commit.

        Parameters
        ----------
        positions : mapping of int to int
            Number of a block for each channel.

        Yields
        ------
        (Readings, uint8 array)
            Sorted by channel and time, with their quality bits.
        """
        if not positions:
            return
        block = schema.reading_block.c
        mine = among(block.channel, self.channel_ids[list(positions)].tolist())
        some = sa.select(*COLUMNS).where(block.id > min(positions.values()), mine).order_by(block.id)
        some = some.execution_options(yield_per=_BLOCKS)
        # One query, so one state of the record: blocks become others meanwhile.
        with self.transaction() as connection:
            for found in connection.execute(some).partitions():
                channels, parts = [], []
                for row in found:
                    index = self._index.get(row.channel, -1)
                    if row.id > positions.get(index, row.id):
                        content = self._archived.content(connection, row)
                        parts.append(content.rows[content.number > positions[index]])
                        channels.append(index)
                channel = np.repeat(channels, [len(part) for part in parts]).astype(np.int32)
                rows = np.concatenate([*parts, np.empty(0, ROW)])
                order = np.lexsort((rows["time"], channel))
                rows = rows[order]
                if len(rows):
                    yield Readings(channel[order], rows["time"], rows["value"], rows["flag"]), rows["quality"]

    def divided(self, positions: Mapping[int, int]) -> set[int]:
        """Channels of which an hour block that was pruned holds readings from before and after a block of each.

        Which they are cannot be told any more.
        """
        if not positions:
            return set()
        block = schema.reading_block.c
        pruned = sa.select(block.channel, block.first, block.id).where(
            among(block.channel, self.channel_ids[list(positions)].tolist()), block.id > min(positions.values()),
            block.first.is_not(None), sa.func.length(block.data) == 0,
        )  # fmt: skip
        found = [(self._index.get(row["channel"], -1), row["first"], row["id"]) for row in self.rows(pruned)]
        return {channel for channel, first, last in found if first <= positions.get(channel, -1) < last}

    def highest(self, column: sa.Column[int]) -> int:
        """The largest value of a column; 0 if its table has no row."""
        return int(self.rows(sa.select(sa.func.max(column).label("highest")))[0]["highest"] or 0)

    def rows(self, statement: sa.Select[Any], values: Mapping[str, Any] | None = None) -> list[Mapping[str, Any]]:
        """Result of a query as mappings; ``values`` are those of its parameters."""
        with self.transaction() as connection:
            return [dict(row) for row in connection.execute(statement, values).mappings()]


def among(column: sa.ColumnElement[Any], values: Collection[Any]) -> sa.ColumnElement[bool]:
    """Whether a column is one of some values; always, where they are so many that a database had better tell all."""
    return column.in_(values) if len(values) <= _NAMED else sa.true()


def hand_over(
    connection: sa.Connection,
    table: sa.Table,
    columns: tuple[str, ...],
    rows: Sequence[tuple[Any, ...]],
    policy: tuple[Any, ...] = (),
) -> None:
    """Insert tuples, by a policy of `Record.upsert` or none: dictionaries would cost more than the insertion."""
    text, order = _statement(connection.dialect.name, table, columns, policy)
    if connection.dialect.name != "sqlite":
        from greenmine.record.postgresql import hand_over_arrays  # noqa: PLC0415 - as in `open_engine`

        hand_over_arrays(connection, text, table, columns, _single(table, columns, rows) if policy else [rows])
    elif order == columns:
        connection.exec_driver_sql(text, list(rows))
    else:
        place = [columns.index(name) for name in order]
        connection.exec_driver_sql(text, [tuple(row[i] for i in place) for row in rows])


def _single(table: sa.Table, columns: Sequence[str], rows: Sequence[Any]) -> list[Sequence[Any]]:
    """Rows in parts, in order, none of which holds a primary key twice: one statement cannot change a row twice."""
    names = [c.name for c in table.primary_key]
    if not set(names) <= set(columns):
        return [rows]
    keys = list(map(itemgetter(*map(columns.index, names)), rows))
    return [rows] if len(set(keys)) == len(keys) else [[row] for row in rows]


@cache
def _statement(
    dialect: str, table: sa.Table, columns: tuple[str, ...], policy: tuple[Any, ...]
) -> tuple[str, tuple[str, ...]]:
    """The statement that inserts rows, by a policy of `Record.upsert` or none, and the order in which it takes columns."""
    if dialect == "sqlite":
        kind: Any = sqlite.dialect()
        insert: Any = sqlite.insert(table)
        new: Any = insert.values({c: sa.bindparam(c) for c in columns})
    else:
        from greenmine.record.postgresql import arrays  # noqa: PLC0415 - as in `open_engine`

        kind = postgresql.dialect(paramstyle="pyformat")  # type: ignore[no-untyped-call]
        insert = postgresql.insert(table)
        new = insert.from_select(columns, arrays(table, columns))
    if policy:
        add, leave, keep, newer = policy
        if keep:
            new = new.on_conflict_do_nothing()
        else:
            keys = [c.name for c in table.primary_key]
            changed = [c for c in columns if c not in {*keys, *leave}]
            values = {c: insert.excluded[c] + table.c[c] if c in add else insert.excluded[c] for c in changed}
            where = None if newer is None else insert.excluded[newer] >= table.c[newer]
            new = new.on_conflict_do_update(index_elements=keys, set_=values, where=where)
    compiled = new.compile(dialect=kind)
    return str(compiled).replace("%%", "%"), tuple(getattr(compiled, "positiontup", None) or columns)


def _numbers(connection: sa.Connection) -> dict[str, int]:
    return {row.key: row.id for row in connection.execute(sa.select(schema.channel))}
