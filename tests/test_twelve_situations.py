"""One day in twelve situations: tile, page, public page, notification, Grafana and report say the same sentence about a mine."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from html import unescape
from typing import NamedTuple

import httpx
import openpyxl
import pytest
from sqlalchemy import Engine, delete, insert

from greenmine.api.pages.wording import Wording
from greenmine.grafana.edition import Edition
from greenmine.grafana.influx.conclusions import standing_lines
from greenmine.grafana.panels import conclusion_words
from greenmine.limits import addressee, threshold_on
from greenmine.loading import load_registry
from greenmine.notify.events import Follower
from greenmine.notify.wording import NoticeWords
from greenmine.processing.summary import stands_now
from greenmine.record import schema
from greenmine.record.access import RecordAccess
from greenmine.record.record import next_serial
from greenmine.registry import Registry, Rule
from greenmine.times import HOUR
from greenmine.wording.messages import Language
from tests.api.filling import LOUD, fill
from tests.api.serving import serving
from tests.api.signing import accounts_in, bearer, now, token_for
from tests.records import record_in

Finding = tuple[str, str]
"""Judgement, and reasons of a verdict: without any it is statutory."""
MEETS, HINTS = ("meets", ""), ("meets", "limit-unverified")
EXCEEDS, ABOVE = ("exceeds", ""), ("exceeds", "limit-unverified")
UNKNOWN, HIDDEN = ("not assessable", "too-few-hours"), ("not assessable", "over-range")


class Situation(NamedTuple):
    """Verdicts on the mine's own noise (four limits) and on the noise around it (two), and what a person is told of either."""

    emission: tuple[Finding, Finding, Finding, Finding]
    quality: tuple[Finding, Finding]
    told: tuple[str, str]
    around: tuple[str, str] = ("meets", "statutory")


_QUIET = (MEETS, MEETS)
SITUATIONS = {
    "all meet at law": Situation((MEETS,) * 4, _QUIET, ("meets", "statutory")),
    "all meet by an indicative method": Situation((HINTS,) * 4, _QUIET, ("meets", "indicative")),
    "one of those that meet is indicative": Situation((MEETS, HINTS, MEETS, MEETS), _QUIET, ("meets", "indicative")),
    "one exceeds at law": Situation((EXCEEDS, MEETS, MEETS, MEETS), _QUIET, ("exceeds", "statutory")),
    "one exceeds by an indicative method": Situation((ABOVE, MEETS, MEETS, MEETS), _QUIET, ("exceeds", "indicative")),
    "one exceeds at law and one indicatively": Situation((ABOVE, EXCEEDS, HINTS, MEETS), _QUIET, ("exceeds", "statutory")),
    "one exceeds and one lacks data": Situation((UNKNOWN, EXCEEDS, MEETS, MEETS), _QUIET, ("exceeds", "statutory")),
    "one is above and the others lack data": Situation((ABOVE, UNKNOWN, UNKNOWN, UNKNOWN), _QUIET, ("exceeds", "indicative")),
    "one lacks data": Situation((UNKNOWN, MEETS, MEETS, MEETS), _QUIET, ("not assessable", "indicative")),
    "one was over range": Situation((HIDDEN, MEETS, MEETS, MEETS), _QUIET, ("not assessable", "indicative")),
    "the quality around exceeds": Situation(
        (MEETS,) * 4, (EXCEEDS, MEETS), ("meets", "statutory"), ("exceeds", "statutory")
    ),
    "all lack data, and the quality around is above": Situation(
        (UNKNOWN,) * 4, (ABOVE, UNKNOWN), ("not assessable", "indicative"), ("exceeds", "indicative")
    ),
}  # fmt: skip


class Town(NamedTuple):
    engine: Engine
    registry: Registry
    client: httpx.Client
    access: RecordAccess
    day: date
    """Judged: its night has ended."""


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    data = tmp_path_factory.mktemp("town")
    registry = load_registry()
    instant = time.time_ns() // 1_000_000
    engine = fill(record_in(data), registry, instant)
    headers = bearer(token_for(data))
    with accounts_in(data) as accounts:
        accounts.publications.switch(LOUD, now(), public=True)
    day = datetime.fromtimestamp((instant + 8 * HOUR) / 1000, UTC).date() - timedelta(days=2)
    with serving(data, registry) as address, httpx.Client(base_url=address, headers=headers, timeout=20) as client:
        yield Town(engine, registry, client, RecordAccess(record_in(data), registry), day)
    engine.dispose()


def _rules(registry: Registry, whom: str) -> list[Rule]:
    return [
        rule
        for rule in registry.site_rules(LOUD)
        if registry.parameters[rule.limit.parameter].theme == "noise"
        and stands_now(rule.limit.kind, rule.limit.window)
        and addressee(rule.limit) == whom
    ]


def _judge(town: Town, situation: Situation) -> int:
    """Let the record hold the situation's verdicts, and an exceedance for each that exceeds; the transaction before them."""
    midnight = round(datetime(town.day.year, town.day.month, town.day.day, tzinfo=UTC).timestamp() * 1000) - 8 * HOUR
    with town.engine.begin() as connection:
        for table in (schema.verdict, schema.exceedance):
            connection.execute(delete(table))
        connection.execute(delete(schema.current).where(schema.current.c.kind == "verdict"))
        before = next_serial(connection)
        for whom in ("emission", "quality"):
            for rule, (judgement, reason) in zip(_rules(town.registry, whom), getattr(situation, whom), strict=True):
                first, length = {"daytime": (6, 16), "nighttime": (22, 8)}[rule.limit.window]
                start = midnight + first * HOUR
                threshold = threshold_on(rule.limit, town.day)
                assert threshold is not None
                unknown = judgement == "not assessable"
                verdict = {
                    "rule": rule.key, "start": start, "revision": 0, "latest": True, "end": start + length * HOUR,
                    "verdict": judgement, "value": None if unknown else 50.0, "judged": None if unknown else "50",
                    "low": threshold.low, "high": threshold.high, "capture": 1.0, "reason": reason or "within-limit",
                    "reasons": "" if unknown else reason, "detail": "{}", "change": "first", "issued": start + length * HOUR,
                }  # fmt: skip
                connection.execute(insert(schema.verdict).values(verdict))
                if judgement == "exceeds":
                    event = {
                        "rule": rule.key, "site": LOUD, "start": start, "end": start + HOUR, "state": "closed", "peak": 70.0,
                        "peak_time": start, "threshold": threshold.high, "minutes": 60, "revision": 0, "changed": start + HOUR,
                        "cause": "", "handling": "", "serial": next_serial(connection),
                    }  # fmt: skip
                    connection.execute(insert(schema.exceedance).values(event))
    return before


def _sentences(text: str, words: Wording) -> list[str]:
    """Conclusions in a text, in its order."""
    known = {
        words.conclusion(judgement, standing)
        for judgement in ("meets", "exceeds", "not assessable")
        for standing in ("statutory", "indicative")
    }
    plain = " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).split())
    return re.findall("|".join(map(re.escape, sorted(known, key=len, reverse=True))), plain)


def _tile(html: str, theme: str) -> str:
    return re.split(r'<div class="tile">', html.split(f">{theme}</h3>", 1)[1])[0].split('class="spark', 1)[0]


def _noticed(town: Town, before: int, words: Wording) -> dict[str, set[str]]:
    """Sentences of the notices by whom a limit binds."""
    notices = NoticeWords(words.language, town.registry, "")
    found: dict[str, set[str]] = {"emission": set(), "quality": set()}
    for event in Follower(town.registry, town.engine, 0.0).look(before, lambda _: {}).events:
        if event.kind == "exceedance-opened":
            found[event.data["addressee"]].update(_sentences(notices.text([event]), words))
    return found


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS)
def test_the_same_sentence_is_said_everywhere(town: Town, situation: Situation, language: Language) -> None:
    words = Wording(language, town.registry)
    before = _judge(town, situation)
    mine, around = words.conclusion(*situation.told), words.conclusion(*situation.around)
    noise = words.theme("noise")

    for path in ("/", f"/sites/{LOUD}"):
        html = town.client.get(path, params={"lang": language}).raise_for_status().text
        here = html if path != "/" else html.split(f'id="part-{LOUD}"', 1)[1].split("</article>", 1)[0]
        assert _sentences(_tile(here, noise), words) == [mine, around], path

    public = town.client.get(f"/public/{LOUD}", params={"lang": language}).raise_for_status().text
    row = public.split(f'datetime="{town.day}"', 1)[1].split('class="sub"', 1)[0]
    assert _sentences(row, words) == [mine]

    query = {"site": LOUD, "period": f"{town.day}", "lang": language, "format": "xlsx"}
    book = openpyxl.load_workbook(
        io.BytesIO(town.client.get("/api/v1/report", params=query).raise_for_status().content)
    )
    rows = [[str(value) for value in row] for sheet in book for row in sheet.iter_rows(values_only=True)]
    told = [" ".join(row) for row in rows if noise in row and any(words.t(f"addressee.{w}") in row for w in _WHOM)]
    assert [_sentences(text, words) for text in told] == [[mine], [around]]

    edition = Edition(language, town.registry, town.day)
    texts = {code: option["text"] for code, option in conclusion_words(edition)[0]["options"].items()}
    with town.access.queries() as queries:
        lines = standing_lines(queries)[town.registry.site(LOUD).enterprise]
    for whom, said in zip(_WHOM, (mine, around), strict=True):
        (line,) = [
            one
            for one in lines
            if one.startswith("conclusion,") and f"addressee={whom}" in one and "theme=noise" in one
        ]
        code = re.search(r"finding=(\d)i", line)
        assert code is not None
        assert texts[code[1]] == said

    noticed = _noticed(town, before, words)
    for whom, told_of, said in (("emission", situation.told, mine), ("quality", situation.around, around)):
        # Nobody is written to of what meets or lacks data; of what exceeds, the worst that is said is what all others say.
        assert (said in noticed[whom]) == (told_of[0] == "exceeds")


_WHOM = ("emission", "quality")


def test_there_are_twelve() -> None:
    assert len(SITUATIONS) == 12
    assert {one.told for one in SITUATIONS.values()} >= {
        ("meets", "statutory"), ("meets", "indicative"), ("exceeds", "statutory"), ("exceeds", "indicative"),
        ("not assessable", "indicative"),
    }  # fmt: skip
