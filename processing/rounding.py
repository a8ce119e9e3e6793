"""Rounding of figures before they are compared with a limit."""

from __future__ import annotations

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
