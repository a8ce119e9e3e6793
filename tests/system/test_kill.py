"""The worker, Mosquitto with the configuration that ships, or any part is killed again and again while readings come in."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from greenmine.cli.run import prepare
from greenmine.registry import Registry
from greenmine.settings import Settings
from tests.records import record_in, record_setting
from tests.system.disturbed import DAY, Traffic
from tests.system.running import Process, RestartableBroker, Worker, until
from tests.system.stored import Stored, assert_same

KILLS = 20
"""Of the worker."""
KEEP = 3.0
"""See docs/decisions/0002-broker-persistence.md [s]."""
STALLS = (0.0, 0.5, 1.0, 1.5, 2.5)
"""How long the collector stands still before each kill of the broker, so that acknowledged messages wait there [s]."""
CHAOS = ("worker", "broker", "worker and broker", "archivist", "builder", "web", "notifier")
"""What is killed twice each, in an order drawn from a seed; with the worker the broker, while nobody collects."""
LASTING = 20.0
"""How long the three days take to send meanwhile [s]."""


@pytest.fixture(scope="module")
def killed(
    brokers: type[RestartableBroker],
    mines: Registry,
    traffic: Traffic,
    tmp_path_factory: pytest.TempPathFactory,
) -> Stored:
    """The record after a replay during which the worker was killed at random moments."""
    folder: Path = tmp_path_factory.mktemp("killed")
    pauses = np.random.default_rng(9).uniform(0.0, 0.15, KILLS)
    interrupted = 0
    parts = np.array_split(np.arange(len(traffic.messages)), KILLS + 1)
    with (
        brokers(folder / "broker") as broker,
        Worker(folder, broker.port, checkpoint_seconds=1) as worker,
    ):
        worker.await_connection()
        for part, pause in zip(parts[:-1], pauses, strict=True):
            before = worker.count("messages")
            sender = threading.Thread(target=broker.publish, args=([traffic.messages[i] for i in part],))
            sender.start()
            until(lambda before=before: worker.count("messages") > before, "the worker to commit something new")
            time.sleep(pause)
            worker.kill()
            sender.join()
            interrupted += worker.count("received") < traffic.part(int(part[-1]) + 1).received
            worker.start()
        broker.publish([traffic.messages[i] for i in parts[-1]])
        worker.await_all(worker.accounted, len(traffic.instants))
        worker.stop()
    assert interrupted >= KILLS // 2, "too few kills found the worker at work"
    assert (folder / "rings.checkpoint").stat().st_size > 50_000, "no start was from a checkpoint"
    return Stored(record_in(folder), mines)


@pytest.fixture(scope="module")
def broker_killed(
    brokers: type[RestartableBroker],
    mines: Registry,
    traffic: Traffic,
    tmp_path_factory: pytest.TempPathFactory,
) -> Stored:
    """The record after a replay during which the broker was killed."""
    folder: Path = tmp_path_factory.mktemp("broker-killed")
    moments = np.random.default_rng(2).uniform(0.5, 1.5, len(STALLS))
    with (
        brokers(folder / "broker") as broker,
        Worker(folder, broker.port) as worker,
        ThreadPoolExecutor() as pool,
    ):
        worker.await_connection()
        time.sleep(KEEP)  # by then the new session is saved
        publication = pool.submit(broker.publish, traffic.messages, keep=KEEP, speed=3 * DAY / 1000 / LASTING)
        for moment, stall in zip(moments, STALLS, strict=True):
            time.sleep(moment)
            worker.pause()
            time.sleep(stall)
            broker.kill()
            broker.start()
            worker.proceed()
        assert not publication.done()
        worker.await_all(worker.accounted, len(traffic.instants))
        published = publication.result()
        assert (published.messages, published.reconnects) == (len(traffic.messages), len(STALLS))
        worker.stop()
        assert worker.count("received") > traffic.received, "nothing was sent again"
    return Stored(record_in(folder), mines)


@pytest.fixture(scope="module")
def all_killed(
    brokers: type[RestartableBroker],
    mines: Registry,
    traffic: Traffic,
    tmp_path_factory: pytest.TempPathFactory,
) -> Stored:
    """The record after a replay during which every part was killed."""
    folder: Path = tmp_path_factory.mktemp("all-killed")
    rng = np.random.default_rng(14)
    victims = rng.permutation(CHAOS * 2).tolist()
    pauses = rng.uniform(0.3, 1.2, len(victims))
    prepare(Settings(data=folder, **record_setting(folder)))
    with (
        brokers(folder / "broker") as broker,
        Worker(folder, broker.port, checkpoint_seconds=1) as worker,
        Process("archivist", folder, broker.port) as archivist,
        Process("builder", folder, broker.port) as builder,
        Process("web", folder, broker.port, port=0) as web,
        Process("notifier", folder, broker.port) as notifier,
        ThreadPoolExecutor() as pool,
    ):
        parts: dict[str, tuple[Process | RestartableBroker, ...]] = {
            "worker": (worker,), "broker": (broker,), "worker and broker": (worker, broker), "archivist": (archivist,),
            "builder": (builder,), "web": (web,), "notifier": (notifier,),
        }  # fmt: skip
        worker.await_connection()
        time.sleep(KEEP)  # by then the new session is saved
        publication = pool.submit(broker.publish, traffic.messages, keep=KEEP, speed=3 * DAY / 1000 / LASTING)
        for victim, pause in zip(victims, pauses, strict=True):
            time.sleep(pause)
            for part in parts[victim]:
                part.kill()
            for part in reversed(parts[victim]):
                part.start()
        worker.await_all(worker.accounted, len(traffic.instants))
        published = publication.result()
        assert published.messages == len(traffic.messages)
        assert published.reconnects >= 2
        assert all(part.alive() for part in (archivist, builder, web, notifier)), "one ended by itself"
        worker.stop()
    return Stored(record_in(folder), mines)


def test_the_traffic_is_as_bad_as_it_should_be(undisturbed: Stored, traffic: Traffic) -> None:
    assert 60_000 <= len(traffic.instants) < traffic.received
    assert undisturbed.ledger["duplicate"] > 2000
    assert undisturbed.ledger["reordered"] > 2000
    assert undisturbed.ledger["late"] > 100
    assert undisturbed.exceedances
    assert {row[0] for row in undisturbed.verdicts}


@pytest.mark.parametrize("run", ["killed", "broker_killed", "all_killed"])
def test_nothing_is_lost_and_nothing_is_twice(
    run: str, request: pytest.FixtureRequest, traffic: Traffic, undisturbed: Stored
) -> None:
    stored: Stored = request.getfixturevalue(run)
    counts = Counter(stored.instants())
    assert set(counts.values()) == {1}
    assert counts.keys() | stored.late == traffic.instants
    assert not counts.keys() & stored.late
    assert stored.late == undisturbed.late


@pytest.mark.parametrize("run", ["undisturbed", "killed", "broker_killed", "all_killed"])
def test_the_ledger_adds_up(run: str, request: pytest.FixtureRequest, traffic: Traffic) -> None:
    stored: Stored = request.getfixturevalue(run)
    assert stored.ledger["stored"] == len(stored.instants()) == len(traffic.instants) - len(stored.late)
    assert stored.ledger["received"] >= traffic.received
    assert stored.ledger["rejected"] == stored.rejected
    assert stored.ledger_rows
    assert all(received == sum(parts) for received, *parts in stored.ledger_rows)


@pytest.mark.parametrize("run", ["killed", "broker_killed", "all_killed"])
@pytest.mark.parametrize("what", ["statistics", "verdicts", "sliding", "exceedances"])
def test_figures_are_those_of_an_undisturbed_run(
    run: str, what: str, request: pytest.FixtureRequest, undisturbed: Stored
) -> None:
    assert getattr(undisturbed, what)
    assert_same(getattr(request.getfixturevalue(run), what), getattr(undisturbed, what))
