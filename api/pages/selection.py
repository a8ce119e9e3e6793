"""Which mines a page of many shows: those that were searched for, in groups, fifty at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from greenmine.api.http import arguments
from greenmine.api.pages.wording import Wording
from greenmine.record.reader import Queries, Scope
from greenmine.registry import Site

SHOWN: Final = 50
"""Mines on a page."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The mines of one page, with what was asked for."""

    sites: list[Site]
    headings: dict[str, str]
    """Name of a group by the id of its first mine on the page."""
    found: int
    given: arguments.SelectionArguments
    offered: bool
    """Whether there are so many mines that choosing among them is worth a line on the page."""

    @property
    def scope(self) -> Scope:
        """The mines of the page."""
        return Scope(frozenset(site.id for site in self.sites))

    @property
    def pages(self) -> int:
        """How many pages there are."""
        return max(1, -(-self.found // SHOWN))

    def turned(self, by: int) -> str | None:
        """Query of the page that lies so far behind this one; None where there is none."""
        page = self.given.page + by
        if not 1 <= page <= self.pages:
            return None
        asked = {"q": self.given.q, "group": self.given.group, "lang": self.given.lang, "page": page}
        return urlencode({name: value for name, value in asked.items() if value})


def selection(queries: Queries, scope: Scope, wording: Wording, given: arguments.SelectionArguments) -> Selection:
    """Return the mines of a page, in the order of their groups and of the registry."""
    registry = queries.registry
    visible = [site for site in registry.sites if site.id in scope]
    owners = {enterprise.id: f"{enterprise.name_zh} {enterprise.name_en}" for enterprise in registry.enterprises}
    words = given.q.casefold().split()

    def told(site: Site) -> str:
        texts = (
            site.id,
            site.name_zh,
            site.name_en,
            site.township_zh,
            site.product_zh,
            site.product_en,
            owners[site.enterprise],
        )
        return " ".join(texts).casefold()

    found = [site for site in visible if all(word in told(site) for word in words)]
    lasting = queries.open_exceedances(scope) if given.group == "state" else {}

    def group(site: Site) -> tuple[int, str]:
        if given.group == "state":
            state = "open" if lasting.get(site.id) else "none"
            return (0 if state == "open" else 1), wording.t(f"selection.state-{state}")
        product = site.product_zh if wording.language == "zh" else site.product_en
        name = {"township": site.township_zh, "mineral": product, "zone": site.zone}[given.group or "zone"]
        return (0, name) if name else (1, wording.t("selection.not-said"))

    groups = {site.id: group(site) for site in found} if given.group else {}
    found.sort(key=lambda site: groups.get(site.id, (0, "")))
    first = (given.page - 1) * SHOWN
    sites = found[first : first + SHOWN]
    headings: dict[str, str] = {}
    for before, site in zip([None, *sites], sites, strict=False):
        if groups and (before is None or groups[before.id] != groups[site.id]):
            headings[site.id] = groups[site.id][1]
    return Selection(sites, headings, len(found), given, len(visible) > SHOWN)
