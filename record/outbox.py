"""A durable queue: what those who follow the record have still to hand over, and how far each has followed it.

Both are in one file of the follower's own, and move in one transaction: what is read from the record waits, or will be read again.
There are two policies. By `Policy.LATEST` an entry names something whose newest form is read when it is handed over: named again
while it waits, it only counts as changed, and it leaves when it has been taken. By `Policy.EVERY` each entry is handed over as it
was, by itself or with others in a message, and is kept for a while.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from greenmine.record.follower import Positions

metadata: Final = sa.MetaData()

cursor: Final = sa.Table(
    "cursor",
    metadata,
    sa.Column("name", sa.String(60), primary_key=True, comment="who follows"),
    sa.Column("positions", sa.Text, nullable=False, comment="JSON: greenmine.record.follower.Positions"),
    comment="Up to where the record has been followed.",
)

entry: Final = sa.Table(
    "entry",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, comment="order"),
    sa.Column("receiver", sa.String(60), nullable=False),
    sa.Column("key", sa.String(60), nullable=False, comment="what it is, among those of its receiver"),
    sa.Column("made", sa.BigInteger, nullable=False),
    sa.Column("due", sa.BigInteger, nullable=False, comment="not handed over before"),
    sa.Column("changes", sa.Integer, nullable=False, comment="how often it was named again while it waited"),
    sa.Column("data", sa.Text, nullable=False, comment="JSON; empty where it is read when it is handed over"),
    sa.Column("message", sa.String(36), comment="the message that it is handed over with; null: not yet in one"),
    sa.Column("done", sa.Boolean, nullable=False, comment="taken or given up"),
    sa.UniqueConstraint("receiver", "key"),
    sa.Index("ix_entry_waiting", "receiver", "done", "due"),
    sa.Index("ix_entry_message", "message"),
    comment="What waits for receivers, and what they have got.",
)


class Policy(Enum):
    """How entries of a receiver stand to each other."""

    LATEST = auto()
    EVERY = auto()


class EntryRow(NamedTuple):
    """A row of ``entry`` as it begins."""

    receiver: str
    key: str
    made: int
    due: int
    data: str = ""


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much waits for a receiver."""

    waiting: int = 0
    held: int = 0
    """So many of these were not to be handed over when they were made, and are not in a message yet."""
    oldest: int | None = None
    """When the first of them was due [ms UTC]."""


def positions(connection: sa.Connection, follower: str) -> Positions | None:
    """Return how far a follower has come; None if it has not begun."""
    found = connection.scalar(sa.select(cursor.c.positions).where(cursor.c.name == follower))
    return None if found is None else msgspec.json.decode(found, type=dict[str, int])


def move(connection: sa.Connection, follower: str, to: Positions) -> None:
    """Note how far a follower has come."""
    fresh = insert(cursor).values(name=follower, positions=msgspec.json.encode(to).decode())
    connection.execute(
        fresh.on_conflict_do_update(index_elements=["name"], set_={"positions": fresh.excluded.positions})
    )


def put(connection: sa.Connection, entries: Sequence[EntryRow], policy: Policy) -> None:
    """Let entries wait."""
    if entries:
        fresh = insert(entry).values(changes=0, done=False)
        if policy is Policy.LATEST:
            fresh = fresh.on_conflict_do_update(
                index_elements=["receiver", "key"], set_={"changes": entry.c.changes + 1}
            )
        connection.execute(fresh, [row._asdict() for row in entries])


def ready(now: int) -> sa.ColumnElement[bool]:
    """Return the condition for entries that may be handed over at an instant [ms UTC] and are not in a message yet."""
    return sa.and_(~entry.c.done, entry.c.message.is_(None), entry.c.due <= now)


def taken(connection: sa.Connection, receiver: str, key: str, changes: int) -> None:
    """Let an entry leave, unless it has changed since it was read."""
    e = entry.c
    connection.execute(sa.delete(entry).where(e.receiver == receiver, e.key == key, e.changes == changes))


def backlogs(connection: sa.Connection, now: int | None = None) -> dict[str, Backlog]:
    """Return how much waits for each receiver for whom something does; with an instant [ms UTC], of what is due then."""
    e = entry.c
    held = sa.and_(e.due > e.made, e.message.is_(None)).cast(sa.Integer)
    counted = sa.select(
        e.receiver,
        sa.func.count().label("waiting"),
        sa.func.sum(held).label("held"),
        sa.func.min(e.due).label("oldest"),
    ).where(~e.done)
    if now is not None:
        counted = counted.where(e.due <= now)
    return {
        row.receiver: Backlog(waiting=row.waiting, held=row.held, oldest=row.oldest)
        for row in connection.execute(counted.group_by(e.receiver))
    }
