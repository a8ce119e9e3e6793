"""The record for a process that serves it: empty as long as there is none, and read-only but for what people add."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Engine, StaticPool, create_engine

from greenmine.errors import NoRecordError
from greenmine.partitions import partitions_of
from greenmine.places import Place
from greenmine.record import schema
from greenmine.record.blocks import Blocks
from greenmine.record.changes import Changes
from greenmine.record.contributions import Contributions
from greenmine.record.follower import ends
from greenmine.record.partitions import partitions_in
from greenmine.record.reader import ChannelNumbers, Queries
from greenmine.record.record import next_serial, open_engine, there_is
from greenmine.registry import Registry

T = TypeVar("T")


class RecordAccess:
    """Opens connections to the record.

    Parameters
    ----------
    place : Path or RecordServer
        Where the record is; it may appear later.
    registry : Registry
        Handed to the queries.
    archive : str, optional
        Where readings lie that were pruned from the record.
    """

    def __init__(self, place: Place, registry: Registry, archive: str | None = None) -> None:
        self._place = place
        self._there = False
        self._registry = registry
        self._archive = archive
        self._blocks = Blocks(registry, archive)
        self._numbers = ChannelNumbers()
        self.changes = Changes(place)

    def renew(self, registry: Registry) -> None:
        """Hand another registry to the queries from now on."""
        self._registry = registry
        self._blocks = Blocks(registry, self._archive)

    @contextmanager
    def queries(self) -> Iterator[Queries]:
        """Queries on one connection, in one transaction: all of them see the same state.

        Raises
        ------
        StoreError
            The server of the record is out of reach.
        """
        engine = self._filled if self._is_there() else self._empty
        with engine.connect() as connection:
            yield Queries(connection, self._registry, self._blocks, self._numbers)

    def end(self, told: Callable[[Queries], T]) -> T:
        """Where something ends, for queries that begin afterwards: these see all up to there, see `greenmine.record.follower.ends`.

        Raises
        ------
        StoreError
            As `queries`, or somebody writes for very long.
        """
        with ends(self._filled if self._is_there() else self._empty) as connection:
            return told(Queries(connection, self._registry, self._blocks, self._numbers))

    @contextmanager
    def contributions(self, site: str | None = None) -> Iterator[Contributions]:
        """Add what people say, in a transaction that is durable when the block ends; figures are the worker's alone.

        Parameters
        ----------
        site : str, optional
            Of which it is; None: all partitions are waited for.

        Raises
        ------
        NoRecordError
            No worker has run.
        """
        with self.writable.begin() as connection:
            many = 1 if isinstance(self._place, Path) else partitions_in(connection)
            of = partitions_of(self._registry, many)
            yield Contributions(connection, next_serial(connection, [of[site]] if site in of else range(many)))

    def close(self) -> None:
        """Close all connections."""
        self.changes.close()
        for name in ("_filled", "_empty", "_writable"):
            if name in self.__dict__:
                self.__dict__[name].dispose()

    def _is_there(self) -> bool:
        # A file may be taken away; a server that has once been asked is not asked each time.
        if not self._there or isinstance(self._place, Path):
            self._there = there_is(self._place)
        return self._there

    @cached_property
    def _filled(self) -> Engine:
        return open_engine(self._place, read_only=True)

    @property
    def writable(self) -> Engine:
        """The record, to add what people and other installations say.

        Raises
        ------
        NoRecordError
            No worker has run.
        """
        if not self._is_there():
            raise NoRecordError("There is no record yet: no worker has run.")
        return self._writable

    @cached_property
    def _writable(self) -> Engine:
        return open_engine(self._place)

    @cached_property
    def _empty(self) -> Engine:
        engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
        schema.metadata.create_all(engine)
        return engine
