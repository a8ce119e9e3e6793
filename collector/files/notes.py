"""What the reader concluded of a file, in Chinese: by a table of what it writes."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import msgspec

from greenmine import parameters
from greenmine.tables import DataFile, DataFileError

CATALOGUE: Final = parameters.CATALOGUE.with_name("file_notes.toml")
_NAME: Final = re.compile(r"\\\{(\w+)\\\}")


class FileNote(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A sentence of the reader in both languages, with the names of what changes in braces."""

    en: str
    zh: str


def in_chinese(note: str) -> str | None:
    """Write a note of the reader in Chinese; None if the table has no such note."""
    for pattern, text in _patterns():
        if (match := pattern.fullmatch(note)) is not None:
            return text.format_map(match.groupdict())
    return None


@lru_cache(maxsize=1)
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    faults: list[str] = []
    file = DataFile.read(CATALOGUE, CATALOGUE.name, faults)
    found = []
    if file is not None:
        file.expect(["notes"], faults)
        for entry in file.entries("notes", FileNote, faults):
            if entry.value is not None:
                pattern = _NAME.sub(r"(?P<\1>.+?)", re.escape(entry.value.en))
                found.append((re.compile(pattern, re.DOTALL), entry.value.zh))
    if faults:
        raise DataFileError(faults)
    return tuple(found)
