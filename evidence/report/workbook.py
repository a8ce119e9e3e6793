"""All figures as tables of a workbook (XLSX): the same bytes for the same figures, and no cell that is computed."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec
import xlsxwriter

from greenmine.evidence.figures import FiguresDocument

Cell = str | float | bool | None

_CREATED: Final = datetime(2000, 1, 1)  # noqa: DTZ001 - written as it is, for the same bytes at any time
_ROWS: Final = 1_048_575
"""Rows of a worksheet under its head."""
_LONGEST: Final = 31
"""Characters in the name of a worksheet."""
_TEXT: Final = 32_767
"""Characters in a cell; what is longer is cut."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table with the names of its columns."""

    name: str
    columns: list[str]
    rows: list[list[Cell]] = field(default_factory=list)


def sheets(figures: FiguresDocument) -> Iterator[Sheet]:
    """The tables of a workbook: ``report`` with what stands alone, one for each list, and one for each list in a list.

    The first column of a list in a list names what it belongs to. Mappings and lists of plain values are words in a cell.
    """
    document: dict[str, Any] = {}
    for name, value in msgspec.structs.asdict(figures).items():
        inner = msgspec.structs.asdict(value) if isinstance(value, msgspec.Struct) else None
        document |= {name: value} if inner is None else {f"{name}.{key}": item for key, item in inner.items()}
    plain = {name: value for name, value in document.items() if not _is_table(value)}
    yield Sheet("report", ["name", "value"], [[name, _cell(value)] for name, value in plain.items()])
    for name, value in document.items():
        if _is_table(value):
            for sheet in _tables(name, msgspec.to_builtins(value), {}):  # one after the other: together they are large
                yield from _parts(sheet)


def workbook(figures: FiguresDocument) -> bytes:
    """The tables as XLSX; every text is a text, whatever it begins with."""
    file = io.BytesIO()
    book = xlsxwriter.Workbook(file, {"constant_memory": True})
    book.set_properties({"created": _CREATED})
    head = book.add_format({"bold": True})
    for sheet in sheets(figures):
        page = book.add_worksheet(sheet.name)
        page.freeze_panes(1, 0)
        page.set_column(0, len(sheet.columns) - 1, 16)
        for place, name in enumerate(sheet.columns):
            page.write_string(0, place, name, head)
        for number, row in enumerate(sheet.rows, start=1):
            for place, value in enumerate(row):
                if isinstance(value, bool):
                    page.write_boolean(number, place, value)
                elif isinstance(value, str):
                    page.write_string(number, place, value)
                elif value is not None:
                    page.write_number(number, place, value)
    book.close()
    return file.getvalue()


def _tables(name: str, rows: list[dict[str, Any]], owner: dict[str, Cell]) -> Iterator[Sheet]:
    inner = [key for key in rows[0] if any(_is_table(row[key]) for row in rows)]
    keys = [key for key in rows[0] if key not in inner]
    yield Sheet(name, [*owner, *keys], [[*owner.values(), *(_cell(row[key]) for key in keys)] for row in rows])
    for key in inner:
        parts = [
            sheet
            for row in rows
            if row[key]
            for sheet in _tables(f"{name}.{key}", row[key], owner | {f"{name}.{keys[0]}": _cell(row[keys[0]])})
        ]
        merged: dict[str, Sheet] = {}
        for sheet in parts:
            merged.setdefault(sheet.name, Sheet(sheet.name, sheet.columns)).rows.extend(sheet.rows)
        yield from merged.values()


def _parts(sheet: Sheet) -> Iterator[Sheet]:
    name = sheet.name[:_LONGEST]
    for number, start in enumerate(range(0, max(1, len(sheet.rows)), _ROWS), start=1):
        part = name if number == 1 else f"{name[: _LONGEST - 4]} {number}"
        yield Sheet(part, sheet.columns, sheet.rows[start : start + _ROWS])


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict | msgspec.Struct) for row in value)


def _cell(value: Any) -> Cell:
    if isinstance(value, dict | list | tuple | msgspec.Struct):
        value = _words(msgspec.to_builtins(value))
    if isinstance(value, str):
        return value[:_TEXT]
    return value if value is None or isinstance(value, bool) else float(value)


def _words(value: Any) -> str:
    """A mapping as ``name: value``, a list as its items, nothing as nothing."""
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_words(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_words(item) for item in value)
    return "" if value is None else str(value)
