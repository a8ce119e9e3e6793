from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenmine.simulators.random_streams import RandomStreams, decay, hold, runs

spans = st.tuples(st.integers(29_000_000, 29_010_000), st.integers(1, 3000), st.integers(0, 2999))


@given(spans, st.sampled_from([5, 20, 240, 1440]))
def test_a_minute_is_the_same_whatever_span_it_is_drawn_in(span, step):
    first, count, inside = span
    inside %= count
    streams = RandomStreams(7, "site")
    assert streams.minutes("x", first, count)[inside] == streams.minutes("x", first + inside, 1)[0]
    assert streams.smooth("x", first, count, step)[inside] == pytest.approx(
        streams.smooth("x", first + inside, 1, step)[0], abs=1e-12
    )


def test_seed_scope_and_name_each_change_the_numbers():
    same = RandomStreams(1, "a").minutes("x", 0, 50)
    np.testing.assert_array_equal(same, RandomStreams(1, "a").minutes("x", 0, 50))
    for other in (
        RandomStreams(2, "a").minutes("x", 0, 50),
        RandomStreams(1, "b").minutes("x", 0, 50),
        RandomStreams(1, "a").minutes("y", 0, 50),
    ):
        assert not np.any(same == other)


def test_a_smooth_number_has_about_unit_variance_and_no_jumps():
    x = RandomStreams(3).smooth("x", 29_000_000, 200_000, 60)
    assert 0.6 < x.std() < 1.1
    assert np.abs(np.diff(x)).max() < 0.15


def test_decay_leaves_one_over_e_after_the_time_constant():
    inflow = np.zeros(101)
    inflow[0] = 5.0
    np.testing.assert_allclose(decay(inflow, 100)[[0, 100]], [5.0, 5.0 / np.e])


def test_hold_and_runs():
    mask = np.array([0, 1, 0, 0, 0, 1, 1, 0], bool)
    assert runs(mask) == [(1, 2), (5, 7)]
    assert hold(mask, 2).astype(int).tolist() == [0, 1, 1, 1, 0, 1, 1, 1]
