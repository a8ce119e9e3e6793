"""The form of readings in a block."""

from __future__ import annotations

from typing import Final

import numpy as np

ROW: Final = np.dtype([("time", "<i8"), ("value", "<f8"), ("flag", "u1"), ("quality", "u1")])
"""A reading in a block: instant [ms UTC], value in the canonical unit, HJ 212 flag, bits of ``greenmine.processing.flags``."""

HOUR: Final = 3_600_000
"""[ms]"""
