"""Files that people attach: kept outside everything that is served, under the digest of their content."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import NamedTemporaryFile
from typing import Final
from urllib.parse import quote

from greenmine.api.http.problems import Problem

_ZIP: Final = b"PK\x03\x04"
_OFFICE: Final = "application/vnd.openxmlformats-officedocument"
TYPES: Final[dict[str, tuple[str, bytes]]] = {
    ".pdf": ("application/pdf", b"%PDF-"),
    ".png": ("image/png", b"\x89PNG\r\n\x1a\n"),
    ".jpg": ("image/jpeg", b"\xff\xd8\xff"),
    ".jpeg": ("image/jpeg", b"\xff\xd8\xff"),
    ".docx": (f"{_OFFICE}.wordprocessingml.document", _ZIP),
    ".xlsx": (f"{_OFFICE}.spreadsheetml.sheet", _ZIP),
    ".csv": ("text/csv; charset=utf-8", b""),
    ".txt": ("text/plain; charset=utf-8", b""),
}
"""Kinds of files that are taken: ending, media type, and the bytes with which such a file begins. None can carry a script
that a browser would run."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that was stored."""

    name: str
    media_type: str
    size: int
    digest: str


def store(folder: Path, name: str, content: bytes) -> StoredFile:
    """Store a file, durably.

    Parameters
    ----------
    folder : Path
        Where attachments are; made if it does not exist.
    name : str
        File name as its owner calls it; it is kept, and names nothing on disk.
    content : bytes
        The whole of it.

    Raises
    ------
    Problem
        400 for a name that is none and for an empty file, 415 for a kind of file that is not taken.
    """
    name = checked_name(name)
    media_type, signature = TYPES[PurePosixPath(name).suffix.lower()]
    if not content:
        raise Problem(400, "body: the file is empty")
    if not content.startswith(signature) or (not signature and b"\0" in content):
        raise Problem(415, f"name: the content of {name!r} is not what its ending says")
    digest = hashlib.sha256(content).hexdigest()
    target = path_of(folder, digest)
    for directory in (folder, target.parent):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with NamedTemporaryFile(dir=folder, prefix="part-", delete=False) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(target)
    return StoredFile(name, media_type, len(content), digest)


def path_of(folder: Path, digest: str) -> Path:
    """File of a digest: the only name by which content is reached."""
    assert len(digest) == 64
    assert set(digest) <= set("0123456789abcdef")
    return folder / digest[:2] / digest


def checked_name(name: str) -> str:
    """A file name: one component, printable, with the ending of a kind that is taken.

    Raises
    ------
    Problem
        400 or 415, if it is not such a name.
    """
    name = named(name)
    if PurePosixPath(name).suffix.lower() not in TYPES:
        raise Problem(415, f"name: only {', '.join(sorted(TYPES))} are taken")
    return name


def named(name: str) -> str:
    """A file name of any ending: one component, printable.

    Raises
    ------
    Problem
        400, if it is not such a name.
    """
    name = unicodedata.normalize("NFC", name).strip()
    if not name or len(name) > 200 or name.startswith(".") or not name.isprintable() or set(name) & set('/\\:"<>|*?'):
        raise Problem(400, "name: must be a file name of at most 200 printable characters, without a folder")
    return name


def disposition(name: str) -> str:
    """Header by which a browser saves a file under its name and does not show it.

    References
    ----------
    RFC 6266, 4.3: a plain name for old readers, and the true one in UTF-8.
    """
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_. ") else "_" for c in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
