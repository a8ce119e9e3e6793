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

        def batch(rows: pa.RecordBatch) -> pa.RecordBatch:
            return pa.record_batch([self._told(name, rows) for name in columns.names], schema=told)

        return told, map(batch, batches)

    def _told(self, name: str, rows: pa.RecordBatch) -> pa.Array:
        """A column in words; a station goes by its site, and a verdict by its standing."""
        column = rows.column(name)
        match name:
            case "station" if "site" in rows.schema.names:
                return _together(rows.column("site"), column, lambda site, one: self._stations.get((site, one), one))
            case "verdict" if "standing" in rows.schema.names:
                return _together(column, rows.column("standing"), self.conclusion)
        return _mapped(column, self._cells[name]) if name in self._cells else column

    @cached_property
    def _stations(self) -> dict[tuple[str, str], str]:
        return {(site.id, one.id): self.name(one) for site in self.registry.sites for one in site.stations}

    @cached_property
    def _cells(self) -> dict[str, Callable[[str], str]]:
        registry = self.registry
        sites = {site.id: self.name(site) for site in registry.sites}
        parameters = {parameter.id: self.name(parameter) for parameter in registry.parameters.values()}
        limits = {limit.id: self.name(limit) for limit in registry.limits.values()}
        places = {(site, one): f"{sites[site]} · {name}" for (site, one), name in self._stations.items()}
        channels = {c.key: f"{places[c.site, c.station]} · {self.name(c.parameter)}" for c in registry.channels}
        rules = {r.key: f"{places[r.site, r.station]} · {self.name(r.limit)}" for r in registry.rules}
        named = {
            "site": sites,
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
            "standing": lambda text: self.t(f"standing.{text}"),
            "reason": self.verdict_reason,
            "suggested_cause": lambda text: self.t(f"cause-of.{text}"),
        }


def _mapped(column: pa.Array, words: Callable[[str], str]) -> pa.Array:
    """A column of text with each of its values in words."""
    coded = column.dictionary_encode()
    told = pa.array([None if text is None else words(text) for text in coded.dictionary.to_pylist()], pa.string())
    return pa.DictionaryArray.from_arrays(coded.indices, told).dictionary_decode()


def _together(first: pa.Array, second: pa.Array, words: Callable[[str, str], str]) -> pa.Array:
    """Two columns of text in the words that they make with each other."""
    known: dict[tuple[str, str], str] = {}
    told = []
    for pair in zip(first.to_pylist(), second.to_pylist(), strict=True):
        if pair not in known:
            known[pair] = words(*pair)
        told.append(known[pair])
    return pa.array(told, pa.string())
