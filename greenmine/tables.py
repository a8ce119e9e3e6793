"""Tables of TOML files as structs: every fault is collected, with its file, its place and the right form."""

from __future__ import annotations

import difflib
import re
import tomllib
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Generic, Literal, TypeVar, Union, get_args, get_origin

import msgspec

Id = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9.-]*\Z", max_length=60)]
"""Identifier: safe in an MQTT topic, a URL and a file name."""

Shown = Annotated[str, msgspec.Meta(pattern=r"\S")]
"""What a paper says, such as the number of a certificate: blank would show nothing."""

Number = Annotated[float, msgspec.Meta(ge=-1e12, le=1e12)]
"""Finite number: TOML knows ``nan`` and ``inf``, which no value of a catalogue may be."""

CATALOGUES: Final = Path(__file__).parent / "catalogues"
"""Folder of the catalogues that ship with the package."""

S = TypeVar("S", bound=msgspec.Struct)
T = TypeVar("T")

_NAMED_AT_MOST: Final = 12


class DataFileError(ValueError):
    """Faults of data files.

    Attributes
    ----------
    faults : tuple of str
        One text for each fault: file, line, table, key, what is wrong and what would be right.
    """

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


@dataclass(frozen=True, slots=True)
class Entry(Generic[S]):
    """One table of an array such as ``[[stations]]``."""

    place: str
    """Where it stands, for faults."""
    id: str | None
    """Its id if it names one, even if the rest of it is faulty: references to it are then no further faults."""
    value: S | None
    """None if it is faulty."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """A TOML file that was read."""

    name: str
    content: bytes
    table: dict[str, Any]

    @classmethod
    def read(cls, path: Path, name: str, faults: list[str]) -> DataFile | None:
        """The file, or None and a fault.

        Parameters
        ----------
        path : Path
            The file; UTF-8, with or without a byte order mark.
        name : str
            What faults call it.
        faults : list of str
            Receives what is wrong.
        """
        try:
            content = path.read_bytes()
            return cls(name, content, tomllib.loads(content.decode("utf-8-sig")))
        except OSError as error:
            faults.append(f"{name}: cannot be read from {path}: {error.strerror}")
        except UnicodeDecodeError as error:
            faults.append(f"{name}: is not UTF-8 text (byte {error.start}); save it as UTF-8")
        except (ValueError, RecursionError) as error:  # numbers of thousands of digits, lists of thousands of levels
            faults.append(f"{name}: is not valid TOML: {error}")
        return None

    def expect(self, keys: Iterable[str], faults: list[str]) -> None:
        """Report keys at the top level that are none of these."""
        known = tuple(keys)
        faults.extend(f"{self.name}: {_not_a_key(key, known)}" for key in self.table if key not in known)

    def entries(
        self,
        key: str,
        kind: type[S],
        faults: list[str],
        complete: Callable[[dict[str, Any], str], dict[str, Any]] = lambda row, _place: row,
    ) -> list[Entry[S]]:
        """The tables of the array ``key`` as structs; ids that occur twice are faults.

        ``complete`` is given each table and its place, and returns what is to be read in its stead.
        """
        rows = self.table.get(key, [])
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            faults.append(f"{self.name}: {key} must be an array of tables; write [[{key}]] above each")
            return []
        lines = self._lines(key, len(rows))
        found: list[Entry[S]] = []
        seen: dict[str, int] = {}
        for number, (row, line) in enumerate(zip(rows, lines, strict=True), start=1):
            name = row.get("id") if isinstance(row.get("id"), str) else None
            place = f"{self.name}{line}, [[{key}]] number {number}" + (f' "{name}"' if name is not None else "")
            if name is not None and seen.setdefault(name, number) != number:
                faults.append(f"{place}: the id {name!r} is already that of number {seen[name]}; ids must differ")
            found.append(Entry(place, name, build(kind, complete(row, place), place, faults)))
        return found

    def _lines(self, key: str, count: int) -> list[str]:
        """Line of each ``[[key]]`` header, as text; empty if the array is not written with headers."""
        if not count:
            return []
        header = f"[[{key}]]"
        texts = enumerate(self.content.decode("utf-8-sig").splitlines(), start=1)
        lines = [f", line {n}" for n, text in texts if header in text and text.split("#")[0].strip() == header]
        return lines if len(lines) == count else [""] * count


def read_catalogue(path: Path, read: Callable[[DataFile, list[str]], T | None], name: str | None = None) -> T:
    """Give what ``read`` makes of a file; it adds faults, which call the file ``name``, to the list that it is given.

    Raises
    ------
    DataFileError
        With every fault of the file.
    """
    faults: list[str] = []
    file = DataFile.read(path, name or path.name, faults)
    found = None if file is None else read(file, faults)
    if faults or found is None:
        raise DataFileError(faults)
    return found


def catalogue_of(registry: Path | None, shipped: Path) -> Path:
    """Return the file of a registry's directory that takes the place of a shipped catalogue, else that one."""
    own = shipped if registry is None else registry / shipped.name
    return own if own.exists() else shipped


def build(kind: type[S], table: Mapping[str, Any], place: str, faults: list[str]) -> S | None:
    """A struct from a table, or None and a fault for each key that is unknown, missing or of the wrong form."""
    fields = _fields(kind)
    before = len(faults)
    faults.extend(f"{place}: {_not_a_key(key, fields)}" for key in table if key not in fields)
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in table:
            values[field.name] = _value(field.type, table[name], f"{place}: {name}", faults)
        elif field.required:
            faults.append(f"{place}: {name} is missing; {_expected(field.type)}")
    return kind(**values) if len(faults) == before else None


def nearest(word: str, known: Iterable[str]) -> str:
    """What a reader may have meant: the nearest names, or all of them if none is near and they are few."""
    names = list(dict.fromkeys(known))
    near = difflib.get_close_matches(word, names, n=3, cutoff=0.5)
    if near:
        return "nearest: " + ", ".join(map(repr, near))
    if not names:
        return "there are none"
    more = f" and {len(names) - _NAMED_AT_MOST} more" if len(names) > _NAMED_AT_MOST else ""
    return "there are: " + ", ".join(map(repr, names[:_NAMED_AT_MOST])) + more


@cache
def _fields(kind: type[msgspec.Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    """The fields of a struct by key; working out their types takes longer than a table does."""
    return {field.encode_name: field for field in msgspec.structs.fields(kind)}


def _value(kind: Any, value: Any, place: str, faults: list[str]) -> Any:
    struct = _struct_in(kind)
    if struct is not None and isinstance(value, dict):
        return build(struct, value, place, faults)
    if get_origin(kind) is tuple and isinstance(value, list) and (struct := _struct_in(get_args(kind)[0])) is not None:
        return tuple(_value(struct, row, f"{place} number {n}", faults) for n, row in enumerate(value, start=1))
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        allowed = _allowed(kind)
        wrong = f"is not one of {', '.join(map(repr, allowed))}" if allowed else f"does not fit: {_plain(str(error))}"
        faults.append(f"{place}: {value if isinstance(value, date) else repr(value)} {wrong}")
        return None


@cache
def _struct_in(kind: Any) -> type[msgspec.Struct] | None:
    """The struct that a field holds, bare or as ``Struct | None``."""
    options = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    return next((option for option in options if isinstance(option, type) and issubclass(option, msgspec.Struct)), None)


def _allowed(kind: Any) -> tuple[str, ...]:
    """The texts that a field allows, if it allows only certain ones."""
    if get_origin(kind) is Literal:
        return get_args(kind)
    if get_origin(kind) in (Union, types.UnionType):
        return tuple(text for option in get_args(kind) for text in _allowed(option))
    return ()


def _expected(kind: Any) -> str:
    allowed = _allowed(kind)
    if allowed:
        return "one of " + ", ".join(map(repr, allowed))
    struct = _struct_in(kind)
    if struct is not None:
        required = [field.name for field in msgspec.structs.fields(struct) if field.required]
        return f"a table with {', '.join(required)}"
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    names = {
        str: "a text",
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        dict: "a table",
        tuple: "a list",
    }
    return names.get(get_origin(kind) or kind, f"a {getattr(kind, '__name__', kind)}")


def _not_a_key(key: str, known: Iterable[str]) -> str:
    return f"{key!r} is not a key here; {nearest(key, known)}"


_PATTERNS: Final = {
    "a-z0-9][a-z0-9.-": "only lower-case letters, digits, '.' and '-', beginning with a letter or digit",
    "[0-5]": "two times of day, such as 06:00-12:00",
    "'\\\\S'": "it must not be blank; leave it out if there is none",
}
"""What a pattern asks for, by a part of it."""
_KINDS_TOLD = re.compile(r"Expected (\w+)(?: \| null)?, got (\w+)")
_NAMES_OF_KINDS = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "date": "a date",
}


def _plain(message: str) -> str:
    """A message of msgspec without its notation."""
    if message.startswith("Expected `str` matching regex"):
        return next((said for part, said in _PATTERNS.items() if part in message), message.replace("`", ""))
    bare = message.replace("`", "").replace("$[...]", "one of its values")
    if (kinds := _KINDS_TOLD.fullmatch(bare)) is not None:
        expected, given = (_NAMES_OF_KINDS.get(kind, kind) for kind in kinds.groups())
        return f"{expected} is expected, not {given}"
    return bare
