"""``greenmine record``: the record is moved from a file of SQLite to PostgreSQL, and back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import cyclopts

from greenmine.errors import SchemaError, StoreError
from greenmine.loading import load_registry
from greenmine.places import SCHEMES, Place, RecordServer
from greenmine.record.access import RecordAccess
from greenmine.record.copying import CopyError
from greenmine.record.copying import copy as copy_record
from greenmine.record.record import DatabaseError, there_is
from greenmine.settings import Settings
from greenmine.times import now

app = cyclopts.App(name="record", help="Move the record from a file of SQLite to PostgreSQL, and back.")
_ALIVE: Final = 10_000
"""A worker that has said nothing for this long is taken as stopped [ms]."""


@app.command
def copy(source: str, target: str, /) -> None:
    """Copy a record into an empty database, and compare both row by row.

    Stop the services before. Where it is interrupted, call it again: it goes on from there, and until it has ended no worker
    begins on the copy. Then let GREENMINE_RECORD name the copy, or leave it out for record.sqlite in the data directory.
    The password of a server is GREENMINE_RECORD_PASSWORD.

    Parameters
    ----------
    source
        Address of a database of PostgreSQL, or path of a file of SQLite.
    target
        Likewise; it must be empty, or not exist.
    """
    try:
        old, new = _place(source), _place(target)
        if not there_is(old):
            raise SystemExit(f"greenmine record: no record at {old}")
        if _is_written(old):
            raise SystemExit(f"greenmine record: a worker writes {old}; stop the services first")
        for table in copy_record(old, new, owner="worker"):
            sys.stdout.write(f"{table.name}: {table.rows} rows\n")
    except (CopyError, SchemaError, StoreError, DatabaseError, ValueError) as error:
        raise SystemExit(f"greenmine record: {error}") from error
    sys.stdout.write(f"The record at {new} is the same.\n")


def _place(given: str) -> Place:
    if given.split(":", 1)[0] in SCHEMES:
        return RecordServer(given, Settings().record_password)
    return Path(given)


def _is_written(place: Place) -> bool:
    access = RecordAccess(place, load_registry())
    try:
        with access.queries() as queries:
            return any(now() - worker.updated < _ALIVE for worker in queries.workers())
    finally:
        access.close()
