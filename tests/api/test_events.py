from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import msgspec

from greenmine.registry import Registry
from tests.api.conftest import Served
from tests.api.filling import LOUD, add_exceedance, add_reading
from tests.api.serving import serving
from tests.api.signing import bearer, token_for

KEY = f"{LOUD}/boundary/tsp"
Event = tuple[str, str, Any]


def events(answer: httpx.Response) -> Iterator[Event]:
    """Kind, id and data of the events of a stream."""
    fields: dict[str, str] = {}
    for line in answer.iter_lines():
        if line:
            name, _, text = line.partition(": ")
            fields[name] = text
        elif "event" in fields:
            yield fields["event"], fields["id"], msgspec.json.decode(fields["data"])
            fields = {}


def test_a_new_value_and_an_exceedance_arrive(live: Served) -> None:
    channel = next(channel for channel in live.registry.channels if channel.key == KEY)
    with live.client.stream("GET", "/api/v1/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        found = events(answer)
        assert next(found)[0] == "ready"
        add_reading(live.engine, channel, live.now + 60_000, 321.5)
        kind, _, data = next(found)
        assert kind == "latest"
        assert [(item["channel"], item["value"]) for item in data["items"]] == [(KEY, 321.5)]
        rule = next(rule for rule in live.registry.rules if rule.site == LOUD)
        number = add_exceedance(live.engine, rule, live.now, live.now + 61_000)
        kind, _, data = next(found)
        assert (kind, data["id"], data["state"]) == ("exceedance", number, "open")


def test_a_resumed_stream_loses_and_repeats_nothing(live: Served) -> None:
    rule = next(rule for rule in live.registry.rules if rule.site == LOUD)
    seen: list[int] = []
    with live.client.stream("GET", "/api/v1/events") as answer:
        found = events(answer)
        _, cursor, _ = next(found)
        first = [add_exceedance(live.engine, rule, live.now + i, live.now + 1_000) for i in range(3)]
        for _ in range(2):  # of three changes at one instant, two are read before the line breaks
            kind, cursor, data = next(found)
            assert kind == "exceedance"
            seen.append(data["id"])
    missed = [add_exceedance(live.engine, rule, live.now + i, live.now + 2_000 + i) for i in range(4)]
    with live.client.stream("GET", "/api/v1/events", headers={"Last-Event-ID": cursor}) as answer:
        found = events(answer)
        while len(seen) < 7:
            kind, cursor, data = next(found)
            assert kind == "exceedance"
            seen.append(data["id"])
    assert seen == first + missed


def test_values_missed_while_away_arrive_once(live: Served) -> None:
    channels = [channel for channel in live.registry.channels if channel.site == LOUD][:3]
    with live.client.stream("GET", "/api/v1/events") as answer:
        _, cursor, _ = next(events(answer))
    for i, channel in enumerate(channels):
        add_reading(live.engine, channel, live.now + 60_000, float(i))
        add_reading(live.engine, channel, live.now + 120_000, 10.0 + i)
    with live.client.stream("GET", "/api/v1/events", headers={"Last-Event-ID": cursor}) as answer:
        found = events(answer)
        kind, _, data = next(found)
        assert kind == "latest"
        assert {(item["channel"], item["value"]) for item in data["items"]} == {
            (channel.key, 10.0 + i) for i, channel in enumerate(channels)
        }
        add_reading(live.engine, channels[0], live.now + 180_000, 77.0)
        _, _, data = next(found)
        assert [item["value"] for item in data["items"]] == [77.0]


def test_a_stream_of_one_site_carries_no_other(live: Served) -> None:
    other = next(channel for channel in live.registry.channels if channel.site != LOUD)
    own = next(channel for channel in live.registry.channels if channel.key == KEY)
    with live.client.stream("GET", "/api/v1/events", params={"site": LOUD}) as answer:
        found = events(answer)
        next(found)
        add_reading(live.engine, other, live.now + 60_000, 1.0)
        time.sleep(1.5)
        add_reading(live.engine, own, live.now + 60_000, 2.0)
        _, _, data = next(found)
    assert [item["channel"] for item in data["items"]] == [KEY]


def test_a_stream_survives_a_record_that_was_replaced(live: Served) -> None:
    with live.client.stream("GET", "/api/v1/events", headers={"Last-Event-ID": "999999999-0-0"}) as answer:
        assert next(events(answer))[0] == "ready"


def test_streams_end_with_the_server(tmp_path: Path, registry: Registry) -> None:
    headers = bearer(token_for(tmp_path))
    with ExitStack() as stack:
        with serving(tmp_path, registry) as address:
            answer = stack.enter_context(httpx.stream("GET", f"{address}/api/v1/events", headers=headers, timeout=20))
            lines = answer.iter_lines()
            assert next(lines) == "retry: 2000"
            start = time.monotonic()
        assert time.monotonic() - start < 4
        assert "event: ready" in list(lines)  # and no broken connection
