"""What the tests of the decoders share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from greenmine.entries import Position, Profile

HERE = Position(latitude=30.8, longitude=108.4)

PROFILES = (
    Profile(
        id="plain",
        format="greenmine",
        zone="Asia/Shanghai",
        interval="1s",
        sends_flags=False,
        units={"pm10": "ug/m3", "laeq": "dB(A)", "equipment-state": "1"},
    ),
    Profile(
        id="flagged",
        format="greenmine",
        zone="Asia/Shanghai",
        interval="60s",
        sends_flags=True,
        units={"ph": "1", "water-temperature": "degF"},
        fields={"pH": "ph"},
    ),
    Profile(
        id="senml",
        format="senml",
        zone="UTC",
        interval="1s",
        sends_flags=False,
        receive_time=True,
        units={"air-temperature": "degC", "pm10": "A", "equipment-state": "1", "water-temperature": "Cel"},
        fields={"urn:dev:ow:10e2073a01080063": "air-temperature", "current": "pm10"},
    ),
    Profile(id="senml-timed", format="senml", zone="UTC", interval="1s", sends_flags=False, units={"pm10": "ug/m3"}),
    Profile(id="senml-flagged", format="senml", zone="UTC", interval="1s", sends_flags=True, units={"pm10": "ug/m3"}),
    Profile(
        id="board",
        format="thingsboard",
        zone="UTC",
        interval="1s",
        sends_flags=False,
        receive_time=True,
        units={"air-temperature": "degC", "humidity": "%", "equipment-state": "1"},
        fields={"temperature": "air-temperature"},
    ),
    Profile(
        id="board-timed", format="thingsboard", zone="UTC", interval="1s", sends_flags=False, units={"pm10": "ug/m3"}
    ),
    Profile(
        id="board-flagged", format="thingsboard", zone="UTC", interval="1s", sends_flags=True, units={"pm10": "ug/m3"}
    ),
)

Rows = list[tuple[str, int, float | None, str]]
Refused = list[tuple[str, int]]
Decode = Callable[[str, Sequence[bytes]], tuple[Rows, Refused]]

RECEIVED = 1_795_312_800_000
"""2026-11-22T10:00:00+08:00."""
