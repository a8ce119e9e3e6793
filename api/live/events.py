"""The events of the live stream: new values and changed exceedances, read from the record once for everybody."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

import msgspec

from greenmine.api.http.views import exceedance_view
from greenmine.record.reader import Newest, Queries, Scope, later
from greenmine.times import local

PAGE: Final = 500
"""Exceedances read at once."""

_CURSOR = re.compile(r"(\d{1,18})-(\d{1,18})-(\d{1,18})")


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far somebody has read: number of the newest block, serial and id of the newest change of an exceedance."""

    block: int
    serial: int
    exceedance: int

    def __str__(self) -> str:
        return f"{self.block}-{self.serial}-{self.exceedance}"

    @staticmethod
    def parse(text: str) -> Cursor | None:
        """Cursor of an event id; None if it is none of ours."""
        match = _CURSOR.fullmatch(text)
        return Cursor(*map(int, match.groups())) if match else None

    @property
    def change(self) -> tuple[int, int]:
        """Serial and id of the newest change of an exceedance."""
        return self.serial, self.exceedance

    def beyond(self, other: Cursor) -> bool:
        """Whether it has read something that the other has not."""
        return self.block > other.block or self.change > other.change


@dataclass(frozen=True, slots=True)
class Event:
    """An event as it is sent, and how far one has read with it."""

    cursor: Cursor
    text: bytes


def newest_cursor(queries: Queries) -> Cursor:
    """Where a stream without ``Last-Event-ID`` begins: now."""
    return Cursor(queries.newest_block(), *queries.newest_change())


def ready(cursor: Cursor) -> Event:
    """Event at the beginning of a stream that knows of nothing before."""
    return Event(cursor, _text("ready", cursor, b"{}"))


def events_between(
    queries: Queries,
    scopes: Collection[Scope],
    after: Cursor,
    last: Cursor,
    time: int,
    *,
    pages: int | None = None,
    known: dict[int, Newest] | None = None,
) -> dict[Scope, list[Event]]:
    """Events behind a cursor up to another, for each scope.

    Of several new readings of a channel the newest counts: ``latest`` carries states, not a log. Changes of exceedances are all
    told, in their order; of several of one exceedance the last. Values and exceedances are encoded once, however many see them.

    Parameters
    ----------
    time : int
        The present instant [ms UTC], to which an open exceedance lasts.
    pages : int, optional
        How often at most ``PAGE`` exceedances are read; None: until there are no more.
    known : dict, optional
        Newest readings of channels up to ``after``, which are brought up to ``last``, so that only new blocks are read.
    """
    everything = Scope(frozenset().union(*scopes))
    events: dict[Scope, list[Event]] = {scope: [] for scope in scopes}
    if last.block > after.block:
        cursor = Cursor(last.block, after.serial, after.exceedance)
        numbers = queries.changed_channels(everything, after.block, last.block)
        newest = queries.newest(everything, [number for number in numbers if known is None or number not in known])
        if known is not None:
            for number, fresh in queries.newest_between(everything, after.block, last.block).items():
                known[number] = newest.get(number) or later(known.get(number), fresh)
            newest = {number: known[number] for number in numbers if number in known}
        values = [(site, msgspec.Raw(msgspec.json.encode(item))) for site, item in _values(queries, everything, newest)]
        for scope in scopes:
            seen = [item for site, item in values if site in scope]
            if seen:
                events[scope].append(Event(cursor, _text("latest", cursor, msgspec.json.encode({"items": seen}))))
    change = after.change
    for _ in count() if pages is None else range(pages):
        rows = queries.changed_exceedances(everything, change, last.change, PAGE)
        for row in rows:
            change = row.serial, row.id
            cursor = Cursor(last.block, *change)
            view = msgspec.json.encode(exceedance_view(queries.registry, row, time))
            event = Event(cursor, _text("exceedance", cursor, view))
            for scope in scopes:
                if row.site in scope:
                    events[scope].append(event)
        if len(rows) < PAGE:
            break
    return events


def _values(queries: Queries, scope: Scope, found: dict[int, Newest]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Site and newest state of channels."""
    channels = queries.channels(scope)
    health = queries.health(scope)
    for number, newest in found.items():
        channel = channels[number]
        zone = queries.registry.site(channel.site).zone
        state = health.get(channel.key)
        good = newest.valid
        yield (
            channel.site,
            {
                "channel": channel.key,
                "value": float(good["value"]) if good is not None else None,
                "time": local(int(good["time"]), zone) if good is not None else None,
                "flag": chr(good["flag"]) if good is not None else None,
                "last_time": local(int(newest.last["time"]), zone),
                "last_flag": chr(newest.last["flag"]),
                "health": state.state if state else "unknown",
            },
        )


def _text(kind: str, cursor: Cursor, data: bytes) -> bytes:
    return b"event: %b\nid: %b\ndata: %b\n\n" % (kind.encode(), str(cursor).encode(), data)
