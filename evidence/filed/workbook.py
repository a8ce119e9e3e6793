"""A filed report as XLSX: merged heads, numbers as numbers, and formulas where a person would check a sum."""

from __future__ import annotations

import io
import unicodedata
from typing import Any, Final

import xlsxwriter
from xlsxwriter.utility import xl_range
from xlsxwriter.worksheet import Worksheet

from greenmine.evidence.filed.content import FiledReport
from greenmine.evidence.filed.sheets import Computed, FiledSheet, Number, Value, notes, sheets, signatures

_FORMULAS: Final = {
    ("mean", "arithmetic"): 'IFERROR(AVERAGE({cells}),"—")',
    ("mean", "energy"): 'IFERROR(10*LOG10(SUM(IF(ISNUMBER({cells}),10^({cells}/10)))/COUNT({cells})),"—")',
    ("sum", "sum"): "SUM({cells})",
    ("maximum", ""): 'IF(COUNT({cells}),MAX({cells}),"—")',
    ("minimum", ""): 'IF(COUNT({cells}),MIN({cells}),"—")',
}
"""By total and way of averaging; letters in cells are texts, which none of these counts."""
_NARROW: Final = 11
_WIDE: Final = 34
_PAGE: Final = 118
"""Width of a page [characters]; narrow tables are spread over it."""
_LINE: Final = 15.0
"""Height of a line [pt]."""
_HEAD_ROW: Final = 2
"""Rows above the head of a table: title and facts."""


def workbook(report: FiledReport) -> bytes:
    """Return the report as a workbook with a sheet for each table."""
    file = io.BytesIO()
    book = xlsxwriter.Workbook(file, {"in_memory": True})
    styles = _Styles(book)
    for sheet in sheets(report):
        _write(book.add_worksheet(sheet.name[:31]), sheet, report, styles)
    book.close()
    return file.getvalue()


class _Styles:
    """Formats of a workbook, made once for each look."""

    def __init__(self, book: xlsxwriter.Workbook) -> None:
        self._book = book
        self._made: dict[tuple[tuple[str, Any], ...], Any] = {}

    def __call__(self, **look: Any) -> Any:
        key = tuple(sorted(look.items()))
        if key not in self._made:
            self._made[key] = self._book.add_format(
                {"valign": "vcenter", "font_name": "SimSun", "font_size": 10, **look}
            )
        return self._made[key]

    def number(self, places: int, *, bold: bool = False) -> Any:
        """Format of a number with so many decimals."""
        form = "0" + ("." + "0" * places if places else "")
        return self(border=1, align="right", num_format=form, bold=bold)


def _write(page: Worksheet, sheet: FiledSheet, report: FiledReport, styles: _Styles) -> None:
    w = report.words
    width = sum(head.columns for head in sheet.head[0])
    last = max(width - 1, 1)
    page.set_landscape()
    page.set_paper(9)
    page.fit_to_pages(1, int(bool(sheet.foot)))
    page.center_horizontally()
    page.set_margins(left=0.5, right=0.5, top=0.6, bottom=0.6)
    page.set_footer("&C&P / &N")
    narrow = max(_NARROW, (_PAGE - _WIDE * len(sheet.wide)) / max(1, width - len(sheet.wide)))
    widths = [_WIDE if column in sheet.wide else narrow for column in range(width)]
    for column, wide in enumerate(widths):
        page.set_column(column, column, wide)
    page.merge_range(0, 0, 0, last, f"{report.title} · {sheet.name}", styles(bold=True, font_size=14, align="center"))
    made = w.t("filed.made", time=f"{report.made:%Y-%m-%d %H:%M}")
    page.merge_range(1, 0, 1, last, f"{report.subject}    {report.days}    {made}", styles(align="center"))
    row = _head(page, sheet, styles)
    page.freeze_panes(row, 1)
    page.repeat_rows(_HEAD_ROW, row - 1)
    first = row
    for cells in sheet.rows:
        for column, value in enumerate(cells):
            _cell(page, row, column, value, styles, first, wide=column in sheet.wide)
        lines = max(_lines(str(value), wide) for value, wide in zip(cells, widths, strict=True))
        if lines > 1:
            page.set_row(row, _LINE * lines)
        row += 1
    if not sheet.rows and sheet.empty:
        page.merge_range(row, 0, row, last, sheet.empty, styles(border=1, align="center"))
        row += 1
    end = row
    for cells in sheet.foot:
        for column, value in enumerate(cells):
            _cell(page, row, column, value, styles, first, end - 1, bold=True)
        row += 1
    row += 1
    for text in notes(report):
        page.merge_range(row, 0, row, last, text, styles(font_size=9, text_wrap=True))
        page.set_row(row, _LINE * _lines(text, sum(widths)))
        row += 1
    page.write_string(row + 1, 0, "        ".join(f"{role}____________" for role in signatures(w)), styles())


def _lines(text: str, width: float) -> int:
    """Lines that a text takes in a cell; a Chinese character is as wide as two others."""
    taken = sum(1 + (unicodedata.east_asian_width(sign) in "WFA") for sign in text)
    return max(1, -(-taken // int(width)))


def _head(page: Worksheet, sheet: FiledSheet, styles: _Styles) -> int:
    """Write the head of a table; returns the row below it."""
    look = styles(bold=True, border=1, align="center", text_wrap=True, bg_color="#EEF2EE")
    taken: set[tuple[int, int]] = set()
    for down, heads in enumerate(sheet.head):
        column = 0
        for head in heads:
            while (down, column) in taken:
                column += 1
            row = _HEAD_ROW + down
            if head.columns * head.rows > 1:
                page.merge_range(row, column, row + head.rows - 1, column + head.columns - 1, head.text, look)
            else:
                page.write_string(row, column, head.text, look)
            taken |= {(down + r, column + c) for r in range(head.rows) for c in range(head.columns)}
            column += head.columns
    return _HEAD_ROW + len(sheet.head)


def _cell(
    page: Worksheet,
    row: int,
    column: int,
    value: Value,
    styles: _Styles,
    first: int,
    last: int = 0,
    *,
    wide: bool = False,
    bold: bool = False,
) -> None:
    if isinstance(value, Number):
        page.write_number(row, column, value.value, styles.number(value.places))
    elif isinstance(value, Computed):
        averaging = value.averaging if value.total in {"mean", "sum"} else ""
        formula = _FORMULAS[value.total, averaging].format(cells=xl_range(first, column, last, column))
        places = value.number.places if value.number else 0
        known: Any = value.number.value if value.number else "—"
        page.write_array_formula(row, column, row, column, f"{{={formula}}}", styles.number(places, bold=bold), known)
    else:
        align = "left" if wide or not column else "center"
        page.write_string(row, column, value, styles(border=1, align=align, text_wrap=True, bold=bold))
