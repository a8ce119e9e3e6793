"""What the running worker says of itself, for other processes to read."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from greenmine.record import schema


class LoggerServerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """State of the server for data loggers; counts are since its start, see ``docs/hj212.md``."""

    port: int
    connections: int
    accepted: int
    refused: int
    loggers: int
    frames: int
    answered: int
    unanswered: int
    damaged: dict[str, int]
    deviations: dict[str, int]
    strangers: int
    passwords: int
    closed: dict[str, int]
    paused: int
    requests: int
    outcomes: dict[str, int]
    retries: int
    newest: int
    keyless: int = 0
    misunderstood: int = 0
    backfilled: int = 0


class WorkerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """State of a worker, written every few seconds to the record's table ``worker``.

    Durations are in seconds, instants in ms UTC; counts are since its start. ``commit_p50`` and ``commit_p99`` are of the
    newest thousand commits, None before the first. ``broker`` is empty and ``connected`` true where all devices are data
    loggers, which need none.
    """

    started: int
    connected: bool
    broker: str
    messages: int
    bytes: int
    batches: int
    connections: int
    failures: int
    retries: int
    unacknowledged: int
    missing: int = 0
    """Messages that the log no longer had when they were to be read."""
    last_message: int
    commit_p50: float | None
    commit_p99: float | None
    registry: str
    """Digest of the registry it judges with."""
    queue: int | None = None
    """Memory that messages take at the broker [bytes]; None: it does not say."""
    behind: bool = False
    """Whether that is so much that devices are let in more slowly."""
    clock: int = 0
    """By so much the newest stamps of most devices are ahead of the server's clock [ms]; below 0 behind it."""
    doubted: bool = False
    """Whether that is so much that readings are held until the clock has been set."""
    deviations: dict[str, int] = {}
    """What was tolerated in payloads, by name."""
    loggers: LoggerServerStatus | None = None
    """None: there is no server for data loggers."""


class QueueStatus(msgspec.Struct, frozen=True):
    """What a `WorkerStatus` says of the broker's queue; that of another version, too."""

    queue: int | None = None
    behind: bool = False


def queues_since(engine: sa.Engine, instant: int) -> list[QueueStatus]:
    """Return what workers have said of their queue after an instant [ms UTC]."""
    table = schema.worker.c
    with engine.connect() as connection:
        rows = connection.scalars(sa.select(table.status).where(table.updated > instant)).all()
    return [msgspec.json.decode(row, type=QueueStatus) for row in rows]
