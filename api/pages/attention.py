"""What calls for somebody: exceeded limits, those that may be exceeded, silence, and what waits for a person."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from greenmine.api.http import arguments
from greenmine.api.http.views import ExceedanceView, LatestView, LimitView, exceedance_view
from greenmine.entries import Inspection
from greenmine.record.reader import Queries, Row, Scope
from greenmine.registry import DEFAULT, Site
from greenmine.times import local

LISTED: Final = 12
"""Entries of a list at most; how many there are is told above it."""
BAD_HEALTH: Final = frozenset({"silent", "frozen", "skewed", "implausible", "flooding"})


@dataclass(frozen=True, slots=True)
class Attention:
    """What calls for somebody, of some channels."""

    breach: list[tuple[LatestView, LimitView]]
    """Legal limits exceeded by now, or by the end of the window whatever comes."""
    course: list[tuple[LatestView, LimitView]]
    """Limits that are exceeded by the end of the window if it goes on like the hours before."""
    faulty: list[LatestView]
    """Channels that are silent, frozen, skewed or implausible."""

    @classmethod
    def of_all(cls, parts: Iterable[Attention]) -> Attention:
        """Put together what calls at several mines."""
        found = cls([], [], [])
        for one in parts:
            found.breach.extend(one.breach)
            found.course.extend(one.course)
            found.faulty.extend(one.faulty)
        return found


@dataclass(frozen=True, slots=True)
class Awaiting:
    """What waits for a person at some mines."""

    todo: int
    events: list[ExceedanceView]
    """The newest of the ``todo`` exceedances that nobody has acknowledged."""
    claims: list[Row]
    """Marks that would take an exceedance away and are not decided."""
    overdue: list[tuple[Site, Inspection]]
    """Inspections whose finding was not put right in time."""
    missing: list[tuple[Site, str]]
    """Files that the registry names and that are not there."""

    @property
    def total(self) -> int:
        """How many things wait."""
        return self.todo + len(self.claims) + len(self.overdue) + len(self.missing)


def attention(views: Sequence[LatestView]) -> Attention:
    """Choose what calls for somebody; limits of one channel stay in the registry's order."""
    found = Attention([], [], [view for view in views if view.health.state in BAD_HEALTH])
    for view in views:
        for limit in view.limits:
            room = limit.headroom
            if limit.kind != "legal":
                continue
            if limit.open or (limit.margin is not None and limit.margin < 0) or (room and room.state == "exceeds"):
                found.breach.append((view, limit))
            elif room and room.value is not None and room.hours and (limit.running or 0.0) > room.value:
                found.course.append((view, limit))
    return found


def waiting(queries: Queries, scope: Scope, folder: Path | None, instant: int) -> Awaiting:
    """Gather what waits at the mines of a scope.

    Parameters
    ----------
    folder : Path, optional
        Directory of the registry, where documents lie; None: that of the registry that ships.
    instant : int
        The present [ms UTC].
    """
    todo = queries.exceedances(scope, 0, 1 << 62, todo=True, limit=LISTED)
    sites = [site for site in queries.registry.sites if site.id in scope]
    documents = (folder or DEFAULT) / "documents"
    named: list[tuple[Site, str | None]] = []
    for site in sites:
        named += [(site, document.file) for document in site.documents]
        named += [(site, stage.file) for stage in site.stages]
        named += [(site, approval.file) for approval in site.approvals]
        named += [(site, inspection.file) for inspection in site.inspections]
    return Awaiting(
        sum(queries.unacknowledged_exceedances(scope).values()),
        [exceedance_view(queries.registry, row, instant) for row in todo],
        [row for row in queries.mark_requests(scope, limit=arguments.MAX_PAGE) if row.state == "claimed"],
        [(site, one) for site in sites for one in site.inspections if one.overdue(local(instant, site.zone).date())],
        [(site, file) for site, file in named if file is not None and not (documents / site.id / file).is_file()],
    )
