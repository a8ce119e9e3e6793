"""Content of a filed report: figures by station and parameter, what the limits say of them, and exceedances."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from greenmine.entries import Inspection
from greenmine.evidence.figures import windows_due
from greenmine.evidence.recompute import midnight
from greenmine.evidence.report.words import ReportWords
from greenmine.limits import addressee, threshold_on
from greenmine.parameters import Parameter
from greenmine.processing.averaging import figure_of_parts
from greenmine.processing.summary import Conclusion, RuleTally, conclude, tally
from greenmine.processing.verdicts import Verdict
from greenmine.readings import NORMAL
from greenmine.record.reader import Queries, Row, Scope
from greenmine.registry import Channel, Registry, Rule, Site
from greenmine.reporting import Period, Reporting
from greenmine.times import MINUTE, local
from greenmine.wording.messages import Language

Kind = Literal["day", "week", "month", "quarter", "year", "span"]

_DAYS: Final = 31
"""Longest period with a row for each day; a longer one has a row for each month."""
_KINDS: Final[tuple[tuple[Kind, str], ...]] = (
    ("month", r"\d{4}-\d\d"),
    ("week", r"\d{4}-W\d\d"),
    ("quarter", r"\d{4}-Q\d"),
    ("year", r"\d{4}"),
)
_EVENTS: Final = 500
NO_DATA: Final = "—"
TOO_FEW: Final = "#"


@dataclass(frozen=True, slots=True)
class FiledFigure:
    """A figure of a table; ``mark`` says in a letter why there is none that counts."""

    value: float | None
    mark: str = ""


@dataclass(frozen=True, slots=True)
class FiguresColumn:
    """Figures of one channel, in the order of the rows; of sound over a day, of its day or night."""

    station: str
    symbol: str
    unit: str
    part: str
    parameter: Parameter
    figures: tuple[FiledFigure, ...]
    capture: float

    @property
    def mean(self) -> float | None:
        """Mean of the figures that count by the parameter's way of averaging; of rain the sum; None where none counts."""
        had = [f.value for f in self.figures if f.value is not None]
        return figure_of_parts(self.parameter.averaging, had) if had else None


@dataclass(frozen=True, slots=True)
class FiguresTable:
    """Figures of a theme."""

    theme: str
    rows: tuple[str, ...]
    columns: tuple[FiguresColumn, ...]


@dataclass(frozen=True, slots=True)
class LimitLine:
    """What a limit says of a period."""

    station: str
    limit: str
    bound: str
    unit: str
    clause: str
    tally: RuleTally


@dataclass(frozen=True, slots=True)
class EventLine:
    """An exceedance: what, when, how far, and what was done."""

    site: str
    station: str
    limit: str
    start: datetime
    end: datetime | None
    peak: float | None
    threshold: float | None
    unit: str
    parameter: Parameter
    cause: str
    handling: str


@dataclass(frozen=True, slots=True)
class InspectionLine:
    """An inspection in the period, or one that was not put right before it."""

    site: str
    inspection: Inspection
    overdue: bool


@dataclass(frozen=True, slots=True)
class SitePart:
    """What a report says of one mine."""

    site: Site
    tables: tuple[FiguresTable, ...]
    limits: tuple[LimitLine, ...]
    conclusions: tuple[Conclusion, ...]
    events: tuple[EventLine, ...]
    inspections: tuple[InspectionLine, ...]
    capture: float
    silent_days: int
    """Days that began, and from which nothing valid came."""


@dataclass(frozen=True, slots=True)
class FiledReport:
    """A report of one mine, or of the district where it has several parts and no tables."""

    kind: Kind
    period: Period
    words: ReportWords
    made: datetime
    open: bool
    """Whether the period still runs: more will come."""
    district: bool
    parts: tuple[SitePart, ...]

    @property
    def title(self) -> str:
        """Title, such as 扬尘、噪声和废水监测日报."""
        whose = "district" if self.district else "mine"
        return self.words.t(f"filed.title-{whose}", kind=self.words.t(f"filed.kind-{self.kind}"))

    @property
    def subject(self) -> str:
        """The mine, or the district."""
        return self.words.t("filed.district") if self.district else self.words.name(self.parts[0].site)

    @property
    def days(self) -> str:
        """The days, both included."""
        p = self.period
        return f"{p.first}" if p.first == p.last else self.words.t("filed.days", first=p.first, last=p.last)


def kind_of(period: Period) -> Kind:
    """Return the kind of a period by its name."""
    if period.first == period.last:
        return "day"
    return next((kind for kind, form in _KINDS if re.fullmatch(form, period.name)), "span")


def filed_report(
    queries: Queries,
    scope: Scope,
    sites: Sequence[Site],
    period: Period,
    reporting: Reporting,
    language: Language,
    now: int,
    *,
    district: bool,
) -> FiledReport:
    """Gather a report from the record.

    Parameters
    ----------
    queries : Queries
        Of the record.
    scope : Scope
        Sites that may be read.
    sites : sequence of Site
        Those that the report is about, all in scope; of several only conclusions and exceedances are told.
    period : Period
        Local days.
    reporting : Reporting
        Says how much must be assessable before a theme meets its limits.
    language : str
        ``zh`` or ``en``.
    now : int
        The clock [ms UTC]: windows that have not ended are not due.
    district : bool
        Tell of the district: no figures of single stations.

    Raises
    ------
    ValueError
        The period has not begun.
    """
    words = ReportWords(language, queries.registry)
    today = local(now, sites[0].zone).date()
    if today < period.first:
        raise ValueError(f"period {period.name}: begins on {period.first}, which is still to come")
    return FiledReport(
        kind=kind_of(period),
        period=period,
        words=words,
        made=local(now, sites[0].zone),
        open=today <= period.last,
        district=district,
        parts=tuple(_part(queries, scope, site, period, reporting, words, now, district=district) for site in sites),
    )


def _part(
    queries: Queries,
    scope: Scope,
    site: Site,
    period: Period,
    reporting: Reporting,
    words: ReportWords,
    now: int,
    *,
    district: bool,
) -> SitePart:
    zone = ZoneInfo(site.zone)
    start, end = (midnight(day, zone) * MINUTE for day in (period.first, period.last + timedelta(days=1)))
    registry = queries.registry
    lines = _limits(queries, scope, site, (start, min(end, now)), words)
    judged = [c for c in registry.site_channels(site.id) if registry.is_judged(c.parameter.id)]
    found = queries.captures(scope, start, min(end, now), site.id)
    readings = sum(found[c.key].readings for c in judged if c.key in found)
    expected = sum((min(end, now) - start) / c.interval for c in judged)
    days = [day for day in period.days if midnight(day, zone) * MINUTE < now]
    return SitePart(
        site=site,
        tables=() if district else tuple(_tables(queries, scope, site, period, words, now)),
        limits=tuple(lines),
        conclusions=tuple(conclude([line.tally for line in lines], reporting.summary.assessable_share)),
        events=tuple(_events(queries, scope, site, (start, end), words)),
        inspections=tuple(_inspections(site, period, local(min(end, now) - 1, site.zone).date(), words)),
        capture=readings / expected if expected else 0.0,
        silent_days=len(days) - _days_heard(queries, scope, registry, site, start, end),
    )


def _days_heard(queries: Queries, scope: Scope, registry: Registry, site: Site, start: int, end: int) -> int:
    """Days on which at least one channel of a judged parameter has a valid hour."""
    heard: set[date] = set()
    judged = {c.key for c in registry.site_channels(site.id) if registry.is_judged(c.parameter.id)}
    for key, rows in queries.hours(scope, start, end, site.id).items():
        if key in judged:
            heard.update(local(row.start, site.zone).date() for row in rows if row.valid)
    return len(heard)


def _limits(queries: Queries, scope: Scope, site: Site, span: tuple[int, int], words: ReportWords) -> list[LimitLine]:
    """Legal limits and targets in force at the end of a span, in the registry's order."""
    registry = queries.registry
    zone = ZoneInfo(site.zone)
    counted: dict[str, list[Row]] = {}
    for row in queries.verdict_counts(scope, *span, site=site.id):
        counted.setdefault(row.rule, []).append(row)
    lasting = queries.exceeding_rules(scope)
    lines = []
    for rule in registry.rules:
        threshold = threshold_on(rule.limit, local(span[1] - 1, site.zone).date())
        if rule.site != site.id or rule.limit.kind == "warning" or threshold is None:
            continue
        verdicts = [_told(row) for row in counted.get(rule.key, ()) for _ in range(row.n)]
        windows = windows_due(rule.limit, registry, _Stretch(span[0] // MINUTE, span[1] // MINUTE), zone)
        due = sum(finish * MINUTE <= span[1] for _, finish in windows)
        theme = registry.parameters[rule.limit.parameter].theme
        lines.append(
            LimitLine(
                words.station(rule.key),
                words.limit(rule.key),
                words.bounds(threshold.low, threshold.high),
                words.unit(rule.limit.unit),
                _clause(rule, threshold.clause, words),
                tally(theme, addressee(rule.limit), verdicts, due, int(rule.key in lasting)),
            )
        )
    return lines


@dataclass(frozen=True, slots=True)
class _Stretch:
    start: int
    end: int


def _told(row: Row) -> Verdict:
    return Verdict(row.verdict, row.reason, None, None, None, tuple(row.reasons.split()))


def _clause(rule: Rule, clause: str, words: ReportWords) -> str:
    return words.cited(f"{rule.limit.standard} {clause}".strip())


def _tables(
    queries: Queries, scope: Scope, site: Site, period: Period, words: ReportWords, now: int
) -> Iterable[FiguresTable]:
    registry = queries.registry
    channels = [c for c in registry.site_channels(site.id) if c.parameter.has_mean or c.parameter.is_total]
    for theme in registry.themes:
        mine = [c for c in channels if c.parameter.theme == theme]
        if not mine:
            continue
        made = [column for channel in mine for column in _columns(queries, scope, site, channel, period, words, now)]
        if made:
            yield FiguresTable(theme, tuple(_rows(period)), tuple(made))


def _rows(period: Period) -> list[str]:
    if period.first == period.last:
        return [f"{hour:02d}:00–{hour + 1:02d}:00" for hour in range(24)]
    if len(period.days) <= _DAYS:
        return [f"{day:%m-%d}" for day in period.days]
    return [f"{year}-{month:02d}" for (year, month), _ in groupby(period.days, lambda d: (d.year, d.month))]


def _columns(
    queries: Queries, scope: Scope, site: Site, channel: Channel, period: Period, words: ReportWords, now: int
) -> Iterable[FiguresColumn]:
    single = period.first == period.last
    parts = [("hour", "")] if single else [("day", "")]
    if channel.parameter.is_level and not single:
        parts = [("daytime", words.t("filed.daytime")), ("nighttime", words.t("filed.nighttime"))]
    zone = ZoneInfo(site.zone)
    start, end = (midnight(day, zone) * MINUTE for day in (period.first, period.last + timedelta(days=1)))
    conditions = queries.registry.conditions
    day = (conditions.night_start - conditions.day_start) / 24
    shares = {"hour": 1.0, "day": 1.0, "daytime": day, "nighttime": 1 - day}
    due = min(end, now) - start
    for window, part in parts:
        rows = queries.statistics(scope, channel.key, window, start, end, revisions=False, limit=10_000)
        by_row: dict[Any, list[Row]] = {}
        slot = _slot(period, site.zone)
        for row in rows:
            by_row.setdefault(slot(row.start), []).append(row)
        figures = tuple(_figure(queries, scope, channel, by_row.get(place, [])) for place in _slots(period))
        yield FiguresColumn(
            station=words.station(channel.key),
            symbol=channel.parameter.symbol,
            unit=words.unit(channel.parameter.unit),
            part=part,
            parameter=channel.parameter,
            figures=figures,
            capture=sum(_readings(row) for row in rows) / max(1.0, due * shares[window] / channel.interval),
        )


def _readings(row: Row) -> int:
    return int(row._mapping["count"])  # noqa: SLF001 - a row is a tuple, whose count is a method


def _slots(period: Period) -> list[Any]:
    if period.first == period.last:
        return list(range(24))
    if len(period.days) <= _DAYS:
        return list(period.days)
    return list(dict.fromkeys((day.year, day.month) for day in period.days))


def _slot(period: Period, zone: str) -> Callable[[int], Any]:
    """Which row a window that begins at an instant belongs to."""
    if period.first == period.last:
        return lambda instant: local(instant, zone).hour
    if len(period.days) <= _DAYS:
        return lambda instant: local(instant, zone).date()
    return lambda instant: (local(instant, zone).year, local(instant, zone).month)


def _figure(queries: Queries, scope: Scope, channel: Channel, rows: Sequence[Row]) -> FiledFigure:
    """Mean of the valid windows of a row; without any, the letter of the flag that most of their readings carry."""
    good = [row.mean for row in rows if row.valid and row.mean is not None]
    if good:
        return FiledFigure(figure_of_parts(channel.parameter.averaging, good))
    if not rows:
        return FiledFigure(None, NO_DATA)
    flags = queries.readings(scope, channel.key, rows[0].start, rows[-1].end)["flag"]
    if not len(flags):
        return FiledFigure(None, NO_DATA)
    letters = Counter(chr(flag) for flag in flags.tolist() if flag != NORMAL)
    return FiledFigure(None, letters.most_common(1)[0][0] if letters else TOO_FEW)


def _inspections(site: Site, period: Period, today: date, words: ReportWords) -> Iterable[InspectionLine]:
    """Inspections of the period, and earlier ones that wait to be put right or were so in the period, by day."""
    for one in sorted(site.inspections, key=lambda inspection: inspection.day):
        waited = one.deadline is not None and (one.done is None or one.done >= period.first)
        if period.first <= one.day <= period.last or (one.day < period.first and waited):
            yield InspectionLine(words.name(site), one, one.overdue(today))


def _events(
    queries: Queries, scope: Scope, site: Site, span: tuple[int, int], words: ReportWords
) -> Iterable[EventLine]:
    found = queries.exceedances(scope, *span, site=site.id, limit=_EVENTS)
    rules = {rule.key: rule for rule in queries.registry.rules}
    for row in reversed([row for row in found if row.state != "withdrawn" and row.rule in rules]):
        yield EventLine(
            words.name(site),
            words.station(row.rule),
            words.limit(row.rule),
            local(row.start, site.zone),
            None if row.end is None else local(row.end, site.zone),
            row.peak,
            row.threshold,
            words.unit(rules[row.rule].limit.unit),
            queries.registry.channels[rules[row.rule].channel].parameter,
            row.cause,
            row.handling,
        )
