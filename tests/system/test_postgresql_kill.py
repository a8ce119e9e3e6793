"""The server of the record is killed under load: the worker goes on when it or its standby is there, nothing is lost or twice."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from greenmine.registry import Registry
from tests.records import PostgresPair, need_postgresql
from tests.system.disturbed import DAY, Traffic
from tests.system.running import RestartableBroker, Worker
from tests.system.stored import Stored, assert_same

KILLS = 5
"""Of the first server, which is started again, before the one after which the standby takes its place."""
LASTING = 12.0
"""How long the three days take to send meanwhile [s]."""


@pytest.fixture(scope="module")
def pair() -> Iterator[PostgresPair]:
    need_postgresql()
    with PostgresPair() as servers:
        yield servers


@pytest.fixture(scope="module")
def server_killed(
    brokers: type[RestartableBroker],
    pair: PostgresPair,
    mines: Registry,
    traffic: Traffic,
    tmp_path_factory: pytest.TempPathFactory,
) -> Stored:
    """The record after a replay during which its server was killed, in the end for good."""
    folder, place = tmp_path_factory.mktemp("server-killed"), pair.database("record")
    moments = np.random.default_rng(4).uniform(0.5, 1.5, KILLS)
    with (
        brokers(folder / "broker") as broker,
        Worker(folder, broker.port, record=place.address) as worker,
        ThreadPoolExecutor() as pool,
    ):
        worker.await_connection()
        publication = pool.submit(broker.publish, traffic.messages, speed=3 * DAY / 1000 / LASTING)
        for moment in moments:
            time.sleep(moment)
            pair.primary.kill()
            time.sleep(0.2)
            pair.primary.start()
        time.sleep(0.5)
        behind = worker.accounted() < len(traffic.instants)
        pair.fail_over()
        assert publication.result().messages == len(traffic.messages)
        worker.await_all(worker.accounted, len(traffic.instants))
        worker.stop()
        said = worker.lines()
    assert behind, "nothing was under way any more when the standby took over"
    assert any("the record" in line and "cannot be written or read" in line for line in said), "no kill was noticed"
    assert sum('"connected"' in line for line in said) >= 1
    return Stored(place, mines)


def test_nothing_is_lost_and_nothing_is_twice_when_the_server_is_killed(
    server_killed: Stored, traffic: Traffic, undisturbed: Stored
) -> None:
    counts = Counter(server_killed.instants())
    assert set(counts.values()) == {1}
    assert counts.keys() | server_killed.late == traffic.instants
    assert server_killed.late == undisturbed.late
    for what in ("messages", "received", "stored", "rejected"):
        assert server_killed.ledger[what] == undisturbed.ledger[what], f"{what}: something was taken in twice"


@pytest.mark.parametrize("what", ["statistics", "verdicts", "sliding", "exceedances"])
def test_figures_are_those_of_a_file_that_nothing_happened_to(
    what: str, server_killed: Stored, undisturbed: Stored
) -> None:
    assert getattr(undisturbed, what)
    assert_same(getattr(server_killed, what), getattr(undisturbed, what))
