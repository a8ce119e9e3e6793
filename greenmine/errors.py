"""Errors that cross the borders of packages."""

from __future__ import annotations

from pathlib import Path


class StoreError(Exception):
    """The record cannot take a batch now (disk full, locked, unreachable); it may later."""


class UncertainError(RuntimeError):
    """Nobody says whether a commit is durable: whoever goes on from the record itself, from the start, is right."""


class NoRecordError(StoreError):
    """There is no record yet: no worker has run."""


class SchemaError(ValueError):
    """A database was made by another version of greenmine, or is none that can be used, and is left as it is.

    Parameters
    ----------
    file : Path or str
        The database; a text says all that is wrong.
    """

    def __init__(self, file: Path | str) -> None:
        super().__init__(
            file
            if isinstance(file, str)
            else f"{file} was made by another version of greenmine and is left as it is; to begin again, move {file.parent} "
            "away, or name another directory with --data or GREENMINE_DATA"
        )


class ListenError(RuntimeError):
    """A port cannot be listened on; the text says which, why, and what would help."""
