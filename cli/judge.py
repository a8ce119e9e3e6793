"""``greenmine judge``: what the law says of readings in files, without any server."""

from __future__ import annotations

import csv
import io
import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import cyclopts
import msgspec

from greenmine.cli import fault_of
from greenmine.cli.files import Reading
from greenmine.collector.files import Description
from greenmine.collector.files.channels import ChannelFile, distinct_readings, read_channels
from greenmine.collector.files.columns import LoggerFileError
from greenmine.collector.files.station import StationFile, read_station
from greenmine.evidence.judging import JudgementDocument, judge_readings
from greenmine.evidence.mark_files import read_marks
from greenmine.evidence.report.judged import judgement_text
from greenmine.evidence.report.judgement import judgement_pdf
from greenmine.evidence.report.words import ReportWords
from greenmine.loading import load_registry
from greenmine.processing.exclusion import EXCLUDING, excluded_channels
from greenmine.readings import Readings
from greenmine.registry import Registry
from greenmine.reporting import Period, Reporting, parse_period, reporting_of
from greenmine.tables import DataFileError, nearest
from greenmine.wording.messages import Language

_YEARS = (1970, 2199)
"""First and last year in which readings may lie."""
_FOUND = Reading()
_COLUMNS = (
    "rule",
    "limit",
    "channel",
    "start",
    "end",
    "period_start",
    "period_end",
    "value",
    "judgement",
    "standing",
    "reasons",
)


def _span(period: str, reporting: Reporting) -> Period:
    """The period of a name, or ValueError; readings of other years do not exist."""
    span = parse_period(period, reporting)
    if not _YEARS[0] <= span.first.year <= span.last.year <= _YEARS[1]:
        raise ValueError(f"--period {period}: must lie in the years {_YEARS[0]} to {_YEARS[1]}")
    return span


def judge(
    *,
    readings: Annotated[list[str], cyclopts.Parameter(negative="", consume_multiple=True)],
    period: str,
    registry: Path | None = None,
    marks: Path | None = None,
    site: str | None = None,
    format: Literal["json", "csv", "text", "pdf"] = "text",  # noqa: A002  the option's name
    language: Language = "zh",
    value: Annotated[list[str] | None, cyclopts.Parameter(negative="", consume_multiple=False)] = None,
    reading: Reading = _FOUND,
) -> None:
    """Judge readings in files by the limits of a registry: statistics, verdicts, exceedances, and what follows from them.

    Exits with 0; with 1 if a limit on the mine's own emissions, or a target of its own, is exceeded, whatever the standing;
    with 2 for a wrong call or file.

    Parameters
    ----------
    readings
        CSV or Parquet files with the columns channel,time,value and, if need be, flag. A channel is SITE/STATION/PARAMETER.
        SITE/STATION=FILE is a file that a logger of that station wrote itself.
    period
        2026-03-01, 2026-03, 2026-Q1, 2026, 2026-H1 (a reporting period), or FROM/TO of days.
    registry
        Directory of the registry. Without it: the one that ships with greenmine.
    marks
        TOML, JSON or CSV file of marks: site, station, parameter, start, end, kind, reason, author, confirmed_by.
    site
        The only mine to be judged. Without it: all that have readings.
    format
        json: all of it; csv: a row for each verdict; text: what a person is told; pdf: the same with a table of limits, on paper.
    language
        Of the text: zh or en.
    value
        PARAMETER=COLUMN of loggers' own files, where the names do not decide; may be repeated.
    reading
        How to read loggers' own files.
    """
    try:
        known = load_registry(registry)
        reporting = reporting_of(registry)
        span = _span(period, reporting)
        said = [] if marks is None else read_marks(marks, known)
        found, counts = _all_readings(readings, known, reading.description(), _columns(value))
        document = judge_readings(known, _sites(known, site, found), span, reporting, found, said)
    except (DataFileError, LoggerFileError, ValueError, OverflowError, OSError) as error:
        for line in fault_of(error).splitlines():
            sys.stderr.write(f"greenmine judge: {line}\n")
        raise SystemExit(2) from None
    counts |= {"unused": counts["rows"] - counts["without_value"] - counts["repeated"] - document.readings["used"]}
    document = msgspec.structs.replace(document, readings=counts)
    for one in said:
        if one.mark.kind not in EXCLUDING or not excluded_channels(known, one.mark):
            place = "/".join(filter(None, (one.mark.site, one.mark.station, one.mark.parameter)))
            sys.stderr.write(f"note: a mark of the kind {one.mark.kind} takes nothing out at {place}\n")
    for what, n in counts.items():
        if n and what != "rows":
            sys.stderr.write(f"note: {_NOTES[what].format(n=f'{n:,}')}\n")
    try:
        if format == "pdf":
            sys.stdout.buffer.write(judgement_pdf(document, ReportWords(language, known)))
        else:
            sys.stdout.write(_written(document, format, ReportWords(language, known)))
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough; a second attempt to flush at exit would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if document.breached:
        raise SystemExit(1)


_NOTES = {
    "without_value": "{n} rows without a value left out",
    "repeated": "{n} rows repeat an instant and are left out: the first counts",
    "unused": "{n} readings are of other days, or of mines that are not judged",
    "conflicting": "{n} of these have another value or flag than the first",
}


def _columns(pairs: list[str] | None) -> dict[str, str]:
    found = [pair.partition("=") for pair in pairs or ()]
    for name, sign, column in found:
        if not (name and sign and column):
            raise ValueError(f"--value {name + sign + column!r}: PARAMETER=COLUMN is needed, such as tsp=Dust")
    return {name: column for name, _, column in found}


def _station_of(text: str, registry: Registry) -> tuple[tuple[str, str] | None, Path]:
    """The station before the sign of equality, if there is one, and the file."""
    name, sign, path = text.partition("=")
    if not sign or Path(text).exists():
        return None, Path(text)
    site, _, station = name.partition("/")
    known = [f"{s.id}/{one.id}" for s in registry.sites for one in s.stations]
    if name not in known:
        raise ValueError(f"--readings {text}: there is no station {name!r}; {nearest(name, known)}")
    return (site, station), Path(path)


def _all_readings(
    files: list[str], registry: Registry, said: Description, columns: dict[str, str]
) -> tuple[Readings, dict[str, int]]:
    """Readings of all files, and what became of their rows."""
    parts = []
    empty = 0
    named = [_station_of(text, registry) for text in files]
    if (columns or said != Description()) and not any(station for station, _ in named):
        raise ValueError("options for loggers' own files need one: --readings SITE/STATION=FILE")
    for station, path in named:
        try:
            if station is None:
                file: ChannelFile | StationFile = read_channels(path, registry)
            else:
                file = read_station(path, registry, station, said, columns)
        except LoggerFileError as error:
            raise LoggerFileError(f"{path}: {error}") from error
        if isinstance(file, StationFile):
            sys.stderr.write("".join(f"note: {path}: {note}\n" for note in file.notes))
        parts.append(file.readings)
        empty += file.without_value
    together = Readings.concat(parts)
    distinct, repeated, conflicting = distinct_readings(together)
    counts = {
        "rows": len(together) + empty,
        "without_value": empty,
        "repeated": repeated,
        "conflicting": conflicting,
    }
    return distinct, counts


def _sites(registry: Registry, wanted: str | None, readings: Readings) -> list[str]:
    known = [site.id for site in registry.sites]
    if wanted is not None:
        if wanted not in known:
            raise ValueError(f"there is no site {wanted!r}; {nearest(wanted, known)}")
        return [wanted]
    heard = {registry.channels[index].site for index in set(readings.channel.tolist())}
    if not heard:
        raise ValueError("no reading with a value is left: there is nothing to judge")
    return [site for site in known if site in heard]


def _written(document: JudgementDocument, form: str, words: ReportWords) -> str:
    if form == "json":
        return msgspec.json.format(msgspec.json.encode(document), indent=1).decode() + "\n"
    if form == "text":
        return judgement_text(document, words)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for v in document.verdicts:
        row = [getattr(v, name) for name in _COLUMNS]
        writer.writerow([*row[:-1], " ".join(v.reasons)])
    return out.getvalue()
