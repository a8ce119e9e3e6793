"""Verdicts: a statistic, its validity, the rounding and the threshold in force make one of three judgements."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from greenmine.limits import SHORT, Limit, Threshold
from greenmine.rounding import round_half_even

Judgement = Literal["meets", "exceeds", "not assessable"]
Standing = Literal["statutory", "indicative"]


@dataclass(frozen=True, slots=True)
class Sufficiency:
    """How much data a figure has and needs, and the reason code where that is not enough."""

    reason: str
    have: float
    need: float


@dataclass(frozen=True, slots=True)
class Figure:
    """What is judged: one statistic with what it rests on.

    Parameters
    ----------
    value : float or None
        Mean by the parameter's way of averaging, maximum, or difference, in the limit's unit.
    capture : float
        Valid readings as a share of the expected ones in the window, 0..1.
    hours : int or None
        Valid hours, for windows longer than one.
    obstacle : str or None
        Code of a condition that forbids an assessment whatever the data, such as ``calm``.
    """

    value: float | None
    capture: float
    hours: int | None = None
    obstacle: str | None = None
    over: bool = False
    """A value was beyond the range of its instrument: the statistic is a lower bound."""
    corrected: bool = False
    """Corrected for a background: rounded if the limit rounds such values."""
    nothing: bool = False
    """What the limit judges did not occur, such as a frequent event in a night: it is met without a value."""
    sufficiency: Sufficiency | None = None
    """The figure's own rule of validity, in place of the limit's."""
    stands: bool = False
    """The figure is valid in itself, such as the loudest hour of a period: beyond the limit it stands whatever is missing."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A judgement with its reason.

    ``reason`` is a code with a text in the message catalogues: ``within-limit``, ``no-event``, ``above-limit``, ``under-limit``,
    ``no-data``, ``too-few-minutes``, ``too-few-hours``, ``too-short-working-time``, ``not-working``, ``no-discharge``,
    ``over-range``, ``calm``, ``not-downwind``, ``no-reference``, ``wind-unsuitable``, ``background-too-high``,
    ``calibration-drift``, ``limit-unconfirmed``. ``have`` and ``need`` are the numbers behind it, ``judged`` the figure that
    was compared, as text. ``reasons`` are codes, too: why the verdict is indicative (参考) and not statutory (法定), as
    ``weather-not-shown``; none where it is statutory.
    """

    judgement: Judgement
    reason: str
    judged: str | None
    have: float | None
    need: float | None
    reasons: tuple[str, ...] = ()

    @property
    def standing(self) -> Standing:
        """``statutory`` where method, instrument and conditions are shown, else ``indicative``."""
        return "indicative" if self.reasons else "statutory"


def judge(limit: Limit, threshold: Threshold, figure: Figure) -> Verdict:
    """Judge one figure; equal to the threshold meets, and too little data is never ``meets``.

    A maximum above the limit stands however little data there is around it; that it was not exceeded can only be said
    with enough data. A figure that is a lower bound can exceed an upper limit, but not meet it.

    References
    ----------
    GB/T 8170-2008, clause 4 (full-value and rounded-value comparison); validity and rounding by the limit's own clauses.
    """
    if threshold.low is None and threshold.high is None:
        return Verdict("not assessable", "limit-unconfirmed", None, None, None)
    lacking = _lacking(limit, figure)
    if lacking and lacking.reason == "no-data" and figure.over:
        lacking = replace(lacking, reason="over-range")
    if figure.nothing and not lacking:
        if figure.over:
            return Verdict("not assessable", "over-range", None, None, None)
        return Verdict("meets", "no-event", None, None, threshold.high)
    if figure.value is None:
        return lacking or Verdict("not assessable", "over-range" if figure.over else "no-data", None, None, None)
    digits = limit.rounding.digits
    rounded = limit.rounding.compare == "rounded" or (limit.rounding.compare == "corrected" and figure.corrected)
    judged = round_half_even(figure.value, digits if rounded else 9)
    text = str(judged) if rounded else format(judged.normalize(), "f")
    beyond: tuple[str, float] | None = None
    if threshold.high is not None and judged > round_half_even(threshold.high, 9):
        beyond = ("above-limit", threshold.high)
    elif threshold.low is not None and judged < round_half_even(threshold.low, 9):
        beyond = ("under-limit", threshold.low)
    if lacking and not (beyond and (figure.stands or limit.statistic == "maximum")):
        # What was measured with the background is not of the source: nothing was compared.
        compared = None if lacking.reason == "background-too-high" else text
        return Verdict("not assessable", lacking.reason, compared, lacking.have, lacking.need)
    if figure.over and (beyond[0] == "under-limit" if beyond else threshold.high is not None):
        return Verdict("not assessable", "over-range", text, None, None)
    if beyond:
        return Verdict("exceeds", beyond[0], text, float(judged), beyond[1])
    bound = threshold.high if threshold.high is not None else threshold.low
    return Verdict("meets", "within-limit", text, float(judged), bound)


def _lacking(limit: Limit, figure: Figure) -> Verdict | None:
    if figure.obstacle:
        return Verdict("not assessable", figure.obstacle, None, None, None)
    if figure.capture == 0:
        return Verdict("not assessable", "no-data", None, 0, None)
    if figure.sufficiency is not None:
        if figure.sufficiency.have >= figure.sufficiency.need - 1e-9:
            return None
        short = figure.sufficiency
        return Verdict("not assessable", short.reason, None, round(short.have, 1), short.need)
    if limit.window in SHORT:
        have, need = figure.capture * 60, limit.validity.minutes_per_hour
        if have < need - 1e-9:
            return Verdict("not assessable", "too-few-minutes", None, round(have, 1), need)
    elif limit.validity.hours is not None and (figure.hours or 0) < limit.validity.hours:
        return Verdict("not assessable", "too-few-hours", None, figure.hours or 0, limit.validity.hours)
    return None
