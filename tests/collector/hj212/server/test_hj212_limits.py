"""What the server bears: too many, too large, too fast, too slow, and whatever bytes there are."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from greenmine.collector.hj212.encode import encode_frame
from greenmine.collector.hj212.frame import read_line
from greenmine.collector.hj212.message import Message, read_message
from tests.collector.hj212.hj212_frames import DUST
from tests.collector.hj212.hj212_station import Station
from tests.loggers import TcpLogger

MINUTE = 60_000
Serve = Callable[..., Station]


def recently(minutes: int = 5) -> int:
    return (time.time_ns() // 1_000_000 // MINUTE - minutes) * MINUTE


async def ends(port: int, data: bytes = b"", *, every: float | None = None) -> bytes:
    """What a connection is told before the server closes it; with ``every``, a byte is sent so often [s]."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data if every is None else b"")
    received = asyncio.create_task(reader.read())
    try:
        for byte in data if every is not None else b"":
            if received.done():
                break
            writer.write(bytes([byte]))
            await asyncio.sleep(every or 0)
        return await received
    except ConnectionError:
        return b""
    finally:
        writer.transport.abort()


async def still_served(station: Station) -> None:
    async with TcpLogger(station.port) as logger:
        assert (await logger.upload(logger.message("2011", {"a34002-Rtd": 7}, time=recently()))).cn == "9014"


def test_a_connection_too_many_is_closed_and_the_others_go_on(serve: Serve) -> None:
    station = serve(hj212_connections=2)

    async def talk() -> None:
        async with TcpLogger(station.port) as one, TcpLogger(station.port) as two:
            await one.upload(one.message("2011", {"a34002-Rtd": 7}, time=recently()))
            await two.upload(two.message("2011", {"a34002-Rtd": 8}, time=recently(4)))
            assert await ends(station.port) == b""
            await one.upload(one.message("2011", {"a34002-Rtd": 9}, time=recently(3)))

    station.talk(talk())
    assert station.server.counters.refused == 1


def test_who_does_not_say_who_he_is_is_sent_away(serve: Serve) -> None:
    station = serve(hj212_hello_seconds=0.2)
    assert station.talk(ends(station.port)) == b""
    station.until(lambda: station.server.counters.closed["nobody"] == 1)


def test_a_silent_logger_is_closed(serve: Serve) -> None:
    station = serve(hj212_idle_seconds=0.3)

    async def talk() -> Message | None:
        async with TcpLogger(station.port) as logger:
            await logger.upload(logger.message("2011", {"a34002-Rtd": 7}, time=recently()))
            return await logger.answer()

    assert station.talk(talk()) is None
    station.until(lambda: station.server.counters.closed["idle"] == 1)


def test_a_frame_that_comes_in_drops_is_not_waited_for(serve: Serve) -> None:
    station = serve(hj212_frame_seconds=0.4)
    assert station.talk(ends(station.port, DUST, every=0.05)) == b""
    assert station.server.counters.closed["slow"] == 1


def test_junk_without_an_end_is_cut_off(serve: Serve) -> None:
    station = serve()
    station.talk(ends(station.port, b"x" * 1_000_000))
    station.until(lambda: station.server.counters.closed["nobody"] == 1)
    station.talk(still_served(station))


def test_damaged_frames_one_after_the_other_are_cut_off(serve: Serve) -> None:
    station = serve()
    station.talk(ends(station.port, DUST.replace(b"Rtd=5", b"Rtd=6") * 30))
    station.until(lambda: station.server.counters.closed["damaged"] == 1)


def test_a_segment_above_the_limit_is_refused_and_the_next_frame_taken(serve: Serve) -> None:
    station = serve(hj212_segment_bytes=1024)

    async def talk() -> Message:
        async with TcpLogger(station.port) as logger:
            await logger.upload(logger.message("2011", {"a34002-Rtd": 7}, time=recently()))
            logger.write(logger.message("2011", {"a34002-Rtd": 8}, time=recently(4), fields={"InfoId": "x" * 1024}))
            return await logger.upload(logger.message("2011", {"a34002-Rtd": 9}, time=recently(3), qn="1" * 17))

    assert station.talk(talk()).qn == "1" * 17
    assert [value for _, value, _ in station.readings("pm10")] == [7, 9]
    assert station.server.counters.damaged["length"] == 1


def test_a_logger_that_sends_too_fast_is_read_more_slowly_and_loses_nothing(serve: Serve) -> None:
    station = serve(hj212_rate=40.0)

    async def talk() -> int:
        async with TcpLogger(station.port) as logger:
            for n in range(260):
                logger.write(logger.message("2011", {"a34002-Rtd": 7}, time=recently() - n * 1000))
            return len([await logger.answer() for _ in range(260)])

    assert station.talk(talk()) == 260
    assert len(station.readings("pm10")) == 260
    assert station.server.counters.paused > 20


def test_a_small_backlog_slows_down_and_loses_nothing(serve: Serve) -> None:
    station = serve({"loggers": 5, "more": "obeys = false"}, hj212_backlog=2, hj212_rate=1000.0)

    async def one(number: int) -> None:
        async with TcpLogger(station.port, number) as logger:
            for n in range(100):
                logger.write(logger.message("2011", {"a34002-Rtd": 7}, time=recently() - n * 1000))
            for _ in range(100):
                assert await logger.answer() is not None

    async def talk() -> None:
        await asyncio.gather(*(one(number) for number in range(5)))

    station.talk(talk())
    assert station.ledger()["stored"] == 500


def test_a_logger_that_reads_no_answers_is_closed_and_can_hold_nothing_up(serve: Serve) -> None:
    station = serve(hj212_frame_seconds=0.5, hj212_rate=1e6)
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        deaf.connect(("127.0.0.1", station.port))
        logger = TcpLogger(station.port)
        frame = logger.frame(logger.message("2011", {"a34002-Rtd": 7}, time=recently()))
        deaf.settimeout(1.0)
        with suppress(OSError):
            while not station.server.counters.closed["slow"]:
                deaf.sendall(frame * 10)
        station.until(lambda: station.server.counters.closed["slow"])
    station.talk(still_served(station))


def test_mutated_frames_in_thousands_end_no_service(serve: Serve) -> None:
    station, chance = serve(hj212_rate=1e6), random.Random(212)
    logger = TcpLogger(station.port)
    sound = logger.frame(
        logger.message(
            "2011", {"a34002-Rtd": 7, "LA-Rtd": 50.1}, time=recently(), flags={"LA": "N"}, fields={"PolId": "1"}
        )
    )

    def mutated() -> bytes:
        segment = bytearray(sound[6:-6])
        for _ in range(chance.randrange(1, 4)):
            start = chance.randrange(segment.index(b"MN=") + 15, len(segment))
            segment[start : start + chance.choice([0, 1, 5])] = chance.choice(
                [b"", b"&&", b";", b",", b"=", b"-Rtd=", b"\xff", b"CN=", b"-", chance.randbytes(3)]
            )
        for cn in (b"2011", b"2051", b"2031", b"3020", b"2021"):
            if chance.random() < 0.3:
                segment = bytearray(bytes(segment).replace(b"CN=2011", b"CN=" + cn))
        return encode_frame(bytes(segment))

    async def talk() -> None:
        for _ in range(10):
            async with TcpLogger(station.port) as one:
                await one.upload(one.message("2011", {"a34002-Rtd": 7}, time=recently()))
                one.write_bytes(b"".join(mutated() for _ in range(200)))
                await asyncio.sleep(0.05)
                await one.upload(one.message("2011", {"a34002-Rtd": 7}, time=recently(), qn="9" * 17))
        await still_served(station)

    station.talk(talk())
    ledger = station.ledger()
    assert ledger["messages"] > 1000
    assert ledger["received"] == ledger["stored"] + ledger["duplicate"] + ledger["rejected"] + ledger["late"]


def test_tls_where_a_certificate_is_given(serve: Serve, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    station = serve(hj212_certificate=certificate, hj212_key=key)

    async def talk() -> bytes:
        context = ssl.create_default_context(cafile=str(certificate))
        reader, writer = await asyncio.open_connection("localhost", station.port, ssl=context)
        logger = TcpLogger(station.port)
        writer.write(logger.frame(logger.message("2011", {"a34002-Rtd": 7}, time=recently())))
        answer = await reader.readline()
        writer.close()
        await writer.wait_closed()
        return answer

    assert read_message(read_line(station.talk(talk())).segment).cn == "9014"


def test_passwords_come_from_a_file_by_mn_before_the_common_one(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "passwords"
    file.write_text("# MN = PW\n\n888880000001 = other1\n")
    station = serve({"loggers": 2, "more": "obeys = false"}, hj212_passwords=file)

    async def talk() -> list[str | None]:
        found = []
        for number, password in ((0, "s3cr3t"), (1, "other1")):
            async with TcpLogger(station.port, number, password=password) as logger:
                found.append((await logger.upload(logger.message("2011", {"a34002-Rtd": 7}, time=recently()))).cn)
        return found

    assert station.talk(talk()) == ["9014", "9014"]
