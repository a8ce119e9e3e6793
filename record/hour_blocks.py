"""Hour blocks: what came of a channel in an hour that is over, as one block; each reading keeps what came along with it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from greenmine.record import schema
from greenmine.record.rows import HOUR, ROW

_NUMBERS: Final = ("time", "number", "received", "sequence")
"""Columns that go up by even steps."""
_LEVEL: Final = 6
_TOGETHER: Final = 2_000
"""Blocks that become others in one transaction: the worker waits for it."""
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
    parts = [_part(block) for block in blocks]
    devices = sorted({name for part in parts for name in part.devices})
    place = [np.array([devices.index(name) for name in part.devices], np.uint16)[part.device] for part in parts]
    rows = np.concatenate([part.rows for part in parts])
    order = np.argsort(rows["time"], kind="stable")
    numbers = {name: np.concatenate([getattr(part, name) for part in parts])[order] for name in _NUMBERS[1:]}
    return HourBlock(rows[order], device=np.concatenate(place)[order], devices=devices, **numbers)


def _part(block: Any) -> HourBlock:
    if block.first is not None:
        return unpacked(block.data)
    rows = np.frombuffer(block.data, ROW)
    count = len(rows)
    sequence = np.frombuffer(block.sequence, "<i8") if block.sequence else np.full(count, -1, np.int64)
    number, received = np.full(count, block.id, np.int64), np.full(count, block.received, np.int64)
    return HourBlock(rows, number, received, sequence, np.zeros(count, np.uint16), [block.device])


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
    changed: list[dict[str, Any]] = []
    gone: list[dict[str, int]] = []
    for number in numbers:
        within = (block.channel == number, block.hour < closed, block.hour >= (0 if everything else closed - _RECENT))
        several = sa.select(block.hour).where(*within).group_by(block.hour).having(sa.func.count() > 1)
        with engine.connect() as connection:
            hours = connection.scalars(several.order_by(block.hour)).all()
        for hour in hours:
            with engine.connect() as connection:
                found = connection.execute(
                    sa.select(schema.reading_block)
                    .where(block.channel == number, block.hour == hour, block.id <= through)
                    .order_by(block.id)
                ).all()
            if len(found) < 2 or not all(row.data for row in found):
                continue
            changed.append(_merged(found))
            gone += [{"gone": row.id} for row in found[:-1]]
            if len(gone) >= _TOGETHER:
                yield _exchange(engine, changed, gone)
                changed, gone = [], []
    if gone:
        yield _exchange(engine, changed, gone)


def _merged(blocks: Sequence[Any]) -> dict[str, Any]:
    whole = hour_block(blocks)
    return {
        "kept": blocks[-1].id, "first": int(whole.number.min()), "count": len(whole.rows),
        "received": int(whole.received.max()), "data": whole.packed(),
        "device": whole.devices[0] if len(whole.devices) == 1 else "", "sequence": b"",
    }  # fmt: skip


def _exchange(engine: sa.Engine, changed: list[dict[str, Any]], gone: list[dict[str, int]]) -> int:
    table = schema.reading_block
    names = changed[0].keys() - {"kept"}
    with engine.begin() as connection:
        connection.execute(sa.delete(table).where(table.c.id == sa.bindparam("gone")), gone)
        update = sa.update(table).where(table.c.id == sa.bindparam("kept"))
        connection.execute(update.values({name: sa.bindparam(name) for name in names}), changed)
    return len(gone)


def _split(values: NDArray[Any]) -> bytes:
    """Bytes of numbers, all first ones before all second ones: what is alike lies together."""
    little = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<"), copy=False)
    return little.view(np.uint8).reshape(len(values), values.dtype.itemsize).T.tobytes()


def _joined(data: bytes, kind: np.dtype[Any]) -> NDArray[Any]:
    many = len(data) // kind.itemsize
    return np.ascontiguousarray(np.frombuffer(data, np.uint8).reshape(kind.itemsize, many).T).view(kind).reshape(many)
