"""Months, quarters and years by their daily means: GB 3095-2026, 3.11 to 3.13 and Table 4."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import msgspec
import pytest

from greenmine.limits import load_limits
from greenmine.processing.engine import Judged, Statistic
from greenmine.processing.long_periods import long_verdicts, period_exceedance
from greenmine.processing.windows import minute_of, moment_of, windows_touching
from greenmine.registry import Registry
from tests.processing.mine import Station, at, registry_of

ZONE = "Asia/Shanghai"
CONDITIONS = load_limits()[1]


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    limits = ("gb3095-pm10-year-class2", "gb3095-pm10-day-class2")
    folder = tmp_path_factory.mktemp("homes")
    return registry_of(folder, {"mine": (ZONE, [Station("homes", ("pm10",), limits=limits)])})


def minute(day: date) -> int:
    return at(f"{day}T00:00:00") // 60_000


def day_of(day: date, mean: float | None, hours: int = 24, over: int = 0) -> Statistic:
    start = minute(day)
    return Statistic(
        channel=0, window="day", start=start, end=start + 1440, mean=mean, minimum=mean, maximum=mean,
        count=60 * hours, expected=1440.0, capture=hours / 24, valid=hours >= 20, hours=hours, excluded=0, over=over,
        suspect=0, levels=(None, None, None), restated=False,
    )  # fmt: skip


def year(number: int, mean: float = 65.0, missing: tuple[date, ...] = ()) -> list[Statistic]:
    first = date(number, 1, 1)
    days = (first + timedelta(days=n) for n in range((date(number + 1, 1, 1) - first).days))
    return [day_of(day, mean) for day in days if day not in missing]


def judged(registry: Registry, days: list[Statistic], number: int) -> Judged:
    (found,) = long_verdicts(registry, days, minute(date(number, 1, 1)), minute(date(number + 1, 1, 1)))
    return found


def span(first: date, count: int) -> tuple[date, ...]:
    return tuple(first + timedelta(days=n) for n in range(count))


@pytest.mark.parametrize(
    ("number", "mean", "judgement", "high"),
    [
        (2025, 65.0, "meets", 70),
        (2026, 65.0, "exceeds", 60),  # it is over under the new edition
        (2027, 65.0, "exceeds", 60),
        (2027, 60.0, "meets", 60),
        (2027, 60.4, "meets", 60),  # rounded as the daily means are
        (2028, 60.6, "exceeds", 60),
        (2031, 55.0, "exceeds", 50),
    ],
)
def test_a_year_is_the_mean_of_its_daily_means(
    homes: Registry, number: int, mean: float, judgement: str, high: float
) -> None:
    found = judged(homes, year(number, mean), number)
    assert (found.verdict.judgement, found.threshold.high, found.value) == (judgement, high, pytest.approx(mean))


@pytest.mark.parametrize(
    ("missing", "reason", "have", "need"),
    [
        (span(date(2027, 4, 1), 3), "within-limit", None, None),
        (span(date(2027, 4, 1), 4), "too-few-days-of-a-month", 26, 27),
        (span(date(2027, 2, 1), 3), "within-limit", None, None),
        (span(date(2027, 2, 1), 4), "too-few-days-of-a-month", 24, 25),
        (span(date(2027, 4, 1), 41), "too-few-days", None, None),
        (span(date(2027, 4, 1), 42), "too-few-days", 323, 324),
    ],
)
def test_a_year_needs_324_days_and_27_of_each_month(
    homes: Registry, missing: tuple[date, ...], reason: str, have: float | None, need: float | None
) -> None:
    found = judged(homes, year(2027, 55.0, missing), 2027).verdict
    if have is None:
        assert (found.judgement == "meets") is (len(missing) < 41)
    else:
        assert (found.judgement, found.reason, found.have, found.need) == ("not assessable", reason, have, need)


def test_days_that_are_not_valid_do_not_count(homes: Registry) -> None:
    days = year(2027, 55.0)
    days[:5] = [day_of(date(2027, 1, 1 + n), 500.0, hours=19) for n in range(5)]
    found = judged(homes, days, 2027)
    assert (found.value, found.verdict.have, found.verdict.need) == (55.0, 26, 27)


@pytest.mark.parametrize(
    ("mean", "over", "hours", "judgement", "reason"),
    [
        (55.0, 1, 24, "meets", "within-limit"),
        (59.9, 1, 24, "not assessable", "over-range"),
        (60.6, 1, 24, "exceeds", "above-limit"),
        (55.0, 600, 24, "not assessable", "over-range"),
        (40.0, 1, 24, "meets", "within-limit"),
        (55.0, 900, 5, "not assessable", "over-range"),  # of most of that day nothing is known
    ],
)
def test_minutes_over_range_keep_a_year_from_meeting_where_they_can_make_the_difference(
    homes: Registry, mean: float, over: int, hours: int, judgement: str, reason: str
) -> None:
    days = year(2027, mean)
    days[7] = day_of(date(2027, 1, 8), mean, hours=hours, over=over)
    found = judged(homes, days, 2027).verdict
    assert (found.judgement, found.reason) == (judgement, reason)
    if judgement == "meets":
        assert "over-range" in found.reasons, "it is not silent"


def test_a_period_that_is_not_whole_has_no_verdict(homes: Registry) -> None:
    assert long_verdicts(homes, year(2027), minute(date(2027, 1, 1)), minute(date(2027, 12, 31))) == []
    assert long_verdicts(homes, year(2027), minute(date(2027, 1, 2)), minute(date(2028, 1, 1))) == []


def test_a_year_that_exceeds_is_one_exceedance(homes: Registry) -> None:
    found = period_exceedance(7, judged(homes, year(2027), 2027))
    assert (found.id, found.start + 1, found.peak, found.threshold) == (7, minute(date(2027, 1, 1)), 65.0, 60)
    assert (found.end or 0) + 1 == minute(date(2028, 1, 1))


@pytest.mark.parametrize(
    ("window", "counts", "judgements"),
    [
        ("month", {1: 27, 2: 25, 3: 26}, ["meets", "meets", "not assessable"]),
        ("quarter", {1: 31, 2: 25, 3: 27}, ["meets"]),
        ("quarter", {1: 31, 2: 24, 3: 31}, ["not assessable"]),
    ],
)
def test_months_need_their_days_and_quarters_all_three_months(
    homes: Registry, window: str, counts: dict[int, int], judgements: list[str]
) -> None:
    rule = homes.rules[0]
    assert rule.limit.window == "year"
    limit = msgspec.structs.replace(rule.limit, window=window)
    registry = replace(homes, rules=(replace(rule, limit=limit),))
    days = [day_of(date(2027, month, 1 + n), 55.0) for month, count in counts.items() for n in range(count)]
    found = long_verdicts(registry, days, minute(date(2027, 1, 1)), minute(date(2027, 4, 1)))
    assert [v.verdict.judgement for v in found] == judgements


@pytest.mark.parametrize(
    ("window", "starts"),
    [
        ("month", [(2027, 11), (2027, 12), (2028, 1), (2028, 2), (2028, 3)]),
        ("quarter", [(2027, 10), (2028, 1)]),
        ("year", [(2027, 1), (2028, 1)]),
    ],
)
def test_long_windows_are_those_of_the_calendar(window: str, starts: list[tuple[int, int]]) -> None:
    first, last = at("2027-11-15T10:00:00") // 60_000, at("2028-03-01T00:01:00") // 60_000
    found = windows_touching(window, first, last, ZONE, CONDITIONS)
    begun = [moment_of(start, ZONE) for start, _ in found]
    assert [(m.year, m.month, m.day, m.hour) for m in begun] == [(*start, 1, 0) for start in starts]
    assert [end for _, end in found[:-1]] == [start for start, _ in found[1:]]
    assert minute_of(moment_of(found[-1][1], ZONE)) >= last
