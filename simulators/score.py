"""Score: which injected faults were caught, and what was raised falsely."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from rich.table import Table

from greenmine.simulators.clock import MINUTE_MS
from greenmine.simulators.faults import KINDS
from greenmine.simulators.truth import InjectedFault, Kind, Truth

NOT_CLAIMED: Final[frozenset[Kind]] = frozenset({"drift"})
"""Kinds that no look at the data can tell from the truth: only a calibration shows them."""

_CONSEQUENCES: Final[dict[Kind, frozenset[Kind]]] = {
    "power-loss": frozenset({"gap", "late", "reordered"}),
    "clock-skew": frozenset({"gap", "duplicate", "late", "reordered"}),
    "late": frozenset({"gap", "reordered", "clock-skew"}),
    "reordered": frozenset({"late"}),
    "gap": frozenset({"power-loss"}),
    "unit-slip": frozenset({"frozen", "gap"}),  # values outside the plausible range are as good as none
}
"""What a fault may rightly be taken for besides itself: neither caught nor false."""


@dataclass(frozen=True, slots=True)
class Detection:
    """Something that the pipeline noticed.

    ``key`` is the key of a channel, ``site/device`` or a site; a channel's key may stand for a fault of its site.
    ``start`` and ``end`` bound the instants that it is about [ms UTC].
    """

    kind: str
    key: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Score:
    """Figures of one kind of fault."""

    kind: Kind
    injected: int
    caught: int
    missed: int
    false: int
    """Detections of this kind that no injected fault explains."""


def score(
    truth: Truth, detections: Iterable[Detection], kinds: Collection[str] = KINDS, tolerance: int = 10 * MINUTE_MS
) -> list[Score]:
    """Compare detections with the truth.

    A fault is caught by a detection of its kind whose key is the fault's, or lies above or below it
    (``site`` above ``site/device``), and whose span meets the fault's, both bounds inclusive, widened by the tolerance.
    A fault that began before the simulation explains what was noticed, but need not be caught.

    Parameters
    ----------
    truth : Truth
        What was injected.
    detections : iterable of Detection
        What was noticed.
    kinds : collection of str
        Kinds to score.
    tolerance : int
        How far a detection may lie beside the fault [ms].

    Returns
    -------
    list of Score
        One for each kind, in the order of ``KINDS``.
    """
    noticed = list(detections)
    scores = []
    for kind in (k for k in KINDS if k in kinds):
        faults = [fault for fault in truth.faults if fault.kind == kind and fault.start >= truth.start]
        raised = [detection for detection in noticed if detection.kind == kind]
        caught = sum(any(_meet(f, d, tolerance) and _related(f.key, d.key) for d in raised) for f in faults)
        false = sum(not any(_explains(f, d, tolerance) for f in truth.faults) for d in raised)
        scores.append(Score(kind, len(faults), caught, len(faults) - caught, false))
    return scores


def table(scores: Sequence[Score]) -> Table:
    """The scores as a table for a terminal."""
    result = Table("fault", "injected", "caught", "missed", "false", "", title="What was injected and what was caught")
    for column in result.columns[1:5]:
        column.justify = "right"
    for row in scores:
        note = "not claimed: only a calibration shows it" if row.kind in NOT_CLAIMED else ""
        result.add_row(row.kind, str(row.injected), str(row.caught), str(row.missed), str(row.false), note)
    return result


def _meet(fault: InjectedFault, detection: Detection, tolerance: int) -> bool:
    return detection.start <= fault.end + tolerance and detection.end >= fault.start - tolerance


def _related(one: str, other: str) -> bool:
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def _explains(fault: InjectedFault, detection: Detection, tolerance: int) -> bool:
    """Whether a detection is the fault or a consequence of it, at the same site."""
    if not _meet(fault, detection, tolerance):
        return False
    if fault.kind == detection.kind:
        return _related(fault.key, detection.key)
    return fault.site == detection.key.partition("/")[0] and detection.kind in _CONSEQUENCES.get(fault.kind, ())
