"""Whether a report and its workbook say what follows from the figures; places at which they do not."""

from __future__ import annotations

import io
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import openpyxl
import pypdfium2
from numpy.typing import NDArray
from openpyxl.utils.escape import unescape

from greenmine.evidence.differences import differences
from greenmine.evidence.figures import FiguresDocument
from greenmine.evidence.report.content import Content
from greenmine.evidence.report.document import EMBEDDED, makers, pdf
from greenmine.evidence.report.font import FontMissingError
from greenmine.evidence.report.workbook import Cell, sheets, workbook
from greenmine.record.archive.archive import Finding

_SHOWN: Final = 20
"""Differences listed for one file."""
_BLOCK: Final = 6
"""Pages are compared by squares of this size [pt]."""
_APART: Final = 64
"""Squares look different when their mean differs by more, of 255: other versions smooth edges otherwise."""
_XML: Final = (".xml", ".rels")
_SPARE: Final = 1 << 20
"""Bytes that another version may write more."""
_BROKEN: Final = (
    zipfile.BadZipFile, zlib.error, SyntaxError,
    OSError, EOFError, ValueError, TypeError, AttributeError, LookupError, RuntimeError, OverflowError,
)  # fmt: skip
"""What a damaged workbook raises; a fault of its XML is a SyntaxError."""


def workbook_differences(path: Path, figures: FiguresDocument, made_by: dict[str, str]) -> list[Finding]:
    """Cells of a workbook that differ from the figures.

    Parameters
    ----------
    path : Path
        The XLSX.
    figures : FiguresDocument
        The true figures.
    made_by : dict
        What made the bundle, see `makers`; the same versions must have written the same parts.
    """
    name, made = path.name, workbook(figures)
    try:
        told, true = _parts(path.read_bytes()), _parts(made)
        if told == true:
            return []
        if sum(map(len, told.values())) > 2 * sum(map(len, true.values())) + _SPARE:
            return [Finding(name, "unpacks to more than the figures take")]
        found = [
            Finding(f"{name}: {part}", "is no part of a workbook of figures, whoever wrote it")
            for part in sorted(told.keys() - true.keys())
            if not part.endswith(_XML)
        ]
        found += [
            Finding(f"{name}: {place}", f"says {left!r}; computed: {right!r}")
            for place, left, right in _cells(path, figures)
        ]
    except _BROKEN as error:
        return [Finding(name, f"cannot be read: {error}")]
    if not found and _same("xlsxwriter", made_by):
        parts = sorted(part for part in told.keys() | true.keys() if told.get(part) != true.get(part))
        found = [Finding(f"{name}: {part}", "is not what the figures give") for part in parts]
    return found[:_SHOWN]


def report_differences(path: Path, content: Content, figures: bytes, made_by: dict[str, str]) -> list[Finding]:
    """Places at which a report differs from what is drawn anew.

    Parameters
    ----------
    path : Path
        The PDF.
    content : Content
        What it must tell of.
    figures : bytes
        ``figures.json`` that must be inside.
    made_by : dict
        What made the bundle, see `makers`: with the same, the bytes must be the same; with other versions or another edition of the
        font, what can be read must be the same, and pages must look alike.
    """
    name, told = path.name, path.read_bytes()
    try:
        made = pdf(content, figures)
    except FontMissingError as error:
        made, found = None, [Finding(name, f"cannot be drawn anew: {error}")]
    else:
        if made == told:
            return []
        found = []
    try:
        given = pypdfium2.PdfDocument(told)
        found += _embedded(name, given, figures)
        if made is not None:
            found += _pages(name, given, pypdfium2.PdfDocument(made))
    except pypdfium2.PdfiumError as error:
        return [*found, Finding(name, f"cannot be read: {error}")]
    if not found and _same("font", made_by) and _same("typst", made_by) and _same("vl-convert-python", made_by):
        found.append(Finding(name, "is not what is drawn from the figures, though its pages look alike"))
    return found[:_SHOWN]


def _same(maker: str, made_by: dict[str, str]) -> bool:
    return makers().get(maker) == made_by.get(maker)


def _parts(content: bytes) -> dict[str, bytes]:
    """The files in an XLSX; how they are compressed does not matter."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(info.file_size for info in archive.infolist()) > 100 * len(content) + _SPARE:
            raise ValueError("unpacks to far more than it holds")
        return {info.filename: archive.read(info) for info in archive.infolist()}


def _cells(path: Path, figures: FiguresDocument) -> Iterator[tuple[str, Any, Cell]]:
    """Places of cells that differ, with what they say and what is true."""
    with warnings.catch_warnings(action="ignore"):
        book = openpyxl.load_workbook(path, read_only=True)
    true = list(sheets(figures))
    names = [sheet.name for sheet in true]
    if book.sheetnames != names:
        yield "sheets", book.sheetnames, ", ".join(names)
    for sheet in true:
        if sheet.name not in book.sheetnames:
            continue
        rows: Iterator[Sequence[Any]] = book[sheet.name].iter_rows(values_only=True)
        expected: list[Sequence[Cell]] = [sheet.columns, *sheet.rows]
        for number, (left, right) in enumerate(zip_longest(rows, expected, fillvalue=()), start=1):
            for place, (told, cell) in enumerate(zip_longest(left, right), start=1):
                if _read(told) != _written(cell):
                    yield f"{sheet.name}!{openpyxl.utils.get_column_letter(place)}{number}", told, cell


def _written(cell: Cell) -> Cell:
    """A value as a worksheet gives it back: numbers with 16 digits, line ends as XML has them, nothing for an empty text."""
    if isinstance(cell, str):
        return cell.replace("\r\n", "\n").replace("\r", "\n") or None
    return float(f"{cell:.16G}") if isinstance(cell, float) else cell


def _read(told: Any) -> Any:
    """A value that was read, with the characters that XML cannot hold."""
    return _written(unescape(told)) if isinstance(told, str) else told


def _embedded(name: str, document: pypdfium2.PdfDocument, figures: bytes) -> list[Finding]:
    attachments = {
        attachment.get_name(): bytes(attachment.get_data())
        for attachment in map(document.get_attachment, range(document.count_attachments()))
    }
    if list(attachments) != [EMBEDDED]:
        return [Finding(name, f"has the attachments {list(attachments)}; it had to be {[EMBEDDED]}")]
    try:
        told = msgspec.json.decode(attachments[EMBEDDED])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return [Finding(f"{name}: {EMBEDDED}", f"cannot be read: {error}")]
    return differences(f"{name}: {EMBEDDED}", told, msgspec.json.decode(figures))


def _pages(name: str, told: pypdfium2.PdfDocument, made: pypdfium2.PdfDocument) -> Iterator[Finding]:
    if len(told) != len(made):
        yield Finding(name, f"has {len(told)} pages; drawn anew: {len(made)}")
    for number, (left, right) in enumerate(zip(told, made, strict=False), start=1):
        lines = zip_longest(_lines(left), _lines(right), fillvalue="")
        other = next(((says, computed) for says, computed in lines if says != computed), None)
        if other is not None:
            yield Finding(f"{name}: page {number}", f"says {other[0]!r}; drawn anew: {other[1]!r}")
        elif left.get_size() != right.get_size() or (np.abs(_look(left) - _look(right)) > _APART).any():
            yield Finding(f"{name}: page {number}", "looks other than what is drawn anew")


def _lines(page: pypdfium2.PdfPage) -> list[str]:
    return [" ".join(line.split()) for line in page.get_textpage().get_text_bounded().splitlines()]


def _look(page: pypdfium2.PdfPage) -> NDArray[np.float64]:
    """Mean colour of each square of a page."""
    pixels = page.render(scale=1.0, rev_byteorder=True, may_draw_forms=True).to_numpy()[:, :, :3].astype(np.float64)
    height, width = (size // _BLOCK * _BLOCK for size in pixels.shape[:2])
    squares = pixels[:height, :width].reshape(height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK, 3)
    look: NDArray[np.float64] = squares.mean(axis=(1, 3))
    return look
