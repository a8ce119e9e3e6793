"""Maps drawn from coordinates, north up, without tiles: of all mines, and of the stations of one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from greenmine.api.http.views import LatestView, theme_judgements
from greenmine.entries import Position
from greenmine.registry import Registry, Site

WIDTH: Final = 640
HEIGHT: Final = 420
_EDGE: Final = 70
"""Map, and what is left free around its places [pixels]."""
WIND: Final = "wind-direction"
"""Parameter that tells where the wind comes from."""
_WORST: Final = (
    ("exceeds", "statutory"),
    ("exceeds", "indicative"),
    ("not assessable", "indicative"),
    ("not assessable", "statutory"),
    ("meets", "indicative"),
    ("meets", "statutory"),
)
"""Conclusions, the worst first: one that is indicative withholds the sign of compliance."""


@dataclass(frozen=True, slots=True)
class Pin:
    """A place on a map [pixels]; ``wind`` is the direction in which the wind blows [degrees clockwise from up]."""

    id: str
    x: float
    y: float
    verdict: str
    standing: str
    wind: float | None
    left: bool
    """Its name stands to the left of it."""


def site_pins(
    sites: Sequence[Site], told: Mapping[str, Sequence[tuple[str, str]]], comes: Mapping[str, float]
) -> list[Pin]:
    """Place mines: each with the worst conclusion on its own emissions, and where the wind comes from [degrees], if known."""
    winds = {site.id: _blows(comes.get(site.id)) for site in sites}
    return _placed([(site.id, site.position) for site in sites], told, winds)


def conclusions(own: Sequence[LatestView], registry: Registry) -> list[tuple[str, str]]:
    """Verdict and standing of what is concluded of a mine's own emissions."""
    return [
        (judgement.verdict, judgement.standing)
        for theme in registry.judged_themes
        for judgement in theme_judgements(own, theme.id, registry)
        if judgement.addressee == "emission"
    ]


def station_pins(site: Site, views: Sequence[LatestView]) -> list[Pin]:
    """Place the stations of a mine, but for its equipment: each with the worst of the last verdicts on its legal limits."""
    told: dict[str, list[tuple[str, str]]] = {}
    for view in views:
        told.setdefault(view.station, []).extend(
            (limit.verdict.verdict, limit.verdict.standing)
            for limit in view.limits
            if limit.kind == "legal" and limit.verdict is not None
        )
    winds = {station.id: _wind(view for view in views if view.station == station.id) for station in site.stations}
    shown = [(station.id, station.position) for station in site.stations if station.role != "equipment"]
    return _placed(shown, told, winds)


def _wind(views: Iterable[LatestView]) -> float | None:
    return _blows(next((v.value for v in views if v.parameter == WIND and v.value is not None), None))


def _blows(comes: float | None) -> float | None:
    return None if comes is None else (comes + 180) % 360


def _placed(
    places: Sequence[tuple[str, Position]],
    told: Mapping[str, Sequence[tuple[str, str]]],
    winds: dict[str, float | None],
) -> list[Pin]:
    """Pins in the scale that shows all of them; a single one stands in the middle."""
    if not places:
        return []
    latitude = [position.latitude for _, position in places]
    longitude = [position.longitude for _, position in places]
    squeeze = math.cos(math.radians((min(latitude) + max(latitude)) / 2))
    middle = (min(longitude) + max(longitude)) / 2, (min(latitude) + max(latitude)) / 2
    spans = (max(longitude) - min(longitude)) * squeeze, max(latitude) - min(latitude)
    scale = min(
        ((room - 2 * _EDGE) / span for room, span in zip((WIDTH, HEIGHT), spans, strict=True) if span), default=1.0
    )
    found = []
    for name, position in places:
        x = WIDTH / 2 + (position.longitude - middle[0]) * squeeze * scale
        y = HEIGHT / 2 - (position.latitude - middle[1]) * scale
        verdict, standing = next((one for one in _WORST if one in told.get(name, ())), ("none", ""))
        wind = winds[name]
        # The name stands away from the arrow where there is room for it.
        left = x > WIDTH - 2 * _EDGE or (wind is not None and wind < 180 and x > 2 * _EDGE)
        found.append(Pin(name, round(x, 1), round(y, 1), verdict, standing, wind, left))
    return found
