"""A process that is killed within a transaction of the record."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from greenmine.record.record import open_engine


def killed_after(path: Path, statement: str, work: Callable[[sa.Engine], object]) -> None:
    """Work on a record in a process of its own, which is killed when a statement of this beginning is done, before the commit."""

    def kill(_connection: sa.Connection, _cursor: Any, text: str, *_: object) -> None:
        if text.startswith(statement):
            os.kill(os.getpid(), signal.SIGKILL)

    def run() -> None:
        engine = open_engine(path)
        sa.event.listen(engine, "after_cursor_execute", kill)
        work(engine)

    child = multiprocessing.get_context("fork").Process(target=run)
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
