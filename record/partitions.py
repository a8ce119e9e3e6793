"""How many partitions the sites of a record fall into, once and for all."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from greenmine.record import schema
from greenmine.record.record import begin_writing, transaction

_KEY: Final = "partitions"
"""Key in the table ``meta``."""


def partitions_in(connection: sa.Connection) -> int:
    """Return how many partitions there are; one, where nothing was said."""
    found = connection.scalar(sa.select(schema.meta.c.value).where(schema.meta.c.key == _KEY))
    return 1 if found is None else int(found)


def settle_partitions(engine: sa.Engine, wanted: int) -> None:
    """Note in a record how many partitions there are.

    Raises
    ------
    ValueError
        It has been noted otherwise, or the record is in use with one.
    """
    with transaction(engine, "the record") as connection:
        begin_writing(connection)
        there = partitions_in(connection)
        if there == wanted:
            return
        if there != 1 or connection.scalar(sa.select(sa.exists(sa.select(schema.ledger)))):
            raise ValueError(
                f"GREENMINE_PARTITIONS is {wanted}, and the record has {there} since it was begun; set {there}"
            )
        connection.execute(sa.insert(schema.meta).values(key=_KEY, value=str(wanted)))
