"""State of gas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from greenmine.limits import GasState, load_limits
from greenmine.processing.engine import Engine, Judged
from greenmine.processing.gas import DOUBTS, conversion_factor, vapour_pressure
from greenmine.processing.identity import unknown
from greenmine.readings import Readings
from tests.processing.mine import HOUR, MINUTE, Station, at, channel, every, readings, registry_of

LIMITS, _ = load_limits()
DRY = GasState(temperature=273, pressure=101_325, dry=True)
MOIST = GasState(temperature=273, pressure=101_325)


@pytest.mark.parametrize(("temperature", "pascal"), [(0.0, 611.2), (20.0, 2333.0), (30.0, 4236.0)])
def test_saturated_air_holds_the_vapour_of_the_tables(temperature: float, pascal: float) -> None:
    """WMO-No. 8, Annex 4.B; steam tables: 611, 2339 and 4247 Pa."""
    assert vapour_pressure(np.array([temperature]), np.array([100.0]))[0] == pytest.approx(pascal, rel=1e-3)


@pytest.mark.parametrize(
    ("state", "temperature", "pressure", "humidity", "value", "doubt"),
    [
        (MOIST, 30.0, 98.0, np.nan, 1033.3, ""),
        (DRY, 30.0, 98.0, np.nan, 1033.3, "not-converted-to-dry"),
        (DRY, 30.0, 98.0, 0.0, 1033.3, ""),
        (DRY, 30.0, 98.0, 50.0, 1056.1, ""),
        (DRY, np.nan, 98.0, 50.0, 900.0, "not-converted"),
        (DRY, 30.0, np.nan, 50.0, 900.0, "not-converted"),
        (MOIST, -0.15, 101.325, np.nan, 900.0, ""),
    ],
)
def test_nine_hundred_micrograms_of_a_hot_day_are_more_at_standard_state(
    state: GasState, temperature: float, pressure: float, humidity: float, value: float, doubt: str
) -> None:
    """GB 16297-1996, 3.1."""
    found = conversion_factor(state, np.array([temperature]), np.array([pressure]), np.array([humidity]))
    assert 900 * found.factor[0] == pytest.approx(value, abs=0.1)
    assert DOUBTS[int(found.doubt[0])] == doubt


@pytest.mark.parametrize(
    ("limit", "state"),
    [
        ("gb16297-fugitive", (273, 101_325, True)),
        ("gb4915-difference", (273, 101_300, False)),
    ],
)
def test_limits_are_given_in_the_state_of_their_standard(limit: str, state: tuple[float, float, bool]) -> None:
    found = LIMITS[limit].state
    assert found is not None
    assert (found.temperature, found.pressure, found.dry) == state


START = at("2026-06-01T08:00:00")
WEATHER = ("air-temperature", "pressure", "humidity")


def judged(folder: Path, values: dict[str, float], papers: str = "", *, late: tuple[str, ...] = ()) -> list[Judged]:
    """Verdicts of an hour of steady values of dust, last ones; ``late`` parameters come after the dust."""
    fence = Station("fence", ("tsp", *values), limits=("gb16297-fugitive",), papers=papers)
    registry = registry_of(folder, {"mine": ("Asia/Shanghai", [fence])})
    engine = Engine(registry, unknown, lambda *_: (np.empty(0, np.int64), np.empty(0)))

    def part(parameter: str, value: float) -> Readings:
        return readings(channel(registry, f"mine/fence/{parameter}"), every(START, START + HOUR + 5 * MINUTE), value)

    first = [part("tsp", 900), *(part(p, v) for p, v in values.items() if p not in late)]
    found = engine.ingest(Readings.concat(first)).verdicts
    for parameter in late:
        found += engine.ingest(part(parameter, values[parameter])).verdicts
    return list({v.start: v for v in found if v.start == START // MINUTE}.values())


HOT = {"air-temperature": 30.0, "pressure": 98.0}


@pytest.mark.parametrize(
    ("values", "papers", "value", "judgement", "doubts"),
    [
        (HOT, "", 1033.3, "exceeds", {"not-converted-to-dry"}),
        (HOT | {"humidity": 50.0}, "", 1056.1, "exceeds", set()),
        ({"pressure": 98.0}, "", 900.0, "meets", {"not-converted"}),
        ({}, "", 900.0, "meets", {"not-converted"}),
        (HOT, 'state = "standard"', 900.0, "meets", set()),
    ],
)
def test_a_verdict_is_that_of_the_state_in_which_its_limit_is_given(
    tmp_path: Path, values: dict[str, float], papers: str, value: float, judgement: str, doubts: set[str]
) -> None:
    (found,) = judged(tmp_path, values, papers)
    assert found.value == pytest.approx(value, abs=0.1)
    assert found.verdict.judgement == judgement
    assert set(found.verdict.reasons) & set(DOUBTS) == doubts


def test_weather_that_comes_later_restates_the_verdict(tmp_path: Path) -> None:
    (found,) = judged(tmp_path, HOT, late=("air-temperature",))
    assert (found.verdict.judgement, found.restated) == ("exceeds", True)
