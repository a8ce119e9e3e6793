"""``greenmine files``: what a logger's file becomes; and the options by which all commands are told how to read one."""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import cyclopts

from greenmine.cli import fault_of
from greenmine.collector.files import Description, LoggerFileError, offered, read_description, read_series
from greenmine.collector.files.descriptions import makes
from greenmine.collector.files.series import refuse_conflicts
from greenmine.parameters import load_parameters
from greenmine.tables import build, nearest

app: Final = cyclopts.App(name="files", help="Files of data loggers: what they become, and which makes are known.")
_Repeated = cyclopts.Parameter(negative="", consume_multiple=False)


@cyclopts.Parameter(name="*")
@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """Options for reading a file; what is not said is found from the file.

    Parameters
    ----------
    time
        Column of the time; DATE,CLOCK or YEAR,MONTH,DAY,HOUR,MINUTE for several. Without it: found by name or content.
    time_format
        Form of the stamps as for strptime, such as "%d/%m/%Y %H:%M", where the file does not decide it.
    stamp_zone
        Time zone of the stamps, whatever the file states.
    epoch
        Date system of a spreadsheet by which numbers count days; 1970: they count seconds from there. Without it: as the file
        states, else 1900 for days and 1970 for seconds.
    stamps
        Whether stamps stand at the begin or at the end of their intervals. Without it: as the header says, else begin.
    interval
        Distance between readings, such as 150s. Without it: the median distance of all rows with a time.
    where
        COLUMN=TEXT: use only the rows with this text in this column; may be repeated.
    unit
        Unit of the values, whatever the file states.
    missing
        Number or text that stands for no value; may be repeated; none: no number does, whatever it looks like.
    mark
        MARK=FLAG: the HJ 212 flag of readings with this mark behind the number; may be repeated.
    total
        Whether the values count on and on, so that their increments are taken.
    detection_limit
        Bound of values that are only said not to be detected, in the unit of the column.
    decimal
        Decimal sign of the numbers, where they do not decide it.
    delimiter
        One sign, or the word tab or blank. Without it: found from the header.
    encoding
        Encoding of the text. Without it: found.
    sheet
        Sheet of a workbook, or number of a table in HTML.
    tolerate
        Share of the rows that may be left out, or be in conflict, without the file being refused. Without it: 0.1; for
        conflicts 0.05.
    layout
        File that describes the layout, or id of a make that ships with greenmine.
    """

    time: str | None = None
    time_format: str | None = None
    stamp_zone: str | None = None
    epoch: Literal["1900", "1904", "1970"] | None = None
    stamps: Literal["begin", "end"] | None = None
    interval: str | None = None
    where: Annotated[list[str] | None, _Repeated] = None
    unit: str | None = None
    missing: Annotated[list[str] | None, _Repeated] = None
    mark: Annotated[list[str] | None, _Repeated] = None
    total: Literal["yes", "no"] | None = None
    detection_limit: float | None = None
    decimal: Literal["point", "comma"] | None = None
    delimiter: str | None = None
    encoding: str | None = None
    sheet: str | None = None
    tolerate: float | None = None
    layout: str | None = None

    def description(self) -> Description:
        """Describe the file: by these options, laid over the layout that they name.

        Raises
        ------
        LoggerFileError
            If an option cannot be understood.
        DataFileError
            If the layout has faults.
        """
        table: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        layout = table.pop("layout")
        table["zone"] = table.pop("stamp_zone")
        table["marks"] = _pairs("--mark", "MARK=FLAG", "*=N", table.pop("mark"))
        table["where"] = _pairs("--where", "COLUMN=TEXT", "station=3", self.where)
        table["time"] = None if self.time is None else [self.time]
        table["missing"] = [] if self.missing == ["none"] else self.missing
        table["total"] = None if self.total is None else self.total == "yes"
        table["decimal"] = {"point": ".", "comma": ",", None: None}[self.decimal]
        table["unit"] = self.unit
        faults: list[str] = []
        own = build(Description, {key: value for key, value in table.items() if value is not None}, "options", faults)
        faults += own.faults("options") if own is not None else []
        if own is None or faults:
            named = {"zone": "stamp-zone", "marks": "mark"}
            said = [fault.removeprefix("options: ").partition(":") for fault in faults]
            raise LoggerFileError(
                "; ".join(f"--{named.get(key, key.replace('_', '-'))}:{rest}" for key, _, rest in said)
            )
        return own if layout is None else own.over(_layout(layout))


_FOUND: Final = Reading()


@app.command(name="try")
def attempt(file: Path, *, zone: str | None = None, reading: Reading = _FOUND) -> None:
    """Show what a file becomes: how it is read, each parameter that is found in it, and the first readings of each.

    Nothing is stored. A file, or a parameter of it, that would be refused is shown with the reason; status 2 if nothing can be
    read.

    Parameters
    ----------
    file
        Logger's file.
    zone
        Zone of stamps without offset, where the file states none.
    reading
        How to read the file.
    """
    try:
        said = reading.description()
        names, found = offered(file, said)
    except (ValueError, OSError) as error:
        raise _end(fault_of(error) if isinstance(error, OSError) else f"{file}: {error}") from None
    sys.stdout.write(f"columns: {', '.join(names)}\n")
    known, read, shown = load_parameters(), 0, dict[str, None]()
    for name in found:
        try:
            (series,) = read_series(file, [known[name]], said, zone=zone)
            refuse_conflicts(series, said)
        except ValueError as error:
            sys.stdout.write(f"\n{name}: refused: {error}\n")
            continue
        read += 1
        lines = [line for line in (*series.lines, *(f"note: {note}" for note in series.notes)) if line not in shown]
        shown.update(dict.fromkeys(lines))
        sys.stdout.write("\n" + "".join(f"{line}\n" for line in lines))
    if not read:
        raise _end(f"{file}: no parameter can be read: describe the file, see docs/files.md")


@app.command(name="makes")
def known_makes() -> None:
    """List the makes whose files are recognised, with what a user of each should know."""
    for make in makes():
        sys.stdout.write(f"{make.id}: {make.make}" + (f"; {make.note}" if make.note else "") + "\n")


def _end(message: str) -> SystemExit:
    sys.stderr.write(f"greenmine files: {' '.join(message.split())}\n")
    return SystemExit(2)


def _pairs(option: str, form: str, example: str, texts: list[str] | None) -> dict[str, str] | None:
    if texts is None:
        return None
    pairs = [text.rpartition("=") if option == "--mark" else text.partition("=") for text in texts]
    for text, (_, sign, _) in zip(texts, pairs, strict=True):
        if not sign:
            raise LoggerFileError(f"{option} {text!r}: {form} is needed, such as {example!r}")
    return {name: said for name, _, said in pairs}


def _layout(text: str) -> Description:
    known = {make.id: make for make in makes() if make.id is not None}
    if text in known:
        return known[text]
    if not Path(text).exists():
        raise LoggerFileError(f"--layout {text!r} is neither a file nor a make; {nearest(text, known)}")
    return read_description(Path(text))
