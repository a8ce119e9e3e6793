"""Verdicts on noise at the boundary: weather, by GB 12348-2008."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from greenmine.loading import load_registry
from greenmine.processing.engine import Engine, Judged
from greenmine.processing.identity import unknown
from greenmine.readings import Readings
from greenmine.registry import Registry, RegistryError
from tests.processing.mine import DAY, HOUR, MINUTE, WEATHER, Station, at, channel, every, readings, registry_of, rule

FENCE = Station("fence", ("laeq",), limits=("gb12348-class2-day", "gb12348-class2-night"))
DAWN = at("2026-06-01T06:00:00")
EVENING = DAWN + 16 * HOUR
END = DAWN + DAY
"""A day and a night, from six to six."""


def mine(folder: Path, *stations: Station, head: str = "") -> Registry:
    """A registry of one mine whose file begins with ``head``."""
    registry_of(folder, {"mine": ("Asia/Shanghai", stations)})
    path = folder / "sites" / "mine.toml"
    path.write_text(head + path.read_text("utf-8"), "utf-8")
    return load_registry(folder)


def level(registry: Registry, *pieces: tuple[int, int, float]) -> Readings:
    """Levels at the fence every minute, from start to end of each piece [ms]."""
    index = channel(registry, "mine/fence/laeq")
    return Readings.concat([readings(index, every(start, end), value) for start, end, value in pieces])


def weather(registry: Registry, start: int, end: int, *, wind: float = 2.0, station: str = "weather") -> Readings:
    """Dry weather with a steady wind."""
    times = every(start, end)
    return Readings.concat(
        [
            readings(channel(registry, f"mine/{station}/wind-speed"), times, wind),
            readings(channel(registry, f"mine/{station}/rain"), times, 0.0),
        ]
    )


def verdicts(registry: Registry, limit: str, *parts: Readings) -> dict[int, Judged]:
    """Last verdicts on a limit at the fence, by the start of their period [ms]."""
    engine = Engine(registry, unknown, lambda *_: (np.empty(0, np.int64), np.empty(0)))
    found = [v for part in parts for v in engine.ingest(part).verdicts]
    index = rule(registry, f"mine/fence/{limit}")
    return {v.start * MINUTE: v for v in found if v.rule == index}


def both(*parts: Readings) -> Readings:
    """Readings of several channels in order of time."""
    some = Readings.concat(parts)
    return some.take(np.argsort(some.time, kind="stable"))


@pytest.mark.parametrize("measured", ["wind-speed", "rain", None])
def test_without_wind_or_rain_a_verdict_is_indicative(tmp_path: Path, measured: str | None) -> None:
    stations = [FENCE] if measured is None else [FENCE, Station("weather", (measured,))]
    registry = mine(tmp_path, *stations)
    parts = [level(registry, (DAWN, END + HOUR, 58.0))]
    if measured is not None:
        parts.append(readings(channel(registry, f"mine/weather/{measured}"), every(DAWN, END + HOUR), 0.0))
    found = verdicts(registry, "gb12348-class2-day", both(*parts))[DAWN].verdict
    assert (found.judgement, found.standing) == ("meets", "indicative")
    assert "weather-not-shown" in found.reasons


def test_with_wind_and_rain_the_weather_is_no_reason(tmp_path: Path) -> None:
    registry = mine(tmp_path, FENCE, WEATHER)
    some = both(level(registry, (DAWN, END + HOUR, 58.0)), weather(registry, DAWN, END + HOUR))
    assert "weather-not-shown" not in verdicts(registry, "gb12348-class2-day", some)[DAWN].verdict.reasons


@pytest.mark.parametrize(("silent_minutes", "shown"), [(15, True), (16, False)])
def test_a_weather_station_silent_for_more_than_a_quarter_of_the_judged_hour_shows_nothing(
    tmp_path: Path, silent_minutes: int, shown: bool
) -> None:
    registry = mine(tmp_path, FENCE, WEATHER)
    loud = DAWN + 4 * HOUR
    levels = level(registry, (DAWN, loud, 50.0), (loud, loud + HOUR, 57.5), (loud + HOUR, END + HOUR, 50.0))
    seen = [weather(registry, DAWN, loud), weather(registry, loud + silent_minutes * MINUTE, END + HOUR)]
    found = verdicts(registry, "gb12348-class2-day", both(levels, *seen))[DAWN]
    assert (found.begin * MINUTE, found.finish * MINUTE) == (loud, loud + HOUR)
    assert ("weather-not-shown" not in found.verdict.reasons) is shown


def test_weather_that_comes_late_takes_the_reason_away(tmp_path: Path) -> None:
    registry = mine(tmp_path, FENCE, WEATHER)
    levels = level(registry, (DAWN, EVENING + HOUR, 58.0))
    late = weather(registry, DAWN, EVENING + HOUR)
    assert "weather-not-shown" in verdicts(registry, "gb12348-class2-day", levels)[DAWN].verdict.reasons
    found = verdicts(registry, "gb12348-class2-day", levels, late)[DAWN]
    assert found.restated
    assert "weather-not-shown" not in found.verdict.reasons


def test_readings_under_maintenance_show_no_weather(tmp_path: Path) -> None:
    registry = mine(tmp_path, FENCE, WEATHER)
    seen = weather(registry, DAWN, END + HOUR)
    seen = Readings(seen.channel, seen.time, seen.value, np.full(len(seen), ord("M"), np.uint8))
    some = both(level(registry, (DAWN, END + HOUR, 58.0)), seen)
    assert "weather-not-shown" in verdicts(registry, "gb12348-class2-day", some)[DAWN].verdict.reasons


def test_a_site_names_the_station_whose_weather_holds(tmp_path: Path) -> None:
    near = Station("near", ("wind-speed", "rain"))
    registry = mine(tmp_path, FENCE, WEATHER, near, head='weather = "near"\n')
    levels = level(registry, (DAWN, END + HOUR, 58.0))
    gale = weather(registry, DAWN, END + HOUR, wind=9.0)
    calm = weather(registry, DAWN, END + HOUR, station="near")
    found = verdicts(registry, "gb12348-class2-day", both(levels, gale, calm))[DAWN].verdict
    assert (found.judgement, "weather-not-shown" in found.reasons) == ("meets", False)


def test_a_station_without_weather_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="weather: there is no station with wind-speed or rain 'fence'"):
        mine(tmp_path, FENCE, WEATHER, head='weather = "fence"\n')
