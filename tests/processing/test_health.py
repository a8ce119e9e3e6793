"""Health of channels: silent, frozen, skewed, implausible."""

from __future__ import annotations

import numpy as np
import pytest

from greenmine.processing.engine import Engine
from greenmine.processing.health import Change, Health
from greenmine.processing.identity import unknown
from greenmine.registry import Registry
from tests.processing.mine import DAY, HOUR, MINUTE, at, channel, every, readings

T0 = at("2026-06-01T00:00:00")
DEVICE = ("mine", "homes")


@pytest.fixture
def health(registry: Registry) -> Health:
    return Health(registry, 15)


@pytest.fixture
def pm10(registry: Registry) -> int:
    return channel(registry, "mine/homes/pm10")


def hear(
    health: Health, index: int, times: list[int] | np.ndarray, values: list[float] | np.ndarray | None = None
) -> list[Change]:
    time = np.asarray(times, np.int64)
    value = 50.0 + np.arange(len(time)) % 7 if values is None else np.asarray(values, np.float64)
    return health.readings(np.full(len(time), index, np.intp), time, value)


def states(changes: list[Change]) -> list[tuple[str, int]]:
    """States and minutes, without the first."""
    return [(c.state, (c.since - T0) // MINUTE) for c in changes if c.detail != "first reading"]


@pytest.mark.parametrize(("gap", "told"), [(15, []), (16, [("silent", 59), ("good", 75)])])
def test_a_gap_seen_afterwards_is_told_with_its_beginning(
    health: Health, pm10: int, gap: int, told: list[object]
) -> None:
    assert states(hear(health, pm10, every(T0, T0 + HOUR))) == []
    assert states(hear(health, pm10, [T0 + (59 + gap) * MINUTE])) == told


def test_a_gap_within_a_batch_is_told(health: Health, pm10: int) -> None:
    times = [T0, T0 + MINUTE, T0 + 30 * MINUTE, T0 + 31 * MINUTE]
    assert states(hear(health, pm10, times)) == [("silent", 1), ("good", 30)]


@pytest.mark.parametrize(("minutes", "told"), [(15, []), (16, [("silent", 0)])])
def test_a_channel_falls_silent_by_the_clock(health: Health, pm10: int, minutes: int, told: list[object]) -> None:
    hear(health, pm10, [T0])
    waiting = np.ones(len(health.state), np.bool_)
    assert states(health.clock(T0 + minutes * MINUTE, waiting)) == told
    assert health.clock(T0 + minutes * MINUTE, waiting) == []


def test_a_channel_that_never_spoke_and_one_that_is_waited_for_are_not_silent(health: Health, pm10: int) -> None:
    hear(health, pm10, [T0])
    assert health.clock(T0 + DAY, np.zeros(len(health.state), np.bool_)) == []
    everywhere = health.clock(T0 + DAY, np.ones(len(health.state), np.bool_))
    assert [c.channel for c in everywhere] == [pm10]


def test_a_silent_channel_is_good_with_its_next_reading(health: Health, pm10: int) -> None:
    hear(health, pm10, [T0])
    health.clock(T0 + HOUR, np.ones(len(health.state), np.bool_))
    assert states(hear(health, pm10, [T0 + 2 * HOUR])) == [("good", 120)]
    assert health.state[pm10] == "good"


def test_an_old_reading_does_not_end_a_silence(health: Health, pm10: int) -> None:
    hear(health, pm10, [T0 + HOUR])
    health.clock(T0 + 2 * HOUR, np.ones(len(health.state), np.bool_))
    assert hear(health, pm10, [T0]) == []
    assert health.state[pm10] == "silent"


def test_slow_channels_have_patience_for_three_intervals(registry: Registry, health: Health) -> None:
    assert health.patience[channel(registry, "mine/pond/ph")] == 45 * MINUTE
    assert health.patience[channel(registry, "mine/homes/pm10")] == 15 * MINUTE


def test_a_value_that_does_not_move_is_frozen_from_its_beginning_until_it_moves(health: Health, pm10: int) -> None:
    times = every(T0, T0 + 5 * HOUR)
    values = np.where(np.arange(300) < 30, np.arange(300.0), 77.0)
    assert states(hear(health, pm10, times[:209], values[:209])) == []
    assert states(hear(health, pm10, times[209:], values[209:])) == [("frozen", 30)]
    assert states(hear(health, pm10, [T0 + 5 * HOUR], [78.0])) == [("good", 300)]


def test_frozen_is_told_the_same_whether_it_came_at_once_or_singly(registry: Registry, pm10: int) -> None:
    times, values = every(T0, T0 + 6 * HOUR), np.full(360, 77.0)
    values[5] = 1.0
    values[340:] = np.arange(20)
    whole, single = Health(registry, 15), Health(registry, 15)
    one_by_one = [c for t, v in zip(times, values, strict=True) for c in hear(single, pm10, [int(t)], [float(v)])]
    assert states(hear(whole, pm10, times, values)) == states(one_by_one) == [("frozen", 6), ("good", 340)]


def test_the_first_reading_of_a_channel_is_told(health: Health, pm10: int) -> None:
    assert [(c.state, c.since) for c in hear(health, pm10, [T0, T0 + MINUTE])] == [("good", T0)]


def test_a_late_reading_with_an_old_value_does_not_freeze_the_channel(health: Health, pm10: int) -> None:
    hear(health, pm10, every(T0 + MINUTE, T0 + 4 * HOUR))
    assert hear(health, pm10, [T0], [99.0]) == []
    assert hear(health, pm10, [T0 + 4 * HOUR], [99.0]) == []
    assert health.state[pm10] == "good"


def test_the_newest_change_is_the_state_also_when_a_stretch_began_before_the_last_change(
    health: Health, pm10: int
) -> None:
    changes = hear(health, pm10, [T0, *every(T0 + HOUR, T0 + 5 * HOUR)], [77.0] * 241)
    assert [c.state for c in changes] == ["good", "silent", "good", "frozen"]
    assert [c.since for c in changes] == sorted(c.since for c in changes)


@pytest.mark.parametrize(("ahead", "state"), [(61_000, "skewed"), (59_000, "good")])
def test_a_clock_ahead_is_skewed_at_once(health: Health, pm10: int, ahead: int, state: str) -> None:
    health.message(DEVICE, T0, T0 + ahead)
    assert health.state[pm10] == state


def test_a_clock_that_is_right_again_is_good(health: Health, pm10: int) -> None:
    health.message(DEVICE, T0, T0 + HOUR)
    assert health.state[pm10] == "skewed"
    changes = health.message(DEVICE, T0 + HOUR + 10 * MINUTE, T0 + HOUR + 10 * MINUTE - 1000)
    assert [(c.channel, c.state) for c in changes] == [(pm10, "good")]


def test_a_clock_that_stays_behind_and_keeps_pace_is_skewed(health: Health, pm10: int) -> None:
    for minute in range(30):
        health.message(DEVICE, T0 + minute * MINUTE, T0 + minute * MINUTE - HOUR)
    assert health.state[pm10] == "skewed"


@pytest.mark.parametrize("speed", [2, 10, 60])
def test_a_backlog_that_catches_up_is_not_skewed(health: Health, pm10: int, speed: int) -> None:
    for minute in range(30):
        lag = max(10 * HOUR - minute * (speed - 1) * MINUTE, 0)
        health.message(DEVICE, T0 + minute * MINUTE, T0 + minute * MINUTE - lag)
    assert health.state[pm10] == "good"


def test_a_repeat_tells_nothing_of_the_clock(health: Health, pm10: int) -> None:
    health.message(DEVICE, T0, T0)
    for minute in range(30):
        health.message(DEVICE, T0 + minute * MINUTE, T0)
    assert health.state[pm10] == "good"


def test_only_the_channels_of_the_device_are_skewed(registry: Registry, health: Health) -> None:
    health.message(("mine", "fence"), T0, T0 + HOUR)
    skewed = [registry.channels[i].key for i, s in enumerate(health.state) if s == "skewed"]
    assert skewed == ["mine/fence/laeq", "mine/fence/lafmax"]


@pytest.mark.parametrize(
    ("mean", "usual", "share", "state"),
    [
        (50.0, 55.0, 0.0, "good"),
        (50_000.0, 50.0, 0.0, "implausible"),
        (0.05, 50.0, 0.0, "implausible"),
        (5000.0, 50.0, 0.0, "implausible"),
        (4900.0, 50.0, 0.0, "good"),
        (50.0, 0.0, 0.0, "good"),
        (0.0, 50.0, 0.0, "good"),
        (float("nan"), 50.0, 0.3, "implausible"),
        (50.0, 50.0, 0.1, "good"),
    ],
)
def test_a_slip_of_units_and_values_out_of_range_are_implausible(
    health: Health, pm10: int, mean: float, usual: float, share: float, state: str
) -> None:
    health.hour(pm10, T0, mean, usual, share)
    assert health.state[pm10] == state


def test_an_hour_without_data_says_nothing_of_plausibility(health: Health, pm10: int) -> None:
    health.hour(pm10, T0, 50_000.0, 50.0, 0.0)
    assert health.hour(pm10, T0 + HOUR, float("nan"), 50.0, 0.0) == []
    assert health.state[pm10] == "implausible"


def no_samples(channel: int, start: int, end: int) -> tuple[np.ndarray, np.ndarray]:
    raise AssertionError((channel, start, end))


def test_a_unit_slip_lasts_until_the_unit_is_right_again(registry: Registry, pm10: int) -> None:
    engine = Engine(registry, unknown, no_samples)
    time = every(T0, T0 + 2 * DAY)
    hour = (time - T0) // HOUR
    rng = np.random.default_rng(2)
    value = 60.0 + rng.normal(0, 5, len(time))
    value = np.where((hour >= 30) & (hour < 38), value / 1000, value)
    parts = [readings(pm10, time[part], value[part]) for part in np.split(np.arange(len(time)), 96)]
    changes = [c for part in parts for c in engine.ingest(part).health if c.detail != "first reading"]
    assert [(c.state, (c.since - T0) // HOUR) for c in changes] == [("implausible", 30), ("good", 38)]


def test_flagged_readings_do_not_end_a_silence_but_work_on_the_instrument_is_none(
    registry: Registry, pm10: int
) -> None:
    engine = Engine(registry, unknown, no_samples)
    engine.ingest(readings(pm10, [T0], [50.0]))
    faulty = [c for m in range(1, 30) for c in engine.ingest(readings(pm10, [T0 + m * MINUTE], [51.0], "D")).health]
    everything = np.ones(len(registry.channels), np.bool_)
    assert faulty == []
    assert [c.state for c in engine.wait(T0 + 30 * MINUTE, everything).health] == ["silent"]
    work = engine.ingest(readings(pm10, [T0 + 31 * MINUTE], [0.0], "M")).health
    assert [c.state for c in work] == ["good"]


@pytest.mark.parametrize("parts", [1, 2])
def test_a_flat_line_does_not_span_a_gap(health: Health, pm10: int, parts: int) -> None:
    # Half an hour, four hours of silence, and then the same value for four hours.
    first, second = every(T0, T0 + 30 * MINUTE), every(T0 + 270 * MINUTE, T0 + 510 * MINUTE)
    pieces = [np.append(first, second)] if parts == 1 else [first, second]
    changes = [change for piece in pieces for change in hear(health, pm10, piece, np.full(len(piece), 20.0))]
    assert states(changes) == [("silent", 29), ("good", 270), ("frozen", 270)]
    frozen = next(check for check in pieces[-1].tolist() if check >= T0 + 270 * MINUTE + 180 * MINUTE)
    assert frozen == T0 + 450 * MINUTE


def test_a_stamp_from_far_in_the_future_is_shown_as_what_it_is_and_forgotten(health: Health, pm10: int) -> None:
    (change, *_) = [c for c in health.message(DEVICE, T0, T0 + 3356 * DAY) if c.channel == pm10]
    assert (change.state, change.detail) == ("skewed", "3356 d ahead")
    assert change.since <= T0 + 2 * MINUTE
    later = health.message(DEVICE, T0 + 3 * MINUTE, T0 + 3 * MINUTE)
    assert {c.state for c in later} == {"good"}
