"""Following the record: positions in it, how far behind one is, portions, and attempts that may fail.

Each of those who follow keeps a position for every table that it reads: the projection in `greenmine.record.bucket_cursors`,
uplink and notifier in `greenmine.record.outbox`, the worker in the record itself, and the live stream in memory, as its readers
say where they are.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import sqlalchemy as sa
import structlog

from greenmine.backoff import delay
from greenmine.errors import StoreError
from greenmine.record import schema
from greenmine.record.record import DatabaseError, last_number

BY_ID: Final = (schema.rejection, schema.mark, schema.reading_block)
"""Tables whose rows say the same for ever, however they are packed: followed by their id."""
BY_SERIAL: Final = (
    schema.exceedance, schema.health, schema.verdict, schema.statistic, schema.sliding_hour, schema.ledger,
)  # fmt: skip
"""Tables whose rows are changed: followed by the number of the transaction that did it last."""
_CLOCK: Final = {
    "reading_block": "received", "rejection": "received", "mark": "made", "statistic": "issued", "verdict": "issued",
    "exceedance": "changed", "mark_request": "made", "registry_change": "time",
}  # fmt: skip
"""Column that tells when a row was written; whatever changes the other tables changes one of these too."""
FOLLOWED: Final = tuple(table.name for table in (*BY_ID, *BY_SERIAL))
"""Tables of the projection, which needs everything."""
_KEY: Final = {table.name: table.c.id for table in BY_ID} | {
    table.name: table.c.serial for table in (*BY_SERIAL, schema.mark_request, schema.registry_change)
}
"""Column that grows with every row written, of each table that somebody follows."""
COMPARED: Final = "reported-compared"
"""Key in the table ``meta``: up to which transaction our statistics have been set beside reports of data loggers."""
PORTION: Final = 1_000
"""Transactions that are looked at together at most."""
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 10.0
"""Between two attempts while the record cannot be read [s]."""

Positions = Mapping[str, int]
"""For each table the id or serial up to which its rows have been written; -1 if none."""

_log = structlog.get_logger(__name__)


_PASSING: Final = frozenset({
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_INTERRUPT,
})  # fmt: skip
"""Result codes of SQLite that say how things are now, and nothing of the statement."""

_PASSING_STATES: Final = ("08", "25006", "28", "40", "53", "55", "57", "58")
"""Likewise beginnings of SQLSTATE of PostgreSQL: connection, a standby, no admission, deadlock, full, locked, shut down, disk."""


def passes(error: StoreError | DatabaseError) -> bool:
    """Return whether what failed may go well later: a database is locked, full or out of reach, or there is none yet."""
    cause = error.__cause__ if isinstance(error, StoreError) else error
    told = getattr(cause, "orig", cause)
    if isinstance(told, sqlite3.Error):
        return getattr(told, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF in _PASSING
    state = getattr(told, "sqlstate", None)
    if state is not None:
        return str(state).startswith(_PASSING_STATES)
    passing = sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError
    return not isinstance(cause, DatabaseError) or isinstance(cause, passing)


class Attempts:
    """Attempts to follow the record; one that fails is logged once, and the next ones come after pauses that grow.

    What cannot go well later, as a statement that a database does not understand, is raised: whoever started the follower sees it.

    Parameters
    ----------
    follower : str
        Who follows, for the log.
    """

    def __init__(self, follower: str) -> None:
        self._follower = follower
        self._failures = 0
        self._trouble = ""
        self._again = 0.0

    @property
    def resting(self) -> bool:
        """Whether the pause after a failure lasts."""
        return time.monotonic() < self._again

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Do what is in the block; that a database cannot be read or written now ends the block only."""
        try:
            yield
        except (StoreError, DatabaseError) as error:
            if not passes(error):
                raise
            if str(error) != self._trouble:
                _log.error("cannot follow the record; trying again", follower=self._follower, error=str(error))
            self._trouble = str(error)
            self._failures += 1
            self._again = time.monotonic() + delay(self._failures, _FIRST_PAUSE, _LONGEST_PAUSE)
        else:
            self._failures, self._trouble = 0, ""


@contextmanager
def ends(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection on which is to be asked where tables end: who begins a transaction after the block sees all up to there.

    On a server, transactions of several partitions are committed in another order than that of their numbers. Those are waited
    for that are underway when the ends have been told, a few milliseconds as a rule.
    """
    with engine.connect() as connection:
        yield connection
        if connection.dialect.name != "sqlite":
            from greenmine.record.postgresql import await_writers  # noqa: PLC0415 - as in `open_engine`

            await_writers(connection)


def heads(engine: sa.Engine) -> dict[str, int]:
    """Where each table of the projection ends, for who begins to read afterwards."""
    with ends(engine) as connection:
        found = {table: connection.scalar(sa.select(sa.func.max(_KEY[table]))) for table in FOLLOWED}
    return {table: -1 if end is None else int(end) for table, end in found.items()}


def newest(engine: sa.Engine) -> int:
    """Return the number of the newest transaction of the record, for who begins to read afterwards."""
    with ends(engine) as connection:
        return last_number(connection)


def behind(connection: sa.Connection, positions: Positions) -> tuple[int | None, int]:
    """What of the tables of some positions has not been followed: when its oldest row was written [ms UTC], and how many rows."""
    oldest: list[int] = []
    backlog = 0
    for table, position in positions.items():
        key = _KEY[table]
        beyond = key > position
        backlog += connection.scalar(sa.select(sa.func.count(key)).where(beyond)) or 0
        if clock := _CLOCK.get(table):
            oldest.extend(connection.scalars(sa.select(key.table.c[clock]).where(beyond).order_by(key).limit(1)))
    return min(oldest, default=None), backlog
