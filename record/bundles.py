"""Evidence bundles that were asked for: what is to be built, how far it is, and where the files lie."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from greenmine.record import schema
from greenmine.reporting import Period

ATTEMPTS: Final = 3
"""How often building begins anew after it was interrupted."""

_TABLE: Final = schema.bundle


def file_of(folder: Path, number: int) -> Path:
    """The file of a bundle."""
    return folder / f"{number}.zip"


def period_of(row: sa.Row[Any]) -> Period:
    """Days that a bundle is about."""
    return Period(row.period, date.fromisoformat(row.first), date.fromisoformat(row.last))


class Workbench:
    """What the builder sees of the bundles that were asked for.

    Parameters
    ----------
    engine : Engine
        Of the record.
    folder : Path
        Where the files lie.
    """

    def __init__(self, engine: sa.Engine, folder: Path) -> None:
        self._engine = engine
        self._folder = folder

    def take_up(self, now: int) -> None:
        """Put what was interrupted back into its place in the queue; what was so too often has failed.

        To be called by the only builder while it builds nothing: files of a build that was interrupted are removed.
        """
        if self._first("running") is None:
            return
        for leftover in self._folder.glob(".evidence-*"):
            shutil.rmtree(leftover)
        c = _TABLE.c
        self._change(
            sa.and_(c.state == "running", c.attempts >= ATTEMPTS),
            state="failed", error=f"building was interrupted {ATTEMPTS} times", ended=now,
        )  # fmt: skip
        self._change(c.state == "running", state="waiting", step="", done=0, total=0)

    def next(self) -> sa.Row[Any] | None:
        """Begin with the bundle that has waited longest; None where nothing waits."""
        c = _TABLE.c
        first = self._first("waiting")
        if first is None:
            return None
        begun = sa.update(_TABLE).where(c.id == first)
        with self._engine.begin() as connection:
            changed = begun.values(state="running", attempts=c.attempts + 1).returning(_TABLE)
            return connection.execute(changed).first()

    def report(self, number: int, step: str, done: int, total: int) -> None:
        """Say how far it is."""
        self._change(_TABLE.c.id == number, step=step[:80], done=done, total=total)

    def put_back(self, number: int) -> None:
        """Leave it to the next start, which does not count as an interruption."""
        c = _TABLE.c
        self._change(c.id == number, state="waiting", attempts=c.attempts - 1, step="", done=0, total=0)

    def finish(self, number: int, provisional: Sequence[str], now: int) -> None:
        """The file is there, whole."""
        path = file_of(self._folder, number)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self._change(
            _TABLE.c.id == number,
            state="done", step="", size=path.stat().st_size, digest=digest, provisional=json.dumps(list(provisional)),
            ended=now,
        )  # fmt: skip

    def fail(self, number: int, error: str, now: int) -> None:
        """It cannot be built."""
        self._change(_TABLE.c.id == number, state="failed", step="", error=error, ended=now)

    def remove(self, before: int) -> int:
        """Remove the files of bundles that were built before an instant [ms UTC]; how many those were."""
        c = _TABLE.c
        with self._engine.connect() as connection:
            old = connection.scalars(sa.select(c.id).where(c.state == "done", c.ended < before)).all()
        for number in old:
            self._change(c.id == number, state="removed")
            file_of(self._folder, number).unlink(missing_ok=True)
        return len(old)

    def _first(self, state: str) -> int | None:
        """The bundle in a state that was asked for first; nothing is locked where there is none."""
        with self._engine.connect() as connection:
            found: int | None = connection.scalar(sa.select(sa.func.min(_TABLE.c.id)).where(_TABLE.c.state == state))
        return found

    def _change(self, which: sa.ColumnElement[bool], **values: Any) -> None:
        with self._engine.begin() as connection:
            connection.execute(sa.update(_TABLE).where(which).values(**values))
