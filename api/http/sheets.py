"""Tables in words, for worksheets that people read: heads, names of mines, stations and limits, judgements.

Imported where a file is asked for: pages of JSON need none of what it brings in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property

import pyarrow as pa

from greenmine.wording.words import Words


class SheetWords(Words):
    """Words of worksheets."""

    package = "greenmine.api"

    def table(
        self, columns: pa.Schema, batches: Iterable[pa.RecordBatch]
    ) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        """Give a table heads and cells in words; what has none stays as it is."""
        told = pa.schema(
            [field.with_name(self.known(f"sheet.{field.name}", field.name)) for field in columns], columns.metadata
        )
        cells = self._cells

        def batch(rows: pa.RecordBatch) -> pa.RecordBatch:
            made = [
                _mapped(column, cells[name]) if name in cells else column
                for name, column in zip(columns.names, rows.columns, strict=True)
            ]
            return pa.record_batch(made, schema=told)

        return told, map(batch, batches)

    @cached_property
    def _cells(self) -> dict[str, Callable[[str], str]]:
        registry = self.registry
        sites = {site.id: self.name(site) for site in registry.sites}
        stations = {station.id: self.name(station) for site in registry.sites for station in site.stations}
        parameters = {parameter.id: self.name(parameter) for parameter in registry.parameters.values()}
        limits = {limit.id: self.name(limit) for limit in registry.limits.values()}
        places = {
            f"{site.id}/{station.id}": f"{self.name(site)} · {self.name(station)}"
            for site in registry.sites
            for station in site.stations
        }
        channels = {c.key: f"{places[f'{c.site}/{c.station}']} · {self.name(c.parameter)}" for c in registry.channels}
        rules = {r.key: f"{places[f'{r.site}/{r.station}']} · {self.name(r.limit)}" for r in registry.rules}
        named = {
            "site": sites,
            "station": stations,
            "parameter": parameters,
            "limit": limits,
            "channel": channels,
            "rule": rules,
        }
        cells: dict[str, Callable[[str], str]] = {
            name: lambda text, names=names: names.get(text, text)  # type: ignore[misc]
            for name, names in named.items()
        }
        return cells | {
            "unit": self.unit,
            "window": lambda text: self.known(f"window.{text}", text),
            "flag": lambda text: self.known(f"flag.{text}", text),
            "verdict": lambda text: self.known(f"verdict.{text.replace(' ', '-')}", text),
        }


def _mapped(column: pa.Array, words: Callable[[str], str]) -> pa.Array:
    """A column of text with each of its values in words."""
    coded = column.dictionary_encode()
    told = pa.array([None if text is None else words(text) for text in coded.dictionary.to_pylist()], pa.string())
    return pa.DictionaryArray.from_arrays(coded.indices, told).dictionary_decode()
