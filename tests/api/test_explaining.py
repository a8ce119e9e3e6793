"""Explanations, revisions, marks and bookkeeping of a record that the pipeline itself has filled."""

from __future__ import annotations

import csv
import io
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from datetime import datetime
from html import unescape
from pathlib import Path
from typing import NamedTuple

import docx
import httpx
import numpy as np
import openpyxl
import pypdfium2
import pytest
import sqlalchemy as sa

from greenmine.readings import Readings
from greenmine.record import schema
from greenmine.record.record import Record, migrate, open_engine
from greenmine.record.writer import Pipeline
from greenmine.registry import Registry
from tests.api.serving import serving
from tests.api.signing import bearer, token_for
from tests.processing.mine import EVENING, HOUR, MINUTE, at, batch_of, feed, registry_of
from tests.processing.streams import far_later, pieces, stream
from tests.records import record_in

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
    engine = open_engine(record_in(folder))
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
    with (
        serving(folder, registry, registry=folder / "registry") as address,
        httpx.Client(base_url=address, headers=headers, timeout=20) as client,
    ):
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


def test_a_mark_is_told_with_who_made_it_and_when(mine: Mine) -> None:
    where = {"rule": "mine/south/db50-418-fugitive", "start": at("2026-03-01T10:00:00"), "revision": 1}
    (mark,) = explanation(mine, where)["window"]["marks"]
    assert (mark["author"], mark["reason"], mark["station"]) == ("li", "hose off", "south")
    assert mark["made"].startswith("2026-03-03T19:37:00")


def test_rain_and_wind_are_told_minute_by_minute(mine: Mine) -> None:
    """Where no mark takes minutes out, the weather's stretches together are the minutes excluded."""
    table = schema.verdict.c
    rows = mine.record.rows(sa.select(schema.verdict).where(table.rule.like("mine/%/gb12348%"), table.latest))
    seen = 0
    for row in rows:
        window = explanation(mine, dict(row))["window"]
        if window["marks"] or not window["excluded"]:
            continue
        minutes = set()
        for one in window["weather"]:
            first, last = (int(np.datetime64(one[edge][:19], "m").astype(int)) for edge in ("start", "end"))
            minutes.update(range(first, last))
        assert len(minutes) >= window["excluded"] > 0
        seen += 1
    assert seen


@pytest.mark.parametrize(("language", "marked"), [("zh", "标注：故障"), ("en", "mark: Fault")])
def test_the_page_shows_the_readings_with_the_mark_that_takes_them_out(mine: Mine, language: str, marked: str) -> None:
    params = {"rule": "mine/south/db50-418-fugitive", "start": "2026-03-01T10:00:00+08:00", "lang": language}
    page = mine.client.get("/explanation", params=params)
    assert page.status_code == 200
    assert page.text.count(marked) == 60
    assert "hose off" in page.text
    assert "greenmine judge --registry registry" in page.text
    assert "→" not in page.text, "a figure that is compared as it is was not rounded"
    chart = mine.client.get("/explanation/chart", params=params).json()
    assert len(chart["datasets"]["points"]) == 60
    assert [note["note"].split()[-2:] for note in chart["datasets"]["notes"]] == [["hose", "off"]]


def test_the_tile_and_the_table_of_a_mine_lead_to_the_page(mine: Mine) -> None:
    page = mine.client.get("/sites/mine", params={"lang": "en"}).text
    links = [unescape(link) for link in re.findall(r'href="(/explanation\?[^"]+)"', page)]
    assert links
    assert {mine.client.get(link).status_code for link in set(links)} == {200}


@pytest.mark.parametrize("rule", ["mine/south/db50-418-fugitive", "mine/homes/gb3095-pm10-day-class2"])
def test_the_command_of_a_recomputation_comes_to_the_same_verdict(mine: Mine, rule: str, tmp_path: Path) -> None:
    table = schema.verdict.c
    row = mine.record.rows(
        sa.select(schema.verdict).where(table.rule == rule, table.latest, table.verdict != "not assessable")
    )[-1]
    params = {"rule": rule, "start": f"{np.datetime64(row['start'], 'ms')}Z"}
    answer = mine.client.get("/api/v1/explanation/recomputation", params=params)
    assert answer.status_code == 200, answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        archive.extractall(tmp_path)
    (command,) = (line for line in (tmp_path / "README.txt").read_text().splitlines() if line.startswith("greenmine "))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        command, shell=True, cwd=tmp_path, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False
    )
    found = [
        one
        for one in csv.DictReader(done.stdout.splitlines())
        if datetime.fromisoformat(one["period_start"]).timestamp() * 1000 == row["start"]
    ]
    assert [(one["rule"], one["judgement"]) for one in found] == [(rule, row["verdict"])], done.stderr
    assert float(found[0]["value"]) == pytest.approx(row["value"], rel=1e-9)


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


DAY = {"site": "mine", "period": "2026-03-01"}


def report(mine: Mine, **given: str) -> bytes:
    answer = mine.client.get("/api/v1/report", params=DAY | given)
    assert answer.status_code == 200, answer.text
    return answer.content


def test_a_day_report_has_the_figures_of_the_record_and_formulas_that_agree_with_them(mine: Mine) -> None:
    content = report(mine, format="xlsx")
    shown = openpyxl.load_workbook(io.BytesIO(content), data_only=True)["粉尘"]
    written = openpyxl.load_workbook(io.BytesIO(content))["粉尘"]
    stations = {str(area).split(":")[0]: shown[str(area).split(":")[0]].value for area in shown.merged_cells.ranges}
    assert "时间" in stations.values()
    column = next(c for c in range(2, shown.max_column + 1) if shown.cell(4, c).value == "TSP")
    cells = [shown.cell(6 + hour, column).value for hour in range(24)]
    table = schema.statistic.c
    rows = mine.record.rows(
        sa.select(schema.statistic.c.mean, schema.statistic.c.start)
        .join(schema.channel, schema.channel.c.id == table.channel)
        .where(table.latest, table.window == "hour", table.valid, table.start >= at("2026-03-01T00:00:00"))
        .where(schema.channel.c.key.like("mine/%/tsp"), table.start < at("2026-03-02T00:00:00"))
    )
    figures = [cell for cell in cells if isinstance(cell, float | int)]
    assert figures
    assert {round(figure, 9) for figure in figures} <= {round(row["mean"], 9) for row in rows}
    assert shown.cell(30, column).value == pytest.approx(np.mean(figures))
    assert shown.cell(31, column).value == pytest.approx(max(figures))
    formula = written.cell(30, column).value
    assert "AVERAGE(" in formula.text


def test_levels_are_averaged_by_their_energy_in_the_formula_too(mine: Mine) -> None:
    sheet = openpyxl.load_workbook(io.BytesIO(report(mine, format="xlsx")))["噪声"]
    assert "10*LOG10(SUM(" in sheet.cell(30, 2).value.text


@pytest.mark.parametrize("period", ["2026-03-01", "2026-W09", "2026-03", "2026-Q1", "2026", "2026-H1"])
def test_a_report_of_any_period_is_made_for_a_mine_and_for_the_district(mine: Mine, period: str) -> None:
    names = openpyxl.load_workbook(io.BytesIO(report(mine, period=period, lang="en"))).sheetnames
    assert names[:2] == ["Conclusions", "Data and handling"]
    assert names[-3:] == ["Limits", "Inspections", "Exceedances"]
    district = mine.client.get("/api/v1/report", params={"period": period, "lang": "en"})
    assert openpyxl.load_workbook(io.BytesIO(district.content)).sheetnames == [
        "Conclusions",
        "Data and handling",
        "Inspections",
        "Exceedances",
    ]


def test_pdf_and_docx_tell_what_the_worksheet_tells(mine: Mine) -> None:
    sheet = openpyxl.load_workbook(io.BytesIO(report(mine, format="xlsx")), data_only=True)["噪声"]
    mean = f"{sheet.cell(30, 2).value:.1f}"
    pages = pypdfium2.PdfDocument(report(mine, format="pdf"))
    text = "".join(page.get_textpage().get_text_range() for page in pages)
    assert "绿色矿山环境监测日报" in text
    assert mean in text
    document = docx.Document(io.BytesIO(report(mine, format="docx")))
    assert mean in {cell.text for table in document.tables for row in table.rows for cell in row.cells}


def test_a_period_to_come_has_no_report(mine: Mine) -> None:
    answer = mine.client.get("/api/v1/report", params={"site": "mine", "period": "2199-01"})
    assert answer.status_code == 400
    assert "still to come" in answer.text
