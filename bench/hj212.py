"""HJ 212 frames decoded on one core, against a bare regular expression, and a million damaged ones."""

from __future__ import annotations

import random
import re
import resource
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from bench.table import Row
from greenmine.collector.hj212.encode import encode_frame
from greenmine.collector.hj212.frame import Frame, Framer
from greenmine.collector.hj212.message import read_message

FACTORS: Final = (
    "a34001", "a34002", "a34004", "a01001", "a01002", "a01006", "a01007", "a01008", "a06001", "LA", "Leq", "a21026",
    "a21004", "a21005", "a05024",
)  # fmt: skip
_SOUND: Final = 100_000
_DAMAGED: Final = 1_000_000
_CHUNK: Final = 65_536
_ROUNDS: Final = 2
_SPLIT: Final = re.compile(rb"[;,]?([^;,=&#]+)=([^;,&]*)")
"""What somebody in a hurry writes: names and texts, no length, no check sum, no flags, no numbers."""
_TOKENS: Final = (b"##", b"##0101", b"&&", b"CP=&&", b";", b",", b"=", b"-", b"//", b"\r\n", b"\x00", b"\xff", b"-Rtd=")


def frame_of(number: int, mn: str = "010000A8900016F000169DC0", cn: bytes = b"2011") -> bytes:
    """A frame as a dust and noise station sends it: fifteen factors with flags."""
    values = ";".join(f"{code}-Rtd={(number * 7 + n * 13) % 997 / 10},{code}-Flag=N" for n, code in enumerate(FACTORS))
    second = datetime(2026, 8, 1, 8, tzinfo=UTC) + timedelta(seconds=number // 10)
    head = f"QN={second:%Y%m%d%H%M%S}{number % 1000:03d};ST=39;CN={cn.decode()};PW=123456;MN={mn};Flag=5;"
    return encode_frame(f"{head}CP=&&DataTime={second:%Y%m%d%H%M%S};{values}&&".encode())


def damaged(generator: random.Random, frame: bytes) -> bytes:
    """A frame with one to five damages."""
    data = bytearray(frame)
    for _ in range(generator.randrange(1, 6)):
        start = generator.randrange(len(data) + 1)
        data[start : start + generator.choice((0, 1, 1, 4, 30))] = generator.choice(
            (b"", generator.choice(_TOKENS), b"\x9f7;")
        )
    return bytes(data)


def measure() -> Iterator[Row]:
    """The rows of this subject."""
    frames = [frame_of(n) for n in range(2_000)]
    stream = b"".join(frames) * (_SOUND // len(frames))
    ours, bare = [], []
    for _ in range(_ROUNDS):
        bare.append(_SOUND / _split(stream))
        ours.append(_SOUND / _decode(stream)[0])
    what = f"frames of {len(FACTORS)} factors, checked and decoded on one core"
    measured, reference = max(ours), max(bare)
    yield Row(
        "hj212",
        what,
        f"{measured:,.0f}/s",
        f"bare regular expression {reference:,.0f}/s",
        measured / reference,
        ">=",
        0.06,
    )
    why = "skipped: none was found in the package index"
    yield Row("hj212", what, why, "another published Python decoder", None)
    yield from _fuzz(frames, measured)


def _split(stream: bytes) -> float:
    begun = time.process_time()
    pairs = 0
    for start in range(0, len(stream), _CHUNK):
        pairs += len(_SPLIT.findall(stream[start : start + _CHUNK]))
    assert pairs > _SOUND * len(FACTORS)
    return time.process_time() - begun


def _decode(stream: bytes) -> tuple[float, Counter[str]]:
    """CPU time of decoding a stream [s], and frames by fault; damaged ones are read too."""
    begun = time.process_time()
    framer = Framer()
    found: Counter[str] = Counter()
    for start in range(0, len(stream), _CHUNK):
        _read(framer.feed(stream[start : start + _CHUNK]), found)
    _read(framer.close(), found)
    return time.process_time() - begun, found


def _read(frames: list[Frame], found: Counter[str]) -> None:
    for frame in frames:
        read_message(frame.segment)
        found[frame.fault or "sound"] += 1


def _fuzz(frames: list[bytes], rate: float) -> Iterator[Row]:
    """Any exception ends the run."""
    generator = random.Random(212)
    spent, found = 0.0, Counter[str]()
    before = 0
    for _ in range(_DAMAGED // len(frames)):
        took, some = _decode(b"".join(damaged(generator, frame) for frame in frames))
        spent, found = spent + took, found + some
        before = before or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert found.total() >= _DAMAGED * 0.9
    assert {"sound", "crc", "length", "truncated"} <= set(found)
    pace = _DAMAGED / spent
    yield Row(
        "hj212",
        "a million damaged frames, none raises",
        f"{pace:,.0f}/s",
        f"sound ones {rate:,.0f}/s",
        pace / rate,
        ">=",
        0.4,
    )
    yield Row("hj212", "memory that they leave", f"{grown:.1f} MB", "", grown, "<=", 20)
