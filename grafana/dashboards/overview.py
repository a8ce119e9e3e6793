"""District overview: every mine at a glance."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
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
    conclusion_words,
    figure,
    grid,
    mapping,
    override,
    plan,
    steps,
    timeline,
    verdict_words,
)
from greenmine.grafana.queries import LEGAL, SITES, series, table, until, winds

_ANY: Final = steps((None, GREEN), (1, RED))
_BEYOND: Final = steps((None, GREY), (1, AMBER))
_ANY_WARNING: Final = steps((None, GREEN), (1, AMBER))


def build(edition: Edition) -> Json:
    """Build the dashboard."""
    chosen = [variables.source(edition), variables.enterprise(edition), variables.site(edition)]
    board = Board(edition, "overview", chosen, span="now-30d", refresh="1m")
    key = "overview.{}".format
    widths = {"sites": 3, "exceeding": 4, "above": 4, "open": 4, "open-indicative": 3, "warnings": 3, "silent": 3}
    for panel, width in zip(state_figures(edition, widths), widths.values(), strict=True):
        board.add(panel, width, 4)
    board.add(mines(edition, key("mines")), 24, 10)
    board.add(site_map(edition, key("map")), 12, 12)
    board.add(_ranking(edition, key("ranking")), 12, 12)
    board.add(
        timeline(
            edition,
            key("calendar"),
            [series(_calendar(edition), "$tag_site $tag_theme")],
            verdict_words(edition),
            nothing=edition.t("overview.calendar.nothing"),
            transformations=[*edition.renames(), *_theme_renames(edition)],
        ),
        24,
        12,
    )
    return board.made()


def state_figures(edition: Edition, names: Iterable[str], *, size: int = 0) -> list[Json]:
    """Large figures of how things stand, by name; ``size`` is that of the digits, 0: as large as fits [px]."""
    queries: Mapping[str, tuple[str, Json | None]] = {
        "sites": (_SITES, None),
        "exceeding": (_exceeding(_IS_FOUR), _ANY),
        "above": (_exceeding(_IS_THREE), _ANY_WARNING),
        "open": (_open("statutory"), _ANY),
        "open-indicative": (_open("indicative"), _ANY_WARNING),
        "warnings": (_WARNED, _ANY_WARNING),
        "silent": (_SILENT, _ANY),
    }
    made = []
    for name in names:
        query, thresholds = queries[name]
        colours: Json = {"color": "none"} if thresholds is None else {"thresholds": thresholds}
        panel = figure(edition, f"overview.{name}", [series(query)], nothing="0", **colours)
        if size:
            panel["options"]["text"] = {"valueSize": size}
        made.append(panel)
    return made


def mines(edition: Edition, key: str, *, brief: bool = False) -> Json:
    """A row for each mine: the conclusion on each theme in the sentence of pages and reports, exceedances, silence, capture.

    Parameters
    ----------
    brief : bool
        Conclusions only, for a screen on a wall.
    """
    themes, words = edition.themes(), conclusion_words(edition)
    mine = path_to(edition, "mine", site="${__value.raw}")
    # Two lines hold a Chinese sentence. An English one is cut at its end, and shown whole under the pointer.
    wrapped = edition.language == "zh"
    counted = (
        []
        if brief
        else [
            table(_SILENT_AT, "silent"),
            table(_EPISODES, "episodes"),
            table(_INDICATIVE, "indicative"),
            table(_CAPTURE, "capture"),
        ]
    )
    columns = [
        Column(source="silent", title=edition.t("column.silent"), thresholds=_ANY, colored=True, width=84),
        Column(source="episodes", title=edition.t("column.open"), thresholds=_ANY, colored=True, width=85, nothing="0"),
        Column(
            source="indicative", title=edition.t("column.open-indicative"), thresholds=_ANY_WARNING, colored=True,
            width=85, nothing="0",
        ),
        tables.capture(edition),
    ]  # fmt: skip
    return grid(
        edition,
        key,
        [*(table(_conclusion(theme.id), theme.id) for theme in themes), *counted],
        [
            tables.site(edition, link=mine, link_title=edition.t("links.mine"), wrapped=True, width=110),
            *(
                Column(
                    source=theme.id,
                    title=edition.name(theme),
                    words=words,
                    colored=True,
                    wrapped=wrapped,
                    least=165,
                )
                for theme in themes
            ),
            *([] if brief else columns),
        ],
        join="site",
        about={"limits": edition.clauses(edition.limits(lambda _: True))},
    )


def site_map(edition: Edition, key: str) -> Json:
    """Mines on a map, coloured by the least favourable conclusion."""
    names = override("site", mappings=mapping(edition.site_names))
    places = [table(_WORST, "verdict"), table(_PLACES, "place")]
    return plan(edition, key, places, verdict_words(edition), names, winds(_PLACES))


def _ranking(edition: Edition, key: str) -> Json:
    return grid(
        edition,
        key,
        [table(_MONTH)],
        [
            tables.site(
                edition,
                link=path_to(edition, "exceedances", site="${__value.raw}"),
                link_title=edition.t("links.exceedances"),
                least=125,
            ),
            Column(
                source="above",
                title=edition.t("column.above"),
                unit=edition.span("min"),
                thresholds=_BEYOND,
                gauge=True,
                least=140,
                nothing="0",
            ),
            Column(source="episodes", title=edition.t("column.episodes"), width=80, nothing="0"),
            Column(source="share", title=edition.t("column.worst-share"), unit="percentunit", decimals=1, width=130),
            Column(source="Time"),
        ],
        sort=(edition.t("column.above"), True),
    )


_CONCLUDED: Final = f'FROM "conclusion" WHERE {until(3)} AND "addressee" = \'emission\' AND {SITES}'
_SITES: Final = (
    'SELECT count("last") AS "sites" FROM (SELECT last("count") FROM "statistic"'
    f' WHERE {until(30)} AND {SITES} GROUP BY "site")'
)
_WORST: Final = (
    f'SELECT max("finding") AS "finding" FROM (SELECT last("finding") AS "finding" {_CONCLUDED} GROUP BY "site", "theme")'
    f' WHERE {until(3)} GROUP BY "site"'
)
# A health's code is 0 … 5; the product is 1 for 1, "silent", and 0 for the others.
_SILENT_CHANNELS: Final = (
    'SELECT last("code") * (2 - last("code")) * (3 - last("code")) * (4 - last("code")) * (5 - last("code")) / 24 AS "silent"'
    f' FROM "health" WHERE {until(400)} AND {SITES} GROUP BY "site", "station", "parameter"'
)
_SILENT: Final = f'SELECT sum("silent") AS "silent" FROM ({_SILENT_CHANNELS})'
_SILENT_AT: Final = f'SELECT sum("silent") AS "silent" FROM ({_SILENT_CHANNELS}) GROUP BY "site"'
_PLACES: Final = (
    'SELECT mean("latitude") AS "latitude", mean("longitude") AS "longitude" FROM "place"'
    f' WHERE {SITES} GROUP BY "site"'
)
# An episode above a legal limit has the finding 3, indicative, or 4, statutory: each product is 1 for one of them, else 0.
_LASTING: Final = (
    'SELECT "open" * ("finding" - 3) AS "statutory", "open" * (4 - "finding") AS "indicative" FROM "exceedance"'
    f" WHERE {until(90)} AND {LEGAL} AND {SITES}"
)
_EPISODES: Final = f'SELECT sum("statutory") AS "episodes" FROM ({_LASTING}) WHERE {until(90)} GROUP BY "site"'
_INDICATIVE: Final = f'SELECT sum("indicative") AS "indicative" FROM ({_LASTING}) WHERE {until(90)} GROUP BY "site"'
_CAPTURE: Final = (
    'SELECT mean("capture") AS "capture" FROM (SELECT last("capture") AS "capture" FROM "statistic"'
    f' WHERE {until(3)} AND "window" = \'day\' AND {SITES} GROUP BY "site", "station", "parameter") GROUP BY "site"'
)
_MONTH: Final = (
    'SELECT last("above") AS "above", "episodes", "share" FROM "rolling_site"'
    f' WHERE {until(2)} AND "span" = \'30d\' AND {SITES} GROUP BY "site"'
)
_WARNED: Final = (
    f'SELECT sum("open") AS "open" FROM "exceedance" WHERE {until(90)} AND "kind" = \'warning\' AND {SITES}'
)


def _open(standing: str) -> str:
    return f'SELECT sum("{standing}") AS "open" FROM ({_LASTING}) WHERE {until(90)}'


def _exceeding(chosen: str) -> str:
    """Count the mines whose least favourable finding is one of 0 to 4, by a product that is 1 for it and 0 for the others."""
    each = f'SELECT {chosen} AS "chosen" FROM ({_WORST}) WHERE {until(3)}'
    return f'SELECT sum("chosen") AS "exceeding" FROM ({each}) WHERE {until(3)}'


_IS_FOUR: Final = '"finding" * ("finding" - 1) * ("finding" - 2) * ("finding" - 3) / 24'
_IS_THREE: Final = '"finding" * ("finding" - 1) * ("finding" - 2) * (4 - "finding") / 6'


def _conclusion(theme: str) -> str:
    return f'SELECT last("finding") AS "{theme}" {_CONCLUDED} AND "theme" = \'{theme}\' GROUP BY "site"'


def _calendar(edition: Edition) -> str:
    # A day's point lies on its midnight: the day in which the range begins belongs to it.
    return (
        f'SELECT max("finding") AS "finding" FROM "day" WHERE time > ${{__from}}ms - 1d AND time <= ${{__to}}ms AND {SITES}'
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
