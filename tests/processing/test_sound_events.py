"""Events of nights: what is one, of which kind, and what the limits of GB 12348-2008 (4.1.2, 4.1.3) say of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from greenmine.limits import load_limits
from greenmine.loading import load_registry
from greenmine.processing.engine import Engine, Judged, Outcome
from greenmine.processing.events import SoundEvent, event_kind, sound_events
from greenmine.processing.exceedances import Exceedance
from greenmine.processing.identity import unknown
from greenmine.readings import Readings
from greenmine.registry import Registry
from tests.processing.mine import HOUR, MINUTE, Station, at, every, readings, registry_of, rule

CONDITIONS = load_limits()[1]
NIGHT = at("2026-06-01T22:00:00")
MORNING = NIGHT + 8 * HOUR
LIMITS = ("gb12348-class2-night-frequent", "gb12348-class2-night-occasional")
FREQUENT, OCCASIONAL = LIMITS


def quiet(minutes: int = 480, level: float = 45.0) -> np.ndarray:
    return np.full(minutes, level)


def test_a_horn_that_stands_out_is_one_event_with_time_and_peak() -> None:
    maxima = quiet()
    maxima[100:103] = (60.0, 62.0, 58.0)
    assert sound_events(maxima, 1000, CONDITIONS) == [SoundEvent(1100, 1103, 62.0, 1101)]


@pytest.mark.parametrize(("peak", "count"), [(54.9, 0), (55.0, 1)])
def test_an_event_stands_out_by_ten_decibels(peak: float, count: int) -> None:
    maxima = quiet()
    maxima[10] = peak
    assert len(sound_events(maxima, 0, CONDITIONS)) == count


def test_steady_work_is_no_event_however_loud() -> None:
    maxima = quiet()
    maxima[120:300] = 75.0 + np.tile((0.0, 3.0, -3.0), 60)
    assert sound_events(maxima, 0, CONDITIONS) == []


def test_minutes_that_do_not_count_are_neither_events_nor_surroundings() -> None:
    maxima = quiet()
    maxima[50] = np.nan
    maxima[60] = 70.0
    assert [e.start for e in sound_events(maxima, 0, CONDITIONS)] == [60]
    assert sound_events(np.full(480, np.nan), 0, CONDITIONS) == []


@pytest.mark.parametrize(
    ("minutes", "kind"),
    [
        ((10, 100, 190, 280), "occasional"),
        ((10, 100, 190, 280, 370), "frequent"),
        ((10, 20, 30, 40, 70), "occasional"),
        ((10, 20, 30, 70, 130), "frequent"),
    ],
)
def test_events_are_frequent_from_five_in_three_hours_on(minutes: tuple[int, ...], kind: str) -> None:
    events = [SoundEvent(m, m + 1, 62.0, m) for m in minutes]
    assert event_kind(events, 0, CONDITIONS) == kind


@pytest.fixture(scope="module")
def fence(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    stations = [Station("fence", ("lafmax",), limits=LIMITS)]
    return registry_of(tmp_path_factory.mktemp("fence"), {"mine": ("Asia/Shanghai", stations)})


def night(*events: tuple[int, float], level: float = 45.0) -> Readings:
    """A night of maxima every minute, with events of a minute."""
    times = every(NIGHT - HOUR, MORNING + HOUR)
    value = np.full(len(times), level)
    for minute, peak in events:
        value[60 + minute] = peak
    return readings(0, times, value)


def outcomes(registry: Registry, *parts: Readings) -> list[Outcome]:
    engine = Engine(registry, unknown, lambda *_: (np.empty(0, np.int64), np.empty(0)))
    return [engine.ingest(part) for part in parts]


def judged(registry: Registry, limit: str, *parts: Readings) -> Judged:
    index = rule(registry, f"mine/fence/{limit}")
    found = [v for o in outcomes(registry, *parts) for v in o.verdicts if v.rule == index]
    return next(v for v in reversed(found) if v.start * MINUTE == NIGHT)


def episodes(registry: Registry, *parts: Readings) -> list[Exceedance]:
    found = {e.id: e for o in outcomes(registry, *parts) for e in o.exceedances}
    return [e for e in found.values() if not e.withdrawn]


def test_a_single_horn_is_judged_once_as_occasional(fence: Registry) -> None:
    horn = night((180, 62.0))
    occasional, frequent = (judged(fence, limit, horn) for limit in (OCCASIONAL, FREQUENT))
    assert (occasional.verdict.judgement, occasional.value, occasional.threshold.high) == ("meets", 62.0, 65)
    assert (frequent.verdict.judgement, frequent.verdict.reason, frequent.value) == ("meets", "no-event", None)
    assert episodes(fence, horn) == []


def test_a_blast_beyond_the_occasional_limit_is_an_exceedance_of_its_minutes(fence: Registry) -> None:
    blast = night((180, 66.0), (300, 64.0))
    found = judged(fence, OCCASIONAL, blast)
    assert (found.verdict.judgement, found.value) == ("exceeds", 66.0)
    (one,) = episodes(fence, blast)
    assert ((one.start + 1) * MINUTE, one.peak, one.minutes) == (NIGHT + 180 * MINUTE, 66.0, 1)


def test_frequent_events_are_judged_by_the_frequent_limit(fence: Registry) -> None:
    knocks = night(*((m, 62.0) for m in (10, 100, 190, 280, 370)), (200, 59.0))
    frequent, occasional = (judged(fence, limit, knocks) for limit in (FREQUENT, OCCASIONAL))
    assert (frequent.verdict.judgement, frequent.value) == ("exceeds", 62.0)
    assert occasional.verdict.reason == "no-event"
    assert [(e.peak, e.threshold) for e in episodes(fence, knocks)] == [(62.0, 60)] * 5


def test_a_person_decides_the_kind(tmp_path: Path) -> None:
    registry_of(tmp_path, {"mine": ("Asia/Shanghai", [Station("fence", ("lafmax",), limits=LIMITS)])})
    path = tmp_path / "sites" / "mine.toml"
    path.write_text(
        path.read_text("utf-8").replace('noise_class = "2"', 'noise_class = "2"\nnight_events = "frequent"')
    )
    found = judged(load_registry(tmp_path), FREQUENT, night((180, 62.0)))
    assert (found.verdict.judgement, found.value) == ("exceeds", 62.0)


def test_loud_steady_work_is_no_event_for_either_limit(fence: Registry) -> None:
    work = night(level=75.0)
    assert {judged(fence, limit, work).verdict.reason for limit in LIMITS} == {"no-event"}


def test_too_few_hours_tell_nothing_of_the_rest_of_the_night(fence: Registry) -> None:
    some = night((180, 62.0))
    some = some.take((some.time < NIGHT + 5 * HOUR) | (some.time >= MORNING))
    assert judged(fence, OCCASIONAL, some).verdict.reason == "too-few-hours"
    assert judged(fence, FREQUENT, some).verdict.reason == "too-few-hours"


def test_late_readings_that_make_events_frequent_move_the_exceedances(fence: Registry) -> None:
    whole = night(*((m, 66.0) for m in (10, 100, 190, 280, 370)))
    last = (whole.time >= NIGHT + 270 * MINUTE) & (whole.time < NIGHT + 290 * MINUTE)
    ordered, late = episodes(fence, whole), episodes(fence, whole.take(~last), whole.take(last))
    assert len(ordered) == 5

    def told(some: list[Exceedance]) -> set[Exceedance]:
        return {replace(e, id=0, revision=0) for e in some}

    assert told(ordered) == told(late)
    assert {e.rule for e in late} == {rule(fence, f"mine/fence/{FREQUENT}")}
