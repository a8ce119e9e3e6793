"""The report of a bundle: what it says, how it looks to a machine, and edits of it that are found."""

from __future__ import annotations

import io
import itertools
import json
import re
import string
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import openpyxl
import pyarrow.parquet as pq
import pypdfium2
import pytest
import typst
from openpyxl.utils.escape import unescape

from greenmine.entries import Approval, Inspection, Stage
from greenmine.evidence import bundle
from greenmine.evidence.figures import FiguresDocument, Month
from greenmine.evidence.report import document
from greenmine.evidence.report.blocks import Charts, Table
from greenmine.evidence.report.completeness import completeness
from greenmine.evidence.report.content import Content
from greenmine.evidence.report.drawing import drawn
from greenmine.evidence.report.font import Font, FontMissingError
from greenmine.evidence.report.outline import report
from greenmine.evidence.report.themes import themes
from greenmine.evidence.report.workbook import sheets, workbook
from greenmine.evidence.sections import (
    NOTE_EN,
    NOTE_ZH,
    DocumentFigures,
    EffectFigures,
    ProofFigures,
    RequirementFigures,
    ResponseFigures,
)
from greenmine.evidence.source import Source
from greenmine.evidence.verify import verify as verified
from greenmine.limits import load_limits
from greenmine.parameters import load_parameters
from greenmine.rounding import round_half_even
from greenmine.wording import messages
from greenmine.wording.messages import LANGUAGES, texts
from tests.evidence.bundles import NOW, PERIOD, Made, contents, packed, page_text, verify, whole_text

Files = dict[str, bytes]
MARGIN = 1.8 / 2.54 * 72
"""Left and right of the text [pt], less a hair."""


@pytest.fixture(scope="module")
def files(made: Made) -> Files:
    return contents(made.bundle)


@pytest.fixture(scope="module")
def figures(files: Files) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files["figures.json"])
    return found


@pytest.fixture(scope="module")
def english(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same bundle, in English."""
    path = tmp_path_factory.mktemp("english") / "bundle.zip"
    bundle.build(made.here, "mine", PERIOD, path, NOW, language="en")
    return path


@pytest.fixture(scope="module")
def told(files: Files, tmp_path_factory: pytest.TempPathFactory) -> Content:
    """What the report of the bundle tells of."""
    folder = tmp_path_factory.mktemp("unpacked")
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return bundle.report_content(
        msgspec.json.decode(files["manifest.json"], type=bundle.Manifest),
        Source(folder, PERIOD),
        msgspec.json.decode(files["figures.json"], type=FiguresDocument),
    )


def test_the_report_is_an_accessible_archive_file_with_its_figures_inside(files: Files) -> None:
    content = files["report.pdf"]
    pdf = pypdfium2.PdfDocument(content)
    assert re.search(rb"<pdfaid:part>3</pdfaid:part>\s*<pdfaid:conformance>A</pdfaid:conformance>", content)
    assert b"/OutputIntents" in content
    assert pdf.is_tagged()
    assert pdf.get_metadata_dict()["CreationDate"] == "D:20260305000000Z"
    assert pdf.count_attachments() == 1
    assert pdf.get_attachment(0).get_name() == "figures.json"
    assert bytes(pdf.get_attachment(0).get_data()) == files["figures.json"]


@pytest.mark.parametrize(
    ("language", "words", "answers"),
    [
        (
            "zh",
            {
                ("meets", "statutory"): "✓ 达标",
                ("meets", "indicative"): "○ 未超过限值（参考方法，不作达标结论）",
                ("exceeds", "statutory"): "▲ 超标",
                ("exceeds", "indicative"): "▲ 高于限值（参考方法测得，须经手工监测确认）",
                ("not assessable", "indicative"): "? 不可判定",
            },
            ("本矿排放（由企业负责）", "周边环境质量（由地方政府负责）"),
        ),
        (
            "en",
            {
                ("meets", "statutory"): "✓ meets",
                ("meets", "indicative"): "○ within the limits, by an indicative method: no finding of compliance",
                ("exceeds", "statutory"): "▲ exceeds",
                (
                    "exceeds",
                    "indicative",
                ): "▲ above, by an indicative method: to be confirmed by a reference measurement",
                ("not assessable", "indicative"): "? not assessable",
            },
            ("The mine's own emissions", "Quality around the mine"),
        ),
    ],
)
def test_the_first_page_tells_the_mine_s_emissions_apart_from_the_quality_around_it(
    made: Made,
    english: Path,
    figures: dict[str, Any],
    language: str,
    words: dict[tuple[str, str], str],
    answers: tuple[str, str],
) -> None:
    path = {"zh": made.bundle, "en": english}[language]
    first = "".join(page_text(contents(path)["report.pdf"], 1).split())
    emission, quality = ("".join(text.split()) for text in answers)
    assert 0 < first.index(emission) < first.index(quality)
    parts = {"emission": first[first.index(emission) : first.index(quality)], "quality": first[first.index(quality) :]}
    for row in figures["summary"]:
        if row["addressee"] in parts:
            assert "".join(words[row["judgement"], row["standing"]].split()) in parts[row["addressee"]]


def test_counts_and_worst_values_of_every_limit_are_in_the_report(english: Path, figures: dict[str, Any]) -> None:
    text = " ".join(whole_text(contents(english)["report.pdf"]).split())
    parameters = load_parameters()
    limits, _ = load_limits()
    for rule in figures["rules"]:
        assert f" {rule['periods']} {rule['meets']} {rule['exceeds']} {rule['not_assessable']} " in text, rule["rule"]
        worst, parameter = rule["worst"], parameters[limits[rule["limit"]].parameter]
        told = worst is not None and str(round_half_even(worst, parameter.places(worst))).replace("-", "−")
        assert not told or told in text, rule["rule"]
    for channel in figures["channels"]:
        assert f" {channel['due']:.0f} " in text
        assert f"{100 * channel['capture']:.1f} %" in text


def test_a_course_says_that_its_levels_are_those_of_the_verdicts(told: Content) -> None:
    captions = [chart.caption for block in themes(told) if isinstance(block, Charts) for chart in block.charts]
    limits = [(rule, told.words.rules[rule.rule].limit) for rule in told.figures.rules]
    drawn = {rule.rule for rule in told.figures.verdicts if rule.value is not None}
    for said, of in (
        ("判定声级", lambda limit: limit.period == "working"),
        ("判定所用气体状态", lambda limit: limit.state),
    ):
        judged = {
            told.words.channel(told.words.judged(r.rule).key) for r, limit in limits if of(limit) and r.rule in drawn
        }
        assert judged
        assert {caption.partition("：")[0] for caption in captions if said in caption} == judged


def test_texts_of_people_are_set_as_they_are_without_what_cannot_be_seen(files: Files) -> None:
    assert "\u202e" in json.loads(files["record.json"])["handling"][0]["text"]
    text = "".join(whole_text(files["report.pdf"]).split())
    assert r"#strong[dry]$x$\u{41}□□□道路" in text
    assert "=HYPERLINK(1)" in text


def test_an_english_bundle_verifies_and_says_nothing_in_chinese_but_what_it_quotes(made: Made, english: Path) -> None:
    assert verify(english, made.key.public) == []
    files = contents(english)
    quoted = files["figures.json"].decode() + files["registry/limits.toml"].decode()
    chinese = re.findall(r"[\u4e00-\u9fff]+", whole_text(files["report.pdf"]))
    assert [text for text in chinese if text not in quoted] == []


def test_every_text_of_the_catalogues_has_its_signs_in_the_font(font: Font) -> None:
    shipped = sorted((Path(messages.__file__).parents[1] / "catalogues").rglob("*.toml"))
    read = [path.read_text("utf-8") for path in shipped]
    read += ["".join(texts("greenmine.evidence.report", language).values()) for language in LANGUAGES]
    assert len(read) > 10
    assert "□" not in font.covered(" ".join(read))


def test_nothing_stands_outside_the_margins(files: Files, english: Path) -> None:
    for content in (files["report.pdf"], contents(english)["report.pdf"]):
        pages = list(pypdfium2.PdfDocument(content))
        for page in pages:
            width, height = page.get_size()
            text = page.get_textpage()
            assert text.count_rects() > (0 if page is pages[-1] else 10), "of the last page a paragraph may be all"
            for left, bottom, right, top in map(text.get_rect, range(text.count_rects())):
                assert MARGIN <= left <= right <= width - MARGIN
                assert 0 < bottom <= top < height


@pytest.mark.parametrize("language", LANGUAGES)
def test_both_languages_have_the_same_texts_with_the_same_values(language: str) -> None:
    def values(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    mine, other = (texts("greenmine.evidence.report", tongue) for tongue in ("en", language))
    assert {key: values(text) for key, text in mine.items()} == {key: values(text) for key, text in other.items()}


def test_charts_are_black_and_grey(told: Content) -> None:
    blocks = Font.find().covered(msgspec.to_builtins(report(told)))
    specs = [chart["spec"] for block in blocks if block["kind"] == "charts" for chart in block["charts"]]
    charts = drawn(specs, "Noto Sans CJK SC")
    assert len(charts) > 8
    colours = set(re.findall(r"#[0-9a-fA-F]{3,8}\b|rgba?\([^)]*\)", "".join(charts)))
    assert colours
    assert all(re.fullmatch(r"#([0-9a-f]{2})\1\1", colour) for colour in colours), colours


def test_charts_that_cannot_be_drawn_are_told() -> None:
    with pytest.raises(ValueError, match="cannot be drawn: their process ended with status 1"):
        drawn([{"width": 1, "mark": "no mark"}], "Noto Sans CJK SC")


def test_a_missing_font_is_told_with_the_package_that_brings_it() -> None:
    with pytest.raises(FontMissingError, match="fonts-noto-cjk"):
        Font.among(typst.Fonts(include_system_fonts=False, include_embedded_fonts=True))


def test_the_workbook_holds_every_figure_and_no_formula(files: Files, figures: dict[str, Any]) -> None:
    book = openpyxl.load_workbook(io.BytesIO(files["figures.xlsx"]))
    assert {cell.data_type for sheet in book for row in sheet.iter_rows() for cell in row} <= {"s", "n", "b"}
    plain = dict(book["report"].iter_rows(values_only=True))
    for name, value in figures.items():
        if not value or not isinstance(value, list):
            assert isinstance(value, dict | list) or plain[name] == value
            continue
        head, *rows = book[name].iter_rows(values_only=True)
        assert len(rows) == len(value)
        for row, item in zip(rows, value, strict=True):
            plain = {k: v for k, v in item.items() if v is None or isinstance(v, str | float | int)}
            cells = {k: unescape(v) if isinstance(v, str) else v for k, v in zip(head, row, strict=True)}
            told = {k: v if v is None or isinstance(v, str) else pytest.approx(v, rel=1e-14) for k, v in plain.items()}
            assert {k: cells[k] for k in plain} == told
    months = list(book["channels.months"].iter_rows(values_only=True))
    assert months[0][0] == "channels.channel"
    assert len(months) == 1 + sum(len(c["months"]) for c in figures["channels"])


def test_a_text_that_looks_like_a_formula_stays_a_text(told: Content) -> None:
    formula = msgspec.structs.replace(told.figures, period="=1+1")
    sheet = openpyxl.load_workbook(io.BytesIO(workbook(formula)))["report"]
    cell = next(row[1] for row in sheet.iter_rows() if row[0].value == "period")
    assert (cell.data_type, cell.value) == ("s", "=1+1")
    assert next(sheets(formula)).rows[2] == ["period", "=1+1"]


def test_sections_about_measures_and_requirements_say_what_the_figures_say(told: Content) -> None:
    effect = EffectFigures(
        measure="sprayers",
        name_zh="雾炮",
        name_en="Fog cannon",
        kind="sprayers",
        channel="mine/south/tsp",
        reference="mine/north/tsp",
        equipment=None,
        design="timetable",
        remaining=0.35,
        low=0.3,
        high=0.42,
        reduction_db=None,
        mean_on=80.0,
        mean_off=200.0,
        unit="ug/m3",
        comparisons=40,
        days=20,
        minutes_on=800,
        minutes_off=700,
        confidence=0.95,
        reason="",
        open_to_bias=False,
        note_zh=NOTE_ZH,
        note_en=NOTE_EN,
    )
    unknown = msgspec.structs.replace(effect, remaining=None, low=None, high=None, reason="too-few-days")
    missing = DocumentFigures("a.pdf", "验收报告", "Acceptance", None, None)
    proof = ProofFigures("dust", "exceeds", None)
    item = RequirementFigures(
        "降尘降噪", "Dust", "", "", supporting=False, result="exceeds", proofs=[proof], documents=[missing]
    )
    response = ResponseFigures(
        "sprayers", "mine/south/db50-418-fugitive", "2026-03-03T10:00:00+08:00", False, 7, None, None
    )
    more = msgspec.structs.replace(
        told.figures, effects=[effect, unknown], responses=[response], requirements=[item], comparison=None
    )
    cells = _cells_of(Content("en", more, *_rest(told)))
    for said in ("65.0 %", "58.0 % to 70.0 %", "80.0 μg/m³", "too few comparable days", "7 min", "▲ exceeds"):
        assert said in cells
    assert "Acceptance (missing)" in cells
    assert NOTE_EN in cells
    assert "40 comparisons, 20 days, 800 min on, 700 min off" in cells


def test_the_acceptance_file_is_taken_in_and_a_limit_without_an_approval_says_so(told: Content) -> None:
    named, *others = [told.words.rules[rule.rule].limit.id for rule in told.figures.rules if rule.kind == "legal"]
    site = msgspec.structs.replace(
        told.site,
        stages=(Stage(stage="listed", day=date(2026, 1, 5), by="committee"),),
        approvals=(
            Approval(kind="environment", number="2018-7", issuer="bureau", day=date(2018, 5, 2), limits=(named,)),
        ),
        inspections=(Inspection(day=date(2026, 3, 2), unit="environment", finding="uncovered heap"),),
    )
    registry = replace(told.registry, sites=(site,))
    cells = _cells_of(replace(told, language="en", registry=registry))
    for said in ("listed", "committee", "2018-7", "uncovered heap"):
        assert said in cells
    assert others
    assert "no approval on file names it" in cells


def test_a_year_of_months_has_a_table_of_its_own(told: Content) -> None:
    months = [Month(f"2026-{n:02}", 10.0, 9, 0.9) for n in range(1, 14)]
    channels = [msgspec.structs.replace(channel, months=months) for channel in told.figures.channels]
    year = Content("en", msgspec.structs.replace(told.figures, channels=channels), *_rest(told))
    tables = {table.caption: table for table in completeness(year) if isinstance(table, Table)}
    assert len(tables["Transmission and capture by channel"].columns) == 5
    assert len(tables["Capture of each month by channel"].columns) == 14


def _cells_of(content: Content) -> list[str]:
    """Every text of a report by itself."""

    def texts_in(value: Any) -> Iterator[str]:
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from texts_in(list(value.values()))
        elif isinstance(value, list):
            for item in value:
                yield from texts_in(item)

    return list(texts_in(msgspec.to_builtins(report(content))))


def _bent(told: Content) -> FiguresDocument:
    dust, *others = told.figures.summary
    verdict = "exceeds" if dust.judgement == "meets" else "meets"
    return msgspec.structs.replace(told.figures, summary=[msgspec.structs.replace(dust, judgement=verdict), *others])


def _repainted(told: Content, files: Files) -> Files:
    lie = Content(told.language, _bent(told), *_rest(told))
    return {"report.pdf": document.pdf(lie, files["figures.json"])}


def _swapped(told: Content, _: Files) -> Files:
    return {"report.pdf": document.pdf(told, bundle.pretty(_bent(told)))}


def _rest(told: Content) -> tuple[Any, ...]:
    return (told.registry, told.provisional, told.unbegun, told.to_come, told.key, told.software)


def _cell(_: Content, files: Files) -> Files:
    book = openpyxl.load_workbook(io.BytesIO(files["figures.xlsx"]))
    book["windows"]["E4"] = "=1+1"
    return {"figures.xlsx": _saved(book)}


def _sheet(_: Content, files: Files) -> Files:
    book = openpyxl.load_workbook(io.BytesIO(files["figures.xlsx"]))
    book.create_sheet("more")["A1"] = "all is well"
    return {"figures.xlsx": _saved(book)}


def _saved(book: openpyxl.Workbook) -> bytes:
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def _marked(_: Content, files: Files) -> Files:
    return {"report.pdf": files["report.pdf"].replace(b"/Title", b"/Titel")}


def _restyled(_: Content, files: Files) -> Files:
    """All numbers are shown as 45.0, whatever they are."""
    book = openpyxl.load_workbook(io.BytesIO(files["figures.xlsx"]))
    for cell in itertools.chain.from_iterable(book["windows"].iter_rows()):
        cell.number_format = '"45.0"'
    return {"figures.xlsx": _saved(book)}


def _with_macros(_: Content, files: Files) -> Files:
    file = io.BytesIO(files["figures.xlsx"])
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("xl/vbaProject.bin", b"macro")
    return {"figures.xlsx": file.getvalue()}


def _broken(_: Content, files: Files) -> Files:
    return {"report.pdf": files["report.pdf"][:5000], "figures.xlsx": b"PK no workbook"}


@pytest.mark.parametrize(
    ("bends", "places"),
    [
        ((_repainted, _cell), ["figures.xlsx: windows!E4", "report.pdf: page 1"]),
        ((_swapped, _sheet), ["figures.xlsx: sheets", "report.pdf: figures.json: summary[0].judgement"]),
        ((_marked,), ["report.pdf"]),
        ((_broken,), ["figures.xlsx", "report.pdf"]),
    ],
)
def test_an_edit_of_the_report_by_its_maker_is_found_with_its_place(
    made: Made,
    files: Files,
    told: Content,
    tmp_path: Path,
    bends: tuple[Callable[[Content, Files], Files], ...],
    places: list[str],
) -> None:
    bent = dict(files)
    for bend in bends:
        bent |= bend(told, files)
    found = verify(packed(tmp_path / "t.zip", bent, made.key), made.key.public)
    assert [f.place for f in found] == places


def test_a_report_of_another_version_must_read_and_look_the_same(
    made: Made, files: Files, told: Content, tmp_path: Path
) -> None:
    manifest = json.loads(files["manifest.json"])
    manifest["makers"] |= {"typst": "0.0.1", "xlsxwriter": "0.0.2"}
    other = files | {"manifest.json": json.dumps(manifest).encode()}
    bent = other | _marked(told, files) | _restyled(told, files)
    found = verified(packed(tmp_path / "a.zip", bent, made.key))
    assert found.findings == []
    written, drawn_ = (one for one in found.remarks if "is told to be" in one)
    assert "written by xlsxwriter 0.0.2" in written
    assert "drawn by another typst than is here" in drawn_
    bent = other | _repainted(told, files) | _with_macros(told, files)
    seen = verify(packed(tmp_path / "b.zip", bent, made.key), made.key.public)
    assert [f.place for f in seen] == ["figures.xlsx: xl/vbaProject.bin", "report.pdf: page 1"]


def test_a_difference_to_what_another_version_made_is_told_with_that_version(
    made: Made, files: Files, tmp_path: Path
) -> None:
    manifest = json.loads(files["manifest.json"]) | {"software": "0.0.1"}
    other = files | {"manifest.json": json.dumps(manifest).encode(), "README.txt": b"all is well\n"}
    found = verified(packed(tmp_path / "a.zip", other, made.key))
    report, told = found.findings
    assert any(one.startswith("README.txt is not that of this version") for one in found.remarks)
    assert "greenmine 0.0.1" in report.what
    assert told.place == "manifest.json"
    assert "names greenmine 0.0.1" in told.what


def _valid(files: Files, channel: str) -> dict[Any, float]:
    rows = pq.read_table(io.BytesIO(files["hours.parquet"])).to_pylist()
    return {r["start"]: r["mean"] for r in rows if r["channel"] == channel and r["valid"]}


def test_distributions_are_quantiles_of_the_valid_figures(files: Files, figures: dict[str, Any]) -> None:
    mine = [d for d in figures["distributions"] if d["window"] == "hour"]
    assert len(mine) == 8  # dust, noise and water
    for d in mine:
        ordered = sorted(_valid(files, d["channel"]).values())
        rank = 0.98 * (len(ordered) - 1)
        low = int(rank)
        above = ordered[min(low + 1, len(ordered) - 1)]
        assert d["count"] == len(ordered)
        assert (d["minimum"], d["maximum"]) == (ordered[0], ordered[-1])
        assert d["p98"] == pytest.approx(ordered[low] + (rank - low) * (above - ordered[low]))


def test_gaps_are_the_hours_without_a_valid_figure(files: Files, figures: dict[str, Any]) -> None:
    for channel in figures["channels"]:
        gaps = [gap for gap in figures["gaps"] if gap["channel"] == channel["channel"]]
        assert sum(gap["hours"] for gap in gaps) == 72 - channel["hours"] == 72 - len(_valid(files, channel["channel"]))
        assert all(gap["silent"] + gap["excluded"] <= gap["hours"] for gap in gaps)
        assert all(a["end"] < b["start"] for a, b in itertools.pairwise(gaps))


def test_a_wind_rose_is_the_mean_of_hours_by_direction(files: Files, figures: dict[str, Any]) -> None:
    speed, direction = (_valid(files, f"mine/weather/wind-{name}") for name in ("speed", "direction"))
    assert [rose["channel"] for rose in figures["roses"]] == ["mine/north/tsp", "mine/south/tsp", "mine/homes/pm10"]
    for rose in figures["roses"]:
        dust = _valid(files, rose["channel"])
        common = [hour for hour in dust if hour in speed and hour in direction]
        blowing = [hour for hour in common if speed[hour] >= 1.0]
        assert (rose["hours"], rose["calm"]) == (len(common), len(common) - len(blowing))
        assert rose["threshold"] == pytest.approx(np.percentile([dust[hour] for hour in common], 75))
        for sector in rose["sectors"]:
            apart = [abs((direction[hour] - sector["direction"] + 180) % 360 - 180) for hour in blowing]
            mine = [dust[hour] for hour, angle in zip(blowing, apart, strict=True) if angle < 11.25]
            assert sector["hours"] == len(mine)
            assert sector["high"] == sum(value > rose["threshold"] for value in mine)
            assert sector["mean"] == (pytest.approx(np.mean(mine)) if mine else None)
