"""Legal figures and verdicts of a logger's file: one station of a registry made for the file, judged by the core as any mine is."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np

from greenmine.collector.files import FileReadings
from greenmine.evidence.judging import judge_readings
from greenmine.evidence.recompute import midnight, recompute
from greenmine.limits import Limit, load_limits
from greenmine.loading import load_registry
from greenmine.processing.panes import MINUTE
from greenmine.readings import Readings
from greenmine.registry import Registry
from greenmine.reporting import Period, reporting_of
from greenmine.tables import nearest
from greenmine.zones import Zone

WINDOWS: Final = {3_600_000: "hour", 86_400_000: "day"}
"""Windows of legal statistics by their length [ms]."""
_DAYS_AT_MOST: Final = 366
_ID: Final = "file"


@dataclass(frozen=True, slots=True)
class OneStation:
    """The readings of a file as those of a registry of one station.

    Parameters
    ----------
    registry : Registry
        Made for the file.
    readings : Readings
        All parameters, in order of time.
    period : Period
        The local days that have readings.
    """

    registry: Registry
    readings: Readings
    period: Period

    @staticmethod
    def of(series: Sequence[FileReadings], limits: Sequence[str], zone: str) -> OneStation:
        """Put readings of files into a registry of their own.

        Parameters
        ----------
        series : sequence of FileReadings
            One for each parameter, with an interval.
        limits : sequence of str
            Ids of limits that hold at the station.
        zone : str
            Zone of its clock.

        Raises
        ------
        ValueError
            If a limit does not exist, judges none of the parameters, or needs a second station; if readings are in doubt or span
            more than a year.
        """
        zone = _by_name(zone)
        found = _limits(limits, [one.parameter.id for one in series])
        for one in series:
            doubtful = int(np.count_nonzero(one.doubtful & (one.bound == 0)))
            if doubtful:
                raise ValueError(
                    f"{doubtful:,} readings of {one.parameter.id} may be none, as the notes say: settle them first"
                )
        times = np.concatenate([one.time for one in series])
        if not len(times):
            raise ValueError("there are no readings")
        clock = Zone(zone)
        first, last = (datetime.fromisoformat(text).date() for text in clock.text(np.array([times.min(), times.max()])))
        if (last - first).days >= _DAYS_AT_MOST:
            raise ValueError(f"the readings span more than {_DAYS_AT_MOST} days, from {first} to {last}: split them")
        with tempfile.TemporaryDirectory(prefix="greenmine-") as folder:
            _write(Path(folder), series, found, zone)
            registry = load_registry(Path(folder))
        by_parameter = {channel.parameter.id: channel.index for channel in registry.channels}
        parts = []
        for one in series:
            kept = ~np.isnan(one.value) | (one.flag != ord("N"))
            channel = np.full(len(one), by_parameter[one.parameter.id], np.int32)
            flag = np.where(one.bound > 0, np.uint8(ord("T")), one.flag)
            parts.append(Readings(channel, one.time, one.value, flag).take(kept))
        together = Readings.concat(parts)
        order = np.argsort(together.time, kind="stable")
        return OneStation(registry, together.take(order), Period(f"{first}/{last}", first, last))

    def verdicts(self) -> list[dict[str, Any]]:
        """Verdicts on every window of the limits, as ``greenmine judge`` finds them."""
        document = judge_readings(self.registry, [_ID], self.period, reporting_of(None), self.readings, [])
        names = (
            "limit",
            "start",
            "end",
            "value",
            "judged",
            "low",
            "high",
            "judgement",
            "standing",
            "reason",
            "capture",
        )
        return [{name: getattr(one, name) for name in names} for one in document.verdicts]

    def statistics(self, window: str) -> list[dict[str, Any]]:
        """Legal figures of the windows that have readings: of a day the mean of its valid hours."""
        site = self.registry.sites[0]
        zone, clock = ZoneInfo(site.zone), Zone(site.zone)

        def of_day(day: date) -> Readings:
            edges = [midnight(edge, zone) * MINUTE for edge in (day, day + timedelta(days=1))]
            first, last = np.searchsorted(self.readings.time, edges).tolist()
            return self.readings.take(np.arange(first, last))

        found = recompute(self.registry, site, self.period, of_day, [])
        others = (one for _, one in sorted(found.statistics.items()) if one.window == window)
        hours = chain.from_iterable(found.hours.values())
        return [
            {
                "parameter": self.registry.channels[one.channel].parameter.id,
                "start": clock.text(np.array([one.start * MINUTE]))[0],
                "end": clock.text(np.array([one.end * MINUTE]))[0],
                "mean": one.mean,
                "minimum": one.minimum,
                "maximum": one.maximum,
                "count": one.count,
                "hours": one.hours,
                "capture": one.capture,
                "valid": one.valid,
            }
            for one in (hours if window == "hour" else others)
        ]


def _by_name(zone: str) -> str:
    """The name of a zone; an offset of whole hours has one, whose sign is the other way round."""
    if zone[:1] not in "+-":
        return zone
    hours, minutes = int(zone[:3]), zone[4:]
    if minutes.strip("0"):
        raise ValueError(f"legal days need a zone with a name such as Asia/Shanghai, not {zone}: give --zone")
    return f"Etc/GMT{-hours:+d}" if hours else "UTC"


def _limits(ids: Sequence[str], parameters: Sequence[str]) -> list[Limit]:
    known, _ = load_limits()
    for name in ids:
        if name not in known:
            raise ValueError(f"--limit {name!r} is none; {nearest(name, known)}, see docs/limits.md")
        if known[name].parameter not in parameters:
            raise ValueError(f"--limit {name} judges {known[name].parameter}, not {', '.join(parameters)}")
        if known[name].statistic == "difference":
            raise ValueError(f"--limit {name} judges the difference of two stations: see greenmine judge")
    return [known[name] for name in ids]


def _write(folder: Path, series: Sequence[FileReadings], limits: Sequence[Limit], zone: str) -> None:
    """Write the registry: a station for each theme, since the weather around noise is that of its own station."""
    (folder / "sites").mkdir()
    names = {"name_zh": "文件", "name_en": "File"}
    _toml(folder / "enterprises.toml", {}, enterprises=[{"id": _ID, **names}])
    profiles = [
        {"id": f"{_ID}-{n}", "format": "greenmine", "zone": zone, "interval": _whole(one), "sends_flags": True}
        | {"units": {one.parameter.id: one.parameter.unit}}
        for n, one in enumerate(series)
    ]
    _toml(folder / "profiles.toml", {}, profiles=profiles)
    place = {"latitude": 30.0, "longitude": 108.0, "height": 3.0}
    stations = [
        {"id": theme, **names, "role": _ROLES.get(theme, "receptor"), "position": place}
        | ({"noise_class": "2"} if theme == "noise" else {})
        | {
            "limits": [
                limit.id
                for limit in limits
                if limit.parameter in {p.parameter.id for p in series if p.parameter.theme == theme}
            ]
        }
        for theme in dict.fromkeys(one.parameter.theme for one in series)
    ]
    devices = [
        {"id": f"{_ID}-{n}", "profile": f"{_ID}-{n}", "station": one.parameter.theme, "parameters": [one.parameter.id]}
        for n, one in enumerate(series)
    ]
    head = {
        "id": _ID,
        "enterprise": _ID,
        **names,
        "zone": zone,
        "works": True,
        "source": "a logger's file",
        "position": place,
        "product_zh": "",
        "product_en": "",
        "scale": "",
        "batch": 1,
        "batch_years": "",
        "requirement_items": [],
    }
    _toml(folder / "sites" / "file.toml", head, stations=stations, devices=devices)


_ROLES: Final = {"weather": "weather", "water": "outfall", "equipment": "equipment"}


def _whole(one: FileReadings) -> str:
    if one.interval is None:
        raise ValueError(f"{one.parameter.id} has one instant, which shows no interval; give --interval")
    return f"{max(1, round(one.interval / 1000))}s"


def _toml(path: Path, head: dict[str, Any], **tables: list[dict[str, Any]]) -> None:
    lines = [f"{key} = {_value(value)}" for key, value in head.items()]
    for name, entries in tables.items():
        for entry in entries:
            lines += [f"[[{name}]]", *(f"{key} = {_value(value)}" for key, value in entry.items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_value(one)}" for key, one in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)
