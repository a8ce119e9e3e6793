"""Rows of the printed table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Row:
    """One figure beside its reference.

    ``ratio`` is measured ÷ reference; ``target`` is the bound on it, ``bound`` says which way. Without a target the row only
    informs; without a ratio it was skipped, and ``measured`` says why.
    """

    subject: str
    what: str
    measured: str
    reference: str
    ratio: float | None
    bound: Literal[">=", "<=", ""] = ""
    target: float | None = None

    @property
    def verdict(self) -> str:
        """``yes``, ``NO``, or nothing where there is no target or no figure."""
        if self.ratio is None or self.target is None:
            return ""
        good = self.ratio >= self.target if self.bound == ">=" else self.ratio <= self.target
        return "yes" if good else "NO"
