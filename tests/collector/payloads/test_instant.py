from __future__ import annotations

import doctest
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenmine.collector.payloads import instant
from greenmine.collector.payloads.instant import UNREADABLE, parse_instant

SHANGHAI = ZoneInfo("Asia/Shanghai")
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2026-11-22T10:00:00+08:00", BERLIN, 1795312800000),
        ("2026-11-22T02:00:00Z", BERLIN, 1795312800000),
        ("2026-11-22T10:00:00", SHANGHAI, 1795312800000),
        ("2026-11-22 10:00", SHANGHAI, 1795312800000),
        ("2024-05-02T20:41:54+0200", SHANGHAI, 1714675314000),
        ("2026-11-22T10:00:00.1239", SHANGHAI, 1795312800123),
        ("2019-06-02T22:13:07", BERLIN, 1559506387000),
        ("2026-10-25T02:30:00", BERLIN, 1792888200000),  # the hour comes twice: the first
    ],
)
def test_reads_an_instant(text: str, zone: ZoneInfo, expected: int) -> None:
    assert parse_instant(text, zone) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-11-22",
        "20261122T100000",
        "2026-11-22T10",
        "2026-02-30T10:00:00",
        "2026-11-22T25:00:00",
        "22/11/2026 10:00",
        "1795312800000",
        "0001-01-01T00:00:00+14:00x",
    ],
)
def test_tells_what_is_no_instant(text: str) -> None:
    assert parse_instant(text, SHANGHAI) == UNREADABLE


@given(st.text() | st.from_regex(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?([+-]\d\d:\d\d)?", fullmatch=True))
def test_never_raises(text: str) -> None:
    assert isinstance(parse_instant(text, SHANGHAI), int)


def test_its_examples_hold() -> None:
    outcome = doctest.testmod(instant)
    assert outcome.attempted > 0
    assert outcome.failed == 0
