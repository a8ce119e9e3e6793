"""Connections and wrong passwords by address: one who tries much shuts out nobody else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from greenmine.collector.hj212.server.guard import FREE, Guesses, Places
from tests.collector.hj212.hj212_station import Station
from tests.loggers import TcpLogger

Serve = Callable[..., Station]
MN = "888880000000"
_BEGUN = time.time_ns() // 60_000_000_000 * 60_000
"""The minute of the first test: a minute that ends within a test changes nothing."""


def test_wrong_passwords_of_an_address_are_followed_by_longer_and_longer_pauses() -> None:
    guesses, now, waits = Guesses(), 0.0, []
    for _ in range(FREE + 12):
        guesses.failed("10.0.0.1", MN, now)
        waits.append(guesses.wait("10.0.0.1", "another", now))
        now += waits[-1]
    assert waits[:FREE] == [0.0] * FREE
    assert waits[FREE:] == [min(2.0**n, 900.0) for n in range(1, 13)]
    assert guesses.wait("10.0.0.2", MN, 0.0) == 0.0


def test_a_logger_that_named_itself_rightly_is_not_shut_out_by_guesses_from_its_address() -> None:
    guesses = Guesses()
    guesses.succeeded("10.0.0.1", MN)
    for _ in range(50):
        guesses.failed("10.0.0.1", "another", 0.0)
    assert guesses.wait("10.0.0.1", MN, 0.0) == 0.0
    assert guesses.wait("10.0.0.1", "another", 0.0) > 0
    for _ in range(50):
        guesses.failed("10.0.0.1", MN, 0.0)
    assert 0 < guesses.wait("10.0.0.1", MN, 0.0) <= 4


def test_addresses_without_number_take_no_memory_without_bound() -> None:
    guesses = Guesses()
    for number in range(30_000):
        guesses.failed(str(number), MN, 0.0)
    assert len(guesses._records) <= 10_000


def test_who_is_nameless_makes_room_and_a_known_logger_keeps_its_place() -> None:
    places = Places(3, 2)
    assert places.enter("logger", "a") is None
    places.name("logger")
    assert [places.enter(n, "b") for n in (1, 2)] == [None, None]
    assert places.enter(3, "b") == 1, "the longest of the two from one address"
    assert places.enter(4, "c") == 2, "the longest nameless one of all"
    places.name(4)
    assert places.enter(5, "d") == 3
    places.name(5)
    assert places.enter(6, "e") == 6, "all places are taken by known loggers"
    places.leave("logger")
    assert places.enter(7, "e") is None


@pytest.mark.parametrize("sent", [b"", b"##0"])
def test_nameless_connections_of_one_address_leave_the_loggers_their_places(serve: Serve, sent: bytes) -> None:
    station = serve(hj212_connections=60, hj212_nameless=20)

    async def talk() -> str:
        async with TcpLogger(station.port) as logger:
            await logger.upload(logger.message("2011", {"a34002-Rtd": 1.5}, time=_minute(3)))
            crowd = []
            for _ in range(200):
                _, writer = await asyncio.open_connection("127.0.0.1", station.port)
                writer.write(sent)
                crowd.append(writer)
            await asyncio.sleep(0.2)
            async with TcpLogger(station.port) as late:
                await late.upload(late.message("2011", {"a34002-Rtd": 1.55}, time=_minute(4)))
            answer = await logger.upload(logger.message("2011", {"a34002-Rtd": 1.6}, time=_minute(2)))
            for writer in crowd:
                writer.transport.abort()
            return answer.cn or ""

    assert station.talk(talk()) == "9014"
    assert [value for _, value, _ in station.readings("pm10")] == [1.55, 1.5, 1.6]


def test_guesses_do_not_shut_out_a_logger_that_is_connected(serve: Serve) -> None:
    station = serve()

    async def talk() -> list[str | None]:
        async with TcpLogger(station.port) as logger:
            said = [await logger.upload(logger.message("2011", {"a34002-Rtd": 1.5}, time=_minute(3)))]
            for number in range(2 * FREE):
                async with TcpLogger(station.port, password=f"{number:06d}") as guess:
                    guess.write(guess.message("2011", {"a34002-Rtd": 9.9}, time=_minute(1)))
                    await asyncio.to_thread(station.until, lambda n=number: station.server.counters.passwords > n)
            said.append(await logger.upload(logger.message("2011", {"a34002-Rtd": 1.6}, time=_minute(2))))
            return [message.cn for message in said]

    assert station.talk(talk()) == ["9014", "9014"]
    assert station.server.counters.passwords == 2 * FREE
    assert [value for _, value, _ in station.readings("pm10")] == [1.5, 1.6]


def test_who_connects_again_and_again_is_not_let_in_and_a_known_logger_is(serve: Serve) -> None:
    station = serve(hj212_connects="2/d")

    async def talk() -> list[str | None]:
        said = []
        for ago in (5, 4, 3):  # connects for each message
            async with TcpLogger(station.port) as logger:
                said.append(await logger.upload(logger.message("2011", {"a34002-Rtd": 1.5}, time=_minute(ago))))
        for _ in range(5):
            _, writer = await asyncio.open_connection("127.0.0.1", station.port)
            writer.transport.abort()
        await asyncio.to_thread(station.until, lambda: station.server.counters.refused == 3)
        return [message.cn for message in said]

    assert station.talk(talk()) == ["9014", "9014", "9014"]


def test_strangers_do_not_fill_the_log(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    station = serve()

    async def talk() -> None:
        for _ in range(50):
            _, writer = await asyncio.open_connection("127.0.0.1", station.port)
            writer.transport.abort()
        await asyncio.to_thread(station.until, lambda: station.server.counters.closed.total() == 50)

    station.talk(talk())
    assert capsys.readouterr().out.count("connection closed") < 10


def _minute(ago: int) -> int:
    return _BEGUN - ago * 60_000
