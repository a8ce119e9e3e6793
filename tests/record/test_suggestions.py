"""Suggested causes in the record: of dust that is over, again after a mark of blasting, and of nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from greenmine.readings import Readings
from greenmine.record import schema
from greenmine.record.record import Record
from greenmine.record.suggestions import OLDEST, SETTLED, Suggestions
from greenmine.record.writer import Pipeline
from tests.processing.mine import HOUR, MINUTE, at, channel, every, feed, readings, record_at, registry_of

START = at("2026-06-01T06:00")
END = START + 12 * HOUR
DUST = START + 5 * HOUR, START + 7 * HOUR
SOUTH = "mine/south/db50-418-fugitive"


def stored(folder: Path, upwind: float) -> tuple[Record, Pipeline]:
    """Two hours of dust in the south under a wind from the north, where the station has ``upwind`` meanwhile; and loud nights."""
    registry = registry_of(folder / "registry")
    record = record_at(folder / "record.sqlite", registry)
    pipeline = Pipeline(registry, record)
    times = every(START, END)
    dusty = (times >= DUST[0]) & (times < DUST[1])
    values = {
        "mine/south/tsp": np.where(dusty, 2000.0, 100.0),
        "mine/north/tsp": np.where(dusty, upwind, 90.0),
        "mine/fence/laeq": 75.0,
        "mine/weather/wind-speed": 2.0,
        "mine/weather/wind-direction": 0.0,
    }
    some = Readings.concat([readings(channel(registry, key), times, value) for key, value in values.items()])
    feed(pipeline, [some.take(np.argsort(some.time, kind="stable"))])
    return record, pipeline


def kept(record: Record) -> list[tuple[str, str | None]]:
    s, e = schema.suggestion.c, schema.exceedance.c
    found = sa.select(e.rule, s.cause).join_from(schema.suggestion, schema.exceedance, s.exceedance == e.id)
    return [(row["rule"], row["cause"]) for row in record.rows(found.order_by(e.start))]


def done(suggestions: Suggestions, now: int) -> int:
    count = 0
    while suggestions.carry_on(now):
        count += 1
    return count


@pytest.mark.parametrize(("upwind", "cause"), [(1800.0, "outside"), (100.0, "works")])
def test_dust_that_is_over_has_a_suggested_cause_and_noise_has_none(tmp_path: Path, upwind: float, cause: str) -> None:
    record, _ = stored(tmp_path, upwind)
    assert done(Suggestions(record), END + HOUR) > 0
    told = kept(record)
    assert {rule for rule, _ in told} <= {SOUTH, "mine/south/gb4915-difference"}
    assert (SOUTH, cause) in told


def test_an_episode_is_looked_at_when_it_has_been_over_for_an_hour_and_not_for_ever(tmp_path: Path) -> None:
    record, _ = stored(tmp_path, 100.0)
    e = schema.exceedance.c
    (end,) = (row["end"] for row in record.rows(sa.select(e.end).where(e.rule == SOUTH)))
    assert done(Suggestions(record), end + SETTLED - 1) == 0
    assert done(Suggestions(record), end + OLDEST + 2 * HOUR) == 0
    assert done(Suggestions(record), end + SETTLED) > 0


def test_it_is_done_once_and_again_after_a_mark_of_blasting(tmp_path: Path) -> None:
    record, pipeline = stored(tmp_path, 100.0)
    suggestions = Suggestions(record)
    first = done(suggestions, END + HOUR)
    assert done(suggestions, END + 2 * HOUR) == 0
    blast = DUST[0] - 5 * MINUTE, DUST[0] + MINUTE
    pipeline.mark("mine", "south", None, blast, "blasting", "bench 3", "A", END + 2 * HOUR)
    assert done(suggestions, END + 3 * HOUR) == first
    assert done(suggestions, END + 4 * HOUR) == 0
