"""What the field side says, and how it waits for answers."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenmine.collector.hj212.caller import PlatformCaller
from greenmine.collector.hj212.codes import VERSIONS
from greenmine.collector.hj212.compose import Numbers, Sender, compose, flag, say, write_time
from greenmine.collector.hj212.encode import encode_frame, encode_message
from greenmine.collector.hj212.frame import read_line
from greenmine.collector.hj212.link import Link, Terms, Unanswered
from greenmine.collector.hj212.message import Value, read_message, read_time
from greenmine.collector.hj212.request import refusal
from greenmine.collector.hj212.rules import choices, rule
from greenmine.collector.hj212.secret import Secret
from tests.hj212_platform import Platform

SENDER = Sender("010000A8900016F000169DC0", "39", Secret("123456"))
INSTANT = 1_470_012_000_000


def report(values, **options):
    return compose(SENDER, "2051", INSTANT, values, Numbers(lambda: INSTANT), **options)


# None begins with l: l5 is L5 in the wrong case.
@given(st.lists(st.tuples(st.from_regex(r"[a-km-z][0-9]{1,60}", fullmatch=True), st.integers(1, 4)), max_size=60))
def test_packets_hold_all_values_in_order_within_the_longest_content(codes):
    kinds = ("Min", "Avg", "Max", "Cou")
    given_codes = dict(codes)
    values = [Value(code, kind, 1.0, "1.0", "N") for code, count in given_codes.items() for kind in kinds[:count]]
    messages = report(values)
    frames = [encode_message(message) for message in messages]
    assert all(len(frame.partition(b";CP=")[2]) + 3 <= rule("content") for frame in frames)
    read = [read_message(frame) for frame in frames]
    assert [(v.code, v.kind, v.flag) for message in read for v in message.values] == [
        (v.code, v.kind, v.flag) for v in values
    ]
    assert all(message.deviations == () and message.time == INSTANT for message in read)
    split = len(messages) > 1
    assert [(m.pnum, m.pno) for m in read] == [
        (len(read), number) if split else (None, None) for number in range(1, len(read) + 1)
    ]
    assert len({m.qn for m in read}) == len(read)


def test_nothing_to_say_is_no_message():
    assert report([]) == []


@pytest.mark.parametrize(("version", "number"), [(2005, 1), (2017, 5), (2025, 9)])
def test_the_flag_holds_version_and_wishes(version, number):
    assert flag(version, answer=True) == number
    assert flag(version, answer=False, split=True) == number + 1
    assert {flag(v, answer=False) >> 2 for v in VERSIONS} == {0, 1, 2}


def test_numbers_never_repeat_nor_go_back_when_the_clock_does():
    clock = iter([INSTANT, INSTANT, INSTANT - 5000, INSTANT + 7])
    numbers = Numbers(lambda: next(clock))
    given_out = [numbers.next() for _ in range(4)]
    assert all(one < other for one, other in pairwise(given_out))
    assert read_time(given_out[-1]) == INSTANT + 7
    assert write_time(INSTANT) == "20160801084000"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, None),
        ({"mn": "010000A8900016F000169DC1"}, "4"),
        ({"password": Secret("12345")}, "3"),
        ({"cn": "1072"}, "2"),
        ({"cn": "3019"}, "8"),
    ],
)
def test_a_request_is_refused_with_its_reason(change, expected):
    sender = Sender(change.get("mn", SENDER.mn), "39", change.get("password", SENDER.password))
    request = say(sender, change.get("cn", "2051"), "20160801084000000")
    assert refusal(SENDER, request, {"2051"}, {"1072"}) == expected


@pytest.mark.parametrize("name", ["overtime", "recount"])
def test_the_times_of_the_standard_are_within_its_ranges(name):
    assert rule(f"{name}-least") <= rule(name) <= rule(f"{name}-most")
    assert 60 % 7 not in {60 % minutes for minutes in choices("minute-intervals")}


def reply(message):
    return encode_frame(encode_message(say(SENDER, "9014", message.qn)))


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_answer_counts_without_its_line_end_and_in_pieces(size):
    """Many platforms send no line feed; the link waits a moment and takes the frame as whole."""

    async def serve(reader, writer):
        line = await reader.readline()
        data = reply(read_message(read_line(line).segment)).rstrip()
        for at in range(0, len(data), size):
            writer.write(data[at : at + size])
            await writer.drain()
            await asyncio.sleep(0)
        await reader.read()
        writer.close()

    async def go():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        link = Link(reader, writer, Terms(10.0, 1), lambda _: None)
        listening = asyncio.create_task(link.listen())
        (message,) = report([Value("a34002", "Avg", 1.0, "1.0", "N")])
        answer = await link.deliver(message)
        writer.close()
        await asyncio.gather(listening, return_exceptions=True)
        server.close()
        return answer, message, link.counts

    answer, message, counts = asyncio.run(go())
    assert (answer.cn, answer.qn) == ("9014", message.qn)
    assert counts == {"sent": 1, "answered": 1}


def test_a_platform_that_reads_nothing_is_given_up():
    """Its window is full: even writing does not come to an end."""

    async def go():
        release = asyncio.Event()

        async def serve(_, writer):
            await release.wait()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=64)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        link = Link(reader, writer, Terms(0.1, 1), lambda _: None)
        message = report([Value("a34002", "Avg", 1.0, "1" * 900, "N")])[0]

        async def flood():
            for _ in range(20_000):
                await link.send(message)

        with pytest.raises(Unanswered, match="takes nothing"):
            await flood()
        release.set()
        writer.transport.abort()
        server.close()

    asyncio.run(go())


def test_a_caller_that_is_cancelled_while_the_line_is_lost_ends():
    """A group of tasks that fails and is cancelled at once reports the failure only."""

    async def go():
        for turn in range(20):
            platform = Platform()
            await platform.start()

            async def work(link):
                await link.deliver(say(SENDER, "1013", Numbers().next(), answer=True))
                await asyncio.Event().wait()

            async def answer(_link, _message):
                return

            caller = PlatformCaller("127.0.0.1", platform.port, Terms(5.0, 1), (work,), answer)
            task = asyncio.create_task(caller.run())
            await platform.until(lambda platform=platform: len(platform.notices) > 0)
            await platform.stop()
            for _ in range(turn):
                await asyncio.sleep(0)
            task.cancel()
            done, _ = await asyncio.wait({task}, timeout=5)
            assert done

    asyncio.run(go())
