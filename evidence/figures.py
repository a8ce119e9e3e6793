"""The figures of a report: what `recompute` found, counted, summed up and named."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from math import isnan
from typing import Final, Protocol
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from greenmine.evidence.air import AirIndexDay, ReferenceFigures, period_air_index, reference_figures
from greenmine.evidence.hourly import Distribution, HourGap, distributions, gaps, roses
from greenmine.evidence.recompute import TRAIL, Recomputed
from greenmine.evidence.sections import (
    CalibrationFigures,
    ChangeFigures,
    CitationFigures,
    ClaimFigures,
    Comparison,
    EffectFigures,
    FormulaFigures,
    HandlingFigures,
    IndicatorSetFigures,
    MarkFigures,
    RemovedFigures,
    RequirementFigures,
    ResponseFigures,
    RestatementFigures,
    SignedFigures,
)
from greenmine.limits import LONG, SHORT, Addressee, Limit, Threshold, Window, addressee, threshold_on
from greenmine.processing.averaging import mean_of_figures
from greenmine.processing.engine import DAY, Judged, Statistic
from greenmine.processing.rolling import exceedance_statistics
from greenmine.processing.rose import Rose
from greenmine.processing.slide import first_minute
from greenmine.processing.summary import Conclusion, RuleTally, conclude
from greenmine.processing.upwind import UpwindShare, upwind_share
from greenmine.processing.verdicts import Judgement, Standing
from greenmine.processing.windows import minute_of, moment_of, windows_touching
from greenmine.registry import Channel, Registry, Rule, Site
from greenmine.reporting import Period, Reporting

JUDGED: Final = frozenset({"within-limit", "no-event", "above-limit", "under-limit"})
"""Reasons of windows that could be assessed."""
FORM: Final = "greenmine-figures-1"
"""Names the form of the document; a later form will have another name."""


class Month(msgspec.Struct, frozen=True):
    """Data of a channel in a calendar month, as far as it lies in the period."""

    month: str
    due: float
    """Readings due, from the interval of the device and the hours of the month."""
    valid: int
    """Readings that entered figures."""
    capture: float
    """valid ÷ due, at most 1."""


class ChannelFigures(msgspec.Struct, frozen=True):
    """A channel over the period."""

    channel: str
    unit: str
    averaging: str
    hours: int
    """Valid hours."""
    minimum: float | None
    maximum: float | None
    due: float
    valid: int
    capture: float
    excluded_minutes: int
    """Minutes of hours with data that were excluded for rain, wind or a mark."""
    flags: dict[str, int]
    """Readings by data flag; T includes what lay outside the plausible range."""
    months: list[Month]


class WindowFigures(msgspec.Struct, frozen=True):
    """A day, day period or night period of a channel; times are ISO 8601 in the site's zone."""

    channel: str
    window: str
    start: str
    end: str
    mean: float | None
    minimum: float | None
    maximum: float | None
    count: int
    capture: float
    valid: bool
    hours: int | None
    excluded: int
    levels: tuple[float | None, float | None, float | None]
    """L10, L50, L90 of sound."""


class VerdictFigures(msgspec.Struct, frozen=True):
    """A verdict; ``value`` is the unrounded statistic, ``judged`` what was compared."""

    rule: str
    start: str
    end: str
    verdict: str
    standing: Standing
    reasons: list[str]
    """Why it is indicative."""
    value: float | None
    judged: str | None
    low: float | None
    high: float | None
    capture: float
    reason: str
    have: float | None
    need: float | None


class ThresholdFigures(msgspec.Struct, frozen=True):
    """A threshold that was in force within the period."""

    valid_from: str
    valid_to: str | None
    low: float | None
    high: float | None
    source: str
    clause: str
    confidence: str


class RuleFigures(msgspec.Struct, frozen=True):
    """A limit at a station over the period."""

    rule: str
    limit: str
    standard: str
    kind: str
    theme: str
    addressee: Addressee
    indicative: bool
    """True where the standard knows no automatic method, whatever the instrument."""
    window: str
    unit: str
    thresholds: list[ThresholdFigures]
    periods: int
    """Windows that begin in the period while the limit is in force."""
    meets: int
    exceeds: int
    not_assessable: int
    reasons: dict[str, int]
    """Windows by reason; ``no-data`` includes those in which nothing came at all."""
    exceeds_statutory: int
    """Those of ``exceeds`` whose standing is statutory."""
    indicative_windows: int
    """Those of ``meets`` and ``exceeds`` whose standing is indicative."""
    doubts: dict[str, int]
    """Why windows that were judged are indicative."""
    doubts_exceeding: dict[str, int]
    """The same, of those that exceed."""
    share_meeting: float | None
    """meets ÷ (meets + exceeds); None without either."""
    worst: float | None
    """Statistic furthest towards or beyond the limit among the assessable windows."""
    worst_start: str | None
    episodes: int
    minutes_above: int
    """Minutes in which the sliding statistic was beyond the limit."""
    minutes_assessable: int
    share_above: float | None
    longest_minutes: int
    sliding_worst: float | None


class ExceedanceFigures(msgspec.Struct, frozen=True):
    """An exceedance that touches the period."""

    rule: str
    start: str
    end: str | None
    """None: it lasted at the end of the data."""
    minutes: int
    duration: int | None
    """[min]"""
    peak: float
    peak_time: str
    threshold: float


class ConclusionFigures(msgspec.Struct, frozen=True):
    """What a person is told of a theme, for each addressee of limits; see `greenmine.processing.summary.Conclusion`."""

    theme: str
    addressee: Addressee
    judgement: Judgement
    standing: Standing
    reasons: tuple[str, ...]
    """Why it is indicative or not assessable, most frequent first."""
    rules: int
    due: int
    """Windows that should have a verdict."""
    meets: int
    exceeds: int
    assessable_share: float
    """Least share of a limit's windows that could be assessed."""
    lacking: dict[str, int]
    """Why windows could not be assessed."""
    running: int
    """Exceedances that lasted at the end of the data."""
    upwind_share: float | None
    """Of quality: least share of a limit that came from upwind, in the windows that exceed, else in all; None: not known."""
    upwind_hours: int
    """Hours on which it rests."""


class FiguresDocument(msgspec.Struct, frozen=True):
    """``figures.json``."""

    form: str
    site: str
    period: str
    first: str
    last: str
    zone: str
    registry: str
    """Digest of the registry in the bundle."""
    summary: list[ConclusionFigures]
    channels: list[ChannelFigures]
    rules: list[RuleFigures]
    windows: list[WindowFigures]
    verdicts: list[VerdictFigures]
    exceedances: list[ExceedanceFigures]
    distributions: list[Distribution]
    gaps: list[HourGap]
    roses: list[Rose]
    air_index: list[AirIndexDay]
    references: list[ReferenceFigures]
    effects: list[EffectFigures] = []
    responses: list[ResponseFigures] = []
    comparison: Comparison | None = None
    requirements: list[RequirementFigures] = []
    indicators: list[IndicatorSetFigures] = []
    calibrations: list[CalibrationFigures] = []
    marks: list[MarkFigures] = []
    removed: list[RemovedFigures] = []
    claims: list[ClaimFigures] = []
    restatements: list[RestatementFigures] = []
    handling: list[HandlingFigures] = []
    changes: list[ChangeFigures] = []
    signed: list[SignedFigures] = []
    """By device; empty where none has a key."""
    formulas: list[FormulaFigures] = []
    citations: list[CitationFigures] = []


def document(
    registry: Registry, site: Site, period: Period, reporting: Reporting, found: Recomputed
) -> FiguresDocument:
    """Statistics, verdicts and exceedances of a period, without hourly figures, which `hours_table` gives, and further sections.

    Parameters
    ----------
    registry : Registry
        Holds this site only.
    site : Site
        The site.
    period : Period
        Its days.
    reporting : Reporting
        Says how much must be assessable before a theme meets its limits.
    found : Recomputed
        What the core found.
    """
    zone = ZoneInfo(site.zone)
    minutes = _month_minutes(found, zone)
    rules = limit_figures(registry, period, found)
    return FiguresDocument(
        form=FORM,
        site=site.id,
        period=period.name,
        first=period.first.isoformat(),
        last=period.last.isoformat(),
        zone=site.zone,
        registry=registry.digest,
        summary=_summary(found, registry, rules, reporting.summary.assessable_share),
        channels=[_channel(c, zone, found, found.hours.get(c.index, ()), minutes) for c in registry.channels],
        rules=rules,
        windows=[_window(registry.channels[s.channel], s, zone) for _, s in sorted(found.statistics.items())],
        verdicts=[_verdict(registry.rules[rule].key, v, zone) for (rule, _), v in sorted(found.verdicts.items())],
        exceedances=[
            ExceedanceFigures(
                rule=registry.rules[e.rule].key,
                start=_text(e.start + 1, zone),
                end=None if e.end is None else _text(e.end + 1, zone),
                minutes=e.minutes,
                duration=None if e.end is None else e.end - e.start,
                peak=e.peak,
                peak_time=_text(e.peak_minute + 1, zone),
                threshold=e.threshold,
            )
            for e in found.exceedances
        ],
        distributions=distributions(registry, found.hours, found.statistics),
        gaps=gaps(registry, found.hours, found.start, found.end, zone),
        roses=roses(registry, found.hours),
        air_index=period_air_index(registry, period, found.statistics),
        references=reference_figures(registry, site, period, found.hours),
    )


def limit_figures(registry: Registry, period: Period, found: Recomputed) -> list[RuleFigures]:
    """Each limit over a period, from verdicts, sliding hours and exceedances."""
    verdicts: dict[int, dict[int, Judged]] = defaultdict(dict)
    for (rule, start), v in sorted(found.verdicts.items()):
        verdicts[rule][start] = v
    return [_rule(r, registry, period, found, verdicts[r.index]) for r in registry.rules]


def hourly_mean(channel: Channel, means: Sequence[float]) -> float | None:
    """Mean of hourly means by the parameter's way of averaging; None without any, and for directions, which have none."""
    mean = mean_of_figures(channel.parameter.averaging, means)
    return None if isnan(mean) else mean


def hours_table(registry: Registry, found: Recomputed) -> pa.Table:
    """Hourly figures, sorted by channel and start; times in UTC."""
    columns = found.hours.columns()
    keys = [channel.key for channel in registry.channels]
    levels = columns["levels"]

    def figure(values: NDArray[np.float64]) -> pa.Array:
        return pa.array(values, pa.float64(), from_pandas=True)  # NaN is none

    return pa.table(
        {
            "channel": pa.DictionaryArray.from_arrays(pa.array(columns["channel"]), pa.array(keys, pa.string())),
            "start": pa.array(columns["start"] * 60_000, pa.timestamp("ms", "UTC")),
            "mean": figure(columns["mean"]),
            "minimum": figure(columns["minimum"]),
            "maximum": figure(columns["maximum"]),
            "count": pa.array(columns["count"], pa.int32()),
            "capture": pa.array(columns["capture"], pa.float64()),
            "valid": pa.array(columns["valid"], pa.bool_()),
            "excluded": pa.array(columns["excluded"], pa.int16()),
            "suspect": pa.array(columns["suspect"], pa.int16()),
            "l10": figure(levels[:, 0]),
            "l50": figure(levels[:, 1]),
            "l90": figure(levels[:, 2]),
        }
    )


def _channel(
    channel: Channel, zone: ZoneInfo, found: Recomputed, hours: Sequence[Statistic], minutes: dict[str, int]
) -> ChannelFigures:
    count: Counter[str] = Counter()
    for s in hours:
        count[_month(s.start, zone)] += s.count
    due = {month: length * 60_000 / channel.interval for month, length in minutes.items()}
    months = [Month(m, d, count[m], min(1.0, count[m] / d)) for m, d in due.items()]
    lows = [s.minimum for s in hours if s.minimum is not None]
    highs = [s.maximum for s in hours if s.maximum is not None]
    valid, all_due = sum(count.values()), sum(due.values())
    return ChannelFigures(
        channel=channel.key,
        unit=channel.parameter.unit,
        averaging=channel.parameter.averaging,
        hours=sum(s.valid for s in hours),
        minimum=min(lows, default=None),
        maximum=max(highs, default=None),
        due=all_due,
        valid=valid,
        capture=min(1.0, valid / all_due),
        excluded_minutes=sum(s.excluded for s in hours),
        flags={flag: n for (c, flag), n in sorted(found.flags.items()) if c == channel.index},
        months=months,
    )


def _month_minutes(found: Recomputed, zone: ZoneInfo) -> dict[str, int]:
    """Minutes of the period by calendar month, in order."""
    minutes: dict[str, int] = defaultdict(int)
    minute = found.start
    while minute < found.end:
        here = moment_of(minute, zone.key)
        following = minute_of(
            datetime.combine(here.date() + timedelta(days=1), datetime.min.time(), zone).astimezone(UTC)
        )
        minutes[f"{here:%Y-%m}"] += min(following, found.end) - minute
        minute = following
    return dict(minutes)


def _rule(
    rule: Rule,
    registry: Registry,
    period: Period,
    found: Recomputed,
    verdicts: dict[int, Judged],
) -> RuleFigures:
    limit, zone = rule.limit, ZoneInfo(registry.site(rule.site).zone)
    due = windows_due(limit, registry, found, zone)
    reasons = Counter(v.verdict.reason for v in verdicts.values())
    reasons["no-data"] += len({start for start, _ in due} - verdicts.keys())
    judged = Counter(v.verdict.judgement for v in verdicts.values())
    decided = [v for v in verdicts.values() if v.verdict.judgement != "not assessable"]
    beyond = [v for v in decided if v.verdict.judgement == "exceeds"]
    assessable = [v for v in decided if v.value is not None]
    worst = max(assessable, key=lambda v: (_badness(v), -v.start), default=None)
    lower = all(threshold.high is None for threshold in limit.thresholds)
    pairs = [
        (first_minute(rule, e.start + 1), found.end if e.end is None else first_minute(rule, e.end + 1))
        for e in found.exceedances
        if e.rule == rule.index
    ]
    figures = exceedance_statistics(
        found.sliding.of(rule.index),
        np.array(pairs, np.int64).reshape(-1, 2),
        found.start,
        found.end,
        lower=lower,
    )
    meets, exceeds = judged["meets"], judged["exceeds"]
    return RuleFigures(
        rule=rule.key,
        limit=limit.id,
        standard=limit.standard,
        kind=limit.kind,
        theme=registry.channels[rule.channel].parameter.theme,
        addressee=addressee(limit),
        indicative=limit.indicative,
        window=limit.window,
        unit=limit.unit,
        thresholds=[_threshold(t) for t in limit.thresholds if _in_force(t, period.first, period.last)],
        periods=len(due),
        meets=meets,
        exceeds=exceeds,
        not_assessable=len(due) - meets - exceeds,
        reasons={reason: n for reason, n in sorted(reasons.items()) if n},
        exceeds_statutory=sum(v.verdict.standing == "statutory" for v in beyond),
        indicative_windows=sum(v.verdict.standing == "indicative" for v in decided),
        doubts=dict(sorted(Counter(code for v in decided for code in v.verdict.reasons).items())),
        doubts_exceeding=dict(sorted(Counter(code for v in beyond for code in v.verdict.reasons).items())),
        share_meeting=meets / (meets + exceeds) if meets + exceeds else None,
        worst=None if worst is None else worst.value,
        worst_start=None if worst is None else _text(worst.start, zone),
        episodes=figures.episodes,
        minutes_above=figures.minutes_above,
        minutes_assessable=figures.minutes_assessable,
        share_above=figures.share,
        longest_minutes=figures.longest,
        sliding_worst=figures.worst,
    )


class Stretch(Protocol):
    """Minutes since 1970 UTC, half-open."""

    @property
    def start(self) -> int:
        """The first."""

    @property
    def end(self) -> int:
        """The one behind the last."""


def windows_due(limit: Limit, registry: Registry, found: Stretch, zone: ZoneInfo) -> list[tuple[int, int]]:
    """The limit's windows that begin in the period while the limit is in force, and end with the night of its last day."""
    window: Window = "day" if limit.allowed else limit.window
    if window in SHORT:
        width = SHORT[window]
        windows: Sequence[tuple[int, int]] = [(at, at + width) for at in range(found.start, found.end, width)]
    else:
        touching = windows_touching(window, found.start, found.end, zone.key, registry.conditions)
        windows = [(start, end) for start, end in touching if start >= found.start and end <= found.end + TRAIL * DAY]
    return [w for w in windows if threshold_on(limit, moment_of(w[0], zone.key).date()) is not None]


def _badness(judged: Judged) -> float:
    """How far a verdict's value lies towards or beyond its threshold."""
    assert judged.value is not None
    over = -np.inf if judged.threshold.high is None else judged.value - judged.threshold.high
    under = -np.inf if judged.threshold.low is None else judged.threshold.low - judged.value
    return float(max(over, under))


def _summary(
    found: Recomputed, registry: Registry, rules: Sequence[RuleFigures], enough: float
) -> list[ConclusionFigures]:
    """The conclusions of a period, in the order of themes, then of addressees."""
    order = {theme.id: number for number, theme in enumerate(registry.judged_themes)}
    running = Counter(registry.rules[e.rule].key for e in found.exceedances if e.end is None)
    tallies = [
        RuleTally(
            theme=r.theme,
            addressee=r.addressee,
            due=r.periods,
            meets=r.meets,
            exceeds=r.exceeds,
            statutory_exceeds=r.exceeds_statutory,
            indicative=r.indicative_windows,
            doubts=r.doubts,
            exceeding_doubts=r.doubts_exceeding,
            lacking={code: n for code, n in r.reasons.items() if code not in JUDGED},
            running=running[r.rule],
        )
        for r in sorted(rules, key=lambda r: order[r.theme])
        if r.periods or r.window not in LONG  # a year is not judged by the report of a month
    ]
    return [conclusion_figures(found, registry, one) for one in conclude(tallies, enough)]


def conclusion_figures(found: Recomputed, registry: Registry, one: Conclusion) -> ConclusionFigures:
    """Write a conclusion down, with the share from upwind where it is one of quality."""
    upwind = _upwind(found, registry, one)
    return ConclusionFigures(
        theme=one.theme,
        addressee=one.addressee,
        judgement=one.judgement,
        standing=one.standing,
        reasons=one.reasons,
        rules=one.rules,
        due=one.due,
        meets=one.meets,
        exceeds=one.exceeds,
        assessable_share=one.assessable_share,
        lacking=dict(one.lacking),
        running=one.running,
        upwind_share=upwind.share if upwind else None,
        upwind_hours=upwind.hours if upwind else 0,
    )


def _upwind(found: Recomputed, registry: Registry, conclusion: Conclusion) -> UpwindShare | None:
    """Return the least share from upwind among the limits of quality of a theme that have one; None for other addressees."""
    if conclusion.addressee != "quality":
        return None
    spans: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for (index, _), v in found.verdicts.items():
        if v.verdict.judgement == conclusion.judgement != "not assessable":
            spans[index].append((v.start, v.end))
    shares = [
        upwind_share(registry, rule.channel, found.hours, spans[rule.index])
        for rule in registry.rules
        if (channel := registry.channels[rule.channel]).parameter.has_mean
        and not channel.parameter.is_level
        and (channel.parameter.theme, addressee(rule.limit)) == (conclusion.theme, "quality")
        and spans[rule.index]
    ]
    return min((s for s in shares if s is not None), key=lambda s: s.share, default=None)


def _window(channel: Channel, s: Statistic, zone: ZoneInfo) -> WindowFigures:
    return WindowFigures(
        channel=channel.key,
        window=s.window,
        start=_text(s.start, zone),
        end=_text(s.end, zone),
        mean=s.mean,
        minimum=s.minimum,
        maximum=s.maximum,
        count=s.count,
        capture=s.capture,
        valid=s.valid,
        hours=s.hours,
        excluded=s.excluded,
        levels=s.levels,
    )


def _verdict(rule: str, v: Judged, zone: ZoneInfo) -> VerdictFigures:
    return VerdictFigures(
        rule=rule,
        start=_text(v.start, zone),
        end=_text(v.end, zone),
        verdict=v.verdict.judgement,
        standing=v.verdict.standing,
        reasons=list(v.verdict.reasons),
        value=v.value,
        judged=v.verdict.judged,
        low=v.threshold.low,
        high=v.threshold.high,
        capture=v.capture,
        reason=v.verdict.reason,
        have=v.verdict.have,
        need=v.verdict.need,
    )


def _threshold(t: Threshold) -> ThresholdFigures:
    return ThresholdFigures(
        valid_from=t.valid_from.isoformat(),
        valid_to=None if t.valid_to is None else t.valid_to.isoformat(),
        low=t.low,
        high=t.high,
        source=t.source,
        clause=t.clause,
        confidence=t.confidence,
    )


def _in_force(t: Threshold, first: date, last: date) -> bool:
    return t.valid_from <= last and (t.valid_to is None or t.valid_to >= first)


def _month(minute: int, zone: ZoneInfo) -> str:
    return f"{moment_of(minute, zone.key):%Y-%m}"


def _text(minute: int, zone: ZoneInfo) -> str:
    return moment_of(minute, zone.key).isoformat()
