"""The simulated mines of the demo as a process of their own."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
import numpy as np
import sqlalchemy as sa

from greenmine.loading import load_registry
from greenmine.record import schema
from greenmine.record.blocks import COLUMNS, Blocks
from greenmine.record.record import open_engine
from greenmine.record.rows import ROW
from greenmine.record.status import WorkerStatus
from greenmine.settings import Settings
from greenmine.simulators.faults import KINDS
from greenmine.simulators.messages import Message, topic
from greenmine.simulators.mine import stream
from greenmine.simulators.presence import presence
from greenmine.simulators.publish import connection, publish

STORY: Final = "demo.json"
"""File that tells which simulated history a directory holds: start [ms UTC] and seed."""
SENT: Final = "demo-sent.json"
"""File that tells how many messages the last run without live data sent."""

_AGAIN: Final = 2 * 3_600_000
"""What was sent this long before the newest stored instant is sent again: repeats change nothing [ms]."""
_AHEAD: Final = 20_000
"""Messages that the mines may be ahead of the worker, so that the broker need not hold the whole history."""
_LOOK: Final = 2_000
"""Messages between two looks at how far the worker is."""


def stored(settings: Settings) -> tuple[int, int]:
    """Messages counted in the ledger, and the newest instant among the readings stored last [ms UTC]; 0 if none."""
    engine = open_engine(settings.record_place, read_only=True)
    block = schema.reading_block.c
    with engine.connect() as db:
        messages = db.scalar(sa.select(sa.func.sum(schema.ledger.c.messages))) or 0
        newest = db.execute(sa.select(*COLUMNS).order_by(block.id.desc()).limit(100)).all()
        # Where there is no content it was pruned, so it is long past.
        times = [np.frombuffer(Blocks().data(db, row), ROW)["time"] for row in newest if row.data]
    engine.dispose()
    return int(messages), max((int(time[-1]) for time in times), default=0)


def live(settings: Settings, stop: threading.Event) -> None:
    """Send what is missing of the history, then go on live."""
    _mines(settings, stop, None)


def past(settings: Settings, stop: threading.Event) -> None:
    """Send what is missing of the history up to now, and note how many messages that were."""
    sent = _mines(settings, stop, time.time_ns() // 1_000_000)
    (settings.data / SENT).write_text(json.dumps({"messages": sent}))


def _mines(settings: Settings, stop: threading.Event, end: int | None) -> int:
    registry = load_registry(settings.registry)
    _wait_for_the_worker(settings, time.time_ns() // 1_000_000, stop)
    story = json.loads((settings.data / STORY).read_text())
    count, newest = stored(settings)
    messages = stream(registry, [site.id for site in registry.sites], story["seed"], story["start"], end, KINDS)
    missing = (message for message in messages if message.time_sent >= newest - _AGAIN)
    paced = _paced(missing, settings, count, stop)
    host, port, access = connection(settings, None)
    topics = [topic(site.id, device.id, "status") for site in registry.sites for device in site.devices]
    with presence(topics, host, port, **access):
        if end is None:
            since = time.time_ns() // 1_000_000
            return publish(paced, host, port, speed=1.0, since=since, stop=stop, **access).messages
        return publish(paced, host, port, speed="max", stop=stop, **access).messages


def _wait_for_the_worker(settings: Settings, now: int, stop: threading.Event) -> None:
    """Wait until the worker has said after ``now`` that it is subscribed: before, the broker keeps nothing for it."""
    table = schema.worker.c
    engine = open_engine(settings.record_place, read_only=True)
    with engine.connect() as db:
        while not stop.is_set():
            said = db.scalars(sa.select(table.status).where(table.updated >= now)).first()
            db.rollback()
            if said is not None and msgspec.json.decode(said, type=WorkerStatus).connected:
                break
            stop.wait(0.05)
    engine.dispose()


def _paced(messages: Iterable[Message], settings: Settings, before: int, stop: threading.Event) -> Iterator[Message]:
    """Hold messages back while the worker is far behind."""
    for number, message in enumerate(messages):
        if number % _LOOK == 0:
            while number - (stored(settings)[0] - before) > _AHEAD and not stop.wait(0.05):
                pass
        yield message
