"""Read a logger's file into columns of instants and cells."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from numpy.typing import NDArray

from greenmine.collector.files.columns import (
    LoggerFileError,
    listed,
    refuse_wider,
)
from greenmine.collector.files.descriptions import Description
from greenmine.collector.files.layout import EPOCHS, Layout, ends_said, find_layout
from greenmine.collector.files.numerals import NumberColumn
from greenmine.collector.files.parquet import columns_of, holds_numbers, parquet_time, read_parquet, schema_of, texts_of
from greenmine.collector.files.rows import Part, RawTable, Skipped, mostly_numbers, pieces, rows_of
from greenmine.collector.files.sources import Source, opened, text_beside
from greenmine.collector.files.stamps import UNREADABLE, Stamps
from greenmine.collector.files.stated_zones import is_zone, zone_of_line, zone_of_prose
from greenmine.collector.files.text import SUMMED, read_text
from greenmine.collector.files.time_columns import TimeColumns
from greenmine.zones import Zone

_DAY: Final = 86_400_000
_YEAR: Final = re.compile(r"(?<!\d)(?:19[7-9]\d|20\d\d)(?!\d)")
_SENTENCE: Final = 200
"""Signs of a line below the readings that may say something of them."""
_SPREADSHEETS: Final = 2000
"""Years from which on loggers' files are met as sheets."""
_ALONE: Final = "a date without a time of day, among stamps with one"
_OTHER_SECONDS: Final = re.compile(
    r"(?<![a-z])gps[ _-]*(?:time|sec|epoch|tow|stamp|week)|(?:\A|_)gps\Z"
    r"|(?:since|from|epoch|seit|depuis)\W{1,3}(?!1970)(?:19|20)\d\d"
    r"|(?<![a-z])(?:tai|ntp|j2000)(?![a-z])|自 ?(?!1970)(?:19|20)\d\d",
    re.IGNORECASE,
)
"""What says that seconds count from another instant than 1970: that of GPS, or a year."""
_NEAR: Final = 2
"""So many years may a heading be older or younger than the readings."""
UNREAD: Final = "time not readable"
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
    flags : dict of object array (n,)
        Texts of each row, of the columns of flags that were asked for.
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
    flags: dict[str, NDArray[np.object_]] = field(default_factory=dict)
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
            self._schema = schema_of(source.path)
            names = tuple(self._schema.names)
            refuse_wider(len(names))
            time = tuple(map(names.index, parquet_time(self._schema, said.time)))
            self.layout = Layout(source, "", 0, names, TimeColumns(time), (), (), {}, said)
        else:
            self.layout = find_layout(source, said)

    @property
    def header(self) -> Header:
        """The columns."""
        layout = self.layout
        if layout.source.is_parquet:
            numeric = [f.name for f in self._schema if f.name not in layout.time_names and holds_numbers(f.type)]
            return Header(layout.names, layout.time_names, tuple(numeric))
        if layout.clock.kind == "across":
            others = tuple(name for c, name in enumerate(layout.names) if c not in layout.clock.columns)
            return Header((layout.time_names[0], *others, "value"), layout.time_names[:1], ("value",))
        places = [c for c in range(len(layout.names)) if c not in layout.clock.columns]
        numeric = [layout.names[c] for c in places if mostly_numbers(layout, c)]
        units = {layout.names[c]: unit for c, unit in layout.units.items()}
        return Header(layout.names, layout.time_names, tuple(numeric), units)

    def read(
        self,
        columns: Collection[str] = (),
        zone: str | None = None,
        *,
        texts: Collection[str] = (),
        words: str = "",
        flags: Collection[str] = (),
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
        flags : collection of str
            Columns of which the text of each row is wanted.

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
        if layout.source.hidden_row > layout.header and (said.tolerate or 0) < 1:
            raise LoggerFileError(
                f"rows of the sheet are hidden, the last of them in line {layout.source.hidden_row}: save the rows that are meant "
                "alone, or give --tolerate 1 to read them all"
            )
        read = read_parquet if layout.source.is_parquet else read_text
        raw = read(layout, tuple(columns), (*texts, *flags), words, tuple(flags))
        stamps = raw.stamps.result()
        readable = stamps.time != UNREADABLE
        notes = list(layout.notes)
        if layout.clock.kind == "clock":
            stamps = replace(stamps, time=_over_midnight(stamps.time, readable, notes))
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
        self._refuse_other_seconds(stamps, readable)
        stated = self._zone(stamps, zone, notes)
        if stated is None and said.zone is None and (line := layout.perhaps_zone()) is not None:
            notes.append(
                f"the heading says {line[:80]!r}, which names no zone of time that is known: stamps are not read in it"
            )
        if not stamps.absolute[readable].all():
            self._refuse_winter_time(stamps.time[readable], said.zone or stated or zone)
        _refuse_sections(raw, readable, said)
        _refuse_feet(raw, readable, zone=stated, stamps=layout.stamps()[0])
        local, absolute = stamps.time[readable], stamps.absolute[readable]
        if layout.clock.serial and said.epoch is None:
            notes.append(self._epoch(local))
        if not absolute.all() and stated is None and zone is None and not any(raw.zones):
            notes.append("stamps without offset are read as UTC; --zone names their zone")
        instants = np.where(absolute, local, 0)
        more: list[str] = []
        zones = np.array(raw.zones, object)[readable] if raw.zones else None
        named = [""] if zones is None else list(dict.fromkeys(zones.tolist()))
        for name in named:
            rows = ~absolute if zones is None else ~absolute & (zones == name)
            instants[rows], told = _instants(local[rows], _checked_zone(said.zone or name or stated or zone))
            more += told
        if len(named) == 1 and said.zone is None:
            stated = named[0] or stated
        if note := _disorder(instants):
            notes.append(note)
        cells = {name: reader.result().take(readable) for name, reader in raw.numbers.items()}
        written = Stamps(
            local, absolute, stamps.hour[readable], stamps.halved[readable], stamps.abbreviations, stamps.order
        )
        return Table(
            instants,
            cells,
            dict(raw.skipped.rows),
            (*notes, *raw.skipped.notes(), *raw.cut, *more),
            stated,
            written,
            {name: tuple(found) for name, found in raw.texts.items()},
            {name: np.array(found, object)[readable] for name, found in raw.flags.items()},
            self._explained(stamps.order, stated, zone, said),
        )

    def narrowed(self, where: dict[str, str]) -> LoggerFile:
        """The same file, of which only the rows with these texts in these columns count."""
        other = copy(self)
        said = self.layout.description
        other.layout = replace(self.layout, description=msgspec.structs.replace(said, where=said.where | where))
        return other

    def below(self, lines: tuple[str, ...]) -> LoggerFile:
        """The same file, of which these lines, too, stand in the heading."""
        other = copy(self)
        other.layout = replace(self.layout, heading=(*lines, *self.layout.heading))
        return other

    def distinct(self, column: str) -> tuple[str, ...]:
        """Distinct texts of a column, in the order they come."""
        layout = self.layout
        if layout.source.is_parquet:
            return tuple(texts_of(columns_of(layout.source.path, [column])[column].unique()))
        found: dict[str, None] = {}
        part = Part.first(layout, layout.names, (column,), ())
        for block, lines, here in pieces(layout, part, [], []):
            rows = rows_of(block, lines, layout, here, Skipped())
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

    def _epoch(self, local: NDArray[np.int64]) -> str:
        """Say from which day the numbers count.

        Raises
        ------
        LoggerFileError
            If a date of the heading lies four years off, as far as the two date systems of spreadsheets do, or all years are those
            before such programs were common, or some lie far ahead, as those of modified Julian dates do.
        """
        named = next(name for name, day in EPOCHS.items() if day == self.layout.clock.serial)
        other = next(name for name in EPOCHS if name != named)
        first, last = (int(str(np.datetime64(int(t), "ms"))[:4]) for t in (local.min(), local.max()))
        apart = 4 if named == "1900" else -4
        stated = [int(year) for line in self.layout.heading for year in _YEAR.findall(line)]
        fits = [year for year in stated if first - 1 <= year <= last + 1]
        others = [year for year in stated if first + apart - 1 <= year <= last + apart + 1]
        ahead = int(time.strftime("%Y")) + _NEAR
        if (others and not fits) or last < _SPREADSHEETS or last > ahead:
            says = f", and the heading speaks of {others[0]}" if others else ""
            raise LoggerFileError(
                f"days counted by the date system from {named} are those of {first} to {last}{says}: give --epoch {other}, or "
                f"--epoch {named} if they are right"
            )
        return f"days are counted by the date system from {named}; --epoch {other} counts them by the other, four years off"

    def _refuse_other_seconds(self, stamps: Stamps, readable: NDArray[np.bool_]) -> None:
        """Refuse seconds that count from another instant than 1970, as the name of their column or the heading says.

        Raises
        ------
        LoggerFileError
            If so; also if the heading speaks of years alone of which none is near.
        """
        counted = readable & stamps.absolute & (stamps.hour < 0)
        layout = self.layout
        if layout.source.is_parquet or layout.description.epoch is not None or not counted.any():
            return
        said = next(
            (
                text
                for text in (*layout.time_names, *layout.heading)
                if len(text) < _SENTENCE and _OTHER_SECONDS.search(text)
            ),
            None,
        )
        first, last = (np.datetime64(int(t), "ms") for t in (stamps.time[counted].min(), stamps.time[counted].max()))
        if said is None:
            years = [int(year) for line in layout.heading for year in _YEAR.findall(line)]
            near = (int(str(first)[:4]) - _NEAR, int(str(last)[:4]) + _NEAR)
            said = f"{years[0]}" if years and not any(near[0] <= year <= near[1] for year in years) else None
        if said is not None:
            raise LoggerFileError(
                f"the file says {said.strip()[:80]!r}, and counted from 1970 its seconds begin at {str(first)[:16]}: choose "
                "another column with --time, or give --epoch 1970 if that is right"
            )

    def _refuse_winter_time(self, local: NDArray[np.int64], name: str | None) -> None:
        """Refuse stamps of a clock that is never put forward in a zone whose clocks are, in the span of the file."""
        said = self.layout.winter_time()
        if said is None or name is None:
            return
        zone, ends = Zone(name), np.array([local.min(), local.max()])
        days = np.arange(ends[0], ends[1] + _DAY, _DAY)
        ahead = np.unique(days - zone.utc(days))
        year = ends[0] + np.arange(366) * _DAY
        if len(ahead) > 1 or (ahead[0] != np.min(year - zone.utc(year))):
            winter = int(np.min(year - zone.utc(year))) // 60_000
            offset = f"{'-' if winter < 0 else '+'}{abs(winter) // 60:02}:{abs(winter) % 60:02}"
            raise LoggerFileError(
                f"says {said[:80]!r}: the clock is not put forward in summer, but the clocks of {name} are; give the offset "
                f"that the stamps have, such as --stamp-zone {offset}"
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
    """Choose the only one of several sheets that is a table with a time; what others say counts as its heading.

    Raises
    ------
    LoggerFileError
        If there is none, or several.
    """
    tables: dict[str, LoggerFile] = {}
    complaints: dict[str, LoggerFileError] = {}
    for source in sources:
        try:
            tables[source.name] = LoggerFile(source, said)
        except LoggerFileError as error:
            complaints[source.name] = error
    wanted = said.sheet if said.sheet in {source.name for source in sources} else None
    found = [file for name, file in tables.items() if wanted in {None, name}]
    visible = [file for file in found if wanted is not None or not file.layout.source.is_hidden]
    if found and not visible:
        name = found[0].layout.source.name
        raise LoggerFileError(
            f"has readings on a hidden sheet alone, {name!r}: give --sheet {name!r} if they are meant"
        )
    found = [file for file in visible if len(visible) > 1 and file.header.numeric] or visible
    if len(found) > 1:
        names = listed(file.layout.source.name for file in found)
        raise LoggerFileError(f"has several sheets with readings: {names}; choose with --sheet")
    if not found:
        others = complaints if wanted is None else {wanted: complaints[wanted]}
        raise next(iter(others.values()), LoggerFileError("is empty: a header line and lines of readings are needed"))
    chosen = found[0].layout.source
    silent = {name for name, file in tables.items() if file.layout.source.is_parquet or file.header.numeric}
    lines = [line for source in sources if source.name not in silent | {chosen.name} for line in text_beside(source)]
    return found[0].below((*lines, *chosen.beside))


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


def _over_midnight(time: NDArray[np.int64], readable: NDArray[np.bool_], notes: list[str]) -> NDArray[np.int64]:
    """Times of a clock whose heading states one date, put on the days that follow where the clock passes midnight.

    Raises
    ------
    LoggerFileError
        If the clock goes back otherwise.
    """
    steps = np.diff(time[readable], prepend=time[readable][:1])
    if (steps >= 0).all():
        return time
    passed = steps <= -_DAY // 2
    if (steps < 0)[~passed].any():
        raise LoggerFileError(
            "holds times of day that go back within a day, and the heading states one date: put the file in order of time, or "
            "give each row its date"
        )
    moved = time.copy()
    moved[readable] += np.cumsum(passed) * _DAY
    notes.append(
        f"the clock passes midnight {np.count_nonzero(passed):,} times: the rows behind it are of the days that follow"
    )
    return moved


def _disorder(time: NDArray[np.int64]) -> str:
    """Say how often the time goes back from row to row, where it goes on otherwise."""
    steps = np.diff(time)
    back = int(np.count_nonzero(steps < 0))
    if not 0 < back < np.count_nonzero(steps > 0):
        return ""
    return (
        f"the time goes back {back:,} times from one row to the next: perhaps the clock was set, or files were joined"
    )


def _refuse_sections(raw: RawTable, readable: NDArray[np.bool_], said: Description) -> None:
    """Refuse lines between the readings that may begin another station, unit or zone."""
    rows = raw.lines[readable]
    between = [(line, text) for line, text in raw.sections if rows.min() < line < rows.max()]
    if between and (said.tolerate or 0) < 1:
        line, text = between[0]
        raise LoggerFileError(
            f"line {line}, {text[:60]!r}, stands between readings and may say that others are of another station, unit or zone: "
            "split the file there, or give --tolerate 1 if it says nothing"
        )


def _refuse_feet(raw: RawTable, readable: NDArray[np.bool_], *, zone: str | None, stamps: str | None) -> None:
    """Refuse lines below the readings that state a zone, or where stamps stand in their intervals, which nothing above does."""
    last = raw.lines[readable].max()
    for line, text in raw.feet:
        if line < last or len(text) > _SENTENCE:
            continue
        if zone is None and (zone_of_line(text) or zone_of_prose(text)) is not None:
            raise LoggerFileError(f"line {line}, {text[:60]!r}, below the readings states a zone: give --stamp-zone")
        if stamps is None and "end" in ends_said([text]):
            raise LoggerFileError(
                f"line {line}, {text[:60]!r}, below the readings says that stamps stand at the end of intervals: give --stamps"
            )


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

    Raises
    ------
    LoggerFileError
        If the stamps go on through an hour that the clocks skip and the one behind it: then the logger's clock was not put forward.
    """
    time, second = clock.utc(local), clock.utc(local, second=True)
    repeated = np.flatnonzero(second > time)
    gap = second < time
    skipped = int(np.count_nonzero(gap))
    if skipped and np.isin(local[gap] + (time - second)[gap], local[~gap]).any():
        first = local[gap].min()
        ahead = int(first - time[gap].min()) // 60_000
        raise LoggerFileError(
            f"stamps go on through {str(np.datetime64(int(first), 'ms'))[:16]}, an hour that the clocks of {clock.name} skip, and "
            "through the next one: the clock of the logger is not put forward; give the offset that the stamps have, such as "
            f"--stamp-zone {'-' if ahead < 0 else '+'}{abs(ahead) // 60:02}:{abs(ahead) % 60:02}"
        )
    # One change of the clocks repeats hours, not days, so a distance of a day parts two changes.
    order = np.argsort(local[repeated], kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(local[repeated][order]) > _DAY) + 1)
    twice = 0
    for part in parts:
        rows = repeated[np.sort(part)]
        if np.count_nonzero(np.diff(local) < 0) > len(local) // 2:  # the newest first
            rows = rows[::-1]
        back = np.flatnonzero(np.diff(local[rows]) < 0) + 1
        if len(rows) == 2 and local[rows[0]] == local[rows[1]] and abs(rows[1] - rows[0]) == 1:
            back = np.array([1])  # a row for each hour
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
