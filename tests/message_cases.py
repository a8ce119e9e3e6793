"""The cases of messages: what each holds, and one registry for all of them."""

from __future__ import annotations

import math
import tomllib
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from greenmine.collector.hj212.encode import encode_frame
from greenmine.loading import load_registry
from greenmine.registry import Registry
from tests.pit import device, write_pit

FOLDER = Path(__file__).parent / "cases" / "messages"


class Reading(NamedTuple):
    """A reading that a case expects."""

    key: str
    """Station and parameter."""
    time: int | None
    """[ms UTC]; None: as long before receipt as ``age`` says."""
    age: int
    """[ms]"""
    value: float
    flag: str

    def is_met_by(self, time: int, value: float, flag: str, first: int, last: int) -> bool:
        """Whether a reading that was received between two instants is this one."""
        low, high = (first - self.age, last - self.age) if self.time is None else (self.time, self.time)
        same = math.isnan(value) if math.isnan(self.value) else value == self.value
        return low <= time <= high and same and flag == self.flag


class MessageCase(NamedTuple):
    """A message, and what it becomes."""

    id: str
    topic: str
    payload: bytes
    readings: list[Reading]
    repeated: int
    rejected: list[tuple[str, str, int]]
    deviations: list[str]
    says: str
    found: int
    """Values found in the message."""


def _payload(case: dict[str, Any]) -> bytes:
    if "hex" in case:
        return bytes.fromhex(case["hex"])
    return encode_frame(case["frame"].encode()) if "frame" in case else case["payload"].encode()


def _instant(text: str) -> tuple[int | None, int]:
    if text.startswith("received"):
        return None, 1000 * int(text.removeprefix("received-") if "-" in text else 0)
    return round(datetime.fromisoformat(text).timestamp() * 1000), 0


def load_case(path: Path) -> MessageCase:
    case = tomllib.loads(path.read_text(encoding="utf-8"))
    ids = {address: f"{path.stem}-{number}" for number, address in enumerate(case["devices"])}
    readings = [
        Reading(f"{ids[key.split('/')[0]]}/{key.split('/')[1]}", *_instant(time), value, flag)
        for key, time, value, flag in case.get("readings", [])
    ]
    rejected = sorted((ids.get(who, ""), reason, count) for who, reason, count in case.get("rejected", []))
    return MessageCase(
        id=path.stem,
        topic=case["topic"],
        payload=_payload(case),
        readings=readings,
        repeated=case.get("repeated", 0),
        rejected=rejected,
        deviations=case.get("deviations", []),
        says=case.get("says", ""),
        found=len(readings) + case.get("repeated", 0) + sum(count for _, _, count in rejected),
    )


CASES = [load_case(path) for path in sorted(FOLDER.glob("*.toml"))]


def write_cases(directory: Path) -> Registry:
    """The registry that has the profiles and devices of all cases."""
    profiles, devices = "", []
    for path in sorted(FOLDER.glob("*.toml")):
        case = tomllib.loads(path.read_text(encoding="utf-8"))
        profiles += f'[[profiles]]\nid = "{path.stem}"\n{case["profile"]}\n'
        for number, (address, parameters) in enumerate(case["devices"].items()):
            devices.append(device(f"{path.stem}-{number}", path.stem, parameters, f'address = "{address}"'))
    return load_registry(write_pit(directory, profiles, devices))
