"""``greenmine analyse``: the figures of loggers' files, without any server."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TextIO

import cyclopts
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from greenmine.cli.files import Reading
from greenmine.cli.one_station import WINDOWS, OneStation
from greenmine.collector.files import Description, FileReadings, joined, read_series
from greenmine.collector.files.columns import plain
from greenmine.collector.files.series import instants, refuse_conflicts
from greenmine.durations import parse_duration
from greenmine.parameters import Parameter, load_parameters
from greenmine.processing.series import Summary, capture, distinct, summarise, window_bounds
from greenmine.zones import Zone

Form = Literal["csv", "json", "xlsx", "parquet"]
_LEVELS: Final = (10, 50, 90)
"""L10, L50, L90: exceeded so many percent of the time."""
_ROUNDING: Final = 1e-9
_HOUR: Final = 3_600_000
_DAY: Final = 24 * _HOUR

Times = NDArray[np.int64]
_FOUND: Final = Reading()


class _UsageError(ValueError):
    """Something the user has to say differently."""


def analyse(
    file: Path | None = None,
    /,
    *more: Path,
    stdin: Annotated[bool, cyclopts.Parameter(name="-", negative="", show_default=False)] = False,
    parameter: str,
    value: str | None = None,
    zone: str | None = None,
    window: str = "1h",
    every: str | None = None,
    validity: float = 0.75,
    rule: Literal["plain", "law"] = "plain",
    limit: Annotated[list[str] | None, cyclopts.Parameter(negative="", consume_multiple=False)] = None,
    format: Form | None = None,  # noqa: A002  the option's name
    out: Path | None = None,
    reading: Reading = _FOUND,
    explain: Annotated[bool, cyclopts.Parameter(negative="")] = False,
) -> None:
    """Judge loggers' files: one row of figures for each window, without any server.

    A file may have gaps, repeats, disorder and damage; what is left out is counted on standard error. A file that contradicts
    itself or leaves something open, and a mistake, end the command with status 2 and one line that says what would be right.

    Parameters
    ----------
    file
        CSV file, workbook, HTML table or Parquet file of one station, compressed or not.
    more
        Further files of the same station.
    stdin
        Read standard input in place of a file.
    parameter
        What is measured, such as pm10, pm2.5, laeq or turbidity: decides how readings are averaged. Several with commas between.
    value
        Column of the values; for several parameters PARAMETER=COLUMN with commas between. Without it: found by the
        parameter's name, else the only column of numbers.
    zone
        Time zone such as Asia/Shanghai or +08:00: of the windows and of the output, and of stamps where the file states none.
        Without it: the zone that the file states, else UTC.
    window
        Length of the windows, such as 15min, 1h or 24h. Whole days are days of the wall clock.
    every
        A window ends at each multiple of this, on the local clock. Without it: as long as the window.
    validity
        Share of the expected readings from which a window is valid.
    rule
        law: the figures of hours and days that the law knows, as the record has them: a day is the mean of its valid hours. Without
        it: means over all readings of the window.
    limit
        Judge by this limit of the catalogue in place of giving figures; may be repeated. Days and nights are those of --zone.
    format
        csv (the default), json, xlsx or parquet; the last two need --out.
    out
        File to write to in place of standard output; its ending decides the format where --format does not.
    reading
        How to read the file.
    explain
        Say on standard error how the file was read: header, time, zone, unit, codes, interval, first readings.
    """
    try:
        _analyse(
            [path for path in (file, *more) if path is not None],
            stdin=stdin, parameter=parameter, value=value, zone=zone, window=window, every=every, validity=validity,
            rule=rule, limits=limit or [], format=format, out=out, explain=explain, said=reading.description(),
        )  # fmt: skip
    except BrokenPipeError:
        # The reader has seen enough; a second attempt to flush at exit would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except ValueError as error:
        sys.stderr.write(f"greenmine analyse: {' '.join(str(error).split())}\n")
        raise SystemExit(2) from None


def _analyse(
    files: list[Path],
    *,
    stdin: bool,
    parameter: str,
    value: str | None,
    zone: str | None,
    window: str,
    every: str | None,
    validity: float,
    rule: Literal["plain", "law"],
    limits: Sequence[str],
    format: Form | None,  # noqa: A002  the option's name
    out: Path | None,
    explain: bool,
    said: Description,
) -> None:
    if stdin == bool(files):
        raise _UsageError("one file is needed, or - for standard input")
    parameters = [_parameter(text) for text in parameter.split(",")]
    columns = _columns(value, parameters)
    width = _duration("--window", window)
    step = width if every is None else _duration("--every", every)
    if not 0 < validity <= 1:
        raise _UsageError(f"--validity {validity:g}: a share above 0, at most 1")
    if zone is not None:
        _zone(zone)
    form = _form(format, out)
    if rule == "law" and (width not in WINDOWS or step != width):
        raise _UsageError("--rule law: the law has windows of 1h and 24h; --window names one, without --every")
    parts: list[list[FileReadings]] = []
    sources: Sequence[Path | None] = files or [None]
    for file in sources:
        name = "standard input" if file is None else str(file)
        with _local_copy(file) as path, _named(name):
            parts.append(read_series(path, parameters, said, values=columns, zone=zone))
    name = "standard input" if stdin else ", ".join(map(str, files))
    several = len(parameters) > 1
    rows: list[dict[str, Any]] = []
    with _named(", ".join(map(str, files))):
        together = [joined(each, said.zone or zone) for each in zip(*parts, strict=True)]
    for series in together:
        if explain:
            sys.stderr.write("".join(f"{line}\n" for line in series.lines))
        notes: list[str] = []
        with _named(name):
            if rule == "law" or limits:
                _used(series, said, notes)
            else:
                figures, notes = _figures(series, width, step, validity, zone, said)
                rows += [{"parameter": series.parameter.id} | row for row in figures] if several else figures
        sys.stderr.write("".join(f"note: {note}\n" for note in dict.fromkeys([*series.notes, *notes])))
    if rule == "law" or limits:
        with _named(name):
            station = OneStation.of(together, limits, zone or together[0].zone or "UTC")
            rows = station.verdicts() if limits else station.statistics(WINDOWS[width])
    _write(rows, form, out)


def _form(form: Form | None, out: Path | None) -> Form:
    """The format: as said, else as the ending of the file to write says."""
    ending = "" if out is None else out.suffix.lstrip(".").lower()
    by_ending: dict[str, Form] = {"json": "json", "xlsx": "xlsx", "parquet": "parquet"}
    found = form or by_ending.get(ending, "csv")
    if found in {"xlsx", "parquet"} and out is None:
        raise _UsageError(f"--format {found} needs a file: give --out")
    return found


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Say of which file a complaint is."""
    try:
        yield
    except ValueError as error:
        raise _UsageError(f"{name}: {error}") from None
    except OSError as error:
        raise _UsageError(f"{name}: cannot be read: {error.strerror or error}") from None


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


def _columns(value: str | None, parameters: Sequence[Parameter]) -> dict[str, str]:
    """Columns of the parameters, by id."""
    if value is None:
        return {}
    if len(parameters) == 1:
        return {parameters[0].id: value}
    pairs = [part.partition("=") for part in value.split(",")]
    if not all(sign for _, sign, _ in pairs):
        raise _UsageError(f"--value {value!r}: PARAMETER=COLUMN is needed for each of several parameters")
    return {_parameter(name).id: column for name, _, column in pairs}


def _duration(option: str, text: str) -> int:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise _UsageError(f"{option}: {error}") from None


def _zone(name: str | None) -> Zone:
    try:
        return Zone(name or "UTC")
    except ValueError as error:
        raise _UsageError(f"--zone: {error}") from None


@dataclass(frozen=True, slots=True)
class _Used:
    """The readings that count, in order of time, and the instants of all rows, and of the readings that are in doubt."""

    time: Times
    value: NDArray[np.float64]
    bound: NDArray[np.int8]
    rows: Times
    doubtful: Times


def _used(series: FileReadings, said: Description, notes: list[str]) -> _Used:
    """The first reading of each instant, as the record keeps it, if it is a number within the plausible range, ends included.

    Raises
    ------
    _UsageError
        If none is, or if many instants have several values.
    """
    parameter = series.parameter
    finite = ~np.isnan(series.value)
    missing = len(series) - int(np.count_nonzero(finite))
    first = distinct(series.time[finite], series.value[finite])
    order = np.argsort(series.time[finite], kind="stable")
    kept = order[np.searchsorted(series.time[finite][order], first.time)]
    bound, flag = series.bound[finite][kept], series.flag[finite][kept]
    plausible = (first.value >= parameter.low) & (first.value <= parameter.high)
    normal = flag == ord("N")
    outside = int(np.count_nonzero(~plausible))
    span = f"outside {parameter.low:g} to {parameter.high:g} {parameter.unit}"
    use = plausible & normal
    if not use.any():
        raise _UsageError(
            f"no reading can be used: of {len(series):,} rows with a time {missing:,} have no number, {outside:,} are {span}"
        )
    if missing:
        notes.append(f"{missing:,} rows without a number not used")
    if outside:
        notes.append(f"{outside:,} readings {span} not used")
    if flagged := int(np.count_nonzero(plausible & ~normal)):
        notes.append(f"{flagged:,} readings with another flag than N not used")
    if first.repeats:
        refuse_conflicts(series, said)
        notes.append(
            f"{first.repeats:,} repeats of an instant not used, {first.conflicts:,} of them with another value"
        )
    doubtful = instants(series.time[series.doubtful])
    return _Used(first.time[use], first.value[use], bound[use], instants(series.time), doubtful)


def _figures(
    series: FileReadings, width: int, step: int, validity: float, zone: str | None, said: Description
) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows of figures, and notes."""
    notes: list[str] = []
    used = _used(series, said, notes)
    if series.interval is None:
        raise _UsageError("only one instant can be used, which shows no interval; give --interval")
    clock = _zone(zone or series.zone)
    if said.interval is None:
        notes.append(
            f"interval {series.interval / 1000:g} s, the median distance of all rows with a time; --interval states another"
        )
    if width % _DAY == 0 and series.parameter.has_mean and series.interval < _HOUR:
        notes.append(
            "means are over all readings of a window; the legal mean of a day is that of its valid hours: --rule law gives it"
        )
    bounds = window_bounds(int(used.time[0]), int(used.time[-1]), width, step, clock.name)
    energy = series.parameter.is_level
    levels = tuple(100.0 - level for level in _LEVELS) if energy else ()
    summary = summarise(used.time, used.value, averaging=series.parameter.averaging, windows=bounds, percentiles=levels)
    share = _capture(summary.count, _within(used.rows, bounds), bounds, series.interval)
    doubts = _within(used.doubtful, bounds)
    valid = (share >= validity) & (doubts == 0)
    if series.interval > width * (1 + _ROUNDING):
        valid[:] = False
        notes.append(f"the interval of {series.interval / 1000:g} s is longer than the window: no window is valid")
    rows = _rows(bounds, summary, share, valid, clock)
    if used.bound.any():
        low, high = (_within(used.time[used.bound == side], bounds) for side in (-1, 1))
        for row, most, least in zip(rows, low.tolist(), high.tolist(), strict=True):
            row["bound"] = {(True, False): "<=", (False, True): ">=", (True, True): "<=>="}.get(
                (most > 0, least > 0), ""
            )
    return rows, notes


def _within(time: Times, bounds: tuple[Times, Times]) -> Times:
    """How many of some ordered instants lie in each window."""
    inside: Times = np.searchsorted(time, bounds[1]) - np.searchsorted(time, bounds[0])
    return inside


def _capture(count: Times, rows: Times, bounds: tuple[Times, Times], interval: float) -> NDArray[np.float64]:
    """Share of the expected readings: those that the interval asks for, or the rows of the file if they are more."""
    by_interval = capture(count, *bounds, interval)
    by_rows = np.where(rows > 0, count / np.maximum(rows, 1), 0.0)
    smaller: NDArray[np.float64] = np.minimum(by_interval, by_rows)
    return smaller


def _rows(
    bounds: tuple[Times, Times], summary: Summary, share: NDArray[np.float64], valid: NDArray[np.bool_], clock: Zone
) -> list[dict[str, Any]]:
    """Figures of each window; in as many digits as tell them apart."""
    levels = [f"L{level}" for level in _LEVELS][: len(summary.percentiles)]
    names = ["start", "end", "mean", "minimum", "maximum", "count", "capture", "valid", *levels]
    rows = zip(
        clock.text(bounds[0]),
        clock.text(bounds[1]),
        *(_numbers(figure) for figure in (summary.mean, summary.minimum, summary.maximum)),
        summary.count.tolist(),
        share.tolist(),
        valid.tolist(),
        *(_numbers(level) for level in summary.percentiles),
        strict=True,
    )
    return [dict(zip(names, row, strict=True)) for row in rows]


def _write(rows: list[dict[str, Any]], form: Form, out: Path | None) -> None:
    """Write rows to a file or to standard output."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist([{name: row.get(name) for name in names} for row in rows]), out)
    elif form == "xlsx":
        import openpyxl  # noqa: PLC0415 -- most figures are written as text

        book = openpyxl.Workbook(write_only=True)
        sheet = book.create_sheet("figures")
        for row in [names, *([row.get(name) for name in names] for row in rows)]:
            sheet.append(row)
        book.save(out)
    elif out is None:
        _write_text(rows, names, form, sys.stdout)
    else:
        with out.open("w", encoding="utf-8", newline="") as file:
            _write_text(rows, names, form, file)


def _write_text(rows: list[dict[str, Any]], names: list[str], form: Form, file: TextIO) -> None:
    if form == "csv":
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        for row in rows:
            writer.writerow([str(cell).lower() if isinstance(cell, bool) else cell for cell in map(row.get, names)])
    else:
        for index, row in enumerate(rows):
            file.write(("[\n" if index == 0 else ",\n") + json.dumps(row, ensure_ascii=False))
        file.write("\n]\n" if rows else "[]\n")
    file.flush()


def _numbers(figure: NDArray[np.float64]) -> list[float | None]:
    return [None if number != number else number for number in figure.tolist()]  # noqa: PLR0124  NaN alone differs
