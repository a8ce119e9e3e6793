"""The live stream: new values and changed exceedances as server-sent events."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.exc import SQLAlchemyError

from api.context import Context, now
from api.queries import Queries, Scope
from api.times import local
from api.views import exceedance_view

POLL_SECONDS: Final = 1.0
HEARTBEAT_SECONDS: Final = 15.0
CHECK_SECONDS: Final = 10.0
"""How often a stream makes sure that its session goes on or its token is good."""
PAGE: Final = 500
"""Exceedances handed out at once; more follow with the next look."""

_CURSOR = re.compile(r"(\d{1,18})-(\d{1,18})-(\d{1,18})")


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a client has read: number of the newest block, time [ms] and id of the newest exceedance change."""

    block: int
    changed: int
    exceedance: int

    def __str__(self) -> str:
        return f"{self.block}-{self.changed}-{self.exceedance}"

    @staticmethod
    def parse(text: str) -> Cursor | None:
        """Cursor of an event id; None if it is none of ours."""
        match = _CURSOR.fullmatch(text)
        return Cursor(*map(int, match.groups())) if match else None


def start_cursor(queries: Queries) -> Cursor:
    """Where a stream without ``Last-Event-ID`` begins: now."""
    return Cursor(queries.newest_block(), *queries.newest_change())


def look(queries: Queries, scope: Scope, cursor: Cursor, time: int) -> tuple[Cursor, list[bytes]]:
    """Events since a cursor, and the cursor behind them.

    Of several new readings of a channel the newest counts: ``latest`` carries states, not a log. Changes of exceedances are
    all handed out, in their order.
    """
    events: list[bytes] = []
    block, numbers = queries.changed_channels(scope, cursor.block)
    if block != cursor.block:
        cursor = Cursor(block, cursor.changed, cursor.exceedance)
        items = _values(queries, scope, numbers)
        if items:
            events.append(_event("latest", cursor, {"items": items}))
    for row in queries.changed_exceedances(scope, (cursor.changed, cursor.exceedance), PAGE):
        cursor = Cursor(cursor.block, row.changed, row.id)
        events.append(_event("exceedance", cursor, exceedance_view(queries.registry, row, time)))
    return cursor, events


async def stream(
    context: Context, scope: Scope, last: Cursor | None, admitted: Callable[[], bool]
) -> AsyncIterator[bytes]:
    """Stream of events that ends with the server, and with the right to see it.

    Comments keep the connection alive; a record that cannot be read is waited for.
    """
    cursor = last
    silent = unchecked = 0.0
    yield b"retry: 2000\n\n"
    while not context.closing.is_set():
        if unchecked >= CHECK_SECONDS:
            unchecked = 0.0
            if not await run_in_threadpool(admitted):
                return
        unchecked += POLL_SECONDS
        try:
            cursor, events = await run_in_threadpool(_poll, context, scope, cursor)
        except SQLAlchemyError:
            events = []
        for event in events:
            yield event
        silent = 0.0 if events else silent + POLL_SECONDS
        if silent >= HEARTBEAT_SECONDS:
            silent = 0.0
            yield b": still here\n\n"
        await asyncio.sleep(POLL_SECONDS)


def _poll(context: Context, scope: Scope, cursor: Cursor | None) -> tuple[Cursor, list[bytes]]:
    with context.record.queries() as queries:
        if cursor is None or cursor.block > queries.newest_block():  # the latter: of a record that was replaced
            cursor = start_cursor(queries)
            return cursor, [_event("ready", cursor, {})]
        return look(queries, scope, cursor, now())


def _values(queries: Queries, scope: Scope, numbers: list[int]) -> list[dict[str, Any]]:
    channels = queries.channels(scope)
    health = queries.health(scope)
    items = []
    for number, newest in queries.newest(scope, numbers).items():
        channel = channels[number]
        zone = queries.registry.site(channel.site).zone
        state = health.get(channel.key)
        good = newest.valid
        items.append(
            {
                "channel": channel.key,
                "value": float(good["value"]) if good is not None else None,
                "time": local(int(good["time"]), zone) if good is not None else None,
                "flag": chr(good["flag"]) if good is not None else None,
                "last_time": local(int(newest.last["time"]), zone),
                "last_flag": chr(newest.last["flag"]),
                "health": state.state if state else "unknown",
            }
        )
    return items


def _event(kind: str, cursor: Cursor, data: Any) -> bytes:
    return b"event: %b\nid: %b\ndata: %b\n\n" % (kind.encode(), str(cursor).encode(), msgspec.json.encode(data))
