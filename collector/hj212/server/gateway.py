"""The gateway for data loggers: messages are answered when the log has them, and a worker reads them from there."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Sequence
from typing import Final
from uuid import uuid4

import structlog
from nats.aio.client import Client
from nats.errors import Error

from greenmine.backoff import delay
from greenmine.collector.hj212.server.link import Arrival
from greenmine.collector.hj212.server.logged import packed
from greenmine.collector.hj212.server.server import LoggerServer
from greenmine.collector.jetstream.accounts import GATEWAY
from greenmine.collector.jetstream.connection import SOURCE, JetStreamError, NatsAccount, closed, connected
from greenmine.collector.jetstream.subjects import LOG, subject_of
from greenmine.registry import Registry
from greenmine.settings import Settings
from greenmine.topics import FRAMES

_PATIENCE: Final = 5.0
"""Longest time for the log to say that it has a message [s]."""
_LONGEST_DELAY: Final = 10.0
"""Between attempts [s]."""

_log = structlog.get_logger(__name__)


class LoggerGateway(LoggerServer):
    """Receives the frames of data loggers over TCP, and puts them into the log, without their passwords.

    A frame is answered when the log has it on the disks of as many servers as keep it. One that the log may have, but did not
    say so, is put there again with the same number, by which the log knows it for two minutes; after that it would count as
    repeated. Loggers are asked what needs no record: clock, intervals, which data to send. Gaps are not asked back.

    Parameters
    ----------
    registry : Registry
        Names the loggers.
    settings : Settings
        ``hj212_...``, and ``jetstream`` with its credentials.
    stop : threading.Event
        Ends ``run`` when set.

    Raises
    ------
    ValueError
        As from `LoggerServer`.
    """

    def __init__(self, registry: Registry, settings: Settings, stop: threading.Event) -> None:
        super().__init__(registry, settings, None, None, stop)
        password = settings.jetstream_gateway_password
        self._account = NatsAccount(GATEWAY, None if password is None else password.get_secret_value())
        self._client: Client | None = None

    async def keep(self, arrivals: Sequence[Arrival]) -> None:
        """Put messages into the log, however often that has to be tried."""
        waiting = [(uuid4().hex, arrival) for arrival in arrivals]
        failures = 0
        while waiting:
            try:
                waiting = await self._put(waiting)
            except JetStreamError as error:
                self.counters.retries += 1
                if not failures:
                    _log.error("the log takes no frames; trying again", error=str(error), frames=len(waiting))
                failures += 1
                await asyncio.sleep(delay(failures, 0.2, _LONGEST_DELAY))
        if failures:
            _log.info("the log takes frames again")

    async def _put(self, waiting: list[tuple[str, Arrival]]) -> list[tuple[str, Arrival]]:
        """Publish messages in their order; those of which the log does not say that it has them."""
        if self._client is None or not self._client.is_connected:
            await self._disconnect()
            self._client = await connected(self._settings, self._account)
        client = self._client
        said = await asyncio.gather(*(_published(client, number, arrival) for number, arrival in waiting))
        left = [one for one, error in zip(waiting, said, strict=True) if error is not None]
        if left:
            # Another server may lead by now.
            await self._disconnect()
            if len(left) == len(waiting):
                raise JetStreamError(next(filter(None, said)))
        return left

    async def _disconnect(self) -> None:
        if self._client is not None:
            await closed(self._client)
            self._client = None

    async def _end(self, committing: asyncio.Task[None]) -> None:
        await super()._end(committing)
        await self._disconnect()


async def _published(client: Client, number: str, arrival: Arrival) -> str | None:
    """Publish a message and wait until the log has it; else why it may not have it."""
    logger = arrival.logger
    subject = LOG + subject_of(FRAMES.format(site=logger.site, device=logger.device))
    content = packed(arrival.raw, arrival.segment)
    try:
        reply = await client.request(subject, content, timeout=_PATIENCE, headers={"Nats-Msg-Id": number})
        said = json.loads(reply.data)
    except (Error, OSError, ValueError) as error:
        return str(error) or type(error).__name__
    return None if said.get("stream") == SOURCE and "error" not in said else str(said.get("error", said))
