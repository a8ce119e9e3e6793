"""What the hours of a period say together: distributions, gaps, and concentration by wind direction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from itertools import chain
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from greenmine.limits import Window
from greenmine.processing.engine import Statistic
from greenmine.processing.rose import Rose, rose
from greenmine.processing.upwind import Hours, valid_means
from greenmine.processing.windows import moment_of
from greenmine.registry import Registry


class Distribution(msgspec.Struct, frozen=True):
    """Quantiles of the valid figures of a channel over one kind of window [unit of the channel].

    A quantile between two figures is interpolated between them linearly, as HJ 663-2013 does for percentiles.
    """

    channel: str
    window: str
    count: int
    minimum: float
    p5: float
    p25: float
    p50: float
    p75: float
    p95: float
    p98: float
    maximum: float


class HourGap(msgspec.Struct, frozen=True):
    """Hours on end in which a channel has no valid hourly figure."""

    channel: str
    start: str
    end: str
    hours: int
    silent: int
    """Of these, hours in which no reading came that could be used."""
    excluded: int
    """Of these, hours with minutes that were excluded for rain, wind or a mark."""


def distributions(
    registry: Registry, hours: Hours, found: Mapping[tuple[int, Window, int], Statistic]
) -> list[Distribution]:
    """Return those of judged themes; windows without a valid figure are left out.

    Parameters
    ----------
    registry : Registry
        Holds this site only.
    hours : Hours
        Of all channels.
    found : mapping of Statistic
        Of the other windows, by channel, window and start.
    """
    values: dict[tuple[int, str], list[float]] = defaultdict(list)
    for channel in (c.index for c in registry.channels if registry.is_judged(c.parameter.id)):
        others = (s for key, s in sorted(found.items()) if key[0] == channel)
        for s in chain(hours.get(channel, ()), others):
            if s.valid and s.mean is not None:
                values[channel, s.window].append(s.mean)
    return [
        Distribution(
            registry.channels[channel].key,
            window,
            len(mine),
            *np.quantile(mine, (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 0.98, 1.0)).tolist(),
        )
        for (channel, window), mine in sorted(values.items())
    ]


def gaps(registry: Registry, hours: Hours, start: int, end: int, zone: ZoneInfo) -> list[HourGap]:
    """Of every channel, in order.

    Parameters
    ----------
    start, end : int
        The period [min since 1970 UTC, half-open].
    """
    count = (end - start) // 60
    found = []
    for channel in registry.channels:
        silent, excluded, valid = np.ones(count, bool), np.zeros(count, bool), np.zeros(count, bool)
        for s in hours.get(channel.index, ()):
            place = (s.start - start) // 60
            silent[place], excluded[place], valid[place] = not s.count and not s.excluded, s.excluded > 0, s.valid
        edges = np.flatnonzero(np.diff(np.concatenate(([True], valid, [True]))))
        found += [
            HourGap(
                channel.key,
                moment_of(start + 60 * first, zone.key).isoformat(),
                moment_of(start + 60 * last, zone.key).isoformat(),
                last - first,
                int(silent[first:last].sum()),
                int(excluded[first:last].sum()),
            )
            for first, last in edges.reshape(-1, 2).tolist()
        ]
    return found


def roses(registry: Registry, hours: Hours) -> list[Rose]:
    """Of every channel of dust, at a site with a wind channel."""
    wind = {c.parameter.id: c for c in registry.channels if c.parameter.id in {"wind-speed", "wind-direction"}}
    if len(wind) < 2:
        return []
    speed, direction = (valid_means(hours, wind[name].index) for name in ("wind-speed", "wind-direction"))
    least = registry.conditions.difference_wind_minimum
    return [
        rose(c.key, valid_means(hours, c.index), speed, direction, least)
        for c in registry.channels
        if c.parameter.theme == "dust"
    ]
