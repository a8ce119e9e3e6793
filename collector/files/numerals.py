"""Cells that hold numbers, and what loggers write in the place of numbers or beside them."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from greenmine.collector.files.columns import LoggerFileError, known_unit, listed, words

NUMBER, MISSING, AT_MOST, AT_LEAST, NOT_DETECTED, OVER, MARKED, TEXT, WIDE = range(9)
"""Kinds of cells: a number; nothing; a bound (``<0.5``, ``>1000``); a low or a high value without its bound (ND, OL); a number with
a mark behind it; anything else; signs that stand for a number too wide for its column (``***`` of Fortran, ``###`` of a sheet)."""

_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_DIGITS: Final = r"[+-]?(?:\d[\d.,' ]*|[.,]\d+)(?:[eE][+-]?\d+)?"
_CELL: Final = re.compile(
    rf"(?P<lead>[*#!?~^]|[A-Z](?= ?\d))? ?(?P<sign>[<>≤≥]=?)? ?(?P<number>{_DIGITS}) ?(?P<mark>\D.*)?", re.ASCII
)
_GROUPED: Final = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+", re.ASCII)
_MISSING: Final = words(
    """
    nan null none na n/a n.a. - -- --- ---- — —— – / \\ * . nodata missing invalid miss #n/a #n/a! #value! #div/0! #ref! nd.
    inf -inf +inf infinity -infinity 1.#inf 1.#qnan -1.#ind
    无 无数据 无效 缺测 缺失 空 停机 停运 维护 校准 校零 故障 离线 断电 未监测 未测 无值
    """
)
"""What stands for no value, without case and blanks."""
_NOT_DETECTED: Final = words(
    "nd n.d. notdetected bdl <lod <dl <mdl <loq <rl belowdetection belowlod u bd lo low under underrange under-range"
    " 未检出 低于检出限 未检测出"
)
_OVER: Final = words(
    "ol o.l. over overload overrange over-range ovr ovfl overflow ovl +ol >>> +++ ++++ hi high sat saturated"
    " 超量程 超限 溢出 超出量程"
)
_WIDE: Final = re.compile(r"[-+]?(?:\*{2,}(?:\.\**)?|#{2,}(?:\.#*)?)")
_POINTS: Final = "N NNE NE ENE E ESE SE SSE S SSW SW WSW W WNW NW NNW"
_POINTS_CN: Final = "北 北东北 东北 东东北 东 东东南 东南 南东南 南 南西南 西南 西西南 西 西西北 西北 北西北"
_POINTS_BY: Final = "正北 北偏东 北东 东偏北 正东 东偏南 南东 南偏东 正南 南偏西 南西 西偏南 正西 西偏北 北西 北偏西"
_HALF_POINTS: Final = "东北偏北 东北偏东 东南偏东 东南偏南 西南偏南 西南偏西 西北偏西 西北偏北"
_WHOLE_WORDS: Final = "NORTH NORTHEAST EAST SOUTHEAST SOUTH SOUTHWEST WEST NORTHWEST"
_COMPASS: Final = {
    **{name: 22.5 * place for place, name in enumerate(_POINTS.split())},
    **{name: 22.5 * place for place, name in enumerate(_POINTS_CN.split())},
    **{name: 22.5 * place for place, name in enumerate(_POINTS_BY.split())},
    **{name: 22.5 + 45 * place for place, name in enumerate(_HALF_POINTS.split())},
    **{name: 45.0 * place for place, name in enumerate(_WHOLE_WORDS.split())},
}
"""Degrees of the directions of the wind in words."""
_CALM: Final = words("静风 静 无风 无持续风向 calm clm c vrb variable 不定")
_STATES: Final = {
    **dict.fromkeys(
        words("on run running true yes start started 运行 运行中 正常运行 在运行 开 开启 开机 启动 工作 是"), 1.0
    ),
    **dict.fromkeys(
        words("off stop stopped false no idle 停止 停止运行 已停止 停 停机 停运 关 关闭 关机 未运行 未开 否 待机"), 0.0
    ),
}
"""1 for equipment that runs, 0 for equipment that does not."""
_SIGNS: Final = str.maketrans("\u2212\u2013\ufe63\u2010\u2011\u00a0\u202f\u2009\u2019", "-----   '")
"""Minus signs, blanks and the apostrophe in their plain form."""


class Cell(NamedTuple):
    """What one cell holds."""

    kind: int
    point: float = math.nan
    """The number if a point is the decimal sign; NaN if it is none then."""
    comma: float = math.nan
    """The number if a comma is the decimal sign."""
    mark: str = ""
    """What stands behind the number."""


@dataclass(frozen=True, slots=True)
class NumberColumn:
    """The cells of a column as numbers.

    Parameters
    ----------
    value : float64 array (n,)
        NaN where a cell holds no number; the bound where it holds one.
    kind : uint8 array (n,)
        What each cell holds.
    marks : dict of str to int
        How often each mark stands behind a number.
    texts : dict of str to int
        How often each text stands where a number was expected.
    mark : array of object (n,), or None
        The mark of each cell; None if there are none.
    """

    value: NDArray[np.float64]
    kind: NDArray[np.uint8]
    marks: Counter[str]
    texts: Counter[str]
    mark: NDArray[np.object_] | None = None

    def take(self, rows: NDArray[np.bool_]) -> NumberColumn:
        """The rows of a mask."""
        mark = None if self.mark is None else self.mark[rows]
        marks = Counter(text for text in mark.tolist() if text) if mark is not None else Counter[str]()
        return NumberColumn(self.value[rows], self.kind[rows], marks, self.texts, mark if marks else None)


@dataclass(slots=True)
class NumberReader:
    """Reads the cells of one column block by block.

    Parameters
    ----------
    decimal : str or None
        The decimal sign, ``.`` or ``,``; None: what the cells prove. A comma before three digits may also part thousands.
    quoted : bool
        Whether commas also part the cells of the file: then a comma in quoted cells is not the decimal sign by custom.
    missing : collection of str
        Texts and numbers that stand for no value.
    words : str
        Way of averaging of what is read: ``vector`` may be directions of the wind in words, ``state`` words for on and off.
    """

    decimal: str | None = None
    quoted: bool = False
    missing: Collection[str] = ()
    words: str = ""
    _known: dict[str, Cell] = field(default_factory=dict, init=False)
    _blocks: list[tuple[NDArray[np.float64], NDArray[np.float64] | None, NDArray[np.uint8] | None]] = field(
        default_factory=list, init=False
    )
    _marks: list[tuple[int, str]] = field(default_factory=list, init=False)
    _texts: Counter[str] = field(default_factory=Counter, init=False)
    _points: bool = field(default=False, init=False)
    """Whether some cell shows a decimal point."""
    _commas: str = field(default="", init=False)
    """A cell that shows a decimal comma."""
    _open: str = field(default="", init=False)
    """A cell with a comma that may be either."""
    _whole: bool = field(default=False, init=False)
    """Whether some cell has neither."""
    _size: int = field(default=0, init=False)

    def add(self, cells: Sequence[str]) -> None:
        """Read a block of cells."""
        try:
            # float takes 1_000, nan and inf, which no logger means as numbers
            values = np.array(list(map(float, cells)), np.float64)
            if np.isfinite(values).all() and "_" not in (text := "".join(cells)):
                self._points = self._points or "." in text
                self._append(values, None, None)
                return
        except ValueError:
            pass
        known, found = self._known, []
        for cell in cells:
            parsed = known.get(cell)
            if parsed is None:
                parsed = known[cell] = self._parse(cell)
            found.append(parsed)
        kind, point, comma, mark = zip(*found, strict=True) if found else ((), (), (), ())
        kinds = np.array(kind, np.uint8)
        self._marks += [(self._size + row, text) for row, text in enumerate(mark) if text]
        for row in np.flatnonzero(kinds == TEXT).tolist():
            self._texts[cells[row].strip()] += 1
        self._append(np.array(point, np.float64), np.array(comma, np.float64), kinds)

    def add_column(self, cells: pa.StringArray) -> None:
        """Read a block of cells as they stand in a column of Arrow: at once, if all are plain numbers."""
        try:
            values = pc.cast(cells, pa.float64()).to_numpy(zero_copy_only=False)
        except pa.ArrowInvalid:
            self.add(cells.to_pylist())
            return
        if not np.isfinite(values).all():
            self.add(cells.to_pylist())
            return
        self._points = self._points or b"." in cells.buffers()[2].to_pybytes()
        self._append(values, None, None)

    def take(self, values: NDArray[np.float64]) -> None:
        """Take a block that is numbers already."""
        finite = np.isfinite(values)
        self._append(np.where(finite, values, np.nan), None, np.where(finite, NUMBER, MISSING).astype(np.uint8))

    def result(self) -> NumberColumn:
        """All cells read so far.

        Raises
        ------
        LoggerFileError
            If commas may be decimal signs or part thousands, and nothing decides.
        """
        comma = self._decimal() == ","
        values = [np.empty(0), *(block[0] if block[1] is None or not comma else block[1] for block in self._blocks)]
        kinds = [
            np.zeros(0, np.uint8),
            *(np.zeros(len(block[0]), np.uint8) if block[2] is None else block[2] for block in self._blocks),
        ]
        value, kind = np.concatenate(values), np.concatenate(kinds)
        odd = np.isnan(value) & np.isin(kind, (NUMBER, AT_MOST, AT_LEAST, MARKED))
        if odd.any():
            kind[odd] = TEXT
            self._texts["a number with the other decimal sign"] += int(np.count_nonzero(odd))
        codes = [float(code) for code in self.missing if not math.isnan(number(code))]
        if codes:
            coded = np.isin(value, codes)
            value[coded], kind[coded] = np.nan, MISSING
        marks, mark = Counter(text for _, text in self._marks), None
        if self._marks:
            mark = np.full(len(value), "", object)
            for row, text in self._marks:
                mark[row] = text
        return NumberColumn(value, kind, marks, self._texts, mark)

    def _append(
        self, point: NDArray[np.float64], comma: NDArray[np.float64] | None, kind: NDArray[np.uint8] | None
    ) -> None:
        self._blocks.append((point, comma, kind))
        self._size += len(point)

    def _decimal(self) -> str:
        if self.decimal is not None:
            return self.decimal
        if self._commas and not self._points:
            return ","
        if self._open and not self._points:
            raise LoggerFileError(
                f"{self._open!r} may have a decimal comma or part thousands, and no cell of the column decides; give --decimal"
            )
        return "."

    def _parse(self, raw: str) -> Cell:
        """Read a cell that is no plain number, and note what it proves about the decimal sign."""
        text = raw.strip()
        if not text.isascii():
            text = unicodedata.normalize("NFKC", text.translate(_SIGNS)).translate(_SIGNS).strip()
        folded = text.casefold().replace(" ", "")
        if self.words == "state" and folded in _STATES:
            return Cell(NUMBER, _STATES[folded], _STATES[folded])
        if folded in _MISSING or not folded or text in self.missing or raw.strip() in self.missing:
            return Cell(MISSING)
        if self.words == "vector" and (degrees := _direction(text)) is not None:
            return Cell(MISSING) if math.isnan(degrees) else Cell(NUMBER, degrees, degrees)
        if folded in _NOT_DETECTED:
            return Cell(NOT_DETECTED)
        if folded in _OVER:
            return Cell(OVER)
        if _WIDE.fullmatch(folded):
            return Cell(WIDE)
        match = _CELL.fullmatch(text)
        if match is None:
            return Cell(TEXT)
        digits, mark = match["number"].strip(), (match["mark"] or match["lead"] or "").strip()
        point, comma = self._both(digits)
        if (math.isnan(point) and math.isnan(comma)) or (mark and not _is_mark(mark)):
            return Cell(TEXT)
        if mark == "L" and self.words != "vector":  # the limit of detection with an L, HJ 91.1-2019
            return Cell(AT_MOST, point, comma, mark)
        if match["sign"]:
            return Cell(AT_MOST if match["sign"][0] in "<≤" else AT_LEAST, point, comma, mark)
        return Cell(MARKED if mark else NUMBER, point, comma, mark)

    def _both(self, digits: str) -> tuple[float, float]:
        """The number with a decimal point, and with a decimal comma."""
        digits = re.sub(r"(?<=\d)[' ](?=\d{3}(?:\D|$))", "", digits)
        points, commas = digits.count("."), digits.count(",")
        if not commas:
            plain = number(digits)
            grouped = re.fullmatch(r"[+-]?[1-9]\d{0,2}(\.\d{3})+", digits) is not None
            if points == 1:
                self._points = self._points or not grouped
            elif points == 0:
                self._whole = True
            return plain, number(digits.replace(".", "")) if grouped else plain if not points else math.nan
        thousands = number(digits.replace(",", "")) if _GROUPED.fullmatch(digits.split(".")[0]) else math.nan
        if points:
            if digits.rindex(".") > digits.rindex(","):
                self._points = True
                return thousands, math.nan
            self._commas = self._commas or digits
            return math.nan, number(digits.replace(".", "").replace(",", "."))
        decimal = number(digits.replace(",", ".")) if commas == 1 else math.nan
        if math.isnan(thousands):
            self._commas = self._commas or digits
        elif math.isnan(decimal):
            self._points = True
        else:
            self._open = self._open or digits
        return thousands, decimal


def stands_for_nothing(cell: str) -> bool:
    """Whether a text is one that stands for no value, a low or a high one."""
    folded = cell.strip().casefold().replace(" ", "")
    return folded in _MISSING | _NOT_DETECTED | _OVER or _WIDE.fullmatch(folded) is not None


def number(cell: str) -> float:
    """The number in a cell; NaN if it holds anything else, as ``1_000``, ``12 dB`` or ``inf`` do."""
    text = cell.strip()
    return float(text) if _NUMBER.fullmatch(text) and math.isfinite(float(text)) else math.nan


def first_texts(texts: Counter[str]) -> str:
    """The most frequent texts, for an error."""
    return listed(text for text, _ in texts.most_common(3))


def _is_mark(text: str) -> bool:
    """Whether a text behind a number may be a unit or a flag: ``62*``, ``45%``, ``0.041 mg/m3``, ``12 (C)``."""
    return known_unit(text, alone=True) is not None or re.fullmatch(r"[^\d_]{1,4}|\([^)\d]{1,12}\)", text) is not None


def _direction(text: str) -> float | None:
    """Degrees of a direction in words; NaN for a calm, None for anything else."""
    folded = text.upper().replace(" ", "").replace("-", "").removesuffix("风")
    if text.casefold() in _CALM or folded.casefold() in _CALM:
        return math.nan
    return _COMPASS.get(folded)
