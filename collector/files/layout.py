"""The layout of a logger's text file: delimiter, header, units, and the columns that make the time."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count, islice, pairwise
from statistics import median_low
from typing import Final, Literal, TextIO

import msgspec
import numpy as np

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
    is_statistic,
    known_unit,
    listed,
    plain,
    says_nothing,
    split_unit,
    unique_names,
    written,
)
from greenmine.collector.files.descriptions import Description, recognise
from greenmine.collector.files.sources import Source, open_text
from greenmine.collector.files.stamps import ORDERS, UNREADABLE, StampReader, is_stamp
from greenmine.zones import Zone

_DELIMITERS: Final = (";", "\t", ",", "|")
_WORDS: Final = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " ", "blank": " "}
LINE_AT_MOST: Final = 1 << 20
"""Signs of a line."""
_LINES_LOOKED_AT: Final = 1200
_ROWS_LOOKED_AT: Final = 100
_HEADING_AT_MOST: Final = 1000
"""Lines of free text before the header."""
_POINT: Final = re.compile(r"[+-]?\d+\.\d+")
_CLOCK: Final = re.compile(
    r"(?:(?:上午|下午) ?)?\d{1,2}[:时点hH]\d{1,2}(?:[分m]|[:分]\d{1,2}秒?(?:[.,:]\d+)?)?"
    r"(?: ?(?:[AaPp]\.?[Mm]\.?|上午|下午|Uhr))?"
    r"(?: ?[-~～—–至] ?\d{1,2}:\d\d)?",
    re.ASCII,
)
_UNTIL: Final = re.compile(r" ?[-~～—–至] ?\d{1,2}:\d\d\Z")
"""The end of an interval behind its begin, where the date stands apart."""
_DOTTED_CLOCK: Final = re.compile(r"(?:[01]?\d|2[0-4])\.[0-5]\d(?:\.[0-5]\d)?")
_HOUR: Final = re.compile(r"(?:[01]?\d|2[0-4])(?:[.]0+)?(?: ?(?:[时点hH]整?|:00))?", re.ASCII)
_HOUR_NAME: Final = re.compile(
    r"(?:[Hh](?:our|r)?[ _]?)?(\d{1,2})(?: ?(?:时|点|[hH]|:00))?(?:[-~至]\d{1,2}(?: ?(?:时|点|:00))?)?"
)
_SERIALS: Final = (20_000, 80_000)
"""Days since 1899-12-30 of the years 1954 to 2119."""
_COUNTS_FROM_1904: Final = re.compile(
    r"(?:dates?|system|epoch|origin|since|from|basis|base)\W.{0,20}\b1904\b|\b1904 date", re.IGNORECASE
)
_DATE_TEXT: Final = (
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d\d)|\d{1,2}[- /][A-Za-z]{3,9}[- /]\d{2,4}"
    r"|\d{4} ?年 ?\d{1,2} ?月 ?\d{1,2} ?日|[A-Za-z]{3,9} \d{1,2}, \d{4}"
)
_DATE: Final = re.compile(rf"(?<![\d.])(?:{_DATE_TEXT})(?![\d.])")
_CLOCK_IN: Final = re.compile(r"(?<![\d:])\d{1,2}:\d\d(?::\d\d)?(?:[.]\d+)?(?: ?[AaPp]\.?[Mm]\.?)?(?![\d:])")
_START: Final = re.compile(r"start|begin|开始|起始|begonnen", re.IGNORECASE)
_TIME_WORDS: Final = STAMPS | TIMES | DATES | ELAPSED | frozenset().union(*PARTS.values())
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
_END_WORDS: Final = re.compile(
    r"\b(?:end|ending|ended|ends|to|until)\b|hourend|(?<![a-z])HE(?![a-z])|结束|截止|截至|止$", re.IGNORECASE
)
_BEGIN_WORDS: Final = re.compile(r"\b(?:start|starting|begin|beginning|from|since)\b|开始|起始|^起", re.IGNORECASE)
_OFFSET: Final = re.compile(
    r"(?:UTC|GMT|时区|zone|offset)[^+\-\d\w]{0,3}(?P<sign>[+\-−])\s?(?P<hour>\d{1,2})(?::?(?P<minute>\d\d))?",
    re.IGNORECASE,
)
_BARE_OFFSET: Final = re.compile(r"(?<![\d:])(?P<sign>[+\-−])(?P<hour>\d\d):(?P<minute>\d\d)(?!\d)")
_UTC: Final = re.compile(
    r"(?<![a-z])(?:UTC|GMT|zulu)(?![a-z])|世界时|格林|Greenwich Mean|Coordinated Universal|Universal Time",
    re.IGNORECASE,
)
_UTC_NAME: Final = re.compile(r"utc|gmt", re.IGNORECASE)
_BEIJING: Final = re.compile(r"北京时间|beijing|Asia/Shanghai|中国标准时间|China Standard Time", re.IGNORECASE)
_IANA: Final = re.compile(r"\b[A-Z][A-Za-z]+/[A-Z][A-Za-z_]+(?:[+-]\d{1,2}|/[A-Z][A-Za-z_]+)?")
_ABBREVIATED: Final = re.compile(
    r"(?<![A-Za-z])(EST|EDT|CST|CDT|MST|MDT|PST|PDT|AKST|AKDT|HST|AST|ADT|NST|NDT|BST|IST|GST|SST|WST|EET|EEST|CET|CEST|WET|WEST|MSK|"
    r"JST|KST|HKT|SGT|PHT|ICT|WIB|AEST|AEDT|ACST|AWST|NZST|NZDT|BRT|ART|CLT|COT|PET|SAST|EAT|CAT|WAT|CCT|MEZ|MESZ)(?![A-Za-z])"
)
_NAMED: Final = re.compile(
    r"(?:\b(?:US )?(?:Eastern|Central|Mountain|Pacific|Atlantic|Alaskan?|Hawaiian?)(?: (?:Standard|Daylight|Prevailing))? Time\b"
    r"|(?:\b[A-Z][\w.]+ ){1,3}(?:Standard|Daylight|Summer) Time\b|\b[A-Z]\w+ European Time\b|\w*europäische (?:Sommer)?[Zz]eit\b)"
    r"|(?<=\()(?:Eastern|Central|Mountain|Pacific|ET|CT|MT|PT)(?=\))"
)
"""Zones in words, of which the clocks may be put forward in summer."""
_DAYLIGHT: Final = re.compile(
    r"(?:daylight(?:[ _-]?sav(?:ings|ing))?(?:[ _-]?time)?|(?<![A-Za-z])(?:is[ _]?)?DST(?![A-Za-z])|summer ?time|sommerzeit"
    r"|heure d'été|夏令时|夏时制)"
    r"(?P<said>[^\n]{0,24})",
    re.IGNORECASE,
)
_NOT_FORWARD: Final = re.compile(
    r"[\W_]*(?:(?:adjust\w*|enabled|observed|correction|used|status|setting|time|applied|is)[\W_]*)*"
    r"(?:off|no|not|none|never|0|false|disabled|n|aus|nein|non|关|否|未|无|不)(?![A-Za-z1-9])",
    re.IGNORECASE,
)
_WITHOUT: Final = re.compile(r"(?:without|no|not|ohne|never|excluding|non)[ -]*(?:\w+ )?$|[无不未]\w?$", re.IGNORECASE)
_ZONE_KEY: Final = re.compile(
    r"(?:time ?zone|zeitzone|fuseau\w*|时区|(?:UTC|GMT|time)[ _-]?offset)(?P<minutes>[^:：,;=\t\d+-]*min[^:：,;=\t\d+-]*)?"
    r"[^:：,;=\t\d+-]*[\"':：,;=\t ]*(?P<rest>.*)",
    re.IGNORECASE,
)
"""A line of the heading that says in which zone the stamps are."""
_ZONE_SENTENCE: Final = re.compile(
    r"北京时间|(?:stamps?|times?|clock)\b.*\b(?:UTC|GMT)|\b(?:stamps?|times?|clocks?)\b.{0,20}\b(?:in|are|is|as)\b",
    re.IGNORECASE,
)
_OF_CITIES: Final = re.compile(r"\((?:UTC|GMT)(?:[+\-−]\d\d:\d\d)?\)\s+(?!Time|Date|Coordinated)[A-Z][^;\t]{2,60}")
"""A zone as Windows shows it: the offset is that of winter."""
_HOURS_AHEAD: Final = re.compile(r"(?P<sign>[+-]?)(?P<number>\d{1,3})(?:[.]0+)?\b(?![:/.\d])")
_UNSAID: Final = re.compile(r"local|本地|unknown|none|n/a|^\W*$", re.IGNORECASE)
_BARE_ZONE_KEY: Final = re.compile(r"\W*(?:zone|tz)\W+(?P<rest>.*)", re.IGNORECASE)
"""A line that may speak of a zone of time, or of a part of the town."""
_ZONE_PROSE: Final = re.compile(r"(?:UTC|GMT) ?[+\-−]\d", re.IGNORECASE)

Row = tuple[int, list[str]]
"""Number of the line and its cells."""
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

    def order(self) -> str | None:
        """Order of day, month and year that the names of the time columns or the heading state."""
        return self.description.order or _order_in(" ".join(self.time_names)) or _order_of(self.heading)

    def stamps(self) -> tuple[Literal["begin", "end"] | None, str]:
        """Whether stamps stand at the begin or the end of their interval, and what says so."""
        if self.description.stamps is not None:
            return self.description.stamps, "as said"
        for name in self.time_names:
            text = re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", name)
            if _BEGIN_WORDS.search(text):
                return "begin", repr(name)
            if _END_WORDS.search(text):
                return "end", repr(name)
        return None, ""

    def stated_zone(self) -> tuple[str, str] | None:
        """Zone that the names of the time columns or the heading state, and what says so; None: none.

        An abbreviation is returned as it stands.

        Raises
        ------
        LoggerFileError
            If two different zones are stated.
        """
        said = {zone: repr(name) for name in self.time_names if (zone := _zone_in(name, column=True)) is not None}
        for look in (_zone_of_line, _zone_of_prose):
            if not said:
                lines = (line for line in self.heading if len(line) < 200)
                said = {zone: repr(line.strip()) for line in lines if (zone := look(line)) is not None}
        if len(said) > 1:
            raise LoggerFileError(f"states several zones, in {' and '.join(said.values())}; give --stamp-zone")
        return next(iter(said.items()), None)

    def put_forward(self) -> str | None:
        """What says that the clock of the logger is put forward in summer: a name of the time columns, or a line of the heading."""
        said = [text.strip() for text in (*self.time_names, *self.heading) if len(text) < 200 and _is_forward(text)]
        said += [
            f"{name}: {row[c]}"
            for c, name in enumerate(self.names)
            if plain(name) in {"dst", "isdst", "daylightsaving", "daylightsavingtime", "夏令时"}
            for row in self.sample
            if c < len(row) and row[c].strip().casefold() in {"1", "true", "yes", "y", "on", "是"}
        ]
        return next(iter(said), None)


def _is_forward(text: str) -> bool:
    match = _DAYLIGHT.search(text)
    return match is not None and not _NOT_FORWARD.match(match["said"]) and not _WITHOUT.search(text[: match.start()])


def _order_in(text: str) -> str | None:
    return next((order for pattern, order in _ORDER_WORDS if re.search(pattern, text, re.IGNORECASE)), None)


def _order_of(heading: Sequence[str]) -> str | None:
    """Order of day, month and year that a line of the heading states."""
    found = {
        order
        for line in heading
        if (at := _DATE_FORMAT.search(line)) and (order := _order_in(line[at.end() :].replace("%", "")))
    }
    return found.pop() if len(found) == 1 else None


def is_zone(name: str) -> bool:
    """Whether a text names one zone: a name of the database, or an offset."""
    try:
        Zone(name)
    except ValueError:
        return False
    return not name.isupper() or name == "UTC"  # EST and MST are also names of the database


def _zone_in(text: str, *, column: bool) -> str | None:
    if _BEIJING.search(text):
        return "Asia/Shanghai"
    for name in _IANA.findall(text):
        if is_zone(name):
            return str(name)
    for pattern in (_NAMED, _OF_CITIES):
        if (named := pattern.search(text)) is not None:
            return named[0]
    for pattern in (_OFFSET, *([_BARE_OFFSET] if column else [])):
        if match := pattern.search(text):
            hour, minute = int(match["hour"]), match["minute"] or "00"
            if hour <= 15:
                return f"{'+' if match['sign'] == '+' else '-'}{hour:02}:{minute}"
    if _UTC.search(text) or (column and _UTC_NAME.search(plain(text))):
        return "UTC"
    found = _ABBREVIATED.findall(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text))
    return found[0] if found else None


def offset_of(text: str, *, minutes: bool = False) -> str | None:
    """The offset that a bare number of hours means, or of minutes where it is said or above 15; None: it is no number."""
    if (number := _HOURS_AHEAD.fullmatch(text)) is None:
        return None
    ahead = int(number["number"]) * (1 if minutes or int(number["number"]) > 15 else 60)
    return f"{number['sign'] or '+'}{ahead // 60:02}:{ahead % 60:02}"


def _zone_of_line(line: str) -> str | None:
    """The zone that a line of the heading states; the text itself, if it is none that is known."""
    if (match := _ZONE_KEY.search(line)) is None:
        if (other := _BARE_ZONE_KEY.fullmatch(line)) is not None:
            return _zone_in(other["rest"], column=True)
        return _zone_in(line, column=False) if _ZONE_SENTENCE.search(line) else None
    rest = match["rest"].strip(" \"'\t,;")
    if (zone := offset_of(rest, minutes=match["minutes"] is not None)) is not None:
        return zone
    if (zone := _zone_in(rest, column=True)) is not None:
        return zone
    return None if _UNSAID.search(rest) else rest


def _zone_of_prose(line: str) -> str | None:
    """The zone of which a line of the heading speaks without a key, and not behind a stamp of its own."""
    text = re.sub(
        rf"(?:{_DATE_TEXT})[T ,;]+\d{{1,2}}:\d\d\S*(?: ?[AaPp][Mm])? ?(?:(?:UTC|GMT)? ?[+-]\d[\d:]*)?", " ", line
    )
    stated = any(pattern.search(text) for pattern in (_ZONE_PROSE, _NAMED, _OF_CITIES))
    return _zone_in(text, column=False) if stated or _ABBREVIATED.fullmatch(text.strip()) else None


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
    lines = [(n, line) for n, line in lines if line.strip()]
    if not lines:
        raise LoggerFileError("is empty: a header line and lines of readings are needed")
    make = recognise([line for _, line in lines[:60]]) if said.id is None else None
    known = said if make is None else said.over(make)
    delimiters: tuple[str, ...] = _DELIMITERS
    if (asked := known.delimiter or source.delimiter) is not None:
        delimiters = (_delimiter(asked),)
    views = [_View(source, d, [(n, split(line, d)) for n, line in lines], tuple(lines), known) for d in delimiters]
    if known.names:
        return views[0].described()
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


def _lines(file: TextIO) -> Iterator[str]:
    for number in count(1):
        if not (line := file.readline(LINE_AT_MOST)):
            return
        if len(line) == LINE_AT_MOST:
            raise LoggerFileError(f"line {number} has more than {LINE_AT_MOST:,} signs: it is no text table")
        yield line


def clean(line: str) -> str:
    """Strip a line of its end, and of the zeros and byte-order marks that power cuts and joined files leave."""
    return line.rstrip("\n").replace("\0", "").replace("\ufeff", "")


def split(line: str, delimiter: str) -> list[str]:
    """Cut a line into cells. A quoted cell never spans lines, so a lost quote damages its own line only."""
    if '"' in line:
        try:
            return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))
        except (csv.Error, StopIteration):  # a cell of more than 128 kB
            pass
    return line.split() if delimiter == " " else line.split(delimiter)


def _delimiter(text: str) -> str:
    delimiter = _WORDS.get(text.lower(), text)
    if len(delimiter) != 1 or delimiter.isalnum() or delimiter in '"\r\n':
        raise LoggerFileError(f"--delimiter {text!r}: one sign such as ';' or ',', or the word tab or blank")
    return delimiter


def _clock_of_digits(cell: str) -> str:
    """Write 730 as 07:30, and 073000 as 07:30:00."""
    if not cell.isdigit() or len(cell) > 6:
        return cell
    digits = f"{cell:0>4}" if len(cell) <= 4 else f"{cell:0>6}"
    return ":".join(digits[place : place + 2] for place in range(0, len(digits), 2))


def _whole_hour(cell: str) -> str:
    found = re.match(r"\d{1,2}", cell)
    return f"{found[0]}:00" if found and _HOUR.fullmatch(cell) else cell


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
            for _, cells in self.rows
        ]

    @cached_property
    def epoch(self) -> str:
        """Day from which numbers count as days."""
        said = any(_COUNTS_FROM_1904.search(line) for _, line in self.lines[:_HEADING_AT_MOST])
        return "1904-01-01" if said else self.source.epoch

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
        width = median_low(sorted(map(_extent, rows))) if rows else 0
        named = max(_extent(cells), width)
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
            wider = _extent(self.rows[later][1]) > _extent(self.rows[best][1])
            holds_data = any(_number(cell) or is_stamp(cell) for cell in self.rows[best][1])
            if (wider or holds_data) and self.is_header(later):
                best = later
        return best

    def layout(self, start: int) -> Layout:
        """Lay out the file with this header."""
        names, clock = self.names(start), self._clock(start) or TimeColumns(())
        named = _extent(self.rows[start][1])
        note = f"the rows have {len(names)} columns, the header names the first {named}"
        return self._layout(start, self.rows[start][0], names, clock, [] if len(names) == named else [note])

    def described(self) -> Layout:
        """Lay out a file whose columns the description names."""
        skip = self.said.skip or 0
        start = next((i for i, (n, _) in enumerate(self.rows) if n > skip), len(self.rows))
        names = unique_names(self.said.names)
        clock = self._said_clock(names, [row for _, row in self.rows[start : start + _ROWS_LOOKED_AT]])
        if clock is None:
            raise LoggerFileError(f"the columns {listed(self.said.time)} hold no readable time")
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
            is_stamp(cell, self.said.time_format) and (self.said.time_format or not _number(cell)) for cell in cells
        ):
            clock = _Columns(
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
        columns = _Columns(names, below, self.said, self._heading(start), self.epoch)
        clock = columns.by_name()
        if clock is None or any(
            is_stamp(own[c]) or _CLOCK.fullmatch(own[c].strip()) for c in clock.columns if c < len(own)
        ):
            return None
        return clock

    def _said_clock(self, names: tuple[str, ...], rows: Sequence[Sequence[str]]) -> TimeColumns | None:
        columns = _named(names, self.said.time)
        return None if columns is None else _Columns(names, rows, self.said, (), self.epoch).together(columns)

    def _below(self, start: int) -> list[list[str]]:
        return [row for _, row in self.rows[start + 1 : start + 1 + _ROWS_LOOKED_AT]]

    def _reads(self, clock: TimeColumns, rows: Sequence[Sequence[str]]) -> bool:
        """Tell whether some row has a stamp in these columns."""
        return bool(clock.columns) and any(
            _reads(clock, row, self.said.time_format) for row in rows if len(row) > max(clock.columns)
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
            if _zone_in(cell(row, c), column=True) is not None:
                found[c] += f" ({cell(row, c)})"
        known: dict[int, str] = {}
        labels: dict[int, str] = {}
        for c in columns:
            text, unit = split_unit(row[c].strip()) if c < len(row) else ("", None)
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
    if header and len(above) == len(header) and not any(_number(text) for text in above):
        reach, over = "", {}
        for c in range(len(header)):
            reach = cell(above, c) or ("" if c in times else reach)
            over[c] = reach
        if not units:
            units = {
                c: unit for c in columns if (unit := known_unit(over[c], alone=True)) is not None and cell(above, c)
            }
        for c in (c for c in columns if over.get(c) and c not in units):
            if is_statistic(over[c]) and plain(over[c]) not in plain(found[c]):
                found[c] += f" {over[c]}"
            elif plain(cell(header, c)) in STATISTICS | NEUTRAL and plain(over[c]) not in NEUTRAL:
                found[c] = f"{over[c]} {found[c]}"
    return unique_names(found), units


def _reads(clock: TimeColumns, row: Sequence[str], form: str | None) -> bool:
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
    return float(text.replace(",", ".")) if _number(text) else None


class _Columns:
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

    def by_name(self) -> TimeColumns | None:
        """The time, where a usual name says at least one of its columns."""
        every = range(len(self.names))
        named = [c for c in every if self._is(c, STAMPS | TIMES | DATES)]
        if not self.rows:
            return TimeColumns((self._one(named),)) if named else None
        if whole := [c for c in named if self.kind(c) == "stamp"]:
            return TimeColumns((self._one(whole),))
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
        if sum(_CLOCK.fullmatch(cell) is not None for cell in cells) >= enough:
            return "clock"
        numbers = sum(map(_number, cells))
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
            return "hour" if not all(map(_number, cells)) else "number"
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
        return any(_reads(clock, row, self.said.time_format) for row in self.rows if len(row) > max(clock.columns))

    def _one(self, columns: list[int]) -> int:
        """The only column, or the begin of an interval whose begin and end are given, or the one with the plainest name."""
        if len(columns) == 1:
            return columns[0]
        names = {c: re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", self.names[c]) for c in columns}
        begins = [c for c in columns if _BEGIN_WORDS.search(names[c])]
        ends = [c for c in columns if _END_WORDS.search(names[c])]
        if len(columns) == 2 and len(begins) == len(ends) == 1:
            return begins[0]
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
            if digits and all(_CLOCK.fullmatch(cell) and cell[:2] <= "24" and cell[3:5] < "60" for cell in digits):
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
        return all(_HOUR.fullmatch(cell) for cell in cells if _number(cell))

    def _serial(self, column: int) -> bool:
        cells = [row[column].strip() for row in self.rows if len(row) > column and row[column].strip()]
        numbers = [float(cell.replace(",", ".")) for cell in cells if _number(cell)]
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
    reader = StampReader(order=said.order or (form if form in ORDERS else _order_of(heading)))
    reader.add([stamp, *others], np.arange(1 + len(others)))
    try:
        time = int(reader.result().time[0])
    except LoggerFileError as error:
        raise LoggerFileError(str(error).replace("line 0: ", "the start in the heading, ")) from None
    return None if time == UNREADABLE else str(np.datetime64(time, "ms"))


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
    return not _number(cell) and (is_stamp(cell) or _CLOCK.fullmatch(cell.strip()) is not None)


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


def _extent(cells: Sequence[str]) -> int:
    """Number of cells up to the last one that holds something."""
    return max((position for position, cell in enumerate(cells, start=1) if cell.strip()), default=0)


def _number(cell: str) -> bool:
    return cell.strip().removeprefix("-").replace(",", ".", 1).replace(".", "", 1).isdigit()


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


__all__ = [
    "LINE_AT_MOST",
    "ORDERS",
    "Layout",
    "TimeColumns",
    "clean",
    "elapsed",
    "find_layout",
    "is_zone",
    "offset_of",
    "split",
    "split_unit",
]
