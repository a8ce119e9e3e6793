"""The collector falls behind, and catches up: what its own status says, told once each way."""

from __future__ import annotations

from typing import Final

from greenmine.entries import ALL_SITES
from greenmine.notify.event import Event, EventKind
from greenmine.notify.events import Notified
from greenmine.record.record import Engine
from greenmine.record.status import queues_since

_SUBJECT: Final = "queue"
_FRESH: Final = 60_000
"""What a worker said longer ago than this says nothing of now [ms]."""


def queue_news(engine: Engine, now: int, notified: Notified) -> tuple[list[Event], dict[str, str]]:
    """Tell if more or less waits at the broker than is told, and the states that are told with it.

    Parameters
    ----------
    engine : Engine
        Of the record; is only read.
    now : int
        The instant [ms UTC].
    notified : callable
        States that have been told.
    """
    said = queues_since(engine, now - _FRESH)
    if not said:
        return [], {}
    kind: EventKind = "queue-filling" if any(status.behind for status in said) else "queue-eased"
    if notified([_SUBJECT]).get(_SUBJECT, "queue-eased") == kind:
        return [], {}
    waiting = max(status.queue or 0 for status in said)
    data = {"megabytes": round(waiting / 1e6), "href": "/"}
    return [Event(kind, ALL_SITES, _SUBJECT, now, _SUBJECT, newest=True, data=data)], {_SUBJECT: kind}
