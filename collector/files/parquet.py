"""Columns of a Parquet file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from greenmine.collector.files.columns import (
    DATES,
    STAMPS,
    TIMES,
    LoggerFileError,
    bare,
    find_column,
    listed,
    plain,
)
from greenmine.collector.files.layout import (
    Layout,
)
from greenmine.collector.files.numerals import NumberReader
from greenmine.collector.files.rows import RawTable, Skipped, chosen_columns, position_of
from greenmine.collector.files.stamps import UNREADABLE, StampReader
from greenmine.collector.files.time_columns import begins_of


def schema_of(path: Path) -> Any:
    """Look up the names and types of the columns."""
    try:
        return pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise LoggerFileError(f"is a damaged Parquet file: {error}") from None


def columns_of(path: Path, names: Sequence[str]) -> pa.Table:
    """Read columns by their names."""
    try:
        return pq.read_table(path, columns=list(dict.fromkeys(names)))
    except (pa.ArrowException, OSError) as error:
        raise LoggerFileError(f"is a damaged Parquet file: {error}") from None


def read_parquet(
    layout: Layout,
    columns: tuple[str, ...],
    texts: tuple[str, ...],
    words: str,
    flags: tuple[str, ...],
) -> RawTable:
    """Read the stamps and the columns that are wanted, as ``read_text`` does."""
    path, said = layout.source.path, layout.description
    schema = schema_of(path)
    times = layout.time_names
    names = schema.names if columns else [field.name for field in schema if holds_numbers(field.type)]
    chosen = {wanted: names[c] for wanted, c in chosen_columns(names, times, columns).items()}
    conditions = {schema.names[position_of(schema.names, name)]: text.strip() for name, text in said.where.items()}
    table = columns_of(path, [*times, *chosen.values(), *conditions, *texts])
    lines = np.arange(1, table.num_rows + 1, dtype=np.int64)
    for name, text in conditions.items():
        fits = pc.fill_null(
            pc.equal(pc.utf8_trim_whitespace(pc.cast(table[name], pa.string())), text), fill_value=False
        )
        table, lines = table.filter(fits), lines[fits.to_numpy()]
    stamps = StampReader(said.time_format, layout.order())
    column = table[times[0]]
    if len(times) == 1 and (pa.types.is_timestamp(column.type) or pa.types.is_date(column.type)):
        instants = pc.cast(pc.cast(column, pa.timestamp("ms"), safe=False), pa.int64())
        stamps.take(
            pc.fill_null(instants, UNREADABLE).to_numpy(), absolute=getattr(column.type, "tz", None) is not None
        )
    else:
        parts = [texts_of(table[name]) for name in times]
        stamps.add([" ".join(cells) for cells in zip(*parts, strict=True)], lines)
    numbers = {}
    for wanted, name in chosen.items():
        reader = numbers[wanted] = NumberReader(said.decimal, missing=said.missing or (), words=words)
        column = table[name]
        if holds_numbers(column.type):
            reader.take(pc.cast(column, pa.float64(), safe=False).to_numpy())
        else:
            reader.add(texts_of(column))
    found = {name: dict.fromkeys(text for text in texts_of(table[name].unique())) for name in texts}
    return RawTable(stamps, numbers, Skipped(), lines, found, {name: texts_of(table[name]) for name in flags})


def texts_of(column: Any) -> list[str]:
    """Write the cells of a column as texts; empty where there is none."""
    return ["" if cell is None else str(cell).strip() for cell in column.to_pylist()]


def holds_numbers(kind: Any) -> bool:
    """Tell whether a type is one of numbers."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def parquet_time(schema: Any, wanted: Sequence[str]) -> tuple[str, ...]:
    """Names of the time columns: those asked for, else the only one of its kind by name, else by type."""
    names = list(schema.names)
    if wanted:
        whole = find_column(names, wanted[0]) if len(wanted) == 1 else None
        parts = (
            [whole] if whole is not None else [position_of(names, part) for text in wanted for part in text.split(",")]
        )
        return tuple(names[c] for c in parts)
    typed = [f.name for f in schema if pa.types.is_timestamp(f.type)] or [
        f.name for f in schema if pa.types.is_date(f.type)
    ]
    usual = [n for n in names if {plain(n), bare(n)} & (STAMPS | TIMES | DATES)]
    clocks = [f.name for f in schema if pa.types.is_time(f.type)]
    if len(typed) == len(clocks) == 1 and pa.types.is_date(schema.field(typed[0]).type):
        return typed[0], clocks[0]
    for several in ([name for name in typed if name in usual], typed, usual):
        found = [names[c] for c in begins_of([names.index(name) for name in several], names)]
        if len(found) == 1:
            return (found[0],)
        if found:
            raise LoggerFileError(f"several columns may be the time: {listed(found)}; choose with --time")
    raise LoggerFileError(f"no column for the time: there are {listed(names)}; give --time")
