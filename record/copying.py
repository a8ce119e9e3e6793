"""A record is copied from one database into another, of whatever make, so that all goes on from there as if nothing had been."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from greenmine.places import Place
from greenmine.record import schema
from greenmine.record.record import COPYING, hand_over, last_number, migrate, open_engine, transaction

_BYTES: Final = 500
"""Rows that are looked at together, where they hold data; blocks of an hour at one reading a second have 65 kB."""
_FIGURES: Final = 5_000
"""Rows that are looked at together elsewhere."""


class CopyError(RuntimeError):
    """A record cannot be copied, or did not come out the same."""


class CopiedTable(NamedTuple):
    """A table that is the same in both databases."""

    name: str
    rows: int


def copy(source: Place, target: Place, *, owner: str | None = None) -> Iterator[CopiedTable]:
    """Copy a record as it stands at one instant, and compare both row by row.

    What was copied before an interruption is not copied again. Numbers of rows and transactions go on behind the copied ones.
    Until all is there and the same, no worker begins on the copy.

    Parameters
    ----------
    source : Path or RecordServer
        A record of this version.
    target : Path or RecordServer
        An empty database, one that does not exist yet, or one that a copy of this record was interrupted in.
    owner : str, optional
        Whose task is taken in the copy, where it is on a server, so that nobody else writes it meanwhile.

    Yields
    ------
    CopiedTable
        Each table, when it has been compared.

    Raises
    ------
    CopyError
        The source is of another version; the target holds something else; or a row is not the same.
    StoreError
        A database cannot be read or written now; called again, it goes on from there.
    SchemaError
        The target was made by another version of greenmine.
    """
    reading, writing = open_engine(source, read_only=True), open_engine(target, owner=owner)
    try:
        with transaction(reading, "the record") as old:
            if old.dialect.name == "sqlite":
                old.exec_driver_sql("BEGIN")  # the driver begins no transaction by itself for reading
            _begin(old, writing)
            tables = [table for table in schema.metadata.sorted_tables if table not in {schema.meta, schema.counter}]
            for table in tables:
                _copy_rows(old, writing, table)
            for table in tables:
                with transaction(writing, "the copy") as new:
                    yield CopiedTable(table.name, _compared(old, new, table))
            with transaction(writing, "the copy") as new:
                new.execute(sa.delete(schema.meta))
                for rows in _portions(old, schema.meta):
                    _hand_over(new, schema.meta, rows)
                _continue_numbers(new, last_number(old))
                found = CopiedTable(schema.meta.name, _compared(old, new, schema.meta))
            yield found
    finally:
        reading.dispose()
        writing.dispose()


def _begin(old: sa.Connection, writing: sa.Engine) -> None:
    """Note in the copy of which record it is."""
    migrate(writing)
    meta = schema.meta.c
    with transaction(writing, "the copy") as new:
        there, here = _version(old), _version(new)
        if there != here:
            raise CopyError(
                f"the record is of version {there}, and not {here}: start this version of greenmine on it once"
            )
        of = sa.select(meta.value).where(meta.key == "identity")
        identity = old.scalar(of) or ""
        if old.scalar(sa.select(meta.value).where(meta.key == COPYING)) is not None:
            raise CopyError("what is to be copied is itself a copy that was interrupted")
        begun = new.scalar(sa.select(meta.value).where(meta.key == COPYING))
        if begun is None:
            if any(new.scalar(sa.select(sa.exists(sa.select(table)))) for table in schema.metadata.sorted_tables):
                raise CopyError("the target holds a record already; name an empty database")
            new.execute(sa.insert(schema.meta).values(key=COPYING, value=identity))
        elif begun != identity:
            raise CopyError("the target holds the interrupted copy of another record; name an empty database")


def _version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return found


def _copy_rows(old: sa.Connection, writing: sa.Engine, table: sa.Table) -> None:
    keys = list(table.primary_key)
    with transaction(writing, "the copy") as new:
        last = new.execute(sa.select(*keys).order_by(*(key.desc() for key in keys)).limit(1)).first()
    for rows in _portions(old, table, last):
        _check(table, rows)
        with transaction(writing, "the copy") as new:
            _hand_over(new, table, rows)


def _hand_over(new: sa.Connection, table: sa.Table, rows: list[Any]) -> None:
    hand_over(new, table, tuple(column.name for column in table.columns), [tuple(row) for row in rows])


def _portions(connection: sa.Connection, table: sa.Table, last: Any = None) -> Iterator[list[Any]]:
    """Rows of a table by their key, behind one of them."""
    keys = list(table.primary_key)
    many = _BYTES if any(isinstance(c.type, sa.LargeBinary) for c in table.columns) else _FIGURES
    while True:
        some = sa.select(table).order_by(*keys).limit(many)
        if last is not None:
            some = some.where(
                sa.tuple_(*keys) > sa.tuple_(*(sa.literal(v, k.type) for k, v in zip(keys, last, strict=True)))
            )
        rows = list(connection.execute(some).all())
        if rows:
            yield rows
        if len(rows) < many:
            return
        last = tuple(getattr(rows[-1], key.name) for key in keys)


def _check(table: sa.Table, rows: list[Any]) -> None:
    """Refuse what one of the databases cannot hold."""
    texts = [c.name for c in table.columns if isinstance(c.type, sa.String)]
    for row in rows:
        for name in texts:
            if "\0" in (getattr(row, name) or ""):
                raise CopyError(f"{_row(table, row)}: {name} holds a NUL, which PostgreSQL cannot keep")


def _compared(old: sa.Connection, new: sa.Connection, table: sa.Table) -> int:
    """Compare all rows of a table; how many those are."""
    count = 0
    others = (row for rows in _portions(new, table) for row in rows)
    for rows in _portions(old, table):
        for row in rows:
            other = next(others, None)
            if other is None or tuple(row) != tuple(other):
                raise CopyError(f"{_row(table, row)} is not the same in the copy; begin again with an empty database")
            count += 1
    if (more := next(others, None)) is not None:
        raise CopyError(f"{_row(table, more)} is in the copy only; begin again with an empty database")
    return count


def _row(table: sa.Table, row: Any) -> str:
    return f"{table.name} " + ", ".join(f"{key.name} {getattr(row, key.name)}" for key in table.primary_key)


def _continue_numbers(new: sa.Connection, transactions: int) -> None:
    """Let the next row of each table have the next number, and the next transaction."""
    if new.dialect.name == "sqlite":  # numbers of its rows go on behind the highest by themselves
        new.execute(sa.delete(schema.counter))
        new.execute(sa.insert(schema.counter).values(name="transaction", value=transactions))
        return
    new.execute(sa.select(sa.func.setval(schema.transaction_number.name, max(1, transactions), transactions > 0)))
    for table in schema.metadata.sorted_tables:
        column = table.autoincrement_column
        if column is not None:
            highest = sa.select(sa.func.max(column)).scalar_subquery()
            sequence = sa.func.pg_get_serial_sequence(table.name, column.name)
            new.execute(sa.select(sa.func.setval(sequence, highest)).where(highest.is_not(None)))
