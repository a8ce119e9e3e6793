"""Tables that several dashboards show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from greenmine.grafana.edition import Edition, tag_of
from greenmine.grafana.panels import (
    AMBER,
    BLUE,
    CLOCK,
    GREEN,
    GREY,
    RED,
    Column,
    Json,
    conclusion_words,
    detail_words,
    grid,
    health_words,
    mapping,
    steps,
    verdict_words,
    wind_words,
)
from greenmine.grafana.queries import RANGE, SITES, STATIONS, one_of, table, until
from greenmine.parameters import Parameter
from greenmine.registry import Rule
from greenmine.wording.words import NOTHING

CAPTURE: Final = steps((None, RED), (0.75, AMBER), (0.9, GREEN))
"""Colours of a capture: the alarm is at 90 %, most rules of validity ask for 75 %."""


def site(edition: Edition, **more: Any) -> Column:
    """Names of mines."""
    return Column(source="site", title=edition.t("column.site"), words=mapping(edition.site_names), **more)


def station(edition: Edition, **more: Any) -> Column:
    """Names of stations."""
    return Column(source="station", title=edition.t("column.station"), words=mapping(edition.station_names), **more)


def parameter(edition: Edition) -> Column:
    """Names of parameters with their units."""
    names = {p.id: edition.label(p) for p in edition.registry.parameters.values()}
    return Column(source="parameter", title=edition.t("column.parameter"), words=mapping(names), wrapped=True)


def limit(edition: Edition, *, width: int | None = None) -> Column:
    """Names of limits with the units of their figures."""
    units = {tag_of(rule): edition.unit(rule.limit.unit) for rule in edition.limits(lambda _: True)}
    names = {
        tag: edition.t("with-unit", name=name, unit=units[tag]) if units[tag] else name
        for tag, name in edition.limit_names.items()
    }
    return Column(source="limit", title=edition.t("column.limit"), words=mapping(names), wrapped=True, width=width)


def finding(edition: Edition, *, width: int = 115) -> Column:
    """Findings of single verdicts."""
    words = verdict_words(edition)
    return Column(
        source="finding", title=edition.t("column.finding"), words=words, colored=True, wrapped=True, width=width
    )


def capture(edition: Edition, *, width: int = 85) -> Column:
    """Shares of the readings due."""
    title = edition.t("column.capture")
    return Column(
        source="capture", title=title, unit="percentunit", decimals=1, thresholds=CAPTURE, colored=True, width=width
    )


def newest(edition: Edition, key: str, parameters: Sequence[str], *, with_site: bool = True, **extra: Any) -> Json:
    """The newest valid reading of each parameter, a row for each station; the age is that of the newest among them."""

    def last(name: str, chosen: Sequence[str], ref: str) -> Json:
        where = f"{until(2)} AND {one_of('parameter', chosen)} AND {STATIONS}"
        return table(f'SELECT last("value") AS "{name}" FROM "reading" WHERE {where} GROUP BY "site", "station"', ref)

    about = edition.registry.parameters
    return grid(
        edition,
        key,
        [last("newest", parameters, "T"), *(last(p, [p], f"P{i}") for i, p in enumerate(parameters))],
        [
            site(edition, width=140) if with_site else Column(source="site"),
            station(edition, wrapped=True, width=160),
            *(_reading(edition, about[p]) for p in parameters),
            Column(source="Time", title=edition.t("column.age"), unit=CLOCK, width=130),
            Column(source="newest"),
        ],
        merge="T",
        **extra,
    )


def _reading(edition: Edition, parameter: Parameter) -> Column:
    """Newest values of a parameter; of a wind direction in words, with an arrow that points where the wind blows."""
    if parameter.id == "wind-direction":
        return Column(source=parameter.id, title=edition.name(parameter), words=wind_words(edition), width=110)
    return Column(source=parameter.id, title=edition.label(parameter), decimals=parameter.decimals)


def judged(edition: Edition) -> Column:
    """The figure that was compared, as people are told it."""
    return Column(source="judged", title=edition.t("column.judged"), right=True, width=70)


def two_sided(rules: Iterable[Rule]) -> bool:
    """Whether some limit has a lower side."""
    return any(threshold.low is not None for rule in rules for threshold in rule.limit.thresholds)


def bounds(edition: Edition, rules: Iterable[Rule]) -> list[Column]:
    """Columns of lower and upper limits; the former is hidden where no limit has one."""
    return [
        Column(source="low", title=edition.t("column.low") if two_sided(rules) else None, width=60),
        Column(source="high", title=edition.t("column.high"), width=60),
    ]


def clause(edition: Edition) -> Column:
    """Standards with their clauses."""
    words, least = mapping(edition.clause_names), edition.wide(zh=135, en=90)
    return Column(source="clause", title=edition.t("column.clause"), words=words, wrapped=True, least=least)


def explained(edition: Edition) -> Column:
    """A link to the page that tells how a verdict came about; hidden where there are no pages."""
    if not edition.pages:
        return Column(source="asked")
    words = [{"type": "regex", "options": {"pattern": "/.+/", "result": {"text": edition.t("links.why"), "index": 0}}}]
    page = f"{edition.pages}/explanation?${{__value.raw:raw}}"
    return Column(
        source="asked",
        title=edition.t("column.why"),
        words=words,
        link=page,
        link_title=edition.t("links.explanation"),
        width=50,
    )


def verdicts(edition: Edition, key: str, where: str, rules: Sequence[Rule]) -> Json:
    """Every verdict of the time range that is asked for, which are those by some rules; the newest first."""
    query = (
        'SELECT "finding", "judged", "low", "high", "capture", "reason", "clause", "asked" FROM "verdict"'
        f' WHERE {RANGE} AND {where} AND {STATIONS} GROUP BY "site", "station", "limit"'
    )
    return grid(
        edition,
        key,
        [table(query)],
        [
            Column(source="Time", title=edition.t("column.start"), unit=CLOCK, width=130),
            site(edition, wrapped=True, width=75),
            station(edition, wrapped=True, width=85),
            limit(edition, width=edition.wide(zh=140, en=185) if two_sided(rules) else edition.wide(zh=190, en=235)),
            finding(edition, width=100),
            judged(edition),
            *bounds(edition, rules),
            capture(edition),
            Column(
                source="reason",
                title=edition.t("column.reason"),
                words=mapping(edition.shared("reason")),
                wrapped=True,
                width=100,
            ),
            explained(edition),
            clause(edition),
        ],
        sort=(edition.t("column.start"), True),
        filterable=True,
    )


def conclusions(edition: Edition, key: str) -> Json:
    """The conclusions on one mine, in the sentences of the pages and reports: its own emissions first."""
    query = (
        f'SELECT last("finding") AS "finding", "reason", "limits", "running" FROM "conclusion" WHERE {until(3)} AND {SITES}'
        ' GROUP BY "theme", "addressee"'
    )
    themes = {theme.id: edition.name(theme) for theme in edition.registry.judged_themes}
    return grid(
        edition,
        key,
        [table(query)],
        [
            Column(source="theme", title=edition.t("column.theme"), words=mapping(themes), width=64),
            Column(
                source="addressee",
                title=edition.t("column.addressee"),
                words=mapping(edition.shared("addressee")),
                wrapped=True,
                width=245,
            ),
            Column(
                source="finding",
                title=edition.t("column.conclusion"),
                words=conclusion_words(edition),
                colored=True,
                wrapped=True,
                width=290,
            ),
            Column(
                source="reason",
                title=edition.t("column.reason"),
                words=mapping(edition.shared("reason")),
                wrapped=True,
                least=200,
            ),
            Column(source="running", title=edition.t("column.running"), width=70, nothing="0"),
            Column(source="limits", title=edition.t("column.limits"), width=56),
            Column(source="Time", title=edition.t("column.as-of"), unit=CLOCK, width=130),
        ],
    )


def headrooms(edition: Edition, key: str) -> Json:
    """How each window under way stands, and what the rest of it may average."""
    query = (
        'SELECT last("state") AS "state", "most", "hours", "missing", "end" FROM "headroom"'
        f' WHERE {until(3)} AND {STATIONS} GROUP BY "station", "limit"'
    )
    states = {
        "0": (edition.t("headroom.open"), BLUE),
        "1": (edition.t("headroom.not-assessable"), GREY),
        "2": (edition.t("headroom.exceeds"), AMBER),
    }
    return grid(
        edition,
        key,
        [table(query)],
        [
            station(edition, wrapped=True, width=100),
            limit(edition),
            Column(
                source="state",
                title=edition.t("column.state"),
                words=mapping(states),
                colored=True,
                wrapped=True,
                width=120,
            ),
            Column(
                source="most",
                title=edition.t("column.most"),
                words=mapping({"0": NOTHING}),
                right=True,
                decimals=1,
                width=132,
            ),
            Column(source="hours", title=edition.t("column.hours"), width=80),
            Column(source="missing", title=edition.t("column.hours-missing"), width=80),
            Column(source="end", title=edition.t("column.window-end"), unit=CLOCK, width=135),
            Column(source="Time", title=edition.t("column.as-of"), unit=CLOCK, width=130),
        ],
        sort=(edition.t("column.state"), True),
    )


def health(edition: Edition, key: str, *, with_site: bool = True) -> Json:
    """State of every channel at the end of the time range, what is not good first."""
    query = (
        f'SELECT last("code") AS "code", "detail" FROM "health" WHERE {until(400)} AND {STATIONS}'
        ' GROUP BY "site", "station", "parameter"'
    )
    return grid(
        edition,
        key,
        [table(query)],
        [
            Column(
                source="code", title=edition.t("column.health"), words=health_words(edition), colored=True, width=70
            ),
            site(edition, wrapped=True) if with_site else Column(source="site"),
            station(edition, wrapped=True),
            parameter(edition),
            Column(source="Time", title=edition.t("column.since"), unit=CLOCK, width=130),
            Column(source="detail", title=edition.t("column.detail"), words=detail_words(edition), wrapped=True),
        ],
        sort=(edition.t("column.health"), True),
    )
