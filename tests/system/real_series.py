"""The real series of shared/data: how each is read without the project's reader, and the registry that they need."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

DATA = Path(__file__).parents[2] / "../shared/data"

_UNITS = {
    "pm10": "ug/m3",
    "pm2.5": "ug/m3",
    "laeq": "dB(A)",
    "water-temperature": "degC",
    "conductivity": "uS/cm",
    "ph": "1",
    "do": "mg/L",
    "turbidity": "NTU",
    "air-temperature": "degC",
    "humidity": "%",
    "wind-speed": "m/s",
    "wind-direction": "deg",
    "pressure": "hPa",
}


@dataclass(frozen=True)
class Series:
    """One file and how it is to be understood."""

    site: str
    file: str
    zone: str
    """Fixed offset from UTC, so that a local hour is an hour."""
    ahead: int
    """The same [h]."""
    interval: int
    """Distance of readings [s]."""
    columns: dict[str, str]
    """Column of the file to parameter."""
    role: str
    limits: tuple[str, ...] = ()
    warnings: dict[str, float] = field(default_factory=dict)
    """Lower values of those limits, which real air does exceed."""

    def frame(self) -> pl.DataFrame:
        """Instants [ms UTC] as ``time``, and the columns under the names of the parameters; null where no number is."""
        raw, stamp = _READERS[self.site](DATA / self.file)
        values = [raw[column].cast(pl.Float64, strict=False).alias(name) for column, name in self.columns.items()]
        local = stamp.dt.cast_time_unit("ms").cast(pl.Int64)
        return pl.DataFrame([(local - self.ahead * 3_600_000).alias("time"), *values])


SERIES = (
    Series(
        "sensor",
        "dust/sensor-community-8733-2018-03-20-to-2018-04-20.csv",
        "UTC",
        0,
        150,
        {"P1": "pm10", "P2": "pm2.5"},
        "receptor",
        ("gb3095-pm10-day-class2", "gb3095-pm2.5-day-class2"),
        {"gb3095-pm10-day-class2": 50, "gb3095-pm2.5-day-class2": 15},
    ),
    Series(
        "unit1",
        "dust/pm25-o3-no2-1min-august-2019-unit-1.csv",
        "Etc/GMT+5",
        -5,
        60,
        {"PM2.5 (µg/m³)": "pm2.5"},
        "receptor",
        ("gb3095-pm2.5-day-class2",),
        {"gb3095-pm2.5-day-class2": 7},
    ),
    Series(
        "street",
        "noise/laeq-1min-2025-03-21-to-2025-04-01.csv",
        "Asia/Shanghai",
        8,
        60,
        {"LEQ dB -A": "laeq"},
        "receptor",
        ("gb3096-class2-day", "gb3096-class2-night"),
    ),
    Series(
        "street-1s",
        "noise/laeq-1s-2025-03-22-00h-to-03h.csv",
        "Asia/Shanghai",
        8,
        1,
        {"LEQ dB -A": "laeq"},
        "receptor",
    ),
    Series(
        "river",
        "water/river-sonde-main-street-15min-2019-01-to-06.csv",
        "Etc/GMT+7",
        -7,
        900,
        {"temp": "water-temperature", "cond": "conductivity", "ph": "ph", "do": "do", "turb": "turbidity"},
        "outfall",
    ),
    Series(
        "alamosa",
        "weather/surfrad-alamosa-1min-2016-01-01.dat",
        "UTC",
        0,
        60,
        {
            "temp": "air-temperature",
            "rh": "humidity",
            "windspd": "wind-speed",
            "winddir": "wind-direction",
            "pressure": "pressure",
        },
        "weather",
    ),
)


_SURFRAD = [
    *("dw_solar", "uw_solar", "direct_n", "diffuse", "dw_ir", "dw_casetemp", "dw_dometemp", "uw_ir", "uw_casetemp"),
    *("uw_dometemp", "uvb", "par", "netsolar", "netir", "totalnet", "temp", "rh", "windspd", "winddir", "pressure"),
]


def _csv(path: Path, stamp: str, form: str, **options: object) -> tuple[pl.DataFrame, pl.Series]:
    raw = pl.read_csv(path, infer_schema=False, **options)  # type: ignore[arg-type]
    raw.columns = [name.strip() for name in raw.columns]
    return raw, raw[stamp].str.to_datetime(form)


def _surfrad(path: Path) -> tuple[pl.DataFrame, pl.Series]:
    """Blank-separated columns under two lines of station: README of the SURFRAD network."""
    names = ["year", "jday", "month", "day", "hour", "minute", "fraction", "zenith"]
    for quantity in _SURFRAD:
        names += [quantity, f"{quantity}_qc"]
    rows = [line.split() for line in path.read_text().splitlines()[2:]]
    raw = pl.DataFrame(rows, schema=names, orient="row")
    moment = pl.datetime(*(pl.col(name).cast(pl.Int32) for name in ("year", "month", "day", "hour", "minute")))
    return raw, raw.select(moment.alias("moment"))["moment"]


_READERS = {
    "sensor": lambda path: _csv(path, "timestamp", "%Y-%m-%dT%H:%M:%S", separator=";"),
    "unit1": lambda path: _csv(path, "Time", "%m/%d/%Y %H:%M", skip_rows=6),
    "street": lambda path: _csv(path, "datetime", "%Y-%m-%d %H:%M:%S"),
    "street-1s": lambda path: _csv(path, "datetime", "%Y-%m-%d %H:%M:%S"),
    "river": lambda path: _csv(path, "datetime", "%Y-%m-%d %H:%M"),
    "alamosa": _surfrad,
}


def write_registry(folder: Path) -> Path:
    """A registry with one site, station and device for each series."""
    (folder / "sites").mkdir(parents=True)
    (folder / "enterprises.toml").write_text('[[enterprises]]\nid = "owner"\nname_zh = "业主"\nname_en = "Owner"\n')
    profiles = []
    for series in SERIES:
        units = "\n".join(f'"{name}" = "{_UNITS[name]}"' for name in series.columns.values())
        profiles.append(
            f'[[profiles]]\nid = "{series.site}"\nformat = "greenmine"\nzone = "{series.zone}"\n'
            f'interval = "{series.interval}s"\nsends_flags = false\n[profiles.units]\n{units}\n'
        )
        (folder / "sites" / f"{series.site}.toml").write_text(_site(series))
    (folder / "profiles.toml").write_text("\n".join(profiles))
    return folder


def _site(series: Series) -> str:
    noise = 'noise_class = "2"\n' if any("gb3096" in limit for limit in series.limits) else ""
    targets = ", ".join(
        f'{{ limit = "{limit}", high = {high}, kind = "warning", valid_from = 2016-01-01, source = "a test" }}'
        for limit, high in series.warnings.items()
    )
    return f"""
id = "{series.site}"
enterprise = "owner"
name_zh = "实测数据"
name_en = "Real data"
zone = "{series.zone}"
product_zh = "无"
product_en = "none"
scale = "0"
batch = 1
batch_years = "2017"
requirement_items = []
source = "{series.file}"

[position]
latitude = 30.8
longitude = 108.4

[[stations]]
id = "place"
name_zh = "点"
name_en = "Place"
role = "{series.role}"
position = {{ latitude = 30.81, longitude = 108.41 }}
{noise}limits = {list(series.limits)}
targets = [{targets}]

[[devices]]
id = "device"
profile = "{series.site}"
station = "place"
parameters = {list(series.columns.values())}
"""
