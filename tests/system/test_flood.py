"""One device floods real Mosquitto: no other loses a reading, and the record grows by no more than its budget."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.flood import collecting, flooded
from greenmine.collector.mqtt.broker import Broker
from greenmine.settings import Settings
from tests.system.running import RestartableBroker

BUDGETS = {
    "device_messages": "10/s",
    "device_readings": "5000/d",
    "device_rejections": "200/d",
    "device_rejected_bytes": "500000/d",
}
GROWTH = 6_000_000
"""Readings, rejections and what is told of both [bytes]."""


@pytest.fixture(scope="module")
def collector(
    brokers: type[RestartableBroker],  # noqa: ARG001 - the need for Mosquitto
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Broker, Settings]]:
    with collecting(tmp_path_factory.mktemp("collector"), **BUDGETS) as running:
        yield running


@pytest.mark.parametrize(("kind", "qos"), [("rubbish", 1), ("late columns", 1), ("100,000 topics", 0)])
def test_one_device_floods_and_no_other_loses_a_reading(
    collector: tuple[Broker, Settings], kind: str, qos: int
) -> None:
    found = flooded(*collector, kind, qos, 1.5)
    assert 0 < found.ledger["messages"] < found.sent, "nothing was held back"
    assert found.acknowledged == found.stored > 0
    assert found.ledger["rejected"] > 0
    assert found.growth < GROWTH
    assert found.ledger["rows"] < 110
