"""The uplink as a whole: all feeds of a plan, until it is told to stop."""

from __future__ import annotations

import asyncio
import threading
from typing import Final

import structlog

from greenmine import times
from greenmine.errors import StoreError
from greenmine.files import alone
from greenmine.loading import load_registry
from greenmine.record.blocks import Blocks
from greenmine.record.record import open_engine, there_is
from greenmine.settings import Settings
from greenmine.uplink.client import Client
from greenmine.uplink.figures import UplinkFigures
from greenmine.uplink.outbox import FILE, UplinkOutbox
from greenmine.uplink.plan import load_plan

_TELL: Final = 2.0
"""How often a feed says how it is [s]."""
_GLANCE: Final = 0.2
"""How often it is looked whether to stop [s]."""

_log = structlog.get_logger(__name__)


class UplinkError(RuntimeError):
    """The uplink cannot begin; the text says why."""


def forward(settings: Settings, stop: threading.Event) -> None:
    """Send until ``stop`` is set.

    Raises
    ------
    UplinkError
        If there is no plan or no record, or another process does this already.
    PlanError
        If the plan has faults.
    """
    if settings.uplink is None:
        raise UplinkError("GREENMINE_UPLINK names no plan; docs/uplink.md says how to write one")
    if not there_is(settings.record_place):
        raise UplinkError(
            f"there is no record at {settings.record_place}; start with `greenmine run` or `greenmine demo`"
        )
    registry = load_registry(settings.registry)
    routes = load_plan(settings.uplink, registry)
    with alone(settings.data / f"{FILE}.lock", UplinkError):
        outbox = UplinkOutbox(settings.data / FILE)
        engine = open_engine(settings.record_place, read_only=True)
        figures = UplinkFigures(engine, Blocks(registry, settings.archive_place))
        try:
            asyncio.run(_serve([Client(route, outbox, figures, times.now) for route in routes], outbox, stop))
        finally:
            engine.dispose()
            outbox.close()


async def _serve(clients: list[Client], outbox: UplinkOutbox, stop: threading.Event) -> None:
    tasks = [
        asyncio.create_task(work)
        for client in clients
        for work in (client.follow(), client.caller.run(), _tell(client, outbox))
    ]
    try:
        while not stop.is_set():
            done, _ = await asyncio.wait(tasks, timeout=_GLANCE, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # none of them ends by itself: this raises
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _tell(client: Client, outbox: UplinkOutbox) -> None:
    """Say how a feed is, and log when that changes."""
    feed, caller = client.feed, client.caller
    said: tuple[bool, str] | None = None
    while True:
        state = caller.connected, caller.trouble
        if state != said:
            _log.info("uplink", feed=feed, connected=caller.connected, trouble=caller.trouble)
            said = state
        try:
            outbox.tell(feed, times.now(), connected=caller.connected, trouble=caller.trouble)
        except StoreError as error:
            _log.error("the uplink cannot say how it is", feed=feed, error=str(error))
        await asyncio.sleep(_TELL)
