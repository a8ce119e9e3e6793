"""``greenmine replay``: a file through MQTT, as if a device sent it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import Console

from greenmine.cli.simulate import progress_over
from greenmine.collector.files import LoggerFileError, read_table
from greenmine.loading import load_registry
from greenmine.settings import Settings
from greenmine.simulators.messages import Message
from greenmine.simulators.publish import connection, publish
from greenmine.simulators.recording import read_recording
from greenmine.simulators.replay import Replay


def replay(
    file: Path,
    *,
    site: str | None = None,
    device: str | None = None,
    map: Annotated[list[str] | None, Parameter(negative="")] = None,  # noqa: A002 -- the option is called --map
    time: str | None = None,
    zone: str | None = None,
    delimiter: str | None = None,
    speed: float | Literal["max"] = "max",
    broker: str | None = None,
    batch: int = 60,
) -> None:
    """Send a file to the MQTT broker as if a device measured it now or then, at any speed.

    A CSV or Parquet file needs --site, --device and --map; its values must be in the units of the device's profile.
    The messages.jsonl of 'greenmine simulate --out' needs none of them.

    Parameters
    ----------
    file
        CSV, Parquet, or messages.jsonl.
    site
        Site of the registry.
    device
        Device of that site; its profile must speak the project's own JSON.
    map
        COLUMN=PARAMETER, such as PM10_ug=pm10; once for each column to send.
    time
        Column with the instants; two, for date and time of day, with a comma between. Default: found.
    zone
        Zone of times without an offset, such as Asia/Shanghai. Default: UTC, with a note.
    delimiter
        Of a CSV file. Default: found by itself.
    speed
        Seconds of the file per second, or max.
    broker
        HOST:PORT of the MQTT broker. Default: that of the settings, 127.0.0.1:1883.
    batch
        Readings per message.
    """
    settings = Settings()
    console = Console(stderr=True)
    try:
        host, port, access = connection(settings, broker)
        if file.suffix == ".jsonl":
            span, messages = _recording(file)
            summary = ""
        else:
            rows, notes = _rows(file, site, device, map or [], time, zone, delimiter, batch, settings)
            for note in notes:
                console.print(note)
            span, messages = rows.span, rows.messages
            summary = f", {rows.readings} readings; {rows.skipped} cells were no numbers and were skipped"
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
    time: str | None,
    zone: str | None,
    delimiter: str | None,
    batch: int,
    settings: Settings,
) -> tuple[Replay, tuple[str, ...]]:
    if site is None or device is None:
        raise ValueError("a CSV or Parquet file needs --site and --device, to say who seems to send it")
    mapping: dict[str, str] = {}
    for pair in pairs:
        column, separator, parameter = pair.rpartition("=")
        if not separator or not column or not parameter:
            raise ValueError(f"--map '{pair}' is no COLUMN=PARAMETER, such as PM10_ug=pm10")
        if column in mapping:
            raise ValueError(f"--map names column '{column}' twice; once would be right")
        mapping[column] = parameter
    try:
        table = read_table(file, delimiter, zone, time, tuple(mapping))
    except LoggerFileError as error:
        raise ValueError(f"{file}: {error}") from error
    return Replay(load_registry(settings.registry), table, site, device, mapping, batch), table.notes


def _recording(file: Path) -> tuple[tuple[int, int], Callable[[], Iterator[Message]]]:
    first = last = 0
    for number, message in enumerate(read_recording(file)):  # a fault in the file shows before anything is sent
        first = first if number else message.time_sent
        last = message.time_sent
    return (first, last), lambda: read_recording(file)
