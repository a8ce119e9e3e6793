"""The acceptance file: its page, what a report takes of it, and what of it is refused."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import httpx
import pytest

from greenmine.loading import load_registry
from greenmine.registry import DEFAULT, RegistryError
from tests.api.filling import engine_of
from tests.api.serving import serving
from tests.api.signing import bearer, token_for

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


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with an acceptance file of one mine."""
    folder = tmp_path_factory.mktemp("accepted") / "registry"
    shutil.copytree(DEFAULT, folder)
    with (folder / "sites" / "jiuchi.toml").open("a", encoding="utf-8") as file:
        file.write(_FILE)
    return folder


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[httpx.Client]:
    data = folder.parent
    registry = load_registry(folder)
    engine_of(data / "record.sqlite").dispose()
    headers = bearer(token_for(data))
    with serving(data, registry, registry=folder) as address, httpx.Client(base_url=address, headers=headers) as client:
        yield client


def _words(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


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
