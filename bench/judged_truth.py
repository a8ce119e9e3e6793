"""Verdicts of a month of water, differences, working time and daily means beside an independent computation of their clauses."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.table import Row
from greenmine.evidence.judging import JudgedWindow, judge_readings
from greenmine.limits import CATALOGUE
from greenmine.loading import load_registry
from greenmine.readings import Readings
from greenmine.registry import Registry
from greenmine.reporting import load_reporting, parse_period

Values = NDArray[np.float64]
Expected = tuple[str, float | None]
"""A judgement and the figure behind it, None where there is none or it does not matter."""

_DAYS: Final = 31
_MARGIN: Final = 24
"""Hours of readings after the month, in which its last night ends."""
_FIRST: Final = (int(datetime(2027, 3, 1, tzinfo=UTC).timestamp()) - 8 * 3600) // 60
"""Midnight of the first day in Asia/Shanghai [minutes since 1970 UTC]."""
_MINUTES: Final = (24 * _DAYS + _MARGIN) * 60
_SITE: Final = "mine"
_ENTERPRISE: Final = '[[enterprises]]\nid = "owner"\nname_zh = "测试"\nname_en = "Bench"\n'
_MINE: Final = f"""
id = "{_SITE}"
enterprise = "owner"
name_zh = "测试矿"
name_en = "Bench mine"
zone = "Asia/Shanghai"
product_zh = "灰岩"
product_en = "Limestone"
scale = "10 万吨/年"
batch = 1
batch_years = "2027"
requirement_items = []
source = "made for comparing"
position = {{ latitude = 30.0, longitude = 108.0 }}
working = {{ equipment = "crusher" }}
"""
_STATIONS: Final[Mapping[str, tuple[str, float, str, str, str]]] = {
    "reference": ("reference", 30.01, "", "minute", '"tsp"'),
    "boundary": (
        "boundary",
        29.99,
        '"gb4915-difference", "gb12348-class2-day", "gb12348-class2-night"',
        "minute",
        '"tsp", "laeq"',
    ),
    "homes": ("receptor", 29.98, '"gb3095-pm10-day-class2", "bench-month"', "minute", '"pm10"'),
    "outfall": ("outfall", 29.995, '"gb8978-cod-level1", "gb8978-ph"', "quarter", '"flow", "cod", "ph"'),
    "weather": ("weather", 30.0, "", "minute", '"wind-speed", "wind-direction", "rain"'),
    "crusher": ("equipment", 30.0, "", "minute", '"equipment-state"'),
}
"""Role, latitude, limits, profile and parameters of each station; all lie on one meridian, the reference north of the pit."""
_UNITS: Final = {
    "tsp": "ug/m3", "laeq": "dB(A)", "pm10": "ug/m3", "flow": "L/s", "cod": "mg/L", "ph": "1", "wind-speed": "m/s",
    "wind-direction": "deg", "rain": "mm", "equipment-state": "1",
}  # fmt: skip
_MONTH: Final = """
[[limits]]
id = "bench-month"
name_zh = "月均值"
name_en = "Mean of a month"
standard = "bench"
parameter = "pm10"
statistic = "mean"
window = "month"
unit = "ug/m3"
kind = "legal"
addressee = "quality"
validity = "ambient-year"
rounding = "ambient"
thresholds = [{ valid_from = 2017-01-01, high = 100, source = "bench", clause = "1", confidence = "verified: secondary sources" }]
"""


def measure(seeds: int = 3) -> Iterator[Row]:
    """The row of this subject: verdicts of some months, each with other weather, work and gaps."""
    compared, wrong = 0, []
    for seed in range(seeds):
        for key, told, expected in _verdicts(seed):
            compared += 1
            judgement, value = expected
            near = value is None or (told.value is not None and abs(told.value - value) <= 1e-6 * max(1.0, abs(value)))
            if told.judgement != judgement or not near:
                wrong.append(f"seed {seed}: {key} {told.start}: {told.judgement} {told.value}, not {expected}")
    for line in wrong[:20]:
        print(line)
    what = f"verdicts on water, differences, working time, months unlike the clauses, of {compared} compared"
    yield Row("truth", what, f"{len(wrong)}", "0", float(len(wrong)), "<=", 0.0)


def _verdicts(seed: int) -> Iterator[tuple[str, JudgedWindow, Expected]]:
    with tempfile.TemporaryDirectory(prefix="greenmine-bench-") as name:
        registry = load_registry(_write(Path(name) / "registry"))
    measured = _measured(np.random.default_rng(seed))
    reporting = load_reporting()
    document = judge_readings(
        registry, [_SITE], parse_period("2027-03", reporting), reporting, _readings(registry, measured), []
    )
    expected = {
        "gb4915-difference": _differences(measured),
        "gb12348-class2-day": _noise(measured, 6, 16, 60.0, 12),
        "gb12348-class2-night": _noise(measured, 22, 8, 50.0, 6),
        "gb8978-cod-level1": _cod(measured),
        "gb8978-ph": _ph(measured),
        "gb3095-pm10-day-class2": [_rounded(mean, 120.0) for mean in _days(measured)],
        "bench-month": [_month(measured)],
    }
    for limit, rows in expected.items():
        told = sorted((v for v in document.verdicts if v.limit == limit), key=lambda v: v.period_start)
        assert len(told) == len(rows), (limit, len(told), len(rows))
        yield from ((limit, one, row) for one, row in zip(told, rows, strict=True))


def _write(folder: Path) -> Path:
    (folder / "sites").mkdir(parents=True)
    (folder / "enterprises.toml").write_text(_ENTERPRISE, encoding="utf-8")
    profiles = [
        f'[[profiles]]\nid = "{name}"\nformat = "greenmine"\nzone = "Asia/Shanghai"\ninterval = "{interval}"\n'
        "sends_flags = true\n[profiles.units]\n" + "".join(f'"{p}" = "{unit}"\n' for p, unit in _UNITS.items())
        for name, interval in (("minute", "60s"), ("quarter", "15min"))
    ]
    (folder / "profiles.toml").write_text("\n".join(profiles), encoding="utf-8")
    (folder / "limits.toml").write_text(CATALOGUE.read_text(encoding="utf-8") + _MONTH, encoding="utf-8")
    text = _MINE
    for station, (role, latitude, limits, profile, parameters) in _STATIONS.items():
        text += (
            f'[[stations]]\nid = "{station}"\nname_zh = "测点"\nname_en = "Station"\nrole = "{role}"\n'
            f"position = {{ latitude = {latitude}, longitude = 108.0 }}\nlimits = [{limits}]\n"
            f'[[devices]]\nid = "{station}"\nstation = "{station}"\nprofile = "{profile}"\nparameters = [{parameters}]\n'
        )
        text += 'state = "standard"\n' if '"tsp"' in parameters else ""
    (folder / f"sites/{_SITE}.toml").write_text(text, encoding="utf-8")
    return folder


def _measured(random: np.random.Generator) -> dict[str, Values]:
    """Values by the minute of each channel, NaN where nothing was measured."""
    hours = _MINUTES // 60
    hour = np.arange(_MINUTES) // 60
    clock = hour % 24

    def hourly(low: float, high: float) -> Values:
        return random.uniform(low, high, hours)[hour]

    def quarterly(values: Values) -> Values:
        return np.where(np.arange(_MINUTES) % 15 == 0, values, np.nan)

    def holed(values: Values, share: float) -> Values:
        """Some hours are gone in part, some whole."""
        gone = np.where(random.random(hours) < share, random.choice([1.0, 0.5, 0.3, 0.2], hours), 0.0)[hour]
        return np.where(np.arange(_MINUTES) % 60 < 60 * gone, np.nan, values)

    works = ((clock >= 8) & (clock < 12)) | ((clock >= 14) & (clock < 18)) | ((clock >= 22) & (hour // 24 % 3 == 0))
    works &= random.random(_DAYS + 1)[hour // 24] < 0.85
    state = works.astype(np.float64)
    state[hour // 24 % 7 == 5] = np.nan  # a day a week nobody knows
    flow = np.where((clock >= 9) & (clock < 9 + hour // 24 % 6), hourly(0.5, 8.0), 0.0)
    spread = random.choice([5.0, 20.0, 40.0, 70.0], hours)[hour]
    return {
        "weather/wind-speed": holed(np.round(np.abs(hourly(0.2, 5.6) + random.normal(0, 0.3, _MINUTES)), 2), 0.02),
        "weather/wind-direction": holed(
            np.round((random.choice([0.0, 20.0, 50.0, 180.0], hours)[hour] + random.normal(0, spread)) % 360, 1) % 360, 0.02
        ),
        "weather/rain": np.where(random.random(hours)[hour] < 0.04, 0.2, 0.0),
        "crusher/equipment-state": state,
        "boundary/laeq": holed(
            np.round(np.where(works, random.uniform(54, 64, _DAYS + 1)[hour // 24], 44) + random.normal(0, 3, _MINUTES), 1),
            0.05,
        ),
        "boundary/tsp": holed(np.round(hourly(300, 1000) + random.normal(0, 40, _MINUTES), 1), 0.05),
        "reference/tsp": holed(np.round(hourly(50, 250) + random.normal(0, 20, _MINUTES), 1), 0.05),
        "homes/pm10": holed(
            np.round(random.uniform(55, 140, _DAYS + 1)[hour // 24] + random.normal(0, 20, _MINUTES), 1), 0.05
        ),
        "outfall/flow": quarterly(holed(np.round(flow, 2), 0.02)),
        "outfall/cod": quarterly(holed(np.round(hourly(60, 130), 1), 0.02)),
        "outfall/ph": quarterly(holed(np.round(random.uniform(6.1, 8.99, _MINUTES), 2) + (random.random(_MINUTES) < 0.02), 0.02)),
    }  # fmt: skip


def _readings(registry: Registry, measured: Mapping[str, Values]) -> Readings:
    parts = []
    for channel in registry.channels:
        values = measured[channel.key.removeprefix(f"{_SITE}/")]
        minute = np.flatnonzero(~np.isnan(values))
        parts.append(
            Readings(
                np.full(len(minute), channel.index, np.int32),
                (_FIRST + minute) * 60_000,
                values[minute],
                np.full(len(minute), ord("N"), np.uint8),
            )
        )
    return Readings.concat(parts)


def _windows(values: Values, width: int = 60) -> tuple[Values, NDArray[np.int64]]:
    """Sum and number of what was measured in the minutes up to each, summed in whole numbers of a ten-thousandth."""
    whole = np.where(np.isnan(values), 0, np.round(values * 1e4)).astype(np.int64)
    there = (~np.isnan(values)).astype(np.int64)
    sums, counts = (np.cumsum(np.append(np.zeros(width, np.int64), x)) for x in (whole, there))
    return (sums[width:] - sums[:-width]) / 1e4, counts[width:] - counts[:-width]


def _differences(measured: Mapping[str, Values]) -> list[Expected]:
    """GB 4915-2013, Table 3, over any hour; HJ/T 55-2000, 8.5.3. The reference lies north of the pit, the point south of it."""
    with np.errstate(invalid="ignore", divide="ignore"):
        (down, n_down), (up, n_up), (speed, n_speed) = (
            _windows(measured[key]) for key in ("boundary/tsp", "reference/tsp", "weather/wind-speed")
        )
        angle = np.deg2rad(measured["weather/wind-direction"])
        n = _windows(angle)[1]
        east, north = (np.convolve(np.nan_to_num(x), np.ones(60))[: len(x)] / n for x in (np.sin(angle), np.cos(angle)))
        speed = np.round(speed / n_speed, 9)
        away = np.abs((np.degrees(np.arctan2(east, north)) + 180) % 360 - 180)
        e = np.sqrt(np.maximum(0, 1 - (east**2 + north**2)))
        sigma = np.degrees(np.arcsin(e)) * (1 + (2 / np.sqrt(3) - 1) * e**3)
        spread, pace = np.searchsorted([15, 30, 45], sigma), np.searchsorted([2.0, 3.0, 4.5], speed)
        good = (n >= 45) & (n_speed >= 45) & (speed >= 1) & (spread < 3) & (pace < 3) & ~((spread == 2) & (pace == 2))
        good &= (away <= 45) & (n_down >= 45) & (n_up >= 45)
        value = np.where(good, down / n_down - up / n_up, -np.inf)
    found: list[Expected] = []
    for hour in range(24 * _DAYS):
        worst = float(value[60 * hour : 60 * hour + 60].max())
        own = bool(good[60 * hour + 59])
        found.append(
            ("exceeds", worst) if round(worst, 9) > 500 else ("meets", worst) if own else ("not assessable", None)
        )
    return found


def _noise(measured: Mapping[str, Values], first: int, length: int, limit: float, hours: int) -> list[Expected]:
    """GB 12348-2008, 5.2.1, 5.2.2, 5.4.3: Leq of the working minutes; of the loudest hour where these are not known."""
    wind, rain = measured["weather/wind-speed"], measured["weather/rain"]
    out = (np.nan_to_num(wind) >= 5) | (np.nan_to_num(rain) > 0)
    level, state = measured["boundary/laeq"], measured["crusher/equipment-state"]
    energy = np.where(out, np.nan, 10 ** (level / 10))
    found: list[Expected] = []
    for day in range(_DAYS):
        span = slice(60 * (24 * day + first), 60 * (24 * day + first + length))
        mine, known = energy[span], ~np.isnan(state[span])
        if known.mean() >= 0.75:
            used = mine[(np.nan_to_num(state[span]) >= 0.5) & ~np.isnan(mine)]
            value = float(10 * np.log10(used.mean())) if len(used) else None
            enough = len(used) >= 60
        else:
            there = ~np.isnan(mine)
            count = np.convolve(there, np.ones(60, np.int64))[: len(mine)]
            total = np.convolve(np.nan_to_num(mine), np.ones(60))[: len(mine)]
            loudest = total[count >= 45] / count[count >= 45]
            value = float(10 * np.log10(loudest.max())) if len(loudest) else None
            enough = (there.reshape(-1, 60).sum(axis=1) >= 45).sum() >= hours or (
                value is not None and round(value, 9) > limit
            )
        if value is None or not enough:
            found.append(("not assessable", None))
        else:
            found.append(("exceeds" if round(value, 9) > limit else "meets", value))
    return found


def _discharge(measured: Mapping[str, Values]) -> tuple[Values, NDArray[np.bool_], Values]:
    """Mean flow of each hour, whether it is known, and hours due; shape (days, 24)."""
    flow = measured["outfall/flow"][: 1440 * _DAYS].reshape(_DAYS, 24, 60)
    count = (~np.isnan(flow)).sum(axis=2)
    mean = np.nansum(flow, axis=2) / np.maximum(count, 1)
    known = count >= 3
    return np.where(known, mean, 0.0), known, (mean > 0) | ~known


def _cod(measured: Mapping[str, Values]) -> list[Expected]:
    """GB 8978-1996, 5.2, weighted by flow: hours of discharge are due, and none is made up for."""
    flow, known, due = _discharge(measured)
    value = measured["outfall/cod"][: 1440 * _DAYS].reshape(_DAYS, 24, 60)
    count = (~np.isnan(value)).sum(axis=2)
    mean = np.nansum(value, axis=2) / np.maximum(count, 1)
    found: list[Expected] = []
    for day in range(_DAYS):
        if not due[day].any() or (due[day] & (~known[day] | (count[day] < 3))).any():
            found.append(("not assessable", None))
            continue
        figure = float((mean[day] * flow[day])[due[day]].sum() / flow[day][due[day]].sum())
        found.append(("exceeds" if round(figure, 9) > 100 else "meets", figure))
    return found


def _ph(measured: Mapping[str, Values]) -> list[Expected]:
    """GB 8978-1996, Table 4: every reading of a valid hour of discharge lies from 6 to 9."""
    _, _, due = _discharge(measured)
    value = measured["outfall/ph"][: 1440 * _DAYS].reshape(_DAYS, 24, 60)
    valid = due & ((~np.isnan(value)).sum(axis=2) >= 3)
    found: list[Expected] = []
    for day in range(_DAYS):
        inside = value[day][valid[day]]
        inside = inside[~np.isnan(inside)]
        if ((inside < 6) | (inside > 9)).any():
            found.append(("exceeds", None))
        else:
            found.append(("meets" if due[day].any() and (valid[day] == due[day]).all() else "not assessable", None))
    return found


def _days(measured: Mapping[str, Values]) -> list[float | None]:
    """GB 3095-2026, Table 4: mean of the hourly means of a day that has 20. PM10 below -10 is no measurement (docs/registry.md)."""
    value = measured["homes/pm10"][: 1440 * _DAYS].reshape(_DAYS, 24, 60)
    value = np.where(value < -10, np.nan, value)
    count = (~np.isnan(value)).sum(axis=2)
    mean = np.nansum(value, axis=2) / np.maximum(count, 1)
    return [
        float(mean[day][count[day] >= 45].mean()) if (count[day] >= 45).sum() >= 20 else None for day in range(_DAYS)
    ]


def _month(measured: Mapping[str, Values]) -> Expected:
    """Mean of the valid daily means of a month that has 27."""
    days = [day for day in _days(measured) if day is not None]
    return _rounded(float(np.mean(days)) if len(days) >= 27 else None, 100.0)


def _rounded(mean: float | None, limit: float) -> Expected:
    """HJ 633-2026, 4.2.2: in whole numbers, half to the even one."""
    if mean is None:
        return "not assessable", None
    return "exceeds" if round(round(mean, 9)) > limit else "meets", mean
