"""Whether the interval of a measure's effect holds the true one: a hundred simulated mines with known sprayers."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from typing import Final

import numpy as np

from bench.table import Row
from greenmine.evidence.evaluation import load_evaluation
from greenmine.evidence.measures import effects, watched
from greenmine.evidence.recompute import Recomputed
from greenmine.evidence.sections import EffectFigures
from greenmine.loading import load_registry
from greenmine.readings import NORMAL
from greenmine.registry import Registry
from greenmine.simulators.dust import SPRAYER_FACTOR
from greenmine.simulators.mine import Mine

_SITE: Final = "jiuchi"
_FIRST: Final = 20_424
"""First day of the simulations since 1970 UTC: 2025-12-02."""
_DAY: Final = 1440
_SEEDS: Final = 100
_HELD: Final = 93


def measure(seeds: int = _SEEDS, days: int = 60) -> Iterator[Row]:
    """The rows of this subject."""
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as workers:
        found = list(workers.map(estimate, range(seeds), [days] * seeds))
    known = [e for e in found if e.remaining is not None and e.low is not None and e.high is not None]
    held = sum(e.low <= SPRAYER_FACTOR <= e.high for e in known)  # type: ignore[operator]
    yield Row(
        "effect", f"intervals of {days} days that hold the true effect", f"{held} of {len(found)} seeds", f"{_SEEDS}",
        held / len(found), ">=", _HELD / _SEEDS,
    )  # fmt: skip
    remaining = np.array([e.remaining for e in known])
    half = float(np.median([(e.high - e.low) / 2 for e in known]))  # type: ignore[operator]
    mean, spread = float(remaining.mean()), float(remaining.std(ddof=1))
    yield Row(
        "effect", f"mean of what remains; standard deviation {spread:.3f}, half an interval {half:.3f}",
        f"{mean:.3f}", f"{SPRAYER_FACTOR}", mean / SPRAYER_FACTOR,
    )  # fmt: skip


def estimate(seed: int, days: int) -> EffectFigures:
    """The effect of the sprayers of a simulated mine."""
    registry = load_registry()
    site = registry.site(_SITE)
    return effects(registry, site, load_evaluation().effect, simulated(registry, seed, days))[0]


def simulated(registry: Registry, seed: int, days: int) -> Recomputed:
    """Minutes of the watched channels as the instruments of the mine show them."""
    site = registry.site(_SITE)
    mine = Mine(registry, _SITE, seed)
    start = _FIRST * _DAY
    minutes = {c: np.full(days * _DAY, np.nan) for c in watched(registry, site)}
    devices = [
        (device, columns)
        for device in site.devices
        if (columns := {k: c.index for k, c in enumerate(mine.channels(device.id)) if c.index in minutes})
    ]
    for day in range(days):
        for device, columns in devices:
            shown = mine.columns(device, _FIRST + day)
            index = shown.times // 60_000 - start
            for k, channel in columns.items():
                minutes[channel][index] = np.where(shown.flags[:, k] == NORMAL, shown.values[:, k], np.nan)
    return replace(Recomputed.empty(start, start + days * _DAY), minutes=minutes)
