"""Partitions: several pipelines on one record leave what one leaves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from greenmine.collector.payloads.payload import BatchBuilder
from greenmine.entries import Neighbour, Position
from greenmine.loading import load_registry
from greenmine.partitions import partitions_of
from greenmine.record import schema
from greenmine.record.partitions import partitions_in, settle_partitions
from greenmine.record.record import Record, migrate, open_engine
from greenmine.record.writer import Pipeline
from greenmine.registry import Registry
from greenmine.settings import Settings
from greenmine.simulators.messages import Message
from greenmine.simulators.mine import stream
from tests.records import record_in
from tests.system.disturbed import HOUR, START
from tests.system.stored import Stored, assert_same


@pytest.fixture(scope="module")
def mines() -> Registry:
    return load_registry()


@pytest.fixture(scope="module")
def messages(mines: Registry) -> list[Message]:
    return list(stream(mines, [site.id for site in mines.sites], 5, START, START + 13 * HOUR))


@pytest.fixture(scope="module")
def alone(mines: Registry, messages: list[Message], tmp_path_factory: pytest.TempPathFactory) -> Stored:
    folder = tmp_path_factory.mktemp("alone")
    run(folder, mines, messages, 1)
    return Stored(record_in(folder), mines)


def run(folder: Path, mines: Registry, messages: list[Message], partitions: int) -> None:
    """Commit messages by a pipeline for each partition, in turns."""
    engine = open_engine(record_in(folder))
    migrate(engine)
    of = partitions_of(mines, partitions)
    pipelines: dict[int, tuple[Pipeline, BatchBuilder]] = {}
    for number in sorted(set(of.values())):
        part = mines.part([site for site in of if of[site] == number])
        record = Record(engine, part, partitions=[number], others=of.keys() - {site.id for site in part.sites})
        pipelines[number] = Pipeline(part, record), BatchBuilder(part, Settings())
    for start in range(0, len(messages), 1_000):
        some = messages[start : start + 1_000]
        for number, (pipeline, builder) in pipelines.items():
            for message in some:
                if of[message.topic.split("/")[2]] == number:
                    builder.add(message.topic, message.payload, message.time_sent)
            pipeline.commit(builder.finish(), some[-1].time_sent)
    engine.dispose()


@pytest.fixture(scope="module")
def shared(mines: Registry, messages: list[Message], tmp_path_factory: pytest.TempPathFactory) -> Stored:
    folder = tmp_path_factory.mktemp("shared")
    run(folder, mines, messages, 4)
    return Stored(record_in(folder), mines)


@pytest.mark.parametrize("what", ["statistics", "verdicts", "sliding", "exceedances"])
def test_pipelines_that_share_a_record_leave_the_figures_of_one(what: str, alone: Stored, shared: Stored) -> None:
    assert getattr(alone, what)
    assert_same(getattr(shared, what), getattr(alone, what))


def test_pipelines_that_share_a_record_leave_the_readings_and_the_ledger_of_one(alone: Stored, shared: Stored) -> None:
    assert sorted(shared.instants()) == sorted(alone.instants())
    assert shared.ledger == alone.ledger


def test_sites_that_share_a_weather_station_are_in_one_partition(mines: Registry) -> None:
    first, second, *_ = (site.id for site in mines.sites)
    station = Neighbour(
        site=second, station="weather", name_zh="", name_en="", position=Position(longitude=0, latitude=0), intervals={}
    )
    lent = replace(mines, neighbours={first: station})
    assert len({partitions_of(mines, 64)[site] for site in (first, second)}) == 2
    assert len({partitions_of(lent, 64)[site] for site in (first, second)}) == 1


def test_a_part_of_a_registry_measures_and_judges_what_the_whole_does_there(mines: Registry) -> None:
    site = mines.sites[-1].id
    part = mines.part([site])
    assert [c.index for c in part.channels] == list(range(len(part.channels)))
    assert [c.key for c in part.channels] == [c.key for c in mines.site_channels(site)]
    for rule, whole in zip(part.rules, mines.site_rules(site), strict=True):
        assert part.rules[rule.index] is rule
        assert part.channels[rule.channel].key == mines.channels[whole.channel].key
        assert [part.channels[c].key for c in rule.references] == [mines.channels[c].key for c in whole.references]


def test_the_number_of_partitions_is_settled_before_anything_is_in_the_record(tmp_path: Path) -> None:
    engine = open_engine(record_in(tmp_path))
    migrate(engine)
    settle_partitions(engine, 4)
    settle_partitions(engine, 4)
    with pytest.raises(ValueError, match="has 4 since it was begun"):
        settle_partitions(engine, 16)
    with engine.begin() as connection:
        assert partitions_in(connection) == 4
        connection.execute(sa.delete(schema.meta))
    engine.dispose()
