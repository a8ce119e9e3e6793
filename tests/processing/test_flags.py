"""Quality checks against the cases of QARTOD."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from greenmine.processing.flags import flat, jumps, out_of_range, over_range, spikes


@pytest.fixture
def cases(reference: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((reference / "quality-control-tests.json").read_text("utf-8"))["cases"]
    return found


def times(case: dict[str, Any]) -> np.ndarray:
    return np.array([datetime.fromisoformat(t).timestamp() * 1000 for t in case["times"]], np.int64)


@pytest.mark.parametrize(("bound", "codes"), [("fail", {4}), ("suspect", {3, 4})])
def test_gross_range(cases: list[dict[str, Any]], bound: str, codes: set[int]) -> None:
    case = cases[0]
    found = out_of_range(np.array(case["input"], np.float64), *case[bound])
    assert found.tolist() == [code in codes for code in case["expected"]]


@pytest.mark.parametrize(("bound", "codes", "ours"), [("fail_above", {4}, [2]), ("suspect_above", {3, 4}, [2, 5])])
def test_spike_of_which_we_mark_only_the_spike_itself_where_the_reference_marks_its_neighbours_too(
    cases: list[dict[str, Any]], bound: str, codes: set[int], ours: list[int]
) -> None:
    case = cases[1]
    theirs = [i for i, code in enumerate(case["expected"]) if code in codes]
    found = np.flatnonzero(spikes(np.array(case["input"]), case[bound])).tolist()
    assert set(found) <= set(theirs) | {5}
    # 40 departs from 15 by 25 and from 9 by 31: not by more than 25 from both, though from their mean by 28.
    assert found == [i for i in ours if i != 5]


def test_spike_that_departs_from_both_neighbours() -> None:
    assert np.flatnonzero(spikes(np.array([15.0, 40.1, 9, 9, -30, 9]), 25)).tolist() == [1, 4]


def test_a_step_is_no_spike(cases: list[dict[str, Any]]) -> None:
    assert not spikes(np.array([1.0, 1, 90, 90]), 25).any()
    assert not spikes(np.array(cases[2]["input"], np.float64), cases[2]["suspect_above"]).any()


def test_rate_of_change(cases: list[dict[str, Any]]) -> None:
    case = cases[3]
    found = jumps(times(case), np.array(case["input"], np.float64), 5 / 15)
    assert found.tolist() == [code == 3 for code in case["expected"]]


@pytest.mark.parametrize(("steps", "codes"), [(3, {3, 4}), (5, {4})])
def test_flat_line_with_the_durations_cut_to_whole_steps_as_the_reference_does(
    cases: list[dict[str, Any]], steps: int, codes: set[int]
) -> None:
    case = cases[4]
    found = flat(times(case), np.array(case["input"], np.float64), steps * 900_000, tolerance=0.01)
    assert found.tolist() == [code in codes for code in case["expected"]]


def test_flat_line_lasts_as_long_as_it_says_where_the_reference_is_up_to_a_step_early(
    cases: list[dict[str, Any]],
) -> None:
    case = cases[4]
    found = flat(times(case), np.array(case["input"], np.float64), 3_000_000, tolerance=0.01)
    assert np.flatnonzero(found).tolist() == [5, 6, 7]


def test_nan_is_out_of_range_and_stands_next_to_no_spike_and_no_jump() -> None:
    value = np.array([1.0, np.nan, 100.0, np.nan, 1.0])
    assert out_of_range(value, 0, 1000).tolist() == [False, True, False, True, False]
    assert not spikes(value, 5).any()
    assert not jumps(np.arange(5) * 60_000, value, 5).any()


def test_a_threshold_of_nan_switches_a_check_off() -> None:
    value = np.array([[1.0, 100.0, 1.0], [1.0, 100.0, 1.0]])
    threshold = np.array([[np.nan], [5.0]])
    assert spikes(value, threshold).tolist() == [[False] * 3, [False, True, False]]
    assert jumps(np.arange(3) * 60_000, value, threshold).tolist() == [[False] * 3, [False, True, True]]


@pytest.mark.parametrize(("value", "outside"), [(-10.0, False), (-10.1, True), (20000.0, False), (20000.1, True)])
def test_bounds_of_the_range_are_inside(value: float, outside: bool) -> None:
    assert out_of_range(np.array([value]), -10, 20000).tolist() == [outside]


def test_over_range_is_what_may_be_higher_and_nothing_else() -> None:
    """By flag, above the measuring range of 100, or above all that is plausible (1000); faults and work are neither."""
    flag = np.frombuffer(b"TTNNNRRDM", np.uint8)
    value = np.array([50.0, 5000.0, 100.0, 100.5, 5000.0, 500.0, 5000.0, 5000.0, 5000.0])
    assert over_range(flag, value, 100.0, 1000.0).tolist() == [True, True, False, True, True, False, True, False, False]
