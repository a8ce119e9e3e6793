"""Downwind minus upwind: which station is which, told from the wind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from greenmine.limits import WindClasses
from greenmine.processing.averaging import direction
from greenmine.processing.exclusion import Exclusion
from greenmine.processing.gas import GasConversion
from greenmine.processing.sliding import sliding_count, sliding_maximum, sliding_sum
from greenmine.processing.validity import enough
from greenmine.registry import Position, Registry, Rule

DEGREE: Final = 111_195.0
"""Length of a degree of a meridian [m], on a sphere of 6371 km."""


def bearing(origin: Position, target: Position) -> float:
    """Direction from origin to target [deg clockwise from north], for distances of some kilometres."""
    north = target.latitude - origin.latitude
    east = (target.longitude - origin.longitude) * np.cos(np.deg2rad(origin.latitude))
    return float(np.degrees(np.arctan2(east, north)) % 360.0)


def distance(a: Position, b: Position) -> float:
    """Distance of two places on the ground [m], of some kilometres; heights are left aside."""
    north = (b.latitude - a.latitude) * DEGREE
    east = (b.longitude - a.longitude) * DEGREE * np.cos(np.deg2rad((a.latitude + b.latitude) / 2))
    return float(np.hypot(north, east))


def angle_between(a: NDArray[np.float64] | float, b: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Smallest angle between two directions [deg], 0..180, at nine digits: the order of summation must not decide."""
    apart: NDArray[np.float64] = np.abs((np.asarray(a, np.float64) - b + 180.0) % 360.0 - 180.0)
    return np.round(apart, 9)


@dataclass(frozen=True, slots=True)
class Differences:
    """Differences over windows that slide by a minute, shape (m,).

    ``obstacle`` is 0 where a difference could be formed, else an index into `OBSTACLES`.
    """

    value: NDArray[np.float64]
    capture: NDArray[np.float64]
    obstacle: NDArray[np.int8]
    doubt: NDArray[np.int8]
    """Index into `greenmine.processing.gas.DOUBTS`: why it is not in the state of its limit."""
    over: NDArray[np.bool_]
    """A value of the station was beyond the range of its instrument; a reference of which that is true is not used."""


OBSTACLES = ("", "no-wind-data", "calm", "not-downwind", "no-reference", "wind-unsuitable")
"""Why a difference cannot be formed."""


def direction_deviation(
    cosines: NDArray[np.float64], sines: NDArray[np.float64], count: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Standard deviation of the direction of ``count`` unit vectors with these sums [deg], 0 to 103.9; NaN without any.

    References
    ----------
    R. J. Yamartino (1984), A comparison of several "single-pass" estimators of the standard deviation of wind direction, J. Climate
    Appl. Meteor. 23, 1362-1366.

    Examples
    --------
    >>> float(direction_deviation(np.array([1.0]), np.array([0.0]), np.array([2.0]))[0].round(1))
    66.0
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        length = np.hypot(cosines, sines) / count
        epsilon = np.sqrt(np.maximum(0.0, 1.0 - length**2))
    deviation: NDArray[np.float64] = np.degrees(np.arcsin(epsilon)) * (1.0 + (2.0 / np.sqrt(3.0) - 1.0) * epsilon**3)
    return np.round(deviation, 9)  # the order of summation must not decide


def unsuitable(classes: WindClasses, deviation: NDArray[np.float64], speed: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell where the wind does not do for sampling: any condition of class d, or two of class c.

    Stability of the air is the third condition; it is not known here.

    Parameters
    ----------
    classes : WindClasses
        Ends of the classes.
    deviation : float64 array
        Standard deviation of the direction [deg].
    speed : float64 array
        Mean speed [m/s], at nine digits.

    References
    ----------
    HJ/T 55-2000, 8.5.3 (the sampling is cancelled).
    """
    spread = (
        (deviation >= classes.sigma[0]).astype(np.int8)
        + (deviation > classes.sigma[1])
        + (deviation > classes.sigma[2])
    )
    pace = np.searchsorted(np.array(classes.speed), speed)
    cancelled: NDArray[np.bool_] = (spread == 3) | (pace == 3) | ((spread == 2) & (pace == 2))
    return cancelled


class DownwindDifference:
    """The difference statistic of one rule: its station, when downwind, minus the most upwind reference.

    Parameters
    ----------
    registry : Registry
        Gives the positions, the wind channels and the bounds of wind speed and sector.
    rule : Rule
        A rule with statistic ``difference``.

    References
    ----------
    GB 4915-2013, Table 3 (monitoring point minus reference point, 1-h mean); HJ/T 55-2000 (choice of points by wind).
    """

    def __init__(self, registry: Registry, rule: Rule) -> None:
        site = registry.site(rule.site)
        channels = {c.parameter.id: c.index for c in registry.own_channels(rule.site)}
        self.speed = channels["wind-speed"]
        self.direction = channels["wind-direction"]
        self.target = rule.channel
        self.references = rule.references
        self._bearing = bearing(site.position, registry.station(rule.site, rule.station).position)
        self._reference_bearings = [
            bearing(site.position, registry.station(rule.site, registry.channels[i].station).position)
            for i in rule.references
        ]
        devices = [
            registry.device(c.site, c.device)
            for c in map(registry.channels.__getitem__, (rule.channel, *rule.references))
        ]
        self._actual = np.array([device.state == "actual" for device in devices])
        self.gas: GasConversion | None = None
        """Conversion to the state of the limit; None where all of it is in that state."""
        if rule.limit.state is not None and self._actual.any():
            self.gas = GasConversion(registry, rule.site, rule.limit.state)
        self._classes = registry.conditions.suitability
        self._calm = registry.conditions.difference_wind_minimum
        self._sector = registry.conditions.difference_sector
        self._due = np.array([60_000 / registry.channels[i].interval for i in self._judged])
        self._need = rule.limit.validity.minutes_per_hour / 60

    @property
    def _judged(self) -> tuple[int, ...]:
        return (self.target, *self.references, self.speed, self.direction)

    @property
    def channels(self) -> tuple[int, ...]:
        """Every channel that the difference rests on."""
        gas = () if self.gas is None else self.gas.channels
        return (*self._judged, *gas)

    def slide(self, exclusion: Exclusion, first: int, count: int, width: int) -> Differences:
        """Differences over the windows of ``width`` minutes that end with the minutes ``first .. first + count - 1``."""
        rows = np.array(self._judged, np.intp)
        block = exclusion.unmarked(rows, np.full(len(rows), first - width + 1), count + width - 1)
        counts = sliding_count(block.count, width)
        totals = sliding_sum(block.total, width)
        with np.errstate(divide="ignore", invalid="ignore"):
            means = totals / counts
        held = sliding_sum(block.held, width)
        shares = np.minimum(1.0, held / (self._due[:, None] * width))
        over = sliding_maximum(block.over.astype(np.float64), width) > 0
        doubt = np.zeros(count, np.int8)
        if self.gas is not None:
            converted = self.gas.slide(exclusion, first, count, width)
            means[:-2] *= np.where(self._actual[:, None], converted.factor, 1.0)
            doubt = converted.doubt
        cosines, sines, directions = (
            sliding_sum(x[-1:].astype(np.float64), width)[0] for x in (block.total, block.other, block.count)
        )
        return self._choose(means, shares, (cosines, sines, directions), over, doubt)

    def _choose(
        self,
        means: NDArray[np.float64],
        shares: NDArray[np.float64],
        vectors: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
        over: NDArray[np.bool_],
        doubt: NDArray[np.int8],
    ) -> Differences:
        speed = np.round(means[-2], 9)
        cosines, sines, directions = vectors
        wind_from = direction(cosines, sines, directions)
        count = means.shape[1]
        away = np.stack([angle_between(wind_from, b) for b in self._reference_bearings])
        usable = (away <= self._sector) & enough(shares[1:-2], self._need) & ~over[1:-2]
        away = np.where(usable, away, np.inf)
        chosen = np.argmin(away, axis=0)
        everywhere = np.arange(count)
        obstacle = np.zeros(count, np.int8)
        obstacle[~usable.any(axis=0)] = 4
        obstacle[angle_between(wind_from + 180.0, self._bearing) > self._sector] = 3
        if self._classes is not None:
            obstacle[unsuitable(self._classes, direction_deviation(cosines, sines, directions), speed)] = 5
        obstacle[speed < self._calm] = 2
        blown = enough(shares[-2:], self._need).all(axis=0) & ~over[-2:].any(axis=0)
        obstacle[~blown | np.isnan(speed) | (directions == 0)] = 1
        value = np.where(obstacle == 0, means[0] - means[1 + chosen, everywhere], np.nan)
        doubt = np.where(self._actual[0] | self._actual[1:][chosen], doubt, np.int8(0))
        capture = np.minimum(shares[0], np.where(obstacle == 4, shares[0], shares[1 + chosen, everywhere]))
        return Differences(value, capture, obstacle, doubt, over[0])
