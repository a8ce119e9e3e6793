"""The dashboards, one module each."""

from __future__ import annotations

import json

from greenmine.grafana.board import Json
from greenmine.grafana.dashboards import dust, exceedances, mine, noise, operation, overview, water
from greenmine.grafana.edition import Edition


def dashboards(edition: Edition, *, district: bool = True) -> dict[str, Json]:
    """The dashboards by name.

    Parameters
    ----------
    edition : Edition
        For whom; a theme that is not measured there has no dashboard.
    district : bool
        With the panels that only the district's data can fill.
    """
    made = {"overview": overview.build(edition), "mine": mine.build(edition)}
    made |= {
        name: module.build(edition)
        for name, module in (("dust", dust), ("noise", noise), ("water", water))
        if edition.has(name)
    }
    return made | {"exceedances": exceedances.build(edition), "operation": operation.build(edition, district=district)}


def as_text(dashboard: Json) -> str:
    """JSON as people read it: indented, Chinese as it is."""
    return json.dumps(dashboard, ensure_ascii=False, indent=1) + "\n"
