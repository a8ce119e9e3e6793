"""Exceedances: every episode, counts, and how much of the time was above."""

from __future__ import annotations

from typing import Final

from greenmine.grafana import tables, variables
from greenmine.grafana.board import Board, Json, path_to
from greenmine.grafana.edition import Edition
from greenmine.grafana.panels import (
    AMBER,
    BLUE,
    CLOCK,
    GREEN,
    GREY,
    NEUTRAL,
    RED,
    Column,
    bars,
    curves,
    figure,
    grid,
    mapping,
    steps,
)
from greenmine.grafana.queries import HOUR, RANGE, STATIONS, series, table, until

_CHOSEN: Final = f'{STATIONS} AND "kind" =~ /^${{kind:regex}}$/'
_COUNTED: Final = "\"state\" != 'superseded' AND \"state\" != 'withdrawn'"
_SPANS: Final = ("24h", "7d", "30d")
_SHARES: Final = steps((None, "text"), (0.000001, AMBER))
"""Colours of the share of time beyond a limit."""


def build(edition: Edition) -> Json:
    """Build the dashboard."""
    chosen = [
        variables.source(edition),
        variables.enterprise(edition),
        variables.site(edition),
        variables.station(edition),
        variables.kind(edition),
    ]
    board = Board(edition, "exceedances", chosen, span="now-30d", refresh="1m")
    board.blasting()
    key = "exceedances.{}".format
    legal = {"limits": edition.clauses(edition.limits(lambda _: True))}
    of_episodes = f'FROM "exceedance" WHERE {RANGE} AND {_COUNTED} AND {_CHOSEN}'
    # The finding of an episode is 3, 4 or 5: the products are 1 for 4, statutory, and 1 for the others.
    statutory, others = (
        f'SELECT sum("lasting") AS "open" FROM (SELECT "open" * {product} AS "lasting" FROM "exceedance"'
        f" WHERE {until(90)} AND {_CHOSEN}) WHERE {until(90)}"
        for product in ('("finding" - 3) * (5 - "finding")', '("finding" - 4) * ("finding" - 4)')
    )
    hours = edition.span("h")
    no_time = f"0 {edition.t('span.h')}"
    tenths = {"decimals": 1}
    widths = (5, 6, 4, 5, 4)
    figures = (
        figure(edition, key("open"), [series(statutory)], thresholds=steps((None, GREEN), (1, RED)), nothing="0"),
        figure(
            edition,
            key("open-others"),
            [series(others)],
            thresholds=steps((None, GREEN), (1, AMBER)),
            nothing="0",
        ),
        figure(
            edition,
            key("episodes"),
            [series(f'SELECT count("minutes") AS "episodes" {of_episodes}')],
            color="none",
            nothing="0",
        ),
        figure(
            edition,
            key("minutes"),
            [series(f'SELECT sum("minutes") / 60 AS "hours" {of_episodes}')],
            unit=hours,
            color="none",
            nothing=no_time,
            defaults=tenths,
        ),
        figure(
            edition,
            key("longest"),
            [series(f'SELECT max("duration") / 60 AS "longest" {of_episodes}')],
            unit=hours,
            color="none",
            nothing=no_time,
            defaults=tenths,
        ),
    )
    for panel, width in zip(figures, widths, strict=True):
        board.add(panel, width, 4)
    board.add(_episodes(edition, key("list"), legal), 24, 12)
    board.add(_by_site(edition, key("by-site"), of_episodes), 8, 9)
    board.add(_by_limit(edition, key("by-limit"), of_episodes), 16, 9)
    board.add(
        curves(
            edition,
            key("above"),
            [series(_above(), "$tag_site $tag_limit")],
            unit=edition.span("min"),
            bars=True,
            interval=HOUR,
            limits=edition.limits(lambda _: True),
        ),
        24,
        8,
    )
    board.add(_rolling(edition, key("rolling")), 24, 12)
    return board.made()


def _episodes(edition: Edition, key: str, about: Json) -> Json:
    query = (
        'SELECT "state", "finding", "minutes", "told", "threshold", "cause", "handling", "clause"'
        f' FROM "exceedance" WHERE {RANGE} AND "state" != \'superseded\' AND {_CHOSEN}'
        ' GROUP BY "site", "station", "limit", "episode"'
    )
    states = {
        "open": (edition.t("state.open"), BLUE),
        "closed": (edition.t("state.closed"), "text"),
        "withdrawn": (edition.t("state.withdrawn"), GREY),
    }
    page = f"{edition.pages}/exceedances/${{__value.raw}}" if edition.pages else None
    return grid(
        edition,
        key,
        [table(query)],
        [
            Column(source="Time", title=edition.t("column.start"), unit=CLOCK, width=128),
            Column(source="state", title=edition.t("column.state"), words=mapping(states), colored=True, width=54),
            tables.site(
                edition,
                link=path_to(edition, "mine", site="${__value.raw}"),
                link_title=edition.t("links.mine"),
                wrapped=True,
                width=70,
            ),
            tables.station(edition, wrapped=True, width=84),
            tables.limit(edition, width=edition.wide(zh=210, en=239)),
            tables.finding(edition, width=edition.wide(zh=72, en=88)),
            Column(source="minutes", title=edition.t("column.minutes"), width=60),
            Column(source="told", title=edition.t("column.peak"), right=True, width=58),
            Column(source="threshold", title=edition.t("column.threshold"), width=56),
            Column(source="cause", title=edition.t("column.cause"), wrapped=True, width=55),
            Column(source="handling", title=edition.t("column.handling"), wrapped=True, width=58),
            tables.clause(edition),
            Column(
                source="episode",
                title=edition.t("column.episode"),
                link=page,
                link_title=edition.t("links.exceedance"),
                width=50,
            ),
        ],
        sort=(edition.t("column.start"), True),
        about=about,
    )


def _by_site(edition: Edition, key: str, of_episodes: str) -> Json:
    return bars(
        edition,
        key,
        [table(f'SELECT count("minutes") AS "episodes" {of_episodes} GROUP BY "site"')],
        [
            tables.site(edition),
            Column(source="episodes", title=edition.t("column.episodes")),
            Column(source="Time"),
        ],
    )


def _by_limit(edition: Edition, key: str, of_episodes: str) -> Json:
    query = f'SELECT count("minutes") AS "episodes", sum("minutes") AS "minutes" {of_episodes} GROUP BY "site", "limit"'
    return grid(
        edition,
        key,
        [table(query)],
        [
            tables.site(edition, wrapped=True, width=110),
            tables.limit(edition),
            Column(source="episodes", title=edition.t("column.episodes"), thresholds=NEUTRAL, gauge=True, width=110),
            Column(source="minutes", title=edition.t("column.minutes"), width=75),
            Column(source="Time"),
        ],
        sort=(edition.t("column.episodes"), True),
    )


def _above() -> str:
    return (
        f'SELECT sum("above") AS "above" FROM "sliding" WHERE {RANGE} AND {_CHOSEN} AND "above" > 0'
        ' GROUP BY time($__interval), "site", "limit" fill(none)'
    )


def _rolling(edition: Edition, key: str) -> Json:
    columns: list[Column] = []
    targets = []
    for span in _SPANS:
        names = {name: f"{name}_{span}" for name in ("share", "above")}
        query = (
            f'SELECT last("share") AS "{names["share"]}", "above" AS "{names["above"]}" FROM "rolling"'
            f' WHERE {until(2)} AND "span" = \'{span}\' AND {_CHOSEN} GROUP BY "site", "station", "limit"'
        )
        targets.append(table(query, f"S{span}"))
        columns += [
            Column(
                source=names["share"],
                title=edition.t("column.share-of", span=edition.t(f"span.{span}")),
                unit="percentunit",
                decimals=1,
                thresholds=_SHARES,
                colored=True,
                width=80,
            ),
            Column(
                source=names["above"],
                title=edition.t("column.minutes-of", span=edition.t(f"span.{span}")),
                unit=edition.span("min"),
                width=85,
            ),
        ]
    worst = (
        f'SELECT last("worst") AS "worst", "episodes" FROM "rolling" WHERE {until(2)} AND "span" = \'{_SPANS[-1]}\''
        f' AND {_CHOSEN} GROUP BY "site", "station", "limit"'
    )
    return grid(
        edition,
        key,
        [*targets, table(worst, "W")],
        [
            tables.site(edition, wrapped=True, width=110),
            tables.station(edition, wrapped=True, width=95),
            tables.limit(edition),
            *columns,
            Column(source="episodes", title=edition.t("column.episodes"), width=65),
            Column(source="worst", title=edition.t("column.peak"), decimals=1, width=75),
        ],
        merge="",
        sort=(columns[0].title or "", True),
    )
