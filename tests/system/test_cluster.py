"""Three real nats-servers that keep each message, all by TLS: leaders of streams, any server and the worker are killed under load.

``GREENMINE_CLUSTER_SEEDS=20`` is the long mode: so many orders of what is killed, in place of one.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from greenmine.collector.jetstream.connection import SOURCE, STREAM
from greenmine.record import schema
from greenmine.record.record import open_engine
from greenmine.registry import Registry
from tests.nats_servers import NatsCluster
from tests.records import record_in
from tests.system.disturbed import Traffic, disturbed_traffic
from tests.system.running import Worker, until
from tests.system.stored import Stored

MESSAGES = 1_500
VICTIMS = ("leader of the source", "leader of the log", "worker", "server of the devices")
LASTING = 3.0
"""How long the messages between two kills take to send [s]."""


@pytest.fixture(scope="module")
def some(mines: Registry) -> Traffic:
    return disturbed_traffic(mines, "yanjing", seed=20260101, days=1).part(MESSAGES)


@pytest.mark.parametrize("seed", range(int(os.environ.get("GREENMINE_CLUSTER_SEEDS", "1"))))
def test_nothing_acknowledged_is_lost_and_nothing_is_twice_whatever_of_a_cluster_is_killed(
    seed: int, mines: Registry, some: Traffic, tmp_path: Path
) -> None:
    victims = np.random.default_rng(seed).permutation(VICTIMS).tolist()
    parts = [part.tolist() for part in np.array_split(np.arange(MESSAGES), len(victims) + 1)]
    with (
        NatsCluster(tmp_path / "log", mines, nodes=3, tls=True) as log,
        Worker(tmp_path, log.port, batch_readings=200, **log.settings()) as worker,
        ThreadPoolExecutor() as pool,
    ):
        worker.await_connection()
        acknowledged = 0
        for part, victim in zip(parts, victims, strict=False):
            share = [some.messages[number] for number in part]
            before = worker.count("messages")
            lasting = (share[-1].time_sent - share[0].time_sent) / 1000 / LASTING
            sending = pool.submit(log.send, share, speed=lasting)
            until(lambda before=before: worker.count("messages") > before, "the worker to commit something new")
            if victim == "worker":
                worker.kill()
                worker.start()
            else:
                name = (
                    log.nodes[0].name
                    if victim == "server of the devices"
                    else log.leader(SOURCE if "source" in victim else STREAM)
                )
                log.kill(name)
                time.sleep(1.0)
                log.start(name)
            acknowledged += sending.result()
        acknowledged += log.send([some.messages[number] for number in parts[-1]])
        last = log.settled()
        worker.await_all(lambda: worker.count("messages"), last)
        worker.stop()
    assert acknowledged == MESSAGES <= last
    stored = Stored(record_in(tmp_path), mines)
    counts = Counter(stored.instants())
    assert set(counts.values()) == {1}
    assert counts.keys() | stored.late == some.instants
    assert stored.ledger["messages"] == last
    engine = open_engine(record_in(tmp_path), read_only=True)
    with engine.connect() as connection:
        of = schema.log_position.c
        assert connection.execute(sa.select(of.partition, of.position)).all() == [(0, last)]
    engine.dispose()
