"""Read a logger's file into columns of instants and cells."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv
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
    words,
    written,
)
from greenmine.collector.files.descriptions import Description
from greenmine.collector.files.layout import (
    LINE_AT_MOST,
    Layout,
    TimeColumns,
    clean,
    elapsed,
    find_layout,
    is_zone,
    offset_of,
    split,
)
from greenmine.collector.files.numerals import NumberColumn, NumberReader, number
from greenmine.collector.files.sources import Source, open_text, opened
from greenmine.collector.files.stamps import UNREADABLE, StampReader, Stamps
from greenmine.zones import Zone

_BLOCK: Final = 1 << 22
"""Signs read at a time: bounds the memory that text takes."""
_FIRST: Final = 1 << 13
"""Signs read at first, which may begin with lines of units."""
_DAY: Final = 86_400_000
_ZONES: Final = words("tz timezone tzcd utcoffset gmtoffset tzname zeitzone zone 时区")
"""Plain names of columns that state the zone of each row."""
_SUMMARIES: Final = words("""
    average avg mean max maximum min minimum total sum count std stdev median statistics 平均 平均值 均值 日均值 月均值 最大
    最大值 最小 最小值 合计 总计 标准差 中位数 有效率 超标率 样本数 备注 审核 审核人 制表 制表人 日平均 月平均
""")
"""What stands in the place of a stamp in lines that sum up others."""
_ALONE: Final = "a date without a time of day, among stamps with one"
_LABELS_AT_MOST: Final = 6
"""Columns of text that are looked through for such words."""
_ZONE_CELL: Final = re.compile(r"(?:UTC|GMT)? ?[+-]?\d{1,2}(?::?\d\d)?|[A-Z]{3,5}|Z", re.ASCII)
_SUMMING: Final = _SUMMARIES | words(
    "of the day daily hour hourly month monthly week weekly value values for all total 全天 当日 本月 全月"
)
_NEW_HEADER_UNITS: Final = 4
"""Lines of units that may follow a header."""

UNREAD: Final = "time not readable"
SUMMED: Final = "they sum up others"
"""Why rows are left out."""


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
    units : dict of str to str
        Units that a line under the header states, by column.
    """

    names: tuple[str, ...]
    time: tuple[str, ...]
    numeric: tuple[str, ...]
    units: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of a file with a readable time, in file order.

    Parameters
    ----------
    time : int64 array (n,)
        Instants as stamped [ms UTC]; fractions of a millisecond are cut off.
    cells : dict of NumberColumn
        NumberColumn by column name.
    skipped : dict of int
        Rows left out, by reason; reasons that did not occur are missing.
    notes : tuple of str
        What the reader decided or left out, in sentences for the user.
    zone : str or None
        Zone of the stamps, where the file or the caller states it.
    stamps : Stamps
        What was written.
    texts : dict of tuple of str
        The first distinct texts of other columns that were asked for.
    flags : object array (n,)
        Texts of the column of flags; empty if none was asked for.
    lines : tuple of str
        How the file was read, for ``--explain``.
    """

    time: NDArray[np.int64]
    cells: dict[str, NumberColumn]
    skipped: dict[str, int]
    notes: tuple[str, ...]
    zone: str | None
    stamps: Stamps
    texts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    flags: NDArray[np.object_] = field(default_factory=lambda: np.empty(0, object))
    lines: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.time)

    @property
    def columns(self) -> dict[str, NDArray[np.float64]]:
        """Values by column name; NaN where a cell is empty, no number or not finite."""
        return {name: cells.value for name, cells in self.cells.items()}


class LoggerFile:
    """A file whose layout is known, to be read while it is open.

    Parameters
    ----------
    source : Source
        The text, or Parquet.
    said : Description
        What the caller knows.

    Raises
    ------
    LoggerFileError
        If the layout cannot be told; the message has no path.
    """

    def __init__(self, source: Source, said: Description) -> None:
        if source.is_parquet:
            self._schema = _schema(source.path)
            names = tuple(self._schema.names)
            time = tuple(map(names.index, _parquet_time(self._schema, said.time)))
            self.layout = Layout(source, "", 0, names, TimeColumns(time), (), (), {}, said)
        else:
            self.layout = find_layout(source, said)

    @property
    def header(self) -> Header:
        """The columns."""
        layout = self.layout
        if layout.source.is_parquet:
            numeric = [f.name for f in self._schema if f.name not in layout.time_names and _holds_numbers(f.type)]
            return Header(layout.names, layout.time_names, tuple(numeric))
        if layout.clock.kind == "across":
            others = tuple(name for c, name in enumerate(layout.names) if c not in layout.clock.columns)
            return Header((layout.time_names[0], *others, "value"), layout.time_names[:1], ("value",))
        places = [c for c in range(len(layout.names)) if c not in layout.clock.columns]
        numeric = [layout.names[c] for c in places if _mostly_numbers(layout, c)]
        units = {layout.names[c]: unit for c, unit in layout.units.items()}
        return Header(layout.names, layout.time_names, tuple(numeric), units)

    def read(
        self,
        columns: Collection[str] = (),
        zone: str | None = None,
        *,
        texts: Collection[str] = (),
        words: str = "",
        flags: str | None = None,
    ) -> Table:
        """Read the rows.

        Parameters
        ----------
        columns : collection of str
            Columns to read, named as ``find_column`` allows; empty: all but the time.
        zone : str or None
            Zone of stamps without offset, where neither the description nor the file states one; None: UTC, with a note.
        texts : collection of str
            Columns of which the distinct texts are wanted.
        words : str
            Way of averaging of what is read, of which some values may be words: ``vector`` or ``state``.
        flags : str or None
            Column of which the text of each row is wanted.

        Raises
        ------
        LoggerFileError
            If a column, the order of day and month or the zone cannot be told, if the clock has twelve hours without AM and
            PM, or if no row has a readable time.
        OSError
            If the file cannot be read.
        """
        layout, said = self.layout, self.layout.description
        _checked_zone(zone)
        read = _read_parquet if layout.source.is_parquet else _read_text
        raw = read(layout, tuple(columns), (*texts, *([flags] if flags else [])), words, flags)
        stamps = raw.stamps.result()
        readable = stamps.time != UNREADABLE
        unread = raw.lines[~readable]
        raw.skipped.count(UNREAD, unread[unread >= 0])
        for why, dropped in ((SUMMED, raw.summing(readable)), (_ALONE, _dates_out_of_place(stamps, readable))):
            raw.skipped.count(why, raw.lines[dropped & readable])
            readable &= ~dropped
        if not readable.any():
            raise LoggerFileError("; ".join(["there are no rows of data", *raw.skipped.notes()]))
        if stamps.twelve_hour_clock():
            raise LoggerFileError(
                "goes back in time within a day, and no hour is above 12: the clock has twelve hours without AM and PM; "
                "write the stamps anew with 24 hours"
            )
        notes = list(layout.notes)
        stated = self._zone(stamps, zone, notes)
        local, absolute = stamps.time[readable], stamps.absolute[readable]
        if not absolute.all() and stated is None and zone is None and not any(raw.zones):
            notes.append("stamps without offset are read as UTC; --zone names their zone")
        instants = np.where(absolute, local, 0)
        more: list[str] = []
        zones = np.array(raw.zones or [""] * len(readable), object)[readable]
        for name in dict.fromkeys(zones.tolist()):
            rows = ~absolute & (zones == name)
            instants[rows], told = _instants(local[rows], _checked_zone(said.zone or name or stated or zone))
            more += told
        if len(set(zones.tolist())) == 1 and said.zone is None:
            stated = zones[0] or stated
        cells = {name: reader.result().take(readable) for name, reader in raw.numbers.items()}
        written = Stamps(
            local, absolute, stamps.hour[readable], stamps.halved[readable], stamps.abbreviations, stamps.order
        )
        return Table(
            instants,
            cells,
            dict(raw.skipped.rows),
            (*notes, *raw.skipped.notes(), *more),
            stated,
            written,
            {name: tuple(found) for name, found in raw.texts.items()},
            np.array(raw.flags, object)[readable] if flags else np.empty(0, object),
            self._explained(stamps.order, stated, zone, said),
        )

    def narrowed(self, where: dict[str, str]) -> LoggerFile:
        """The same file, of which only the rows with these texts in these columns count."""
        other = copy(self)
        said = self.layout.description
        other.layout = replace(self.layout, description=msgspec.structs.replace(said, where=said.where | where))
        return other

    def distinct(self, column: str) -> tuple[str, ...]:
        """Distinct texts of a column, in the order they come."""
        layout = self.layout
        if layout.source.is_parquet:
            return tuple(_texts(_columns_of(layout.source.path, [column])[column].unique()))
        found: dict[str, None] = {}
        part = _Part.first(layout, layout.names, (column,), ())
        for block, lines, here in _pieces(layout, part):
            rows = _rows(block, lines, layout, here, _Skipped())
            found.update(dict.fromkeys(cell.strip() for cell in rows.column(here.chosen[column])))
        return tuple(found)

    def _zone(self, stamps: Stamps, fallback: str | None, notes: list[str]) -> str | None:
        """Zone of stamps without offset that the description or the file states."""
        said = self.layout.description
        if said.zone is not None:
            return said.zone
        found = self.layout.stated_zone()
        if (forward := self.layout.put_forward()) is not None and "/" not in (found[0] if found else fallback or ""):
            raise LoggerFileError(
                f"says {forward[:80]!r}: the clock is put forward in summer, and its zone is not stated; give "
                "--stamp-zone, such as --stamp-zone Europe/Berlin, or the offset that the stamps have, such as --stamp-zone +02:00"
            )
        if found is not None and not is_zone(found[0]):
            stated, where = found
        elif stamps.abbreviations:
            stated, where = "/".join(stamps.abbreviations), "the stamps"
        else:
            if found is not None:
                _refuse_other_offsets(found, stamps.offsets)
                notes.append(f"stamps are read in the zone {found[0]}, as {found[1]} says; --stamp-zone names another")
            return found[0] if found is not None else None
        if stated in said.zones:
            return said.zones[stated]
        if fallback is not None and set(stated.split("/")) <= _abbreviations_of(fallback):
            return None
        raise LoggerFileError(
            f"{where} states the zone {stated}, which is none that is known, or may be several: give --stamp-zone, such as "
            "--stamp-zone +08:00"
        )

    def _explained(self, order: str, stated: str | None, zone: str | None, said: Description) -> tuple[str, ...]:
        layout = self.layout
        kinds = {
            "elapsed": f"time since {layout.clock.start}",
            "across": "a column for each hour",
            "clock": f"clock on {layout.clock.start}",
        }
        how = kinds.get(layout.clock.kind, f"days since {layout.clock.serial}" if layout.clock.serial else "")
        return (
            f"make: {said.make or 'none that is known'}"
            + (f"; sheet {layout.source.name!r}" if layout.source.name else ""),
            f"text: {layout.source.encoding or 'Parquet'}, cut at {layout.delimiter!r}, header in line {layout.header}",
            f"columns: {listed(layout.names)}",
            f"time: {listed(layout.time_names)}{f', {how}' if how else ''}{f', order {order}' if order else ''}",
            f"zone of the stamps: {stated or zone or 'UTC'}" + (" (stated)" if stated else ""),
        )


def read_table(
    path: Path, columns: Collection[str] = (), said: Description | None = None, zone: str | None = None
) -> Table:
    """Read the columns of a file, of whatever they are.

    Parameters
    ----------
    path : Path
        CSV in any dialect, workbook, HTML table, Parquet, each also compressed; see ``docs/analyse.md``.
    columns : collection of str
        Columns to read, named as ``find_column`` allows; empty: all but the time.
    said : Description or None
        What the caller knows about the file.
    zone : str or None
        Zone of stamps without offset, where the file states none; None: UTC, with a note.

    Returns
    -------
    Table
        The keys of ``columns`` are the names asked for, else those in the file.

    Raises
    ------
    LoggerFileError
        If the file cannot be read as it is; the message has no path.
    OSError
        If the file cannot be read.
    """
    said = said or Description()
    with opened(path, said.encoding, said.sheet) as sources:
        return only_table(sources, said).read(columns, zone)


def only_table(sources: Sequence[Source], said: Description) -> LoggerFile:
    """Choose the only one of several sheets that is a table with a time.

    Raises
    ------
    LoggerFileError
        If there is none, or several.
    """
    found: list[LoggerFile] = []
    complaints: list[LoggerFileError] = []
    for source in sources:
        try:
            found.append(LoggerFile(source, said))
        except LoggerFileError as error:
            complaints.append(error)
    if len(found) > 1:
        found = [file for file in found if file.header.numeric] or found
    if len(found) > 1:
        names = listed(file.layout.source.name for file in found)
        raise LoggerFileError(f"has several sheets with readings: {names}; choose with --sheet")
    if not found:
        raise (
            complaints[0] if complaints else LoggerFileError("is empty: a header line and lines of readings are needed")
        )
    return found[0]


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
    texts: dict[str, dict[str, None]] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)
    zones: list[str] = field(default_factory=list)
    """Zone of each row, where a column states it; empty if none does."""
    labels: list[NDArray[np.bool_]] = field(default_factory=list)
    """Which rows have a word such as Mean in a column of text."""

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


def _dates_out_of_place(stamps: Stamps, readable: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which stamps are dates alone, among others with a clock, and are no midnight between their neighbours."""
    dropped = np.zeros(len(readable), np.bool_)
    alone = readable & (stamps.hour < 0) & ~stamps.absolute
    clocked = np.flatnonzero(readable & ~alone)
    if not alone.any() or 2 * np.count_nonzero(alone) >= np.count_nonzero(readable):
        return dropped
    steps = np.abs(np.diff(stamps.time[clocked]))
    usual = 2 * float(np.median(steps)) if len(steps) else 0.0
    for row in np.flatnonzero(alone).tolist():
        place = int(np.searchsorted(clocked, row))
        before, after = (stamps.time[clocked[i]] if 0 <= i < len(clocked) else None for i in (place - 1, place))
        time = stamps.time[row]
        if before is None or after is None:
            near = before if after is None else after
            dropped[row] = not 0 < abs(int(near) - int(time)) <= usual if near is not None else False
        else:
            dropped[row] = not (before < time < after or before > time > after)
    return dropped


def _checked_zone(name: str | None) -> Zone:
    try:
        return Zone(name or "UTC")
    except ValueError as error:
        raise LoggerFileError(str(error)) from None


def _refuse_other_offsets(stated: tuple[str, str], offsets: Sequence[str]) -> None:
    """Refuse offsets behind stamps that are none of the zone that the header states."""
    zone, where = stated
    own = Zone(zone)
    ahead = {(int(own.local(month * 30 * _DAY)) - month * 30 * _DAY) // 60_000 for month in range(649, 662)}
    for text in offsets:
        digits = re.sub(r"[^\d]", "", text)
        minutes = int(digits[:2]) * 60 + int(digits[2:] or 0)
        if (-minutes if text[0] == "-" else minutes) not in ahead:
            raise LoggerFileError(
                f"{where} states the zone {zone}, but stamps have the offset {text}; give --stamp-zone"
            )


def _abbreviations_of(name: str) -> set[str]:
    """Abbreviations that a zone uses today."""
    try:
        zone = ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        return set()
    return {datetime(2024, month, 1, tzinfo=UTC).astimezone(zone).tzname() or "" for month in range(1, 13)}


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


@dataclass(frozen=True, slots=True)
class _Part:
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
    def first(layout: Layout, names: tuple[str, ...], columns: Sequence[str], texts: Sequence[str]) -> _Part:
        clock = layout.clock
        time = (0,) if clock.kind == "across" else clock.columns
        said = layout.description
        zone = None if said.zone_column is None else _position(names, said.zone_column)
        if zone is None:
            stated = [
                c
                for c, name in enumerate(names)
                if c not in time
                and {plain(name), bare(name)} & _ZONES
                and (plain(name) != "zone" or _holds_zones(layout, c))
            ]
            zone = stated[0] if len(stated) == 1 else None
        chosen = _chosen(names, [names[c] for c in time], columns)
        labels = [
            c
            for c in range(len(names))
            if clock.kind != "across"
            and c not in {*time, *chosen.values(), zone}
            and (not c or not _mostly_numbers(layout, c))
        ]
        return _Part(
            names,
            time,
            chosen,
            tuple((_position(names, name), text.strip()) for name, text in said.where.items()),
            {name: _position(names, name) for name in texts},
            zone,
            tuple(labels[:_LABELS_AT_MOST]),
        )

    def moved(self, names: tuple[str, ...], line: int) -> _Part:
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

        return _Part(
            names,
            tuple(map(place, self.time)),
            {name: place(c) for name, c in self.chosen.items()},
            tuple((place(c), text) for c, text in self.conditions),
            {name: place(c) for name, c in self.texts.items()},
            None if self.zone is None else place(self.zone),
        )


def _read_text(
    layout: Layout,
    columns: tuple[str, ...],
    texts: tuple[str, ...],
    words: str,
    flags: str | None,
) -> _Raw:
    said, across = layout.description, layout.clock.kind == "across"
    names = layout.names
    if across:
        names = (layout.time_names[0], *(n for c, n in enumerate(names) if c not in layout.clock.columns), "value")
    part = _Part.first(layout, names, columns, texts)
    decimal = said.decimal or _decimal(layout)
    readers = {
        name: NumberReader(decimal, quoted=layout.delimiter == ",", missing=said.missing or (), words=words)
        for name in part.chosen
    }
    stamps = StampReader(said.time_format, layout.order(), layout.clock.serial)
    raw = _Raw(stamps, readers, _Skipped(), np.empty(0, np.int64), {name: {} for name in part.texts})
    kept = []
    clock = TimeColumns((0,)) if across else layout.clock
    plain_stamps = clock.kind == "stamp" and len(clock.columns) == 1 and part.zone is None
    for block, lines, part in _pieces(layout, part):  # noqa: B020  the part goes with the piece
        rows = _rows(block, lines, layout, part if not across else replace(part, names=layout.names), raw.skipped)
        if across and isinstance(rows, _Rows):
            rows = rows.unfolded(layout)
        for column, text in part.conditions:
            rows = rows.where(np.array([cell.strip() == text for cell in rows.column(column)], np.bool_))
        if plain_stamps and isinstance(rows, _ArrowRows):
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
        dropped = np.zeros(len(readable), np.bool_)
        if not readable.all():
            _refuse_other_header(rows, readable, part)
            dropped = _summaries(rows.column(part.time[0]), readable)
            raw.skipped.count(SUMMED, rows.lines[dropped])
        if part.labels or raw.labels:
            raw.labels.append(_labelled(rows, part, len(readable)))
        for name, column in part.chosen.items():
            if isinstance(rows, _ArrowRows):
                readers[name].add_column(rows.array(column))
            else:
                readers[name].add(rows.column(column))
        if flags is not None:
            raw.flags += [text.strip() for text in rows.column(part.texts[flags])]
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


def _take_elapsed(stamps: StampReader, clock: TimeColumns, cells: Sequence[str]) -> NDArray[np.bool_]:
    start = int(np.datetime64(clock.start, "ms").astype(np.int64))
    passed = [elapsed(cell) for cell in cells]
    time = [UNREADABLE if x is None else start + round(x * clock.scale) for x in passed]
    stamps.take(np.array(time, np.int64), absolute=False)
    return np.array([x is not None for x in passed], np.bool_)


def _summaries(cells: Sequence[str], readable: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which rows say that they sum up others, in the place of their time."""
    found = np.zeros(len(cells), np.bool_)
    for row in np.flatnonzero(~readable).tolist():
        said = plain(re.split(r"[:：]", cells[row])[0])
        found[row] = said in _SUMMARIES
    return found


def _labelled(rows: _Rows | _ArrowRows, part: _Part, size: int) -> NDArray[np.bool_]:
    """Which rows have a word such as Mean in a column of text."""
    found = np.zeros(size, np.bool_)
    for column in part.labels:
        if isinstance(rows, _ArrowRows):
            texts = rows.array(column).dictionary_encode()
            words, at = texts.dictionary.to_pylist(), texts.indices.to_numpy()
            found |= np.array([_sums_up(text) for text in words], np.bool_)[at]
        else:
            found |= np.array([_sums_up(text) for text in rows.column(column)], np.bool_)
    return found


def _refuse_other_header(rows: _Rows | _ArrowRows, readable: NDArray[np.bool_], part: _Part) -> None:
    """Refuse a header among the rows that calls its columns otherwise."""
    stamps = rows.column(part.time[0])
    for row in np.flatnonzero(~readable).tolist():
        if plain(stamps[row]) in STAMPS | TIMES | DATES:
            for column in part.chosen.values():
                if (other := rows.column(column)[row]) and plain(other) != plain(written(part.names[column])):
                    raise LoggerFileError(
                        f"line {rows.lines[row]}: a second header, with {other.strip()!r} in the place of {part.names[column]!r}; "
                        "split the file there"
                    )


def _sums_up(text: str) -> bool:
    """Whether a text is a word such as Mean, or a few with one: ``daily mean``."""
    if len(text) > 30:
        return False
    said = {plain(word) for word in re.split(r"[\s_:：]+", text)} - {""}
    return bool(said & _SUMMARIES) and said <= _SUMMING


def _holds_zones(layout: Layout, column: int) -> bool:
    """Whether the first cells of a column are zones of time, and no parts of a town."""
    cells = [row[column].strip() for row in layout.sample if len(row) > column and row[column].strip()]
    return bool(cells) and all(_ZONE_CELL.fullmatch(cell) or ("/" in cell and is_zone(cell)) for cell in cells)


def _pieces(layout: Layout, part: _Part) -> Iterator[tuple[str, NDArray[np.int64], _Part]]:
    """The lines of data with their numbers, in blocks, parted at each further header."""
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
            if first or (named and mark in text) or text.startswith("#") or "\n#" in text or not text.endswith("\n"):
                block = [row if row.endswith("\n") else f"{row}\n" for row in re.split(r"(?<=\n)", text) if row]
                lines = np.arange(line + 1, line + 1 + len(block), dtype=np.int64)
                units = _lines_of_units(block) if units is None else units
                begin = 0
                for index in [i for i, row in enumerate(block) if mark in row] if named else []:
                    cells = split(clean(block[index]), layout.delimiter)
                    names = unique_names(cells)
                    if not set(times) <= {plain(name) for name in names}:
                        continue
                    yield from _without_comments(block[begin:index], lines[begin:index], part, after_header=first)
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
                yield from _without_comments(block[begin:], lines[begin:], part, after_header=first)
                line += len(block)
            else:
                count = text.count("\n")
                yield text, np.arange(line + 1, line + 1 + count, dtype=np.int64), part
                line += count


def _without_comments(
    block: list[str], lines: NDArray[np.int64], part: _Part, *, after_header: bool
) -> Iterator[tuple[str, NDArray[np.int64], _Part]]:
    """The block without lines of comment, and without lines of units after a header."""
    units = len(_lines_of_units(block)) if after_header else 0
    keep = [index for index in range(units, len(block)) if not block[index].startswith("#")]
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
class _Rows:
    """Rows of equal width: all cells one after the other, and the number of each line."""

    cells: list[str]
    width: int
    lines: NDArray[np.int64]

    def column(self, position: int) -> list[str]:
        return self.cells[position :: self.width]

    def row(self, index: int) -> list[str]:
        return self.cells[index * self.width : (index + 1) * self.width]

    def where(self, which: NDArray[np.bool_]) -> _Rows:
        kept = [cell for index in np.flatnonzero(which).tolist() for cell in self.row(index)]
        return _Rows(kept, self.width, self.lines[which])

    def unfolded(self, layout: Layout) -> _Rows:
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
        return _Rows(cells, 2 + len(others), np.repeat(self.lines, len(hours)))


@dataclass(frozen=True, slots=True)
class _ArrowRows:
    """Rows of plain lines, of which only the columns that are needed were cut out."""

    columns: dict[int, pa.StringArray]
    lines: NDArray[np.int64]

    def array(self, position: int) -> pa.StringArray:
        return self.columns[position]

    def column(self, position: int) -> list[str]:
        cells: list[str] = self.columns[position].to_pylist()
        return cells

    def where(self, which: NDArray[np.bool_]) -> _ArrowRows:
        mask = pa.array(which)
        return _ArrowRows({c: array.filter(mask) for c, array in self.columns.items()}, self.lines[which])


def _rows(text: str, lines: NDArray[np.int64], layout: Layout, part: _Part, skipped: _Skipped) -> _Rows | _ArrowRows:
    """The rows of a block of lines, all as wide as the header; blank lines are none."""
    width, delimiter = len(part.names), layout.delimiter
    if layout.clock.kind != "across" and not any(sign in text for sign in ('"', "\0", "\ufeff")) and delimiter != " ":
        rows = _cut(text, lines, delimiter, part)
        if rows is not None:
            return rows
    keep: list[int] = []
    long: list[int] = []
    cells = []
    for place, line in zip(lines.tolist(), re.split("\n", text), strict=False):
        row = split(clean(line), delimiter)
        if any(cell.strip() for cell in row[width:]):
            long.append(place)
        elif any(cell.strip() for cell in row):
            keep.append(place)
            cells += row[:width] + [""] * (width - len(row))
    skipped.count(f"more cells than the {width} of the header", long)
    return _Rows(cells, width, np.array(keep, np.int64))


def _cut(text: str, lines: NDArray[np.int64], delimiter: str, part: _Part) -> _ArrowRows | None:
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
    return _ArrowRows({c: table[str(c)].combine_chunks() for c in needed}, lines)


def _decimal(layout: Layout) -> str | None:
    """The comma, where the first rows prove that it is the decimal sign of the file; None: left to each column."""
    if layout.delimiter == ",":
        return None
    cells = [cell.strip() for row in layout.sample for c, cell in enumerate(row) if c not in layout.clock.columns]
    proof = any(re.fullmatch(r"[+-]?\d+,(\d{1,2}|\d{4,})", cell) for cell in cells)
    against = any(re.fullmatch(r"[+-]?\d+\.(\d{1,2}|\d{4,})", cell) for cell in cells)
    return "," if proof and not against else None


def _mostly_numbers(layout: Layout, column: int) -> bool:
    """Whether at least half of the first cells that hold something hold a number."""
    cells = [row[column].strip() for row in layout.sample if len(row) > column and row[column].strip()]
    numbers = [cell for cell in cells if not np.isnan(number(cell)) or not np.isnan(number(cell.replace(",", ".")))]
    return bool(numbers) and 2 * len(numbers) >= len(cells)


def _schema(path: Path) -> Any:
    try:
        return pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise LoggerFileError(f"is a damaged Parquet file: {error}") from None


def _columns_of(path: Path, names: Sequence[str]) -> pa.Table:
    try:
        return pq.read_table(path, columns=list(dict.fromkeys(names)))
    except (pa.ArrowException, OSError) as error:
        raise LoggerFileError(f"is a damaged Parquet file: {error}") from None


def _read_parquet(
    layout: Layout,
    columns: tuple[str, ...],
    texts: tuple[str, ...],
    words: str,
    flags: str | None,
) -> _Raw:
    path, said = layout.source.path, layout.description
    schema = _schema(path)
    times = layout.time_names
    names = schema.names if columns else [field.name for field in schema if _holds_numbers(field.type)]
    chosen = {wanted: names[c] for wanted, c in _chosen(names, times, columns).items()}
    conditions = {schema.names[_position(schema.names, name)]: text.strip() for name, text in said.where.items()}
    table = _columns_of(path, [*times, *chosen.values(), *conditions, *texts])
    lines = np.arange(1, table.num_rows + 1, dtype=np.int64)
    for name, text in conditions.items():
        fits = pc.fill_null(
            pc.equal(pc.utf8_trim_whitespace(pc.cast(table[name], pa.string())), text), fill_value=False
        )
        table, lines = table.filter(fits), lines[fits.to_numpy()]
    stamps = StampReader(said.time_format, layout.order())
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
        reader = numbers[wanted] = NumberReader(said.decimal, missing=said.missing or (), words=words)
        column = table[name]
        if _holds_numbers(column.type):
            reader.take(pc.cast(column, pa.float64(), safe=False).to_numpy())
        else:
            reader.add(_texts(column))
    found = {name: dict.fromkeys(text for text in _texts(table[name].unique())) for name in texts}
    return _Raw(stamps, numbers, _Skipped(), lines, found, [] if flags is None else _texts(table[flags]))


def _texts(column: Any) -> list[str]:
    return ["" if cell is None else str(cell).strip() for cell in column.to_pylist()]


def _holds_numbers(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _parquet_time(schema: Any, wanted: Sequence[str]) -> tuple[str, ...]:
    """Names of the time columns: those asked for, else the only one of its kind by name, else by type."""
    names = list(schema.names)
    if wanted:
        whole = find_column(names, wanted[0]) if len(wanted) == 1 else None
        parts = (
            [whole] if whole is not None else [_position(names, part) for text in wanted for part in text.split(",")]
        )
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
