"""Changes: whether a database was written to since somebody looked, told at no cost."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Generic, TypeVar

_K = TypeVar("_K")
_V = TypeVar("_V")


class Changes:
    """Counts the commits to a database, by whichever process and connection, that this object has seen one after.

    Parameters
    ----------
    path : Path
        File of the database; it may appear later.

    References
    ----------
    SQLite, `PRAGMA data_version`: it differs if and only if another connection has committed in between. In the write-ahead
    log that is told from shared memory, without reading the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._lock = Lock()

    def number(self) -> int | None:
        """Number that changes with every commit; None as long as there is no database, or it cannot be read."""
        with self._lock, suppress(sqlite3.Error):
            if self._connection is None:
                if not self._path.exists():
                    return None
                self._connection = sqlite3.connect(
                    f"file:{self._path.resolve()}?mode=ro", uri=True, check_same_thread=False, isolation_level=None
                )
            (number,) = self._connection.execute("PRAGMA data_version").fetchone()
            return int(number)
        return None

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
