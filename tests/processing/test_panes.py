"""Panes: the ring of one-minute aggregates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenmine.processing.levels import histogram_bin
from greenmine.processing.panes import Panes

MS = 60_000
RING = 120


def add(panes: Panes, channel: int, times: list[int], values: list[float], valid: list[bool] | None = None) -> None:
    time = np.array(times, np.int64)
    ok = np.ones(len(times), np.bool_) if valid is None else np.array(valid)
    panes.add(np.full(len(times), channel, np.intp), time, np.array(values, np.float64), ok)


def minute(panes: Panes, channel: int, m: int) -> tuple[int, float, float, float]:
    block = panes.block(np.array([channel]), np.array([m]), 1)
    return int(block.count[0, 0]), float(block.total[0, 0]), float(block.low[0, 0]), float(block.high[0, 0])


EMPTY = (0, 0.0, np.inf, -np.inf)


def test_a_reading_at_the_full_minute_opens_it() -> None:
    panes = Panes(["arithmetic"], RING)
    add(panes, 0, [5 * MS - 1, 5 * MS, 6 * MS - 1], [1.0, 10.0, 20.0])
    assert minute(panes, 0, 4) == (1, 1.0, 1.0, 1.0)
    assert minute(panes, 0, 5) == (2, 30.0, 10.0, 20.0)


def test_the_first_minute_of_1970_is_a_minute() -> None:
    panes = Panes(["arithmetic"], RING)
    add(panes, 0, [0], [7.0])
    assert (panes.head[0], panes.tail[0], panes.newest[0]) == (0, 0, 0)
    assert minute(panes, 0, 0) == (1, 7.0, 7.0, 7.0)
    assert panes.seen(np.array([0]), np.array([0])).tolist() == [True]


def test_what_does_not_count_leaves_only_its_instant() -> None:
    panes = Panes(["arithmetic"], RING)
    add(panes, 0, [5 * MS, 5 * MS + 1000], [1.0, 2.0], [False, True])
    assert minute(panes, 0, 5) == (1, 2.0, 2.0, 2.0)
    assert panes.seen(np.array([0, 0, 0]), np.array([5 * MS, 5 * MS + 1000, 5 * MS - 1000])).tolist() == [
        True,
        True,
        False,
    ]


def test_each_channel_moves_on_its_own() -> None:
    panes = Panes(["arithmetic", "arithmetic"], RING)
    add(panes, 0, [MS], [1.0])
    add(panes, 1, [9000 * MS], [2.0])
    assert minute(panes, 0, 1) == (1, 1.0, 1.0, 1.0)
    assert minute(panes, 1, 9000) == (1, 2.0, 2.0, 2.0)


@pytest.mark.parametrize("jump", [1, 59, RING - 1, RING, RING + 1, 10 * RING + 7])
def test_moving_on_empties_what_lies_between_and_keeps_the_last_ring(jump: int) -> None:
    panes = Panes(["energy"], RING)
    for m in range(1000, 1000 + RING):
        add(panes, 0, [m * MS], [50.0])
    add(panes, 0, [(1000 + RING - 1 + jump) * MS], [60.0])
    head = 1000 + RING - 1 + jump
    counts = panes.block(np.array([0]), np.array([head - RING + 1]), RING).count[0]
    assert counts.sum() == max(0, RING - jump) + 1
    assert counts[-1] == 1
    assert minute(panes, 0, head - RING) == EMPTY
    assert minute(panes, 0, head + 1) == EMPTY


def test_minutes_outside_the_ring_are_empty_though_their_places_are_taken() -> None:
    panes = Panes(["arithmetic"], RING)
    add(panes, 0, [m * MS for m in range(300, 300 + RING)], [1.0] * RING)
    block = panes.block(np.array([0]), np.array([300 - RING]), 3 * RING)
    assert block.count[0].tolist() == [0] * RING + [1] * RING + [0] * RING


def test_a_late_reading_finds_its_pane_and_moves_the_beginning() -> None:
    panes = Panes(["arithmetic"], RING)
    add(panes, 0, [500 * MS], [1.0])
    add(panes, 0, [450 * MS], [4.0])
    assert minute(panes, 0, 450) == (1, 4.0, 4.0, 4.0)
    assert (panes.head[0], panes.tail[0], panes.newest[0]) == (500, 450, 500 * MS)


@pytest.mark.parametrize(("m", "held"), [(441, True), (440, False), (501, True), (10_000, True)])
def test_lateness_is_counted_from_the_newest_reading(m: int, held: bool) -> None:
    panes = Panes(["arithmetic"], RING, lateness=60)
    add(panes, 0, [500 * MS], [1.0])
    assert panes.holds(np.array([0]), np.array([m])).tolist() == [held]


@pytest.mark.parametrize(
    ("time", "maybe"),
    [
        (500 * MS + 1, False),  # newer than all
        (500 * MS, True),
        (499 * MS, False),  # a whole second that is not there
        (499 * MS + 500, True),  # between seconds the ring cannot tell
        (100 * MS, True),  # before the ring
    ],
)
def test_instants_that_may_have_been_seen(time: int, maybe: bool) -> None:
    panes = Panes(["arithmetic"], RING)
    add(panes, 0, [500 * MS], [1.0])
    assert panes.seen(np.array([0]), np.array([time])).tolist() == [maybe]


def test_the_ring_is_of_whole_hours() -> None:
    with pytest.raises(ValueError, match="whole hours"):
        Panes(["arithmetic"], 90)


@settings(max_examples=40, derandomize=True)
@given(st.data())
def test_sums_extremes_and_histograms_equal_those_of_the_readings(data: st.DataObject) -> None:
    kinds = ["arithmetic", "energy", "vector"]
    panes = Panes(kinds, RING, np.array([0, 30, 0]))
    rows = data.draw(
        st.lists(
            st.tuples(st.integers(0, 2), st.integers(0, RING * 60 - 1), st.integers(0, 1400)),
            min_size=1,
            max_size=60,
            unique_by=lambda r: (r[0], r[1]),
        )
    )
    base = 7000
    everything = [(c, base * MS + s * 1000, v / 10) for c, s, v in rows]
    cut = data.draw(st.integers(0, len(rows)))
    for part in (sorted(everything[:cut]), sorted(everything[cut:])):
        panes.add(
            np.array([p[0] for p in part], np.intp),
            np.array([p[1] for p in part], np.int64),
            np.array([p[2] for p in part], np.float64),
            np.ones(len(part), np.bool_),
        )
    for c, kind in enumerate(kinds):
        mine = [(t, v) for k, t, v in everything if k == c]
        block = panes.block(np.array([c]), np.array([base]), RING)
        weigh = {
            "arithmetic": lambda v: v,
            "energy": lambda v: 10 ** (v / 10),
            "vector": lambda v: np.cos(np.deg2rad(v)),
        }[kind]
        for m in range(RING):
            values = np.array([v for t, v in mine if t // MS == base + m])
            assert block.count[0, m] == len(values)
            assert block.total[0, m] == pytest.approx(weigh(values).sum(), rel=1e-12, abs=1e-12)
            assert block.low[0, m] == values.min(initial=np.inf)
            assert block.high[0, m] == values.max(initial=-np.inf)
    sound = [(t, v) for k, t, v in everything if k == 1]
    for hour in range((base + 30) // 60, (base + 30 + RING) // 60 + 1):
        inside = [v for t, v in sound if (t // MS + 30) // 60 == hour]
        found = panes.histogram(np.array([1]), np.array([hour]))[0]
        assert found.sum() == len(inside)
        assert found[np.unique(histogram_bin(np.array(inside, np.float64)))].sum() == len(inside)


def held(seconds: list[float], interval: int, width: int = 60) -> float:
    panes = Panes(["arithmetic"], RING, interval=np.array([1000 * interval]))
    add(panes, 0, [round(1000 * s) for s in seconds], [1.0] * len(seconds))
    return float(panes.block(np.array([0]), np.array([0]), width).held.sum())


@pytest.mark.parametrize(
    ("seconds", "interval", "due"),
    [
        pytest.param([60 * m for m in range(30)], 60, 30, id="half an hour"),
        pytest.param([60 * m + s for m in range(30) for s in (0, 1)], 60, 30, id="a second logger"),
        pytest.param([60 * m + s for m in range(0, 60, 2) for s in (20, 21)], 60, 30, id="a second logger, with gaps"),
        pytest.param(
            [60 * m + s for m in range(1, 30) for s in (-0.5, 0.5)], 60, 30, id="a second logger across minutes"
        ),
        pytest.param([60 * m + s for m in range(30) for s in range(0, 60, 5)], 60, 32, id="more often than due"),
        pytest.param(
            [60 * m + (0.3 if m % 2 else 59.8) for m in range(60)], 60, 60, id="each minute once, at its ends"
        ),
        pytest.param([60 * m + (-0.2 if m % 2 == 0 else 0.3) for m in range(2, 58)], 60, 56, id="stamps that waver"),
        pytest.param([300 * m for m in range(12)], 300, 12, id="every five minutes"),
        pytest.param([300 * m + s for m in range(6) for s in (0, 1)], 300, 6, id="every five minutes, a second logger"),
        pytest.param([300 * m + s for m in range(1, 7) for s in (-0.5, 0.5)], 300, 6.2, id="the same across minutes"),
        pytest.param([60 * m for m in range(60)], 300, 12.8, id="every minute where five are due"),
        pytest.param([90 * m for m in range(40)], 90, 40, id="every 90 seconds"),
        pytest.param([10 * m for m in range(180)], 10, 180, id="every ten seconds"),
        pytest.param(
            [10 * m + s for m in range(180) for s in (0, 1)], 10, 180, id="every ten seconds, a second logger"
        ),
    ],
)
def test_readings_speak_for_the_time_that_they_measured(seconds: list[float], interval: int, due: float) -> None:
    assert held(seconds, interval) == pytest.approx(due, abs=0.7)
