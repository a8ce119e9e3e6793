"""Themes: verdicts by limit, courses, distributions, and dust by the wind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np

from greenmine.evidence.borrowed import borrowed_sentence, borrowed_weather
from greenmine.evidence.charts import LimitStep, Series, line_chart, wind_rose
from greenmine.evidence.figures import JUDGED, RuleFigures, VerdictFigures
from greenmine.evidence.hourly import Distribution
from greenmine.evidence.report.blocks import Block, Chart, Charts, Column, Heading, Paragraph, Table
from greenmine.evidence.report.content import Content
from greenmine.processing.rose import PERCENTILE, Rose, source_bearings
from greenmine.themes import Theme
from greenmine.wording.words import NOTHING

_LEAST: Final = 24
"""Hours that a wind rose is drawn from."""
_LISTED: Final = 31
"""Days of air quality that are listed one by one; of more, those with an index."""
_HEIGHT, _TALLER = 130, 200
"""Of a course [px], and of one with more than two limits, whose names need room."""
_CARDINAL: Final = ("n", "e", "s", "w")


def themes(content: Content) -> list[Block]:
    """Return verdicts, courses and distributions of each judged theme, and what only this theme has."""
    return [
        block
        for theme in content.registry.judged_themes
        for block in (
            *_theme(content, theme),
            *_references(content, theme),
            *_MORE.get(theme.id, _nothing)(content),
        )
    ]


def rolling(content: Content) -> list[Block]:
    """Exceedance statistics of the sliding figures that alarms rest on."""
    w = content.words
    rows = [
        [
            w.station(rule.rule),
            w.limit(rule.rule),
            str(rule.episodes),
            w.minutes(rule.minutes_above),
            w.share(rule.share_above),
            w.minutes(rule.longest_minutes) if rule.longest_minutes else NOTHING,
            _figure(content, rule, rule.sliding_worst),
            w.minutes(rule.minutes_assessable),
        ]
        for rule in content.figures.rules
        if rule.minutes_assessable or rule.episodes
    ]
    head: list[Block] = [Heading(text=w.t("rolling.heading")), Paragraph(text=w.t("rolling.meaning"))]
    if not rows:
        return [*head, Paragraph(text=w.t("rolling.none"))]
    heads = ("episodes", "above", "share-above", "longest", "worst", "assessable")
    columns = [
        Column(w.t("column.station"), share=1),
        Column(w.t("column.limit"), share=2),
        *(Column(w.t(f"column.{name}"), "right") for name in heads),
    ]
    return [*head, Table(caption=w.t("rolling.table"), columns=columns, rows=rows, small=True)]


def _theme(content: Content, theme: Theme) -> list[Block]:
    w = content.words
    rules = [rule for rule in content.figures.rules if rule.theme == theme.id]
    head: list[Block] = [Heading(text=w.name(theme))]
    if not rules:
        return [*head, Paragraph(text=w.t("theme.no-limits")), *_distributions(content, theme)]
    return [*head, _verdicts(content, rules), *_courses(content, rules), *_distributions(content, theme)]


def _verdicts(content: Content, rules: Sequence[RuleFigures]) -> Table:
    w = content.words
    rows = [
        [
            w.station(rule.rule),
            w.limit(rule.rule),
            w.t(f"window.{rule.window}"),
            str(rule.periods),
            str(rule.meets),
            str(rule.exceeds),
            str(rule.not_assessable),
            w.reasons({k: n for k, n in rule.reasons.items() if k not in JUDGED}) or NOTHING,
            _figure(content, rule, rule.worst),
            w.moment(rule.worst_start),
        ]
        for rule in rules
    ]
    columns = [
        Column(w.t("column.station"), share=2),
        Column(w.t("column.limit"), share=3),
        Column(w.t("column.window")),
        *(Column(w.t(f"column.{head}"), "right") for head in ("windows", "meets", "exceeds", "not-assessable")),
        Column(w.t("column.reasons"), share=3),
        Column(w.t("column.worst"), "right"),
        Column(w.t("column.worst-start")),
    ]
    return Table(caption=w.t("theme.verdicts"), columns=columns, rows=rows, small=True)


def _figure(content: Content, rule: RuleFigures, value: float | None) -> str:
    if value is None:
        return NOTHING
    bounds = [bound for threshold in rule.thresholds for bound in (threshold.low, threshold.high)]
    told = content.words.figure(value, content.words.judged(rule.rule).parameter, *bounds)
    return f"{told} {content.words.unit(rule.unit)}".strip()


def _courses(content: Content, rules: Sequence[RuleFigures]) -> list[Block]:
    """A chart for each judged channel and statistic: of hours the highest of each day, else each window."""
    verdicts: dict[str, list[VerdictFigures]] = defaultdict(list)
    for verdict in content.figures.verdicts:
        verdicts[verdict.rule].append(verdict)
    groups: dict[tuple[str, tuple[str, str, bool], bool], list[RuleFigures]] = defaultdict(list)
    for rule in rules:
        limit = content.words.rules[rule.rule].limit
        drawn = limit.statistic, limit.period, limit.state is not None
        groups[content.words.judged(rule.rule).key, drawn, rule.window == "hour"].append(rule)
    return [
        Charts(charts=[_course(content, channel, hourly, group, verdicts)])
        for (channel, _, hourly), group in groups.items()
        if any(v.value is not None for rule in group for v in verdicts[rule.rule])
    ]


def _course(
    content: Content,
    channel: str,
    hourly: bool,  # noqa: FBT001 - tells two kinds of charts apart
    rules: Sequence[RuleFigures],
    verdicts: dict[str, list[VerdictFigures]],
) -> Chart:
    w, figures = content.words, content.figures
    first, last = date.fromisoformat(figures.first), date.fromisoformat(figures.last)
    series: dict[str, Series] = {}
    steps = []
    for rule in rules:
        name = w.t("theme.daily-highest") if hourly else w.t(f"window.{rule.window}")
        if name not in series:
            series[name] = Series(name, _points(verdicts[rule.rule], first, last))
        for threshold in rule.thresholds:
            label = w.t("theme.bound", limit=w.t(f"window.{rule.window}"), kind=w.t(f"limit.{rule.kind}"))
            start = max(first, date.fromisoformat(threshold.valid_from))
            end = min(last, date.fromisoformat(threshold.valid_to or figures.last))
            steps += [
                LimitStep(f"{label} {w.plain(bound)}", _midnight(start), _midnight(end) + timedelta(days=1), bound)
                for bound in (threshold.low, threshold.high)
                if bound is not None
            ]
    limit = w.rules[rules[0].rule].limit
    working = limit.period == "working"
    statistic = w.t("theme.working-level") if working else w.known(f"statistic.{limit.statistic}", "")
    of = (w.t("theme.of-hours") if hourly else "") + (w.t("theme.converted") if limit.state is not None else "")
    caption = w.t("theme.course", channel=w.channel(channel), statistic=statistic, of=of)
    if unit := w.unit(rules[0].unit):
        caption = w.t("theme.with-unit", caption=caption, unit=unit)
    spec = line_chart(
        list(series.values()),
        steps,
        title=caption,
        unit=w.unit(rules[0].unit),
        columns=(w.t("column.start"), w.t("column.window")),
        from_zero=rules[0].theme == "dust",
    )
    height = _HEIGHT if len({step.value for step in steps}) <= 2 else _TALLER
    return Chart(caption=caption, spec={**spec, "height": height})


def _points(verdicts: Sequence[VerdictFigures], first: date, last: date) -> list[tuple[datetime, float | None]]:
    """The highest figure of each day; None for a day without any."""
    highest: dict[str, float] = {}
    for verdict in verdicts:
        if verdict.value is not None:
            day = verdict.start[:10]
            highest[day] = max(verdict.value, highest.get(day, verdict.value))
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    return [(_midnight(day) + timedelta(hours=12), highest.get(day.isoformat())) for day in days]


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)  # noqa: DTZ001 - charts show wall-clock time


def _distributions(content: Content, theme: Theme) -> list[Block]:
    w = content.words
    mine = [d for d in content.figures.distributions if w.channels[d.channel].parameter.theme == theme.id]
    if not mine:
        return [Paragraph(text=w.t("theme.no-data"))]
    heads = ("count", "minimum", "p5", "p25", "p50", "p75", "p95", "p98", "maximum")
    columns = [
        Column(w.t("column.channel"), share=1),
        Column(w.t("column.unit")),
        Column(w.t("column.window")),
        *(Column(w.t(f"column.{head}"), "right") for head in heads),
    ]
    rows = [_distribution(content, d) for d in mine]
    return [Table(caption=w.t("theme.distribution"), columns=columns, rows=rows, small=True)]


def _distribution(content: Content, d: Distribution) -> list[str]:
    w = content.words
    parameter = w.channels[d.channel].parameter
    quantiles = (d.minimum, d.p5, d.p25, d.p50, d.p75, d.p95, d.p98, d.maximum)
    return [
        w.channel(d.channel),
        w.unit(parameter.unit) or NOTHING,
        w.t(f"window.{d.window}"),
        str(d.count),
        *(w.figure(q, parameter) for q in quantiles),
    ]


def _roses(content: Content) -> list[Block]:
    """Of channels that a legal limit judges."""
    w = content.words
    judged = {w.judged(rule.rule).key for rule in content.legal("dust")}
    mine = [rose for rose in content.figures.roses if rose.channel in judged and rose.hours - rose.calm >= _LEAST]
    if not mine:
        return []
    charts = [
        Chart(
            caption=w.t(
                "dust.rose", channel=w.channel(rose.channel), unit=w.unit(w.channels[rose.channel].parameter.unit)
            ),
            spec=wind_rose(
                [sector.mean for sector in rose.sectors],
                title=w.t("dust.rose-title", channel=w.channel(rose.channel)),
                points=[w.t(f"compass.{point}") for point in _CARDINAL],
            ),
        )
        for rose in mine
    ]
    return [
        Heading(text=w.t("dust.wind"), level=2),
        Paragraph(text=w.t("dust.rose-meaning", least=w.plain(content.registry.conditions.difference_wind_minimum))),
        Charts(charts=charts, columns=min(3, len(charts))),
        _sectors(content, mine),
        *_sources(content, mine),
    ]


def _sectors(content: Content, roses: Sequence[Rose]) -> Table:
    w = content.words
    columns = [
        Column(w.t("column.channel"), share=1),
        Column(""),
        *(Column(w.point(sector.direction), "right") for sector in roses[0].sectors),
        Column(w.t("column.calm"), "right"),
    ]
    rows = []
    for rose in roses:
        parameter = w.channels[rose.channel].parameter
        means = [w.figure(sector.mean, parameter) for sector in rose.sectors]
        rows.append([w.channel(rose.channel), w.unit(parameter.unit), *means, NOTHING])
        shares = [w.percent(one.high / one.hours) if one.hours else NOTHING for one in rose.sectors]
        rows.append(["", w.t("dust.cpf", threshold=w.figure(rose.threshold, parameter)), *shares, NOTHING])
        rows.append(["", w.t("column.hours"), *(str(sector.hours) for sector in rose.sectors), str(rose.calm)])
    return Table(caption=w.t("dust.sectors"), columns=columns, rows=rows, small=True)


def _sources(content: Content, roses: Sequence[Rose]) -> list[Block]:
    """Say where the mine's own sources lie, as seen from each station."""
    w, site = content.words, content.site
    told = []
    for station in dict.fromkeys(w.channels[rose.channel].station for rose in roses):
        lie = [
            w.t(
                "dust.source",
                source=w.name(content.registry.station(site.id, source)),
                point=w.point(angle),
                angle=f"{angle:.0f}",
            )
            for source, angle in source_bearings(site, station).items()
        ]
        if lie:
            told.append(
                w.t(
                    "dust.sources",
                    station=w.name(content.registry.station(site.id, station)),
                    sources=w.t("list.comma").join(lie),
                )
            )
    return [Paragraph(text=w.t("dust.cpf-meaning", percentile=PERCENTILE)), *(Paragraph(text=text) for text in told)]


def _dust(content: Content) -> list[Block]:
    return [*_roses(content), *_air_index(content)]


def _air_index(content: Content) -> list[Block]:
    """Days at homes by HJ 633-2026; no limit, and no part of a conclusion."""
    w, days = content.words, content.figures.air_index
    if not days:
        return []
    listed = days if len(days) <= _LISTED else [day for day in days if day.index.aqi is not None]
    pollutants = sorted({pollutant for day in days for pollutant in day.index.sub_indices})
    parameters = content.registry.parameters
    columns = [
        Column(w.t("column.station"), share=1),
        Column(w.t("air.day")),
        *(Column(w.t("air.sub-index", parameter=parameters[one].symbol), "right") for one in pollutants),
        Column(w.t("air.index"), "right"),
        Column(w.t("air.primary")),
    ]
    rows = [
        [
            w.name(content.registry.station(day.site, day.station)),
            day.day.isoformat(),
            *(
                w.t("air.of", iaqi=found.iaqi, mean=found.concentration) if found is not None else NOTHING
                for found in map(day.index.sub_indices.get, pollutants)
            ),
            w.t("air.none") if day.index.aqi is None else str(day.index.aqi),
            w.t("list.comma").join(parameters[one].symbol for one in day.index.primary) or NOTHING,
        ]
        for day in listed
    ]
    return [
        Heading(text=w.t("air.heading"), level=2),
        Paragraph(text=w.t("air.meaning", standard=days[0].standard)),
        Paragraph(text=w.t("air.listed", shown=len(listed), all=len(days))),
        *([Table(caption=w.t("air.table"), columns=columns, rows=rows, small=True)] if rows else []),
    ]


def _references(content: Content, theme: Theme) -> list[Block]:
    """Laboratories' results beside the online hours, with bias and number."""
    w = content.words
    results = [r for r in content.figures.references if w.channels[r.channel].parameter.theme == theme.id]
    if not results:
        return []
    rows, told = [], []
    for key in dict.fromkeys(result.channel for result in results):
        parameter = w.channels[key].parameter
        mine = [result for result in results if result.channel == key]
        apart = [one.online - one.value for one in mine if one.online is not None]
        rows += [
            [
                w.channel(key),
                w.moment(one.start),
                w.figure(one.value, parameter),
                w.figure(one.online, parameter),
                w.figure(None if one.online is None else one.online - one.value, parameter),
                f"{one.laboratory} {one.certificate}",
                f"{one.method} {one.document}",
            ]
            for one in mine
        ]
        if apart:
            bias = f"{w.figure(float(np.mean(apart)), parameter)} {w.unit(parameter.unit)}"
            told.append(w.t("reference.bias", channel=w.channel(key), bias=bias, n=len(apart)))
    figures = ("result", "online", "difference")
    columns = [
        Column(w.t("column.channel"), share=1),
        Column(w.t("reference.hour")),
        *(Column(w.t(f"reference.{name}"), "right") for name in figures),
        *(Column(w.t(f"reference.{name}")) for name in ("laboratory", "basis")),
    ]
    return [
        Heading(text=w.t("reference.heading"), level=2),
        Paragraph(text=w.t("reference.meaning")),
        Table(caption=w.t("reference.table"), columns=columns, rows=rows, small=True),
        *(Paragraph(text=text) for text in told),
    ]


def _circumstances(content: Content) -> list[Block]:
    """Say of levels what they are not, and of the weather no more than was measured."""
    w, site = content.words, content.site
    measured = {c.parameter.id for c in content.registry.site_channels(site.id) if site.weather in (None, c.station)}
    missing = [name for name in ("wind-speed", "rain") if name not in measured]
    levels = "corrected" if any(rule.backgrounds for rule in content.registry.rules) else "background"
    weather = w.t("noise.weather")
    if missing:
        weather = w.t("noise.no-weather", missing=w.t(f"noise.missing-{missing[0] if len(missing) == 1 else 'both'}"))
    others = borrowed_weather(content.registry, site.id)
    if missing and others and others[0].distance is None:
        weather = ""  # said below
    between = "" if content.language == "zh" else " "
    return [
        Paragraph(
            text=between.join(filter(None, (w.t(f"noise.{levels}"), weather))),
            small=True,
        ),
        *(Paragraph(text=borrowed_sentence(one, w)) for one in others),
    ]


def _nothing(_: Content) -> list[Block]:
    return []


_MORE: Final[dict[str, Callable[[Content], list[Block]]]] = {"dust": _dust, "noise": _circumstances}
"""Sections that only one theme has."""
