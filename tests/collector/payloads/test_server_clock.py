"""The server's clock is doubted where it leaps, or where devices agree with each other and not with it."""

from __future__ import annotations

from itertools import product

import pytest

from greenmine.collector.payloads.server_clock import ServerClock

MINUTE = 60_000
DAY = 1440 * MINUTE
TOLERANCE = 2 * MINUTE


class Clocks:
    """A clock that can be set, and one that cannot."""

    def __init__(self) -> None:
        self.wall, self.steady = 1_700_000_000_000, 5_000

    def pass_by(self, time: int) -> None:
        self.wall += time
        self.steady += time

    def __call__(self) -> tuple[int, int]:
        return self.wall, self.steady


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def clock(clocks: Clocks) -> ServerClock:
    found = ServerClock(TOLERANCE, clocks)
    found.hear([])
    return found


@pytest.mark.parametrize("leap", [6 * MINUTE, DAY])
def test_a_leap_back_explains_stamps_that_are_ahead_by_it_until_the_clock_is_set(
    clock: ServerClock, clocks: Clocks, leap: int
) -> None:
    clocks.wall -= leap
    clock.hear([(("a", "x"), leap + 1_000)])
    assert clock.explains(leap + 1_000)
    assert not clock.explains(leap + 5 * MINUTE), "a device whose own clock is wrong"
    assert not clock.has_been_mended()
    clocks.pass_by(10 * MINUTE)
    clocks.wall += leap
    assert clock.has_been_mended()
    assert not clock.has_been_mended()
    assert not clock.explains(leap)


def test_devices_that_agree_with_the_clock_end_the_doubt(clock: ServerClock, clocks: Clocks) -> None:
    clocks.wall -= DAY
    clock.hear([(names, -500) for names in product("ab", "xy")])
    assert not clock.explains(DAY)


@pytest.mark.parametrize(
    ("sites", "devices", "doubted"), [("ab", "xy", True), ("a", "vwxyz", False), ("ab", "x", False)]
)
def test_most_devices_of_several_sites_outvote_the_clock(
    clock: ServerClock, clocks: Clocks, sites: str, devices: str, doubted: bool
) -> None:
    for number, names in enumerate(product(sites, devices)):
        clocks.pass_by(MINUTE)
        clock.hear([(names, 10 * MINUTE + number * 1_000)])
    assert clock.explains(10 * MINUTE) is doubted


def test_a_clock_that_devices_agree_with_from_the_start_has_been_set_before(clock: ServerClock) -> None:
    assert not clock.has_been_mended()
    clock.hear([(names, 10 * MINUTE) for names in product("ab", "xy")])
    assert not clock.has_been_mended()
    clock.hear([(names, -500) for names in product("ab", "xy")])
    assert clock.has_been_mended()
    clock.hear([(names, -500) for names in product("ab", "xy")])
    assert not clock.has_been_mended()


def test_devices_that_disagree_with_each_other_do_not_outvote_it(clock: ServerClock) -> None:
    clock.hear([(("a", str(n)), n * 10 * MINUTE) for n in range(9)] + [(("b", "x"), 0)])
    assert not any(clock.explains(n * 10 * MINUTE) for n in range(9))


def test_time_that_passes_is_no_leap_and_one_is_told_once(clock: ServerClock, clocks: Clocks) -> None:
    clocks.pass_by(DAY)
    assert clock.leapt() == 0
    clocks.wall += DAY
    clocks.pass_by(MINUTE)
    assert clock.leapt() == DAY
    assert clock.leapt() == 0
