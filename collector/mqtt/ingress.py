"""The way in for devices, before the broker: who sends too fast waits, and all wait while the broker's queue is full.

Mosquitto acknowledges whatever it is sent and drops what its queue does not hold. Here nothing is read that it could not keep:
the sender's own connection stands still, so that it knows that nothing was taken. TLS and MQTT pass through untouched.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections import Counter
from typing import Final

import structlog
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from greenmine.budgets import Callers
from greenmine.collector.mqtt.queue import UPTIME, BrokerQueue
from greenmine.collector.mqtt.tls import broker_tls
from greenmine.settings import Settings
from greenmine.times import now

_PORTION: Final = 16_384
"""Read at once, and what a fresh connection may send before it waits [bytes]."""
_CREDIT: Final = 1.0
"""So much time's worth of the rate may be sent at once after a pause [s]."""
_SLOWER: Final = 100
"""The rate falls to this part while the queue fills."""
_SILENCE: Final = 30.0
"""A broker that has not told of its queue for this long is taken as full [s]."""
_TICK: Final = 0.5
_CONSPICUOUS: Final = 10.0
"""A connection that has waited for so long altogether is named in the log [s]."""

_log = structlog.get_logger(__name__)


class Ingress:
    """Passes connections of devices on to the broker, each at no more than its rate.

    Parameters
    ----------
    settings : Settings
        Where to listen (``ingress_...``), the broker, and the bounds.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._queue = BrokerQueue()
        self._heard = -math.inf
        self._rate = 0.0
        self._open = asyncio.Event()
        self._connections: Counter[str] = Counter()
        self._callers = Callers(settings.ingress_connects)

    async def serve(self, stop: threading.Event) -> None:
        """Listen until ``stop`` is set.

        Raises
        ------
        OSError
            The port cannot be listened on, or a certificate cannot be read.
        """
        settings = self._settings
        watching = self._watching(asyncio.get_running_loop())
        listening = await asyncio.start_server(
            self._accept, settings.ingress_host.split(","), settings.ingress_port, limit=_PORTION, backlog=1_024
        )
        _log.info(
            "listening for devices", port=settings.ingress_port, broker=f"{settings.broker_host}:{settings.broker_port}"
        )
        try:
            async with listening:
                while not stop.is_set():
                    self._weigh()
                    await asyncio.sleep(_TICK)
        finally:
            watching.disconnect()
            watching.loop_stop()

    # What waits at the broker.

    def _watching(self, loop: asyncio.AbstractEventLoop) -> Client:
        """A client of the broker in a thread of its own, which tells of the queue."""
        settings = self._settings
        client = Client(CallbackAPIVersion.VERSION2)
        if settings.ingress_user is not None:
            password = settings.ingress_password
            client.username_pw_set(settings.ingress_user, None if password is None else password.get_secret_value())
        tls = broker_tls(settings)
        if tls is not None:
            client.tls_set_context(tls)

        def subscribe(*_: object) -> None:
            client.subscribe([(BrokerQueue.TOPIC, 0), (UPTIME, 0)])

        def tell(_client: Client, _data: object, message: MQTTMessage) -> None:
            loop.call_soon_threadsafe(self._told, message.topic, bytes(message.payload))

        client.on_connect = subscribe
        client.on_message = tell
        client.connect_async(settings.broker_host, settings.broker_port)
        client.loop_start()
        return client

    def _told(self, topic: str, payload: bytes) -> None:
        self._heard = asyncio.get_running_loop().time()
        self._queue.told(topic, payload)
        self._weigh()

    def _weigh(self) -> None:
        """Set the rate of all connections by what waits at the broker."""
        size, bound, full = self._queue.size, self._settings.broker_queue, self._settings.ingress_rate
        if asyncio.get_running_loop().time() - self._heard > _SILENCE or size is None or size >= bound:
            rate = 0.0
        else:
            rate = full / _SLOWER if self._queue.filling(bound) else full
        if rate != self._rate:
            say = _log.info if rate == full else _log.warning
            say("bytes a second that a connection may send", rate=rate, queue=size, bound=bound)
        if rate:
            self._open.set()
        else:
            self._open.clear()
        self._rate = rate

    # Connections.

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = str((writer.get_extra_info("peername") or ("unknown",))[0])
        if not self._admitted(address):
            writer.transport.abort()
            return
        self._connections[address] += 1
        try:
            await self._connect(reader, writer, address)
        except OSError as error:  # one of both ends is gone: so is the other
            _log.debug("a connection ended", address=address, error=str(error))
        except asyncio.CancelledError:
            pass  # at the end; the server's own callback takes a cancelled task for a fault
        finally:
            writer.close()
            self._connections[address] -= 1
            if not self._connections[address]:
                del self._connections[address]

    def _admitted(self, address: str) -> bool:
        """Tell if an address may have one more connection."""
        if self._connections[address] >= self._settings.ingress_connections:
            return False
        return self._callers.admits(address, now())

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str) -> None:
        settings = self._settings
        theirs, ours = await asyncio.open_connection(settings.broker_host, settings.broker_port, limit=_PORTION)
        ways = {
            asyncio.create_task(self._forward(reader, ours, address)),
            asyncio.create_task(_backward(theirs, writer)),
        }
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in done:
                way.result()
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            ours.close()

    async def _forward(self, device: asyncio.StreamReader, broker: asyncio.StreamWriter, address: str) -> None:
        """Pass on what a device sends, no faster than it may."""
        clock = asyncio.get_running_loop().time
        ahead, waited, named = clock(), 0.0, False
        while portion := await device.read(_PORTION):
            await self._open.wait()
            broker.write(portion)
            await broker.drain()
            # The generic cell rate algorithm, as in `greenmine.budgets`, but who is ahead waits instead of being refused.
            ahead = max(ahead, clock() - _CREDIT) + len(portion) / (self._rate or self._settings.ingress_rate)
            pause = ahead - clock()
            if pause > 0:
                waited += pause
                if waited > _CONSPICUOUS and not named:
                    named = True
                    _log.warning("a connection sends more than it may and is held back", address=address)
                await asyncio.sleep(pause)


async def _backward(broker: asyncio.StreamReader, device: asyncio.StreamWriter) -> None:
    """Pass on what the broker answers."""
    while portion := await broker.read(_PORTION):
        device.write(portion)
        await device.drain()


def ingress(settings: Settings, stop: threading.Event) -> None:
    """Let devices in until ``stop`` is set.

    Raises
    ------
    OSError
        As `Ingress.serve`.
    """

    async def serve() -> None:
        await Ingress(settings).serve(stop)

    asyncio.run(serve())
