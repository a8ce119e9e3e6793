"""How far each partition of the log has been read, who reads it, and the fence that keeps former readers out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa

from greenmine.collector.intake import LogPlace
from greenmine.record import schema
from greenmine.record.record import Engine, begin_writing, transaction

NOBODY = ""
"""Owner of a partition that its former one has given up."""
STRANGERS = 0
"""Partition whose owner reads, and rejects, what is of no site of the registry."""


class SupersededError(RuntimeError):
    """Somebody else has one of the partitions now; what was read or computed is not committed."""


class LogReader:
    """The owner of some partitions, from now on the only one whose transactions are taken.

    Parameters
    ----------
    engine : Engine
        Of the record, where places and owners are kept.
    partitions : collection of int
        Which parts of the log.
    owner : str
        Who reads: the same text is nobody else's.
    sites : mapping of str to int
        Partition of each site. What was read for a site of these partitions in another one before is read again, and what came
        for a new one since it was refused as a stranger's is read.
    seen : mapping of int to int, optional
        Epochs of partitions as they were seen before; one that has another owner since is left to that one.

    Attributes
    ----------
    owner : str
        As given.
    partitions : tuple of int
        Those that it has.
    places : list of LogPlace
        How far each of them had been read when this reader was made.
    strangers : frozenset of str
        Sites that are in another partition, whose owner does not know them yet: until then they are strangers.

    Raises
    ------
    StoreError
        If the record cannot be written.
    """

    def __init__(
        self,
        engine: Engine,
        partitions: Collection[int],
        owner: str,
        sites: Mapping[str, int] | None = None,
        seen: Mapping[int, int] | None = None,
    ) -> None:
        self.owner = owner[:200]
        self._engine = engine
        everywhere, table, moved = sites or {}, schema.log_position, schema.site_partition
        sites = {site: number for site, number in everywhere.items() if number in partitions}
        with transaction(engine, "the record") as connection:
            noted = {row.site: row.partition for row in connection.execute(sa.select(moved))}
        former = {site: noted.get(site, STRANGERS) for site in sites}
        former = {site: number for site, number in former.items() if number != sites[site]}
        with transaction(engine, "the record") as connection:
            begin_writing(connection, {*partitions, *former.values()})
            rows = {row.partition: row for row in connection.execute(sa.select(table))}
            taken = [p for p in sorted(partitions) if seen is None or p not in rows or rows[p].epoch == seen.get(p)]
            self.partitions = tuple(taken)
            self.places: list[LogPlace] = []
            for number in taken:
                froms = {former[site] for site, new in sites.items() if site in former and new == number}
                new = {site for site, its in sites.items() if its == number and site not in noted}
                needed = froms | ({number} if new or number in rows else set())
                known = [rows[p] for p in needed] if needed <= rows.keys() else []
                first: Any = min(known, key=lambda row: row.position, default=None)
                place = LogPlace((number,)) if first is None else LogPlace((number,), first.position, first.stamp)
                self.places.append(place)
                row = {"owner": self.owner, "position": place.position, "stamp": place.stamp}
                if number in rows:
                    connection.execute(
                        sa.update(table).where(table.c.partition == number).values(epoch=table.c.epoch + 1, **row)
                    )
                else:
                    connection.execute(sa.insert(table).values(partition=number, epoch=1, **row))
            # Who reads a partition for the first time reads all of the log, and takes nothing from strangers.
            left = {p for site, p in former.items() if sites[site] in taken and (site in noted or sites[site] in rows)}
            self._give_up(connection, left - set(taken))
            noted = {row.site: row.partition for row in connection.execute(sa.select(moved))}
            unknown = (site for site, number in everywhere.items() if number in rows and number not in taken)
            self.strangers = frozenset(site for site in unknown if site not in noted)
            for site, number in sites.items():
                if number in taken and noted.get(site) != number:
                    connection.execute(sa.delete(moved).where(moved.c.site == site))
                    connection.execute(sa.insert(moved).values(site=site, partition=number))

    def fence(self, connection: sa.Connection) -> None:
        """See in a transaction that writes, before anything else, that all partitions are still its own.

        Raises
        ------
        SupersededError
            Another one has begun with one of them; the transaction is to be given up.
        """
        c = schema.log_position.c
        mine = sa.select(sa.func.count()).where(c.partition.in_(self.partitions), c.owner == self.owner)
        if connection.execute(mine).scalar_one() != len(self.partitions):
            raise SupersededError(f"another worker has one of the partitions {self._named()} now")

    def store(self, connection: sa.Connection, place: LogPlace) -> None:
        """Store how far the log has been read, in the transaction of what was read.

        Raises
        ------
        SupersededError
            As `fence`.
        """
        table = schema.log_position
        mine = sa.update(table).where(table.c.partition.in_(place.partitions), table.c.owner == self.owner)
        if connection.execute(mine.values(position=place.position, stamp=place.stamp)).rowcount != len(
            place.partitions
        ):
            raise SupersededError(f"another worker has one of the partitions {self._named()} now")

    def give_up(self, partitions: Collection[int]) -> None:
        """Leave partitions to others, where they still are its own."""
        with transaction(self._engine, "the record") as connection:
            begin_writing(connection, partitions)
            self._give_up(connection, partitions, self.owner)
        self.partitions = tuple(p for p in self.partitions if p not in partitions)

    @staticmethod
    def _give_up(connection: sa.Connection, partitions: Collection[int], owner: str | None = None) -> None:
        table = schema.log_position
        which = [table.c.partition.in_(partitions)] + ([] if owner is None else [table.c.owner == owner])
        if partitions:
            connection.execute(sa.update(table).where(*which).values(owner=NOBODY, epoch=table.c.epoch + 1))

    def _named(self) -> str:
        return ", ".join(map(str, self.partitions))
