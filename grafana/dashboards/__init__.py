"""The dashboards, one module each."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

from greenmine.grafana.board import Json
from greenmine.grafana.dashboards import dust, exceedances, mine, noise, operation, overview, theme_board, wall
from greenmine.grafana.edition import Edition

_OWN: Final[dict[str, Callable[[Edition], Json]]] = {"dust": dust.build, "noise": noise.build}
"""Themes with a dashboard made for them."""


def dashboards(edition: Edition, *, district: bool = True) -> dict[str, Json]:
    """The dashboards by name.

    Parameters
    ----------
    edition : Edition
        For whom; a theme that is not measured there has no dashboard.
    district : bool
        With the panels that only the district's data can fill.

    Raises
    ------
    ValueError
        If a theme has the name of another dashboard.
    """
    first = {"overview": overview.build(edition), "wall": wall.build(edition), "mine": mine.build(edition)}
    last = {"exceedances": exceedances.build(edition), "operation": operation.build(edition, district=district)}
    for theme in edition.themes():
        if theme.id in first | last:
            raise ValueError(f"theme {theme.id!r}: another dashboard has this name; choose another id for the theme")
        first[theme.id] = _OWN[theme.id](edition) if theme.id in _OWN else theme_board.build(edition, theme)
    return first | last


def as_text(dashboard: Json) -> str:
    """JSON as people read it: indented, Chinese as it is."""
    return json.dumps(dashboard, ensure_ascii=False, indent=1) + "\n"
