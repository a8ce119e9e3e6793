"""Explanation of a verdict: its window computed once more from the stored readings, with the figure after every step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from greenmine.processing.calibration import Calibrations
from greenmine.processing.engine import Engine, Judged, Statistic, nothing
from greenmine.processing.exclusion import Mark, excluded_channels
from greenmine.processing.flags import RANGE, counted
from greenmine.processing.identity import unknown
from greenmine.processing.panes import MINUTE
from greenmine.processing.restatement import Fetch, flagged, site_part
from greenmine.readings import NORMAL, OVER, Readings
from greenmine.registry import Registry, Rule

_MARGIN: Final = 121
"""What is read beyond the window [min]: any hour that ends in it, and weather, which speaks for up to an hour before its stamp."""
_STRETCH: Final = 12 * 60


@dataclass(frozen=True, slots=True)
class Correction:
    """A calibration that readings of the window fall under: from when on [ms UTC; None: none before], and how many."""

    since: int | None
    slope: float
    offset: float
    readings: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """The steps from the stored readings of the judged channel to its verdict.

    Parameters
    ----------
    readings : int
        Stored in the window; ``flags`` counts them by flag.
    implausible : int
        Among those of normal flag, the ones outside the plausible range or without a value.
    valid : int
        What is left.
    raw, calibrated : (float, float) or None
        Smallest and largest valid value before and after calibration.
    corrections : list of Correction
        In order of time.
    marks : list of Mark
        Those that take minutes of the window out.
    weather : dict of str to list of (int, int)
        Minutes of the window that wind and rain take out [since 1970 UTC, half-open], by cause.
    hours : list of Statistic
        The clock hours of the window.
    statistic : Statistic or None
        The whole window, after exclusion.
    judged : Judged or None
        The verdict; None where the limit is not in force.
    seen : (int, int)
        What the figure is of [minutes since 1970 UTC, half-open], and the readings with it: where any hour counts, the one that
        decides, which ends in the window; of a laboratory's result its hour; else the window.
    excluded, used : int
        Minutes of that which are taken out, and valid readings in the others.
    """

    readings: int
    flags: dict[str, int]
    implausible: int
    valid: int
    raw: tuple[float, float] | None
    calibrated: tuple[float, float] | None
    corrections: list[Correction]
    marks: list[Mark]
    weather: dict[str, list[tuple[int, int]]]
    hours: list[Statistic]
    statistic: Statistic | None
    judged: Judged | None
    seen: tuple[int, int]
    excluded: int
    used: int


def explain(registry: Registry, rule: Rule, span: tuple[int, int], fetch: Fetch, marks: Iterable[Mark]) -> Explanation:
    """Compute a verdict once more with the core.

    Parameters
    ----------
    registry : Registry
        With the calibrations and limits to be used.
    rule : Rule
        Of that registry.
    span : (int, int)
        The judged window [minutes since 1970 UTC, half-open].
    fetch : Fetch
        Finds the readings to be used, by the registry's channels.
    marks : iterable of Mark
        The marks to be used.
    """
    part, channel, first_rule = site_part(registry, rule.site)
    own = [mark for mark in marks if mark.site == rule.site]
    judged = rule.channel - channel

    def stored(index: int, start: int, end: int) -> Readings:
        readings, quality = fetch(channel + index, start, end)
        return replace(flagged(readings, quality), channel=np.full(len(readings), index, np.int32))

    def samples(index: int, start: int, end: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        readings, quality = fetch(channel + index, start, end)
        readings = replace(readings, channel=np.full(len(readings), index, np.int32))
        readings = readings.take(counted(readings.flag, quality))
        return readings.time, engine.calibrated(readings.channel.astype(np.intp), readings.time, readings.value)

    engine = Engine(part, unknown, samples, marks=own)
    rows = np.arange(len(part.channels))
    engine.restore([], engine.hour_of(rows, np.full(len(rows), span[0])), [], 1)
    last = span[1] + _MARGIN
    outcomes = [
        engine.ingest(Readings.concat([stored(i, m * MINUTE, min(m + _STRETCH, last) * MINUTE) for i in rows.tolist()]))
        for m in range(span[0] - _MARGIN, last, _STRETCH)
    ]
    outcomes.append(nothing())
    engine.go_on(rows, np.full(len(rows), span[1] + engine.grace), outcomes[-1])
    figures = [s for o in outcomes for s in o.statistics if s.channel == judged]
    verdicts = [v for o in outcomes for v in o.verdicts if (v.rule, v.start, v.end) == (rule.index - first_rule, *span)]
    whole = [s for s in figures if (s.window, s.start, s.end) == (rule.limit.window, *span)]
    hours = {s.start: s for s in figures if s.window == "hour" and span[0] <= s.start < span[1]}
    verdict = verdicts[-1] if verdicts else None
    seen = (verdict.begin, verdict.finish) if verdict is not None and rule.limit.window == "hour" else span
    width = seen[1] - seen[0]
    weather = engine.exclusion.weather(judged, seen[0], width)
    excluded = engine.exclusion.minutes(np.array([judged]), np.array([seen[0]]), width)
    out = np.zeros(width, np.bool_) if excluded is None else excluded[0]
    readings, quality = fetch(rule.channel, seen[0] * MINUTE, seen[1] * MINUTE)
    normal = np.isin(readings.flag, (NORMAL, OVER))
    valid = readings.take(counted(readings.flag, quality))
    calibrations = Calibrations(registry)
    calibrated = calibrations.applied(valid.channel.astype(np.intp), valid.time, valid.value)
    since, slope, offset = calibrations.steps(rule.channel)
    step = np.searchsorted(since, valid.time, side="right")
    letters, counts = np.unique(readings.flag, return_counts=True)
    return Explanation(
        readings=len(readings),
        flags={chr(letter): int(n) for letter, n in zip(letters, counts, strict=True)},
        implausible=int((normal & (quality & RANGE != 0)).sum()),
        valid=len(valid),
        raw=_extent(valid.value),
        calibrated=_extent(calibrated),
        corrections=[
            Correction(int(since[k - 1]) if k else None, float(slope[k]), float(offset[k]), int((step == k).sum()))
            for k in np.unique(step).tolist()
        ],
        marks=[m for m in own if m.start < seen[1] and m.end > seen[0] and judged in excluded_channels(part, m)],
        weather={cause: _stretches(bad, seen[0]) for cause, bad in weather.items() if bad.any()},
        hours=sorted(hours.values(), key=lambda s: s.start),
        statistic=whole[-1] if whole else None,
        judged=verdict,
        seen=seen,
        excluded=int(out.sum()),
        used=int((~out[valid.time // MINUTE - seen[0]]).sum()),
    )


def _extent(value: NDArray[np.float64]) -> tuple[float, float] | None:
    return (float(value.min()), float(value.max())) if len(value) else None


def _stretches(chosen: NDArray[np.bool_], start: int) -> list[tuple[int, int]]:
    """Stretches of chosen minutes, half-open, of minutes that begin at ``start``."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], chosen, [False])))) + start
    return [(int(first), int(last)) for first, last in zip(edges[::2], edges[1::2], strict=True)]
