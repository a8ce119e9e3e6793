"""A connection to nats-server, and requests to JetStream."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, NamedTuple

import structlog
from nats.aio.client import Client
from nats.errors import Error, NoRespondersError

from greenmine.collector.mqtt.tls import broker_tls
from greenmine.settings import Settings

STREAM: Final = "greenmine"
"""The log of what devices sent."""
SOURCE: Final = "$MQTT_msgs"
"""The stream into which nats-server puts a message before it acknowledges it."""

_PATIENCE: Final = 5.0
"""Longest time for an answer [s]."""
_GONE: Final = 10037
"""JetStream's code for a message that is not there."""
_NO_STREAM: Final = 10059

_log = structlog.get_logger(__name__)


class JetStreamError(Exception):
    """JetStream cannot be reached, or refuses what is asked; the text says what.

    Parameters
    ----------
    text : str
        What was asked, and the answer.
    code : int
        JetStream's own number of the error; 0: it has none.
    """

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.code = code


class NatsAccount(NamedTuple):
    """Who connects."""

    user: str | None
    password: str | None


def addresses(settings: Settings) -> list[str]:
    """Addresses of the servers.

    Raises
    ------
    ValueError
        One is no ``nats://host:port``, or holds a password, which would be shown wherever the address is.
    """
    found = [text.strip() for text in (settings.jetstream or "").split(",") if text.strip()]
    wrong = [text for text in found if not text.startswith(("nats://", "tls://"))]
    if wrong or not found:
        raise ValueError(
            f"GREENMINE_JETSTREAM names '{', '.join(wrong)}'; write such as nats://10.0.0.1:4222, with commas"
        )
    if any("@" in text for text in found):
        raise ValueError("GREENMINE_JETSTREAM holds a password; put it into GREENMINE_BROKER_PASSWORD")
    return found


async def connected(settings: Settings, account: NatsAccount | None = None) -> Client:
    """Connect to one of the servers; a connection that is lost is not made again by itself.

    Parameters
    ----------
    settings : Settings
        ``jetstream`` says where, ``broker_tls`` and its files how, ``broker_user`` and ``broker_password`` as whom.
    account : NatsAccount, optional
        As whom instead.

    Raises
    ------
    JetStreamError
        None of them can be reached, or they do not let us in.
    """
    password = settings.broker_password
    who = account or NatsAccount(settings.broker_user, None if password is None else password.get_secret_value())
    servers = addresses(settings)
    reasons: list[str] = []

    async def note(error: Exception) -> None:
        reasons.append(str(error) or type(error).__name__)
        _log.debug("trouble with nats-server", error=reasons[-1])

    for server in random.sample(servers, len(servers)):
        client = Client()
        try:
            await client.connect(
                server,
                name=settings.broker_client,
                user=who.user,
                password=who.password,
                tls=broker_tls(settings),
                allow_reconnect=False,
                max_reconnect_attempts=1,  # even so it would try one that is not there for two minutes
                reconnect_time_wait=0,
                connect_timeout=int(_PATIENCE),
                error_cb=note,
                inbox_prefix=inbox(who.user),
            )
        except (Error, OSError) as error:
            reasons.append(str(error) or type(error).__name__)
            await closed(client)
        else:
            return client
    raise JetStreamError(f"{', '.join(servers)}: {'; '.join(dict.fromkeys(reasons))}")


def inbox(user: str | None) -> str:
    """Where answers for an account go, so that no other account need be allowed to read them."""
    return "_INBOX" if user is None else f"_INBOX_{user}"


async def asked(client: Client, api: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Ask JetStream and return its answer.

    Parameters
    ----------
    client : Client
        A connection.
    api : str
        What is asked, such as ``STREAM.INFO.greenmine``.
    body : mapping, optional
        As JSON.

    Raises
    ------
    JetStreamError
        It refuses, or does not answer.
    """
    content = b"" if body is None else json.dumps(body).encode()
    try:
        reply = await client.request(f"$JS.API.{api}", content, timeout=_PATIENCE)
    except NoRespondersError as error:
        raise JetStreamError(f"{api}: the server has no JetStream for this account") from error
    except (Error, OSError) as error:
        raise JetStreamError(f"{api}: no answer in {_PATIENCE:.0f} s; may this account ask it?") from error
    answer: dict[str, Any] = json.loads(reply.data)
    refusal = answer.get("error")
    if refusal is not None:
        raise JetStreamError(f"{api}: {refusal.get('description', 'refused')}", int(refusal.get("err_code", 0)))
    return answer


async def stream_info(client: Client, name: str) -> dict[str, Any] | None:
    """Configuration, state and sources of a stream; None: there is no such stream.

    Raises
    ------
    JetStreamError
        See `asked`.
    """
    try:
        return await asked(client, f"STREAM.INFO.{name}")
    except JetStreamError as error:
        if error.code == _NO_STREAM:
            return None
        raise


async def stored_stamp(client: Client, stream: str, position: int) -> int | None:
    """When a message was put into a stream [ns UTC]; None: it is not there any more.

    Raises
    ------
    JetStreamError
        See `asked`.
    """
    try:
        answer = await asked(client, f"STREAM.MSG.GET.{stream}", {"seq": position})
    except JetStreamError as error:
        if error.code == _GONE:
            return None
        raise
    return nanoseconds(str(answer["message"]["time"]))


def nanoseconds(text: str) -> int:
    """Read an instant of RFC 3339 in UTC, with up to nine digits of a second, as JetStream writes it [ns UTC]."""
    whole, _, part = text.removesuffix("Z").partition(".")
    seconds = int(datetime.fromisoformat(f"{whole}+00:00").timestamp())
    return seconds * 1_000_000_000 + int(part.ljust(9, "0") or 0)


async def closed(client: Client) -> None:
    """Close a connection, whatever its state."""
    with suppress(Error, OSError):
        await client.close()
