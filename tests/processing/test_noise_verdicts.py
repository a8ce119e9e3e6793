"""Verdicts on noise at the boundary by GB 12348-2008: weather, working time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from greenmine.loading import load_registry
from greenmine.processing.engine import Engine, Judged
from greenmine.processing.identity import unknown
from greenmine.processing.restatement import site_part
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
    levels = level(registry, (DAWN, loud, 50.0), (loud, loud + HOUR, 61.5), (loud + HOUR, END + HOUR, 50.0))
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


CRUSHER = Station("crusher", ("equipment-state",))
EQUIPMENT = 'working = { equipment = "crusher" }\n'
TIMETABLE = 'working = { hours = ["08:00-12:00", "14:00-18:00"] }\n'
WORK = ((DAWN + 2 * HOUR, DAWN + 6 * HOUR), (DAWN + 8 * HOUR, DAWN + 12 * HOUR))
"""Eight hours of the day, as in the timetable."""


def a_day_of_work(registry: Registry, loud: float, idle: float = 45.0) -> Readings:
    (a, b), (c, d) = WORK
    return level(registry, (DAWN, a, idle), (a, b, loud), (b, c, idle), (c, d, loud), (d, END + HOUR, idle))


def states(
    registry: Registry, *on: tuple[int, int], station: str = "crusher", silent: tuple[int, int] = (0, 0)
) -> Readings:
    """State of equipment every minute: on from start to end of each piece, and silent for a while [ms]."""
    times = every(DAWN, END + HOUR)
    times = times[(times < silent[0]) | (times >= silent[1])]
    value = np.zeros(len(times))
    for start, end in on:
        value[(times >= start) & (times < end)] = 1.0
    return readings(channel(registry, f"mine/{station}/equipment-state"), times, value)


@pytest.mark.parametrize(
    "head", [EQUIPMENT, TIMETABLE, 'working = { equipment = "crusher", hours = ["00:00-24:00"] }\n']
)
def test_eight_loud_hours_are_not_diluted_by_idle_ones(tmp_path: Path, head: str) -> None:
    registry = mine(tmp_path, FENCE, CRUSHER, head=head)
    some = both(a_day_of_work(registry, 62.0), states(registry, *WORK))
    found = verdicts(registry, "gb12348-class2-day", some)[DAWN]
    assert (found.verdict.judgement, found.verdict.need) == ("exceeds", 60)
    assert found.value == pytest.approx(62.0)
    assert "working-time-unknown" not in found.verdict.reasons


def test_where_working_time_is_not_known_the_loudest_hour_is_judged_and_said_to_be(tmp_path: Path) -> None:
    registry = mine(tmp_path, FENCE)
    found = verdicts(registry, "gb12348-class2-day", a_day_of_work(registry, 62.0))[DAWN]
    assert found.verdict.judgement == "exceeds"
    assert found.finish - found.begin == 60
    assert "working-time-unknown" in found.verdict.reasons


def test_a_night_without_work_is_not_assessable(tmp_path: Path) -> None:
    registry = mine(tmp_path, FENCE, CRUSHER, head=EQUIPMENT)
    some = both(a_day_of_work(registry, 58.0), states(registry, *WORK))
    found = verdicts(registry, "gb12348-class2-night", some)[EVENING].verdict
    assert (found.judgement, found.reason) == ("not assessable", "not-working")


@pytest.mark.parametrize(
    ("minutes", "variation", "judgement", "need"),
    [
        (59, 3.1, "not assessable", 60),
        (60, 3.1, "exceeds", None),
        (10, 3.0, "exceeds", None),
        (9, 3.0, "not assessable", 10),
    ],
)
def test_an_unsteady_source_needs_an_hour_of_work_and_a_steady_one_ten_minutes(
    tmp_path: Path, minutes: int, variation: float, judgement: str, need: int | None
) -> None:
    registry = mine(tmp_path, FENCE, CRUSHER, head=EQUIPMENT)
    begin, end = DAWN + HOUR, DAWN + HOUR + minutes * MINUTE
    pieces = (
        (DAWN, begin, 62.0),
        (begin, begin + 5 * MINUTE, 62.0 + variation),
        (begin + 5 * MINUTE, END + HOUR, 62.0),
    )
    some = both(level(registry, *pieces), states(registry, (begin, end)))
    found = verdicts(registry, "gb12348-class2-day", some)[DAWN].verdict
    assert found.judgement == judgement
    if need is not None:
        assert (found.reason, found.have, found.need) == ("too-short-working-time", minutes, need)


@pytest.mark.parametrize(("silent_hours", "known"), [(4, True), (5, False)])
def test_equipment_silent_for_more_than_a_quarter_of_the_period_leaves_working_time_unknown(
    tmp_path: Path, silent_hours: int, known: bool
) -> None:
    registry = mine(tmp_path, FENCE, CRUSHER, head=EQUIPMENT)
    silence = (WORK[1][1] - HOUR, WORK[1][1] + (silent_hours - 1) * HOUR)
    some = both(a_day_of_work(registry, 62.0), states(registry, *WORK, silent=silence))
    found = verdicts(registry, "gb12348-class2-day", some)[DAWN].verdict
    assert found.judgement == "exceeds"
    assert ("working-time-unknown" not in found.reasons) is known


def test_the_timetable_holds_while_the_equipment_is_silent(tmp_path: Path) -> None:
    registry = mine(tmp_path, FENCE, CRUSHER, head='working = { equipment = "crusher", hours = ["08:00-12:00"] }\n')
    some = both(a_day_of_work(registry, 62.0), states(registry, WORK[1], silent=WORK[0]))
    found = verdicts(registry, "gb12348-class2-day", some)[DAWN]
    assert found.value == pytest.approx(62.0)
    assert "working-time-unknown" not in found.verdict.reasons


def test_hours_over_midnight_belong_to_the_night(tmp_path: Path) -> None:
    registry = mine(tmp_path, FENCE, head='working = { hours = ["23:00-02:00"] }\n')
    start, end = EVENING + HOUR, EVENING + 4 * HOUR
    some = level(registry, (DAWN, start, 40.0), (start, end, 52.0), (end, END + HOUR, 40.0))
    found = verdicts(registry, "gb12348-class2-night", some)[EVENING]
    assert (found.verdict.judgement, found.value) == ("exceeds", pytest.approx(52.0))


def test_a_state_that_comes_late_judges_the_period_again(tmp_path: Path) -> None:
    registry = mine(tmp_path, FENCE, CRUSHER, head=EQUIPMENT)
    sound, state = a_day_of_work(registry, 62.0, idle=62.4), states(registry, *WORK)
    assert "working-time-unknown" in verdicts(registry, "gb12348-class2-day", sound)[DAWN].verdict.reasons
    found = verdicts(registry, "gb12348-class2-day", sound, state)[DAWN]
    assert (found.restated, found.value) == (True, pytest.approx(62.0))


def test_the_period_that_exceeds_is_the_exceedance(tmp_path: Path) -> None:
    registry = mine(tmp_path, FENCE, CRUSHER, head=EQUIPMENT)
    engine = Engine(registry, unknown, lambda *_: (np.empty(0, np.int64), np.empty(0)))
    outcome = engine.ingest(both(a_day_of_work(registry, 62.0), states(registry, *WORK)))
    (found,) = [e for e in outcome.exceedances if e.rule == rule(registry, "mine/fence/gb12348-class2-day")]
    assert ((found.start + 1) * MINUTE, (found.end or 0) * MINUTE + MINUTE) == (DAWN, EVENING)
    assert (found.peak, found.threshold) == (pytest.approx(62.0), 60)


@pytest.mark.parametrize(
    ("head", "fault"),
    [
        ('working = { equipment = "fence" }\n', "equipment: there is no station with equipment-state 'fence'"),
        ("working = {}\n", "working: give equipment, hours or both"),
        ('working = { hours = ["06:00-06:00"] }\n', "06:00-06:00 must end after it begins"),
    ],
)
def test_a_faulty_working_time_is_refused(tmp_path: Path, head: str, fault: str) -> None:
    with pytest.raises(RegistryError, match=fault):
        mine(tmp_path, FENCE, CRUSHER, head=head)


def test_a_part_of_the_registry_keeps_its_own_equipment(tmp_path: Path) -> None:
    sites = dict.fromkeys(("first", "second"), ("Asia/Shanghai", (FENCE, CRUSHER)))
    registry_of(tmp_path, sites)
    path = tmp_path / "sites" / "second.toml"
    path.write_text(EQUIPMENT + path.read_text("utf-8"), "utf-8")
    part = site_part(load_registry(tmp_path), "second")[0]
    named = [part.channels[i].key for r in part.rules if r.working is not None for i in r.working.equipment]
    assert named == ["second/crusher/equipment-state"] * 2


def with_background(folder: Path, level: float, head: str = EQUIPMENT) -> Registry:
    """A mine whose fence has a background of the day, and an older one that no longer holds."""
    mine(folder, FENCE, CRUSHER, head=head)
    path = folder / "sites" / "mine.toml"
    rows = "".join(
        f'\n[[stations.backgrounds]]\ndate = {day}\nperiod = "daytime"\nlevel = {value}\nsource = "report"\n'
        for day, value in (("2026-05-01", level), ("2026-02-01", 20.0), ("2027-01-01", 20.0))
    )
    path.write_text(path.read_text("utf-8").replace("\n[[devices]]", f"{rows}\n[[devices]]", 1), "utf-8")
    return load_registry(folder)


@pytest.mark.parametrize("head", [EQUIPMENT, ""])
@pytest.mark.parametrize(
    ("measured", "background", "judgement", "judged"),
    [
        (62.4, 58.9, "meets", "60"),  # 3.5 is 4: 60.4, rounded
        (62.6, 58.9, "exceeds", "61"),  # 3.7 is 4: 60.6, rounded
        (60.4, 45.0, "exceeds", "60.4"),  # more than 10: not corrected, not rounded
        (61.0, 59.0, "not assessable", None),  # 2: above the limit, too near to the background
        (59.9, 58.9, "meets", "59.9"),  # 1: within the limit as measured
    ],
)
def test_a_background_corrects_the_level_of_the_source(
    tmp_path: Path, head: str, measured: float, background: float, judgement: str, judged: str | None
) -> None:
    registry = with_background(tmp_path, background, head)
    some = both(level(registry, (DAWN, END + HOUR, measured)), states(registry, (DAWN, END)))
    found = verdicts(registry, "gb12348-class2-day", some)[DAWN].verdict
    assert found.judgement == judgement
    if judged is None:
        assert found.reason == "background-too-high"
    else:
        assert found.judged == judged


def test_a_loud_hour_hidden_by_the_background_is_not_acquitted_by_quieter_ones(tmp_path: Path) -> None:
    registry = with_background(tmp_path, 59.0, head="")
    some = level(
        registry, (DAWN, DAWN + HOUR, 55.0), (DAWN + HOUR, DAWN + 2 * HOUR, 61.0), (DAWN + 2 * HOUR, END + HOUR, 55.0)
    )
    found = verdicts(registry, "gb12348-class2-day", some)[DAWN].verdict
    assert (found.judgement, found.reason) == ("not assessable", "background-too-high")


def test_corrected_verdicts_by_the_minute_have_their_exceedances(tmp_path: Path) -> None:
    registry = with_background(tmp_path, 58.9, head="")
    for measured, count in ((62.4, 0), (62.6, 1)):
        outcome = Engine(registry, unknown, lambda *_: (np.empty(0, np.int64), np.empty(0))).ingest(
            level(registry, (DAWN, END + HOUR, measured))
        )
        mine_rule = rule(registry, "mine/fence/gb12348-class2-day")
        found = {e.id for e in outcome.exceedances if e.rule == mine_rule and e.start * MINUTE < EVENING}
        assert len(found) == count


def test_two_backgrounds_of_a_period_and_day_are_refused(tmp_path: Path) -> None:
    with_background(tmp_path, 50.0)
    path = tmp_path / "sites" / "mine.toml"
    path.write_text(path.read_text("utf-8").replace("2026-02-01", "2026-05-01"), "utf-8")
    with pytest.raises(RegistryError, match="backgrounds: the daytime has another background from 2026-05-01"):
        load_registry(tmp_path)


def exceeding(registry: Registry, sites: list[str]) -> dict[str, set[tuple[int, int | None, int, bool]]]:
    """What the loud work of a day leads to at the fence of each site: start, end, minutes and whether withdrawn, as last told."""
    index = [channel(registry, f"{site}/fence/laeq") for site in sites]
    pieces = [(DAWN, WORK[0][0], 45.0), (*WORK[0], 62.0), (WORK[0][1], WORK[1][0], 45.0), (*WORK[1], 62.0)]
    pieces.append((WORK[1][1], END + HOUR, 45.0))
    engine = Engine(registry, unknown, lambda *_: (np.empty(0, np.int64), np.empty(0)))
    last = {}
    some = both(*(readings(one, every(start, end), value) for one in index for start, end, value in pieces))
    for hour in range(DAWN, END + HOUR, HOUR):
        for told in engine.ingest(
            some.take(np.flatnonzero((some.time >= hour) & (some.time < hour + HOUR)))
        ).exceedances:
            last[told.id] = told
    found: dict[str, set[tuple[int, int | None, int, bool]]] = {site: set() for site in sites}
    for told in last.values():
        found[registry.rules[told.rule].site].add((told.start, told.end, told.minutes, told.withdrawn))
    return found


@pytest.mark.parametrize("known", ["a", "b"])
def test_mines_of_known_and_unknown_working_time_have_the_exceedances_of_each_alone(tmp_path: Path, known: str) -> None:
    """They are computed together; one is judged over its period, the other by its loudest hour."""
    fences = {site: ("Asia/Shanghai", [FENCE]) for site in ("a", "b")}
    alone = {}
    for folder, sites in (("both", ["a", "b"]), ("one", ["a"]), ("other", ["b"])):
        registry_of(tmp_path / folder, {site: fences[site] for site in sites})
        if known in sites:
            path = tmp_path / folder / "sites" / f"{known}.toml"
            path.write_text(TIMETABLE + path.read_text("utf-8"), "utf-8")
        found = exceeding(load_registry(tmp_path / folder), sites)
        if folder == "both":
            together = found
        else:
            alone |= found
    assert together == alone
    assert {site: len(some) for site, some in together.items()} == {known: 1, "b" if known == "a" else "a": 2}
