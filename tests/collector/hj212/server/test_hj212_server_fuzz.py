"""Mutated messages over TCP: every frame is counted, and only what was understood is answered."""

from __future__ import annotations

import random
import socket
from typing import NamedTuple

import pytest

from greenmine.collector.hj212.codes import codes
from greenmine.collector.hj212.frame import Frame, Framer
from greenmine.collector.hj212.message import VERSIONS, Message, read_message
from tests.collector.hj212.hj212_frames import frame
from tests.collector.hj212.hj212_station import PATIENCE
from tests.collector.hj212.server.test_hj212_server import Serve, recently
from tests.loggers import PASSWORD, mn_of, stamp

FRAMES = 600
COMMANDS = (
    "1011",
    "1012",
    "1061",
    "1072",
    "2011",
    "2021",
    "2051",
    "2061",
    "3020",
    "3042",
    "9011",
    "9012",
    "9013",
    "9014",
    "9999",
)
REPORTS = codes(VERSIONS[-1]).reports | {"1013", "9015"}
"""What a logger tells unasked; everything else is not understood."""
HELLO = frame(f"ST=39;CN=9999;PW={PASSWORD};MN={mn_of(0)};Flag=4;CP=&&&&".encode())
END_QN = "20260901000000000"
END = f"QN={END_QN};ST=39;CN=9015;PW={PASSWORD};MN={mn_of(0)};Flag=9;CP=&&&&".encode()
TOKENS = (
    b";",
    b",",
    b"=",
    b"&&",
    b"CP=",
    b"Flag=",
    b"-Rtd=",
    b"QnRtn=1",
    b"ExeRtn=1",
    b"\xff",
    b"\x00",
    b"9",
    b"//",
    b"CN=1012;",
)


class Fuzzed(NamedTuple):
    """What was sent, what came back, and what the server counted."""

    sent: int
    sound: list[Message]
    answers: list[Message]
    counted: int
    misunderstood: int


def message(chance: random.Random, number: int) -> bytes:
    """A frame of any command with a right length and check sum, of which a third are changed at random places."""
    cn = chance.choice(COMMANDS)
    text = (
        f"QN={20260801000000000 + number};ST=39;CN={cn};PW={PASSWORD};MN={mn_of(0)};Flag={chance.choice((4, 5, 7))};"
        f"CP=&&DataTime={stamp(recently())};a34002-Rtd={chance.randrange(500)},a34002-Flag=N;QnRtn=1;ExeRtn=1&&"
    )
    data = bytearray(text.encode())
    for _ in range(chance.choice((0, 0, 1, 2, 4))):
        at = chance.randrange(len(data))
        data[at : at + chance.choice((0, 1, 6))] = chance.choice(TOKENS)
    whole = bytearray(frame(bytes(data)))
    if chance.random() < 0.2:
        whole[chance.randrange(len(whole) - 2)] = chance.randrange(256)
    return bytes(whole)


@pytest.fixture
def fuzzed(serve: Serve) -> Fuzzed:
    station, chance = serve({"more": "obeys = false"}, hj212_rate=1e6), random.Random(2026)
    framer, back = Framer(), Framer()
    found: list[Frame] = []
    answers: list[Message] = []
    data = b"".join([HELLO, *(message(chance, n) for n in range(FRAMES))])
    with socket.create_connection(("127.0.0.1", station.port), PATIENCE) as link:
        link.settimeout(PATIENCE)
        while True:  # what ends in the middle of a frame takes the next one with it
            link.sendall(data)
            found += framer.feed(data)
            if found[-1].fault is None and read_message(found[-1].segment).qn == END_QN:
                break
            data = frame(END)
        while not answers or answers[-1].qn != END_QN:
            answers += [read_message(one.segment) for one in back.feed(link.recv(1 << 16))]
    answers.pop()
    station.until(lambda: station.server.counters.connections == 0)
    counters = station.server.counters
    counted = counters.frames + sum(counters.damaged.values()) + counters.strangers + counters.passwords
    sound = [read_message(one.segment) for one in found if one.fault is None]
    return Fuzzed(len(found), sound, answers, counted, counters.misunderstood)


def test_what_is_not_understood_is_counted_and_never_answered_as_executed(fuzzed: Fuzzed) -> None:
    assert fuzzed.counted == fuzzed.sent
    assert fuzzed.misunderstood
    assert len(fuzzed.answers) > FRAMES / 10
    assert {answer.cn for answer in fuzzed.answers} <= {"9013", "9014"}
    assert not [field for answer in fuzzed.answers for field in answer.fields if field.name in {"QnRtn", "ExeRtn"}]
    asked = {message.qn for message in fuzzed.sound if message.cn in REPORTS and message.answer}
    assert {answer.qn for answer in fuzzed.answers} <= asked
