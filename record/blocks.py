"""Blocks of readings, wherever they lie: in the record, or where they were pruned from it, in the archive."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from greenmine.errors import StoreError
from greenmine.record import schema
from greenmine.record.basis import as_sealed
from greenmine.record.hour_blocks import unpacked
from greenmine.record.rows import HOUR, ROW
from greenmine.registry import Registry
from greenmine.times import local

if TYPE_CHECKING:  # most processes never read an archive
    from greenmine.record.archive.archive import Archive


_BLOCK: Final = schema.reading_block.c
COLUMNS: Final = (
    _BLOCK.id, _BLOCK.channel, _BLOCK.hour, _BLOCK.count.label("readings"), _BLOCK.received, _BLOCK.first, _BLOCK.data,
)  # fmt: skip
"""What has to be selected of a block so that `Blocks` can tell its content."""

_KEPT: Final = 64_000_000
"""Archived readings that are kept at hand [bytes]."""


class BlockContent(NamedTuple):
    """Readings of a block by time, the number of the block in which each was committed, and when it was received [ms UTC].

    Of an hour block that was pruned the numbers are not known: the lowest stands for all.
    """

    rows: NDArray[np.void]
    number: NDArray[np.int64]
    received: NDArray[np.int64]


class Blocks:
    """Content of blocks.

    Where a block was pruned, its row is still there, and only ``data`` is empty: what asks which blocks there are, and in which
    order they came, notices nothing. The content is then in a sealed file, from which it can be told byte for byte.

    Parameters
    ----------
    registry : Registry, optional
        Says in which zone the days of a site were sealed.
    archive : str, optional
        Directory or address of the archive. Without both, blocks that were pruned cannot be read.
    """

    def __init__(self, registry: Registry | None = None, archive: str | None = None) -> None:
        self._sites = {} if registry is None else {site.id: site for site in registry.sites}
        self._zones: dict[str, ZoneInfo] = {}
        self._place = archive
        self._archive: Archive | None = None
        self._keys: dict[int, str] = {}
        self._days: OrderedDict[tuple[str, str], tuple[NDArray[np.void], NDArray[np.int64]]] = OrderedDict()
        self._lock = threading.Lock()

    def data(self, connection: sa.Connection, block: Any) -> bytes:
        """Content of a block, rows of `ROW` in the order of time.

        Parameters
        ----------
        connection : Connection
            To the record.
        block : Row
            With the columns `COLUMNS`.

        Raises
        ------
        StoreError
            It was pruned, and the archive does not hold it or cannot be read.
        """
        data: bytes = block.data
        if data and block.first is None:
            return data
        return self.content(connection, block).rows.tobytes()

    def content(self, connection: sa.Connection, block: Any) -> BlockContent:
        """Content of a block with what is known of each reading; parameters and errors as of `data`."""
        if not block.data:
            return self.archived(connection, block)
        if block.first is None:
            rows = np.frombuffer(block.data, ROW)
            return BlockContent(rows, np.full(len(rows), block.id), np.full(len(rows), block.received))
        try:
            hour = unpacked(block.data)
        except ValueError as error:
            raise StoreError(f"block {block.id} of the record {error}") from error
        return BlockContent(hour.rows, hour.number, hour.received)

    def joined(self, connection: sa.Connection, blocks: Iterable[Any]) -> bytes:
        """Content of several blocks, one behind the other."""
        return b"".join([self.data(connection, block) for block in blocks])

    def archived(self, connection: sa.Connection, block: Any) -> BlockContent:
        """What the archive holds of a block; parameters and errors as of `data`."""
        if block.channel not in self._keys:
            table = schema.channel.c
            self._keys = {row.id: row.key for row in connection.execute(sa.select(table.id, table.key))}
        key = self._keys[block.channel]
        site = key.split("/", 1)[0]
        if self._place is None or site not in self._sites:
            raise StoreError(f"readings of {key} lie in the archive, and no archive of this site is at hand")
        if site not in self._zones:
            self._zones[site] = ZoneInfo(as_sealed(connection, self._sites[site]).zone)
        day = local_day(block.hour * HOUR, self._zones[site])
        with self._lock:
            for again in (False, True):
                content = _content(*self._day(site, day, key, anew=again), block)
                if len(content.rows) == block.readings:
                    return content
        raise StoreError(f"readings of {key} on {day} are neither in the record nor in the archive")

    def _day(self, site: str, day: str, key: str, *, anew: bool) -> tuple[NDArray[np.void], NDArray[np.int64]]:
        """Readings of a channel on a day, by time, and when each was received."""
        found = None if anew else self._days.pop((key, day), None)
        if found is None:
            found = self._read(site, day, key)
        self._days[key, day] = found
        while len(self._days) > 1 and sum(rows.nbytes + came.nbytes for rows, came in self._days.values()) > _KEPT:
            self._days.popitem(last=False)
        return found

    def _read(self, site: str, day: str, key: str) -> tuple[NDArray[np.void], NDArray[np.int64]]:
        # Loaded when the first block is read that was pruned: most processes never do.
        from greenmine.record.archive.archive import Archive, readings_of  # noqa: PLC0415
        from greenmine.record.archive.chain import ChainError  # noqa: PLC0415

        assert self._place is not None
        try:
            if self._archive is None:
                self._archive = Archive(self._place)
            return readings_of(self._archive.chain(site), day, key)
        except (ChainError, OSError, ValueError) as error:
            raise StoreError(f"readings of {key} on {day} cannot be read from the archive: {error}") from error


def _content(rows: NDArray[np.void], received: NDArray[np.int64], block: Any) -> BlockContent:
    """The rows of a block among those of its day: those of its hour that were received with it, or by the end of an hour block."""
    mine = slice(*np.searchsorted(rows["time"], (block.hour * HOUR, (block.hour + 1) * HOUR)))
    rows, received = rows[mine], received[mine]
    came = received == block.received if block.first is None else received <= block.received
    return BlockContent(rows[came], np.full(int(came.sum()), block.first or block.id), received[came])


def local_day(instant: int, zone: ZoneInfo) -> str:
    """Local day of an instant [ms UTC], ``YYYY-MM-DD``."""
    return local(instant, zone).date().isoformat()
