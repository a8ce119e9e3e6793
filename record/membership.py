"""Workers that share the partitions: who lives, and what each of them is to have.

Nobody leads. Each worker says every second that it lives, looks at the others, and works out the same shares as they do. By whom
a partition is written is decided by the row of the partition alone, see `greenmine.record.log_positions`: who is taken for dead
and is not writes nothing any more.
"""

from __future__ import annotations

import hashlib
import os
import socket
import time
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final, NamedTuple
from uuid import uuid4

import sqlalchemy as sa
import structlog

from greenmine import times
from greenmine.record import schema
from greenmine.record.record import Engine, begin_writing, transaction

BEAT: Final = 1.0
"""How often a worker says that it lives [s]."""
SILENCE: Final = 6.0
"""Who has said nothing for this long is taken for dead [s]."""
_FORGOTTEN: Final = 600.0
"""Who has said nothing for this long is forgotten [s]."""

_log = structlog.get_logger(__name__)


class WorkerShare(NamedTuple):
    """What a worker is to have."""

    partitions: frozenset[int]
    epochs: Mapping[int, int]
    """Of all partitions, as they were seen; 0 where there was no owner yet."""
    dead: frozenset[str]
    """Owners that live no more."""


def member_name() -> str:
    """Return a name of this process: machine, process, and something by which no later one is taken for it."""
    return f"{socket.gethostname()[:60]}:{os.getpid()}:{_system()}:{uuid4().hex[:8]}"


def _system() -> str:
    """The running system in which the number of a process means what it means here."""
    told = [Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")]
    try:
        text = f"{told[0].read_text()} {told[1].readlink()}"
    except OSError:
        text = uuid4().hex  # without it, who is dead is noticed by its silence
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def shares(living: Collection[str], partitions: Collection[int], owners: Mapping[int, str], me: str) -> set[int]:
    """Return the partitions that a worker is to have, so that nobody has two more than another, and few change hands.

    Parameters
    ----------
    living : collection of str
        All workers, ``me`` among them.
    partitions : collection of int
        All of them.
    owners : mapping of int to str
        Who has each now; a dead one counts as nobody.
    me : str
        Whose share it is.
    """
    has = Counter(owners.values())
    rank = sorted(living, key=lambda name: (-has[name], name)).index(me)
    few, more = divmod(len(partitions), len(living))
    most = few + (rank < more)
    mine = sorted(p for p in partitions if owners.get(p) == me)
    free = sorted(p for p in partitions if owners.get(p) not in living)
    return {*mine[:most], *free[: max(0, most - len(mine))]}


class Membership:
    """A worker among others.

    Parameters
    ----------
    engine : Engine
        Of the record.
    partitions : collection of int
        All that are to be shared out.
    name : str
        From `member_name`.
    """

    def __init__(self, engine: Engine, partitions: Collection[int], name: str) -> None:
        self.name = name
        self._engine = engine
        self._partitions = sorted(partitions)
        self._quiet: dict[str, tuple[int, float]] = {}
        self._looked: float | None = None
        self._looks = 0

    def look(self) -> WorkerShare:
        """Say that this worker lives, and return what it is to have.

        Raises
        ------
        StoreError
            If the record cannot be written.
        """
        m, p = schema.member, schema.log_position.c
        with transaction(self._engine, "the record") as connection:
            if connection.dialect.name == "sqlite":
                begin_writing(connection)
            mine = sa.update(m).where(m.c.name == self.name).values(beat=m.c.beat + 1, updated=times.now())
            if not connection.execute(mine).rowcount:
                connection.execute(sa.insert(m).values(name=self.name, beat=1, updated=times.now()))
            members = {row.name: row.beat for row in connection.execute(sa.select(m))}
            owners = connection.execute(sa.select(p.partition, p.owner, p.epoch)).all()
        living = self._living(members)
        self._looks += 1
        of = {row.partition: row.owner for row in owners}
        epochs = dict.fromkeys(self._partitions, 0) | {row.partition: row.epoch for row in owners}
        wanted = shares(living, self._partitions, of, self.name)
        if self._looks == 1 and len(living) > 1:
            wanted = {number for number in wanted if of.get(number) == self.name}  # who has just come looks twice
        dead = frozenset(owner for owner in of.values() if owner and owner not in living)
        return WorkerShare(frozenset(wanted), epochs, dead)

    def _living(self, members: Mapping[str, int]) -> set[str]:
        """Those who live, as far as can be told by what they said while this worker looked."""
        now = time.monotonic()
        # Who stood still itself has not listened meanwhile.
        passed = 0.0 if self._looked is None else min(now - self._looked, 2 * BEAT)
        self._looked = now
        quiet = {}
        for name, beat in members.items():
            before, silent = self._quiet.get(name, (beat, 0.0))
            quiet[name] = beat, silent + passed if beat == before else 0.0
        self._quiet = quiet
        forgotten = [name for name, (_, silent) in quiet.items() if silent > _FORGOTTEN]
        if forgotten:
            self._forget(forgotten)
        return {
            name
            for name, (_, silent) in quiet.items()
            if name == self.name or not (silent > SILENCE or _has_ended(name))
        }

    def leave(self) -> None:
        """Say that this worker ends."""
        self._forget([self.name])

    def _forget(self, names: Collection[str]) -> None:
        with transaction(self._engine, "the record") as connection:
            connection.execute(sa.delete(schema.member).where(schema.member.c.name.in_(names)))


def _has_ended(name: str) -> bool:
    """Whether a worker of this very system is a process no more."""
    _, number, system, _ = name.rsplit(":", 3)
    if system != _system() or not number.isdecimal():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
