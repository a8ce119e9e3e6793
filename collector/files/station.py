"""Files that a logger of a station wrote itself, as readings by the channels of the registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from greenmine.collector.files.columns import LoggerFileError, listed
from greenmine.collector.files.descriptions import Description
from greenmine.collector.files.series import FileReadings, offered, read_series, refuse_conflicts
from greenmine.collector.files.sources import refuse_larger
from greenmine.readings import NORMAL, OVER, Readings
from greenmine.registry import Channel, Registry

_SPARSE: Final = 1.5
"""So many times the interval of the registry between two rows is worth a note."""


@dataclass(frozen=True, slots=True)
class StationFile:
    """Readings of a file in its order, the rows that are none, and what is to be known of it, in sentences."""

    readings: Readings
    without_value: int
    notes: tuple[str, ...]
    series: tuple[FileReadings, ...]
    """The same by parameter, as they were read."""
    columns: tuple[str, ...]
    """All columns of the file."""


def read_station(
    path: Path,
    registry: Registry,
    station: tuple[str, str],
    said: Description | None = None,
    values: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
) -> StationFile:
    """Read a logger's file of one station: all parameters of the station that are found in it.

    Parameters
    ----------
    path : Path
        The file.
    registry : Registry
        Knows the station's parameters, and the zone of stamps where the file states none.
    station : (str, str)
        Ids of site and station.
    said : Description, optional
        What is known of the file.
    values : mapping of str to str, optional
        Columns of parameters by their id, where the names do not decide.
    units : mapping of str to str, optional
        Units of parameters by their id, whatever the file states.

    Raises
    ------
    LoggerFileError
        If the file cannot be understood, holds nothing that the station measures, or values that may stand for none.
    OSError
        If it cannot be read.
    """
    site, name = station
    said, values = said or Description(), values or {}
    channels = {c.parameter.id: c for c in registry.site_channels(site) if c.station == name}
    units = units or {}
    unknown = [parameter for parameter in (*values, *units) if parameter not in channels]
    if unknown:
        raise LoggerFileError(f"{site}/{name} does not measure {unknown[0]}; it measures {', '.join(channels)}")
    columns, found = offered(path, said)
    wanted = [c for c in channels.values() if c.parameter.id in {*found, *values} or len(channels) == 1]
    if not wanted:
        raise LoggerFileError(
            f"its columns are {listed(columns)}: none is named after what {site}/{name} measures, {', '.join(channels)}; "
            "name it by --value PARAMETER=COLUMN"
        )
    series: list[FileReadings] = []
    for c in wanted:
        own = said if (unit := units.get(c.parameter.id)) is None else msgspec.structs.replace(said, unit=unit)
        series += read_series(path, [c.parameter], own, values=values, zone=registry.site(site).zone)
    series = _one_of_a_column(series, values)
    wanted = [channels[one.parameter.id] for one in series]
    parts, empty, notes = [], 0, list[str]()
    for channel, one in zip(wanted, series, strict=True):
        refuse_conflicts(one, said)
        one.refuse_doubts()
        _refuse_undetected(registry, channel, one)
        flag = np.where((one.bound > 0) & (one.flag == NORMAL), np.uint8(OVER), one.flag)
        nothing = np.isnan(one.value) & (flag == NORMAL)
        index = np.full(len(one), channel.index, np.int32)
        parts.append(Readings(index, one.time, one.value, flag).take(~nothing))
        empty += int(nothing.sum())
        notes += [*one.notes, *_sparse(channel, one)]
    left = [parameter for parameter in found if parameter not in channels]
    if left:
        notes.append(f"{', '.join(left)}: not measured at {site}/{name} by the registry, and left out")
    return StationFile(Readings.concat(parts), empty, tuple(dict.fromkeys(notes)), tuple(series), columns)


def read_content(
    content: bytes,
    suffix: str,
    at_most: int,
    registry: Registry,
    station: tuple[str, str],
    said: Description,
    values: Mapping[str, str],
    units: Mapping[str, str],
    _progress: Callable[[int, int], None],
    *,
    workspace: Path,
) -> StationFile:
    """Read what was handed in as a logger's file, as ``read_station`` does; a task for `greenmine.evidence.bounded`.

    Parameters
    ----------
    content, suffix : bytes, str
        The file, and the end of its name.
    at_most : int
        Bytes that it may unpack to.
    registry, station, said, values, units
        As ``read_station`` takes them.
    workspace : Path
        Directory for the file.

    Raises
    ------
    LoggerFileError, OSError
        As ``read_station``; also if it unpacks to more.
    """
    path = workspace / f"handed-in{suffix}"
    path.write_bytes(content)
    refuse_larger(path, at_most)
    return read_station(path, registry, station, said, values, units)


def _one_of_a_column(series: list[FileReadings], values: Mapping[str, str]) -> list[FileReadings]:
    """Leave out parameters that are read from a column which somebody says is another.

    Raises
    ------
    LoggerFileError
        If a column would become several parameters: makes call the dust of any inlet *Mass*.
    """
    found: list[FileReadings] = []
    for one in series:
        same = [other.parameter.id for other in series if other.column == one.column]
        said = [name for name in same if name in values]
        if len(same) > 1 and len(said) != 1:
            raise LoggerFileError(
                f"column {one.column!r} may be any of {', '.join(same)}: say which by --value {same[0]}={one.column}"
            )
        if len(same) == 1 or one.parameter.id in said:
            found.append(one)
    return found


def _refuse_undetected(registry: Registry, channel: Channel, series: FileReadings) -> None:
    """Refuse readings of which all that is known is that they lie below something above a limit."""
    below = series.value[series.bound < 0]
    if not len(below):
        return
    for rule in registry.rules:
        highest = max((t.high for t in rule.limit.thresholds if t.high is not None), default=None)
        if rule.channel == channel.index and highest is not None and below.max() > highest:
            raise LoggerFileError(
                f"{series.parameter.id}: readings below a limit of detection of {below.max():g} {channel.parameter.unit} show "
                f"neither that {rule.limit.id}, {highest:g}, is met nor that it is exceeded: leave them out by --missing"
            )


def _sparse(channel: Channel, series: FileReadings) -> list[str]:
    if series.interval is None or series.interval < _SPARSE * channel.interval:
        return []
    return [
        (
            f"{channel.key}: a row every {series.interval / 1000:g} s where the registry has a reading due every "
            f"{channel.interval / 1000:g} s, by which capture is counted"
        )
    ]
