"""A server for data loggers with a real record behind it, in threads of this process."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa

from greenmine.collector.gate import Gate
from greenmine.collector.hj212.server.server import LoggerServer
from greenmine.loading import load_registry
from greenmine.record import schema
from greenmine.record.loggers import LoggerRecord
from greenmine.record.record import Record, migrate, open_engine
from greenmine.record.writer import Pipeline
from greenmine.settings import Settings
from tests.loggers import PASSWORD, write_mine

PATIENCE = 60.0


class Station:
    """The server at work, and what its record holds."""

    def __init__(self, folder: Path, mine: dict[str, Any], settings: dict[str, Any]) -> None:
        registry_path = folder / "registry"
        if not registry_path.exists():
            write_mine(registry_path, **mine)
        given = {"data": folder / "data", "registry": registry_path, "hj212_port": 0, "hj212_password": PASSWORD}
        self.settings = Settings.model_validate({**given, **settings})
        self.registry = load_registry(registry_path)
        engine = open_engine(self.settings.record_place)
        migrate(engine)
        self.record = Record(engine, self.registry)
        self.pipeline = Pipeline(self.registry, self.record)
        hours, days = self.settings.hj212_catchup_hours, self.settings.hj212_frame_days
        self.logger_record = LoggerRecord(self.pipeline, catchup_hours=hours, frame_days=days)
        self._stop = threading.Event()
        self._writer = ThreadPoolExecutor(1)
        gate = Gate(self.registry, self.settings)
        self.server = LoggerServer(self.registry, self.settings, self.logger_record, self._writer, self._stop, gate)
        self._thread = threading.Thread(target=self.server.run)

    @property
    def port(self) -> int:
        return self.server.port

    def __enter__(self) -> Self:
        self._thread.start()
        self.until(lambda: self.port)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._writer.shutdown()
        self.record.engine.dispose()

    def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.01)

    def talk(self, conversation: Coroutine[Any, Any, Any]) -> Any:
        """Run what a logger does."""
        return asyncio.run(asyncio.wait_for(conversation, PATIENCE))

    def in_record(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Do something in the thread that writes the record."""
        return self._writer.submit(work, *arguments).result()

    def rows(self, table: sa.Table) -> list[dict[str, Any]]:
        return [dict(row) for row in self.record.rows(sa.select(table))]

    def ledger(self) -> dict[str, int]:
        names = ("messages", "received", "stored", "duplicate", "conflict", "rejected", "late")
        return {name: sum(row[name] for row in self.rows(schema.ledger)) for name in names}

    def readings(self, parameter: str, number: int = 0) -> list[tuple[int, float, str]]:
        channel = self.registry.device_channels("pit", f"logger-{number}")[parameter]
        rows = self.record.readings(channel.index, 0, 1 << 50)
        return [(int(row["time"]), float(row["value"]), chr(row["flag"])) for row in rows]
