"""Changes of a registry's files by hand: checked as a whole before they are written, and kept so that they can be undone."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import shutil
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from greenmine.files import locked, replace
from greenmine.loading import load_registry

FILES: Final = re.compile(
    r"(enterprises|profiles|limits|parameters|themes|reporting|evaluation)\.toml|sites/[a-z0-9][a-z0-9.-]*\.toml"
)
"""Names of the files that may be changed."""
_KEPT: Final = re.compile(r"\d{6}\.json")


class RegistryChange(msgspec.Struct, frozen=True):
    """One change of one file: who, when [ms UTC], and the whole text before and after; None: there was no such file."""

    number: int
    time: int
    author: str
    file: str
    before: str | None
    after: str | None
    undoes: int | None = None

    @property
    def diff(self) -> str:
        """Changed lines with their surroundings, as ``diff -u`` writes them."""
        old, new = ((text or "").splitlines() for text in (self.before, self.after))
        return "\n".join(list(difflib.unified_diff(old, new, lineterm="", n=2))[2:])


class ConflictError(ValueError):
    """The file has been changed by somebody else meanwhile; nothing was written."""


class Editing:
    """The files of a registry, with the history of their changes.

    Parameters
    ----------
    registry : Path
        Directory of the registry.
    history : Path
        Directory of the history, a file for each change; made if absent.
    """

    def __init__(self, registry: Path, history: Path) -> None:
        self._registry = registry
        self._history = history

    def names(self) -> list[str]:
        """Names of the files that can be changed, the sites last."""
        found = [path.relative_to(self._registry).as_posix() for path in self._registry.rglob("*.toml")]
        return sorted((name for name in found if FILES.fullmatch(name)), key=lambda name: ("/" in name, name))

    def text(self, name: str) -> str | None:
        """Text of a file; None if there is none of this name that may be changed."""
        path = self._registry / name
        return path.read_text("utf-8") if FILES.fullmatch(name) and path.is_file() else None

    def changes(self) -> list[RegistryChange]:
        """All changes, the newest first."""
        paths = self._history.iterdir() if self._history.is_dir() else ()
        kept = sorted((path for path in paths if _KEPT.fullmatch(path.name)), reverse=True)
        return [msgspec.json.decode(path.read_bytes(), type=RegistryChange) for path in kept]

    def change(
        self, name: str, before: str | None, after: str | None, *, author: str, now: int, undoes: int | None = None
    ) -> RegistryChange:
        """Write a file if the registry is sound with it.

        Parameters
        ----------
        name : str
            Which, such as ``sites/hengjie.toml``.
        before : str or None
            Text that the change began from; None: it makes the file.
        after : str or None
            The new text; None: the file is taken away.
        author : str
            Who changes it.
        now : int
            The present instant [ms UTC].
        undoes : int, optional
            Number of the change that it takes back.

        Raises
        ------
        RegistryError
            With every fault that the registry would have; nothing was written.
        ConflictError
            The file is no longer as the change began from it.
        ValueError
            A file of this name cannot be changed, or nothing is changed.
        OSError
            It cannot be written.
        """
        if not FILES.fullmatch(name):
            raise ValueError(f"{name}: is no file of a registry that can be changed")
        self._history.mkdir(parents=True, exist_ok=True, mode=0o700)
        with locked(self._history):
            if self.text(name) != before:
                raise ConflictError(f"{name}: was changed by somebody else meanwhile; load it again")
            if before == after:
                raise ValueError(f"{name}: nothing was changed")
            with tempfile.TemporaryDirectory(prefix="greenmine-registry-") as folder:
                trial = Path(folder) / "registry"
                shutil.copytree(self._registry, trial, ignore=shutil.ignore_patterns("documents"))
                _put(trial / name, after)
                load_registry(trial)
            number = max((change.number for change in self.changes()), default=0) + 1
            done = RegistryChange(number, now, author, name, before, after, undoes)
            # The history is written first: a change that is not in it was not made.
            replace(self._history / f"{number:06d}.json", msgspec.json.encode(done), 0o600)
            _put(self._registry / name, after)
        return done

    def undo(self, number: int, *, author: str, now: int) -> RegistryChange:
        """Take a change back, which is a change itself.

        Raises
        ------
        ConflictError
            The file has been changed since.
        ValueError
            There is no such change; and all that `change` raises.
        """
        found = next((change for change in self.changes() if change.number == number), None)
        if found is None:
            raise ValueError(f"change {number}: there is none of this number")
        return self.change(found.file, found.after, found.before, author=author, now=now, undoes=number)


def digest(text: str | None) -> str:
    """SHA-256 of a text in hexadecimal; of none the empty text."""
    return "" if text is None else hashlib.sha256(text.encode()).hexdigest()


def table(values: Mapping[str, Any], header: str = "") -> str:
    """Write a table of TOML, under its header such as ``[[stations]]``; empty values are left out.

    Examples
    --------
    >>> print(table({"id": "north", "position": {"latitude": 30.8}, "limits": ["a"], "note": ""}, "[[stations]]"))
    [[stations]]
    id = "north"
    position = { latitude = 30.8 }
    limits = ["a"]
    """
    lines = [f"{key} = {_value(value)}" for key, value in values.items() if value not in ("", None)]
    return "\n".join([*([header] if header else []), *lines])


def with_limits(text: str, station: str, limits: Sequence[str]) -> str:
    """Add limits to a station in the text of a site's file; all else stays as it is written.

    Raises
    ------
    ValueError
        There is no such station, or its table is written in a way that only a person can change.
    """
    wanted = tomllib.loads(text)
    found = next((one for one in wanted.get("stations", []) if one.get("id") == station), None)
    if found is None:
        raise ValueError(f"station: there is no station {station!r}")
    found["limits"] = list(dict.fromkeys([*found.get("limits", []), *limits]))
    parts = re.split(r"(?m)^(?=\[)", text)
    for place, part in enumerate(parts):
        if part.startswith("[[stations]]") and tomllib.loads(part)["stations"][0].get("id") == station:
            bare = re.sub(r"(?ms)^limits\s*=\s*\[.*?\][ \t]*(\n|\Z)", "", part)
            end = len(bare.rstrip())
            parts[place] = f"{bare[:end]}\nlimits = {_value(found['limits'])}{bare[end:] or chr(10)}"
    changed = "".join(parts)
    if tomllib.loads(changed) != wanted:
        raise ValueError(
            f"station: the table of {station!r} is written in an unusual way; change it in the text of the file"
        )
    return changed


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, datetime | date):
        return value.isoformat()
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")


def _put(path: Path, text: str | None) -> None:
    if text is None:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    replace(path, text, path.stat().st_mode & 0o777 if path.exists() else 0o644)
