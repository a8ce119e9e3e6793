"""Months, quarters and years, judged by the daily means in them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import date

import numpy as np

from greenmine.limits import LONG, Limit, Validity, addressee, threshold_on
from greenmine.processing.engine import Judged, Statistic
from greenmine.processing.exceedances import Beyond, Exceedance, of_period
from greenmine.processing.standing import Grounds
from greenmine.processing.verdicts import Figure, Sufficiency, judge
from greenmine.processing.windows import moment_of, windows_touching
from greenmine.registry import Registry


def long_verdicts(registry: Registry, statistics: Iterable[Statistic], start: int, end: int) -> list[Judged]:
    """Verdicts over the months, quarters and years that lie within a span, by rule and start.

    Values over range, or above all that is plausible, keep a period from `meets` where they can make the difference; where
    they cannot, were they as high as is plausible, the verdict is indicative with the reason ``over-range``.

    The figure is the mean of the valid daily means, or a percentile of them, with a straight line between two ranks.
    A year needs a number of them, and so does each month of any of these
    periods; of a quarter all three months. The threshold is that of the period's first day.

    Parameters
    ----------
    registry : Registry
        Rules and zones.
    statistics : iterable of Statistic
        The natural days of the span, at least; all other windows are left out.
    start, end : int
        The span [minutes since 1970 UTC, half-open].

    References
    ----------
    GB 3095-2026, 3.11 to 3.13 (mean of the daily means of a calendar month, quarter, year) and Table 4 (days of a year). That
    months and quarters need the days that Table 4 asks of each month of a year is a choice of this project. HJ 663-2013, Annex A
    (percentile at the rank 1 + (n - 1) p of n ordered values); its text of 2026 was not seen.
    """
    days: dict[int, list[Statistic]] = defaultdict(list)
    for s in statistics:
        if s.window == "day":
            days[s.channel].append(s)
    grounds = Grounds(registry)
    verdicts = []
    for rule in registry.rules:
        limit, zone = rule.limit, registry.site(rule.site).zone
        if limit.window not in LONG:
            continue
        for first, last in windows_touching(limit.window, start, end, zone, registry.conditions):
            day = moment_of(first, zone).date()
            threshold = threshold_on(limit, day)
            if first < start or last > end or threshold is None:
                continue
            mine = [s for s in days[rule.channel] if first <= s.start < last]
            valid = [s for s in mine if s.mean is not None and (s.hours or 0) >= (limit.validity.hours or 1)]
            months = _months(day, moment_of(last - 1, zone).date())
            counts = dict.fromkeys(months, 0)
            for s in valid:
                counts[moment_of(s.start, zone).date().replace(day=1)] += 1
            figure = Figure(
                _figure_of(limit, [s.mean for s in valid if s.mean is not None]),
                len(valid) / ((last - first) / 1440),
                sufficiency=_sufficiency(limit.validity, counts, yearly=limit.window == "year"),
            )
            verdict = judge(limit, threshold, figure)
            reasons = grounds.of(rule.index, threshold, day, (first, last), confirmed=False)
            if any(s.over for s in mine):
                high = registry.channels[rule.channel].parameter.high
                worst = replace(figure, value=_figure_of(limit, _at_most(mine, valid, limit.validity.hours or 1, high)))
                if judge(limit, threshold, worst).judgement != "meets":
                    verdict = judge(limit, threshold, replace(figure, over=True))
                elif addressee(limit) != "own":
                    reasons = (*reasons, "over-range")
            verdict = replace(verdict, reasons=reasons)
            verdicts.append(
                Judged(
                    rule.index,
                    first,
                    last,
                    first,
                    last,
                    figure.value,
                    figure.capture,
                    threshold,
                    verdict,
                    restated=False,
                )
            )
    return verdicts


def _figure_of(limit: Limit, means: Sequence[float]) -> float | None:
    """Mean or percentile of daily means; None of nothing."""
    if not means:
        return None
    return float(np.mean(means) if limit.percentile is None else np.percentile(means, limit.percentile))


def _at_most(mine: Iterable[Statistic], valid: Collection[Statistic], hours: int, high: float) -> list[float]:
    """The daily means as high as they can have been, if values over range were the highest that is plausible.

    A minute over range may raise its hour to that, and with it the day by its share of the hours; of a day that is not valid
    for such minutes nothing else is known.
    """
    found = [min(high, s.mean + high * min(s.over, 24) / hours) for s in valid if s.mean is not None]
    return found + [high for s in mine if s.over and s not in valid]


def period_exceedance(number: int, judged: Judged) -> Exceedance:
    """The exceedance that a verdict ``exceeds`` over a whole period is."""
    assert judged.verdict.have is not None
    assert judged.verdict.need is not None
    period = Beyond(judged.start, judged.end, judged.verdict.have, judged.end - 1, judged.verdict.need)
    return of_period(number, judged.rule, period)


def _months(first: date, last: date) -> list[date]:
    """First days of the months from that of one day to that of another."""
    count = 12 * (last.year - first.year) + last.month - first.month + 1
    return [date(first.year + (first.month - 1 + n) // 12, (first.month - 1 + n) % 12 + 1, 1) for n in range(count)]


def _sufficiency(validity: Validity, counts: dict[date, int], *, yearly: bool) -> Sufficiency:
    """Whether there are daily means enough: in all, and in the month that lacks most."""
    total = Sufficiency("too-few-days", sum(counts.values()), (validity.days or 0) if yearly else 0)
    if total.have < total.need:
        return total

    def needed(month: date) -> int:
        february = validity.days_in_february if month.month == 2 else None
        return february or validity.days_per_month or 0

    worst = min(counts, key=lambda month: counts[month] - needed(month))
    return Sufficiency("too-few-days-of-a-month", counts[worst], needed(worst))
