"""The layout of a text file: delimiter, header, lines of units, and where the time stands."""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count, islice, pairwise
from statistics import median_low
from typing import Final, Literal, TextIO

import msgspec

from greenmine.collector.files.columns import (
    DATES,
    ELAPSED,
    NEUTRAL,
    PARTS,
    STAMPS,
    STATISTICS,
    TIMES,
    LoggerFileError,
    bare,
    find_column,
    foreign_reference,
    is_statistic,
    known_unit,
    listed,
    plain,
    refuse_wider,
    says_nothing,
    split_unit,
    unique_names,
    written,
)
from greenmine.collector.files.descriptions import Description, recognise
from greenmine.collector.files.sources import Source, open_text
from greenmine.collector.files.stamps import DATE_TEXT, is_stamp
from greenmine.collector.files.stated_zones import (
    is_put_forward,
    is_unclear_zone,
    is_winter_time,
    unclear_zone,
    zone_in,
    zone_of_line,
    zone_of_prose,
)
from greenmine.collector.files.time_columns import (
    BEGIN_WORDS,
    CLOCK,
    END_WORDS,
    ColumnKinds,
    TimeColumns,
    has_stamp,
    is_number,
    order_in,
    order_of,
)

ODD_SIGNS: Final = re.compile("[\u00a0\u202f\u2007\u3000\uff10-\uff19]")
"""Blanks that do not break, and figures of full width."""
_BLANKS: Final = dict.fromkeys(map(ord, "\u00a0\u202f\u2007\u3000"), " ")
_WIDE_DIGIT: Final = re.compile("[\uff10-\uff19]")
_OPEN_QUOTE: Final = re.compile(r'(?:\A|[;,\t|])\s*"[^"]*\Z')
"""A line that ends within a quoted cell."""
_LINES_OF_A_CELL: Final = 5
_DELIMITERS: Final = (";", "\t", ",", "|")
_WORDS: Final = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " ", "blank": " "}
LINE_AT_MOST: Final = 1 << 20
"""Signs of a line."""
_LINES_LOOKED_AT: Final = 1200
_ROWS_LOOKED_AT: Final = 100
_HEADING_AT_MOST: Final = 1000
"""Lines of free text before the header."""
_POINT: Final = re.compile(r"[+-]?\d+\.\d+")
_COUNTS_FROM_1904: Final = re.compile(
    r"(?:dates?|system|epoch|origin|since|from|basis|base)\W.{0,20}\b1904\b|\b1904 date", re.IGNORECASE
)
_OF_STAMPS: Final = re.compile(
    r"\b(?:time ?stamps?|averag(?:es?|ing)|means|intervals?|periods?)\b|\b(?:hour|period|interval)[- ](?:begin|end)|"
    r"时间.{0,12}(?:时段|平均|小时)|(?:时段|平均).{0,12}(?:时间|时刻)|时间戳|时标",
    re.IGNORECASE,
)
"""A line of the heading that speaks of where stamps stand in their intervals."""
_ENDS_SAID: Final[dict[Literal["begin", "end"], re.Pattern[str]]] = {
    "begin": re.compile(r"\b(?:start(?:ing|s)?|begin(?:ning|s)?)\b|开始|起始", re.IGNORECASE),
    "end": re.compile(r"\b(?:end(?:ing|ed|s)?)\b|结束|截止|截至", re.IGNORECASE),
}
_ANY_TIME: Final = re.compile(rf"{DATE_TEXT}|\d{{1,2}}:\d\d")
_WHOLE_STAMP: Final = re.compile(rf"(?:{DATE_TEXT})[T ]\d{{1,2}}:\d\d")
"""A date and a clock, which no line of the header holds."""
_DATED: Final = re.compile(rf"(?:{DATE_TEXT})(?=[^\d:]*(?:标[记注]|时[段间标])[^\d:：]*\Z)")
"""A date of a title, which nothing but words on the stamps follows."""
EPOCHS: Final = {"1900": "1899-12-30", "1904": "1904-01-01", "1970": "1970-01-01"}
"""Days from which spreadsheets count, by the name of the date system."""
_TIME_WORDS: Final = STAMPS | TIMES | DATES | ELAPSED | frozenset().union(*PARTS.values())
Row = tuple[int, list[str]]
"""Number of the line and its cells."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How to read the file.

    Parameters
    ----------
    source : Source
        The text.
    delimiter : str
        One character; a blank stands for any run of blanks.
    header : int
        Lines up to and with the header; 0 or the lines of heading if there is no header.
    names : tuple of str
        The columns; ``#1``, ``#2`` … if there is no header.
    clock : TimeColumns
        The columns that make the time.
    sample : tuple of rows
        The first rows of data.
    heading : tuple of str
        The lines before the header.
    units : dict of int to str
        Units that a line under the header states, by column.
    description : Description
        What is known about the file besides: that of its make, and what the caller said.
    notes : tuple of str
        What was concluded from more than the header.
    written : tuple of str
        The columns as the header itself names them, without what the lines above and below it add.
    """

    source: Source
    delimiter: str
    header: int
    names: tuple[str, ...]
    clock: TimeColumns
    sample: tuple[tuple[str, ...], ...]
    heading: tuple[str, ...]
    units: dict[int, str]
    description: Description
    notes: tuple[str, ...] = ()
    written: tuple[str, ...] = ()

    @property
    def time_names(self) -> tuple[str, ...]:
        """Names of the columns that make the time."""
        return tuple(self.names[c] for c in self.clock.columns)

    def first_cells(self, name: str) -> tuple[str, ...]:
        """The first cells of a column that hold something."""
        column = self.names.index(name)
        return tuple(cell for row in self.sample if column < len(row) and (cell := row[column].strip()))

    def order(self) -> str | None:
        """Order of day, month and year that the names of the time columns or the heading state."""
        return self.description.order or order_in(" ".join(self.time_names)) or order_of(self.heading)

    def stamps(self) -> tuple[Literal["begin", "end"] | None, str]:
        """Whether stamps stand at the begin or the end of their interval, and what says so."""
        if self.description.stamps is not None:
            return self.description.stamps, "as said"
        for name in self.time_names:
            text = re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", name)
            if BEGIN_WORDS.search(text):
                return "begin", repr(name)
            if END_WORDS.search(text):
                return "end", repr(name)
        said = ends_said(self.heading)
        if len(said) > 1:
            raise LoggerFileError(
                f"the heading says {next(iter(said.values()))!r}: stamps may stand at begin or end; give --stamps"
            )
        return next(((which, repr(line)) for which, line in said.items()), (None, ""))

    def stated_zone(self) -> tuple[str, str] | None:
        """Zone that the names of the time columns or the heading state, and what says so; None: none.

        An abbreviation is returned as it stands.

        Raises
        ------
        LoggerFileError
            If two different zones are stated.
        """
        named = [] if self.clock.kind == "elapsed" else self.time_names
        said = {
            zone: repr(name) for name in named if (zone := zone_in(name, column=True) or unclear_zone(name)) is not None
        }
        for look in (zone_of_line, zone_of_prose):
            if not said:
                lines = (line for line in self.heading if len(line) < 200)
                said = {zone: repr(line.strip()) for line in lines if (zone := look(line)) is not None}
        if len(said) > 1:
            raise LoggerFileError(f"states several zones, in {' and '.join(said.values())}; give --stamp-zone")
        return next(iter(said.items()), None)

    def perhaps_zone(self) -> str | None:
        """A line of the heading that may state a zone of time, or a part of the town."""
        return next((line.strip() for line in self.heading if is_unclear_zone(line)), None)

    def winter_time(self) -> str | None:
        """What says that the clock of the logger is not put forward in summer: a name of a time column, or a heading line."""
        return next((text.strip() for text in (*self.time_names, *self.heading) if is_winter_time(text)), None)

    def put_forward(self) -> str | None:
        """What says that the clock of the logger is put forward in summer: a name of the time columns, or a line of the heading."""
        said = [text.strip() for text in (*self.time_names, *self.heading) if len(text) < 200 and is_put_forward(text)]
        said += [
            f"{name}: {row[c]}"
            for c, name in enumerate(self.names)
            if plain(name) in {"dst", "isdst", "daylightsaving", "daylightsavingtime", "夏令时"}
            for row in self.sample
            if c < len(row) and row[c].strip().casefold() in {"1", "true", "yes", "y", "on", "是"}
        ]
        return next(iter(said), None)


def ends_said(lines: Iterable[str]) -> dict[Literal["begin", "end"], str]:
    """Find the lines that say whether stamps stand at the begin or at the end of their intervals."""
    return {
        which: line.strip()
        for line in lines
        if len(line) < 200 and _OF_STAMPS.search(line) and not _ANY_TIME.search(_DATED.sub("", line))
        for which, sign in _ENDS_SAID.items()
        if sign.search(line)
    }


def find_layout(source: Source, said: Description) -> Layout:
    """Find out how a text file is laid out.

    Parameters
    ----------
    source : Source
        The file.
    said : Description
        What the caller knows.

    Returns
    -------
    Layout
        Of the first line that can be a header.

    Raises
    ------
    LoggerFileError
        If the file is no text table, or the time is not found or not unique.
    """
    with open_text(source.path, source.encoding) as file:
        lines = [(n, clean(line)) for n, line in enumerate(islice(_lines(file), _LINES_LOOKED_AT), start=1)]
    lines = [(n, line) for n, line in _whole_cells(lines) if line.strip()]
    if not lines:
        raise LoggerFileError("is empty: a header line and lines of readings are needed")
    make = recognise([line for _, line in lines[:60]]) if said.id is None else None
    known = said if make is None else said.over(make)
    delimiters: tuple[str, ...] = _DELIMITERS
    if (asked := known.delimiter or source.delimiter) is not None:
        delimiters = (_delimiter(asked),)
    if known.names and asked is None:
        delimiters = (*_DELIMITERS, " ")
    views = [_View(source, d, [(n, split(line, d)) for n, line in lines], tuple(lines), known) for d in delimiters]
    refuse_wider(max(len(cells) for view in views for _, cells in view.rows))
    if known.names:
        return _described(views)
    first = 0
    if known.header is not None:
        first = next((i for i, (_, line) in enumerate(lines) if re.search(known.header, line)), -1)
        if first < 0:
            raise LoggerFileError(f"no line of the header fits {known.header!r}")
    starts = range(first, min(len(lines), _HEADING_AT_MOST) if known.header is None else first + 1)
    complaint: LoggerFileError | None = None
    for start in starts:
        for view in views:
            try:
                if view.is_header(start):
                    return view.layout(view.last_header(start) if known.header is None else start)
            except LoggerFileError as error:  # a line of the heading may look like a header that leaves something open
                complaint = complaint or error
    if complaint is not None:
        raise complaint
    for start in range(min(len(lines), _HEADING_AT_MOST)):
        for view in views:
            clock = view.first_stamps(start)
            if clock is not None:
                return view.layout_by_content(start, clock)
    if asked is None:
        try:
            return find_layout(source, msgspec.structs.replace(said, delimiter="blank"))
        except LoggerFileError:  # the columns are not cut by blanks either
            pass
    raise LoggerFileError(_not_found(views))


def _whole_cells(lines: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    """Lines of which those that part a quoted cell of the header are put together, under the number of the last."""
    found: list[tuple[int, str]] = []
    place = 0
    while place < len(lines):
        number, line = lines[place]
        if _OPEN_QUOTE.search(line) and not any(map(_WHOLE_STAMP.search, (line, *(x for _, x in lines[:place])))):
            for more in range(place + 1, min(place + 1 + _LINES_OF_A_CELL, len(lines))):
                whole = " ".join(text for _, text in lines[place : more + 1])
                if not _OPEN_QUOTE.search(whole) and whole.count('"') % 2 == 0:
                    number, line, place = lines[more][0], whole, more
                    break
        found.append((number, line))
        place += 1
    return found


def _described(views: Sequence[_View]) -> Layout:
    """Lay out a file whose columns the description names, by the first delimiter that makes a time of them."""
    *others, last = views
    for view in others:
        with suppress(LoggerFileError):
            return view.described()
    return last.described()


def _lines(file: TextIO) -> Iterator[str]:
    for number in count(1):
        if not (line := file.readline(LINE_AT_MOST)):
            return
        if len(line) == LINE_AT_MOST:
            raise LoggerFileError(f"line {number} has more than {LINE_AT_MOST:,} signs: it is no text table")
        yield line


def clean(line: str) -> str:
    """Strip a line of its end, and of the zeros and byte-order marks that power cuts and joined files leave.

    Blanks that do not break and figures of full width, as Chinese keyboards write them, become the usual ones.
    """
    line = line.rstrip("\n").replace("\0", "").replace("\ufeff", "")
    if ODD_SIGNS.search(line):
        line = line.translate(_BLANKS)
        line = unicodedata.normalize("NFKC", line) if _WIDE_DIGIT.search(line) else line
    return line


def split(line: str, delimiter: str) -> list[str]:
    """Cut a line into cells. A quoted cell never spans lines, so a lost quote damages its own line only."""
    cells = line.split() if delimiter == " " else line.split(delimiter)
    if '"' in line:
        with suppress(csv.Error, StopIteration):  # a cell of more than 128 kB
            cells = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))
    return [_unquoted(cell) for cell in cells] if "'" in line or '="' in line else cells


def _unquoted(cell: str) -> str:
    """A cell without what marks it as text for a spreadsheet: ``'62``, ``'62'``, ``="62"``."""
    text = cell.strip()
    if text.startswith('="') and text.endswith('"'):
        return text[2:-1]
    return text[1:].removesuffix("'") if text.startswith("'") else cell


def _delimiter(text: str) -> str:
    delimiter = _WORDS.get(text.lower(), text)
    if len(delimiter) != 1 or delimiter.isalnum() or delimiter in '"\r\n':
        raise LoggerFileError(f"--delimiter {text!r}: one sign such as ';' or ',', or the word tab or blank")
    return delimiter


@dataclass(frozen=True)
class _View:
    """The first lines of the file, cut by one delimiter, and what the caller said about the time."""

    source: Source
    delimiter: str
    rows: list[Row]
    lines: tuple[tuple[int, str], ...]
    said: Description
    _clocks: dict[int, TimeColumns | None] = field(default_factory=dict)

    @cached_property
    def heads(self) -> list[bool]:
        """Which lines have a cell with a usual name of a time column, or what the caller names as time."""
        asked = {plain(part) for name in self.said.time for part in (name, *name.split(","))}
        words = _TIME_WORDS | asked
        return [
            len(cells) > 1
            and any(
                plain(cell) in words or bare(cell) in words
                for cell in cells
                if cell and len(cell) < 60 and not cell[0].isdigit()
            )
            and not any(map(_WHOLE_STAMP.match, cells))
            for _, cells in self.rows
        ]

    @cached_property
    def epoch(self) -> str:
        """Day from which numbers count as days."""
        if self.said.epoch is not None:
            return EPOCHS[self.said.epoch]
        said = any(_COUNTS_FROM_1904.search(line) for _, line in self.lines[:_HEADING_AT_MOST])
        return EPOCHS["1904"] if said else self.source.epoch

    def names(self, start: int) -> tuple[str, ...]:
        """Name the columns, if this line is the header.

        Columns without a name at the end count if most rows have them. In a file cut at commas they do so only where
        the rows show decimal points too: else ``12,5`` may be one number.
        """
        cells = self.rows[start][1]
        rows = [row for row in self._below(start) if len(row) > 1]
        if _is_numbered(cells, rows):
            return unique_names(["", *cells])
        if self.delimiter == ",":
            rows = [
                row for row in rows if len(row) <= len(cells) or any(_POINT.fullmatch(cell.strip()) for cell in row)
            ]
        width = median_low(sorted(map(extent_of, rows))) if rows else 0
        named = max(extent_of(cells), width)
        return unique_names([*cells, *[""] * named][:named])

    def is_header(self, start: int) -> bool:
        """Tell whether this line names a time column, and stamps stand below it."""
        return self.heads[start] and self._clock(start) is not None

    def last_header(self, start: int) -> int:
        """Find the header before the first stamp: a line of the heading may look like one (``Date,2018-03-30``)."""
        clock = self._clock(start) or TimeColumns(())
        stop = next((i for i in range(start + 1, len(self.rows)) if self._reads(clock, [self.rows[i][1]])), start)
        best = start
        for later in range(start + 1, min(stop, start + 200)):
            wider = extent_of(self.rows[later][1]) > extent_of(self.rows[best][1])
            holds_data = any(is_number(cell) or is_stamp(cell) for cell in self.rows[best][1])
            if (wider or holds_data) and self.is_header(later):
                best = later
        return best

    def layout(self, start: int) -> Layout:
        """Lay out the file with this header."""
        names, clock = self.names(start), self._clock(start) or TimeColumns(())
        named = extent_of(self.rows[start][1])
        note = f"the rows have {len(names)} columns, the header names the first {named}"
        return self._layout(start, self.rows[start][0], names, clock, [] if len(names) == named else [note])

    def described(self) -> Layout:
        """Lay out a file whose columns the description names."""
        skip = self.said.skip or 0
        start = next((i for i, (n, _) in enumerate(self.rows) if n > skip), len(self.rows))
        names = unique_names(self.said.names)
        clock = self._said_clock(names, [row for _, row in self.rows[start : start + _ROWS_LOOKED_AT]])
        if clock is None:
            raise LoggerFileError(
                f"the columns {listed(self.said.time)} hold no readable time: give delimiter, skip or time_format"
            )
        return self._layout(start - 1, skip, names, clock, [])

    def first_stamps(self, start: int) -> TimeColumns | None:
        """Find the time columns by their content, if this line is the first with a stamp; bare numbers do not count.

        Raises
        ------
        LoggerFileError
            If several columns hold stamps.
        """
        _, cells = self.rows[start]
        if len(cells) < 2:
            return None
        rows = [cells, *self._below(start)]
        names = tuple(f"#{position}" for position in range(1, len(cells) + 1))
        if self.said.time:
            clock = self._said_clock(names, rows)
        elif any(
            is_stamp(cell, self.said.time_format) and (self.said.time_format or not is_number(cell)) for cell in cells
        ):
            clock = ColumnKinds(
                self._names_above(start)[1], rows, self.said, self._heading(start), self.epoch
            ).by_content()
        else:
            return None
        return clock if clock is not None and self._reads(clock, [cells]) else None

    def layout_by_content(self, start: int, clock: TimeColumns) -> Layout:
        """Lay out the file with the first stamp in this line; the line above is the header if it has as many cells."""
        header, names = self._names_above(start)
        note = f"the time is taken from column {' and '.join(repr(names[c]) for c in clock.columns)}"
        return self._layout(start - 1, header, names, clock, [note])

    def _layout(self, start: int, header: int, names: tuple[str, ...], clock: TimeColumns, notes: list[str]) -> Layout:
        below = self._below(start)
        first = next((i for i, row in enumerate(below) if self._reads(clock, [row])), 0)
        above = self.rows[start - 1][1] if start > 0 and header else []
        whole, units = _with_lines_around(
            names, self.rows[start][1] if header else [], above, below[: min(first, 4)], clock.columns
        )
        sample = tuple(tuple(row) for row in below[first:])
        heading = self._heading(start) if header else ()
        if self.said.make:
            notes = [*notes, f"read as a file of {self.said.make}"]
        return Layout(
            self.source, self.delimiter, header, whole, clock, sample, heading, units, self.said, tuple(notes), names
        )

    def _heading(self, start: int) -> tuple[str, ...]:
        return tuple(line for _, line in self.lines[: max(0, start)])

    def _names_above(self, start: int) -> tuple[int, tuple[str, ...]]:
        """Find the line of the header, or of the line before the data; and the names."""
        width = len(self.rows[start][1])
        if not self.said.time and start and len(self.names(start - 1)) > 1:
            names = self.names(start - 1)
            return self.rows[start - 1][0], names + tuple(f"#{n}" for n in range(len(names) + 1, width + 1))
        return self.rows[start][0] - 1, tuple(f"#{position}" for position in range(1, width + 1))

    def _clock(self, start: int) -> TimeColumns | None:
        if start not in self._clocks:
            self._clocks[start] = self._find_clock(start)
        return self._clocks[start]

    def _find_clock(self, start: int) -> TimeColumns | None:
        """Find the time columns under this header; None if it names none or no stamps stand below.

        Raises
        ------
        LoggerFileError
            If several columns may be the time, or date and time of day do not read together.
        """
        names = self.names(start)
        if len(names) < 2:
            return None
        below = self._below(start)
        if self.said.time:
            return self._said_clock(names, below)
        own = self.rows[start][1]
        columns = ColumnKinds(names, below, self.said, self._heading(start), self.epoch)
        clock = columns.by_name()
        if clock is None or any(
            is_stamp(own[c]) or CLOCK.fullmatch(own[c].strip()) for c in clock.columns if c < len(own)
        ):
            return None
        return clock

    def _said_clock(self, names: tuple[str, ...], rows: Sequence[Sequence[str]]) -> TimeColumns | None:
        columns = _named(names, self.said.time)
        return None if columns is None else ColumnKinds(names, rows, self.said, (), self.epoch).together(columns)

    def _below(self, start: int) -> list[list[str]]:
        return [row for _, row in self.rows[start + 1 : start + 1 + _ROWS_LOOKED_AT]]

    def _reads(self, clock: TimeColumns, rows: Sequence[Sequence[str]]) -> bool:
        """Tell whether some row has a stamp in these columns."""
        return bool(clock.columns) and any(
            has_stamp(clock, row, self.said.time_format) for row in rows if len(row) > max(clock.columns)
        )


def _with_lines_around(
    names: tuple[str, ...],
    header: Sequence[str],
    above: Sequence[str],
    below: Sequence[Sequence[str]],
    times: Sequence[int],
) -> tuple[tuple[str, ...], dict[int, str]]:
    """Names of columns with what a line above or below the header adds to them, and units by column.

    Statistics (avg, max) and what tells columns of one name apart (stations) become parts of the name. A cell of the header that
    is empty beside one that reaches over several columns has its name.
    """
    found = list(names)
    units: dict[int, str] = {}
    columns = [c for c in range(len(names)) if c not in times]

    def cell(row: Sequence[str], c: int) -> str:
        return row[c].strip(" ()[]（）") if c < len(row) else ""

    for c in columns:
        reaches = bool(header) and c - 1 in columns and (cell(header, c - 1) or found[c - 1] != names[c - 1])
        if reaches and not cell(header, c) and any(cell(row, c) for row in below):
            found[c] = written(found[c - 1])
    bases = [plain(written(name)) for name in found]
    for row in below:
        for c in times:
            if zone_in(cell(row, c), column=True) is not None:
                found[c] += f" ({cell(row, c)})"
        known: dict[int, str] = {}
        labels: dict[int, str] = {}
        for c in columns:
            text, unit = split_unit(row[c].strip()) if c < len(row) else ("", None)
            if foreign_reference(cell(row, c)) is not None:
                units.setdefault(c, cell(row, c))
                labels[c] = ""
                continue
            if re.fullmatch(r"[\d.,x×*/ ]+", text):  # a multiple of a unit is another one
                text, unit = cell(row, c), None
            whole = known_unit(cell(row, c), alone=True)
            if (unit := whole or (unit and known_unit(unit, alone=True))) is not None:
                known[c] = unit
            labels[c] = "" if whole is not None else text if unit is not None else cell(row, c)
        units = known | units
        for c, text in ((c, text.strip()) for c, text in labels.items() if text.strip()):
            if is_statistic(text):
                found[c] += "" if plain(text) in bases[c] else f" {text}"
            elif bases.count(bases[c]) > 1:
                found[c] = f"{written(found[c])} {text}"
            elif not says_nothing(text):
                units.setdefault(c, text)
    if header and len(above) == len(header) and not any(is_number(text) for text in above):
        reach, over = "", {}
        for c in range(len(header)):
            reach = cell(above, c) or ("" if c in times else reach)
            over[c] = reach
        if not units:
            units = {
                c: unit
                for c in columns
                if (unit := known_unit(over.get(c, ""), alone=True)) is not None and cell(above, c)
            }
        for c in (c for c in columns if over.get(c) and c not in units):
            if is_statistic(over[c]) and plain(over[c]) not in plain(found[c]):
                found[c] += f" {over[c]}"
            elif plain(cell(header, c)) in STATISTICS | NEUTRAL and plain(over[c]) not in NEUTRAL:
                found[c] = f"{over[c]} {found[c]}"
    return unique_names(found), units


def _is_numbered(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether rows have their number before the first column of the header, as R writes them."""
    numbered = [row for row in rows if len(row) == len(header) + 1]
    first = [row[0].strip() for row in numbered]
    if not first or 2 * len(numbered) < len(rows) or not all(cell.isdigit() and len(cell) < 9 for cell in first):
        return False
    times = [c for c, cell in enumerate(header) if {plain(cell), bare(cell)} & (STAMPS | TIMES | DATES)]
    rising = all(int(a) < int(b) or b == "1" for a, b in pairwise(first))
    return rising and any(all(_stamped(row[c + 1]) and not _stamped(row[c]) for row in numbered[:5]) for c in times)


def _stamped(cell: str) -> bool:
    return not is_number(cell) and (is_stamp(cell) or CLOCK.fullmatch(cell.strip()) is not None)


def _named(names: tuple[str, ...], wanted: Sequence[str]) -> tuple[int, ...] | None:
    """Find the columns that the caller names; one text may name several with commas between."""
    if len(wanted) == 1:
        whole = find_column(names, wanted[0])
        if whole is not None:
            return (whole,)
        wanted = wanted[0].split(",")
    parts = [find_column(names, part) for part in wanted]
    columns = tuple(part for part in parts if part is not None)
    return columns if len(columns) == len(parts) else None


def extent_of(cells: Sequence[str]) -> int:
    """Number of cells up to the last one that holds something."""
    return max((position for position, cell in enumerate(cells, start=1) if cell.strip()), default=0)


def _not_found(views: Sequence[_View]) -> str:
    """Say why there is no layout: the line that most looks like a header, and what is missing."""
    width, view, start = max(
        (
            (len([cell for cell in row if cell.strip()]), view, -i)
            for view in views
            for i, (_, row) in enumerate(view.rows)
        ),
        key=lambda found: (found[0], found[2]),
    )
    if width < 2:
        return "has no header line with two columns or more: give --delimiter, or check that it is a text table"
    names = unique_names(view.rows[-start][1])
    columns = f"line {view.rows[-start][0]} has the columns {listed(names)}"
    said = view.said
    if said.time and _named(names, said.time) is None:
        return f"no column {','.join(said.time)!r} for the time: {columns}"
    if said.time_format is not None:
        return f"no column whose stamps have the form {said.time_format!r}: {columns}"
    if said.time:
        return f"column {','.join(said.time)!r} holds no readable stamps such as 2018-03-30T00:01:39: {columns}; give --time-format"
    return f"no column with stamps such as 2018-03-30T00:01:39 was found: {columns}; give --time, or --time-format too"
