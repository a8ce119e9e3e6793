"""What is hidden in XLS workbooks, also in those that somebody bent."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from greenmine.collector.files.hidden import hidden_parts

CASE = Path(__file__).parents[2] / "cases/files/xls-with-hidden-rows"
_SHIFT, _MORE = 30, 68
"""Places of the size of sectors and of the first further list of tables in a compound file."""


def bent(tmp_path: Path, place: int, layout: str, number: int) -> Path:
    (file,) = CASE.glob("*.xls")
    content = bytearray(file.read_bytes())
    struct.pack_into(layout, content, place, number)
    path = tmp_path / "bent.xls"
    path.write_bytes(content)
    return path


def test_hidden_rows_are_told(tmp_path: Path) -> None:
    (hidden,) = hidden_parts(bent(tmp_path, _MORE, "<I", 0xFFFFFFFE)).values()
    assert hidden.rows


@pytest.mark.parametrize("shift", [0, 8, 13, 31, 20_000, 65_535])
def test_sectors_of_no_version_of_the_format_are_not_read(tmp_path: Path, shift: int) -> None:
    assert hidden_parts(bent(tmp_path, _SHIFT, "<H", shift)) == {}


def test_a_list_of_tables_that_goes_round_in_a_circle_ends(tmp_path: Path) -> None:
    assert isinstance(hidden_parts(bent(tmp_path, _MORE, "<I", 0)), dict)
