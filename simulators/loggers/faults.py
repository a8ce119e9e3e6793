"""Faults of loggers and their lines, put in on purpose, each with its ground truth."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal, get_args

import msgspec
import numpy as np

from greenmine.collector.hj212.link import Line
from greenmine.collector.hj212.message import Message
from greenmine.simulators.clock import DAY_MS, MINUTE_MS
from greenmine.simulators.loggers.source import ReadingSource
from greenmine.simulators.random_streams import Floats, RandomStreams
from greenmine.simulators.truth import SimulatedEvent

WireKind = Literal[
    "wrong-crc", "cut-stream", "packets", "catch-up", "clock-off", "lost-ack", "hectopascal", "milligram"
]
"""Kinds of fault of loggers."""

WIRE_KINDS: Final[tuple[WireKind, ...]] = get_args(WireKind)
"""All of them."""

_PIECES: Final = 4
_PIECE_PAUSE: Final = 0.02
"""Pause between the pieces of a frame that is sent cut [s]."""
_TRIES: Final = 50
_SHORTEST: Final = 8
"""A fault lasts this many readings at least."""
_WRONG_SCALE: Final = {"hectopascal": 10.0, "milligram": 0.001}
_WRONG_UNIT: Final = {"hectopascal": "kPa", "milligram": "ug/m3"}


class WireFault(msgspec.Struct, frozen=True, kw_only=True):
    """One injected fault.

    ``start`` and ``end`` [ms UTC] bound the true instants of measurement that it touches; the end is exclusive. What
    ``parameters`` hold is told in ``docs/simulators.md``.
    """

    kind: WireKind
    mn: str
    key: str
    """``site/device``."""
    start: int
    end: int
    parameters: dict[str, float] = {}

    def touches(self, instant: int) -> bool:
        """Whether an instant of measurement [ms UTC] is within it."""
        return self.start <= instant < self.end


class WireTruth(msgspec.Struct, frozen=True, kw_only=True):
    """All that a simulation of loggers knows of itself."""

    seed: int
    registry: str
    """Digest of the registry it was made from."""
    start: int
    end: int
    faults: tuple[WireFault, ...]
    events: tuple[SimulatedEvent, ...]

    def write(self, path: Path) -> None:
        """Write it as indented JSON."""
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self)) + b"\n")

    @classmethod
    def read(cls, path: Path) -> WireTruth:
        """Read what ``write`` wrote."""
        return msgspec.json.decode(path.read_bytes(), type=cls)


class WirePlans:
    """Plans one fault of each kind for each UTC day of one logger; no two touch the same readings.

    Parameters
    ----------
    seed : int
        Seed of the simulation.
    mn, key : str
        The logger, and ``site/device`` of what it measures.
    source : ReadingSource
        What it measures: faults that cannot happen to it are left out.
    kinds : sequence of WireKind
        Kinds to inject.
    """

    def __init__(
        self, seed: int, mn: str, key: str, source: ReadingSource, kinds: Sequence[WireKind] = WIRE_KINDS
    ) -> None:
        self._streams = RandomStreams(seed, "loggers", mn)
        self._mn, self._key, self._source, self._kinds = mn, key, source, kinds
        self.day: Callable[[int], tuple[WireFault, ...]] = lru_cache(maxsize=8)(self._day)

    def at(self, instant: int) -> WireFault | None:
        """The fault that touches an instant of measurement [ms UTC]."""
        return next((fault for fault in self.day(instant // DAY_MS) if fault.touches(instant)), None)

    def _day(self, day: int) -> tuple[WireFault, ...]:
        faults: list[WireFault] = []
        for kind in WIRE_KINDS:
            draw = self._streams.generator(kind, day)
            for _ in range(_TRIES if possible(kind, self._source) else 0):
                fault = self._draw(kind, draw, day)
                if not any(fault.start < other.end and other.start < fault.end for other in faults):
                    faults.append(fault)
                    break
        return tuple(fault for fault in faults if fault.kind in self._kinds)

    def _draw(self, kind: WireKind, draw: np.random.Generator, day: int) -> WireFault:
        length = max(int(draw.integers(20, 60)), -(-_SHORTEST * self._source.interval // MINUTE_MS)) * MINUTE_MS
        start = day * DAY_MS + int(draw.integers(0, (DAY_MS - length) // MINUTE_MS)) * MINUTE_MS
        parameters: dict[str, float] = {}
        match kind:
            case "clock-off":
                parameters["offset"] = int(draw.integers(60, 1800)) * 1000 * int(draw.choice([-1, 1]))
            case "packets":
                parameters["factors"] = int(draw.integers(1, 3))
            case "hectopascal" | "milligram":
                parameters["factor"] = _WRONG_SCALE[kind]
            case "wrong-crc" | "cut-stream" | "catch-up" | "lost-ack":
                pass
        return WireFault(kind=kind, mn=self._mn, key=self._key, start=start, end=start + length, parameters=parameters)


def possible(kind: WireKind, source: ReadingSource) -> bool:
    """Whether a fault can happen to a logger of this source."""
    match kind:
        case "hectopascal" | "milligram":
            return any(factor.unit == _WRONG_UNIT[kind] for factor in source.factors)
        case "packets":
            return len(source.factors) > 1
        case "wrong-crc" | "cut-stream" | "catch-up" | "clock-off" | "lost-ack":
            return True


def scales(fault: WireFault | None, source: ReadingSource) -> Floats:
    """By what the values of each factor are multiplied under a fault, shape (k,)."""
    found = np.ones(len(source.factors))
    if fault is not None and "factor" in fault.parameters:
        touched = [factor.unit == _WRONG_UNIT[fault.kind] for factor in source.factors]
        found[touched] = fault.parameters["factor"]
    return found


class FaultyLine(Line):
    """A line with the faults that a logger's plan has for it.

    Parameters
    ----------
    at : callable
        The fault that touches an instant, or None.
    """

    def __init__(self, at: Callable[[int], WireFault | None]) -> None:
        self._at = at

    async def write(self, writer: asyncio.StreamWriter, frame: bytes, message: Message, attempt: int) -> None:
        """Send a frame; with a wrong check sum the first time, or in pieces."""
        kind = self._kind(message)
        if kind == "wrong-crc" and attempt == 0:
            frame = spoil(frame)
        if kind == "cut-stream":
            size = -(-len(frame) // _PIECES)
            *pieces, frame = (frame[at : at + size] for at in range(0, len(frame), size))
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(_PIECE_PAUSE)
        await super().write(writer, frame, message, attempt)

    def hears(self, message: Message, attempt: int) -> bool:
        """Whether the answer arrives; under ``lost-ack`` the first does not."""
        return attempt > 0 or self._kind(message) != "lost-ack"

    def _kind(self, message: Message) -> WireKind | None:
        fault = None if message.time is None else self._at(message.time)
        return None if fault is None else fault.kind


def spoil(frame: bytes) -> bytes:
    """The frame with another check sum."""
    last = int(frame[-3:-2], 16)
    return frame[:-3] + b"%X" % (last ^ 1) + frame[-2:]
