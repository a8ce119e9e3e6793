"""What a logger's file is packed in: text in some encoding, compressed, a workbook, an HTML table.

Whatever it is becomes lines of text with a known encoding; the cells of workbooks and of HTML tables become lines cut by tabs.
"""

from __future__ import annotations

import codecs
import gzip
import io
import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from html.parser import HTMLParser
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, TextIO, cast

from charset_normalizer import from_bytes

from greenmine.collector.files.columns import LoggerFileError, listed, refuse_wider
from greenmine.collector.files.hidden import Hidden, hidden_parts

if TYPE_CHECKING:  # most files are text, and need no reader of workbooks
    from python_calamine import CalamineSheet

_ZIP: Final = b"PK\x03\x04"
_OLE: Final = b"\xd0\xcf\x11\xe0"
_GZIP: Final = b"\x1f\x8b"
_SQLITE: Final = b"SQLite format 3"
_PARQUET: Final = b"PAR1"
_FOUR_BYTES: Final = re.compile(rb"[\x81-\xfe][0-9][\x81-\xfe][0-9]")
_RUNS: Final = re.compile(rb"[\x80-\xff]+")
_PAIRED: Final = ["gb18030", "big5"]
"""Encodings of two bytes a sign that loggers' programs write."""
_SINGLE: Final = ["cp1252", "cp1251"]
_LOOKED_AT: Final = 1 << 20
_UNPACKED_AT_MOST: Final = 2 << 30
"""Bytes that a compressed file may unpack to."""
_OF_THE_SYSTEM: Final = re.compile(r"(?:^|/)(?:__MACOSX/|\.[^/]*$|Thumbs\.db$|desktop\.ini$)", re.IGNORECASE)
"""Files that an operating system puts into archives beside those of people."""
_TABLES_AT_MOST: Final = 200
"""Sheets of a workbook, and tables of a page."""
_HIDES: Final = re.compile(r"hidden=.*|style=.*display\s*:\s*none.*|ss:hidden=1", re.IGNORECASE | re.DOTALL)
"""Attributes of a row of HTML, or of a workbook in XML, that is hidden."""
_SILENT: Final = frozenset({"script", "style", "workbook"})
"""Elements whose text outside of cells is not for people."""
_INLINE: Final = frozenset(["b", "i", "u", "em", "strong", "span", "font", "a", "sup", "sub", "small", "code"])
"""Elements that end no line of text."""
_LINES_BESIDE: Final = 200
"""Lines outside the table of readings that may say something of them."""
_PACKED_AT_MOST: Final = 5
"""So many times may a file be packed in another."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file to read.

    Parameters
    ----------
    path : Path
        The file, or a temporary copy of what was packed in it.
    encoding : str
        Name of the codec; empty for Parquet.
    delimiter : str or None
        The delimiter where the container decides it.
    name : str
        Name of the sheet; empty if there is none.
    epoch : str
        Day from which numbers count as days: 1904-01-01 in workbooks of old Macintoshes.
    is_hidden : bool
        Whether the sheet is hidden.
    hidden_row : int
        Line of the last row of the sheet that is hidden, by hand or by a filter; 0: none is.
    hidden_columns : frozenset of int
        Positions of the columns of the sheet that are hidden.
    beside : tuple of str
        Lines of text of a page, outside its tables.
    """

    path: Path
    encoding: str
    delimiter: str | None = None
    name: str = ""
    epoch: str = "1899-12-30"
    is_hidden: bool = False
    hidden_row: int = 0
    hidden_columns: frozenset[int] = frozenset()
    beside: tuple[str, ...] = ()

    @property
    def is_parquet(self) -> bool:
        """Whether the file is Parquet."""
        return not self.encoding


@contextmanager
def opened(path: Path, encoding: str | None = None, sheet: str | None = None) -> Iterator[list[Source]]:
    """Unpack a file.

    Parameters
    ----------
    path : Path
        The file.
    encoding : str or None
        Codec of its text; None: found.
    sheet : str or None
        File of a zip archive; any other is the name of a sheet of a workbook, or number of an HTML table from 1.

    Yields
    ------
    list of Source
        One for each sheet or table that is not empty; the copies are gone when the context ends.

    Raises
    ------
    LoggerFileError
        If the file is nothing that can be read, or has no such sheet.
    """
    with ExitStack() as stack:
        found = _unpack(path, encoding, sheet, stack)
        names = [source.name for source in found if source.name]
        if sheet is not None and names and sheet not in names:
            raise LoggerFileError(f"no sheet {sheet!r}: there are {listed(names)}")
        yield found


def refuse_larger(path: Path, at_most: int) -> None:
    """Refuse what unpacks to more than so many bytes, or is packed more than once; nothing of it is kept meanwhile.

    Raises
    ------
    LoggerFileError
        If it does, or is damaged.
    """
    with path.open("rb") as file:
        head = file.read(4)
    try:
        if head.startswith(_GZIP):
            with gzip.open(path) as packed:
                size, first = 0, b""
                while block := packed.read(_LOOKED_AT):
                    first, size = first or block[:4], size + len(block)
                    if size > at_most:
                        break
        elif head.startswith(_ZIP):
            with zipfile.ZipFile(path) as archive:
                size, first = sum(info.file_size for info in archive.infolist()), b""
                for info in archive.infolist():
                    with archive.open(info) as member:
                        first = member.read(4)
                    if first.startswith((_GZIP, _ZIP)):
                        break
        else:
            return
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError) as error:
        raise LoggerFileError(f"is compressed, and damaged: {error}") from None
    if size > at_most or first.startswith((_GZIP, _ZIP)):
        raise LoggerFileError(
            f"unpacks to more than {at_most:,} bytes, or is packed more than once: unpack it, and split it"
        )


def _unpack(path: Path, encoding: str | None, sheet: str | None, stack: ExitStack, depth: int = 0) -> list[Source]:
    if depth > _PACKED_AT_MOST:
        raise LoggerFileError(f"is packed more than {_PACKED_AT_MOST} times: unpack it")
    with path.open("rb") as file:
        head = file.read(4096)
    if head.startswith(_PARQUET):
        return [Source(path, "")]
    if head.startswith(_SQLITE):
        raise LoggerFileError("is an SQLite database: export the table as CSV")
    if head.startswith(_OLE):
        return _workbook(path, stack)
    if head.startswith(_GZIP):
        return _unpack(_copy(cast("IO[bytes]", gzip.open(path)), stack), encoding, sheet, stack, depth + 1)
    if head.startswith(_ZIP):
        return _zip(path, encoding, sheet, stack, depth)
    if _is_markup(head):
        return _markup(path, stack)
    return [Source(path, encoding or find_encoding(path))]


def _zip(path: Path, encoding: str | None, sheet: str | None, stack: ExitStack, depth: int) -> list[Source]:
    try:
        archive = stack.enter_context(zipfile.ZipFile(path))
        names = [
            info.filename for info in archive.infolist() if not (info.is_dir() or _OF_THE_SYSTEM.search(info.filename))
        ]
        if {"[Content_Types].xml", "content.xml"} & set(names):
            return _workbook(path, stack)
        chosen = [name for name in names if sheet in {None, name}]
        if len(chosen) != 1:
            raise LoggerFileError(
                f"is a zip archive of {len(names)} files, {listed(names[:6])}: say which one with --sheet"
            )
        return _unpack(_copy(archive.open(chosen[0]), stack), encoding, None, stack, depth + 1)
    except (zipfile.BadZipFile, RuntimeError, OSError) as error:
        raise LoggerFileError(f"is a damaged zip archive or workbook: {error}") from None


def _copy(packed: IO[bytes], stack: ExitStack) -> Path:
    copy = stack.enter_context(tempfile.NamedTemporaryFile(prefix="greenmine-"))  # noqa: SIM115 -- the stack closes it
    try:
        with packed:
            while block := packed.read(_LOOKED_AT):
                copy.write(block)
                if copy.tell() > _UNPACKED_AT_MOST:
                    raise LoggerFileError("unpacks to more than 2 GB: unpack it, and split it")
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise LoggerFileError(f"is compressed, and damaged: {error}") from None
    copy.flush()
    return Path(copy.name)


def _workbook(path: Path, stack: ExitStack) -> list[Source]:
    from python_calamine import CalamineError, CalamineWorkbook, SheetVisibleEnum  # noqa: PLC0415 -- most files are text

    try:
        book = CalamineWorkbook.from_path(str(path))
        found = []
        _refuse_many(len(book.sheet_names))
        hidden = hidden_parts(path)
        for about in book.sheets_metadata:
            sheet = book.get_sheet_by_name(about.name)
            if not sheet.height:
                continue
            first, left = sheet.start or (0, 0)
            parts = hidden.get(about.name, Hidden())
            rows = [row - first for row in parts.rows if 0 < row - first <= sheet.height]
            source = _text(_unmerged(sheet), about.name, stack)
            found.append(
                replace(
                    source,
                    epoch="1904-01-01" if _counts_from_1904(path) else source.epoch,
                    is_hidden=about.visible != SheetVisibleEnum.Visible,
                    hidden_row=max(rows, default=0),
                    hidden_columns=frozenset(column - left for column in parts.columns),
                )
            )
    except CalamineError as error:
        raise LoggerFileError(f"is a workbook that cannot be read: {error}") from None
    return found


def _unmerged(sheet: CalamineSheet) -> Iterator[Sequence[object]]:
    """Rows of a sheet; texts and dates of cells that are merged over several rows stand in each of them."""
    first = (sheet.start or (0, 0))[1]
    spans = {(top, left - first): bottom for (top, left), (bottom, _) in sheet.merged_cell_ranges or [] if bottom > top}
    held: dict[int, tuple[int, object]] = {}
    for number, row in enumerate(sheet.iter_rows()):
        for column, cell in enumerate(row):
            if (number, column) in spans and not isinstance(cell, int | float):
                held[column] = spans[number, column], cell
        held = {column: (last, cell) for column, (last, cell) in held.items() if number <= last}
        yield [held[column][1] if cell == "" and column in held else cell for column, cell in enumerate(row)]


def _counts_from_1904(path: Path) -> bool:
    """Whether days of a workbook count from 1904: XLSX says so in its properties, XLS in a record at its begin."""
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            return b"\x22\x00\x02\x00\x01\x00" in file.read(1 << 16)
    with zipfile.ZipFile(path) as archive:
        if "xl/workbook.xml" not in archive.namelist():
            return False
        with archive.open("xl/workbook.xml") as file:
            return re.search(rb"date1904=\"(?:1|true)\"", file.read(1 << 20)) is not None


def _refuse_many(tables: int) -> None:
    if tables > _TABLES_AT_MOST:
        raise LoggerFileError(f"has more than {_TABLES_AT_MOST} sheets or tables: split it")


def _text(rows: Iterable[Iterable[object]], name: str, stack: ExitStack) -> Source:
    """Rows of cells as a text file cut by tabs."""
    copy = stack.enter_context(tempfile.NamedTemporaryFile("w", encoding="utf-8", prefix="greenmine-"))  # noqa: SIM115
    for row in rows:
        cells = list(map(_cell, row))
        refuse_wider(len(cells))
        copy.write("\t".join(cells) + "\n")
    copy.flush()
    return Source(Path(copy.name), "utf-8", "\t", name)


def _cell(value: object) -> str:
    match value:
        case bool():
            return str(value).upper()
        case int():
            return str(value)
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
        case datetime():
            rounded = value + timedelta(microseconds=500)
            return rounded.isoformat(" ", "milliseconds" if rounded.microsecond >= 1000 else "seconds")
        case date():
            return value.isoformat()
        case timedelta():
            seconds = round(value.total_seconds())
            return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return " ".join(str(value).replace('"', "").split())


def _is_markup(head: bytes) -> bool:
    text = head.decode(
        "utf-16" if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "latin-1", "replace"
    )
    start = text.lstrip("\ufeffï»¿ \r\n\t").casefold()
    return start.startswith(("<html", "<!doctype html", "<table", "<?xml", "<meta", "<head", "<style", "<body"))


def _markup(path: Path, stack: ExitStack) -> list[Source]:
    with open_text(path, find_encoding(path)) as file:
        reader = _Tables()
        while block := file.read(_LOOKED_AT):
            reader.feed(block)
    reader.end_cell()
    reader.end_line()
    found = [(table, hidden) for table, hidden in zip(reader.tables, reader.hidden, strict=True) if table]
    _refuse_many(len(found))
    if not found:
        raise LoggerFileError("is a page or an XML file without a table")
    return [
        replace(_text(table, str(number), stack), hidden_row=hidden, beside=tuple(reader.prose))
        for number, (table, hidden) in enumerate(found, start=1)
    ]


class _Tables(HTMLParser):
    """The tables of a page, or of a workbook in XML, as rows of cells."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.hidden: list[int] = []
        """Number of the last row of each table that is hidden; 0: none is."""
        self._cell: list[str] | None = None
        self._span = (1, 1)
        self._below: dict[int, tuple[int, str]] = {}
        """Cells that reach down from rows above, by column: so many rows more, and their text."""
        self.prose: list[str] = []
        """Lines of text outside the cells."""
        self._line: list[str] | None = []
        """The line of such text that is open; None: what stands there is no text for people."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT:
            self._line = None
        elif tag not in _INLINE:
            self.end_line()
        if tag in {"table", "ss:table"}:
            self._cell = None  # it lays out a table within
            self.tables.append([])
            self.hidden.append(0)
            self._below = {}
        elif tag in {"tr", "row", "ss:row"}:
            self.end_cell()
            if not self.tables:
                self.tables.append([])
                self.hidden.append(0)
            self.tables[-1].append([])
            if any(_HIDES.fullmatch(f"{name}={value or ''}") for name, value in attrs):
                self.hidden[-1] = len(self.tables[-1])
            self._fill()
        elif tag in {"td", "th", "cell", "ss:cell"} and self.tables and self.tables[-1]:
            self.end_cell()
            self._cell = []
            said = {name.removeprefix("ss:"): value or "" for name, value in attrs}
            row = self.tables[-1][-1]
            row += [""] * (_whole(said.get("index", "1")) - 1 - len(row))
            across, down = (
                _whole(str(int(said[merged]) + 1) if said.get(merged, "").isdecimal() else said.get(span, "1"))
                for span, merged in (("colspan", "mergeacross"), ("rowspan", "mergedown"))
            )
            self._span = across, down
        elif tag == "br" and self._cell is not None:
            self._cell.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in {"td", "th", "cell", "ss:cell", "tr", "row", "ss:row", "table", "ss:table"}:
            self.end_cell()
        if tag in _SILENT - {"workbook"}:
            self._line = []
        elif tag not in _INLINE:
            self.end_line()

    def end_line(self) -> None:
        """Take the open line of text that stands in no cell."""
        if self._line and (text := " ".join("".join(self._line).split())) and len(self.prose) < _LINES_BESIDE:
            self.prose.append(text)
        self._line = None if self._line is None else []

    def end_cell(self) -> None:
        """Take the open cell into its row: its end may be left out in HTML."""
        if self._cell is not None:
            across, down = self._span
            row, text = self.tables[-1][-1], "".join(self._cell)
            if down > 1:
                self._below |= {len(row) + i: (down - 1, "" if i else text) for i in range(across)}
            row += [text, *[""] * (across - 1)]
            refuse_wider(len(row))
            self._cell = None
            self._fill()

    def _fill(self) -> None:
        """Continue the row with cells that reach down from rows above."""
        row = self.tables[-1][-1]
        while (column := len(row)) in self._below:
            left, text = self._below.pop(column)
            row.append(text)
            if left > 1:
                self._below[column] = left - 1, text

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell.append(data)
        elif self._line is not None:
            self._line.append(data)


def _whole(text: str) -> int:
    return min(max(int(text), 1), 1000) if text.isdecimal() else 1


def text_beside(source: Source) -> tuple[str, ...]:
    """The first lines of a sheet that is no table of readings."""
    with open_text(source.path, source.encoding) as file:
        return tuple(line.rstrip("\n") for line in islice(file, _LINES_BESIDE) if line.strip())


def find_encoding(path: Path) -> str:
    """Find the codec of a text file: by its byte-order mark, else UTF-8 if that fits (a damaged byte aside), else the likeliest."""
    with path.open("rb") as file:
        head = file.read(4)
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        file.seek(0)
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        damaged = good = zeros = size = 0
        odd = b""
        while block := file.read(_LOOKED_AT):
            size, zeros = size + len(block), zeros + block.count(0)
            text = "" if block.isascii() and not decoder.getstate()[0] else decoder.decode(block)
            if not text.isascii():
                bad = text.count("\ufffd")
                damaged += bad
                good += len(text) - len(text.encode("ascii", "ignore")) - bad
                if len(odd) < _LOOKED_AT:
                    odd += b"\n".join(line for line in block.splitlines() if not line.isascii())[: 1 << 16]
    if 4 * zeros > size and (wide := _wide(path)):
        return wide
    if good >= 4 * damaged or (good >= damaged and not _fits(odd, "gb18030")):
        return "utf-8-sig"
    runs = _RUNS.findall(_FOUR_BYTES.sub(b"", odd))
    alone = sum(len(run) % 2 for run in runs)
    # A library guesses by letters of languages; of a header that is one word it cannot, so the pairs of bytes decide first.
    likely = _SINGLE if 3 * alone > len(runs) else _PAIRED
    best = from_bytes(odd, cp_isolation=likely, threshold=1.0).best()
    return best.encoding if best is not None else likely[0]


def _fits(text: bytes, encoding: str) -> bool:
    try:
        text.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _wide(path: Path) -> str | None:
    """UTF-16 without a byte-order mark: every other byte of its signs and figures is zero."""
    with path.open("rb") as file:
        head = file.read(1 << 12)
    for encoding, zeros, others in (("utf-16-le", head[1::2], head[::2]), ("utf-16-be", head[::2], head[1::2])):
        if zeros.count(0) > 4 * others.count(0) and zeros.count(0) > len(zeros) // 2:
            return encoding
    return None


def open_text(path: Path, encoding: str) -> TextIO:
    """Open a file as lines; what the encoding does not know is replaced."""
    return io.TextIOWrapper(path.open("rb"), encoding=encoding, errors="replace", newline=None)
