"""Validity: whether enough was measured for a figure to be judged."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

EPSILON: Final = 1e-9
"""Slack in comparing shares of readings, so that 45 of 60 is 75 %."""

Amount = NDArray[np.float64] | float


def sufficient(held: NDArray[np.float64], due: Amount, minutes_per_hour: float) -> NDArray[np.bool_]:
    """Return where enough of the due readings are held: ``minutes_per_hour`` of 60, as a share, and at least one.

    Parameters
    ----------
    held : float64 array
        Readings as far as they speak for time, of an hour or a window: `greenmine.processing.panes.Block.held`.
    due : float64 array or float
        Readings due in the same time; broadcast against ``held``.
    minutes_per_hour : float
        45 by most limits' own rule.

    References
    ----------
    GB 3095-2026, Table 4 (45 minutes of an hour); HJ 212-2017, Annex D (75 % of the due readings).
    """
    return enough(held, np.asarray(due) * (minutes_per_hour / 60)) & (held > 0)


def enough(have: Amount, need: Amount) -> NDArray[np.bool_]:
    """Return where ``have`` reaches ``need``, a share of something counted."""
    reached: NDArray[np.bool_] = np.asarray(have) >= np.asarray(need) * (1 - EPSILON)
    return reached
