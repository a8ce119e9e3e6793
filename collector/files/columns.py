"""Names of columns: what a logger calls its time and its parameters."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

from greenmine.parameters import Parameter


class LoggerFileError(ValueError):
    """A logger's file that cannot be read as it is, or not without being told how."""


DATES: Final = frozenset({"date", "day", "datum", "日期"})
"""Plain names of columns that may hold the date alone."""

TIMES: Final = frozenset({"time", "hour", "timeofday", "uhrzeit", "时间", "时刻"})
"""Plain names of columns that may hold the time of day alone."""

_STAMPS = """
    timestamp datetime dateandtime datetimeutc datetimelocal localdatetime utcdatetime timestamputc timestamplocal
    timeutc utctime utc timelocal localtime sampletime samplingtime samplingdate sampledatetime measurementtime
    measuredat recordtime recordedat createdat datatime ts tmstamp isotime unixtime unix epoch zeitstempel zeit
    监测时间 采样时间 数据时间 日期时间 测量时间 上报时间 记录时间 采集时间 时间戳 监测日期 数据时标
"""
STAMPS: Final = frozenset(_STAMPS.split())
"""Plain names of columns that hold date and time."""

_USUAL: Final[dict[str, tuple[str, ...]]] = {
    "laeq": ("leq", "leqa", "laeqt", "leqdba", "laeqdb", "dba", "噪声", "等效声级"),
    "lafmax": ("lafmx", "lmax", "lamax"),
    "pm10": ("pm100",),
    "tsp": ("扬尘", "总悬浮颗粒物"),
    "ss": ("tss", "suspendedsolids", "悬浮物"),
    "turbidity": ("turb", "tur", "浊度"),
    "cod": ("codcr", "化学需氧量"),
    "nh3-n": ("nh3n", "nh4n", "ammonia", "ammonianitrogen", "氨氮"),
    "conductivity": ("cond", "ec", "spcond", "specificconductance", "电导率"),
    "do": ("dissolvedoxygen", "odo", "ldo", "溶解氧"),
    "water-temperature": ("temp", "temperature", "watertemp", "wtemp", "水温"),
    "air-temperature": ("temp", "temperature", "airtemp", "气温", "温度"),
    "flow": ("discharge", "flowrate", "流量"),
    "wind-speed": ("windspeed", "ws", "风速"),
    "wind-direction": ("winddirection", "winddir", "wd", "风向"),
    "humidity": ("rh", "relativehumidity", "湿度"),
    "pressure": ("airpressure", "barometricpressure", "气压"),
    "rain": ("rainfall", "precipitation", "precip", "雨量", "降雨量"),
}
"""Plain names of parameters besides id, symbol, names and HJ 212 code."""

_UNIT_NAMES = """
    ugm3 mgm3 ugm mgm dba db ntu fnu uscm mscm mgl ugl ppm degc c f ms mps kmh deg degrees percent kpa hpa mbar mm
    ls m3h m3s
"""
_UNITS: Final = frozenset(_UNIT_NAMES.split())
_BRACKETS: Final = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|\{[^{}]*\}|（[^（）]*）|【[^【】]*】")


def plain(name: str) -> str:
    """A name reduced to letters and digits, without case, width and superscripts: ``PM₂.₅`` becomes ``pm25``."""
    folded = unicodedata.normalize("NFKC", name).casefold().replace("μ", "u")
    return "".join(character for character in folded if character.isalnum())


def bare(name: str) -> str:
    """A plain name without what stands in brackets or behind a comma: units, zones, serial numbers."""
    outside, previous = name, ""
    while outside != previous:
        outside, previous = _BRACKETS.sub(" ", outside), outside
    return plain(re.split(r"[,，]", outside.strip(" ,，"))[0])


def unique_names(cells: Sequence[str]) -> tuple[str, ...]:
    """Names for the cells of a header: ``#3`` for the third if empty, ``name#2`` for a second ``name``."""
    names: list[str] = []
    for position, cell in enumerate(cells, start=1):
        name = cell.strip() or f"#{position}"
        repeats = sum(1 for other in cells[: position - 1] if other.strip() == name)
        names.append(f"{name}#{repeats + 1}" if repeats else name)
    return tuple(names)


def find_column(names: Sequence[str], wanted: str) -> int | None:
    """Position of the column that somebody names.

    Parameters
    ----------
    names : sequence of str
        Names in the header.
    wanted : str
        The name as in the header, or without regard to case, blanks and signs, or without the unit in brackets.

    Returns
    -------
    int or None
        None if there is no such column.

    Raises
    ------
    LoggerFileError
        If several columns fit equally well.
    """
    asked = plain(wanted)
    for fits in (
        [i for i, name in enumerate(names) if name == wanted.strip()],
        [i for i, name in enumerate(names) if asked and plain(name) == asked],
        [i for i, name in enumerate(names) if asked and bare(name) == asked],
    ):
        if len(fits) == 1:
            return fits[0]
        if fits:
            raise LoggerFileError(f"{wanted!r} may be any of {listed(names[i] for i in fits)}: give the whole name")
    return None


def parameter_columns(names: Sequence[str], parameter: Parameter) -> list[int]:
    """Positions of the columns whose name is the parameter's: id, symbol, name, HJ 212 code or a usual one."""
    own = (parameter.id, parameter.symbol, parameter.name_en, parameter.name_zh, parameter.hj212)
    known = {plain(name) for name in own if plain(name)}
    known |= {code + "rtd" for code in known} | {code + "avg" for code in {plain(parameter.hj212)} if code}
    known |= set(_USUAL.get(parameter.id, ()))
    return [i for i, name in enumerate(names) if any(_names(text, known) for text in (plain(name), bare(name)) if text)]


def unit_in(name: str) -> str | None:
    """The unit that a name states in brackets or at its end, plain; None if it states none that is known."""
    inside = [plain(part) for part in _BRACKETS.findall(name)]
    tail = plain(re.split(r"[\s_,，]", name.strip())[-1])
    return next((unit for unit in [*inside, tail] if unit in _UNITS), None)


def listed(names: Iterable[str]) -> str:
    """Names for an error, quoted."""
    return ", ".join(map(repr, names))


def _names(text: str, known: set[str]) -> bool:
    return text in known or any(text.startswith(name) and text[len(name) :] in _UNITS for name in known)
