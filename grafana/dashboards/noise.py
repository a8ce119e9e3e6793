"""Noise: minutes, day and night levels against the class, percentile levels, night maxima, excluded minutes."""

from __future__ import annotations

from greenmine.grafana import tables, variables
from greenmine.grafana.board import Board, Json
from greenmine.grafana.edition import Edition, tag_of, unit_of
from greenmine.grafana.panels import curves
from greenmine.grafana.queries import (
    HOUR,
    OF_STATION,
    RANGE,
    STATIONS,
    daily,
    hourly,
    limit_lines,
    one_of,
    series,
    sound,
)
from greenmine.registry import Rule

_LAEQ = "\"parameter\" = 'laeq'"


def build(edition: Edition) -> Json:
    """Build the dashboard."""
    chosen = [
        variables.source(edition),
        variables.enterprise(edition),
        variables.site(edition, first="noise"),
        variables.station(edition, "noise"),
    ]
    board = Board(edition, "noise", chosen, span="now-7d", refresh="1m")
    board.blasting()
    key = "noise.{}".format
    board.section(edition.t("section.station", station="${station:text}"), repeat="station")
    board.add(
        curves(
            edition,
            key("minutes"),
            sound(f"{_LAEQ} AND {STATIONS}", OF_STATION),
            unit=unit_of("dB(A)"),
            interval="1m",
            gap=edition.gap("laeq"),
        ),
        24,
        9,
        judged=edition.limits(lambda limit: limit.parameter == "laeq"),
    )
    for window, parameter, figure in (
        ("daytime", "laeq", "mean"),
        ("nighttime", "laeq", "mean"),
        ("nighttime", "lafmax", "maximum"),
    ):
        rules = edition.limits(
            lambda limit, w=window, p=parameter: limit.window == w and limit.parameter == p  # type: ignore[misc]
        )
        name = {"daytime": "ld", "nighttime": "ln"}[window] if parameter == "laeq" else "night-maximum"
        where = f"\"parameter\" = '{parameter}' AND {STATIONS}"
        board.add(
            curves(
                edition,
                key(name),
                [
                    series(daily(figure, where, edition.days, window=window), OF_STATION),
                    *([series(_lines(rules), "≤ $tag_limit", "L")] if rules else []),
                ],
                unit=unit_of("dB(A)"),
                points=True,
                interval=HOUR,
                limits=rules,
                about={"limits": edition.clauses(rules) or edition.t("limits.none")},
                nothing=edition.t("not-measured-there"),
            ),
            8,
            10,
            judged=rules,
        )
    board.add(
        curves(
            edition,
            key("levels"),
            [
                series(hourly(level, f"{_LAEQ} AND {STATIONS}"), f"{OF_STATION} {level.upper()}", level.upper())
                for level in ("l10", "l50", "l90")
            ],
            unit=unit_of("dB(A)"),
            stepped=True,
            interval=HOUR,
        ),
        12,
        9,
        judged=edition.limits(lambda limit: limit.parameter == "laeq"),
    )
    board.add(
        curves(
            edition,
            key("excluded"),
            [series(_excluded(), OF_STATION)],
            unit=edition.span("min"),
            bars=True,
            interval=HOUR,
        ),
        12,
        9,
    )
    board.section(edition.t("section.verdicts"))
    board.add(tables.verdicts(edition, key("verdicts"), "\"theme\" = 'noise'", edition.limits_of("noise")), 24, 10)
    board.episodes()
    return board.made()


def _lines(rules: list[Rule]) -> str:
    return limit_lines("high", f"{one_of('limit', [tag_of(r) for r in rules])} AND {STATIONS}")


def _excluded() -> str:
    return (
        f'SELECT sum("excluded") AS "excluded" FROM "statistic" WHERE {RANGE} AND "window" = \'hour\' AND {_LAEQ}'
        f' AND {STATIONS} GROUP BY time($__interval), "site", "station" fill(null)'
    )
