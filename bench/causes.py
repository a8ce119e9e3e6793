"""How often the suggested cause of a dust episode is the true one, over simulated weeks in which all parts of the dust are known.

The truth is what each part adds to the concentration at the station in the episode's worst hour, computed from emissions and
plumes: air from outside (haze, a neighbour's dust), a blast, what water would have taken away while it failed, and works. The
largest part is the cause. The suggestion sees what instruments and people would have put down, and none of these parts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from math import cos, radians, sin
from multiprocessing import get_context
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from bench.table import Row
from greenmine.loading import load_registry
from greenmine.processing.causes import suggest
from greenmine.processing.exclusion import Mark
from greenmine.readings import NORMAL, Readings
from greenmine.registry import Registry, Rule
from greenmine.simulators.activity import Activity, Mask, activity
from greenmine.simulators.clock import MINUTE_MS, Clock
from greenmine.simulators.dust import SPRAYER_FACTOR, dust, emissions, plume
from greenmine.simulators.instruments import instrument_of, respond
from greenmine.simulators.instruments import measure as measured
from greenmine.simulators.layout import LocalPoint, character, layout
from greenmine.simulators.random_streams import Floats, RandomStreams, runs
from greenmine.simulators.weather import Weather, weather

_FIRST: Final = 20_424 * 1440
"""First minute of the simulations since 1970 UTC."""
_DAY: Final = 1440
_DAYS: Final = 7
_HOUR: Final = 60
_ABOVE: Final = 500.0
"""Episodes are hours of TSP above this [ug/m3], a target that a mine may set itself: there are more causes than of 1000."""
_WEEKS: Final = 12
"""Weeks of each mine."""
_JITTER: Final = 8
"""A blast is marked so many minutes too early or too late at most."""
_FORGOTTEN: Final = 0.1


def measure(weeks: int = _WEEKS) -> Iterator[Row]:
    """The row of this subject."""
    sites = [site.id for site in load_registry().sites]
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as workers:
        found = sum(workers.map(week, sites * weeks, np.repeat(np.arange(weeks), len(sites)).tolist()), Counter())
    right = sum(n for (true, told), n in found.items() if true == told)
    of = Counter({true: 0 for true, _ in found})
    for (true, _), n in found.items():
        of[true] += n
    each = ", ".join(f"{true} {found[true, true]} of {n}" for true, n in sorted(of.items()))
    yield Row(
        "effect", f"suggested causes of dust episodes that are the true ones ({each})", f"{right}", f"{of.total()} episodes",
        right / of.total(), ">=", 0.8,
    )  # fmt: skip


def week(site: str, seed: int) -> Counter[tuple[str, str]]:
    """Count the episodes of a week by true and suggested cause."""
    registry = load_registry()
    rule = next(r for r in registry.site_rules(site) if registry.channels[r.channel].parameter.id == "tsp")
    truth, columns, marks = _simulated(registry, rule, seed)
    shown = columns[rule.channel]
    sums = np.convolve(np.nan_to_num(shown), np.ones(_HOUR) / _HOUR)[: len(shown)]

    def stored(channel: int, start: int, end: int) -> tuple[Readings, NDArray[np.uint8]]:
        minute = np.arange(max(start // MINUTE_MS, _FIRST), min(end // MINUTE_MS, _FIRST + len(shown)))
        values = columns[channel][minute - _FIRST] if channel in columns else np.full(len(minute), np.nan)
        there = ~np.isnan(values)
        count = int(there.sum())
        flags = np.full(count, NORMAL, np.uint8)
        time = minute[there] * MINUTE_MS
        return Readings(np.full(count, channel, np.int32), time, values[there], flags), np.zeros(count, np.uint8)

    out: Counter[tuple[str, str]] = Counter()
    for start, end in runs(sums > _ABOVE):
        if start < 2 * _HOUR:
            continue
        peak = start + int(sums[start:end].argmax())
        hour = slice(peak - _HOUR + 1, peak + 1)
        true = max(truth, key=lambda part: truth[part][hour].sum())
        found = suggest(registry, rule, (_FIRST + hour.start, _FIRST + hour.stop), stored, marks)
        out[true, str(found.cause) if found is not None else "nothing"] += 1
    return out


def _simulated(registry: Registry, rule: Rule, seed: int) -> tuple[dict[str, Floats], dict[int, Floats], list[Mark]]:
    """Parts of the true concentration at the rule's station, minutes as instruments show them, and marks."""
    site = registry.site(rule.site)
    streams, region, clock = RandomStreams(seed, site.id), RandomStreams(seed, "region"), Clock(site.zone)
    kind, places, count = character(site), layout(site), _DAYS * _DAY
    draw = streams.generator("causes")
    air = weather(region, streams, clock, places.prevailing, _FIRST, count)
    here = places.stations[rule.station]
    air, neighbour = _neighbour(draw, air, weather(region, streams, clock, 0.0, _FIRST, count), here)
    work = activity(streams, clock, kind, _FIRST, count)
    strength, marks = _blasts(draw, rule, work.working)
    work = replace(work, blast=cast("Mask", strength))  # blasts of different strength
    quiet = replace(work, blast=np.zeros(count, np.bool_))
    guarded = [s.id for s in site.stations if s.role == "boundary"]

    def flying(doing: Activity) -> Floats:
        return dust(streams, region, clock, kind, places, guarded, air, doing, _FIRST).tsp[rule.station]

    found = dust(streams, region, clock, kind, places, guarded, air, work, _FIRST)
    rate = emissions(streams, kind, places, air, work, _FIRST)
    dry = np.sum([plume(s.rate, air.wind_speed, air.wind_direction, s.place, here) for s in rate], axis=0)
    own = dry * np.where(found.spraying, SPRAYER_FACTOR, 1.0)
    background = found.tsp[rule.station] - own
    haze = background * _haze(draw, count)
    without_blast = flying(quiet) - background
    ordinary = flying(replace(quiet, incident=np.zeros(count, np.bool_))) - background
    outside = {
        station: haze + plume(neighbour[1], air.wind_speed, air.wind_direction, neighbour[0], point)
        for station, point in places.stations.items()
    }
    truth = {
        "outside": outside[rule.station],
        "blasting": np.maximum(own - without_blast, 0.0),
        "dry": np.maximum(without_blast - ordinary, 0.0),
        "works": np.minimum(ordinary, without_blast),
    }
    sprayers = {measure.equipment for measure in site.measures if measure.kind == "sprayers"}
    columns: dict[int, Floats] = {}
    for channel in registry.site_channels(site.id):
        name = channel.parameter.id
        true: Floats | None = {"wind-speed": air.wind_speed, "wind-direction": air.wind_direction}.get(name)
        if name == "tsp":
            true = found.tsp[channel.station] - background + outside[channel.station]
        if channel.parameter.is_state:
            true = (found.spraying if channel.station in sprayers else work.crusher).astype(float)
        if true is not None:
            through = respond(true, instrument_of(name).response)
            columns[channel.index] = np.concatenate(
                [
                    measured(streams, channel.key, channel.parameter, through[day * _DAY : (day + 1) * _DAY], day)
                    for day in range(_DAYS)
                ]
            )
    return truth, columns, marks


def _haze(draw: np.random.Generator, count: int) -> Floats:
    """Factor of the background: twice a week the air of the region is thick for some hours."""
    factor = np.ones(count)
    for _ in range(2):
        start, length = int(draw.integers(0, count - 800)), int(draw.integers(240, 780))
        swell = np.sin(np.pi * (np.arange(length) + 0.5) / length) ** 0.5
        factor[start : start + length] += draw.uniform(4, 16) * swell
    return factor


def _blasts(draw: np.random.Generator, rule: Rule, working: NDArray[np.bool_]) -> tuple[Floats, list[Mark]]:
    """Emission of blasts relative to an ordinary one, and what people mark of them; some are clean, and some are forgotten."""
    strength, marks = np.zeros(len(working)), []
    for minute in draw.choice(np.flatnonzero(working), 6, replace=False).tolist():
        strength[minute] = draw.choice([1.0, draw.uniform(20, 100)])
        if draw.random() >= _FORGOTTEN:
            start = _FIRST + minute + int(draw.integers(-_JITTER, _JITTER + 1))
            marks.append(Mark(rule.site, rule.station, None, start, start + 10, "blasting"))
    return strength, marks


def _neighbour(
    draw: np.random.Generator, air: Weather, other: Weather, here: LocalPoint
) -> tuple[Weather, tuple[LocalPoint, Floats]]:
    """Let the wind turn for a day on which somebody loads dusty goods beside the mine."""
    mine = np.degrees(np.arctan2(-here.east, -here.north)) % 360
    away = (mine + draw.uniform(100, 260)) % 360
    distance = draw.uniform(60, 200)
    place = LocalPoint(here.east + distance * sin(radians(away)), here.north + distance * cos(radians(away)), 2.0)
    day = int(draw.integers(1, _DAYS)) * _DAY
    turned, rate = air.wind_direction.copy(), np.zeros(len(air.wind_direction))
    turned[day : day + _DAY] = (other.wind_direction[day : day + _DAY] + away) % 360
    start = day + int(draw.integers(0, 12 * _HOUR))
    rate[start : start + 6 * _HOUR] = draw.uniform(1, 6)
    return replace(air, wind_direction=turned), (place, rate)
