"""Read a logger's file into columns of instants and numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

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
from greenmine.collector.files.layout import Layout, clean, find_layout, open_text, split
from greenmine.collector.files.numerals import NumberReader, number
from greenmine.collector.files.stamps import UNREADABLE, StampReader
from greenmine.zones import Zone

_BLOCK: Final = 50_000
"""Lines read at a time: bounds the memory that text takes."""
_DAY: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of a file with a readable time, in file order.

    Parameters
    ----------
    time : int64 array (n,)
        Instants [ms UTC]; fractions of a millisecond are cut off.
    columns : dict of float64 array (n,)
        Numbers by column name; NaN where a cell is empty, no number or not finite.
    skipped : dict of int
        Rows left out, by reason; reasons that did not occur are missing.
    notes : tuple of str
        What the reader decided or left out, in sentences for the user.
    """

    time: NDArray[np.int64]
    columns: dict[str, NDArray[np.float64]]
    skipped: dict[str, int]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.time)


@dataclass(frozen=True, slots=True)
class Header:
    """What a file offers, known before it is read.

    Parameters
    ----------
    names : tuple of str
        All columns.
    time : tuple of str
        Those that hold the time.
    numeric : tuple of str
        Those of the others that hold numbers, judged by the first rows.
    """

    names: tuple[str, ...]
    time: tuple[str, ...]
    numeric: tuple[str, ...]


def read_header(
    path: Path, delimiter: str | None = None, time: str | None = None, time_format: str | None = None
) -> Header:
    """The columns of a file.

    Parameters
    ----------
    path, delimiter, time, time_format
        As for ``read_table``.

    Returns
    -------
    Header
        The columns, before anything else is read.

    Raises
    ------
    LoggerFileError, OSError
        As ``read_table``.
    """
    if _is_parquet(path):
        schema = pq.read_schema(path)
        chosen = _parquet_time(schema, time)
        numeric = [f.name for f in schema if f.name not in chosen and _holds_numbers(f.type)]
        return Header(tuple(schema.names), chosen, tuple(numeric))
    layout = find_layout(path, delimiter, time, time_format)
    others = [c for c in range(len(layout.names)) if c not in layout.time]
    numeric = [layout.names[c] for c in others if _mostly_numbers(layout, c)]
    return Header(layout.names, tuple(layout.names[c] for c in layout.time), tuple(numeric))


def read_table(
    path: Path,
    delimiter: str | None = None,
    zone: str | None = None,
    time: str | None = None,
    columns: Collection[str] = (),
    *,
    time_format: str | None = None,
    where: Mapping[str, str] | None = None,
) -> Table:
    """Read a CSV or Parquet file.

    Parameters
    ----------
    path : Path
        Parquet is known by its first bytes; anything else is text, see ``docs/analyse.md`` for what is understood.
    delimiter : str or None
        Delimiter of a text file; None: found from the header.
    zone : str or None
        Zone of stamps without offset; None: UTC, with a note.
    time : str or None
        Column of the time, or two names (date and time of day) with a comma between them; None: found.
    columns : collection of str
        Columns to read, named as ``find_column`` allows; empty: all but the time.
    time_format : str or None
        ``strptime`` form of the stamps; None: any usual form, the order of day and month being taken from the file.
    where : mapping of str to str, or None
        Only rows whose cell in the named column is exactly this text, blanks at its ends aside.

    Returns
    -------
    Table
        The keys of ``columns`` are the names asked for, else those in the file.

    Raises
    ------
    LoggerFileError
        If the layout, a column, the order of day and month or the zone cannot be told; the message has no path.
        Also if no row has a readable time.
    OSError
        If the file cannot be read.
    """
    try:
        clock = Zone(zone or "UTC")
    except ValueError as error:
        raise LoggerFileError(str(error)) from None
    read = _read_parquet if _is_parquet(path) else _read_text
    raw = read(path, delimiter, time, tuple(columns), time_format, where or {})
    stamps, absolute = raw.stamps.result()
    readable = stamps != UNREADABLE
    raw.skipped.count("time not readable", raw.lines[~readable])
    if not readable.any():
        raise LoggerFileError("; ".join(["there are no rows of data", *raw.skipped.notes()]))
    notes = [raw.note] if raw.note else []
    stamps, absolute = stamps[readable], absolute[readable]
    if not absolute.all() and zone is None:
        notes.append("stamps without offset are read as UTC; --zone names their zone")
    instants = np.where(absolute, stamps, 0)
    instants[~absolute], more = _instants(stamps[~absolute], clock)
    values = {name: reader.result()[readable] for name, reader in raw.numbers.items()}
    return Table(instants, values, dict(raw.skipped.rows), (*notes, *raw.skipped.notes(), *more))


@dataclass(slots=True)
class _Skipped:
    """Rows left out, and the line of the first, by reason."""

    rows: dict[str, int] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)

    def count(self, reason: str, lines: Sequence[int] | NDArray[np.int64]) -> None:
        if len(lines):
            self.rows[reason] = self.rows.get(reason, 0) + len(lines)
            self.first.setdefault(reason, int(lines[0]))

    def notes(self) -> list[str]:
        return [
            f"{n:,} rows left out: {reason} (first in line {self.first[reason]})" for reason, n in self.rows.items()
        ]


@dataclass(slots=True)
class _Raw:
    """What was read, before the order of day and month is known."""

    stamps: StampReader
    numbers: dict[str, NumberReader]
    skipped: _Skipped
    lines: NDArray[np.int64]
    note: str = ""


def _instants(local: NDArray[np.int64], clock: Zone) -> tuple[NDArray[np.int64], list[str]]:
    """Instants of wall-clock times in file order, and notes about those that the clocks repeat or skip.

    The repeated hour is read as its two passes if the file goes through it exactly twice, else as the first pass.
    """
    time, second = clock.utc(local), clock.utc(local, second=True)
    repeated = np.flatnonzero(second > time)
    skipped = int(np.count_nonzero(second < time))
    # One change of the clocks repeats hours, not days, so a distance of a day parts two changes.
    order = np.argsort(local[repeated], kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(local[repeated][order]) > _DAY) + 1)
    twice = 0
    for part in parts:
        rows = repeated[np.sort(part)]
        back = np.flatnonzero(np.diff(local[rows]) < 0) + 1
        if len(back) == 1 and local[rows[-1]] >= local[rows[0]]:
            again = rows[back[0] :]
            time[again] = second[again]
            twice += len(rows)
    once = len(repeated) - twice
    told = (
        (skipped, "lie in an hour that the clocks skip: read as if the clocks had not been put forward"),
        (twice, "lie in an hour that the clocks repeat: read as two passes, in file order"),
        (once, "lie in an hour that the clocks repeat: read as its first pass"),
    )
    return time, [f"{n:,} stamps {what}" for n, what in told if n]


def _chosen(names: Sequence[str], time: Collection[str], columns: Sequence[str]) -> dict[str, int]:
    """Positions of the columns to read, by the name they are asked for with."""
    if not columns:
        return {name: c for c, name in enumerate(names) if name not in time}
    return {wanted: _position(names, wanted) for wanted in columns}


def _position(names: Sequence[str], wanted: str) -> int:
    position = find_column(names, wanted)
    if position is None:
        raise LoggerFileError(f"no column {wanted!r}: there are {listed(names)}")
    return position


def _read_text(
    path: Path,
    delimiter: str | None,
    time: str | None,
    columns: Sequence[str],
    time_format: str | None,
    where: Mapping[str, str],
) -> _Raw:
    layout = find_layout(path, delimiter, time, time_format)
    chosen = _chosen(layout.names, [layout.names[c] for c in layout.time], columns)
    conditions = [(_position(layout.names, name), text.strip()) for name, text in where.items()]
    readers = {name: NumberReader(decimal_comma=layout.delimiter != ",") for name in chosen}
    stamps, skipped, kept = StampReader(time_format), _Skipped(), []
    data = False
    with open_text(path, layout.encoding) as file:
        for _ in islice(file, layout.header):
            pass
        line = layout.header
        while block := list(islice(file, _BLOCK)):
            rows = _rows(block, line + 1, layout, skipped)
            line += len(block)
            for column, text in conditions:
                rows = rows.where([cell.strip() == text for cell in rows.column(column)])
            cells = [cell.strip() for cell in rows.column(layout.time[0])]
            for column in layout.time[1:]:
                cells = [f"{cell} {more.strip()}" for cell, more in zip(cells, rows.column(column), strict=True)]
            readable = stamps.add(cells, rows.lines)
            if data or readable.any():  # units and the like may stand between the header and the data
                _refuse_other_header(rows, readable, 0 if data else int(np.argmax(readable)), layout, chosen.values())
                data = layout.header > 0
            for name, column in chosen.items():
                readers[name].add(rows.column(column))
            kept.append(rows.lines)
    return _Raw(stamps, readers, skipped, np.concatenate([np.empty(0, np.int64), *kept]), layout.note)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of equal width: all cells one after the other, and the number of each line."""

    cells: list[str]
    width: int
    lines: NDArray[np.int64]

    def column(self, position: int) -> list[str]:
        return self.cells[position :: self.width]

    def row(self, index: int) -> list[str]:
        return self.cells[index * self.width : (index + 1) * self.width]

    def where(self, which: list[bool]) -> _Rows:
        kept = [cell for index, keep in enumerate(which) if keep for cell in self.row(index)]
        return _Rows(kept, self.width, self.lines[np.array(which, np.bool_)])


def _rows(block: list[str], first: int, layout: Layout, skipped: _Skipped) -> _Rows:
    """The rows of a block of lines, all as wide as the header; blank lines are none."""
    width, delimiter = len(layout.names), layout.delimiter
    text = "".join(block)
    if "\0" in text or "\ufeff" in text:
        block = [clean(line) for line in block]
    elif '"' not in text and delimiter != " " and {line.count(delimiter) for line in block} == {width - 1}:
        cells = text.rstrip("\n").replace("\n", delimiter).split(delimiter)
        return _Rows(cells, width, np.arange(first, first + len(block), dtype=np.int64))
    keep: list[int] = []
    long: list[int] = []
    cells = []
    for place, line in enumerate(block, start=first):
        row = split(line.rstrip("\n"), delimiter)
        if any(cell.strip() for cell in row[width:]):
            long.append(place)
        elif any(cell.strip() for cell in row):
            keep.append(place)
            cells += row[:width] + [""] * (width - len(row))
    skipped.count(f"more cells than the {width} of the header", long)
    return _Rows(cells, width, np.array(keep, np.int64))


def _refuse_other_header(
    rows: _Rows, readable: NDArray[np.bool_], begin: int, layout: Layout, chosen: Collection[int]
) -> None:
    """Refuse files joined from parts whose columns moved; a repeat of the same header is a row without time."""
    expected = [plain(name) for name in layout.names]
    for index in (begin + np.flatnonzero(~readable[begin:])).tolist():
        cells = [plain(name) for name in unique_names(rows.row(index))]
        if not {expected[c] for c in layout.time} <= set(cells):
            continue
        moved = any(cell in expected and cell != name for cell, name in zip(cells, expected, strict=True))
        if moved or any(cells[c] != expected[c] for c in chosen):
            raise LoggerFileError(f"line {rows.lines[index]}: a second header with other columns; split the file there")


def _mostly_numbers(layout: Layout, column: int) -> bool:
    """Whether at least half of the first cells that hold something hold a number."""
    cells = [row[column].strip() for row in layout.sample if len(row) > column and row[column].strip()]
    if layout.delimiter != ",":
        cells = [cell.replace(",", ".") for cell in cells]
    numbers = [cell for cell in cells if not np.isnan(number(cell))]
    return bool(numbers) and 2 * len(numbers) >= len(cells)


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def _read_parquet(
    path: Path,
    delimiter: str | None,  # noqa: ARG001  Parquet has none; the signature is that of the text reader
    time: str | None,
    columns: Sequence[str],
    time_format: str | None,
    where: Mapping[str, str],
) -> _Raw:
    try:
        schema = pq.read_schema(path)
        times = _parquet_time(schema, time)
        names = (
            [name for name in schema.names if _holds_numbers(schema.field(name).type)] if not columns else schema.names
        )
        chosen = {wanted: names[c] for wanted, c in _chosen(names, times, columns).items()}
        conditions = {schema.names[_position(schema.names, name)]: text.strip() for name, text in where.items()}
        table = pq.read_table(path, columns=[*dict.fromkeys([*times, *chosen.values(), *conditions])])
    except pa.ArrowException as error:
        raise LoggerFileError(f"is a damaged Parquet file: {error}") from None
    lines = np.arange(1, table.num_rows + 1, dtype=np.int64)
    for name, text in conditions.items():
        fits = pc.fill_null(
            pc.equal(pc.utf8_trim_whitespace(pc.cast(table[name], pa.string())), text), fill_value=False
        )
        table, lines = table.filter(fits), lines[fits.to_numpy()]
    stamps = StampReader(time_format)
    column = table[times[0]]
    if len(times) == 1 and (pa.types.is_timestamp(column.type) or pa.types.is_date(column.type)):
        instants = pc.cast(pc.cast(column, pa.timestamp("ms"), safe=False), pa.int64())
        stamps.take(
            pc.fill_null(instants, UNREADABLE).to_numpy(), absolute=getattr(column.type, "tz", None) is not None
        )
    else:
        parts = [_texts(table[name]) for name in times]
        stamps.add([" ".join(cells) for cells in zip(*parts, strict=True)], lines)
    numbers = {}
    for wanted, name in chosen.items():
        reader = numbers[wanted] = NumberReader(decimal_comma=False)
        column = table[name]
        if _holds_numbers(column.type):
            reader.take(pc.cast(column, pa.float64(), safe=False).to_numpy())
        else:
            reader.add(_texts(column))
    return _Raw(stamps, numbers, _Skipped(), lines)


def _texts(column: Any) -> list[str]:
    return ["" if cell is None else str(cell).strip() for cell in column.to_pylist()]


def _holds_numbers(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _parquet_time(schema: Any, wanted: str | None) -> tuple[str, ...]:
    """Names of the time columns: those asked for, else the only one of its kind by name, else by type."""
    names = list(schema.names)
    if wanted is not None:
        whole = find_column(names, wanted)
        parts = [whole] if whole is not None else [_position(names, part) for part in wanted.split(",")]
        return tuple(names[c] for c in parts)
    typed = [f.name for f in schema if pa.types.is_timestamp(f.type)] or [
        f.name for f in schema if pa.types.is_date(f.type)
    ]
    usual = [n for n in names if {plain(n), bare(n)} & (STAMPS | TIMES | DATES)]
    for found in ([name for name in typed if name in usual], typed, usual):
        if len(found) == 1:
            return (found[0],)
        if found:
            raise LoggerFileError(f"several columns may be the time: {listed(found)}; choose with --time")
    raise LoggerFileError(f"no column for the time: there are {listed(names)}; give --time")
