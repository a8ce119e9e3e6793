"""``greenmine replay``: a file through MQTT, as if a device sent it."""

from __future__ import annotations

import time as clock_of_the_machine
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Annotated, Final, Literal

from cyclopts import Parameter
from rich.console import Console

from greenmine.cli.files import Reading
from greenmine.cli.simulate import progress_over
from greenmine.collector.files import Description, LoggerFileError, read_series
from greenmine.collector.files.series import refuse_conflicts
from greenmine.loading import load_registry
from greenmine.registry import Registry
from greenmine.settings import Settings
from greenmine.simulators.messages import Message
from greenmine.simulators.publish import connection, publish
from greenmine.simulators.recording import read_recording
from greenmine.simulators.replay import Replay
from greenmine.tables import nearest

_FOUND: Final = Reading()
_MINUTE = 60_000


def replay(
    file: Path,
    *,
    site: str | None = None,
    device: str | None = None,
    map: Annotated[list[str] | None, Parameter(negative="")] = None,  # noqa: A002 -- the option is called --map
    zone: str | None = None,
    speed: float | Literal["max"] = "max",
    broker: str | None = None,
    batch: int = 60,
    shift_to_now: Annotated[bool, Parameter(negative="")] = False,
    finish: Annotated[bool, Parameter(negative="")] = False,
    reading: Reading = _FOUND,
) -> None:
    """Send a file to the MQTT broker as if a device measured it now or then, at any speed.

    A logger's file needs --site and --device, and --map where names do not decide; it is read with the same checks as by
    'greenmine analyse', and sent in the units of the device's profile. The messages.jsonl of 'greenmine simulate --out' needs
    none of them.

    Parameters
    ----------
    file
        Logger's file, or messages.jsonl.
    site
        Site of the registry.
    device
        Device of that site; its profile must speak the project's own JSON.
    map
        COLUMN=PARAMETER, such as PM10_ug=pm10, or PARAMETER where the column is found; once for each to send.
    zone
        Zone of times without an offset, such as Asia/Shanghai, where the file states none. Default: UTC, with a note.
    speed
        Seconds of the file per second, or max.
    broker
        HOST:PORT of the MQTT broker. Default: that of the settings, 127.0.0.1:1883.
    batch
        Readings per message.
    shift_to_now
        Move all instants by the same whole minutes, so that the last one is now.
    finish
        Issue the last windows too: send a reading without a value, flag B, after the end of the last day.
    reading
        How to read the file, as for greenmine analyse.
    """
    settings = Settings()
    console = Console(stderr=True)
    try:
        host, port, access = connection(settings, broker)
        if file.suffix == ".jsonl":
            span, messages = _recording(file)
            summary = ""
        else:
            rows, notes = _rows(
                file, site, device, map or [], reading.description(), zone, batch, settings, shift_to_now=shift_to_now
            )
            for note in notes:
                console.print(note)
            span = rows.span
            messages = (lambda: chain(rows.messages(), rows.closing())) if finish else rows.messages
            summary = f", {rows.readings} readings; {rows.skipped} rows without a number were skipped"
        with progress_over(*span) as report:
            done = publish(messages(), host, port, speed=speed, progress=report, **access)
    except (ValueError, OSError) as error:
        raise SystemExit(f"greenmine replay: {error}") from error
    console.print(f"{done.messages} messages acknowledged by {host}:{port} in {done.seconds:.1f} s{summary}")


def _rows(
    file: Path,
    site: str | None,
    device: str | None,
    pairs: list[str],
    said: Description,
    zone: str | None,
    batch: int,
    settings: Settings,
    *,
    shift_to_now: bool,
) -> tuple[Replay, tuple[str, ...]]:
    if site is None or device is None:
        raise ValueError("a logger's file needs --site and --device, to say who seems to send it")
    registry = load_registry(settings.registry)
    columns: dict[str, str] = {}
    wanted: list[str] = []
    for pair in pairs:
        column, separator, parameter = pair.rpartition("=")
        if not parameter or (separator and not column):
            raise ValueError(f"--map '{pair}' is no COLUMN=PARAMETER, such as PM10_ug=pm10")
        if column in columns.values():
            raise ValueError(f"--map names column '{column}' twice; once would be right")
        if parameter not in registry.parameters:
            raise ValueError(
                f"--map '{pair}': there is no parameter '{parameter}'; {nearest(parameter, registry.parameters)}"
            )
        wanted.append(parameter)
        if separator:
            columns[parameter] = column
    try:
        units = _units(registry, site, device)
        parameters = [registry.parameters[name] for name in wanted]
        series = read_series(file, parameters, said, values=columns, zone=zone, assumed=units)
        for one in series:
            refuse_conflicts(one, said)
    except LoggerFileError as error:
        raise ValueError(f"{file}: {error}") from error
    shift = 0
    if shift_to_now and series:
        last = max(int(one.time.max()) for one in series)
        shift = (clock_of_the_machine.time_ns() // 1_000_000 - last) // _MINUTE * _MINUTE
    notes = tuple(dict.fromkeys(note for one in series for note in one.notes))
    return Replay(registry, series, site, device, batch, shift), notes


def _units(registry: Registry, site: str, device: str) -> dict[str, str]:
    """Units in which a device sends; a file that states none is in them."""
    try:
        return registry.profiles[registry.device(site, device).profile].units
    except KeyError:
        return {}  # Replay says what is wrong


def _recording(file: Path) -> tuple[tuple[int, int], Callable[[], Iterator[Message]]]:
    first = last = 0
    for number, message in enumerate(read_recording(file)):  # a fault in the file shows before anything is sent
        first = first if number else message.time_sent
        last = message.time_sent
    return (first, last), lambda: read_recording(file)
