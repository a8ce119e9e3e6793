"""What no platform has acknowledged yet, on disk: names of reports, not their content, so that the newest figures are sent."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from greenmine.record.record import open_engine, transaction

FILE: Final = "uplink.sqlite"
"""Name of the uplink's file in the data directory."""

_metadata = sa.MetaData()

_feed = sa.Table(
    "feed",
    _metadata,
    sa.Column("id", sa.String(60), primary_key=True),
    sa.Column("since", sa.BigInteger, nullable=False, comment="older reports are not sent unasked [ms UTC]"),
    sa.Column("block", sa.BigInteger, nullable=False, comment="readings of the record are seen up to this block"),
    sa.Column("serial", sa.BigInteger, nullable=False, comment="figures of the record are seen up to this transaction"),
    sa.Column("acknowledged", sa.BigInteger, nullable=False, comment="reports, repetitions included"),
    sa.Column("last", sa.BigInteger, nullable=False, comment="when the newest acknowledgement came [ms UTC]"),
    sa.Column("connected", sa.Boolean, nullable=False),
    sa.Column("trouble", sa.Text, nullable=False, comment="why the last connection ended or did not come about"),
    sa.Column("told", sa.BigInteger, nullable=False, comment="when the process last said how it is [ms UTC]"),
)

_waiting = sa.Table(
    "waiting",
    _metadata,
    sa.Column("feed", sa.String(60), nullable=False),
    sa.Column("command", sa.String(4), nullable=False),
    sa.Column("start", sa.BigInteger, nullable=False, comment="DataTime [ms UTC]"),
    sa.Column("due", sa.BigInteger, nullable=False, comment="from when on it can be made [ms UTC]"),
    sa.Column("changes", sa.Integer, nullable=False, comment="how often its content has changed while it waited"),
    sa.PrimaryKeyConstraint("feed", "command", "start"),
    sa.Index("ix_waiting_order", "feed", "due", "command", "start"),
)


@dataclass(frozen=True, slots=True)
class UplinkCursor:
    """How far a feed has followed the record, and from when on."""

    since: int
    block: int
    serial: int


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

    def _transaction(self) -> AbstractContextManager[sa.Connection]:
        return transaction(self._engine, "the uplink's file")

    def cursor(self, feed: str) -> UplinkCursor | None:
        """How far a feed has come; None: it has never been here."""
        with self._transaction() as connection:
            c = _feed.c
            row = connection.execute(sa.select(c.since, c.block, c.serial).where(c.id == feed)).one_or_none()
        return None if row is None else UplinkCursor(*row)

    def begin(self, feed: str, cursor: UplinkCursor) -> None:
        """Take up a feed."""
        with self._transaction() as connection:
            connection.execute(
                sa.insert(_feed).values(
                    id=feed,
                    since=cursor.since,
                    block=cursor.block,
                    serial=cursor.serial,
                    acknowledged=0,
                    last=0,
                    connected=False,
                    trouble="",
                    told=0,
                )
            )

    def enlist(self, feed: str, reports: Iterable[tuple[str, int, int]], block: int, serial: int) -> None:
        """Let reports wait, and move the cursor past the rows they come from, in one transaction.

        Parameters
        ----------
        feed : str
            The feed.
        reports : iterable of (command, start, due)
            A report that waits already is noted as changed: the acknowledgement of its older form does not settle it.
        block, serial : int
            The record is seen up to here.
        """
        rows = [
            {"feed": feed, "command": command, "start": start, "due": due, "changes": 0}
            for command, start, due in reports
        ]
        with self._transaction() as connection:
            if rows:
                fresh = insert(_waiting)
                again = fresh.on_conflict_do_update(
                    index_elements=["feed", "command", "start"], set_={"changes": _waiting.c.changes + 1}
                )
                connection.execute(again, rows)
            connection.execute(sa.update(_feed).where(_feed.c.id == feed).values(block=block, serial=serial))

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
        c = _waiting.c
        found = sa.select(c.command, c.start, c.due, c.changes).where(c.feed == feed, c.due <= now)
        if without:
            found = found.where(c.command.not_in(without))
        with self._transaction() as connection:
            row = connection.execute(found.order_by(c.due, c.command, c.start).limit(1)).one_or_none()
        return None if row is None else Waiting(*row)

    def settle(self, feed: str, report: Waiting, now: int, *, acknowledged: bool) -> None:
        """A report is acknowledged, or turned out to have no content; it goes, unless it has changed meanwhile."""
        w, f = _waiting.c, _feed.c
        with self._transaction() as connection:
            connection.execute(
                sa.delete(_waiting).where(
                    w.feed == feed, w.command == report.command, w.start == report.start, w.changes == report.changes
                )
            )
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
        w, f = _waiting.c, _feed.c
        counts = sa.select(w.feed, sa.func.count().label("waiting"), sa.func.min(w.due).label("oldest"))
        counted = counts.where(w.due <= now).group_by(w.feed).subquery()
        states = sa.select(
            f.id,
            sa.func.coalesce(counted.c.waiting, 0),
            counted.c.oldest,
            f.acknowledged,
            f.last,
            f.connected,
            f.trouble,
            f.told,
        ).join(counted, counted.c.feed == f.id, isouter=True)
        with self._transaction() as connection:
            return [State(*row) for row in connection.execute(states.order_by(f.id))]

    def close(self) -> None:
        """Close the file."""
        self._engine.dispose()


def _relax(connection: sqlite3.Connection, _: object) -> None:
    """Do not wait for the disk at every commit: after a power cut the file is that of a moment before, and reports that were
    acknowledged since are sent once more; cursor and waiting reports go back together, so none is missed.
    """
    connection.execute("PRAGMA synchronous=NORMAL")
