"""Dust: hours and days against limits, downwind minus upwind, wind directions, sprayers."""

from __future__ import annotations

import math
from typing import Final

from greenmine.grafana import tables, variables
from greenmine.grafana.board import Board, Json
from greenmine.grafana.edition import Edition, tag_of, unit_of
from greenmine.grafana.panels import COMPASS, NEUTRAL, Column, curves, grid, mapping, polar
from greenmine.grafana.queries import (
    COARSE,
    FINE,
    HOUR,
    OF_STATION,
    RANGE,
    SITES,
    STATIONS,
    daily,
    hourly,
    limit_lines,
    one_of,
    readings,
    series,
    table,
)
from greenmine.registry import Rule

_WINDY: Final = f'FROM "wind_dust" WHERE {RANGE} AND "hours" = 1 AND {SITES}'
_PARAMETERS: Final = ("tsp", "pm10", "pm2.5")
_DEGREE: Final = 0.01
"""Of the map of winds, for one metre a second."""
_RIM: Final = 6
_RINGS: Final = (1, 3, 5)
"""[m/s]"""


def build(edition: Edition) -> Json:
    """Build the dashboard."""
    chosen = [
        variables.source(edition),
        variables.enterprise(edition),
        variables.site(edition, first="dust"),
        variables.station(edition, "dust"),
    ]
    board = Board(edition, "dust", chosen, span="now-7d", refresh="1m")
    board.blasting()
    key = "dust.{}".format
    board.section(edition.t("section.station", station="${station:text}"), repeat="station")
    for parameter in _PARAMETERS:
        where = f"\"parameter\" = '{parameter}' AND {STATIONS}"
        name = parameter.replace(".", "")
        for window, query in (("hour", hourly("mean", where)), ("day", daily("mean", where, edition.days))):
            rules = edition.limits(
                lambda limit, p=parameter, w=window: (limit.parameter, limit.window, limit.statistic) == (p, w, "mean")  # type: ignore[misc]
            )
            lines = f"{one_of('limit', [tag_of(r) for r in rules])} AND {STATIONS}"
            board.add(
                curves(
                    edition,
                    key(f"{'hourly' if window == 'hour' else 'daily'}-{name}"),
                    [
                        series(query, OF_STATION),
                        *([series(limit_lines("high", lines), "≤ $tag_limit", "L")] if rules else []),
                    ],
                    unit=unit_of("ug/m3"),
                    stepped=window == "hour",
                    points=window == "day",
                    interval=HOUR,
                    limits=rules,
                    about={"limits": edition.clauses(rules) or edition.t("limits.none")},
                    nothing=edition.t("not-measured-there"),
                ),
                12,
                9,
                judged=rules,
            )
    board.section(edition.t("section.sides"))
    differences = edition.limits(lambda limit: limit.statistic == "difference")
    if differences:
        board.add(_difference(edition, key("difference"), differences), 12, 10, judged=differences)
    board.add(
        curves(
            edition,
            key("sides"),
            [series(_sides(edition), "$tag_site")],
            unit=unit_of("ug/m3"),
            stepped=True,
            interval=HOUR,
        ),
        12,
        10,
    )
    board.section(edition.t("section.wind"))
    board.add(_polar(edition, key("polar")), 10, 14)
    board.add(_rose(edition, key("rose")), 6, 14)
    board.add(_sprayer(edition, key("sprayer")), 8, 14)
    board.section(edition.t("section.verdicts"))
    board.add(_minutes(edition, key("minutes")), 24, 9, judged=edition.limits(lambda limit: limit.parameter == "pm10"))
    days = edition.limits(lambda limit: limit.parameter in _PARAMETERS and limit.window == "day")
    if days:
        where = one_of("limit", [tag_of(r) for r in days])
        board.add(tables.verdicts(edition, key("verdicts"), where, days), 24, 10)
    board.episodes()
    return board.made()


def _difference(edition: Edition, key: str, rules: list[Rule]) -> Json:
    chosen = f"{one_of('limit', [tag_of(r) for r in rules])} AND {STATIONS}"
    query = (
        f'SELECT max("value") AS "difference" FROM "verdict" WHERE {RANGE} AND {chosen}'
        ' GROUP BY time($__interval), "site", "station" fill(null)'
    )
    return curves(
        edition,
        key,
        [series(query, OF_STATION), series(limit_lines("high", chosen), "≤ $tag_limit", "L")],
        unit=unit_of("ug/m3"),
        stepped=True,
        interval=HOUR,
        limits=rules,
        about={"limits": edition.clauses(rules)},
        nothing=edition.t("dust.difference.nothing"),
    )


def _of_hours(parameter: str, name: str, stations: list[str]) -> str:
    return (
        f'SELECT "mean" AS "{name}" FROM "statistic" WHERE {RANGE} AND "window" = \'hour\' AND "valid" = 1'
        f" AND \"parameter\" = '{parameter}' AND {one_of('station', stations)} AND {SITES}"
    )


def _sides(edition: Edition) -> str:
    boundary = _of_hours("tsp", "boundary", edition.stations("boundary"))
    reference = _of_hours("tsp", "reference", edition.stations("reference"))
    return (
        f'SELECT mean("boundary") - mean("reference") AS "difference" FROM ({boundary}), ({reference}) WHERE {RANGE}'
        ' GROUP BY time($__interval), "site" fill(none)'
    )


def _rose(edition: Edition, key: str) -> Json:
    query = f'SELECT mean("dust") AS "dust", count("dust") AS "spans" {_WINDY} GROUP BY "sector"'
    compass = mapping({str(i): edition.t(f"compass.{point}") for i, point in enumerate(COMPASS)})
    wind = Column(source="sector", title=edition.t("column.wind"), words=compass, width=90)
    return grid(edition, key, [table(query)], [wind, *_dust("dust", "spans", edition), Column(source="Time")])


def _polar(edition: Edition, key: str) -> Json:
    """Hours as points around the centre: the direction is where the wind came from, the distance its speed."""
    points = (
        f'SELECT mean("dust") AS "dust", mean("speed") AS "speed", mean("north") * {_DEGREE} AS "latitude",'
        f' mean("east") * {_DEGREE} AS "longitude" {_WINDY} GROUP BY time($__interval), "site", "sector" fill(none)'
    )
    marks = [
        (_mark(point, _RIM * north, _RIM * east), edition.t(f"compass.{point}"))
        for point, north, east in (("n", 1, 0), ("e", 0, 1), ("s", -1, 0), ("w", 0, -1))
    ]
    marks += [(_mark(f"r{s}", s * math.sqrt(0.5), s * math.sqrt(0.5)), f"{s} m/s") for s in _RINGS]
    return polar(edition, key, table(points, "hours"), marks, "dust", unit_of("ug/m3"), interval="60m")


def _mark(ref: str, north: float, east: float) -> Json:
    """Query one point, so many m/s of wind from the centre: Grafana draws nothing on a map that no query answers."""
    north, east = round(north * _DEGREE, 6), round(east * _DEGREE, 6)
    place = f'last("latitude") * 0 + {north} AS "latitude", last("longitude") * 0 + {east} AS "longitude"'
    return table(f'SELECT {place} FROM "place" WHERE {SITES}', ref)


def _sprayer(edition: Edition, key: str) -> Json:
    sprayers = [s for s in edition.stations("equipment") if "spray" in s] or edition.stations("equipment")

    # Grafana takes an interval between two slashes of one line for a part of a regular expression.
    def spans(field: str, measurement: str, chosen: str, width: str) -> str:
        dust, state = (
            f'SELECT "{field}" AS "{name}" FROM "{measurement}" WHERE {RANGE} AND "parameter" = \'{parameter}\''
            f" AND {one_of('station', stations)} AND {SITES}\nAND {chosen}"
            for parameter, name, stations in (
                ("pm10", "pm", edition.stations("boundary")),
                ("equipment-state", "state", sprayers),
            )
        )
        return (
            f'SELECT mean("pm") AS "dust", mean("state") AS "share" FROM ({dust}), ({state}) WHERE {RANGE}'
            f' GROUP BY time({width}), "site" fill(none)'
        )

    fine = spans("value", "reading", FINE, "$__interval")
    hours = spans("mean", "statistic", f'{COARSE} AND "window" = \'hour\' AND "valid" = 1', "1h")
    query = (
        f'SELECT "dust", floor("share" + 0.5) AS "on" FROM ({fine}), ({hours})'
        f' WHERE {RANGE} AND "dust" > -1000 AND "share" >= 0 GROUP BY "site"'
    )
    states = mapping({"0": edition.t("state.off"), "1": edition.t("state.on")})
    columns = [
        tables.site(edition, wrapped=True, width=90),
        Column(source="on", title=edition.t("column.sprayer"), words=states, width=70),
    ]
    # Grafana makes the groups: InfluxDB 1.6 loses rows that it made of two subqueries itself.
    made = grid(
        edition,
        key,
        [table(query)],
        [*columns, *_dust("dust (mean)", "dust (count)", edition)],
        sort=(columns[0].title or "", False),
        interval="10m",
    )
    fields = {column.source: {"operation": "groupby", "aggregations": []} for column in columns}
    fields["dust"] = {"operation": "aggregate", "aggregations": ["mean", "count"]}
    made["transformations"].insert(0, {"id": "groupBy", "options": {"fields": fields}})
    return made


def _dust(mean: str, count: str, edition: Edition) -> list[Column]:
    """Columns of a mean of dust and of how much it is a mean of."""
    return [
        Column(source=mean, title="PM₁₀", unit=unit_of("ug/m3"), decimals=1, thresholds=NEUTRAL, gauge=True),
        Column(source=count, title=edition.t("column.spans"), width=60),
    ]


def _minutes(edition: Edition, key: str) -> Json:
    return curves(
        edition,
        key,
        readings(f"\"parameter\" = 'pm10' AND {STATIONS}", OF_STATION),
        unit=unit_of("ug/m3"),
        interval="1m",
        gap=edition.gap("pm10"),
    )
