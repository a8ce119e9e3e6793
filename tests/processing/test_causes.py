"""Suggested causes of dust episodes, from hand-made minutes of the Jiuchi mine."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from greenmine.loading import load_registry
from greenmine.processing.causes import Suggestion, suggest, window_of
from greenmine.processing.exclusion import Mark
from greenmine.readings import NORMAL, Readings
from greenmine.registry import Registry

MINUTE = 60_000
BEGIN, END = 29_400_000, 29_400_060
FROM_MINE, FROM_ELSEWHERE = 45.0, 225.0
"""The mine and its reference lie to the north-east of the boundary station."""


@pytest.fixture(scope="module")
def jiuchi() -> Registry:
    return load_registry()


def suggested(
    registry: Registry, marks: tuple[Mark, ...] = (), **columns: float | NDArray[np.float64]
) -> Suggestion | None:
    """For the hour; columns by station and parameter, with the 60 minutes before it, too."""
    values = {
        "boundary_tsp": 1200.0, "reference_tsp": 60.0, "weather_wind_direction": FROM_MINE, "weather_wind_speed": 2.5,
        "crusher_equipment_state": 1.0, "sprayer_equipment_state": 1.0,
    } | columns  # fmt: skip

    def stored(channel: int, start: int, end: int) -> tuple[Readings, NDArray[np.uint8]]:
        one = registry.channels[channel]
        known = values.get(f"{one.station}_{one.parameter.id.replace('-', '_')}")
        minute = np.arange(max(BEGIN - 60, start // MINUTE), end // MINUTE) if known is not None else np.empty(0, int)
        value = np.broadcast_to(np.nan if known is None else known, 120)[minute - BEGIN + 60]
        flag = np.full(len(minute), NORMAL, np.uint8)
        return Readings(np.full(len(minute), channel), minute * MINUTE, value, flag), np.zeros(len(minute), np.uint8)

    rule = next(r for r in registry.site_rules("jiuchi") if r.key == "jiuchi/boundary/gb29620-boundary-tsp")
    return suggest(registry, rule, (BEGIN, END), stored, marks)


def cause(found: Suggestion | None) -> tuple[str | None, float]:
    assert found is not None
    return found.cause, round(found.share, 2)


def test_dust_of_the_mine_is_of_its_works(jiuchi: Registry) -> None:
    found = suggested(jiuchi)
    assert cause(found) == ("works", 0.95)
    assert found is not None
    assert (found.outside, found.running, found.sources) == (
        "reference",
        {"sprayer": 1.0, "crusher": 1.0},
        ("sprayer", "crusher"),
    )


def test_works_without_water_are_told_apart(jiuchi: Registry) -> None:
    assert cause(suggested(jiuchi, sprayer_equipment_state=0.0)) == ("dry", 0.95)


def test_what_the_air_upwind_had_already_came_from_outside(jiuchi: Registry) -> None:
    assert cause(suggested(jiuchi, reference_tsp=900.0)) == ("outside", 0.75)


def test_wind_from_none_of_the_mine_brings_dust_from_outside(jiuchi: Registry) -> None:
    assert cause(suggested(jiuchi, weather_wind_direction=FROM_ELSEWHERE)) == ("outside", 1.0)


def test_a_marked_blast_is_the_cause_only_where_the_dust_rose_after_it(jiuchi: Registry) -> None:
    mark = Mark("jiuchi", "boundary", None, BEGIN + 10, BEGIN + 15, "blasting")
    cloud = np.full(120, 100.0)
    cloud[60 + 11 : 60 + 26] = 4500.0
    assert cause(suggested(jiuchi, (mark,), boundary_tsp=cloud)) == ("blasting", 0.92)
    assert cause(suggested(jiuchi, (mark,))) == ("works", 0.95)
    assert cause(suggested(jiuchi, boundary_tsp=cloud))[0] == "works"


def test_a_calm_tells_nothing_of_dust_while_nothing_runs(jiuchi: Registry) -> None:
    assert cause(suggested(jiuchi, weather_wind_speed=0.4, crusher_equipment_state=0.0))[0] is None
    assert cause(suggested(jiuchi, weather_wind_speed=0.4))[0] == "works"


def test_too_few_minutes_of_dust_suggest_nothing(jiuchi: Registry) -> None:
    values = np.full(120, np.nan)
    values[60:89] = 1200.0
    assert suggested(jiuchi, boundary_tsp=values) is None


def test_any_hour_is_looked_at_alone_and_a_day_as_a_whole(jiuchi: Registry) -> None:
    rules = {r.limit.id: r for r in jiuchi.site_rules("jiuchi")}
    assert window_of(rules["gb29620-boundary-tsp"], 0, 300, 200) == (140, 200)
    assert window_of(rules["gb3095-pm10-day-class2"], 0, 1440, 1440) == (0, 1440)
