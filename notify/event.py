"""Events: what happened, in words of the vocabulary; the texts are made when it is told."""

from __future__ import annotations

from typing import Any, Final, Literal, get_args

import msgspec

EventKind = Literal[
    "exceedance-opened",
    "exceedance-closed",
    "exceedance-restated",
    "warning-opened",
    "warning-closed",
    "warning-restated",
    "station-silent",
    "station-back",
    "station-flooding",
    "station-calm",
    "capture-low",
    "mark-claimed",
    "registry-changed",
    "queue-filling",
    "queue-eased",
    "report-day",
    "report-week",
    "report-month",
    "report-quarter",
    "report-year",
]
EVENTS: Final[tuple[EventKind, ...]] = get_args(EventKind)
"""What can be subscribed to. An exceedance is one of a legal limit; a warning one of an enterprise's own target or early warning;
restated is one whose beginning, peak or end has changed afterwards, or that was withdrawn. A mark is claimed that would take an
exceedance away: the district decides about it. The registry is changed where any part of it, or of the limits, is another one since
the last start. The queue fills when so much waits at the broker that devices are let in more slowly. A report is due of the period
that ended last; a mail brings it with it."""
REPORTS: Final[tuple[EventKind, ...]] = ("report-day", "report-week", "report-month", "report-quarter", "report-year")
INSTALLATION: Final[frozenset[EventKind]] = frozenset({"queue-filling", "queue-eased"})
"""What is of the installation as a whole: the district alone is told of it."""
DISTRICT: Final[frozenset[EventKind]] = frozenset({"mark-claimed", "registry-changed", *INSTALLATION})
"""What the district is told of whatever it asked for: what an enterprise does by itself, and others have to see."""
TEST: Final = "test"
"""Kind of what the test button sends, whatever was subscribed to."""


class Event(msgspec.Struct, frozen=True):
    """Something that happened at a site, or in the district (`ALL_SITES`).

    ``subject`` names what it happened to, such as ``exceedance/7``; ``place`` what has one state at a time, for receivers that
    keep the newest, and ``newest`` whether this is it. ``data`` holds the facts, times in it ISO 8601 on the site's clock.
    """

    kind: EventKind | Literal["test"]
    site: str
    subject: str
    time: int
    """When it happened [ms UTC]."""
    place: str
    """``station/limit``, ``station``, ``station/flooding``, ``station/capture``, ``queue``, or the kind of a report."""
    newest: bool
    data: dict[str, Any]
