"""Explanations, revisions, marks and bookkeeping of a record that the pipeline itself has filled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import httpx
import numpy as np
import pytest
import sqlalchemy as sa

from greenmine.readings import Readings
from greenmine.record import schema
from greenmine.record.record import Record, migrate, open_engine
from greenmine.record.writer import Pipeline
from greenmine.registry import Registry
from tests.api.serving import serving
from tests.api.signing import bearer, token_for
from tests.processing.mine import HOUR, MINUTE, at, batch_of, feed, registry_of
from tests.processing.streams import far_later, pieces, stream

EVENING = at("2026-02-28T21:37:00")
CALIBRATION = """
[[calibrations]]
station = "south"
parameter = "tsp"
valid_from = 2026-03-01T09:00:00+08:00
slope = 1.25
offset = 2.0
certificate = "test"
"""


class Mine(NamedTuple):
    client: httpx.Client
    record: Record
    registry: Registry


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mine]:
    folder = tmp_path_factory.mktemp("mine")
    registry = registry_of(folder / "registry", more=CALIBRATION)
    engine = open_engine(folder / "record.sqlite")
    migrate(engine)
    record = Record(engine, registry)
    pipeline = Pipeline(registry, record)
    rng = np.random.default_rng(5)
    some = stream(registry, rng, EVENING, EVENING + 40 * HOUR)
    late = (some.time > EVENING + 30 * HOUR) & (some.time < EVENING + 31 * HOUR) & (some.time % (2 * MINUTE) < MINUTE)
    feed(pipeline, pieces(some.take(~late), rng, 4))
    odd = some.take(np.flatnonzero(late)[:3])
    odd = Readings(odd.channel, odd.time, odd.value + 1, odd.flag)
    ancient = some.take(np.flatnonzero(some.time < EVENING + HOUR)[:5])
    ancient = Readings(ancient.channel, ancient.time + 1, ancient.value, ancient.flag)
    for hour, part in ((41, some.take(late)), (42, odd), (43, far_later(registry, EVENING + 60 * HOUR)), (61, ancient)):
        received = max(EVENING + hour * HOUR, int(part.time.max()) + 1)  # the clock never goes back
        pipeline.commit(batch_of(registry, part, received), received)
    clock = EVENING + 70 * HOUR
    pipeline.mark("mine", "south", "tsp", (EVENING + 12 * HOUR, EVENING + 14 * HOUR), "fault", "hose off", "li", clock)
    pipeline.mark("mine", "south", None, (clock + HOUR, clock + 2 * HOUR), "blasting", "blast", "li", clock)
    headers = bearer(token_for(folder))
    with serving(folder, registry) as address, httpx.Client(base_url=address, headers=headers, timeout=20) as client:
        yield Mine(client, record, registry)
    engine.dispose()


def explanation(mine: Mine, row: sa.RowMapping | dict[str, object]) -> dict[str, object]:
    params = {
        "rule": row["rule"],
        "start": f"{np.datetime64(int(str(row['start'])), 'ms')}Z",
        "revision": row["revision"],
    }
    answer = mine.client.get("/api/v1/explanation", params=params)
    assert answer.status_code == 200, answer.text
    body: dict[str, object] = answer.json()
    return body


def test_every_revision_of_every_verdict_agrees_with_its_explanation(mine: Mine) -> None:
    table = schema.verdict
    rows = mine.record.rows(sa.select(table).order_by(table.c.rule, table.c.start, table.c.revision))
    restated = [row for row in rows if row["revision"]]
    assert restated
    chosen = [*rows[:: len(rows) // 25], *restated[:8]]
    chosen += [row for row in rows if row["start"] in {r["start"] for r in restated[:4]} and not row["revision"]][:4]
    for row in chosen:
        body = explanation(mine, dict(row))
        assert body["agrees"] is True, (dict(row), body["computed"])
        assert body["stored"]["value"] == row["value"]


def test_each_step_has_its_numbers(mine: Mine) -> None:
    table = schema.verdict.c
    rule = "mine/south/db50-418-fugitive"
    start = at("2026-03-01T10:00:00")
    where = (table.rule == rule, table.start == start)
    rows = mine.record.rows(sa.select(schema.verdict).where(*where).order_by(table.revision))
    first, last = rows[0], rows[-1]
    assert last["change"] == "mark: fault"
    before, after = explanation(mine, dict(first)), explanation(mine, dict(last))
    assert [c["slope"] for c in before["calibration"]["corrections"]] == [1.25]
    assert before["calibration"]["highest"] == pytest.approx(before["readings"]["highest"] * 1.25 + 2)
    flags = before["flags"]
    assert sum(flags["flags"].values()) == before["readings"]["readings"]
    assert before["window"]["count"] == flags["valid"]
    assert before["window"]["marks"] == []
    assert [mark["kind"] for mark in after["window"]["marks"]] == ["fault"]
    assert after["window"]["excluded"] == 60
    assert after["window"]["count"] == 0
    assert after["computed"]["reason"] == "no-data"
    assert before["clause"]["standard"]
    assert before["clause"]["high"] == first["high"]
    assert before["rounding"]["judged"] == first["judged"]
    raw = mine.client.get(before["readings"]["href"]).json()["items"]
    assert len(raw) == before["readings"]["readings"]


def test_a_day_is_explained_by_its_hours(mine: Mine) -> None:
    table = schema.verdict.c
    row = mine.record.rows(
        sa.select(schema.verdict).where(
            table.rule == "mine/homes/gb3095-pm10-day-class2", table.verdict != "not assessable"
        )
    )[0]
    hours = explanation(mine, dict(row))["window"]["hours"]
    assert len(hours) == 24
    means = [hour["mean"] for hour in hours if hour["valid"]]
    assert sum(means) / len(means) == pytest.approx(row["value"], rel=1e-9)


def test_revisions_tell_what_changed_and_why(mine: Mine) -> None:
    params = {"rule": "mine/south/db50-418-fugitive", "revisions": "all"}
    items = mine.client.get("/api/v1/verdicts", params=params).json()["items"]
    marked = [item for item in items if item["change"] == "mark: fault"]
    assert marked
    assert all({"verdict", "value", "reason"} <= set(item["differs"]) for item in marked[:1])
    assert all(item["differs"] == [] for item in items if item["revision"] == 0)
    assert sum(item["latest"] for item in items) == len({item["start"] for item in items})
    paged, cursor = [], None
    while True:
        page = {**params, "size": 5} | ({"cursor": cursor} if cursor else {})
        body = mine.client.get("/api/v1/verdicts", params=page).json()
        paged += body["items"]
        cursor = body["next"]
        if cursor is None:
            break
    assert paged == items


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"rule": "mine/south/none"}, 404),
        ({"start": "2020-01-01T00:00:00Z"}, 404),
        ({"revision": 99}, 404),
        ({"revision": -1}, 400),
    ],
)
def test_what_cannot_be_explained_is_told(mine: Mine, change: dict[str, object], status: int) -> None:
    row = mine.record.rows(sa.select(schema.verdict).limit(1))[0]
    params = {"rule": row["rule"], "start": f"{np.datetime64(row['start'], 'ms')}Z"} | change
    assert mine.client.get("/api/v1/explanation", params=params).status_code == status


def test_a_mark_made_after_its_figures_is_late(mine: Mine) -> None:
    items = mine.client.get("/api/v1/marks?site=mine").json()["items"]
    assert [(item["kind"], item["late"]) for item in items] == [("fault", True), ("blasting", False)]
    inside = {
        "site": "mine",
        "from": f"{np.datetime64(EVENING + 13 * HOUR, 'ms')}Z",
        "to": f"{np.datetime64(EVENING + 20 * HOUR, 'ms')}Z",
    }
    assert [item["kind"] for item in mine.client.get("/api/v1/marks", params=inside).json()["items"]] == ["fault"]
    assert mine.client.get("/api/v1/marks?site=mine&station=fence").json()["items"] == []


def test_what_was_not_used_is_shown(mine: Mine) -> None:
    conflicts = mine.client.get("/api/v1/conflicts?site=mine").json()["items"]
    assert len(conflicts) == 3
    own = mine.client.get("/api/v1/conflicts", params={"channel": conflicts[0]["channel"]}).json()["items"]
    assert {item["channel"] for item in own} == {conflicts[0]["channel"]}
    late = mine.client.get("/api/v1/late").json()["items"]
    assert len(late) == 5
    assert all(item["received"] > item["time"] for item in late)
    health = mine.client.get("/api/v1/health?site=mine").json()["items"]
    times = [item["since"] for item in health]
    assert times == sorted(times, reverse=True)
    with mine.record.transaction() as connection:
        for first in (4, 9):
            row = {"site": "mine", "device": "fence", "first": first, "last": first + 2}
            connection.execute(sa.insert(schema.sequence_gap).values(row))
    first = mine.client.get("/api/v1/gaps?size=1").json()
    assert first["items"] == [{"site": "mine", "device": "fence", "first": 4, "last": 6, "messages": 3}]
    second = mine.client.get("/api/v1/gaps", params={"size": 1, "cursor": first["next"]}).json()
    assert [item["first"] for item in second["items"]] == [9]
    assert second["next"] is None


def test_a_period_has_rolling_statistics_too(mine: Mine) -> None:
    params = {
        "site": "mine",
        "from": f"{np.datetime64(EVENING, 'ms')}Z",
        "to": f"{np.datetime64(EVENING + 24 * HOUR, 'ms')}Z",
    }
    items = mine.client.get("/api/v1/exceedance-statistics", params=params).json()["items"]
    period = [item for item in items if item["span"] == "period"]
    assert period
    assert any(item["minutes_assessable"] for item in period)
    assert all(item["minutes_above"] <= item["minutes_assessable"] <= 24 * 60 for item in period)
    long = params | {"from": "2020-01-01T00:00:00Z"}
    assert mine.client.get("/api/v1/exceedance-statistics", params=long).status_code == 400


def test_figures_over_any_window_are_calibrated(mine: Mine) -> None:
    start = f"{np.datetime64(at('2026-03-01T15:00:00'), 'ms')}Z"
    end = f"{np.datetime64(at('2026-03-01T16:00:00'), 'ms')}Z"
    params = {"channel": "mine/south/tsp", "from": start, "to": end}
    (own,) = mine.client.get("/api/v1/statistics", params=params | {"window": "1h"}).json()["items"]
    (legal,) = mine.client.get("/api/v1/statistics", params=params).json()["items"]
    assert own["mean"] == pytest.approx(legal["mean"], rel=1e-9)
