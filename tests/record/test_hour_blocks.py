"""Hour blocks: what was committed is in them, reading by reading, and nothing that goes by the order of commit notices."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from greenmine.errors import StoreError
from greenmine.readings import Readings
from greenmine.record import hour_blocks, schema
from greenmine.record.archive.archive import Archive, grow, seal
from greenmine.record.archive.signing import SigningKey
from greenmine.record.hour_blocks import HourBlock, merge, unpacked
from greenmine.record.record import Record
from greenmine.record.rows import ROW
from greenmine.record.writer import Pipeline
from greenmine.registry import Registry
from tests.processing.mine import DAY, HOUR, at, feed, record_at
from tests.processing.streams import stream
from tests.record.killed import killed_after
from tests.records import record_in

FIRST = at("2026-03-02T00:00")
EDGES = range(0, 30 * HOUR + 1, 20 * 60_000)
NUMBER = st.integers(-(2**63), 2**63 - 1)


def parts(registry: Registry, until: int) -> list[Readings]:
    """A day and more in stretches of twenty minutes, in which some of an hour come after those of the next."""
    whole = stream(registry, np.random.default_rng(7), FIRST, FIRST + until)
    found = [whole.take((whole.time >= FIRST + a) & (whole.time < FIRST + b)) for a, b in pairwise(EDGES)]
    for place in range(2, len(found) - 2, 9):
        found[place], found[place + 2] = found[place + 2], found[place]
    return [part for part in found if len(part)]


def merged(record: Record, *, through: int = 2**60, now: int = FIRST + 3 * DAY) -> int:
    return sum(merge(record.engine, "mine", through, now, everything=True))


def blocks(record: Record) -> list[tuple[int, int, int]]:
    c = schema.reading_block.c
    return [tuple(row.values()) for row in record.rows(sa.select(c.id, c.channel, c.hour).order_by(c.id))]


def described(record: Record) -> list[tuple[object, ...]]:
    """All readings of the record, each with what came along with it."""
    found = []
    for row in record.rows(sa.select(schema.reading_block)):
        if row["first"] is None:
            rows = np.frombuffer(row["data"], ROW)
            sequence = np.frombuffer(row["sequence"] or np.full(len(rows), -1).tobytes(), "<i8")
            more = [(row["id"], row["received"], n, row["device"]) for n in sequence.tolist()]
        else:
            hour = unpacked(row["data"])
            rows, names = hour.rows, [hour.devices[code] for code in hour.device]
            more = list(zip(hour.number.tolist(), hour.received.tolist(), hour.sequence.tolist(), names, strict=True))
        found += [(row["channel"], repr(one), *told) for one, told in zip(rows.tolist(), more, strict=True)]
    return sorted(found)


@given(
    st.lists(
        st.tuples(
            NUMBER, st.floats(), st.integers(0, 255), st.integers(0, 255), NUMBER, NUMBER, NUMBER, st.integers(0, 2)
        )
    )
)
def test_whatever_is_in_it_comes_back(given_rows: list[tuple[int, float, int, int, int, int, int, int]]) -> None:
    rows = np.array([row[:4] for row in given_rows], ROW)
    number, received, sequence = (np.array([row[i] for row in given_rows], np.int64) for i in (4, 5, 6))
    device = np.array([row[7] for row in given_rows], np.uint16)
    back = unpacked(HourBlock(rows, number, received, sequence, device, ["a", "乙", ""]).packed())
    assert back.rows.tobytes() == rows.tobytes()
    for name, array in {"number": number, "received": received, "sequence": sequence, "device": device}.items():
        assert np.array_equal(getattr(back, name), array), name
    assert back.devices == ["a", "乙", ""]


def test_an_hour_that_is_over_becomes_one_block_with_all_that_came_along(registry: Registry, tmp_path: Path) -> None:
    record = record_at(record_in(tmp_path), registry)
    feed(Pipeline(registry, record), parts(registry, DAY))
    before, many, last = described(record), blocks(record), blocks(record)[-1][0]
    open_since = (FIRST + 20 * HOUR) // HOUR
    assert merged(record, now=FIRST + 21 * HOUR) > len(many) // 3
    assert described(record) == before
    closed = [(channel, hour) for _, channel, hour in blocks(record) if hour < open_since]
    assert len(closed) == len(set(closed))
    assert {row for row in many if row[2] >= open_since} == {row for row in blocks(record) if row[2] >= open_since}
    merged(record)
    assert described(record) == before
    assert blocks(record)[-1][0] == last, "whoever goes by the newest block notices nothing"
    assert merged(record) == 0


def test_an_end_between_two_transactions_leaves_all_readings(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hour_blocks, "_TOGETHER", 40)
    record = record_at(record_in(tmp_path), registry)
    feed(Pipeline(registry, record), parts(registry, DAY))
    before = described(record)
    for _ in range(3):
        turn = merge(record.engine, "mine", 2**60, FIRST + 3 * DAY, everything=True)
        next(turn)
        turn.close()
        assert described(record) == before
    merged(record)
    assert described(record) == before


@pytest.mark.parametrize("statement", ["DELETE FROM reading_block", "UPDATE reading_block"])
def test_a_kill_within_a_transaction_leaves_all_readings(registry: Registry, tmp_path: Path, statement: str) -> None:
    record = record_at(record_in(tmp_path), registry)
    feed(Pipeline(registry, record), parts(registry, DAY))
    before, many = described(record), blocks(record)
    record.engine.dispose()
    killed_after(
        record_in(tmp_path),
        statement,
        lambda engine: list(merge(engine, "mine", 2**60, FIRST + 3 * DAY, everything=True)),
    )
    assert (described(record), blocks(record)) == (before, many)
    assert merged(record) > 0
    assert described(record) == before


def test_what_is_not_in_the_hash_tree_stays_as_it_came(registry: Registry, tmp_path: Path) -> None:
    record = record_at(record_in(tmp_path), registry)
    feed(Pipeline(registry, record), parts(registry, DAY))
    many = blocks(record)
    through = many[len(many) // 2][0]
    assert merged(record, through=through) > 0
    assert [row for row in blocks(record) if row[0] > through] == [row for row in many if row[0] > through]


@pytest.mark.parametrize("kept", [5, 31])
def test_a_start_from_a_checkpoint_reads_what_was_committed_since_once(
    registry: Registry, tmp_path: Path, kept: int
) -> None:
    record, some = record_at(record_in(tmp_path), registry), parts(registry, DAY)
    pipeline = Pipeline(registry, record, checkpoint=tmp_path / "rings.checkpoint")
    feed(pipeline, some[:kept])
    pipeline.keep(2**53, everything=True)
    feed(pipeline, some[kept:])
    assert merged(record) > 0
    again = Pipeline(registry, record, checkpoint=tmp_path / "rings.checkpoint")
    every, minutes = slice(0, len(registry.channels)), pipeline.engine.panes.minutes
    for name, ring in pipeline.engine.panes.rings(every, 0, minutes).items():
        found = again.engine.panes.rings(every, 0, minutes)[name]
        np.testing.assert_allclose(found, ring, rtol=1e-12, err_msg=name)


def test_the_archive_seals_the_same_files(registry: Registry, tmp_path: Path) -> None:
    """Days, and what came for them after the first part of an hour was sealed and merged."""
    key, some, sums = SigningKey(tmp_path / "keys"), parts(registry, 30 * HOUR), []
    missing = some.pop(40)
    for name, merging in (("as-committed", False), ("in-hours", True)):
        record = record_at(record_in(tmp_path / name), registry)
        pipeline, archive = Pipeline(registry, record), Archive(tmp_path / name / "archive")
        feed(pipeline, some)
        grow(record.engine, registry.sites[0], FIRST + 30 * HOUR)
        if merging:
            assert merged(record) > 0
        entries = list(seal(record.engine, registry.sites, archive, key, FIRST + 2 * DAY + HOUR, DAY))
        feed(pipeline, [missing])
        grow(record.engine, registry.sites[0], FIRST + 2 * DAY + 2 * HOUR)
        if merging:
            assert merged(record) > 0
        entries += seal(record.engine, registry.sites, archive, key, FIRST + 4 * DAY, DAY)
        sums.append([(entry.day, entry.part, entry.rows["reading"], entry.sha256) for entry in entries])
    assert sums[0] == sums[1]
    assert [part for _, part, _, _ in sums[0]].count(1) == 1, "with an addendum"


def test_one_that_was_damaged_is_told(registry: Registry, tmp_path: Path) -> None:
    record = record_at(record_in(tmp_path), registry)
    feed(Pipeline(registry, record), parts(registry, DAY))
    merged(record)
    table = schema.reading_block
    with record.transaction() as connection:
        connection.execute(sa.update(table).where(table.c.first.is_not(None)).values(data=b"\0" * 40))
    with pytest.raises(StoreError, match=r"block \d+ of the record is not the content of an hour"):
        record.readings(0, FIRST, FIRST + DAY)
