"""Sums and extremes over windows that slide by one minute, without subtraction and so without drift."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def sliding_sum(x: NDArray[np.float64], width: int, phase: int = 0) -> NDArray[np.float64]:
    """Sum of every ``width`` neighbours along the last axis.

    Built from running sums that start afresh every ``width`` places (suffix of one block plus prefix of the
    next): nothing is ever subtracted, so one loud minute leaves no trace once it is out of the window.

    Parameters
    ----------
    x : float64 array (..., n)
        Values; n >= width.
    width : int
        Window length.
    phase : int
        Place at which a block begins. The blocks decide in which order a window is summed: where they lie on the same minutes,
        the same window has the same sum to the last bit, whatever stretch it is a part of.

    Returns
    -------
    float64 array (..., n - width + 1)
        Entry i is the sum of ``x[..., i : i + width]``.
    """
    n = _length(x, width)
    if n == width:
        return np.asarray(x.sum(axis=-1, keepdims=True))
    out = np.empty((*x.shape[:-1], n - width + 1))
    for block in range(-(-phase % width), n - width + 1, width):
        # Of the windows that begin in this block only the first ends with it: the others reach into the next one.
        first, after, end = max(0, block), min(block + width, n - width + 1), block + width
        suffix = np.add.accumulate(x[..., first:end][..., ::-1], axis=-1)[..., ::-1]
        out[..., first:after] = suffix[..., : after - first]
        reaching = max(first, block + 1)
        if reaching < after:
            prefix = np.add.accumulate(x[..., end : after + width - 1], axis=-1)
            out[..., reaching:after] += prefix[..., reaching - block - 1 :]
    return out


def sliding_count(x: NDArray[np.unsignedinteger[Any]], width: int) -> NDArray[np.float64]:
    """Sum of every ``width`` neighbours along the last axis of whole numbers, which may be subtracted; shapes as `sliding_sum`."""
    _length(x, width)
    total = x[..., :width].sum(axis=-1, dtype=np.int64, keepdims=True)
    step = x[..., width:].astype(np.int64) - x[..., :-width]
    return np.concatenate([total, total + np.cumsum(step, axis=-1)], axis=-1).astype(np.float64)


def sliding_maximum(x: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Largest of every ``width`` neighbours along the last axis; shapes as `sliding_sum`."""
    _length(x, width)
    out, reach = x, 1
    while reach < width:
        step = min(reach, width - reach)
        out, reach = np.maximum(out[..., :-step], out[..., step:]), reach + step
    return out


def _length(x: NDArray[Any], width: int) -> int:
    n = int(x.shape[-1])
    if n < width:
        raise ValueError(f"{n} places are fewer than the window of {width}")
    return n
