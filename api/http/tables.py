"""Tables as files, written piece by piece so that memory does not grow with length.

Imported where a file is asked for: pages of JSON need none of what it brings in.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from tempfile import TemporaryFile
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
import xlsxwriter

from greenmine.api.http.formats import XLSX_ROWS, Format, TooManyRowsError
from greenmine.zones import Zone

_BOM: Final = b"\xef\xbb\xbf"
_ROW_GROUP: Final = 1 << 18
_FORMULA: Final = r"^([=+\-@\t\r\n＝＋－＠])"
_NUMBER: Final = r"^[+-]?[0-9]+([.][0-9]+)?$"
_DAYS_TO_1970: Final = 25_569
"""Worksheets count days from 1899-12-30."""
_DAY: Final = 86_400_000
_PIECE: Final = 1 << 16


def written(
    format: Format,  # noqa: A002
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    zone: str,
    *,
    bom: bool = False,
) -> Iterator[bytes]:
    """A table as a file, in pieces.

    Parameters
    ----------
    format : str
        Any but ``json``.
    schema : Schema
        Columns of text, numbers, truth values and instants (``timestamp[ms, UTC]``).
    batches : iterable of RecordBatch
        Of that schema; one is held at a time, for Parquet as many as make a row group.
    zone : str
        On whose clock CSV, JSON lines and worksheets show instants; Arrow and Parquet carry it as a property of the column.
    bom : bool
        Whether a CSV begins with the byte order mark by which Excel knows UTF-8.

    Raises
    ------
    TooManyRowsError
        Before the first piece, if a worksheet cannot hold them all.
    """
    match format:
        case "csv":
            return _csv(schema, batches, zone, bom=bom)
        case "ndjson":
            return _lines(batches, zone)
        case "xlsx":
            return _worksheet(schema, batches, zone)
        case "arrow":
            return _arrow(_zoned(schema, zone), batches)
        case "parquet":
            return _parquet(_zoned(schema, zone), batches)
        case "json":
            raise ValueError("a page of JSON is no stream")


def harmless(text: pa.Array) -> pa.Array:
    """Texts that no spreadsheet takes for a formula: what begins like one gets an apostrophe before it; numbers stay.

    References
    ----------
    OWASP, CSV Injection: ``= + - @``, tab, carriage return and line feed at the beginning of a cell, and the full-width
    signs that spreadsheets of East Asia take for the same.

    Examples
    --------
    >>> harmless(pa.array(["=1+1", "-3.5", "PM10", None])).to_pylist()
    ["'=1+1", '-3.5', 'PM10', None]
    """
    guarded = pc.replace_substring_regex(text, _FORMULA, r"'\1", max_replacements=1)
    return pc.if_else(pc.match_substring_regex(text, _NUMBER), text, guarded)


def clock_texts(time: pa.Array, zone: str) -> pa.Array:
    """Instants as ISO 8601 on a zone's clock, with milliseconds and offset."""
    if zone == "UTC":
        return pc.strftime(time, format="%Y-%m-%dT%H:%M:%S+00:00")
    text = pc.strftime(pc.cast(time, pa.timestamp("ms", zone)), format="%Y-%m-%dT%H:%M:%S%z")
    return pc.binary_join_element_wise(pc.utf8_slice_codeunits(text, 0, -2), pc.utf8_slice_codeunits(text, -2), ":")


def _csv(schema: pa.Schema, batches: Iterable[pa.RecordBatch], zone: str, *, bom: bool) -> Iterator[bytes]:
    head = pa.table({name: pa.array([], pa.string()) for name in schema.names})
    yield (_BOM if bom else b"") + _csv_text(head, heading=True)
    for batch in batches:
        columns = {
            name: harmless(column)
            if pa.types.is_string(column.type)
            else clock_texts(column, zone)
            if pa.types.is_timestamp(column.type)
            else column
            for name, column in zip(batch.schema.names, batch.columns, strict=True)
        }
        yield _csv_text(pa.table(columns), heading=False)


def _csv_text(table: pa.Table, *, heading: bool) -> bytes:
    sink = io.BytesIO()
    options = pyarrow.csv.WriteOptions(include_header=heading, quoting_style="needed", quoting_header="needed")
    pyarrow.csv.write_csv(table, sink, options)
    return sink.getvalue()


def _lines(batches: Iterable[pa.RecordBatch], zone: str) -> Iterator[bytes]:
    encoder = msgspec.json.Encoder()
    for batch in batches:
        columns = {
            name: (clock_texts(column, zone) if pa.types.is_timestamp(column.type) else column).to_pylist()
            for name, column in zip(batch.schema.names, batch.columns, strict=True)
        }
        yield encoder.encode_lines(
            [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        )


def _worksheet(schema: pa.Schema, batches: Iterable[pa.RecordBatch], zone: str) -> Iterator[bytes]:
    with TemporaryFile() as file:
        book = xlsxwriter.Workbook(file, {"constant_memory": True, "in_memory": False, "nan_inf_to_errors": False})
        try:
            _fill(book, schema, batches, zone)
        finally:
            book.close()
        file.seek(0)
        while piece := file.read(_PIECE):
            yield piece


def _fill(book: xlsxwriter.Workbook, schema: pa.Schema, batches: Iterable[pa.RecordBatch], zone: str) -> None:
    clock = Zone(zone)
    instant = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss.000"})
    sheet = book.add_worksheet("data")
    sheet.freeze_panes(1, 0)
    for place, field in enumerate(schema):
        sheet.set_column(place, place, 24 if pa.types.is_timestamp(field.type) else 16)
        sheet.write_string(0, place, f"{field.name} ({zone})" if pa.types.is_timestamp(field.type) else field.name)
    row = 0
    for batch in batches:
        if row + len(batch) >= XLSX_ROWS:
            raise TooManyRowsError
        columns = [_cells(column, clock) for column in batch.columns]
        for values in zip(*columns, strict=True):
            row += 1
            for place, value in enumerate(values):
                if value is None:
                    continue
                if isinstance(value, str):
                    sheet.write_string(row, place, value)
                elif isinstance(value, bool):
                    sheet.write_boolean(row, place, value)
                elif pa.types.is_timestamp(schema[place].type):
                    sheet.write_number(row, place, value, instant)
                else:
                    sheet.write_number(row, place, value)


def _cells(column: pa.Array, clock: Zone) -> list[Any]:
    if not pa.types.is_timestamp(column.type):
        values = column.to_pylist()
        # A worksheet has no cell for NaN.
        return [None if value != value else value for value in values]  # noqa: PLR0124
    whole = pc.cast(column, pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    days = clock.local(whole) / _DAY + _DAYS_TO_1970
    return [day if known else None for day, known in zip(days.tolist(), column.is_valid().to_pylist(), strict=True)]


def _zoned(schema: pa.Schema, zone: str) -> pa.Schema:
    fields = [f.with_type(pa.timestamp("ms", zone)) if pa.types.is_timestamp(f.type) else f for f in schema]
    return pa.schema(fields)


class _Drain(io.RawIOBase):
    """Takes what a writer writes, until it is fetched."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Any) -> int:
        """Keep a copy."""
        self._pieces.append(bytes(data))
        return len(self._pieces[-1])

    def fetch(self) -> bytes:
        """What was written since."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def _arrow(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    drain = _Drain()
    with pa.ipc.new_stream(drain, schema) as writer:
        for batch in batches:
            writer.write_batch(batch.cast(schema))
            yield drain.fetch()
    yield drain.fetch()


def _parquet(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    drain = _Drain()
    held: list[pa.RecordBatch] = []
    with pyarrow.parquet.ParquetWriter(drain, schema, compression="zstd") as writer:
        for batch in batches:
            held.append(batch.cast(schema))
            if sum(map(len, held)) >= _ROW_GROUP:
                writer.write_table(pa.Table.from_batches(held))
                held.clear()
                yield drain.fetch()
        if held:
            writer.write_table(pa.Table.from_batches(held))
    yield drain.fetch()
