"""Readings as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

NORMAL: Final = ord("N")
"""The HJ 212 data flag of a normal reading (HJ 212-2017, Table 8); these enter figures, and those over range as lower bounds."""

OVER: Final = ord("T")
"""The HJ 212 data flag of a reading beyond the range of its instrument: its value is a lower bound of the true one."""

IMPLAUSIBLE: Final = ord("R")
"""Code of readings, given again, that were found outside the plausible range when they came; no device sends it."""

FLAGS: Final = frozenset("NFMSDCTB")
"""Data flags of HJ 212-2017, Table 8: normal, stopped, maintenance, set by hand, fault, calibration, over range, link."""


@dataclass(frozen=True, slots=True)
class Readings:
    """Columns of n readings, in any order, repeats possible.

    Parameters
    ----------
    channel : int32 array (n,)
        Index of the channel in ``Registry.channels``.
    time : int64 array (n,)
        Instant of measurement [ms UTC].
    value : float64 array (n,)
        Value in the parameter's canonical unit; NaN where the instrument reported none.
    flag : uint8 array (n,)
        ASCII code of the HJ 212 data flag as reported.
    """

    channel: NDArray[np.int32]
    time: NDArray[np.int64]
    value: NDArray[np.float64]
    flag: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.time)

    def take(self, index: NDArray[np.intp] | NDArray[np.bool_]) -> Readings:
        """Rows chosen by an index or a mask."""
        return Readings(self.channel[index], self.time[index], self.value[index], self.flag[index])

    @staticmethod
    def empty() -> Readings:
        """No readings."""
        return Readings(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.float64), np.empty(0, np.uint8))

    @staticmethod
    def concat(parts: Sequence[Readings]) -> Readings:
        """The rows of all parts, in order."""
        if not parts:
            return Readings.empty()
        return Readings(
            np.concatenate([p.channel for p in parts]),
            np.concatenate([p.time for p in parts]),
            np.concatenate([p.value for p in parts]),
            np.concatenate([p.flag for p in parts]),
        )
