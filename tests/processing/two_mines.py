"""Two mines: the weather of the one's station ``mast`` holds for the noise of the other, ``low``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from greenmine.loading import load_registry
from greenmine.readings import Readings
from greenmine.registry import Registry
from tests.processing.mine import DAY, HOUR, Station, at, channel, every, readings, registry_of

DAWN = at("2026-06-01T06:00:00")
END = DAWN + DAY
RULE = "low/fence/gb12348-class2-day"
LOW = (Station("fence", ("laeq",), limits=("gb12348-class2-day", "gb12348-class2-night")),)
MAST = Station("mast", ("wind-speed", "rain", "wind-direction", "air-temperature"), place=(30.02, 108.03))
HIGH = (MAST, Station("north", ("tsp",), limits=("db50-418-fugitive",)), Station("gate", ("laeq",)))


def two_mines(
    folder: Path, *, weather: str = "high/mast", high: tuple[Station, ...] | None = HIGH, more: str = ""
) -> Registry:
    """A registry of both, or of ``low`` alone; ``more`` are tables of ``high``."""
    zone = "Asia/Shanghai"
    registry_of(folder, {"low": (zone, LOW)} | ({} if high is None else {"high": (zone, high)}))
    path = folder / "sites" / "low.toml"
    path.write_text(f'weather = "{weather}"\n' + path.read_text("utf-8"), "utf-8")
    if high is not None:
        path = folder / "sites" / "high.toml"
        path.write_text(path.read_text("utf-8") + more, "utf-8")
    return load_registry(folder)


def weathered(registry: Registry, start: int = DAWN, end: int = END + HOUR, *, rain: float = 0.0) -> Readings:
    """What both mines measure: 58 dB at the fence of the one; at the other a light wind, dust, noise, rain from 10 to 12."""
    times = every(start, end)
    wet = (times >= DAWN + 4 * HOUR) & (times < DAWN + 6 * HOUR)
    values = {
        "low/fence/laeq": 58.0,
        "high/mast/wind-speed": 2.0,
        "high/mast/wind-direction": 10.0,
        "high/mast/air-temperature": 25.0,
        "high/mast/rain": np.where(wet, rain, 0.0),
        "high/north/tsp": 777.0,
        "high/gate/laeq": 66.6,
    }
    keys = {c.key for c in registry.channels}
    parts = [readings(channel(registry, key), times, value) for key, value in values.items() if key in keys]
    found = Readings.concat(parts)
    return found.take(np.argsort(found.time, kind="stable"))
