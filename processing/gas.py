"""State of gas: concentrations at actual temperature and pressure, converted to the state in which a limit is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from greenmine.limits import GasState
from greenmine.processing.exclusion import Exclusion
from greenmine.processing.sliding import sliding_count, sliding_sum
from greenmine.registry import Registry

_PARAMETERS: Final = ("air-temperature", "pressure", "humidity")
_CELSIUS: Final = 273.15

DOUBTS: Final = ("", "not-converted", "not-converted-to-dry")
"""Reasons why a concentration is not in the state of its limit."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """Factors that bring a concentration to the state of a limit, shape (m,); ``doubt`` is an index into `DOUBTS`."""

    factor: NDArray[np.float64]
    doubt: NDArray[np.int8]


def vapour_pressure(temperature: NDArray[np.float64], humidity: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pressure of the water vapour in the air [Pa].

    Parameters
    ----------
    temperature : float64 array
        [°C]
    humidity : float64 array
        Relative humidity over water [%]; more than 100 is taken for 100.

    References
    ----------
    WMO-No. 8, Guide to Instruments and Methods of Observation, Vol. I, Annex 4.B (saturation over water, Sonntag 1990).

    Examples
    --------
    >>> float(vapour_pressure(np.array([20.0]), np.array([50.0]))[0].round(0))
    1166.0
    """
    return np.minimum(humidity, 100.0) / 100.0 * 611.2 * np.exp(17.62 * temperature / (243.12 + temperature))


def conversion_factor(
    state: GasState, temperature: NDArray[np.float64], pressure: NDArray[np.float64], humidity: NDArray[np.float64]
) -> Conversion:
    """Give the factor from the actual state to that of a limit, by the law of ideal gases.

    Parameters
    ----------
    state : GasState
        Of the limit.
    temperature : float64 array (m,)
        [°C]; NaN where it is not known.
    pressure : float64 array (m,)
        [kPa]; NaN where it is not known.
    humidity : float64 array (m,)
        [%]; NaN where it is not known.

    Returns
    -------
    Conversion
        The factor is 1 without temperature or pressure. Without humidity that of moist gas is taken, the smaller one.

    References
    ----------
    GB 16297-1996, 3.1; GB 29620-2013, 3.5; GB 4915-2013, 3.9.
    """
    dry = 1000.0 * pressure
    known = ~np.isnan(temperature) & ~np.isnan(dry)
    doubt = np.where(known, 0, 1).astype(np.int8)
    if state.dry:
        moist = np.isnan(humidity)
        doubt[known & moist] = 2
        dry = dry - np.where(moist, 0.0, vapour_pressure(temperature, humidity))
    factor = state.pressure / dry * (_CELSIUS + temperature) / state.temperature
    return Conversion(np.where(known, factor, 1.0), doubt)


class GasConversion:
    """Brings the concentrations of a site to the state of a limit, by its weather station over the same minutes.

    Parameters
    ----------
    registry : Registry
        Tells the channels of temperature, pressure and humidity: those of the station that the site names for its weather, else
        the first of the site.
    site : str
        Id of the site.
    state : GasState
        Of the limit.
    """

    def __init__(self, registry: Registry, site: str, state: GasState) -> None:
        named = registry.site(site).weather
        found = {c.parameter.id: c.index for c in reversed(registry.site_channels(site))}
        found |= {c.parameter.id: c.index for c in registry.site_channels(site) if c.station == named}
        self._state = state
        self._rows = tuple(found.get(parameter, -1) for parameter in _PARAMETERS)

    @property
    def channels(self) -> tuple[int, ...]:
        """Those that it rests on."""
        return tuple(row for row in self._rows if row >= 0)

    def slide(self, exclusion: Exclusion, first: int, count: int, width: int) -> Conversion:
        """Give the conversions over the windows of ``width`` minutes that end with the minutes ``first .. first + count - 1``."""
        means = np.full((len(self._rows), count), np.nan)
        if min(self._rows[:2]) >= 0:
            present = np.flatnonzero(np.array(self._rows) >= 0)
            rows = np.array(self._rows, np.intp)[present]
            block = exclusion.unmarked(rows, np.full(len(rows), first - width + 1), count + width - 1)
            with np.errstate(divide="ignore", invalid="ignore"):
                means[present] = sliding_sum(block.total, width) / sliding_count(block.count, width)
        return conversion_factor(self._state, *means)
