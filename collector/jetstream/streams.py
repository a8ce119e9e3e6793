"""The streams: what they have to be, what they are, and how one becomes the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from nats.aio.client import Client

from greenmine.collector.jetstream.connection import SOURCE, STREAM, asked, stream_info
from greenmine.collector.jetstream.subjects import LOG

_DAY: Final = 86_400_000_000_000
"""[ns]"""
_SOURCE_DAYS: Final = 1
"""How long the stream of MQTT keeps what the log has taken over long before."""


def wanted_streams(days: int, copies: int) -> dict[str, dict[str, Any]]:
    """Configuration of both streams, in the order in which they are made.

    nats-server acknowledges a message of MQTT when it is in its own stream, `SOURCE`. Made by itself that stream keeps a message
    only while somebody is known to want it; made here it keeps all of them for a day, whoever is there. The log takes them over
    from there by their numbers. A log that took them by their subjects instead would miss what was acknowledged while its leader
    changed.

    Parameters
    ----------
    days : int
        How long the log keeps a message.
    copies : int
        How many nodes keep it.
    """
    common = {"retention": "limits", "storage": "file", "discard": "new", "num_replicas": copies}
    return {
        SOURCE: {"name": SOURCE, "subjects": [f"{LOG}>"], "max_age": _SOURCE_DAYS * _DAY, **common},
        STREAM: {"name": STREAM, "sources": [{"name": SOURCE}], "max_age": days * _DAY, **common},
    }


def deviations(wanted: Mapping[str, Any], found: Mapping[str, Any] | None) -> list[str]:
    """In what a stream is not as it should be, as sentences; empty: in nothing.

    Parameters
    ----------
    wanted : mapping
        One of `wanted_streams`.
    found : mapping or None
        Its configuration as the server tells it; None: there is none.
    """
    if found is None:
        return [f"there is no stream {wanted['name']}"]
    if wanted.get("sources") and not found.get("sources"):
        return [f"stream {wanted['name']} does not source {SOURCE}"]
    return [
        f"{name} of stream {wanted['name']} is {_shown(found, name)}, not {_shown(wanted, name)}"
        for name in wanted
        if _plain(found, name) != _plain(wanted, name)
    ]


async def bring_about(client: Client, wanted: Mapping[str, Mapping[str, Any]], *, dry: bool) -> list[str]:
    """Make or change streams so that they are as they should be, and return what was done, or would be.

    Parameters
    ----------
    client : Client
        A connection whose account may do that.
    wanted : mapping
        From `wanted_streams`.
    dry : bool
        Only look.

    Raises
    ------
    JetStreamError
        The server refuses; what was done before stays.
    """
    done: list[str] = []
    for name, config in wanted.items():
        info = await stream_info(client, name)
        before = None if info is None else info["config"]
        differences = deviations(config, before)
        if not differences:
            continue
        done += [f"made {name}"] if before is None else differences
        if not dry:
            whole = {**(before or {}), **config}
            await asked(client, f"STREAM.{'CREATE' if before is None else 'UPDATE'}.{name}", whole)
    return done


def _plain(config: Mapping[str, Any], name: str) -> Any:
    value = config.get(name)
    return [source["name"] for source in value] if name == "sources" and value else value


def _shown(config: Mapping[str, Any], name: str) -> str:
    value = _plain(config, name)
    return f"{value / _DAY:g} d" if name == "max_age" and value is not None else str(value)
