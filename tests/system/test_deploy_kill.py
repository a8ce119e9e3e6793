"""Readings go from device to record over TLS with accounts, and survive `kill -9` of the broker as configured for production."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from greenmine.registry import Registry
from greenmine.simulators.messages import topic
from greenmine.simulators.mine import stream
from greenmine.simulators.presence import presence
from greenmine.simulators.publish import publish
from tests.records import record_in
from tests.system.deployed import DeployedBroker, Installation
from tests.system.disturbed import DAY, HOUR, START, Traffic, disturbed_traffic
from tests.system.running import RestartableBroker, Worker
from tests.system.stored import Stored

DEVICE = "yanjing/boundary-dust"
KEEP = 3.0
"""See docs/decisions/0002-broker-persistence.md [s]."""
LASTING = 5.0
"""How long the day takes to send [s]."""


@pytest.fixture
def installation(brokers: type[RestartableBroker], tmp_path: Path) -> Installation:  # noqa: ARG001 - the need for Mosquitto
    return Installation(tmp_path / "installation", simulator=True)


@pytest.fixture
def broker(installation: Installation, tmp_path: Path) -> Iterator[DeployedBroker]:
    with DeployedBroker(installation, tmp_path / "state") as started:
        yield started


@pytest.fixture
def worker(installation: Installation, broker: DeployedBroker, tmp_path: Path) -> Iterator[Worker]:
    """With the settings that docker-compose.yml gives, the password from its file."""
    with Worker(
        tmp_path,
        broker.port,
        broker_host="localhost",
        broker_tls=True,
        broker_ca=installation.ca,
        broker_user="collector",
        broker_password=installation.secret("greenmine_broker_password"),
    ) as started:
        started.await_connection()
        yield started


def test_nothing_is_lost_when_the_broker_is_killed(
    installation: Installation, broker: DeployedBroker, worker: Worker, mines: Registry, tmp_path: Path
) -> None:
    password = installation.credentials().add(DEVICE)
    broker.reload()
    whole = disturbed_traffic(mines, "yanjing", seed=20170113, days=1)
    own = [place for place, message in enumerate(whole.messages) if message.topic == f"greenmine/v1/{DEVICE}/readings"]
    traffic = Traffic([whole.messages[place] for place in own], [whole.held[place] for place in own])
    assert len(traffic.instants) > 2000
    time.sleep(KEEP)  # by then the new session is saved
    access = {"user": DEVICE, "password": password, "tls": installation.tls()}
    speed = DAY / 1000 / LASTING
    with ThreadPoolExecutor() as pool:
        sending = pool.submit(publish, traffic.messages, "localhost", broker.port, speed=speed, keep=KEEP, **access)  # type: ignore[arg-type]
        for moment in (0.6, 0.3, 0.8):
            time.sleep(moment)
            worker.pause()
            time.sleep(0.5)
            broker.kill()
            broker.start()
            worker.proceed()
        assert not sending.done()
        published = sending.result()
    assert (published.messages, published.reconnects) == (len(traffic.messages), 3)
    worker.await_all(worker.accounted, len(traffic.instants))
    worker.stop()
    stored = Stored(record_in(tmp_path), mines)
    counts = Counter(stored.instants())
    assert set(counts.values()) == {1}
    assert counts.keys() | stored.late == traffic.instants


def test_the_simulator_plays_all_devices_by_its_own_door(
    installation: Installation, broker: DeployedBroker, worker: Worker, mines: Registry
) -> None:
    messages = list(stream(mines, ["yanjing", "jiuchi"], 1, START, START + HOUR, ()))
    access = {"user": "simulator", "password": installation.secret("simulator_password"), "tls": installation.tls()}
    topics = [topic(site, device.id, "status") for site in ("yanjing", "jiuchi") for device in mines.site(site).devices]
    with presence(topics, "localhost", broker.simulator_port, **access):  # type: ignore[arg-type]
        publish(messages, "localhost", broker.simulator_port, keep=0, **access)  # type: ignore[arg-type]
    worker.await_all(lambda: worker.count("messages"), len(messages))
    assert worker.count("rejected") == 0
    assert "already connected" not in broker.log.read_text()
