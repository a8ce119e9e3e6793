"""Marks that people ask for: made once, answered in the same transaction, or refused with the reason."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import sqlalchemy as sa

from greenmine.loading import load_registry
from greenmine.record import schema
from greenmine.record.record import Record
from greenmine.record.writer import Pipeline
from greenmine.registry import DEFAULT, Registry
from tests.processing.mine import EVENING, HOUR, assert_same, feed, held, record_at
from tests.processing.streams import far_later, pieces, stream
from tests.records import record_in

LATER = EVENING + 80 * HOUR


def ask(record: Record, **change: Any) -> None:
    row = {
        "site": "mine", "station": "fence", "parameter": None, "start": EVENING + HOUR, "end": EVENING + 4 * HOUR,
        "kind": "maintenance", "reason": "calibrator on", "author": "zhang", "made": LATER, "state": "waiting", "answer": "",
    }  # fmt: skip
    with record.transaction() as connection:
        connection.execute(sa.insert(schema.mark_request).values(row | change))


def requests(record: Record) -> list[dict[str, Any]]:
    return [dict(row) for row in record.rows(sa.select(schema.mark_request).order_by(schema.mark_request.c.id))]


def answer(pipeline: Pipeline, now: int) -> None:
    """Do all that is to be done."""
    while pipeline.carry_on(now):
        pass


def test_a_request_becomes_the_mark_that_was_asked_for(registry: Registry, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    parts = [
        *pieces(stream(registry, rng, EVENING, EVENING + 20 * HOUR), rng, 3),
        far_later(registry, EVENING + 60 * HOUR),
    ]
    asked, direct = (record_at(record_in(tmp_path / name), registry) for name in ("asked", "direct"))
    pipeline, other = Pipeline(registry, asked), Pipeline(registry, direct)
    feed(pipeline, parts)
    feed(other, parts)
    ask(asked)
    answer(pipeline, LATER + 1)
    assert not pipeline.carry_on(LATER + 2), "nothing is made twice"
    span = EVENING + HOUR, EVENING + 4 * HOUR
    other.mark("mine", "fence", None, span, "maintenance", "calibrator on", "zhang", LATER + 1)
    assert_same(held(asked), held(direct))
    (mark,) = asked.rows(sa.select(schema.mark))
    (request,) = requests(asked)
    assert (request["state"], request["mark"], request["answered"]) == ("done", mark["id"], LATER + 1)
    assert (mark["reason"], mark["author"], mark["made"]) == ("calibrator on", "zhang", LATER + 1)


def test_a_request_that_cannot_be_met_is_refused_and_holds_up_no_other(registry: Registry, tmp_path: Path) -> None:
    record = record_at(record_in(tmp_path), registry)
    pipeline = Pipeline(registry, record)
    ask(record, station="gone")
    ask(record, site="gone")
    ask(record, kind="holiday")
    ask(record, parameter="gold")
    ask(record, kind="blasting")
    answer(pipeline, LATER)
    states = [(row["state"], row["answer"]) for row in requests(record)]
    assert [state for state, _ in states] == ["refused"] * 4 + ["done"]
    assert states[0][1] == "there is no station mine/gone"
    assert "holiday" in states[2][1]
    assert "gold" in states[3][1]
    assert len(record.rows(sa.select(schema.mark))) == 1


def test_marks_at_several_mines_are_made_in_any_order(tmp_path: Path) -> None:
    registry = load_registry()
    record = record_at(record_in(tmp_path), registry)
    pipeline = Pipeline(registry, record)
    asked = [("hengjie", "boundary"), ("kunyin", "boundary"), ("hengjie", "boundary"), ("jiuchi", "boundary")]
    for site, station in asked:
        ask(record, site=site, station=station)
    answer(pipeline, LATER)
    assert [row["state"] for row in requests(record)] == ["done"] * len(asked)


def test_a_mine_that_leaves_the_registry_keeps_its_marks_and_stops_nobody(tmp_path: Path) -> None:
    whole = load_registry()
    record = record_at(record_in(tmp_path), whole)
    ask(record, site="kunyin", station="boundary")
    answer(Pipeline(whole, record), LATER)
    (tmp_path / "registry").mkdir()
    copytree(DEFAULT, tmp_path / "registry", dirs_exist_ok=True)
    (tmp_path / "registry" / "sites" / "kunyin.toml").unlink()
    fewer = load_registry(tmp_path / "registry")
    record = record_at(record_in(tmp_path), fewer)
    pipeline = Pipeline(fewer, record)
    ask(record, site="hengjie", station="boundary")
    ask(record, site="kunyin", station="boundary")
    answer(pipeline, LATER)
    assert [row["state"] for row in requests(record)] == ["done", "done", "refused"]
    assert [row["site"] for row in record.rows(sa.select(schema.mark))] == ["kunyin", "hengjie"]
