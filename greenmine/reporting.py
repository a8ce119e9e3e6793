"""Reporting periods: which days a report is about."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Final

import msgspec

from greenmine.limits import Confidence
from greenmine.tables import CATALOGUES, DataFile, build, catalogue_of, read_catalogue

CATALOGUE: Final = CATALOGUES / "reporting.toml"
"""The periods of Wanzhou District, which ship with the package."""

_MONTH: Final = re.compile(r"([0-9]{4})-([0-9][0-9])")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9][0-9]-[0-9][0-9]")
_QUARTER: Final = re.compile(r"([0-9]{4})-Q([1-4])")
_YEAR: Final = re.compile(r"[0-9]{4}")
_WEEK: Final = re.compile(r"([0-9]{4})-W([0-9][0-9])")
_SPAN: Final = re.compile(r"([0-9]{4}-[0-9][0-9]-[0-9][0-9])(?:\.\.|/)([0-9]{4}-[0-9][0-9]-[0-9][0-9])")
_NAMED: Final = re.compile(r"([0-9]{4})-([A-Z][A-Z0-9]{0,9})")
_LONGEST: Final = timedelta(days=366)
_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 2199
"""Years of periods: beyond them there is no measurement, and soon no calendar."""


class ReportingPeriod(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A period of every year, named by the day on which it ends."""

    id: Annotated[str, msgspec.Meta(pattern=r"^[A-Z][A-Z0-9]{0,9}\Z")]
    name_zh: str
    name_en: str
    ends: Annotated[str, msgspec.Meta(pattern=r"^(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])\Z")]
    """Month and day, ``MM-DD``, inclusive."""


class Summary(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a summary asks of the data."""

    assessable_share: Annotated[float, msgspec.Meta(ge=0, le=1)]
    source: str
    confidence: Confidence


class Reporting(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The catalogue."""

    remind_days: Annotated[int, msgspec.Meta(ge=0, le=366)] = 30
    """A reporting date is called near when so many days are left."""
    periods: tuple[ReportingPeriod, ...]
    summary: Summary


@dataclass(frozen=True, slots=True)
class Period:
    """Days of a report, both inclusive, in the site's zone."""

    name: str
    first: date
    last: date

    @property
    def days(self) -> list[date]:
        """All of them, in order."""
        return [self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1)]


def load_reporting(path: Path | None = None) -> Reporting:
    """The catalogue of reporting periods; None: the one that ships with the package.

    Raises
    ------
    DataFileError
        With every fault of the file.
    """
    return read_catalogue(path or CATALOGUE, _read)


def _read(file: DataFile, faults: list[str]) -> Reporting | None:
    found = build(Reporting, file.table, file.name, faults)
    if found is not None and list(found.periods) != sorted(found.periods, key=lambda p: p.ends):
        faults.append(f"{file.name}: periods must be in the order of the days on which they end")
    return found


def reporting_of(registry: Path | None) -> Reporting:
    """The catalogue of a registry's directory, where it has one of its own; else the one that ships with the package.

    Raises
    ------
    DataFileError
        With every fault of the file.
    """
    return load_reporting(catalogue_of(registry, CATALOGUE))


def around(today: date, reporting: Reporting) -> list[Period]:
    """The reporting period that ended last, the one under way, and the next.

    Parameters
    ----------
    today : date
        In the site's zone; it lies in the second of them.
    reporting : Reporting
        The catalogue.

    Examples
    --------
    >>> [p.name for p in around(date(2026, 6, 20), load_reporting())]
    ['2025-H2', '2026-H1', '2026-H2']
    """
    names = [f"{year}-{p.id}" for year in (today.year - 1, today.year, today.year + 1) for p in reporting.periods]
    periods = [parse_period(name, reporting) for name in names]
    here = next(n for n, period in enumerate(periods) if today <= period.last)
    return periods[here - 1 : here + 2]


def parse_period(text: str, reporting: Reporting) -> Period:
    """The period that a text names.

    Parameters
    ----------
    text : str
        ``2026-H1`` (a reporting period of the catalogue), ``2026-06-30`` (a day), ``2026-W05`` (a week of ISO 8601), ``2026-06`` (a
        month), ``2026-Q2`` (a quarter), ``2026`` (a year), or ``2026-01-01..2026-03-31``, also with ``/`` (days, both inclusive,
        366 at the most).
    reporting : Reporting
        The catalogue.

    Raises
    ------
    ValueError
        If it has another form or names no period.

    Examples
    --------
    >>> parse_period("2026-H1", load_reporting())
    Period(name='2026-H1', first=datetime.date(2025, 12, 6), last=datetime.date(2026, 6, 20))
    >>> parse_period("2026-W01", load_reporting()).first
    datetime.date(2025, 12, 29)
    """
    try:
        period = _parsed(text, reporting)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"period {text!r}: {error}") from error
    if period is None:
        named = ", ".join(f"2026-{p.id}" for p in reporting.periods)
        raise ValueError(
            f"period {text!r}: must be like {named}, 2026-06, 2026-Q2, 2026, 2026-W05, 2026-06-30 or 2026-01-01..2026-03-31 "
            "(1 to 366 days)"
        )
    if period.first.year < _FIRST_YEAR or period.last.year > _LAST_YEAR:
        raise ValueError(f"period {text!r}: must lie in the years {_FIRST_YEAR} to {_LAST_YEAR}")
    return period


def _parsed(text: str, reporting: Reporting) -> Period | None:
    """The period of a text, wherever in the calendar; None for a text of another form."""
    if match := _MONTH.fullmatch(text):
        return _months(text, int(match[1]), int(match[2]), 1)
    if _DAY.fullmatch(text):
        return Period(text, date.fromisoformat(text), date.fromisoformat(text))
    if _YEAR.fullmatch(text):
        return _months(text, int(text), 1, 12)
    if match := _SPAN.fullmatch(text):
        first, last = date.fromisoformat(match[1]), date.fromisoformat(match[2])
        if not first <= last < first + _LONGEST:
            raise ValueError(
                f"it must end on or after the day on which it begins, and last {_LONGEST.days} days at most"
            )
        return Period(f"{first}..{last}", first, last)
    if (match := _NAMED.fullmatch(text)) and match[2] in (ids := [p.id for p in reporting.periods]):
        place = ids.index(match[2])
        ends = [date.fromisoformat(f"{match[1]}-{p.ends}") for p in reporting.periods]
        before = ends[place - 1] if place else ends[-1].replace(year=ends[-1].year - 1)
        return Period(text, before + timedelta(days=1), ends[place])
    if match := _QUARTER.fullmatch(text):
        return _months(text, int(match[1]), 3 * int(match[2]) - 2, 3)
    if match := _WEEK.fullmatch(text):
        monday = date.fromisocalendar(int(match[1]), int(match[2]), 1)
        return Period(text, monday, monday + timedelta(days=6))
    return None


def _months(name: str, year: int, month: int, count: int) -> Period:
    last = month + count - 1
    return Period(name, date(year, month, 1), date(year, last, calendar.monthrange(year, last)[1]))


def period_before(period: Period, reporting: Reporting) -> Period:
    """The period of the same kind that ends on the day before another begins.

    Before a reporting period comes the one of the catalogue that precedes it, before a month, quarter or year one of the same,
    before other days as many days.

    Examples
    --------
    >>> period_before(parse_period("2026-H1", load_reporting()), load_reporting()).name
    '2025-H2'
    >>> period_before(parse_period("2026-03", load_reporting()), load_reporting()).name
    '2026-02'
    """
    last = period.first - timedelta(days=1)
    if _MONTH.fullmatch(period.name):
        return parse_period(f"{last:%Y-%m}", reporting)
    ends = [f"{last.year}-{p.id}" for p in reporting.periods if p.ends == f"{last:%m-%d}"]
    if _NAMED.fullmatch(period.name) and ends:
        return parse_period(ends[0], reporting)
    if _QUARTER.fullmatch(period.name):
        return parse_period(f"{last.year}-Q{-(-last.month // 3)}", reporting)
    if _YEAR.fullmatch(period.name):
        return parse_period(f"{last.year}", reporting)
    first = period.first - (period.last - period.first) - timedelta(days=1)
    return Period(f"{first}..{last}", first, last)
