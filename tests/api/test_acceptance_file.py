"""The acceptance file: its page, what a report takes of it, and what of it is refused."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from html import unescape
from pathlib import Path

import httpx
import pytest

from greenmine.loading import load_registry
from greenmine.registry import DEFAULT, RegistryError
from greenmine.times import local
from tests.api.filling import fill
from tests.api.serving import serving
from tests.api.signing import bearer, now, token_for
from tests.records import record_in

_FILE = """
[[stages]]
stage = "filed"
day = 2019-03-01
by = "万州区国土房管局"
file = "filed.pdf"

[[approvals]]
kind = "environment"
number = "渝（万）环准〔2018〕7号"
issuer = "万州区环境保护局"
day = 2018-05-02
limits = ["gb12348-class2-day"]

[[inspections]]
day = 2026-03-02
unit = "environment"
finding = "堆场未覆盖"
deadline = 2026-04-01
"""
_REFERENCE = """
[[references]]
station = "boundary"
parameter = "tsp"
start = {start}
end = {end}
value = {value}
laboratory = "某检测公司"
certificate = "CMA 1"
method = "GB/T 15432"
document = "{document}"
"""


@pytest.fixture(scope="module")
def sampled() -> list[datetime]:
    """Begin of two hours that a laboratory sampled: one of the filled day, one of long before."""
    hour = local(now(), "Asia/Shanghai").replace(minute=0, second=0, microsecond=0)
    return [hour - timedelta(hours=4), hour - timedelta(days=40)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, sampled: list[datetime]) -> Path:
    """A registry with an acceptance file of one mine."""
    folder = tmp_path_factory.mktemp("accepted") / "registry"
    shutil.copytree(DEFAULT, folder)
    with (folder / "sites" / "jiuchi.toml").open("a", encoding="utf-8") as file:
        file.write(_FILE)
        for n, start in enumerate(sampled):
            end = start + timedelta(hours=1)
            file.write(_REFERENCE.format(start=start.isoformat(), end=end.isoformat(), value=200.0, document=f"R{n}"))
    return folder


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[httpx.Client]:
    data = folder.parent
    registry = load_registry(folder)
    fill(record_in(data), registry, now()).dispose()
    headers = bearer(token_for(data))
    with serving(data, registry, registry=folder) as address, httpx.Client(base_url=address, headers=headers) as client:
        yield client


def _words(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def test_laboratory_results_stand_beside_the_online_hours_with_bias_and_number(
    client: httpx.Client, sampled: list[datetime]
) -> None:
    query = {"channel": "jiuchi/boundary/tsp", "window": "hour", "from": sampled[0].isoformat(), "size": 1}
    (hour,) = client.get("/api/v1/statistics", params=query).raise_for_status().json()["items"]
    told = _words(client.get("/sites/jiuchi/file", params={"lang": "en"}).raise_for_status().text)
    (bias, count) = re.findall(r"Bias (\S+) μg/m³, n = (\d+)", told)[0]
    assert float(bias.replace("−", "-")) == pytest.approx(hour["mean"] - 200.0, rel=0.01, abs=0.5)
    assert count == "1", "of the hour long before nothing was recorded online"


def test_the_page_shows_stages_approvals_and_what_each_limit_rests_on(client: httpx.Client) -> None:
    html = client.get("/sites/jiuchi/file", params={"lang": "zh"}).raise_for_status().text
    told = _words(html)
    assert "备案 2019-03-01 万州区国土房管局 filed.pdf 文件缺失" in told
    assert "2026-03-02 环保 堆场未覆盖 2026-04-01 逾期未整改" in told
    rows = [_words(row) for row in re.findall(r"<tr>.*?</tr>", html.split('id="bases"', 1)[1], re.DOTALL)]
    named = [row for row in rows if "渝（万）环准〔2018〕7号" in row]
    assert len(named) == 1
    assert "昼间" in named[0]
    assert any("未登记批复依据" in row for row in rows)
    assert "no approval on file names it" in _words(client.get("/sites/hengjie/file", params={"lang": "en"}).text)


def test_an_approval_that_names_no_limit_of_the_catalogue_is_refused(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "registry"
    shutil.copytree(folder, other)
    path = other / "sites" / "jiuchi.toml"
    path.write_text(path.read_text("utf-8").replace('gb12348-class2-day"]', 'gb12348-class2-dya"]'), "utf-8")
    with pytest.raises(RegistryError, match=r"approvals.*limits: there is no limit 'gb12348-class2-dya'"):
        load_registry(other)
