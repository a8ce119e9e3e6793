"""Work on what strangers made, in a process of its own that may take so much memory and time and no more."""

from __future__ import annotations

import math
import multiprocessing
import os
import resource
import signal
import tempfile
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

T = TypeVar("T")

_TURN: Final = 0.02
"""How often memory and time are looked at [s]."""
_BEYOND: Final = 5
"""So long after its bound the system ends a process whose parent is gone [s]."""
_PAGE: Final = resource.getpagesize()


class Bounds(NamedTuple):
    """What a process may take."""

    memory: float
    """Resident [bytes]."""
    seconds: float
    """Of the processor [s]."""


class BoundsError(Exception):
    """A process took more than it may, or broke down.

    Parameters
    ----------
    said : str
        Which of both, without a subject.
    bound : str
        Name of the bound that it exceeded; empty if it broke down.
    """

    def __init__(self, said: str, bound: str = "") -> None:
        super().__init__(said)
        self.bound = bound


def bounded(
    task: Callable[..., T],
    arguments: tuple[Any, ...],
    options: Mapping[str, Any],
    bounds: Bounds,
    progress: Callable[[int, int], None],
    modules: Sequence[str] = (),
) -> T:
    """Call a function in a process of its own, and end that as soon as it takes too much.

    Parameters
    ----------
    task : callable
        Takes the arguments, ``progress``, told numbers done and in all, and the options with ``workspace``, a directory that is
        removed in the end and holds its temporary files.
    arguments, options : tuple, mapping
        For it; all of it must be picklable, and so must what it returns or raises.
    bounds : Bounds
        What it may take; where the system has no ``/proc``, time only.
    progress : callable
        Told in this process.
    modules : sequence of str
        What the task needs: loaded once for all calls of this process, since loading takes longer than a small task.

    Raises
    ------
    BoundsError
        If it took more than that, or ended without an answer.
    ValueError, OSError
        That the task raised.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(modules))
    here, there = context.Pipe()
    with tempfile.TemporaryDirectory(prefix="greenmine-") as name:
        process = context.Process(
            target=_run, args=(there, task, arguments, dict(options), Path(name), bounds), daemon=True
        )
        process.start()
        there.close()
        try:
            answer: T = _answer(here, process.pid or 0, bounds, progress)
        finally:
            process.kill()
            process.join()
    return answer


def _answer(here: Connection, number: int, bounds: Bounds, progress: Callable[[int, int], None]) -> Any:
    while True:
        if here.poll(_TURN):
            try:
                kind, content = here.recv()
            except EOFError:
                raise BoundsError("broke down") from None
            if kind == "done":
                return content
            if kind == "raised":
                raise content
            progress(*content)
        memory, seconds = _taken(number)
        if memory > bounds.memory:
            raise BoundsError(f"takes more than {bounds.memory / 1e6:.0f} MB", "memory")
        if seconds > bounds.seconds:
            raise BoundsError(f"takes more than {bounds.seconds:.0f} s", "seconds")


def _taken(number: int) -> tuple[float, float]:
    """Resident memory [bytes] and processor time [s] of a process."""
    try:
        memory = int(Path(f"/proc/{number}/statm").read_bytes().split()[1]) * _PAGE
        fields = Path(f"/proc/{number}/stat").read_bytes().rpartition(b")")[2].split()
    except (OSError, IndexError):
        return 0.0, 0.0
    return float(memory), (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _run(
    there: Connection,
    task: Callable[..., Any],
    arguments: tuple[Any, ...],
    options: dict[str, Any],
    workspace: Path,
    bounds: Bounds,
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    most = math.ceil(bounds.seconds) + _BEYOND
    resource.setrlimit(resource.RLIMIT_CPU, (most, most))
    tempfile.tempdir = str(workspace)
    with there:
        try:
            told = task(*arguments, lambda *done: there.send(("progress", done)), workspace=workspace, **options)
        except (ValueError, OSError) as error:
            there.send(("raised", error))
        except MemoryError:
            return
        else:
            there.send(("done", told))
