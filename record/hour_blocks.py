"""Hour blocks: what came of a channel in an hour that is over, as one block; each reading keeps what came along with it."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

import msgspec
import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from greenmine.record import schema
from greenmine.record.rows import HOUR, ROW

_NUMBERS: Final = ("time", "number", "received", "sequence")
"""Columns that go up by even steps."""
_NO_SEQUENCE: Final = np.int64(-1).tobytes()
_LEVEL: Final = 6
_TOGETHER: Final = 2_000
"""Blocks that become others in one transaction: the worker waits for it."""
_AT_ONCE: Final = 500
"""Blocks that are named in one statement."""
_RECENT: Final = 72
"""How far back is looked for blocks that came late, but for the first turn [h]."""


@dataclass(frozen=True, slots=True)
class HourBlock:
    """Readings of a channel and hour, by time; all arrays have one place for each.

    Parameters
    ----------
    rows : array of ROW
        The readings.
    number : int64 array
        The block in which it was committed.
    received : int64 array
        When its batch was received [ms UTC].
    sequence : int64 array
        Number of its message; -1 where it has none.
    device : uint16 array
        Who sent it, as a place in ``devices``.
    devices : sequence of str
    """

    rows: NDArray[np.void]
    number: NDArray[np.int64]
    received: NDArray[np.int64]
    sequence: NDArray[np.int64]
    device: NDArray[np.uint16]
    devices: Sequence[str]

    def packed(self) -> bytes:
        """Return its content as it is stored."""
        steps = {name: _split(np.diff(self._numbers(name), prepend=np.int64(0))) for name in _NUMBERS}
        others = {"value": _split(self.rows["value"]), "device": _split(self.device)}
        flags = {name: self.rows[name].tobytes() for name in ("flag", "quality")}
        return zlib.compress(
            msgspec.msgpack.encode({"devices": list(self.devices), **steps, **others, **flags}), _LEVEL
        )

    def _numbers(self, name: str) -> NDArray[np.int64]:
        found: NDArray[np.int64] = self.rows["time"] if name == "time" else getattr(self, name)
        return found


def unpacked(data: bytes) -> HourBlock:
    """Return the block of which this is the content.

    Raises
    ------
    ValueError
        If it is not the content of any.
    """
    try:
        content = msgspec.msgpack.decode(zlib.decompress(data))
        numbers = {name: np.cumsum(_joined(content[name], np.dtype("<i8"))) for name in _NUMBERS}
        rows = np.empty(len(numbers["time"]), ROW)
        rows["time"], rows["value"] = numbers.pop("time"), _joined(content["value"], np.dtype("<f8"))
        for name in ("flag", "quality"):
            rows[name] = np.frombuffer(content[name], np.uint8)
        return HourBlock(
            rows, device=_joined(content["device"], np.dtype("<u2")), devices=content["devices"], **numbers
        )
    except (zlib.error, msgspec.MsgspecError, KeyError, TypeError) as error:
        raise ValueError(f"is not the content of an hour: {error}") from error


def hour_block(blocks: Sequence[Any]) -> HourBlock:
    """Return the readings of blocks of one channel and hour, each with what it was committed with.

    Parameters
    ----------
    blocks : sequence of Row
        With the columns ``id``, ``first``, ``received``, ``data``, ``device`` and ``sequence``; none was pruned.
    """
    parts = [unpacked(block.data) for block in blocks if block.first is not None]
    if single := [block for block in blocks if block.first is None]:
        parts.append(_as_committed(single))
    devices = sorted({name for part in parts for name in part.devices})
    place = [np.array([devices.index(name) for name in part.devices], np.uint16)[part.device] for part in parts]
    rows = np.concatenate([part.rows for part in parts])
    order = np.argsort(rows["time"], kind="stable")
    numbers = {name: np.concatenate([getattr(part, name) for part in parts])[order] for name in _NUMBERS[1:]}
    return HourBlock(rows[order], device=np.concatenate(place)[order], devices=devices, **numbers)


def _as_committed(blocks: Sequence[Any]) -> HourBlock:
    """Readings of blocks that no hour took yet, one block behind the other."""
    data = [block.data for block in blocks]
    counts = np.array([len(one) // ROW.itemsize for one in data])
    sequences = [block.sequence or _NO_SEQUENCE * count for block, count in zip(blocks, counts.tolist(), strict=True)]
    devices = {name: place for place, name in enumerate(sorted({block.device for block in blocks}))}

    def each(values: list[int]) -> NDArray[np.int64]:
        return np.repeat(np.array(values, np.int64), counts)

    return HourBlock(
        np.frombuffer(b"".join(data), ROW),
        each([block.id for block in blocks]),
        each([block.received for block in blocks]),
        np.frombuffer(b"".join(sequences), "<i8"),
        each([devices[block.device] for block in blocks]).astype(np.uint16),
        list(devices),
    )


def merge(engine: sa.Engine, site: str, through: int, now: int, *, everything: bool) -> Iterator[int]:
    """Make one block of all that came for a channel in an hour, where the hour ended an hour ago or longer.

    The block has the number of the newest of those that it takes the place of: followers, who go by it, meet it in their turn or
    have had all of it. An hour of which a block was pruned stays as it is.

    Parameters
    ----------
    engine : Engine
        Of the record.
    site : str
        Id of the site.
    through : int
        Newest block that is in the site's hash tree; newer ones stay as they are.
    now : int
        The clock [ms UTC].
    everything : bool
        Look at all hours, not only at those of the last days.

    Yields
    ------
    int
        How many blocks fewer there are after each transaction.
    """
    block, channel = schema.reading_block.c, schema.channel.c
    closed = now // HOUR - 1
    with engine.connect() as connection:
        numbers = [n for n, key in connection.execute(sa.select(channel.id, channel.key)) if key.startswith(f"{site}/")]
    within = (block.channel.in_(numbers), block.hour < closed, block.hour >= (0 if everything else closed - _RECENT))
    several = sa.select(block.hour, block.channel, sa.func.count().label("many")).where(*within)
    several = several.group_by(block.channel, block.hour).having(sa.func.count() > 1)
    with engine.connect() as connection:
        found = connection.execute(several.order_by(block.hour, block.channel)).all()
    for hour, channels in _portions(found):
        fewer = _merge_some(engine, hour, channels, through)
        if fewer:
            yield fewer


def _portions(found: Iterable[Any]) -> Iterator[tuple[int, list[int]]]:
    """Channels of an hour that have about as many blocks as become others in one transaction."""
    for hour, rows in groupby(found, attrgetter("hour")):
        channels, many = [], 0
        for row in rows:
            channels.append(row.channel)
            many += row.many
            if many >= _TOGETHER:
                yield hour, channels
                channels, many = [], 0
        if channels:
            yield hour, channels


def _merge_some(engine: sa.Engine, hour: int, channels: Sequence[int], through: int) -> int:
    block = schema.reading_block.c
    with engine.connect() as connection:
        found = connection.execute(
            sa.select(block.id, block.channel, block.first, block.received, block.data, block.device, block.sequence)
            .where(block.channel.in_(channels), block.hour == hour, block.id <= through)
            .order_by(block.channel, block.id)
        ).all()
    changed, gone = [], []
    for _, rows in groupby(found, attrgetter("channel")):
        blocks = list(rows)
        if len(blocks) > 1 and all(row.data for row in blocks):
            changed.append(_merged(blocks))
            gone += [row.id for row in blocks[:-1]]
    if gone:
        _exchange(engine, changed, gone)
    return len(gone)


def _merged(blocks: Sequence[Any]) -> dict[str, Any]:
    whole = hour_block(blocks)
    return {
        "kept": blocks[-1].id, "first": int(whole.number.min()), "count": len(whole.rows),
        "received": int(whole.received.max()), "data": whole.packed(),
        "device": whole.devices[0] if len(whole.devices) == 1 else "", "sequence": b"",
    }  # fmt: skip


def _exchange(engine: sa.Engine, changed: list[dict[str, Any]], gone: Sequence[int]) -> None:
    table = schema.reading_block
    names = changed[0].keys() - {"kept"}
    with engine.begin() as connection:
        for k in range(0, len(gone), _AT_ONCE):
            connection.execute(sa.delete(table).where(table.c.id.in_(gone[k : k + _AT_ONCE])))
        update = sa.update(table).where(table.c.id == sa.bindparam("kept"))
        connection.execute(update.values({name: sa.bindparam(name) for name in names}), changed)


def _split(values: NDArray[Any]) -> bytes:
    """Bytes of numbers, all first ones before all second ones: what is alike lies together."""
    little = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<"), copy=False)
    return little.view(np.uint8).reshape(len(values), values.dtype.itemsize).T.tobytes()


def _joined(data: bytes, kind: np.dtype[Any]) -> NDArray[Any]:
    many = len(data) // kind.itemsize
    return np.ascontiguousarray(np.frombuffer(data, np.uint8).reshape(kind.itemsize, many).T).view(kind).reshape(many)
