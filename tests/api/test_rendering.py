from __future__ import annotations

import ast
import re
import string
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from jinja2 import Environment

from greenmine import api
from greenmine.api.pages.wording import Wording
from greenmine.clauses import in_chinese
from greenmine.record import schema
from greenmine.registry import Registry
from greenmine.wording.messages import LANGUAGES, Language, texts
from tests.api.conftest import Served
from tests.api.filling import LOUD, add_reading
from tests.api.signing import bearer, token_for

PAGES = ["/", f"/sites/{LOUD}", "/sites/jiuchi", "/sites/yanjing"]
TEMPLATES = sorted((Path(api.__file__).parent / "templates").glob("*.html"))
SPOKEN = {"title", "aria-label", "alt", "placeholder", "content"}


class Texts(HTMLParser):
    """Collects what a reader would see or hear."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.ids: list[str] = []

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())

    def handle_starttag(self, _: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.texts += [value.strip() for name, value in attrs if name in SPOKEN and value and "name" not in named]
        self.ids += [value for name, value in attrs if name == "id" and value]


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_have_the_same_texts() -> None:
    zh, en = (texts("greenmine.api", language) for language in LANGUAGES)
    assert set(zh) == set(en)
    assert [key for key in zh if placeholders(zh[key]) != placeholders(en[key])] == []


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_templates_hold_no_text_of_their_own(template: Path) -> None:
    source = re.sub(r"{%.*?%}|{{.*?}}|{#.*?#}", "", template.read_text("utf-8"), flags=re.DOTALL)
    parser = Texts()
    parser.feed(source)
    assert [text for text in parser.texts if re.search(r"[^\W\d_]", text)] == []
    assert "style=" not in source


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_templates_name_only_texts_that_exist(template: Path) -> None:
    source = template.read_text("utf-8")
    Environment(autoescape=True).parse(source)
    keys = re.findall(r"\bt\('([a-z0-9.-]+)'(?! ~)", source)
    assert [key for key in keys if not key.endswith(".") and key not in texts("greenmine.api", "en")] == []


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", PAGES)
def test_pages_render_with_data(served: Served, path: str, language: Language) -> None:
    answer = served.client.get(path, params={"lang": language})
    assert answer.status_code == 200
    assert answer.headers["content-language"] == language
    told = (text for key, text in texts("greenmine.api", language).items() if key.startswith("conclusion."))
    assert any(text in answer.text for text in told if "{" not in text)
    assert texts("greenmine.api", language)["exceedance.heading"] in answer.text
    parser = Texts()
    parser.feed(answer.text)
    assert len(parser.ids) == len(set(parser.ids)) > 3
    assert "None" not in parser.texts


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", PAGES)
def test_pages_render_without_a_record(bare: httpx.Client, path: str, language: Language) -> None:
    answer = bare.get(path, params={"lang": language})
    assert answer.status_code == 200
    assert texts("greenmine.api", language)["exceedance.none"] in answer.text
    assert texts("greenmine.api", language)["collector.none"] in answer.text
    assert texts("greenmine.api", language)["card.no-data"] in answer.text
    assert texts("greenmine.api", language)["verdict.meets"] not in answer.text


def test_the_overview_names_every_mine_in_both_languages(served: Served, registry: Registry) -> None:
    text = served.client.get("/", params={"lang": "zh"}).text
    assert len(registry.sites) == 5
    for site in registry.sites:
        assert site.name_zh in text
        assert site.name_en in text


def test_verdicts_are_told_with_their_reasons(served: Served) -> None:
    text = served.client.get("/", params={"lang": "en"}).text
    assert "14 valid hours, 20 required" in text
    assert "above the limit of 60" in text
    assert "too little wind to tell upwind from downwind" in text


@pytest.mark.parametrize(
    ("headers", "language"),
    [
        ({}, "zh"),
        ({"Accept-Language": "en-GB,en;q=0.9"}, "en"),
        ({"Accept-Language": "fr, zh-CN;q=0.5, en;q=0.8"}, "en"),
        ({"Accept-Language": "fr"}, "zh"),
        ({"Accept-Language": "en;q=broken"}, "zh"),
        ({"Accept-Language": "en", "Cookie": "lang=zh"}, "zh"),
        ({"Cookie": "lang=en"}, "en"),
        ({"Cookie": "lang=xx"}, "zh"),
    ],
)
def test_the_language_follows_cookie_and_browser(served: Served, headers: dict[str, str], language: str) -> None:
    answer = httpx.get(served.client.base_url, headers=headers | bearer(token_for(served.data)))
    assert answer.headers["content-language"] == language


def test_a_chosen_language_is_remembered(served: Served) -> None:
    with httpx.Client(base_url=served.client.base_url, headers=bearer(token_for(served.data))) as client:
        answer = client.get("/", params={"lang": "en"})
        assert "HttpOnly" in answer.headers["set-cookie"]
        assert client.get("/sites/jiuchi").headers["content-language"] == "en"


@pytest.mark.parametrize("days", [1, 7])
@pytest.mark.parametrize("parameter", ["tsp", "pm10", "laeq", "rain"])
def test_charts_carry_points_and_limit_lines(served: Served, parameter: str, days: int) -> None:
    spec = served.client.get(f"/sites/{LOUD}/charts/{parameter}", params={"days": days, "lang": "en"}).json()
    assert len(spec["datasets"]["points"]) > 20
    heights = {step["value"] for step in spec["datasets"].get("limits", [])}
    assert heights == {"tsp": {1000}, "pm10": {120}, "laeq": {60, 50}, "rain": set()}[parameter]


def test_limit_lines_of_sound_step_at_six_and_ten(served: Served) -> None:
    spec = served.client.get(f"/sites/{LOUD}/charts/laeq", params={"days": 1}).json()
    inner = sorted(step["time"] for step in spec["datasets"]["limits"])[1:]
    assert {time[11:16] for time in inner} <= {"06:00", "22:00", *(step[11:16] for step in inner[:1])}
    nights = [step for step in spec["datasets"]["limits"] if step["value"] == 50]
    assert nights
    assert all(step["time"][11:16] == "22:00" or step["end"][11:16] == "06:00" for step in nights)


def test_an_unhealthy_reading_is_told_in_words(live: Served) -> None:
    channel = next(channel for channel in live.registry.channels if channel.key == f"{LOUD}/boundary/tsp")
    add_reading(live.engine, channel, live.now + 1_000, 1.0, flag="M")
    assert "flagged M (maintenance)" in live.client.get(f"/sites/{LOUD}", params={"lang": "en"}).text


def test_the_bundle_is_made_once_and_kept(served: Served) -> None:
    first = served.client.get("/static/vega.js")
    assert first.headers["content-type"].startswith("text/javascript")
    assert "window.vegaEmbed" in first.text
    assert served.client.get("/static/vega.js").headers["etag"] == first.headers["etag"]


def test_every_clause_of_the_catalogue_has_chinese_words(registry: Registry) -> None:
    every = registry.limits.values()
    citations = {f"{limit.standard} {step.clause}" for limit in every for step in limit.thresholds}
    citations |= {step.source for limit in every for step in limit.thresholds}
    citations |= {rule.source for limit in every for rule in (limit.validity, limit.rounding)}
    assert len(citations) > 10
    for citation in citations:
        words = re.findall(r"[A-Za-z]{2,}", in_chinese(citation))
        assert set(words) <= {"GB", "DB", "HJ", "dB"}, citation


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_standard_of_the_catalogue_has_its_title(registry: Registry, language: Language) -> None:
    wording = Wording(language, registry)
    assert [limit.standard for limit in registry.limits.values() if not wording.standard(limit.standard)] == []


def test_the_audit_page_speaks_the_readers_language(served: Served) -> None:
    form = {"kind": "comment", "text": "seen"}
    number = served.client.get("/api/v1/exceedances").json()["items"][0]["id"]
    assert served.client.post(f"/api/v1/exceedances/{number}/handling", json=form).status_code == 201
    page = served.client.get("/audit", params={"lang": "zh"}, headers={"Accept": "text/html"}).text
    assert f"超标事件 {number}" in page
    assert f"exceedance {number}" not in page


def test_the_audit_log_has_words_for_all_that_is_noted() -> None:
    noted: set[str] = set()
    for path in (Path(__file__).parents[2] / "api").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "audit.add":
                noted.update(f"fact.{keyword.arg}" for keyword in node.keywords if keyword.arg not in _NO_FACT)
                noted.update(
                    f"subject.{keyword.value.values[0].value.strip()}"
                    for keyword in node.keywords
                    if keyword.arg == "subject" and isinstance(keyword.value, ast.JoinedStr)
                )
    assert len(noted) > 15
    for language in LANGUAGES:
        assert noted - texts("greenmine.api", language).keys() == set()


_NO_FACT = {None, "site", "subject"}


def test_a_name_that_would_turn_the_text_around_it_is_shown_sign_by_sign(live: Served) -> None:
    turning = "\u202eihcuij"
    row = {"received": live.now, "site": LOUD, "device": turning, "topic": "t", "reason": "unknown-device"}
    with live.engine.begin() as connection:
        connection.execute(
            sa.insert(schema.rejection), {**row, "detail": turning, "readings": 1, "size": 1, "payload": b""}
        )
    page = live.client.get(f"/sites/{LOUD}/quality").text
    assert page.count(r"\u202eihcuij") == 2
    assert "\u202e" not in page
