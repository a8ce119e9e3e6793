"""The catalogue of limits: numbers of the law as data, with clause, source, confidence and dates in force."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal

import msgspec

from greenmine.clauses import in_language
from greenmine.parameters import Parameter, load_parameters
from greenmine.tables import CATALOGUES, DataFile, Entry, Id, Number, build, nearest, read_catalogue
from greenmine.themes import Theme, load_themes
from greenmine.wording.messages import LANGUAGES, SHARED, Language, texts

CATALOGUE: Final = CATALOGUES / "limits.toml"
"""The catalogue that ships with the package."""

Window = Literal["1min", "5min", "15min", "hour", "8h", "day", "daytime", "nighttime", "month", "quarter", "year"]
"""Legal periods: one, five and fifteen minutes of the clock, clock hour, eight hours from midnight on, natural day, day and night
periods, calendar month, quarter and year, all in the site's zone."""

SHORT: Final[dict[Window, int]] = {"1min": 1, "5min": 5, "15min": 15, "hour": 60}
"""Length of windows up to an hour [min]."""

LONG: Final[frozenset[Window]] = frozenset({"month", "quarter", "year"})
"""Windows that are judged by daily means, when they are over."""

Addressee = Literal["emission", "quality", "own"]
"""Who is bound: the enterprise by an emission limit; the local government by a limit of environmental quality (GB 29620 4.5:
"地方政府应对本辖区环境质量负责"); the enterprise by a target of its own."""

Confidence = Literal[
    "verified: official text",
    "verified: secondary sources",
    "recalled: very sure",
    "recalled: fairly sure",
    "recalled: unsure",
    "set by the enterprise",
    "text to be confirmed",
]
"""How far a number may be relied on; only ``verified: official text`` was read in the standard itself. A
threshold whose ``text to be confirmed`` was not seen at all has no number: nothing can be judged by it."""


Enterprises = Literal["all", "existing", "new"]
"""Which enterprises a threshold binds (现有企业、新建企业)."""


class Threshold(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The number of a limit while it is in force; a value equal to it meets the limit."""

    valid_from: date
    valid_to: date | None = None
    """Last day in force, inclusive; None: until further notice."""
    low: Number | None = None
    high: Number | None = None
    source: str
    clause: str
    confidence: Confidence
    enterprises: Enterprises = "all"
    """Which enterprises it binds; see `Limit.new_since`."""

    @property
    def citation(self) -> str:
        """The standard with its clause, or who set the number."""
        return ", ".join(filter(None, (self.source, self.clause)))


class Validity(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How much data a figure needs before it may be judged."""

    minutes_per_hour: int = 45
    """Valid minutes that make an hour valid; as a share of the expected readings where fewer than one a minute are due."""
    hours: int | None = None
    """Valid hours that a longer period needs; for months, quarters and years those of each of their days."""
    days: int | None = None
    """Valid daily means that a year needs."""
    days_per_month: int | None = None
    """Valid daily means that each month of a month, quarter or year needs."""
    days_in_february: int | None = None
    """The same for a February; None: as for the others."""
    source: str
    confidence: Confidence = "recalled: unsure"


class Rounding(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a figure is compared with the threshold (GB/T 8170-2008)."""

    compare: Literal["full", "rounded", "corrected"] = "full"
    """``corrected``: only a level that was corrected for its background is rounded (HJ 706-2014, 5.4)."""
    digits: int = 0
    source: str
    confidence: Confidence = "recalled: unsure"


class GasState(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """State of gas in which a limit is given."""

    temperature: Number
    """[K]"""
    pressure: Number
    """[Pa]"""
    dry: bool = False
    """Whether it is that of dry gas."""


class InstrumentRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a standard asks of an instrument for a verdict to be statutory."""

    methods: tuple[str, ...] = ()
    """Methods that it names; empty: it names none, and any will do."""
    grade: Literal[1, 2] | None = None
    """Worst class of a sound level meter; None: it asks for no class."""
    drift: Number | None = None
    """Largest change between the acoustic checks before and after a measurement [dB]; None: it asks for no checks."""
    source: str
    confidence: Confidence = "recalled: unsure"


class Alarm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How an exceedance begins and ends, on the statistic that slides by one minute."""

    sliding_minutes: int
    delay_minutes: int = 1
    """The statistic must stay above for this long."""
    clear_minutes: int = 5
    """The statistic must stay under the clearing level for this long."""
    lost_minutes: int = 60
    """An episode ends, too, when the statistic could not be assessed for this long."""
    hysteresis: Number = 0.0
    """Distance of the clearing level from the threshold, in the limit's unit, towards compliance."""


class Limit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A threshold with the statistic it applies to and the rules by which it is judged."""

    id: Id
    name_zh: str
    name_en: str
    standard: str
    parameter: str
    statistic: Literal["mean", "maximum", "difference", "county-difference", "range", "percentile"]
    """``mean`` by the parameter's way of averaging; ``difference``: downwind minus upwind of hourly means; ``county-difference``:
    the hourly mean minus that of the county's station, whatever the wind; ``range``: every valid hourly value must lie within the
    limit, so that the worst one decides (pH, which is judged as it is measured); ``percentile`` of the daily means of a year."""
    percentile: float | None = None
    """For the statistic ``percentile``: which one [%], such as 95."""
    window: Window
    unit: str
    hour: Literal["clock", "any"] = "clock"
    """For the window ``hour``: the clock hour, or any 60 minutes (GB 16297 8.2: 任何1小时平均值), told by the minute."""
    period: Literal["whole", "working"] = "whole"
    """Which part of the window is judged: all of it, or the time in which the source works (GB 12348 5.2.2, 5.4.3). Where
    working time is not known, the loudest representative hour is taken for it."""
    event: Literal["frequent", "occasional", "any"] | None = None
    """For maxima of sound in a night: judged are single events that stand out, of this kind alone; None: any maximum."""
    due: Literal["all", "discharge"] = "all"
    """Which hours of the window count: all, or those in which water is discharged, told by a flow meter (GB 8978 5.2: by the
    production cycle); means are then weighted by flow. Where no flow is measured all hours count."""
    works: bool = False
    """Whether it binds brick and tile works alone, and not a mere quarry (GB 29620-2013, clause 1)."""
    new_since: date | None = None
    """Enterprises whose assessment was approved from this day on are new ones, the others existing ones."""
    allowed: int = 0
    """So many windows of a natural day may lie beyond the threshold; with any allowed, the day is what is judged."""
    kind: Literal["legal", "target", "warning"] = "legal"
    addressee: Addressee | None = None
    """Left out: ``own`` for what is not legal, ``quality`` under a standard of environmental quality, else ``emission``."""
    indicative: bool = False
    """True where the standard knows no automatic method: shown as an indication, never as a legal result."""
    exclude_weather: bool = False
    """Minutes with rain, or wind at or above the catalogue's bound, do not count."""
    state: GasState | None = None
    """State of gas of the threshold, to which concentrations are converted; None: the actual state."""
    validity: Validity
    rounding: Rounding
    alarm: Alarm | None = None
    instrument: InstrumentRule | None = None
    """None: nothing beyond what any verdict asks for: a method, an approval and a verification that are shown."""
    thresholds: tuple[Threshold, ...]
    note_zh: str = ""
    note_en: str = ""


_QUALITY: Final = ("GB 3095", "GB 3096", "GB 3838")
"""Standards of environmental quality by their first words, editions aside."""


def addressee(limit: Limit) -> Addressee:
    """Whom a limit binds; a target or warning value is always the enterprise's own."""
    if limit.kind != "legal":
        return "own"
    return limit.addressee or ("quality" if limit.standard.startswith(_QUALITY) else "emission")


class WindClasses(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Upper ends of the classes a, b and c of conditions of the wind; beyond the last it is class d."""

    sigma: tuple[Number, Number, Number]
    """Standard deviation of the direction [deg]; the first end is not included, the others are."""
    speed: tuple[Number, Number, Number]
    """Mean speed [m/s], included; under ``difference_wind_minimum`` it is class d, too."""
    source: str
    confidence: Confidence


class Conditions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Conditions of measurement that several limits share."""

    day_start: int
    """First hour of the day period, local time."""
    night_start: int
    """First hour of the night period, local time."""
    wind_invalid: Number
    """Wind speed at and above which a noise minute does not count [m/s]."""
    difference_wind_minimum: Number
    """Below this mean wind an upwind and a downwind side cannot be told apart [m/s]."""
    difference_sector: Number
    """Largest angle between the mean wind and the line from source to station for 'downwind' [deg]."""
    suitability: WindClasses | None = None
    """Wind that does for a difference; None: any does."""
    minutes_per_hour: int
    """Valid minutes that make an hourly figure valid where no limit says otherwise."""
    day_hours: int
    """Valid hours that make a figure over a natural day valid where no limit says otherwise."""
    daytime_hours: int
    """The same for a day period."""
    nighttime_hours: int
    """The same for a night period."""
    known_share: Number = 0.75
    """Share of the judged time for which wind and rain must have been measured before bad weather counts as excluded, and of a
    period for which the state of equipment must be known; a choice of this project."""
    working_minutes: int = 60
    """Valid minutes of working time that the level of a day or night period needs; a choice of this project."""
    steady_variation: Number = 3.0
    """The minutes of a steady source vary by at most this much [dB] (GB 12348-2008, 3.11)."""
    steady_minutes: int = 10
    """Valid minutes of working time that suffice where the source is steady; a choice of this project."""
    event_excess: Number = 10.0
    """A sound event stands out of the median of the maxima around it by at least this much [dB]; a choice of this project."""
    event_surroundings: int = 30
    """How far these surroundings reach before and after a minute [min]; a choice of this project."""
    frequent_events: int = 5
    """From so many events a night on, in at least ``frequent_hours`` different hours, they are frequent; a choice of this
    project."""
    frequent_hours: int = 3
    """See ``frequent_events``."""
    source: str
    confidence: Confidence


def threshold_on(limit: Limit, day: date) -> Threshold | None:
    """The threshold in force on a day; None if the limit is not in force then. First and last day are included."""
    for threshold in limit.thresholds:
        if threshold.valid_from <= day and (threshold.valid_to is None or day <= threshold.valid_to):
            return threshold
    return None


def limit_for(limit: Limit, established: date | None) -> Limit:
    """The limit with the thresholds that bind an enterprise whose assessment was approved on a day; None: an existing one."""
    if limit.new_since is None:
        return limit
    new = established is not None and established >= limit.new_since
    mine = tuple(t for t in limit.thresholds if t.enterprises in {"all", "new" if new else "existing"})
    return msgspec.structs.replace(limit, thresholds=mine)


def load_limits(
    path: Path | None = None,
    parameters: Mapping[str, Parameter] | None = None,
    themes: Mapping[str, Theme] | None = None,
) -> tuple[dict[str, Limit], Conditions]:
    """The limits by id, in the order of the catalogue, and the conditions of measurement.

    Parameters
    ----------
    path : Path, optional
        A catalogue file; None: the one that ships with the package.
    parameters : mapping of Parameter, optional
        What limits may refer to; None: the catalogue that ships with the package.
    themes : mapping of Theme, optional
        Those of the parameters; None: the catalogue that ships with the package.

    Raises
    ------
    DataFileError
        With every fault of the file.
    """
    about = load_themes() if themes is None else themes
    measured = load_parameters(themes=about) if parameters is None else parameters

    def read(file: DataFile, faults: list[str]) -> tuple[dict[str, Limit], Conditions] | None:
        limits, conditions = read_limits(file, measured, about, faults)
        return None if conditions is None else (limits, conditions)

    return read_catalogue(path or CATALOGUE, read)


def read_limits(
    file: DataFile, parameters: Mapping[str, Parameter], themes: Mapping[str, Theme], faults: list[str]
) -> tuple[dict[str, Limit], Conditions | None]:
    """The sound limits of a file and its conditions; what is wrong with the others is added to ``faults``."""
    file.expect(["conditions", "limits", "sources", *_SHARED], faults)
    conditions = _conditions(file, faults)
    reported = _insert_shared_rules(file, faults)
    found: dict[str, Limit] = {}
    for entry in file.entries("limits", Limit, faults):
        if entry.value is not None:
            found[entry.value.id] = entry.value
            if entry.id not in reported:
                _check(entry, entry.value, parameters, themes, faults)
    return found, conditions


def read_sources(file: DataFile, faults: list[str]) -> dict[str, str]:
    """SHA-256 of the texts in which numbers of a file were read, by the standard's name."""
    table = file.table.get("sources", {})
    if not isinstance(table, dict) or not all(isinstance(v, str) and _SHA256.fullmatch(v) for v in table.values()):
        faults.append(
            f'{file.name}: [sources] must hold a SHA-256 of 64 hexadecimal digits for each standard: "GB 1-2000" = "…"'
        )
        return {}
    return table


def limits_table(limits: Iterable[Limit], language: Language = "en") -> str:
    """The limits as a Markdown table with one row for each threshold; ``docs/limits.md`` and ``docs/limits.zh.md`` hold it."""
    if language == "en":
        head = "| id | limit | value | unit | in force | statistic | clause | confidence |\n"
        rows = (_english_row(limit, threshold) for limit in limits for threshold in limit.thresholds)
    else:
        head = "| 编号 | 限值 | 数值 | 单位 | 有效期 | 统计量 | 条款 | 可信程度 |\n"
        rows = (_chinese_row(limit, threshold) for limit in limits for threshold in limit.thresholds)
    return head + "| --- " * 8 + "|\n" + "".join(rows)


def _english_row(limit: Limit, threshold: Threshold) -> str:
    enterprises = "" if threshold.enterprises == "all" else f" ({threshold.enterprises} enterprises)"
    return (
        f"| `{limit.id}` | {limit.name_en} {limit.name_zh}{' (indicative)' if limit.indicative else ''} "
        f"| {_bounds(threshold)} | {limit.unit} | {threshold.valid_from} – {threshold.valid_to or ''}{enterprises} "
        f"| {limit.statistic}, {limit.window} | {threshold.citation} | {threshold.confidence} |\n"
    )


def _chinese_row(limit: Limit, threshold: Threshold) -> str:
    words = texts(SHARED, "zh")
    enterprises = {"all": "", "existing": "（现有企业）", "new": "（新建企业）"}[threshold.enterprises]
    confidence = words[f"confidence.{threshold.confidence.replace(': ', '-').replace(' ', '-')}"]
    return (
        f"| `{limit.id}` | {limit.name_zh}{'（参考）' if limit.indicative else ''} "
        f"| {_bounds(threshold)} | {limit.unit} | {threshold.valid_from} – {threshold.valid_to or ''}{enterprises} "
        f"| {words[f'statistic.{limit.statistic}']}，{words[f'window.{limit.window}']} "
        f"| {in_language(threshold.citation, 'zh')} | {confidence} |\n"
    )


_AT_MOST: Final = {"minutes_per_hour": 60, "hours": 24, "days": 366, "days_per_month": 31, "days_in_february": 29}
"""What can be asked of validity at most."""
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_SHARED: Final = ("validity", "rounding", "alarm", "instrument")
"""Rules that many limits share: a table of named ones each, and a limit gives the name."""


def _conditions(file: DataFile, faults: list[str]) -> Conditions | None:
    table = file.table.get("conditions")
    if not isinstance(table, dict):
        faults.append(f"{file.name}: the table [conditions] is missing")
        return None
    place = f"{file.name}, [conditions]"
    conditions = build(Conditions, table, place, faults)
    if conditions is None:
        return None
    if not 0 <= conditions.day_start < conditions.night_start <= 23:
        faults.append(f"{place}: day_start must come before night_start, both hours from 0 to 23")
        return conditions
    daytime = conditions.night_start - conditions.day_start
    for name, most in (
        ("minutes_per_hour", 60),
        ("day_hours", 24),
        ("daytime_hours", daytime),
        ("nighttime_hours", 24 - daytime),
    ):
        if not 1 <= getattr(conditions, name) <= most:
            faults.append(f"{place}: {name} must be from 1 to {most}")
    at_least_one = ("working_minutes", "steady_minutes", "event_surroundings", "frequent_events", "frequent_hours")
    faults.extend(f"{place}: {name} must be at least 1" for name in at_least_one if getattr(conditions, name) < 1)
    if conditions.event_excess <= 0:
        faults.append(f"{place}: event_excess must be above 0")
    if not 0 < conditions.known_share <= 1:
        faults.append(f"{place}: known_share must be above 0 and at most 1")
    if conditions.wind_invalid <= 0:
        faults.append(f"{place}: wind_invalid must be above 0")
    if not 0 < conditions.difference_sector <= 90:
        faults.append(f"{place}: difference_sector must be above 0 and at most 90")
    not_below = ("steady_variation", "difference_wind_minimum")
    faults.extend(f"{place}: {name} must not be below 0" for name in not_below if getattr(conditions, name) < 0)
    classes = conditions.suitability
    if classes is not None:
        for name, ends in (("sigma", classes.sigma), ("speed", classes.speed)):
            if not 0 < ends[0] < ends[1] < ends[2]:
                faults.append(f"{place}: suitability: {name} must be three numbers above 0, each larger than the last")
    return conditions


def _insert_shared_rules(file: DataFile, faults: list[str]) -> set[object]:
    """Put the named rules in the place of their names, so that a limit is a complete table.

    Returns the ids of limits that name a rule which is not there. Any other rule stands in for it, so that one wrong
    name is one fault.
    """
    rows = file.table.get("limits", [])
    reported: set[object] = set()
    for rule in _SHARED:
        named = file.table.get(rule, {})
        if not isinstance(named, dict):
            faults.append(f"{file.name}: {rule} must hold named tables; write [{rule}.NAME]")
            continue
        for row in rows if isinstance(rows, list) else ():
            name = row.get(rule) if isinstance(row, dict) else None
            if not isinstance(name, str):
                continue
            if name not in named:
                faults.append(f'{file.name}, limit "{row.get("id")}": no [{rule}.{name}]; {nearest(name, named)}')
                reported.add(row.get("id"))
            row[rule] = named.get(name) or next(iter(named.values()), {})
    return reported


def _check(
    entry: Entry[Limit],
    limit: Limit,
    parameters: Mapping[str, Parameter],
    themes: Mapping[str, Theme],
    faults: list[str],
) -> None:
    def fault(text: str) -> None:
        faults.append(f"{entry.place}: {text}")

    parameter = parameters.get(limit.parameter)
    if parameter is None:
        fault(f"there is no parameter {limit.parameter!r}; {nearest(limit.parameter, parameters)}")
    elif limit.unit != parameter.unit:
        fault(f"unit {limit.unit!r} must be that of {limit.parameter}: {parameter.unit!r}")
    elif parameter.theme in themes and not themes[parameter.theme].judged:
        fault(
            f"{limit.parameter} is of the theme {parameter.theme!r}, which is not judged; give the theme judged = true"
        )
    _check_window(limit, fault)
    if limit.validity.hours is not None and limit.window in SHORT:
        fault("validity: hours is for periods longer than an hour; leave it out")
    if limit.validity.hours is None and limit.window not in SHORT:
        fault(f"validity: hours is missing; say how many valid hours a {limit.window} needs")
    for name, most in _AT_MOST.items():
        asked = getattr(limit.validity, name)
        if asked is not None and not 1 <= asked <= most:
            fault(f"validity: {name} must be from 1 to {most}")
    if limit.instrument is not None and (limit.instrument.drift or 0) < 0:
        fault("instrument: drift must not be below 0")
    alarm = limit.alarm
    if alarm is not None and (min(alarm.sliding_minutes, alarm.delay_minutes, alarm.clear_minutes) < 1):
        fault("alarm: sliding_minutes, delay_minutes and clear_minutes must be at least 1")
    if alarm is not None and alarm.sliding_minutes > 60 and alarm.sliding_minutes % 60:
        fault("alarm: sliding_minutes beyond an hour must be whole hours: their mean is one of hours")
    if alarm is not None and alarm.hysteresis < 0:
        fault("alarm: hysteresis must not be below 0")
    if not limit.thresholds:
        fault("thresholds is empty; give at least one")
    if limit.new_since is None and any(threshold.enterprises != "all" for threshold in limit.thresholds):
        fault("new_since is missing; say from when on enterprises are new")
    for threshold in limit.thresholds:
        unseen = threshold.confidence == "text to be confirmed"
        if unseen is not (threshold.low is None and threshold.high is None):
            fault("thresholds: give low, high or both; only one whose text is to be confirmed has neither")
        if parameter is not None:
            for text in not_measurable(limit, parameter, threshold.low, threshold.high):
                fault(f"thresholds: {text}")
    for established in dict.fromkeys((None, limit.new_since)):
        _check_thresholds(limit_for(limit, established).thresholds, fault)


def not_measurable(limit: Limit, parameter: Parameter, low: float | None, high: float | None) -> Iterator[str]:
    """Tell which bounds no figure can reach: by them nothing would exceed, or everything."""
    least = -parameter.high if limit.statistic in {"difference", "county-difference"} else parameter.low
    for name, number in (("low", low), ("high", high)):
        if number is not None and not least <= number <= parameter.high:
            yield (
                f"{name} {number:g} is no {parameter.id} that can be measured: those lie from "
                f"{parameter.low:g} to {parameter.high:g} {parameter.unit}"
            )


def _check_window(limit: Limit, fault: Callable[[str], None]) -> None:
    """What is judged must suit the window over which it is judged."""
    if limit.statistic == "difference" and limit.window != "hour":
        fault(f"a difference is one of hourly means; window must be 'hour', not {limit.window!r}")
    if limit.statistic == "county-difference" and (limit.window, limit.hour) != ("hour", "clock"):
        fault("a county-difference is one of clock hours' means; window must be 'hour', and hour 'clock'")
    if (limit.statistic == "percentile") is (limit.percentile is None):
        fault("percentile says which one for the statistic 'percentile', and goes with it alone")
    if limit.percentile is not None and not 0 < limit.percentile <= 100:
        fault("percentile must be above 0 and at most 100")
    if limit.statistic == "percentile" and limit.window != "year":
        fault("a percentile is one of the daily means of a year")
    if limit.hour == "any" and (limit.window != "hour" or limit.statistic == "maximum"):
        fault("hour = 'any' is for means and differences of an hour")
    if limit.state is not None and (limit.window != "hour" or limit.statistic == "maximum"):
        fault("state is for means and differences of an hour: only these are converted")
    if limit.state is not None and not (
        250 <= limit.state.temperature <= 330 and 80_000 <= limit.state.pressure <= 110_000
    ):
        fault("state: temperature must be from 250 to 330 K, pressure from 80000 to 110000 Pa")
    if limit.period == "working" and (limit.window in SHORT or limit.statistic != "mean"):
        fault("period = 'working' is for means of a day, a daytime or a nighttime")
    if limit.event is not None and (limit.statistic != "maximum" or limit.window in SHORT):
        fault("event is for maxima of a day, a daytime or a nighttime")
    if limit.window != "hour" and limit.window in {*SHORT, "8h"} and limit.statistic != "mean":
        fault(f"a {limit.window} is judged by its mean")
    if limit.window == "8h" and (limit.period != "whole" or (limit.validity.hours or 1) > 8):
        fault("8h: all of it is judged, and validity: hours must be from 1 to 8")
    if limit.allowed < 0:
        fault("allowed must not be below 0")
    if limit.window in SHORT and limit.allowed >= (windows := 24 * 60 // SHORT[limit.window]):
        fault(f"allowed must be below {windows}, or no window of the day could exceed")
    counted = limit.statistic in {"mean", "county-difference"}
    if limit.allowed and (limit.window not in SHORT or not counted or limit.hour == "any"):
        fault("allowed counts windows of a day: means of 1min, 5min, 15min or the clock hour")
    if limit.window in SHORT and (limit.statistic == "range" or limit.due == "discharge"):
        fault("statistic = 'range' and due = 'discharge' are for windows of several hours")
    if limit.statistic == "range" and limit.rounding.compare != "full":
        fault("statistic = 'range' compares values as they are measured; rounding must be 'full'")
    if limit.due == "discharge" and limit.statistic not in {"mean", "range"}:
        fault("due = 'discharge' is for means and ranges")
    if limit.window in LONG:
        if limit.statistic not in {"mean", "percentile"} or limit.due != "all" or limit.period != "whole":
            fault(
                f"a {limit.window} is judged by its daily means, their mean or a percentile; no other statistic, due or period"
            )
        if limit.alarm is not None:
            fault(f"alarm: nothing slides over a {limit.window}; leave it out")
        if limit.validity.days_per_month is None:
            fault(f"validity: days_per_month is missing; say how many daily means each month of a {limit.window} needs")


def _check_thresholds(thresholds: tuple[Threshold, ...], fault: Callable[[str], None]) -> None:
    for number, threshold in enumerate(thresholds, start=1):
        place = f"thresholds number {number}"
        if threshold.low is not None and threshold.high is not None and threshold.low > threshold.high:
            fault(f"{place}: low {threshold.low:g} lies above high {threshold.high:g}")
        if threshold.valid_to is not None and threshold.valid_to < threshold.valid_from:
            fault(f"{place}: valid_to {threshold.valid_to} comes before valid_from {threshold.valid_from}")
    for number, (earlier, later) in enumerate(pairwise(thresholds), start=2):
        if earlier.valid_to is None or earlier.valid_to >= later.valid_from:
            fault(
                f"thresholds number {number}: in force from {later.valid_from}, while the one before it ends "
                f"{earlier.valid_to or 'never'}; they must be in order and not overlap"
            )


def _bounds(threshold: Threshold) -> str:
    if threshold.low is None and threshold.high is None:
        return "–"
    if threshold.low is None:
        return f"≤ {threshold.high:g}"
    return f"≥ {threshold.low:g}" if threshold.high is None else f"{threshold.low:g} – {threshold.high:g}"


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(prog="python -m greenmine.limits", description="Print the table of all limits.")
    arguments.add_argument(
        "--lang", choices=LANGUAGES, default="en", help="language of the table (default: %(default)s)"
    )
    sys.stdout.write(limits_table(load_limits()[0].values(), arguments.parse_args().lang))
