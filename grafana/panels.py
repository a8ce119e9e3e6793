"""Panels of the classic dashboard schema, as far as Grafana 9.3 to 13 read it alike."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from greenmine.grafana.edition import Edition, tag_of, unit_of
from greenmine.grafana.influx.influx_schema import FINDINGS, OWN, WITHIN_OWN
from greenmine.grafana.queries import HOUR, OF_STATION, SOURCE
from greenmine.registry import Rule
from greenmine.wording.words import NOTHING

Json = dict[str, Any]

GREEN: Final = "green"
AMBER: Final = "orange"
YELLOW: Final = "yellow"
RED: Final = "red"
GREY: Final = "#808080"
BLUE: Final = "blue"
_PALE: Final = "#c3d3ea"
"""In the place of the colour of texts where it fills a field: light texts are black there in the light theme."""
_SLATE: Final = "#6f8db8"
"""The same of points of a map, whose names have it too and are read on white and on black."""

LINES: Final = "/^[≤≥] /"
"""Names of series that are limits begin so."""
_FROM_ANYWHERE: Final = {unit_of("dB(A)"), unit_of("degC")}
"""Units of scales on which nothing is nought: all other axes begin there."""
_OWN: Final = {"target": AMBER, "warning": YELLOW}
"""Colours of the limits that a mine sets itself."""


def steps(*bounds: tuple[float | None, str]) -> Json:
    """Colours from a value upwards; the first has none."""
    return {"mode": "absolute", "steps": [{"color": color, "value": value} for value, color in bounds]}


PLAIN: Final = steps((None, GREEN))
_BLANK: Final = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
"""A transparent pixel in the place of the tiles of a map."""
NEUTRAL: Final = steps((None, BLUE))
"""For what is neither good nor bad."""


def mapping(texts: Mapping[str, str | tuple[str, str]]) -> list[Json]:
    """Words in the place of values, with a colour where one is given."""
    options = {}
    for index, (value, shown) in enumerate(texts.items()):
        text, color = shown if isinstance(shown, tuple) else (shown, None)
        options[value] = {"text": text, "index": index} | ({"color": color} if color else {})
    return [{"type": "value", "options": options}] if options else []


CLOCK: Final = "time:YYYY-MM-DD HH:mm"
"""Unit of instants."""


def absent(text: str = NOTHING, color: str = GREY) -> Json:
    """A text in the place of a value that there is not: what is not measured is never shown as good."""
    return {"type": "special", "options": {"match": "null+nan", "result": {"text": text, "color": color, "index": 100}}}


_FINDING_COLORS: Final = (GREEN, "text", GREY, AMBER, RED)
"""Of `FINDINGS`. Green and red are for what holds at law; an indicative method makes neither compliance nor an offence."""


def verdict_words(edition: Edition) -> list[Json]:
    """Findings of single verdicts, in short words."""
    names = ("meets", "meets-indicative", "not-assessable", "exceeds-indicative", "exceeds")
    return _findings(edition, [edition.t(f"verdict.{name}") for name in names])


def conclusion_words(edition: Edition) -> list[Json]:
    """Findings in the sentences in which pages and reports tell conclusions."""
    return _findings(edition, [edition.conclusion(judgement, standing) for judgement, standing in FINDINGS])


def _findings(edition: Edition, words: Sequence[str]) -> list[Json]:
    told = {str(number): pair for number, pair in enumerate(zip(words, _FINDING_COLORS, strict=True))}
    own = {
        str(OWN): (edition.t("verdict.beyond-own"), YELLOW),
        str(WITHIN_OWN): (edition.t("verdict.within-own"), "text"),
    }
    return mapping(told | own)


def health_words(edition: Edition) -> list[Json]:
    """Codes of a channel's health in words."""
    colors = {"good": GREEN, "silent": RED, "frozen": AMBER, "skewed": AMBER, "implausible": AMBER, "flooding": AMBER}
    return mapping({str(i): (edition.t(f"health.{state}"), color) for i, (state, color) in enumerate(colors.items())})


COMPASS: Final = {"n": "↓", "ne": "↙", "e": "←", "se": "↖", "s": "↑", "sw": "↗", "w": "→", "nw": "↘"}
"""Points of the compass from which a wind comes, in sectors of 45° from north on, with where it blows."""


def wind_words(edition: Edition) -> list[Json]:
    """Directions from which a wind comes [°], in words with an arrow."""
    return [
        {
            "type": "range",
            "options": {
                "from": start,
                "to": end,
                "result": {"text": f"{edition.t(f'compass.{point}')} {arrow}", "index": index},
            },
        }
        for index, (point, arrow) in enumerate(COMPASS.items())
        for start, end in _sector(45 * index)
    ]


def _sector(middle: int) -> list[tuple[float, float]]:
    """Where a sector of 45° begins and ends; the one around north in two parts. Of a border the sector before it has it."""
    if middle == 0:
        return [(0, 22.5), (337.5, 360)]
    return [(middle - 22.5, middle + 22.5)]


def detail_words(edition: Edition) -> list[Json]:
    """What the health of a channel rests on, in words; numbers stay."""
    return [
        {
            "type": "regex",
            "options": {
                "pattern": f"/^(?:([\\d.e+-]+) )?{key.replace('-', ' ')}$/",
                "result": {"text": text.format(n="$1"), "index": index},
            },
        }
        for index, (key, text) in enumerate(edition.shared("health-detail").items())
    ]


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table; without a title it is hidden."""

    source: str
    title: str | None = None
    unit: str | None = None
    words: list[Json] = field(default_factory=list)
    thresholds: Json | None = None
    colored: bool = False
    gauge: bool = False
    decimals: int | None = None
    width: int | None = None
    least: int | None = None
    """Least width, on narrow screens too, of a column that has none of its own."""
    nothing: str = NOTHING
    """In the place of a value that there is not."""
    wrapped: bool = False
    """Long texts go on in further lines instead of being cut off."""
    right: bool = False
    """Texts that are numbers stand at the right."""
    link: str | None = None
    """Target of a link in each cell; ``${__value.raw}`` is the cell's value."""
    link_title: str = ""


def panel(edition: Edition, kind: str, key: str, targets: Sequence[Json], **extra: Any) -> Json:
    """What every panel has: texts from the catalogue under ``key``, data source, targets, a text for no data.

    ``title`` takes the place of the catalogue's, ``nothing`` that of the text for no data; ``about`` fills the placeholders of the
    description; ``defaults``, ``overrides``, ``options``, ``transformations``, ``links`` and ``interval`` are those of the schema.
    """
    about: Mapping[str, object] = extra.get("about", {})
    remarks = [edition.t("long-ranges")] if extra.get("interval") == HOUR else []
    if any('"reading"' in target["query"] and "$__interval_ms" in target["query"] for target in targets):
        remarks.append(edition.t("long-readings"))
    made: Json = {
        "type": kind,
        "title": extra.get("title") or edition.t(f"{key}.title"),
        "description": "\n\n".join([edition.t(f"{key}.about", **about), *remarks]),
        "datasource": SOURCE,
        "targets": list(targets),
        "fieldConfig": {
            "defaults": {
                "noValue": extra.get("nothing") or edition.t("no-data"),
                "mappings": [absent()],
                **extra.get("defaults", {}),
            },
            "overrides": list(extra.get("overrides", ())),
        },
        "options": extra.get("options", {}),
        "transformations": list(extra.get("transformations", ())),
        "links": list(extra.get("links", ())),
    }
    if "interval" in extra:
        made["interval"] = extra["interval"]
    return made


def curves(
    edition: Edition,
    key: str,
    targets: Sequence[Json],
    *,
    unit: str,
    bars: bool = False,
    stepped: bool = False,
    points: bool = False,
    limits: Iterable[Rule] = (),
    overrides: Iterable[Json] = (),
    **extra: Any,
) -> Json:
    """Series over time. Gaps longer than ``gap`` [ms] stay open; bars of several series are stacked, so that none hides another.

    A point of a series that is named `OF_STATION` leads to the page of its station on that day. Series whose names begin
    with ≤ or ≥ are limits, drawn as dashed steps: red, but amber for targets and yellow for warnings among ``limits``, whose
    ids give way to names.
    """
    rules = list(limits)
    custom: Json = {
        "drawStyle": "bars" if bars else ("points" if points else "line"),
        "lineInterpolation": "stepAfter" if stepped else "linear",
        "lineWidth": 1,
        "fillOpacity": 60 if bars else 0,
        "pointSize": 7 if points else 4,
        "showPoints": "always" if points else "auto",
        "spanNulls": extra.pop("gap", False),
        "axisPlacement": "auto",
        "scaleDistribution": {"type": "linear"},
        "thresholdsStyle": {"mode": "off"},
        "stacking": {"mode": "normal" if bars else "none", "group": "A"},
        **({} if unit in _FROM_ANYWHERE else {"axisSoftMin": 0}),
    }
    dashed = [
        _property("custom.drawStyle", "line"),
        _property("custom.lineInterpolation", "stepAfter"),
        _property("custom.lineStyle", {"fill": "dash", "dash": [8, 6]}),
        _property("custom.lineWidth", 2),
        _property("custom.fillOpacity", 0),
        _property("custom.showPoints", "never"),
        _property("custom.stacking", {"mode": "none", "group": "A"}),
        _property("color", {"mode": "fixed", "fixedColor": RED}),
        _property("links", []),
    ]
    linked = (
        [_station_page(edition)] if edition.pages and any(t["alias"].startswith(OF_STATION) for t in targets) else []
    )
    own = [(colour, [r for r in rules if r.limit.kind == kind]) for kind, colour in _OWN.items()]
    coloured = [
        {
            "matcher": {"id": "byRegexp", "options": _named(edition, some)},
            "properties": [_property("color", {"mode": "fixed", "fixedColor": colour})],
        }
        for colour, some in own
        if some
    ]
    return panel(
        edition,
        "timeseries",
        key,
        targets,
        defaults={
            "unit": unit,
            "color": {"mode": "palette-classic"},
            "custom": custom,
            "thresholds": PLAIN,
            "links": linked,
            **extra.pop("defaults", {}),
        },
        overrides=[*overrides, {"matcher": {"id": "byRegexp", "options": LINES}, "properties": dashed}, *coloured],
        options={
            "legend": {
                "displayMode": "table",
                "placement": "bottom",
                "showLegend": True,
                "calcs": ["lastNotNull", "max"],
            },
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        transformations=[*edition.renames(rules), *extra.pop("transformations", ())],
        **extra,
    )


def _station_page(edition: Edition) -> Json:
    place = "${__field.labels.site}/stations/${__field.labels.station}"
    return {
        "title": edition.t("links.station"),
        "url": f"{edition.pages}/sites/{place}?at=${{__value.time}}",
        "targetBlank": False,
    }


def _named(edition: Edition, rules: Iterable[Rule]) -> str:
    """A pattern of the names of series that are these limits; of their ids, where they keep them."""
    names = [name for rule in rules for name in (edition.limit_name(rule), tag_of(rule))]
    return f"/^[≤≥] ({'|'.join(re.escape(name).replace('/', chr(92) + '/') for name in names)})$/"


def figure(edition: Edition, key: str, targets: Sequence[Json], *, unit: str = "none", **extra: Any) -> Json:
    """Large figures: the last value of each series."""
    defaults = {
        "unit": unit,
        "color": {"mode": "thresholds"},
        "thresholds": extra.pop("thresholds", PLAIN),
        "mappings": [*extra.pop("words", []), absent(extra.get("nothing") or NOTHING)],
        **extra.pop("defaults", {}),
    }
    options = {
        "reduceOptions": {"values": False, "calcs": ["lastNotNull"], "fields": ""},
        "orientation": "auto",
        "textMode": extra.pop("text", "auto"),
        "colorMode": extra.pop("color", "value"),
        "graphMode": "none",
        "justifyMode": "auto",
    }
    return panel(edition, "stat", key, targets, defaults=defaults, options=options, **extra)


def gauges(edition: Edition, key: str, targets: Sequence[Json], *, unit: str, **extra: Any) -> Json:
    """A bar for the last value of each series."""
    defaults = {
        "unit": unit,
        "color": {"mode": "thresholds"},
        "thresholds": extra.pop("thresholds", PLAIN),
        "displayName": "${__series.name}",  # else a bar that is alone has no name
        **extra.pop("defaults", {}),
    }
    options = {
        "reduceOptions": {"values": False, "calcs": ["lastNotNull"], "fields": ""},
        "orientation": "horizontal",
        "displayMode": "basic",
        "showUnfilled": True,
        "minVizHeight": 10,
        "minVizWidth": 0,
        "namePlacement": "top",
        "text": {"titleSize": 13, "valueSize": 16},
    }
    return panel(edition, "bargauge", key, targets, defaults=defaults, options=options, **extra)


def timeline(edition: Edition, key: str, targets: Sequence[Json], words: list[Json], **extra: Any) -> Json:
    """States over time, a row for each series; gaps longer than ``gap`` [ms] stay open, and ``nothing`` tells what they are."""
    defaults = {
        "color": {"mode": "thresholds"},
        "thresholds": PLAIN,
        "mappings": [*_filling(words), absent(extra.pop("nothing"), "transparent")],
        "custom": {"fillOpacity": 75, "lineWidth": 0, "spanNulls": extra.pop("gap", False)},
    }
    options = {
        "mergeValues": False,
        "showValue": "never",
        "alignValue": "left",
        "rowHeight": 0.85,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    return panel(edition, "state-timeline", key, targets, defaults=defaults, options=options, **extra)


def _filling(words: list[Json], color: str = _PALE) -> list[Json]:
    """Words whose colours fill fields or points; with a colour in the place of that of texts."""
    return [
        word
        | {
            "options": {
                v: o | ({"color": color} if o.get("color") == "text" else {}) for v, o in word["options"].items()
            }
        }
        for word in words
    ]


def grid(
    edition: Edition,
    key: str,
    targets: Sequence[Json],
    columns: Sequence[Column],
    *,
    join: str | None = None,
    merge: str | None = None,
    sort: tuple[str, bool] | None = None,
    filterable: bool = False,
    **extra: Any,
) -> Json:
    """A table with the columns in their order.

    Parameters
    ----------
    join : str, optional
        Several targets become one table by this column; their times are dropped.
    merge : str, optional
        Several targets become one table by all columns that they share; the times are those of the target of this letter.
    sort : (str, bool), optional
        Title of the column to sort by, and whether from the highest down.
    filterable : bool
        Columns of words can be filtered.
    """
    transformations: list[Json] = []
    if join is not None:
        transformations += [
            {"id": "filterFieldsByName", "options": {"include": {"pattern": "/^(?!Time$)/"}}},
            {"id": "joinByField", "options": {"byField": join, "mode": "outer"}},
        ]
    if merge is not None:
        transformations += [
            {
                "id": "filterFieldsByName",
                "filter": {"id": "byRefId", "options": f"/^(?!{merge}$)/"},
                "options": {"include": {"pattern": "/^(?!Time$)/"}},
            },
            {"id": "merge", "options": {}},
        ]
    transformations.append(
        {
            "id": "organize",
            "options": {
                "excludeByName": {c.source: True for c in columns if c.title is None},
                "indexByName": {c.source: i for i, c in enumerate(columns)},
                "renameByName": {c.source: c.title for c in columns if c.title is not None},
            },
        }
    )
    return panel(
        edition,
        "table",
        key,
        targets,
        defaults={
            "custom": {
                "align": "auto",
                "displayMode": "auto",
                "minWidth": 60,
                "wrapHeaderText": True,
            },
            "thresholds": PLAIN,
            "noValue": NOTHING,
        },
        overrides=[_column(c, filterable=filterable) for c in columns if c.title is not None],
        options={
            "showHeader": True,
            # A row grows with what a query answers, not with the words in its place: two lines have room.
            "cellHeight": "lg" if any(c.wrapped and c.words for c in columns) else "sm",
            "footer": {"show": False, "reducer": ["sum"], "fields": ""},
            "sortBy": [] if sort is None else [{"displayName": sort[0], "desc": sort[1]}],
        },
        transformations=transformations,
        **extra,
    )


def bars(edition: Edition, key: str, targets: Sequence[Json], columns: Sequence[Column], **extra: Any) -> Json:
    """A bar for each row of a table: the first shown column names it, the others are its lengths."""
    made = grid(edition, key, targets, columns, **extra)
    shown = [c for c in columns if c.title is not None]
    made["type"] = "barchart"
    made["fieldConfig"]["defaults"] |= {
        "color": {"mode": "fixed", "fixedColor": BLUE},
        "custom": {"lineWidth": 0, "fillOpacity": 80, "axisPlacement": "auto", "gradientMode": "none"},
    }
    made["options"] = {
        "xField": shown[0].title,
        "orientation": "horizontal",
        "showValue": "auto",
        "stacking": "none",
        "groupWidth": 0.7,
        "barWidth": 0.9,
        "xTickLabelRotation": 0,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": len(shown) > 2},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    return made


def plan(
    edition: Edition,
    key: str,
    targets: Sequence[Json],
    words: list[Json],
    names: Json,
    winds: Sequence[Json] = (),
    **extra: Any,
) -> Json:
    """A map of points coloured by ``finding`` and called by the column ``name``, without tiles: no other host is asked.

    Parameters
    ----------
    targets : sequence
        Tables that share the column ``name``: one with ``finding``, one with ``latitude`` and ``longitude``.
    words : list
        Mappings of the findings.
    names : dict
        Override that puts names in the place of ids.
    winds : sequence of dict
        Tables that share the column ``site``: one with ``to``, where the wind blows [°], one with ``latitude`` and ``longitude``.
    """
    name = names["matcher"]["options"]
    style = {
        "color": {"field": "finding", "fixed": GREY},
        "size": {"fixed": 11, "min": 2, "max": 15},
        "symbol": {"mode": "fixed", "fixed": "img/icons/marker/circle.svg"},
        "opacity": 0.9,
        "text": {"mode": "field", "field": name, "fixed": ""},
        "textConfig": {"fontSize": 13, "textAlign": "left", "textBaseline": "middle", "offsetX": 20, "offsetY": 0},
    }
    layer = {
        "type": "markers",
        "name": edition.t(f"{key}.title"),
        "location": {"mode": "coords", "latitude": "latitude", "longitude": "longitude"},
        "config": {"showLegend": False, "style": style},
        "tooltip": True,
    }
    arrows = {
        "type": "markers",
        "name": edition.t("wind-arrow"),
        "filterData": {"id": "byRefId", "options": f"joinByField-{'-'.join(_refs(winds))}"},
        "location": {"mode": "coords", "latitude": "latitude", "longitude": "longitude"},
        "config": {
            "showLegend": False,
            "style": {
                "color": {"fixed": "#000000"},
                "size": {"fixed": 15, "min": 2, "max": 15},
                "symbol": {"mode": "fixed", "fixed": "img/icons/unicons/arrow-up.svg"},
                "rotation": {"field": "to", "fixed": 0, "min": -360, "max": 360, "mode": "mod"},
                "opacity": 0.9,
            },
        },
        "tooltip": False,
    }
    return panel(
        edition,
        "geomap",
        key,
        [*targets, *winds],
        defaults={"color": {"mode": "thresholds"}, "thresholds": steps((None, GREY))},
        overrides=[names, override("finding", mappings=[*_filling(words, _SLATE), absent()])],
        options={
            "view": {"id": "fit", "zoom": 17, "allLayers": True, "padding": 90},
            "basemap": {"type": "xyz", "name": "", "config": {"url": _BLANK, "attribution": ""}},
            "layers": [layer, *([arrows] if winds else [])],
            "controls": {"showZoom": True, "mouseWheelZoom": False, "showAttribution": False, "showScale": True},
            "tooltip": {"mode": "details"},
        },
        transformations=[
            {"id": "filterFieldsByName", "options": {"include": {"pattern": "/^(?!Time$)/"}}},
            _joined(targets, name),  # it stays the first: a layer without a filter draws that one
            *([_joined(winds, "site")] if winds else []),
        ],
        **extra,
    )


def _refs(targets: Iterable[Json]) -> list[str]:
    return [target["refId"] for target in targets]


def _joined(targets: Sequence[Json], column: str) -> Json:
    """Make one table of the answers of some of a panel's queries."""
    chosen = {"id": "byRefId", "options": f"/^({'|'.join(_refs(targets))})$/"}
    return {"id": "joinByField", "filter": chosen, "options": {"byField": column, "mode": "outer"}}


def polar(
    edition: Edition, key: str, points: Json, marks: Sequence[tuple[Json, str]], value: str, unit: str, **extra: Any
) -> Json:
    """Points around a centre, on a map without tiles: it keeps angles and distances, which axes of a chart would not.

    Parameters
    ----------
    points : dict
        Query with ``latitude`` and ``longitude`` of each point, and a column that colours it.
    marks : sequence of (dict, str)
        Queries of one point each, and the text that marks it: points of the compass, rings of distances.
    value, unit : str
        Column that colours the points, and its unit.
    """

    def layer(ref: str, style: Json) -> Json:
        return {
            "type": "markers",
            "name": edition.t(f"{key}.legend") if ref == points["refId"] else ref,
            "filterData": {"id": "byRefId", "options": ref},
            "location": {"mode": "coords", "latitude": "latitude", "longitude": "longitude"},
            "config": {"showLegend": ref == points["refId"], "style": style},
            "tooltip": ref == points["refId"],
        }

    dot = {"fixed": "img/icons/marker/circle.svg", "mode": "fixed"}
    coloured = {
        "color": {"field": value, "fixed": GREY},
        "size": {"fixed": 5, "min": 2, "max": 15},
        "symbol": dot,
        "opacity": 0.7,
    }
    marked = [
        layer(
            target["refId"],
            {
                "color": {"fixed": GREY},
                "size": {"fixed": 2, "min": 2, "max": 15},
                "symbol": dot,
                "opacity": 0.9,
                "text": {"mode": "fixed", "field": "", "fixed": text},
                "textConfig": {
                    "fontSize": 13,
                    "textAlign": "left",
                    "textBaseline": "middle",
                    "offsetX": 6,
                    "offsetY": 0,
                },
            },
        )
        for target, text in marks
    ]
    return panel(
        edition,
        "geomap",
        key,
        [points, *(target for target, _ in marks)],
        defaults={"color": {"mode": "thresholds"}, "thresholds": PLAIN},
        overrides=[override(value, unit=unit, decimals=0, color={"mode": "continuous-blues"})],
        options={
            "view": {"id": "fit", "zoom": 20, "allLayers": True, "padding": 5},
            "basemap": {"type": "xyz", "name": "", "config": {"url": _BLANK, "attribution": ""}},
            "layers": [layer(points["refId"], coloured), *marked],
            "controls": {"showZoom": False, "mouseWheelZoom": False, "showAttribution": False, "showScale": False},
            "tooltip": {"mode": "details"},
        },
        **extra,
    )


def override(name: str, **properties: Any) -> Json:
    """Properties of the field of this name; ``_`` in a property's name stands for a dot."""
    return _override("byName", name, properties)


def by_query(ref: str, **properties: Any) -> Json:
    """Properties of the fields that a query gives."""
    return _override("byFrameRefID", ref, properties)


def _override(matcher: str, chosen: str, properties: Mapping[str, Any]) -> Json:
    return {
        "matcher": {"id": matcher, "options": chosen},
        "properties": [_property(key.replace("_", "."), value) for key, value in properties.items()],
    }


def _column(column: Column, *, filterable: bool) -> Json:
    properties = []
    # The sign of a filter takes the place of the titles of numbers.
    if filterable and column.words and column.link is None:
        properties.append(_property("custom.filterable", value=True))
    if column.unit is not None:
        properties.append(_property("unit", column.unit))
    if column.decimals is not None:
        properties.append(_property("decimals", column.decimals))
    if column.words or column.nothing != NOTHING:
        properties.append(_property("mappings", [*column.words, absent(column.nothing)]))
    if column.words or column.right:
        properties.append(_property("custom.align", "right" if column.right else "left"))
    if column.thresholds is not None:
        properties.append(_property("thresholds", column.thresholds))
    if column.thresholds is not None or column.colored:
        properties.append(_property("color", {"mode": "thresholds"}))
    if column.colored:
        properties.append(_property("custom.displayMode", "color-text"))
        properties.append(_property("custom.cellOptions", {"type": "color-text", "wrapText": column.wrapped}))
    elif column.wrapped:
        properties.append(_property("custom.cellOptions", {"type": "auto", "wrapText": True}))
    if column.gauge:
        properties.append(_property("custom.displayMode", "basic"))
        properties.append(_property("min", 0))
        properties.append(_property("fieldMinMax", value=True))  # else all columns share one scale
    if column.width is not None:
        properties.append(_property("custom.width", column.width))
    if column.least is not None:
        properties.append(_property("custom.minWidth", column.least))
    if column.link is not None:
        properties.append(_property("links", [{"title": column.link_title, "url": column.link, "targetBlank": False}]))
    return {"matcher": {"id": "byName", "options": column.title}, "properties": properties}


def _property(name: str, value: Any) -> Json:
    return {"id": name, "value": value}
