"""Verdicts and exceedances say the same: any hour, whole periods, and values over range."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from greenmine.processing.engine import Engine, Judged, Outcome, nothing
from greenmine.processing.exceedances import Exceedance
from greenmine.processing.identity import unknown
from greenmine.processing.rolling import SlidingHours, exceedance_statistics
from greenmine.processing.slide import first_minute
from greenmine.readings import Readings
from greenmine.registry import Registry
from tests.processing.mine import DAY, HOUR, MINUTE, Station, at, every, readings, registry_of

START = at("2026-06-01T00:00:00")


def mine_with(folder: Path, station: Station) -> Registry:
    return registry_of(folder, {"mine": ("Asia/Shanghai", [station])})


def told(registry: Registry, some: Readings, days: int = 1) -> Outcome:
    """All that follows from the readings of some days, the last of which is over."""
    engine = Engine(registry, unknown, lambda *_: (np.empty(0, np.int64), np.empty(0)))
    outcome = nothing()
    for found in (engine.ingest(some), nothing()):
        if not found.statistics:
            engine.go_on(np.array([0]), np.array([(START + days * DAY) // MINUTE + engine.grace]), found)
        outcome.verdicts += found.verdicts
        outcome.exceedances += found.exceedances
        outcome.sliding += found.sliding
    return outcome


def verdicts(outcome: Outcome) -> dict[int, Judged]:
    """By hour of the first day."""
    return {(v.start * MINUTE - START) // HOUR: v for v in outcome.verdicts}


def episodes(outcome: Outcome) -> list[Exceedance]:
    last = {e.id: e for e in outcome.exceedances}
    return [e for e in last.values() if not e.withdrawn]


@pytest.fixture
def dust(tmp_path: Path) -> Registry:
    return mine_with(tmp_path, Station("fence", ("tsp",), limits=("gb16297-fugitive",)))


def a_day(value: float = 100.0) -> tuple[np.ndarray, np.ndarray]:
    time = every(START, START + DAY)
    return time, np.full(len(time), value)


def test_the_highest_hour_of_any_beginning_condemns_the_clock_hour_in_which_it_ends(dust: Registry) -> None:
    time, value = a_day()
    value[(time >= START + 10.5 * HOUR) & (time < START + 11.5 * HOUR)] = 1150.0
    outcome = told(dust, readings(0, time, value))
    by_hour = verdicts(outcome)
    assert [hour for hour, v in by_hour.items() if v.verdict.judgement == "exceeds"] == [11]
    judged = by_hour[11]
    assert judged.value == 1150.0
    assert (judged.begin * MINUTE, judged.finish * MINUTE) == (START + 10.5 * HOUR, START + 11.5 * HOUR)
    (episode,) = episodes(outcome)
    assert judged.begin < episode.peak_minute + 1 == judged.finish


def test_to_meet_takes_the_minutes_of_the_clock_hour_itself(dust: Registry) -> None:
    time, value = a_day()
    keep = (time < START + 10.2 * HOUR) | (time >= START + 12 * HOUR)
    found = verdicts(told(dust, readings(0, time[keep], value[keep])))[10]
    assert (found.verdict.judgement, found.verdict.reason) == ("not assessable", "too-few-minutes")


def test_hours_told_minute_by_minute_are_to_the_last_bit_those_told_at_once(dust: Registry) -> None:
    random = np.random.default_rng(5)
    time = every(START, START + 3 * HOUR)
    value = random.normal(900.0, 200.0, len(time)) / 3
    order = np.arange(len(time))
    order[90:100] = order[90:100][::-1]
    engine = Engine(dust, unknown, lambda *_: (np.empty(0, np.int64), np.empty(0)))
    found = [h for k in order for h in engine.ingest(readings(0, time[k : k + 1], value[k : k + 1])).sliding]
    assert {h.hour: h for h in found} == {h.hour: h for h in told(dust, readings(0, time, value), days=0).sliding}
    assert engine.ingest(readings(0, time[-1:] + 1000, value[-1:])).sliding == []


def test_minutes_above_and_longest_episode_agree(dust: Registry) -> None:
    time, value = a_day(0.0)
    value[(time >= START + 2 * HOUR) & (time < START + 3 * HOUR)] = 1500.0
    outcome = told(dust, readings(0, time, value))
    (episode,) = episodes(outcome)
    rows = {h.hour: h for h in outcome.sliding}
    hours = SlidingHours(
        np.array(sorted(rows)),
        np.array([rows[h].assessable for h in sorted(rows)], np.uint64),
        np.array([rows[h].above for h in sorted(rows)], np.uint64),
        np.array([rows[h].worst for h in sorted(rows)]),
    )
    stored = np.array([[first_minute(dust.rules[0], e + 1) for e in (episode.start, episode.end or 0)]])
    first = episode.start
    figures = exceedance_statistics(hours, stored, first, first + 20)
    assert (figures.minutes_above, figures.longest) == (20, 20)


@pytest.mark.parametrize(("hours", "exceeds"), [(20, True), (15, False)])
def test_a_day_that_exceeds_is_an_exceedance_and_one_that_cannot_be_judged_is_none(
    tmp_path: Path, hours: int, exceeds: bool
) -> None:
    registry = mine_with(tmp_path, Station("homes", ("pm10",), limits=("gb3095-pm10-day-class2",)))
    time = every(START, START + hours * HOUR)
    outcome = told(registry, readings(0, time, np.full(len(time), 300.0)))
    (judged,) = outcome.verdicts
    assert judged.verdict.judgement == ("exceeds" if exceeds else "not assessable")
    found = [((e.start + 1) * MINUTE, ((e.end or 0) + 1) * MINUTE, e.peak) for e in episodes(outcome)]
    assert found == ([(START, START + DAY, 300.0)] if exceeds else [])


@pytest.mark.parametrize(
    ("bound", "judgement", "reason"), [(1500.0, "exceeds", "above-limit"), (400.0, "not assessable", "over-range")]
)
def test_a_value_over_range_is_a_lower_bound(dust: Registry, bound: float, judgement: str, reason: str) -> None:
    time = every(START, START + 3 * HOUR)
    inside = (time >= START + HOUR) & (time < START + 2 * HOUR)
    flags = np.where(inside, ord("T"), ord("N"))
    outcome = told(dust, readings(0, time, np.where(inside, bound, 400.0), flags.tolist()))
    found = verdicts(outcome)[1]
    assert (found.value, found.verdict.judgement, found.verdict.reason) == (bound, judgement, reason)
    assert bool(episodes(outcome)) is (judgement == "exceeds")


@pytest.mark.parametrize("bound", [20_000.0, 99_999.0])
def test_a_flagged_value_beyond_what_is_plausible_is_not_lost(dust: Registry, bound: float) -> None:
    time = every(START, START + 3 * HOUR)
    inside = (time >= START + HOUR) & (time < START + 2 * HOUR)
    flags = np.where(inside, ord("T"), ord("N"))
    found = verdicts(told(dust, readings(0, time, np.where(inside, bound, 100.0), flags.tolist())))[1]
    assert (found.value, found.verdict.judgement) == (20_000.0, "exceeds")


@pytest.mark.parametrize(("step", "judgement"), [(1_000, "not assessable"), (MINUTE, "meets")])
def test_readings_count_for_the_minutes_that_they_measured(dust: Registry, step: int, judgement: str) -> None:
    time = np.arange(START + 10 * HOUR, START + 10 * HOUR + 46 * step, step)
    found = verdicts(told(dust, readings(0, time, np.full(len(time), 100.0))))[10]
    assert found.verdict.judgement == judgement


def test_acid_and_lye_of_one_hour_do_not_make_neutral_water(tmp_path: Path) -> None:
    registry = mine_with(tmp_path, Station("pond", ("ph",), interval="900s", limits=("gb8978-ph",)))
    time = every(START, START + DAY, 15 * MINUTE)
    (found,) = told(registry, readings(0, time, np.resize([3.0, 3.0, 11.0, 11.0], len(time)))).verdicts
    assert found.verdict.judgement == "exceeds"
