"""Sections of a report besides statistics, and what a bundle keeps of registry and attachments."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from greenmine.evidence.bundle import Installation, build
from greenmine.evidence.evaluation import CATALOGUE, load_evaluation
from greenmine.loading import load_registry
from greenmine.record import schema
from greenmine.record.archive.archive import Archive
from greenmine.record.archive.signing import SigningKey
from greenmine.record.writer import Pipeline
from greenmine.reporting import Period, load_reporting, parse_period, period_before
from greenmine.shipped_profiles import CATALOGUE as SHELF
from greenmine.shipped_profiles import KEPT
from tests.evidence.bundles import contents, packed, page_text, verify, whole_text
from tests.processing.mine import DAY, HOUR, MINUTE, at, batch_of, channel, readings, record_at, registry_of
from tests.records import record_in

pytestmark = pytest.mark.usefixtures("font")

FIRST = at("2026-03-02T00:00")
BEFORE = Period("2026-03-02..2026-03-03", date(2026, 3, 2), date(2026, 3, 3))
PERIOD = Period("2026-03-04..2026-03-05", date(2026, 3, 4), date(2026, 3, 5))
NOW = FIRST + 9 * DAY
PLAN = b"%PDF-1.7 a plan"
RULE = "mine/homes/gb3095-pm10-day-class2"

MORE = """
[[stations.targets]]
limit = "gb3095-pm10-day-class2"
high = 100
valid_from = 2026-01-01
source = "own"
"""
LISTS = """
[[measures]]
id = "wall"
name_zh = "围挡"
name_en = "Wall"
kind = "enclosure"
station = "homes"
parameter = "pm10"
since = 2026-03-05
source = "test"

[[documents]]
item = "厂区绿化"
file = "planting.pdf"
title_zh = "绿化方案"

[[documents]]
item = "企业文化"
file = "lost.pdf"
title_zh = "不在"

[[calibrations]]
station = "homes"
parameter = "pm10"
valid_from = 2026-01-01T00:00:00+08:00
certificate = "past"

[[calibrations]]
station = "homes"
parameter = "pm10"
valid_from = 2026-02-01T00:00:00+08:00
certificate = "in force"

[[calibrations]]
station = "homes"
parameter = "pm10"
valid_from = 2026-03-05T12:00:00+08:00
certificate = "new"

[[references]]
station = "homes"
parameter = "pm10"
start = 2026-03-04T05:00:00+08:00
end = 2026-03-04T06:00:00+08:00
value = 84
laboratory = "万州监测"
certificate = "CMA 7"
method = "HJ 618-2011"
document = "report 5"
"""


class Made:
    """Four days of a mine with an exceedance that people handled, and a bundle of the last two."""

    def __init__(self, folder: Path) -> None:
        registry_of(folder / "registry")
        path = folder / "registry/sites/mine.toml"
        text = path.read_text(encoding="utf-8").replace(
            "requirement_items = []", 'requirement_items = ["降尘降噪", "数字化矿山", "厂区绿化", "企业文化", "别的"]'
        )
        text = text.replace("limits = ['gb3095-pm10-day-class2']\n", "limits = ['gb3095-pm10-day-class2']\n" + MORE)
        text = re.sub(r"(id = .homes.\n(?:.*\n)*?role = ).boundary.", r"\1'receptor'", text, count=1)
        path.write_text(text + LISTS, encoding="utf-8")
        (folder / "registry/documents/mine").mkdir(parents=True)
        (folder / "registry/documents/mine/planting.pdf").write_bytes(PLAN)
        self.registry = load_registry(folder / "registry")
        self.record = record_at(record_in(folder), self.registry)
        self.key = SigningKey(folder / "keys")
        pipeline = Pipeline(self.registry, self.record)
        index = channel(self.registry, "mine/homes/pm10")
        for day, level in enumerate((50.0, 110.0, 90.0, 200.0, 30.0)):
            times = np.arange(FIRST + day * DAY, FIRST + (day + 1) * DAY, MINUTE)
            pipeline.commit(batch_of(self.registry, readings(index, times, level)), FIRST + (day + 1) * DAY)
        pipeline.mark("mine", "homes", "pm10", (FIRST + 2 * DAY, FIRST + 2 * DAY + HOUR), "fault", "泵", "A", NOW - DAY)
        self.files = folder / "attachments"
        self.digest = hashlib.sha256(PLAN).hexdigest()
        (self.files / self.digest[:2]).mkdir(parents=True)
        (self.files / self.digest[:2] / self.digest).write_bytes(PLAN)
        self._handle()
        self._claim()
        self.here = Installation(
            self.record.engine,
            self.registry,
            folder / "registry",
            Archive(folder / "archive"),
            self.key,
            DAY,
            self.files,
        )
        self.bundle = folder / "bundle.zip"
        build(self.here, "mine", PERIOD, self.bundle, NOW)
        self.figures: dict[str, Any] = json.loads(contents(self.bundle)["figures.json"])

    def _handle(self) -> None:
        x = schema.exceedance.c
        number = self.record.rows(sa.select(x.id).where(x.rule == RULE))[0]["id"]
        common = {"exceedance": number, "author": "甲", "name": None, "media_type": None, "size": None, "digest": None}
        file = {"name": "plan.pdf", "media_type": "application/pdf", "size": len(PLAN)}
        with self.record.transaction() as connection:
            connection.execute(
                sa.insert(schema.handling),
                [
                    common | {"made": NOW - 3 * HOUR, "kind": "cause", "text": "干路"},
                    common
                    | {"made": NOW - 2 * HOUR, "kind": "attachment", "text": ""}
                    | file
                    | {"digest": self.digest},
                    common | {"made": NOW - HOUR, "kind": "attachment", "text": ""} | file | {"digest": "0" * 64},
                ],
            )

    def _claim(self) -> None:
        """A mark that waits for a supervisor, one that was refused, and one after the period."""
        row = {
            "site": "mine", "station": "south", "parameter": "tsp", "kind": "fault", "reason": "hose off", "author": "李工",
            "made": NOW, "answer": "", "removes": "[{}, {}]", "state": "claimed",
            "start": at(f"{PERIOD.first}T10:00:00"), "end": at(f"{PERIOD.first}T12:00:00"),
        }  # fmt: skip
        after = {"start": NOW - 3 * HOUR, "end": NOW - HOUR}
        with self.record.transaction() as connection:
            connection.execute(sa.insert(schema.mark_request), [row, row | {"state": "refused"}, row | after])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("sections"))


def test_claims_that_nobody_decided_on_are_told_on_the_first_page(made: Made) -> None:
    assert [(c["station"], c["kind"], c["author"], c["windows"]) for c in made.figures["claims"]] == [
        ("south", "fault", "李工", 2)
    ]
    page = page_text(contents(made.bundle)["report.pdf"], 1)
    assert "拟剔除超标、尚待监管部门确认的标注：1 条" in page
    assert "李工" in page


def test_the_history_of_handling_is_told_and_its_files_are_there(made: Made, tmp_path: Path) -> None:
    told = made.figures["handling"]
    place = f"attachments/{made.digest}"
    assert [(row["kind"], row["text"], row["file"]) for row in told] == [
        ("cause", "干路", None),
        ("attachment", "", place),
        ("attachment", "", None),  # the file is gone
    ]
    assert {(row["rule"], row["author"]) for row in told} == {(RULE, "甲")}
    files = contents(made.bundle)
    assert files[place] == PLAN
    assert verify(made.bundle, made.key.public) == []
    other = packed(tmp_path / "a.zip", files | {place: PLAN + b"!"}, made.key)
    assert [f.place for f in verify(other, made.key.public)] == [place]
    without = packed(tmp_path / "b.zip", {n: c for n, c in files.items() if n != place}, made.key)
    assert [f.place for f in verify(without, made.key.public)] == [place]
    more = packed(tmp_path / "c.zip", files | {"attachments/more": b"x"}, made.key)
    assert {f.place for f in verify(more, made.key.public)} == {"attachments/more"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("record.json", b"{}"),
        ("record.json", None),
        ("figures.json", b"[]"),
        ("registry/evaluation.toml", b"requirements = 3"),
    ],
)
def test_a_file_that_its_maker_broke_is_a_finding(made: Made, tmp_path: Path, name: str, content: bytes | None) -> None:
    files = contents(made.bundle)
    if content is None:  # an instant that no calendar holds
        told = json.loads(files[name])
        told["handling"][0]["made"] = 10**18
        content = json.dumps(told).encode()
    found = verify(packed(tmp_path / "a.zip", files | {name: content}, made.key), made.key.public)
    assert [f.place for f in found] == ["a.zip"]
    assert found[0].what.startswith("its figures cannot be computed")


def test_a_period_is_compared_with_the_one_before_as_its_own_bundle_has_it(made: Made, tmp_path: Path) -> None:
    build(made.here, "mine", BEFORE, tmp_path / "before.zip", NOW)
    before = json.loads(contents(tmp_path / "before.zip")["figures.json"])
    compared = made.figures["comparison"]
    assert (compared["period"], compared["available"]) == (BEFORE.name, True)
    last = {rule["rule"]: rule for rule in before["rules"]}
    now = {rule["rule"]: rule for rule in made.figures["rules"]}
    for row in compared["rules"]:
        for name in ("share_meeting", "share_above", "episodes", "worst"):
            assert row[name] == now[row["rule"]][name]
            assert row[f"last_{name}"] == last[row["rule"]][name]
    (mean,) = [c for c in compared["channels"] if c["channel"] == "mine/homes/pm10"]
    assert (mean["last_mean"], mean["last_hours"]) == (80.0, 48)
    assert (mean["mean"], mean["hours"]) == (pytest.approx((23 * 90 + 24 * 200) / 47), 47)
    assert not before["comparison"]["available"]
    assert before["comparison"]["rules"] == []


def test_stricter_targets_stand_beside_the_law(made: Made) -> None:
    (target,) = made.figures["comparison"]["targets"]
    assert (target["rule"], target["target"]) == (RULE, f"{RULE}#target-1")
    assert (target["high"], target["legal_high"], target["verdict"]) == (100.0, 120.0, "exceeds")


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("2026-H1", "2025-H2"),
        ("2026-H2", "2026-H1"),
        ("2026-03", "2026-02"),
        ("2026-Q1", "2025-Q4"),
        ("2026", "2025"),
        ("2026-03-01", "2026-02-28..2026-02-28"),
        ("2026-01-01..2026-01-10", "2025-12-22..2025-12-31"),
    ],
)
def test_the_period_before_is_of_the_same_kind(name: str, before: str) -> None:
    reporting = load_reporting()
    assert period_before(parse_period(name, reporting), reporting) == parse_period(before, reporting)


def test_items_are_shown_by_readings_or_documents_and_else_open(made: Made) -> None:
    items = {item["item"]: item for item in made.figures["requirements"]}
    # The air around the mine exceeds, for which the government answers: of the mine itself nothing is shown.
    told = {(s["theme"], s["addressee"]): s["judgement"] for s in made.figures["summary"]}
    assert (told["dust", "quality"], told["dust", "emission"]) == ("exceeds", "not assessable")
    assert {name: item["result"] for name, item in items.items()} == {
        "降尘降噪": "not assessable",
        "数字化矿山": "not assessable",
        "厂区绿化": "documents",
        "企业文化": "open",
        "别的": "open",
    }
    assert items["厂区绿化"]["documents"][0]["sha256"] == hashlib.sha256(PLAN).hexdigest()
    assert items["企业文化"]["documents"][0]["sha256"] is None
    assert contents(made.bundle)["documents/planting.pdf"] == PLAN
    (effect,) = made.figures["effects"]
    assert (effect["design"], effect["reason"], effect["remaining"]) == ("before-after", "no-data", None)
    dust = next(proof for proof in items["降尘降噪"]["proofs"] if proof["kind"] == "dust")
    assert dust["result"] == told["dust", "emission"]


def test_points_are_given_only_where_they_are_confirmed(made: Made) -> None:
    editions = {edition["id"]: edition for edition in made.figures["indicators"]}
    assert [group["points"] for group in editions["mnr-2020"]["groups"]] == [220, 220, None, None, None, None]
    assert {group["points"] for group in editions["national-2024"]["groups"]} == {None}
    assert all(edition["source"] and edition["edition"] for edition in editions.values())


def test_the_air_at_homes_and_the_laboratory_stand_beside_the_verdicts(made: Made) -> None:
    figures = made.figures
    assert [(d["day"], d["index"]["aqi"], d["index"]["primary"]) for d in figures["air_index"]] == [
        ("2026-03-04", None, []),
        ("2026-03-05", 131, ["pm10"]),
    ]
    (result,) = figures["references"]
    assert (result["start"][:16], result["value"], result["online"]) == ("2026-03-04T05:00", 84.0, 90.0)
    text = re.sub(r"\s", "", whole_text(contents(made.bundle)["report.pdf"]))
    assert "居民点空气质量指数" in text
    assert "偏差6.00μg/m³，可比小时数n=1" in text


def test_marks_and_calibrations_of_the_period_are_told(made: Made) -> None:
    assert [c["certificate"] for c in made.figures["calibrations"]] == ["in force", "new"]
    (mark,) = made.figures["marks"]
    assert (mark["kind"], mark["excludes"], mark["reason"], mark["author"]) == ("fault", True, "泵", "A")
    assert mark["start"] == "2026-03-04T00:00:00+08:00"
    assert [(r["rule"], r["change"]) for r in made.figures["restatements"] if "#" not in r["rule"]] == [
        (RULE, "first"),
        (RULE, "mark: fault"),
    ]


@pytest.mark.parametrize(
    ("day", "cited"),
    [
        (date(2026, 8, 14), ["环境保护法", "大气污染防治法", "噪声污染防治法", "水污染防治法"]),
        (date(2026, 8, 15), ["生态环境法典"]),
    ],
)
def test_laws_are_cited_by_the_date(day: date, cited: list[str]) -> None:
    assert [c.name_zh.removeprefix("中华人民共和国") for c in load_evaluation().cited(day)] == cited


def test_a_registry_keeps_profiles_and_evaluation_as_they_were(made: Made, tmp_path: Path) -> None:
    files = contents(made.bundle)
    assert files[f"registry/{KEPT}"] == SHELF.read_bytes()
    assert files["registry/evaluation.toml"] == CATALOGUE.read_bytes()
    shutil.copytree(made.here.registry_folder, tmp_path / "registry")  # type: ignore[arg-type]
    kept = SHELF.read_text(encoding="utf-8").replace('id = "tasmota"', 'id = "of-old"')
    (tmp_path / "registry" / KEPT).write_text(kept, encoding="utf-8")
    assert "of-old" in load_registry(tmp_path / "registry", ["of-old"]).profiles
    assert "of-old" not in load_registry(made.here.registry_folder, ["of-old"]).profiles
