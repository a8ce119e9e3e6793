"""Child processes that end when their parent does, however it ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from types import TracebackType
from typing import Final, Self, TypeVar

import structlog

from greenmine.api.watching import EVERY, WatchedRegistry
from greenmine.evidence.memory import release_memory
from greenmine.settings import Settings

_PATIENCE: Final = 10.0
"""Longest time for a process to end in order [s]."""
_REST: Final = 5.0
"""Least time between two starts of a process that is started again [s]; it doubles while the process keeps ending."""
_LONGEST_REST: Final = 300.0
_STEADY: Final = 600.0
"""A process that has run for this long begins with the least rest again [s]."""
_TIDY: Final = 60.0
"""How often a process gives back the memory that it freed [s]: a history, a page, a bundle take more than what follows needs."""
_COMMON: Final = "greenmine.cli.preloaded"
"""Imported before any process is forked: they share its memory, and begin sooner."""
GRAFANA: Final = "grafana"
"""The process of the demo that runs Grafana and InfluxDB."""
_BY_THEMSELVES: Final = frozenset({"web", "web server", GRAFANA})
"""Processes that look out for a changed registry themselves, or need none: nobody's page is to be cut off."""
_BY_MEASUREMENTS: Final = frozenset({"worker", "projection", "uplink", "simulator"})
"""Processes that need not begin again where nothing has changed but acceptance files of mines."""
_ENDING: Final = (signal.SIGINT, signal.SIGTERM)
_log = structlog.get_logger(__name__)

Result = TypeVar("Result")
Task = Callable[[Settings, threading.Event], None]
"""What a process does until the event is set."""


class Processes:
    """Starts processes, watches over them, and ends them in the reverse order.

    Each holds one end of a pipe whose other end only the parent has: when that closes, by order or because the parent was
    killed, the process is to stop. All are forked from one that has imported what they share; their environment is that of the
    first start.
    """

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([_COMMON])
        # Ctrl-C and service managers signal all processes of a group: the one that forks goes on until its parent has ended.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
        forkserver.ensure_running()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._running: list[tuple[str, ForkServerProcess, Connection]] = []
        self._tasks: dict[str, tuple[str, Settings]] = {}
        self._aside: dict[str, tuple[str, Settings, float, float]] = {}

    def start_aside(self, name: str, task: str, settings: Settings) -> None:
        """Start a process that the others can do without.

        Should it end by a fault, it is started again after a while; one that ends well wants to begin afresh, and does at once.
        """
        self._begin_aside(name, task, settings, _REST)

    def _begin_aside(self, name: str, task: str, settings: Settings, rest: float) -> None:
        self._aside[name] = (task, settings, rest, time.monotonic())
        self.start(name, task, settings)

    def start(self, name: str, task: str, settings: Settings) -> ForkServerProcess:
        """Start a process.

        Parameters
        ----------
        name : str
            What it is called when it fails.
        task : str
            Where its `Task` is, as ``module:function``: only the child need carry what the task imports.
        settings : Settings
            Handed to the task.
        """
        self._tasks[name] = (task, settings)
        theirs, ours = self._context.Pipe(duplex=False)
        process = self._context.Process(target=_live, args=(task, settings, theirs), name=name)
        process.start()
        theirs.close()
        self._running.append((name, process, ours))
        return process

    def once(self, work: Callable[[Settings], Result], settings: Settings) -> Result:
        """Do something in a process of its own, so that its memory ends with it, and return what came of it."""
        with ProcessPoolExecutor(1, self._context) as pool:
            return pool.submit(work, settings).result()

    def watch(self, stop: threading.Event, registry: WatchedRegistry) -> None:
        """Wait until ``stop`` is set; where the registry changes, begin again with it.

        Raises
        ------
        SystemExit
            A process ended by itself.
        """
        due = 0.0
        while not stop.wait(0.2):
            self.check()
            if time.monotonic() >= due:
                due = time.monotonic() + EVERY
                before = registry.current.measured()
                if (found := registry.changed()) is not None:
                    self.renew(_BY_MEASUREMENTS if found.measured() == before else frozenset())

    def renew(self, untouched: frozenset[str] = frozenset()) -> None:
        """End all processes that a changed registry touches, and start them again in their order.

        Parameters
        ----------
        untouched : frozenset of str
            Processes that go on, beside those that take up a registry by themselves.
        """
        again = [place for place in self._running if place[0] not in _BY_THEMSELVES | untouched]
        _log.info("the registry has changed", started_again=[name for name, *_ in again])
        for one in reversed(again):
            self._running.remove(one)
            _end(*one[1:])
        for name, *_ in again:
            self.start(name, *self._tasks[name])

    def check(self, finished: Collection[str] = ()) -> None:
        """See that all processes live; those named in ``finished`` may have ended well.

        Raises
        ------
        SystemExit
            A process ended by itself.
        """
        for place, (name, process, lifeline) in enumerate(self._running):
            if process.exitcode is None:
                continue
            if name in self._aside:
                task, settings, rest, begun = self._aside[name]
                ran = time.monotonic() - begun
                if not process.exitcode:
                    lifeline.close()
                    self._begin_aside(name, task, settings, _REST)
                    self._running[place] = self._running.pop()
                elif ran >= rest:
                    rest = _REST if ran >= _STEADY else min(2 * rest, _LONGEST_REST)
                    _log.warning("started again", process=name, status=process.exitcode, next_not_before=rest)
                    lifeline.close()
                    self._begin_aside(name, task, settings, rest)
                    self._running[place] = self._running.pop()
            elif process.exitcode or name not in finished:
                raise SystemExit(f"greenmine: the {name} ended with status {process.exitcode}; see the log above")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        while self._running:
            _end(*self._running.pop()[1:])


def _end(process: ForkServerProcess, lifeline: Connection) -> None:
    lifeline.close()
    process.join(_PATIENCE)
    if process.exitcode is None:
        process.kill()
        process.join()


def _live(task: str, settings: Settings, lifeline: Connection) -> None:
    """Do the task in the child; Ctrl-C is the parent's business."""
    from greenmine.cli import configure_logging  # noqa: PLC0415 - only the child needs it

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
    configure_logging()
    stop = threading.Event()

    def wait_for_the_end() -> None:
        try:
            while not lifeline.poll(_TIDY):
                release_memory()
            lifeline.recv()
        except (EOFError, OSError):
            stop.set()
            # A task that does not heed the event is ended as by a service manager.
            if not finished.wait(_PATIENCE / 4):
                os.kill(os.getpid(), signal.SIGTERM)
            if not finished.wait(_PATIENCE / 4):
                os._exit(0)

    finished = threading.Event()
    threading.Thread(target=wait_for_the_end, daemon=True).start()
    module, _, function = task.partition(":")
    run: Task = getattr(import_module(module), function)
    try:
        run(settings, stop)
    finally:
        finished.set()
