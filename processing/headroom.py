"""Headroom: what the rest of a running window may average at most, so that its limit is met."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from greenmine.limits import Limit, Threshold
from greenmine.parameters import Parameter
from greenmine.processing.averaging import rest_to_reach

State = Literal["open", "exceeds", "not-assessable"]


@dataclass(frozen=True, slots=True)
class Headroom:
    """How a window that still runs stands.

    ``state`` is ``open`` while it depends on what comes, ``exceeds`` if it exceeds whatever comes, ``not-assessable`` if too
    few valid hours can be left. ``value`` is what the ``hours`` to come may average at most, None but while open;
    ``missing`` counts the hours gone by that are not valid.
    """

    state: State
    value: float | None
    hours: int
    missing: int


def headroom(
    limit: Limit, threshold: Threshold, parameter: Parameter, means: Sequence[float], gone: int, hours: int
) -> Headroom | None:
    """Return what the rest of a window may average, after the means of its valid hours so far.

    A window's figure is the mean of its valid hours; what is to come is taken to be valid.

    Parameters
    ----------
    limit : Limit
        A limit on the mean of a day, a daytime or a nighttime; others have no headroom.
    threshold : Threshold
        In force on the window's first day; without an upper value there is no headroom.
    parameter : Parameter
        What is measured; directions, totals, peaks and states have no headroom.
    means : sequence of float
        Hourly means of the valid hours so far.
    gone : int
        Hours of the window that are over.
    hours : int
        Hours of the whole window.

    Returns
    -------
    Headroom or None
        None where the question has no answer.

    Examples
    --------
    >>> from greenmine.limits import load_limits, threshold_on
    >>> from greenmine.parameters import load_parameters
    >>> from datetime import date
    >>> limit = load_limits()[0]["gb3095-pm10-day-class2"]
    >>> found = headroom(limit, threshold_on(limit, date(2026, 6, 1)), load_parameters()["pm10"], [135.0] * 15, 15, 24)
    >>> round(found.value, 1), found.hours
    (96.3, 9)
    """
    high = threshold.high
    if (
        high is None
        or limit.statistic != "mean"
        or limit.window == "hour"
        or limit.period != "whole"
        or limit.due != "all"
    ):
        return None
    if not parameter.has_mean:
        return None
    left, missing = hours - gone, gone - len(means)
    if len(means) + left < (limit.validity.hours or 1):
        return Headroom("not-assessable", None, left, missing)
    # A figure that is rounded before it is compared meets the limit up to half a digit above it.
    most = high + (0.5 * 10.0**-limit.rounding.digits if limit.rounding.compare == "rounded" else 0.0)
    value = rest_to_reach(parameter.averaging, most, means, left)
    if math.isinf(value) and value < 0:
        return Headroom("exceeds", None, left, missing)
    return Headroom("open", value if left else None, left, missing)
