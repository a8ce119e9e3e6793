"""Headroom: what the rest of a running window may average at most, so that its limit is met."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from greenmine.limits import Limit, Threshold, threshold_on
from greenmine.parameters import Parameter
from greenmine.processing.averaging import rest_to_reach
from greenmine.processing.windows import moment_of, windows_touching
from greenmine.registry import Registry, Rule

State = Literal["open", "exceeds", "not-assessable"]

_MINUTE: Final = 60_000
"""[ms]"""


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
    if high is None or limit.window == "hour" or not _answers(limit) or not parameter.has_mean:
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


def has_headroom(rule: Rule) -> bool:
    """Return whether the windows of a limit under way may have a headroom."""
    return rule.limit.window in {"day", "daytime", "nighttime"} and rule.flow is None and _answers(rule.limit)


def _answers(limit: Limit) -> bool:
    return limit.statistic == "mean" and limit.period == "whole" and limit.due == "all"


def headroom_under_way(
    registry: Registry, rule: Rule, hours: Iterable[Any], now: int
) -> tuple[Headroom, tuple[int, int]] | None:
    """Return how a limit's window under way stands, with the window's start and end.

    Parameters
    ----------
    registry : Registry
        Of the rule.
    rule : Rule
        Limit at a station.
    hours : iterable of rows
        Hourly figures of its channel with ``start`` [ms UTC], ``mean`` and ``valid``, back to the window's start at least.
    now : int
        Instant in the window [ms UTC]; an hour that is over by then and has no valid figure is missing.

    Returns
    -------
    (Headroom, (int, int)) or None
        Start and end are in minutes since 1970 UTC. None where the question has no answer; see `headroom`.
    """
    limit, zone = rule.limit, registry.site(rule.site).zone
    if not has_headroom(rule):
        return None
    minute = now // _MINUTE
    window = next(iter(windows_touching(limit.window, minute, minute + 1, zone, registry.conditions)), None)
    if window is None:
        return None
    start, end = window
    threshold = threshold_on(limit, moment_of(start, zone).date())
    if threshold is None:
        return None
    means = [row.mean for row in hours if row.valid and row.mean is not None and row.start >= start * _MINUTE]
    gone = max(len(means), (minute - start) // 60)
    parameter = registry.channels[rule.channel].parameter
    found = headroom(limit, threshold, parameter, means, gone, (end - start) // 60)
    return None if found is None else (found, window)
