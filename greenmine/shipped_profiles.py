"""The device profiles that ship with the package, and own ones that build upon them."""

from __future__ import annotations

from collections.abc import Container
from typing import Any, Final

import msgspec

from greenmine.entries import Profile
from greenmine.tables import CATALOGUES, DataFile, Entry, Id, nearest, read_catalogue
from greenmine.topics import TopicPattern, overlap

CATALOGUE: Final = CATALOGUES / "profiles.toml"
"""The profiles that ship with the package."""
KEPT: Final = "shipped-profiles.toml"
"""Name under which a registry may keep a copy of that catalogue, which then takes its place: so that what it means does not change
with the package."""

_BASE: Final = "based_on"


class Unsupported(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A convention that greenmine does not speak."""

    id: Id
    name: str
    topics: str
    """Filter of its topics."""
    reason: str
    """Why not, and what to do instead."""


class ShippedProfiles:
    """The profiles that ship with the package, as far as they are asked for.

    A *template* leaves something open that only the installation knows, such as the interval or the values of a decoder;
    it can be built upon and not be used by itself.

    Parameters
    ----------
    file : DataFile or None
        The catalogue; None if it could not be read.
    faults : list of str
        Receives what is wrong.
    """

    def __init__(self, file: DataFile | None, faults: list[str]) -> None:
        self._file = file
        self._faults = faults
        if file:
            file.expect(["profiles", "templates", "unsupported"], faults)
        self._complete = _rows(file, "profiles", faults)
        self._templates = _rows(file, "templates", faults)
        rows = file.entries("unsupported", Unsupported, faults) if file else []
        self._unsupported = [entry.value for entry in rows if entry.value is not None]

    @staticmethod
    def shipped() -> ShippedProfiles:
        """All of the package's own; they are sound, or this raises DataFileError."""
        return read_catalogue(CATALOGUE, ShippedProfiles)

    @property
    def ids(self) -> list[str]:
        """Profiles that devices may use as they are."""
        return list(self._complete)

    @property
    def templates(self) -> list[str]:
        """Profiles that must be built upon."""
        return list(self._templates)

    def refusal(self, name: str) -> str | None:
        """Why a profile of this name cannot be used as it is; None: it can, or there is none."""
        if name in self._templates:
            missing = self._templates[name].get("note", "")
            return f'"{name}" is a template. {missing} Write a profile with based_on = "{name}" that says it'
        for other in self._unsupported:
            if name == other.id:
                return f"{other.name} is not supported: {other.reason}"
        return None

    def refused_topic(self, pattern: TopicPattern) -> str | None:
        """Why a topic cannot be received; None: it can."""
        for other in self._unsupported:
            if pattern.text.split("/")[0] == other.topics.split("/")[0] and overlap(pattern.filter({}), other.topics):
                return f"{other.name} is not supported: {other.reason}"
        return None

    def entries(self, wanted: Container[str], parameters: Container[str]) -> list[Entry[Profile]]:
        """The shipped profiles of these names; values of parameters that the registry does not know are left out."""
        if self._file is None:
            return []
        rows = {"profiles": [row for row in self._complete.values() if row["id"] in wanted]}
        chosen = DataFile(self._file.name, self._file.content, rows)
        return chosen.entries(
            "profiles",
            Profile,
            self._faults,
            lambda row, place: _known(self.complete(row, place, parameters), parameters),
        )

    def complete(self, row: dict[str, Any], place: str, parameters: Container[str]) -> dict[str, Any]:
        """A profile's table with all that it does not say itself taken from the profile that it is based on."""
        name = row.get(_BASE)
        own = {key: value for key, value in row.items() if key != _BASE}
        if name is None:
            return own
        base = self._complete.get(name) or self._templates.get(name) if isinstance(name, str) else None
        if base is None:
            why = self.refusal(name) if isinstance(name, str) else None
            near = nearest(str(name), [*self._complete, *self._templates])
            self._faults.append(f"{place}: {_BASE}: {why or f'no profile {name!r} ships with greenmine; {near}'}")
            return own
        return _laid_over(_known(self.complete(base, place, parameters), parameters), own)


def _laid_over(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Keys of the base, then own ones in their place; in ``mapping`` likewise, and its values parameter by parameter."""
    merged = {key: value for key, value in base.items() if key not in {"id", "note"}} | own
    beneath, above = base.get("mapping"), own.get("mapping")
    if isinstance(beneath, dict) and isinstance(above, dict):
        merged["mapping"] = beneath | above
        values = above.get("values", [])
        if isinstance(values, list) and all(isinstance(value, dict) for value in values):
            given = {str(value.get("parameter")) for value in values}
            rest = [value for value in beneath.get("values", []) if str(value.get("parameter")) not in given]
            merged["mapping"]["values"] = values + rest
    return merged


def _rows(file: DataFile | None, key: str, faults: list[str]) -> dict[str, dict[str, Any]]:
    """Tables of a list by their ids; what is in them is checked where they are used, but for the values that a base lends."""
    rows = file.table.get(key, []) if file else []
    if not isinstance(rows, list) or not all(map(_sound, rows)):
        name = file.name if file else ""
        faults.append(f"{name}: {key}: each has to be a table [[{key}]] with an id, and values of its mapping tables")
        return {}
    return {row["id"]: row for row in rows}


def _sound(row: Any) -> bool:
    if not isinstance(row, dict) or not isinstance(row.get("id"), str):
        return False
    mapping = row.get("mapping", {})
    values = mapping.get("values", []) if isinstance(mapping, dict) else None
    return isinstance(values, list) and all(isinstance(value, dict) for value in values)


def _known(row: dict[str, Any], parameters: Container[str]) -> dict[str, Any]:
    mapping = row.get("mapping", {})
    values = [value for value in mapping.get("values", []) if str(value.get("parameter")) in parameters]
    return row | {"mapping": mapping | {"values": values}}
