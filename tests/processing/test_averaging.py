"""Every mean comes from one module, whatever is averaged."""

from __future__ import annotations

import re
from typing import get_args

import numpy as np
import pytest

from greenmine.parameters import Averaging
from greenmine.processing.averaging import difference, mean_of_figures, rest_to_reach, row_means, window_means
from greenmine.processing.series import summarise
from tests.test_contracts import LINKED, ROOT

HOME = {"processing/averaging.py", "greenmine/parameters.py"}
_ASKS = re.compile(
    r"averaging\s*(?:==|!=|in\b|not in\b)|match \S*averaging|\bkind == \"(?:energy|sum|vector|maximum|state)\""
)


def test_nothing_else_asks_how_a_parameter_is_averaged() -> None:
    files = [file for folder in ("greenmine", *LINKED) for file in (ROOT / folder).rglob("*.py")]
    asking = {str(file.relative_to(ROOT)) for file in files if _ASKS.search(file.read_text())}
    assert asking == HOME


@pytest.mark.parametrize("averaging", get_args(Averaging))
def test_an_hour_is_averaged_alike_from_readings_from_minutes_and_in_a_row(averaging: Averaging) -> None:
    value = np.random.default_rng(5).uniform(40.0, 80.0, 60).round(1)
    bounds = np.array([0]), np.array([3_600_000])
    of_readings = summarise(np.arange(60) * 60_000, value, averaging=averaging, windows=bounds).mean
    kind = np.array([averaging])
    weighed = {"energy": 10.0 ** (value / 10), "vector": np.cos(np.deg2rad(value))}.get(averaging, value)
    sums = np.array([[weighed.sum()]]), np.array([[np.sin(np.deg2rad(value)).sum()]])
    of_minutes = window_means(kind, (np.array([[60]]), *sums), np.array([[True]]), np.array([value.max()]))
    assert of_minutes == pytest.approx(of_readings, rel=1e-12)
    assert row_means(averaging, value[None, :]) == pytest.approx(of_readings, rel=1e-12)


def test_hours_are_averaged_by_their_own_way_and_weights() -> None:
    assert mean_of_figures("arithmetic", [10.0, 30.0], [3, 1]) == 15.0
    assert mean_of_figures("energy", [60.0, 70.0]) == pytest.approx(67.4036, abs=1e-4)
    assert np.isnan(mean_of_figures("vector", [350.0, 10.0]))
    assert np.isnan(mean_of_figures("arithmetic", []))


def test_the_rest_brings_all_together_to_the_goal() -> None:
    assert rest_to_reach("arithmetic", 120.0, [135.0] * 15, 9) == pytest.approx(95.0)
    rest = rest_to_reach("energy", 55.0, [57.0] * 4, 4)
    assert mean_of_figures("energy", [57.0] * 4 + [rest] * 4) == pytest.approx(55.0, abs=1e-9)
    assert rest_to_reach("energy", 55.0, [60.0] * 4, 4) == float("-inf")


def test_directions_differ_by_the_smaller_angle() -> None:
    assert difference("vector", 350.0, 10.0) == -20.0
    assert difference("arithmetic", 350.0, 10.0) == 340.0
