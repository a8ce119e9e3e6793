"""Rows and columns of workbooks that are hidden, which readers of cells do not tell."""

from __future__ import annotations

import re
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Final

from greenmine.collector.files.columns import LoggerFileError

_LOOKED_AT: Final = 1 << 20
_HIDDEN_ROW: Final = re.compile(rb'<row (?=[^<>]*hidden="(?:1|true)")[^<>]*>')
_HIDDEN_COLUMNS: Final = re.compile(rb'<col (?=[^<>]*hidden="(?:1|true)")[^<>]*>')
_ODS_TAG: Final = re.compile(rb"<table:table(?:-(row|column))?(?=[\s/>])([^<>]*)")
_ATTRIBUTE: Final = re.compile(r'\b(?:table:)?([\w-]+)="([^"]*)"')
_SPAN_OF_COLUMNS: Final = re.compile(rb' (min|max)="(\d{1,5})"')
_FAR_CELL: Final = re.compile(rb' r="([A-Z]{2,3})\d{1,7}"')
"""A cell of column 27 or later."""
_CELLS_AT_MOST: Final = 100_000_000
"""Cells of a sheet, the empty ones between included."""
_ROW_NUMBER: Final = re.compile(rb' r="(\d{1,9})"')


@dataclass(slots=True)
class Hidden:
    """Rows of a sheet that are hidden, by number, and columns, by position."""

    rows: list[int] = field(default_factory=list)
    columns: set[int] = field(default_factory=set)


def hidden_parts(path: Path) -> dict[str, Hidden]:
    """What is hidden in a workbook, by sheet.

    Raises
    ------
    LoggerFileError
        If a cell stands so far out that the sheet has more cells than ``_CELLS_AT_MOST``, which a reader would all make.
    """
    if not zipfile.is_zipfile(path):
        return _hidden_in_xls(path)
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        if "content.xml" in names:
            return _hidden_in_ods(archive)
        if not {"xl/workbook.xml", "xl/_rels/workbook.xml.rels"} <= names:
            return {}
        found: dict[str, Hidden] = {}
        parts = {
            one.get("Id"): one.get("Target", "").removeprefix("/xl/")
            for one in _tags(archive, "xl/_rels/workbook.xml.rels")
        }
        for sheet in _tags(archive, "xl/workbook.xml"):
            part = parts.get(sheet.get("r:id"))
            if part is None or f"xl/{part}" not in names or "name" not in sheet:
                continue
            hidden = found.setdefault(sheet["name"], Hidden())
            height, width = 0, 1
            with archive.open(f"xl/{part}") as file:
                rest = b""
                while block := file.read(_LOOKED_AT):
                    text = rest + block
                    hidden.rows += [int(n) for row in _HIDDEN_ROW.findall(text) for n in _ROW_NUMBER.findall(row)]
                    for columns in _HIDDEN_COLUMNS.findall(text):
                        ends = {key: int(value) for key, value in _SPAN_OF_COLUMNS.findall(columns)}
                        first, last = ends.get(b"min", 1), min(ends.get(b"max", 0), 1 << 14)
                        hidden.columns.update(range(first - 1, last))
                    cut = text.rfind(b"<")
                    height = max(height, *map(int, _ROW_NUMBER.findall(text, max(0, text.rfind(b"<row ")))[:1] or [0]))
                    width = max([width, *map(_column, set(_FAR_CELL.findall(text)))])
                    rest = text[cut:]
            if height * width > _CELLS_AT_MOST:
                raise LoggerFileError(
                    f"has cells as far out as row {height:,} and column {width:,}: more than {_CELLS_AT_MOST:,} cells; copy the "
                    "readings into a sheet of their own"
                )
        return found


def _column(letters: bytes) -> int:
    """The number of a column by its letters, from 1."""
    number = 0
    for letter in letters:
        number = 26 * number + letter - 64
    return number


def _hidden_in_ods(archive: zipfile.ZipFile) -> dict[str, Hidden]:
    found: dict[str, Hidden] = {}
    hidden, row, column = Hidden(), 0, 0
    with archive.open("content.xml") as file:
        rest = b""
        while block := file.read(_LOOKED_AT):
            text = rest + block
            cut = text.rfind(b"<")
            for kind, attributes in _ODS_TAG.findall(text, 0, cut):
                said = {
                    key: unescape(value) for key, value in _ATTRIBUTE.findall(attributes.decode("utf-8", "replace"))
                }
                times = _whole_number(said.get(f"number-{kind.decode()}s-repeated", "1"))
                unseen = said.get("visibility", "visible") != "visible"
                if not kind:
                    hidden, row, column = found.setdefault(said.get("name", ""), Hidden()), 0, 0
                elif kind == b"row":
                    hidden.rows += range(row + 1, row + 1 + min(times, _LOOKED_AT)) if unseen else ()
                    row += times
                else:
                    hidden.columns.update(range(column, column + min(times, 1 << 14)) if unseen else ())
                    column += times
            rest = text[cut:]
    return found


def _whole_number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 8 else 1


def _tags(archive: zipfile.ZipFile, name: str) -> list[dict[str, str]]:
    """Attributes of the sheets and relations that a part of a workbook lists."""
    with archive.open(name) as file:
        text = file.read(_LOOKED_AT).decode("utf-8", "replace")
    tags = re.findall(r"<(?:\w+:)?(?:sheet|Relationship) [^<>]*>", text)
    return [{key: unescape(value) for key, value in re.findall(r'([\w:]+)="([^"]*)"', tag)} for tag in tags]


_BOF, _SHEET, _ROW, _COLUMNS = 0x809, 0x85, 0x208, 0x7D


def _hidden_in_xls(path: Path) -> dict[str, Hidden]:
    """What is hidden in an XLS workbook; nothing where it is damaged, of which its reader complains.

    References
    ----------
    Microsoft, MS-XLS 2.4.28 BoundSheet8, 2.4.53 ColInfo, 2.4.221 Row.
    """
    import olefile  # noqa: PLC0415 -- most files are text

    found: dict[str, Hidden] = {}
    try:
        with olefile.OleFileIO(path) as file:
            book = file.openstream(next(name for name in ("Workbook", "Book") if file.exists(name))).read()
        for kind, body in _records(book, 0):
            if kind == _SHEET and len(body) > 8:
                size, wide = body[6], body[7] & 1
                name = body[8 : 8 + (2 * size if wide else size)].decode("utf-16-le" if wide else "latin-1", "replace")
                hidden = found.setdefault(name, Hidden())
                for what, of in _records(book, struct.unpack_from("<I", body)[0]):
                    if what == _ROW and of[12] & 0x20:
                        hidden.rows.append(struct.unpack_from("<H", of)[0] + 1)
                    elif what == _COLUMNS and of[8] & 1:
                        first, last = struct.unpack_from("<HH", of)
                        hidden.columns.update(range(first, min(last, 1 << 8) + 1))
    except (OSError, ValueError, struct.error, IndexError, StopIteration):
        return found
    return found


def _records(book: bytes, place: int) -> Iterator[tuple[int, bytes]]:
    """Records of a workbook from a place to the end of the part that begins there."""
    depth = 0
    while place + 4 <= len(book):
        kind, size = struct.unpack_from("<HH", book, place)
        depth += (kind == _BOF) - (kind == 0x0A)
        yield kind, book[place + 4 : place + 4 + size]
        if depth <= 0:
            return
        place += 4 + size
