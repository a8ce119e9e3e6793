"""Frames in a stream: extent, length, check sum, resynchronisation."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest

from greenmine.collector.hj212.deviation import Deviation, Fault
from greenmine.collector.hj212.dialect import Dialect
from greenmine.collector.hj212.frame import Frame, Framer, read_line
from tests.collector.hj212.hj212_frames import DUST, EMPTY, HOUR, frame, segment

BAD_CRC = EMPTY[:-6] + b"0000\r\n"
DAMAGED = {
    "length too large": EMPTY.replace(b"##0087", b"##0200"),
    "length far too large": EMPTY.replace(b"##0087", b"##9999"),
    "length too small": EMPTY.replace(b"##0087", b"##0020"),
    "length short by one": EMPTY.replace(b"##0087", b"##0086"),
    "length of three digits": EMPTY.replace(b"##0087", b"##087"),
    "length no number": EMPTY.replace(b"##0087", b"##00x7"),
    "cut in the segment": EMPTY[:50],
    "cut in the check sum": EMPTY[:-4],
    "cut behind the head": b"##0087",
    "wrong check sum": BAD_CRC,
    "check sum no number": EMPTY[:-6] + b"ZZZZ\r\n",
    "a byte lost": EMPTY[:40] + EMPTY[41:],
    "a byte too many": EMPTY[:40] + b"x" + EMPTY[40:],
}


def frames_of(data: bytes, cut: int = 0) -> list[Frame]:
    framer = Framer()
    return [*framer.feed(data[:cut]), *framer.feed(data[cut:]), *framer.close()]


def sound(frames: list[Frame]) -> list[bytes]:
    return [found.raw.rstrip() for found in frames if found.fault is None]


def test_a_sound_frame_has_no_fault_and_no_deviation() -> None:
    (found,) = frames_of(DUST)
    assert (found.fault, found.deviations, found.raw, found.segment) == (None, (), DUST, DUST[6:-6])


@pytest.mark.parametrize(
    ("data", "deviation"),
    [
        (EMPTY[:-1], Deviation.MISSING_LINE_FEED),
        (EMPTY[:-2], Deviation.MISSING_LINE_FEED),
        (EMPTY[:-2] + b"\n", Deviation.MISSING_CARRIAGE_RETURN),
        (b"Hour" + EMPTY, Deviation.LEADING_JUNK),
        (b"#" + EMPTY, Deviation.LEADING_JUNK),
        (DUST[:-6] + DUST[-6:].lower(), Deviation.LOWER_CASE_CRC),
        (frame(segment("x" * 1000)), Deviation.LONG_SEGMENT),
    ],
)
def test_a_tolerance_has_a_name(data: bytes, deviation: Deviation) -> None:
    (found,) = frames_of(data)
    assert (found.fault, found.deviations) == (None, (deviation,))


def test_empty_lines_between_frames_are_no_deviation() -> None:
    assert [found.deviations for found in frames_of(EMPTY + b"\r\n\r\n" + DUST)] == [(), ()]


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("length too large", Fault.LENGTH),
        ("length far too large", Fault.LENGTH),
        ("length too small", Fault.LENGTH),
        ("length short by one", Fault.LENGTH),
        ("length of three digits", Fault.LENGTH),
        ("length no number", Fault.LENGTH),
        ("cut in the segment", Fault.TRUNCATED),
        ("cut in the check sum", Fault.TRUNCATED),
        ("cut behind the head", Fault.TRUNCATED),
        ("wrong check sum", Fault.CRC),
        ("check sum no number", Fault.CRC),
        ("a byte lost", Fault.LENGTH),
        ("a byte too many", Fault.LENGTH),
    ],
)
def test_a_damaged_frame_is_named(name: str, fault: Fault) -> None:
    (found,) = frames_of(DAMAGED[name])
    assert found.fault is fault
    assert found.text


def test_every_damage_of_this_file_is_named() -> None:
    assert [name for name, data in DAMAGED.items() if frames_of(data)[0].fault is None] == []


@pytest.mark.parametrize("damaged", DAMAGED.values(), ids=DAMAGED)
def test_no_damaged_frame_takes_a_sound_one_with_it(damaged: bytes) -> None:
    frames = frames_of(DUST + damaged + HOUR + damaged + EMPTY + DUST)
    assert sound(frames) == [found.rstrip() for found in (DUST, HOUR, EMPTY, DUST)]
    assert len(frames) == 6


@pytest.mark.parametrize("damaged", DAMAGED.values(), ids=DAMAGED)
def test_a_stream_cut_at_every_byte_gives_the_same_frames(damaged: bytes) -> None:
    data = b"junk" + DUST + damaged + HOUR[:-2] + EMPTY[:-1] + b"\nx" + damaged + DUST + b"rest"
    whole = frames_of(data)
    assert [cut for cut in range(len(data) + 1) if frames_of(data, cut) != whole] == []


@pytest.mark.parametrize("damaged", DAMAGED.values(), ids=DAMAGED)
def test_a_stream_in_single_bytes_gives_the_same_frames(damaged: bytes) -> None:
    data = b"junk" + DUST + damaged + HOUR[:-2] + EMPTY[:-1] + b"\nx" + damaged + DUST + b"rest"
    framer = Framer()
    found = [one for index in range(len(data)) for one in framer.feed(data[index : index + 1])]
    assert found + framer.close() == frames_of(data)


@pytest.mark.parametrize("text", ["//##0101//", "//a##12//", "##"])
def test_a_head_inside_a_sound_frame_is_text(text: str) -> None:
    data = frame(segment(f"i11001-Info={text}", cn="3020"))
    assert sound(frames_of(EMPTY + data + DUST)) == [EMPTY.rstrip(), data.rstrip(), DUST.rstrip()]


def test_a_factor_code_of_hexadecimal_digits_behind_cp_is_no_check_sum() -> None:
    data = frame(segment("a01006-Rtd=101.3")).replace(b"##0", b"##9")
    assert frames_of(data)[0].segment.endswith(b"a01006-Rtd=101.3&&")


def test_a_sound_frame_waits_only_for_its_line_end_and_a_pause_ends_the_wait() -> None:
    framer = Framer()
    assert framer.feed(DUST[:-2]) == []
    assert sound(framer.pause()) == [DUST.rstrip()]
    assert framer.feed(b"\r\n") == []
    assert (framer.pause(), framer.pending) == ([], 0)


def test_a_pause_does_not_end_a_frame_that_is_still_coming() -> None:
    framer = Framer()
    framer.feed(DUST[:60])
    assert framer.pause() == []
    assert sound(framer.feed(DUST[60:])) == [DUST.rstrip()]


def test_a_pause_gives_up_a_length_that_reaches_into_the_next_frame() -> None:
    framer = Framer()
    framer.feed(DAMAGED["length far too large"] + DUST)
    assert sound(framer.pause()) == [DUST.rstrip()]


def test_a_length_that_spans_two_further_frames_is_given_up_at_once() -> None:
    framer = Framer()
    assert sound(framer.feed(DAMAGED["length far too large"] + DUST + HOUR)) == [DUST.rstrip(), HOUR.rstrip()]


def test_a_device_has_its_own_check_sum_only_if_its_dialect_says_so() -> None:
    data = frame(segment(), "modbus-low")
    (plain,) = frames_of(data)
    assert plain.fault is Fault.CRC
    assert "modbus-low" in str(plain.text)
    (told,) = Framer(Dialect(crc="modbus-low")).feed(data)
    assert told.fault is None


def test_a_limit_refuses_longer_frames_and_goes_on() -> None:
    framer = Framer(Dialect(limit=100))
    faults = [found.fault for found in framer.feed(DUST + EMPTY)]
    assert faults == [Fault.LENGTH, None]


@pytest.mark.parametrize("data", [b"This is no frame", b"#", b"ST=32;CN=2011&&\r\n"])
def test_bytes_without_a_frame_are_a_syntax_error_at_the_end(data: bytes) -> None:
    (found,) = frames_of(data)
    assert (found.fault, found.found) == (Fault.SYNTAX, False)


def test_nothing_gives_nothing() -> None:
    assert frames_of(b"") == frames_of(b"\r\n\r\n") == []


def test_the_representation_of_a_frame_shows_no_password() -> None:
    assert "123456" not in repr(frames_of(DUST))


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (DUST[:-2], None),
        (DUST, None),
        (b"Hour" + DUST[:-2], None),
        (DUST[:-2] + b"x", Fault.LENGTH),
        (DUST[:-2] + EMPTY[:-2], Fault.LENGTH),
        (DUST[:-5], Fault.TRUNCATED),
        (BAD_CRC[:-2], Fault.CRC),
        (b"", Fault.SYNTAX),
        (b"no frame", Fault.SYNTAX),
    ],
)
def test_a_line_is_one_frame(line: bytes, fault: Fault | None) -> None:
    assert read_line(line).fault is fault


def test_a_line_needs_no_line_end() -> None:
    assert read_line(DUST[:-2]).deviations == ()


HOSTILE = {
    "heads": b"##9999",
    "heads with check sums": b"##9998&&1234",
    "short heads": b"##0010&&1234",
    "one further head in each": b"##0030" + b"a" * 20 + b"1234",
    "number signs": b"#",
    "broken heads": b"##xx&&",
    "openings": b"CP=&&a010",
    "no end": b"##0500a",
}


def work(data: bytes, size: int) -> int:
    """Lines of Python that run, and bytes summed, when a stream comes in pieces of this size."""
    lines = 0

    def trace(_frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace

    framer = Framer()
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        for start in range(0, len(data), size):
            framer.feed(data[start : start + size])
        framer.close()
    finally:
        sys.settrace(before)
    return lines + framer.summed


@pytest.mark.parametrize("size", [1, 4096])
@pytest.mark.parametrize("unit", HOSTILE.values(), ids=HOSTILE)
def test_twice_the_bytes_are_twice_the_work(unit: bytes, size: int) -> None:
    data = (unit * 30_000)[:30_000]
    once, twice = work(data[:15_000], size), work(data, size)
    assert twice < 2.5 * once + 1000
    assert twice < 100 * len(data)


@pytest.mark.parametrize("unit", HOSTILE.values(), ids=HOSTILE)
def test_what_is_kept_is_bounded(unit: bytes) -> None:
    framer = Framer()
    kept = 0
    for _ in range(300):
        framer.feed(unit * 100)
        kept = max(kept, framer.pending)
    assert kept < 10_100 + len(unit) * 100
