"""Work on what strangers made, in a process of its own that may take so much memory and time and no more."""

from __future__ import annotations

import math
import multiprocessing
import os
import resource
import signal
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
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


class Onward(NamedTuple):
    """What a task returns if another has to go on, in a process that has none of its memory but the rest of its time."""

    task: Callable[..., Any]
    arguments: tuple[Any, ...]
    """What it takes is otherwise the same; files in ``workspace`` are still there."""


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
    task: Callable[..., T | Onward],
    arguments: tuple[Any, ...],
    options: Mapping[str, Any],
    bounds: Bounds,
    progress: Callable[[int, int], None],
    modules: Sequence[str] = (),
    watch: Callable[[float], None] = lambda _: None,
) -> T:
    """Call a function in a process of its own, and end that, with what it began, as soon as it takes too much.

    Parameters
    ----------
    task : callable
        Takes the arguments, ``progress``, told numbers done and in all, and the options with ``workspace``, a directory that is
        removed in the end and holds its temporary files. May return `Onward`.
    arguments, options : tuple, mapping
        For it; all of it must be picklable, and so must what it returns or raises.
    bounds : Bounds
        What it may take; where the system has no ``/proc``, time only.
    progress : callable
        Told in this process.
    modules : sequence of str
        What the task needs: loaded once for all calls of this process, since loading takes longer than a small task.
    watch : callable
        Told the memory that it takes [bytes], again and again.

    Raises
    ------
    BoundsError
        If it took more than that, or ended without an answer.
    ValueError, OSError
        That the task raised.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(modules))
    spent = 0.0
    with tempfile.TemporaryDirectory(prefix="greenmine-") as name:
        while True:
            left = Bounds(bounds.memory, bounds.seconds - spent)
            here, there = context.Pipe()
            process = context.Process(
                target=_run, args=(there, task, arguments, dict(options), Path(name), left), daemon=True
            )
            process.start()
            there.close()
            try:
                answer, seconds = _answer(here, process.pid or 0, left, progress, watch)
            finally:
                for one in _family(process.pid or 0):
                    with suppress(ProcessLookupError):
                        os.kill(one, signal.SIGKILL)
                process.kill()
                process.join()
            if not isinstance(answer, Onward):
                told: T = answer
                return told
            task, arguments, spent = answer.task, answer.arguments, spent + seconds


def _answer(
    here: Connection,
    number: int,
    bounds: Bounds,
    progress: Callable[[int, int], None],
    watch: Callable[[float], None],
) -> tuple[Any, float]:
    """What the task returned, and the processor time that it took [s]."""
    while True:
        if here.poll(_TURN):
            try:
                kind, content = here.recv()
            except EOFError:
                raise BoundsError("broke down") from None
            if kind == "done":
                return content, _taken(number)[1]
            if kind == "raised":
                raise content
            progress(*content)
        memory, seconds = _taken(number)
        watch(memory)
        if memory > bounds.memory:
            raise BoundsError(f"takes more than {bounds.memory / 1e6:.0f} MB", "memory")
        if seconds > bounds.seconds:
            raise BoundsError(f"takes more than {bounds.seconds:.0f} s", "seconds")


def _family(number: int) -> list[int]:
    """A process and all that its main thread began, and theirs; the process alone where the system has no ``/proc``."""
    found = [number]
    for one in found:
        with suppress(OSError):
            found += map(int, Path(f"/proc/{one}/task/{one}/children").read_bytes().split())
    return found


def _taken(number: int) -> tuple[float, float]:
    """Resident memory [bytes] and processor time [s] of a process and all that it began."""
    memory = ticks = 0
    for one in _family(number):
        with suppress(OSError, IndexError):
            memory += int(Path(f"/proc/{one}/statm").read_bytes().split()[1]) * _PAGE
            fields = Path(f"/proc/{one}/stat").read_bytes().rpartition(b")")[2].split()
            ticks += sum(map(int, fields[11:15]))  # its own, and those of its children that have ended
    return float(memory), ticks / os.sysconf("SC_CLK_TCK")


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
        except (MemoryError, RecursionError):
            return
        else:
            there.send(("done", told))
