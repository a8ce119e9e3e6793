from __future__ import annotations

import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from paho.mqtt import publish

from greenmine.collector.mqtt import broker as module
from greenmine.collector.mqtt.broker import TEMPLATE, Broker, start_broker


@pytest.fixture
def others() -> set[int]:
    """Children that were there before the broker: helpers of multiprocessing, from other tests."""
    return {process.pid for process in psutil.Process().children(recursive=True)}


def children(others: set[int]) -> list[psutil.Process]:
    return [process for process in psutil.Process().children(recursive=True) if process.pid not in others]


@pytest.fixture(params=["mosquitto", "iotcore"])
def broker(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    others: set[int],  # noqa: ARG001 - to be taken before the broker starts
) -> Iterator[Broker]:
    """Each broker; iotcore as on a machine without Mosquitto."""
    found = {"mosquitto": shutil.which("mosquitto", path="/usr/bin:/usr/sbin:/usr/local/sbin"), "iotcore": None}
    if request.param == "mosquitto" and found["mosquitto"] is None:
        pytest.skip("mosquitto is not installed")
    monkeypatch.setattr(module, "_mosquitto", lambda: found[request.param])
    with start_broker(tmp_path / "with a blank") as started:
        assert started.kind == request.param
        yield started


def test_it_takes_large_messages_and_listens_on_loopback_only(broker: Broker, others: set[int]) -> None:
    publish.single("large", b"x" * 10_000_000, qos=1, hostname=broker.host, port=broker.port)
    listening = {
        connection.laddr
        for process in children(others)
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {("127.0.0.1", broker.port)}


def test_when_it_has_stopped_nothing_is_left(broker: Broker, others: set[int]) -> None:
    assert children(others)
    broker.stop()
    broker.stop()
    assert children(others) == []
    with socket.socket() as client:
        assert client.connect_ex((broker.host, broker.port)) != 0


def test_it_leaves_a_taken_port_alone(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(OSError, match=f"port {port} of 127.0.0.1 is taken"):
            start_broker(tmp_path, port)


def test_it_says_why_mosquitto_did_not_start(
    tmp_path: Path, mosquitto: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    mosquitto.stop()
    wrong = tmp_path / "wrong.conf"
    wrong.write_text(TEMPLATE.read_text() + "no_such_option true\n")
    monkeypatch.setattr(module, "TEMPLATE", wrong)
    with pytest.raises(OSError, match=r"Unknown configuration variable .no_such_option.*mosquitto\.log"):
        start_broker(tmp_path / "broker")


def test_the_configuration_has_no_other_blanks_to_fill_in() -> None:
    assert set(re.findall(r"\$(\w+)", TEMPLATE.read_text())) == {"access", "directory", "queue", "message"}
