"""The folder of a bundle: registry, sealed days and chain, as they are packed and as they are checked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Final

import pyarrow as pa
from pyarrow import parquet as pq

from greenmine.registry import Registry, Site, load_registry
from greenmine.reporting import Reporting, load_reporting
from greenmine.storage.archive import Archive
from greenmine.storage.chain import Entry
from processing.evidence.recompute import marks_of
from processing.exclusion import Mark
from processing.panes import MINUTE

REGISTRY: Final = "registry"
ARCHIVE: Final = "archive"
PROVISIONAL: Final = "provisional"


class Source:
    """What a bundle's figures are computed from.

    Parameters
    ----------
    folder : Path
        With ``registry/``, ``archive/<site>/`` and, for days that were not sealed, ``provisional/``.

    Raises
    ------
    RegistryError, DataFileError
        If the registry or the catalogue of reporting periods in it is not sound.
    ValueError
        If the registry does not hold exactly one site.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.registry: Registry = load_registry(folder / REGISTRY)
        if len(self.registry.sites) != 1:
            raise ValueError(f"the registry of a bundle holds one site; this one holds {len(self.registry.sites)}")
        self.site: Site = self.registry.sites[0]
        self.reporting: Reporting = load_reporting(folder / REGISTRY / "reporting.toml")
        self.archive = Archive(folder / ARCHIVE)
        self.entries: list[Entry] = self.archive.chain(self.site.id).entries()

    def tables(self, day: date, kind: str | None = None) -> Sequence[pa.Table]:
        """Sealed tables of a day: as first sealed, its addenda, and what was not sealed yet; rows of one kind, or all."""
        chain = self.archive.chain(self.site.id)
        contents = [chain.data(entry.file) for entry in self.entries if entry.day == day.isoformat()]
        provisional = self._folder / PROVISIONAL / f"{day}.parquet"
        if provisional.exists():
            contents.append(provisional.read_bytes())
        chosen = None if kind is None else [("kind", "==", kind)]
        return [pq.read_table(pa.BufferReader(content), filters=chosen) for content in contents]

    def marks(self, days: Sequence[date]) -> list[Mark]:
        """Marks that touch the days; a mark holds for the whole of the minutes that it touches."""
        found = marks_of(table for day in days for table in self.tables(day, "mark"))
        return [
            Mark(
                self.site.id,
                str(mark["station"]),
                None if mark["parameter"] is None else str(mark["parameter"]),
                int(str(mark["start"])) // MINUTE,
                -(-int(str(mark["end"])) // MINUTE),
                str(mark["kind"]),
            )
            for _, mark in sorted(found.items())
        ]
