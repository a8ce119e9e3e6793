"""Marks from a file: TOML, JSON or CSV."""

from __future__ import annotations

import csv
import json
import tomllib
import unicodedata
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from greenmine.evidence.judging import MarkStatement
from greenmine.processing.exclusion import KINDS, Mark
from greenmine.processing.windows import minute_of
from greenmine.registry import Registry
from greenmine.tables import DataFileError, build, nearest


class MarkRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A mark as it is written; times are ISO 8601, without an offset in the zone of the site."""

    site: str
    station: str
    parameter: str | None = None
    start: str
    end: str
    kind: str
    reason: str
    author: str
    confirmed_by: str | None = None
    """Who confirmed it; a mark that nobody confirmed takes no exceedance away."""


def read_marks(path: Path, registry: Registry) -> list[MarkStatement]:
    """Read the marks of a file.

    Parameters
    ----------
    path : Path
        ``.toml`` with tables ``[[marks]]``, ``.json`` with a list or ``{"marks": [...]}``, or ``.csv`` with a header.
    registry : Registry
        Knows sites, stations and parameters.

    Raises
    ------
    DataFileError
        With every fault of the file.
    OSError
        If it cannot be read.
    """
    faults: list[str] = []
    found: list[MarkStatement] = []
    for number, table in enumerate(_tables(path), start=1):
        place = f"{path.name}, mark {number}"
        said = {k: v.isoformat() if isinstance(v, datetime) else v for k, v in table.items()}
        # What shows nothing was not written, and a name has a letter.
        written = {k: v for k, v in said.items() if v is not None and not (isinstance(v, str) and not _name(v))}
        if isinstance(by := written.get("confirmed_by"), str) and not any(c.isalnum() for c in by):
            del written["confirmed_by"]
        row = build(MarkRow, written, place, faults)
        one = None if row is None else _statement(row, place, registry, faults)
        if one is not None:
            found.append(one)
    if faults:
        raise DataFileError(faults)
    return found


def _tables(path: Path) -> list[dict[str, Any]]:
    text = path.read_bytes()
    try:
        if path.suffix.lower() == ".csv":
            return list(csv.DictReader(text.decode("utf-8-sig").splitlines(), strict=True))
        toml = path.suffix.lower() == ".toml"
        read = tomllib.loads(text.decode("utf-8-sig")) if toml else json.loads(text)
    except (ValueError, RecursionError, csv.Error) as error:
        raise DataFileError([f"{path.name}: cannot be read as {path.suffix or 'JSON'}: {error}"]) from None
    rows = read.get("marks") if isinstance(read, dict) and set(read) == {"marks"} else read
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataFileError([f"{path.name}: must hold a list of marks and nothing else, in TOML as tables [[marks]]"])
    return rows


def _statement(row: MarkRow, place: str, registry: Registry, faults: list[str]) -> MarkStatement | None:
    before = len(faults)
    sites = {site.id: site for site in registry.sites}
    if row.site not in sites:
        faults.append(f"{place}: there is no site {row.site!r}; {nearest(row.site, sites)}")
        return None
    stations = [station.id for station in sites[row.site].stations]
    parameters = [c.parameter.id for c in registry.site_channels(row.site) if c.station == row.station]
    if row.station not in stations:
        faults.append(f"{place}: there is no station {row.station!r}; {nearest(row.station, stations)}")
    elif row.parameter is not None and row.parameter not in parameters:
        faults.append(
            f"{place}: {row.station} has no parameter {row.parameter!r}; {nearest(row.parameter, parameters)}"
        )
    if row.kind not in KINDS:
        faults.append(f"{place}: there is no kind {row.kind!r}; {nearest(row.kind, sorted(KINDS))}")
    if row.confirmed_by is not None and _name(row.confirmed_by) == _name(row.author):
        faults.append(f"{place}: {row.author} cannot confirm a mark of their own; a supervisor does")
    start, end = (_instant(text, sites[row.site].zone, place, faults) for text in (row.start, row.end))
    if start is not None and end is not None and start >= end:
        faults.append(f"{place}: end {row.end} must come after start {row.start}")
    if len(faults) > before or start is None or end is None:
        return None
    # A mark holds for the whole of the minutes that it touches.
    first, last = minute_of(start), -(-end.timestamp() // 60)
    mark = Mark(row.site, row.station, row.parameter, first, int(last), row.kind)
    return MarkStatement(mark, row.reason, row.author, row.confirmed_by)


def _instant(text: str, zone: str, place: str, faults: list[str]) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        faults.append(f"{place}: {text!r} is not an ISO 8601 time, such as 2026-03-01T08:00:00+08:00")
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)


def _name(text: str) -> str:
    """A name as it is compared: neither blanks, nor case, width or composition of letters tell two people apart."""
    seen = "".join(c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf")
    return " ".join(seen.split()).casefold()
