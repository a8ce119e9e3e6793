"""Changes: whether a database was written to since somebody looked, told at no cost."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any, Generic, TypeVar

from greenmine.places import Place

_K = TypeVar("_K")
_V = TypeVar("_V")


class Changes:
    """Counts the commits to a database, by whichever process and connection, that this object has seen one after.

    Parameters
    ----------
    place : Path or RecordServer
        The database; a file may appear later.

    References
    ----------
    SQLite, `PRAGMA data_version`: it differs if and only if another connection has committed in between. In the write-ahead
    log that is told from shared memory, without reading the file.

    PostgreSQL, `pg_current_snapshot`: where it is the same, the same transactions are seen. It also differs when another
    database of the server was written to.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._connection: Any = None
        self._number = 0
        self._snapshot: str | None = None
        self._lock = Lock()

    def number(self) -> int | None:
        """Number that changes with every commit; None as long as there is no database, or it cannot be read."""
        with self._lock:
            return self._of_file(self._place) if isinstance(self._place, Path) else self._of_server()

    def _of_file(self, path: Path) -> int | None:
        with suppress(sqlite3.Error):
            if self._connection is None:
                if not path.exists():
                    return None
                self._connection = sqlite3.connect(
                    f"file:{path.resolve()}?mode=ro", uri=True, check_same_thread=False, isolation_level=None
                )
            (number,) = self._connection.execute("PRAGMA data_version").fetchone()
            return int(number)
        return None

    def _of_server(self) -> int | None:
        import psycopg  # noqa: PLC0415 - whoever only checks evidence has no driver

        from greenmine.record.postgresql import connect  # noqa: PLC0415 - likewise

        assert not isinstance(self._place, Path)
        try:
            if self._connection is None:
                self._connection = connect(self._place, read_only=True, autocommit=True)
                self._snapshot = None  # of another server, the same may mean something else
            (snapshot,) = self._connection.execute("SELECT pg_current_snapshot()::text").fetchone()
        except psycopg.Error:
            self._connection = None
            return None
        if snapshot != self._snapshot:
            self._number, self._snapshot = self._number + 1, snapshot
        return self._number

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


class Remembered(Generic[_K, _V]):
    """What was read from a database, forgotten at the first commit to it.

    Parameters
    ----------
    changes : Changes
        Of the database.
    most : int
        Entries at most; when there are more, all are forgotten.
    """

    def __init__(self, changes: Changes, most: int = 4_096) -> None:
        self._changes = changes
        self._most = most
        self._number: int | None = None
        self._entries: dict[_K, _V] = {}
        self._lock = Lock()

    def __bool__(self) -> bool:
        return bool(self._entries)

    def number(self) -> int | None:
        """To be asked for before something is read that is to be remembered."""
        return self._changes.number()

    def get(self, key: _K) -> _V | None:
        """What was remembered, if the database is still as it was when that was read."""
        number = self._changes.number()
        with self._lock:
            return self._entries.get(key) if number is not None and number == self._number else None

    def put(self, key: _K, value: _V, number: int | None) -> None:
        """Remember what was read after the number was asked for."""
        with self._lock:
            if number != self._number or len(self._entries) >= self._most:
                self._entries.clear()
                self._number = number
            if number is not None:
                self._entries[key] = value
