"""Damaged and hostile files are refused with one line; whatever the bytes, nothing else is raised."""

from __future__ import annotations

import gzip
import io
import zipfile
from contextlib import suppress
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenmine.collector.files import Description, LoggerFileError, offered, read_series
from greenmine.parameters import load_parameters

PM10 = load_parameters()["pm10"]
ROWS = [(f"2025-11-17 13:{minute:02}", 20 + minute) for minute in range(12)]
TEXT = ("Time,PM10\n" + "".join(f"{time},{value}\n" for time, value in ROWS)).encode()


def _workbook() -> bytes:
    book, out = openpyxl.Workbook(), io.BytesIO()
    for row in [("Time", "PM10"), *ROWS]:
        book.active.append(row)
    book.save(out)
    return out.getvalue()


def _parquet() -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"time": [time for time, _ in ROWS], "pm10": [value for _, value in ROWS]}), out)
    return out.getvalue()


def _zip(content: bytes, name: str = "log.csv") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return out.getvalue()


HTML = b"<table><tr><td>Time<td>PM10</tr>" + b"".join(f"<tr><td>{t}</td><td>{v}</td></tr>".encode() for t, v in ROWS)
SEEDS = [
    TEXT,
    _workbook(),
    _parquet(),
    _zip(TEXT),
    gzip.compress(TEXT),
    HTML + b"</table>",
    TEXT.decode().encode("utf-16"),
]


def _read(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with suppress(LoggerFileError):
        read_series(path, [PM10])
    with suppress(LoggerFileError):
        offered(path, Description())


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.sampled_from(SEEDS),
    cut=st.floats(0, 1),
    changes=st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=4), st.integers(0, 8)), max_size=6),
)
def test_a_damaged_file_is_read_or_refused(
    tmp_path: Path, seed: bytes, cut: float, changes: list[tuple[float, bytes, int]]
) -> None:
    content = bytearray(seed)
    for at, new, gone in changes:
        place = int(at * len(content))
        content[place : place + gone] = new
    _read(tmp_path / "log", bytes(content[: int(cut * len(content)) + 1]))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    head=st.sampled_from(
        [
            b"",
            b"PK\x03\x04",
            b"\x1f\x8b",
            b"PAR1",
            b"\xd0\xcf\x11\xe0",
            b"<html>",
            b"<?xml ",
            b"\xff\xfe",
            b"Time,PM10\n",
        ]
    ),
    rest=st.binary(max_size=300),
)
def test_random_bytes_are_refused(tmp_path: Path, head: bytes, rest: bytes) -> None:
    _read(tmp_path / "log", head + rest)


@pytest.mark.parametrize("pack", [gzip.compress, _zip], ids=["gzip", "zip"])
def test_a_file_packed_again_and_again_is_refused(tmp_path, pack):
    content = TEXT
    for _ in range(12):
        content = pack(content)
    path = tmp_path / "log"
    path.write_bytes(content)
    with pytest.raises(LoggerFileError, match="packed more than"):
        read_series(path, [PM10])


def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("greenmine.collector.files.sources._UNPACKED_AT_MOST", 1 << 22)
    path = tmp_path / "log"
    path.write_bytes(_zip(TEXT + b"\n" * (9 << 20)))
    with pytest.raises(LoggerFileError, match="unpacks to more than"):
        read_series(path, [PM10])


def test_a_file_of_one_endless_line_is_refused(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"7" * (3 << 20))
    with pytest.raises(LoggerFileError, match="line 1 has more than"):
        read_series(path, [PM10])


def test_an_endless_line_among_the_rows_is_refused(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(TEXT * 1500 + b"7" * (9 << 20))
    with pytest.raises(LoggerFileError, match="a line has more than"):
        read_series(path, [PM10])


def _zip_of_many() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(20_000):
            archive.writestr(f"{number}.csv", b"")
    return out.getvalue()


def _wide_workbook() -> bytes:
    book, out = openpyxl.Workbook(), io.BytesIO()
    book.active.append(["Time", *["PM10"] * 16_383])
    book.save(out)
    return out.getvalue()


def _wide_parquet() -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"time": ["2025-11-17 13:00"]} | {f"c{n}": [n] for n in range(2_000)}), out)
    return out.getvalue()


GREEDY = {
    "columns": (b"a," * 400_000, "has more than 2,000 columns"),
    "columns between quotes": (b'"a",' * 200_000, "has more than 2,000 columns"),
    "columns in Parquet": (_wide_parquet(), "has more than 2,000 columns"),
    "columns of a sheet": (_wide_workbook(), "has more than 2,000 columns"),
    "columns of a page": (b"<table><tr>" + b"<td colspan=1000000000>a</td>" * 9, "has more than 2,000 columns"),
    "quotes": (b'"' * 500_000, "no header line"),
    "files in a zip": (_zip_of_many(), "is a zip archive of 20000 files"),
    "no Parquet": (b"PAR1" + bytes(500) + b"PAR1", "is a damaged Parquet file"),
    "nested tables": (b"<table>" * 50_000, "without a table"),
    "nested tables with a row": (b"<table><tr><td>a</td>" * 50_000, "has more than 200 sheets or tables"),
}


@pytest.mark.parametrize(("content", "why"), GREEDY.values(), ids=GREEDY)
def test_a_file_of_too_many_things_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "log"
    path.write_bytes(content)
    with pytest.raises(LoggerFileError, match=why):
        offered(path, Description())


def test_a_sheet_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(_workbook())
    with pytest.raises(LoggerFileError, match="no sheet '-1'"):
        offered(path, Description(sheet="-1"))


def test_an_error_lists_the_first_of_many_columns(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"a," * 1_900)
    with pytest.raises(LoggerFileError, match=r"'a', 'a#2', 'a#3', .*'a#40', …; give --time"):
        offered(path, Description())


def test_cells_of_a_page_may_lack_their_end(tmp_path: Path) -> None:
    path = tmp_path / "log.html"
    rows = "".join(f"<tr><td>{time}<td>{value}" for time, value in ROWS)
    path.write_text(f"<html><meta charset=utf-8><table><tr><th>Time<th>PM10{rows}", encoding="utf-8")
    assert read_series(path, [PM10])[0].value.tolist() == [value for _, value in ROWS]
