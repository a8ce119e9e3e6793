"""Columns of a text file, read from its rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from greenmine.collector.files.columns import (
    DATES,
    STAMPS,
    TIMES,
    LoggerFileError,
    bare,
    plain,
    words,
    written,
)
from greenmine.collector.files.layout import Layout
from greenmine.collector.files.numerals import NumberReader
from greenmine.collector.files.rows import ArrowRows, Part, RawTable, Skipped, TextRows, pieces, rows_of
from greenmine.collector.files.sections import begins_section
from greenmine.collector.files.stamps import UNREADABLE, StampReader
from greenmine.collector.files.stated_zones import is_zone, offset_of
from greenmine.collector.files.time_columns import TimeColumns, elapsed

_SUMMARIES: Final = words("""
    average avg mean max maximum min minimum total sum count std stdev median statistics 平均 平均值 均值 日均值 月均值 最大
    最大值 最小 最小值 合计 总计 标准差 中位数 有效率 超标率 样本数 备注 审核 审核人 制表 制表人 日平均 月平均
    小时均值 小时平均 小时平均值 时均值
""")
"""What stands in the place of a stamp in lines that sum up others."""
_SUMMING: Final = _SUMMARIES | words(
    "of the day daily hour hourly month monthly week weekly value values for all total 全天 当日 本月 全月"
)
_FEET_AT_MOST: Final = 20
"""Lines below the readings that may say something of them."""
SUMMED: Final = "they sum up others"
REPEATED: Final = "they repeat the heading"
"""Why rows are left out."""


def read_text(
    layout: Layout,
    columns: tuple[str, ...],
    texts: tuple[str, ...],
    words: str,
    flags: tuple[str, ...],
) -> RawTable:
    """Read the stamps and the columns that are wanted.

    Raises
    ------
    LoggerFileError
        If a column is missing, or lines between the rows contradict what was read before.
    """
    said, across = layout.description, layout.clock.kind == "across"
    names = layout.names
    _refuse_fewer_cells(layout)
    if across:
        names = (layout.time_names[0], *(n for c, n in enumerate(names) if c not in layout.clock.columns), "value")
    part = Part.first(layout, names, columns, texts)
    decimal = said.decimal or _decimal(layout)
    readers = {
        name: NumberReader(decimal, quoted=layout.delimiter == ",", missing=said.missing or (), words=words)
        for name in part.chosen
    }
    stamps = StampReader(said.time_format, layout.order(), layout.clock.serial)
    raw = RawTable(stamps, readers, Skipped(), np.empty(0, np.int64), {name: {} for name in part.texts})
    kept = []
    clock = TimeColumns((0,)) if across else layout.clock
    plain_stamps = clock.kind == "stamp" and len(clock.columns) == 1 and part.zone is None
    for block, lines, part in pieces(layout, part, raw.sections, raw.cut):  # noqa: B020  the part goes with the piece
        rows = rows_of(block, lines, layout, part if not across else replace(part, names=layout.names), raw.skipped)
        if across and isinstance(rows, TextRows):
            rows = rows.unfolded(layout)
        for column, text in part.conditions:
            rows = rows.where(np.array([cell.strip() == text for cell in rows.column(column)], np.bool_))
        if plain_stamps and isinstance(rows, ArrowRows):
            readable = stamps.add_column(rows.array(part.time[0]), rows.lines)
        else:
            cells = clock.texts([rows.column(column) for column in part.time])
            if part.zone is not None:
                texts_of = [zone.strip() for zone in rows.column(part.zone)]
                stated = [said.zones.get(zone) or offset_of(zone) or zone for zone in texts_of]
                raw.zones += [zone if "/" in zone and is_zone(zone) else "" for zone in stated]
                stated = [
                    "" if zone == named else zone for zone, named in zip(stated, raw.zones[-len(stated) :], strict=True)
                ]
                cells = [f"{cell} {zone}" if cell and zone else cell for cell, zone in zip(cells, stated, strict=True)]
            passed = clock.kind == "elapsed"
            readable = _take_elapsed(stamps, clock, cells) if passed else stamps.add(cells, rows.lines)
        dropped = _without_time(rows, readable, layout, part, raw)
        if part.labels or raw.labels:
            raw.labels.append(_labelled(rows, part, len(readable)))
        for name, column in part.chosen.items():
            if isinstance(rows, ArrowRows):
                readers[name].add_column(rows.array(column))
            else:
                readers[name].add(rows.column(column))
        for name in flags:
            raw.flags.setdefault(name, []).extend(rows.texts(part.texts[name]))
        for name, column in part.texts.items():
            found = raw.texts[name]
            if len(found) < 100:
                found.update(
                    dict.fromkeys(
                        text.strip() for text, good in zip(rows.column(column), readable, strict=True) if good
                    )
                )
        lines_here = rows.lines.copy()
        lines_here[dropped] = -1
        kept.append(lines_here)
    raw.lines = np.concatenate([np.empty(0, np.int64), *kept])
    return raw


def _refuse_fewer_cells(layout: Layout) -> None:
    """Refuse rows that all have fewer cells than the header has names: which column has none is open.

    Raises
    ------
    LoggerFileError
        If so, and nobody says that the last columns have none.
    """
    cells = max(map(len, layout.sample), default=0)
    named = sum(not name.startswith("#") for name in layout.written) if layout.header else 0
    if 0 < cells < named and layout.delimiter != " " and (layout.description.tolerate or 0) < 1:
        raise LoggerFileError(
            f"the rows have {cells} cells, and the header names {named} columns: which of them has none is open; --tolerate 1 says "
            "that the last have none"
        )


def _take_elapsed(stamps: StampReader, clock: TimeColumns, cells: Sequence[str]) -> NDArray[np.bool_]:
    start = int(np.datetime64(clock.start, "ms").astype(np.int64))
    passed = [elapsed(cell) for cell in cells]
    time = [UNREADABLE if x is None else start + round(x * clock.scale) for x in passed]
    stamps.take(np.array(time, np.int64), absolute=False)
    return np.array([x is not None for x in passed], np.bool_)


def _without_time(
    rows: TextRows | ArrowRows, readable: NDArray[np.bool_], layout: Layout, part: Part, raw: RawTable
) -> NDArray[np.bool_]:
    """Which rows without a time are no readings that were lost; and what of them may begin a section of something else."""
    dropped = np.zeros(len(readable), np.bool_)
    if not readable.all():
        _refuse_other_header(rows, readable, part)
        raw.sections += _sections(rows, readable, layout)
        last = np.flatnonzero(~readable)[-_FEET_AT_MOST:].tolist()
        raw.feet = [(int(rows.lines[row]), layout.delimiter.join(filter(None, rows.row(row))).strip()) for row in last]
        for why, found in (
            (SUMMED, _summaries(rows.column(part.time[0]), readable)),
            (REPEATED, _of_the_heading(rows, readable, layout)),
        ):
            raw.skipped.count(why, rows.lines[found & ~dropped])
            dropped |= found
    return dropped


def _summaries(cells: Sequence[str], readable: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which rows say that they sum up others, in the place of their time."""
    found = np.zeros(len(cells), np.bool_)
    for row in np.flatnonzero(~readable).tolist():
        said = plain(re.split(r"[:：]", cells[row])[0])
        found[row] = said in _SUMMARIES or _sums_up(cells[row])
    return found


def _labelled(rows: TextRows | ArrowRows, part: Part, size: int) -> NDArray[np.bool_]:
    """Which rows have a word such as Mean in a column of text."""
    found = np.zeros(size, np.bool_)
    for column in part.labels:
        if isinstance(rows, ArrowRows):
            texts = rows.array(column).dictionary_encode()
            words, at = texts.dictionary.to_pylist(), texts.indices.to_numpy()
            found |= np.array([_sums_up(text) for text in words], np.bool_)[at]
        else:
            found |= np.array([_sums_up(text) for text in rows.column(column)], np.bool_)
    return found


def _refuse_other_header(rows: TextRows | ArrowRows, readable: NDArray[np.bool_], part: Part) -> None:
    """Refuse a header among the rows that calls its columns otherwise."""
    stamps = rows.column(part.time[0])
    for row in np.flatnonzero(~readable).tolist():
        if {plain(stamps[row]), bare(stamps[row])} & (STAMPS | TIMES | DATES):
            for column in (*part.time, *part.chosen.values()):
                if (other := rows.column(column)[row]) and plain(other) != plain(written(part.names[column])):
                    raise LoggerFileError(
                        f"line {rows.lines[row]}: a second header, with {other.strip()!r} in the place of {part.names[column]!r}; "
                        "split the file there"
                    )


def _of_the_heading(rows: TextRows | ArrowRows, readable: NDArray[np.bool_], layout: Layout) -> NDArray[np.bool_]:
    """Which rows are lines of the heading once more."""
    found = np.zeros(len(readable), np.bool_)
    said = {plain(line) for line in layout.heading} - {""}
    for row in np.flatnonzero(~readable).tolist() if said else []:
        found[row] = plain("".join(rows.row(row))) in said
    return found


def _sections(rows: TextRows | ArrowRows, readable: NDArray[np.bool_], layout: Layout) -> list[tuple[int, str]]:
    """Lines without a time that may begin a section of something else."""
    found = []
    for row in np.flatnonzero(~readable).tolist():
        cells = [cell.strip() for cell in rows.row(row) if cell.strip()]
        if begins_section(cells, layout.heading):
            found.append((int(rows.lines[row]), layout.delimiter.join(cells)))
    return found


def _sums_up(text: str) -> bool:
    """Whether a text is a word such as Mean, or a few with one: ``daily mean``."""
    if len(text) > 30:
        return False
    said = {plain(word) for word in re.split(r"[\s_:：]+", text)} - {""}
    return bool(said & _SUMMARIES) and said <= _SUMMING


def _decimal(layout: Layout) -> str | None:
    """The comma, where the first rows prove that it is the decimal sign of the file; None: left to each column."""
    if layout.delimiter == ",":
        return None
    cells = [cell.strip() for row in layout.sample for c, cell in enumerate(row) if c not in layout.clock.columns]
    proof = any(re.fullmatch(r"[+-]?(?:\d+,(\d{1,2}|\d{4,})|0,\d+)", cell) for cell in cells)
    against = any(re.fullmatch(r"[+-]?\d+\.(\d{1,2}|\d{4,})", cell) for cell in cells)
    return "," if proof and not against else None
