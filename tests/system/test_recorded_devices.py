"""Messages recorded from devices that can be bought become readings, through a real broker and the real worker."""

from __future__ import annotations

import base64
import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from greenmine.loading import load_registry
from greenmine.simulators.messages import Message
from tests.records import record_in
from tests.system.recorded_devices import CASES, Case, write_registry
from tests.system.running import RestartableBroker, Worker, until
from tests.system.stored import Stored

RECORDED = Path(__file__).parents[2] / "../shared/data/mqtt"

Row = tuple[int, float | None, str]


class Outcome(NamedTuple):
    """What became of all messages."""

    begun: int
    """Before the first was published [ms UTC]."""
    ended: int
    """After the last was stored [ms UTC]."""
    rows: Callable[[str], list[Row]]
    """Time, value and flag of the readings of a station and parameter, such as ``plain-number/pm10``."""
    rejected: list[tuple[str, str, int, str]]
    """Device, reason, readings, topic."""
    stored: int
    """Readings stored."""


def recorded(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


def uplink(application_bytes: bytes) -> bytes:
    """The bytes of a LoRaWAN device as ChirpStack v4 passes them on."""
    data = base64.b64encode(application_bytes).decode()
    return json.dumps({"time": "2026-11-22T02:00:00+00:00", "fPort": 85, "data": data}).encode()


def payload(case: dict[str, Any]) -> bytes:
    if case["payload_encoding"] == "hex":
        return uplink(bytes.fromhex(case["payload"]))
    return str(case["payload"]).encode()


SILENT = ("tasmota-lwt", "tasmota-state")
"""Messages that are no measurement."""
SEVERAL = ("timestamp-keyed-batch", "smartcitizen-readings")
STORED = sum(len(case.found) for case in CASES) + 7 + 2 + 4 + 2 + 1
"""Readings sent: one for each value of each case; SenML 7; ThingsBoard flat 2; time-keyed 4; Smart Citizen 2; bytes 1."""
CANARY = Message(0, "airgradient/readings/canary", b"{}")
"""Rejected, and so seen, as soon as the worker has subscribed."""


@pytest.fixture(scope="module")
def outcome(brokers: type[RestartableBroker], tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    if not RECORDED.is_dir():
        pytest.skip("the recorded messages are not here")
    folder = tmp_path_factory.mktemp("recorded")
    path = write_registry(folder / "registry")
    registry = load_registry(path)
    sounds = bytes.fromhex(recorded("milesight-ws302-sound-level")["payload"])
    messages = [(recorded(case.id)["topic"], payload(recorded(case.id))) for case in CASES]
    messages += [(recorded(name)["topic"], payload(recorded(name))) for name in (*SEVERAL, *SILENT)]
    messages += [
        ("elsewhere/senml", payload(recorded("senml-rfc8428-multiple"))),
        ("v1/devices/me/telemetry", payload(recorded("thingsboard-flat"))),
        ("tele/no-zone/SENSOR", payload(recorded("tasmota-sds0x1-bme280"))),
        ("raw/24e124743c000001", sounds),
        ("application/1/device/24e124743c000001/event/up", uplink(sounds[:3])),
        ("application/1/device/24e124743c000001/event/join", b"{}"),
        ("dust-node/status", b"offline"),
        ("dust-node/sensor/wifi_signal/state", b"-61"),
        ("airgradient/readings/stranger", payload(recorded("airgradient-open-air"))),
        *(
            (part["topic"], json.dumps(part["metrics"]).encode())
            for part in recorded("sparkplug-birth-then-data")["sequence"]
        ),
    ]
    begun = time.time_ns() // 1_000_000
    with brokers(folder / "broker") as broker, Worker(folder, broker.port, registry=path) as worker:
        until(lambda: broker.publish([CANARY]) and worker.count("received"), "the subscriptions")
        broker.publish([Message(begun, topic, content) for topic, content in messages])
        worker.await_all(lambda: worker.count("stored"), STORED)
        worker.stop()  # it takes first what is under way
    stored = Stored(record_in(folder), registry)

    def rows(key: str) -> list[Row]:
        block = stored.blocks.get(f"pit/{key}", np.empty(0))
        return [(int(row["time"]), float(row["value"]), chr(row["flag"])) for row in block]

    with closing(sqlite3.connect(record_in(folder))) as connection:
        rejected = connection.execute("select device, reason, readings, topic from rejection").fetchall()
    others = [row for row in rejected if row[3] != CANARY.topic]
    return Outcome(begun, time.time_ns() // 1_000_000, rows, others, stored.ledger["stored"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_message_becomes_the_readings_that_its_case_expects(outcome: Outcome, case: Case) -> None:
    expected = case.expected or recorded(case.id)["expected"]
    for name, (parameter, factor) in case.found.items():
        # ThingsBoard's second message, without a time, comes later on the same channels.
        instant, value, flag = outcome.rows(f"{case.id}/{parameter}")[0]
        assert value == pytest.approx(factor * expected[name], rel=1e-12)
        assert flag == "N"
        first, last = (outcome.begun, outcome.ended) if case.time is None else (case.time, case.time)
        assert first <= instant <= last


def test_every_recorded_format_is_looked_at() -> None:
    if not RECORDED.is_dir():
        pytest.skip("the recorded messages are not here")
    others = {*SEVERAL, *SILENT, "senml-rfc8428-multiple", "thingsboard-flat", "sparkplug-birth-then-data"}
    assert {path.stem for path in RECORDED.glob("*.json")} == {case.id for case in CASES} | others


def test_a_batch_whose_names_are_times(outcome: Outcome) -> None:
    assert outcome.rows("timestamp-keyed-batch/air-temperature") == [
        (1611082554000, 21.42, "N"),
        (1611082568000, 42.84, "N"),
    ]
    assert [value for _, value, _ in outcome.rows("timestamp-keyed-batch/humidity")] == [41.55, 83.1]


def test_samples_with_their_own_times(outcome: Outcome) -> None:
    assert outcome.rows("smartcitizen-readings/air-temperature") == [
        (1465381800000, 21.0, "N"),
        (1465382100000, 22.0, "N"),
    ]


def test_senml_on_a_topic_of_its_own(outcome: Outcome) -> None:
    expected = recorded("senml-rfc8428-multiple")["expected"]["records"]
    currents = [(round(1000 * r["t"]), r["v"], "N") for r in expected if r["u"] == "A"]
    assert outcome.rows("senml-rfc8428-multiple/current") == currents
    assert outcome.rows("senml-rfc8428-multiple/voltage") == [(1276020076001, 120.1, "N")]


def test_a_flat_message_takes_the_time_of_receipt(outcome: Outcome) -> None:
    _, (instant, value, _) = outcome.rows("thingsboard-ts-values/air-temperature")
    assert outcome.begun <= instant <= outcome.ended
    assert value == 42


def test_the_application_bytes_may_come_bare(outcome: Outcome) -> None:
    ((_, value, _),) = outcome.rows("ws302-bytes/laeq")
    assert value == pytest.approx(47.4)


def test_what_cannot_be_known_is_rejected_and_says_so_and_nothing_else_is(outcome: Outcome) -> None:
    assert sorted(outcome.rejected) == [
        ("", "unknown-device", 1, "airgradient/readings/stranger"),
        ("no-zone", "no-zone", 5, "tele/no-zone/SENSOR"),
    ]


def test_metadata_and_what_no_profile_names_is_neither_stored_nor_rejected(outcome: Outcome) -> None:
    assert outcome.stored == STORED
