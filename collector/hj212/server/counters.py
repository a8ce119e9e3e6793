"""What the server for data loggers has done since its start."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class ServerCounters:
    """Written by the server's thread, read by any."""

    connections: int = 0
    """Connections that are open."""
    accepted: int = 0
    refused: int = 0
    """Connections closed at once because there were too many."""
    loggers: int = 0
    """Connections on which a logger has named itself."""
    frames: int = 0
    """Sound frames of known loggers."""
    answered: int = 0
    unanswered: int = 0
    """Frames committed whose connection was gone; the logger sends them again."""
    damaged: Counter[str] = field(default_factory=Counter)
    """Frames that were not executed, by fault."""
    deviations: Counter[str] = field(default_factory=Counter)
    strangers: int = 0
    """Frames with an MN that no device has, or without one."""
    passwords: int = 0
    """Frames with a wrong PW."""
    keyless: int = 0
    """Encrypted frames that no key opened; they are not answered."""
    misunderstood: int = 0
    """Messages by a command that is none of a logger's; they are kept as information, and not answered."""
    backfilled: int = 0
    """Messages that say that their data is filled in afterwards (RF)."""
    closed: Counter[str] = field(default_factory=Counter)
    """Connections that the server closed, by reason."""
    paused: int = 0
    """Times that a logger was read more slowly because it sent too fast."""
    requests: int = 0
    """Requests sent, resends included."""
    outcomes: Counter[str] = field(default_factory=Counter)
    """How requests ended."""
    retries: int = 0
    """Commits that the record refused."""
    newest: int = 0
    """When the newest frame was received [ms UTC]; 0: none yet."""

    def figures(self) -> dict[str, Any]:
        """All of them, as builtins."""
        return {
            name: dict(value) if isinstance(value, Counter) else value
            for name in self.__dataclass_fields__
            for value in [getattr(self, name)]
        }
