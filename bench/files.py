"""Reading of loggers' files, against polars."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.table import Row
from greenmine.collector.files import read_series
from greenmine.parameters import load_parameters

_ROWS = 1_000_000
_MIB = 1 << 20
_HEADER = ("Date Time", "PM10 (ug/m3)", "PM2.5 (ug/m3)", "Temp")
_POLARS = """
import sys, time
import polars as pl
from python_calamine import CalamineWorkbook
begin = time.process_time()
if sys.argv[1].endswith(".csv"):
    read = pl.read_csv(sys.argv[1], columns=["Date Time", "PM10 (ug/m3)"])
else:
    header, *rows = CalamineWorkbook.from_path(sys.argv[1]).get_sheet_by_index(0).to_python()
    read = pl.DataFrame([row[:2] for row in rows], ["Date Time", "PM10 (ug/m3)"], orient="row")
read = read.with_columns(pl.col("Date Time").str.to_datetime("%Y-%m-%d %H:%M:%S"))
print(time.process_time() - begin)
"""


def measure() -> Iterator[Row]:
    """Yield rows a second of processor time, two of four columns read, as a ratio of polars with one thread."""
    with tempfile.TemporaryDirectory() as folder:
        csv, workbook = Path(folder, "log.csv"), Path(folder, "log.xlsx")
        _write_csv(csv)
        _write_workbook(workbook, _ROWS // 10)
        yield _row(csv, _ROWS, ">=", 0.3)
        yield _row(workbook, _ROWS // 10, "", None)
        # The columns that are asked for are a handful of arrays; of the text only a block is held at a time.
        yield _memory(csv)


def _row(path: Path, rows: int, bound: str, target: float | None) -> Row:
    parameter = load_parameters()["pm10"]
    ours = min(_seconds(path, parameter) for _ in range(3))
    theirs = min(_polars(path) for _ in range(3))
    return Row(
        "files",
        f"{path.suffix[1:]} of {rows:,} rows",
        f"{rows / ours:,.0f} rows/s of processor",
        f"polars, one thread: {rows / theirs:,.0f} rows/s",
        theirs / ours,
        bound,  # type: ignore[arg-type]
        target,
    )


def _seconds(path: Path, parameter: object) -> float:
    begin = time.process_time()
    (series,) = read_series(path, [parameter])  # type: ignore[list-item]
    seconds = time.process_time() - begin
    assert np.isfinite(series.value).all()
    return seconds


def _polars(path: Path) -> float:
    environment = {**os.environ, "POLARS_MAX_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", _POLARS, str(path)], capture_output=True, check=True, env=environment)
    return float(json.loads(done.stdout))


def _memory(path: Path) -> Row:
    code = (
        "import re, sys; from pathlib import Path; from greenmine.collector.files import read_series;"
        "from greenmine.parameters import load_parameters;"
        "most = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]);"
        "idle = most(); read_series(Path(sys.argv[1]), [load_parameters()['pm10']]); print(most() - idle)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, check=True)
    grown, size = int(done.stdout) * 1024, path.stat().st_size
    what = f"{grown / _MIB:,.0f} MiB over idle"
    return Row("files", "memory for the csv", what, f"the file: {size / _MIB:,.0f} MiB", grown / size, "<=", 6.0)


def _write_csv(path: Path) -> None:
    with path.open("w") as file:
        file.write(",".join(_HEADER) + "\n")
        for row in _rows(_ROWS):
            file.write(",".join(row) + "\n")


def _write_workbook(path: Path, rows: int) -> None:
    import xlsxwriter  # noqa: PLC0415

    with xlsxwriter.Workbook(path, {"constant_memory": True}) as book:
        sheet = book.add_worksheet("Data")
        sheet.write_row(0, 0, _HEADER)
        for number, (stamp, *values) in enumerate(_rows(rows), start=1):
            sheet.write_string(number, 0, stamp)
            sheet.write_row(number, 1, map(float, values))


def _rows(count: int) -> Iterator[tuple[str, str, str, str]]:
    stamps = np.datetime_as_string(np.datetime64("2024-01-01T00:00:00") + 30 * np.arange(count))
    values = np.random.default_rng(1).gamma(2, 20, count).round(1)
    for stamp, value in zip(stamps.tolist(), values.tolist(), strict=True):
        yield stamp.replace("T", " "), str(value), str(round(value / 2, 1)), "20"
