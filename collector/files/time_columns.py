"""The columns that make the time of a row: by their names, and by what they hold."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

import numpy as np

from greenmine.collector.files.columns import (
    DATES,
    ELAPSED,
    PARTS,
    STAMPS,
    TIMES,
    LoggerFileError,
    bare,
    listed,
    plain,
    written,
)
from greenmine.collector.files.descriptions import Description
from greenmine.collector.files.stamps import DATE_TEXT, ORDERS, PARTS_OF_THE_DAY, UNREADABLE, StampReader

CLOCK: Final = re.compile(
    rf"(?:(?:{PARTS_OF_THE_DAY}) ?)?\d{{1,2}}[:时時点點hH]\d{{1,2}}(?:[分m]|[:分]\d{{1,2}}秒?(?:[.,:]\d+)?)?"
    r"(?:[ap]| ?(?:[AaPp]\.? ?[Mm]\.?|上午|下午|Uhr))?"
    r"(?: ?[-~～—–至] ?\d{1,2}:\d\d)?"
    r"|\d{4} (?:UTC|GMT)",
    re.ASCII,
)
_UNTIL: Final = re.compile(r" ?[-~～—–至] ?\d{1,2}:\d\d\Z")
"""The end of an interval behind its begin, where the date stands apart."""
_DOTTED_CLOCK: Final = re.compile(r"(?:[01]?\d|2[0-4])\.[0-5]\d(?:\.[0-5]\d)?")
_HOUR: Final = re.compile(r"(?:[01]?\d|2[0-4])(?:[.]0+)?(?: ?(?:[时時点點hH]整?|:00))?", re.ASCII)
_HOUR_NAME: Final = re.compile(
    r"(?:[Hh](?:our|r)?[ _]?)?(\d{1,2})(?: ?(?:时|点|[hH]|:00))?(?:[-~至]\d{1,2}(?: ?(?:时|点|:00))?)?"
)
_SERIALS: Final = (20_000, 80_000)
"""Days since 1899-12-30 of the years 1954 to 2119."""
_DATE: Final = re.compile(rf"(?<![\d.])(?:{DATE_TEXT})(?![\d.])")
_CLOCK_IN: Final = re.compile(r"(?<![\d:])\d{1,2}:\d\d(?::\d\d)?(?:[.]\d+)?(?: ?[AaPp]\.?[Mm]\.?)?(?![\d:])")
_START: Final = re.compile(r"start|begin|开始|起始|begonnen", re.IGNORECASE)
_SCALES: Final = {
    **dict.fromkeys(("ms",), 1),
    **dict.fromkeys(("s", "sec", "secs", "seconds", "秒"), 1000),
    **dict.fromkeys(("m", "min", "mins", "minutes", "分", "分钟"), 60_000),
    **dict.fromkeys(("h", "hr", "hrs", "hours", "小时"), 3_600_000),
}
"""Milliseconds of the units of elapsed time."""
_ORDER_WORDS: Final = (
    (r"(?<![a-z])m{1,3}[-/. ]?d{1,2}[-/. ,]{0,2}y", "mdy"),
    (r"(?<![a-z])d{1,2}[-/. ]?m{1,3}[-/. ]?y", "dmy"),
    (r"(?<![a-z])y{2,4}[-/. ]?m{1,3}[-/. ]?d", "ymd"),
    (r"(?<![a-z])t{1,2}[-/. ]m{1,2}[-/. ]j", "dmy"),
    (r"month[-/. ]+day[-/. ,]+year", "mdy"),
    (r"day[-/. ]+month[-/. ]+year", "dmy"),
    (r"year[-/. ]+month[-/. ]+day", "ymd"),
    (r"月[-/.]日[-/.]年", "mdy"),
    (r"日[-/.]月[-/.]年", "dmy"),
    (r"年[-/.]月[-/.]日", "ymd"),
)
_DATE_FORMAT: Final = re.compile(
    r"(?:date|datum\w*|time|stamp)[ _/-]*(?:and time )?(?:format|order|style)|format of (?:the )?dates?|^\W*format\b"
    r"|dates? (?:are|is|as)\b|日期格式|时间格式",
    re.IGNORECASE,
)
"""A line of the heading that states the order of day, month and year."""
END_WORDS: Final = re.compile(
    r"\b(?:end|ending|ended|ends|to|until|fin|hasta|ende|bis|fine|fim|até|einde|eind|koniec|slut)\b|hourend|(?<![a-z])HE(?![a-z])"
    r"|结束|截止|截至|止$",
    re.IGNORECASE,
)
BEGIN_WORDS: Final = re.compile(
    r"\b(?:start|starting|begin|beginning|from|since|début|debut|inicio|início|desde|beginn|anfang|von|inizio|aanvang|początek)\b"
    r"|开始|起始|^起",
    re.IGNORECASE,
)
Kind = Literal["stamp", "midnight", "date", "clock", "hour", "number", "text", "empty"]


@dataclass(frozen=True, slots=True)
class TimeColumns:
    """Which columns make the time, and how.

    Parameters
    ----------
    columns : tuple of int
        Positions.
    kind : str
        ``stamp``: cells joined by a blank; ``midnight``: likewise, a stamp of midnight giving the date alone; ``hour``: a date and
        the number of an hour; ``parts``: year, month, day and so on; ``ordinal``: year, day of the year, clock; ``elapsed``:
        time since ``start``; ``clock``: time of ``date``; ``across``: a date, and a column for each hour.
    parts : tuple of str
        What each column is, for ``parts`` and ``ordinal``.
    start : str
        Stamp from which elapsed time counts, or the date of clocks.
    scale : int
        Milliseconds of the unit of elapsed time.
    serial : str
        Day from which numbers of five digits count days, as in spreadsheets; empty: they do not.
    """

    columns: tuple[int, ...]
    kind: Literal["stamp", "midnight", "hour", "parts", "ordinal", "elapsed", "clock", "across"] = "stamp"
    parts: tuple[str, ...] = ()
    start: str = ""
    scale: int = 1000
    serial: str = ""

    def texts(self, columns: Sequence[Sequence[str]]) -> list[str]:
        """Stamps from the cells of the columns."""
        first = [cell.strip() for cell in columns[0]]
        if self.kind in {"stamp", "elapsed", "across"} and len(columns) == 1:
            return first
        if self.kind == "clock":
            return [f"{self.start} {_whole_hour(_UNTIL.sub('', cell))}" if cell else "" for cell in first]
        rest = [[_UNTIL.sub("", cell.strip()) for cell in column] for column in columns[1:]]
        match self.kind:
            case "midnight":
                return [f"{re.split('[ T]', day)[0]} {clock}" for day, clock in zip(first, *rest, strict=True)]
            case "hour":
                whole = _clock_of_digits if "clock" in self.parts else _whole_hour
                return [f"{re.split('[ T]', day)[0]} {whole(hour)}" for day, hour in zip(first, *rest, strict=True)]
            case "parts" | "ordinal":
                return [self._whole(cells) for cells in zip(first, *rest, strict=True)]
        return [" ".join(filter(None, cells)) for cells in zip(first, *rest, strict=True)]

    def _whole(self, cells: tuple[str, ...]) -> str:
        said = {part: cell.removesuffix(".0") for part, cell in zip(self.parts, cells, strict=True)}
        year = said.get("year", "")
        if len(year) == 2:
            year = ("20" if year < "69" else "19") + year
        ordinal = self.kind == "ordinal"
        date = f"{year}-{said['ordinal']:0>3}" if ordinal else f"{year}-{said['month']}-{said['day']}"
        if "clock" in said:
            clock = _clock_of_digits(said["clock"])
        else:
            second = said.get("second", "0")
            whole, point, fraction = second.partition(".")
            clock = f"{said.get('hour', '0')}:{said.get('minute', '0'):0>2}:{whole:0>2}{point}{fraction}"
        return f"{date} {clock}" if year else ""


def order_in(text: str) -> str | None:
    """Find the order of day, month and year that a text shows, such as ``dmy`` of ``DD/MM/YYYY``."""
    return next((order for pattern, order in _ORDER_WORDS if re.search(pattern, text, re.IGNORECASE)), None)


def order_of(heading: Sequence[str]) -> str | None:
    """Order of day, month and year that a line of the heading states."""
    found = {
        order
        for line in heading
        if (at := _DATE_FORMAT.search(line)) and (order := order_in(line[at.end() :].replace("%", "")))
    }
    return found.pop() if len(found) == 1 else None


def _clock_of_digits(cell: str) -> str:
    """Write 730 as 07:30, and 073000 as 07:30:00."""
    if not cell.isdigit() or len(cell) > 6:
        return cell
    digits = f"{cell:0>4}" if len(cell) <= 4 else f"{cell:0>6}"
    return ":".join(digits[place : place + 2] for place in range(0, len(digits), 2))


def _whole_hour(cell: str) -> str:
    found = re.match(r"\d{1,2}", cell)
    return f"{found[0]}:00" if found and _HOUR.fullmatch(cell) else cell


def has_stamp(clock: TimeColumns, row: Sequence[str], form: str | None) -> bool:
    """Tell whether a row has a readable time in these columns."""
    if clock.kind == "elapsed":
        return elapsed(row[clock.columns[0]]) is not None
    text = clock.texts([[row[c]] for c in clock.columns[: 1 if clock.kind == "across" else None]])[0]
    return bool(StampReader(form, serial=clock.serial).add([text], np.zeros(1, np.int64))[0])


def elapsed(cell: str) -> float | None:
    """Elapsed time of a cell, in its unit, or in seconds if it is written as a clock; None if it is neither."""
    text = cell.strip()
    if match := re.fullmatch(r"(?:(\d+)[ .:d])??(\d+):(\d\d):(\d\d(?:[.,]\d+)?)", text):
        days, hours, minutes, seconds = match.groups()
        return ((int(days or 0) * 24 + int(hours)) * 60 + int(minutes)) * 60 + float(seconds.replace(",", "."))
    return float(text.replace(",", ".")) if is_number(text) else None


class ColumnKinds:
    """The columns under a header, what they hold, and what of the time they may be."""

    def __init__(
        self,
        names: Sequence[str],
        rows: Sequence[Sequence[str]],
        said: Description,
        heading: Sequence[str],
        epoch: str,
    ) -> None:
        self.names, self.rows, self.said, self.heading, self.epoch = names, rows, said, heading, epoch
        self._kinds: dict[int, Kind] = {}

    def _refuse_pairs(self, clock: TimeColumns) -> TimeColumns:
        """Refuse several columns of the name of the time that hold other instants, as where each channel has a time of its own."""
        for c in clock.columns:
            cells = [row[c].strip() for row in self.rows if len(row) > c]
            again = [
                d
                for d, name in enumerate(self.names)
                if d > c and name != written(name) and written(name) == self.names[c]
            ]
            for d in again:
                others = [row[d].strip() for row in self.rows if len(row) > d]
                if any(others) and self.kind(d) == self.kind(c) and others != cells[: len(others)]:
                    raise LoggerFileError(
                        f"columns {self.names[c]!r} and {self.names[d]!r} hold different times, as where each channel has its "
                        f"own: choose with --time and --value, such as --time {self.names[d]}"
                    )
        return clock

    def by_name(self) -> TimeColumns | None:
        """The time, where a usual name says at least one of its columns."""
        found = self._by_name()
        return found if found is None else self._refuse_pairs(found)

    def _by_name(self) -> TimeColumns | None:
        every = range(len(self.names))
        named = [c for c in every if self._is(c, STAMPS | TIMES | DATES)]
        if not self.rows:
            return TimeColumns((self._one(named),)) if named else None
        if whole := [c for c in named if self.kind(c) == "stamp"]:
            return TimeColumns((self._one(whole),))
        if self.said.time_format and (formed := self._formed(named)) is not None:
            return formed
        dates = [c for c in named if self.kind(c) in {"date", "midnight"}]
        clocks = [c for c in named if self.kind(c) == "clock"]
        if not dates and clocks:
            dates = [c for c in every if self.kind(c) in {"date", "midnight"}]
        if dates and not clocks:
            clocks = [c for c in every if self.kind(c) == "clock"]
        if dates and (clock := self._dated(dates, clocks)) is not None:
            return clock
        if (clock := self._parts()) is not None:
            return clock
        if not dates and (midnight := [c for c in named if self.kind(c) == "midnight"]):
            return TimeColumns((self._one(midnight),))
        others = [c for c in every if c not in named and self.kind(c) == "stamp"]
        if named and others and not clocks:
            return None if len(others) > 1 else TimeColumns((others[0],))
        for c in named:
            if self.kind(c) == "number" and self._serial(c):
                return TimeColumns((c,), serial=self.epoch)
        if (clock := self._elapsed()) is not None or dates:
            return clock
        seconds = [
            c
            for c in every
            if self._is(c, TIMES | PARTS["second"]) and self.kind(c) == "number" and not self._any(TimeColumns((c,)))
        ]
        if len(seconds) == 1 and _start(self.heading, self.said) is not None:
            return self._elapsed(seconds[0])
        hours = PARTS["hour"] | TIMES
        clocks = clocks or [
            c for c in every if self._is(c, hours) and self.kind(c) in {"hour", "number"} and self._hours(c)
        ]
        return self._clock_of_a_day(clocks) if clocks else None

    def _formed(self, named: Sequence[int]) -> TimeColumns | None:
        """Date and clock in two columns that together have the form that somebody states."""
        dates, clocks = ([c for c in named if self._is(c, words)] for words in (DATES, TIMES))
        pairs = [TimeColumns((day, clock)) for day in dates for clock in clocks if day != clock]
        fits = [pair for pair in pairs if self._any(pair)]
        return fits[0] if len(fits) == 1 else None

    def by_content(self) -> TimeColumns | None:
        """The time, by what the columns hold."""
        every = range(len(self.names))
        if whole := [c for c in every if self.kind(c) == "stamp"]:
            return TimeColumns((self._one(whole),))
        dates = [c for c in every if self.kind(c) in {"date", "midnight"}]
        return self._dated(dates, [c for c in every if self.kind(c) == "clock"]) if dates else None

    def together(self, columns: tuple[int, ...]) -> TimeColumns | None:
        """The time of columns that somebody names, in their order."""
        parts = [self._part(c) for c in columns]
        if len(columns) == 1:
            c = columns[0]
            if self.kind(c) == "number" and not self._any(TimeColumns(columns)):
                if self._serial(c):
                    return TimeColumns(columns, serial=self.epoch)
                return self._elapsed(c) if self._is(c, ELAPSED) else None
            if self.kind(c) == "clock":
                return self._clock_of_a_day([c])
            return TimeColumns(columns) if self._any(TimeColumns(columns)) else None
        tries = (
            [TimeColumns(columns), TimeColumns(columns, "midnight"), TimeColumns(columns, "hour")]
            if len(columns) == 2
            else [TimeColumns(columns)]
        )
        if "year" in parts and "ordinal" in parts and not {"month", "day"} <= set(parts):
            tries.insert(0, TimeColumns(columns, "ordinal", tuple(parts)))
        if {"year", "month", "day"} <= set(parts):
            tries.insert(0, TimeColumns(columns, "parts", tuple(parts)))
        elif len(columns) >= 3 and not any(parts):
            tries.insert(
                0, TimeColumns(columns, "parts", ("year", "month", "day", "hour", "minute", "second")[: len(columns)])
            )
        return next((clock for clock in tries if self._any(clock)), None)

    def kind(self, column: int) -> Kind:
        """What most cells of a column hold."""
        if column not in self._kinds:
            self._kinds[column] = self._find_kind(column)
        return self._kinds[column]

    def _find_kind(self, column: int) -> Kind:
        cells = [row[column].strip() for row in self.rows if len(row) > column and row[column].strip()]
        if not cells:
            return "empty"
        enough = max(1, 0.3 * len(cells))
        if self._is(column, TIMES) and all(map(_DOTTED_CLOCK.fullmatch, cells)):
            return "clock"
        if sum(CLOCK.fullmatch(cell) is not None for cell in cells) >= enough:
            return "clock"
        numbers = sum(map(is_number, cells))
        named = self._is(column, STAMPS | TIMES | DATES)
        if numbers < enough or named or self.said.time_format:
            reader = StampReader(self.said.time_format)
            good = reader.add(cells, np.zeros(len(cells), np.int64))
            if np.count_nonzero(good) >= enough and (named or self.said.time_format or numbers < enough):
                hours = reader.hours()[good]
                if (hours < 0).all() and not reader.instants()[good].any():
                    return "date"
                return "midnight" if reader.midnights()[good].all() else "stamp"
        if sum(_HOUR.fullmatch(cell) is not None for cell in cells) >= enough and numbers < len(cells):
            return "hour" if not all(map(is_number, cells)) else "number"
        return "number" if numbers >= enough else "text"

    def _is(self, column: int, words: frozenset[str]) -> bool:
        name = self.names[column]
        return plain(name) in words or bare(name) in words

    def _part(self, column: int) -> str:
        for part, words in PARTS.items():
            if self._is(column, words):
                return part
        return ""

    def _any(self, clock: TimeColumns) -> bool:
        return any(has_stamp(clock, row, self.said.time_format) for row in self.rows if len(row) > max(clock.columns))

    def _one(self, columns: list[int]) -> int:
        """The only column, or the begin of an interval whose begin and end are given, or the one with the plainest name."""
        columns = begins_of(columns, self.names)
        if len(columns) == 1:
            return columns[0]
        for words in (STAMPS, TIMES, DATES):
            found = [c for c in columns if self._is(c, words)]
            if len(found) == 1 and words is not DATES:
                return found[0]
            if found:
                break
        raise LoggerFileError(
            f"several columns may be the time: {listed(self.names[c] for c in columns)}; choose with --time"
        )

    def _dated(self, dates: list[int], clocks: list[int]) -> TimeColumns | None:
        """The time of a date and a clock or an hour; of hours across; of a date alone."""
        every = range(len(self.names))
        if clocks:
            dates, clocks = begins_of(dates, self.names), begins_of(clocks, self.names)
            pairs = [(d, c) for d in dates for c in clocks]
            named = [pair for pair in pairs if self._is(pair[0], DATES | STAMPS) and self._is(pair[1], TIMES | STAMPS)]
            pairs = named if len(named) == 1 else pairs
            if len(pairs) > 1:
                choice = " or ".join(",".join(self.names[c] for c in pair) for pair in pairs)
                raise LoggerFileError(f"several columns may be date and time of day: give --time {choice}")
            midnight = self.kind(pairs[0][0]) == "midnight"
            clock = TimeColumns(pairs[0], "midnight" if midnight else "stamp")
            if self._any(clock):
                return clock
            names = listed(self.names[c] for c in pairs[0])
            raise LoggerFileError(
                f"columns {names} do not read as date and time together: give --time and --time-format"
            )
        words = PARTS["hour"] | TIMES | PARTS["clock"]
        hours = [c for c in every if c not in dates and self._is(c, words) and self.kind(c) in {"hour", "number"}]
        if len(hours) == 1 and len(dates) == 1:
            clock = TimeColumns((dates[0], hours[0]), "hour")
            if self._hours(hours[0]):
                return clock
            cells = [row[hours[0]].strip() for row in self.rows if len(row) > hours[0]]
            digits = [_clock_of_digits(cell) for cell in cells if cell.isdigit()]
            if digits and all(CLOCK.fullmatch(cell) and cell[:2] <= "24" and cell[3:5] < "60" for cell in digits):
                return TimeColumns((dates[0], hours[0]), "hour", ("", "clock"))
        across = [c for c in every if (match := _HOUR_NAME.fullmatch(self.names[c].strip())) and int(match[1]) <= 24]
        if len(across) >= 4 and len(dates) == 1:
            numbers = [int(_HOUR_NAME.fullmatch(self.names[c].strip())[1]) for c in across]  # type: ignore[index]
            if len({later - earlier for earlier, later in pairwise(numbers)}) == 1 and numbers[0] < numbers[1]:
                return TimeColumns((dates[0], *across), "across", tuple(map(str, numbers)))
        return TimeColumns((self._one(dates),))

    def _parts(self) -> TimeColumns | None:
        """The time of year, month, day and so on, or of year and day of the year."""
        found: dict[str, int] = {}
        for column in range(len(self.names)):
            for part, words in PARTS.items():
                if part not in found and self._is(column, words) and column not in found.values():
                    if (part == "day" and "month" not in found) or (part == "ordinal" and "month" in found):
                        continue
                    found[part] = column
                    break
        if "year" not in found:
            return None
        finest = ["clock"] if "clock" in found and "hour" not in found else ["hour", "minute", "second"]
        if {"month", "day"} <= found.keys():
            parts, kind = ["year", "month", "day"], "parts"
        elif "ordinal" in found:
            parts, kind = ["year", "ordinal"], "ordinal"
        else:
            return None
        parts += [part for part in finest if part in found]
        clock = TimeColumns(tuple(found[part] for part in parts), kind, tuple(parts))  # type: ignore[arg-type]
        return clock if self._any(clock) else None

    def _hours(self, column: int) -> bool:
        """Tell whether all numbers of a column are hours."""
        cells = [row[column].strip() for row in self.rows if len(row) > column]
        return all(_HOUR.fullmatch(cell) for cell in cells if is_number(cell))

    def _serial(self, column: int) -> bool:
        cells = [row[column].strip() for row in self.rows if len(row) > column and row[column].strip()]
        numbers = [float(cell.replace(",", ".")) for cell in cells if is_number(cell)]
        return 2 * len(numbers) >= len(cells) and bool(numbers) and all(_SERIALS[0] <= x < _SERIALS[1] for x in numbers)

    def _elapsed(self, column: int | None = None) -> TimeColumns | None:
        found = [c for c in range(len(self.names)) if self._is(c, ELAPSED)] if column is None else [column]
        if len(found) != 1:
            return None
        name = self.names[found[0]]
        words = re.findall(r"[A-Za-z秒分钟小时]+", name)
        scale = next((_SCALES[word.casefold()] for word in reversed(words) if word.casefold() in _SCALES), None)
        cells = [row[found[0]] for row in self.rows if len(row) > found[0]]
        if not any(elapsed(cell) is not None for cell in cells):
            return None
        if any(":" in cell for cell in cells):
            scale = 1000
        start = _start(self.heading, self.said)
        if start is None:
            raise LoggerFileError(
                f"column {name!r} counts from a start, and the heading states none with date and time; give --layout"
            )
        if scale is None:
            raise LoggerFileError(f"column {name!r} counts in a unit that it does not state; give --layout")
        return TimeColumns((found[0],), "elapsed", start=start, scale=scale)

    def _clock_of_a_day(self, clocks: list[int]) -> TimeColumns | None:
        """The time of a clock alone, of the only date that the heading states."""
        dates = {date for line in self.heading for date in _DATE.findall(line)}
        if len(dates) != 1 or len(clocks) != 1:
            said = f"the heading states {', '.join(sorted(dates))}" if dates else "the heading states no date"
            raise LoggerFileError(
                f"column {self.names[clocks[0]]!r} holds a time of day without a date, and {said}; give --time or --layout"
            )
        return TimeColumns((clocks[0],), "clock", start=dates.pop())


def begins_of(columns: Sequence[int], names: Sequence[str]) -> list[int]:
    """Leave of two columns the one that is named as the begin of an interval, if the other is named as its end."""
    named = {c: re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", names[c]) for c in columns}
    begins = [c for c in columns if BEGIN_WORDS.search(named[c])]
    ends = [c for c in columns if END_WORDS.search(named[c])]
    return begins if len(columns) == 2 and len(begins) == len(ends) == 1 and begins != ends else list(columns)


def _start(heading: Sequence[str], said: Description) -> str | None:
    """The start that a heading states, as a stamp with the year first; None: none, or several.

    Raises
    ------
    LoggerFileError
        If day and month of its date may be either way round, and no date of the heading decides.
    """
    lines = [line for line in heading if _START.search(line)]
    dates = {date for line in lines for date in _DATE.findall(line)}
    clocks = {clock for line in lines for clock in _CLOCK_IN.findall(line)}
    if len(dates) != 1 or len(clocks) != 1:
        return None
    stamp = f"{dates.pop()} {clocks.pop()}"
    others = [date for line in heading for date in _DATE.findall(line)]
    form = "".join(sign for sign in re.findall(r"%([dmyY])", said.time_format or "")).lower()
    reader = StampReader(order=said.order or (form if form in ORDERS else order_of(heading)))
    reader.add([stamp, *others], np.arange(1 + len(others)))
    try:
        time = int(reader.result().time[0])
    except LoggerFileError as error:
        raise LoggerFileError(str(error).replace("line 0: ", "the start in the heading, ")) from None
    return None if time == UNREADABLE else str(np.datetime64(time, "ms"))


def is_number(cell: str) -> bool:
    """Tell whether a cell is digits with at most one decimal sign."""
    return cell.strip().removeprefix("-").replace(",", ".", 1).replace(".", "", 1).isdigit()
