"""Episodes: when they begin, when they end, and what becomes of them when data come late."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from greenmine.limits import Alarm
from greenmine.processing.exceedances import Episode, Exceedance, episodes, latch, restated


def told(
    text: str, *, delay: int = 1, clear: int = 1, lost: int = 60, active: bool = False
) -> list[tuple[int, int | None, int]]:
    """Start, end and minutes above of the episodes of a line: ``^`` above, ``-`` between, ``.`` cleared, ``?`` unknown."""
    return [(e.start, e.end, e.minutes) for e in found(text, delay, clear, lost, active=active)]


def found(text: str, delay: int, clear: int, lost: int, *, active: bool = False) -> list[Episode]:
    alarm = Alarm(sliding_minutes=60, delay_minutes=delay, clear_minutes=clear, lost_minutes=lost)
    mark = np.array(list(text))
    above, cleared, assessable = mark == "^", mark == ".", mark != "?"
    excess = np.where(above, np.arange(len(text)) % 7 + 1.0, np.where(assessable, -1.0, np.nan))
    lasts = latch(above[None], cleared[None], assessable[None], alarm, np.array([active]))[0]
    return episodes(lasts, above, cleared, excess, alarm, active=active)


@pytest.mark.parametrize(
    ("text", "delay", "clear", "expected"),
    [
        (".^^^..", 1, 1, [(1, 4, 3)]),
        (".^^^..", 3, 1, [(1, 4, 3)]),
        (".^^^..", 4, 1, []),
        (".^^.^^^^..", 3, 1, [(4, 8, 4)]),
        (".^^^.^^...", 1, 2, [(1, 7, 5)]),  # one cleared minute does not end it
        (".^^^..^^..", 1, 2, [(1, 4, 3), (6, 8, 2)]),
        (".^^^--^^..", 1, 2, [(1, 8, 5)]),  # between the levels it goes on
        (".^^^---....", 1, 3, [(1, 7, 3)]),
        (".^^^.-.-..", 1, 2, [(1, 8, 3)]),
        (".^^^", 1, 1, [(1, None, 3)]),
        (".^^^.", 1, 2, [(1, None, 3)]),  # not yet known to have ended
        ("......", 1, 1, []),
    ],
)
def test_an_episode_begins_after_the_delay_and_ends_after_the_clearance_both_told_in_event_time(
    text: str, delay: int, clear: int, expected: list[tuple[int, int | None, int]]
) -> None:
    assert told(text, delay=delay, clear=clear) == expected


@pytest.mark.parametrize(
    ("text", "lost", "expected"),
    [
        (".^^??????", 4, [(1, 3, 2)]),
        (".^^???^..", 4, [(1, 7, 3)]),
        (".^^????^..", 4, [(1, 3, 2), (7, 8, 1)]),
        (".^^???", 4, [(1, None, 2)]),
    ],
)
def test_an_episode_that_can_no_longer_be_assessed_is_lost(
    text: str, lost: int, expected: list[tuple[int, int | None, int]]
) -> None:
    assert told(text, lost=lost) == expected


def test_an_unknown_minute_interrupts_a_delay_and_a_clearance() -> None:
    assert told(".^^?^^..", delay=3) == []
    assert told(".^^.?...", clear=3) == [(1, 5, 2)]


def test_what_lasted_before_goes_on() -> None:
    first = found("--^..", 1, 1, 60, active=True)[0]
    assert (first.start, first.end, first.minutes, first.continues) == (0, 3, 1, True)


def test_an_episode_that_ended_within_the_lead_is_not_told_again() -> None:
    alarm = Alarm(sliding_minutes=60, delay_minutes=1, clear_minutes=1)
    above = np.array([c == "^" for c in "^^.....^^."])
    excess = np.where(above, 1.0, -1.0)
    found = episodes(above, above, ~above, excess, alarm, active=True, lead=5)
    assert [(e.start, e.end, e.continues) for e in found] == [(7, 9, False)]


def test_the_peak_is_the_first_of_the_worst_minutes() -> None:
    alarm = Alarm(sliding_minutes=60, delay_minutes=1, clear_minutes=1)
    above = np.array([False, True, True, True, False])
    lasts = latch(above[None], ~above[None], np.ones((1, 5), np.bool_), alarm, np.array([False]))[0]
    episode = episodes(lasts, above, ~above, np.array([-1.0, 2.0, 5.0, 5.0, -1.0]), alarm, active=False)[0]
    assert episode.peak == 2


def test_runs_of_the_worked_example_a_missing_value_ending_a_run(reference: Path) -> None:
    case = json.loads((reference / "exceedance-runs.json").read_text("utf-8"))["cases"][0]
    marks = {True: "^", False: ".", None: "?"}
    text = "".join(marks[None if v is None else v > case["limit"]] for v in case["values"])
    runs = told(text + ".", lost=1)
    assert [minutes for _, _, minutes in runs] == case["expected"]["run_lengths"]
    assert sum(minutes for _, _, minutes in runs) == case["expected"]["exceedances"]


def test_long_runs_of_the_worked_example(reference: Path) -> None:
    case = json.loads((reference / "exceedance-runs.json").read_text("utf-8"))["cases"][1]
    runs = told("^" * 35 + "." + "^" * 329 + ".")
    assert [minutes for _, _, minutes in runs] == case["expected"]["run_lengths"]


def test_a_line_cut_anywhere_tells_the_same_states() -> None:
    rng = np.random.default_rng(3)
    alarm = Alarm(sliding_minutes=60, delay_minutes=3, clear_minutes=4, lost_minutes=6)
    for _ in range(200):
        mark = np.repeat(rng.choice(list("^-.?"), 40), rng.integers(1, 8, 40))
        above, cleared, assessable = (mark == "^")[None], (mark == ".")[None], (mark != "?")[None]
        whole = latch(above, cleared, assessable, alarm, np.array([False]))
        cut = int(rng.integers(6, mark.size - 1))
        lead = slice(cut - 6, None)
        rest = latch(above[:, lead], cleared[:, lead], assessable[:, lead], alarm, whole[:, cut - 1], 6)
        np.testing.assert_array_equal(rest[:, 6:], whole[:, cut:])


OLD = Exceedance(7, 1, 100, None, 61.0, 105, 60.0, 6, revision=2)


def changed(**parts: object) -> Exceedance:
    values = {
        "id": 0,
        "rule": 1,
        "start": 100,
        "end": None,
        "peak": 61.0,
        "peak_minute": 105,
        "threshold": 60.0,
        "minutes": 6,
    }
    return Exceedance(**(values | parts))


def test_nothing_new_is_nothing_to_store() -> None:
    assert restated(OLD, changed()) is None
    assert restated(OLD, changed(peak=61.0 + 1e-12)) is None


@pytest.mark.parametrize("parts", [{"minutes": 7}, {"end": 110}, {"peak": 63.0, "peak_minute": 107, "minutes": 8}])
def test_that_an_open_episode_grows_or_ends_is_no_restatement(parts: dict[str, object]) -> None:
    new = restated(OLD, changed(**parts))
    assert new is not None
    assert (new.id, new.revision) == (7, 2)


@pytest.mark.parametrize("parts", [{"start": 99}, {"minutes": 5}, {"start": 101, "end": 110}])
def test_any_other_change_is_a_new_revision(parts: dict[str, object]) -> None:
    new = restated(OLD, changed(**parts))
    assert new is not None
    assert (new.id, new.revision) == (7, 3)


def test_a_closed_episode_that_changes_is_restated() -> None:
    new = restated(changed(end=110), changed(end=111, minutes=7))
    assert new is not None
    assert new.revision == 1
