"""Partitions: which mines one worker takes together, so that several workers share an installation."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

from greenmine.registry import Registry
from greenmine.routes import routes


def partitions_of(registry: Registry, partitions: int) -> dict[str, int]:
    """Return the partition of each site: by its id alone, so that all processes and all times agree.

    Sites that share a weather station are in one partition, as what one measures becomes readings of the other in the same
    commit; and so are those whose messages only the payload tells apart.

    Parameters
    ----------
    registry : Registry
        The sites.
    partitions : int
        How many there are.
    """
    if partitions == 1:
        return {site.id: 0 for site in registry.sites}
    together = {site.id: site.id for site in registry.sites}

    def first(site: str) -> str:
        while together[site] != site:
            site = together[site]
        return site

    for some, other in _pairs(registry):
        if some in together and other in together:
            one, another = sorted((first(some), first(other)))
            together[another] = one
    return {site: int(sha256(first(site).encode()).hexdigest(), 16) % partitions for site in together}


def _pairs(registry: Registry) -> Iterator[tuple[str, str]]:
    """Sites that belong together."""
    for site, neighbour in registry.neighbours.items():
        yield site, neighbour.site
    for table in routes(registry):
        if table.mapping.address is not None:
            sites = [route.site for route in table.routes.values()]
            yield from zip(sites[1:], sites, strict=False)
