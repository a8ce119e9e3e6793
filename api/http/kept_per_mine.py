"""What is concluded of each mine from its figures, kept until its own figures or the hour change."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Final, Generic, TypeVar

from greenmine.processing.windows import offset_minutes
from greenmine.record.reader import Queries, Scope
from greenmine.times import HOUR, MINUTE

_TOGETHER: Final = 100
"""Mines of which it is concluded at once."""

_V = TypeVar("_V")


class KeptPerMine(Generic[_V]):
    """Conclusions on mines that rest on figures, and on the clock by the hour alone: not on readings."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Hashable, _V]] = {}

    def of(
        self, queries: Queries, scope: Scope, instant: int, conclude: Callable[[Scope], Mapping[str, _V]]
    ) -> dict[str, _V]:
        """Conclusion on each mine in scope, in the registry's order, as if all had just been made.

        Parameters
        ----------
        queries : Queries
            On the record, of one registry as long as this object lives.
        scope : Scope
            Of whom.
        instant : int
            The clock [ms UTC].
        conclude : callable
            Returns what is concluded of each mine of a scope.
        """
        sites = [site for site in queries.registry.sites if site.id in scope]
        versions = queries.figures_by_site(scope)
        hours = {zone: _hour(instant, zone) for zone in {site.zone for site in sites}}
        keys = {site.id: (versions.get(site.id), hours[site.zone]) for site in sites}
        kept = {site: self._known.get(site) for site in keys}
        found = {site: told[1] for site, told in kept.items() if told is not None and told[0] == keys[site]}
        stale = [site for site in keys if site not in found]
        for first in range(0, len(stale), _TOGETHER):
            for site, told in conclude(Scope(frozenset(stale[first : first + _TOGETHER]))).items():
                found[site] = told
                self._known[site] = keys[site], told
        return {site: found[site] for site in keys}


def _hour(instant: int, zone: str) -> tuple[int, bool]:
    """Local hour of an instant; its very beginning apart, which may belong to the hour before as well."""
    hour, within = divmod(instant + offset_minutes(zone, instant // MINUTE) * MINUTE, HOUR)
    return hour, within == 0
