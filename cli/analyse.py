"""``greenmine analyse``: the figures of a logger's file, without any server."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, Literal

import cyclopts
import numpy as np
from numpy.typing import NDArray

from greenmine.collector.files import Header, LoggerFileError, read_header, read_table
from greenmine.collector.files.columns import find_column, listed, parameter_columns, plain, unit_in
from greenmine.durations import parse_duration
from greenmine.parameters import Parameter, load_parameters
from greenmine.processing.series import Distinct, Summary, capture, distinct, median_spacing, summarise, window_bounds
from greenmine.zones import Zone

_LEVELS: Final = (10, 50, 90)
"""L10, L50, L90: exceeded so many percent of the time."""
_MANY_CONFLICTS: Final = 0.05


class _UsageError(ValueError):
    """Something the user has to say differently."""


def analyse(
    file: Path | None = None,
    /,
    *,
    stdin: Annotated[bool, cyclopts.Parameter(name="-", negative="", show_default=False)] = False,
    parameter: str,
    time: str | None = None,
    value: str | None = None,
    where: Annotated[list[str] | None, cyclopts.Parameter(negative="", consume_multiple=False)] = None,
    delimiter: str | None = None,
    zone: str | None = None,
    interval: str | None = None,
    window: str = "1h",
    every: str | None = None,
    validity: float = 0.75,
    format: Literal["csv", "json"] = "csv",  # noqa: A002  the option's name
    time_format: str | None = None,
) -> None:
    """Judge a logger's file: one row of figures for each window, without any server.

    The file may have gaps, repeats, disorder and damage; what is left out is counted on standard error. A mistake ends
    the command with status 2 and one line that says what would be right.

    Parameters
    ----------
    file
        CSV or Parquet file of one station.
    stdin
        Read standard input in place of a file.
    parameter
        What is measured, such as pm10, pm2.5, laeq or turbidity: decides how readings are averaged.
    time
        Column of the time, or DATE,TIME for two columns. Without it: found by its name or content.
    value
        Column of the values. Without it: found by the parameter's name, else the only column of numbers.
    where
        COLUMN=TEXT: use only the rows with this text in this column; may be repeated.
    delimiter
        One sign, or the word tab or blank. Without it: found from the header.
    zone
        Time zone such as Asia/Shanghai or +08:00: of stamps without offset, of the windows and of the output.
        Without it: UTC.
    interval
        Distance between readings, such as 150s. Without it: the median distance of the readings used.
    window
        Length of the windows, such as 15min, 1h or 24h. Whole days are days of the wall clock.
    every
        A window ends at each multiple of this, on the local clock. Without it: as long as the window.
    validity
        Share of the expected readings from which a window is valid.
    format
        csv or json.
    time_format
        Form of the stamps as for strptime, such as "%d/%m/%Y %H:%M", where the file does not decide it.
    """
    name = "standard input" if file is None else str(file)
    notes: list[str] = []
    try:
        _check_source(file, stdin=stdin)
        judged = _parameter(parameter)
        width = _duration("--window", window)
        step = width if every is None else _duration("--every", every)
        spacing = None if interval is None else float(_duration("--interval", interval))
        _check_share(validity)
        clock = _zone(zone)
        with _local_copy(file) as path, _named(name):
            header = read_header(path, delimiter, time, time_format)
            column = _value_column(header, judged, value, notes)
            table = read_table(
                path, delimiter, zone, time, (column,), time_format=time_format, where=_conditions(where or [])
            )
            notes += table.notes
            used, values = _usable(table.time, table.columns[column], judged, notes)
            readings = distinct(used, values)
            _note_repeats(readings, notes)
            if spacing is None:
                spacing = _found_spacing(readings.time, notes)
            bounds = window_bounds(int(readings.time[0]), int(readings.time[-1]), width, step, clock.name)
        levels = tuple(100.0 - level for level in _LEVELS) if judged.averaging == "energy" else ()
        summary = summarise(
            readings.time, readings.value, averaging=judged.averaging, windows=bounds, percentiles=levels
        )
        sys.stderr.write("".join(f"note: {note}\n" for note in notes))
        _write(bounds, summary, capture(summary.count, *bounds, spacing), validity, clock, format)
    except BrokenPipeError:
        # The reader has seen enough; a second attempt to flush at exit would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (_UsageError, LoggerFileError) as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{name}: cannot be read: {error.strerror or error}")


def _fail(message: str) -> None:
    sys.stderr.write(f"greenmine analyse: {' '.join(message.split())}\n")
    raise SystemExit(2)


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Say of which file a complaint is."""
    try:
        yield
    except ValueError as error:
        raise _UsageError(f"{name}: {error}") from None


@contextmanager
def _local_copy(file: Path | None) -> Iterator[Path]:
    """The file; standard input is copied to the disk first, since the file is read twice."""
    if file is not None:
        yield file
        return
    with tempfile.NamedTemporaryFile(prefix="greenmine-") as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
        copy.flush()
        yield Path(copy.name)


def _parameter(text: str) -> Parameter:
    parameters = load_parameters()
    found = [p for p in parameters.values() if plain(text) in {plain(p.id), plain(p.symbol)}]
    exact = [p for p in found if plain(p.id) == plain(text)] or found
    if len(exact) != 1:
        raise _UsageError(f"--parameter {text!r} is not known; there are {', '.join(parameters)}")
    return exact[0]


def _duration(option: str, text: str) -> int:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise _UsageError(f"{option}: {error}") from None


def _check_source(file: Path | None, *, stdin: bool) -> None:
    if stdin != (file is None):
        raise _UsageError("one file is needed, or - for standard input")


def _check_share(validity: float) -> None:
    if not 0 < validity <= 1:
        raise _UsageError(f"--validity {validity:g}: a share above 0, at most 1")


def _zone(name: str | None) -> Zone:
    try:
        return Zone(name or "UTC")
    except ValueError as error:
        raise _UsageError(f"--zone: {error}") from None


def _conditions(texts: list[str]) -> dict[str, str]:
    conditions = {}
    for text in texts:
        column, sign, wanted = text.partition("=")
        if not sign:
            raise _UsageError(f"--where {text!r}: COLUMN=TEXT is needed, such as 'station=3'")
        conditions[column] = wanted
    return conditions


def _value_column(header: Header, parameter: Parameter, wanted: str | None, notes: list[str]) -> str:
    """The column of the values: as asked for, by the parameter's name, or the only one with numbers."""
    others = [name for name in header.names if name not in header.time]
    if wanted is not None:
        position = find_column(header.names, wanted)
        if position is None:
            raise _UsageError(f"no column {wanted!r} for --value; there are {listed(others)}")
        return header.names[position]
    fits = [others[c] for c in parameter_columns(others, parameter)]
    if not fits and len(header.numeric) == 1:
        fits = list(header.numeric)
        notes.append(f"the values are taken from column {fits[0]!r}, the only one with numbers")
    if len(fits) != 1:
        which = f"{listed(fits)} may all be" if fits else "no column is plainly"
        raise _UsageError(f"{which} {parameter.id}; choose with --value: there are {listed(others)}")
    unit = unit_in(fits[0])
    if unit is not None and unit not in {plain(parameter.unit), plain(parameter.unit).removeprefix("deg")}:
        notes.append(f"column {fits[0]!r} is read as {parameter.unit}: its values are not converted")
    return fits[0]


def _usable(
    time: NDArray[np.int64], value: NDArray[np.float64], parameter: Parameter, notes: list[str]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The readings that are numbers within the plausible range, both ends included; the others are counted."""
    finite = ~np.isnan(value)
    with np.errstate(invalid="ignore"):
        plausible = finite & (value >= parameter.low) & (value <= parameter.high)
    missing = len(value) - int(np.count_nonzero(finite))
    outside = len(value) - missing - int(np.count_nonzero(plausible))
    span = f"outside {parameter.low:g} to {parameter.high:g} {parameter.unit}"
    if not plausible.any():
        raise _UsageError(
            f"no reading can be used: of {len(value):,} rows with a time {missing:,} have no number, {outside:,} are {span}"
        )
    if missing:
        notes.append(f"{missing:,} rows without a number not used")
    if outside:
        notes.append(f"{outside:,} readings {span} not used")
    return time[plausible], value[plausible]


def _note_repeats(readings: Distinct, notes: list[str]) -> None:
    if readings.repeats:
        hint = ""
        if readings.conflicts > _MANY_CONFLICTS * len(readings.time):
            hint = "; if the file holds several stations or parameters, choose one with --where COLUMN=TEXT"
        notes.append(
            f"{readings.repeats:,} repeats of an instant not used, {readings.conflicts:,} of them with another value{hint}"
        )


def _found_spacing(time: NDArray[np.int64], notes: list[str]) -> float:
    spacing = median_spacing(time)
    if spacing is None:
        raise _UsageError("only one instant can be used, which shows no interval; give --interval")
    notes.append(f"interval {spacing / 1000:g} s, the median distance of the readings used; --interval states another")
    return spacing


def _write(
    bounds: tuple[NDArray[np.int64], NDArray[np.int64]],
    summary: Summary,
    share: NDArray[np.float64],
    validity: float,
    clock: Zone,
    form: Literal["csv", "json"],
) -> None:
    """Rows on standard output; numbers in as many digits as tell them apart."""
    levels = [f"L{level}" for level in _LEVELS][: len(summary.percentiles)]
    names = ["start", "end", "mean", "minimum", "maximum", "count", "capture", "valid", *levels]
    rows = zip(
        clock.text(bounds[0]),
        clock.text(bounds[1]),
        *(_numbers(figure) for figure in (summary.mean, summary.minimum, summary.maximum)),
        summary.count.tolist(),
        share.tolist(),
        (share >= validity).tolist(),
        *(_numbers(level) for level in summary.percentiles),
        strict=True,
    )
    if form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        valid = names.index("valid")
        for row in rows:
            writer.writerow([*row[:valid], str(row[valid]).lower(), *row[valid + 1 :]])
    else:
        for index, row in enumerate(rows):
            sys.stdout.write(("[\n" if index == 0 else ",\n") + json.dumps(dict(zip(names, row, strict=True))))
        sys.stdout.write("\n]\n")
    sys.stdout.flush()


def _numbers(figure: NDArray[np.float64]) -> list[float | None]:
    return [None if number != number else number for number in figure.tolist()]  # noqa: PLR0124  NaN alone differs
