"""Stamps of time as loggers write them, read in whole columns.

The stamps of a file have few shapes (``0000-00-00 00:00:00``). A shape is understood once, by a pattern that says where
its fields stand; the fields of all stamps of that shape are then read together. Where the order of day, month and year may be
one or another, all orders are read, and the whole file decides.
"""

from __future__ import annotations

import re
import time as clock_of_the_machine
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from greenmine.collector.files.columns import LoggerFileError

Times = NDArray[np.int64]
Flags = NDArray[np.bool_]
Points = NDArray[np.unsignedinteger[Any]]

UNREADABLE: Final = np.iinfo(np.int64).min
"""In the place of an instant that could not be read."""

FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 2199

ORDERS: Final = ("mdy", "dmy", "ymd")
"""Orders of month, day and year in which three numbers may stand."""
_MANY_OFFSETS: Final = 3
"""Offsets of a zone in one file; more are the ends of intervals (``07:00-08:00``)."""

_HOUR_MS: Final = 3_600_000
_DAY: Final = 86_400_000
_END: Final = 7_258_118_400_000
"""The end of the last year [ms]."""
_SECONDS_AT_MOST: Final = 2_100_000_000
"""Ten digits beyond, of 2036-07, are no seconds since 1970."""

_LONGEST: Final = 60
_SHAPES_AT_MOST: Final = 2_000
"""More shapes than this among one block of stamps are noise, not stamps."""

_ZONE = (
    r"(?: ?(?:[Zz]|(?:UTC|GMT)? ?(?P<sign>[+-])(?P<zone_hour>00?):?(?P<zone_minute>00)?|UTC|GMT"
    r"|(?P<abbreviation>[A-Z]{3,5})))?(?:\[[A-Za-z_]+/[A-Za-z_]+\]| \([A-Za-z .]+\))?"
)
_WEEKDAY = (
    r"(?:\(?(?:(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs?)?|Fri|Sat(?:ur)?|Sun)(?:day)?|Mo|Di|Mi|Do|Fr|Sa|So|Montag|Dienstag|Mittwoch"
    r"|Donnerstag|Freitag|Samstag|Sonnabend|Sonntag|lun|mar|mer|jeu|ven|sam|dim|lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche"
    r"|(?:星期|周)[一二三四五六日天])[.]?\)?,? *)?"
)
_MORNING: Final = "凌晨|清晨|早上|早晨|上午|午前|오전"
_EVENING: Final = "下午|傍晚|晚上|午後|오후"
PARTS_OF_THE_DAY: Final = f"{_MORNING}|中午|{_EVENING}"
"""Words before a clock of twelve hours; at noon it goes on from 11 to 1."""
_LEAD = rf"(?: ?{_WEEKDAY})(?:[Tt_]| *(?P<before>{PARTS_OF_THE_DAY}) ?|(?: (?:à|at|um|a las|às|alle|om|kl\.?))? +)"
_HALF = r"(?: ?(?:(?P<half>[AaPp](?=\.? ?[Mm]))\.? ?[Mm]\.?|(?P<after>上午|下午))|(?P<letter>[ap]))?"
_FRACTION = r"(?:[.,:](?P<fraction>0{1,9}))?"
_CLOCK = rf"(?P<hour>00?)[:hH](?P<minute>00)(?:[:mM′'](?P<second>00)[sS]?(?:{_FRACTION}))?{_HALF}(?: ?Uhr)?{_ZONE}"
_OTHER_CLOCKS = (
    r"(?P<hour>00?)[:时時点點](?P<minute>00)(?:[:分](?P<second>00)秒?|分)?",
    rf"(?P<hour>00?)(?: ?[时時点點hH]整?)?{_HALF}",
    r"(?P<hour>00)(?P<minute>00) (?:UTC|GMT)",
    r"(?P<hour>00?)\.(?P<minute>00)(?:\.(?P<second>00))?",
    r"(?P<hour>00?):(?P<minute>00) ?[~～—–至] ?00?:00",
)
DATE_TEXT: Final = (
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d\d)|\d{1,2}[- /][A-Za-z]{3,9}[- /]\d{2,4}"
    r"|\d{4} ?年 ?\d{1,2} ?月 ?\d{1,2} ?日|[A-Za-z]{3,9} \d{1,2}, \d{4}"
)
"""A date within free text."""
_CHINESE_DATE = r"(?P<year>0000) ?年 ?(?P<month>00?) ?月 ?(?P<day>00?) ?[日号]"
_NAME = r"[^\W\d_]{3,10}"
_DATES = (
    r"(?P<year>0000)(?P<s>[-/.])(?P<month>00?)(?P=s)(?P<day>00?)",
    r"(?P<year>0000) ?年 ?(?P<month>00?) ?月 ?(?P<day>00?) ?[日号]?",
    r"(?P<short>00) ?年 ?(?P<month>00?) ?月 ?(?P<day>00?) ?[日号]?",
    r"(?P<one>00?)(?P<s>[-/.])(?P<other>00?)(?P=s)(?P<year>0000)",
    r"(?P<one>00?)(?P<s>[-/.])(?P<other>00?)(?P=s)(?P<last>00)",
    rf"(?P<day>00?)(?:[.]?[- /.]| de )(?P<name>{_NAME})[.]?,?(?:[- /.]| del? )(?P<year>0000)(?: г[.])?",
    rf"(?P<day>00?)[.]?[- /](?P<name>{_NAME})[.]?,?[- /](?P<short>00)",
    r"(?P<year>0000)[- /](?P<name>[A-Za-z]{3,9})[- /](?P<day>00?)",
    r"(?P<name>[A-Za-z]{3,9})\.? (?P<day>00?),? (?P<year>0000),?",
    r"(?P<year>0000)-(?P<ordinal>000)",
)
_PATTERNS: Final = (
    *(re.compile(f"{_WEEKDAY}{date}(?:{_LEAD}{_CLOCK})?") for date in _DATES),
    *(re.compile(f"{_WEEKDAY}{date}{_LEAD}{clock}") for date in _DATES for clock in _OTHER_CLOCKS),
    re.compile(rf"{_WEEKDAY}(?P<name>[A-Za-z]{{3,9}}) +(?P<day>00?) +{_CLOCK},? +(?P<year>0000)"),
    *(re.compile(_CHINESE_DATE + clock) for clock in (_CLOCK, *_OTHER_CLOCKS)),
    re.compile(r"(?P<year>0000)(?P<month>00)(?P<day>00)"),
    re.compile(r"(?P<year>0000)(?P<month>00)(?P<day>00)(?:[Tt_]| *)(?P<hour>00)(?P<minute>00)"
               rf"(?:(?P<second>00)(?:\.?(?P<fraction>000))?)?{_ZONE}"),
    re.compile(r"(?P<one>00)(?P<other>00)(?P<last>00) +(?P<hour>00)(?P<minute>00)(?P<second>00)?"),
    re.compile(rf"(?P<year>0000)(?P<month>00)(?P<day>00){_LEAD}{_CLOCK}"),
    re.compile(r"(?P<s1>0{10})(?:\.(?P<fraction>0*))?"),
    re.compile(r"(?P<s1000>0{13})(?:\.0*)?"),
    re.compile(r"(?P<s1000000>0{16})"),
    re.compile(r"(?P<s1000000000>0{19})"),
)  # fmt: skip
_SHORT_DIGITS: Final = re.compile(r"(?P<one>00)(?P<other>00)(?P<last>00)(?P<hour>00)(?P<minute>00)(?P<second>00)?")
"""Year, month and day of two digits each, in any order, hour and minute."""
_SERIAL: Final = re.compile(r"(?P<serial>0{5})(?:[.,](?P<fraction>0*))?")
_DIRECTIVES: Final = {
    "Y": r"(?P<year>0000)",
    "y": r"(?P<short>00)",
    "m": r"(?P<month>00?)",
    "d": r"(?P<day>00?)",
    "H": r"(?P<hour>00?)",
    "I": r"(?P<hour>00?)",
    "M": r"(?P<minute>00?)",
    "S": r"(?P<second>00?)",
    "f": r"(?P<fraction>0{1,9})",
    "p": r"(?P<half>[AaPp])\.? ?[Mm]\.?",
    "b": rf"(?P<name>{_NAME})[.]?",
    "B": rf"(?P<name>{_NAME})",
    "j": r"(?P<ordinal>000)",
    "z": r"(?:[Zz]|UTC|GMT|(?P<sign>[+-])(?P<zone_hour>00):?(?P<zone_minute>00)?)",
    "%": "%",
}
_MONTHS: Final = tuple(
    tuple(names.split())
    for names in (
        "january januar janvier enero gennaio janeiro januari januarie stycznia styczeń января январь ocak",
        "february februar février fevrier febrero febbraio fevereiro februari lutego luty февраля февраль şubat",
        "march märz maerz mrz mars marzo março marco maart mrt marca marzec марта март mart",
        "april avril abril aprile kwietnia kwiecień апреля апрель nisan",
        "may mai mayo maggio maio mei maj maja мая май mayıs",
        "june juni juin junio giugno junho czerwca czerwiec июня июнь haziran",
        "july juli juillet julio luglio julho lipca lipiec июля июль temmuz",
        "august août aout agosto augustus augusti agustus sierpnia sierpień августа август ağustos",
        "september septembre septiembre setiembre settembre setembro września wrzesień сентября сентябрь eylül",
        "october oktober octobre octubre ottobre outubro października październik октября октябрь ekim",
        "november novembre noviembre novembro listopada listopad ноября ноябрь kasım",
        "december dezember décembre decembre diciembre dicembre dezembro desember grudnia grudzień декабря декабрь aralık",
    )
)
"""Names of the months; those of languages in which a name means another month than in one of these are left out."""
_DAYS_WITH: Final = 3
"""Decimals of a day from which on it shows the minute: 0.001 of a day is 86 s."""
_COMPACT_HOURS: Final = 1_970_010_100
"""Ten digits from here on that form a date and an hour are that, not seconds of the years after 2032."""


_ABBREVIATIONS: Final = {"CET": 1, "CEST": 2, "MEZ": 1, "MESZ": 2, "EET": 2, "EEST": 3, "WEST": 1, "JST": 9, "HKT": 8}
"""Hours ahead of UTC, where an abbreviation means one zone only."""


@dataclass(frozen=True, slots=True)
class _Block:
    """Stamps of one shape or one block: the instant in each order, whether it has an offset, and the hour as written.

    The hour is -1 for a date alone; ``halved`` says that AM or PM stands with it.
    """

    times: NDArray[np.int64]
    absolute: Flags
    hour: NDArray[np.int8]
    halved: Flags

    @staticmethod
    def unread(size: int) -> _Block:
        return _Block(
            np.full((len(ORDERS), size), UNREADABLE),
            np.zeros(size, np.bool_),
            np.full(size, -1, np.int8),
            np.zeros(size, np.bool_),
        )


@dataclass(frozen=True, slots=True)
class Stamps:
    """Stamps of a whole file, in the order they came.

    Parameters
    ----------
    time : int64 array (n,)
        Milliseconds since 1970-01-01T00:00, of UTC or of the logger's clock; ``UNREADABLE`` where there is none.
    absolute : bool array (n,)
        True where the stamp is an instant: it has an offset, or counts from the epoch.
    hour : int8 array (n,)
        Hour as written, 0 to 24; -1 for a date alone or an instant that is a number.
    halved : bool array (n,)
        Whether AM or PM stands with the hour.
    abbreviations : tuple of str
        Abbreviations of zones that stand with stamps and may mean several.
    order : str
        The order of day, month and year that was proven; empty if nothing depends on it.
    offsets : tuple of str
        Offsets that stand with stamps.
    """

    time: Times
    absolute: Flags
    hour: NDArray[np.int8]
    halved: Flags
    abbreviations: tuple[str, ...] = ()
    order: str = ""
    offsets: tuple[str, ...] = ()

    def twelve_hour_clock(self) -> bool:
        """Whether the file goes back in time within a day as a clock of twelve hours without AM and PM does."""
        clocked = (self.time != UNREADABLE) & (self.hour >= 0) & ~self.absolute  # who writes an offset writes all hours
        hours = self.hour[clocked]
        if not len(hours) or self.halved.any() or hours.min() < 1 or hours.max() != 12:
            return False
        time = self.time[clocked]
        steps = np.diff(time)
        if np.count_nonzero(steps < 0) > np.count_nonzero(steps > 0):
            time, steps = time[::-1], -steps[::-1]
        same_day = time[1:] // _DAY == time[:-1] // _DAY
        return bool((same_day & (steps <= -6 * _HOUR_MS)).any())

    def ends_of_hours(self) -> bool:
        """Whether hours run to 24 and never begin at 0, as those of stamps at the ends of intervals do."""
        return bool((self.hour == 24).any() and not (self.hour == 0).any())


@dataclass(slots=True)
class StampReader:
    """Reads stamps block by block; the order of day, month and year is taken from all of them together.

    Parameters
    ----------
    form : str or None
        ``strptime`` form that all stamps have; None: any of the usual ones.
    order : str or None
        Order of day, month and year that the file states, of ``ORDERS``.
    serial : str
        Day from which numbers of five digits count days, as in spreadsheets: ``1899-12-30``; empty: they do not.

    Raises
    ------
    LoggerFileError
        If the form has an unknown directive or lacks year, month or day.
    """

    form: str | None = None
    order: str | None = None
    serial: str = ""
    _patterns: tuple[re.Pattern[str], ...] = field(init=False)
    _blocks: list[_Block] = field(default_factory=list, init=False)
    _against: dict[str, tuple[int, str]] = field(default_factory=dict, init=False)
    """Line and text of the first stamp that cannot be read in an order."""
    _open: tuple[int, str] | None = field(default=None, init=False)
    _differ: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((3, 3), np.bool_), init=False)
    _short: bool = field(default=False, init=False)
    """Whether years have two digits."""
    _offsets: set[str] = field(default_factory=set, init=False)
    _abbreviations: set[str] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        usual = (_SERIAL, *_PATTERNS) if self.serial else _PATTERNS
        self._patterns = usual if self.form is None else (_pattern(self.form),)

    def add(self, cells: Sequence[str], lines: Times) -> Flags:
        """Read a block of stamps without blanks at their ends.

        Parameters
        ----------
        cells : sequence of str
            The stamps.
        lines : int64 array
            Their lines in the file, for errors.

        Returns
        -------
        bool array
            Which can be read, in one order at least.
        """
        return self._keep(self._read(_points(cells)), cells, lines)

    def add_column(self, cells: pa.StringArray, lines: Times) -> Flags:
        """Read a block of stamps as they stand in a column of Arrow: at once, if all are as long and can be read."""
        offsets = np.frombuffer(cells.buffers()[1], np.int32)[cells.offset : cells.offset + len(cells) + 1]
        lengths = np.diff(offsets)
        if len(cells) and 0 < lengths[0] <= _LONGEST and (lengths == lengths[0]).all():
            signs = np.frombuffer(cells.buffers()[2], np.uint8)[offsets[0] : offsets[-1]].reshape(len(cells), -1)
            if signs.max() < 0x80:
                block = self._read(signs)
                if (block.times[: 1 if not block.times.strides[0] else None] != UNREADABLE).any(axis=0).all():
                    return self._keep(block, cells, lines)
        return self.add([cell.strip() for cell in cells.to_pylist()], lines)

    def _keep(self, block: _Block, cells: Sequence[str] | pa.StringArray, lines: Times) -> Flags:
        self._blocks.append(block)
        if not block.times.strides[0]:  # one and the same in each order
            whole: Flags = block.times[0] != UNREADABLE
            return whole
        good = block.times != UNREADABLE
        readable: Flags = good.any(axis=0)
        for order, against in zip(ORDERS, readable & ~good, strict=True):
            if order not in self._against and against.any():
                row = int(np.argmax(against))
                self._against[order] = int(lines[row]), str(cells[row])
        for i, j in ((0, 1), (0, 2), (1, 2)):
            differ = good[i] & good[j] & (block.times[i] != block.times[j])
            if differ.any():
                self._differ[i, j] = True
                if self._open is None:
                    row = int(np.argmax(differ))
                    self._open = int(lines[row]), str(cells[row])
        return readable

    def take(self, time: Times, *, absolute: bool) -> None:
        """Take a block of times that are numbers already [ms], ``UNREADABLE`` where there is none."""
        block = _Block.unread(len(time))
        block.times[:] = np.where((time >= 0) & (time < _END), time, UNREADABLE)
        block.absolute[:] = absolute
        self._blocks.append(block)

    def hours(self) -> NDArray[np.int8]:
        """Hours as written; -1 for a date alone."""
        return np.concatenate([block.hour for block in self._blocks])

    def instants(self) -> Flags:
        """Which stamps are instants."""
        return np.concatenate([block.absolute for block in self._blocks])

    def midnights(self) -> Flags:
        """Which stamps are midnight, whatever the order of their date."""
        times = np.concatenate([block.times.max(axis=0) for block in self._blocks])
        midnight: Flags = (times % _DAY == 0) & (self.hours() == 0)
        return midnight

    def result(self) -> Stamps:
        """All stamps read so far, in the order they came.

        Raises
        ------
        LoggerFileError
            If day and month may be either way round, or are once this and once that, or if what looks like offsets are
            ends of intervals.
        """
        if len(self._offsets) > _MANY_OFFSETS:
            some = ", ".join(sorted(self._offsets)[:3])
            raise LoggerFileError(
                f"stamps have {len(self._offsets)} different offsets ({some} ...): they look like intervals; "
                "give --time-format with the part that counts"
            )
        chosen = self._order()
        blocks = self._blocks or [_Block.unread(0)]
        return Stamps(
            np.concatenate([block.times[chosen] for block in blocks]),
            np.concatenate([block.absolute for block in blocks]),
            np.concatenate([block.hour for block in blocks]),
            np.concatenate([block.halved for block in blocks]),
            tuple(sorted(self._abbreviations)),
            ORDERS[chosen] if self._differ.any() or self._against else "",
            tuple(sorted(self._offsets)),
        )

    def _order(self) -> int:
        if self.order is not None:
            return ORDERS.index(self.order)
        left = [i for i, order in enumerate(ORDERS) if order not in self._against]
        if not left:
            (a, one), (b, other) = self._against["mdy"], self._against["dmy"]
            raise LoggerFileError(
                f"line {a}: {one!r} has the day first, but line {b}: {other!r} the month; give --time-format"
            )
        if len(left) > 1 and self._differ[np.ix_(left, left)].any():
            left = self._likely(left) if self._short else left
        if len(left) > 1 and self._differ[np.ix_(left, left)].any():
            line, text = self._open or (0, "")
            forms = sorted(_suggestion(text, ORDERS[i]) for i in left)
            raise LoggerFileError(
                f"line {line}: {text!r} may have the day or the month first, and no stamp of the file decides; "
                f"give --time-format {' or '.join(forms)}"
            )
        return left[0]

    def _likely(self, left: list[int]) -> list[int]:
        """Leave out what no file can hold: orders of three numbers that lie in the future, or leap by years from day to day."""
        now = clock_of_the_machine.time() * 1000 + 2 * _DAY
        times = {i: [block.times[i][block.times[i] != UNREADABLE] for block in self._blocks] for i in left}
        ends = {
            i: (min(t.min() for t in parts if len(t)), max(t.max() for t in parts if len(t)))
            for i, parts in times.items()
        }
        past = [i for i in left if ends[i][1] < now] or left
        spans = {i: ends[i][1] - ends[i][0] for i in past}
        close = [i for i in past if spans[i] <= 366 * _DAY or spans[i] <= 10 * min(spans.values())]
        return close or past

    def _read(self, points: Points) -> _Block:
        whole = _Block.unread(len(points))
        if not points.size:
            return whole
        zero = points.dtype.type(ord("0"))
        shapes = np.where(
            points - zero < points.dtype.type(10), zero, points
        )  # without a sign, so that less than 0 is much
        for rows in _alike(shapes)[:_SHAPES_AT_MOST]:
            shape = "".join(map(chr, shapes[rows[0]].tolist())).rstrip("\0")
            match = next((m for m in (p.fullmatch(shape) for p in self._patterns) if m), None)
            if match is None:
                continue
            example = "".join(map(chr, points[rows[0]].tolist())).rstrip("\0")
            alone = len(rows) == len(points)
            fields = _Fields(match, np.ascontiguousarray((points if alone else points[rows]).T), example)
            block = _serial_days(fields, self.serial) if fields.text("serial") else _evaluate(fields)
            if len(example) in {10, 12} and example.isdigit():
                block = self._digits(fields, block)
            if alone:
                whole = block
            else:
                whole.times[:, rows] = block.times
                whole.absolute[rows], whole.hour[rows], whole.halved[rows] = block.absolute, block.hour, block.halved
            self._short = self._short or fields.text("last") is not None
            if (abbreviation := fields.text("abbreviation")) is not None and abbreviation not in _ABBREVIATIONS:
                self._abbreviations.add(abbreviation)
            if fields.text("sign") is not None:
                self._offsets.update(
                    fields.distinct("sign", "zone_minute" if fields.text("zone_minute") else "zone_hour")
                )
        return whole

    def _digits(self, fields: _Fields, block: _Block) -> _Block:
        """Take ten or twelve digits for year, month and day of two digits and a clock, if more of them can be that."""
        match = _SHORT_DIGITS.fullmatch(fields.match.string)
        if match is None:
            return block
        parts = _evaluate(_Fields(match, fields.points, fields.example))
        good = max(int(np.count_nonzero(times != UNREADABLE)) for times in parts.times)
        dated = int(np.count_nonzero((block.times[0] != UNREADABLE) & ~block.absolute))
        if good <= dated or good < 0.9 * len(block.hour):
            return block
        self._short = True
        return parts


def is_stamp(cell: str, form: str | None = None) -> bool:
    """Whether a text reads as a stamp."""
    return bool(StampReader(form).add([cell.strip()], np.zeros(1, np.int64))[0])


def _points(cells: Sequence[str]) -> Points:
    """The signs of texts as numbers, a row for each, zero behind the end."""
    if cells and max(map(len, cells)) > _LONGEST:
        cells = [cell if len(cell) <= _LONGEST else "" for cell in cells]
    text = np.array(cells, np.str_)
    if not text.size or not text.dtype.itemsize:
        return np.empty((len(cells), 0), np.uint32)
    return text.view(np.uint32).reshape(len(cells), -1)


def _alike(shapes: Points) -> list[NDArray[np.intp]]:
    """Rows grouped by shape."""
    if (shapes == shapes[0]).all():
        return [np.arange(len(shapes))]
    keys = np.ascontiguousarray(shapes).view(f"V{shapes.shape[1] * shapes.itemsize}").ravel()
    _, inverse = np.unique(keys, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(inverse[order])) + 1)


@dataclass(frozen=True, slots=True)
class _Fields:
    """The fields of stamps of one shape, standing where ``match`` found them."""

    match: re.Match[str]
    points: Points
    """A row for each place of the shape."""
    example: str

    def text(self, name: str) -> str | None:
        """The field in the example; None if the shape has no such field."""
        if self.match.groupdict().get(name) is None:
            return None
        start, end = self.match.span(name)
        return self.example[start:end]

    def number(self, name: str, default: int = 0) -> Times:
        """The field as a whole number."""
        if self.text(name) is None:
            return np.full(self.points.shape[1], default, np.int64)
        total = np.zeros(self.points.shape[1], np.int64)
        for place in range(*self.match.span(name)):
            total *= 10
            total += self.points[place]
            total -= ord("0")
        return total

    def half(self) -> bool | None:
        """Whether the hours are those after noon; None: they count to 24."""
        text = self.text("half") or self.text("letter") or self.text("before") or self.text("after")
        return None if text is None else text[0] in "pP中" or text in _EVENING.split("|")

    def distinct(self, first: str, last: str) -> set[str]:
        """Texts from one field to another, as they occur."""
        part = np.unique(self.points[self.match.start(first) : self.match.end(last)], axis=1)
        return {"".join(map(chr, row)) for row in part.T.tolist()}

    def milliseconds(self) -> Times:
        """The fraction of a second, cut to milliseconds."""
        digits = len(self.text("fraction") or "")
        fraction = self.number("fraction")
        scaled: Times = fraction * 10 ** (3 - digits) if digits < 3 else fraction // 10 ** (digits - 3)
        return scaled


def _evaluate(fields: _Fields) -> _Block:
    """Read the stamps of one shape."""
    block = _Block.unread(fields.points.shape[1])
    for unit in (1, 1000, 1_000_000, 1_000_000_000):
        if (digits := fields.text(f"s{unit}")) is not None:
            epoch = fields.number(f"s{unit}")
            time = epoch * 1000 + fields.milliseconds() if unit == 1 else epoch // (unit // 1000)
            time[time >= (1000 * _SECONDS_AT_MOST if unit == 1 else _END)] = UNREADABLE
            time[epoch < 10 ** (len(digits) - 1)] = UNREADABLE  # with a 0 in front it is something else
            block.times[:], block.absolute[:] = time, True
            if unit == 1 and len(digits) == 10:
                _compact_hours(epoch, block)
            return block
    clock = _clock(fields)
    orders = [
        np.where((date == UNREADABLE) | (clock == UNREADABLE), UNREADABLE, date * _DAY + clock)
        for date in _dates(fields)
    ]
    times = np.stack(orders) if len(orders) > 1 else np.broadcast_to(orders[0], (len(ORDERS), len(clock)))
    block = replace(block, times=times)
    tail = re.search(r"(?:[Zz]|UTC|GMT)$", fields.example)
    known = (fields.text("abbreviation") or "") in _ABBREVIATIONS
    block.absolute[:] = fields.text("sign") is not None or tail is not None or known
    if fields.text("hour") is not None:
        block.hour[:] = np.clip(fields.number("hour"), 0, 127)
    block.halved[:] = fields.half() is not None
    return block


def _dates(fields: _Fields) -> tuple[Times, ...]:
    """Days since 1970-01-01 in each of the orders; once if they do not depend on it."""
    if fields.text("ordinal") is not None:
        year, ordinal = fields.number("year"), fields.number("ordinal")
        first, following = (
            _days(year, np.ones_like(year), np.ones_like(year)),
            _days(year + 1, *np.ones_like([year, year])),
        )
        right = (ordinal >= 1) & (first != UNREADABLE) & (first + ordinal <= following)
        return (np.where(right, first + ordinal - 1, UNREADABLE),)
    if fields.text("one") is not None:
        one, other = fields.number("one"), fields.number("other")
        if fields.text("last") is None:
            year = fields.number("year")
            return _days(year, one, other), _days(year, other, one), np.full(len(year), UNREADABLE)
        last = fields.number("last")
        return (
            _days(_century(last), one, other),
            _days(_century(last), other, one),
            _days(_century(one), other, last),
        )
    year = fields.number("year") if fields.text("year") is not None else _century(fields.number("short"))
    month = fields.number("month")
    if (name := fields.text("name")) is not None:
        month[:] = _month(name)
    return (_days(year, month, fields.number("day")),)


def _century(year: Times) -> Times:
    """Years of two digits, by the rule of POSIX: 69 to 99 lie in the 20th century."""
    whole: Times = year + np.where(year < 69, 2000, 1900)
    return whole


def _serial_days(fields: _Fields, epoch: str) -> _Block:
    """Read days since an epoch, set to the whole minute or second that their digits allow for."""
    block = _Block.unread(fields.points.shape[1])
    digits = len(fields.text("fraction") or "")
    if 0 < digits < _DAYS_WITH and (4 * fields.number("fraction") % 10**digits).any():
        raise LoggerFileError(
            f"days of a spreadsheet such as {fields.example} have {digits} decimals, too few to tell the minute: show the "
            "column as date and time, and save it again"
        )
    days = (
        int(np.datetime64(epoch, "D").astype(np.int64))
        + fields.number("serial")
        + fields.number("fraction") / 10**digits
    )
    time: Times = np.round(days * _DAY).astype(np.int64)
    blur = 0.6 * _DAY / 10**digits + 1
    for grid in (60_000, 1000):
        off = (time + grid // 2) % grid - grid // 2
        if (np.abs(off) <= blur).all():
            time -= off
            break
    block.times[:] = time
    return block


def _clock(fields: _Fields) -> Times:
    """Milliseconds since midnight, less the offset."""
    hour, minute, second = fields.number("hour"), fields.number("minute"), fields.number("second")
    wrong = (minute > 59) | (second > 59)
    if (late := fields.half()) is not None:
        wrong |= (hour < 1) | (hour > 12)
        if fields.text("before") == "中午":
            hour = np.where(hour == 11, hour, hour % 12 + 12)
        else:
            wrong |= (hour == 12) & (fields.text("before") in {"傍晚", "晚上"})  # midnight of one day or of another
            hour = hour % 12 + (12 if late else 0)
    # 24:00 is the end of a day (ISO 8601).
    wrong |= (hour > 24) | ((hour == 24) & ((minute > 0) | (second > 0)))
    time = ((hour * 60 + minute) * 60 + second) * 1000 + fields.milliseconds()
    if (sign := fields.text("sign")) is not None:
        zone_hour, zone_minute = fields.number("zone_hour"), fields.number("zone_minute")
        wrong |= (zone_hour > 15) | (zone_minute > 59)
        time += (zone_hour * 60 + zone_minute) * (60_000 if sign == "-" else -60_000)
    time -= _ABBREVIATIONS.get(fields.text("abbreviation") or "", 0) * _HOUR_MS
    time[wrong] = UNREADABLE
    return time


def _days(year: Times, month: Times, day: Times) -> Times:
    """Days since 1970-01-01; ``UNREADABLE`` for a date that does not exist."""
    right = (year >= FIRST_YEAR) & (year <= LAST_YEAR) & (month >= 1) & (month <= 12) & (day >= 1)
    months = np.where(right, (year - 1970) * 12 + month - 1, 0)
    first = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    following = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    right &= day <= following - first
    return np.where(right, first + day - 1, UNREADABLE)


def _compact_hours(number: Times, block: _Block) -> None:
    """Take ten digits such as 2018033007 for 2018-03-30 07:00, where they cannot well be seconds."""
    days = _days(number // 1_000_000, number // 10_000 % 100, number // 100 % 100)
    compact = (number >= _COMPACT_HOURS) & (days != UNREADABLE) & (number % 100 <= 24)
    block.times[:] = np.where(compact, days * _DAY + number % 100 * _HOUR_MS, block.times)
    block.absolute[compact] = False
    block.hour[compact] = number[compact] % 100


def _month(name: str) -> int:
    """Number of a month by its name or its first letters, three at least; 0 if there is none, or several, as for ``jui``."""
    first = name.casefold()
    found = [
        number
        for number, names in enumerate(_MONTHS, start=1)
        if any(month.startswith(first) or (first.startswith(month) and len(month) > 3) for month in names)
    ]
    return found[0] if len(found) == 1 and len(first) >= 3 else 0


def _pattern(form: str) -> re.Pattern[str]:
    """The pattern of shapes that a ``strptime`` form describes."""
    parts, rest = [], re.sub(r"%T", "%H:%M:%S", re.sub(r"%F", "%Y-%m-%d", form.strip()))
    for match in re.finditer(r"%(.?)|([^%]+)", rest, re.DOTALL):
        directive, text = match.groups()
        if text is not None:
            parts.append(re.sub(r"(?:\\ )+", " +", re.escape(re.sub(r"[0-9]", "0", text))))
        elif directive in _DIRECTIVES:
            parts.append(_DIRECTIVES[directive])
        else:
            known = " ".join(f"%{name}" for name in _DIRECTIVES)
            raise LoggerFileError(f"--time-format {form!r}: '%{directive}' is not known; there are {known}")
    try:
        pattern = re.compile("".join(parts))
    except re.error:
        raise LoggerFileError(f"--time-format {form!r}: each part may occur once only") from None
    groups = pattern.groupindex
    if "ordinal" in groups and "year" in groups:
        return pattern
    if not ({"year", "short"} & groups.keys() and {"month", "name"} & groups.keys() and "day" in groups):
        raise LoggerFileError(f"--time-format {form!r}: year, month and day are needed, such as '%d/%m/%Y %H:%M'")
    return pattern


def _suggestion(stamp: str, order: str) -> str:
    """The ``strptime`` form of a stamp whose day, month and year are in an order such as ``dmy``."""
    if digits := re.fullmatch(r"\d{6}( ?)(\d{4}(?:\d\d)?)", stamp):
        return repr("".join(f"%{sign}" for sign in order) + digits[1] + "%H%M%S"[: len(digits[2])])
    found = re.match(r"(\d+)(\D)(\d+)\D(\d+)", stamp)
    signs = ["%Y" if found and sign == "y" and len(found[4]) == 4 else f"%{sign}" for sign in order]
    form = re.sub(r"^\d+(\D)\d+\D\d+", lambda match: match[1].join(signs), stamp)
    half = re.search(r"[AaPp]\.?[Mm]\.?", form)
    form = re.sub(r"\d+:\d+", "%I:%M" if half else "%H:%M", form, count=1)
    form = re.sub(r"(%M):\d+", r"\1:%S", form)
    form = re.sub(r"(%S[.,:])\d+", r"\1%f", form)
    form = re.sub(r"[AaPp]\.?[Mm]\.?", "%p", form)
    return repr(re.sub(r"(?:[+-]\d\d:?\d*|Z)$", "%z", form))
