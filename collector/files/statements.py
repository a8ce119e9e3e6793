"""What the heading of a logger's file, and columns of factors, say of every value or stamp of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from greenmine.collector.files.columns import LoggerFileError, averaging_time, bare, plain, words

_FACTORS: Final = words("""
    factor factors multiplier gain slope coefficient coeff cf k kfactor scale scalefactor scaling correctionfactor
    calibrationfactor calfactor 系数 斜率 增益 倍率 因数 校正系数 修正系数 比例系数 k值 k系数
""")
"""Plain names of columns with a factor of the value beside them."""
_OFFSETS: Final = words("""
    offset offsets intercept correction zerooffset zerocorrection baseline baselineoffset baselinecorrection
    offsetcorrection biascorrection blank blankvalue 空白 空白值 截距 偏移 偏移量 零点偏移 零点修正 修正值 校正值 补偿值
""")
"""Plain names of columns with what is to be added to the value beside them, or taken from it."""
_DRIFT: Final = re.compile(
    r"(?:(?:rtc|logger)?(?:clock|time|rtc)(?:offset|drift|error|deviation|correction)|drift|时钟偏差|时钟误差|钟差|时间偏差)"
    r"(?P<unit>ms|s|secs?|seconds?|min(?:s|utes?)?|h|hrs?|hours?|毫秒|秒|分钟?|小时)?"
)
"""A plain name of a column with how wrong the clock was."""
_SECONDS: Final = {"ms": 0.001, "毫秒": 0.001, "m": 60.0, "分": 60.0, "h": 3600.0, "小": 3600.0}
"""Seconds of the units in such a name, by their begin; else they are seconds."""
_WRONG: Final = 60.0
"""So many seconds may a clock be wrong at most."""
_FACTOR: Final = re.compile(
    r"(?:(?<!full )\bscal(?:e|ing)\b|\bmultiplier\b|\bfactors?\b|\bgain\b(?: setting)?|\bslope\b|(?-i:\bCF)(?= ?[=:])"
    r"|(?<!temp )(?<!temperature )\bcorrection\b|倍率|倍数|系数|比例|增益|斜率|(?<![A-Za-z])k ?(?:值|(?= ?[=:：])))"
    r"(?: ?\([^()\d]*\)|[a-z]{1,2}(?= ?[=:：]))?\W{1,4}(?P<number>\d+(?:\.\d+)?)\b(?! ?dB|[:：]\d)"
    r"|(?:multipl\w+|divi\w+) by \W?(?P<by>\d+(?:\.\d+)?)|(?:乘以?|除以) ?(?P<times>\d+(?:\.\d+)?)"
    r"|(?<!\d)(?<!\d )(?-i:[x×*]) ?(?P<behind>\d+(?:\.\d+)?)\W*\Z",
    re.IGNORECASE,
)
"""A line of the heading that states a factor of the values."""
_NONE: Final = (0, 1)
"""Factors that change nothing, or say that there is none."""
_OFFSET: Final = re.compile(
    r"(?:(?:zero|baseline|intercept|background)[- ]?(?:offset|correction)|\bintercept\b"
    r"|零点(?:偏移|修正)|截距|(?:to be|需要?|应) ?(?:subtracted|added|deducted|减|扣|加))"
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


def factor_columns(columns: Sequence[str], values: str) -> list[str]:
    """Find the columns with factors of the values in a column, or with what is to be added to them."""
    return [name for name in columns if _alone(name, values) in _FACTORS | _OFFSETS]


def _alone(name: str, values: str) -> str:
    """The plain name of a column without that of the values before it: ``PM10 gain`` becomes ``gain``."""
    return bare(name).removeprefix(bare(values))


def drift_columns(columns: Sequence[str]) -> list[str]:
    """Find the columns that say how wrong the clock was."""
    return [name for name in columns if _DRIFT.fullmatch(plain(name))]


def refuse_factors(columns: Mapping[str, Sequence[str]], values: str = "") -> None:
    """Refuse columns of factors of the values in a column, given with their cells, other than 1, and of offsets other than 0.

    Raises
    ------
    LoggerFileError
        If a factor is another number, or none; if an offset is another number.
    """
    for name, cells in columns.items():
        for text in map(str.strip, set(cells)):
            if _alone(name, values) not in _FACTORS:
                if re.fullmatch(r"[-+]?[\d.,]*[1-9][\d.,]*", text):
                    raise LoggerFileError(
                        f"column {name!r} says {text!r}, and whether values have been corrected by it is not stated; give --unit"
                    )
            elif text and not re.fullmatch(r"\+?0*1(?:[.,]0*)?", text):
                raise LoggerFileError(
                    f"column {name!r} says {text!r}, and whether values have been multiplied by it is not stated; give --unit"
                )


def _refuse_drift(columns: Mapping[str, Sequence[str]]) -> None:
    """Refuse columns that say, in the cells given, that the clock was wrong by a minute or more.

    Raises
    ------
    LoggerFileError
        If a cell does.
    """
    for name, cells in columns.items():
        match = _DRIFT.fullmatch(plain(name))
        unit = (match and match["unit"]) or "s"
        scale = next((seconds for begin, seconds in _SECONDS.items() if unit.startswith(begin)), 1.0)
        for text in set(cells):
            number = re.fullmatch(r"\s*[-+]?(\d+(?:\.\d+)?)\s*", text)
            if number is not None and float(number[1]) * scale >= _WRONG:
                raise LoggerFileError(
                    f"column {name!r} says {text!r}: correct the stamps of the file by it, and take the column out"
                )


def refuse_corrections(heading: Sequence[str]) -> None:
    """Refuse a heading with a factor other than 1 or an offset other than 0, of which it is open whether values hold it.

    Raises
    ------
    LoggerFileError
        With the line.
    """
    for line in heading:
        if (match := _FACTOR.search(line)) is not None and float(match[match.lastgroup or 0]) not in _NONE:
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


def refuse_times(
    name: str, heading: Sequence[str], interval: float | None, drifts: Mapping[str, Sequence[str]] | None = None
) -> None:
    """Refuse a clock that is said to be wrong, and means over a longer span than the distance of the rows, which overlap.

    Parameters
    ----------
    name : str
        The column of the values.
    heading : sequence of str
        Lines above the header.
    interval : float or None
        Distance of the rows [ms].
    drifts : mapping of str to sequence of str, optional
        Cells of the columns that say how wrong the clock was.

    Raises
    ------
    LoggerFileError
        If the name or the heading states such a span, or the heading or such a column such a clock.
    """
    _refuse_clock(heading)
    _refuse_drift(drifts or {})
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
