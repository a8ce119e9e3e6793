"""What the tests of mapped profiles share: a registry of given profiles and devices."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from greenmine.loading import load_registry
from greenmine.registry import Registry

SITE = """
id = "pit"
enterprise = "owner"
name_zh = "矿山"
name_en = "Pit"
zone = "Asia/Shanghai"
product_zh = "石灰石"
product_en = "limestone"
scale = "1"
batch = 1
batch_years = "2026"
requirement_items = []
source = "a test"
position = { latitude = 30.8, longitude = 108.4 }
"""
STATION = """
[[stations]]
id = "%s"
name_zh = "点"
name_en = "Point"
role = "boundary"
position = { latitude = 30.8, longitude = 108.4 }
"""
HEAD = """
[[profiles]]
id = "{id}"
format = "mapped"
interval = "1s"
sends_flags = {flags}
receive_time = {receive}
zone = "{zone}"
topics = {topics}
[profiles.mapping]
"""


def profile(
    mapping: str, *, name: str = "p", topics: str = "[]", zone: str = "", flags: bool = False, receive: bool = True
) -> str:
    words = {"flags": str(flags).lower(), "receive": str(receive).lower()}
    return HEAD.format(id=name, zone=zone, topics=topics, **words) + mapping + "\n"


def written_registry(directory: Path, profiles: str, devices: Mapping[str, tuple[str, list[str], str]]) -> Registry:
    """A registry of profiles, and of devices: each with its profile, parameters and further keys."""
    (directory / "sites").mkdir()
    enterprise = '[[enterprises]]\nid = "owner"\nname_zh = "业主"\nname_en = "Owner"\n'
    (directory / "enterprises.toml").write_text(enterprise, encoding="utf-8")
    (directory / "profiles.toml").write_text(profiles, encoding="utf-8")
    rows = [
        STATION % name
        + f'[[devices]]\nid = "{name}"\nprofile = "{spoken}"\nstation = "{name}"\nparameters = {parameters}\n{more}\n'
        for name, (spoken, parameters, more) in devices.items()
    ]
    (directory / "sites" / "pit.toml").write_text(SITE + "".join(rows), encoding="utf-8")
    return load_registry(directory)
