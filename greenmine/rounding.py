"""Rounding of figures before they are compared with a limit, and before a person reads them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Context, Decimal

import numpy as np
from numpy.typing import NDArray

_SNAP = Context(prec=12, rounding=ROUND_HALF_EVEN)


def round_half_even(value: float, digits: int) -> Decimal:
    """Round to a number of decimal digits, exactly 5 to the even digit (四舍六入五成双).

    The float is first read as the decimal that it stands for, at 12 significant digits: a mean such as
    60.500000000000007, which only differs from 60.5 by the order of summation, is the tie 60.5.

    Parameters
    ----------
    value : float
        Any finite figure.
    digits : int
        Decimal digits to keep; may be negative.

    Raises
    ------
    ValueError
        If the value is not finite.

    References
    ----------
    GB/T 8170-2008, 3.2 (rounding once, never in steps).

    Examples
    --------
    >>> [str(round_half_even(x, 0)) for x in (60.5, 61.5, 60.51, -0.5)]
    ['60', '62', '61', '0']
    """
    snapped = _SNAP.create_decimal_from_float(value)
    if not snapped.is_finite():
        raise ValueError(f"cannot round {value}: a finite figure is needed")
    rounded = snapped.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN)
    return abs(rounded) if rounded == 0 else rounded


def round_array(value: NDArray[np.float64], digits: int) -> NDArray[np.float64]:
    """Round many figures as `round_half_even` does, for screening; NaN stays NaN.

    Parameters
    ----------
    value : float64 array
        Figures below 1e5 in size: nine decimals are kept before the rounding, so that ties are seen as ties.
    digits : int
        Decimal digits to keep.
    """
    return np.round(np.round(value, 9), digits)


def three_figures(value: float) -> int:
    """Count the decimals that leave three significant figures; 0 for what is 100 or more, at most 6.

    Examples
    --------
    >>> [three_figures(x) for x in (1234.5, 257.68, 25.768, 0.04321, 0.0)]
    [0, 0, 1, 4, 2]
    """
    if not value:
        return 2
    digits = min(max(0, 2 - math.floor(math.log10(abs(value)))), 6)
    # 9.996 is 10.0: rounding may carry into one digit more.
    return max(0, digits - 1) if abs(round_half_even(value, digits)) >= Decimal(10) ** (3 - digits) else digits


def told(value: float, digits: int, bounds: Iterable[float | None] = ()) -> Decimal:
    """Round a figure for people to read, with more digits where fewer would put it on another side of a bound.

    Parameters
    ----------
    value : float
        Any finite figure.
    digits : int
        Decimal digits to keep.
    bounds : iterable of float or None
        Bounds that the unrounded figure was compared with; the rounded one is above, at or below each as that is. At most
        nine decimals are kept.

    References
    ----------
    GB/T 8170-2008, 4.3.1 (full-value comparison).

    Examples
    --------
    >>> [str(told(x, 0, [100.0])) for x in (257.682816909, 100.04, 100.0, 99.96)]
    ['258', '100.04', '100', '99.96']
    """
    exact = round_half_even(value, 9)
    known = [round_half_even(bound, 9) for bound in bounds if bound is not None]
    for places in range(digits, 9):
        rounded = round_half_even(value, places)
        if all(rounded.compare(bound) == exact.compare(bound) for bound in known):
            return rounded
    return exact.normalize()
