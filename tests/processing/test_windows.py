"""Legal windows in local time."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from greenmine.limits import load_limits
from greenmine.processing.windows import bounds, minute_of, moment_of, offset_minutes, windows_touching

_, CONDITIONS = load_limits()


def local(text: str, zone: str, fold: int = 0) -> int:
    return minute_of(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold))


@pytest.mark.parametrize(
    ("window", "day", "zone", "first", "last"),
    [
        ("day", "2026-03-01", "Asia/Shanghai", "2026-03-01 00:00", "2026-03-02 00:00"),
        ("daytime", "2026-03-01", "Asia/Shanghai", "2026-03-01 06:00", "2026-03-01 22:00"),
        ("nighttime", "2026-03-01", "Asia/Shanghai", "2026-03-01 22:00", "2026-03-02 06:00"),
        ("nighttime", "2026-02-28", "Asia/Kolkata", "2026-02-28 22:00", "2026-03-01 06:00"),
        ("day", "2026-03-08", "America/New_York", "2026-03-08 00:00", "2026-03-09 00:00"),
    ],
)
def test_windows_begin_and_end_on_the_local_clock(window: str, day: str, zone: str, first: str, last: str) -> None:
    found = bounds(window, date.fromisoformat(day), zone, CONDITIONS)
    assert found == (local(first, zone), local(last, zone))


@pytest.mark.parametrize(
    ("window", "day", "zone", "hours"),
    [
        ("day", "2026-03-07", "America/New_York", 24),
        ("day", "2026-03-08", "America/New_York", 23),
        ("day", "2026-11-01", "America/New_York", 25),
        ("nighttime", "2026-03-07", "America/New_York", 7),
        ("nighttime", "2026-10-31", "America/New_York", 9),
        ("daytime", "2026-03-08", "America/New_York", 16),
        ("day", "2026-04-05", "Australia/Lord_Howe", 24.5),
        ("day", "2018-11-04", "America/Sao_Paulo", 23),  # midnight did not exist
        ("day", "2018-02-17", "America/Sao_Paulo", 25),  # 23:00 to 24:00 twice
    ],
)
def test_days_with_a_clock_change_are_shorter_or_longer(window: str, day: str, zone: str, hours: float) -> None:
    first, last = bounds(window, date.fromisoformat(day), zone, CONDITIONS)
    assert last - first == hours * 60


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe"])
def test_days_follow_each_other_without_a_gap(zone: str) -> None:
    first, last = local("2018-01-01 00:00", zone), local("2019-01-01 00:00", zone)
    days = windows_touching("day", first, last, zone, CONDITIONS)
    assert len(days) == 365
    assert [d[0] for d in days[1:]] == [d[1] for d in days[:-1]]


@pytest.mark.parametrize(
    ("first", "last", "starts"),
    [
        ("2026-03-02 05:59", "2026-03-02 06:00", ["2026-03-01 22:00"]),
        ("2026-03-02 06:00", "2026-03-02 22:00", []),
        ("2026-03-02 06:00", "2026-03-02 22:01", ["2026-03-02 22:00"]),
        ("2026-03-02 00:00", "2026-03-03 00:00", ["2026-03-01 22:00", "2026-03-02 22:00"]),
    ],
)
def test_nights_that_share_a_minute_with_a_span(first: str, last: str, starts: list[str]) -> None:
    zone = "Asia/Shanghai"
    found = windows_touching("nighttime", local(first, zone), local(last, zone), zone, CONDITIONS)
    assert [start for start, _ in found] == [local(s, zone) for s in starts]


def test_an_offset_is_that_of_the_minute() -> None:
    assert offset_minutes("America/New_York", local("2026-03-08 01:59", "America/New_York")) == -300
    assert offset_minutes("America/New_York", local("2026-03-08 03:00", "America/New_York")) == -240
    assert offset_minutes("Asia/Kathmandu", local("2026-03-08 03:00", "Asia/Kathmandu")) == 345


def test_minutes_and_moments_are_each_other() -> None:
    moment = datetime(2026, 2, 28, 15, 59, tzinfo=UTC)
    assert moment_of(minute_of(moment), "Asia/Shanghai") == moment
    assert moment_of(minute_of(moment) + 1, "Asia/Shanghai").date() == date(2026, 3, 1)
