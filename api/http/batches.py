"""Lists and readings as Arrow's record batches, for files.

Imported where a file is asked for: pages of JSON need none of what it brings in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final, get_args, get_type_hints

import msgspec
import numpy as np
import pyarrow as pa

from greenmine.api.http.context import Context
from greenmine.api.http.pagination import Page
from greenmine.record.reader import Rows, Scope
from greenmine.registry import Channel
from greenmine.times import HOUR

_PAGE: Final = 5_000
_BLOCKS: Final = 256
_BATCH: Final = 1 << 16

READINGS: Final = pa.schema(
    [
        ("channel", pa.string()),
        ("time", pa.timestamp("ms", "UTC")),
        ("value", pa.float64()),
        ("flag", pa.string()),
        ("quality", pa.int64()),
    ]
)
_ARROW: Final = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    datetime: pa.timestamp("ms", "UTC"),
}


def arrow_schema(kind: type[msgspec.Struct]) -> pa.Schema:
    """Columns of a list of structs; what is neither text, number, truth value nor time becomes JSON text."""
    return pa.schema([(name, _arrow_type(hint)) for name, hint in get_type_hints(kind).items()])


def reading_batches(
    context: Context, scope: Scope, channels: Sequence[Channel], start: int, end: int, newest: int
) -> Iterator[pa.RecordBatch]:
    """Readings of channels in [start, end) [ms], channel after channel, each by time.

    Parameters
    ----------
    newest : int
        Number of the newest block that is read: what is committed meanwhile does not appear.

    Yields
    ------
    RecordBatch
        At most 65,536 rows. Between batches no connection is held, so that a slow reader does not hold up the record.
    """
    for channel in channels:
        hour: int | None = start // HOUR
        while hour is not None:
            with context.record.queries() as queries:
                rows, hour = queries.whole_hours(scope, channel.key, hour, end // HOUR, newest, _BLOCKS)
            rows = rows[(rows["time"] >= start) & (rows["time"] < end)]
            for first in range(0, len(rows), _BATCH):
                yield _reading_batch(channel.key, rows[first : first + _BATCH])


def _reading_batch(channel: str, rows: Rows) -> pa.RecordBatch:
    letters = pa.array([chr(code) for code in range(256)], pa.string())
    columns = [
        pa.array([channel], pa.string()).take(pa.array(np.zeros(len(rows), np.int32))),
        pa.array(np.ascontiguousarray(rows["time"])).cast(READINGS.field("time").type),
        pa.array(np.ascontiguousarray(rows["value"]), from_pandas=True),
        letters.take(pa.array(np.ascontiguousarray(rows["flag"]))),
        pa.array(rows["quality"].astype(np.int64)),
    ]
    return pa.record_batch(columns, schema=READINGS)


def item_batches(context: Context, page: Page, columns: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Items of a list, page after page."""
    cursor: str | None = None
    while True:
        with context.record.queries() as queries:
            items, cursor = page(queries, cursor, _PAGE)
        if items:
            yield pa.record_batch([_column(items, field) for field in columns], schema=columns)
        if cursor is None:
            return


def _column(items: Sequence[Any], field: pa.Field) -> pa.Array:
    values = [getattr(item, field.name) for item in items]
    if field.type == pa.string():
        values = [
            value if value is None or isinstance(value, str) else msgspec.json.encode(value).decode()
            for value in values
        ]
    return pa.array(values, field.type, from_pandas=True)


def _arrow_type(hint: Any) -> pa.DataType:
    kinds = [kind for kind in (get_args(hint) or (hint,)) if kind is not type(None)]
    return _ARROW.get(kinds[0], pa.string()) if len(kinds) == 1 else pa.string()
