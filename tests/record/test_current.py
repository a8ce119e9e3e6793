"""The table of current state says what one would find by looking through all tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import sqlalchemy as sa

from greenmine.record import schema
from greenmine.record.access import RecordAccess
from greenmine.record.reader import Queries, Scope, valid
from greenmine.record.writer import Pipeline
from greenmine.registry import Registry
from tests.processing.mine import DAY, EVENING, HOUR, Station, every, feed, readings, record_at, registry_of
from tests.processing.streams import disordered, pieces, stream
from tests.records import record_in

MINE = Scope(frozenset({"mine"}))


def test_it_holds_the_newest_of_what_came_in_any_order(registry: Registry, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    record = record_at(record_in(tmp_path), registry)
    pipeline = Pipeline(registry, record)
    feed(pipeline, pieces(disordered(stream(registry, rng, EVENING, EVENING + 30 * HOUR), rng, 9 * HOUR), rng, 12))
    pipeline.wait(EVENING + 31 * HOUR)
    pipeline.mark("mine", "fence", None, (EVENING, EVENING + 5 * HOUR), "fault", "x", "y", EVENING + 31 * HOUR)
    access = RecordAccess(record_in(tmp_path), registry)
    with access.queries() as queries:
        newest = {queries.channels(MINE)[number].key: found for number, found in queries.newest(MINE).items()}
        verdicts, health = queries.last_verdicts(MINE), queries.health(MINE)
        (total,) = queries.ledger_totals(MINE)
    access.close()
    sums = (sa.func.sum(schema.ledger.c[name]).label(name) for name in total._fields if name != "site")
    assert record.rows(sa.select(*sums)) == [{k: v for k, v in total._mapping.items() if k != "site"}]
    assert total.received == total.stored + total.duplicate + total.rejected + total.late > total.stored > 0
    for c in registry.channels:
        rows = record.readings(c.index, 0, EVENING + 40 * HOUR)
        assert newest[c.key].last == rows[-1]
        assert newest[c.key].valid == rows[valid(rows)][-1]
        table = schema.health.c
        mine = sa.select(schema.health).where(table.channel == int(record.channel_ids[c.index]))
        (last,) = record.rows(mine.order_by(table.since.desc()).limit(1))
        assert (health[c.key].state, health[c.key].since) == (last["state"], last["since"])
    assert verdicts.keys() == {row["rule"] for row in record.rows(sa.select(schema.verdict.c.rule).distinct())}
    for rule, found in verdicts.items():
        table = schema.verdict.c
        (last,) = record.rows(
            sa.select(schema.verdict).where(table.rule == rule, table.latest).order_by(table.start.desc()).limit(1)
        )
        assert dict(found._mapping) == last


def test_a_valid_reading_of_long_ago_is_none_any_more(tmp_path: Path) -> None:
    registry = registry_of(tmp_path, {"mine": ("Asia/Shanghai", [Station("homes", ("pm10",))])})
    record = record_at(record_in(tmp_path), registry)
    feed(Pipeline(registry, record), [readings(0, [EVENING], 5.0), readings(0, [EVENING + 31 * DAY], 5.0, "M")])
    access = RecordAccess(record_in(tmp_path), registry)
    with access.queries() as queries:
        (found,) = queries.newest(MINE).values()
    access.close()
    assert (found.last["time"], found.valid) == (EVENING + 31 * DAY, None)


def test_a_channel_that_comes_later_is_known_to_the_next_connection(tmp_path: Path) -> None:
    homes = [Station("homes", ("pm10",))]
    (tmp_path / "few").mkdir()
    few = registry_of(tmp_path / "few", {"mine": ("Asia/Shanghai", homes)})
    record_at(tmp_path / "record.sqlite", few)
    access = RecordAccess(tmp_path / "record.sqlite", few)
    (tmp_path / "more").mkdir()
    more = registry_of(tmp_path / "more", {"mine": ("Asia/Shanghai", [Station("fence", ("tsp",)), *homes])})

    def known() -> dict[str, int]:
        with access.queries() as queries:
            return {channel.key: number for number, channel in queries.channels(MINE).items()}

    before = known()
    record = record_at(tmp_path / "record.sqlite", more)
    assert known() == before
    access.renew(more)
    assert known() == {c.key: int(record.channel_ids[c.index]) for c in more.channels}
    assert before.items() < known().items()
    access.close()


def test_a_commit_at_one_mine_changes_nothing_of_another(tmp_path: Path) -> None:
    homes = [Station("homes", ("pm10",))]
    registry = registry_of(tmp_path, dict.fromkeys(("mine", "other"), ("Asia/Shanghai", homes)))
    record = record_at(record_in(tmp_path), registry)
    pipeline = Pipeline(registry, record)
    feed(pipeline, [readings(i, [EVENING], 5.0) for i in range(2)])
    access = RecordAccess(record_in(tmp_path), registry)

    def changes(*sites: str) -> tuple[int, ...]:
        with access.queries() as queries:
            assert isinstance(queries, Queries)
            return queries.changes(Scope(frozenset(sites)))

    before = changes("mine"), changes("other"), changes("mine", "other")
    feed(pipeline, [readings(1, every(EVENING, EVENING + HOUR), 5.0)])
    assert (changes("mine") == before[0], changes("other") == before[1]) == (True, False)
    assert changes("mine", "other") != before[2]
    access.close()
