"""Effect of measures: what a sprayer, an enclosure or a schedule leaves of a mine's own dust or noise.

There is no statutory formula for it; this is a management measure. What is estimated is the remaining share *f*: with
the measure, a source leaves *f* times what it would leave without it, at the same wind and the same work. 1 - f is
the reduction.

Notes
-----
**The difficulty.** Sprayers start because dust is high. Comparing minutes with water and minutes without would then
find that water makes dust, however fine the strata: what started the sprayer is in no column. But runs that keep to a
timetable start whatever the dust is. Let Y be what the mine adds at a station, S the sprayer's state and E what it
would add without water, so Y = E·f^S. Around the beginning of a timetabled run E is as likely to be high before as
after. Written with the means V of Y in the run, A of Y·[S = 1] and U of Y·[S = 0] before it (A is there where
sprayers ran before the run, too, because of dust): mean E before is U + A/f, in the run V/f; both are equal on the
average of many runs if

    Σ (V - A - f·U) = 0,    so    f = Σ (V - A) / Σ U.

This is g-estimation of a multiplicative structural mean model with the timetable as instrument [1]_ [2]_; no
automatic run, however frequent, biases it. Where nothing runs but the timetable, A is 0 and f the plain ratio of
means. What happens once and stays (an enclosure) has no such pairs: there, and for equipment without a timetable,
means are compared within classes of wind and hour; the latter comparison is marked as open to the bias above.

**Comparable.** Only minutes count in which the wind blows from the source to the station (a sector), is not calm, and
the mine works. Each value is divided by what its wind lets one expect, a plume fitted to the minutes with the measure
on: what wind does is taken out, and because wind does not know the timetable this keeps the equation above true.

**The interval** accounts for autocorrelation: minutes of a day are summed to one score a day (cluster-robust [3]_),
the variance of the scores also takes in the covariance of neighbouring days with Bartlett weights (Newey and West
[4]_, lags by their rule 4(n/100)^(2/9)) where that is greater, for from few days it may come out too small, and the
equation is inverted in *f* instead of linearised (Fieller [5]_), with the t quantile for days - 1. It is not
symmetric, and where the data cannot bound *f* there is none. Nothing is drawn at random: the same readings give the
same figures.

References
----------
.. [1] J. M. Robins, Correcting for non-compliance in randomized trials using structural nested mean models,
   Communications in Statistics - Theory and Methods 23 (1994) 2379-2412.
.. [2] M. A. Hernan, J. M. Robins, Instruments for causal inference: an epidemiologist's dream?, Epidemiology 17
   (2006) 360-372.
.. [3] A. C. Cameron, D. L. Miller, A practitioner's guide to cluster-robust inference, Journal of Human Resources 50
   (2015) 317-372.
.. [4] W. K. Newey, K. D. West, A simple, positive semi-definite, heteroskedasticity and autocorrelation consistent
   covariance matrix, Econometrica 55 (1987) 703-708; lags: Review of Economic Studies 61 (1994) 631-653.
.. [5] E. C. Fieller, Some problems in interval estimation, Journal of the Royal Statistical Society B 16 (1954)
   175-185.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from greenmine.evidence.evaluation import EffectTerms

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

Design = Literal["timetable", "on-off", "before-after"]
Reason = Literal["", "no-data", "too-few-days", "unbounded"]

_DAY: Final = 1440


@dataclass(frozen=True, slots=True)
class Minutes:
    """Columns of consecutive minutes, shape (n,)."""

    value: Floats
    """What the mine adds at the station: dust [unit], or energy of sound [10^(L/10)]; NaN for none."""
    state: Floats
    """1: the measure is on, 0: it is off, NaN: nobody knows."""
    working: Mask
    """The mine works."""
    bearing: Floats
    """Wind direction off the line from source to station [deg]; NaN for none. Not used without ``speed``."""
    speed: Floats | None
    """Wind speed [m/s], NaN for none; None: the wind does not matter."""
    local: NDArray[np.int64]
    """Minutes of the site's wall clock since 1970-01-01T00:00."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What was found; all None where it could not be, with the reason."""

    design: Design
    remaining: float | None
    low: float | None
    high: float | None
    mean_on: float | None
    """Plain mean of the comparable minutes with the measure, as of `Minutes.value`."""
    mean_off: float | None
    comparisons: int
    """Runs, or classes of wind and hour with minutes on both sides."""
    days: int
    """Days that take part."""
    minutes_on: int
    minutes_off: int
    reason: Reason


def effect_of_runs(minutes: Minutes, runs: Sequence[tuple[int, int]], terms: EffectTerms) -> Effect:
    """Effect of equipment whose timetabled runs begin whatever the dust is.

    Parameters
    ----------
    minutes : Minutes
        ``state`` tells all runs, those outside the timetable included.
    runs : sequence of (int, int)
        Timetable: first minute of the local day and the one behind the last. A run counts on the days on which no minute
        of it is known to be off.
    terms : EffectTerms
        Settings.

    Returns
    -------
    Effect
        ``minutes_off`` and ``mean_off`` are of the minutes before the runs in which the measure was off.
    """
    scaled, usable = _scaled(minutes, minutes.state == 1, terms)
    found: list[tuple[int, float, float]] = []
    on_all: list[NDArray[np.intp]] = []
    off_all: list[NDArray[np.intp]] = []
    first, last = int(minutes.local[0]) // _DAY, int(minutes.local[-1]) // _DAY
    for day in range(first, last + 1):
        for begin, end in runs:
            a, b, c = np.searchsorted(
                minutes.local, np.array([begin - terms.before_minutes, begin, end]) + day * _DAY
            ).tolist()
            states = minutes.state[b:c]
            if (states == 0).any() or (states == 1).sum() < terms.least_minutes:
                continue
            on = np.arange(min(b + terms.settle_minutes, c), c)
            off = np.arange(a, b)
            on = on[usable[on] & (minutes.state[on] == 1)]
            off = off[usable[off] & ~np.isnan(minutes.state[off])]
            if min(len(on), len(off)) < terms.least_minutes:
                continue
            dry = minutes.state[off] == 0
            found.append(
                (
                    day,
                    float(scaled[on].mean() - scaled[off[~dry]].sum() / len(off)),
                    float(scaled[off[dry]].sum() / len(off)),
                )
            )
            on_all.append(on)
            off_all.append(off[dry])
    day_of, a_of, b_of = (np.array(column) for column in zip(*found, strict=True)) if found else (np.empty(0),) * 3
    days, inverse = np.unique(day_of.astype(np.int64), return_inverse=True)
    scores = np.stack([np.bincount(inverse, x, len(days)) for x in (a_of, b_of)]).astype(np.float64)
    return _effect("timetable", minutes.value, scores, scores.sum(axis=1), days, on_all, off_all, len(found), terms)


def effect_between(minutes: Minutes, design: Literal["on-off", "before-after"], terms: EffectTerms) -> Effect:
    """Effect by comparison within classes of wind and hour of the day.

    Parameters
    ----------
    minutes : Minutes
        ``state`` is the equipment's, or 0 before a measure was in place and 1 afterwards.
    design : {"on-off", "before-after"}
        What ``state`` is.
    terms : EffectTerms
        Settings.

    Returns
    -------
    Effect
    """
    with_, without = minutes.state == 1, minutes.state == 0
    scaled, usable = _scaled(minutes, with_, terms)
    on, off = np.flatnonzero(usable & with_), np.flatnonzero(usable & without)
    stratum = _classes(minutes, terms) * 24 + minutes.local % _DAY // (60 * terms.hour_class)
    shared = np.intersect1d(stratum[on], stratum[off])
    on, off = on[np.isin(stratum[on], shared)], off[np.isin(stratum[off], shared)]
    days, inverse = np.unique(np.concatenate([minutes.local[on], minutes.local[off]]) // _DAY, return_inverse=True)
    scores, sums = np.zeros((2, len(days))), np.zeros(2)
    number_on, number_off = (np.searchsorted(shared, stratum[some]) for some in (on, off))
    n_on, n_off = (np.bincount(n, minlength=len(shared)) for n in (number_on, number_off))
    weight = n_on * n_off / np.maximum(n_on + n_off, 1)
    for k, (some, number, count, day) in enumerate(
        ((on, number_on, n_on, inverse[: len(on)]), (off, number_off, n_off, inverse[len(on) :]))
    ):
        mean = np.bincount(number, scaled[some], len(shared)) / np.maximum(count, 1)
        sums[k] = (weight * mean).sum()
        scores[k] = np.bincount(day, (weight / np.maximum(count, 1))[number] * (scaled[some] - mean[number]), len(days))
    return _effect(design, minutes.value, scores, sums, days, [on], [off], len(shared), terms)


def student(probability: float, degrees: int) -> float:
    """Quantile of Student's t, within 0.002 from 9 degrees of freedom on.

    References
    ----------
    M. Abramowitz, I. A. Stegun, Handbook of Mathematical Functions, 1964, 26.7.5.

    Examples
    --------
    >>> round(student(0.975, 9), 2), round(student(0.975, 60), 3)
    (2.26, 2.0)
    """
    z = NormalDist().inv_cdf(probability)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / float(degrees) ** (k + 1) for k, term in enumerate(terms))


def _classes(minutes: Minutes, terms: EffectTerms) -> NDArray[np.int64]:
    """Class of wind direction and speed of each minute; 0 where the wind does not matter."""
    if minutes.speed is None:
        return np.zeros(len(minutes.value), np.int64)
    direction = np.floor(np.nan_to_num(minutes.bearing) / terms.direction_class) + 180
    speed = np.floor(np.nan_to_num(minutes.speed) / terms.speed_class)
    classes: NDArray[np.int64] = (speed * 360 + direction).astype(np.int64)
    return classes


def _scaled(minutes: Minutes, with_: Mask, terms: EffectTerms) -> tuple[Floats, Mask]:
    """Values relative to what the wind lets one expect with the measure, and which can be compared at all.

    The logarithm of a plume is a parabola in the angle off its axis and nearly a straight line in the logarithm of the
    wind speed; with a fourth and a second power, for sources that are not points, it is fitted by least squares to the
    minutes with the measure.
    """
    usable = ~np.isnan(minutes.value) & minutes.working
    if minutes.speed is None:
        return np.where(usable, minutes.value, 0.0), usable
    with np.errstate(invalid="ignore"):
        usable &= (np.abs(minutes.bearing) <= terms.sector) & (minutes.speed >= terms.wind_minimum)
    angle = np.radians(np.where(usable, minutes.bearing, 0.0))
    speed = np.log(np.where(usable, minutes.speed, 1.0))
    terms_of = np.column_stack([np.ones(len(angle)), angle, angle**2, angle**4, speed, speed**2])
    fitted = np.flatnonzero(usable & with_ & (np.nan_to_num(minutes.value) > 0))
    if len(fitted) < terms.fit_minutes:
        return np.zeros(len(angle)), np.zeros(len(angle), np.bool_)
    coefficients, *_ = np.linalg.lstsq(terms_of[fitted], np.log(minutes.value[fitted]), rcond=None)
    return np.where(usable, minutes.value / np.exp(np.where(usable, terms_of @ coefficients, 0.0)), 0.0), usable


def _effect(
    design: Design,
    value: Floats,
    scores: Floats,
    sums: Floats,
    days: NDArray[np.int64],
    on_all: Sequence[NDArray[np.intp]],
    off_all: Sequence[NDArray[np.intp]],
    comparisons: int,
    terms: EffectTerms,
) -> Effect:
    on, off = (np.concatenate([*some, np.empty(0, np.intp)]) for some in (on_all, off_all))
    remaining, low, high, reason = _interval(scores, sums, days, terms)
    return Effect(
        design=design,
        remaining=remaining,
        low=low,
        high=high,
        mean_on=float(value[on].mean()) if len(on) else None,
        mean_off=float(value[off].mean()) if len(off) else None,
        comparisons=comparisons,
        days=len(days),
        minutes_on=len(on),
        minutes_off=len(off),
        reason=reason,
    )


def _interval(
    scores: Floats, sums: Floats, days: NDArray[np.int64], terms: EffectTerms
) -> tuple[float | None, float | None, float | None, Reason]:
    """Solve ``sums[0] - f·sums[1] = 0`` with its interval, from scores (2, days) that vary as the sums do."""
    if not len(days):
        return None, None, None, "no-data"
    if len(days) < terms.least_days:
        return None, None, None, "too-few-days"
    above, below = float(sums[0]), float(sums[1])
    if below <= 0:
        return None, None, None, "unbounded"
    variance = _covariance(scores, days, above / below)
    t = student(0.5 + terms.confidence / 2, len(days) - 1)
    a = below**2 - t**2 * float(variance[1, 1])
    b = above * below - t**2 * float(variance[0, 1])
    c = above**2 - t**2 * float(variance[0, 0])
    if a <= 0 or (root := b**2 - a * c) < 0:
        return None, None, None, "unbounded"
    return above / below, (b - root**0.5) / a, (b + root**0.5) / a, ""


def _covariance(scores: Floats, days: NDArray[np.int64], remaining: float) -> Floats:
    """Covariance of the sums of scores over days, shape (2, 2).

    With the covariance of neighbouring days, or without it where that makes the equation at ``remaining`` seem surer.
    """
    count = len(days)
    deviation = np.zeros((2, int(days[-1] - days[0]) + 1))
    deviation[:, days - days[0]] = scores - scores.mean(axis=1, keepdims=True)
    lags = int(4 * (count / 100) ** (2 / 9))
    alone = deviation @ deviation.T
    related = alone.copy()
    for lag in range(1, min(lags, deviation.shape[1] - 1) + 1):
        shifted = deviation[:, lag:] @ deviation[:, :-lag].T
        related += (1 - lag / (lags + 1)) * (shifted + shifted.T)
    equation = np.array([1.0, -remaining])
    greater = max((alone, related), key=lambda total: float(equation @ total @ equation))
    return np.asarray(greater * count / (count - 1))
