"""How far a partition of the log has been read, who reads it, and the fence that keeps former readers out."""

from __future__ import annotations

import sqlalchemy as sa

from greenmine.collector.intake import LogPlace
from greenmine.record import schema
from greenmine.record.record import Record


class SupersededError(RuntimeError):
    """Somebody else reads this partition of the log now; what was read is not committed."""


class LogReader:
    """The reader of a partition, from now on the only one whose commits are taken.

    Parameters
    ----------
    record : Record
        Where the place is kept.
    partition : int
        Which part of the log.
    owner : str
        Who reads: machine and process, for people.

    Attributes
    ----------
    place : LogPlace
        How far it had been read when this reader was made.

    Raises
    ------
    StoreError
        If the record cannot be written.
    """

    def __init__(self, record: Record, partition: int, owner: str) -> None:
        table = schema.log_position
        self._of = table.c.partition == partition
        with record.transaction() as connection:
            record.serial(connection)  # whoever else begins waits for the end of this transaction
            found = connection.execute(sa.select(table).where(self._of)).one_or_none()
            self._epoch = 1 if found is None else found.epoch + 1
            self.place = LogPlace(partition) if found is None else LogPlace(partition, found.position, found.stamp)
            row = {"owner": owner[:200], "epoch": self._epoch}
            if found is None:
                connection.execute(sa.insert(table).values(**self.place._asdict(), **row))
            else:
                connection.execute(sa.update(table).where(self._of).values(row))

    def store(self, connection: sa.Connection, place: LogPlace) -> None:
        """Store how far the log has been read, in the transaction of what was read.

        Raises
        ------
        SupersededError
            If another reader has begun; the transaction is to be given up.
        """
        table = schema.log_position
        mine = sa.update(table).where(self._of, table.c.epoch == self._epoch)
        if connection.execute(mine.values(position=place.position, stamp=place.stamp)).rowcount != 1:
            raise SupersededError(f"another worker reads partition {place.partition} of the log now")
