"""Curves: the course of a channel over any period, in as many points as a picture can show, with no extreme lost.

Up to a week is drawn from the minutes, which are computed from the readings; a longer period from the hours of the record, whose
smallest and largest readings go with their means. So a year costs no more than a week, and nothing has to be kept for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import msgspec
import numpy as np
import orjson
from fastapi import APIRouter, Request
from numpy.typing import NDArray
from starlette.responses import Response
from tsdownsample import MinMaxDownsampler

from greenmine.api.http import arguments
from greenmine.api.http.answers import kept_answer
from greenmine.api.http.dependencies import ContextOf, Given, ScopeOf, visible_channel
from greenmine.api.http.problems import Problem
from greenmine.api.http.schemas import single
from greenmine.processing.calibration import Calibrations
from greenmine.processing.series import summarise
from greenmine.record.reader import Queries, Scope, narrowed, valid
from greenmine.registry import Channel
from greenmine.times import DAY, HOUR, MINUTE, now

router = APIRouter()

MINUTES_UP_TO: Final = 7 * DAY
"""Longest period drawn from minutes [ms]."""
LONGEST: Final = 366 * DAY
_BLOCKS_AT_MOST: Final = 100_000
_GAP: Final = 2.5
"""A line is interrupted where this many steps have no point."""
_SPANS_AT_MOST: Final = 400

Times = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Curve:
    """The course of a channel.

    Parameters
    ----------
    resolution : {"minute", "hour"}
        What a point stands for before downsampling.
    step : int
        Distance of points before downsampling [ms].
    time : int64 array (n,)
        Start of each minute or hour [ms UTC], increasing.
    mean, low, high : float64 array (n,)
        By the parameter's way of averaging, smallest and largest reading; NaN interrupts the line.
    excluded : int64 array (k, 2)
        Periods with minutes that do not count, for weather or a mark [ms UTC, half-open].
    flagged : list of (int, int, str)
        Periods of readings that are not valid, with their flag; ``R`` for what is outside the plausible range. Only of minutes.
    """

    resolution: Literal["minute", "hour"]
    step: int
    time: Times
    mean: Values
    low: Values
    high: Values
    excluded: NDArray[np.int64]
    flagged: list[tuple[int, int, str]]


class CurveView(msgspec.Struct, frozen=True):
    """The course of a channel in columns of one length; times in milliseconds UTC, null interrupts the line."""

    channel: str
    unit: str
    resolution: Literal["minute", "hour"]
    start: int
    end: int
    time: list[int]
    mean: list[float | None]
    low: list[float | None]
    high: list[float | None]
    excluded: list[tuple[int, int]]
    flagged: list[tuple[int, int, str]]


def curve(queries: Queries, scope: Scope, channel: Channel, start: int, end: int, points: int) -> Curve:
    """Course of a channel over [start, end) [ms UTC] in at most about ``points`` points; every extreme is among them."""
    hours = _hours(queries, scope, channel, start, end)
    short = end - start <= MINUTES_UP_TO and queries.extent(scope, {channel.key}, start, end)[1] <= _BLOCKS_AT_MOST
    found = _minutes(queries, scope, channel, start, end, hours) if short else hours
    return _thinned(found, points, (end - start) / points)


def _thinned(found: Curve, points: int, pixel: float) -> Curve:
    """Keep the extremes of all three lines, and both sides of every gap that can be seen."""
    kept = np.arange(len(found.time))
    if len(kept) > points:
        x, part = found.time - found.time[0], max(2, points // 3 // 2 * 2)
        sampler = MinMaxDownsampler()  # type: ignore[no-untyped-call]
        kept = np.unique(
            np.concatenate(
                [sampler.downsample(x, y, n_out=part).astype(np.intp) for y in (found.mean, found.low, found.high)]
                + [[0, len(x) - 1]]
            )
        )
    wide = np.flatnonzero(np.diff(found.time) > max(_GAP * found.step, pixel))
    kept = np.unique(np.concatenate([kept, wide, wide + 1])).astype(np.intp)
    place = np.searchsorted(found.time[kept], found.time[wide], side="right")
    return replace(
        found,
        time=np.insert(found.time[kept], place, found.time[wide] + found.step),
        mean=np.insert(found.mean[kept], place, np.nan),
        low=np.insert(found.low[kept], place, np.nan),
        high=np.insert(found.high[kept], place, np.nan),
    )


def _minutes(queries: Queries, scope: Scope, channel: Channel, start: int, end: int, hours: Curve) -> Curve:
    rows = queries.readings(scope, channel.key, start, end)
    good = valid(rows)
    letters = np.where((rows["quality"] != 0) & (rows["flag"] == ord("N")), ord("R"), rows["flag"])
    flagged = _runs(rows["time"][~good], letters[~good], max(2 * channel.interval, 2 * MINUTE), channel.interval)
    rows = rows[good]
    values = Calibrations(queries.registry).applied(np.full(len(rows), channel.index), rows["time"], rows["value"])
    step = max(MINUTE, channel.interval)
    starts = np.unique(rows["time"] // step) * step
    figures = summarise(
        rows["time"], values, averaging=channel.parameter.averaging, windows=(starts, starts + step), percentiles=()
    )
    return Curve("minute", step, starts, figures.mean, figures.minimum, figures.maximum, hours.excluded, flagged)


def _hours(queries: Queries, scope: Scope, channel: Channel, start: int, end: int) -> Curve:
    rows = queries.hours_between(scope, channel.key, start, end)
    time = np.array([row.start for row in rows], np.int64)
    excluded = _merged(time[np.array([row.excluded > 0 for row in rows], np.bool_)], end - start)
    mean, low, high = (
        np.array([getattr(row, name) for row in rows], np.float64) for name in ("mean", "minimum", "maximum")
    )
    some = ~np.isnan(mean)
    return Curve("hour", HOUR, time[some], mean[some], low[some], high[some], excluded, [])


def _merged(hours: Times, span: int) -> NDArray[np.int64]:
    """Periods of hours that follow each other, or lie so near that a picture cannot show them apart."""
    if not len(hours):
        return np.empty((0, 2), np.int64)
    edges = np.flatnonzero(np.diff(hours) > max(HOUR, span // _SPANS_AT_MOST)) + 1
    first, last = hours[np.append(0, edges)], hours[np.append(edges, len(hours)) - 1]
    return np.stack([first, last + HOUR], axis=1)


def _runs(time: Times, letter: NDArray[Any], apart: int, length: int) -> list[tuple[int, int, str]]:
    """Periods of one letter; the longest, if there are too many to be shown."""
    if not len(time):
        return []
    edges = np.flatnonzero((np.diff(time) > apart) | (np.diff(letter.astype(np.int16)) != 0)) + 1
    first, last = np.append(0, edges), np.append(edges, len(time)) - 1
    runs = [
        (a, b + length, chr(flag))
        for a, b, flag in zip(time[first].tolist(), time[last].tolist(), letter[first].tolist(), strict=True)
    ]
    return sorted(sorted(runs, key=lambda run: run[0] - run[1])[:_SPANS_AT_MOST])


@router.get("/api/v1/chart", responses=single(CurveView))
def chart(given: Given[arguments.CurveArguments], request: Request, context: ContextOf, scope: ScopeOf) -> Response:
    """Course of a channel in columns, thinned so that no extreme is lost: minutes up to 7 days, hours up to 366."""
    channel = visible_channel(context.registry, scope, given.channel)
    end = given.end if given.end is not None else now() // MINUTE * MINUTE
    start = given.start if given.start is not None else end - DAY
    if not 0 < end - start <= LONGEST:
        raise Problem(400, "from, to: choose a period of at most 366 days, 'from' before 'to'")

    def version(queries: Queries) -> object:
        newest = queries.extent(scope, {channel.key}, start, end)[0] if end - start <= MINUTES_UP_TO else 0
        return newest, queries.figures(narrowed(scope, channel.site)), queries.version("mark")

    def make(queries: Queries) -> bytes:
        found = curve(queries, scope, channel, start, end, given.points)
        return orjson.dumps(_columns(channel, found, start, end), option=orjson.OPT_SERIALIZE_NUMPY)

    until = None if given.end is not None else end + MINUTE
    return kept_answer(request, context, scope, version, make, start, end, until=until)


def _columns(channel: Channel, found: Curve, start: int, end: int) -> dict[str, Any]:
    return {
        "channel": channel.key,
        "unit": channel.parameter.unit,
        "resolution": found.resolution,
        "start": start,
        "end": end,
        "time": found.time,
        "mean": found.mean,
        "low": found.low,
        "high": found.high,
        "excluded": found.excluded,
        "flagged": found.flagged,
    }
