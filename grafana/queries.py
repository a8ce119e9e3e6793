"""InfluxQL for panels: what all queries share, and how Grafana is to show their answers.

Filters are written with the explicit format ``${name:regex}``, so that Grafana escapes each chosen value and joins several.
Whatever asks for the state *at the end* of the time range is bounded by ``${__to}`` and not by ``now()``: it then holds for
past ranges too, and finds points before the range.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

SOURCE: Final = {"type": "influxdb", "uid": "${datasource}"}
"""Data source of every panel: the one that the variable ``datasource`` names."""

SITES: Final = '"enterprise" =~ /^${enterprise:regex}$/ AND "site" =~ /^${site:regex}$/'
STATIONS: Final = f'{SITES} AND "station" =~ /^${{station:regex}}$/'
THE_STATION: Final = "\"station\" = '${station:regex}'"
"""Holds while one station is chosen, and for that one."""
OF_STATION: Final = "$tag_site $tag_station"
"""What the name of a series begins with that is of one station: mine and station."""
RANGE: Final = "$timeFilter"
HOUR: Final = "1h"
"""Interval of panels that show hours: what ``$__interval`` is at least. Over long ranges a point stands for several hours."""
LEGAL: Final = "\"kind\" = 'legal'"


def until(days: int) -> str:
    """Points up to the end of the time range that are not older than so many days."""
    return f"time > ${{__to}}ms - {days}d AND time <= ${{__to}}ms"


def one_of(tag: str, values: Iterable[str]) -> str:
    """A tag has one of these values."""
    return f'"{tag}" =~ /^({"|".join(escaped(v) for v in values)})$/'


def escaped(value: str) -> str:
    """A value as a part of a regular expression between slashes."""
    return re.escape(value).replace("/", "\\/")


def series(query: str, alias: str = "", ref: str = "A") -> dict[str, Any]:
    """A query whose answer is one series for each combination of tags, named by ``alias``."""
    return _target(query, ref, "time_series") | {"alias": alias}


def table(query: str, ref: str = "A") -> dict[str, Any]:
    """A query whose answer is one table: Time, the tags of ``GROUP BY``, the columns."""
    return _target(query, ref, "table")


def _target(query: str, ref: str, form: str) -> dict[str, Any]:
    return {"refId": ref, "datasource": SOURCE, "query": query, "rawQuery": True, "resultFormat": form, "hide": False}


def hourly(field: str, where: str) -> str:
    """A figure of the hours, one series for each station; a gap where there was none or too little for one.

    For a panel with the interval `HOUR`. Where a point has to stand for several hours, it is the highest of them.
    """
    return (
        f'SELECT max("{field}") AS "{field}" FROM "statistic" WHERE {RANGE} AND "window" = \'hour\' AND "valid" = 1'
        f' AND {where} GROUP BY time($__interval), "site", "station" fill(null)'
    )


def daily(field: str, where: str, days: str, *, window: str = "day") -> str:
    """The same of days, or of day or night periods, on the days on which they begin."""
    return (
        f'SELECT mean("{field}") AS "{field}" FROM "statistic" WHERE {RANGE} AND "window" = \'{window}\' AND "valid" = 1'
        f' AND {where} GROUP BY {days}, "site", "station" fill(null)'
    )


FINE: Final = "$__interval_ms < 3600000"
COARSE: Final = "$__interval_ms >= 3600000"
"""Whether a pixel spans less than an hour, or an hour and more."""
_SOURCES: Final = (
    ("A", "value", "reading", FINE),
    ("H", "mean", "statistic", f"{COARSE} AND \"window\" = 'hour'"),
)
"""Where a pixel spans an hour and more, hourly figures take the place of readings: 8,760 a year for half a million.

InfluxDB answers that of the two queries whose condition is false without looking at any point.
"""
_STATIONS: Final = ("site", "station")


def readings(where: str, alias: str, tags: Sequence[str] = _STATIONS) -> list[dict[str, Any]]:
    """Arithmetic means of readings over what a pixel spans; not for sound, not for directions."""
    return [
        series(
            f'SELECT mean("{field}") AS "value" FROM "{measurement}" WHERE {RANGE} AND {chosen} AND {where}{_by(tags)}',
            alias,
            ref,
        )
        for ref, field, measurement, chosen in _SOURCES
    ]


def sound(where: str, alias: str, tags: Sequence[str] = _STATIONS) -> list[dict[str, Any]]:
    """Energy means of sound levels over what a pixel spans: 10 lg of the mean of 10^(L/10); ln 10 / 10 = 0.2302585."""
    return [
        series(
            f'SELECT 10 * log10(mean("energy")) AS "level" FROM (SELECT exp("{field}" * 0.23025850929940458) AS "energy"'
            f' FROM "{measurement}" WHERE {RANGE} AND {chosen} AND {where}) WHERE {RANGE}{_by(tags)}',
            alias,
            ref,
        )
        for ref, field, measurement, chosen in _SOURCES
    ]


def _by(tags: Iterable[str]) -> str:
    """A point for each pixel, a series for each combination of tags; gaps stay open."""
    quoted = ", ".join(f'"{tag}"' for tag in tags)
    return f" GROUP BY time($__interval), {quoted} fill(null)"


def winds(places: str, *, hours: int = 3) -> list[dict[str, Any]]:
    """Where the wind blows at each mine [°], the vector mean of the newest hour, and where it is to be drawn.

    Parameters
    ----------
    places : str
        Query with ``latitude`` and ``longitude`` of each ``site``.
    hours : int
        How old the newest hour may be.
    """
    newest = f"time > ${{__to}}ms - {hours}h AND time <= ${{__to}}ms"
    blowing = (
        f'SELECT last("mean") + 180 AS "to" FROM "statistic" WHERE {newest} AND "window" = \'hour\' AND "valid" = 1'
        f' AND "parameter" = \'wind-direction\' AND {SITES} GROUP BY "site"'
    )
    return [table(blowing, "wind"), table(places, "ground")]


def limit_lines(bound: str, where: str) -> str:
    """The limit in force, one series for each limit; it begins an hour early so that it meets the range."""
    return (
        f'SELECT last("{bound}") AS "{bound}" FROM "limit" WHERE time >= ${{__from}}ms - 1h AND time <= ${{__to}}ms'
        f' AND {where} GROUP BY time($__interval), "limit" fill(previous)'
    )
