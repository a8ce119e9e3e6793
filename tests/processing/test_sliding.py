"""Sliding sums and maxima."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from greenmine.processing.sliding import sliding_count, sliding_maximum, sliding_sum


@st.composite
def windows(draw: st.DrawFn) -> tuple[np.ndarray, int]:
    rows, width = draw(st.integers(1, 3)), draw(st.integers(1, 20))
    n = draw(st.integers(width, 70))
    values = draw(hnp.arrays(np.float64, (rows, n), elements=st.floats(-1e6, 1e6)))
    return values, width


@settings(max_examples=150, derandomize=True)
@given(windows())
def test_sums_and_maxima_equal_those_of_each_window(case: tuple[np.ndarray, int]) -> None:
    values, width = case
    each = np.lib.stride_tricks.sliding_window_view(values, width, axis=-1)
    np.testing.assert_allclose(sliding_sum(values, width), each.sum(axis=-1), rtol=1e-12, atol=1e-8)
    np.testing.assert_array_equal(sliding_maximum(values, width), each.max(axis=-1))
    counts = np.abs(values).astype(np.uint16)
    each = np.lib.stride_tricks.sliding_window_view(counts, width, axis=-1)
    np.testing.assert_array_equal(sliding_count(counts, width), each.sum(axis=-1))


@settings(max_examples=50, derandomize=True)
@given(windows(), st.integers(0, 20), st.integers(0, 60))
def test_a_window_has_one_sum_whatever_stretch_it_is_a_part_of(
    case: tuple[np.ndarray, int], phase: int, skipped: int
) -> None:
    values, width = case
    skipped = min(skipped, max(0, values.shape[1] - width - 1))
    whole = sliding_sum(np.pad(values, ((0, 0), (0, 1))), width, phase)[:, skipped:-1]
    part = sliding_sum(np.pad(values[:, skipped:], ((0, 0), (0, 1))), width, phase - skipped)[:, :-1]
    np.testing.assert_array_equal(part, whole)


def test_a_minute_of_140_db_leaves_no_trace_once_it_is_out_of_the_window() -> None:
    quiet = 10 ** (np.tile([30.0, 30.3, 29.7], 40) / 10)[None]
    loud = quiet.copy()
    loud[0, 5] = 1e14
    after = slice(6, None)
    np.testing.assert_array_equal(sliding_sum(loud, 60)[0, after], sliding_sum(quiet, 60)[0, after])


def test_a_window_longer_than_the_series_is_refused() -> None:
    with pytest.raises(ValueError, match="fewer than the window of 5"):
        sliding_sum(np.zeros((1, 4)), 5)
