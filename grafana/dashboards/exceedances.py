"""Exceedances: every episode, counts, and how much of the time was above."""

from __future__ import annotations

from typing import Final

from greenmine.grafana import tables, variables
from greenmine.grafana.board import Board, Json, path_to
from greenmine.grafana.edition import Edition
from greenmine.grafana.panels import AMBER, GREEN, GREY, RED, Column, bars, curves, figure, grid, mapping, steps
from greenmine.grafana.queries import HOUR, RANGE, STATIONS, series, table, until

_CHOSEN: Final = f'{STATIONS} AND "kind" =~ /^${{kind:regex}}$/'
_COUNTED: Final = "\"state\" != 'superseded' AND \"state\" != 'withdrawn'"
_SPANS: Final = ("24h", "7d", "30d")


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
    opened = f'SELECT sum("open") AS "open" FROM "exceedance" WHERE {until(90)} AND {_CHOSEN}'
    board.add(
        figure(edition, key("open"), [series(opened)], thresholds=steps((None, GREEN), (1, RED)), nothing="0"), 6, 4
    )
    board.add(
        figure(edition, key("episodes"), [series(f'SELECT count("minutes") AS "episodes" {of_episodes}')], nothing="0"),
        6,
        4,
    )
    board.add(
        figure(
            edition,
            key("minutes"),
            [series(f'SELECT sum("minutes") AS "minutes" {of_episodes}')],
            unit="m",
            nothing="0",
        ),
        6,
        4,
    )
    board.add(
        figure(
            edition,
            key("longest"),
            [series(f'SELECT max("duration") AS "longest" {of_episodes}')],
            unit="m",
            nothing="0",
        ),
        6,
        4,
    )
    board.add(_episodes(edition, key("list"), legal), 24, 12)
    board.add(_by_site(edition, key("by-site"), of_episodes), 8, 9)
    board.add(_by_limit(edition, key("by-limit"), of_episodes), 16, 9)
    board.add(
        curves(
            edition,
            key("above"),
            [series(_above(), "$tag_site $tag_limit")],
            unit="m",
            bars=True,
            interval=HOUR,
            limits=edition.limits(lambda _: True),
        ),
        24,
        8,
    )
    for span in _SPANS:
        board.add(_rolling(edition, key(f"rolling-{span}"), span), 8, 12)
    return board.made()


def _episodes(edition: Edition, key: str, about: Json) -> Json:
    query = (
        'SELECT "state", "end", "duration", "minutes", "peak", "threshold", "peak_time", "cause", "handling", "clause"'
        f' FROM "exceedance" WHERE {RANGE} AND "state" != \'superseded\' AND {_CHOSEN}'
        ' GROUP BY "site", "station", "limit", "kind", "episode"'
    )
    states = {
        "open": (edition.t("state.open"), RED),
        "closed": (edition.t("state.closed"), GREEN),
        "withdrawn": (edition.t("state.withdrawn"), GREY),
    }
    return grid(
        edition,
        key,
        [table(query)],
        [
            Column(source="Time", title=edition.t("column.start"), unit="dateTimeAsIso", width=165),
            Column(source="state", title=edition.t("column.state"), words=mapping(states), colored=True, width=80),
            tables.site(
                edition, link=path_to(edition, "mine", site="${__value.raw}"), link_title=edition.t("links.mine")
            ),
            tables.station(edition),
            tables.limit(edition),
            Column(
                source="kind",
                title=edition.t("column.kind"),
                words=mapping({k: edition.t(f"kind.{k}") for k in ("legal", "target", "warning")}),
                width=80,
            ),
            Column(source="duration", title=edition.t("column.duration"), unit="m", width=90),
            Column(source="minutes", title=edition.t("column.minutes"), unit="m", width=90),
            Column(source="peak", title=edition.t("column.peak"), decimals=1, width=90),
            Column(source="threshold", title=edition.t("column.threshold"), width=80),
            Column(source="peak_time", title=edition.t("column.peak-time"), unit="dateTimeAsIso", width=165),
            Column(source="end", title=edition.t("column.end"), unit="dateTimeAsIso", width=165),
            Column(source="cause", title=edition.t("column.cause")),
            Column(source="handling", title=edition.t("column.handling")),
            tables.clause(edition),
            Column(source="episode"),
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
            tables.site(edition),
            tables.limit(edition),
            Column(source="episodes", title=edition.t("column.episodes"), gauge=True),
            Column(source="minutes", title=edition.t("column.minutes"), unit="m"),
            Column(source="Time"),
        ],
        sort=(edition.t("column.episodes"), True),
    )


def _above() -> str:
    return (
        f'SELECT sum("above") AS "above" FROM "sliding" WHERE {RANGE} AND {_CHOSEN} AND "above" > 0'
        ' GROUP BY time($__interval), "site", "limit" fill(none)'
    )


def _rolling(edition: Edition, key: str, span: str) -> Json:
    query = (
        'SELECT last("share") AS "share", "above", "episodes", "longest", "worst", "capture" FROM "rolling"'
        f' WHERE {until(2)} AND "span" = \'{span}\' AND {_CHOSEN} GROUP BY "site", "station", "limit"'
    )
    return grid(
        edition,
        key,
        [table(query)],
        [
            tables.site(edition),
            tables.limit(edition),
            Column(
                source="share",
                title=edition.t("column.share"),
                unit="percentunit",
                decimals=2,
                thresholds=steps((None, GREEN), (0.000001, AMBER), (0.05, RED)),
                colored=True,
            ),
            Column(source="above", title=edition.t("column.minutes"), unit="m"),
            Column(source="episodes", title=edition.t("column.episodes")),
            Column(source="longest", title=edition.t("column.longest"), unit="m"),
            Column(source="worst", title=edition.t("column.peak"), decimals=1),
            Column(source="capture", title=edition.t("column.capture"), unit="percentunit", decimals=1),
            Column(source="station"),
            Column(source="Time"),
        ],
        sort=(edition.t("column.share"), True),
    )
