"""Mines are computed together and come out as each alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from greenmine.loading import load_registry
from greenmine.processing.engine import Engine
from greenmine.processing.identity import unknown
from greenmine.processing.restatement import site_part
from greenmine.readings import Readings
from greenmine.registry import Registry, WorkingTime
from tests.processing.mine import HOUR, at

START = at("2026-06-01T00:00:00")
HOURS = 40
_SHIPPED = load_registry()
_WORK = WorkingTime(equipment=(), hours=((420, 720), (840, 1140)))
MINES = replace(
    _SHIPPED,
    rules=tuple(
        replace(r, working=_WORK) if r.limit.period == "working" and r.site == "kunyin" else r for r in _SHIPPED.rules
    ),
)
"""Five mines, of which one's working time is known."""


def _near_their_limits(registry: Registry) -> Readings:
    """Readings of every channel, as often as it measures, which wander about the limits that hold there."""
    random = np.random.default_rng(17)
    highs = {r.channel: t.high for r in registry.rules for t in r.limit.thresholds if t.high}
    parts = []
    for channel in registry.channels:
        times = np.arange(START, START + HOURS * HOUR, channel.interval, dtype=np.int64)
        walk = np.cumsum(random.normal(0, 0.02, len(times)))
        sound = channel.parameter.averaging == "energy"
        middle = 0.0 if channel.parameter.id == "rain" else 1.02 * highs.get(channel.index, 1.0)
        value = middle + 10 * walk if sound else middle * np.exp(walk)
        value = np.clip(value, channel.parameter.low, channel.parameter.high)
        flag = np.full(len(times), ord("N"), np.uint8)
        parts.append(Readings(np.full(len(times), channel.index, np.int32), times, value, flag))
    every = Readings.concat(parts)
    return every.take(np.argsort(every.time, kind="stable"))


def _told(registry: Registry, some: Readings) -> dict[str, Mapping[Any, Any]]:
    """Verdicts, exceedances and sliding hours as last told, by the rules' names."""
    engine = Engine(registry, unknown, lambda *_: (np.empty(0, np.int64), np.empty(0)))
    verdicts, exceedances, hours = {}, {}, {}
    for first in range(START, START + HOURS * HOUR, 3 * HOUR):
        found = engine.ingest(some.take(np.flatnonzero((some.time >= first) & (some.time < first + 3 * HOUR))))
        key = {r.index: r.key for r in registry.rules}
        verdicts |= {(key[v.rule], v.start, v.end): replace(v, rule=0) for v in found.verdicts}
        exceedances |= {e.id: (key[e.rule], replace(e, id=0, rule=0)) for e in found.exceedances}
        hours |= {(key[h.rule], h.hour): h._replace(rule=0) for h in found.sliding}
    episodes = {(key, e.start, e.end, e.withdrawn): e for key, e in exceedances.values()}
    assert len(episodes) == len(exceedances), "an episode that was told twice"
    return {"verdicts": verdicts, "exceedances": episodes, "hours": hours}


@pytest.fixture(scope="module")
def readings() -> Readings:
    return _near_their_limits(MINES)


@pytest.fixture(scope="module")
def together(readings: Readings) -> dict[str, Mapping[Any, Any]]:
    return _told(MINES, readings)


@pytest.mark.parametrize("site", [site.id for site in MINES.sites])
def test_a_mine_is_judged_as_if_it_were_alone(
    site: str, readings: Readings, together: dict[str, Mapping[Any, Any]]
) -> None:
    part, channel, _ = site_part(MINES, site)
    own = readings.take(np.flatnonzero(np.isin(readings.channel, channel + np.arange(len(part.channels)))))
    alone = _told(part, replace(own, channel=own.channel - np.int32(channel)))
    for what, found in alone.items():
        expected = {k: v for k, v in together[what].items() if k[0].startswith(f"{site}/")}
        assert found.keys() == expected.keys(), what
        differing = [k for k, v in found.items() if str(v) != str(expected[k])]
        assert not differing, (what, found[differing[0]], expected[differing[0]])
    assert alone["verdicts"]


def test_the_readings_exceed_in_both_ways(together: dict[str, Mapping[Any, Any]]) -> None:
    """Over whole periods and by the minute."""
    keys = {key for key, *_ in together["exceedances"]}
    assert any("gb3095-pm10-day" in key for key in keys)
    assert any("fugitive" in key or "boundary-tsp" in key for key in keys)
    assert "kunyin/boundary/gb12348-class2-day" in keys
    assert any("gb12348-class2-day" in key and not key.startswith("kunyin/") for key in keys)
