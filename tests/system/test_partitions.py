"""Workers that share partitions: one joins, one stands still, one is killed; what is in the record is what one process leaves."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pytest
import sqlalchemy as sa

from greenmine.places import Place
from greenmine.record import schema
from greenmine.record.record import Engine, migrate, open_engine
from greenmine.registry import Registry
from greenmine.simulators.messages import Message
from greenmine.simulators.mine import stream
from tests.nats_servers import NatsCluster
from tests.record.test_shared_record import run
from tests.records import record_in
from tests.system.disturbed import HOUR, START, traffic_of
from tests.system.running import Worker, until
from tests.system.stored import Stored, assert_same

PARTITIONS = 4
EVENTS = 5
"""Parts in which messages are sent."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What a run with several workers came to."""

    stored: Stored
    alone: Stored
    instants: set[tuple[str, int]]
    acknowledged: int
    last: int
    names: list[str]
    """Under which workers have told of themselves."""


@pytest.fixture(scope="module")
def messages(mines: Registry) -> list[Message]:
    sent = stream(mines, [site.id for site in mines.sites], 5, START, START + 2 * HOUR)
    return sorted(sent, key=lambda message: message.time_sent)


def owners(engine: Engine) -> dict[int, str]:
    """Who has each partition."""
    p = schema.log_position.c
    with engine.connect() as connection:
        return {row.partition: row.owner for row in connection.execute(sa.select(p).where(p.owner != ""))}


def pause(worker: Worker, place: Place) -> None:
    """Let a worker stand still, but not in the midst of a commit of SQLite, which nobody else can do anything about."""
    while True:
        worker.pause()
        if not isinstance(place, Path):
            return
        with closing(sqlite3.connect(place, timeout=0.5)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                worker.proceed()
            else:
                return


@pytest.fixture(scope="module")
def shared(mines: Registry, messages: list[Message], tmp_path_factory: pytest.TempPathFactory) -> Shared:
    folder: Path = tmp_path_factory.mktemp("shared")
    alone: Path = tmp_path_factory.mktemp("alone")
    run(alone, mines, messages, 1)
    parts = ([messages[number] for number in part] for part in np.array_split(np.arange(len(messages)), EVENTS))
    with NatsCluster(folder / "log", mines) as log:
        given = {"partitions": PARTITIONS, "batch_readings": 500, **log.settings()}
        with Worker(folder, log.port, **given) as first, Worker(folder, log.port, **given) as second:
            migrate(engine := open_engine(first.record))

            def each(many: Callable[[Counter[str]], bool], what: str) -> None:
                until(lambda: many(Counter(owners(engine).values())), what)

            acknowledged = 0
            each(lambda has: sorted(has.values()) == [2, 2], "two workers to share four partitions")
            acknowledged += log.send(next(parts))
            nobody = (f"greenmine/v1/nowhere/{number}/readings" for number in range(3))
            log.send([msgspec.structs.replace(messages[-1], topic=topic) for topic in nobody])
            pause(first, first.record)
            acknowledged += log.send(next(parts))
            each(lambda has: list(has.values()) == [4], "the other one to take over")
            acknowledged += log.send(next(parts))
            first.proceed()
            each(lambda has: sorted(has.values()) == [2, 2], "both to have their share again")
            with Worker(folder, log.port, **given) as third:
                each(lambda has: sorted(has.values()) == [1, 1, 2], "the third one to have its share")
                acknowledged += log.send(next(parts))
                second.kill()
                acknowledged += log.send(next(parts))
                last = log.settled()
                third.await_all(lambda: third.count("messages"), last)
                with engine.connect() as connection:
                    names = list(connection.scalars(sa.select(schema.worker.c.name)))
                third.stop()
                first.stop()
            engine.dispose()
    held = traffic_of(mines, messages).instants
    return Shared(Stored(record_in(folder), mines), Stored(record_in(alone), mines), held, acknowledged, last, names)


def test_nothing_acknowledged_is_lost_and_nothing_is_twice_whoever_has_a_partition(
    shared: Shared, messages: list[Message]
) -> None:
    assert shared.acknowledged == len(messages) <= shared.last
    counts = Counter(shared.stored.instants())
    assert set(counts.values()) == {1}
    assert counts.keys() | shared.stored.late == shared.instants
    assert shared.stored.ledger["messages"] == shared.last  # of which three are of no mine


@pytest.mark.parametrize("what", ["statistics", "verdicts", "sliding", "exceedances"])
def test_figures_are_those_of_one_process(what: str, shared: Shared) -> None:
    assert_same(getattr(shared.stored, what), getattr(shared.alone, what))


def test_each_worker_tells_of_itself(shared: Shared) -> None:
    assert set(shared.names) <= {f"worker-{number}" for number in range(PARTITIONS)}
    assert len(shared.names) >= 2
