"""One mine: all stations, live values, limits, weather, sprayers, blasts."""

from __future__ import annotations

from typing import Final

from greenmine.grafana import tables, variables
from greenmine.grafana.board import Board, Json, path_to
from greenmine.grafana.edition import Edition, tag_of, unit_of
from greenmine.grafana.influx.influx_schema import FINDINGS
from greenmine.grafana.panels import (
    AMBER,
    BLUE,
    CLOCK,
    GREY,
    RED,
    YELLOW,
    Column,
    by_query,
    curves,
    gauges,
    grid,
    mapping,
    override,
    plan,
    steps,
    timeline,
    verdict_words,
)
from greenmine.grafana.queries import (
    COARSE,
    FINE,
    HOUR,
    LEGAL,
    RANGE,
    SITES,
    STATIONS,
    limit_lines,
    one_of,
    readings,
    series,
    sound,
    table,
    until,
    winds,
)
from greenmine.processing.headroom import has_headroom

_DUST: Final = ("pm10", "tsp", "pm2.5")
_NARROW: Final = ("dust", "noise")
"""Themes of few parameters."""
_BY_FINDING: Final = {
    "S": (("exceeds", "statutory"), RED),
    "I": (("exceeds", "indicative"), AMBER),
    "N": (("not assessable", "indicative"), GREY),
}
"""Findings whose bars have a colour of their own, by the letter of their query in `_by_finding`."""
_COLOURS: Final = [by_query(ref, thresholds=steps((None, colour))) for ref, (_, colour) in _BY_FINDING.items()]
_WEATHER: Final = ("wind-speed", "wind-direction", "air-temperature", "humidity", "pressure", "rain")


def build(edition: Edition) -> Json:
    """Build the dashboard."""
    chosen = [
        variables.source(edition),
        variables.enterprise(edition, shown=False),
        variables.site(edition, one=True),
        variables.station(edition),
    ]
    board = Board(edition, "mine", chosen, span="now-24h", refresh="30s")
    board.blasting()
    key = "mine.{}".format
    everything = edition.limits(lambda _: True)
    about = {"limits": edition.clauses(everything)}
    measured = {c.parameter.id for c in edition.registry.channels}
    board.section(edition.t("section.conclusions"))
    board.add(tables.conclusions(edition, key("conclusions")), 24, 9)
    board.add(tables.headrooms(edition, key("headroom")), 24, 8)
    for panel in _headroom_curves(edition, key("headroom-curve")):
        board.add(panel, 12, 9)
    board.section(edition.t("section.newest"))
    for theme in edition.themes():
        parameters = [p.id for p in edition.registry.parameters.values() if p.theme == theme.id and p.id in measured]
        title = edition.t("mine.live.of", theme=edition.name(theme))
        live = tables.newest(edition, key("live"), parameters, title=title, with_site=False)
        board.add(live, 12 if theme.id in _NARROW else 24, 6)
    board.section(edition.t("section.limits"))
    board.add(_limits(edition, key("limits"), about), 24, 18)
    board.add(
        gauges(
            edition,
            key("share"),
            _share(edition),
            unit="percentunit",
            thresholds=steps((None, BLUE), (0.8, YELLOW)),
            overrides=_COLOURS,
            defaults={"min": 0, "max": 1.5, "decimals": 1},
            transformations=edition.renames(everything),
            about=about,
        ),
        12,
        11,
    )
    board.add(
        gauges(
            edition,
            key("distance"),
            _distance(),
            unit="suffix:dB",
            thresholds=steps((None, BLUE), (-3, YELLOW)),
            overrides=_COLOURS,
            defaults={"min": -30, "max": 15, "decimals": 1},
            transformations=edition.renames(everything),
            about=about,
        ),
        12,
        11,
    )
    board.section(edition.t("section.curves"))
    board.add(
        curves(
            edition,
            key("dust"),
            readings(
                f"{one_of('parameter', _DUST)} AND {STATIONS}", "$tag_station $tag_parameter", ("station", "parameter")
            ),
            unit=unit_of("ug/m3"),
            interval="1m",
            gap=edition.gap(*_DUST),
            transformations=_symbols(edition),
        ),
        12,
        10,
    )
    board.add(
        curves(
            edition,
            key("noise"),
            sound(f"\"parameter\" = 'laeq' AND {STATIONS}", "$tag_station", ("station",)),
            unit=unit_of("dB(A)"),
            interval="1m",
            gap=edition.gap("laeq"),
        ),
        12,
        10,
    )
    weather = [name for name in _WEATHER if name in measured]
    board.add(tables.newest(edition, key("weather"), weather, with_site=False), 24, 5)
    board.add(
        timeline(
            edition,
            key("equipment"),
            _equipment(),
            mapping({"0": (edition.t("state.off"), GREY), "1": (edition.t("state.on"), BLUE)}),
            nothing=edition.t("mine.equipment.nothing"),
            transformations=edition.renames(),
            interval="1m",
            gap=edition.gap("equipment-state"),
        ),
        10,
        8,
    )
    board.add(
        curves(
            edition,
            key("wind"),
            readings(f"\"parameter\" = 'wind-speed' AND {SITES}", edition.parameter_names["wind-speed"], ("site",)),
            unit=unit_of("m/s"),
            interval="1m",
            gap=edition.gap("wind-speed"),
        ),
        14,
        8,
    )
    board.section(edition.t("section.places"))
    board.add(
        plan(
            edition,
            key("map"),
            [table(_worst(), "verdict"), table(_places(edition), "place")],
            verdict_words(edition),
            override("station", mappings=mapping(edition.station_names)),
            winds(_weather_places(edition)),
        ),
        12,
        12,
    )
    board.add(tables.health(edition, key("health"), with_site=False), 12, 12)
    return board.made()


def _headroom_curves(edition: Edition, key: str) -> list[Json]:
    """How the headroom of the windows under way went, for each theme and unit beside the limits."""
    made = []
    for theme in edition.themes():
        rules = [rule for rule in edition.limits_of(theme.id) if has_headroom(rule)]
        for unit in dict.fromkeys(rule.limit.unit for rule in rules):
            some = [rule for rule in rules if rule.limit.unit == unit]
            chosen = f"{one_of('limit', [tag_of(rule) for rule in some])} AND {STATIONS}"
            most = (
                f'SELECT last("most") AS "most" FROM "headroom" WHERE {RANGE} AND "state" = 0 AND {chosen}'
                ' GROUP BY time($__interval), "station", "limit" fill(null)'
            )
            made.append(
                curves(
                    edition,
                    key,
                    [series(most, "$tag_station $tag_limit"), series(limit_lines("high", chosen), "≤ $tag_limit", "L")],
                    unit=unit_of(unit),
                    stepped=True,
                    interval=HOUR,
                    limits=some,
                    title=edition.t("mine.headroom-curve.of", theme=edition.name(theme)),
                )
            )
    return made


def _limits(edition: Edition, key: str, about: Json) -> Json:
    query = (
        'SELECT last("finding") AS "finding", "judged", "low", "high", "capture", "clause", "asked" FROM "verdict"'
        f' WHERE {until(3)} AND {STATIONS} GROUP BY "station", "limit"'
    )
    return grid(
        edition,
        key,
        [table(query)],
        [
            tables.station(edition, wrapped=True, width=110),
            tables.limit(edition, width=edition.wide(zh=215, en=260)),
            tables.finding(edition),
            tables.judged(edition),
            *tables.bounds(edition, edition.limits(lambda _: True)),
            tables.capture(edition),
            Column(source="Time", title=edition.t("column.start"), unit=CLOCK, width=130),
            tables.explained(edition),
            tables.clause(edition),
        ],
        about=about,
        links=[
            {"title": title, "url": path_to(edition, board, site="${site}"), "targetBlank": False}
            for board, title in (
                *((theme.id, edition.name(theme)) for theme in edition.themes()),
                ("exceedances", edition.t("exceedances.title")),
            )
        ],
    )


def _worst() -> str:
    return (
        f'SELECT max("finding") AS "finding" FROM (SELECT last("finding") AS "finding" FROM "verdict" WHERE {until(3)}'
        f' AND {LEGAL} AND {STATIONS} GROUP BY "station", "limit") WHERE {until(3)} GROUP BY "station"'
    )


def _places(edition: Edition) -> str:
    """Query places, but for those of equipment: it stands together, is judged by nothing, and would hide names."""
    judged = one_of("station", edition.stations("reference", "boundary", "receptor", "outfall", "weather"))
    return f'SELECT last("latitude") AS "latitude", "longitude" FROM "place" WHERE {judged} AND {STATIONS} GROUP BY "station"'


def _weather_places(edition: Edition) -> str:
    weather = one_of("station", edition.stations("weather"))
    return (
        f'SELECT last("latitude") AS "latitude", "longitude" FROM "place" WHERE {weather} AND {SITES} GROUP BY "site"'
    )


def _share(edition: Edition) -> list[Json]:
    """Query how much of each limit is used: a share of decibels, or of a range such as that of pH, means nothing."""
    sound = {p.id for p in edition.registry.parameters.values() if p.theme == "noise"}
    rules = edition.limits(lambda x: x.parameter not in sound and all(t.low is None for t in x.thresholds))
    limits = one_of("limit", [tag_of(rule) for rule in rules])
    return _by_finding('"value" / "high" AS "share"', f'"value" >= 0 AND {limits}')


def _distance() -> list[Json]:
    return _by_finding('"value" - "high" AS "distance"', '"value" > 0 AND "theme" = \'noise\'')


def _by_finding(figure: str, chosen: str) -> list[Json]:
    """Query a figure of the latest verdicts, those that exceed first; its verdict gives a bar the colour."""
    own = {ref: FINDINGS.index(finding) for ref, (finding, _) in _BY_FINDING.items()}
    latest = (
        f'SELECT last("finding") AS "finding", "value", "high" FROM "verdict" WHERE {until(3)} AND "high" > 0'
        f' AND "kind" = \'legal\' AND {chosen} AND {STATIONS} GROUP BY "station", "limit"'
    )
    return [
        series(
            f'SELECT {figure} FROM ({latest}) WHERE {until(3)} AND "finding" {found} GROUP BY "station", "limit"',
            "$tag_station $tag_limit",
            ref,
        )
        for ref, found in [*((ref, f"= {number}") for ref, number in own.items()), ("A", f"< {min(own.values())}")]
    ]


def _equipment() -> list[Json]:
    """Query the last state that a pixel spans; where it spans hours, whether the equipment was on for most of them."""
    return [
        series(
            f'SELECT {figure} AS "on" FROM "{measurement}" WHERE {RANGE} AND {chosen} AND "parameter" = \'equipment-state\''
            f' AND {SITES} GROUP BY time($__interval), "station" fill(null)',
            "$tag_station",
            ref,
        )
        for ref, figure, measurement, chosen in (
            ("A", 'last("value")', "reading", FINE),
            ("H", 'floor(mean("mean") + 0.5)', "statistic", f"{COARSE} AND \"window\" = 'hour'"),
        )
    ]


def _symbols(edition: Edition) -> list[Json]:
    return [
        {
            "id": "renameByRegex",
            "options": {"regex": f"/ {p.id.replace('.', chr(92) + '.')}$/", "renamePattern": f" {p.symbol}"},
        }
        for p in edition.registry.parameters.values()
        if edition.registry.is_judged(p.id)
    ]
