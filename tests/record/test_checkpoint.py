"""The checkpoint: a start from it leads to what a start from the readings would have, and what does not fit is ignored."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
import structlog

from greenmine.readings import Readings
from greenmine.record import schema
from greenmine.record.record import Record
from greenmine.record.writer import Pipeline
from greenmine.registry import Registry
from tests.processing.mine import (
    DAY,
    EVENING,
    HOUR,
    MINE,
    Station,
    assert_same,
    calibration,
    feed,
    held,
    record_at,
    registry_of,
)
from tests.processing.streams import disordered, far_later, pieces, stream
from tests.records import copy_record, record_in

LATER = 10**15
CALIBRATION = calibration("south", "tsp", "2026-03-01T06:42:00+08:00", 1.3)


def parts_of(registry: Registry, seed: int, hours: int, number: int) -> list[Readings]:
    rng = np.random.default_rng(seed)
    parts = pieces(disordered(stream(registry, rng, EVENING, EVENING + hours * HOUR), rng, 10 * HOUR), rng, number)
    return [*parts, far_later(registry, EVENING + 48 * HOUR)]


def started(record: Record, folder: Path) -> Pipeline:
    pipeline = Pipeline(record.registry, record, checkpoint=folder / "rings.checkpoint")
    assert len(pipeline.engine.issued)  # of all sites, at once
    return pipeline


def health(record: Record) -> list[tuple[int, str, int]]:
    table = schema.health.c
    found = record.rows(sa.select(table.channel, table.state, table.since).order_by(table.channel, table.since))
    return [(row["channel"], row["state"], row["since"]) for row in found]


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Channels whose last days were read from the record."""
    read: list[int] = []
    recent = Record.recent

    def noted(record: Record, channel: int, minutes: int) -> object:
        read.append(channel)
        return recent(record, channel, minutes)

    monkeypatch.setattr(Record, "recent", noted)
    return read


@pytest.fixture(scope="module")
def quarries(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """Two mines that do not know of each other."""
    stations = (Station("south", ("tsp",), limits=("db50-418-fugitive",), place=MINE[1].place), MINE[2])
    mines = dict.fromkeys(("mine", "quarry"), ("Asia/Shanghai", stations))
    return registry_of(tmp_path_factory.mktemp("quarries"), mines)


@pytest.mark.parametrize(("seed", "every"), [(1, 1), (2, 3), (3, 100)])
def test_kills_at_any_moment_after_a_checkpoint_change_no_figure(
    registry: Registry, tmp_path: Path, unread: list[int], seed: int, every: int
) -> None:
    parts = parts_of(registry, seed, 14, 7)
    expected, record = (record_at(record_in(tmp_path / name), registry) for name in ("expected", "record"))
    feed(Pipeline(registry, expected), parts)
    pipeline = started(record, tmp_path)
    pipeline.keep(LATER, everything=True)
    unread.clear()
    for number, part in enumerate(parts):
        feed(pipeline, [part])
        if number % every == 0:
            pipeline.keep(LATER, everything=True)
        if number % 2 == 0:
            pipeline = Pipeline(registry, record, checkpoint=tmp_path / "rings.checkpoint")
    assert unread == []
    assert_same(held(expected), held(record))
    assert every > 1 or health(expected) == health(record)


def test_the_same_arrays_stand_in_a_pipeline_that_was_started_from_it(registry: Registry, tmp_path: Path) -> None:
    record = record_at(record_in(tmp_path), registry)
    pipeline = started(record, tmp_path)
    parts = parts_of(registry, 4, 30, 12)
    feed(pipeline, parts[:5])
    pipeline.keep(LATER, everything=True)
    feed(pipeline, parts[5:8])
    pipeline.keep(LATER, everything=True)
    feed(pipeline, parts[8:-1])
    again = started(record, tmp_path)
    every = slice(0, len(registry.channels))
    minutes = pipeline.engine.panes.minutes
    for name, ring in pipeline.engine.panes.rings(every, 0, minutes).items():
        np.testing.assert_allclose(again.engine.panes.rings(every, 0, minutes)[name], ring, rtol=1e-12, err_msg=name)
    for name in ("head", "newest", "tail"):
        assert np.array_equal(getattr(again.engine.panes, name), getattr(pipeline.engine.panes, name)), name
    for name in ("newest", "constant"):
        known, kept = (some.engine.health.kept(every)[name] for some in (pipeline, again))
        assert np.array_equal(kept, known, equal_nan=True), name
    hours = minutes // 60 + 1
    assert all(
        (again.engine.panes.hourly(every, h) == pipeline.engine.panes.hourly(every, h)).all() for h in range(hours)
    )
    assert np.array_equal(again.engine.issued, pipeline.engine.issued)


def flip(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        (data,) = connection.execute("SELECT data FROM ring WHERE name = 'panes'").fetchone()
        changed = data[:20] + bytes([data[20] ^ 1]) + data[21:]
        connection.execute("UPDATE ring SET data = ? WHERE data = ?", (changed, data))


def cut(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path.write_bytes(path.read_bytes()[:5000])


DAMAGES = {
    "content": "UPDATE ring SET data = zeroblob(length(data)) WHERE site = 'mine'",
    "place": "UPDATE ring SET place = place + 1 WHERE site = 'mine' AND name = 'panes' "
    "AND place = (SELECT max(place) FROM ring WHERE site = 'mine' AND name = 'panes')",
    "length": "UPDATE ring SET size = size + 1 WHERE site = 'mine'",
    "a ring less": "DELETE FROM ring WHERE site = 'mine' AND name = 'levels'",
    "position": "UPDATE site SET position = position - 1 WHERE site = 'mine'",
    "restatement": "UPDATE site SET restated = restated + 1 WHERE site = 'mine'",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_mine_whose_part_is_damaged_is_built_from_its_readings_and_no_other(
    quarries: Registry, tmp_path: Path, unread: list[int], damage: str
) -> None:
    parts = parts_of(quarries, 5, 3, 3)
    expected, record = (record_at(record_in(tmp_path / name), quarries) for name in ("expected", "record"))
    feed(Pipeline(quarries, expected), parts)
    pipeline = started(record, tmp_path)
    feed(pipeline, parts[:-1])
    pipeline.keep(LATER, everything=True)
    with closing(sqlite3.connect(tmp_path / "rings.checkpoint")) as connection, connection:
        connection.execute(damage)
    unread.clear()
    pipeline = started(record, tmp_path)
    assert sorted(unread) == [c.index for c in quarries.site_channels("mine")]
    feed(pipeline, parts[-1:])
    assert_same(held(expected), held(record))
    pipeline.keep(LATER, everything=True)
    unread.clear()
    started(record, tmp_path)
    assert unread == [], "what was damaged is written anew"


def test_a_mine_is_built_when_something_comes_of_it_and_keeps_its_part_until_then(
    quarries: Registry, tmp_path: Path, unread: list[int]
) -> None:
    parts = parts_of(quarries, 6, 3, 4)
    mine = np.isin(parts[2].channel, [c.index for c in quarries.site_channels("mine")])
    parts[2:3] = [parts[2].take(mine), parts[2].take(~mine)]
    expected, record = (record_at(record_in(tmp_path / name), quarries) for name in ("expected", "record"))
    feed(Pipeline(quarries, expected), parts)
    pipeline = started(record, tmp_path)
    feed(pipeline, parts[:2])
    pipeline.keep(LATER, everything=True)
    unread.clear()
    for some in (parts[2:3], parts[3:]):
        pipeline = Pipeline(quarries, record, checkpoint=tmp_path / "rings.checkpoint")
        feed(pipeline, some)
        pipeline.keep(LATER, everything=True)
    assert unread == []
    assert_same(held(expected), held(record))


def age(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version=0")


@pytest.mark.parametrize("damage", [flip, cut, age, lambda path: path.write_bytes(b"no database" * 900)])
def test_a_checkpoint_that_is_damaged_or_of_another_version_is_ignored_with_one_line(
    registry: Registry, tmp_path: Path, unread: list[int], damage: Callable[[Path], None]
) -> None:
    parts = parts_of(registry, 5, 8, 3)
    expected, record = (record_at(record_in(tmp_path / name), registry) for name in ("expected", "record"))
    feed(Pipeline(registry, expected), parts)
    pipeline = started(record, tmp_path)
    feed(pipeline, parts[:-1])
    pipeline.keep(LATER, everything=True)
    damage(tmp_path / "rings.checkpoint")
    unread.clear()
    with structlog.testing.capture_logs() as lines:
        pipeline = started(record, tmp_path)
    assert [line["log_level"] for line in lines] == ["warning"]
    assert sorted(unread) == list(range(len(registry.channels)))
    feed(pipeline, parts[-1:])
    assert_same(held(expected), held(record))
    pipeline.keep(LATER, everything=True)
    unread.clear()
    started(record, tmp_path)
    assert unread == [], "a new one takes its place"


def test_that_of_another_record_or_of_a_newer_one_is_ignored(
    registry: Registry, tmp_path: Path, unread: list[int]
) -> None:
    parts = parts_of(registry, 6, 6, 3)
    record, other = (record_at(record_in(tmp_path / name), registry) for name in ("record", "other"))
    pipeline = started(record, tmp_path)
    feed(pipeline, parts[:1])
    copy_record(tmp_path / "record", tmp_path / "backup")
    feed(pipeline, parts[1:])
    pipeline.keep(LATER, everything=True)
    feed(Pipeline(registry, other), parts)
    for some in (other, record_at(record_in(tmp_path / "backup"), registry)):
        unread.clear()
        started(some, tmp_path)
        assert len(unread) == len(registry.channels)
    assert not (tmp_path / "rings.checkpoint").exists(), "a record that was put back may come to where it ends"


def test_a_mine_that_has_changed_is_built_from_its_readings_and_no_other(tmp_path: Path, unread: list[int]) -> None:
    old = registry_of(tmp_path / "registry")
    new = registry_of(tmp_path / "changed", more=CALIBRATION)
    parts = parts_of(old, 7, 14, 4)
    expected, record = (record_at(record_in(tmp_path / name), old) for name in ("expected", "record"))
    feed(Pipeline(new, Record(expected.engine, new)), parts)
    pipeline = started(record, tmp_path)
    feed(pipeline, parts[:3])
    pipeline.keep(LATER, everything=True)
    unread.clear()
    pipeline = started(Record(record.engine, new), tmp_path)
    assert len(unread) == len(new.channels)
    feed(pipeline, parts[3:])
    while pipeline.carry_on(LATER):
        pass
    pipeline.keep(LATER, everything=True)
    pipeline = started(Record(record.engine, new), tmp_path)
    feed(pipeline, [far_later(new, EVENING + 50 * HOUR)])
    feed(Pipeline(new, Record(expected.engine, new)), [far_later(new, EVENING + 50 * HOUR)])
    assert_same(held(expected), held(record))


def test_alarms_from_before_a_mark_are_found_again(registry: Registry, tmp_path: Path, unread: list[int]) -> None:
    parts = parts_of(registry, 9, 14, 5)
    marked = "mine", "fence", None, (EVENING + HOUR, EVENING + 5 * HOUR), "fault", "x", "y"
    expected, record = (record_at(record_in(tmp_path / name), registry) for name in ("expected", "record"))
    undisturbed, pipeline = Pipeline(registry, expected), started(record, tmp_path)
    for some in (undisturbed, pipeline):
        feed(some, parts[:4])
    pipeline.keep(LATER, everything=True)
    for some in (undisturbed, pipeline):
        some.mark(*marked, LATER)
    unread.clear()
    pipeline = started(record, tmp_path)
    for some in (undisturbed, pipeline):
        feed(some, parts[4:])
    assert unread == []
    assert_same(held(expected), held(record))


def test_what_a_short_ring_has_forgotten_does_not_come_back(registry: Registry, tmp_path: Path) -> None:
    """After a pause of weeks every place of the ring is written again."""
    parts = parts_of(registry, 8, 6, 3)[:-1]
    after = far_later(registry, EVENING + 9 * DAY)
    expected, record = (record_at(record_in(tmp_path / name), registry) for name in ("expected", "record"))
    feed(Pipeline(registry, expected), [*parts, after, far_later(registry, EVENING + 11 * DAY)])
    pipeline = started(record, tmp_path)
    feed(pipeline, parts)
    pipeline.keep(LATER, everything=True)
    feed(pipeline, [after])
    pipeline.keep(LATER, everything=True)
    feed(started(record, tmp_path), [far_later(registry, EVENING + 11 * DAY)])
    assert_same(held(expected), held(record))
