"""Inspection of the servers of a log: what would lose readings, and what to do about it."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any, Final, NamedTuple

from nats.aio.client import Client
from nats.aio.msg import Msg

from greenmine.collector.jetstream.configuration import OLDEST, replicas
from greenmine.collector.jetstream.connection import (
    SOURCE,
    STREAM,
    JetStreamError,
    NatsAccount,
    addresses,
    closed,
    connected,
    stream_info,
)
from greenmine.collector.jetstream.streams import deviations, wanted_streams
from greenmine.collector.mqtt.credentials import MONITOR
from greenmine.settings import Settings

_ALL: Final = "$SYS.REQ.SERVER.PING.VARZ"
"""Asks every server of a cluster how it is set up."""
_PATIENCE: Final = 2.0
"""How long all of them are waited for [s]."""
_BEHIND: Final = 60_000_000_000
"""The log has heard nothing from its source for so long [ns]: it says that it is there every few seconds."""


class LogFault(NamedTuple):
    """Something that loses readings, or will, and what to do about it."""

    what: str
    fix: str


async def log_faults(settings: Settings) -> list[LogFault]:
    """Look at servers and streams; empty: nothing is wrong."""
    try:
        client = await connected(settings)
    except JetStreamError as error:
        return [LogFault(f"no nats-server is reached: {error}", "see that it runs and its account is right")]
    try:
        streams = await _stream_faults(client, settings)
    except JetStreamError as error:
        streams = [LogFault(str(error), "greenmine cluster apply")]
    finally:
        await closed(client)
    return [*await server_faults(settings), *streams]


async def server_faults(settings: Settings) -> list[LogFault]:
    """Look at how each server is set up, whatever streams there are."""
    password = settings.jetstream_monitor_password
    if password is None:
        return [
            LogFault(
                "nobody can ask the nats-servers how they are set up",
                "set GREENMINE_JETSTREAM_MONITOR_PASSWORD, or its file in GREENMINE_SECRETS",
            )
        ]
    try:
        client = await connected(settings, NatsAccount(MONITOR, password.get_secret_value()))
    except JetStreamError as error:
        return [LogFault(f"the account {MONITOR} is not let in: {error}", "greenmine cluster init makes it")]
    expected = len(addresses(settings))
    try:
        answers = await _answers(client, expected)
    finally:
        await closed(client)
    found = [fault for answer in answers for fault in _setup_faults(answer)]
    if len(answers) < expected:
        what = f"{len(answers)} of {expected} nats-servers answer"
        found.append(LogFault(what, "start the others, or take them out of GREENMINE_JETSTREAM"))
    return found


async def _answers(client: Client, expected: int) -> list[dict[str, Any]]:
    came: list[dict[str, Any]] = []
    enough = asyncio.Event()

    async def note(message: Msg) -> None:
        came.append(json.loads(message.data))
        if len(came) >= expected:
            enough.set()

    inbox = client.new_inbox()
    await client.subscribe(inbox, cb=note)
    await client.publish(_ALL, b"", inbox)
    try:
        await asyncio.wait_for(enough.wait(), _PATIENCE)
    except TimeoutError:
        return came
    return came


def _setup_faults(answer: dict[str, Any]) -> list[LogFault]:
    """What is wrong with one server, by its own figures."""
    name, version = answer["server"]["name"], str(answer["server"]["ver"])
    found = []
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        found.append(
            LogFault(
                f"nats-server {name} is {version}, which loses readings between two streams",
                f"use {wanted} or later, by `go install` or its makers' package",
            )
        )
    figures = answer.get("data", {}).get("jetstream", {}).get("config")
    if figures is None:
        found.append(
            LogFault(f"nats-server {name} has no JetStream", "use the configuration of greenmine cluster init")
        )
    elif not figures.get("sync_always"):
        found.append(
            LogFault(
                f"nats-server {name} acknowledges before the disk is sure: its sync_interval is not always",
                "set sync_interval: always in its jetstream block, and start it again",
            )
        )
    return found


async def _stream_faults(client: Client, settings: Settings) -> list[LogFault]:
    wanted = wanted_streams(settings.jetstream_days, replicas(len(addresses(settings))))
    infos = {name: await stream_info(client, name) for name in wanted}
    configs = {name: None if info is None else info["config"] for name, info in infos.items()}
    found = [
        LogFault(what, "greenmine cluster apply")
        for name, config in wanted.items()
        for what in deviations(config, configs[name])
    ]
    log = infos[STREAM]
    for source in (log or {}).get("sources", []):
        if source["name"] == SOURCE and source.get("lag", 0) and not 0 <= source.get("active", -1) < _BEHIND:
            what = f"the log takes nothing over from {SOURCE}, where {source['lag']} messages wait"
            found.append(LogFault(what, "see the log of nats-server"))
    return found
