"""The notifier as a whole: follow the record, deliver what follows from it, until it is told to stop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeVar

import structlog

from greenmine import times
from greenmine.files import alone
from greenmine.loading import load_registry
from greenmine.notify.delivery import Deliveries
from greenmine.notify.events import Follower
from greenmine.notify.mail import check_mail
from greenmine.notify.network import networks
from greenmine.notify.queue_news import queue_news
from greenmine.notify.reports import due
from greenmine.notify.store import Notices
from greenmine.record.follower import Attempts
from greenmine.record.record import Engine, open_engine, there_is
from greenmine.registry import Registry
from greenmine.reporting import load_reporting
from greenmine.settings import Settings
from greenmine.tls import trusting

_LOOK: Final = 1.0
"""How often the record is looked at [s]."""
_GLANCE: Final = 0.2
"""How often it is looked whether to stop, and what is due [s]."""
_BESIDE: Final = 20.0
"""How often it is looked which reports are due, and how much waits at the broker [s]."""
_PRUNE: Final = 3_600.0
"""How often old messages are forgotten [s]."""
_NAMES: Final = 64
"""Names that may be resolved at the same time."""
T = TypeVar("T")
_log = structlog.get_logger(__name__)


class NotifierError(RuntimeError):
    """The notifier cannot begin; the text says why."""


def check(settings: Settings) -> None:
    """See that the settings can be worked with.

    Raises
    ------
    ValueError
        One of them is wrong.
    """
    networks(settings.notify_private_networks)
    check_mail(settings)
    trusting(settings.notify_ca, "GREENMINE_NOTIFY_CA")


def run(settings: Settings, stop: threading.Event) -> None:
    """Follow and deliver until ``stop`` is set.

    Raises
    ------
    NotifierError
        There is no record, or another process does this already.
    ValueError
        A setting is wrong.
    """
    check(settings)
    if not there_is(settings.record_place):
        raise NotifierError(
            f"there is no record at {settings.record_place}; start with `greenmine run` or `greenmine demo`"
        )
    registry = load_registry(settings.registry)
    with alone(settings.data / "notifier.lock", NotifierError):
        notices = Notices(settings)
        engine = open_engine(settings.record_place, read_only=True)
        try:
            asyncio.run(_serve(settings, registry, notices, engine, stop))
        finally:
            engine.dispose()
            notices.close()


async def _serve(
    settings: Settings, registry: Registry, notices: Notices, engine: Engine, stop: threading.Event
) -> None:
    loop = asyncio.get_running_loop()
    # The loop resolves names of receivers in its default threads, at any pace; the outbox has its own.
    loop.set_default_executor(ThreadPoolExecutor(_NAMES, "names"))
    own = ThreadPoolExecutor(2, "outbox")

    async def store(work: Callable[..., T], /, *given: object) -> T:
        return await loop.run_in_executor(own, partial(work, *given))

    follower = Follower(registry, engine, load_reporting().summary.assessable_share)
    address = settings.public_url.split(",")[0].strip().rstrip("/")
    deliveries = Deliveries(settings, registry, notices.outbox, address, times.now, store)
    following, delivering = Attempts("notifier"), Attempts("notifier: outbox")
    looked = pruned = beside = 0.0
    try:
        while not stop.is_set():
            clock = time.monotonic()
            if (clock - looked >= _LOOK or not looked) and not following.resting:
                looked = clock
                with following.attempt():
                    if await store(_follow, follower, notices, registry):
                        looked = 0.0
                    elif clock - beside >= _BESIDE or not beside:
                        beside = clock
                        await store(_look_beside, notices, registry, engine, settings.report_hour)
            if not delivering.resting:
                with delivering.attempt():
                    if clock - pruned >= _PRUNE or not pruned:
                        pruned = clock
                        await store(notices.outbox.prune, times.now())
                    due = await store(notices.outbox.due, times.now())
                    if due:
                        found = await store(notices.subscriptions.all)
                        deliveries.start(due, {subscription.id: subscription for subscription in found})
            await asyncio.sleep(_GLANCE)
    finally:
        await deliveries.close()
        own.shutdown()


def _follow(follower: Follower, notices: Notices, registry: Registry) -> bool:
    """Let wait what follows from a portion of the record; whether there is more behind it."""
    outbox = notices.outbox
    serial = outbox.serial()
    if serial is not None:
        news = follower.look(serial, outbox.notified_states)
        if news.serial > serial:
            subscriptions = notices.subscriptions.all() if news.events else []
            outbox.enlist(news.serial, news.states, news.events, subscriptions, registry, times.now())
        if news.serial >= serial:
            return news.more
        _log.warning("the record has been replaced by an older one; following it from here")
    outbox.begin(*follower.states())
    return False


def _look_beside(notices: Notices, registry: Registry, engine: Engine, hour: int) -> None:
    """Let wait what no transaction of the record tells: reports that have become due, and that the collector falls behind."""
    outbox, now = notices.outbox, times.now()
    serial = outbox.serial()
    events, states = due(registry, hour, now, outbox.notified_states)
    more, told = queue_news(engine, now, outbox.notified_states)
    events, states = events + more, states | told
    if serial is not None and states:
        outbox.enlist(serial, states, events, notices.subscriptions.all() if events else [], registry, now)
