"""Curves: no extreme is lost, gaps stay gaps, whatever the period."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert

from greenmine.api.http.curves import Curve, _thinned
from greenmine.record import schema
from greenmine.registry import Registry
from greenmine.times import DAY, HOUR, MINUTE
from tests.api.conftest import Served
from tests.api.filling import LOUD, add_reading, number_of

CHANNEL = f"{LOUD}/boundary/tsp"
NOTHING = np.empty((0, 2), np.int64)


def instant(time: int) -> str:
    return f"{np.datetime64(time, 'ms')}Z"


@settings(max_examples=60, derandomize=True, database=None)
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(0, 5000), points=st.integers(100, 600), gaps=st.integers(0, 5))
def test_the_extremes_and_both_sides_of_each_wide_gap_are_kept(seed: int, size: int, points: int, gaps: int) -> None:
    rng = np.random.default_rng(seed)
    time = np.arange(size, dtype=np.int64) * MINUTE
    for place in rng.integers(0, max(1, size), gaps):
        time[place:] += 10_000 * MINUTE
    mean = rng.normal(0, 1, size)
    low, high = mean - rng.random(size), mean + rng.random(size)
    pixel = 50 * MINUTE
    found = _thinned(Curve("minute", MINUTE, time, mean, low, high, NOTHING, []), points, pixel)
    assert (np.diff(found.time) > 0).all()
    assert len(found.time) <= points + 3 * gaps + 2
    if not size:
        return
    assert np.nanmax(found.high) == high.max()
    assert np.nanmin(found.low) == low.min()
    assert np.nanmax(found.mean) == mean.max()
    assert np.nanmin(found.mean) == mean.min()
    for k in np.flatnonzero(np.diff(time) > pixel):
        between = (found.time > time[k]) & (found.time < time[k + 1])
        assert np.isnan(found.mean[between]).all()
        assert between.any()
        assert time[k] in found.time
        assert time[k + 1] in found.time
    inside = ~np.isnan(found.mean)
    assert set(found.time[inside].tolist()) <= set(time.tolist())


def test_a_spike_of_one_minute_is_seen_in_a_day_and_in_a_year(live: Served, registry: Registry) -> None:
    channel = next(c for c in registry.channels if c.key == CHANNEL)
    hour = live.now // HOUR * HOUR - 5 * HOUR
    statistic = {
        "channel": number_of(channel), "window": "hour", "revision": 1, "latest": True, "mean": 300.0, "minimum": 1.5,
        "maximum": 9_999.0, "count": 60, "expected": 60, "capture": 1, "valid": True, "excluded": 7, "suspect": 0,
        "reason": "late data", "issued": 0,
    }  # fmt: skip
    far = hour - 100 * DAY
    usual = statistic | {"maximum": 400.0, "minimum": 200.0, "excluded": 0}
    quiet = [usual | {"start": far + n * HOUR, "end": far + (n + 1) * HOUR} for n in range(1, 1_000)]
    with live.engine.begin() as connection:
        connection.execute(insert(schema.statistic).values(start=far, end=far + HOUR, **statistic))
        connection.execute(insert(schema.statistic), quiet)
    add_reading(live.engine, channel, hour + 12_345, 9_999.0)
    for days, resolution in ((1, "minute"), (365, "hour")):
        params = {"channel": CHANNEL, "from": instant(live.now - days * DAY), "to": instant(live.now), "points": 200}
        body = live.client.get("/api/v1/chart", params=params).json()
        assert body["resolution"] == resolution
        assert max(value for value in body["high"] if value is not None) == 9_999.0
        assert len({len(body[name]) for name in ("time", "mean", "low", "high")}) == 1
        assert len(body["time"]) < 260
        if resolution == "hour":
            assert min(value for value in body["low"] if value is not None) == 1.5
            assert [far, far + HOUR] in body["excluded"]
            assert None in body["mean"], "a hundred days without figures are a gap"


def test_readings_that_are_not_valid_are_told_apart(live: Served, registry: Registry) -> None:
    channel = next(c for c in registry.channels if c.key == CHANNEL)
    with live.engine.begin() as connection:
        block = schema.reading_block.c
        connection.execute(delete(schema.reading_block).where(block.channel == number_of(channel)))
    start = live.now // HOUR * HOUR - 3 * HOUR
    for minute, flag, quality in ((0, "N", 0), (1, "M", 0), (2, "M", 0), (3, "N", 1), (4, "N", 0)):
        add_reading(live.engine, channel, start + minute * MINUTE, 100.0 + minute, flag, quality)
    params = {"channel": CHANNEL, "from": instant(start), "to": instant(start + HOUR)}
    body = live.client.get("/api/v1/chart", params=params).json()
    assert [(a - start, flag) for a, _, flag in body["flagged"]] == [(MINUTE, "M"), (3 * MINUTE, "R")]
    assert [value for value in body["mean"] if value is not None] == [100.0, 104.0]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"points": "99"}, 400),
        ({"points": "10001"}, 400),
        ({"from": "2020-01-01T00:00:00Z"}, 400),
        ({"from": "2100-01-01T00:00:00Z"}, 400),
        ({"channel": "a/b/c"}, 404),
        ({"colour": "red"}, 400),
    ],
)
def test_a_period_that_cannot_be_drawn_is_refused(served: Served, change: dict[str, str], status: int) -> None:
    assert served.client.get("/api/v1/chart", params={"channel": CHANNEL} | change).status_code == status


def test_a_period_without_data_has_an_empty_curve(served: Served) -> None:
    params = {"channel": CHANNEL, "from": "2001-01-01T00:00:00Z", "to": "2001-01-02T00:00:00Z"}
    body = served.client.get("/api/v1/chart", params=params).json()
    assert body["time"] == body["mean"] == []
