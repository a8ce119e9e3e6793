"""Rows of a text file: its lines block by block, cut into cells."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from statistics import median_low
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pv
from numpy.typing import NDArray

from greenmine.collector.files.columns import (
    LoggerFileError,
    bare,
    find_column,
    listed,
    plain,
    unique_names,
)
from greenmine.collector.files.layout import LINE_AT_MOST, ODD_SIGNS, Layout, clean, extent_of, split
from greenmine.collector.files.numerals import NumberReader, number
from greenmine.collector.files.sections import begins_section
from greenmine.collector.files.sources import open_text
from greenmine.collector.files.stamps import StampReader
from greenmine.collector.files.stated_zones import is_zone
from greenmine.collector.files.time_columns import has_stamp, is_number

_BLOCK: Final = 1 << 22
"""Signs read at a time: bounds the memory that text takes."""
_FIRST: Final = 1 << 13
"""Signs read at first, which may begin with lines of units."""
_ZONES: Final = re.compile(
    r"(?:(?:utc|gmt|tz|timezone|zone)(?:offset|diff(?:erence)?)|offset(?:from|to)?(?:utc|gmt))(?:secs?|seconds|s|mins?|minutes|h|hrs?|hours)?"
    r"|tz|timezone|tzcd|tzname|zeitzone|zone|offset|时区|时差"
)
"""A plain name of a column that states the zone of each row."""
_BROWSER: Final = re.compile(r"(?:tz|timezone)offset(?:mins?|minutes)?")
"""A plain name of minutes that programs in browsers count behind UTC, and others ahead of it."""
_LABELS_AT_MOST: Final = 6
"""Columns of text that are looked through for such words."""
_ZONE_CELL: Final = re.compile(r"(?:UTC|GMT)? ?[+-]?\d{1,2}(?::?\d\d)?|[A-Z]{3,5}|Z", re.ASCII)
_MINUTES: Final = re.compile(r"[+-]?(?:[2-9]\d|[1-9]\d\d)")
"""An offset in minutes."""
_OFFSET_CELL: Final = re.compile(r"(?:UTC|GMT)? ?[+-]\d\d:\d\d", re.ASCII)
"""What tells an offset of time from another offset."""
_LOOKED_BACK: Final = 50
"""Rows with which the last line of a file is compared."""
_ENOUGH: Final = 7
"""So many cells show how long those of a column are."""
_LOOKED_AT: Final = 200
"""Rows of a block that show what its rows have in common."""
_MOST: Final = 0.8
"""A share of the cells of a column that shows what it holds."""
_NEW_HEADER_UNITS: Final = 4
"""Lines of units that may follow a header."""


@dataclass(slots=True)
class Skipped:
    """Rows left out, and the line of the first, by reason."""

    rows: dict[str, int] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)

    def count(self, reason: str, lines: Sequence[int] | NDArray[np.int64]) -> None:
        """Count rows that are left out for a reason."""
        if len(lines):
            self.rows[reason] = self.rows.get(reason, 0) + len(lines)
            self.first.setdefault(reason, int(lines[0]))

    def notes(self) -> list[str]:
        """Say how many rows were left out, and why."""
        return [
            f"{n:,} rows left out: {reason} (first in line {self.first[reason]})" for reason, n in self.rows.items()
        ]


@dataclass(slots=True)
class RawTable:
    """What was read, before the order of day and month is known."""

    stamps: StampReader
    numbers: dict[str, NumberReader]
    skipped: Skipped
    lines: NDArray[np.int64]
    texts: dict[str, dict[str, None]] = field(default_factory=dict)
    flags: dict[str, list[str]] = field(default_factory=dict)
    zones: list[str] = field(default_factory=list)
    """Zone of each row, where a column states it; empty if none does."""
    sections: list[tuple[int, str]] = field(default_factory=list)
    """Lines without a time that may begin a section of something else."""
    labels: list[NDArray[np.bool_]] = field(default_factory=list)
    """Which rows have a word such as Mean in a column of text."""
    cut: list[str] = field(default_factory=list)
    """Notes on a last line that has no end."""
    feet: list[tuple[int, str]] = field(default_factory=list)
    """The last lines without a time."""

    def summing(self, readable: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which rows sum up others: those with a label, if they are the fewer."""
        if not self.labels:
            return np.zeros(len(readable), np.bool_)
        labelled = np.concatenate(self.labels)
        return (
            labelled
            if 2 * np.count_nonzero(labelled & readable) < np.count_nonzero(readable)
            else np.zeros_like(labelled)
        )


def chosen_columns(names: Sequence[str], time: Collection[str], columns: Sequence[str]) -> dict[str, int]:
    """Positions of the columns to read, by the name they are asked for with."""
    if not columns:
        return {name: c for c, name in enumerate(names) if name not in time}
    return {wanted: position_of(names, wanted) for wanted in columns}


def position_of(names: Sequence[str], wanted: str) -> int:
    """Find the column that somebody names."""
    position = find_column(names, wanted)
    if position is None:
        raise LoggerFileError(f"no column {wanted!r}: there are {listed(names)}")
    return position


@dataclass(frozen=True, slots=True)
class Part:
    """Where the columns stand in one part of the file: parts joined to it may have more columns, or others."""

    names: tuple[str, ...]
    time: tuple[int, ...]
    chosen: dict[str, int]
    conditions: tuple[tuple[int, str], ...]
    texts: dict[str, int]
    zone: int | None
    labels: tuple[int, ...] = ()
    """Columns of text that are looked through for words such as Mean."""

    @staticmethod
    def first(layout: Layout, names: tuple[str, ...], columns: Sequence[str], texts: Sequence[str]) -> Part:
        """Find the columns under the first header."""
        clock = layout.clock
        time = (0,) if clock.kind == "across" else clock.columns
        said = layout.description
        zone = None if said.zone_column is None else position_of(names, said.zone_column)
        if zone is None:
            stated = [
                c
                for c, name in enumerate(names)
                if c not in time
                and said.zone is None
                and (_ZONES.fullmatch(plain(name)) or _ZONES.fullmatch(bare(name)))
                and _may_hold_zones(layout, c, plain(name))
            ]
            zone = stated[0] if len(stated) == 1 else None
        chosen = chosen_columns(names, [names[c] for c in time], columns)
        labels = [
            c
            for c in range(len(names))
            if clock.kind != "across"
            and c not in {*time, *chosen.values(), zone}
            and (not c or not mostly_numbers(layout, c))
        ]
        return Part(
            names,
            time,
            chosen,
            tuple((position_of(names, name), text.strip()) for name, text in said.where.items()),
            {name: position_of(names, name) for name in texts},
            zone,
            tuple(labels[:_LABELS_AT_MOST]),
        )

    def moved(self, names: tuple[str, ...], line: int) -> Part:
        """The same columns under another header.

        Raises
        ------
        LoggerFileError
            If a column is missing there.
        """
        places = {plain(name): c for c, name in reversed(list(enumerate(names)))}

        def place(column: int) -> int:
            found = places.get(plain(self.names[column]))
            if found is None:
                raise LoggerFileError(
                    f"line {line}: a second header without {self.names[column]!r}, but with {listed(names)}; split the file there"
                )
            return found

        return Part(
            names,
            tuple(map(place, self.time)),
            {name: place(c) for name, c in self.chosen.items()},
            tuple((place(c), text) for c, text in self.conditions),
            {name: place(c) for name, c in self.texts.items()},
            None if self.zone is None else place(self.zone),
        )


def _may_hold_zones(layout: Layout, column: int, name: str) -> bool:
    """Whether the first cells of a column, whose plain name is given, may be zones of time: no parts of a town, no other offsets.

    Raises
    ------
    LoggerFileError
        If they are minutes of which it is open whether they count ahead of UTC.
    """
    cells = [row[column].strip() for row in layout.sample if len(row) > column and row[column].strip()]
    if _BROWSER.fullmatch(name) and (open_ := next((cell for cell in cells if _MINUTES.fullmatch(cell)), None)):
        raise LoggerFileError(
            f"column {layout.names[column]!r} says {open_!r}: browsers count the minutes behind UTC, others those ahead of it; "
            "give --stamp-zone"
        )
    if name == "offset":
        return bool(cells) and all(map(_OFFSET_CELL.fullmatch, cells))
    if name == "zone":
        return bool(cells) and all(_ZONE_CELL.fullmatch(cell) or ("/" in cell and is_zone(cell)) for cell in cells)
    return True


def pieces(
    layout: Layout, part: Part, sections: list[tuple[int, str]], cut: list[str]
) -> Iterator[tuple[str, NDArray[np.int64], Part]]:
    """The lines of data with their numbers, in blocks, parted at each further header.

    ``sections`` takes comments, ``cut`` notes on a last line that has no end.
    """
    own = layout.written or layout.names
    times = [plain(layout.names[c]) for c in layout.clock.columns]
    mark = layout.names[layout.clock.columns[0]].strip()
    named = layout.header > 0 and not layout.description.names and all(times)
    line, size = layout.header, _FIRST
    units: tuple[str, ...] | None = None
    with open_text(layout.source.path, layout.source.encoding) as file:
        for _ in islice(file, layout.header):
            pass
        while text := file.read(size):
            text += (rest := file.readline(LINE_AT_MOST))
            if len(rest) == LINE_AT_MOST:
                raise LoggerFileError(f"a line has more than {LINE_AT_MOST:,} signs: it is no text table")
            first = size == _FIRST
            size = _BLOCK
            comments = "#" in text and (text[0] == "#" or "\n#" in text)
            if first or (named and mark in text) or comments or not text.endswith("\n"):
                block = [row for row in re.split(r"(?<=\n)", text) if row]
                if not text.endswith("\n"):
                    block[-1] = _last_line(block, layout, part, cut)
                lines = np.arange(line + 1, line + 1 + len(block), dtype=np.int64)
                units = _lines_of_units(block) if units is None else units
                begin = 0
                for index in [i for i, row in enumerate(block) if mark in row] if named else []:
                    cells = split(clean(block[index]), layout.delimiter)
                    names = unique_names(cells)
                    if not set(times) <= {plain(name) for name in names}:
                        _refuse_header_behind(block[index], int(lines[index]), mark, own, layout)
                        continue
                    yield from _without_comments(
                        layout, block[begin:index], lines[begin:index], part, sections, after_header=first
                    )
                    extent = max((i for i, cell in enumerate(cells, start=1) if cell.strip()), default=0)
                    if (
                        own[0] == "#1" and names[:extent] == own[1 : extent + 1]
                    ):  # rows with their number, headers without
                        pass
                    elif tuple(map(plain, names[:extent])) != tuple(map(plain, own[:extent])) or extent > len(own):
                        part, own = part.moved(names[:extent], int(lines[index])), names[:extent]
                    begin, first = index + 1, True
                    again = _lines_of_units(block[begin:])
                    if again and again != units:
                        raise LoggerFileError(
                            f"line {lines[index]}: a second header, with other lines of units below it; split the file there"
                        )
                yield from _without_comments(layout, block[begin:], lines[begin:], part, sections, after_header=first)
                line += len(block)
            else:
                count = text.count("\n")
                yield text, np.arange(line + 1, line + 1 + count, dtype=np.int64), part
                line += count


def _refuse_header_behind(row: str, line: int, mark: str, own: Sequence[str], layout: Layout) -> None:
    """Refuse a header right behind readings, as where files are joined of which the first does not end its last line."""
    tail = [plain(cell) for cell in split(clean(row[row.index(mark) :]), layout.delimiter)]
    if row.index(mark) and len(set(tail) & set(map(plain, own))) > 1:
        raise LoggerFileError(
            f"line {line}: a header stands behind readings, where files were joined: split the file there"
        )


def _last_line(block: Sequence[str], layout: Layout, part: Part, cut: list[str]) -> str:
    """The last line of a file that does not end its line: without its last cell, if that was cut off in the middle."""
    *before, last = (split(clean(row), layout.delimiter) for row in block[-_LOOKED_BACK:])
    rows = [
        row for row in (*map(list, layout.sample[:_LOOKED_BACK]), *before) if len(row) > 1 and any(row) and row != last
    ]
    place, text = len(last) - 1, last[-1].strip()
    if not rows or max(part.time + tuple(part.chosen.values())) < place or (not place and not text[:1].isdigit()):
        return f"{block[-1]}\n"
    others = [row[place].strip() for row in rows if place < len(row) and row[place].strip()]
    if len(last) < min(map(len, rows)) or block[-1].count('"') % 2 or _is_cut(text, others):
        cut.append(f"the last line is cut off: its last cell, {text!r}, is not used")
        whole = clean(block[-1])
        return f"{whole[: whole.rindex(text)]}{layout.delimiter * (len(layout.names) - len(last))}\n"
    if text[-1:].isdigit() and len(text) < max(map(len, others), default=0):
        cut.append(
            f"the last line has no end: its last cell, {text!r}, is shorter than others, may be cut off and is not used"
        )
        whole = clean(block[-1])
        return f"{whole[: whole.rindex(text)]}\n"
    if not text and others and place < len(layout.names) and len(others) == len(rows):
        cut.append(
            "the last line has no end, and its last cell, which no other row leaves empty, is missing: it is not used"
        )
        return "\n"
    return f"{block[-1]}\n"


def _is_cut(text: str, others: Sequence[str]) -> bool:
    """Whether a cell is only the begin of one: the others of its column are all longer, or have more decimals."""
    if not text or len(others) < _ENOUGH:
        return False
    if not text[-1].isdigit() and text[-1] not in ".,-+":
        return text not in others and any(other.startswith(text) for other in others)
    decimals = {len(re.split("[.,]", other, maxsplit=1)[1]) if re.search("[.,]", other) else 0 for other in others}
    own = re.split("[.,]", text, maxsplit=1)
    behind = len(own[1]) if len(own) > 1 else 0
    return behind < min(decimals) or len(text) < min(map(len, others)) or text[-1] in ".,-+"


def _without_comments(
    layout: Layout,
    block: list[str],
    lines: NDArray[np.int64],
    part: Part,
    sections: list[tuple[int, str]],
    *,
    after_header: bool,
) -> Iterator[tuple[str, NDArray[np.int64], Part]]:
    """The block without lines of comment, and without lines of units after a header."""
    units = len(_lines_of_units(block)) if after_header else 0
    keep = [index for index in range(units, len(block)) if not block[index].startswith("#")]
    sections += [
        (int(lines[index]), block[index].strip())
        for index in range(units, len(block))
        if block[index].startswith("#") and begins_section([block[index].strip(" #\t\n")], layout.heading, comment=True)
    ]
    if keep:
        yield "".join(block[index] for index in keep), lines[keep], part


def _lines_of_units(block: Sequence[str]) -> tuple[str, ...]:
    """The first lines that hold no figure."""
    units = 0
    for row in block[:_NEW_HEADER_UNITS]:
        if any(character.isdigit() for character in re.sub(r"[A-Za-z/³²^]+\d|(?<=[/\u00b5μ])\w+", "", row)):
            break
        units += 1
    return tuple(row.strip() for row in block[:units])


@dataclass(frozen=True, slots=True)
class TextRows:
    """Rows of equal width: all cells one after the other, and the number of each line."""

    cells: list[str]
    width: int
    lines: NDArray[np.int64]

    def column(self, position: int) -> list[str]:
        """Cells of a column."""
        return self.cells[position :: self.width]

    def texts(self, position: int) -> list[str]:
        """Cells of a column without blanks around them."""
        return [cell.strip() for cell in self.column(position)]

    def row(self, index: int) -> list[str]:
        """Cells of a row."""
        return self.cells[index * self.width : (index + 1) * self.width]

    def where(self, which: NDArray[np.bool_]) -> TextRows:
        """Keep the rows of a mask."""
        kept = [cell for index in np.flatnonzero(which).tolist() for cell in self.row(index)]
        return TextRows(kept, self.width, self.lines[which])

    def unfolded(self, layout: Layout) -> TextRows:
        """Turn each row with a column for each hour into a row for each hour: its time, the other columns, its value."""
        day, *hours = layout.clock.columns
        others = [c for c in range(self.width) if c not in layout.clock.columns]
        cells: list[str] = []
        for index in range(len(self.lines)):
            row = self.row(index)
            rest = [row[c] for c in others]
            date = re.split("[ T]", row[day].strip())[0]
            for column, hour in zip(hours, layout.clock.parts, strict=True):
                cells += [f"{date} {hour}:00" if date else "", *rest, row[column]]
        return TextRows(cells, 2 + len(others), np.repeat(self.lines, len(hours)))


@dataclass(frozen=True, slots=True)
class ArrowRows:
    """Rows of plain lines, of which only the columns that are needed were cut out."""

    columns: dict[int, pa.StringArray]
    lines: NDArray[np.int64]

    def array(self, position: int) -> pa.StringArray:
        """Cells of a column as they were cut."""
        return self.columns[position]

    def column(self, position: int) -> list[str]:
        """Cells of a column."""
        cells: list[str] = self.columns[position].to_pylist()
        return cells

    def texts(self, position: int) -> list[str]:
        """Cells of a column without blanks around them; alike ones are one object."""
        encoded = self.columns[position].dictionary_encode()
        words = [word.strip() for word in encoded.dictionary.to_pylist()]
        return [words[code] for code in encoded.indices.to_pylist()]

    def row(self, index: int) -> list[str]:
        """Cells of a row, of the columns that were cut out."""
        return [array[index].as_py() for array in self.columns.values()]

    def where(self, which: NDArray[np.bool_]) -> ArrowRows:
        """Keep the rows of a mask."""
        mask = pa.array(which)
        return ArrowRows({c: array.filter(mask) for c, array in self.columns.items()}, self.lines[which])


def rows_of(text: str, lines: NDArray[np.int64], layout: Layout, part: Part, skipped: Skipped) -> TextRows | ArrowRows:
    """The rows of a block of lines, all as wide as the header; blank lines are none."""
    width, delimiter = len(part.names), layout.delimiter
    odd = any(sign in text for sign in ('"', "'", "\0", "\ufeff")) or (not text.isascii() and ODD_SIGNS.search(text))
    if layout.clock.kind != "across" and not odd and delimiter != " ":
        rows = _cut(text, lines, delimiter, part)
        if rows is not None:
            return rows
    keep: list[int] = []
    long: list[int] = []
    short: list[int] = []
    cells = []
    split_rows = [split(clean(line), delimiter) for _, line in zip(lines, re.split("\n", text), strict=False)]
    usual: _Usual | None = None
    for place, row in zip(lines.tolist(), split_rows, strict=True):
        if any(cell.strip() for cell in row[width:]):
            long.append(place)
            continue
        if len(row) < width and any(row):
            usual = usual or _Usual.of(layout, part, split_rows)
            if usual.is_doubtful(row, layout, part):
                short.append(place)
                continue
        if any(cell.strip() for cell in row):
            keep.append(place)
            cells += row[:width] + [""] * (width - len(row))
    skipped.count(f"more cells than the {width} of the header", long)
    if usual is not None:
        what = f"fewer cells than the {usual.cells} of other rows"
        skipped.count(f"{what}, which blanks part" if delimiter == " " else f"{what}: which is missing is open", short)
    return TextRows(cells, width, np.array(keep, np.int64))


@dataclass(frozen=True, slots=True)
class _Usual:
    """What rows have in common: so many cells, the extent that most of them fill, and the columns that hold numbers, or none."""

    cells: int
    filled: int
    numbers: dict[int, bool]

    @staticmethod
    def of(layout: Layout, part: Part, rows: Sequence[list[str]]) -> _Usual:
        """Look at the first rows of the file, and of a block of which the columns may be others."""
        if layout.delimiter == " ":
            return _Usual(median_low(sorted(map(len, layout.sample))) if layout.sample else 0, 0, {})
        known = [*rows[:_LOOKED_AT], *(layout.sample if len(part.names) == len(layout.names) else ())]
        known = [row for row in known if any(row) and len(row) <= len(part.names)]
        numbers = {}
        for column in range(len(part.names)):
            cells = [row[column].strip() for row in known if len(row) > column and row[column].strip()]
            share = sum(map(is_number, cells)) / max(1, len(cells))
            if cells and not 1 - _MOST < share < _MOST:
                numbers[column] = share >= _MOST
        return _Usual(max(map(len, known)), median_low(sorted(map(extent_of, known))), numbers)

    def is_doubtful(self, row: Sequence[str], layout: Layout, part: Part) -> bool:
        """Whether nothing shows which cell of a row is missing: its last ones are, where others leave them empty."""
        if len(row) >= self.cells:
            return False
        if layout.delimiter == " ":
            return True
        others = [cell for cell in enumerate(row) if cell[0] not in part.time and cell[1].strip()]
        fits = all(is_number(cell) == self.numbers.get(c, is_number(cell)) for c, cell in others)
        if not others or (extent_of(row) >= self.filled and fits):
            return False
        if any(row[c].strip() != text for c, text in part.conditions if c < len(row)):
            return False
        clock = layout.clock if layout.clock.kind == "across" else replace(layout.clock, columns=part.time)
        return has_stamp(clock, [*row, *[""] * len(part.names)], layout.description.time_format)


def _cut(text: str, lines: NDArray[np.int64], delimiter: str, part: Part) -> ArrowRows | None:
    """Cut plain lines with Arrow; None if some line is not as wide as the header, or blank."""
    needed = {*part.time, *part.chosen.values(), *part.texts.values(), *(c for c, _ in part.conditions)}
    needed |= {*part.labels, *([] if part.zone is None else [part.zone])}
    names = [str(c) for c in range(len(part.names))]
    data = text.encode()
    try:
        table = pv.read_csv(
            pa.BufferReader(data),
            pv.ReadOptions(use_threads=False, block_size=max(1, len(data)), column_names=names),
            pv.ParseOptions(delimiter=delimiter, quote_char=False),
            pv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                include_columns=[str(c) for c in sorted(needed)],
                check_utf8=False,
            ),
        )
    except pa.ArrowInvalid:
        return None
    if table.num_rows != len(lines):
        return None
    return ArrowRows({c: table[str(c)].combine_chunks() for c in needed}, lines)


def mostly_numbers(layout: Layout, column: int) -> bool:
    """Whether at least half of the first cells that hold something hold a number."""
    cells = [row[column].strip() for row in layout.sample if len(row) > column and row[column].strip()]
    numbers = [cell for cell in cells if not np.isnan(number(cell)) or not np.isnan(number(cell.replace(",", ".")))]
    return bool(numbers) and 2 * len(numbers) >= len(cells)
