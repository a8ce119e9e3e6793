"""The gate: whose budget a message is charged to, by its topic alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenmine.collector.gate import Gate, beyond
from greenmine.loading import load_registry
from greenmine.registry import Registry
from greenmine.settings import Settings
from greenmine.times import day_end, milliseconds

NOON = milliseconds(datetime(2026, 11, 2, 4, tzinfo=UTC))
NOISY, QUIET = "greenmine/v1/kunyin/boundary-dust/readings", "greenmine/v1/jiuchi/boundary-noise/readings"


@pytest.fixture(scope="module")
def mines() -> Registry:
    return load_registry()


def sent(gate: Gate, topic: str, count: int, now: int = NOON, readings: int = 1, size: int = 1) -> int:
    return sum(gate.account(topic).admit(readings, size, now) for _ in range(count))


def test_a_device_beyond_its_budget_takes_nothing_from_another(mines: Registry) -> None:
    gate = Gate(mines, Settings(device_messages="1/s"))
    assert sent(gate, NOISY, 1_000) == 60
    assert sent(gate, QUIET, 60) == 60


@pytest.mark.parametrize(
    "settings", [{"device_messages": "10/d"}, {"device_readings": "20/d"}, {"device_bytes": "1000/d"}]
)
def test_messages_readings_and_bytes_are_each_bounded_a_day(mines: Registry, settings: dict[str, str]) -> None:
    gate = Gate(mines, Settings(**settings))
    assert sent(gate, NOISY, 50, readings=2, size=100) == 10
    midnight = day_end(NOON, "Asia/Shanghai")
    assert sent(gate, NOISY, 1, midnight - 1, 2, 100) == 0
    assert sent(gate, NOISY, 50, midnight, 2, 100) == 10


def test_a_site_has_the_budget_of_so_many_devices(mines: Registry) -> None:
    gate = Gate(mines, Settings(device_messages="10/d", site_devices=1.5))
    devices = [device.id for device in mines.site("kunyin").devices][:3]
    assert [sent(gate, f"greenmine/v1/kunyin/{device}/readings", 10) for device in devices] == [10, 5, 0]
    assert sent(gate, QUIET, 10) == 10


@given(
    st.lists(st.tuples(st.sampled_from([NOISY, QUIET]), st.integers(1, 9), st.integers(1, 900)), max_size=40),
    st.sampled_from(["5/d", "20/d", "100/d"]),
)
def test_of_messages_that_come_together_those_are_beyond_that_would_be_one_by_one(
    mines: Registry, messages: list[tuple[str, int, int]], budget: str
) -> None:
    settings = Settings(device_messages=budget, device_readings="40/d", device_bytes="4000/d")
    alone, together = Gate(mines, settings), Gate(mines, settings)
    expected = [not alone.account(topic).admit(many, size, NOON) for topic, many, size in messages]
    senders = [together.account(topic) for topic, _, _ in messages]
    assert beyond(senders, [many for _, many, _ in messages], [size for _, _, size in messages], NOON) == expected


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads take turns after every few instructions."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty")
def test_two_devices_of_a_site_may_send_by_two_threads_at_once(mines: Registry) -> None:
    gate = Gate(mines, Settings(device_messages="100000/d", site_devices=0.05))
    topics = [f"greenmine/v1/kunyin/{device.id}/readings" for device in mines.site("kunyin").devices[:2]]
    with ThreadPoolExecutor(2) as threads:
        assert sum(threads.map(lambda topic: sent(gate, topic, 8_000), topics)) == 5_000


def test_all_topics_that_are_no_devices_share_one_budget(mines: Registry) -> None:
    gate = Gate(mines, Settings(device_messages="10/d"))
    assert sum(sent(gate, f"greenmine/v1/kunyin/{number}/readings", 1) for number in range(20_000)) == 10


def test_what_was_sent_before_a_restart_counts(mines: Registry) -> None:
    gate = Gate(mines, Settings(device_messages="10/d"))
    gate.restore("kunyin", "boundary-dust", 7, 7, NOON)
    assert sent(gate, NOISY, 10) == 3


@pytest.mark.parametrize("leap", [6 * 60_000, 86_400_000])
def test_a_clock_that_was_ahead_and_is_set_back_costs_no_device_its_budget(mines: Registry, leap: int) -> None:
    gate = Gate(mines, Settings(device_messages="1/s 100/d"))
    assert sent(gate, NOISY, 30, NOON + leap) == 30
    assert sent(gate, NOISY, 100, NOON) == 60
    assert sent(gate, NOISY, 100, NOON + 60_000) in {
        10,
        40,
    }  # what is left of the day, which is another after a day's leap
