"""Delivering: each subscription by itself, so that a receiver that is slow or dead keeps nobody else waiting."""

from __future__ import annotations

import asyncio
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from functools import partial
from typing import Final, Protocol, TypeVar, assert_never

import httpcore2
import structlog

from greenmine.backoff import delay
from greenmine.errors import StoreError
from greenmine.notify import mail, robots, webhook
from greenmine.notify.broker import AlarmBroker
from greenmine.notify.event import REPORTS
from greenmine.notify.failure import DeliveryError
from greenmine.notify.http import Http
from greenmine.notify.network import GuardedBackend, networks
from greenmine.notify.outbox import Message, Outbox
from greenmine.notify.reports import attach
from greenmine.notify.subscriptions import Subscription
from greenmine.notify.targets import DingTalk, Mail, Mqtt, Target, Webhook, WeCom
from greenmine.notify.wording import NoticeWords
from greenmine.record.access import RecordAccess
from greenmine.registry import Registry
from greenmine.reporting import reporting_of
from greenmine.settings import Settings
from greenmine.tls import trusting

T = TypeVar("T")

_LONGEST: Final = 3_600.0
"""Longest delay before the next attempt [s]."""
_HOUR: Final = 3_600_000

_log = structlog.get_logger(__name__)


class Store(Protocol):
    """Calls a function with its arguments in a thread."""

    async def __call__(self, work: Callable[..., T], /, *given: object) -> T:
        """What the function gives."""
        ...


class Deliveries:
    """Sends what waits.

    Parameters
    ----------
    settings : Settings
        Mail server, broker, bounds.
    registry : Registry
        For names.
    outbox : Outbox
        What waits.
    address : str
        Of the web server, for links.
    clock : callable
        The instant [ms UTC].
    store : callable
        Does something with the outbox in a thread, which is never one that waits for somebody outside.
    """

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        outbox: Outbox,
        address: str,
        clock: Callable[[], int],
        store: Store,
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._outbox = outbox
        self._address = address
        self._clock = clock
        self._tls = trusting(settings.notify_ca, "GREENMINE_NOTIFY_CA")
        timeout = settings.notify_timeout_seconds
        self._public = Http(self._tls, GuardedBackend(networks(settings.notify_private_networks)), timeout)
        self._platforms = Http(self._tls, httpcore2.AnyIOBackend(), timeout)
        self._broker = AlarmBroker(settings)
        self._publisher = ThreadPoolExecutor(1, "broker")
        self._store = store
        self._record = RecordAccess(settings.record_place, registry, settings.archive_place)
        self._reporting = reporting_of(settings.registry)
        self._one_report = threading.Lock()
        self._running: dict[int, asyncio.Task[None]] = {}
        self._rest: dict[int, float] = {}
        self._paces: dict[Target, float] = {}

    def start(self, due: set[int], subscriptions: dict[int, Subscription]) -> None:
        """Begin to deliver to those for whom something is due, unless that goes on already or they are left to rest."""
        self._running = {number: task for number, task in self._running.items() if not task.done()}
        for number in due - self._running.keys():
            subscription = subscriptions.get(number)
            if subscription is not None and subscription.enabled and self._rest.get(number, 0.0) <= time.monotonic():
                self._running[number] = asyncio.create_task(self._deliver(subscription))

    async def close(self) -> None:
        """Break off what is under way; it is sent again after the next start."""
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        self._record.close()
        await self._public.close()
        await self._platforms.close()
        closed = asyncio.get_running_loop().run_in_executor(self._publisher, self._broker.close)
        self._publisher.shutdown(wait=False)
        await closed

    async def _deliver(self, subscription: Subscription) -> None:
        """All that is due to a subscription, one after the other, until there is no more or the receiver is down."""
        try:
            failures = subscription.failures
            while True:
                await self._pace(subscription.target)
                message = await self._store(self._outbox.next, subscription, self._clock())
                if message is None:
                    return
                works = await self._attempt(subscription, message, failures)
                self._keep_pace(subscription.target)
                if not works:
                    return
                failures = 0
        except StoreError as error:
            _log.error("notices cannot be delivered", subscription=subscription.id, error=str(error))
            self._rest[subscription.id] = time.monotonic() + self._settings.notify_retry_seconds

    async def _attempt(self, subscription: Subscription, message: Message, failures: int) -> bool:
        """Send a message; whether the receiver works."""
        number, now = subscription.id, self._clock()
        if now - message.since > self._settings.notify_give_up_hours * _HOUR:
            trouble = message.trouble or subscription.trouble or "not delivered in time"
            await self._store(self._outbox.died, message, now, trouble)
            _log.warning("notice given up", subscription=number, message=message.id, trouble=trouble)
            return True
        try:
            remark = await self._send(subscription, message)
        except DeliveryError as error:
            trouble = str(error)
            _log.warning("notice not delivered", subscription=number, message=message.id, trouble=trouble)
            if error.gone:
                await self._store(self._outbox.died, message, now, trouble)
                return True
            failed = message.attempts if error.refused else max(failures, message.attempts)
            pause = max(error.rest, delay(failed + 1, self._settings.notify_retry_seconds, _LONGEST))
            await self._store(self._outbox.failed, message, self._clock() + round(pause * 1000), trouble)
            if not error.refused:
                self._rest[number] = time.monotonic() + pause
            return error.refused
        await self._store(self._outbox.sent, message, self._clock(), remark)
        self._rest.pop(number, None)
        return True

    async def _send(self, subscription: Subscription, message: Message) -> str:
        """Hand a message over; what is to be noted although it was taken."""
        try:
            letter = await asyncio.to_thread(self._letter, subscription, message)
            async with asyncio.timeout(3 * self._settings.notify_timeout_seconds):
                return await self._hand_over(subscription, message, letter)
        except TimeoutError:
            raise DeliveryError("no answer in time") from None
        except DeliveryError:
            raise
        except Exception as error:  # a fault with one message is not to hold up the others
            trace = traceback.format_exc()  # without the values of variables, secrets among them
            _log.error("a fault of the notifier", subscription=subscription.id, message=message.id, trace=trace)
            raise DeliveryError("a fault of the notifier; its log says which", refused=True) from error

    async def _hand_over(self, subscription: Subscription, message: Message, letter: EmailMessage | None) -> str:
        wording = NoticeWords(subscription.language, self._registry, self._address)
        settings = self._settings
        match subscription.target:
            case Webhook():
                await webhook.send(self._public, subscription, message, wording, self._clock())
            case Mail():
                assert letter is not None
                return await mail.send(settings, self._tls, letter)
            case DingTalk() | WeCom() as robot:
                dingtalk, wecom = settings.notify_dingtalk_url, settings.notify_wecom_url
                text = wording.text(message.events, robots.LONGEST)
                address = dingtalk if isinstance(robot, DingTalk) else wecom
                await robots.send(self._platforms, address, robot, text, self._clock())
            case Mqtt():
                publish = partial(self._broker.publish, subscription, message, wording)
                await asyncio.get_running_loop().run_in_executor(self._publisher, publish)
            case other:
                assert_never(other)
        return ""

    def _letter(self, subscription: Subscription, message: Message) -> EmailMessage | None:
        """Write the mail of a message, with the reports that it tells of; None where it goes another way."""
        if not isinstance(subscription.target, Mail):
            return None
        wording = NoticeWords(subscription.language, self._registry, self._address)
        letter = mail.mail_of(self._settings, subscription, message, wording)
        for event in message.events:
            if event.kind in REPORTS:
                with self._one_report:  # which takes memory
                    attach(
                        letter,
                        event,
                        self._record,
                        self._registry,
                        self._reporting,
                        subscription.language,
                        self._clock(),
                    )
        return letter

    async def _pace(self, target: Target) -> None:
        """Wait for a robot's turn; two subscriptions of one robot share it."""
        if isinstance(target, DingTalk | WeCom):
            now = time.monotonic()
            turn = max(now, self._paces.get(target, now))
            self._paces[target] = turn + robots.PACE
            await asyncio.sleep(turn - now)

    def _keep_pace(self, target: Target) -> None:
        """Let the next turn be counted from now, when the robot has been told."""
        if isinstance(target, DingTalk | WeCom):
            self._paces[target] = max(self._paces[target], time.monotonic() + robots.PACE)
