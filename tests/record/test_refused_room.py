"""What is kept of readings that were not taken: within a budget all of it, beyond it samples, and the ledger counts everything."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from greenmine.budgets import Rate
from greenmine.collector.payloads.payload import BatchBuilder
from greenmine.loading import load_registry
from greenmine.record import schema
from greenmine.record.record import Record, migrate, open_engine
from greenmine.record.refused import RefusedRoom, sent_today
from greenmine.record.writer import Pipeline
from greenmine.settings import Settings
from tests.records import record_in

NOON = 1_793_592_000_000
TOPIC = "greenmine/v1/kunyin/boundary-dust/readings"
DEVICE = ("kunyin", "boundary-dust")


class Mine:
    """A pipeline whose room has room for three rows, or a thousand bytes of payload, a device and day."""

    def __init__(self, file: Path) -> None:
        engine = open_engine(file)
        migrate(engine)
        self.registry = load_registry()
        self.record = Record(engine, self.registry)
        self.builder = BatchBuilder(self.registry, Settings())
        self.start()

    def start(self) -> None:
        room = RefusedRoom(self.registry, Rate(day=3), Rate(day=1_000), sample=10)
        self.pipeline = Pipeline(self.registry, self.record, now=NOON, room=room)

    def send(self, payload: bytes, times: int = 1, now: int = NOON, *, excess: bool = False) -> None:
        for _ in range(times):
            self.builder.add(TOPIC, payload, now, excess=excess)
        self.pipeline.commit(self.builder.finish(), now)

    def kept(self) -> list[bytes]:
        return [row["payload"] for row in self.record.rows(sa.select(schema.rejection.c.payload))]

    def counted(self, column: str) -> int:
        return sum(row[column] for row in self.record.rows(sa.select(schema.ledger)))

    def states(self) -> set[str]:
        rows = self.record.rows(sa.select(schema.health).order_by(schema.health.c.since))
        return {row["state"] for row in {r["channel"]: r for r in rows}.values()}


@pytest.fixture
def mine(tmp_path: Path) -> Mine:
    return Mine(record_in(tmp_path))


def test_rejections_within_the_budget_are_kept_whole_and_then_one_sample_a_minute(mine: Mine) -> None:
    mine.send(b"not json, but long", 50)
    assert mine.kept() == [b"not json, but long"] * 3 + [b"not json, "]
    mine.send(b"not json", 50, NOON + 59_999)
    mine.send(b"not json", 50, NOON + 60_000)
    assert len(mine.kept()) == 5
    assert mine.counted("rejected") == mine.counted("received") == 150


def test_payloads_are_kept_up_to_the_budget_of_bytes(mine: Mine) -> None:
    mine.send(b"x" * 600, 2)
    assert [len(payload) for payload in mine.kept()] == [600, 10]


def test_the_budget_lives_through_a_restart(mine: Mine) -> None:
    mine.send(b"x", 2)
    mine.start()
    mine.send(b"y", 9)
    assert mine.kept() == [b"x", b"x", b"y", b"y"]


def test_late_readings_and_conflicts_have_the_same_budget(mine: Mine) -> None:
    day = 86_400_000
    mine.send(b'{"v":1,"time":%d,"values":{"pm10":1},"flags":{}}' % NOON)
    columns = b'{"v":1,"start":%d,"step":1000,"columns":{"pm10":[1,2,3,4,5,6]},"flags":{}}'
    mine.send(columns % (NOON - 3 * day))
    assert mine.counted("late") == 6
    assert len(mine.record.rows(sa.select(schema.late))) == 4
    mine.send(b'{"v":1,"time":%d,"values":{"pm10":2},"flags":{}}' % NOON)
    assert mine.counted("conflict") == 1
    assert not mine.record.rows(sa.select(schema.conflict))
    assert mine.counted("received") == 8


def test_what_is_beyond_the_budget_is_counted_not_decoded_and_the_channels_flood_until_it_ends(mine: Mine) -> None:
    good = b'{"v":1,"time":%d,"values":{"pm10":1},"flags":{}}' % NOON
    mine.send(good)
    mine.send(good, 5, excess=True)
    (reason,) = {row["reason"] for row in mine.record.rows(sa.select(schema.rejection.c.reason))}
    assert reason == "over-budget"
    assert (mine.counted("stored"), mine.counted("rejected")) == (1, 5)
    assert "flooding" in mine.states()
    mine.pipeline.wait(NOON + 200_000)
    assert "flooding" in mine.states()
    mine.pipeline.wait(NOON + 301_000)
    assert "flooding" not in mine.states()


def test_flooding_ends_after_a_restart_too(mine: Mine) -> None:
    mine.send(b"{}", excess=True)
    mine.start()
    mine.pipeline.wait(NOON + 301_000)
    assert "flooding" not in mine.states()


def test_strangers_beyond_the_first_hundred_are_counted_together(mine: Mine) -> None:
    for number in range(1_000):
        mine.builder.add(f"greenmine/v1/kunyin/{number}/readings", b"{}", NOON)
    mine.pipeline.commit(mine.builder.finish(), NOON)
    assert len(mine.record.rows(sa.select(schema.ledger))) == 101
    assert mine.counted("rejected") == 1_000


def test_what_a_device_sent_today_is_read_from_the_ledger(mine: Mine) -> None:
    mine.send(b'{"v":1,"time":%d,"values":{"pm10":1,"tsp":2},"flags":{}}' % NOON)
    mine.send(b"x")
    assert list(sent_today(mine.record, mine.registry, NOON)) == [(*DEVICE, 2, 2)]
    assert not list(sent_today(mine.record, mine.registry, NOON + 86_400_000))


def test_a_province_of_mines_is_read_as_a_few_are(mine: Mine) -> None:
    mine.send(b"x")
    first = mine.registry.sites[0]
    many = (*mine.registry.sites, *(msgspec.structs.replace(first, id=f"mine-{n}") for n in range(2_000)))
    province = dataclasses.replace(mine.registry, sites=many)
    assert list(sent_today(mine.record, province, NOON)) == [(*DEVICE, 1, 0)]
    room = RefusedRoom(province, Rate(day=1))
    room.restore(mine.record, NOON)
    assert len(room.payload(*DEVICE, b"y" * 9_000, NOON) or b"") == 2_000
