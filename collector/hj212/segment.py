"""The grammar of a data segment: ``QN=..;ST=..;..;CP=&&name=text,name=text;name=text&&``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from greenmine.collector.hj212.deviation import Deviation

Pair = tuple[str, str | None]
"""Name and text; the text is None where there is no ``=``."""

_OPENED: Final = re.compile(r"CP\s*=\s*&&", re.IGNORECASE)
_STARTED: Final = re.compile(r"(?:^|;)\s*(CP\s*=)", re.IGNORECASE)
_BLANK: Final = re.compile(r"\s")
_KEPT: Final = str.maketrans({";": "\ue000", ",": "\ue001"})
_GIVEN_BACK: Final = str.maketrans({"\ue000": ";", "\ue001": ","})


@dataclass(frozen=True, slots=True)
class Segment:
    """A data segment in its parts, nothing interpreted, nothing left out but blanks and empty items."""

    header: tuple[Pair, ...]
    """Before CP, in order."""
    groups: tuple[tuple[Pair, ...], ...]
    """Inside CP: the items between semicolons, each with its pairs between commas."""
    deviations: tuple[Deviation, ...]


def split_segment(data: bytes) -> Segment:
    """Split a data segment.

    Parameters
    ----------
    data : bytes
        UTF-8 text; if it is none, GB18030, which covers the GB2312 of older devices.

    Returns
    -------
    Segment
        Of any bytes whatever: what does not follow the grammar is kept as it is and named in the deviations. Log text
        between ``//`` and ``//`` may hold commas and semicolons.

    Examples
    --------
    >>> split_segment(b"ST=32;CP=&&a34002-Rtd=52.1,a34002-Flag=N&&").groups
    ((('a34002-Rtd', '52.1'), ('a34002-Flag', 'N')),)
    """
    found: dict[Deviation, None] = {}
    text, deviation = read_text(data)
    if deviation:
        found[deviation] = None
    header, content = _halves(text, found)
    blank = _BLANK.search(header) is not None or _BLANK.search(content) is not None
    pairs = _pairs(header.split(";"), found, blank=blank) if header else ()
    quoted = content.split("//")
    if len(quoted) > 2:
        for index in range(1, len(quoted) - 1, 2):
            quoted[index] = quoted[index].translate(_KEPT)
        masked = "//".join(quoted)
        groups = [
            tuple(
                (name.translate(_GIVEN_BACK), text and text.translate(_GIVEN_BACK))
                for name, text in _pairs(item.split(","), found, blank=blank)
            )
            for item in masked.split(";")
        ]
    else:
        groups = [_pairs(item.split(","), found, blank=blank) for item in content.split(";")] if content else []
    return Segment(pairs, tuple(group for group in groups if group), tuple(found))


def read_text(data: bytes) -> tuple[str, Deviation | None]:
    """The text of a segment; if it is not UTF-8, the deviation."""
    try:
        return data.decode(), None
    except UnicodeDecodeError:
        try:
            return data.decode("gb18030"), Deviation.GB18030
        except UnicodeDecodeError:
            return data.decode(errors="replace"), Deviation.NOT_UTF8


def _halves(text: str, found: dict[Deviation, None]) -> tuple[str, str]:
    """What stands before CP, and what stands in it."""
    start, opened = text.find(";CP=&&"), 6
    if start < 0:
        match = _OPENED.search(text)
        if match is None:
            match = _STARTED.search(text)
            if match is None:
                found[Deviation.NO_CP] = None
                return text, ""
            found[Deviation.CP_NOT_OPENED] = None
            start = match.start(1)
        else:
            start = match.start()
        opened = match.end() - start
        if start and not text[:start].rstrip().endswith(";"):
            found[Deviation.MISSING_SEPARATOR] = None
        if match[0].lstrip("; ")[:2] != "CP":
            found[Deviation.NAME_CASE] = None
    else:
        start, opened = start + 1, opened - 1
    header, content = text[:start], text[start + opened :]
    close = content.find("&&")
    if close < 0:
        found[Deviation.CP_NOT_CLOSED] = None
    else:
        if content[close + 2 :]:
            found[Deviation.TEXT_AFTER_CP] = None
        content = content[:close]
    return header.rstrip().removesuffix(";"), content


def _pairs(parts: list[str], found: dict[Deviation, None], *, blank: bool) -> tuple[Pair, ...]:
    pairs: list[Pair] = []
    for part in parts:
        name, equals, text = part.partition("=")
        if blank:
            name, text = name.strip(), text.strip()
            if len(name) + len(equals) + len(text) != len(part):
                found[Deviation.BLANK] = None
        if equals:
            pairs.append((name, text))
        elif name:
            found[Deviation.NO_EQUALS] = None
            pairs.append((name, None))
        else:
            found[Deviation.EMPTY_ITEM] = None
    return tuple(pairs)
