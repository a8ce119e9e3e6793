"""Measures against dust and noise in the figures: their effect, and how they answered to exceedances."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from math import log10
from typing import Final

import numpy as np
from numpy.typing import NDArray

from greenmine.evidence.effect import Effect, Minutes, effect_between, effect_of_runs
from greenmine.evidence.evaluation import EffectTerms
from greenmine.evidence.recompute import Recomputed
from greenmine.evidence.sections import NOTE_EN, NOTE_ZH, EffectFigures, ResponseFigures
from greenmine.processing.wind import bearing
from greenmine.processing.windows import moment_of, offset_minutes
from greenmine.registry import Measure, Registry, Site

_STATE: Final = "equipment-state"
_MS_PER_MINUTE: Final = 60_000
_EPOCH: Final = date(1970, 1, 1)


def watched(registry: Registry, site: Site) -> set[int]:
    """Channels whose minutes the effects of the site's measures rest on."""
    if not site.measures:
        return set()
    channels = _channels(registry, site)
    keys = {("wind", name) for name in ("wind-speed", "wind-direction")}
    for measure in site.measures:
        keys |= {(at, measure.parameter) for at in (measure.station, measure.reference) if at is not None}
        keys |= {(at, _STATE) for at in (measure.equipment, measure.activity) if at is not None}
    return {channels[key] for key in keys if key in channels}


def effects(registry: Registry, site: Site, terms: EffectTerms, found: Recomputed) -> list[EffectFigures]:
    """What each measure of the site leaves of its dust or noise.

    Parameters
    ----------
    registry : Registry
        Holds the site.
    site : Site
        Its measures are looked at, in their order.
    terms : EffectTerms
        Settings.
    found : Recomputed
        With the minutes of the channels that `watched` names.
    """
    return [_effect(registry, site, measure, terms, found) for measure in site.measures]


def responses(registry: Registry, site: Site, found: Recomputed) -> list[ResponseFigures]:
    """How equipment answered to exceedances of what it acts on, by measure, rule and start."""
    return [
        answer
        for measure in site.measures
        if measure.equipment is not None
        for answer in _responses(registry, site, measure, found)
    ]


def _channels(registry: Registry, site: Site) -> dict[tuple[str, str], int]:
    """Channels by station and parameter; the first of wind speed and direction also by ``wind``."""
    found: dict[tuple[str, str], int] = {}
    for channel in registry.own_channels(site.id):
        found[channel.station, channel.parameter.id] = channel.index
        if channel.parameter.id in {"wind-speed", "wind-direction"}:
            found.setdefault(("wind", channel.parameter.id), channel.index)
    return found


def _effect(registry: Registry, site: Site, measure: Measure, terms: EffectTerms, found: Recomputed) -> EffectFigures:
    channels = _channels(registry, site)
    target = registry.channels[channels[measure.station, measure.parameter]]
    reference = None if measure.reference is None else channels[measure.reference, measure.parameter]
    equipment = None if measure.equipment is None else channels[measure.equipment, _STATE]
    minutes = _minutes(registry, site, measure, found)
    if measure.runs:
        effect = effect_of_runs(minutes, [_run(text) for text in measure.runs], terms)
    else:
        effect = effect_between(minutes, "on-off" if measure.equipment is not None else "before-after", terms)
    sound = target.parameter.is_level
    return EffectFigures(
        measure=measure.id,
        name_zh=measure.name_zh,
        name_en=measure.name_en,
        kind=measure.kind,
        channel=target.key,
        reference=None if reference is None else registry.channels[reference].key,
        equipment=None if equipment is None else registry.channels[equipment].key,
        design=effect.design,
        remaining=effect.remaining,
        low=effect.low,
        high=effect.high,
        reduction_db=_decibels(effect) if sound else None,
        mean_on=_level(effect.mean_on) if sound else effect.mean_on,
        mean_off=_level(effect.mean_off) if sound else effect.mean_off,
        unit=target.parameter.unit,
        comparisons=effect.comparisons,
        days=effect.days,
        minutes_on=effect.minutes_on,
        minutes_off=effect.minutes_off,
        confidence=terms.confidence,
        reason=effect.reason,
        open_to_bias=effect.design == "on-off",
        note_zh=NOTE_ZH,
        note_en=NOTE_EN,
    )


def _minutes(registry: Registry, site: Site, measure: Measure, found: Recomputed) -> Minutes:
    channels = _channels(registry, site)
    target = registry.channels[channels[measure.station, measure.parameter]]
    value = found.minutes[target.index]
    if measure.reference is not None:
        value = value - found.minutes[channels[measure.reference, measure.parameter]]
    count = found.end - found.start
    local = np.arange(found.start, found.end) + _offsets(found, site.zone)
    if measure.equipment is not None:
        state = _held(registry, found, channels[measure.equipment, _STATE])
    else:
        assert measure.since is not None
        state = (local // 1440 >= (measure.since - _EPOCH).days).astype(np.float64)
    working = np.ones(count, np.bool_)
    if measure.activity is not None:
        working = _held(registry, found, channels[measure.activity, _STATE]) == 1
    angle, speed = np.zeros(count), None
    if target.parameter.theme == "dust":
        line = bearing(site.position, registry.station(site.id, measure.station).position)
        direction = _held(registry, found, channels["wind", "wind-direction"])
        angle = (direction + 180.0 - line + 180.0) % 360.0 - 180.0
        speed = _held(registry, found, channels["wind", "wind-speed"])
    return Minutes(value, state, working, angle, speed, local)


def _offsets(found: Recomputed, zone: str) -> NDArray[np.int64]:
    """What local time is ahead of UTC [min] at each minute; clocks change at whole hours."""
    hours = range(found.start // 60, -(-found.end // 60))
    ahead = np.repeat(np.array([offset_minutes(zone, hour * 60) for hour in hours], np.int64), 60)
    return ahead[found.start - hours[0] * 60 :][: found.end - found.start]


def _held(registry: Registry, found: Recomputed, channel: int) -> NDArray[np.float64]:
    """Minutes of a channel whose readings hold until the next one is due."""
    minutes = found.minutes[channel]
    span = registry.channels[channel].interval // _MS_PER_MINUTE
    if span <= 1:
        return minutes
    index = np.arange(len(minutes))
    newest = np.maximum.accumulate(np.where(np.isnan(minutes), -span, index))
    return np.where(index - newest < span, minutes[np.maximum(newest, 0)], np.nan)


def _run(text: str) -> tuple[int, int]:
    first, last = (int(clock[:2]) * 60 + int(clock[3:]) for clock in text.split("-"))
    return first, last


def _responses(registry: Registry, site: Site, measure: Measure, found: Recomputed) -> Iterator[ResponseFigures]:
    channels = _channels(registry, site)
    assert measure.equipment is not None
    running = _held(registry, found, channels[measure.equipment, _STATE]) == 1
    theme = registry.parameters[measure.parameter].theme
    for episode in found.exceedances:
        rule = registry.rules[episode.rule]
        begin = episode.start + 1
        if registry.channels[rule.channel].parameter.theme != theme or begin < found.start:
            continue
        end = None if episode.end is None else episode.end + 1
        on = np.flatnonzero(running[begin - found.start : (found.end if end is None else end) - found.start])
        response = int(on[0]) if len(on) else None
        yield ResponseFigures(
            measure=measure.id,
            rule=rule.key,
            start=moment_of(begin, site.zone).isoformat(),
            running=response == 0,
            response_minutes=response,
            return_minutes=None if end is None else end - begin,
            running_minutes=None if end is None or response is None else end - begin - response,
        )


def _decibels(effect: Effect) -> float | None:
    return None if effect.remaining is None or effect.remaining <= 0 else -10.0 * log10(effect.remaining)


def _level(mean: float | None) -> float | None:
    return None if mean is None or mean <= 0 else 10.0 * log10(mean)
