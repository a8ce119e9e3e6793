"""PostgreSQL under the record: connections, rows handed over as arrays, one worker at a time, what became of a commit."""

from __future__ import annotations

import hashlib
import struct
import time
from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np
import psycopg
import sqlalchemy as sa
from psycopg import errors
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Format
from psycopg.types.numeric import NumericBinaryLoader, NumericLoader
from sqlalchemy.ext.compiler import compiles

from greenmine.errors import SchemaError, StoreError, UncertainError
from greenmine.places import RecordServer
from greenmine.record import schema

_CONNECTION: Final = {
    "application_name": "greenmine", "client_encoding": "UTF8", "connect_timeout": 10,
    "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 30_000,
}  # fmt: skip
"""What holds for a connection where the address says nothing else: a server that is gone is noticed within half a minute."""
_SESSION: Final = {"timezone": "UTC", "lock_timeout": "10s"}
_READER: Final = {
    "default_transaction_isolation": r"repeatable\ read", "default_transaction_read_only": "on", "statement_timeout": "5min",
}  # fmt: skip
"""All that is read in a transaction is of one state."""
_WRITER: Final = {"synchronous_commit": "on", "idle_in_transaction_session_timeout": "1min"}
"""Who does nothing more, and holds the number of its transaction, lets others go on. A commit has no time-out: where a standby
that is waited for is away, PostgreSQL would answer as if it had it."""
_LOCKS: Final = 0x67726E6D
"""Class of our advisory locks: ``grnm``."""
_PARTITIONS: Final = _LOCKS + 1
"""Class of those that whoever writes in a partition holds up to the end of the transaction, each by the number of its partition."""
_ENDING: Final = 10.0
"""How long transactions of others are waited for that have drawn numbers already [s]."""
_SOON: Final = 0.005
_CHECKED: Final = {"verify-ca", "verify-full"}
"""Values of ``sslmode`` by which a server has to show a certificate of an authority that we trust."""
_PATIENCE: Final = 120.0
"""How long a server is waited for that has to say what became of a commit [s]."""
_AGAIN: Final = 0.5
"""Between two questions to it [s]."""


@compiles(sa.String, "postgresql")
def _unbounded(_kind: sa.String, _compiler: Any, **_: Any) -> str:
    """Let texts be as long as in SQLite, which goes by no length: what a device calls itself is kept whole."""
    return "TEXT"


@compiles(sa.schema.CreateColumn, "postgresql")
def _wide(create: sa.schema.CreateColumn, compiler: Any, **given: Any) -> str:
    """Let whole numbers of former migrations be as wide as in the schema."""
    column = create.element
    if type(column.type) is sa.Integer and column is not column.table.autoincrement_column:
        column.type = sa.BigInteger()
    said: str = compiler.visit_create_column(create, **given)
    return said


class _Text(Dumper):
    """Texts; of what PostgreSQL cannot hold, a NUL becomes U+FFFD."""

    oid = 25  # text

    def dump(self, obj: str) -> Buffer:
        return obj.encode() if "\0" not in obj else obj.replace("\0", "\ufffd").encode()


class _Number(Dumper):
    """Numbers; NaN is NULL, as in SQLite."""

    oid = 701  # float8
    format = Format.BINARY

    def dump(self, obj: float) -> Buffer | None:
        return None if obj != obj else struct.pack("!d", obj)  # noqa: PLR0124 - NaN


class _Sum(NumericLoader):
    """Sums of whole numbers are whole numbers."""

    def load(self, data: Buffer) -> Any:
        return _plain(super().load(data))


class _BinarySum(NumericBinaryLoader):
    def load(self, data: Buffer) -> Any:
        return _plain(super().load(data))


def _plain(number: Decimal) -> int | float:
    return int(number) if number == number.to_integral_value() else float(number)


def connect(
    server: RecordServer, *, read_only: bool = False, autocommit: bool = False, application: str | None = None
) -> psycopg.Connection[Any]:
    """Open a connection.

    Raises
    ------
    psycopg.OperationalError
        The server is out of reach, or does not let us in; the text holds no password.
    """
    given = conninfo_to_dict(server.address)
    if read_only and given.get("target_session_attrs") == "read-write":
        given["target_session_attrs"] = "primary"  # libpq would take our own wish to read only for the server's
    session = {**_SESSION, **(_READER if read_only else _WRITER)}
    options = " ".join(f"-c {name}={value}" for name, value in session.items())
    password = {} if server.password is None else {"password": server.password.get_secret_value()}
    named = {} if application is None else {"application_name": application}
    parameters = {
        **_CONNECTION,
        **given,
        **named,
        **password,
        "options": f"{options} {given.get('options', '')}".strip(),
    }
    connection = psycopg.connect(**parameters, autocommit=autocommit)  # type: ignore[arg-type]  # by name, as libpq's
    adapters = connection.adapters
    adapters.register_dumper(str, _Text)
    for kind in (float, "numpy.float64"):
        adapters.register_dumper(kind, _Number)
    adapters.register_loader("numeric", _Sum)
    adapters.register_loader("numeric", _BinarySum)
    return connection


def end_sessions(connection: sa.Connection, names: Iterable[str]) -> None:
    """End all sessions of some processes, which hold locks as long as they stand still; see `open_server`."""
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = ANY(%s)"
    connection.exec_driver_sql(ended, ([_application(name) for name in names],))


def _application(name: str) -> str:
    """Name of a process as the server knows it, which takes 63 bytes."""
    return f"greenmine {hashlib.sha256(name.encode()).hexdigest()[:16]}"


def open_server(
    server: RecordServer, *, read_only: bool = False, owner: str | None = None, name: str | None = None
) -> sa.Engine:
    """Open a record on a server; commits are durable, and a connection that was lost is made anew.

    Parameters
    ----------
    server : RecordServer
        Where.
    read_only : bool
        Nothing can be written, and a transaction sees one state.
    owner : str, optional
        Name of a task that one process does at a time: there is one connection, and who has it has the task. Who waits
        for it longer than ten seconds gets an error that may pass.
    name : str, optional
        Of this process, by which others may end its sessions.
    """

    def connected() -> psycopg.Connection[Any]:
        connection = connect(server, read_only=read_only, application=None if name is None else _application(name))
        if owner is not None:
            own(connection, owner)
        return connection

    pool = {} if owner is None else {"pool_size": 1, "max_overflow": 0}
    return sa.create_engine("postgresql+psycopg://", creator=connected, pool_pre_ping=True, **pool)


def own(connection: psycopg.Connection[Any], task: str) -> None:
    """Take a task that one connection has at a time, until it ends.

    Raises
    ------
    psycopg.OperationalError
        Another one has it.
    """
    try:
        connection.execute("SELECT pg_advisory_lock(%s, hashtext(%s))", (_LOCKS, task))
        connection.commit()
    except errors.LockNotAvailable as error:
        connection.close()
        raise psycopg.OperationalError(f"another process is the {task} of this record") from error


def enter(connection: sa.Connection, partitions: Collection[int]) -> None:
    """Write in some partitions, alone up to the end of the transaction; before anything else in it."""
    held = "SELECT pg_advisory_xact_lock(%s, number) FROM unnest(%s::int[]) number"
    connection.exec_driver_sql(held, (_PARTITIONS, sorted(partitions)))


def numbered(connection: sa.Connection, partitions: Collection[int]) -> tuple[int, str]:
    """Write in some partitions, as `enter`, and return the number of the transaction and the name that the server gives it."""
    enter(connection, partitions)
    told = sa.select(schema.transaction_number.next_value(), sa.cast(sa.func.pg_current_xact_id(), sa.Text))
    number, name = connection.execute(told).one()
    return number, name


def last_number(connection: sa.Connection) -> int:
    """Return the highest number that a transaction has drawn, if ended or not."""
    told = sa.table(schema.transaction_number.name, sa.column("last_value"), sa.column("is_called"))
    number: int = connection.execute(sa.select(sa.case((told.c.is_called, told.c.last_value), else_=0))).scalar_one()
    return number


def await_writers(connection: sa.Connection) -> None:
    """Wait until all have ended who write in any partition now: who begins then sees all that has drawn a number up to now.

    A transaction holds the lock of its partition from before it draws a number until what it wrote is seen, or is not.

    Raises
    ------
    StoreError
        One of them lasts too long.
    """
    told = (
        "SELECT virtualtransaction FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = %s AND objsubid = 2"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    until = time.monotonic() + _ENDING
    waited = there = set(connection.exec_driver_sql(told, (_PARTITIONS,)).scalars())
    while waited := waited & there:
        if time.monotonic() > until:
            raise StoreError(f"a transaction that writes the record has not ended for {_ENDING:.0f} s")
        time.sleep(_SOON)
        there = set(connection.exec_driver_sql(told, (_PARTITIONS,)).scalars())


def is_made(server: RecordServer) -> bool:
    """Return whether the tables of the record are there.

    Raises
    ------
    StoreError
        The server is out of reach.
    """
    try:
        with connect(server, read_only=True) as connection:
            found = connection.execute("SELECT to_regclass('counter') IS NOT NULL").fetchone()
    except psycopg.Error as error:
        raise StoreError(f"the record at {server} cannot be reached: {error}") from error
    assert found is not None
    return bool(found[0])


class ServerState(NamedTuple):
    """What a server says of itself, as far as the record rests on it."""

    version: int
    """Number of its major version."""
    fsync: bool
    full_page_writes: bool
    local: bool
    """The way leads through this machine only."""
    encrypted: bool
    """By TLS."""
    verified: bool
    """The server has shown who it is."""


def state_of(server: RecordServer) -> ServerState:
    """Ask a server.

    Raises
    ------
    StoreError
        It is out of reach.
    """
    try:
        with connect(server, read_only=True) as connection:
            row = connection.execute(
                "SELECT current_setting('server_version_num')::int / 10000, current_setting('fsync')::bool,"
                " current_setting('full_page_writes')::bool, coalesce(inet_client_addr() <<= '127.0.0.0/8' OR"
                " inet_client_addr() = '::1', true), (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid())"
            ).fetchone()
            checked = connection.info.get_parameters().get("sslmode") in _CHECKED
    except psycopg.Error as error:
        raise StoreError(f"the record at {server} cannot be reached: {error}") from error
    assert row is not None
    return ServerState._make((*row, checked and row[-1]))


def begin_migration(connection: sa.Connection) -> None:
    """Let one process at a time change tables, in this transaction.

    Raises
    ------
    SchemaError
        The database orders or encodes texts in a way by which pages and figures would come out otherwise.
    """
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
    connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s, hashtext('migration'))", (_LOCKS,))
    told = (
        "SELECT datname, pg_encoding_to_char(encoding), datcollate FROM pg_database WHERE datname = current_database()"
    )
    name, encoding, collation = connection.exec_driver_sql(told).one()
    if encoding != "UTF8" or collation not in {"C", "POSIX"}:
        raise SchemaError(
            f"the database {name} has encoding {encoding} and collation {collation}; make one by "
            "createdb --template template0 --encoding UTF8 --locale C"
        )


def was_committed(engine: sa.Engine, name: str) -> bool:
    """Return whether a transaction is durable whose connection was lost while it was committed.

    Raises
    ------
    UncertainError
        The server does not come back, or does not know any more.
    """
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            with engine.connect() as connection:
                told = connection.exec_driver_sql("SELECT pg_xact_status(%s::text::xid8)", (name,)).scalar_one()
        except sa.exc.DBAPIError as error:
            if isinstance(error.orig, errors.InvalidParameterValue):
                return False  # the server that took its place has never seen it
            told = "in progress"
        if told != "in progress":
            break
        if time.monotonic() > until:
            raise UncertainError("the server of the record does not say what became of a commit; start again")
        time.sleep(_AGAIN)
    if told is None:
        raise UncertainError("the server of the record does not know any more what became of a commit; start again")
    return bool(told == "committed")


# Rows as arrays: one statement and one round trip, however many there are, at a fraction of the cost of rows one by one.

_NULL: Final = struct.pack("!i", -1)
_LENGTH: Final = struct.Struct("!i").pack
_DOUBLE: Final = struct.Struct("!id").pack
_WHOLE: Final = struct.Struct("!iq").pack
_BOOL, _BYTES, _INT, _TEXT, _FLOAT = 16, 17, 20, 25, 701
"""Numbers that PostgreSQL gives types: bool, bytea, int8, text, float8."""
_ARRAYS: Final = {_BOOL: 1000, _BYTES: 1001, _INT: 1016, _TEXT: 1009, _FLOAT: 1022}
"""Numbers of the types of arrays of these."""
_NAMES: Final = {_BOOL: "bool", _BYTES: "bytea", _INT: "int8", _TEXT: "text", _FLOAT: "float8"}
_OURS: Final = (
    (sa.Integer, _INT), (sa.Float, _FLOAT), (sa.Boolean, _BOOL), (sa.LargeBinary, _BYTES), (sa.String, _TEXT),
)  # fmt: skip


class _Array:
    """Values of a column, as PostgreSQL takes an array in binary."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class _ArrayDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: _Array) -> Buffer:
        return obj.data


_KINDS: Final[dict[int, type[_Array]]] = {number: type(f"_Array{number}", (_Array,), {}) for number in _ARRAYS}
for _number, _kind in _KINDS.items():
    psycopg.adapters.register_dumper(_kind, type(f"_Dumper{_number}", (_ArrayDumper,), {"oid": _ARRAYS[_number]}))


def array(number: int, values: Sequence[Any]) -> _Array:
    """Return values of a column as one parameter; None and NaN are NULL."""
    whole = number == _INT and None not in values
    if whole:
        cells = np.empty(len(values), [("length", ">i4"), ("value", ">i8")])
        cells["length"], cells["value"] = 8, values
        content = cells.tobytes()
    else:
        content = b"".join(_cells(number, values))
    return _KINDS[number](struct.pack("!iiiii", 1, int(not whole), number, len(values), 1) + content)


def _cells(number: int, values: Sequence[Any]) -> list[bytes]:
    if number == _FLOAT:
        return [_NULL if v is None or v != v else _DOUBLE(8, v) for v in values]  # noqa: PLR0124 - NaN
    if number == _INT:
        return [_NULL if v is None else _WHOLE(8, v) for v in values]
    if number == _BOOL:
        return [_NULL if v is None else b"\0\0\0\1\1" if v else b"\0\0\0\1\0" for v in values]
    if number == _TEXT:
        values = [v if v is None else (v.replace("\0", "\ufffd") if "\0" in v else v).encode() for v in values]
    cells: list[bytes] = []
    for v in values:
        cells += (_NULL,) if v is None else (_LENGTH(len(v)), v)
    return cells


@cache
def numbers_of(table: sa.Table, columns: tuple[str, ...]) -> tuple[int, ...]:
    """Return the numbers of the types of columns."""
    return tuple(next(n for kind, n in _OURS if isinstance(table.c[name].type, kind)) for name in columns)


def arrays(table: sa.Table, columns: tuple[str, ...]) -> sa.Select[Any]:
    """Return rows of a table that are handed over as an array for each column, named by its place."""
    numbers = enumerate(numbers_of(table, columns))
    given: list[Any] = [sa.literal_column(f"%(c{i})s::{_NAMES[number]}[]") for i, number in numbers]
    rows = sa.func.unnest(*given).table_valued(*columns, name="rows").render_derived()
    return sa.select(*(rows.c[name] for name in columns))


def hand_over_arrays(
    connection: sa.Connection, statement: str, table: sa.Table, columns: tuple[str, ...], parts: Iterable[Sequence[Any]]
) -> None:
    """Execute a statement that takes its rows from `arrays`, once for each part of the rows."""
    numbers = numbers_of(table, columns)
    for rows in parts:
        each = zip(numbers, zip(*rows, strict=True), strict=True)
        connection.exec_driver_sql(statement, {f"c{i}": array(number, cells) for i, (number, cells) in enumerate(each)})
