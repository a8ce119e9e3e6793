from __future__ import annotations

import pytest
from rich.console import Console

from greenmine.simulators.clock import MINUTE_MS
from greenmine.simulators.faults import KINDS
from greenmine.simulators.mine import truth
from greenmine.simulators.score import Detection, Score, score, table
from greenmine.simulators.truth import InjectedFault, Truth

HOUR = 60 * MINUTE_MS


def known(*faults):
    return Truth(seed=1, registry="", start=0, end=100 * HOUR, faults=faults, events=())


GAP = InjectedFault(kind="gap", site="s", device="d", start=10 * HOUR, end=11 * HOUR)
FROZEN = InjectedFault(kind="frozen", site="s", device="d", channel="s/st/pm10", start=20 * HOUR, end=26 * HOUR)
LOSS = InjectedFault(kind="power-loss", site="s", start=30 * HOUR, end=31 * HOUR, parameters={"backlog": 0.0})
SLIP = InjectedFault(kind="unit-slip", site="s", device="x", channel="s/st/tsp", start=40 * HOUR, end=41 * HOUR)


def of(kind, *detections):
    return next(row for row in score(known(GAP, FROZEN, LOSS, SLIP), detections) if row.kind == kind)


@pytest.mark.parametrize(
    ("detection", "expected"),
    [
        (Detection("gap", "s/d", 10 * HOUR, 11 * HOUR), Score("gap", 1, 1, 0, 0)),
        (Detection("gap", "s", 10 * HOUR, 10 * HOUR), Score("gap", 1, 1, 0, 0)),
        (Detection("gap", "s/d", 11 * HOUR + 9 * MINUTE_MS, 12 * HOUR), Score("gap", 1, 1, 0, 0)),
        (Detection("gap", "s/d", 11 * HOUR + 11 * MINUTE_MS, 12 * HOUR), Score("gap", 1, 0, 1, 1)),
        (Detection("gap", "s/other", 10 * HOUR, 11 * HOUR), Score("gap", 1, 0, 1, 1)),
        (Detection("gap", "s/d2", 10 * HOUR, 11 * HOUR), Score("gap", 1, 0, 1, 1)),
        (Detection("gap", "s/other", 30 * HOUR, 31 * HOUR), Score("gap", 1, 0, 1, 0)),
        (Detection("gap", "s/x", 40 * HOUR, 41 * HOUR), Score("gap", 1, 0, 1, 0)),
        (Detection("frozen", "s/st/pm10", 25 * HOUR, 26 * HOUR), Score("frozen", 1, 1, 0, 0)),
        (Detection("frozen", "s/st/tsp", 25 * HOUR, 26 * HOUR), Score("frozen", 1, 0, 1, 1)),
        (Detection("power-loss", "s", 30 * HOUR, 31 * HOUR), Score("power-loss", 1, 1, 0, 0)),
        (Detection("power-loss", "t", 30 * HOUR, 31 * HOUR), Score("power-loss", 1, 0, 1, 1)),
    ],
)
def test_what_counts_as_caught_and_as_false(detection, expected):
    assert of(detection.kind, detection) == expected


def test_a_fault_noticed_twice_is_caught_once():
    twice = [Detection("gap", "s/d", 10 * HOUR, 10 * HOUR), Detection("gap", "s/d", 11 * HOUR, 11 * HOUR)]
    assert of("gap", *twice) == Score("gap", 1, 1, 0, 0)


def test_a_fault_from_before_the_simulation_explains_but_need_not_be_caught():
    before = InjectedFault(kind="gap", site="s", device="d", start=-HOUR, end=HOUR)
    assert score(known(before), [Detection("gap", "s/d", 0, HOUR)], ["gap"]) == [Score("gap", 0, 0, 0, 0)]


def test_perfect_detections_score_perfectly(registry, sites, monday):
    injected = truth(registry, sites, 1, monday, monday + 7 * 24 * HOUR)
    perfect = [Detection(f.kind, f.key, f.start, f.end) for f in injected.faults]
    for row in score(injected, perfect):
        assert row.injected == row.caught > 0
        assert row.missed == row.false == 0


def test_no_detections_catch_nothing(registry, sites, monday):
    injected = truth(registry, sites, 1, monday, monday + 7 * 24 * HOUR)
    rows = score(injected, [])
    assert [row.kind for row in rows] == list(KINDS)
    assert all(row.missed == row.injected > 0 and row.caught == row.false == 0 for row in rows)


def test_the_table_says_what_is_not_claimed():
    console = Console(width=120, record=True, file=None, quiet=False)
    with console.capture() as shown:
        console.print(table(score(known(GAP), [])))
    lines = shown.get().splitlines()
    assert any("gap" in line and " 1 " in line for line in lines)
    assert [line for line in lines if "not claimed" in line] == [line for line in lines if "drift" in line]
