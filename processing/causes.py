"""A suggestion of what caused a dust episode: dust from outside, blasting, works without water, or works as usual.

It rests on what was measured around the worst hour: the wind, the mine's other stations, the state of its equipment, and
marks of blasting. It is a suggestion for the people who look into the episode. No verdict and no figure rests on it, and
there is no statutory rule for it: all of this is a choice of this project.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from greenmine.processing.averaging import direction
from greenmine.processing.engine import Engine
from greenmine.processing.exclusion import Mark
from greenmine.processing.identity import unknown
from greenmine.processing.panes import MINUTE
from greenmine.processing.restatement import Fetch, site_part
from greenmine.processing.rose import source_bearings
from greenmine.processing.slide import HOUR, by_minute
from greenmine.processing.wind import angle_between, bearing
from greenmine.registry import Registry, Rule

Cause = Literal["outside", "blasting", "dry", "works"]
"""Dust that came with the air; a blast; works while the sprayers stood still; works otherwise."""

_BEFORE: Final = 40
"""How long before a blast the level is looked at [min]."""
_VAGUE: Final = 10
"""By so much the time of a mark of blasting may be wrong [min]."""
_CLOUD: Final = 30
"""How long the dust of a blast may last at a station [min]."""
_STOOD: Final = 0.75
"""Sprayers stood still if they did so while this share of the mine's own dust came."""
_KNOWN: Final = 0.5
"""Share of the minutes that have to be known of wind, dust and equipment."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What is suggested, and what it rests on.

    Parameters
    ----------
    cause : str or None
        None: it cannot be told, for the wind was calm or is not known.
    share : float
        Estimated part of the concentration that is due to it, 0 to 1.
    begin, end : int
        What was looked at [minutes since 1970 UTC, half-open].
    wind_from, wind_speed : float or None
        Mean direction that the wind came from [deg], and speed [m/s].
    sources : tuple of str
        Equipment in the sector from which the wind came.
    running : dict of str to float
        Share of the minutes in which equipment ran; only where it is known.
    outside : str or None
        Station whose figure stands for the air from outside.
    outside_share : float or None
        Its mean as a share of the station's, at most 1.
    blasts : tuple of int
        Beginnings of marked blasts that may have reached the station [minutes since 1970 UTC].
    """

    cause: Cause | None
    share: float
    begin: int
    end: int
    wind_from: float | None
    wind_speed: float | None
    sources: tuple[str, ...]
    running: dict[str, float]
    outside: str | None
    outside_share: float | None
    blasts: tuple[int, ...]


def window_of(rule: Rule, start: int, end: int, peak: int) -> tuple[int, int]:
    """Return what to look at of a stored episode: the hour that ends with its peak, or all of its period.

    All are minutes since 1970 UTC, half-open.
    """
    return (peak - HOUR, peak) if by_minute(rule) else (start, end)


def suggest(
    registry: Registry, rule: Rule, span: tuple[int, int], fetch: Fetch, marks: Iterable[Mark]
) -> Suggestion | None:
    """Suggest what caused the dust of a span.

    The concentration is divided into three parts: what the air brought along, which is the mean of the station upwind of the
    mine, or of the cleanest of its other stations where none is upwind; what rose after a marked blast; and the rest, which
    is of the works. The largest is the cause. All came from outside where the wind blew from none of the mine's own sources.
    In a calm it can only be told where the air of another station is known, and a blast, that air, or works explain the dust.

    Parameters
    ----------
    registry : Registry
        Positions, channels, equipment.
    rule : Rule
        Of a limit on dust.
    span : (int, int)
        See `window_of`.
    fetch : Fetch
        Finds stored readings.
    marks : iterable of Mark
        Those of the site; of these, the ones of blasting count.

    Returns
    -------
    Suggestion or None
        None where fewer than half of the minutes have dust.
    """
    begin, end = span
    first = begin - _BEFORE - _VAGUE
    air = _Air(registry, rule.site, first, end, fetch)
    inside = slice(begin - first, None)
    dust = air.mean(rule.channel)
    known = ~np.isnan(dust[inside])
    if known.mean() < _KNOWN:
        return None
    mean = float(dust[inside][known].mean())
    sector, calm = registry.conditions.difference_sector, registry.conditions.difference_wind_minimum
    wind_from, speed = air.wind(inside)
    blows = wind_from is not None and speed is not None and speed >= calm
    site = registry.site(rule.site)
    bearings = source_bearings(site, rule.station)
    station = next(one.position for one in site.stations if one.id == rule.station)
    pit = bearing(station, site.position)
    near = tuple(one for one, at in bearings.items() if blows and _within(wind_from, at, sector))
    from_mine = bool(near) or (blows and _within(wind_from, pit, sector))
    outside, brought = _outside(registry, rule, air, inside, wind_from if blows else None)
    share_outside = None if brought is None else min(1.0, brought / mean) if mean > 0 else 1.0
    blasts = sorted(
        {m.start for m in marks if m.kind == "blasting" and m.site == rule.site and begin - _VAGUE <= m.start < end}
    )
    blown = sum(_risen(dust, mark - first, inside.start) for mark in blasts) / int(known.sum())
    parts: dict[Cause, float] = {
        "outside": share_outside or 0.0,
        "blasting": min(1.0, blown / mean) if mean > 0 else 0.0,
    }
    if blows and not from_mine:
        parts["outside"] = max(parts["outside"], 1.0 - parts["blasting"])
    own = max(0.0, 1.0 - sum(parts.values()))
    states = {
        c.station: air.mean(c.index)[inside]
        for c in registry.site_channels(rule.site)
        if c.parameter.is_state and c.station in {one.id for one in site.stations if one.role == "equipment"}
    }
    running = {one: float(np.nanmean(state)) for one, state in states.items() if (~np.isnan(state)).mean() >= _KNOWN}
    sprayers = {m.equipment for m in site.measures if m.kind == "sprayers" and m.equipment in running}
    dry = end - begin <= HOUR and bool(sprayers) and all(_stood(states[str(one)], dust[inside]) for one in sprayers)
    parts["dry" if dry else "works"] = own
    cause = max(parts, key=lambda one: parts[one])
    works_on = share_outside is not None and any(ran > _KNOWN for one, ran in running.items() if one not in sprayers)
    told = blows or max(parts["blasting"], parts["outside"]) > _KNOWN or works_on
    return Suggestion(
        cause if told else None,
        parts[cause],
        begin,
        end,
        wind_from,
        speed,
        near,
        running,
        outside,
        share_outside,
        tuple(blasts),
    )


class _Air:
    """Minutes of a site's channels around an episode."""

    def __init__(self, registry: Registry, site: str, first: int, end: int, fetch: Fetch) -> None:
        part, self._channel, _ = site_part(registry, site)
        engine = Engine(part, unknown, lambda *_: (np.empty(0, np.int64), np.empty(0)))
        wanted = ("wind-speed", "wind-direction")
        for c in part.channels:
            if c.parameter.theme == "dust" or c.parameter.is_state or c.parameter.id in wanted:
                readings, quality = fetch(self._channel + c.index, first * MINUTE, end * MINUTE)
                if len(readings):
                    engine.fill(replace(readings, channel=np.full(len(readings), c.index, np.int32)), quality)
        rows = np.arange(len(part.channels))
        self._block = engine.panes.block(rows, np.full(len(rows), first), end - first)
        self._by_parameter = {c.parameter.id: c.index for c in part.own_channels(site)}

    def mean(self, channel: int) -> NDArray[np.float64]:
        """Means of the minutes of a channel of the whole registry; NaN where there is none."""
        row = channel - self._channel
        with np.errstate(divide="ignore", invalid="ignore"):
            means: NDArray[np.float64] = self._block.total[row] / self._block.count[row]
        return means

    def wind(self, inside: slice) -> tuple[float | None, float | None]:
        """Mean direction that the wind came from [deg], and mean speed [m/s]."""
        rows = [self._by_parameter.get(name) for name in ("wind-direction", "wind-speed")]
        if None in rows:
            return None, None
        turning, speed = ((getattr(self._block, f)[rows[k], inside]) for f, k in (("count", 0), ("count", 1)))
        if (turning > 0).mean() < _KNOWN or (speed > 0).mean() < _KNOWN:
            return None, None
        cosines, sines = self._block.total[rows[0], inside].sum(), self._block.other[rows[0], inside].sum()
        found = float(direction(cosines, sines, turning.sum()))
        return None if np.isnan(found) else found, float(self._block.total[rows[1], inside].sum() / speed.sum())


def _within(wind_from: float | None, direction_of: float, sector: float) -> bool:
    return wind_from is not None and bool(angle_between(wind_from, direction_of) <= sector)


def _outside(
    registry: Registry, rule: Rule, air: _Air, inside: slice, wind_from: float | None
) -> tuple[str | None, float | None]:
    """Station that stands for the air from outside, and its mean."""
    here = registry.channels[rule.channel]
    site = registry.site(rule.site)
    found: list[tuple[float, float, str]] = []
    for c in registry.site_channels(rule.site):
        if c.parameter.id != here.parameter.id or c.station == here.station:
            continue
        values = air.mean(c.index)[inside]
        if (~np.isnan(values)).mean() < _KNOWN:
            continue
        at = bearing(site.position, registry.station(c.site, c.station).position)
        away = float(angle_between(wind_from, at)) if wind_from is not None else 180.0
        upwind = away <= registry.conditions.difference_sector
        found.append((away if upwind else 360.0, float(np.nanmean(values)), c.station))
    if not found:
        return None, None
    _, mean, station = min(found)
    return station, mean


def _risen(dust: NDArray[np.float64], mark: int, begin: int) -> float:
    """Sum over the minutes after a blast of what lies above the level before it, from the place ``begin`` on."""
    before = dust[max(0, mark - _BEFORE) : max(0, mark - _VAGUE)]
    before = before[~np.isnan(before)]
    after = dust[max(begin, mark - _VAGUE) : mark + _CLOUD]
    if not len(before):
        return 0.0
    return float(np.nansum(np.maximum(after - np.median(before), 0.0)))


def _stood(state: NDArray[np.float64], dust: NDArray[np.float64]) -> bool:
    """Whether equipment stood still while the dust came."""
    both = ~np.isnan(state) & ~np.isnan(dust)
    total = dust[both].sum()
    return bool(total > 0 and dust[both & (state == 0)].sum() >= _STOOD * total)
