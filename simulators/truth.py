"""Ground truth of a simulation: what was injected and what really happened."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

Kind = Literal["late", "duplicate", "reordered", "gap", "frozen", "drift", "clock-skew", "unit-slip", "power-loss"]
"""Kinds of fault."""

EventKind = Literal["blast", "sprayers", "incident", "night-shift", "overflow", "rain", "maintenance", "calibration"]
"""Kinds of event."""


class InjectedFault(msgspec.Struct, frozen=True, kw_only=True):
    """One injected fault.

    ``device`` is empty for a fault of the whole site, ``channel`` for one of a whole device. ``start`` and ``end``
    [ms UTC] bound the true instants of measurement that it touches; the end is exclusive. What ``parameters`` hold is
    told in ``docs/simulators.md``.
    """

    kind: Kind
    site: str
    device: str = ""
    channel: str = ""
    start: int
    end: int
    parameters: dict[str, float] = {}

    @property
    def key(self) -> str:
        """What the fault is about: the channel's key, or ``site/device``, or the site."""
        return self.channel or (f"{self.site}/{self.device}" if self.device else self.site)


class SimulatedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that really happened at a site, and may be the cause of an exceedance [ms UTC, end exclusive]."""

    kind: EventKind
    site: str
    device: str = ""
    start: int
    end: int
    parameters: dict[str, float | str] = {}


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    """All that a simulation knows of itself."""

    seed: int
    registry: str
    """Digest of the registry it was made from."""
    start: int
    end: int
    faults: tuple[InjectedFault, ...]
    events: tuple[SimulatedEvent, ...]

    def write(self, path: Path) -> None:
        """Write it as indented JSON."""
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self)) + b"\n")

    @classmethod
    def read(cls, path: Path) -> Truth:
        """Read what ``write`` wrote."""
        return msgspec.json.decode(path.read_bytes(), type=cls)
