"""Sound levels against worked examples, numpy and the table of GB 12348."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from greenmine.processing.levels import (
    BINS,
    FLOOR,
    corrected_levels,
    day_night_level,
    energy,
    equivalent_level,
    histogram_bin,
    level,
    percentile_levels,
)


@pytest.fixture
def examples(reference: Path) -> dict[str, dict[str, object]]:
    cases = json.loads((reference / "noise-level-worked-examples.json").read_text(encoding="utf-8"))["cases"]
    return {case["what"]: case for case in cases}


@pytest.mark.parametrize("what", ["Leq of equal intervals", "mean of two equal levels"])
def test_energy_mean_of_worked_examples(examples: dict[str, dict[str, object]], what: str) -> None:
    case = examples[what]
    assert equivalent_level(np.array(case["input"])) == pytest.approx(case["expected"], abs=case["tolerance"])


def test_energy_mean_with_durations_of_the_worked_example(examples: dict[str, dict[str, object]]) -> None:
    case = examples["Leq of unequal intervals (minutes as weights)"]
    levels = np.array([part["level"] for part in case["input"]], np.float64)
    minutes = np.array([part["minutes"] for part in case["input"]], np.float64)
    assert equivalent_level(levels, minutes) == pytest.approx(case["expected"], abs=case["tolerance"])


def test_sum_of_levels_of_the_worked_example(examples: dict[str, dict[str, object]]) -> None:
    case = examples["sum of two equal levels"]
    assert level(energy(np.array(case["input"])).sum()) == pytest.approx(case["expected"], abs=case["tolerance"])


def test_day_night_level_of_the_worked_example_with_its_fifteen_hours_of_day(
    examples: dict[str, dict[str, object]],
) -> None:
    case = examples["Ldn"]
    found = day_night_level(case["input"]["day"], case["input"]["night"], day_hours=15)
    assert found == pytest.approx(case["expected"], abs=case["tolerance"])


def test_facts_of_the_standards_sheet() -> None:
    assert round(equivalent_level(np.array([60.0, 70.0])), 1) == 67.4
    assert day_night_level(60.0, 50.0) == pytest.approx(60.0, abs=1e-9)


def test_levels_that_are_not_there_do_not_count() -> None:
    assert equivalent_level(np.array([60.0, np.nan])) == 60.0
    assert np.isnan(equivalent_level(np.array([np.nan])))
    assert np.isnan(level(np.array([np.nan, 0.0, -1.0]))).all()


def corrected_of(measured: float, background: float) -> float:
    return float(corrected_levels(np.array([measured]), np.array([background]))[0])


@pytest.mark.parametrize(
    ("difference", "corrected"),
    [
        (10.6, 62.4),
        (10.4, 61.4),
        (6.0, 61.4),
        (5.5, 61.4),
        (5.4, 60.4),
        (4.0, 60.4),
        (3.5, 60.4),
        (3.4, 59.4),
        (2.6, 59.4),
    ],
)
def test_background_is_corrected_by_the_table(difference: float, corrected: float) -> None:
    assert corrected_of(62.4, 62.4 - difference) == pytest.approx(corrected)


@pytest.mark.parametrize("difference", [2.5, 2.4, 0.0, -3.0])
def test_a_background_too_near_cannot_be_corrected(difference: float) -> None:
    assert math.isnan(corrected_of(62.4, 62.4 - difference))


def test_background_of_the_standards_sheet() -> None:
    assert corrected_of(62.4, 58.9) == pytest.approx(60.4)


def histogram(levels: np.ndarray) -> np.ndarray:
    return np.bincount(histogram_bin(levels), minlength=BINS)[None]


@settings(max_examples=150, derandomize=True)
@given(hnp.arrays(np.float64, st.integers(1, 400), elements=st.floats(11, 139, width=32)))
def test_percentile_levels_lie_within_half_a_bin_of_those_of_the_samples(levels: np.ndarray) -> None:
    found = percentile_levels(histogram(levels), (5.0, 10.0, 50.0, 90.0, 95.0))[0]
    exact = np.percentile(levels, [95, 90, 50, 10, 5])
    assert np.abs(found - exact).max() <= 0.05 + 1e-9
    assert (np.diff(found) <= 1e-9).all()


@pytest.mark.parametrize("levels", [[], [5.0] * 10, [150.0] * 10, [5.0] * 5 + [60.0]])
def test_no_percentile_rests_on_an_empty_histogram_or_an_end_bin(levels: list[float]) -> None:
    assert np.isnan(percentile_levels(histogram(np.array(levels, np.float64)), (90.0,))).all()


def test_levels_are_counted_at_the_nearest_tenth() -> None:
    assert histogram_bin(np.array([FLOOR, 10.049, 10.051, 60.0, 140.0, 200.0, -5.0])).tolist() == [
        0, 0, 1, 500, 1300, 1300, 0,
    ]  # fmt: skip
