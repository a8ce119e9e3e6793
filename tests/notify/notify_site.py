"""A record that changes, receivers outside, and the notifier between them."""

from __future__ import annotations

import email
import email.policy
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from aiosmtpd.controller import Controller
from sqlalchemy import insert, update

from greenmine.loading import load_registry
from greenmine.notify.service import run
from greenmine.notify.store import Notices
from greenmine.record import schema
from greenmine.record.record import Record, migrate, next_serial, open_engine
from greenmine.registry import Registry
from greenmine.settings import Settings
from tests.records import record_in, record_setting

HOUR = 3_600_000
START = 1_795_269_600_000
"""2026-11-21 22:00 in Shanghai."""


def now() -> int:
    return time.time_ns() // 1_000_000


def until(condition: Callable[[], object], what: str, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


class Mine:
    """A record as the worker writes it: every row with the number of its transaction."""

    def __init__(self, data: Path) -> None:
        self.registry: Registry = load_registry()
        self.engine = open_engine(record_in(data))
        migrate(self.engine)
        self.numbers = Record(self.engine, self.registry).channel_ids.tolist()

    def rule(self, site: str, kind: str = "legal") -> Any:
        return next(r for r in self.registry.rules if r.site == site and r.limit.kind == kind)

    def begin(self, site: str, kind: str = "legal", start: int = START, **more: Any) -> int:
        """Begin an exceedance; its number."""
        rule = self.rule(site, kind)
        row = {
            "rule": rule.key, "site": site, "start": start, "end": None, "state": "open", "peak": 1234.5,
            "peak_time": start + 60_000, "threshold": 1000.0, "minutes": 7, "revision": 0, "changed": start + 1, **more,
        }  # fmt: skip
        with self.engine.begin() as connection:
            serial = next_serial(connection)
            made = insert(schema.exceedance).values(row | {"serial": serial}).returning(schema.exceedance.c.id)
            return int(connection.execute(made).scalar_one())

    def change(self, number: int, **values: Any) -> None:
        with self.engine.begin() as connection:
            serial = next_serial(connection)
            this = schema.exceedance.c.id == number
            connection.execute(update(schema.exceedance).where(this).values(serial=serial, **values))

    def health(self, states: dict[str, str], since: int = START) -> None:
        """States of channels by their keys."""
        keys = {c.key: c.index for c in self.registry.channels}
        with self.engine.begin() as connection:
            serial = next_serial(connection)
            rows = [
                {
                    "channel": self.numbers[keys[key]],
                    "state": state,
                    "since": since,
                    "detail": "no valid reading",
                    "serial": serial,
                }
                for key, state in states.items()
            ]
            connection.execute(insert(schema.health), rows)

    def capture(self, key: str, share: float, start: int = START, revision: int = 0) -> None:
        """Capture of a day."""
        channel = next(c for c in self.registry.channels if c.key == key)
        row = {
            "channel": self.numbers[channel.index], "window": "day", "start": start, "revision": revision, "latest": True,
            "end": start + 24 * HOUR, "count": 1, "expected": 1, "capture": share, "valid": False, "excluded": 0, "suspect": 0,
            "reason": "first", "issued": start,
        }  # fmt: skip
        this = schema.statistic.c.channel == row["channel"]
        with self.engine.begin() as connection:
            connection.execute(update(schema.statistic).where(this).values(latest=False))
            connection.execute(insert(schema.statistic).values(row | {"serial": next_serial(connection)}))


class Call(NamedTuple):
    """A request that a receiver got."""

    path: str
    headers: dict[str, str]
    body: bytes
    time: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Receiver:
    """Somebody outside who is called over HTTP. ``answer`` says with which status and body, or hangs by itself."""

    def __init__(self, answer: Callable[[Call], tuple[int, dict[str, str], bytes]] | None = None) -> None:
        self.calls: list[Call] = []
        self.answer = answer or (lambda _: (200, {}, b'{"errcode": 0, "errmsg": "ok"}'))
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                call = Call(self.path, headers, body, time.monotonic())
                receiver.calls.append(call)
                status, more, content = receiver.answer(call)
                self.send_response(status)
                for name, value in (more | {"Content-Length": str(len(content))}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        self.port: int = self._server.server_address[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def receiving(answer: Callable[[Call], tuple[int, dict[str, str], bytes]] | None = None) -> Iterator[Receiver]:
    receiver = Receiver(answer)
    try:
        yield receiver
    finally:
        receiver.close()


def settings_of(data: Path, **more: Any) -> Settings:
    given = {
        "data": data, "notify_private_networks": "127.0.0.0/8", "notify_retry_seconds": 0.2, "notify_timeout_seconds": 5,
        "public_url": "https://mines.example.org", **record_setting(data), **more,
    }  # fmt: skip
    return Settings(**given)


@contextmanager
def notifying(settings: Settings) -> Iterator[None]:
    """The notifier in a thread, having looked at the record once."""
    stop = threading.Event()
    thread = threading.Thread(target=run, args=(settings, stop))
    thread.start()
    notices = Notices(settings)
    try:
        until(lambda: notices.outbox.serial() is not None, "a first look")
        yield
    finally:
        stop.set()
        thread.join(20)
        notices.close()
        assert not thread.is_alive()


class MailServer(Controller):
    """A mail server on any free port."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


class Mailbox:
    """What a mail server took."""

    def __init__(self) -> None:
        self.mails: list[Any] = []

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802
        if address.startswith("gone"):
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        self.mails.append((list(envelope.rcpt_tos), message_from_bytes(envelope.content, policy=email.policy.default)))
        return "250 OK"
