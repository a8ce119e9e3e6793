"""Ways of averaging: what of a reading is summed, what the sums of a window mean, and how figures are averaged again.

Every mean of the core, of pages, of evidence and of the simulators comes from here; nothing else asks how a parameter is
averaged (a test looks).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from greenmine.parameters import Averaging
from greenmine.processing.levels import energy, level

Values = NDArray[np.float64]
Counts = NDArray[np.integer[Any]] | Values

CANCELLED: Final = 1e-9
"""Length of a mean unit vector at and below which there is no mean direction: what is left is rounding."""


def levels_among(kinds: Sequence[Averaging]) -> NDArray[np.bool_]:
    """Return which are averaged as energies: beside the sums of these a histogram is kept, for percentile levels."""
    return np.array([kind == "energy" for kind in kinds], np.bool_)


def directions_among(kinds: Sequence[Averaging]) -> NDArray[np.bool_]:
    """Return which are averaged as unit vectors: of these the sums of cosines and of sines are kept."""
    return np.array([kind == "vector" for kind in kinds], np.bool_)


def summand(averaging: Averaging, value: Values) -> Values:
    """Return what is summed of values: relative energies of levels, all others as they are. Not for directions."""
    return energy(value) if averaging == "energy" else value


def mean_of_sums(averaging: Averaging, total: Values, count: Counts) -> Values:
    """Return the mean of summands, or the total where values are totalled; NaN or infinite where ``count`` is 0."""
    return total if averaging == "sum" else total / count


def figure(averaging: Averaging, mean: Values) -> Values:
    """Return the figure whose summand is a mean: the inverse of `summand`."""
    return level(mean) if averaging == "energy" else mean


def direction(cosines: Values, sines: Values, count: Counts) -> Values:
    """Return the mean direction of ``count`` unit vectors with these sums [deg], 0 <= d < 360; NaN where they cancel out."""
    angle = np.degrees(np.arctan2(sines, cosines)) % 360.0 % 360.0  # twice: a tiny negative angle gives 360 at first
    return np.where(np.hypot(cosines, sines) > CANCELLED * count, angle, np.nan)


def difference(averaging: Averaging, a: float, b: float) -> float:
    """Return ``a - b``; of directions the smaller angle, -180 <= d < 180."""
    return (a - b + 180) % 360 - 180 if averaging == "vector" else a - b


def mean_of_figures(
    averaging: Averaging, figures: Sequence[float] | Values, weights: Sequence[float] | None = None
) -> float:
    """Average figures once more, each with its weight: the mean of hourly means.

    Parameters
    ----------
    averaging : str
        Energy means are averaged as energies; all others are plain means. Directions have none.
    figures : sequence of float (n,)
        Finite.
    weights : sequence of float (n,), optional
        Equal if not given.

    Returns
    -------
    float
        NaN without any figure, and for directions.

    References
    ----------
    GB 3095-2026, clause 3 (24-hour mean of hourly means); HJ 906-2017, clause 7 (Ld, Ln from hourly Leq).

    Examples
    --------
    >>> round(mean_of_figures("energy", [60.0, 70.0]), 1)
    67.4
    """
    values = np.asarray(figures, np.float64)
    if averaging == "vector" or not len(values):
        return float("nan")
    mean = np.average(summand(averaging, values), weights=weights)
    return float(figure(averaging, np.array([mean]))[0])


def figure_of_parts(averaging: Averaging, figures: Sequence[float] | Values) -> float:
    """Return the figure of a whole from those of its parts: their sum where values are totalled, else `mean_of_figures`."""
    return float(np.sum(figures)) if averaging == "sum" else mean_of_figures(averaging, figures)


def rest_to_reach(averaging: Averaging, goal: float, had: Sequence[float], left: int) -> float:
    """Return what ``left`` more figures may average so that all together average ``goal``.

    NaN or negative infinity where even the least possible would be too much; ``left`` 0 is for asking just that.
    """
    spare = float(summand(averaging, np.array([goal]))[0]) * (len(had) + left)
    spare -= float(summand(averaging, np.array(had, np.float64)).sum())
    if spare < 0:
        return float("-inf")
    return float(figure(averaging, np.array([spare / left]))[0]) if left else float("inf")


def window_means(
    kind: NDArray[np.str_],
    hourly: tuple[NDArray[np.int64], Values, Values],
    used: NDArray[np.bool_],
    maximum: Values,
) -> Values:
    """Return the figures of windows of whole hours, by each row's way of averaging.

    Arithmetic and energy means are means of the hours' figures, each hour with the same weight; directions, totals and
    maxima are taken over all readings.

    Parameters
    ----------
    kind : str array (k,)
        Way of averaging of each row.
    hourly : arrays (k, h)
        Readings, sums of summands (of cosines, for directions) and sums of sines, hour by hour.
    used : bool array (k, h)
        Hours that count for a mean.
    maximum : float64 array (k,)
        Of all readings.
    """
    count, sums, other = hourly
    with np.errstate(divide="ignore", invalid="ignore"):
        means = np.where(used, sums / count, 0.0).sum(axis=1) / used.sum(axis=1)
    out = np.where(kind == "energy", level(means), means)
    out = np.where(kind == "sum", sums.sum(axis=1), out)
    out = np.where(kind == "maximum", maximum, out)
    if (kind == "vector").any():
        out = np.where(kind == "vector", direction(sums.sum(axis=1), other.sum(axis=1), count.sum(axis=1)), out)
    return out


def reduced_means(
    averaging: Averaging,
    value: Values,
    total: Callable[[Values], Values],
    count: Counts,
    extremes: tuple[Values, Values],
) -> Values:
    """Return the figures of windows of single readings.

    Parameters
    ----------
    averaging : str
        Way of averaging.
    value : float64 array (n,)
        Readings.
    total : callable
        Sums a summand of every reading up over the windows: (n,) to (m,).
    count : integer array (m,)
        Readings of each window, at least 1.
    extremes : float64 arrays (m,), (m,)
        Smallest and largest reading of each window. A mean lies between them; the last bit of a sum may not.
    """
    if averaging == "vector":
        angle = np.deg2rad(value)
        return direction(total(np.cos(angle)), total(np.sin(angle)), count)
    if averaging == "maximum":
        return extremes[1]
    found = figure(averaging, mean_of_sums(averaging, total(summand(averaging, value)), count))
    return found if averaging == "sum" else np.clip(found, *extremes)


def row_means(averaging: Averaging, values: Values) -> Values:
    """Return one figure for each row of readings (n, w); of a state the share of the time that it was on."""
    return reduced_means(
        averaging,
        values,
        lambda x: np.asarray(x.sum(axis=1)),
        np.full(len(values), values.shape[1]),
        (values.min(axis=1), values.max(axis=1)),
    )
