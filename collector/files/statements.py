"""What the heading of a logger's file, and columns of factors, say of every value or stamp of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from greenmine.collector.files.columns import LoggerFileError, averaging_time, plain, words

_FACTORS: Final = words("""
    factor factors multiplier gain k kfactor scale scalefactor scaling correctionfactor calibrationfactor calfactor
    系数 倍率 因数 校正系数 修正系数 比例系数 k值 k系数
""")
"""Plain names of columns with a factor of the value beside them."""
_FACTOR: Final = re.compile(
    r"(?:(?<!full )\bscal(?:e|ing)(?: factor)?\b|\bmultiplier\b|\bk[- ]?factor\b|倍率|比例系数|k ?[值系]数?)"
    r"\W{1,4}(?P<number>\d+(?:\.\d+)?)\b",
    re.IGNORECASE,
)
"""A line of the heading that states a factor of the values."""
_OFFSET: Final = re.compile(
    r"(?:(?:zero|baseline)[- ]?(?:offset|correction)|零点(?:偏移|修正)|(?:to be|需要?|应) ?(?:subtracted|added|deducted|减|扣|加))"
    r"[^\d\n+-]{0,30}(?P<number>[-+]?\d+(?:\.\d+)?)",
    re.IGNORECASE,
)
"""A line of the heading that states what is to be added to the values, or taken from them."""
_CLOCK: Final = re.compile(
    r"(?:clock|时钟|钟)\D{0,20}\d+(?:\.\d+)? ?(?:min|h|d|分|小?时|天)\w{0,6} ?(?:slow|fast|late|early|behind|ahead)"
    r"|(?:时钟|钟)\D{0,6}[快慢]\D{0,4}\d+(?:\.\d+)? ?(?:分|小?时|天)",
    re.IGNORECASE,
)
"""A line of the heading that states how wrong the clock is, by minutes or more."""
_MEANS: Final = re.compile(
    r"\baverag\w*[ _-]*(?:time|period|interval|window|span)\b|\b(?:rolling|moving|running)\b"
    r"|\b(?:data|value) ?type\b|数据类型|平均(?:时间|周期|时段)|滑动",
    re.IGNORECASE,
)
"""A line of the heading that states over which span values are means."""
_LAW: Final = re.compile(r"limit|alarm|standard|限值|标准|报警", re.IGNORECASE)


def factor_columns(columns: Sequence[str]) -> list[str]:
    """Find the columns with factors of the values."""
    return [name for name in columns if plain(name) in _FACTORS]


def refuse_factors(columns: Mapping[str, Sequence[str]]) -> None:
    """Refuse columns of factors, given with their cells, other than 1.

    Raises
    ------
    LoggerFileError
        If a cell is another number, or none.
    """
    for name, cells in columns.items():
        for text in set(cells):
            if text.strip() and not re.fullmatch(r"\+?0*1(?:[.,]0*)?", text.strip()):
                raise LoggerFileError(
                    f"column {name!r} says {text!r}, and whether values have been multiplied by it is not stated; give --unit"
                )


def refuse_corrections(heading: Sequence[str]) -> None:
    """Refuse a heading with a factor other than 1 or an offset other than 0, of which it is open whether values hold it.

    Raises
    ------
    LoggerFileError
        With the line.
    """
    for line in heading:
        if (match := _FACTOR.search(line)) is not None and float(match["number"]) != 1:
            raise LoggerFileError(
                f"the heading says {line.strip()[:80]!r}, and whether values have been multiplied by it is not stated; give --unit"
            )
        if (match := _OFFSET.search(line)) is not None and float(match["number"]) != 0:
            raise LoggerFileError(
                f"the heading says {line.strip()[:80]!r}, and whether values have been corrected by it is not stated; give --unit"
            )


def _refuse_clock(heading: Sequence[str]) -> None:
    """Refuse a heading that says that the clock is wrong.

    Raises
    ------
    LoggerFileError
        With the line.
    """
    for line in heading:
        if _CLOCK.search(line):
            raise LoggerFileError(
                f"the heading says {line.strip()[:80]!r}: correct the stamps of the file, and take the line out"
            )


def refuse_times(name: str, heading: Sequence[str], interval: float | None) -> None:
    """Refuse a clock that is said to be wrong, and means over a longer span than the distance of the rows, which overlap.

    Parameters
    ----------
    name : str
        The column of the values.
    heading : sequence of str
        Lines above the header.
    interval : float or None
        Distance of the rows [ms].

    Raises
    ------
    LoggerFileError
        If the name or the heading states such a span, or the heading such a clock.
    """
    _refuse_clock(heading)
    if interval is None:
        return
    span = averaging_time(name)
    if span is not None and span > 1.01 * interval:
        raise LoggerFileError(
            f"column {name!r} holds means over {span / 1000:g} s, but a row stands every {interval / 1000:g} s: they overlap; "
            f"choose another column with --value, or give --interval {span // 1000}s, and no shorter window is valid"
        )
    for line in heading:
        span = averaging_time(line) if _MEANS.search(line) and not _LAW.search(line) else None
        if span is not None and span > 1.01 * interval:
            raise LoggerFileError(
                f"the heading says {line.strip()[:80]!r}: means over {span / 1000:g} s, but a row stands every "
                f"{interval / 1000:g} s: they overlap; give --interval {span // 1000}s, and no shorter window is valid"
            )
