"""Whether the collector behind the record is at work."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from greenmine.record.reader import Queries
from greenmine.times import local

STALE_MS: Final = 30_000
"""A worker that has not reported for this long is taken to have stopped."""


class WorkerView(msgspec.Struct, frozen=True):
    """A worker and what it last said of itself."""

    name: str
    running: bool
    updated: datetime
    status: Any


class ServiceHealth(msgspec.Struct, frozen=True):
    """``running``: a worker reported within the last 30 s; ``stopped``: none did; ``no worker yet``: none ever did."""

    state: str
    time: datetime
    workers: list[WorkerView]


def service_health(queries: Queries, now: int) -> ServiceHealth:
    """Health of the service at an instant [ms UTC]."""
    workers = [
        WorkerView(
            row.name, abs(now - row.updated) <= STALE_MS, local(row.updated, "UTC"), msgspec.json.decode(row.status)
        )
        for row in queries.workers()
    ]
    state = "no worker yet"
    if workers:
        state = "running" if any(worker.running for worker in workers) else "stopped"
    return ServiceHealth(state, local(now, "UTC").astimezone(UTC), workers)
