from __future__ import annotations

import numpy as np
import pytest

from greenmine.simulators.sound import at_distance, energy_sum


def test_two_equal_sources_are_three_decibels_louder_than_one():
    np.testing.assert_allclose(energy_sum([np.array([60.0]), np.array([60.0])]), 60.0 + 10 * np.log10(2))
    assert energy_sum([np.array([60.0]), np.array([60.0])])[0] == pytest.approx(63.01, abs=0.005)


def test_a_much_quieter_source_adds_nothing():
    assert energy_sum([np.array([60.0]), np.array([-30.0])])[0] == pytest.approx(60.0, abs=1e-6)


@pytest.mark.parametrize(("distance", "level"), [(1.0, 89.0), (10.0, 69.0), (100.0, 49.0)])
def test_ten_times_the_distance_takes_twenty_decibels(distance, level):
    assert at_distance(np.array([100.0]), distance)[0] == pytest.approx(level)
