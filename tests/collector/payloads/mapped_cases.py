"""What the tests of mapped profiles share: a registry of given profiles and devices."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from greenmine.loading import load_registry
from greenmine.registry import Registry
from tests.pit import device, write_pit

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
    rows = [device(name, spoken, parameters, more) for name, (spoken, parameters, more) in devices.items()]
    return load_registry(write_pit(directory, profiles, rows))
