"""Questions in SQL to sealed days of any number of archives, by DuckDB, which reaches nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Any, Final

import duckdb
import pyarrow as pa
from pyarrow import dataset as ds

from greenmine.record.archive.archive import FIELDS, Archive
from greenmine.record.archive.chain import ChainError

_READINGS: Final = "CREATE VIEW reading AS SELECT * EXCLUDE (kind, detail) FROM sealed WHERE kind = 'reading'"
_COLUMNS: Final = pa.schema(
    [pa.field("site", pa.string()), pa.field("day", pa.date32()), pa.field("part", pa.int32()), *FIELDS]
)
_MEMORY: Final = 500
"""Memory that a question may take [MB]."""
_THREADS: Final = 2
_ROWS: Final = 10_000
"""Rows of an answer that are handed over together."""


class QueryError(ValueError):
    """A question that cannot be answered; the text says why."""


def sealed_files(archive: Archive, sites: Iterable[str], first: date | None, last: date | None) -> list[ds.Fragment]:
    """Sealed files of some days, whose content is as its entry says.

    Parameters
    ----------
    archive : Archive
        Where they lie.
    sites : iterable of str
        Whose.
    first, last : date or None
        Days, both included; None: no bound.

    Raises
    ------
    ChainError
        A file is missing, or is not what was sealed.
    """
    kind, found = ds.ParquetFileFormat(), []
    for site in sites:
        chain = archive.chain(site)
        for entry in chain.entries():
            day = date.fromisoformat(entry.day)
            if (first is not None and day < first) or (last is not None and day > last):
                continue
            if hashlib.sha256(chain.data(entry.file)).hexdigest() != entry.sha256:
                raise ChainError(f"{site}/{entry.file} is not what was sealed; run `greenmine archive verify`")
            known = (ds.field("site") == site) & (ds.field("day") == day) & (ds.field("part") == entry.part)
            found.append(kind.make_fragment(*archive.place(site, entry.file), known))
    return found


def answers(question: str, files: Sequence[ds.Fragment], memory: int = _MEMORY) -> Iterator[pa.RecordBatch]:
    """Answer a question about sealed files.

    DuckDB gets the rows from us and has no access to files, to the network, to extensions or to its own settings.

    Parameters
    ----------
    question : str
        One ``SELECT`` on the tables ``sealed`` and ``reading``.
    files : sequence of Fragment
        From `sealed_files`.
    memory : int
        What it may take [MB].

    Raises
    ------
    QueryError
        It is none, or cannot be answered.
    """
    if not files:
        raise QueryError("there are no sealed days of these sites and days")
    rows = ds.FileSystemDataset(list(files), _COLUMNS, ds.ParquetFileFormat())
    bounds: dict[str, Any] = {
        "enable_external_access": False,
        "python_enable_replacements": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "memory_limit": f"{memory}MB",
        "threads": _THREADS,
        "temp_directory": "",
    }
    with duckdb.connect(":memory:", config=bounds) as connection:
        try:
            connection.register("sealed", rows)
            connection.execute(_READINGS)
            connection.execute("SET TimeZone = 'UTC'; SET lock_configuration = true")
            asked = connection.extract_statements(question)
            if len(asked) != 1 or asked[0].type != duckdb.StatementType.SELECT:
                raise QueryError("a question is one SELECT")
            yield from connection.sql(question).to_arrow_reader(_ROWS)
        except (duckdb.Error, pa.ArrowException) as error:
            raise QueryError(str(error)) from error
