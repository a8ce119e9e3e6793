"""District overview: every mine at a glance."""

from __future__ import annotations

import re
from typing import Final

from greenmine.grafana import tables, variables
from greenmine.grafana.board import Board, Json, path_to
from greenmine.grafana.edition import Edition
from greenmine.grafana.panels import (
    AMBER,
    GREEN,
    GREY,
    RED,
    Column,
    figure,
    grid,
    mapping,
    override,
    plan,
    steps,
    timeline,
    verdict_words,
)
from greenmine.grafana.queries import LEGAL, RANGE, SITES, series, table, until

_ANY: Final = steps((None, GREEN), (1, RED))
_BEYOND: Final = steps((None, GREY), (1, RED))
_ANY_WARNING: Final = steps((None, GREEN), (1, AMBER))


def build(edition: Edition) -> Json:
    """Build the dashboard."""
    chosen = [variables.source(edition), variables.enterprise(edition), variables.site(edition)]
    board = Board(edition, "overview", chosen, span="now-30d", refresh="1m")
    key = "overview.{}".format
    board.add(figure(edition, key("sites"), [series(_SITES)], color="none"), 4, 4)
    board.add(figure(edition, key("exceeding"), [series(_EXCEEDING)], thresholds=_ANY, nothing="0"), 5, 4)
    board.add(figure(edition, key("open"), [series(_open("legal"))], thresholds=_ANY, nothing="0"), 5, 4)
    board.add(figure(edition, key("warnings"), [series(_open("warning"))], thresholds=_ANY_WARNING, nothing="0"), 5, 4)
    board.add(figure(edition, key("silent"), [series(_SILENT)], thresholds=_ANY, nothing="0"), 5, 4)
    themes = edition.themes()
    words = verdict_words(edition)
    mine = path_to(edition, "mine", site="${__value.raw}")
    board.add(
        grid(
            edition,
            key("mines"),
            [
                *(table(_verdict(theme.id), theme.id) for theme in themes),
                table(_EPISODES, "episodes"),
                table(_SILENT_AT, "silent"),
                table(_CAPTURE, "capture"),
            ],
            [
                tables.site(edition, link=mine, link_title=edition.t("links.mine")),
                *(
                    Column(source=theme.id, title=edition.name(theme), words=words, colored=True, width=90)
                    for theme in themes
                ),
                Column(
                    source="episodes",
                    title=edition.t("column.open"),
                    thresholds=_ANY,
                    colored=True,
                    width=100,
                    nothing="0",
                ),
                Column(source="silent", title=edition.t("column.silent"), thresholds=_ANY, colored=True, width=100),
                tables.capture(edition),
            ],
            join="site",
            about={"limits": edition.clauses(edition.limits(lambda _: True))},
        ),
        14,
        10,
    )
    board.add(
        plan(
            edition,
            key("map"),
            [table(_WORST, "verdict"), table(_PLACES, "place")],
            words,
            override("site", mappings=mapping(edition.site_names)),
        ),
        10,
        10,
    )
    board.add(
        grid(
            edition,
            key("ranking"),
            [table(_ABOVE, "above"), table(_COUNT, "count"), table(_SHARE, "share")],
            [
                tables.site(
                    edition,
                    link=path_to(edition, "exceedances", site="${__value.raw}"),
                    link_title=edition.t("links.exceedances"),
                ),
                Column(
                    source="above",
                    title=edition.t("column.above"),
                    unit=edition.span("min"),
                    thresholds=_BEYOND,
                    gauge=True,
                    nothing="0",
                ),
                Column(source="episodes", title=edition.t("column.episodes"), width=80, nothing="0"),
                Column(
                    source="share", title=edition.t("column.worst-share"), unit="percentunit", decimals=2, width=130
                ),
            ],
            join="site",
            sort=(edition.t("column.above"), True),
        ),
        10,
        11,
    )
    board.add(
        timeline(
            edition,
            key("calendar"),
            [series(_calendar(edition), "$tag_site $tag_theme")],
            words,
            transformations=[*edition.renames(), *_theme_renames(edition)],
        ),
        14,
        11,
    )
    return board.made()


_LAST: Final = (
    f'SELECT last("code") AS "code" FROM "verdict" WHERE {until(10)} AND {LEGAL} AND {SITES}'
    ' GROUP BY "site", "station", "limit", "theme"'
)
_SITES: Final = (
    'SELECT count("last") AS "sites" FROM (SELECT last("count") FROM "statistic"'
    f' WHERE {until(30)} AND {SITES} GROUP BY "site")'
)
# A verdict's code is 0, 1 or 2, so that code·(code − 1)/2 is 1 for "exceeds" and 0 for the others.
_EXCEEDING: Final = (
    'SELECT sum("exceeds") AS "exceeding" FROM (SELECT max("code") * (max("code") - 1) / 2 AS "exceeds"'
    f' FROM ({_LAST}) WHERE {until(10)} GROUP BY "site")'
)
# A health's code is 0 … 4; the product is 1 for 1, "silent", and 0 for the others.
_SILENT_CHANNELS: Final = (
    'SELECT last("code") * (2 - last("code")) * (3 - last("code")) * (4 - last("code")) / 6 AS "silent"'
    f' FROM "health" WHERE {until(400)} AND {SITES} GROUP BY "site", "station", "parameter"'
)
_SILENT: Final = f'SELECT sum("silent") AS "silent" FROM ({_SILENT_CHANNELS})'
_SILENT_AT: Final = f'SELECT sum("silent") AS "silent" FROM ({_SILENT_CHANNELS}) GROUP BY "site"'
_WORST: Final = f'SELECT max("code") AS "code" FROM ({_LAST}) WHERE {until(10)} GROUP BY "site"'
_PLACES: Final = (
    'SELECT mean("latitude") AS "latitude", mean("longitude") AS "longitude" FROM "place"'
    f' WHERE {SITES} GROUP BY "site"'
)
_EPISODES: Final = (
    f'SELECT sum("open") AS "episodes" FROM "exceedance" WHERE {until(90)} AND {LEGAL} AND {SITES} GROUP BY "site"'
)
_CAPTURE: Final = (
    'SELECT mean("capture") AS "capture" FROM (SELECT last("capture") AS "capture" FROM "statistic"'
    f' WHERE {until(3)} AND "window" = \'day\' AND {SITES} GROUP BY "site", "station", "parameter") GROUP BY "site"'
)
_MONTH: Final = f'FROM "rolling" WHERE {until(2)} AND "span" = \'30d\' AND {LEGAL} AND {SITES}'
_ABOVE: Final = (
    f'SELECT sum("above") AS "above" FROM (SELECT last("above") AS "above" {_MONTH} GROUP BY "site", "station", "limit")'
    ' GROUP BY "site"'
)
_COUNT: Final = (
    f'SELECT sum("episodes") AS "episodes" FROM (SELECT last("episodes") AS "episodes" {_MONTH}'
    ' GROUP BY "site", "station", "limit") GROUP BY "site"'
)
_SHARE: Final = (
    f'SELECT max("share") AS "share" FROM (SELECT last("share") AS "share" {_MONTH} GROUP BY "site", "station", "limit")'
    ' GROUP BY "site"'
)


def _open(kind: str) -> str:
    return f'SELECT sum("open") AS "open" FROM "exceedance" WHERE {until(90)} AND "kind" = \'{kind}\' AND {SITES}'


def _verdict(theme: str) -> str:
    return f'SELECT max("code") AS "{theme}" FROM ({_LAST}) WHERE {until(10)} AND "theme" = \'{theme}\' GROUP BY "site"'


def _calendar(edition: Edition) -> str:
    return (
        f'SELECT max("code") AS "code" FROM "verdict" WHERE {RANGE} AND {LEGAL} AND {SITES}'
        f' GROUP BY {edition.days}, "site", "theme" fill(null)'
    )


def _theme_renames(edition: Edition) -> list[Json]:
    return [
        {
            "id": "renameByRegex",
            "options": {"regex": f"/ {re.escape(theme.id)}$/", "renamePattern": f" {edition.name(theme)}"},
        }
        for theme in edition.registry.judged_themes
    ]
