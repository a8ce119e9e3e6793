"""What a simulated logger reports: values of an instant, and figures of minutes, hours and days from its own readings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from greenmine.collector.hj212.message import Value
from greenmine.collector.hj212.rules import rule
from greenmine.processing.averaging import row_means
from greenmine.simulators.clock import MINUTE_MS, Clock
from greenmine.simulators.instruments import NORMAL
from greenmine.simulators.loggers.source import ReadingSource, SentFactor
from greenmine.simulators.random_streams import Floats

_EXCEEDED: Final = {"L5": 5, "L10": 10, "L50": 50, "L90": 90, "L95": 95}
"""Levels by the share of the time in which they are exceeded [%]."""
_NIGHT_PENALTY: Final = 10.0
"""Added to the night's level in Ldn [dB] (GB 3096-2008)."""


class Reporter:
    """Makes the values of reports.

    Parameters
    ----------
    source : ReadingSource
        The readings.
    zone : str
        Zone in which days begin.
    day, night : int
        Hours at which day and night begin, for noise.
    """

    def __init__(self, source: ReadingSource, zone: str, day: int, night: int) -> None:
        self._source = source
        self._clock = Clock(zone)
        self._hours = day, night

    def instant(self, time: int, scales: Floats) -> list[Value]:
        """Values of one instant [ms UTC]: of 2011, or of 2021 for the state of equipment.

        Parameters
        ----------
        time : int
            The reading that stands for it is the last one up to it.
        scales : float64 array (k,)
            By which the values are multiplied: units that are wrong.
        """
        interval = self._source.interval
        first = time // interval * interval
        rows = self._source.rows(first, first + 1)
        found: list[Value] = []
        if not len(rows.times):
            return found
        for k, factor in enumerate(self._source.factors):
            kind = "RS" if factor.parameter.is_state else "Rtd"
            shown = rows.values[0, k] * scales[k]
            found += self._values(factor, {kind: shown}, chr(int(rows.flags[0, k])), scales[k])
        return found

    def period(self, start: int, end: int, scales: Floats, *, day: bool = False) -> list[Value]:
        """Figures of a period [ms UTC, end exclusive]: of 2051, 2061 or, with ``day``, 2031."""
        rows = self._source.rows(start, end)
        found: list[Value] = []
        for k, factor in enumerate(self._source.factors):
            if factor.parameter.is_state:
                continue
            normal = (rows.flags[:, k] == NORMAL) & np.isfinite(rows.values[:, k])
            values = rows.values[normal, k] * scales[k]
            if factor.parameter.theme == "noise":
                found += self._noise(factor, rows.times[normal], values, day=day)
                continue
            enough = len(rows.times) and np.count_nonzero(normal) >= rule("normal-share") * len(rows.times)
            found += self._values(factor, dict(self._figures(factor, values)), "N" if enough else "D", scales[k])
        return found

    def _figures(self, factor: SentFactor, values: Floats) -> Iterator[tuple[str, float]]:
        if not len(values):
            return
        mean = float(row_means(factor.parameter.averaging, values[None, :])[0])
        if factor.parameter.is_total:
            yield "Cou", mean
            return
        if factor.parameter.id == "flow":
            yield "Cou", float(values.sum()) * self._source.interval / 1_000_000
        yield from (("Min", float(values.min())), ("Avg", mean), ("Max", float(values.max())))

    def _noise(self, factor: SentFactor, times: NDArray[np.int64], values: Floats, *, day: bool) -> Iterator[Value]:
        """Noise has no data flags (HJ 212-2017, C.25 to C.28)."""
        if not len(values):
            return
        decimals = factor.decimals
        if factor.parameter.is_peak:
            yield _number(factor.code, "Data", float(values.max()), decimals)
            return
        yield _number(factor.code, "Data", _level(values), decimals)
        for code, percent in _EXCEEDED.items():
            yield _number(code, "Data", float(np.percentile(values, 100 - percent)), decimals)
        yield _number("LMn", "Data", float(values.min()), decimals)
        if not day:
            return
        minute = self._clock.offsets(times) + times // MINUTE_MS
        hour = minute // 60 % 24
        light = (hour >= self._hours[0]) & (hour < self._hours[1])
        levels = {}
        for code, kind, part in (("Ld", "DayData", light), ("Ln", "NightData", ~light)):
            if part.any():
                levels[code] = _level(values[part])
                yield _number(code, kind, levels[code], decimals)
        if len(levels) == 2:
            share = (self._hours[1] - self._hours[0]) / 24
            energy = share * 10 ** (levels["Ld"] / 10) + (1 - share) * 10 ** ((levels["Ln"] + _NIGHT_PENALTY) / 10)
            yield _number("Ldn", "Data", float(10 * np.log10(energy)), decimals)

    def _values(self, factor: SentFactor, figures: dict[str, float], flag: str, scale: float) -> Iterator[Value]:
        """Values of a factor; where there is none, its data flag alone says why."""
        told = flag if self._source.sends_flags else None
        decimals = max(0, factor.decimals - round(np.log10(scale)))
        finite = {kind: value for kind, value in figures.items() if np.isfinite(value)}
        for kind, value in finite.items():
            yield _number(factor.code, kind, value, decimals, told)
        if not finite and told is not None:
            yield Value(factor.code, None, None, "", told, "absent")


def _level(values: Floats) -> float:
    return float(row_means("energy", values[None, :])[0])


def _number(code: str, kind: str, value: float, decimals: int, flag: str | None = None) -> Value:
    rounded = round(value, decimals) + 0.0  # no minus zero
    return Value(code, kind, rounded, f"{rounded:.{decimals}f}", flag)
