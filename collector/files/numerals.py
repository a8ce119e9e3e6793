"""Cells that hold numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

_COMMA: Final = re.compile(r"[+-]?(\d+,\d*|,\d+)([eE][+-]?\d+)?", re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


@dataclass(slots=True)
class NumberReader:
    """Reads the cells of one column block by block.

    Parameters
    ----------
    decimal_comma : bool
        Whether a comma may be the decimal sign: in files whose delimiter is another. In a column that writes points
        too, a comma separates thousands or is a slip; such cells are no numbers then.
    """

    decimal_comma: bool
    _blocks: list[NDArray[np.float64]] = field(default_factory=list, init=False)
    _commas: list[NDArray[np.bool_]] = field(default_factory=list, init=False)
    _points: bool = field(default=False, init=False)

    def add(self, cells: Sequence[str]) -> None:
        """Read a block of cells."""
        text = "".join(cells)
        commas = np.zeros(len(cells), np.bool_)
        if self.decimal_comma:
            if not self._points and "." in text:
                self._points = any("." in cell and not math.isnan(number(cell)) for cell in cells)
            if "," in text:
                commas[:] = [_COMMA.fullmatch(cell.strip()) is not None for cell in cells]
                cells = [cell.replace(",", ".") if comma else cell for cell, comma in zip(cells, commas, strict=True)]
        try:
            # float takes 1_000, which no logger means
            values = np.array(list(map(number if "_" in text else float, cells)), np.float64)
        except ValueError:
            values = np.array(list(map(number, cells)), np.float64)
        values[~np.isfinite(values)] = np.nan
        self._blocks.append(values)
        self._commas.append(commas)

    def take(self, values: NDArray[np.float64]) -> None:
        """Take a block that is numbers already."""
        self._blocks.append(np.where(np.isfinite(values), values, np.nan))
        self._commas.append(np.zeros(len(values), np.bool_))

    def result(self) -> NDArray[np.float64]:
        """All numbers read so far; NaN for what is none, or not finite."""
        values = np.concatenate([np.empty(0, np.float64), *self._blocks])
        if self._points:
            values[np.concatenate([np.empty(0, np.bool_), *self._commas])] = np.nan
        return values


def number(cell: str) -> float:
    """The number in a cell; NaN if it holds anything else, as ``1_000``, ``12 dB`` or ``inf`` do."""
    text = cell.strip()
    return float(text) if _NUMBER.fullmatch(text) else math.nan
