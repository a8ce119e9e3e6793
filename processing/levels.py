"""Sound levels: energy means, percentile levels, day-night level, background correction."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

BIN: Final = 0.1
"""Width of a histogram bin [dB]; bins are centred on multiples of it."""
FLOOR: Final = 10.0
"""Centre of the first bin [dB]."""
TOLD_APART: Final = 3
"""Least difference, rounded, between a level and its background from which the source can be told (GB 12348-2008, 5.7.3) [dB]."""
BINS: Final = 1301
"""Bins from 10 dB to 140 dB. Levels beyond are counted in the end bins, which a percentile must not rest on."""


def energy(level: NDArray[np.float64]) -> NDArray[np.float64]:
    """Relative energy 10^(L/10) of levels [dB]; NaN stays NaN."""
    relative: NDArray[np.float64] = np.exp(level * (np.log(10.0) / 10.0))
    return relative


def level(mean_energy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Level [dB] of a mean relative energy; NaN where it is NaN or not positive."""
    with np.errstate(divide="ignore", invalid="ignore"):
        out: NDArray[np.float64] = 10.0 * np.log10(mean_energy)
    return np.where(np.isfinite(out), out, np.nan)


def equivalent_level(levels: NDArray[np.float64], weights: NDArray[np.float64] | None = None) -> float:
    """Energy mean Leq = 10 lg(Σ w·10^(L/10) / Σ w) of levels [dB], NaN left out; NaN if nothing is left.

    Parameters
    ----------
    levels : float64 array (n,)
        Levels [dB].
    weights : float64 array (n,), optional
        Valid durations; equal if not given.

    References
    ----------
    HJ 906-2017, clause 7; GB 12348-2008, clause 3 (equivalent continuous A-weighted level).

    Examples
    --------
    >>> round(equivalent_level(np.array([60.0, 70.0])), 1)
    67.4
    """
    good = ~np.isnan(levels)
    if not good.any():
        return float("nan")
    w = np.ones(int(good.sum())) if weights is None else weights[good]
    top = float(np.max(levels[good]))
    return top + 10.0 * float(np.log10(np.sum(w * energy(levels[good] - top)) / np.sum(w)))


def day_night_level(day: float, night: float, *, day_hours: int = 16) -> float:
    """Ldn [dB]: the night weighs 10 dB more.

    References
    ----------
    GB 3096-2008; standards sheet 2.4: Ldn = 10 lg((16·10^(Ld/10) + 8·10^((Ln+10)/10)) / 24).

    Examples
    --------
    >>> round(day_night_level(60.0, 50.0), 9)
    60.0
    """
    parts = np.array([day, night + 10.0])
    return equivalent_level(parts, np.array([float(day_hours), 24.0 - day_hours]))


def histogram_bin(levels: NDArray[np.float64]) -> NDArray[np.int64]:
    """Bin of each level [dB]; levels beyond the ends fall into the end bins."""
    return np.clip(np.rint((levels - FLOOR) / BIN), 0, BINS - 1).astype(np.int64)


def percentile_levels(histogram: NDArray[np.integer], percents: tuple[float, ...]) -> NDArray[np.float64]:
    """Levels exceeded for given shares of the samples, from histograms.

    LN is the (100-N)th percentile with linear interpolation between order statistics. Each order statistic is
    known to half a bin, so the result is within 0.05 dB of that of the samples.

    Parameters
    ----------
    histogram : integer array (k, BINS)
        Samples per bin.
    percents : tuple of float
        The N of LN, e.g. ``(10, 50, 90)``.

    Returns
    -------
    float64 array (k, len(percents))
        Levels [dB]; NaN where a histogram is empty or the figure rests on an end bin.

    References
    ----------
    GB/T 3222.1-2022 and HJ 906-2017, clause 7 (percentile levels); not mergeable, hence histograms.
    """
    # One running count over all rows, so that one search serves them all.
    filled = np.cumsum(histogram, dtype=np.int64)
    samples = histogram.sum(axis=1, dtype=np.int64)
    out = np.full((len(histogram), len(percents)), np.nan)
    rows = np.flatnonzero(samples)
    before = filled[rows * BINS + BINS - 1] - samples[rows]
    for column, percent in enumerate(percents):
        rank = (samples[rows] - 1) * (100.0 - percent) / 100.0
        whole = np.floor(rank).astype(np.int64)
        lower, upper = (
            np.searchsorted(filled, before + order, side="right") - rows * BINS
            for order in (whole, np.ceil(rank).astype(np.int64))
        )
        sure = (lower > 0) & (upper < BINS - 1)
        found = FLOOR + BIN * (lower + (rank - whole) * (upper - lower))
        out[rows, column] = np.where(sure, found, np.nan)
    return out


def corrected_levels(measured: NDArray[np.float64], background: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correct levels for their backgrounds.

    Parameters
    ----------
    measured, background : float64 array (n,)
        Levels of source with background, and of background alone [dB]; NaN without a background.

    Returns
    -------
    float64 array (n,)
        measured - 3, - 2, - 1 or unchanged for a difference, rounded to an integer, of 3, 4-5, 6-10, more than 10; unchanged
        without a background; NaN below 3: lower the background and measure again (5.7.3).

    References
    ----------
    GB 12348-2008, 5.7, Table 4.

    Examples
    --------
    >>> corrected_levels(np.array([62.4]), np.array([58.9])).round(1)
    array([60.4])
    """
    difference = np.round(np.round(measured - background, 9))  # half to even, at nine digits
    lower = np.select(
        [difference >= 11, difference >= 6, difference >= 4, difference >= TOLD_APART], [0.0, 1.0, 2.0, 3.0], np.nan
    )
    return np.where(np.isnan(background), measured, measured - lower)
