"""What no platform has acknowledged yet, on disk: names of reports, not their content, so that the newest figures are sent."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from greenmine.record import outbox
from greenmine.record.follower import Positions
from greenmine.record.outbox import Backlog, EntryRow, Policy
from greenmine.record.record import open_engine, transaction

FILE: Final = "uplink.sqlite"
"""Name of the uplink's file in the data directory."""

_metadata = sa.MetaData()

_feed = sa.Table(
    "feed",
    _metadata,
    sa.Column("id", sa.String(60), primary_key=True),
    sa.Column("since", sa.BigInteger, nullable=False, comment="older reports are not sent unasked [ms UTC]"),
    sa.Column("acknowledged", sa.BigInteger, nullable=False, comment="reports, repetitions included"),
    sa.Column("last", sa.BigInteger, nullable=False, comment="when the newest acknowledgement came [ms UTC]"),
    sa.Column("connected", sa.Boolean, nullable=False),
    sa.Column("trouble", sa.Text, nullable=False, comment="why the last connection ended or did not come about"),
    sa.Column("told", sa.BigInteger, nullable=False, comment="when the process last said how it is [ms UTC]"),
)
_FOLLOWED: Final = ("reading_block", "statistic")
"""Tables of the record that a feed follows."""


@dataclass(frozen=True, slots=True)
class UplinkCursor:
    """How far a feed has followed the record, and from when on."""

    since: int
    block: int
    serial: int

    @property
    def positions(self) -> Positions:
        """The same for each table that is followed."""
        return dict(zip(_FOLLOWED, (self.block, self.serial), strict=True))


@dataclass(frozen=True, slots=True)
class Waiting:
    """A report that waits."""

    command: str
    start: int
    """DataTime [ms UTC]."""
    due: int
    changes: int


@dataclass(frozen=True, slots=True)
class State:
    """How a feed stands."""

    feed: str
    waiting: int
    """Reports that could be sent and are not acknowledged."""
    oldest: int | None
    """When the oldest of them could be sent [ms UTC]."""
    acknowledged: int
    last: int
    """When the newest acknowledgement came [ms UTC]; 0: never."""
    connected: bool
    trouble: str
    told: int
    """When the process last said how it is [ms UTC]."""
    followed: Positions
    """How far the record has been followed."""


class UplinkOutbox:
    """The file of the uplink.

    Parameters
    ----------
    path : Path
        SQLite file; made if it does not exist.
    read_only : bool
        For readers in other processes.

    Raises
    ------
    StoreError
        By every method, when the file cannot be read or written.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._engine = open_engine(path, read_only=read_only)
        if not read_only:
            sa.event.listen(self._engine, "connect", _relax)
            with self._transaction() as connection:
                _metadata.create_all(connection)
                outbox.metadata.create_all(connection)
                _take_over(connection)

    def _transaction(self) -> AbstractContextManager[sa.Connection]:
        return transaction(self._engine, "the uplink's file")

    def cursor(self, feed: str) -> UplinkCursor | None:
        """How far a feed has come; None: it has never been here."""
        with self._transaction() as connection:
            since = connection.scalar(sa.select(_feed.c.since).where(_feed.c.id == feed))
            reached = outbox.positions(connection, feed)
        if since is None or reached is None:
            return None
        return UplinkCursor(since, *(reached[table] for table in _FOLLOWED))

    def begin(self, feed: str, cursor: UplinkCursor) -> None:
        """Take up a feed."""
        with self._transaction() as connection:
            connection.execute(
                sa.insert(_feed).values(
                    id=feed, since=cursor.since, acknowledged=0, last=0, connected=False, trouble="", told=0
                )
            )
            outbox.move(connection, feed, cursor.positions)

    def enlist(self, feed: str, reports: Iterable[tuple[str, int, int]], cursor: UplinkCursor, now: int) -> None:
        """Let reports wait, and move the cursor past the rows they come from, in one transaction.

        Parameters
        ----------
        feed : str
            The feed.
        reports : iterable of (command, start, due)
            A report that waits already is noted as changed: the acknowledgement of its older form does not settle it.
        cursor : UplinkCursor
            The record is seen up to here.
        now : int
            The clock [ms UTC].
        """
        rows = [EntryRow(receiver=feed, key=f"{command}/{start}", made=now, due=due) for command, start, due in reports]
        with self._transaction() as connection:
            outbox.put(connection, rows, Policy.LATEST)
            outbox.move(connection, feed, cursor.positions)

    def next(self, feed: str, now: int, without: Collection[str] = ()) -> Waiting | None:
        """The report that is to be sent now: the one that could be sent first.

        Parameters
        ----------
        feed : str
            The feed.
        now : int
            The clock [ms UTC].
        without : collection of str
            Commands that are not to be sent now.
        """
        e = outbox.entry.c
        found = sa.select(e.key, e.due, e.changes).where(e.receiver == feed, outbox.ready(now))
        found = found.where(*(~e.key.startswith(f"{command}/") for command in without))
        with self._transaction() as connection:
            row = connection.execute(found.order_by(e.due, e.key).limit(1)).one_or_none()
        if row is None:
            return None
        command, start = row.key.split("/")
        return Waiting(command=command, start=int(start), due=row.due, changes=row.changes)

    def settle(self, feed: str, report: Waiting, now: int, *, acknowledged: bool) -> None:
        """A report is acknowledged, or turned out to have no content; it goes, unless it has changed meanwhile."""
        f = _feed.c
        with self._transaction() as connection:
            outbox.taken(connection, feed, f"{report.command}/{report.start}", report.changes)
            if acknowledged:
                connection.execute(
                    sa.update(_feed).where(f.id == feed).values(acknowledged=f.acknowledged + 1, last=now)
                )

    def tell(self, feed: str, now: int, *, connected: bool, trouble: str) -> None:
        """Note how a feed is, for others to read."""
        with self._transaction() as connection:
            changed = sa.update(_feed).where(_feed.c.id == feed)
            connection.execute(changed.values(connected=connected, trouble=trouble, told=now))

    def states(self, now: int) -> list[State]:
        """How all feeds stand."""
        with self._transaction() as connection:
            waiting = outbox.backlogs(connection, now)
            rows = connection.execute(sa.select(_feed).order_by(_feed.c.id)).all()
            followed = {row.id: outbox.positions(connection, row.id) or {} for row in rows}
        return [
            State(
                feed=row.id,
                waiting=waiting.get(row.id, Backlog()).waiting,
                oldest=waiting.get(row.id, Backlog()).oldest,
                acknowledged=row.acknowledged,
                last=row.last,
                connected=row.connected,
                trouble=row.trouble,
                told=row.told,
                followed=followed[row.id],
            )
            for row in rows
        ]

    def close(self) -> None:
        """Close the file."""
        self._engine.dispose()


def _relax(connection: sqlite3.Connection, _: object) -> None:
    """Do not wait for the disk at every commit: after a power cut the file is that of a moment before, and reports that were
    acknowledged since are sent once more; cursor and waiting reports go back together, so none is missed.
    """
    connection.execute("PRAGMA synchronous=NORMAL")


def _take_over(connection: sa.Connection) -> None:
    """Bring a file of before into its present form: cursors and reports had tables of the uplink's own."""
    if not sa.inspect(connection).has_table("waiting"):
        return
    for statement in (
        "INSERT INTO cursor (name, positions) SELECT id, json_object('reading_block', block, 'statistic', serial) FROM feed",
        """INSERT INTO entry (receiver, key, made, due, changes, data, done)
           SELECT feed, command || '/' || start, due, due, changes, '', 0 FROM waiting""",
        "ALTER TABLE feed DROP COLUMN block",
        "ALTER TABLE feed DROP COLUMN serial",
        "DROP TABLE waiting",
    ):
        connection.exec_driver_sql(statement)
