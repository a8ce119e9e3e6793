"""Real processes under test: a broker and the parts of an installation, which can be killed and started again."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Self

import sqlalchemy as sa

from greenmine.cli import configure_logging
from greenmine.cli.run import TASKS, Part
from greenmine.collector.mqtt.broker import Broker, start_broker
from greenmine.record.follower import passes
from greenmine.record.record import open_engine
from greenmine.settings import Settings
from greenmine.simulators.messages import Message
from greenmine.simulators.pace import Speed
from greenmine.simulators.publish import Published, publish
from tests.records import record_setting

PATIENCE = 120.0
"""Longest time for anything to happen on a busy machine [s]."""
SMALL = 1500
"""Readings in a batch: enough of them to be killed in; and as lateness counts from the newest reading of earlier batches,
what is too late must not depend on how a backlog falls into batches."""
COMMAND = Path(sys.executable).with_name("greenmine")
"""The command, as it is installed."""
_PROCESSES = multiprocessing.get_context("forkserver")
# Processes of their own all the same, but each begins with everything imported.
_PROCESSES.set_forkserver_preload(["__main__", "greenmine.cli.work"])


def until(condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


class Environment:
    """Environment variables of processes: nothing of the developer's own settings, compiled modules kept in a folder."""

    def __init__(self, compiled: Path) -> None:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("GREENMINE_", "PYTHONDONTWRITEBYTECODE"))}
        self._variables = {**clean, "PYTHONPYCACHEPREFIX": str(compiled)}

    def variables(self, settings: Mapping[str, object]) -> dict[str, str]:
        return self._variables | {f"GREENMINE_{name.upper()}": str(value) for name, value in settings.items()}


class RestartableBroker:
    """Mosquitto with the configuration that ships, on one port, that can be killed and started again on its files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: Broker = start_broker(folder)
        self.port = self._running.port

    def kill(self) -> None:
        assert self._running.pid is not None
        os.kill(self._running.pid, signal.SIGKILL)
        self._running.stop()

    def start(self) -> None:
        self._running = start_broker(self._folder, self.port)

    def publish(self, messages: Iterable[Message], *, keep: float = 0.0, speed: Speed = "max") -> Published:
        """Send as the simulators do; without ``keep`` only as long as this broker lives."""
        return publish(messages, "127.0.0.1", self.port, keep=keep, speed=speed)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._running.stop()


def _run(task: str, settings: Settings, log: Path) -> None:
    """Do what `greenmine run` does in one of its processes, until SIGTERM."""
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), sys.stderr.fileno())
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    configure_logging()
    module, _, function = task.partition(":")
    getattr(import_module(module), function)(settings, stop)


class Process:
    """A part of `greenmine run` in a process of its own, on a data directory."""

    def __init__(self, name: Part, folder: Path, port: int, /, **settings: object) -> None:
        given = {"data": folder, "broker_port": port, "batch_readings": SMALL, **record_setting(folder), **settings}
        self._settings = Settings.model_validate(Settings().model_dump() | given)
        self._task = TASKS[name]
        self.log = folder / f"{name}.log"
        self.start()

    def start(self) -> None:
        self.process = _PROCESSES.Process(target=_run, args=(self._task, self._settings, self.log))
        self.process.start()

    def kill(self) -> None:
        """End it as the kernel does when memory is short, and wait until it is gone."""
        self.process.kill()
        assert self._ended() == -signal.SIGKILL, self.lines()[-5:]

    def pause(self) -> None:
        """Let it do nothing, so that messages pile up in the broker."""
        self._signal(signal.SIGSTOP)

    def proceed(self) -> None:
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it in order."""
        self.process.terminate()
        assert self._ended() == 0, self.lines()[-5:]

    def alive(self) -> bool:
        return self.process.is_alive()

    def _ended(self) -> int | None:
        self.process.join(PATIENCE)
        return self.process.exitcode

    def _signal(self, number: signal.Signals) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def lines(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        if self._ended() is None:
            self.process.kill()
            self.process.join()


class Worker(Process):
    """The worker, and what its record has counted."""

    def __init__(self, folder: Path, port: int, /, **settings: object) -> None:
        super().__init__("worker", folder, port, **settings)
        self.record = self._settings.record_place
        self._engine = open_engine(self.record, read_only=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._engine.dispose()

    def count(self, column: str) -> int:
        """A column of the ledger, added up; 0 before there is a ledger."""
        return self._ask("ledger", f"sum({column})")

    def accounted(self) -> int:
        """Different readings that are stored, or kept as late."""
        return self.count("stored") + self._ask("late", "count(*)")

    def _ask(self, table: str, what: str) -> int:
        try:
            with self._engine.connect() as connection:
                if not sa.inspect(connection).has_table(table):
                    return 0
                return int(connection.exec_driver_sql(f"select coalesce({what}, 0) from {table}").scalar_one())
        except sa.exc.OperationalError as error:
            if not passes(error):
                raise
            return 0  # there is no file yet, or its server is away

    def await_connection(self, times: int = 1) -> None:
        """Wait until it has connected to the broker so many times, all its lives added up."""
        until(lambda: sum('"connected"' in line for line in self.lines()) >= times, "a connection to the broker")
        # The subscription follows the connection; Mosquitto saves it within two seconds.

    def await_all(self, count: Callable[[], int], expected: int) -> None:
        """Wait until a count is reached while the worker lives."""

        def reached() -> bool:
            assert self.alive(), self.lines()[-5:]
            return count() >= expected

        until(reached, f"{expected} readings, of {count()} at first", 2 * PATIENCE)
