"""Which readings are new."""

from __future__ import annotations

import numpy as np
import pytest

from greenmine.processing.identity import Sorted, Stored, tell_apart, unknown
from greenmine.processing.panes import Panes
from greenmine.readings import Readings

MS = 60_000
NAN = float("nan")


def rows(*some: tuple[int, int, float] | tuple[int, int, float, str]) -> Readings:
    return Readings(
        np.array([r[0] for r in some], np.int32),
        np.array([r[1] for r in some], np.int64),
        np.array([r[2] for r in some], np.float64),
        np.array([ord(r[3]) if len(r) > 3 else ord("N") for r in some], np.uint8),
    )


def known(*some: tuple[int, int, float]) -> Stored:
    held = {(c, t): v for c, t, v in some}

    def look(channel: np.ndarray, time: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        keys = list(zip(channel.tolist(), time.tolist(), strict=True))
        return (
            np.array([k in held for k in keys], np.bool_),
            np.array([held.get(k, NAN) for k in keys], np.float64),
            np.full(len(keys), ord("N"), np.uint8),
        )

    return look


def lists(parts: Sorted) -> tuple[list[int], list[int], list[int], list[int]]:
    return parts.fresh.tolist(), parts.repeated.tolist(), parts.conflicting.tolist(), parts.late.tolist()


@pytest.fixture
def panes() -> Panes:
    """Two channels; the first has a reading at minute 1000."""
    panes = Panes(["arithmetic", "arithmetic"], 180, lateness=60)
    panes.add(np.array([0]), np.array([1000 * MS]), np.array([5.0]), np.array([True]))
    return panes


def test_new_readings_are_sorted_by_channel_and_time(panes: Panes) -> None:
    batch = rows((1, 7 * MS, 1), (0, 1003 * MS, 2), (1, 6 * MS, 3), (0, 1001 * MS, 4))
    assert lists(tell_apart(batch, panes, unknown)) == ([3, 1, 2, 0], [], [], [])


def test_within_a_batch_the_first_that_came_counts(panes: Panes) -> None:
    batch = rows((1, 9 * MS, 1), (1, 9 * MS, 1), (1, 9 * MS, 2), (1, 9 * MS, 1, "M"))
    assert lists(tell_apart(batch, panes, unknown)) == ([0], [1, 2, 3], [2, 3], [])


def test_two_missing_values_are_the_same_value(panes: Panes) -> None:
    assert lists(tell_apart(rows((1, 9 * MS, NAN), (1, 9 * MS, NAN)), panes, unknown)) == ([0], [1], [], [])


def test_a_stored_reading_is_a_repeat_and_another_value_a_conflict(panes: Panes) -> None:
    store = known((0, 1000 * MS, 5.0))
    assert lists(tell_apart(rows((0, 1000 * MS, 5.0)), panes, store)) == ([], [0], [], [])
    assert lists(tell_apart(rows((0, 1000 * MS, 6.0)), panes, store)) == ([], [0], [0], [])


def test_every_repeat_of_a_stored_reading_is_compared_with_the_stored_one(panes: Panes) -> None:
    batch = rows((0, 1000 * MS, 6.0), (0, 1000 * MS, 6.0), (0, 1000 * MS, 5.0))
    assert lists(tell_apart(batch, panes, known((0, 1000 * MS, 5.0)))) == ([], [0, 1, 2], [0, 1], [])


def test_instants_between_seconds_are_told_apart_by_the_store(panes: Panes) -> None:
    batch = rows((0, 999 * MS + 250, 1.0), (0, 999 * MS + 750, 1.0))
    assert lists(tell_apart(batch, panes, known((0, 999 * MS + 250, 1.0)))) == ([1], [0], [], [])


def test_the_store_is_not_asked_when_the_ring_knows() -> None:
    panes = Panes(["arithmetic"], 180)
    panes.add(np.array([0]), np.array([1000 * MS]), np.array([5.0]), np.array([True]))

    def never(channel: np.ndarray, time: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        raise AssertionError(channel, time)

    assert lists(tell_apart(rows((0, 999 * MS, 1.0), (0, 1001 * MS, 1.0)), panes, never)) == ([0, 1], [], [], [])


@pytest.mark.parametrize(("m", "late"), [(941, []), (940, [0]), (1, [0])])
def test_readings_beyond_the_lateness_are_late(panes: Panes, m: int, late: list[int]) -> None:
    parts = tell_apart(rows((0, m * MS, 1.0)), panes, unknown)
    assert parts.late.tolist() == late
    assert len(parts.fresh) == 1 - len(late)


def test_an_old_repeat_is_a_repeat_and_not_late(panes: Panes) -> None:
    assert lists(tell_apart(rows((0, MS, 1.0)), panes, known((0, MS, 1.0)))) == ([], [0], [], [])


def test_every_reading_is_in_one_part(panes: Panes) -> None:
    rng = np.random.default_rng(1)
    n = 500
    batch = Readings(
        rng.integers(0, 2, n).astype(np.int32),
        rng.integers(900, 1100, n) * MS,
        rng.integers(0, 3, n).astype(np.float64),
        np.full(n, ord("N"), np.uint8),
    )
    parts = tell_apart(batch, panes, known((0, 1000 * MS, 5.0)))
    assert sorted([*parts.fresh, *parts.repeated, *parts.late]) == list(range(n))
    assert set(parts.conflicting) <= set(parts.repeated)
    pairs = set(zip(batch.channel[parts.fresh].tolist(), batch.time[parts.fresh].tolist(), strict=True))
    assert len(pairs) == len(parts.fresh)


def test_an_empty_batch_has_no_parts(panes: Panes) -> None:
    assert lists(tell_apart(Readings.empty(), panes, unknown)) == ([], [], [], [])
