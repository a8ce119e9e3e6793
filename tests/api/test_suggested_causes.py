"""Suggested causes on the list of exceedances: page, API and worksheet, named as what they are."""

from __future__ import annotations

import io
import re
from html import unescape

import openpyxl
import pytest

from tests.api.conftest import Served
from tests.api.filling import LOUD


def items(served: Served) -> list[dict[str, object]]:
    return served.client.get("/api/v1/exceedances", params={"site": LOUD, "size": 100}).json()["items"]  # type: ignore[no-any-return]


def test_dust_that_is_over_has_its_suggestion_and_nothing_else_has(served: Served) -> None:
    parameters = {channel.parameter.id: channel.parameter.theme for channel in served.registry.channels}
    told = {
        (parameters[str(i["parameter"])], i["state"]): (i["suggested_cause"], i["suggested_share"])
        for i in items(served)
    }
    assert told["dust", "closed"] == ("outside", 0.8)
    assert {found for key, found in told.items() if key != ("dust", "closed")} == {(None, None)}
    assert ("noise", "closed") in told


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", "Suggested: dust from outside (80.0 %)"), ("zh", "系统建议：外来扬尘（80.0 %）")],
)
def test_the_page_calls_it_a_suggestion(served: Served, language: str, words: str) -> None:
    answer = served.client.get(f"/sites/{LOUD}/exceedances", params={"lang": language}, headers={"Accept": "text/html"})
    text = (
        re.sub(r"\s+", " ", unescape(re.sub("<[^>]+>", " ", answer.text))).replace("\u202f", " ").replace("\xa0", " ")
    )
    assert words.replace(" %", "%") in text.replace(" %", "%")


def test_the_worksheet_names_it_as_computed(served: Served) -> None:
    query = {"site": LOUD, "format": "xlsx", "lang": "en"}
    answer = served.client.get("/api/v1/exceedances", params=query)
    heads, *rows = openpyxl.load_workbook(io.BytesIO(answer.content)).active.iter_rows(values_only=True)
    place = heads.index("Suggested cause (computed, no finding)")
    assert {row[place] for row in rows} == {"dust from outside", None}
