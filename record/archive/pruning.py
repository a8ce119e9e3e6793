"""Pruning: readings of sealed days leave the record when they have been there long enough; the archive holds them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import sqlalchemy as sa

from greenmine.record import schema
from greenmine.record.archive.archive import Archive, bounds, faults_of_day
from greenmine.record.archive.chain import Chain, ChainError, Entry, parse
from greenmine.record.archive.signing import Keyring, PublicKey
from greenmine.record.basis import as_sealed
from greenmine.record.blocks import COLUMNS, Blocks
from greenmine.record.rows import HOUR
from greenmine.registry import Registry, Site

_DAY: Final = 24 * HOUR
_AT_ONCE: Final = 500
"""Blocks in a statement."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """A day whose readings left the record."""

    site: str
    day: str
    readings: int
    """So many left."""
    kept: int
    """So many stay, because the archive does not give them back byte for byte."""


def prune(
    engine: sa.Engine,
    registry: Registry,
    place: str,
    key: PublicKey | Keyring,
    now: int,
    days: int,
    sites: Iterable[Site],
) -> Iterator[Pruned]:
    """Let readings of sealed days leave the record.

    Of a day that ended at least ``days`` ago, those blocks leave whose content the archive gives back byte for byte, after
    signature, size and digest of each of the day's sealed files were found right. Their rows stay, empty: which blocks there
    are, and in which order they came, does not change. Each day leaves in one transaction. An hour that a local midnight
    divides stays.

    Parameters
    ----------
    engine : Engine
        Of the record.
    registry : Registry
        Says in which zone the days of a site were sealed.
    place : str
        Directory or address of the archive.
    key : PublicKey or Keyring
        That the entries must be signed with.
    now : int
        The clock [ms UTC].
    days : int
        How long readings stay; at least 1.
    sites : iterable of Site
        Whose.

    Yields
    ------
    Pruned
        Each day from which anything left, or should have.

    Raises
    ------
    ChainError
        If the archive cannot be read, or is not what was sealed; nothing of that day has left.
    StoreError
        If a file that was just found right cannot be read any more.
    """
    archive = Archive(place)
    for site in sites:
        chain = archive.chain(site.id)
        with engine.connect() as connection:
            site = as_sealed(connection, site)  # noqa: PLW2901 - with the zone of its days
        for day, entries in _due(engine, chain, site, key, now, days):
            if wrong := faults_of_day(chain, entries):
                raise ChainError(f"{wrong[0].place}: {wrong[0].what}; nothing of {day} is pruned")
            reached = entries[-1][0].through.block
            found = _prune(engine, Blocks(registry, place), site, day, reached)
            if found.readings or found.kept:
                yield found


def _due(
    engine: sa.Engine, chain: Chain, site: Site, key: PublicKey | Keyring, now: int, days: int
) -> Iterator[tuple[str, list[tuple[Entry, bool]]]]:
    """Sealed days that are old enough and hold more than was pruned of them, with their entries."""
    table = schema.sealed_day.c
    with engine.connect() as connection:
        pruned = sa.select(table.day, table.pruned).where(table.site == site.id)
        done: dict[str, int | None] = {row.day: row.pruned for row in connection.execute(pruned)}
    found: dict[str, list[tuple[Entry, bool]]] = {}
    for number in chain.numbers():
        entry, genuine = parse(chain.content(number), f"{site.id}, entry {number}", key)
        found.setdefault(entry.day, []).append((entry, genuine))
    zone = ZoneInfo(site.zone)
    for day, entries in sorted(found.items()):
        old = bounds(date.fromisoformat(day), zone)[1] + days * _DAY <= now
        if old and (done.get(day) or 0) < entries[-1][0].through.block:
            yield day, entries


def _prune(engine: sa.Engine, blocks: Blocks, site: Site, day: str, reached: int) -> Pruned:
    block, channel, sealed = schema.reading_block.c, schema.channel.c, schema.sealed_day
    start, end = bounds(date.fromisoformat(day), ZoneInfo(site.zone))
    within = (block.hour >= -(-start // HOUR), block.hour < end // HOUR, block.id <= reached)
    with engine.connect() as connection:
        known = connection.execute(sa.select(channel.id, channel.key))
        numbers = [row.id for row in known if row.key.startswith(f"{site.id}/")]
        found = connection.execute(
            sa.select(*COLUMNS).where(block.channel.in_(numbers), *within).order_by(block.channel)
        )
        same, readings, kept = [], 0, 0
        for row in found:
            if not row.data:
                continue
            kept_there, here = blocks.archived(connection, row), blocks.content(connection, row)
            if kept_there.rows.tobytes() == here.rows.tobytes() and np.array_equal(kept_there.received, here.received):
                same.append(row.id)
                readings += row.readings
            else:
                kept += row.readings
    with engine.begin() as connection:
        for first in range(0, len(same), _AT_ONCE):
            some = block.id.in_(same[first : first + _AT_ONCE])
            # A row that shrinks leaves its page as large as it was; rows that are put in again share pages.
            rows = connection.execute(sa.select(schema.reading_block).where(some).order_by(block.id)).mappings().all()
            connection.execute(sa.delete(schema.reading_block).where(some))
            connection.execute(sa.insert(schema.reading_block), [{**row, "data": b"", "sequence": b""} for row in rows])
        mine = sealed.c.site == site.id, sealed.c.day == day
        connection.execute(sa.update(sealed).where(*mine).values(pruned=reached))
    return Pruned(site.id, day, readings, kept)
