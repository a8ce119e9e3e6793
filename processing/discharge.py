"""Hours of discharge: which hours of water are due, and how much of the water each of them speaks for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from greenmine.processing.validity import enough


@dataclass(frozen=True, slots=True)
class Discharge:
    """What a flow meter tells of hours: water is discharged in an hour whose mean flow is above zero.

    That nothing flowed is shown by zeros alone: a meter that falls below zero has drifted, and may hide what flows.

    Parameters
    ----------
    due : bool array
        Hours in which water was discharged, or the flow is not known: a silent meter spares nobody a measurement.
    weight : float64 array
        Mean flow of the hour; 0 where it is not known.
    """

    due: NDArray[np.bool_]
    weight: NDArray[np.float64]


def discharge(
    count: NDArray[np.float64],
    total: NDArray[np.float64],
    capture: NDArray[np.float64],
    below: NDArray[np.bool_],
    minutes_per_hour: int,
) -> Discharge:
    """Tell hours of discharge from sums over a flow meter's readings.

    Parameters
    ----------
    count, total : float64 arrays
        Readings of each hour, and their sum.
    capture : float64 array
        Readings of each hour as a share of those due.
    below : bool array
        Hours with a reading below zero.
    minutes_per_hour : int
        Valid minutes that make an hour of the meter valid.

    References
    ----------
    GB 8978-1996, 5.2 (by the production cycle, daily mean); HJ 212-2017, Annex D, and HJ 356-2019 (weighted by flow). That the
    hours due are those of discharge is how this project reads 5.2.
    """
    known = (count > 0) & enough(capture, minutes_per_hour / 60)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(known, np.maximum(total / count, 0.0), 0.0)
    return Discharge((mean > 0) | ~known | below, mean)
