"""All cases of messages through a real broker and worker: what is found in them is stored, repeated, rejected or late."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from typing import Any, NamedTuple

import numpy as np
import pytest

from greenmine.simulators.messages import Message
from tests.message_cases import CASES, MessageCase, write_cases
from tests.records import record_in
from tests.system.running import RestartableBroker, Worker, until
from tests.system.stored import Stored

CANARY = Message(0, "gateway/flat", b"{}")
"""Rejected, and so seen, as soon as the worker has subscribed."""


class Sent(NamedTuple):
    """What became of all messages together."""

    stored: Stored
    first: int
    last: int
    rejected: list[tuple[str, str, int, str, str]]
    """Device, reason, readings, topic, detail."""
    conflicts: int
    deviations: dict[str, Any]


@pytest.fixture(scope="module")
def sent(brokers: type[RestartableBroker], tmp_path_factory: pytest.TempPathFactory) -> Sent:
    folder = tmp_path_factory.mktemp("messages")
    registry = write_cases(folder / "registry")
    first = time.time_ns() // 1_000_000
    with (
        brokers(folder / "broker") as broker,
        Worker(folder, broker.port, registry=folder / "registry") as worker,
    ):
        until(lambda: broker.publish([CANARY]) and worker.count("received"), "the subscriptions")
        begun = worker.count("received")
        broker.publish([Message(first, case.topic, case.payload) for case in CASES])
        worker.await_all(lambda: worker.count("received") - begun, sum(case.found for case in CASES))
        until(lambda: len(said(worker).get("deviations", {})) > 0, "the worker's word on itself")
        deviations = said(worker)["deviations"]
        worker.stop()
    with closing(sqlite3.connect(record_in(folder))) as connection:
        rows = connection.execute("select device, reason, readings, topic, detail from rejection").fetchall()
    stored = Stored(record_in(folder), registry)
    rejected = [row for row in rows if not (row[3] == CANARY.topic and row[1] == "empty")]
    return Sent(stored, first, time.time_ns() // 1_000_000, rejected, stored.ledger["conflict"], deviations)


def said(worker: Worker) -> dict[str, Any]:
    with closing(sqlite3.connect(f"file:{worker.record}?mode=ro", uri=True)) as connection:
        row = connection.execute("select status from worker").fetchone()
    return json.loads(row[0]) if row else {}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_message_is_stored_as_its_case_says(sent: Sent, case: MessageCase) -> None:
    keys = {reading.key for reading in case.readings}
    rows = [
        (key, int(row["time"]), float(row["value"]), chr(row["flag"]))
        for key in keys
        for row in sent.stored.blocks.get(f"pit/{key}", np.empty(0))
    ]
    for expected in case.readings:
        assert any(row[0] == expected.key and expected.is_met_by(*row[1:], sent.first, sent.last) for row in rows), rows
    assert len(rows) == len(case.readings)
    mine = [row for row in sent.rejected if row[3] == case.topic]
    assert sorted(row[:3] for row in mine) == case.rejected
    assert all(case.says in row[4] for row in mine)


def test_all_values_found_are_accounted_for(sent: Sent) -> None:
    ledger = sent.stored.ledger
    assert ledger["stored"] == sum(len(case.readings) for case in CASES)
    assert ledger["duplicate"] == sum(case.repeated for case in CASES)
    assert all(received == sum(parts) for received, *parts in sent.stored.ledger_rows)


def test_another_value_for_an_instant_is_a_conflict(sent: Sent) -> None:
    assert sent.conflicts == 1


def test_what_was_tolerated_is_counted(sent: Sent) -> None:
    assert sent.deviations == {name: 1 for case in CASES for name in case.deviations}
