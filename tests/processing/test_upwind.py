"""The share of a concentration that came from upwind."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenmine.loading import load_registry
from greenmine.processing.engine import Statistic
from greenmine.processing.upwind import upwind_share
from greenmine.registry import Registry
from tests.cases.law_case import SITE, LawCase

HOURS = range(0, 240, 60)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    folder: Path = tmp_path_factory.mktemp("mine")
    case = LawCase(folder)
    case.__dict__["table"] = {}
    return load_registry(case.registry(folder / "registry"))


def hourly(registry: Registry, **means: list[float | None]) -> dict:
    """Hourly statistics by station and parameter, such as homes_pm10; None: the hour is not valid."""
    index = {c.key.removeprefix(f"{SITE}/").replace("/", "_").replace("-", "_"): c.index for c in registry.channels}
    return {
        index[key]: [
            Statistic(
                index[key], "hour", start, start + 60, mean, mean, mean, 60, 60.0, 1.0, mean is not None, None, 0, 0, 0,
                (None, None, None), restated=False,
            )
            for start, mean in zip(HOURS, some, strict=True)
        ]
        for key, some in means.items()
    }  # fmt: skip


def homes(registry: Registry) -> int:
    return next(c.index for c in registry.channels if c.key == f"{SITE}/homes/pm10")


NORTH = {"weather_wind_direction": [0.0] * 4, "weather_wind_speed": [2.0] * 4}


@pytest.mark.parametrize(
    ("more", "share", "hours"),
    [
        ({"homes_pm10": [200.0] * 4, "reference_pm10": [100.0] * 4}, 0.5, 4),
        ({"homes_pm10": [100.0, 300.0, 100.0, 100.0], "reference_pm10": [100.0, 50.0, None, 100.0]}, 0.5, 3),
        ({"homes_pm10": [100.0] * 4, "reference_pm10": [130.0] * 4}, 1.0, 4),
        (
            {"homes_pm10": [200.0] * 4, "reference_pm10": [100.0] * 4, "weather_wind_speed": [2.0, 0.9, 2.0, None]},
            0.5,
            2,
        ),
        ({"homes_pm10": [200.0] * 4, "reference_pm10": [20.0] * 4, "boundary_pm10": [190.0] * 4}, 0.1, 4),
    ],
)
def test_the_share_is_that_of_the_station_upwind(registry: Registry, more: dict, share: float, hours: int) -> None:
    found = upwind_share(registry, homes(registry), hourly(registry, **NORTH | more), [(0, 240)])
    assert found is not None
    assert (found.share, found.hours) == (pytest.approx(share), hours)


@pytest.mark.parametrize(
    "more",
    [
        {"weather_wind_direction": [90.0] * 4},
        {"reference_pm10": [None] * 4},
        {"homes_pm10": [0.0] * 4},
    ],
)
def test_without_an_hour_to_compare_nothing_is_said(registry: Registry, more: dict) -> None:
    measured = NORTH | {"homes_pm10": [200.0] * 4, "reference_pm10": [100.0] * 4} | more
    assert upwind_share(registry, homes(registry), hourly(registry, **measured), [(0, 240)]) is None


def test_hours_outside_the_windows_are_left_out(registry: Registry) -> None:
    measured = NORTH | {"homes_pm10": [200.0] * 4, "reference_pm10": [100.0, 0.0, 0.0, 0.0]}
    found = upwind_share(registry, homes(registry), hourly(registry, **measured), [(0, 60)])
    assert (found.share, found.hours) == (0.5, 1)
