"""Verdicts of the law on readings at hand: no server, no record, no clock; ``greenmine judge`` prints what is found here."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from numpy.typing import NDArray

from greenmine.evidence.air import AirIndexDay, period_air_index
from greenmine.evidence.borrowed import BorrowedWeather, borrowed_weather
from greenmine.evidence.figures import ConclusionFigures, conclusion_figures, windows_due
from greenmine.evidence.recompute import Recomputed, days_needed, midnight, recompute
from greenmine.limits import LONG, Addressee, addressee, threshold_on
from greenmine.processing.engine import Judged
from greenmine.processing.exceedances import Exceedance
from greenmine.processing.exclusion import Mark, carried, excluded_channels, rests_on
from greenmine.processing.neighbours import copied
from greenmine.processing.panes import MINUTE
from greenmine.processing.restatement import site_part
from greenmine.processing.slide import by_minute
from greenmine.processing.standing import Grounds
from greenmine.processing.summary import RuleTally, conclude, tally
from greenmine.processing.verdicts import Judgement, Standing
from greenmine.processing.windows import moment_of
from greenmine.readings import Readings
from greenmine.registry import Registry, Rule, Site
from greenmine.reporting import Period, Reporting


@dataclass(frozen=True, slots=True)
class MarkStatement:
    """A mark with who made it, why, and who confirmed it; None: nobody did."""

    mark: Mark
    reason: str
    author: str
    confirmed_by: str | None


class SiteConclusion(ConclusionFigures, frozen=True, kw_only=True):
    """What a person is told of one theme of one of several mines."""

    site: str


class JudgedWindow(msgspec.Struct, frozen=True):
    """The verdict on one window of one limit."""

    rule: str
    limit: str
    channel: str
    start: str
    end: str
    """What was judged: where any hour counts, the highest that ends in the period."""
    period_start: str
    period_end: str
    """The legal period."""
    value: float | None
    """The statistic, at nine digits: what floating point leaves behind them decides nothing."""
    judged: str | None
    """What was compared with the limit."""
    low: float | None
    high: float | None
    addressee: Addressee
    judgement: Judgement
    standing: Standing
    reasons: tuple[str, ...]
    """Why it could not be assessed, and why it is indicative."""
    reason: str
    """Why it was judged so."""
    have: float | None
    need: float | None
    capture: float


class JudgedExceedance(msgspec.Struct, frozen=True):
    """An exceedance of a window that has a verdict; ``end`` is None where it lasted at the end of the data."""

    rule: str
    limit: str
    channel: str
    start: str
    end: str | None
    minutes: int
    peak: float
    peak_time: str
    threshold: float


class RemovedWindow(msgspec.Struct, frozen=True):
    """An exceeding verdict that marks take away, or would if they were confirmed: both figures, by whom, and why."""

    rule: str
    limit: str
    channel: str
    start: str
    end: str
    value: float | None
    """Without the marks."""
    judgement: Judgement
    value_with_marks: float | None
    judgement_with_marks: Judgement
    state: str
    """``confirmed``: the verdict follows the marks. ``claimed``: it does not until the marks are confirmed."""
    marks: tuple[RemovingMark, ...]


class RemovingMark(msgspec.Struct, frozen=True):
    """A mark that takes an exceedance away."""

    kind: str
    station: str
    parameter: str | None
    start: str
    end: str
    reason: str
    author: str
    confirmed_by: str | None


class JudgementDocument(msgspec.Struct, frozen=True):
    """All that is found over some mines and a period."""

    period: str
    first: str
    last: str
    registry: str
    """Digest of the registry."""
    sites: list[str]
    summary: list[SiteConclusion]
    verdicts: list[JudgedWindow]
    exceedances: list[JudgedExceedance]
    removed: list[RemovedWindow]
    readings: dict[str, int] = {}
    """What became of the rows of the files, counted."""
    air_index: list[AirIndexDay] = []
    """Of each day with a valid daily mean of a pollutant at a station of homes; no limit, and no part of any conclusion."""

    borrowed_weather: list[BorrowedWeather] = []
    """Of each station whose noise is judged by the weather of another mine."""

    @property
    def breached(self) -> bool:
        """Whether a limit that binds the enterprise is exceeded, whatever the standing."""
        return any(v.judgement == "exceeds" and v.addressee != "quality" for v in self.verdicts)


def judge_readings(
    registry: Registry,
    sites: Sequence[str],
    period: Period,
    reporting: Reporting,
    readings: Readings,
    marks: Sequence[MarkStatement],
) -> JudgementDocument:
    """Judge readings by the limits of the registry.

    Every window of every limit that begins in the period has a verdict. A window without readings is ``not assessable``.

    A mark that nobody confirmed and that would take an exceedance away is a claim: it counts for nothing until it is
    confirmed, and is listed with what it would change.

    Parameters
    ----------
    registry : Registry
        All mines.
    sites : sequence of str
        Ids of the mines to be judged.
    period : Period
        Local days.
    reporting : Reporting
        Says how much must be assessable before a theme meets its limits.
    readings : Readings
        By the channels of the registry, in any order; of an instant that comes twice, the first counts.
    marks : sequence of MarkStatement
        Marks of these mines.

    References
    ----------
    Ecological monitoring ordinance (decree 820), article 25: false marks are fraud, hence claims.
    """
    place, copies = copied(registry, readings)
    row = np.concatenate([np.arange(len(readings)), place])
    readings = Readings.concat([readings, copies])
    order = np.argsort(readings.time, kind="stable")
    ordered, row = readings.take(order), row[order]
    used = [row[_taken_in(registry, site, period, ordered)] for site in sites]
    marks = [*marks, *(replace(m, mark=one) for m in marks for one in carried(registry, m.mark))]
    found = [_judge_site(registry, site, period, reporting, ordered, marks) for site in sites]
    return JudgementDocument(
        period=period.name,
        first=period.first.isoformat(),
        last=period.last.isoformat(),
        registry=registry.digest,
        sites=list(sites),
        summary=[row for one in found for row in one.summary],
        verdicts=[row for one in found for row in one.verdicts],
        exceedances=[row for one in found for row in one.exceedances],
        removed=[row for one in found for row in one.removed],
        readings={"used": len(np.unique(np.concatenate(used))) if used else 0},
        air_index=[row for one in found for row in one.air_index],
        borrowed_weather=[row for site in sites for row in borrowed_weather(registry, site)],
    )


@dataclass(frozen=True, slots=True)
class _SiteFound:
    summary: list[SiteConclusion]
    verdicts: list[JudgedWindow]
    exceedances: list[JudgedExceedance]
    removed: list[RemovedWindow]
    air_index: list[AirIndexDay]


def _judge_site(
    registry: Registry,
    site: str,
    period: Period,
    reporting: Reporting,
    ordered: Readings,
    marks: Sequence[MarkStatement],
) -> _SiteFound:
    part, first, _ = site_part(registry, site)
    here = _SiteRun(part, part.sites[0], period, _of_part(ordered, first, len(part.channels)))
    mine = [m for m in marks if m.mark.site == site]
    found = here.run([])
    removed: list[RemovedWindow] = []
    if any(excluded_channels(part, m.mark) for m in mine):
        plain, all_held = found, here.run(mine)
        confirmed = here.run(m for m in mine if m.confirmed_by is not None)
        held, found = mine, all_held
        # What is left of the claims may still take something away together; each round holds at least one back.
        while taken := here.taken(confirmed, found):
            claims = {m for m in held if m.confirmed_by is None}
            near = {m for m in claims if any(here.touches(m.mark, confirmed.verdicts[key]) for key in taken)}
            held = [m for m in held if m not in (near or claims)]
            found = here.run(held)
        removed = here.removed(plain, all_held, found, mine)
    verdicts, exceedances = here.verdicts(found), here.exceedances(found)
    conclusions = conclude(here.tallies(verdicts, exceedances), reporting.summary.assessable_share)
    return _SiteFound(
        [SiteConclusion(site=site, **msgspec.structs.asdict(conclusion_figures(found, part, c))) for c in conclusions],
        [v for some in verdicts.values() for v in some],
        here.listed(exceedances),
        removed,
        period_air_index(here.registry, here.period, found.statistics),
    )


def _taken_in(registry: Registry, site: str, period: Period, ordered: Readings) -> NDArray[np.bool_]:
    """Mask of the readings of a mine on the days that are taken in."""
    zone, days = ZoneInfo(registry.site(site).zone), days_needed(period)
    start, end = midnight(days[0], zone) * MINUTE, midnight(days[-1] + timedelta(days=1), zone) * MINUTE
    mine = np.isin(ordered.channel, [c.index for c in registry.site_channels(site)])
    return mine & (ordered.time >= start) & (ordered.time < end)


def _of_part(ordered: Readings, first: int, count: int) -> Readings:
    """Readings of one mine by the channels of its part of the registry."""
    mine = ordered.take((ordered.channel >= first) & (ordered.channel < first + count))
    return replace(mine, channel=mine.channel - np.int32(first))


@dataclass(frozen=True, slots=True)
class _SiteRun:
    """One mine's readings, ready to be judged with any marks."""

    registry: Registry
    site: Site
    period: Period
    readings: Readings
    """In order of time."""

    def run(self, marks: Iterable[MarkStatement]) -> Recomputed:
        """Judge with these marks."""
        zone = ZoneInfo(self.site.zone)

        def of_day(day: date) -> Readings:
            edges = [midnight(day, zone) * MINUTE, midnight(day + timedelta(days=1), zone) * MINUTE]
            chosen = slice(*np.searchsorted(self.readings.time, edges))
            r = self.readings
            return Readings(r.channel[chosen], r.time[chosen], r.value[chosen], r.flag[chosen])

        return recompute(self.registry, self.site, self.period, of_day, [m.mark for m in marks])

    def verdicts(self, found: Recomputed) -> dict[int, list[JudgedWindow]]:
        """Verdicts by rule, in order of time; windows from which nothing came are not assessable."""
        zone = ZoneInfo(self.site.zone)
        judged: dict[int, dict[int, Judged]] = defaultdict(dict)
        for (index, start), v in found.verdicts.items():
            judged[index][start] = v
        out: dict[int, list[JudgedWindow]] = {}
        for rule in self.registry.rules:
            windows = dict(windows_due(rule.limit, self.registry, found, zone))
            windows.update({start: v.end for start, v in judged[rule.index].items()})
            out[rule.index] = [
                self._verdict(rule, judged[rule.index][start])
                if start in judged[rule.index]
                else self._silent(rule, start, end)
                for start, end in sorted(windows.items())
            ]
        return out

    def _verdict(self, rule: Rule, v: Judged) -> JudgedWindow:
        lacking = (v.verdict.reason,) if v.verdict.judgement == "not assessable" else ()
        return JudgedWindow(
            rule=rule.key,
            limit=rule.limit.id,
            channel=self.registry.channels[rule.channel].key,
            # A night is judged, if by its loudest hour; where any hour counts, that hour is.
            start=self._time(v.begin if rule.limit.hour == "any" else v.start),
            end=self._time(v.finish if rule.limit.hour == "any" else v.end),
            period_start=self._time(v.start),
            period_end=self._time(v.end),
            value=None if v.value is None else round(v.value, 9),
            judged=v.verdict.judged,
            low=v.threshold.low,
            high=v.threshold.high,
            addressee=addressee(rule.limit),
            judgement=v.verdict.judgement,
            standing=v.verdict.standing,
            reasons=(*lacking, *v.verdict.reasons),
            reason=v.verdict.reason,
            have=v.verdict.have,
            need=v.verdict.need,
            capture=v.capture,
        )

    def _silent(self, rule: Rule, start: int, end: int) -> JudgedWindow:
        day = moment_of(start, self.site.zone).date()
        threshold = threshold_on(rule.limit, day)
        doubts = () if threshold is None else Grounds(self.registry).of(rule.index, threshold, day, (start, end))
        return JudgedWindow(
            rule=rule.key,
            limit=rule.limit.id,
            channel=self.registry.channels[rule.channel].key,
            start=self._time(start),
            end=self._time(end),
            period_start=self._time(start),
            period_end=self._time(end),
            value=None,
            judged=None,
            low=None,
            high=None,
            addressee=addressee(rule.limit),
            judgement="not assessable",
            standing="indicative" if doubts else "statutory",
            reasons=("no-data", *doubts),
            reason="no-data",
            have=0,
            need=None,
            capture=0.0,
        )

    def exceedances(self, found: Recomputed) -> list[Exceedance]:
        """Exceedances of the windows that have a verdict, by rule and start."""
        windows: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for (index, start), v in found.verdicts.items():
            windows[index].append((start, v.end))
        out = []
        for e in found.episodes:
            first, last = self._minutes(e)
            if any(first < end and last > start for start, end in windows[e.rule]):
                out.append(e)
        return out

    def _minutes(self, e: Exceedance) -> tuple[int, float]:
        """First minute of an episode and the one after its last: of the minutes with which its windows end, or of its period."""
        shift = 0 if by_minute(self.registry.rules[e.rule]) else 1
        return e.start + shift, math.inf if e.end is None else e.end + shift

    def listed(self, exceedances: Iterable[Exceedance]) -> list[JudgedExceedance]:
        """Exceedances as they are written."""
        rules, channels = self.registry.rules, self.registry.channels
        return [
            JudgedExceedance(
                rule=rules[e.rule].key,
                limit=rules[e.rule].limit.id,
                channel=channels[rules[e.rule].channel].key,
                start=self._time(self._minutes(e)[0]),
                end=None if e.end is None else self._time(int(self._minutes(e)[1])),
                minutes=e.minutes,
                peak=e.peak,
                peak_time=self._time(e.peak_minute + 1),
                threshold=e.threshold,
            )
            for e in exceedances
        ]

    def tallies(self, verdicts: dict[int, list[JudgedWindow]], exceedances: Iterable[Exceedance]) -> list[RuleTally]:
        """Each limit's verdicts, counted, in the order of themes."""
        running: dict[int, int] = defaultdict(int)
        for e in exceedances:
            running[e.rule] += e.end is None
        theme = {r.index: self.registry.channels[r.channel].parameter.theme for r in self.registry.rules}
        return [
            tally(one.id, addressee(rule.limit), verdicts[rule.index], len(verdicts[rule.index]), running[rule.index])
            for one in self.registry.judged_themes
            for rule in self.registry.rules
            if theme[rule.index] == one.id and (verdicts[rule.index] or rule.limit.window not in LONG)
        ]

    @staticmethod
    def taken(without: Recomputed, within: Recomputed) -> list[tuple[int, int]]:
        """Windows (rule, start) that exceed without some marks and no longer with them."""
        return [
            key
            for key, v in sorted(without.verdicts.items())
            if v.verdict.judgement == "exceeds" and within.verdicts[key].verdict.judgement != "exceeds"
        ]

    def removed(
        self, without: Recomputed, claimed: Recomputed, found: Recomputed, marks: Sequence[MarkStatement]
    ) -> list[RemovedWindow]:
        """Exceeding verdicts that the marks take away, confirmed or not."""
        out = []
        for rule, start in self.taken(without, claimed):
            before, after, now = (some.verdicts[rule, start] for some in (without, claimed, found))
            one = self.registry.rules[rule]
            out.append(
                RemovedWindow(
                    rule=one.key,
                    limit=one.limit.id,
                    channel=self.registry.channels[one.channel].key,
                    start=self._time(before.begin),
                    end=self._time(before.finish),
                    value=before.value,
                    judgement=before.verdict.judgement,
                    value_with_marks=after.value,
                    judgement_with_marks=after.verdict.judgement,
                    state="claimed" if now.verdict.judgement == "exceeds" else "confirmed",
                    marks=tuple(self._removing(m) for m in marks if self.touches(m.mark, before)),
                )
            )
        return out

    def touches(self, mark: Mark, v: Judged) -> bool:
        """Return whether a mark takes minutes out of what a verdict rests on."""
        rests = rests_on(self.registry, self.registry.rules[v.rule])
        named = not rests.isdisjoint(excluded_channels(self.registry, mark))
        return named and mark.start < max(v.end, v.finish) and mark.end > min(v.start, v.begin)

    def _removing(self, m: MarkStatement) -> RemovingMark:
        return RemovingMark(
            kind=m.mark.kind,
            station=m.mark.station,
            parameter=m.mark.parameter,
            start=self._time(m.mark.start),
            end=self._time(m.mark.end),
            reason=m.reason,
            author=m.author,
            confirmed_by=m.confirmed_by,
        )

    def _time(self, minute: int) -> str:
        return moment_of(minute, self.site.zone).isoformat()
