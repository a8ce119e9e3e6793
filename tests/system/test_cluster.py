"""Three real nats-servers that keep each message, all by TLS, and PostgreSQL with a standby: any of them is killed under load.

Leaders of streams, the server that devices call, the worker and the primary are killed, and a node is cut off from the others.

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
from tests.cutting import Ways
from tests.nats_servers import NatsCluster
from tests.records import PostgresPair, need_postgresql
from tests.system.disturbed import Traffic, disturbed_traffic
from tests.system.running import Worker, until
from tests.system.stored import Stored

MESSAGES = 1_500
VICTIMS = ("leader of the source", "leader of the log", "worker", "server of the devices", "node cut off", "primary")
CUT = 8.0
"""How long a node is cut off: longer than the others wait until they choose another leader [s]."""
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
    need_postgresql()
    with (
        PostgresPair() as servers,
        Ways() as ways,
        NatsCluster(tmp_path / "log", mines, nodes=3, tls=True, ways=ways) as log,
        Worker(
            tmp_path,
            log.port,
            batch_readings=200,
            record=(place := servers.database("record")).address,
            **log.settings(),
        ) as worker,
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
            elif victim == "primary":
                servers.fail_over()
            elif victim == "node cut off":
                name = log.leader(SOURCE)
                log.cut_off(name)
                time.sleep(CUT)
                log.mend(name)
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
        stored = Stored(place, mines)
        counts = Counter(stored.instants())
        assert set(counts.values()) == {1}
        assert counts.keys() | stored.late == some.instants
        assert stored.ledger["messages"] == last
        engine = open_engine(place, read_only=True)
        with engine.connect() as connection:
            of = schema.log_position.c
            assert connection.execute(sa.select(of.partition, of.position)).all() == [(0, last)]
        engine.dispose()
