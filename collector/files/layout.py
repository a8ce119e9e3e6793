"""The layout of a logger's text file: encoding, delimiter, header, and the columns that hold the time."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median_low
from typing import Final, TextIO

from greenmine.collector.files.columns import (
    DATES,
    STAMPS,
    TIMES,
    LoggerFileError,
    bare,
    find_column,
    listed,
    plain,
    unique_names,
)
from greenmine.collector.files.stamps import is_stamp

_DELIMITERS: Final = (";", "\t", ",", "|")
_WORDS: Final = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " ", "blank": " "}
_LINES_LOOKED_AT: Final = 300
_ROWS_LOOKED_AT: Final = 100
_HEADING_AT_MOST: Final = 120
"""Lines of free text before the header."""
_POINT: Final = re.compile(r"[+-]?\d+\.\d+")
_FOREIGN: Final = {
    b"PK\x03\x04": "an Excel workbook or a zip archive: save the sheet as CSV, or unpack it",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook: save the sheet as CSV",
    b"\x1f\x8b": "compressed with gzip: unpack it",
    b"SQLite format 3": "an SQLite database: export the table as CSV",
}

Row = tuple[int, list[str]]
"""Number of the line and its cells."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How to read the file.

    Parameters
    ----------
    encoding : str
        Name of the codec.
    delimiter : str
        One character; a blank stands for any run of blanks.
    header : int
        Lines up to and with the header; 0 or the lines of heading if there is no header.
    names : tuple of str
        The columns; ``#1``, ``#2`` … if there is no header.
    time : tuple of int
        Positions of the one or two columns whose cells, joined by a blank, are the stamps.
    sample : tuple of rows
        The first rows of data.
    note : str
        What was concluded from more than the header; else empty.
    """

    encoding: str
    delimiter: str
    header: int
    names: tuple[str, ...]
    time: tuple[int, ...]
    sample: tuple[tuple[str, ...], ...]
    note: str = ""


def find_layout(
    path: Path, delimiter: str | None = None, time: str | None = None, time_format: str | None = None
) -> Layout:
    """Find out how a text file is laid out.

    Parameters
    ----------
    path : Path
        The file.
    delimiter : str or None
        The delimiter or a word for it (``tab``); None: the one that makes a header with a column of stamps.
    time : str or None
        Name of the time column, or two names with a comma between them; None: found by usual names, else the only
        column that reads as stamps.
    time_format : str or None
        ``strptime`` form of the stamps.

    Returns
    -------
    Layout
        Of the first line that can be a header.

    Raises
    ------
    LoggerFileError
        If the file is no text table, or the time is not found or not unique.
    """
    delimiters = _DELIMITERS if delimiter is None else (_delimiter(delimiter),)
    encoding = find_encoding(path)
    with open_text(path, encoding) as file:
        lines = [(n, clean(line)) for n, line in enumerate(islice(file, _LINES_LOOKED_AT), start=1)]
    lines = [(n, line) for n, line in lines if line.strip()]
    if not lines:
        raise LoggerFileError("is empty: a header line and lines of readings are needed")
    views = [_View(d, [(n, split(line, d)) for n, line in lines], time, time_format) for d in delimiters]
    starts = range(min(len(lines), _HEADING_AT_MOST))
    for start in starts:
        for view in views:
            if view.is_header(start):
                return view.layout(encoding, view.last_header(start))
    for start in starts:
        for view in views:
            columns = view.stamps(start)
            if columns is not None:
                return view.layout_by_content(encoding, start, columns)
    raise LoggerFileError(_not_found(views))


def find_encoding(path: Path) -> str:
    """Codec of a text file: by its byte-order mark, else UTF-8 if that fits (a damaged byte aside), GB18030, Latin-1."""
    with path.open("rb") as file:
        head = file.read(16)
        for magic, what in _FOREIGN.items():
            if head.startswith(magic):
                raise LoggerFileError(f"is {what}")
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        file.seek(0)
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        damaged = good = 0
        while block := file.read(1 << 20):
            text = decoder.decode(block)
            if not text.isascii():
                bad = text.count("\ufffd")
                damaged += bad
                good += len(text) - len(text.encode("ascii", "ignore")) - bad
    if good >= damaged:
        return "utf-8-sig"
    return "gb18030" if _fits(path, "gb18030") else "latin-1"


def open_text(path: Path, encoding: str) -> TextIO:
    """The file as lines; what the encoding does not know is replaced."""
    return io.TextIOWrapper(path.open("rb"), encoding=encoding, errors="replace", newline=None)


def clean(line: str) -> str:
    """A line without its end, and without the zeros and byte-order marks that power cuts and joined files leave."""
    return line.rstrip("\n").replace("\0", "").replace("\ufeff", "")


def split(line: str, delimiter: str) -> list[str]:
    """The cells of a line. A quoted cell never spans lines, so a lost quote damages its own line only."""
    if '"' in line:
        try:
            return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))
        except (csv.Error, StopIteration):  # a cell of more than 128 kB
            pass
    return line.split() if delimiter == " " else line.split(delimiter)


def _fits(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    with path.open("rb") as file:
        try:
            while block := file.read(1 << 20):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _delimiter(text: str) -> str:
    delimiter = _WORDS.get(text.lower(), text)
    if len(delimiter) != 1 or delimiter.isalnum() or delimiter in '"\r\n':
        raise LoggerFileError(f"--delimiter {text!r}: one sign such as ';' or ',', or the word tab or blank")
    return delimiter


@dataclass(frozen=True, slots=True)
class _View:
    """The first lines of the file, cut by one delimiter, and what the caller said about the time."""

    delimiter: str
    rows: list[Row]
    time: str | None
    form: str | None

    def names(self, start: int) -> tuple[str, ...]:
        """Names of the columns, if this line is the header.

        Columns without a name at the end count if most rows have them. In a file cut at commas they do so only where
        the rows show decimal points too: else ``12,5`` may be one number.
        """
        cells = self.rows[start][1]
        rows = [row for row in self._below(start) if len(row) > 1]
        if self.delimiter == ",":
            rows = [
                row for row in rows if len(row) <= len(cells) or any(_POINT.fullmatch(cell.strip()) for cell in row)
            ]
        width = median_low(sorted(map(_extent, rows))) if rows else 0
        named = max(_extent(cells), width)
        return unique_names([*cells, *[""] * named][:named])

    def is_header(self, start: int) -> bool:
        """Whether this line names a time column, and stamps stand below it."""
        return self._columns(start) is not None

    def last_header(self, start: int) -> int:
        """The header before the first stamp: a line of the heading may look like one (``Date,2018-03-30``)."""
        columns = self._columns(start) or ()
        stop = next((i for i in range(start + 1, len(self.rows)) if self._reads(columns, [self.rows[i][1]])), start)
        best = start
        for later in range(start + 1, stop):
            wider = _extent(self.rows[later][1]) > _extent(self.rows[best][1])
            holds_data = any(_number(cell) or is_stamp(cell) for cell in self.rows[best][1])
            if (wider or holds_data) and self.is_header(later):
                best = later
        return best

    def layout(self, encoding: str, start: int) -> Layout:
        """The layout with this header."""
        names, columns = self.names(start), self._columns(start) or ()
        sample = tuple(tuple(row) for row in self._below(start))
        named = _extent(self.rows[start][1])
        note = "" if len(names) == named else f"the rows have {len(names)} columns, the header names the first {named}"
        return Layout(encoding, self.delimiter, self.rows[start][0], names, columns, sample, note)

    def stamps(self, start: int) -> tuple[int, ...] | None:
        """The time columns, by their content, if this line is the first with a stamp; bare numbers do not count.

        Raises
        ------
        LoggerFileError
            If several columns hold stamps.
        """
        _, cells = self.rows[start]
        if len(cells) < 2:
            return None
        if self.time is not None:
            columns = _named(tuple(f"#{position}" for position in range(1, len(cells) + 1)), self.time)
            return columns if columns is not None and self._reads(columns, [cells]) else None
        found = [c for c, cell in enumerate(cells) if is_stamp(cell, self.form) and (self.form or not _number(cell))]
        below = self._below(start)
        found = [c for c in found if not below or self._reads((c,), below)]
        if len(found) > 1:
            names = self._names_above(start)[1]
            raise LoggerFileError(
                f"several columns may be the time: {listed(names[c] for c in found)}; choose with --time"
            )
        return tuple(found) or None

    def layout_by_content(self, encoding: str, start: int, columns: tuple[int, ...]) -> Layout:
        """The layout with the first stamp in this line; the line above is the header if it has as many cells."""
        header, names = self._names_above(start)
        note = f"the time is taken from column {' and '.join(repr(names[c]) for c in columns)}"
        sample = (tuple(self.rows[start][1]), *(tuple(row) for row in self._below(start)))
        return Layout(encoding, self.delimiter, header, names, columns, sample, note)

    def _names_above(self, start: int) -> tuple[int, tuple[str, ...]]:
        """The line of the header, or of the line before the data; and the names."""
        width = len(self.rows[start][1])
        if self.time is None and start and len(self.names(start - 1)) > 1:
            names = self.names(start - 1)
            return self.rows[start - 1][0], names + tuple(f"#{n}" for n in range(len(names) + 1, width + 1))
        return self.rows[start][0] - 1, tuple(f"#{position}" for position in range(1, width + 1))

    def _columns(self, start: int) -> tuple[int, ...] | None:
        """Positions of the time columns under this header; None if it names none or no stamps stand below.

        Raises
        ------
        LoggerFileError
            If several columns may be the time, or date and time of day do not read together.
        """
        names = self.names(start)
        if len(names) < 2:
            return None
        below = self._below(start)
        if self.time is not None:
            asked = _named(names, self.time)
            return asked if asked is not None and self._reads(asked, below) else None
        candidates = [c for c in _usual(names) if not self._reads(c, [self.rows[start][1]])]
        if not below:
            return candidates[0] if candidates else None
        reading = [columns for columns in candidates if self._reads(columns, below)]
        for group in (
            [columns for columns in reading if len(columns) == 1 and _plain_in(names[columns[0]], STAMPS)],
            [columns for columns in reading if len(columns) == 1 and _plain_in(names[columns[0]], TIMES)],
            [columns for columns in reading if len(columns) == 2],
        ):
            if len(group) == 1:
                return group[0]
            if group:
                choice = listed(names[columns[0]] for columns in group)
                raise LoggerFileError(f"several columns may be the time: {choice}; choose with --time")
        if reading and (pair := next((columns for columns in candidates if len(columns) == 2), None)):
            raise LoggerFileError(
                f"columns {listed(names[c] for c in pair)} do not read as date and time together: "
                "give --time and --time-format"
            )
        if len(reading) > 1:
            choice = listed(names[columns[0]] for columns in reading)
            raise LoggerFileError(f"several columns may be the time: {choice}; choose with --time, or --time DATE,TIME")
        return reading[0] if reading else None

    def _below(self, start: int) -> list[list[str]]:
        return [row for _, row in self.rows[start + 1 : start + 1 + _ROWS_LOOKED_AT]]

    def _reads(self, columns: tuple[int, ...], rows: Sequence[Sequence[str]]) -> bool:
        """Whether some row has a stamp in these columns."""
        return any(
            is_stamp(" ".join(row[c].strip() for c in columns), self.form) for row in rows if len(row) > max(columns)
        )


def _named(names: tuple[str, ...], wanted: str) -> tuple[int, ...] | None:
    """Positions of the column, or of the two columns, that the caller names."""
    whole = find_column(names, wanted)
    if whole is not None:
        return (whole,)
    parts = [find_column(names, part) for part in wanted.split(",")]
    columns = tuple(part for part in parts if part is not None)
    return columns if len(columns) == len(parts) == 2 else None


def _usual(names: tuple[str, ...]) -> list[tuple[int, ...]]:
    """Columns that by their names may hold the time, alone or as date and time of day."""
    single = [(c,) for c, name in enumerate(names) if _plain_in(name, STAMPS | TIMES | DATES)]
    dates = [c for c, name in enumerate(names) if _plain_in(name, DATES)]
    times = [c for c, name in enumerate(names) if _plain_in(name, TIMES)]
    return [*single, *((date, time) for date in dates for time in times if len(dates) == len(times) == 1)]


def _extent(cells: Sequence[str]) -> int:
    """Number of cells up to the last one that holds something."""
    return max((position for position, cell in enumerate(cells, start=1) if cell.strip()), default=0)


def _plain_in(name: str, known: frozenset[str]) -> bool:
    return plain(name) in known or bare(name) in known


def _number(cell: str) -> bool:
    return cell.strip().replace(".", "", 1).isdigit()


def _not_found(views: Sequence[_View]) -> str:
    """Why there is no layout: the line that most looks like a header, and what is missing."""
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
    if view.time is not None and _named(names, view.time) is None:
        return f"no column {view.time!r} for the time: {columns}"
    if view.form is not None:
        return f"no column whose stamps have the form {view.form!r}: {columns}"
    if view.time is not None:
        return (
            f"column {view.time!r} holds no readable stamps such as 2018-03-30T00:01:39: {columns}; give --time-format"
        )
    return f"no column with stamps such as 2018-03-30T00:01:39 was found: {columns}; give --time, or --time-format too"
