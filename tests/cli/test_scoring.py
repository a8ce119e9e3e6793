"""Every kind of fault that the design claims to detect is detected, through decoder, core and record."""

from __future__ import annotations

from functools import cache

import pytest

from greenmine.cli.scoring import detect
from greenmine.loading import load_registry
from greenmine.settings import Settings
from greenmine.simulators.faults import KINDS
from greenmine.simulators.mine import stream, truth
from greenmine.simulators.score import NOT_CLAIMED, score
from greenmine.simulators.truth import InjectedFault, Truth

HOUR = 3_600_000
DAY = 24 * HOUR
START = 1_790_000_000_000 // DAY * DAY
TOLERANCE = HOUR // 2 + 60_000


@cache
def month() -> Truth:
    return truth(load_registry(), ["kunyin", "jianggao"], 1, START, START + 30 * DAY, KINDS)


def shortest(kind: str) -> InjectedFault:
    """The shortest fault of a kind whose consequences come within three hours, after a day in which all is usual."""
    suitable = [
        fault
        for fault in month().faults
        if fault.kind == kind and fault.start > START + DAY and fault.parameters.get("delay", 0) < 3 * HOUR
    ]
    return min(suitable, key=lambda fault: fault.end - fault.start)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in NOT_CLAIMED])
def test_a_fault_that_is_claimed_is_caught(kind: str) -> None:
    registry, fault = load_registry(), shortest(kind)
    before = DAY if kind == "unit-slip" else 3 * HOUR
    start, end = (fault.start - before) // HOUR * HOUR, fault.end + 4 * HOUR
    messages = stream(registry, [fault.site], 1, start, end, [kind])
    found = detect(registry, Settings(), messages, end, lambda _done, _reached: None)
    known = truth(registry, [fault.site], 1, start, end, [kind])
    [result] = score(known, found, [kind], TOLERANCE)
    assert result.injected >= 1
    assert (result.caught, result.missed) == (result.injected, 0)


def test_a_mine_without_faults_raises_next_to_nothing() -> None:
    registry = load_registry()
    end = START + DAY
    messages = stream(registry, ["jianggao"], 1, START, end, [])
    found = detect(registry, Settings(), messages, end, lambda _done, _reached: None)
    assert [d for d in found if d.kind != "gap"] == []
    assert len(found) <= 3  # instruments that carry no flags fall silent for valid readings while they are serviced
