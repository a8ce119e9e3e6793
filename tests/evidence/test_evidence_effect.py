"""Effect of measures: known effects are found, whatever starts the sprayers, and too little data finds none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.effect import estimate
from greenmine.evidence.effect import Effect, Minutes, effect_between, effect_of_runs
from greenmine.evidence.evaluation import load_evaluation
from greenmine.simulators.dust import SPRAYER_FACTOR

TERMS = load_evaluation().effect
DAY = 1440
LEFT = 0.4
RUNS = [(480, 510), (600, 630), (840, 870), (960, 990)]


def dust(seed: int, days: int) -> tuple[np.ndarray, Minutes]:
    """What a mine would add without water, and its minutes without any: wind turns slowly, days differ."""
    rng = np.random.default_rng(seed)
    n = days * DAY
    slow = np.repeat(rng.normal(0, 1, n // 240), 240)
    bearing = np.clip(15 * slow + rng.normal(0, 5, n), -60, 60)
    speed = np.clip(2 + 0.8 * np.repeat(rng.normal(0, 1, n // 120), 120), 0.2, 6)
    daily = np.exp(np.repeat(rng.normal(0, 0.4, days), DAY))
    puffs = np.exp(np.repeat(rng.normal(0, 0.3, n // 10), 10) + rng.normal(0, 0.1, n))
    emitted = 400 * daily * puffs * np.exp(-((np.radians(bearing) / 0.35) ** 2)) / speed
    local = np.arange(n)
    working = (local % DAY >= 420) & (local % DAY < 1080)
    return emitted, Minutes(emitted, np.zeros(n), working, bearing, speed, local)


def timetable(local: np.ndarray) -> np.ndarray:
    return np.logical_or.reduce([(local % DAY >= a) & (local % DAY < b) for a, b in RUNS])


def holds(effect: Effect, value: float) -> bool:
    assert effect.low is not None
    assert effect.high is not None
    return effect.low <= value <= effect.high


@pytest.mark.parametrize("seed", range(3))
def test_runs_of_a_timetable_tell_the_effect_although_dust_starts_other_runs(seed: int) -> None:
    emitted, dry = dust(seed, 60)
    high = np.convolve(emitted > 250, np.ones(15))[: len(emitted)] > 0
    state = (timetable(dry.local) | high).astype(float)
    minutes = replace(dry, value=emitted * np.where(state == 1, LEFT, 1.0), state=state)
    effect = effect_of_runs(minutes, RUNS, TERMS)
    assert holds(effect, LEFT)
    assert effect.high is not None
    assert effect.high < 0.8
    naive = effect_between(minutes, "on-off", TERMS)
    assert naive.low is not None
    assert naive.low > LEFT  # water seems to do less than it does


@pytest.mark.parametrize("seed", range(2))
def test_an_enclosure_is_seen_although_the_wind_changed_with_it(seed: int) -> None:
    emitted, dry = dust(seed, 80)
    after = dry.local >= 40 * DAY
    assert dry.speed is not None
    speed = np.where(after, dry.speed * 0.7, dry.speed)
    value = emitted * dry.speed / speed * np.where(after, LEFT, 1.0)
    effect = effect_between(replace(dry, value=value, speed=speed, state=after.astype(float)), "before-after", TERMS)
    assert holds(effect, LEFT)
    assert effect.mean_on is not None
    assert effect.mean_off is not None


def test_a_value_added_by_nothing_has_no_effect() -> None:
    emitted, dry = dust(5, 60)
    effect = effect_of_runs(replace(dry, value=emitted, state=timetable(dry.local).astype(float)), RUNS, TERMS)
    assert holds(effect, 1.0)


def test_minutes_of_one_day_do_not_make_up_for_days() -> None:
    emitted, dry = dust(1, 30)
    state = timetable(dry.local).astype(float)
    minutes = replace(dry, value=emitted * np.where(state == 1, LEFT, 1.0), state=state)
    short = Minutes(*(x[: 8 * DAY] for x in (minutes.value, minutes.state, minutes.working, minutes.bearing)),
                    dry.speed[: 8 * DAY], dry.local[: 8 * DAY])  # type: ignore[index]  # fmt: skip
    assert effect_of_runs(short, RUNS, TERMS).reason == "too-few-days"
    assert effect_of_runs(minutes, RUNS, TERMS).remaining == pytest.approx(LEFT, rel=0.2)
    doubled = effect_of_runs(minutes, RUNS * 2, TERMS)  # every run counted twice is no more evidence
    once = effect_of_runs(minutes, RUNS, TERMS)
    assert doubled.low == pytest.approx(once.low)
    assert doubled.high == pytest.approx(once.high)


def test_where_nothing_is_known_nothing_is_told() -> None:
    emitted, dry = dust(2, 20)
    silent = replace(dry, value=np.full(len(emitted), np.nan))
    for effect in (effect_of_runs(silent, RUNS, TERMS), effect_between(silent, "on-off", TERMS)):
        assert (effect.reason, effect.remaining, effect.low, effect.mean_on) == ("no-data", None, None, None)
    noise = replace(
        dry, value=np.random.default_rng(1).normal(0.0, 500.0, len(emitted)), state=timetable(dry.local).astype(float)
    )
    assert effect_of_runs(noise, RUNS, TERMS).reason == "unbounded"


def test_the_interval_holds_the_effect_of_simulated_sprayers() -> None:
    effect = estimate(seed=3, days=35)
    assert effect.design == "timetable"
    assert not effect.open_to_bias
    assert effect.low is not None
    assert effect.high is not None
    assert effect.low <= SPRAYER_FACTOR <= effect.high < 1
    assert effect.note_en == "no statutory formula; management measure"
