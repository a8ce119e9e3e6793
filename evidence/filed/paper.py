"""A filed report on paper: PDF by typst, and DOCX to be edited further."""

from __future__ import annotations

import io
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import docx
import msgspec
import typst
from docx.enum.section import WD_ORIENT
from docx.enum.table import WD_CELL_VERTICAL_ALIGNMENT
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Mm, Pt

from greenmine.evidence.filed.content import FiledReport
from greenmine.evidence.filed.sheets import FiledSheet, notes, sheets, signatures
from greenmine.evidence.report.font import Font

_TEMPLATE: Final = "filed.typ"
_FONT: Final = "SimSun"
_TEXT_WIDTH: Final = 267
"""Width of the text on a page [mm]."""


def pdf(report: FiledReport) -> bytes:
    """Return the report as PDF.

    Raises
    ------
    FontMissingError
        There is no font for it.
    """
    font = Font.find()
    document: dict[str, Any] = {
        "language": report.words.language,
        "font": font.family,
        "title": report.title,
        "facts": _facts(report),
        "sheets": [_plain(sheet) for sheet in sheets(report)],
        "notes": notes(report),
        "signatures": signatures(report.words),
    }
    with tempfile.TemporaryDirectory(prefix="greenmine-filed-") as name:
        folder = Path(name)
        (folder / _TEMPLATE).write_bytes(files(__package__).joinpath(_TEMPLATE).read_bytes())
        (folder / "report.json").write_bytes(msgspec.json.encode(font.covered(document)))
        made = typst.Compiler(folder / _TEMPLATE, root=folder, font_paths=font.fonts).compile(format="pdf")
    assert isinstance(made, bytes)
    return made


def word(report: FiledReport) -> bytes:
    """Return the report as DOCX."""
    document = docx.Document()
    style = document.styles["Normal"]
    style.font.name, style.font.size = _FONT, Pt(9)
    style.element.rPr.rFonts.set(qn("w:eastAsia"), _FONT)
    section = document.sections[0]
    section.orientation = WD_ORIENT.LANDSCAPE
    section.page_width, section.page_height = Mm(297), Mm(210)
    section.left_margin = section.right_margin = section.top_margin = section.bottom_margin = Mm(15)
    _paragraph(document, report.title, 16, bold=True)
    _paragraph(document, _facts(report), 9)
    for sheet in sheets(report):
        heading = _paragraph(document, sheet.name, 11, bold=True, left=True)
        heading.paragraph_format.page_break_before = bool(
            sheet.foot
        )  # a table of figures with its means is a sheet of its own
        if sheet.rows:
            _table(document, sheet)
        else:
            document.add_paragraph(sheet.empty)
    for text in notes(report):
        paragraph = document.add_paragraph(text)
        paragraph.paragraph_format.space_before, paragraph.paragraph_format.space_after = Pt(4), Pt(2)
    names = document.add_paragraph("        ".join(f"{role}____________" for role in signatures(report.words)))
    names.paragraph_format.space_before = Pt(12)
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def _facts(report: FiledReport) -> str:
    made = report.words.t("filed.made", time=f"{report.made:%Y-%m-%d %H:%M}")
    return f"{report.subject}    {report.days}    {made}"


def _plain(sheet: FiledSheet) -> dict[str, Any]:
    return {
        "name": sheet.name,
        "columns": _width(sheet),
        "wide": list(sheet.wide),
        "head": [[msgspec.to_builtins(head) for head in heads] for heads in sheet.head],
        "rows": [[str(value) for value in row] for row in sheet.rows],
        "foot": [[str(value) for value in row] for row in sheet.foot],
        "empty": sheet.empty,
    }


def _width(sheet: FiledSheet) -> int:
    return sum(head.columns for head in sheet.head[0])


def _paragraph(document: Any, text: str, size: int, *, bold: bool = False, left: bool = False) -> Any:
    paragraph = document.add_paragraph()
    paragraph.alignment = WD_ALIGN_PARAGRAPH.LEFT if left else WD_ALIGN_PARAGRAPH.CENTER
    paragraph.paragraph_format.keep_with_next = left
    paragraph.paragraph_format.space_before = Pt(8 if left else 0)
    paragraph.paragraph_format.space_after = Pt(4)
    run = paragraph.add_run(text)
    run.bold, run.font.size = bold, Pt(size)
    return paragraph


def _table(document: Any, sheet: FiledSheet) -> None:
    width, deep = _width(sheet), len(sheet.head)
    table = document.add_table(rows=deep + len(sheet.rows) + len(sheet.foot), cols=width)
    table.style = "Table Grid"
    taken: set[tuple[int, int]] = set()
    for down, heads in enumerate(sheet.head):
        column = 0
        for head in heads:
            while (down, column) in taken:
                column += 1
            cell = table.cell(down, column)
            if head.columns * head.rows > 1:
                cell = cell.merge(table.cell(down + head.rows - 1, column + head.columns - 1))
            _fill(cell, head.text, bold=True)
            taken |= {(down + r, column + c) for r in range(head.rows) for c in range(head.columns)}
            column += head.columns
        _trait(table.rows[down], "w:tblHeader")
    most = 3 if len(sheet.wide) < 4 else 2
    shares = [most if column in sheet.wide else 1 for column in range(width)]
    table.autofit = False
    for column, share in enumerate(shares):
        table.columns[column].width = Mm(_TEXT_WIDTH * share / sum(shares))
        for cell in table.columns[column].cells:
            cell.width = Mm(_TEXT_WIDTH * share / sum(shares))
    for number, values in enumerate([*sheet.rows, *sheet.foot], start=deep):
        _trait(table.rows[number], "w:cantSplit")
        cells = table.rows[number].cells
        for column, value in enumerate(values):
            _fill(
                cells[column],
                str(value),
                bold=number >= deep + len(sheet.rows),
                left=isinstance(value, str) and (column in sheet.wide or not column),
            )


def _trait(row: Any, name: str) -> None:
    """Give a row a trait for which python-docx has no name: a repeated head, no break within it."""
    row._tr.get_or_add_trPr().append(OxmlElement(name))  # noqa: SLF001 - see above


def _fill(cell: Any, text: str, *, bold: bool = False, left: bool = False) -> None:
    cell.vertical_alignment = WD_CELL_VERTICAL_ALIGNMENT.CENTER
    paragraph = cell.paragraphs[0]
    paragraph.alignment = WD_ALIGN_PARAGRAPH.LEFT if left else WD_ALIGN_PARAGRAPH.CENTER
    paragraph.paragraph_format.space_before = paragraph.paragraph_format.space_after = Pt(1)
    run = paragraph.add_run(text)
    run.bold, run.font.size = bold, Pt(8)
