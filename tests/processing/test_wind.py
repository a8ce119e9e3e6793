"""Downwind minus upwind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from greenmine.limits import load_limits
from greenmine.processing.exclusion import Exclusion
from greenmine.processing.panes import Panes
from greenmine.processing.wind import (
    OBSTACLES,
    DownwindDifference,
    angle_between,
    bearing,
    direction_deviation,
    unsuitable,
)
from greenmine.registry import Position, Registry
from tests.processing.mine import BOUNDARY_SOUTH, MINUTE, REFERENCE_NORTH, WEATHER, Station, channel, registry_of, rule

M0 = 29_540_000


def position(latitude: float, longitude: float) -> Position:
    return Position(latitude=latitude, longitude=longitude)


@pytest.mark.parametrize(
    ("target", "degrees"),
    [((31, 108), 0), ((30, 109), 90), ((29, 108), 180), ((30, 107), 270), ((30.01, 108.011547), 45)],
)
def test_bearings_go_clockwise_from_north(target: tuple[float, float], degrees: float) -> None:
    assert bearing(position(30, 108), position(*target)) == pytest.approx(degrees, abs=0.01)


@pytest.mark.parametrize(
    ("a", "b", "apart"), [(350, 10, 20), (10, 350, 20), (0, 180, 180), (90, 90, 0), (359, 180, 179)]
)
def test_angles_are_the_smaller_ones(a: float, b: float, apart: float) -> None:
    assert angle_between(np.array([float(a)]), float(b))[0] == apart


@pytest.fixture
def three(tmp_path: Path) -> Registry:
    """A station in the south, with references in the north and in the north-east."""
    return registry_of(
        tmp_path,
        {
            "mine": (
                "Asia/Shanghai",
                [
                    Station("north", ("tsp",), place=REFERENCE_NORTH),
                    Station("northeast", ("tsp",), place=(30.01, 108.011547)),
                    Station("south", ("tsp",), limits=("gb4915-difference",), place=BOUNDARY_SOUTH),
                    WEATHER,
                ],
            )
        },
    )


def slide(
    registry: Registry, values: dict[str, float], minutes: dict[str, int] | None = None
) -> tuple[float, str, float]:
    """Value, obstacle and share of the difference over the hour from M0 on, with the same value every minute."""
    panes = Panes([c.parameter.averaging for c in registry.channels], 240)
    for key, value in values.items():
        n = (minutes or {}).get(key, 60)
        time = (M0 + np.arange(n)) * MINUTE
        index = channel(registry, f"mine/{key}")
        panes.add(np.full(n, index, np.intp), time, np.full(n, float(value)), np.ones(n, np.bool_))
    index = rule(registry, "mine/south/gb4915-difference")
    found = DownwindDifference(registry, registry.rules[index]).slide(Exclusion(registry, panes), M0 + 59, 1, 60)
    return float(found.value[0]), OBSTACLES[int(found.obstacle[0])], float(found.capture[0])


DUST = {"south/tsp": 620.0, "north/tsp": 150.0, "northeast/tsp": 400.0}


def wind(speed: float, from_direction: float) -> dict[str, float]:
    return {"weather/wind-speed": speed, "weather/wind-direction": from_direction}


@pytest.mark.parametrize(
    ("from_direction", "difference"),
    [(0, 470.0), (350, 470.0), (22, 470.0), (23, 220.0), (45, 220.0), (315, 470.0)],
)
def test_the_most_upwind_reference_is_taken_away(three: Registry, from_direction: float, difference: float) -> None:
    value, obstacle, share = slide(three, DUST | wind(2.0, from_direction))
    assert (value, obstacle, share) == (pytest.approx(difference), "", 1.0)


@pytest.mark.parametrize("from_direction", [46, 180, 314])
def test_a_station_beside_the_plume_is_not_downwind(three: Registry, from_direction: float) -> None:
    value, obstacle, _ = slide(three, DUST | wind(2.0, from_direction))
    assert np.isnan(value)
    assert obstacle == "not-downwind"


@pytest.mark.parametrize(("speed", "obstacle"), [(0.9, "calm"), (1.0, ""), (1.1, "")])
def test_in_a_calm_no_side_is_downwind(three: Registry, speed: float, obstacle: str) -> None:
    assert slide(three, DUST | wind(speed, 0))[1] == obstacle


def test_without_wind_there_is_no_difference(three: Registry) -> None:
    assert slide(three, DUST)[1] == "no-wind-data"
    assert slide(three, DUST | {"weather/wind-speed": 2.0})[1] == "no-wind-data"
    assert slide(three, DUST | {"weather/wind-direction": 2.0})[1] == "no-wind-data"


def test_a_reference_with_too_little_data_is_passed_over(three: Registry) -> None:
    value, obstacle, _ = slide(three, DUST | wind(2.0, 0), {"north/tsp": 44})
    assert (value, obstacle) == (pytest.approx(220.0), "")
    value, obstacle, share = slide(three, DUST | wind(2.0, 0), {"north/tsp": 44, "northeast/tsp": 44})
    assert np.isnan(value)
    assert (obstacle, share) == ("no-reference", 1.0)


def test_the_share_is_that_of_the_weaker_station(three: Registry) -> None:
    assert slide(three, DUST | wind(2.0, 0), {"north/tsp": 48})[2] == 0.8
    assert slide(three, DUST | wind(2.0, 0), {"south/tsp": 30})[2] == 0.5
    value, obstacle, share = slide(three, wind(2.0, 0) | {"north/tsp": 1.0})
    assert np.isnan(value)
    assert (obstacle, share) == ("", 0.0)


def test_a_difference_rests_on_its_stations_and_the_wind(three: Registry) -> None:
    index = rule(three, "mine/south/gb4915-difference")
    found = DownwindDifference(three, three.rules[index]).channels
    keys = ["south/tsp", "north/tsp", "northeast/tsp", "weather/wind-speed", "weather/wind-direction"]
    assert [three.channels[c].key for c in found] == [f"mine/{key}" for key in keys]


@pytest.mark.parametrize(
    ("swing", "deviation"),
    [(0.0, 0.0), (10.0, 10.0), (35.0, 36.0), (60.0, 66.0), (90.0, 103.9)],
)
def test_the_spread_of_a_direction_is_told_from_its_unit_vectors(swing: float, deviation: float) -> None:
    """Yamartino (1984): for small swings the angle itself, for opposite directions 103.9 degrees."""
    angles = np.deg2rad(np.array([swing, -swing] * 30))
    found = direction_deviation(np.array([np.cos(angles).sum()]), np.array([np.sin(angles).sum()]), np.array([60.0]))
    assert found[0] == pytest.approx(deviation, abs=0.1)


CLASSES = load_limits()[1].suitability


@pytest.mark.parametrize(
    ("deviation", "speed", "cancelled"),
    [
        (0.0, 2.0, False),
        (14.9, 4.5, False),  # one of class c
        (44.9, 3.0, False),
        (45.0, 3.0, False),
        (45.1, 1.5, True),
        (0.0, 4.6, True),
        (30.1, 3.1, True),  # two of class c
        (30.0, 3.1, False),
        (30.1, 3.0, False),
        (np.nan, 2.0, False),  # there is no wind to judge
    ],
)
def test_wind_is_unsuitable_by_one_condition_of_class_d_or_two_of_class_c(
    deviation: float, speed: float, *, cancelled: bool
) -> None:
    """HJ/T 55-2000, 8.5.3."""
    assert CLASSES is not None
    assert unsuitable(CLASSES, np.array([deviation]), np.array([speed]))[0] == cancelled


@pytest.mark.parametrize(("speed", "obstacle"), [(0.9, "calm"), (1.0, ""), (4.5, ""), (4.6, "wind-unsuitable")])
def test_no_difference_is_formed_in_too_little_or_too_much_wind(three: Registry, speed: float, obstacle: str) -> None:
    assert slide(three, DUST | wind(speed, 0))[1] == obstacle


def test_each_side_of_a_difference_is_converted_unless_its_instrument_did(tmp_path: Path) -> None:
    """GB 4915-2013, 3.9: 273 K, 101.3 kPa."""
    stations = [
        Station("north", ("tsp",), place=REFERENCE_NORTH, papers='state = "standard"'),
        Station("south", ("tsp",), limits=("gb4915-difference",), place=BOUNDARY_SOUTH),
        WEATHER,
        Station("air", ("air-temperature", "pressure")),
    ]
    registry = registry_of(tmp_path, {"mine": ("Asia/Shanghai", stations)})
    values = {"south/tsp": 620.0, "north/tsp": 150.0, "air/air-temperature": 30.0, "air/pressure": 98.0} | wind(2, 0)
    assert slide(registry, values)[0] == pytest.approx(620 * 101.3 / 98 * 303.15 / 273 - 150)
