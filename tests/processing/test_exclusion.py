"""Minutes that do not count: weather for noise, and marks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from greenmine.processing.exclusion import Exclusion, Mark, excluded_channels
from greenmine.processing.panes import Panes
from greenmine.registry import Registry
from tests.processing.mine import MINE, MINUTE, Station, channel, registry_of

M0 = 29_540_000


def panes_of(registry: Registry) -> Panes:
    return Panes([c.parameter.averaging for c in registry.channels], 240)


def put(panes: Panes, index: int, minutes: list[int], values: list[float]) -> None:
    time = np.array(minutes, np.int64) * MINUTE
    panes.add(np.full(len(time), index, np.intp), time, np.array(values), np.ones(len(time), np.bool_))


def left_out(exclusion: Exclusion, index: int, width: int = 10) -> list[int]:
    found = exclusion.minutes(np.array([index]), np.array([M0]), width)
    return [] if found is None else np.flatnonzero(found[0]).tolist()


@pytest.mark.parametrize(("speed", "bad"), [(4.9, []), (5.0, [3]), (5.1, [3])])
def test_wind_from_five_metres_a_second_on_spoils_a_noise_minute(
    registry: Registry, speed: float, bad: list[int]
) -> None:
    panes = panes_of(registry)
    put(panes, channel(registry, "mine/weather/wind-speed"), [M0 + 2, M0 + 3, M0 + 4], [4.0, speed, 4.0])
    assert left_out(Exclusion(registry, panes), channel(registry, "mine/fence/laeq")) == bad


def test_a_mean_wind_of_exactly_five_is_five_however_it_was_summed(registry: Registry) -> None:
    speed = channel(registry, "mine/weather/wind-speed")
    panes = panes_of(registry)
    gusts = [4.9, 5.1, 4.7, 5.3, 4.6, 5.4]
    time = (M0 + 3) * MINUTE + 10_000 * np.arange(6)
    panes.add(np.full(6, speed, np.intp), time, np.array(gusts), np.ones(6, np.bool_))
    assert left_out(Exclusion(registry, panes), channel(registry, "mine/fence/laeq")) == [3]


@pytest.mark.parametrize(("rain", "bad"), [(0.0, []), (0.1, [3])])
def test_any_rain_spoils_a_noise_minute(registry: Registry, rain: float, bad: list[int]) -> None:
    panes = panes_of(registry)
    put(panes, channel(registry, "mine/weather/rain"), [M0 + 3], [rain])
    exclusion = Exclusion(registry, panes)
    assert left_out(exclusion, channel(registry, "mine/fence/laeq")) == bad
    assert left_out(exclusion, channel(registry, "mine/fence/lafmax")) == bad


def test_weather_spoils_noise_only(registry: Registry) -> None:
    panes = panes_of(registry)
    put(panes, channel(registry, "mine/weather/rain"), [M0 + 3], [9.0])
    assert left_out(Exclusion(registry, panes), channel(registry, "mine/homes/pm10")) == []


def test_without_weather_nothing_is_excluded(tmp_path: Path) -> None:
    dry = registry_of(tmp_path, {"dry": ("Asia/Shanghai", [Station("fence", ("laeq",))])})
    exclusion = Exclusion(dry, panes_of(dry))
    assert left_out(exclusion, 0) == []
    assert exclusion.weather_sources() == {}


def test_a_reading_of_the_weather_speaks_for_the_interval_that_ends_at_its_stamp_at_each_site_its_own(
    tmp_path: Path,
) -> None:
    fence = Station("fence", ("laeq",))
    registry = registry_of(
        tmp_path,
        {
            "fast": ("Asia/Shanghai", [fence, Station("weather", ("rain",))]),
            "slow": ("Asia/Shanghai", [fence, Station("weather", ("rain",), "300s")]),
        },
    )
    panes = panes_of(registry)
    for site in ("fast", "slow"):
        put(panes, channel(registry, f"{site}/weather/rain"), [M0 + 7], [1.0])
    rows = np.array([channel(registry, f"{site}/fence/laeq") for site in ("fast", "slow")])
    found = Exclusion(registry, panes).minutes(rows, np.full(2, M0), 10)
    assert found is not None
    assert [np.flatnonzero(row).tolist() for row in found] == [[7], [3, 4, 5, 6, 7]]


@pytest.mark.parametrize(
    ("parameter", "kind", "spoiled"),
    [
        (None, "maintenance", ["laeq", "lafmax"]),
        ("laeq", "calibration", ["laeq"]),
        ("laeq", "blasting", []),
        (None, "stop", ["laeq", "lafmax"]),
        (None, "fault", ["laeq", "lafmax"]),
        (None, "weather", ["laeq", "lafmax"]),
    ],
)
def test_marks_of_excluding_kinds_take_out_what_they_name(
    registry: Registry, parameter: str | None, kind: str, spoiled: list[str]
) -> None:
    mark = Mark("mine", "fence", parameter, M0 + 2, M0 + 5, kind)
    exclusion = Exclusion(registry, panes_of(registry), [mark])
    found = {p: left_out(exclusion, channel(registry, f"mine/fence/{p}")) for p in ("laeq", "lafmax")}
    assert found == {p: [2, 3, 4] if p in spoiled else [] for p in ("laeq", "lafmax")}
    assert left_out(exclusion, channel(registry, "mine/homes/pm10")) == []


@pytest.mark.parametrize(
    ("kind", "touched"),
    [
        ("maintenance", {"pm10", "laeq", "ph"}),
        ("calibration", {"pm10", "laeq", "ph"}),
        ("fault", {"pm10", "laeq", "ph"}),
        ("stop", {"laeq", "ph"}),
        ("weather", {"laeq"}),
        ("blasting", set()),
    ],
)
def test_a_kind_of_mark_touches_the_themes_that_the_catalogue_says(
    tmp_path: Path, kind: str, touched: set[str]
) -> None:
    everything = Station("fence", ("pm10", "laeq", "ph"))
    registry = registry_of(tmp_path, {"mine": ("Asia/Shanghai", [everything])})
    found = excluded_channels(registry, Mark("mine", "fence", None, 0, 1, kind))
    assert {registry.channels[c].parameter.id for c in found} == touched
    assert excluded_channels(registry, Mark("gone", "fence", None, 0, 1, kind)) == []


@pytest.mark.parametrize(
    ("start", "end", "minutes"),
    [(-5, 2, [0, 1]), (8, 50, [8, 9]), (-5, 50, list(range(10))), (-5, 0, []), (10, 12, [])],
)
def test_marks_are_cut_to_the_window(registry: Registry, start: int, end: int, minutes: list[int]) -> None:
    mark = Mark("mine", "homes", None, M0 + start, M0 + end, "fault")
    exclusion = Exclusion(registry, panes_of(registry), [mark])
    assert left_out(exclusion, channel(registry, "mine/homes/pm10")) == minutes


def test_noise_rests_on_the_weather_of_its_site(registry: Registry) -> None:
    noise = [channel(registry, "mine/fence/laeq"), channel(registry, "mine/fence/lafmax")]
    sources = Exclusion(registry, panes_of(registry)).weather_sources()
    assert sources == {channel(registry, f"mine/weather/{p}"): noise for p in ("wind-speed", "rain")}
    assert len(MINE) > 2
