"""A registry of one mine that stands for any, with the profiles and devices that a test gives it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

ENTERPRISES = '[[enterprises]]\nid = "owner"\nname_zh = "业主"\nname_en = "Owner"\n'
SITE = """
id = "pit"
enterprise = "owner"
name_zh = "矿山"
name_en = "Pit"
zone = "Asia/Shanghai"
product_zh = "页岩"
product_en = "Shale"
scale = "1"
batch = 1
batch_years = "2017–2018"
requirement_items = []
source = "made for tests"
position = { latitude = 30.8, longitude = 108.4 }
"""


def device(name: str, profile: str, parameters: Iterable[str], more: str = "", *, station: str = "") -> str:
    """A device at a station of its own; ``more`` are further lines. The station has the device's name unless given."""
    named = ", ".join(f'"{parameter}"' for parameter in parameters)
    return f"""
[[stations]]
id = "{station or name}"
name_zh = "点"
name_en = "Point"
role = "boundary"
position = {{ latitude = 30.8, longitude = 108.4 }}
[[devices]]
id = "{name}"
profile = "{profile}"
station = "{station or name}"
parameters = [{named}]
{more}
"""


def write_pit(directory: Path, profiles: str, devices: Iterable[str]) -> Path:
    """Write the registry into a directory."""
    (directory / "sites").mkdir(parents=True)
    (directory / "enterprises.toml").write_text(ENTERPRISES, encoding="utf-8")
    (directory / "profiles.toml").write_text(profiles, encoding="utf-8")
    (directory / "sites" / "pit.toml").write_text(SITE + "".join(devices), encoding="utf-8")
    return directory
