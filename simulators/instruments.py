"""Instruments: what they make of the truth, and when they are serviced."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from greenmine.parameters import Parameter
from greenmine.simulators.clock import Clock
from greenmine.simulators.random_streams import MINUTES_PER_DAY, Floats, RandomStreams

NORMAL: Final = ord("N")
MAINTENANCE: Final = ord("M")
CALIBRATION: Final = ord("C")

_MAINTENANCE_START, _MAINTENANCE_MINUTES = 10 * 60, 30
_CALIBRATION_START, _CALIBRATION_MINUTES = 3 * 60, 15
_TAIL = 5
"""Time constants after which an instrument has forgotten."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """How an instrument measures one parameter."""

    relative: float = 0.0
    """Standard deviation of its noise as a share of the value."""
    absolute: float = 0.0
    """Standard deviation of its noise in the parameter's unit."""
    response: float = 0.0
    """Time constant of a first-order response [min]."""
    check: float = 0.0
    """What it shows while it is being calibrated: the value of the standard."""
    noisy: bool = True
    """Whether its noise never falls below its resolution, so that a working instrument never looks frozen."""


INSTRUMENTS: Final[dict[str, Instrument]] = {
    "pm10": Instrument(0.03, 1.0, 1.0),
    "pm2.5": Instrument(0.03, 0.8, 1.0),
    "tsp": Instrument(0.04, 1.5, 1.0),
    "laeq": Instrument(0.0, 0.15, check=94.0),
    "lafmax": Instrument(0.0, 0.3, check=94.0),
    "ph": Instrument(0.0, 0.012, 2.0, check=6.86),
    "ss": Instrument(0.03, 0.8, 3.0),
    "turbidity": Instrument(0.02, 0.6, 2.0),
    "cod": Instrument(0.03, 0.4, 10.0),
    "nh3-n": Instrument(0.03, 0.01, 10.0),
    "conductivity": Instrument(0.004, 1.0, 2.0),
    "do": Instrument(0.01, 0.03, 3.0),
    "water-temperature": Instrument(0.0, 0.05, 4.0),
    "flow": Instrument(0.02, 0.0, 1.0, noisy=False),
    "wind-speed": Instrument(0.02, 0.05),
    "wind-direction": Instrument(0.0, 2.0),
    "air-temperature": Instrument(0.0, 0.06, 3.0),
    "humidity": Instrument(0.0, 0.4, 3.0),
    "pressure": Instrument(0.0, 0.01),
    "rain": Instrument(noisy=False),
    "equipment-state": Instrument(noisy=False),
}
"""Instruments of parameters with a model."""

_ANY: Final = Instrument(0.02)


def instrument_of(parameter: str) -> Instrument:
    """Return the instrument of a parameter; an ordinary one where it has no model."""
    return INSTRUMENTS.get(parameter, _ANY)


def respond(truth: Floats, response: float) -> Floats:
    """What an instrument with a first-order response shows, shape (n,); it starts settled at the first value.

    Parameters
    ----------
    truth : float64 array (n,)
        One value a minute.
    response : float
        Time constant [min]; 0 for an instrument that follows at once.
    """
    if response <= 0:
        return truth
    weights = np.exp(-np.arange(int(_TAIL * response) + 1) / response)
    padded = np.concatenate([np.full(len(weights) - 1, truth[0]), truth])
    return np.asarray(np.convolve(padded, weights / weights.sum(), mode="valid"), np.float64)


def measure(streams: RandomStreams, key: str, parameter: Parameter, truth: Floats, day: int) -> Floats:
    """Readings of a channel: noise, the instrument's resolution and the ends of its range.

    Parameters
    ----------
    streams : RandomStreams
        The site's own.
    key : str
        Key of the channel.
    parameter : Parameter
        What is measured; its decimals are the resolution.
    truth : float64 array (n,)
        What is there at each reading of one UTC day.
    day : int
        Days since 1970.

    Returns
    -------
    float64 array (n,)
        In the parameter's unit, rounded to its decimals.
    """
    instrument = instrument_of(parameter.id)
    spread = np.hypot(instrument.relative * truth, instrument.absolute)
    if instrument.noisy:
        spread = np.maximum(spread, 0.8 * 10.0**-parameter.decimals)
    shown = truth + spread * streams.normal(f"noise {key}", day, len(truth))
    if parameter.is_direction:
        return np.asarray(np.round(shown, parameter.decimals) % 360, np.float64)
    within = np.clip(shown, parameter.low, parameter.high)
    return np.asarray(np.round(within, parameter.decimals) + 0.0, np.float64)  # no minus zero


def service(streams: RandomStreams, clock: Clock, device: str, times: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Data flags of a device: maintenance once a week in the morning, calibration once a week at night (local time).

    Parameters
    ----------
    streams : RandomStreams
        The site's own.
    clock : Clock
        The site's wall clock.
    device : str
        Identifier of the device: its weekdays follow from it.
    times : int64 array (n,)
        Minutes since 1970 UTC, one after the other without a gap.

    Returns
    -------
    uint8 array (n,)
        ASCII codes N, M or C.
    """
    local = clock.local_minutes(int(times[0]), len(times))
    draw = streams.generator("service", device)
    weekday = local // MINUTES_PER_DAY % 7
    minute = local % MINUTES_PER_DAY
    flags = np.full(len(times), NORMAL, np.uint8)
    for flag, start, duration in (
        (MAINTENANCE, _MAINTENANCE_START + int(draw.integers(0, 90)), _MAINTENANCE_MINUTES),
        (CALIBRATION, _CALIBRATION_START + int(draw.integers(0, 90)), _CALIBRATION_MINUTES),
    ):
        flags[(weekday == draw.integers(7)) & (minute >= start) & (minute < start + duration)] = flag
    return flags
