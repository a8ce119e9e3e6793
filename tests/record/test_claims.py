"""Claims: marks that would take an exceedance away change nothing until a supervisor confirms them (decree 820, article 25)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import sqlalchemy as sa

from greenmine.readings import Readings
from greenmine.record import schema
from greenmine.record.access import RecordAccess
from greenmine.record.record import Record
from greenmine.record.writer import Pipeline
from tests.processing.mine import (
    DAY,
    HOUR,
    Station,
    assert_same,
    at,
    every,
    feed,
    held,
    readings,
    record_at,
    registry_of,
)
from tests.records import record_in

START = at("2026-03-02T10:00:00")
NOW = START + DAY
RULE = "mine/south/db50-418-fugitive"


class Worked(NamedTuple):
    pipeline: Pipeline
    record: Record
    access: RecordAccess

    def ask(self, first: int, last: int, now: int = NOW, **change: Any) -> None:
        row = {
            "site": "mine", "station": "south", "parameter": "tsp", "start": START + first * HOUR, "end": START + last * HOUR,
            "kind": "maintenance", "reason": "filter", "author": "li", "made": now,
        }  # fmt: skip
        with self.access.contributions() as contributions:
            contributions.ask_for_mark(row | change)
        self.carry_on(now)

    def decide(self, refusal: str | None = None) -> bool:
        with self.access.contributions() as contributions:
            decided = contributions.decide_claim(1, "wang", NOW, refusal) is not None
        self.carry_on(NOW)
        return decided

    def carry_on(self, now: int) -> None:
        while self.pipeline.carry_on(now):
            pass

    @property
    def request(self) -> dict[str, Any]:
        (row,) = self.record.rows(sa.select(schema.mark_request))
        return dict(row)


@pytest.fixture
def dust(tmp_path: Path) -> Worked:
    """Dust of 1100 from 12:00 to 14:00, of 500 before and after."""
    south = Station("south", ("tsp",), limits=("db50-418-fugitive",))
    registry = registry_of(tmp_path, {"mine": ("Asia/Shanghai", [south])})
    record = record_at(record_in(tmp_path), registry)
    pipeline = Pipeline(registry, record)
    values = np.where((np.arange(600) >= 120) & (np.arange(600) < 240), 1100.0, 500.0)
    feed(pipeline, [readings(0, every(START, START + 10 * HOUR), values)])
    return Worked(pipeline, record, RecordAccess(record_in(tmp_path), registry))


def test_a_mark_that_would_take_an_exceedance_away_changes_nothing_and_shows_both_figures(dust: Worked) -> None:
    before = held(dust.record)
    dust.ask(2, 4)
    assert_same(before, held(dust.record), 0)
    assert dust.request["state"] == "claimed"
    removes = json.loads(dust.request["removes"])
    assert (removes[0]["rule"], removes[0]["start"], removes[0]["value"]) == (RULE, START + 2 * HOUR, 1100.0)
    assert removes[0]["judgement"] == "not assessable"
    assert "exceeds" not in {one["judgement"] for one in removes}
    assert dust.record.rows(sa.select(schema.mark)) == []


def test_a_claim_that_is_confirmed_holds_and_says_by_whom(dust: Worked) -> None:
    dust.ask(2, 4)
    assert dust.decide()
    (mark,) = dust.record.rows(sa.select(schema.mark))
    assert (mark["author"], mark["confirmed_by"]) == ("li", "wang")
    assert (dust.request["state"], dust.request["decided_by"], dust.request["mark"]) == ("done", "wang", mark["id"])
    v = schema.verdict.c
    left = dust.record.rows(sa.select(v.start).where(v.latest, v.verdict == "exceeds"))
    assert left == []
    assert json.loads(dust.request["removes"]), "both figures stay visible"


def test_a_claim_that_is_refused_changes_nothing_for_good(dust: Worked) -> None:
    before = held(dust.record)
    dust.ask(2, 4)
    assert dust.decide("no service report")
    assert_same(before, held(dust.record), 0)
    assert (dust.request["state"], dust.request["answer"]) == ("refused", "no service report")
    assert not dust.decide(), "what is decided stays decided"


def test_a_mark_that_takes_no_exceedance_away_waits_for_nobody(dust: Worked) -> None:
    dust.ask(6, 7)
    assert (dust.request["state"], dust.request["decided_by"]) == ("done", None)


def test_a_mark_that_reaches_ahead_is_made_when_its_period_is_over(dust: Worked) -> None:
    now = START + 11 * HOUR
    dust.ask(10, 12, now=now)
    assert dust.request["state"] == "waiting"
    feed(dust.pipeline, [readings(0, every(START + 10 * HOUR, START + 14 * HOUR), 1500.0)])
    dust.carry_on(START + 12 * HOUR)
    assert dust.request["state"] == "claimed"


def test_what_only_explains_is_made_at_once(dust: Worked) -> None:
    dust.ask(10, 12, now=START + 11 * HOUR, kind="blasting")
    assert dust.request["state"] == "done"


def day_of_pm10(folder: Path, high: list[int]) -> Worked:
    """A station at homes with a day limit of 120; PM10 of 100, and of 700 in some hours of the day before `NOW`."""
    homes = Station("homes", ("pm10",), limits=("gb3095-pm10-day-class2",))
    registry = registry_of(folder, {"mine": ("Asia/Shanghai", [homes])})
    record = record_at(record_in(folder), registry)
    worked = Worked(Pipeline(registry, record), record, RecordAccess(record_in(folder), registry))
    feed(worked.pipeline, [pm10(0, 12, high)])
    return worked


def pm10(first: int, last: int, high: list[int]) -> Readings:
    midnight = at("2026-03-02T00:00:00")
    times = every(midnight + first * HOUR, midnight + last * HOUR)
    return readings(0, times, np.where(np.isin((times - midnight) // HOUR, high), 700.0, 100.0))


def verdicts(worked: Worked) -> list[str]:
    v = schema.verdict.c
    return [row["verdict"] for row in worked.record.rows(sa.select(v.verdict).where(v.latest).order_by(v.start))]


def states(worked: Worked) -> list[str]:
    c = schema.mark_request.c
    return [row["state"] for row in worked.record.rows(sa.select(c.state).order_by(c.id))]


def test_a_mark_becomes_a_claim_when_the_day_that_it_takes_away_is_judged(tmp_path: Path) -> None:
    worked = day_of_pm10(tmp_path, [8, 9])
    worked.ask(-2, 0, now=START + 2 * HOUR, station="homes", parameter="pm10")
    assert states(worked) == ["done"], "nothing is judged yet"
    feed(worked.pipeline, [pm10(12, 26, [])])
    assert verdicts(worked) == ["meets"]
    worked.carry_on(NOW)
    assert (states(worked), verdicts(worked)) == (["claimed"], ["exceeds"])
    assert worked.record.rows(sa.select(schema.mark)) == []
    (removed,) = json.loads(worked.request["removes"])
    assert (removed["value"], removed["after"], removed["judgement"]) == (150.0, 100.0, "meets")
    assert worked.decide()
    assert (states(worked), verdicts(worked)) == (["done"], ["meets"]), "a supervisor's word holds"


def test_marks_that_take_an_exceedance_away_together_are_claims(tmp_path: Path) -> None:
    worked = day_of_pm10(tmp_path, [8, 9])
    for first in (-2, -1):
        worked.ask(first, first + 1, now=START + 2 * HOUR, station="homes", parameter="pm10")
    feed(worked.pipeline, [pm10(12, 26, [])])
    worked.carry_on(NOW)
    assert (states(worked), verdicts(worked)) == (["claimed", "claimed"], ["exceeds"])


def test_late_readings_make_a_claim_of_a_mark_that_was_made_before(dust: Worked) -> None:
    dust.ask(10, 12, now=START + 14 * HOUR)
    feed(dust.pipeline, [readings(0, every(START + 12 * HOUR, START + 15 * HOUR), 500.0)])
    dust.carry_on(NOW)
    assert states(dust) == ["done"], "nothing is there that it could take away"
    feed(dust.pipeline, [readings(0, every(START + 10 * HOUR, START + 12 * HOUR), 1500.0)])
    again = Worked(Pipeline(dust.pipeline.registry, dust.record), dust.record, dust.access)
    again.carry_on(NOW)
    assert states(again) == ["claimed"]
    open_episodes = again.record.rows(sa.select(schema.exceedance).where(schema.exceedance.c.peak == 1500.0))
    assert [row["state"] for row in open_episodes] == ["closed"]
    removes = json.loads(again.request["removes"])
    assert {one["rule"] for one in removes} == {RULE}
    assert again.decide()
    left = sa.select(schema.exceedance).where(
        schema.exceedance.c.state != "withdrawn", schema.exceedance.c.peak == 1500.0
    )
    assert again.record.rows(left) == []
