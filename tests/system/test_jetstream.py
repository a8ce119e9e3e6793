"""A worker that reads from the log of JetStream, and the server of the log, are killed again and again while readings come in."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from greenmine.record import schema
from greenmine.record.record import open_engine
from greenmine.registry import Registry
from tests.nats_servers import NatsCluster
from tests.records import copy_record, record_in
from tests.system.disturbed import Traffic, disturbed_traffic
from tests.system.running import RestartableBroker, Worker, until
from tests.system.stored import Stored, assert_same

MESSAGES = 2_500
KILLS = ("worker", "server", "worker", "server and worker", "worker")
LASTING = 2.5
"""How long the messages between two kills take to send, so that they find everybody at work [s]."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a run with the log came to."""

    stored: Stored
    acknowledged: int
    last: int
    """Number of the newest message of the log."""
    place: tuple[int, int, int]
    """Partition, epoch and position, as the record has them."""
    restored: Stored
    """What becomes of a copy of the record that was made in the midst of it, once a worker has begun on it."""


def connections(worker: Worker) -> int:
    """How often it has connected, all its lives added up."""
    return sum('"connected"' in line for line in worker.lines())


@pytest.fixture(scope="module")
def some(mines: Registry) -> Traffic:
    return disturbed_traffic(mines, "yanjing", seed=20180622, days=1).part(MESSAGES)


@pytest.fixture(scope="module")
def by_mosquitto(
    brokers: type[RestartableBroker], mines: Registry, some: Traffic, tmp_path_factory: pytest.TempPathFactory
) -> Stored:
    folder: Path = tmp_path_factory.mktemp("by-mosquitto")
    with brokers(folder / "broker") as broker, Worker(folder, broker.port) as worker:
        worker.await_connection()
        broker.publish(some.messages)
        worker.await_all(lambda: worker.count("received"), some.received)
    return Stored(record_in(folder), mines)


@pytest.fixture(scope="module")
def killed(mines: Registry, some: Traffic, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder: Path = tmp_path_factory.mktemp("by-jetstream")
    rng = np.random.default_rng(5)
    with (
        NatsCluster(folder / "log", mines) as log,
        Worker(folder, log.port, batch_readings=200, **log.settings()) as worker,
        ThreadPoolExecutor() as pool,
    ):
        worker.await_connection()
        parts = [part.tolist() for part in np.array_split(np.arange(MESSAGES), len(KILLS) + 1)]
        acknowledged = busy = 0
        for part, victims, pause in zip(parts, KILLS, rng.uniform(0.0, 0.2, len(KILLS)), strict=False):
            before = worker.count("messages")
            share = [some.messages[number] for number in part]
            lasting = (share[-1].time_sent - share[0].time_sent) / 1000 / LASTING
            sending = pool.submit(log.send, share, speed=lasting)
            until(lambda before=before: worker.count("messages") > before, "the worker to commit something new")
            time.sleep(pause)
            busy += not sending.done()
            if "worker" in victims:
                worker.kill()
                if not (folder / "older").exists():
                    copy_record(folder, folder / "older")
                    (folder / "older").mkdir(exist_ok=True)
            if "server" in victims:
                log.kill()
                log.start()
            acknowledged += sending.result()
            if "worker" in victims:
                known = connections(worker)
                worker.start()
                until(lambda known=known: connections(worker) > known, "the worker to come back")
        acknowledged += log.send([some.messages[number] for number in parts[-1]])
        last = log.settled()
        worker.await_all(lambda: worker.count("messages"), last)
        worker.stop()
        with Worker(folder / "older", log.port, **log.settings()) as later:
            assert 0 < later.count("messages") < last
            later.await_all(lambda: later.count("messages"), last)
            later.stop()
    assert busy >= 3, "too few kills found anybody at work"
    engine = open_engine(record_in(folder), read_only=True)
    with engine.connect() as connection:
        of = schema.log_position.c
        place = connection.execute(sa.select(of.partition, of.epoch, of.position)).one()
    engine.dispose()
    return Run(
        Stored(record_in(folder), mines), acknowledged, last, tuple(place), Stored(record_in(folder / "older"), mines)
    )


def test_each_acknowledged_reading_is_stored_once(killed: Run, some: Traffic) -> None:
    assert killed.acknowledged == MESSAGES <= killed.last
    counts = Counter(killed.stored.instants())
    assert set(counts.values()) == {1}
    assert counts.keys() | killed.stored.late == some.instants


def test_each_message_of_the_log_is_taken_in_once(killed: Run) -> None:
    assert killed.stored.ledger["messages"] == killed.last


def test_the_record_knows_its_place_in_the_log_and_counts_its_readers(killed: Run) -> None:
    starts = 1 + sum("worker" in victims for victims in KILLS)
    assert killed.place == (0, starts + 1, killed.last), "whoever ends in order gives it up"


@pytest.mark.parametrize("what", ["statistics", "verdicts", "sliding", "exceedances"])
def test_figures_are_those_of_an_undisturbed_run_by_mosquitto(what: str, killed: Run, by_mosquitto: Stored) -> None:
    assert by_mosquitto.statistics
    assert by_mosquitto.verdicts
    assert_same(getattr(killed.stored, what), getattr(by_mosquitto, what))
    assert_same(getattr(killed.restored, what), getattr(by_mosquitto, what))


def test_an_older_copy_of_the_record_becomes_whole_from_the_log(killed: Run) -> None:
    assert sorted(killed.restored.instants()) == sorted(killed.stored.instants())
    ledgers = [
        run.ledger | {"reordered": 0} for run in (killed.restored, killed.stored)
    ]  # that depends on how batches fall
    assert ledgers[0] == ledgers[1]


def test_a_worker_that_stood_still_while_another_took_over_commits_nothing_and_stands_by(
    mines: Registry, some: Traffic, tmp_path: Path
) -> None:
    first, second, third, fourth = (some.messages[start : start + 40] for start in (0, 40, 80, 120))
    with (
        NatsCluster(tmp_path / "log", mines) as log,
        Worker(tmp_path, log.port, **log.settings()) as former,
    ):
        former.await_connection()
        log.send(first)
        former.await_all(lambda: former.count("messages"), 40)
        former.pause()
        with Worker(tmp_path, log.port, **log.settings()) as current:
            current.await_connection(2)
            log.send(second)
            current.await_all(lambda: current.count("messages"), 80)
            former.proceed()
            log.send(third)
            until(lambda: "gives up what another worker has" in former.log.read_text(), "the former worker to notice")
            current.await_all(lambda: current.count("messages"), 120)
            current.kill()
            log.send(fourth)
            former.await_all(lambda: former.count("messages"), 160)
            assert former.count("messages") == 160
    counts = Counter(Stored(record_in(tmp_path), mines).instants())
    assert set(counts.values()) == {1}
