"""Sparklines: the course of a day in a few square centimetres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 300
HEIGHT: Final = 56
_PAD: Final = 4


@dataclass(frozen=True, slots=True)
class Sparkline:
    """Places in a drawing of `WIDTH` by `HEIGHT`, y downwards.

    Parameters
    ----------
    lines : list of str
        Points of each unbroken stretch, as SVG writes them.
    limits : list of float
        Heights of the limit lines.
    end : (float, float) or None
        The newest point.
    peak : float or None
        Largest value, in its own unit.
    """

    lines: list[str]
    limits: list[float]
    end: tuple[float, float] | None
    peak: float | None


def sparkline(
    points: Sequence[tuple[float, float | None]], low: float | None, high: float | None, *, from_zero: bool
) -> Sparkline:
    """Lay out a series.

    Parameters
    ----------
    points : sequence of (float, float or None)
        Place along the span 0..1, and value; None interrupts the line, and so does a gap of more than a tenth.
    low, high : float or None
        Limit lines, always inside the drawing.
    from_zero : bool
        Whether the drawing begins at zero.
    """
    values = [value for _, value in points if value is not None]
    bounds = [bound for bound in (low, high) if bound is not None]
    if not values:
        return Sparkline([], [], None, None)
    bottom = 0.0 if from_zero else min(values + bounds)
    top = max(values + bounds)
    span = (top - bottom) or 1.0

    def x(place: float) -> float:
        return round(_PAD + place * (WIDTH - 2 * _PAD), 1)

    def y(value: float) -> float:
        return round(HEIGHT - _PAD - (value - bottom) / span * (HEIGHT - 2 * _PAD), 1)

    stretches: list[list[tuple[float, float]]] = []
    previous: float | None = None
    for place, value in points:
        if value is not None:
            if previous is None or place - previous > 0.1:
                stretches.append([])
            stretches[-1].append((x(place), y(value)))
        previous = place if value is not None else None
    return Sparkline(
        [" ".join(f"{a},{b}" for a, b in stretch) for stretch in stretches],
        [y(bound) for bound in bounds],
        stretches[-1][-1],
        max(values),
    )
