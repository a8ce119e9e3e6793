"""Figures over windows: averaging, capture, validity."""

from __future__ import annotations

import numpy as np
import pytest

from greenmine.processing.averaging import direction
from greenmine.processing.panes import Block
from greenmine.processing.statistics import Figures, figures


def block(minutes: list[list[float]], weigh: str = "arithmetic") -> Block:
    """Panes of one row from the values of each minute."""
    parts = [np.array(m, np.float64) for m in minutes]
    weights = {
        "arithmetic": lambda v: v,
        "energy": lambda v: 10 ** (v / 10),
        "vector": lambda v: np.cos(np.deg2rad(v)),
    }[weigh]
    return Block(
        np.array([[len(p) for p in parts]], np.uint16),
        np.array([[weights(p).sum() for p in parts]]),
        np.array([[np.sin(np.deg2rad(p)).sum() if weigh == "vector" else 0.0 for p in parts]]),
        np.array([[p.min(initial=np.inf) for p in parts]]),
        np.array([[p.max(initial=-np.inf) for p in parts]]),
        np.zeros((1, len(parts)), np.bool_),
        np.array([[len(p) for p in parts]], np.float64),
    )


def of(
    some: Block, kind: str, due: float = 60.0, need: int | None = None, excluded: np.ndarray | None = None
) -> Figures:
    return figures(some, excluded, np.array([kind]), np.array([due]), 45, need)


def hours(*values: list[float]) -> list[list[float]]:
    """Minutes of hours, one value a minute, then nothing."""
    return [minute for hour in values for minute in [*([v] for v in hour), *([[]] * (60 - len(hour)))]]


@pytest.mark.parametrize(
    ("kind", "weigh", "mean"),
    [
        ("arithmetic", "arithmetic", 65.0),
        ("state", "arithmetic", 65.0),
        ("sum", "arithmetic", 3900.0),
        ("maximum", "arithmetic", 70.0),
        ("energy", "energy", 10 * np.log10((10**6 + 10**7) / 2)),
    ],
)
def test_an_hour_is_averaged_in_the_way_of_its_parameter(kind: str, weigh: str, mean: float) -> None:
    found = of(block(hours([60.0, 70.0] * 30), weigh), kind)
    assert found.mean[0] == pytest.approx(mean, rel=1e-12)
    assert (found.minimum[0], found.maximum[0], found.count[0], found.capture[0]) == (60.0, 70.0, 60, 1.0)


def test_directions_are_averaged_around_north() -> None:
    found = of(block(hours([350.0, 30.0] * 30), "vector"), "vector")
    assert found.mean[0] == pytest.approx(10.0)


@pytest.mark.parametrize("order", [[0, 120, 240], [240, 0, 120], [120, 240, 0], [0, 180], [90, 270]])
def test_directions_that_cancel_have_no_mean_in_whatever_order_they_came(order: list[float]) -> None:
    found = of(block([[float(d) for d in order], *([[]] * 59)], "vector"), "vector")
    assert np.isnan(found.mean[0])


def test_a_direction_just_under_north_is_zero_and_not_360() -> None:
    assert direction(np.array([1.0]), np.array([-1e-20]), np.array([1.0]))[0] == 0.0


@pytest.mark.parametrize(
    ("count", "due", "valid"),
    [(45, 60.0, True), (44, 60.0, False), (3, 4.0, True), (2, 4.0, False), (1, 1.0, True), (0, 60.0, False)],
)
def test_an_hour_is_valid_with_three_quarters_of_what_is_due(count: int, due: float, valid: bool) -> None:
    found = of(block(hours([5.0] * count)), "arithmetic", due)
    assert found.valid[0] == valid
    assert found.capture[0] == count / due


def test_an_hour_with_too_little_data_has_a_mean_all_the_same() -> None:
    assert of(block(hours([5.0, 7.0])), "arithmetic").mean[0] == 6.0


def test_a_longer_mean_is_that_of_the_valid_hours_each_with_the_same_weight() -> None:
    found = of(block(hours([10.0] * 60, [40.0] * 45, [1000.0] * 44)), "arithmetic", need=2)
    assert found.mean[0] == 25.0
    assert (found.hours[0], found.valid[0], found.count[0], found.maximum[0]) == (2, True, 149, 1000.0)
    assert found.capture[0] == pytest.approx(149 / 180)


def test_a_longer_energy_mean_is_that_of_the_hours() -> None:
    found = of(block(hours([60.0] * 60, [70.0] * 45), "energy"), "energy", need=1)
    assert round(found.mean[0], 1) == 67.4


def test_a_longer_window_without_valid_hours_has_no_mean_but_extremes() -> None:
    found = of(block(hours([10.0] * 30, [40.0] * 30)), "arithmetic", need=1)
    assert np.isnan(found.mean[0])
    assert (found.maximum[0], found.valid[0], found.hours[0]) == (40.0, False, 0)


@pytest.mark.parametrize(("kind", "mean"), [("sum", 900.0 + 1200.0), ("maximum", 40.0)])
def test_totals_and_maxima_are_taken_over_all_readings(kind: str, mean: float) -> None:
    found = of(block(hours([30.0] * 30, [40.0] * 30)), kind, need=1)
    assert found.mean[0] == mean


@pytest.mark.parametrize(("need", "valid"), [(20, True), (21, False)])
def test_a_day_is_valid_with_enough_valid_hours(need: int, valid: bool) -> None:
    found = of(block(hours(*([[5.0] * 60] * 20), *([[5.0] * 44] * 4))), "arithmetic", need=need)
    assert (found.hours[0], found.valid[0]) == (20, valid)


def test_excluded_minutes_do_not_count() -> None:
    excluded = np.zeros((1, 60), np.bool_)
    excluded[0, :20] = True
    found = of(block(hours([100.0] * 20 + [10.0] * 40)), "arithmetic", excluded=excluded)
    assert (found.mean[0], found.maximum[0], found.count[0], found.excluded[0]) == (10.0, 10.0, 40, 20)
    assert not found.valid[0]


def test_readings_that_come_more_often_than_due_do_not_give_more_than_all() -> None:
    assert of(block([[1.0] * 5] * 60), "arithmetic", 60.0).capture[0] == 1.0


@pytest.mark.parametrize("kind", ["arithmetic", "energy", "vector", "sum", "maximum"])
def test_nothing_gives_nothing(kind: str) -> None:
    found = of(block([[]] * 60), kind)
    assert np.isnan([found.mean[0], found.minimum[0], found.maximum[0]]).all()
    assert (found.count[0], found.capture[0], found.valid[0]) == (0, 0.0, False)
