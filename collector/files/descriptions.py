"""Descriptions of logger files, as data: what a file does not say itself, or says in a way of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from greenmine import parameters
from greenmine.collector.files.columns import LoggerFileError, known_unit
from greenmine.durations import parse_duration
from greenmine.tables import CATALOGUES, DataFile, Id, Number, build, read_catalogue
from greenmine.zones import Zone

CATALOGUE: Final = CATALOGUES / "makes.toml"
"""The descriptions that ship with the package."""

Flag = Annotated[str, msgspec.Meta(pattern=r"^[NFMSDCTB]\Z")]
"""Data flag of HJ 212-2017, Table 8."""


class Described(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A column that a make names in its own way."""

    name: str
    """Regular expression that fits the whole name of the column."""
    parameters: tuple[str, ...] = ()
    """What the column may hold; several where the make gives one name to all of them."""
    unit: str | None = None
    """Unit of the values, where the name states none."""
    total: bool = False
    """Whether the column counts on and on."""
    refused: str | None = None
    """Why the column is none of the parameters that its name suggests."""


class Description(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How to read a file; what is None or empty is found from the file.

    The options of the commands are a description too, laid over that of the make.
    """

    id: Id | None = None
    make: str = ""
    recognised_by: tuple[str, ...] = ()
    """Regular expressions; each is found somewhere in the first lines."""
    encoding: str | None = None
    delimiter: str | None = None
    decimal: Literal[".", ","] | None = None
    sheet: str | None = None
    header: str | None = None
    """Regular expression that is found in the line of the header and in no line before it."""
    names: tuple[str, ...] = ()
    """Names of the columns, where the file has no header."""
    skip: int | None = None
    """Lines before the data, where the file has no header."""
    time: tuple[str, ...] = ()
    """Columns that make the time, in the order date, clock, or year, month, day ..."""
    time_format: str | None = None
    order: Literal["mdy", "dmy", "ymd"] | None = None
    """Order of day, month and year in the stamps."""
    epoch: Literal["1900", "1904", "1970"] | None = None
    """Date system of a spreadsheet, by which numbers count days; 1970: they count seconds or days from there."""
    stamps: Literal["begin", "end"] | None = None
    """Whether a stamp stands at the begin or at the end of its interval."""
    zone: str | None = None
    """Zone of stamps without offset."""
    zone_column: str | None = None
    """Column with the abbreviation of the zone of each row."""
    zones: dict[str, str] = {}
    """Offsets of the abbreviations that the make uses."""
    interval: str | None = None
    """Distance between readings."""
    unit: str | None = None
    """Unit of the values."""
    missing: tuple[str, ...] | None = None
    """NumberColumn and texts that stand for no value; an empty list: nothing does, whatever it looks like."""
    marks: dict[str, Flag] = {}
    """Flags of HJ 212 for the marks behind numbers."""
    columns: tuple[Described, ...] = ()
    total: bool | None = None
    """Whether values count on and on."""
    detection_limit: Number | None = None
    """Bound of values that are only said not to be detected, in the unit of the column."""
    where: dict[str, str] = {}
    """Only rows with this text in this column."""
    tolerate: Number | None = None
    """Share of the rows that may be left out or be in conflict."""
    note: str = ""
    """What a user of the make should know."""

    def over(self, base: Description) -> Description:
        """Lay this description over another: what it says itself counts."""
        said = {
            name: value
            for name in self.__struct_fields__
            if ((value := getattr(self, name)) is not None and value not in ((), {}, ""))
            or (name == "missing" and value is not None)
        }
        if "columns" in said:
            said["columns"] = (*self.columns, *base.columns)
        return msgspec.structs.replace(base, **said)

    def faults(self, place: str) -> list[str]:
        """What is wrong with it beyond the form of its keys."""
        found: list[str] = []
        for key, text in [
            *(("recognised_by", text) for text in self.recognised_by),
            *(("header", text) for text in (self.header,) if text is not None),
            *(("columns: name", column.name) for column in self.columns),
        ]:
            try:
                re.compile(text)
            except re.error as error:
                found.append(f"{place}: {key}: {text!r} is no regular expression: {error}")
        for key, zone in [("zone", self.zone), *(("zones", zone) for zone in self.zones.values())]:
            try:
                Zone(zone or "UTC")
            except ValueError as error:
                found.append(f"{place}: {key}: {error}")
        try:
            "a".encode(self.encoding or "utf-8")
        except (LookupError, ValueError):
            found.append(f"{place}: encoding: {self.encoding!r} is none that is known, such as gb18030")
        units = [("unit", self.unit), *(("columns: unit", column.unit) for column in self.columns)]
        found += [
            f"{place}: {key}: {unit!r} is no unit that is known"
            for key, unit in units
            if unit and not known_unit(unit, alone=True)
        ]
        if self.interval is not None:
            try:
                parse_duration(self.interval)
            except ValueError as error:
                found.append(f"{place}: interval: {error}")
        known = parameters.load_parameters()
        found += [
            f"{place}: columns: there is no parameter {name!r}"
            for column in self.columns
            for name in column.parameters
            if name not in known
        ]
        return found


@lru_cache(maxsize=1)
def makes() -> tuple[Description, ...]:
    """Descriptions that ship with the package.

    Raises
    ------
    DataFileError
        With every fault of the catalogue.
    """

    def read(file: DataFile, faults: list[str]) -> tuple[Description, ...]:
        file.expect(["makes"], faults)
        entries = [(entry.value, entry.place) for entry in file.entries("makes", Description, faults) if entry.value]
        faults += [fault for value, place in entries for fault in value.faults(place)]
        return tuple(value for value, _ in entries)

    return read_catalogue(CATALOGUE, read)


def read_description(path: Path) -> Description:
    """Read somebody's own description.

    Raises
    ------
    DataFileError
        With every fault of the file.
    """

    def read(file: DataFile, faults: list[str]) -> Description | None:
        description = build(Description, file.table, file.name, faults)
        if description is not None:
            faults += description.faults(file.name)
        return description

    return read_catalogue(path, read, str(path))


def recognise(lines: Sequence[str]) -> Description | None:
    """Find the make that writes such first lines; None: none that is known.

    Raises
    ------
    LoggerFileError
        If several makes may be meant.
    """
    text = "\n".join(lines)
    found = [make for make in makes() if all(re.search(part, text, re.MULTILINE) for part in make.recognised_by)]
    if len(found) > 1:
        # The one that asks for more is the more particular one.
        most = max(len(make.recognised_by) for make in found)
        found = [make for make in found if len(make.recognised_by) == most]
    if len(found) > 1:
        raise LoggerFileError(f"may be of several makes: {', '.join(make.make for make in found)}; give --layout")
    return found[0] if found else None
