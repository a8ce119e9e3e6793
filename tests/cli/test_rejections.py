"""Rejected messages are listed and taken in again: when asked for, and by themselves once the server's clock has been set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from greenmine.cli.rejections import listed, retry
from greenmine.cli.work import _take_again
from greenmine.collector.hj212.server.columns import FrameBuilder
from greenmine.collector.payloads.server_clock import ServerClock
from greenmine.loading import load_registry
from greenmine.record import schema
from greenmine.record.loggers import LoggerRecord
from greenmine.record.record import Record, migrate, open_engine
from greenmine.record.writer import Pipeline
from greenmine.registry import Registry
from greenmine.settings import Settings
from greenmine.times import now
from tests.records import record_setting

MINUTE = 60_000
DEVICES = {("kunyin", "boundary-dust"): "pm10", ("jiuchi", "boundary-noise"): "laeq"}


class Collector:
    """What the worker does with messages, without a broker."""

    def __init__(self, data: Path, registry: Registry) -> None:
        settings = Settings(data=data, **record_setting(data))
        engine = open_engine(settings.record_place)
        migrate(engine)
        self.record = Record(engine, registry)
        self.pipeline = Pipeline(registry, self.record)
        self.builder = FrameBuilder(registry, settings, loggers={})

    def take(self, times: list[int], received: int) -> None:
        for (site, device), name in DEVICES.items():
            for time in times:
                payload = json.dumps({"v": 1, "time": time, "values": {name: 50.0}, "flags": {}}).encode()
                self.builder.add(f"greenmine/v1/{site}/{device}/readings", payload, received)
        self.pipeline.commit(self.builder.finish(), received)

    def again(self) -> None:
        _take_again(self.record, self.builder, LoggerRecord(self.pipeline, catchup_hours=0, frame_days=0).commit)

    def count(self, column: str) -> int:
        return int(self.record.rows(sa.select(sa.func.sum(schema.ledger.c[column]).label("n")))[0]["n"])

    def states(self) -> list[str]:
        return [row["state"] for row in self.record.rows(sa.select(schema.retry.c.state))]


@pytest.fixture
def collector(tmp_path: Path) -> Collector:
    return Collector(tmp_path, load_registry())


def test_what_was_rejected_is_taken_in_again_once(
    collector: Collector, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    time = now() - 60 * MINUTE
    collector.take([time, time + MINUTE], time - 30 * MINUTE)
    assert (collector.count("stored"), collector.count("rejected")) == (0, 4)
    listed(data=tmp_path, site="kunyin", reason="future", format="json")
    assert [row["device"] for row in json.loads(capsys.readouterr().out)] == ["boundary-dust"] * 2
    collector.again()
    assert collector.count("stored") == 0, "nobody asked"
    retry(data=tmp_path, reason="ancient")
    retry(data=tmp_path, site="kunyin")
    assert capsys.readouterr().out.splitlines() == [
        "0 messages will be taken in again by the worker.", "2 messages will be taken in again by the worker."
    ]  # fmt: skip
    for _ in range(2):
        collector.again()
    assert (collector.count("stored"), collector.count("rejected")) == (2, 4)
    retry(data=tmp_path)
    collector.again()
    assert (collector.count("stored"), collector.count("received")) == (4, 8)
    assert collector.states() == ["done"] * 4


def test_what_came_while_the_clock_was_behind_is_held_and_taken_in_when_it_is_set(collector: Collector) -> None:
    right = now() - 60 * MINUTE
    clocks = [right, 0]
    collector.builder.clock = ServerClock(120_000, lambda: (clocks[0], clocks[1]))
    collector.take([right], right)
    assert collector.count("stored") == 2
    clocks[0] -= 24 * 60 * MINUTE
    collector.take([right + MINUTE], clocks[0])  # as soon as it leaps
    collector.take([right + 2 * MINUTE], clocks[0] + MINUTE)
    collector.again()
    assert (collector.count("stored"), collector.count("rejected"), collector.states()) == (2, 4, ["held"] * 4)
    clocks[0] += 24 * 60 * MINUTE
    collector.again()
    assert (collector.count("stored"), collector.states()) == (6, ["done"] * 4)


def test_what_came_before_the_clock_was_doubted_is_held_too(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = now()
    clocks = [right - 24 * 60 * MINUTE, 0]
    monkeypatch.setattr("greenmine.times.now", lambda: clocks[0])
    collector.builder.clock = ServerClock(120_000, lambda: (clocks[0], clocks[1]))
    monkeypatch.setitem(DEVICES, ("yanjing", "boundary-dust"), "pm10")
    for number, device in enumerate(list(DEVICES.items())):
        with monkeypatch.context() as one:
            one.setattr(f"{__name__}.DEVICES", dict([device]))
            collector.take([right + number * 1_000], clocks[0] + number * 1_000)
    assert [row["reason"] for row in collector.record.rows(sa.select(schema.rejection.c.reason))] == [
        "future", "future", "server-clock"
    ]  # fmt: skip
    collector.again()
    assert sorted(collector.states()) == ["done", "done", "held", "held", "held"]
    clocks[0] += 24 * 60 * MINUTE
    collector.again()
    assert (collector.count("stored"), collector.states()) == (3, ["done"] * 5)


def test_a_clock_that_is_set_lets_nobody_fall_silent(collector: Collector) -> None:
    time = now() - 60 * MINUTE
    collector.take([time], time)
    assert not collector.pipeline.wait(time + 24 * 60 * MINUTE, leapt=24 * 60 * MINUTE).statistics
    assert collector.pipeline.wait(time + 25 * 60 * MINUTE).statistics


def test_an_unknown_mine_is_named(collector: Collector, tmp_path: Path) -> None:
    assert collector.record
    with pytest.raises(SystemExit, match="there is no mine 'nowhere'"):
        retry(data=tmp_path, site="nowhere")
