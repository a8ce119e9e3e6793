"""Sums and extremes over windows that slide by one minute, without subtraction and so without drift."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def sliding_sum(x: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Sum of every ``width`` neighbours along the last axis.

    Built from running sums that start afresh every ``width`` places (suffix of one block plus prefix of the
    next): nothing is ever subtracted, so one loud minute leaves no trace once it is out of the window.

    Parameters
    ----------
    x : float64 array (..., n)
        Values; n >= width.
    width : int
        Window length.

    Returns
    -------
    float64 array (..., n - width + 1)
        Entry i is the sum of ``x[..., i : i + width]``.
    """
    return _sliding(x, width, np.add, 0.0)


def sliding_maximum(x: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Largest of every ``width`` neighbours along the last axis; shapes as `sliding_sum`."""
    return _sliding(x, width, np.maximum, -np.inf)


def _sliding(x: NDArray[np.float64], width: int, ufunc: np.ufunc, neutral: float) -> NDArray[np.float64]:
    n = x.shape[-1]
    if n < width:
        raise ValueError(f"{n} places are fewer than the window of {width}")
    if n == width:
        return np.asarray(ufunc.reduce(x, axis=-1, keepdims=True), np.float64)
    blocks = -(-n // width)
    padded = np.full((*x.shape[:-1], blocks * width), neutral)
    padded[..., :n] = x
    tiled = padded.reshape(*x.shape[:-1], blocks, width)
    prefix = ufunc.accumulate(tiled, axis=-1).reshape(padded.shape)
    suffix = ufunc.accumulate(tiled[..., ::-1], axis=-1)[..., ::-1].reshape(padded.shape)
    out: NDArray[np.float64] = ufunc(suffix[..., : n - width + 1], prefix[..., width - 1 : n])
    if ufunc is np.add:
        aligned = slice(0, n - width + 1, width)
        # A window that is exactly one block would count it twice.
        out[..., aligned] = suffix[..., aligned]
    return out
