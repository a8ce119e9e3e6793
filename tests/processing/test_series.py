"""Figures of a series over arbitrary windows, against their definitions."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenmine.processing.series import capture, distinct, summarise, window_bounds

HOUR = 3_600_000
DAY = 24 * HOUR


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def iso(times: np.ndarray, zone: str) -> list[str]:
    return [datetime.fromtimestamp(t / 1000, ZoneInfo(zone)).isoformat() for t in times.tolist()]


def by_definition(values: list[float], averaging: str) -> float:
    match averaging:
        case "arithmetic" | "state":
            return math.fsum(values) / len(values)
        case "energy":
            return 10 * math.log10(math.fsum(10 ** (v / 10) for v in values) / len(values))
        case "sum":
            return math.fsum(values)
        case "maximum":
            return max(values)
    raise AssertionError(averaging)


series = st.lists(
    st.tuples(st.integers(0, 500), st.floats(-30, 140)), min_size=1, max_size=60, unique_by=lambda r: r[0]
)
windows = st.lists(st.tuples(st.integers(-50, 550), st.integers(0, 300)), min_size=1, max_size=40)


@pytest.mark.parametrize("averaging", ["arithmetic", "state", "energy", "sum", "maximum"])
@given(readings=series, spans=windows)
def test_any_windows_get_the_figures_of_the_definition(averaging, readings, spans):
    readings = sorted(readings)
    time, value = np.array([t for t, _ in readings]), np.array([v for _, v in readings])
    starts = np.array([start for start, _ in spans])
    ends = np.array([start + length for start, length in spans])
    found = summarise(time, value, averaging=averaging, windows=(starts, ends), percentiles=(10.0, 50.0, 90.0, 100.0))
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        inside = [v for t, v in readings if start <= t < end]
        assert found.count[i] == len(inside)
        expected = [by_definition(inside, averaging), min(inside), max(inside)] if inside else [math.nan] * 3
        assert [found.mean[i], found.minimum[i], found.maximum[i]] == pytest.approx(
            expected, rel=1e-12, abs=1e-12, nan_ok=True
        )
        levels = np.percentile(inside, [10, 50, 90, 100]) if inside else [math.nan] * 4
        assert found.percentiles[:, i] == pytest.approx(levels, rel=1e-12, abs=1e-12, nan_ok=True)


def test_a_loud_hour_leaves_no_error_in_a_quiet_one():
    value = np.where(np.arange(2000) < 1000, 150.0, -20.0)
    found = summarise(
        np.arange(2000), value, averaging="energy", windows=(np.arange(0, 1951, 50), np.arange(50, 2001, 50))
    )
    assert found.mean[20:] == pytest.approx(np.full(20, -20.0), rel=1e-13)


@pytest.mark.parametrize("decimals", [1, 12], ids=["few levels", "many levels"])
def test_percentiles_of_overlapping_windows_equal_those_of_numpy(decimals):
    value = np.round(np.random.default_rng(7).normal(55, 8, 20_000), decimals)
    starts = np.arange(-600, 19_000, 50)
    found = summarise(
        np.arange(20_000), value, averaging="energy", windows=(starts, starts + 1200), percentiles=(90.0, 50.0, 10.0)
    )
    expected = [np.percentile(value[max(s, 0) : s + 1200], [90, 50, 10]) for s in starts.tolist()]
    np.testing.assert_allclose(found.percentiles.T, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("directions", "mean"),
    [
        ([350.0, 10.0], 0.0),
        ([350.0, 350.0, 20.0], 359.8960),
        ([90.0, 180.0], 135.0),
        ([0.0, 360.0], 0.0),
        ([270.0], 270.0),
        ([0.0, 180.0], math.nan),
        ([0.0, 120.0, 240.0], math.nan),
    ],
)
def test_directions_are_averaged_on_the_circle(directions, mean):
    bounds = np.array([0]), np.array([100])
    found = summarise(np.arange(len(directions)), np.array(directions), averaging="vector", windows=bounds).mean[0]
    assert 0 <= np.nan_to_num(found) < 360
    apart = (found - mean + 180) % 360 - 180
    assert apart == pytest.approx(mean * 0, abs=1e-3, nan_ok=True)


def test_no_readings_give_no_figures():
    found = summarise(
        np.empty(0, np.int64), np.empty(0), averaging="sum", windows=(np.array([0]), np.array([9])), percentiles=(50.0,)
    )
    assert found.count.tolist() == [0]
    assert np.isnan([found.mean, found.minimum, found.maximum, found.percentiles[0]]).all()


def test_repeated_instants_are_refused():
    with pytest.raises(ValueError, match="strictly increase"):
        summarise(np.array([1, 1]), np.zeros(2), averaging="sum", windows=(np.array([0]), np.array([9])))


def test_of_an_instant_the_first_reading_counts():
    found = distinct(np.array([5, 3, 5, 3, 5]), np.array([1.0, 2.0, 9.0, 2.0, 1.0]))
    assert found.time.tolist() == [3, 5]
    assert found.value.tolist() == [2.0, 1.0]
    assert (found.repeats, found.conflicts) == (3, 1)


def test_capture_is_exact_at_the_limit_and_ends_at_one():
    share = capture(np.array([45, 44, 61]), np.zeros(3, np.int64), np.full(3, HOUR), 60_000)
    assert share[0] == 0.75
    assert share[1] < 0.75
    assert share[2] == 1.0


def test_rows_go_from_the_first_end_after_the_first_reading_to_the_first_after_the_last():
    starts, ends = window_bounds(HOUR, 3 * HOUR, HOUR, HOUR, "UTC")
    assert (starts.tolist(), ends.tolist()) == ([HOUR, 2 * HOUR, 3 * HOUR], [2 * HOUR, 3 * HOUR, 4 * HOUR])
    starts, ends = window_bounds(HOUR - 1, HOUR - 1, HOUR, HOUR, "UTC")
    assert (starts.tolist(), ends.tolist()) == ([0], [HOUR])


@pytest.mark.parametrize(
    ("zone", "first", "last", "window", "every", "ends"),
    [
        pytest.param(
            "Asia/Kolkata", "2024-01-01T00:10+05:30", "2024-01-01T01:10+05:30", HOUR, HOUR,
            ["2024-01-01T01:00:00+05:30", "2024-01-01T02:00:00+05:30"], id="half-hour zone",
        ),
        pytest.param(
            "Europe/London", "2018-03-25T00:30+00:00", "2018-03-25T02:30+01:00", HOUR, HOUR,
            ["2018-03-25T02:00:00+01:00", "2018-03-25T03:00:00+01:00"], id="the skipped hour ends no window",
        ),
        pytest.param(
            "America/New_York", "2018-11-04T00:30-04:00", "2018-11-04T01:30-05:00", HOUR, HOUR,
            ["2018-11-04T01:00:00-04:00", "2018-11-04T01:00:00-05:00", "2018-11-04T02:00:00-05:00"],
            id="the repeated hour ends two windows",
        ),
        pytest.param(
            "America/New_York", "2018-11-03T23:30-04:00", "2018-11-04T05:00-05:00", HOUR, 6 * HOUR,
            ["2018-11-04T00:00:00-04:00", "2018-11-04T06:00:00-05:00"], id="six hours of the wall clock",
        ),
        pytest.param(
            "Asia/Shanghai", "2024-01-01T07:00+08:00", "2024-01-01T07:00+08:00", HOUR, 7 * HOUR,
            ["2024-01-01T09:00:00+08:00"], id="seven hours count from 1970",
        ),
        pytest.param(
            "America/Sao_Paulo", "2018-11-03T12:00-03:00", "2018-11-04T12:00-02:00", DAY, DAY,
            ["2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"], id="a day without midnight",
        ),
        pytest.param(
            "America/Havana", "2018-11-03T12:00-04:00", "2018-11-04T12:00-05:00", DAY, DAY,
            ["2018-11-04T00:00:00-04:00", "2018-11-05T00:00:00-05:00"], id="a day with two midnights",
        ),
    ],
)  # fmt: skip
def test_windows_end_at_multiples_on_the_local_clock(zone, first, last, window, every, ends):
    assert iso(window_bounds(ms(first), ms(last), window, every, zone)[1], zone) == ends


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/London", "2018-03-25", 23),
        ("Europe/London", "2018-10-28", 25),
        ("America/New_York", "2018-11-04", 25),
        ("America/Sao_Paulo", "2018-11-04", 23),
        ("Australia/Lord_Howe", "2018-10-07", 23.5),
        ("Asia/Shanghai", "2018-03-25", 24),
    ],
)
def test_a_day_every_day_is_the_natural_day(zone, day, hours):
    noon = round(datetime.fromisoformat(day + "T12:00").replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)
    starts, ends = window_bounds(noon - 2 * DAY, noon + 2 * DAY, DAY, DAY, zone)
    assert (starts[1:] == ends[:-1]).all()
    assert (ends - starts)[2] == hours * HOUR
    assert np.count_nonzero(ends - starts == DAY) == len(ends) - (hours != 24)


def test_a_day_every_hour_goes_back_to_the_same_time_of_the_day_before():
    starts, ends = window_bounds(ms("2018-03-25T12:30+01:00"), ms("2018-03-25T12:30+01:00"), DAY, HOUR, "Europe/London")
    assert iso(starts, "Europe/London") == ["2018-03-24T13:00:00+00:00"]
    assert iso(ends, "Europe/London") == ["2018-03-25T13:00:00+01:00"]


@given(
    first=st.integers(0, 4 * 10**12),
    length=st.integers(0, 40 * DAY),
    every=st.sampled_from([5 * 60_000, HOUR, 5 * HOUR, 6 * HOUR, DAY, 3 * DAY]),
    zone=st.sampled_from(["UTC", "Europe/London", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]),
)
def test_ends_enclose_the_readings_and_lie_on_the_local_clock(first, length, every, zone):
    last = first + length
    _, ends = window_bounds(first, last, HOUR, every, zone)
    assert (np.diff(ends) > 0).all()
    assert (ends[:-1] <= last).all()
    assert first < ends[0] <= first + every + 3 * HOUR
    assert last < ends[-1] <= last + every + 3 * HOUR
    for end in ends[:5].tolist() + ends[-5:].tolist():
        local = (datetime(1970, 1, 1, tzinfo=ZoneInfo("UTC")) + timedelta(milliseconds=end)).astimezone(ZoneInfo(zone))
        assert (local.replace(tzinfo=None) - datetime.fromisoformat("1970-01-01")) % timedelta(
            milliseconds=every
        ) == timedelta(0)


def test_a_stamp_that_is_years_off_is_not_answered_with_millions_of_rows():
    with pytest.raises(ValueError, match="more than 5,000,000 windows"):
        window_bounds(0, 50 * 365 * DAY, HOUR, 60_000, "UTC")
