"""Columns that tell several stations or instruments apart, by their names or by what they hold: no series of one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from greenmine.collector.files.columns import (
    PARTS,
    LoggerFileError,
    bare,
    listed,
    names_parameter,
    plain,
    words,
    written,
)

PLACES: Final = words("latitude lat longitude lon lng long gpslat gpslon gpslatitude gpslongitude 经度 纬度")
"""Plain names of columns that say where an instrument stood."""
_APART: Final = 0.01
"""Degrees, a kilometre, by which a receiver does not err."""
_NUMBERED: Final = re.compile(r"(?![vV]\d)(?=.*\d)[^\s.:]*[^\W\d_][^\s.:]*|[\w-]*\d{6,}|\d+ ?[#号]\S*|\S+ \d+")
"""An id with a number: ``XH-0001``."""
_TEXTS_AT_MOST: Final = 6
"""Columns of text that are looked through for ids."""
_TURNS: Final = range(2, 21)
"""So many rows may pass until texts come again in the same order."""
_ROUNDS: Final = 3
"""So many times they come again at least."""
_CHANGES: Final = 0.3
"""Share of the rows in which a text changes from the one before, at least: shifts and days change more seldom."""
_ALIKE: Final = 0.85
"""Share of the rows that have the text of the round before, at least: gaps break rounds."""
_NO_STATIONS: Final = words("""
    shift weekday dayofweek season wind winddir 班次 班 班组 时段 星期 昼夜 季节 seq sequence number no nr index record rec count
    row 序号 行号 次数 wd ws
""")
"""Plain names of columns whose texts come in turns and name no stations."""


def texts_beside(others: Sequence[str], numeric: Sequence[str], known: Sequence[str]) -> list[str]:
    """Choose the columns of text that may name stations, of those that are not known to hold something else."""
    return [name for name in others if name not in {*numeric, *known}][:_TEXTS_AT_MOST]


def refuse_stations(
    texts: Mapping[str, tuple[str, ...]], stations: Sequence[str], others: Sequence[str], rows: int
) -> None:
    """Refuse columns that name several stations or instruments.

    Parameters
    ----------
    texts : mapping of str to tuple of str
        The first distinct texts of columns.
    stations : sequence of str
        Columns that are named after stations or instruments.
    others : sequence of str
        Columns of text whose names say nothing: texts that are numbered alike name several.
    rows : int
        Rows of the file.

    Raises
    ------
    LoggerFileError
        If a column does.
    """
    for name in (*stations, *others):
        found = [text for text in texts[name] if text]
        if bare(name) in PLACES:
            places = [float(text) for text in found if re.fullmatch(r"[+-]?\d{1,3}\.\d+", text) and float(text)]
            if places and max(places) - min(places) > _APART:
                raise LoggerFileError(
                    f"column {name!r} goes from {min(places):g} to {max(places):g}: the readings are of several places; choose one "
                    f"with --where {name}={found[0]}"
                )
            continue
        if name in others and not (
            len({re.sub(r"[\dA-F]", "0", text) for text in found}) == 1 and _NUMBERED.fullmatch(found[0])
        ):
            continue
        if 1 < len(found) < min(100, max(3, rows / 2)):
            raise LoggerFileError(
                f"column {name!r} has {len(found)} values, {listed(found[:4])}: choose one with --where {name}={found[0]}"
            )


def refuse_turns(
    rows: Mapping[str, NDArray[np.object_]], time: NDArray[np.int64], sample: Mapping[str, Sequence[str]]
) -> None:
    """Refuse columns whose texts come by turns from row to row, as those of stations that are logged one after the other do.

    Parameters
    ----------
    rows : mapping of str to object array (n,)
        Texts of each row, of columns whose names say nothing.
    time : int64 array (n,)
        Instants [ms UTC].
    sample : mapping of str to sequence of str
        The first cells of columns of numbers.

    Raises
    ------
    LoggerFileError
        If a column has two texts or more, or whole numbers that follow each other, in the same order over and over.
    """
    order = np.argsort(time, kind="stable")
    turns = {name: found[order].tolist() for name, found in rows.items()} | {
        name: list(cells) for name, cells in sample.items() if _are_numbers_of_stations(cells)
    }
    for name, cells in turns.items():
        if _may_name_stations(name) and _come_in_turns(cells):
            found = list(dict.fromkeys(cells))
            raise LoggerFileError(
                f"the rows have {listed(found[:4])} in column {name!r} by turns, as those of several stations do: choose one "
                f"with --where {name}={found[0]}, or say by --tolerate 1 that all are of one"
            )


def _may_name_stations(name: str) -> bool:
    base = plain(written(name))
    return not (base in _NO_STATIONS or names_parameter(base) or any(base in found for found in PARTS.values()))


def _are_numbers_of_stations(cells: Sequence[str]) -> bool:
    """Whether cells are whole numbers that follow each other, from 1 on or more than two."""
    if not all(cell.isdecimal() and len(cell) <= 3 for cell in cells):
        return False
    found = sorted({int(cell) for cell in cells})
    return len(found) > 1 and found[0] + len(found) - 1 == found[-1] and found != [0, 1]


def _come_in_turns(cells: Sequence[str]) -> bool:
    """Whether texts come again in the same order, over and over."""
    found = {text: code for code, text in enumerate(dict.fromkeys(cells))}
    if not 1 < len(found) <= max(_TURNS) or "" in found:
        return False
    codes = np.array([found[cell] for cell in cells], np.int8)
    if np.mean(codes[1:] != codes[:-1]) < _CHANGES:
        return False
    return any(len(codes) >= _ROUNDS * turn and np.mean(codes[turn:] == codes[:-turn]) >= _ALIKE for turn in _TURNS)
