"""Errors that cross the borders of packages."""

from __future__ import annotations

from pathlib import Path


class StoreError(Exception):
    """The record cannot take a batch now (disk full, locked, unreachable); it may later."""


class NoRecordError(StoreError):
    """There is no record yet: no worker has run."""


class SchemaError(ValueError):
    """A database was made by another version of greenmine, and is left as it is.

    Parameters
    ----------
    file : Path
        The database.
    """

    def __init__(self, file: Path) -> None:
        super().__init__(
            f"{file} was made by another version of greenmine and is left as it is; to begin again, move {file.parent} away, "
            "or name another directory with --data or GREENMINE_DATA"
        )


class ListenError(RuntimeError):
    """A port cannot be listened on; the text says which, why, and what would help."""
