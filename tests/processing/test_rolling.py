"""Rolling exceedance statistics."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenmine.processing.rolling import SPANS, LimitHour, SlidingHours, exceedance_statistics, hourly_statistics

HOUR0 = 492_000


def hours_of(assessable: np.ndarray, above: np.ndarray, worst: np.ndarray) -> SlidingHours:
    """Rows of whole hours from minute flags (hours, 60)."""
    bits = np.left_shift(np.uint64(1), np.arange(60, dtype=np.uint64))
    return SlidingHours(
        HOUR0 + np.arange(len(worst)),
        (assessable * bits).sum(axis=1, dtype=np.uint64),
        (above * bits).sum(axis=1, dtype=np.uint64),
        worst,
    )


NO_EPISODES = np.empty((0, 2), np.int64)


@settings(max_examples=200, derandomize=True)
@given(st.integers(0, 10_000), st.integers(0, 400), st.integers(1, 400))
def test_minutes_equal_those_counted_one_by_one(seed: int, begin: int, length: int) -> None:
    rng = np.random.default_rng(seed)
    assessable = rng.random((6, 60)) < 0.8
    above = assessable & (rng.random((6, 60)) < 0.3)
    start, end = HOUR0 * 60 + begin - 20, HOUR0 * 60 + begin - 20 + length
    inside = (HOUR0 * 60 + np.arange(360) >= start) & (HOUR0 * 60 + np.arange(360) < end)
    found = exceedance_statistics(hours_of(assessable, above, np.arange(6.0)), NO_EPISODES, start, end)
    n, over = int((assessable.ravel() & inside).sum()), int((above.ravel() & inside).sum())
    assert (found.minutes_assessable, found.minutes_above) == (n, over)
    assert found.capture == n / length
    assert found.share == (over / n if n else None)


def test_all_sixty_bits_of_an_hour_count() -> None:
    full = np.ones((1, 60), np.bool_)
    found = exceedance_statistics(hours_of(full, full, np.array([1.0])), NO_EPISODES, HOUR0 * 60, HOUR0 * 60 + 60)
    assert (found.minutes_above, found.share, found.capture) == (60, 1.0, 1.0)


def test_without_an_assessable_minute_there_is_no_share() -> None:
    none = np.zeros((2, 60), np.bool_)
    found = exceedance_statistics(hours_of(none, none, np.full(2, np.nan)), NO_EPISODES, HOUR0 * 60, HOUR0 * 60 + 120)
    assert (found.share, found.worst, found.capture, found.longest, found.episodes) == (None, None, 0.0, 0, 0)


def test_episodes_are_cut_to_the_span() -> None:
    base = HOUR0 * 60
    episodes = np.array(
        [
            [base - 50, base + 10],
            [base + 20, base + 50],
            [base + 110, base + 300],
            [base - 90, base],
            [base + 120, base + 121],
        ]
    )
    none = np.zeros((2, 60), np.bool_)
    found = exceedance_statistics(hours_of(none, none, np.full(2, np.nan)), episodes, base, base + 120)
    assert (found.episodes, found.longest) == (3, 30)


@pytest.mark.parametrize(("lower", "worst"), [(False, 8.0), (True, 3.0)])
def test_the_worst_value_is_the_lowest_where_small_values_are_bad(lower: bool, worst: float) -> None:
    full = np.ones((4, 60), np.bool_)
    hours = hours_of(full, full, np.array([8.0, np.nan, 3.0, 99.0]))
    assert exceedance_statistics(hours, NO_EPISODES, HOUR0 * 60, HOUR0 * 60 + 180, lower=lower).worst == worst


def test_spans_are_a_day_a_week_and_thirty_days() -> None:
    assert {name: minutes / 1440 for name, minutes in SPANS.items()} == {"24h": 1, "7d": 7, "30d": 30}


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.booleans())
def test_hourly_statistics_are_those_of_each_span_by_itself(seed: int, lower: bool) -> None:
    random = np.random.default_rng(seed)
    hour = np.sort(random.choice(np.arange(1000, 1900), int(random.integers(0, 400)), replace=False))
    assessable = random.integers(0, 2**60, len(hour), dtype=np.uint64) * (random.random(len(hour)) < 0.8)
    above = assessable & random.integers(0, 2**60, len(hour), dtype=np.uint64)
    worst = np.where(assessable > 0, random.normal(50, 9, len(hour)), np.nan)
    start = random.integers(900 * 60, 1950 * 60, int(random.integers(0, 5)))
    episodes = np.stack([start, start + random.integers(1, 9000, len(start))], axis=1)
    at = [1000, 1024, 1500, 1899, 1950]
    rows = list(map(LimitHour, hour.tolist(), assessable.tolist(), above.tolist(), worst.tolist()))
    sliding = SlidingHours(hour, assessable, above, worst)
    found = {(span, end): figures for span, end, figures in hourly_statistics(rows, episodes.tolist(), at, lower=lower)}
    for span, minutes in SPANS.items():
        for end in at:
            e = exceedance_statistics(sliding, episodes, end * 60 - minutes, end * 60, lower=lower)
            assert found[span, end] == (e.episodes, e.minutes_above, e.longest, e.share, e.capture, e.worst)
