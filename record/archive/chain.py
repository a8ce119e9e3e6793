"""The hash chain of a site's archive: what was sealed, in order, each entry signed and naming the one before it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

import msgspec

from greenmine.record.archive.signing import Keyring, PublicKey, SigningKey

if TYPE_CHECKING:  # who only witnesses reads no archive
    from pyarrow import fs

ENTRY_SCHEMA: Final = "greenmine-archive-2"
"""Names the form of an entry; a later form will have another name."""


class ChainError(Exception):
    """An archive that cannot be read or written, or is not what it should be."""


class Through(msgspec.Struct, frozen=True):
    """Up to which rows of the record a day's entries reach: the highest number of each table."""

    block: int = 0
    conflict: int = 0
    late: int = 0
    rejection: int = 0
    mark: int = 0
    signed: int = 0

    def within(self, other: Through) -> bool:
        """Whether no number is above that of the other."""
        return all(mine <= theirs for mine, theirs in zip(_numbers(self), _numbers(other), strict=True))


def _numbers(through: Through) -> tuple[int, ...]:
    return msgspec.structs.astuple(through)


class TreeHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """State of a site's hash tree."""

    size: int
    """Leaves."""
    root: str
    """Hash of its root, in hexadecimal."""
    made: int
    """[ms UTC]"""


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One sealed file.

    Parameters
    ----------
    form : str
        `ENTRY_SCHEMA`.
    number : int
        Place in the site's chain, from 0.
    site : str
        Id of the site.
    day : str
        Day in the site's zone, ``YYYY-MM-DD``.
    part : int
        0 for the day as it was first sealed, then 1, 2, … for its addenda.
    file : str
        Name of the Parquet file, relative to the site's folder.
    size : int
        Its length [bytes].
    sha256 : str
        Its digest, in hexadecimal.
    rows : dict
        Rows by kind: ``reading``, ``conflict``, ``late``, ``rejection``, ``mark``, ``signed``, ``ledger``, ``gap``.
    through : Through
        Rows of the record that the day's entries up to this one hold.
    tree : TreeHead
        The site's hash tree, which holds all of them.
    sealed : int
        When it was sealed [ms UTC].
    software : str
        Version of greenmine that sealed it.
    key : str
        Fingerprint of the key that signed it.
    previous : str
        SHA-256 of the file of the entry before it, in hexadecimal; empty for the first.
    """

    form: str
    number: int
    site: str
    day: str
    part: int
    file: str
    size: int
    sha256: str
    rows: dict[str, int]
    through: Through
    tree: TreeHead
    sealed: int
    software: str
    key: str
    previous: str


class _Signed(msgspec.Struct):
    entry: msgspec.Raw
    signature: str


class Chain:
    """The chain of one site.

    Parameters
    ----------
    store : FileSystem
        Where the archive lies; any of pyarrow's file systems.
    root : str
        Folder of the archive.
    site : str
        Id of the site; its folder bears this name.
    """

    def __init__(self, store: fs.FileSystem, root: str, site: str) -> None:
        self.site = site
        self._store = store
        self._folder = str(PurePosixPath(root, site))

    def numbers(self) -> list[int]:
        """Numbers of the entries that are there, in order."""
        names = [info.base_name for info in self._files("chain")]
        return sorted(int(name.removesuffix(".json")) for name in names if _is_entry(name))

    def data_files(self) -> list[str]:
        """Names of the Parquet files that are there, in order, whether an entry names them or not."""
        return sorted(info.base_name for info in self._files("") if info.base_name.endswith(".parquet"))

    def content(self, number: int) -> bytes:
        """The file of an entry as it is stored; `ChainError` if it cannot be read."""
        return self.data(_entry_name(number))

    def entries(self) -> list[Entry]:
        """All entries, in order; `ChainError` if one is missing or unreadable. Signatures are not checked here."""
        numbers = self.numbers()
        if numbers != list(range(len(numbers))):
            missing = min(set(range(len(numbers))) - set(numbers))
            raise ChainError(f"the chain of {self.site} lacks entry {missing}; run `greenmine archive verify`")
        return [parse(self.content(n), f"{self.site}, entry {n}")[0] for n in numbers]

    def data(self, name: str) -> bytes:
        """Content of a file in the site's folder; `ChainError` if it cannot be read."""
        try:
            with self._store.open_input_stream(f"{self._folder}/{name}") as stream:
                content: bytes = stream.read()
        except OSError as error:
            raise ChainError(f"{self.site}/{name} cannot be read: {error}") from error
        return content

    def append(self, entry: Entry, data: bytes, key: SigningKey) -> str:
        """Store a sealed file, then the entry that names it.

        Until the entry is there the file does not count and is written anew; so a crash in between does no harm.

        Returns
        -------
        str
            SHA-256 of the entry's file, which the next entry names.

        Raises
        ------
        ChainError
            If the entry exists already, or the store cannot take it.
        """
        from pyarrow import fs  # noqa: PLC0415 - loads Arrow

        raw = msgspec.json.encode(entry, order="deterministic")
        content = signed(raw, key.sign(raw))
        name = _entry_name(entry.number)
        if self._store.get_file_info(f"{self._folder}/{name}").type != fs.FileType.NotFound:
            raise ChainError(f"the chain of {self.site} already has an entry {entry.number}: two are sealing at once")
        self._put(entry.file, data)
        self._put(name, content)
        return hashlib.sha256(content).hexdigest()

    def _files(self, folder: str) -> list[fs.FileInfo]:
        from pyarrow import fs  # noqa: PLC0415 - loads Arrow

        place = f"{self._folder}/{folder}".rstrip("/")
        try:
            found = self._store.get_file_info(fs.FileSelector(place, allow_not_found=True))
        except OSError as error:
            raise ChainError(f"{place} cannot be listed: {error}") from error
        return [info for info in found if info.type == fs.FileType.File]

    def _put(self, name: str, content: bytes) -> None:
        from pyarrow import fs  # noqa: PLC0415 - loads Arrow

        path = f"{self._folder}/{name}"
        try:
            if not isinstance(self._store, fs.LocalFileSystem):
                with self._store.open_output_stream(path) as stream:
                    stream.write(content)
                return
            parent = os.path.dirname(path)  # noqa: PTH120 - a path of the store, which are texts
            os.makedirs(parent, exist_ok=True)  # noqa: PTH103
            with open(f"{path}.part", "wb") as file:  # noqa: PTH123
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(f"{path}.part", path)  # noqa: PTH105
            descriptor = os.open(parent, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise ChainError(f"{path} cannot be written: {error}") from error


def parse(content: bytes, place: str, key: PublicKey | Keyring | None = None) -> tuple[Entry, bool]:
    """An entry from its file, and whether its signature is that of the key, or of one of a ring (False without a key).

    Raises
    ------
    ChainError
        If it is not the file of an entry.
    """
    try:
        told = msgspec.json.decode(content, type=_Signed)
        entry = msgspec.json.decode(told.entry, type=Entry)
        signature = base64.b64decode(told.signature, validate=True)
    except (msgspec.DecodeError, UnicodeDecodeError, binascii.Error) as error:
        raise ChainError(f"{place}: is not an entry of a chain: {error}") from error
    if content != signed(bytes(told.entry), signature):
        raise ChainError(f"{place}: is not written as an entry of a chain is")
    return entry, key is not None and key.verifies(signature, bytes(told.entry))


def signed(entry: bytes, signature: bytes) -> bytes:
    """The file of an entry [JSON] with its signature."""
    return msgspec.json.encode(_Signed(msgspec.Raw(entry), base64.b64encode(signature).decode()))


def _entry_name(number: int) -> str:
    return f"chain/{number:08d}.json"


def _is_entry(name: str) -> bool:
    return len(name) == 13 and name[:8].isascii() and name[:8].isdecimal() and name.endswith(".json")
