"""The registry by its pages: entries, texts, faults, history, and what others then see."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import NamedTuple

import httpx
import openpyxl
import pytest

from greenmine.loading import load_registry
from greenmine.registry import DEFAULT
from greenmine.times import local
from greenmine.wording.sentences import chinese_sentence
from tests.api.filling import fill
from tests.api.serving import serving
from tests.api.signing import accounts_in, bearer, browser, now, token_for
from tests.records import record_in

SITE = "sites/jiuchi.toml"


class Desk(NamedTuple):
    """An administrator's browser, and what is beneath."""

    client: httpx.Client
    data: Path

    def page(self, name: str = SITE) -> str:
        return unescape(self.client.get("/registry/file", params={"name": name}).text)

    def post(self, path: str, **fields: str | list[str]) -> httpx.Response:
        csrf = re.search(r'name="csrf" value="([^"]+)"', self.client.get("/registry").text)
        assert csrf is not None
        return self.client.post(path, data={"csrf": csrf[1], **fields})

    def save(self, text: str, name: str = SITE, page: str = "") -> httpx.Response:
        found = re.search(r'name="digest" value="(\w+)"', page or self.page(name))
        assert found is not None
        return self.post("/registry/file", name=name, digest=found[1], text=text)

    def text(self, name: str = SITE) -> str:
        return (self.data / "registry" / name).read_text("utf-8")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    data = tmp_path_factory.mktemp("desk")
    shutil.copytree(DEFAULT, data / "registry")
    registry = load_registry(data / "registry")
    engine = fill(record_in(data), registry, now())
    with serving(data, registry) as address, browser(address, data, "boss", "administrator") as client:
        yield Desk(client, data)
    engine.dispose()


def test_an_inspection_is_recorded_and_in_the_reports_of_mine_and_district(desk: Desk) -> None:
    today = local(now(), "Asia/Shanghai").date()
    day, deadline = today - timedelta(days=10), today - timedelta(days=3)
    fields = {"day": f"{day}", "unit": "environment", "finding": "围挡破损", "deadline": f"{deadline}"}
    added = desk.post("/registry/entry", kind="inspections", name=SITE, **{f"entry.{k}": v for k, v in fields.items()})
    assert added.status_code == 303
    assert desk.text().endswith(
        f'\n\n[[inspections]]\nday = {day}\nunit = "environment"\nfinding = "围挡破损"\ndeadline = {deadline}\n'
    )
    headers = bearer(token_for(desk.data))
    periods = {
        f"{day - timedelta(days=20)}..{day - timedelta(days=1)}": set(),
        f"{day}..{deadline}": {"围挡破损"},
        f"{day + timedelta(days=1)}..{today}": {"围挡破损", "逾期未整改"},
    }
    for site in ({"site": "jiuchi"}, {}):
        for period, told in periods.items():
            query = {"period": period, "format": "xlsx", "lang": "zh", **site}
            answer = desk.client.get("/api/v1/report", params=query, headers=headers)
            sheet = openpyxl.load_workbook(io.BytesIO(answer.content))["监督检查情况"]
            cells = {str(cell.value) for row in sheet.iter_rows() for cell in row}
            assert cells & {"围挡破损", "逾期未整改"} == told, (site, period)


def test_a_fault_is_told_and_nothing_is_written(desk: Desk) -> None:
    before = desk.text()
    answer = desk.save(before.replace('role = "boundary"', 'role = "bondary"'))
    assert answer.status_code == 400
    assert "'bondary' is not one of" in unescape(answer.text)
    assert 'role = "bondary"' in unescape(answer.text), "what was typed is not lost"
    assert desk.text() == before
    wrong = desk.post("/registry/entry", kind="stations", name=SITE, **{"entry.id": "x y"})
    assert wrong.status_code == 400
    assert desk.text() == before


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"id": "jiuchi"}, "已有编号为 'jiuchi' 的矿山"),
        ({"id": "Jiu Chi"}, "只能用小写字母"),
        ({"position.latitude": "北纬 30 度"}, "须为数字"),
        ({"position.latitude": "nan"}, "须为数字"),
        ({"position.latitude": "130"}, "须不大于 90"),
        ({"established": "昨天"}, "须为日期"),
    ],
)
def test_what_is_wrong_with_a_new_mine_is_told_in_chinese_and_nothing_is_written(
    desk: Desk, given: dict[str, str], told: str
) -> None:
    whole = {
        "id": "tiefeng", "enterprise": "jiuchi", "name_zh": "铁峰", "name_en": "Tiefeng", "zone": "Asia/Shanghai",
        "product_zh": "石料", "product_en": "Stone", "scale": "10", "batch": "7", "batch_years": "2026", "source": "test",
        "position.latitude": "30.9", "position.longitude": "108.4",
    }  # fmt: skip
    answer = desk.post(
        "/registry/entry", kind="sites", **{f"entry.{name}": value for name, value in (whole | given).items()}
    )
    assert answer.status_code == 400
    (fault,) = re.findall(r'role="alert"><p>.*?<li>(.*?)</li>', unescape(answer.text), re.DOTALL)
    assert told in (chinese_sentence(fault) or fault)
    assert not (desk.data / "registry" / "sites" / "tiefeng.toml").exists()


def test_the_page_of_a_file_tells_how_each_device_sends(desk: Desk) -> None:
    page = desk.page()
    assert re.search(r"mosquitto_pub -h \S+ -p \d+ -q 1 -t greenmine/v1/jiuchi/boundary-noise/readings", page)


def test_what_somebody_else_changed_meanwhile_is_not_overwritten(desk: Desk) -> None:
    old = desk.page()
    assert desk.save(desk.text() + "# one\n").status_code == 303
    answer = desk.save(desk.text() + "# two\n", page=old)
    assert answer.status_code == 400
    assert "changed by somebody else" in answer.text
    assert "# two" not in desk.text()


def test_a_change_is_kept_with_author_and_difference_and_can_be_undone_once(desk: Desk) -> None:
    before = desk.text()
    assert desk.save(before.replace("high = 800", "high = 700", 1)).status_code == 303
    page = desk.page()
    number = re.search(r"/registry/changes/(\d+)/undo", page)
    assert number is not None
    assert "-high = 800\n+high = 700" in page
    assert "boss" in page.split('class="timeline"')[1].split("</ol>")[0]
    assert desk.post(f"/registry/changes/{number[1]}/undo").status_code == 303
    assert desk.text() == before
    assert desk.post(f"/registry/changes/{number[1]}/undo").status_code == 400
    with accounts_in(desk.data) as accounts:
        last, first, *_ = [entry for entry in accounts.audit.read(None) if entry.action == "registry-edited"]
    assert (first.site, first.name, first.subject) == ("jiuchi", "boss", SITE)
    assert (last.detail["before"], last.detail["after"]) == (first.detail["after"], first.detail["before"])
    assert desk.client.get("/api/v1/audit", params={"size": 5}).status_code == 200


def test_a_stricter_target_is_on_the_tile_at_once(desk: Desk) -> None:
    target = (
        '\n[[stations.targets]]\nlimit = "gb29620-boundary-tsp"\nhigh = 432\nvalid_from = 2026-01-01\nsource = "own"\n'
    )
    marker = '\n[[stations]]\nid = "receptor"'
    assert desk.save(desk.text().replace(marker, target + marker, 1)).status_code == 303
    assert "≤ 432" in desk.client.get("/sites/jiuchi").text


def test_a_file_that_is_none_of_the_registry_cannot_be_reached(desk: Desk) -> None:
    for name in ("../accounts.sqlite", "sites/../../accounts.sqlite", "sites/nobody.toml", "/etc/passwd"):
        assert desk.client.get("/registry/file", params={"name": name}).status_code == 404
        assert desk.post("/registry/file", name=name, digest="", text="id = 1").status_code in {400, 404}
