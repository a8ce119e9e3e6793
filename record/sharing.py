"""Who has which partitions, as the record tells it to those who look on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import sqlalchemy as sa

from greenmine.partitions import partitions_of
from greenmine.record import schema
from greenmine.record.log_positions import NOBODY
from greenmine.record.partitions import partitions_in
from greenmine.registry import Registry


class SharingWorker(NamedTuple):
    """A worker among several; the one without a name stands for nobody."""

    name: str
    partitions: Mapping[int, int]
    """Those that it has, and when the newest message that was read for each was put into the log [ms UTC; 0: none yet]."""
    updated: int
    """When it told of itself last [ms UTC], by its beat or by its row, whichever is older; 0: never."""
    status: str | None
    """What it said of itself then; None: nothing yet, or it has no partition and says nothing."""


def worker_row(first: int) -> str:
    """Name of the row of a worker whose first partition is this, where there are several partitions."""
    return f"worker-{first}"


def sharing_workers(connection: sa.Connection, registry: Registry) -> list[SharingWorker]:
    """Return all workers that share the partitions, and nobody, where nobody has one; empty where there is one partition."""
    many = partitions_in(connection)
    if many == 1:
        return []
    said = {row.name: row for row in connection.execute(sa.select(schema.worker))}
    beats = {row.name: row.updated for row in connection.execute(sa.select(schema.member))}
    places = {row.partition: row for row in connection.execute(sa.select(schema.log_position))}
    has: dict[str, dict[int, int]] = {name: {} for name in beats}
    for number in sorted({0, *partitions_of(registry, many).values()}):
        place = places.get(number)
        owner, stamp = (NOBODY, 0) if place is None else (place.owner, place.stamp)
        has.setdefault(owner, {})[number] = stamp // 1_000_000
    found = []
    for name, partitions in sorted(has.items()):
        row = said.get(worker_row(min(partitions))) if partitions and name != NOBODY else None
        updated = beats.get(name, 0)
        if partitions:
            updated = min(updated, 0 if row is None else row.updated)
        found.append(SharingWorker(name, partitions, updated, None if row is None else row.status))
    return found
