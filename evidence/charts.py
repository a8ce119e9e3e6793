"""Charts: Altair specifications, which pages draw by JavaScript and reports by vl-convert.

Colours are not here: marks and series carry style names, to which whoever draws gives colours: those of the day, of the night or
of paper.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import altair as alt

_SHAPES = ("triangle-up", "square", "circle", "diamond", "cross", "triangle-down", "triangle-left")


@dataclass(frozen=True, slots=True)
class Series:
    """A line: its name and its points; None interrupts it."""

    name: str
    points: Sequence[tuple[datetime, float | None]]


@dataclass(frozen=True, slots=True)
class LimitStep:
    """A limit line of one height [unit of the chart] over a period."""

    name: str
    start: datetime
    end: datetime
    value: float


@dataclass(frozen=True, slots=True)
class Bar:
    """A height over a period."""

    start: datetime
    end: datetime
    value: float


@dataclass(frozen=True, slots=True)
class Note:
    """What is to be known of a period, such as how much of it was excluded."""

    start: datetime
    end: datetime
    text: str


def line_chart(
    series: Sequence[Series],
    limits: Sequence[LimitStep],
    notes: Sequence[Note] = (),
    *,
    title: str,
    unit: str,
    columns: tuple[str, str],
    decimals: int = 0,
    from_zero: bool = True,
) -> dict[str, Any]:
    """Lines over local time with limit lines.

    Parameters
    ----------
    notes : sequence of Note
        Bands behind the lines that tell their text when pointed at.
    title : str
        Description for those who do not see the chart.
    unit : str
        Unit of the values, for the tooltip.
    columns : (str, str)
        Words for "time" and "series" in the tooltip.
    from_zero : bool
        Whether the vertical axis begins at zero.

    Returns
    -------
    dict
        A Vega-Lite specification whose width follows its container.
    """
    points: list[dict[str, Any]] = [
        {"time": _wall(time), "value": value, "series": line.name} for line in series for time, value in line.points
    ]
    datasets = {"points": points}
    if limits:
        datasets |= {"limits": _steps(limits), "labels": _steps(_longest(limits))}
    if notes:
        datasets["notes"] = [{"time": _wall(note.start), "end": _wall(note.end), "note": note.text} for note in notes]
    names = tuple(line.name for line in series)
    marks = _line_marks(names, unit, columns, decimals, bool(limits), bool(notes), from_zero)
    return {**marks, "description": title, "datasets": datasets}


@dataclass(frozen=True, slots=True)
class Point:
    """A minute or an hour of a curve; all three None interrupt it."""

    time: datetime
    mean: float | None
    low: float | None
    high: float | None


def curve_chart(
    points: Sequence[Point],
    limits: Sequence[LimitStep],
    bands: Mapping[str, Sequence[Note]],
    span: tuple[datetime, datetime],
    *,
    title: str,
    columns: Mapping[str, str],
    decimals: int = 0,
    from_zero: bool = True,
    directions: bool = False,
    judged: Sequence[LimitStep] = (),
) -> dict[str, Any]:
    """A curve over local time: means as a line, smallest to largest reading as an area; it can be dragged and zoomed.

    Parameters
    ----------
    judged : sequence of LimitStep
        Figures that were judged, each over the period that it is of; they lie over the line, under the limits.
    bands : mapping of str to sequence of Note
        Periods behind the line by style: ``excluded`` and ``flagged``.
    span : (datetime, datetime)
        What the horizontal axis shows.
    columns : mapping
        Words for ``time``, ``mean``, ``low``, ``high``, ``note``, ``judged`` and ``limit`` in the tooltip.
    directions : bool
        Means are directions [deg]: drawn as points from 0 to 360, as a line would leap where north is passed.

    Returns
    -------
    dict
        A Vega-Lite specification whose width follows its container; its parameter ``zoom`` tells the period in view.
    """
    datasets: dict[str, Any] = {
        "points": [{"time": _wall(p.time), "mean": p.mean, "low": p.low, "high": p.high} for p in points],
        "judged": _steps(judged),
        "limits": _steps(limits),
        "labels": _steps(_longest(limits)),
    }
    for style, notes in bands.items():
        datasets[style] = [{"time": _wall(n.start), "end": _wall(n.end), "note": n.text} for n in notes]
    marks = _curve_marks(tuple(bands), tuple(columns.items()), decimals, from_zero, directions)
    # A layer without rows would have the browser warn of an extent without end.
    layers = [{**layer} for layer in marks["layer"] if (name := layer["data"]["name"]) == "points" or datasets[name]]
    for layer in layers:
        if layer.get("data", {}).get("name") == "points" and "x" in layer["encoding"]:
            x = layer["encoding"]["x"]
            layer["encoding"] = {**layer["encoding"], "x": {**x, "scale": {"domain": [_wall(span[0]), _wall(span[1])]}}}
    return {**marks, "layer": layers, "description": title, "datasets": datasets}


def _steps(limits: Iterable[LimitStep]) -> list[dict[str, Any]]:
    return [
        {"time": _wall(step.start), "end": _wall(step.end), "value": step.value, "series": step.name} for step in limits
    ]


def _longest(limits: Sequence[LimitStep]) -> list[LimitStep]:
    """Where each height of a limit is named: at the longest of its steps, the latest of those."""
    found: dict[float, LimitStep] = {}
    for step in limits:
        if step.value not in found or step.end - step.start >= found[step.value].end - found[step.value].start:
            found[step.value] = step
    return list(found.values())


@lru_cache(maxsize=128)
def _curve_marks(
    bands: tuple[str, ...],
    words: tuple[tuple[str, str], ...],
    decimals: int,
    from_zero: bool,  # noqa: FBT001 - a key of the cache
    directions: bool,  # noqa: FBT001
) -> dict[str, Any]:
    """Specification of a curve without its data."""
    word = dict(words)
    zoom = alt.selection_interval(
        name="zoom",
        encodings=["x"],
        bind="scales",
        zoom="wheel![event.ctrlKey]",  # without the key, the wheel scrolls the page
        translate="[pointerdown[event.pointerType === 'mouse'], window:pointerup] > window:pointermove!",
    )
    points = alt.Chart(alt.NamedData("points"))
    height = alt.Scale(zero=from_zero, nice=True)
    tip = [
        alt.Tooltip("time:T", title=word["time"], format="%Y-%m-%d %H:%M"),
        *(alt.Tooltip(f"{name}:Q", title=word[name], format=f".{decimals}f") for name in ("mean", "low", "high")),
    ]
    x = _time_axis()
    area = points.mark_area(style="extent", invalid="break-paths-show-domains", clip=True).encode(
        x=x, y=alt.Y("low:Q", title=None, scale=height), y2="high:Q"
    )
    line = points.mark_line(style="series", invalid="break-paths-show-domains", clip=True).encode(
        x=x, y=alt.Y("mean:Q", title=None)
    )
    rose = alt.Y("mean:Q", title=None, scale=alt.Scale(domain=[0, 360]), axis=alt.Axis(values=[0, 90, 180, 270, 360]))
    drawn = [points.mark_circle(style="series", size=10, clip=True).encode(x=x, y=rose)] if directions else [area, line]
    tip = tip[:2] if directions else tip
    hover = points.mark_point(style="hover", opacity=0, size=60, clip=True).encode(x=x, y="mean:Q", tooltip=tip)
    layers: list[Any] = [
        alt.Chart(alt.NamedData(style))
        .mark_rect(style=style, clip=True)
        .encode(x="time:T", x2="end:T", tooltip=[tip[0], alt.Tooltip("note:N", title=word["note"])])
        for style in bands
    ]
    layers += [*drawn, hover.add_params(zoom)]
    layers.extend(
        alt.Chart(alt.NamedData(name))
        .mark_rule(style=style, clip=True)
        .encode(x="time:T", x2="end:T", y="value:Q", tooltip=[alt.Tooltip("series:N", title=word[style])])
        for name, style in (("judged", "judged"), ("limits", "limit"))
    )
    layers.extend(
        alt.Chart(alt.NamedData("labels"))
        .mark_text(style=style, align="right", baseline="top", dx=-4, dy=4)
        .encode(x="end:T", y="value:Q", text="series:N")
        for style in ("limit-halo", "limit-label")
    )
    chart: dict[str, Any] = (
        alt.layer(*layers)
        .properties(
            width="container",
            height=230,
        )
        .to_dict()
    )
    return chart


@lru_cache(maxsize=512)
def _line_marks(
    names: tuple[str, ...],
    unit: str,
    columns: tuple[str, str],
    decimals: int,
    limits: bool,  # noqa: FBT001 - a key of the cache
    notes: bool,  # noqa: FBT001
    from_zero: bool,  # noqa: FBT001
) -> dict[str, Any]:
    """Specification of a line chart without its data; kept, as Altair checks it at length."""
    legend = alt.Legend(orient="top", title=None) if len(names) > 1 else None
    tip = [
        alt.Tooltip("time:T", title=columns[0], format="%m-%d %H:%M"),
        alt.Tooltip("series:N", title=columns[1]),
        alt.Tooltip("value:Q", title=unit, format=f".{decimals}f"),
    ]
    lines = (
        alt.Chart(alt.NamedData("points"))
        .mark_line(style="series", invalid="break-paths-show-domains")
        .encode(
            x=_time_axis(),
            y=alt.Y("value:Q", title=None, scale=alt.Scale(zero=from_zero, nice=True)),
            color=alt.Color("series:N", scale=alt.Scale(domain=list(names)), legend=legend),
            strokeDash=alt.StrokeDash(
                "series:N", scale=alt.Scale(domain=list(names), range=_dashes(len(names))), legend=legend
            ),
        )
    )
    hover = lines.mark_point(style="hover", opacity=0, size=60).encode(tooltip=tip)
    layers: list[Any] = [lines, hover]
    if notes:
        band = alt.Chart(alt.NamedData("notes")).encode(x="time:T", x2="end:T")
        layers.insert(0, band.mark_rect(style="note").encode(tooltip=[tip[0], alt.Tooltip("note:N", title=columns[1])]))
    if limits:
        base = alt.Chart(alt.NamedData("limits")).encode(x="time:T", x2="end:T", y="value:Q")
        layers.append(base.mark_rule(style="limit").encode(tooltip=tip[1:]))
        layers.extend(
            alt.Chart(alt.NamedData("labels"))
            .mark_text(style=style, align="right", baseline="bottom", dx=-2, dy=-3)
            .encode(x="end:T", y="value:Q", text="series:N")
            for style in ("limit-halo", "limit-label")  # the halo keeps the words readable above the lines
        )
    chart: dict[str, Any] = alt.layer(*layers).properties(width="container", height=210).to_dict()
    return chart


def bar_chart(bars: Sequence[Bar], *, title: str, unit: str, columns: tuple[str, str]) -> dict[str, Any]:
    """Bars over local time, such as the rain of each hour."""
    values = [{"time": _wall(bar.start), "end": _wall(bar.end), "value": bar.value} for bar in bars]
    chart = (
        alt.Chart(alt.NamedData("points"))
        .mark_rect(style="rain")
        .encode(
            x=_time_axis(),
            x2="end:T",
            y=alt.Y(
                "value:Q", title=None, scale=alt.Scale(domain=[0, max([1.0, *(bar.value for bar in bars)])], nice=True)
            ),
            y2=alt.Y2Datum(0),
            tooltip=[
                alt.Tooltip("time:T", title=columns[0], format="%m-%d %H:%M"),
                alt.Tooltip("value:Q", title=unit, format=".1f"),
            ],
        )
        .properties(width="container", height=210, description=title)
    )
    # The data are added last: Altair would check every point against its schema.
    return {**chart.to_dict(), "datasets": {"points": values}}


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands, from the middle of a map [m east, m north]."""

    label: str
    role: str
    east: float
    north: float


def site_map(places: Sequence[Place], *, title: str, north: str) -> dict[str, Any]:
    """Places drawn to scale, without any map beneath: axes in metres from the middle, north upwards.

    Parameters
    ----------
    places : sequence of Place
        Their roles give the signs, in the order of their first use.
    title : str
        Description for those who do not see the chart.
    north : str
        Sign for the direction of north.
    """
    reach = 1.25 * max([50.0, *(abs(p.east) for p in places), *(abs(p.north) for p in places)])
    marks = _map_marks(reach, tuple(dict.fromkeys(place.role for place in places)))
    rows = [{"label": p.label, "role": p.role, "east": p.east, "north": p.north} for p in places]
    return {**marks, "description": title, "datasets": {"places": rows, "north": [{"text": north}]}}


@lru_cache(maxsize=64)
def _map_marks(reach: float, roles: tuple[str, ...]) -> dict[str, Any]:
    """Specification of a map without its places."""
    size = 300
    scale = alt.Scale(domain=[-reach, reach], nice=False)
    shapes = [_SHAPES[n % len(_SHAPES)] for n in range(len(roles))]
    base = alt.Chart(alt.NamedData("places")).encode(
        x=alt.X("east:Q", title="m", scale=scale, axis=alt.Axis(tickCount=7)),
        y=alt.Y("north:Q", title="m", scale=scale, axis=alt.Axis(tickCount=7)),
    )
    shape = alt.Shape(
        "role:N", scale=alt.Scale(domain=list(roles), range=shapes), legend=alt.Legend(title=None, orient="right")
    )
    points = base.mark_point(style="place", size=90).encode(shape=shape)
    labels = [
        base.mark_text(style=style, align="left", baseline="middle", dx=8).encode(text="label:N")
        for style in ("place-halo", "place-label")
    ]
    arrow = (
        alt.Chart(alt.NamedData("north"))
        .mark_text(style="place-label", align="right", baseline="top", fontSize=15, dx=-4, dy=4)
        .encode(x=alt.value(size), y=alt.value(0), text="text:N")
    )
    chart: dict[str, Any] = alt.layer(points, *labels, arrow).properties(width=size, height=size).to_dict()
    return chart


def wind_rose(means: Sequence[float | None], *, title: str, points: Sequence[str], decimals: int = 0) -> dict[str, Any]:
    """Mean of a quantity by the direction that the wind comes from.

    Parameters
    ----------
    means : sequence of float or None
        For sectors of equal width, clockwise; the first one is centred on north.
    title : str
        Description for those who do not see the chart.
    points : sequence of str
        Words for north, east, south and west.
    decimals : int
        Digits at the rings.
    """
    width = 2 * math.pi / len(means)
    top = max([mean for mean in means if mean is not None], default=0.0) or 1.0
    step = _step(top / 3)
    rings = [step * n for n in range(1, math.ceil(top / step) + 1)]
    sectors = [
        {"from": (n - 0.45) * width, "to": (n + 0.45) * width, "value": mean}
        for n, mean in enumerate(means)
        if mean is not None
    ]
    compass = [{"angle": n * math.pi / 2, "value": 1.12 * rings[-1], "text": text} for n, text in enumerate(points)]
    datasets = {"rings": [{"value": ring} for ring in reversed(rings)], "points": sectors, "compass": compass}
    return {**_rose_marks(width, rings[-1], decimals), "description": title, "datasets": datasets}


@lru_cache(maxsize=64)
def _rose_marks(width: float, reach: float, decimals: int) -> dict[str, Any]:
    """Specification of a rose without its data."""
    size = 190
    radius = alt.Radius("value:Q", scale=alt.Scale(type="linear", domain=[0, 1.2 * reach], zero=True), stack=None)
    circle = alt.Chart(alt.NamedData("rings"))
    layers = [
        circle.mark_arc(style="ring").encode(
            theta=alt.datum(0, scale=None), theta2=alt.datum(2 * math.pi), radius=radius
        ),
        alt.Chart(alt.NamedData("points"))
        .mark_arc(style="rose")
        .encode(theta=alt.Theta("from:Q", scale=None, stack=None), theta2="to:Q", radius=radius),
        *(
            circle.mark_text(style=style, baseline="middle").encode(
                theta=alt.datum(width / 2, scale=None), radius=radius, text=alt.Text("value:Q", format=f".{decimals}f")
            )
            for style in ("ring-halo", "ring-label")
        ),
        alt.Chart(alt.NamedData("compass"))
        .mark_text(style="compass", baseline="middle")
        .encode(theta=alt.Theta("angle:Q", scale=None, stack=None), radius=radius, text="text:N"),
    ]
    chart: dict[str, Any] = alt.layer(*layers).properties(width=size, height=size).to_dict()
    return chart


def _step(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is no less."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)


def _time_axis() -> alt.X:
    """Hours of the day, and the date at midnight."""
    days = dict.fromkeys(("quarter", "month", "week", "date", "day"), "%m-%d")
    formats = {"minutes": "%H:%M", "hours": "%H:%M", "year": "%Y-%m-%d", **days}
    return alt.X("time:T", title=None, axis=alt.Axis(format=formats, labelOverlap=True, tickCount=7))


def _wall(time: datetime) -> str:
    """Wall-clock time without offset: the chart shows the site's clock wherever it is looked at."""
    return time.replace(tzinfo=None).isoformat()


def _dashes(count: int) -> list[list[int]]:
    """Dash patterns, so that lines differ by more than their colour."""
    patterns = [[1, 0], [6, 2], [2, 2], [8, 2, 2, 2], [4, 4], [1, 3]]
    return [patterns[i % len(patterns)] for i in range(count)]
