"""Rejected payloads taken in again: what was asked for, and what the server's clock held back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from greenmine.record import schema

CLOCK: Final = "server-clock"
"""Reason of what is held until the server's clock has been set."""

_RETRY, _REJECTION = schema.retry, schema.rejection


def ask(
    connection: sa.Connection, sites: Sequence[str], device: str | None, reason: str | None, since: int, now: int
) -> tuple[int, int]:
    """Ask for rejected payloads to be taken in again.

    Parameters
    ----------
    connection : Connection
        To the record, in a transaction.
    sites : sequence of str
        Whose; with an empty one what is of no site.
    device, reason : str or None
        Of which device, and for which reason they were rejected; None: of all.
    since : int
        Received at or after this instant [ms UTC].
    now : int
        The clock [ms UTC].

    Returns
    -------
    tuple of int
        Payloads that will be taken in, and those that cannot be, as only their beginning was kept.
    """
    r = _REJECTION.c
    mine = [r.site.in_(sites), r.received >= since]
    mine += [r.device == device] if device is not None else []
    mine += [r.reason == reason] if reason is not None else []
    whole = sa.func.length(r.payload) == r.size
    asked = sa.exists().where(_RETRY.c.rejection == r.id)
    cut = connection.scalar(sa.select(sa.func.count()).where(*mine, ~whole)) or 0
    held = sa.select(r.id).where(*mine, whole)
    connection.execute(
        sa.update(_RETRY).where(_RETRY.c.state == "held", _RETRY.c.rejection.in_(held)).values(state="waiting")
    )
    new = sa.select(r.id, sa.literal(now), sa.literal("waiting")).where(*mine, whole, ~asked)
    connection.execute(sa.insert(_RETRY).from_select(["rejection", "asked", "state"], new))
    waiting = sa.select(sa.func.count()).where(_RETRY.c.state == "waiting", _RETRY.c.rejection.in_(held))
    return connection.scalar(waiting) or 0, cut


def highest(connection: sa.Connection) -> int:
    """Return the number of the newest rejection; 0 if there is none."""
    return connection.scalar(sa.select(sa.func.max(_REJECTION.c.id))) or 0


def hold(connection: sa.Connection, after: int, now: int) -> None:
    """Hold rejections for the server's clock that are newer than a number until it has been set."""
    r = _REJECTION.c
    new = sa.select(r.id, sa.literal(now), sa.literal("held")).where(
        r.id > after, r.reason == CLOCK, sa.func.length(r.payload) == r.size
    )
    connection.execute(sa.insert(_RETRY).from_select(["rejection", "asked", "state"], new))


def release(connection: sa.Connection) -> int:
    """Let everything that is held be taken in again; how many payloads that is."""
    return connection.execute(sa.update(_RETRY).where(_RETRY.c.state == "held").values(state="waiting")).rowcount


def waiting(connection: sa.Connection, limit: int) -> Sequence[Any]:
    """Return rejections that are to be taken in again, the oldest first: id, received, topic, payload."""
    r = _REJECTION.c
    due = sa.select(r.id, r.received, r.topic, r.payload).join_from(_RETRY, _REJECTION, _RETRY.c.rejection == r.id)
    return connection.execute(due.where(_RETRY.c.state == "waiting").order_by(r.id).limit(limit)).all()


def note(connection: sa.Connection, rejections: Sequence[int], now: int) -> None:
    """Note that rejections were taken in again at an instant [ms UTC]."""
    mine = _RETRY.c.rejection.in_(rejections)
    connection.execute(sa.update(_RETRY).where(mine).values(state="done", done=now))
