"""Rounding by GB/T 8170."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenmine.rounding import round_array, round_half_even


@pytest.mark.parametrize(
    ("value", "digits", "rounded"),
    [
        (60.5, 0, "60"),
        (61.5, 0, "62"),
        (60.51, 0, "61"),
        (-0.5, 0, "0"),
        (-1.5, 0, "-2"),
        (0.0, 0, "0"),
        (12.25, 1, "12.2"),
        (12.35, 1, "12.4"),
        (0.325, 2, "0.32"),
        (1.15, 1, "1.2"),
        (1250.0, -2, "1.2E+3"),
        (119.5, 0, "120"),
        (120.5, 0, "120"),
    ],
)
def test_exactly_five_goes_to_the_even_digit(value: float, digits: int, rounded: str) -> None:
    assert str(round_half_even(value, digits)) == rounded


def test_a_tie_reached_by_summation_is_still_a_tie() -> None:
    mean = sum([60.4, 60.6] * 30) / 60
    assert mean == pytest.approx(60.5)
    assert [round_half_even(x, 0) for x in (mean, 60.500000000000007, 60.49999999999999)] == [60, 60, 60]


def test_rounding_is_done_once_never_in_steps() -> None:
    assert round_half_even(60.4501, 0) == 60
    assert round_half_even(15.4546, 0) == 15


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_cannot_be_rounded(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        round_half_even(value, 0)


@settings(max_examples=300, derandomize=True)
@given(st.integers(-10_000_000, 10_000_000), st.integers(0, 3))
def test_arrays_round_as_single_figures_do(thousandths: int, digits: int) -> None:
    value = thousandths / 1000
    assert round_array(np.array([value]), digits)[0] == float(round_half_even(value, digits))


@settings(max_examples=200, derandomize=True)
@given(st.decimals(-1000, 1000, places=2))
def test_rounding_moves_by_half_a_unit_at_most(value: Decimal) -> None:
    assert abs(round_half_even(float(value), 0) - value) <= Decimal("0.5")


def test_nan_in_an_array_stays_nan() -> None:
    assert np.isnan(round_array(np.array([np.nan, 1.5]), 0)).tolist() == [True, False]
