"""Ten thousand mutated frames: nothing is raised, nothing is lost beside them, no password comes out."""

from __future__ import annotations

import json
import random
import resource

import msgspec

from greenmine.collector.hj212.document import describe
from greenmine.collector.hj212.frame import Framer, read_line
from tests.collector.hj212.hj212_frames import DUST, EMPTY, HOUR, frame, segment

COUNT = 10_000
SECRET = b"s3cr3t"
MEMORY_KB = 50_000
TOKENS = [
    b"##",
    b"##0101",
    b"&&",
    b"CP=&&",
    b";",
    b",",
    b"=",
    b"-",
    b"//",
    b"\r\n",
    b"\x00",
    b"\xff",
    b"Flag=",
    b"-Rtd=",
]
SEEDS = [
    DUST,
    EMPTY,
    HOUR,
    frame(segment("BeginTime=20160801000000,EndTime=20160802000000")),
    frame(segment("i11001-Info=//时间;校准//", cn="3020")),
    frame(segment(flag=7).replace(b"CP=", b"PNUM=2;PNO=1;CP=")),
]


def mutated(chance: random.Random) -> bytes:
    data = bytearray(chance.choice(SEEDS).replace(b"123456", SECRET))
    for _ in range(chance.randrange(1, 6)):
        start = chance.randrange(len(data) + 1)
        end = min(len(data), start + chance.choice([0, 1, 1, 4, 30]))
        data[start:end] = chance.choice([b"", chance.choice(TOKENS), chance.randbytes(chance.randrange(1, 5))])
    return bytes(data)


def test_ten_thousand_mutated_frames_raise_nothing_and_give_valid_json_with_one_object_a_line() -> None:
    chance = random.Random(212)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    kinds: set[str | None] = set()
    for _ in range(COUNT):
        found = json.loads(msgspec.json.encode(describe(read_line(mutated(chance)))))
        assert found["ok"] is (found["error"] is None)
        kinds.add(found["error"])
    assert kinds >= {"length", "crc", "truncated", "syntax"}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY_KB


def test_sound_frames_between_mutated_ones_come_out_unharmed() -> None:
    chance = random.Random(2017)
    framer = Framer()
    sound = 0
    for _ in range(COUNT // 10):
        stream = mutated(chance).replace(b"##", b"#.") + b"\r\n" + DUST + mutated(chance)[:-8] + b"\r\n" + HOUR + EMPTY
        found = [one.raw for one in framer.feed(stream) if one.fault is None] + [one.raw for one in framer.close()]
        sound += [DUST in found, HOUR in found, EMPTY in found].count(True)
    assert sound == 3 * (COUNT // 10)


def test_a_damaged_byte_anywhere_lets_no_password_out() -> None:
    data = DUST.replace(b"123456", SECRET)
    start, end = data.index(b"ST="), data.index(b"CP=")
    for index in range(start, end):
        for byte in (b"", b";", b",", b"x", b" ", b"\xff", b"=;"):
            damaged = data[:index] + byte + data[index + 1 :]
            assert SECRET not in msgspec.json.encode(describe(read_line(damaged)))
