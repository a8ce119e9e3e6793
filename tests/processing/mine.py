"""A small mine for the tests of the processing, and the way of its readings into a record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import sqlalchemy as sa

from greenmine.batch import Batch
from greenmine.loading import load_registry
from greenmine.places import Place
from greenmine.readings import Readings
from greenmine.record import schema
from greenmine.record.record import Record, open_engine
from greenmine.record.writer import Pipeline
from greenmine.registry import Registry

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR

ENTERPRISE = """
[[enterprises]]
id = "owner"
name_zh = "矿业"
name_en = "Owner"
"""

SITE = """
id = "{site}"
enterprise = "owner"
name_zh = "矿山"
name_en = "Mine"
zone = "{zone}"
product_zh = "页岩"
product_en = "Shale"
scale = "5"
batch = 1
batch_years = "2026"
requirement_items = []
source = "test"
position = {{ latitude = 30.0, longitude = 108.0, height = 0.0 }}
"""

PROFILE = """
[[profiles]]
id = "every-{interval}"
format = "greenmine"
zone = "Asia/Shanghai"
interval = "{interval}"
sends_flags = true

[profiles.units]
tsp = "ug/m3"
pm10 = "ug/m3"
laeq = "dB(A)"
lafmax = "dB(A)"
wind-speed = "m/s"
wind-direction = "deg"
rain = "mm"
air-temperature = "degC"
pressure = "kPa"
humidity = "%"
equipment-state = "1"
flow = "L/s"
do = "mg/L"
ph = "1"
"""

INTERVALS = ("1s", "10s", "60s", "300s", "900s")

REFERENCE_NORTH = (30.01, 108.0)
BOUNDARY_SOUTH = (29.99, 108.0)


@dataclass(frozen=True)
class Station:
    """A station with one device."""

    id: str
    parameters: Sequence[str]
    interval: str = "60s"
    limits: Sequence[str] = ()
    place: tuple[float, float] = (30.0, 108.01)
    papers: str = ""
    """What the registry shows of its device."""
    role: str = "boundary"

    def text(self) -> str:
        return f"""
[[stations]]
id = "{self.id}"
name_zh = "点"
name_en = "Station"
role = "{self.role}"
position = {{ latitude = {self.place[0]}, longitude = {self.place[1]} }}
noise_class = "2"
limits = {list(self.limits)}

[[devices]]
id = "{self.id}"
profile = "every-{self.interval}"
station = "{self.id}"
parameters = {list(self.parameters)}
{self.papers}"""


WEATHER = Station("weather", ("wind-speed", "wind-direction", "rain"))

MINE = (
    Station("north", ("tsp",), place=REFERENCE_NORTH),
    Station("south", ("tsp",), limits=("gb4915-difference", "db50-418-fugitive"), place=BOUNDARY_SOUTH),
    Station(
        "fence",
        ("laeq", "lafmax"),
        limits=("gb12348-class2-day", "gb12348-class2-night", "gb12348-class2-night-occasional"),
    ),
    Station("homes", ("pm10",), limits=("gb3095-pm10-day-class2",)),
    Station("pond", ("flow", "do", "ph"), "900s", ("zero-discharge", "gb3838-class3-do", "gb8978-ph")),
    WEATHER,
)
"""Downwind of the dust is in the south while the wind is from the north."""


def registry_of(
    folder: Path,
    sites: dict[str, tuple[str, Sequence[Station]]] | None = None,
    *,
    more: str = "",
) -> Registry:
    """A registry of sites, each with its zone, stations and more tables; by default the mine in Asia/Shanghai."""
    (folder / "sites").mkdir(parents=True, exist_ok=True)
    (folder / "enterprises.toml").write_text(ENTERPRISE, encoding="utf-8")
    (folder / "profiles.toml").write_text("".join(PROFILE.format(interval=i) for i in INTERVALS), encoding="utf-8")
    for site, (zone, stations) in (sites or {"mine": ("Asia/Shanghai", MINE)}).items():
        text = SITE.format(site=site, zone=zone) + "".join(s.text() for s in stations) + more
        (folder / "sites" / f"{site}.toml").write_text(text, encoding="utf-8")
    return load_registry(folder)


def channel(registry: Registry, key: str) -> int:
    """Index of a channel."""
    return next(c.index for c in registry.channels if c.key == key)


def rule(registry: Registry, key: str) -> int:
    """Index of a rule."""
    return next(r.index for r in registry.rules if r.key == key)


def at(text: str, zone: str = "Asia/Shanghai") -> int:
    """Instant of a local time [ms UTC]."""
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


EVENING = at("2026-02-28T21:37:00")
"""Mid-hour, before a midnight, a night, and a change of the limits."""


def calibration(station: str, parameter: str, valid_from: str, slope: float) -> str:
    """A calibration, for the ``more`` of `registry_of`."""
    return f"""
[[calibrations]]
station = "{station}"
parameter = "{parameter}"
valid_from = {valid_from}
slope = {slope}
offset = 0.0
certificate = "test"
"""


def readings(index: int, times: Any, values: Any, flags: str | Sequence[int] = "N") -> Readings:
    """Readings of one channel."""
    time = np.asarray(times, np.int64)
    value = np.broadcast_to(np.asarray(values, np.float64), time.shape).copy()
    codes = [ord(f) for f in flags] if isinstance(flags, str) else list(flags)
    flag = np.broadcast_to(np.asarray(codes, np.uint8), time.shape).copy()
    return Readings(np.full(len(time), index, np.int32), time, value, flag)


def every(start: int, end: int, step: int = MINUTE) -> np.ndarray:
    """Instants from start to before end."""
    return np.arange(start, end, step, dtype=np.int64)


def batch_of(
    registry: Registry, some: Readings, received: int | None = None, sequence: dict[tuple[str, str], int] | None = None
) -> Batch:
    """A batch with one message a device, received a second after its newest reading if not said otherwise."""
    devices = list(dict.fromkeys((c.site, c.device) for c in registry.channels))
    number = {device: i for i, device in enumerate(devices)}
    owner = np.array([number[c.site, c.device] for c in registry.channels], np.int32)
    used, message = np.unique(owner[some.channel], return_inverse=True)
    at_hand = int(some.time.max(initial=0)) + 1000 if received is None else received
    sequence = sequence or {}
    return Batch(
        readings=some,
        message=message.astype(np.int32),
        devices=devices,
        message_device=used.astype(np.int32),
        message_seq=np.array([sequence.get(devices[d], -1) for d in used.tolist()], np.int64),
        message_received=np.full(len(used), at_hand, np.int64),
        message_bytes=np.full(len(used), 100, np.int64),
        message_readings=np.bincount(message, minlength=len(used)),
        rejections=[],
    )


def record_at(place: Place, registry: Registry) -> Record:
    """A new record, or the one that is there."""
    engine = open_engine(place)
    schema.metadata.create_all(engine)
    return Record(engine, registry)


@dataclass
class Held:
    """What a record holds in the end; keys are texts and instants, values the figures."""

    statistics: dict[Any, Any] = field(default_factory=dict)
    verdicts: dict[Any, Any] = field(default_factory=dict)
    sliding: dict[Any, Any] = field(default_factory=dict)
    exceedances: dict[Any, Any] = field(default_factory=dict)


_STATISTIC = (
    "end",
    "mean",
    "minimum",
    "maximum",
    "count",
    "expected",
    "capture",
    "valid",
    "hours",
    "excluded",
    "suspect",
)
_LEVELS = ("l10", "l50", "l90")
_VERDICT = ("end", "verdict", "value", "low", "high", "capture", "reason", "reasons")
_EXCEEDANCE = ("end", "state", "peak", "peak_time", "threshold", "minutes")


def held(record: Record) -> Held:
    """The latest revisions."""
    keys = {int(number): c.key for number, c in zip(record.channel_ids, record.registry.channels, strict=True)}
    out = Held()
    for row in record.rows(sa.select(schema.statistic).where(schema.statistic.c.latest)):
        out.statistics[keys[row["channel"]], row["window"], row["start"]] = [row[n] for n in _STATISTIC + _LEVELS]
    for row in record.rows(sa.select(schema.verdict).where(schema.verdict.c.latest)):
        out.verdicts[row["rule"], row["start"]] = [row[n] for n in _VERDICT]
    for row in record.rows(sa.select(schema.sliding_hour)):
        out.sliding[row["rule"], row["hour"]] = [row["assessable"], row["above"], row["worst"]]
    for row in record.rows(sa.select(schema.exceedance).where(schema.exceedance.c.state != "withdrawn")):
        out.exceedances[row["rule"], row["start"]] = [row[n] for n in _EXCEEDANCE]
    return out


def assert_same(left: Held, right: Held, relative: float = 1e-12) -> None:
    """Floats to a relative difference, everything else exactly.

    Peaks are figures of nine digits; as in the record, two that differ in the last one are the same.
    """
    for name in ("statistics", "verdicts", "sliding", "exceedances"):
        a, b = getattr(left, name), getattr(right, name)
        assert a.keys() == b.keys(), (name, sorted(a.keys() ^ b.keys())[:10])
        different = {
            k: (a[k], b[k]) for k in a if not _same(a[k], b[k], relative, 1.5e-9 if name == "exceedances" else 0.0)
        }
        assert not different, (name, len(different), dict(sorted(different.items())[:5]))


def _same(left: Sequence[Any], right: Sequence[Any], relative: float, absolute: float) -> bool:
    return all(
        abs(a - b) <= max(relative * max(abs(a), abs(b)), absolute)
        if isinstance(a, float) and isinstance(b, float)
        else a == b
        for a, b in zip(left, right, strict=True)
    )


def feed(pipeline: Pipeline, parts: Iterable[Readings]) -> None:
    """Commit readings part by part."""
    for part in parts:
        newest = int(part.time.max(initial=0))
        pipeline.commit(batch_of(pipeline.registry, part), newest + 1000)
