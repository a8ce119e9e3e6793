"""The folder of a bundle: registry, sealed days and chain, as they are packed and as they are checked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet as pq

from greenmine.evidence.evaluation import Evaluation, load_evaluation
from greenmine.evidence.from_record import FROM_RECORD, FromRecord
from greenmine.evidence.recompute import COLUMNS, days_needed, marks_of
from greenmine.evidence.requirements import DOCUMENTS
from greenmine.loading import load_registry
from greenmine.processing.exclusion import Mark
from greenmine.processing.panes import MINUTE
from greenmine.record.archive.archive import Archive, opened
from greenmine.record.archive.chain import Entry
from greenmine.record.archive.witness import Receipt
from greenmine.registry import Registry, Site
from greenmine.reporting import Period, Reporting, load_reporting

REGISTRY: Final = "registry"
ARCHIVE: Final = "archive"
PROVISIONAL: Final = "provisional"
RECEIPTS: Final = "receipts.json"


class Source:
    """What a bundle's figures are computed from.

    Parameters
    ----------
    folder : Path
        With ``registry/``, ``archive/<site>/`` and, for days that were not sealed, ``provisional/``.
    period : Period
        What its figures are about; of the days around it only those that they need are looked at.

    Raises
    ------
    RegistryError, DataFileError
        If the registry, or the catalogues of reporting periods and of evaluation in it, are not sound.
    ValueError
        If the registry does not hold exactly one site.
    """

    def __init__(self, folder: Path, period: Period) -> None:
        self.wanted = frozenset(day.isoformat() for day in days_needed(period))
        """Days (``YYYY-MM-DD``) whose files have to be there."""
        self._folder = folder
        self.registry: Registry = load_registry(folder / REGISTRY)
        if len(self.registry.sites) != 1:
            raise ValueError(f"the registry of a bundle holds one site; this one holds {len(self.registry.sites)}")
        self.site: Site = self.registry.sites[0]
        self.reporting: Reporting = load_reporting(self.catalogue("reporting.toml"))
        self.archive = Archive(folder / ARCHIVE)
        self.evaluation: Evaluation = load_evaluation(self.catalogue("evaluation.toml"), self.registry.themes)
        self.entries: list[Entry] = self.archive.chain(self.site.id).entries()
        self._by_day: dict[str, list[Entry]] = defaultdict(list)
        for entry in self.entries:
            self._by_day[entry.day].append(entry)

    @cached_property
    def from_record(self) -> FromRecord:
        """What the record said.

        Raises
        ------
        OSError, ValueError
            If the file is missing or has another form.
        """
        return msgspec.json.decode((self._folder / FROM_RECORD).read_bytes(), type=FromRecord)

    @cached_property
    def receipts(self) -> list[Receipt]:
        """Receipts of witnesses.

        Raises
        ------
        OSError, ValueError
            If the file is missing or has another form.
        """
        return msgspec.json.decode((self._folder / RECEIPTS).read_bytes(), type=list[Receipt])

    def catalogue(self, name: str) -> Path:
        """File of the registry that was packed with it."""
        return self._folder / REGISTRY / name

    @property
    def documents(self) -> Path:
        """Folder of the documents of requirement items."""
        return self._folder / DOCUMENTS

    def tables(self, day: date) -> Sequence[pa.Table]:
        """Sealed tables of a day: as first sealed, its addenda, and what was not sealed yet; the columns that figures rest on."""
        return [opened(content).read(columns=list(COLUMNS)) for _, content in self._contents(day)]

    def mark_rows(self, days: Sequence[date]) -> dict[int, dict[str, Any]]:
        """Marks that touch the days, by number, with all that was said."""
        return marks_of(
            table.filter(pc.equal(table["kind"].cast(pa.string()), "mark"))
            for day in days
            for _, content in self._contents(day, lambda entry: entry.rows["mark"] > 0)
            for table in (opened(content).read(),)
        )

    def marks(self, told: Mapping[int, Mapping[str, Any]]) -> list[Mark]:
        """The marks of `mark_rows` as the core takes them: a mark holds for the whole of the minutes that it touches."""
        return [
            Mark(
                self.site.id,
                mark["station"],
                mark["parameter"],
                mark["start"] // MINUTE,
                -(-mark["end"] // MINUTE),
                mark["kind"],
            )
            for _, mark in sorted(told.items())
        ]

    @property
    def days(self) -> list[str]:
        """Days (``YYYY-MM-DD``) of which there are files."""
        sealed = {entry.day for entry in self.entries if entry.day in self.wanted}
        return sorted(sealed | {path.stem for path in (self._folder / PROVISIONAL).glob("*.parquet")})

    def files(self, day: str) -> Iterator[tuple[str, pq.ParquetFile]]:
        """Files of a day, and their names."""
        for entry, content in self._contents(date.fromisoformat(day)):
            name = f"{PROVISIONAL}/{day}.parquet" if entry is None else f"{self.site.id}/{entry.file}"
            yield name, opened(content)

    def _contents(
        self, day: date, wanted: Callable[[Entry], bool] = lambda _: True
    ) -> Iterator[tuple[Entry | None, bytes]]:
        """Files of a day, those of the chain if they are wanted."""
        chain = self.archive.chain(self.site.id)
        for entry in self._by_day.get(day.isoformat(), ()):
            if wanted(entry):
                yield entry, chain.data(entry.file)
        provisional = self._folder / PROVISIONAL / f"{day}.parquet"
        if provisional.exists():
            yield None, provisional.read_bytes()
