"""One device floods real Mosquitto: no other loses a reading, and the record grows by no more than its budget."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.flood import collecting, flooded
from tests.system.running import RestartableBroker

BUDGETS = {
    "device_messages": "10/s",
    "device_readings": "5000/d",
    "device_rejections": "200/d",
    "device_rejected_bytes": "500000/d",
}
GROWTH = 6_000_000
"""Readings, rejections and the journal of the database [bytes]."""


@pytest.mark.parametrize(("kind", "qos"), [("rubbish", 1), ("late columns", 1), ("100,000 topics", 0)])
def test_one_device_floods_and_no_other_loses_a_reading(
    brokers: type[RestartableBroker],  # noqa: ARG001 - the need for Mosquitto
    tmp_path: Path,
    kind: str,
    qos: int,
) -> None:
    with collecting(tmp_path, **BUDGETS) as (broker, settings):
        found = flooded(broker, settings, kind, qos, 0.4)  # less than the queue of Mosquitto holds: beyond, it drops
    assert found.sent > 1_000
    assert found.acknowledged == found.stored > 0
    assert found.ledger["rejected"] > 0
    assert found.growth < GROWTH
    assert found.ledger["rows"] < 110
