from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from sqlalchemy import text

from greenmine.api.live import broadcast
from greenmine.api.live.broadcast import QUEUE, Subscriber
from greenmine.api.live.events import Cursor, Event
from greenmine.record.reader import Scope
from greenmine.registry import Registry
from tests.api.conftest import Served
from tests.api.filling import LOUD, add_exceedance, add_reading
from tests.api.serving import serving
from tests.api.signing import bearer, token_for

KEY = f"{LOUD}/boundary/tsp"
Told = tuple[str, str, Any]


def events(answer: httpx.Response) -> Iterator[Told]:
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
        said = {"kind": "acknowledged", "text": ""}
        assert live.client.post(f"/api/v1/exceedances/{number}/handling", json=said).status_code == 201
        kind, _, data = next(found)
        assert (kind, data["id"], data["acknowledged"] is not None) == ("exceedance", number, True)


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
        time.sleep(0.5)
        add_reading(live.engine, own, live.now + 60_000, 2.0)
        _, _, data = next(found)
    assert [item["channel"] for item in data["items"]] == [KEY]


def test_a_stream_survives_a_record_that_was_replaced(live: Served) -> None:
    with live.client.stream("GET", "/api/v1/events", headers={"Last-Event-ID": "999999999-0-0"}) as answer:
        assert next(events(answer))[0] == "ready"


def test_a_fault_that_lasts_ends_streams_for_longer_and_longer_and_is_counted(
    live: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broadcast, "_FIRST_REST", 1.0)

    def told() -> list[str]:
        """All that a stream says until it ends, or is ready."""
        with live.client.stream("GET", "/api/v1/events") as answer:
            said = []
            for line in answer.iter_lines():
                said.append(line)
                if line == "event: ready":
                    break
        return [line for line in said if line.startswith(("retry", "event"))]

    def faults() -> float:
        found = re.search(r"^greenmine_live_stream_faults_total (\S+)$", live.client.get("/metrics").text, re.MULTILINE)
        assert found is not None
        return float(found[1])

    with live.engine.begin() as connection:
        connection.execute(text("ALTER TABLE exceedance RENAME COLUMN serial TO hidden"))
    rests = []
    while len(rests) < 3:  # the third is of the second fault
        first, *more = told()
        assert first == "retry: 2000"
        rests += [int(line.partition(": ")[2]) for line in more]
        if len(rests) == 2:
            assert faults() == 1
            time.sleep(rests[-1] / 1000)
    assert rests[1] <= rests[0] <= 1_000 <= rests[2] <= 2_000
    with live.engine.begin() as connection:
        connection.execute(text("ALTER TABLE exceedance RENAME COLUMN hidden TO serial"))
    assert faults() == 2
    time.sleep(rests[2] / 1000)
    assert told() == ["retry: 2000", "event: ready"]


def test_streams_end_with_the_server(tmp_path: Path, registry: Registry) -> None:
    headers = bearer(token_for(tmp_path))
    with ExitStack() as stack:
        with serving(tmp_path, registry) as address:
            answer = stack.enter_context(httpx.stream("GET", f"{address}/api/v1/events", headers=headers, timeout=20))
            lines = answer.iter_lines()
            assert next(lines) == "retry: 2000"
            assert "event: ready" in (next(lines) for _ in range(3))
            start = time.monotonic()
        assert time.monotonic() - start < 4
        list(lines)  # to its end, without a broken connection


async def listen(
    client: httpx.AsyncClient, site: str, cursor: str, seen: list[int], until: int, pause: float = 0.0
) -> str:
    """Read a stream until so many exceedances were seen, or it is ready; the answer is the id of the last event."""
    headers = {"Last-Event-ID": cursor} if cursor else {}
    async with client.stream("GET", "/api/v1/events", params={"site": site}, headers=headers) as answer:
        await asyncio.sleep(pause)
        kind = ""
        async for line in answer.aiter_lines():
            name, _, text = line.partition(": ")
            match name:
                case "event":
                    kind = text
                case "id":
                    cursor = text
                case "data" if kind == "exceedance":
                    seen.append(msgspec.json.decode(text)["id"])
            if not line and kind and len(seen) >= until:
                return cursor
    raise AssertionError("the stream ended")


def test_fifty_streams_get_each_event_once_and_in_order_across_a_break(live: Served) -> None:
    """All break off and come back with the id of what they saw last; a few do not read while more is told than queues hold."""
    rules = {site: next(rule for rule in live.registry.rules if rule.site == site) for site in (LOUD, "jianggao")}
    told: dict[str, list[int]] = {site: [] for site in rules}
    streams = [("jianggao" if i % 5 == 0 else LOUD) for i in range(50)]
    seen: list[list[int]] = [[] for _ in streams]

    def commit() -> None:
        for i in range(2 * QUEUE):
            site = "jianggao" if i % 10 == 0 else LOUD
            told[site].append(add_exceedance(live.engine, rules[site], live.now + i, live.now))

    async def all_listen(client: httpx.AsyncClient, cursors: list[str], rounds: int, pause: float) -> list[str]:
        until = {site: rounds * sum((i % 10 == 0) == (site != LOUD) for i in range(2 * QUEUE)) for site in rules}
        listening = [
            listen(client, site, cursor, own, until[site], pause if i % 7 == 0 else 0.0)
            for i, (site, cursor, own) in enumerate(zip(streams, cursors, seen, strict=True))
        ]
        return await asyncio.gather(*listening)

    async def drive() -> None:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(
            base_url=live.client.base_url, headers=live.client.headers, timeout=20, limits=limits
        ) as client:
            cursors = await all_listen(client, [""] * len(streams), 0, 0.0)
            cursors, _ = await asyncio.gather(all_listen(client, cursors, 1, 1.0), asyncio.to_thread(commit))
            commit()  # while nobody listens
            await all_listen(client, cursors, 2, 0.0)

    asyncio.run(drive())
    for site, own in zip(streams, seen, strict=True):
        assert own == told[site]


def test_a_seat_whose_reader_is_slow_falls_behind_and_holds_no_more() -> None:
    async def fill() -> None:
        subscriber = Subscriber(Scope(frozenset()))
        subscriber.catch_up()
        event = Event(Cursor(1, 1, 1), b"")
        subscriber.offer([event] * QUEUE)
        assert (subscriber.behind, len(await subscriber.taken())) == (False, QUEUE)
        for _ in range(2):
            subscriber.offer([event] * QUEUE)
        assert (subscriber.behind, await subscriber.taken()) == (True, [])

    asyncio.run(fill())
