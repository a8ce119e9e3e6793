"""Stamps of time as loggers write them, read in whole columns.

The stamps of a file have few shapes (``0000-00-00 00:00:00``). A shape is understood once, by a pattern that says where
its fields stand; the fields of all stamps of that shape are then read together.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from greenmine.collector.files.columns import LoggerFileError

Times = NDArray[np.int64]

UNREADABLE: Final = np.iinfo(np.int64).min
"""In the place of an instant that could not be read."""

FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 2199

_DAY: Final = 86_400_000
_END: Final = 7_258_118_400_000
"""The end of the last year [ms]."""

_LONGEST: Final = 60
_SHAPES_AT_MOST: Final = 2_000
"""More shapes than this among one block of stamps are noise, not stamps."""

_ZONE = r"(?: ?(?:[Zz]|UTC|GMT|(?P<sign>[+-])(?P<zone_hour>00):?(?P<zone_minute>00)?))?"
_HALF = r"(?: ?(?P<half>[AaPp])\.?[Mm]\.?)?"
_FRACTION = r"(?:[.,:](?P<fraction>0{1,9}))?"
_CLOCK = rf"(?:[Tt]| +)(?P<hour>00?):(?P<minute>00)(?::(?P<second>00)(?:{_FRACTION}))?{_HALF}{_ZONE}"
_DATES = (
    r"(?P<year>0000)(?P<s>[-/.])(?P<month>00?)(?P=s)(?P<day>00?)",
    r"(?P<year>0000) ?年 ?(?P<month>00?) ?月 ?(?P<day>00?) ?日?",
    r"(?P<one>00?)(?P<s>[-/.])(?P<other>00?)(?P=s)(?P<year>0000)",
    r"(?P<day>00?)[- /](?P<name>[A-Za-z]{3,9})[- /](?P<year>0000)",
)
_PATTERNS: Final = (
    *(re.compile(f"{date}(?:{_CLOCK})?") for date in _DATES),
    re.compile(r"(?P<year>0000) ?年 ?(?P<month>00?) ?月 ?(?P<day>00?) ?日?(?P<hour>00?)[:时](?P<minute>00)"
               r"(?:[:分](?P<second>00)秒?|分)?"),
    re.compile(r"(?P<year>0000)(?P<month>00)(?P<day>00)"),
    re.compile(r"(?P<year>0000)(?P<month>00)(?P<day>00)(?:[Tt]| *)(?P<hour>00)(?P<minute>00)"
               rf"(?:(?P<second>00)(?:\.?(?P<fraction>000))?)?{_ZONE}"),
    re.compile(rf"(?P<year>0000)(?P<month>00)(?P<day>00){_CLOCK}"),
    re.compile(r"(?P<s1>0{9,10})(?:\.(?P<fraction>0*))?"),
    re.compile(r"(?P<s1000>0{13})(?:\.0*)?"),
    re.compile(r"(?P<s1000000>0{16})"),
    re.compile(r"(?P<s1000000000>0{19})"),
)  # fmt: skip
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
    "p": r"(?P<half>[AaPp])\.?[Mm]\.?",
    "b": r"(?P<name>[A-Za-z]{3,9})",
    "B": r"(?P<name>[A-Za-z]{3,9})",
    "z": r"(?:[Zz]|UTC|GMT|(?P<sign>[+-])(?P<zone_hour>00):?(?P<zone_minute>00)?)",
    "%": "%",
}
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_COMPACT_HOURS: Final = 1_970_010_100
"""Ten digits from here on that form a date and an hour are that, not seconds of the years after 2032."""


@dataclass(frozen=True, slots=True)
class _Block:
    """Stamps of one shape or one block: the instant in either order of day and month, and whether it has an offset."""

    month_first: Times
    day_first: Times
    absolute: NDArray[np.bool_]


@dataclass(slots=True)
class _Witness:
    """The first stamp that proves something."""

    line: int | None = None
    text: str = ""

    def see(self, which: NDArray[np.bool_], cells: Sequence[str], lines: Times) -> None:
        if self.line is None and which.any():
            row = int(np.argmax(which))
            self.line, self.text = int(lines[row]), cells[row]


@dataclass(slots=True)
class StampReader:
    """Reads stamps block by block; the order of day and month is taken from all of them together.

    Parameters
    ----------
    form : str or None
        ``strptime`` form that all stamps have; None: any of the usual ones.

    Raises
    ------
    LoggerFileError
        If the form has an unknown directive or lacks year, month or day.
    """

    form: str | None = None
    _patterns: tuple[re.Pattern[str], ...] = field(init=False)
    _blocks: list[_Block] = field(default_factory=list, init=False)
    _open: _Witness = field(default_factory=_Witness, init=False)
    _month_first: _Witness = field(default_factory=_Witness, init=False)
    _day_first: _Witness = field(default_factory=_Witness, init=False)

    def __post_init__(self) -> None:
        self._patterns = _PATTERNS if self.form is None else (_pattern(self.form),)

    def add(self, cells: Sequence[str], lines: Times) -> NDArray[np.bool_]:
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
            Which can be read, in one order of day and month at least.
        """
        block = self._read(cells)
        month, day = block.month_first != UNREADABLE, block.day_first != UNREADABLE
        self._month_first.see(month & ~day, cells, lines)
        self._day_first.see(day & ~month, cells, lines)
        self._open.see(month & day & (block.month_first != block.day_first), cells, lines)
        self._blocks.append(block)
        readable: NDArray[np.bool_] = month | day
        return readable

    def take(self, time: Times, *, absolute: bool) -> None:
        """Take a block of times that are numbers already [ms], ``UNREADABLE`` where there is none."""
        within = np.where((time >= 0) & (time < _END), time, UNREADABLE)
        self._blocks.append(_Block(within, within, np.full(len(time), absolute)))

    def result(self) -> tuple[Times, NDArray[np.bool_]]:
        """All stamps read so far, in the order they came.

        Returns
        -------
        time : int64 array (n,)
            Milliseconds since 1970-01-01T00:00, of UTC or of the logger's clock; ``UNREADABLE`` where there is none.
        absolute : bool array (n,)
            True where the stamp is an instant: it has an offset, or counts from the epoch.

        Raises
        ------
        LoggerFileError
            If day and month may be either way round, or are once this and once that.
        """
        month, day = self._month_first, self._day_first
        if month.line is not None and day.line is not None:
            raise LoggerFileError(
                f"line {day.line}: {day.text!r} has the day first, but line {month.line}: {month.text!r} the month; "
                "give --time-format"
            )
        if self._open.line is not None and month.line is None and day.line is None:
            raise LoggerFileError(
                f"line {self._open.line}: {self._open.text!r} may have the day or the month first, and no stamp of the "
                f"file decides; give --time-format {_suggestion(self._open.text, 'dm')} or "
                f"{_suggestion(self._open.text, 'md')}"
            )
        times = [block.month_first if day.line is None else block.day_first for block in self._blocks]
        return (
            np.concatenate([np.empty(0, np.int64), *times]),
            np.concatenate([np.empty(0, np.bool_), *(block.absolute for block in self._blocks)]),
        )

    def _read(self, cells: Sequence[str]) -> _Block:
        size = len(cells)
        whole = _Block(np.full(size, UNREADABLE), np.full(size, UNREADABLE), np.zeros(size, np.bool_))
        if not size:
            return whole
        if max(map(len, cells)) > _LONGEST:
            cells = [cell if len(cell) <= _LONGEST else "" for cell in cells]
        text = np.array(cells)
        if not text.dtype.itemsize:
            return whole
        points = text.view(np.uint32).reshape(size, -1)
        shapes = np.where((points >= ord("0")) & (points <= ord("9")), np.uint32(ord("0")), points)
        for rows in _alike(shapes)[:_SHAPES_AT_MOST]:
            shape = "".join(map(chr, shapes[rows[0]].tolist())).rstrip("\0")
            match = next((m for m in (p.fullmatch(shape) for p in self._patterns) if m), None)
            if match is None:
                continue
            block = _evaluate(_Fields(match, points[rows], str(text[rows[0]])))
            whole.month_first[rows], whole.day_first[rows] = block.month_first, block.day_first
            whole.absolute[rows] = block.absolute
        return whole


def is_stamp(cell: str, form: str | None = None) -> bool:
    """Whether a text reads as a stamp."""
    return bool(StampReader(form).add([cell.strip()], np.zeros(1, np.int64))[0])


def _alike(shapes: NDArray[np.uint32]) -> list[NDArray[np.intp]]:
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
    points: NDArray[np.uint32]
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
            return np.full(len(self.points), default, np.int64)
        total = np.zeros(len(self.points), np.int64)
        for column in range(*self.match.span(name)):
            total = total * 10 + self.points[:, column] - ord("0")
        return total

    def milliseconds(self) -> Times:
        """The fraction of a second, cut to milliseconds."""
        digits = len(self.text("fraction") or "")
        fraction = self.number("fraction")
        scaled: Times = fraction * 10 ** (3 - digits) if digits < 3 else fraction // 10 ** (digits - 3)
        return scaled


def _evaluate(fields: _Fields) -> _Block:
    """Read the stamps of one shape."""
    for unit in (1, 1000, 1_000_000, 1_000_000_000):
        if (digits := fields.text(f"s{unit}")) is not None:
            epoch = fields.number(f"s{unit}")
            time = epoch * 1000 + fields.milliseconds() if unit == 1 else epoch // (unit // 1000)
            time[time >= _END] = UNREADABLE
            block = _Block(time, time, np.ones(len(time), np.bool_))
            return _compact_hours(epoch, block) if unit == 1 and len(digits) == 10 else block

    year = fields.number("year")
    if fields.text("short") is not None:
        year = fields.number("short")
        year += np.where(year < 69, 2000, 1900)
    if fields.text("one") is not None:
        one, other = fields.number("one"), fields.number("other")
        dates = _days(year, one, other), _days(year, other, one)
    else:
        month = fields.number("month")
        if (name := fields.text("name")) is not None:
            month[:] = _month(name)
        dates = (_days(year, month, fields.number("day")),) * 2
    clock = _clock(fields)
    month_first, day_first = (
        np.where((date == UNREADABLE) | (clock == UNREADABLE), UNREADABLE, date * _DAY + clock) for date in dates
    )
    absolute = fields.text("sign") is not None or re.search(r"(?:[Zz]|UTC|GMT)$", fields.example) is not None
    return _Block(month_first, day_first, np.full(len(clock), absolute))


def _clock(fields: _Fields) -> Times:
    """Milliseconds since midnight, less the offset."""
    hour, minute, second = fields.number("hour"), fields.number("minute"), fields.number("second")
    wrong = (minute > 59) | (second > 59)
    if (half := fields.text("half")) is not None:
        wrong |= (hour < 1) | (hour > 12)
        hour = hour % 12 + (12 if half in "pP" else 0)
    # 24:00 is the end of a day (ISO 8601).
    wrong |= (hour > 24) | ((hour == 24) & ((minute > 0) | (second > 0)))
    time = ((hour * 60 + minute) * 60 + second) * 1000 + fields.milliseconds()
    if (sign := fields.text("sign")) is not None:
        zone_hour, zone_minute = fields.number("zone_hour"), fields.number("zone_minute")
        wrong |= (zone_hour > 15) | (zone_minute > 59)
        time += (zone_hour * 60 + zone_minute) * (60_000 if sign == "-" else -60_000)
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


def _compact_hours(number: Times, block: _Block) -> _Block:
    """Take ten digits such as 2018033007 for 2018-03-30 07:00, where they cannot well be seconds."""
    days = _days(number // 1_000_000, number // 10_000 % 100, number // 100 % 100)
    compact = (number >= _COMPACT_HOURS) & (days != UNREADABLE) & (number % 100 < 24)
    time = np.where(compact, days * _DAY + number % 100 * 3_600_000, block.month_first)
    return _Block(time, time, ~compact)


def _month(name: str) -> int:
    """Number of a month by its English name or the first letters of it; 0 if there is none."""
    return _MONTHS.index(name[:3].lower()) + 1 if name[:3].lower() in _MONTHS else 0


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
    if not ({"year", "short"} & groups.keys() and {"month", "name"} & groups.keys() and "day" in groups):
        raise LoggerFileError(f"--time-format {form!r}: year, month and day are needed, such as '%d/%m/%Y %H:%M'")
    return pattern


def _suggestion(stamp: str, order: str) -> str:
    """The ``strptime`` form of a stamp whose day and month are in the order ``dm`` or ``md``."""
    form = re.sub(r"^\d+(\D)\d+\D\d{4}", rf"%{order[0]}\1%{order[1]}\1%Y", stamp)
    half = re.search(r"[AaPp]\.?[Mm]\.?", form)
    form = re.sub(r"\d+:\d+", "%I:%M" if half else "%H:%M", form, count=1)
    form = re.sub(r"(%M):\d+", r"\1:%S", form)
    form = re.sub(r"(%S[.,:])\d+", r"\1%f", form)
    form = re.sub(r"[AaPp]\.?[Mm]\.?", "%p", form)
    return repr(re.sub(r"(?:[+-]\d\d:?\d*|Z)$", "%z", form))
