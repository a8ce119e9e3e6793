"""A registry with a theme, a parameter and a limit that do not ship, as docs/extend.md says how to add them."""

from __future__ import annotations

import shutil
from pathlib import Path

from greenmine import limits, parameters, themes
from greenmine.registry import DEFAULT

CHANNEL = "kunyin/receptor/ppv"

_THEME = """
[[themes]]
id = "vibration"
name_zh = "振动"
name_en = "Vibration"
judged = true
hj212 = "37"
"""
_PARAMETER = """
[[parameters]]
id = "ppv"
name_zh = "质点峰值振动速度"
name_en = "Peak particle velocity"
symbol = "PPV"
unit = "mm/s"
averaging = "maximum"
low = 0
high = 500
decimals = 2
hj212 = "V00001"
theme = "vibration"
source = "example"
"""
_LIMIT = """
[[limits]]
id = "example-ppv"
name_zh = "爆破振动（示例）"
name_en = "Blasting vibration (example)"
standard = "example"
addressee = "emission"
parameter = "ppv"
statistic = "maximum"
window = "hour"
unit = "mm/s"
validity = "hour"
rounding = "none"
alarm = "outflow"
thresholds = [
  { valid_from = 2020-01-01, high = 0.01, source = "example", clause = "1", confidence = "verified: official text" },
]
"""
_DEVICES = """
[[devices]]
id = "geophone"
profile = "greenmine-300s-ppv"
station = "receptor"
parameters = ["ppv"]

[[devices]]
id = "geophone-maker"
profile = "geophone"
station = "boundary"
parameters = ["ppv"]
address = "A7"
"""
_PROFILES = """
[[profiles]]
id = "greenmine-300s-ppv"
format = "greenmine"
zone = "Asia/Shanghai"
interval = "300s"
sends_flags = false

[profiles.units]
ppv = "mm/s"

# What the maker's own instrument sends: {"at": "2026-11-16T14:00:00+08:00", "peak_um_s": 400}
[[profiles]]
id = "geophone"
format = "mapped"
interval = "300s"
sends_flags = false
topics = ["geophones/{address}/peak"]

[profiles.mapping]
time = "at"
values = [{ parameter = "ppv", value = "peak_um_s", unit = "um/s" }]
"""


def extended(folder: Path) -> Path:
    """Write the registry: the mines that ship, a reading in five minutes, and a geophone at the homes near Kunyin."""
    shutil.copytree(DEFAULT, folder)
    for catalogue, added in (
        (themes.CATALOGUE, _THEME),
        (parameters.CATALOGUE, _PARAMETER),
        (limits.CATALOGUE, _LIMIT),
    ):
        (folder / catalogue.name).write_text(catalogue.read_text("utf-8") + added, "utf-8")
    profiles = folder / "profiles.toml"
    profiles.write_text(
        profiles.read_text("utf-8").replace('interval = "60s"', 'interval = "300s"') + _PROFILES, "utf-8"
    )
    site = folder / "sites" / "kunyin.toml"
    text = site.read_text("utf-8").replace(
        '  "gb3096-class2-night",\n]', '  "gb3096-class2-night",\n  "example-ppv",\n]'
    )
    site.write_text(text.replace("[[calibrations]]", _DEVICES + "\n[[calibrations]]", 1), "utf-8")
    return folder
