"""A reference result that comes in later restates the verdict of its hour, and makes it statutory."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from greenmine.record import schema
from greenmine.record.record import Record
from greenmine.record.writer import Pipeline
from tests.processing.mine import DAY, HOUR, Station, at, every, feed, readings, record_at, registry_of
from tests.records import record_in

START = at("2026-03-02T10:00:00")
RESULT = """
[[references]]
station = "south"
parameter = "tsp"
start = 2026-03-02T12:00:00+08:00
end = 2026-03-02T13:00:00+08:00
value = 1210.0
laboratory = "Laboratory"
certificate = "CMA 1"
method = "GB/T 15432"
document = "report 1"
"""


def test_a_reference_result_added_later_makes_the_verdict_of_its_hour_statutory(tmp_path: Path) -> None:
    south = Station("south", ("tsp",), limits=("gb16297-fugitive",))
    plain = registry_of(tmp_path / "plain", {"mine": ("Asia/Shanghai", [south])})
    record = record_at(record_in(tmp_path), plain)
    pipeline = Pipeline(plain, record)
    feed(pipeline, [readings(0, every(START, START + 10 * HOUR), 900.0)])
    v = schema.verdict.c
    this = sa.select(v.verdict, v.value, v.reasons, v.revision).where(
        v.rule == "mine/south/gb16297-fugitive", v.start == START + 2 * HOUR, v.latest
    )
    (before,) = record.rows(this)
    assert (before["verdict"], before["value"]) == ("meets", 900.0)
    assert "no-automatic-method" in before["reasons"]
    known = registry_of(tmp_path / "known", {"mine": ("Asia/Shanghai", [south])}, more=RESULT)
    again = Pipeline(known, Record(record.engine, known))
    while again.carry_on(START + DAY):
        pass
    (after,) = record.rows(this)
    assert (after["verdict"], after["value"], after["reasons"], after["revision"]) == ("exceeds", 1210.0, "", 1)


def test_a_reference_result_that_refutes_the_readings_withdraws_their_exceedance(tmp_path: Path) -> None:
    south = Station("south", ("tsp",), limits=("gb16297-fugitive",))
    plain = registry_of(tmp_path / "plain", {"mine": ("Asia/Shanghai", [south])})
    record = record_at(record_in(tmp_path), plain)
    times = every(START, START + 10 * HOUR)
    high = (times >= START + 2 * HOUR) & (times < START + 3 * HOUR)
    feed(Pipeline(plain, record), [readings(0, times, [1500.0 if one else 300.0 for one in high])])
    v, x = schema.verdict.c, schema.exceedance.c
    exceeding = sa.select(v.start).where(v.latest, v.verdict == "exceeds").order_by(v.start)
    assert [row["start"] for row in record.rows(exceeding)] == [START + 2 * HOUR, START + 3 * HOUR]
    refuting = RESULT.replace("1210.0", "900.0")
    known = registry_of(tmp_path / "known", {"mine": ("Asia/Shanghai", [south])}, more=refuting)
    again = Pipeline(known, Record(record.engine, known))
    while again.carry_on(START + DAY):
        pass
    assert list(record.rows(exceeding)) == []
    assert [row["state"] for row in record.rows(sa.select(x.state))] == ["withdrawn"]
