"""Registries of any size, made for measuring."""

from __future__ import annotations

from pathlib import Path

PER_SITE = 100
"""Devices at one site."""

_SITE = """
id = "{site}"
enterprise = "bench-{enterprise}"
name_zh = "测试矿"
name_en = "Bench mine"
zone = "Asia/Shanghai"
product_zh = "页岩"
product_en = "Shale"
scale = "20 万吨/年"
batch = 1
batch_years = "2017–2018"
requirement_items = []
source = "made for measuring"

[position]
latitude = 30.86
longitude = 108.33
"""
_DEVICE = """
[[stations]]
id = "{device}"
name_zh = "测点"
name_en = "Station"
role = "boundary"
position = {{ latitude = 30.86, longitude = 108.33 }}
noise_class = "2"
limits = [{limits}]

[[devices]]
id = "{device}"
profile = "bench"
station = "{device}"
parameters = ["{parameter}"]
"""
_UNITS = {"laeq": "dB(A)", "tsp": "ug/m3", "pm10": "ug/m3"}
_LIMITS = {
    "laeq": ("gb12348-class2-day", "gb12348-class2-night"),
    "tsp": ("db50-418-fugitive",),
    "pm10": ("gb3095-pm10-day-class2",),
}


def device_of(number: int, per_site: int = PER_SITE) -> tuple[str, str]:
    """Site and device that serve a channel of the registry written here."""
    return f"mine-{number // per_site:04d}", f"device-{number % per_site:02d}"


def write_registry(
    directory: Path,
    channels: int,
    *,
    parameter: str = "laeq",
    judged: bool = True,
    interval: str = "1s",
    enterprises: int = 1,
    per_site: int = PER_SITE,
) -> Path:
    """Write a registry of devices with one channel each.

    Parameters
    ----------
    directory : Path
        Where its files go.
    channels : int
        How many; channel i is served by ``device_of(i)``.
    parameter : {"laeq", "tsp", "pm10"}
        What is measured.
    judged : bool
        Whether the usual limits apply at every station.
    interval : str
        Time between readings.
    enterprises : int
        Among how many the sites are dealt out.
    per_site : int
        Devices at one site; channel i is then served by ``device_of(i, per_site)``.
    """
    (directory / "sites").mkdir(parents=True)
    (directory / "enterprises.toml").write_text(
        "".join(
            f'[[enterprises]]\nid = "bench-{number}"\nname_zh = "测试"\nname_en = "Bench"\n'
            for number in range(enterprises)
        )
    )
    (directory / "profiles.toml").write_text(
        '[[profiles]]\nid = "bench"\nformat = "greenmine"\nzone = "Asia/Shanghai"\n'
        f'interval = "{interval}"\nsends_flags = false\n'
        f'[profiles.units]\n"{parameter}" = "{_UNITS[parameter]}"\n'
    )
    limits = ", ".join(f'"{limit}"' for limit in _LIMITS[parameter]) if judged else ""
    files: dict[str, str] = {}
    for number in range(channels):
        site, device = device_of(number, per_site)
        text = files.setdefault(site, _SITE.format(site=site, enterprise=number // per_site % enterprises))
        files[site] = text + _DEVICE.format(device=device, parameter=parameter, limits=limits)
    for site, text in files.items():
        (directory / "sites" / f"{site}.toml").write_text(text, encoding="utf-8")
    return directory
