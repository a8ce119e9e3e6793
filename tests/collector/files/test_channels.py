"""Files with a row for each reading of many channels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from greenmine.collector.files.channels import distinct_readings, read_channels
from greenmine.collector.files.columns import LoggerFileError
from greenmine.loading import load_registry
from greenmine.readings import Readings
from greenmine.registry import Registry

TSP, LAEQ = "hengjie/boundary/tsp", "hengjie/boundary/laeq"
AT = 1_772_323_200_000  # 2026-03-01T08:00+08:00


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry()


def written(folder: Path, text: str) -> Path:
    (path := folder / "readings.csv").write_text(text, encoding="utf-8")
    return path


def test_rows_become_readings_in_their_order(tmp_path: Path, registry: Registry) -> None:
    path = written(
        tmp_path,
        f"time,flag,value,channel\n"
        f"2026-03-01T08:01:00+08:00,,61.5,{LAEQ}\n2026-03-01T00:00:00Z,T,,{TSP}\n"
        f"2026-03-01T08:00:00.250999,N,-3,{LAEQ}\n2026-03-01 08:02+08,M, 7e2,{TSP}\n",
    )
    found = read_channels(path, registry).readings
    assert [registry.channels[c].key for c in found.channel] == [LAEQ, TSP, LAEQ, TSP]
    assert (found.time - AT).tolist() == [60_000, 0, 250, 120_000]
    assert bytes(found.flag) == b"NTNM"
    np.testing.assert_array_equal(found.value, [61.5, np.nan, -3.0, 700.0])


@pytest.mark.parametrize("number", [pa.int64(), pa.decimal128(23, 4)])
@pytest.mark.parametrize("kind", [pa.timestamp("ms"), pa.timestamp("us", "UTC"), pa.string()])
def test_parquet_reads_as_csv(tmp_path: Path, registry: Registry, kind: pa.DataType, number: pa.DataType) -> None:
    wall = "2026-03-01T08:00:00" if getattr(kind, "tz", None) is None else "2026-03-01T00:00:00Z"
    table = pa.table({
        "channel": pa.array([TSP]).dictionary_encode(), "time": pa.array([wall]).cast(kind), "value": pa.array([5]).cast(number),
    })  # fmt: skip
    pq.write_table(table, tmp_path / "readings.parquet")
    found = read_channels(tmp_path / "readings.parquet", registry).readings
    assert (found.time.tolist(), found.value.tolist(), bytes(found.flag)) == ([AT], [5.0], b"N")


def test_rows_without_a_value_are_counted(tmp_path: Path, registry: Registry) -> None:
    path = written(
        tmp_path, f"channel,time,value\n{TSP},2026-03-01T08:00,\n{TSP},2026-03-01T08:01,nan\n{TSP},2026-03-01T08:02,1\n"
    )
    found = read_channels(path, registry)
    assert (len(found.readings), found.without_value) == (1, 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("channel,time\n", "its columns are channel, time; they must be"),
        (f"channel,time,value,unit\n{TSP},2026-03-01T08:00,1,mg/m3\n", "its columns are channel, time, value, unit"),
        ("channel,time,value\n", "holds no rows"),
        ("", "cannot be read as a table"),
        (
            "channel,time,value\nhengjie/boundary/tps,2026-03-01T08:00,1\n",
            "no channel 'hengjie/boundary/tps'; nearest: 'hengjie/bound",
        ),
        (f"channel,time,value\n{TSP},01.03.2026 08:00,1\n", "row 1: not a time; ISO 8601"),
        (f"channel,time,value\n{TSP},2026-03-01,1\n", "row 1: not a time; ISO 8601"),
        (f"channel,time,value\n{TSP},2026-03-01T25:00,1\n", "'2026-03-01T25:00' cannot be read"),
        (
            f"channel,time,value\n{TSP},2026-03-01T08:00,1\n{TSP},9999-03-01T08:00,1\n",
            "row 2: not a time from 1970 to 2199",
        ),
        (f"channel,time,value\n{TSP},,1\n", "row 1: no time"),
        (f'channel,time,value\n{TSP},2026-03-01T08:00,1\n{TSP},2026-03-01T08:01,"1,5"\n', "row 2: no number: '1,5'"),
        (f"channel,time,value\n{TSP},2026-03-01T08:00,inf\n", "row 1: not finite"),
        (f"channel,time,value,flag\n{TSP},2026-03-01T08:00,1,X\n", "there is no flag 'X'"),
        (f"channel,time,value\n{TSP},2026-03-01T08:00\n", "cannot be read as a table"),
    ],
)
def test_what_cannot_be_understood_refuses_the_file(tmp_path: Path, registry: Registry, text: str, said: str) -> None:
    with pytest.raises(LoggerFileError) as error:
        read_channels(written(tmp_path, text), registry)
    assert said in str(error.value)


def test_the_first_reading_of_an_instant_counts() -> None:
    channel, time = np.array([0, 0, 1, 0, 0], np.int32), np.array([60, 0, 0, 0, 60], np.int64)
    readings = Readings(channel, time, np.array([1, np.nan, 3, 50, 1]), np.full(5, 78, np.uint8))
    left, repeated, conflicting = distinct_readings(readings)
    assert (repeated, conflicting) == (2, 1)
    np.testing.assert_array_equal(left.value, [np.nan, 1, 3])
