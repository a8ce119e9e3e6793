"""Files with the readings of many channels: a row for each reading, with its channel, time, value and, if it has one, flag."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from greenmine.collector.files.columns import LoggerFileError
from greenmine.readings import FLAGS, NORMAL, Readings
from greenmine.registry import Registry
from greenmine.tables import nearest
from greenmine.zones import Zone

_NEEDED: Final = ("channel", "time", "value")
_KNOWN: Final = (*_NEEDED, "flag")
_STAMP: Final = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d"
"""A date alone is no time."""
_OFFSET: Final = r"[T ].*(Z|z|[+-]\d\d(:?\d\d)?)$"
_FIRST: Final = 0
"""No reading is older than 1970 [ms]."""
_LAST: Final = 7_258_118_400_000
"""None is of the year 2200 or later [ms]."""
_FLAG_NAMES: Final = ", ".join(sorted(FLAGS))


@dataclass(frozen=True, slots=True)
class ChannelFile:
    """Readings of a file in its order, and the rows that are none."""

    readings: Readings
    without_value: int
    """Rows with a normal flag, or none, and no value: nothing was measured."""


def read_channels(path: Path, registry: Registry) -> ChannelFile:
    """Read a CSV or Parquet file with the columns ``channel``, ``time``, ``value`` and, if need be, ``flag``.

    Parameters
    ----------
    path : Path
        The file; CSV in UTF-8, with a comma and a header. A channel is ``site/station/parameter``, its values are in the
        parameter's unit. A time is ISO 8601; without an offset it is read in the zone of the channel's site.
    registry : Registry
        Knows the channels.

    Returns
    -------
    ChannelFile
        Values are NaN where a row with another flag than N has none.

    Raises
    ------
    LoggerFileError
        If a column, a channel, a time, a value or a flag cannot be understood: nothing is guessed, nothing left out.
    OSError
        If the file cannot be read.
    """
    table = _table(path)
    channel = _channels(table["channel"], registry)
    time = _times(table["time"], channel, registry)
    flag = _flags(table["flag"]) if "flag" in table.column_names else np.full(len(time), NORMAL, np.uint8)
    value = _values(table["value"])
    empty = np.isnan(value) & (flag == NORMAL)
    readings = Readings(channel, time, value, flag)
    return ChannelFile(readings.take(~empty), int(empty.sum()))


def _table(path: Path) -> pa.Table:
    try:
        if path.suffix.lower() == ".parquet":
            table = pq.read_table(path)
        else:
            with path.open("rb") as file:
                names = file.readline().decode("utf-8-sig").strip().split(",")
                bare = [name.strip().strip('"') for name in names]
            table = pv.read_csv(
                path,
                read_options=pv.ReadOptions(column_names=bare, skip_rows=1),
                convert_options=pv.ConvertOptions(
                    column_types=dict.fromkeys(bare, pa.string()), strings_can_be_null=True, null_values=[""]
                ),
            )
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise LoggerFileError(f"cannot be read as a table: {' '.join(str(error).split())}") from None
    names = table.column_names
    missing = [name for name in _NEEDED if name not in names]
    unknown = [name for name in names if name not in _KNOWN]
    if missing or unknown or len(set(names)) != len(names):
        raise LoggerFileError(
            f"its columns are {', '.join(names)}; they must be channel, time, value and, if need be, flag"
        )
    if not table.num_rows:
        raise LoggerFileError("holds no rows")
    for name in ("channel", "time"):
        _refuse(pc.is_null(table[name]), table[name], f"no {name}")
    return table


def _channels(column: pa.ChunkedArray, registry: Registry) -> NDArray[np.int32]:
    index = {channel.key: channel.index for channel in registry.channels}
    encoded = _text(column).combine_chunks().dictionary_encode()
    keys = encoded.dictionary.to_pylist()
    for key in keys:
        if key not in index:
            raise LoggerFileError(f"the registry has no channel {key!r}; {nearest(key, index)}")
    table = np.array([index[key] for key in keys], np.int32)
    found: NDArray[np.int32] = table[encoded.indices.to_numpy()]
    return found


def _times(column: pa.ChunkedArray, channel: NDArray[np.int32], registry: Registry) -> NDArray[np.int64]:
    """Instants [ms UTC]."""
    if pa.types.is_date(column.type):
        raise LoggerFileError(f"the column time holds {column.type}; a date alone is no time")
    if pa.types.is_timestamp(column.type):
        aware = np.full(len(channel), column.type.tz is not None)
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
        time: NDArray[np.int64] = column.cast(pa.int64()).to_numpy() // 1000
    else:
        text = pc.utf8_trim_whitespace(_text(column))
        _refuse(pc.invert(pc.match_substring_regex(text, _STAMP)), column, f"not a time; {_RIGHT}")
        aware = pc.match_substring_regex(text, _OFFSET).to_numpy().astype(np.bool_)
        time = np.empty(len(channel), np.int64)
        for which, kind in ((aware, pa.timestamp("us", "UTC")), (~aware, pa.timestamp("us"))):
            if which.any():
                time[which] = _stamps(text.filter(pa.array(which)), kind)
    _refuse(pa.chunked_array([pa.array((time < _FIRST) | (time >= _LAST))]), column, "not a time from 1970 to 2199")
    zones = [registry.site(c.site).zone for c in registry.channels]
    naive = np.flatnonzero(~aware)
    mine = np.array(zones)[channel[naive]]
    for name in np.unique(mine).tolist():
        rows = naive[mine == name]
        local, zone = time[rows].copy(), Zone(name)
        time[rows] = zone.utc(local)
        odd = time[rows] != zone.utc(local, second=True)
        if odd.any():
            stamp = np.datetime_as_string(local[odd][:1].astype("datetime64[ms]"), unit="s")[0]
            raise LoggerFileError(f"the time {stamp} comes twice or never in {name}; write it with its offset")
    return time


def _stamps(text: pa.ChunkedArray, kind: pa.DataType) -> NDArray[np.int64]:
    try:
        time: NDArray[np.int64] = text.cast(kind).cast(pa.int64()).to_numpy() // 1000
    except pa.ArrowInvalid:
        for one in text.to_pylist():
            try:
                pa.scalar(one).cast(kind)
            except pa.ArrowInvalid:
                raise LoggerFileError(f"the time {one!r} cannot be read; {_RIGHT}") from None
        raise
    return time


_RIGHT: Final = "ISO 8601, such as 2026-03-01T08:00:00+08:00, or without the offset in the site's zone"


def _values(column: pa.ChunkedArray) -> NDArray[np.float64]:
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = pc.utf8_trim_whitespace(column)
        try:
            column = column.cast(pa.float64())
        except pa.ArrowInvalid:
            _refuse(pc.invert(pc.match_substring_regex(column, _NUMBER)), column, "no number")
            raise
    elif not (
        pa.types.is_floating(column.type) or pa.types.is_integer(column.type) or pa.types.is_decimal(column.type)
    ):
        raise LoggerFileError(f"the column value holds {column.type}; numbers are needed")
    value: NDArray[np.float64] = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False).astype(np.float64)
    infinite = np.isinf(value)
    _refuse(pa.chunked_array([pa.array(infinite)]), column, "not finite")
    return value


_NUMBER: Final = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


def _flags(column: pa.ChunkedArray) -> NDArray[np.uint8]:
    text = pc.fill_null(_text(column), "N")
    encoded = pc.if_else(pc.equal(text, ""), "N", text).combine_chunks().dictionary_encode()
    flags = encoded.dictionary.to_pylist()
    for one in flags:
        if one not in FLAGS:
            raise LoggerFileError(f"there is no flag {one!r}; there are {_FLAG_NAMES} (HJ 212)")
    table = np.array([ord(one) for one in flags], np.uint8)
    codes: NDArray[np.uint8] = table[encoded.indices.to_numpy()]
    return codes


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.string())


def _refuse(wrong: pa.ChunkedArray, column: pa.ChunkedArray, what: str) -> None:
    """Refuse a file for the first row of a column that is wrong."""
    row = pc.index(wrong, True).as_py()
    if row >= 0:
        raise LoggerFileError(f"row {row + 1}: {what}: {column[row].as_py()!r}")


def distinct_readings(readings: Readings) -> tuple[Readings, int, int]:
    """Readings of which no channel has two of one instant: the first counts.

    Returns
    -------
    tuple
        The readings, how many repeats were left out, and how many of them had another value or flag.
    """
    order = np.lexsort((readings.time, readings.channel))
    one = readings.take(order)
    again = np.zeros(len(order), np.bool_)
    again[1:] = (one.channel[1:] == one.channel[:-1]) & (one.time[1:] == one.time[:-1])
    if not again.any():
        return readings, 0, 0
    first = np.maximum.accumulate(np.where(again, 0, np.arange(len(order))))
    other = ~((one.value == one.value[first]) | (np.isnan(one.value) & np.isnan(one.value[first])))
    other |= one.flag != one.flag[first]
    return one.take(~again), int(again.sum()), int((again & other).sum())
