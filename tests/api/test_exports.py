"""Lists as whole files: every format, any length, harmless to spreadsheets."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from typing import Any

import httpx
import msgspec
import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec import structs
from sqlalchemy import insert

from greenmine.api.http.batches import arrow_schema
from greenmine.api.http.formats import TooManyRowsError
from greenmine.api.http.items import GapItem, InformationItem, LoggerGapItem, MarkItem, ReportedItem, SideItem
from greenmine.api.http.sheets import SheetWords
from greenmine.api.http.tables import written
from greenmine.api.http.uploads import UploadItem
from greenmine.record import schema
from greenmine.registry import Registry
from greenmine.times import DAY, HOUR, MINUTE, local
from greenmine.wording.messages import LANGUAGES, Language
from tests.api.conftest import Served
from tests.api.filling import LOUD, add_reading, number_of

CHANNEL = f"{LOUD}/boundary/tsp"
LISTS = [
    f"/api/v1/readings?channel={CHANNEL}",
    f"/api/v1/readings?site={LOUD}&station=boundary",
    f"/api/v1/statistics?channel={CHANNEL}",
    "/api/v1/verdicts?revisions=all",
    "/api/v1/exceedances",
    "/api/v1/ledger",
    "/api/v1/rejections",
    "/api/v1/health",
]


def lines_of(answer: httpx.Response) -> list[dict[str, object]]:
    return [msgspec.json.decode(line) for line in answer.content.splitlines()]


@pytest.mark.parametrize("path", LISTS)
def test_every_format_holds_the_same_rows(served: Served, path: str) -> None:
    # Of readings the last day is given, and a minute may pass between two requests.
    period = {"to": local(served.now, "UTC").isoformat()} if "/readings" in path else {}

    def get(name: str) -> httpx.Response:
        answer = served.client.get(httpx.URL(path).copy_merge_params({"format": name, **period}))
        assert answer.status_code == 200
        assert answer.headers["content-disposition"].startswith("attachment; filename=")
        assert answer.headers["content-disposition"].endswith(f'.{name}"')
        return answer

    rows = lines_of(get("ndjson"))
    assert rows
    text = list(csv.DictReader(io.StringIO(get("csv").text)))
    arrow = pa.ipc.open_stream(get("arrow").content).read_all()
    parquet = pq.read_table(io.BytesIO(get("parquet").content))
    sheet = openpyxl.load_workbook(io.BytesIO(get("xlsx").content), read_only=True)["data"]
    cells = list(sheet.iter_rows(values_only=True))
    assert len(rows) == len(text) == arrow.num_rows == parquet.num_rows == len(cells) - 1
    assert list(rows[0]) == list(text[0]) == arrow.column_names == parquet.column_names
    for name in rows[0]:
        numbers = [row[name] for row in rows if isinstance(row[name], float)]
        assert numbers == [v for v in parquet[name].to_pylist() if isinstance(v, float)]
        if numbers:
            assert [float(row[name]) for row in text if row[name]] == pytest.approx(numbers, rel=1e-12)
    assert arrow.equals(parquet.cast(arrow.schema))


def test_a_file_begins_where_pages_do_and_goes_on_to_the_end(served: Served) -> None:
    path = f"/api/v1/readings?channel={CHANNEL}"
    paged, cursor = [], None
    while True:
        page = {"size": 333} | ({"cursor": cursor} if cursor else {})
        body = served.client.get(httpx.URL(path).copy_merge_params(page)).json()
        paged += body["items"]
        cursor = body["next"]
        if cursor is None:
            break
    rows = lines_of(served.client.get(path + "&format=ndjson"))
    assert [row["value"] for row in rows] == [item["value"] for item in paged]
    assert {row["channel"] for row in rows} == {CHANNEL}


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("text/csv", "text/csv; charset=utf-8"),
        ("application/vnd.apache.parquet;q=0.9, */*", "application/vnd.apache.parquet"),
        ("application/json", "application/json"),
        ("*/*", "application/json"),
    ],
)
def test_the_accept_header_chooses_the_format(served: Served, accept: str, media: str) -> None:
    answer = served.client.get("/api/v1/exceedances", headers={"Accept": accept})
    assert answer.headers["content-type"] == media
    assert "Accept" in answer.headers["vary"]


@pytest.mark.parametrize("name", ["size=5", "cursor=1"])
def test_a_file_has_no_pages(served: Served, name: str) -> None:
    answer = served.client.get(f"/api/v1/ledger?format=csv&{name}")
    assert answer.status_code == 400
    assert "pages of JSON" in answer.json()["detail"]


def test_pages_of_readings_are_of_one_channel(served: Served) -> None:
    assert "channel: required" in served.client.get(f"/api/v1/readings?site={LOUD}").json()["detail"]
    assert served.client.get(f"/api/v1/readings?site={LOUD}&channel={CHANNEL}").status_code == 400
    assert served.client.get(f"/api/v1/readings?site={LOUD}&station=none&format=csv").status_code == 404
    assert served.client.get("/api/v1/readings?site=nowhere&format=csv").status_code == 404


HOSTILE = ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(1)", "\t=1", "\r=1", "＝1+1", '="a";"b"', "=1,2\n=3"]


def test_no_cell_of_a_csv_begins_a_formula(live: Served) -> None:
    with live.engine.begin() as connection:
        connection.execute(
            insert(schema.rejection),
            [
                {
                    "received": live.now, "site": LOUD, "device": text, "topic": "t", "reason": "not-json", "detail": text,
                    "readings": 1, "size": 1, "payload": b"",
                }
                for text in HOSTILE
            ],
        )  # fmt: skip
    rows = list(
        csv.DictReader(io.StringIO(live.client.get("/api/v1/rejections?format=csv").content.decode(), newline=""))
    )
    details = [row["detail"] for row in rows if row["detail"].lstrip("'") in HOSTILE]
    assert sorted(details) == sorted(f"'{text}" for text in HOSTILE)
    book = openpyxl.load_workbook(io.BytesIO(live.client.get("/api/v1/rejections?format=xlsx").content))
    assert {cell.data_type for row in book["data"].iter_rows() for cell in row} <= {"s", "n", "d"}


def test_numbers_stay_numbers_in_a_csv(live: Served, registry: Registry) -> None:
    channel = next(c for c in registry.channels if c.parameter.id == "air-temperature")
    add_reading(live.engine, channel, live.now + MINUTE, -7.5)
    add_reading(live.engine, channel, live.now + 2 * MINUTE, float("nan"), "D")
    start = f"{np.datetime64(live.now + 1, 'ms')}Z"
    answer = live.client.get(
        "/api/v1/readings",
        params={"channel": channel.key, "from": start, "to": "2100-01-01T00:00:00Z", "format": "csv"},
    )
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["value"], row["flag"]) for row in rows] == [("-7.5", "N"), ("", "D")]
    marked = live.client.get("/api/v1/ledger?format=csv&bom=true").content
    assert marked.startswith(b"\xef\xbb\xbf")
    assert not answer.content.startswith(b"\xef\xbb\xbf")


def test_times_are_on_the_clock_of_the_mine(served: Served) -> None:
    text = served.client.get(f"/api/v1/readings?channel={CHANNEL}&format=csv").text
    times = [row["time"] for row in csv.DictReader(io.StringIO(text))]
    assert all(time.endswith("+08:00") for time in times)
    arrow = pa.ipc.open_stream(served.client.get(f"/api/v1/readings?channel={CHANNEL}&format=arrow").content).read_all()
    assert str(arrow.schema.field("time").type) == "timestamp[ms, tz=Asia/Shanghai]"


def test_a_list_too_long_for_a_worksheet_is_told_before_it_is_written() -> None:
    columns = pa.schema([("n", pa.int64())])
    batch = pa.record_batch([pa.array(np.zeros(1 << 20, np.int64))], columns)
    with pytest.raises(TooManyRowsError):
        next(written("xlsx", columns, iter([batch]), "UTC"))


def test_readings_too_many_for_a_worksheet_are_a_problem(live: Served, registry: Registry) -> None:
    channel = next(c for c in registry.channels if c.key == CHANNEL)
    with live.engine.begin() as connection:
        block = {"channel": number_of(channel), "received": 0, "data": b"", "count": 3_000_000}
        connection.execute(insert(schema.reading_block).values(hour=live.now // HOUR - 1, **block))
    answer = live.client.get(f"/api/v1/readings?channel={CHANNEL}&format=xlsx")
    assert answer.status_code == 400
    assert "1,048,576" in answer.json()["detail"]


@pytest.mark.parametrize("path", [*LISTS, "/api/v1/sites", "/api/v1/latest", f"/api/v1/chart?channel={CHANNEL}"])
def test_what_has_not_changed_is_not_sent_again(served: Served, path: str) -> None:
    now = f"{np.datetime64(served.now // MINUTE * MINUTE, 'ms')}Z"
    url = httpx.URL(path)
    if "readings" in path or "chart" in path:
        url = url.copy_merge_params({"format": "csv"} if "site=" in path else {})
        url = url.copy_merge_params({"from": f"{np.datetime64(served.now - DAY, 'ms')}Z", "to": now})
    for _ in range(2):  # a minute may end in between
        tag = served.client.get(url).headers["etag"]
        again = served.client.get(url, headers={"If-None-Match": tag})
        if again.status_code == 304:
            break
    assert again.status_code == 304
    assert again.content == b""
    assert again.headers["etag"] == tag
    assert served.client.get(url, headers={"If-None-Match": 'W/"other"'}).status_code == 200


def test_a_new_reading_changes_the_tag(live: Served, registry: Registry) -> None:
    channel = next(c for c in registry.channels if c.key == CHANNEL)
    params = {"channel": CHANNEL, "from": f"{np.datetime64(live.now - HOUR, 'ms')}Z", "to": "2100-01-01T00:00:00Z"}
    tag = live.client.get("/api/v1/readings", params=params).headers["etag"]
    add_reading(live.engine, channel, live.now + MINUTE, 1.0)
    again = live.client.get("/api/v1/readings", params=params, headers={"If-None-Match": tag})
    assert again.status_code == 200
    assert again.headers["etag"] != tag


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_column_of_a_list_has_a_head(registry: Registry, language: Language) -> None:
    kinds = (GapItem, InformationItem, LoggerGapItem, MarkItem, ReportedItem, SideItem, UploadItem)
    for kind in kinds:
        columns = arrow_schema(kind)
        told, _ = SheetWords(language, registry).table(columns, [])
        assert not [name for name in columns.names if not SheetWords(language, registry).has_text(f"sheet.{name}")]
        assert len(set(told.names)) == len(told.names)


@pytest.mark.parametrize("path", [path for path in LISTS if "exceedances" not in path])
def test_a_worksheet_for_people_has_its_heads_and_names_in_their_language(served: Served, path: str) -> None:
    def cells(**more: str) -> list[tuple[Any, ...]]:
        answer = served.client.get(httpx.URL(path).copy_merge_params({"format": "xlsx", **more}))
        assert answer.status_code == 200, answer.text
        book = openpyxl.load_workbook(io.BytesIO(answer.content), read_only=True)
        return list(book["data"].iter_rows(values_only=True))

    plain, told, english = cells(), cells(lang="zh"), cells(lang="en")
    assert len(plain) == len(told) == len(english) > 1
    for head in told[0]:
        assert re.search(r"[\u4e00-\u9fff]|^L\d0$", head), head
    assert not {head for head in english[0] if re.search(r"[\u4e00-\u9fff]", head)}
    for was, row in zip(plain[1:], told[1:], strict=True):
        numbers = [value for value in was if not isinstance(value, str)]
        assert [value for value in row if not isinstance(value, str)] == numbers
        assert not {LOUD, CHANNEL, "boundary"} & set(row)


@pytest.mark.parametrize("format_", ["json", "csv", "parquet"])
def test_words_are_for_worksheets(served: Served, format_: str) -> None:
    path = f"/api/v1/readings?channel={CHANNEL}&lang=zh&format={format_}"
    answer = served.client.get(path if format_ != "json" else f"/api/v1/verdicts?site=kunyin&lang=zh&format={format_}")
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("lang: belongs to worksheets")


def test_a_station_goes_by_the_name_of_its_own_mine_and_no_indicative_verdict_reads_as_compliance(
    registry: Registry,
) -> None:
    renamed = [
        structs.replace(
            site, stations=tuple(structs.replace(one, name_zh=f"{site.id}的{one.id}") for one in site.stations)
        )
        for site in registry.sites
    ]
    words = SheetWords("zh", replace(registry, sites=tuple(renamed)))
    rows = [
        (site.id, "boundary", verdict, standing)
        for site in registry.sites
        for verdict in ("meets", "exceeds", "not assessable")
        for standing in ("statutory", "indicative")
    ]
    names = ("site", "station", "verdict", "standing")
    batch = pa.record_batch([pa.array(column) for column in zip(*rows, strict=True)], names=names)
    _, told = words.table(batch.schema, [batch])
    found = next(told).to_pydict()
    assert found["监测点"] == [f"{site}的boundary" for site, *_ in rows]
    for (_, _, verdict, standing), said in zip(rows, found["判定"], strict=True):
        assert said == words.conclusion(verdict, standing)
        assert (said == "达标") is ((verdict, standing) == ("meets", "statutory"))
