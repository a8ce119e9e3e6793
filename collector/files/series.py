"""Readings of parameters from loggers' files: columns, units, codes, bounds and totals; one reader for all commands.

What a file states twice and differently, or leaves open, is refused with the option that settles it.
"""

from __future__ import annotations

import re
import time as clock_of_the_machine
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from greenmine.collector.files.columns import (
    NEUTRAL,
    STATIONS,
    TOTALS,
    LoggerFileError,
    bare,
    convertible,
    find_column,
    foreign_reference,
    known_unit,
    listed,
    parameter_columns,
    plain,
    qualified,
    split_unit,
    unclear,
    unit_of,
    words,
    written,
)
from greenmine.collector.files.descriptions import Described, Description
from greenmine.collector.files.numerals import (
    AT_LEAST,
    AT_MOST,
    MARKED,
    MISSING,
    NOT_DETECTED,
    NUMBER,
    OVER,
    TEXT,
    WIDE,
    NumberColumn,
    first_texts,
)
from greenmine.collector.files.quality import flag_columns, take_flags
from greenmine.collector.files.sources import opened
from greenmine.collector.files.statements import (
    drift_columns,
    factor_columns,
    refuse_corrections,
    refuse_factors,
    refuse_times,
)
from greenmine.collector.files.stations import PLACES, refuse_stations, refuse_turns, texts_beside
from greenmine.collector.files.table import UNREAD, Header, LoggerFile, Table, only_table
from greenmine.collector.files.text import REPEATED, SUMMED
from greenmine.durations import parse_duration
from greenmine.parameters import Parameter, load_parameters
from greenmine.readings import FLAGS, NORMAL
from greenmine.units import UnitError, conversion, converted
from greenmine.zones import Zone

TOLERATED: Final = 0.1
"""Share of the rows that may be left out, or be in conflict, unless somebody says another."""
_FEW: Final = 2
"""So many rows may always be left out."""
_OVER_RANGE: Final = ord("T")
_DECIMALS: Final = 9
"""Converted values are rounded to so many decimals, far under the resolution of any instrument: no noise of the computation."""
_NAMED: Final = 3
"""Values in doubt that a message names."""
_IN_DOUBT: Final = "no window"
"""What each note says of values in doubt: no window with them is valid."""
_HOUR: Final = 3_600_000
_DAY: Final = 24 * _HOUR
_LEAP: Final = 5 * 365 * _DAY
"""A gap as long between two rows is no pause of a logger."""
_QUANTITIES: Final = words("""
    parameter param field variable channel analyte pollutant airpollutant entityid parametername pollutantname
    quantity item measurand tag 因子 监测因子 指标 监测指标 项目
    polluant contaminante inquinante schadstoff komponente messgröße parametro parámetro parâmetro magnitud zanieczyszczenie
    监测项目 污染物 参数 污染物名称 因子名称 polid polcode pollutantcode pollutantid factorcode paramcode 因子编码 因子代码 因子编号
    污染物编码 污染物代码
""")
"""Plain names of columns that name what the value beside them is."""
_VALUES: Final = words("""
    value values val wert messwert valeur valor level sensor reading result concentration conc data mass massconcentration dust
    值 数值 浓度 监测值 测量值 结果 浓度值 质量浓度
""")
"""Plain names of columns that do not say what they hold."""
_MEMBER: Final = re.compile(r"\A(?:[A-Za-z]\w*\.)+(?=[A-Za-z])")
"""The objects that a name of JSON goes through: ``object.pm10``."""
_PM100: Final = re.compile(r"pm100(?:atm|cf1|env|standard)?")
"""A plain name that shows that a make writes sizes in tenths of a micrometre."""
_CHANNEL: Final = re.compile(r"(?:ch|chan|channel|col|column|input|ai|通道|[vxy])?\d*")
"""A plain name that counts channels, or is the letter of an axis."""
_UNIT_COLUMNS: Final = words("""
    unit units uom uomcode unitofmeasure unitofmeasurement unitsofmeasure
    unitédemesure unitàdimisura unidaddemedida messeinheit einheit unité unidad unità eenheid enhet 单位 计量单位
""")
_CODES: Final = re.compile(
    r"-9(?:\.9+)?|-?(?:9{2,6}(?:\.9+)?|8{3,6}(?:\.8+)?|7{3,6}|6999|32767|32768|3276\.[78]|65535|65534|6553\.5|-?1|99999\.0|985|995)"
)
"""NumberColumn that loggers write for no value, where they lie far from the rest."""
_OFTEN: Final = 3
"""So many times may be no chance."""
_MANY: Final = 5
"""So many times the same value beyond a gap ten times as wide as any between the others is no chance."""
_SECTORS: Final = 16
"""Sectors of a wind rose at most."""
_ENOUGH: Final = 8
"""So many distinct values show how far they lie apart."""
_BELIEVED: Final = 1.2
"""How far beyond what is usual values may lie in a unit that the file states."""
_AMERICAN: Final = frozenset({"degF", "mile/hour", "inHg", "inch", "psi", "ft"})
_FAR: Final = {"dB(A)": 30.0, "kPa": 5.0}
"""How far from the others a value that repeats is odd, by unit; else half of what is usual in the file."""
_NEVER_NOTHING: Final = frozenset({"laeq", "laf", "lafmax", "ph", "conductivity", "do", "humidity", "pressure"})
"""Parameters of which 0 is no value that is met outdoors; where others are met, it is a code for no value."""
_UNIT_LIKE: Final = re.compile(r"[A-Za-z\u00b5μ微毫克]{1,5} ?/ ?[A-Za-z立方米]{1,3}[3³]?")
_WEIGHT: Final = r"(?:weight(?:ing|ed)?|filter|计权|加权|bewertung|vægtning|vekting|pond[eé]ra[a-zçã]*|vägning)"
"""What columns, and lines of the heading, call the way in which frequencies are weighted."""
_WEIGHTING: Final = re.compile(
    rf"(?P<time>time|时间|zeit)?[ _-]?{_WEIGHT}[^\W\d]*\W{{1,4}}(?P<said>\w[^;\t]*)", re.IGNORECASE
)
_WEIGHTS: Final = re.compile(r"(?<![A-Za-z])(?:dB ?\(?)?(A|B|C|D|G|Z|Lin(?:ear)?|Flat)\)?(?![A-Za-z])", re.IGNORECASE)
_OTHER_DECIBELS: Final = re.compile(
    r"dB ?\(?[BCDGZ]\b|L[CZ](?:eq|F|S)|\b[BCDGZ][- ]weight"
    r"|\b[BCDGZ][,/ ]+(?:fast|slow|impulse)\b",
    re.IGNORECASE,
)
_SPECIES: Final = re.compile(
    r"\b(?:[Aa]s|als|expressed as) ([A-Z][A-Za-z0-9+-]*)(?![\w.])|以 ?([A-Za-z][A-Za-z0-9+-]*) ?[计表]"
    r"|(?:g/[Ll]|ppm)[ (\[]+((?=[A-Za-z]*\d)(?:[A-Z][a-z]?\d*)+(?:[+-]*N)?)"
)
"""Chemical species that a concentration is given as, after a word or right behind the unit."""
_OWN_SPECIES: Final = words("n nh3n nh4n o2 o pm10 pm25 tsp ss")
"""As what the law counts concentrations: ammonia nitrogen as N (HJ 535), oxygen demand as oxygen."""
_UNIT_LINE: Final = re.compile(
    r"(?:\bunits?\b|单位)[^:：,;\t]{0,20}[:：,;\t]\s*\"?(?P<unit>[^,;\t\"]{1,20})", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReadings:
    """Readings of one parameter, a row for each row of the file that has a time.

    Parameters
    ----------
    parameter : Parameter
        What is measured.
    column : str
        Name of the column of the values.
    time : int64 array (n,)
        Begin of the interval, or instant [ms UTC], in file order; repeats possible.
    value : float64 array (n,)
        In the unit of the parameter; NaN where the row has no number. A bound where ``bound`` says so.
    flag : uint8 array (n,)
        ASCII code of the HJ 212 data flag: N, T over range, or what a description says of a mark.
    bound : int8 array (n,)
        -1: the value is at most this; 1: at least this, or over range without a number; 0: it is this.
    doubtful : bool array (n,)
        Whether the value may be none: a code for no value, a mark without a meaning. No window that holds one is valid.
    interval : float or None
        Distance between rows [ms]: as said, else the median of all rows; None: one instant.
    zone : str or None
        Zone that the file states for its stamps.
    unit : str or None
        Unit that the file states for its values.
    naive : bool
        Whether some stamps have no offset of their own.
    notes : tuple of str
        What was concluded and what was left out, in sentences for the user.
    lines : tuple of str
        How the file was read, for ``--explain``.
    """

    parameter: Parameter
    column: str
    time: NDArray[np.int64]
    value: NDArray[np.float64]
    flag: NDArray[np.uint8]
    bound: NDArray[np.int8]
    doubtful: NDArray[np.bool_]
    interval: float | None
    zone: str | None
    unit: str | None
    naive: bool
    notes: tuple[str, ...]
    lines: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.time)

    def refuse_doubts(self) -> None:
        """Refuse values that may be none, where they would be kept: each has to be settled first.

        Raises
        ------
        LoggerFileError
            If there are some; it says what is odd about them, and which options settle it.
        """
        doubtful = self.doubtful & (self.bound <= 0)
        if doubtful.any():
            odd = np.unique(self.value[doubtful & ~np.isnan(self.value)])[:_NAMED]
            named = f" ({', '.join(f'{value:g}' for value in odd)})" if len(odd) else ""
            why = next((note for note in self.notes if _IN_DOUBT in note), "give --missing or --mark")
            raise LoggerFileError(
                f"{self.parameter.id}: {int(doubtful.sum()):,} values{named} may stand for no value: {why}"
            )


def refuse_conflicts(series: FileReadings, said: Description) -> None:
    """Refuse many instants that have several values: the file may hold several stations.

    Raises
    ------
    LoggerFileError
        If they are more than is tolerated.
    """
    finite = ~np.isnan(series.value)
    _, first, of = np.unique(series.time[finite], return_index=True, return_inverse=True)
    value = series.value[finite]
    conflicts = int(np.count_nonzero(value != value[first][of]))
    tolerated = TOLERATED / 2 if said.tolerate is None else said.tolerate
    if tolerated < 1 and conflicts > 1 and conflicts > tolerated * len(first):
        raise LoggerFileError(
            f"{conflicts:,} readings have an instant that came before with another value: if the file holds several "
            "stations or parameters, choose one with --where COLUMN=TEXT or --value; --tolerate 1 takes the first of each"
        )


def read_series(
    path: Path,
    parameters: Sequence[Parameter],
    said: Description | None = None,
    *,
    values: Mapping[str, str] | None = None,
    zone: str | None = None,
    assumed: Mapping[str, str] | None = None,
) -> list[FileReadings]:
    """Read the readings of parameters from a logger's file.

    Parameters
    ----------
    path : Path
        The file, as for ``read_table``.
    parameters : sequence of Parameter
        What to read.
    said : Description or None
        What the caller knows about the file.
    values : mapping of str to str, or None
        Columns of parameters by their id, where the names do not decide.
    zone : str or None
        Zone of stamps without offset, where neither ``said`` nor the file states one; None: UTC, with a note.
    assumed : mapping of str to str, or None
        Units of parameters by their id, where nothing states one; None: those in which they are kept.

    Returns
    -------
    list of FileReadings
        In the order of ``parameters``.

    Raises
    ------
    LoggerFileError
        If the file contradicts itself, leaves something open, or has too much that cannot be read; the message has no path.
    OSError
        If the file cannot be read.
    """
    said = said or Description()
    with opened(path, said.encoding, said.sheet) as sources:
        return [
            _read(
                only_table(sources, said),
                parameter,
                (values or {}).get(parameter.id),
                zone,
                (assumed or {}).get(parameter.id),
            )
            for parameter in parameters
        ]


def offered(path: Path, said: Description) -> tuple[tuple[str, ...], list[str]]:
    """Look which parameters a file may hold.

    Returns
    -------
    names : tuple of str
        The columns of the file.
    parameters : list of str
        Ids of the parameters that a column, or the rows of a long table, is named after.

    Raises
    ------
    LoggerFileError, OSError
        As ``read_series``.
    """
    with opened(path, said.encoding, said.sheet) as sources:
        file = only_table(sources, said)
        header = file.header
        others = [name for name in header.names if name not in header.time]
        described = file.layout.description.columns
        found = [
            parameter.id
            for parameter in load_parameters().values()
            if _named_after(parameter, others)
            or any(parameter.id in c.parameters and re.fullmatch(c.name, name) for name in others for c in described)
            or _long(file, parameter, others) is not None
        ]
    return header.names, found


def joined(parts: Sequence[FileReadings], zone: str | None = None) -> FileReadings:
    """Put the readings of several files of one parameter together, in the order of the files.

    Parameters
    ----------
    parts : sequence of FileReadings
        Of one file each.
    zone : str or None
        Zone in which the stamps of those were read that state none.

    Raises
    ------
    LoggerFileError
        If some state a zone or a unit by which the others, which state none, would have been read otherwise.
    """
    if len(parts) == 1:
        return parts[0]
    _refuse_unlike(parts, zone)
    time = np.concatenate([part.time for part in parts])
    return FileReadings(
        parameter=parts[0].parameter,
        column=parts[0].column,
        time=time,
        value=np.concatenate([part.value for part in parts]),
        flag=np.concatenate([part.flag for part in parts]),
        bound=np.concatenate([part.bound for part in parts]),
        doubtful=np.concatenate([part.doubtful for part in parts]),
        interval=_spacing(time),
        naive=any(part.naive for part in parts),
        unit=parts[0].unit if len({part.unit for part in parts}) == 1 else None,
        zone=parts[0].zone if len({part.zone for part in parts}) == 1 else None,
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
        lines=tuple(dict.fromkeys(line for part in parts for line in part.lines)),
    )


def _refuse_unlike(parts: Sequence[FileReadings], zone: str | None) -> None:
    parameter, silent = parts[0].parameter, [part for part in parts if part.zone is None and len(part)]
    for stated in {part.zone for part in parts if part.zone is not None}:
        for part in silent:
            local = Zone(zone or "UTC").local(part.time)
            if part.naive and (Zone(stated).utc(local) != part.time).any():
                raise LoggerFileError(
                    f"one of the files states the zone {stated}, and another none, which would be read in {zone or 'UTC'}: give "
                    "--stamp-zone"
                )
    if any(part.unit is None for part in parts):
        for unit in {part.unit for part in parts if part.unit is not None}:
            if _normal(unit, parameter) != (1.0, 0.0):
                raise LoggerFileError(f"one of the files states the unit {unit}, and another none: give --unit")


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The column of a parameter, with what is known of it."""

    name: str
    where: dict[str, str]
    described: Described | None = None
    note: str = ""
    is_asked_for: bool = False


def _read(
    file: LoggerFile, parameter: Parameter, wanted: str | None, zone: str | None, assumed: str | None
) -> FileReadings:
    chosen = _seen(file, _choose(file, parameter, wanted), wanted)
    if chosen.where:
        file = file.narrowed(chosen.where)
    layout, said = file.layout, file.layout.description
    header = file.header
    speed = _speed_column(header) if parameter.is_direction else None
    stations = [
        name
        for name in header.names
        if (plain(name) in STATIONS or bare(name) in PLACES) and name not in {chosen.name, *header.time, *said.where}
    ]
    others = [name for name in header.names if name not in {chosen.name, *header.time}]
    units = [name for name in others if plain(name) in _UNIT_COLUMNS]
    weightings = [name for name in others if parameter.theme == "noise" and re.search(_WEIGHT, name, re.IGNORECASE)]
    columns = [chosen.name, *([speed] if speed and speed != chosen.name else [])]
    flags = [name for name in flag_columns(chosen.name, others) if name not in {*stations, *said.where}]
    factors, drifts = factor_columns(others, chosen.name), drift_columns(others)
    known = [*stations, *flags, *units, *weightings, *factors, *drifts, *said.where]
    texts = texts_beside(others, header.numeric, known)
    table = file.read(
        columns,
        zone,
        texts=[*stations, *units, *weightings, *texts],
        words=parameter.averaging,
        flags=[*flags, *texts, *factors, *drifts],
    )
    notes = [*([chosen.note] if chosen.note else []), *table.notes]
    if said.note:
        notes.append(said.note)
    refuse_stations(table.texts, stations, texts, len(table))
    if said.tolerate is None or said.tolerate < 1:
        numbers = {name: layout.first_cells(name) for name in header.numeric if name in others and name not in known}
        refuse_turns({name: table.flags[name] for name in texts}, table.time, numbers)
    _refuse_dropped(table, said)
    if parameter.theme == "noise" and said.unit is None:
        said_of_levels = [text for name in (*weightings, *units) for text in table.texts[name]]
        _refuse_weightings(chosen.name, layout.heading, said_of_levels)
    cells = table.cells[chosen.name]
    stated = _stated_unit(chosen, parameter, header, layout.heading, table, units, said, notes) or assumed
    if stated is None and parameter.unit == "degC":
        _refuse_beside_feet(chosen.name, others)
    value, flag, bound, doubtful = _values(cells, chosen, stated, parameter, said, notes)
    for name in (*flags, *texts):
        take_flags(table.flags[name], name, said, flag, doubtful, notes, beside=name in texts)
    if speed is not None and speed != chosen.name:
        calm = (value == 0) & (table.cells[speed].value == 0)
        if calm.any():
            value[calm] = np.nan
            notes.append(f"{np.count_nonzero(calm):,} directions of 0 at no wind not used: it is calm")
    if stated is None and parameter.usual is not None and parameter.usual.night is not None:
        _refuse_hot_nights(chosen.name, table.time, value, parameter, parameter.usual.night)
    if ahead := int(np.count_nonzero(table.time > clock_of_the_machine.time() * 1000 + _DAY)):
        notes.append(f"{ahead:,} stamps lie in the future by the clock of this machine")
    interval = float(parse_duration(said.interval)) if said.interval is not None else _spacing(table.time)
    refuse_times(
        "" if said.total else chosen.name,
        layout.heading,
        interval,
        {name: table.flags[name].tolist() for name in drifts},
    )
    if _counts_on(chosen, value[np.argsort(table.time, kind="stable")], parameter, said, notes):
        value = _increments(table.time, value, notes)
    time = _begins(table, layout.stamps(), interval, notes)
    if said.missing is None and not (parameter.is_state or parameter.is_direction):
        doubtful |= _codes(time, value, parameter, notes)
    lines = (*table.lines, *_explained(chosen.name, stated, parameter, interval, said, table, time, value))
    return FileReadings(
        parameter=parameter,
        column=chosen.name,
        time=time,
        value=value,
        flag=flag,
        bound=bound,
        doubtful=doubtful,
        interval=interval,
        zone=table.zone,
        unit=stated,
        naive=not table.stamps.absolute.all(),
        notes=tuple(notes),
        lines=lines,
    )


# The column


def _choose(file: LoggerFile, parameter: Parameter, wanted: str | None) -> _Chosen:
    """Choose the column of the values: as asked for, as described, by the parameter's name, or the only one with numbers."""
    header, described = file.header, file.layout.description.columns
    others = [name for name in header.names if name not in header.time]
    if wanted is not None:
        position = find_column(header.names, wanted)
        if position is None:
            raise LoggerFileError(f"no column {wanted!r} for --value; there are {listed(others)}")
        name = header.names[position]
        again = [other for other in header.names if other.startswith(f"{name}#")]
        note = f"column {name!r} is the first of {1 + len(again)} of that name" if again else ""
        return _Chosen(name, {}, _described(name, parameter, described), note, is_asked_for=True)
    known = {name: column for name in others if (column := _described(name, parameter, described)) is not None}
    if len(known) == 1:
        return _Chosen(next(iter(known)), {}, next(iter(known.values())))
    refused = [
        c
        for name in others
        for c in described
        if c.refused and re.fullmatch(c.name, name) and parameter.id in c.parameters
    ]
    if refused and not known:
        raise LoggerFileError(f"no column is {parameter.id}: {refused[0].refused}")
    fits = list(known) or _named_after(parameter, others)
    if (
        fits
        and parameter.id == "pm10"
        and (ten := next((n for n in others if _PM100.fullmatch(bare(n))), None)) is not None
    ):
        raise LoggerFileError(
            f"column {ten!r} may be PM10.0, where its maker writes 10 times the size, and {listed(fits)} PM1.0; choose with --value"
        )
    if len(fits) > 1:
        right = [name for name in fits if (unit := unit_of(name, parameter)) is None or convertible(unit, parameter)]
        fits = right or fits
    if not fits:
        long = _long(file, parameter, others)
        if long is not None:
            return long
        if len(header.numeric) == 1 and _says_nothing(header.numeric[0], parameter):
            name = header.numeric[0]
            spoken = [p for p in load_parameters().values() for line in file.layout.heading if _named_in(line, p)]
            if spoken and parameter not in spoken:
                raise LoggerFileError(
                    f"the heading speaks of {spoken[0].name_en}, not of {parameter.name_en}; choose with --value {name}"
                )
            return _Chosen(name, {}, None, f"the values are taken from column {name!r}, the only one with numbers")
    if len(fits) != 1:
        which = f"{listed(fits)} may all be" if fits else "no column is plainly"
        raise LoggerFileError(f"{which} {parameter.id}; choose with --value: there are {listed(others)}")
    return _Chosen(fits[0], {})


def _named_after(parameter: Parameter, names: Sequence[str]) -> list[str]:
    """Columns that are named after a parameter, or members of objects that are."""
    found = [names[c] for c in parameter_columns(names, parameter)]
    return found or [name for name in names if parameter_columns([_MEMBER.sub("", name)], parameter)]


def _seen(file: LoggerFile, chosen: _Chosen, wanted: str | None) -> _Chosen:
    """The column that was chosen; refused if it is hidden in the sheet, and nobody names it."""
    layout, name = file.layout, chosen.name
    hidden = {layout.names[c] for c in layout.source.hidden_columns if c < len(layout.names)}
    if name in hidden and wanted is None and (layout.description.tolerate or 0) < 1:
        raise LoggerFileError(
            f"column {name!r} is hidden in the sheet: choose with --value, such as --value {name!r} if it is meant"
        )
    return chosen


def _named_in(line: str, parameter: Parameter) -> bool:
    """Whether a line names a parameter."""
    text = plain(line)
    return any(
        len(name) > 2 and name in text for name in (plain(parameter.id), plain(parameter.symbol), parameter.name_zh)
    )


def _says_nothing(name: str, parameter: Parameter) -> bool:
    """Whether a column's name does not say what it holds, so that the only one with numbers may be meant."""
    base = plain(split_unit(name)[0])
    if not base or base in _VALUES or base in NEUTRAL or name.startswith("#") or _CHANNEL.fullmatch(base):
        return True
    unit = known_unit(written(name), alone=True)
    return unit is not None and (convertible(unit, parameter) or (parameter.is_level and unit == "dB"))


def _described(name: str, parameter: Parameter, described: Sequence[Described]) -> Described | None:
    return next(
        (c for c in described if parameter.id in c.parameters and not c.refused and re.fullmatch(c.name, name)), None
    )


def _long(file: LoggerFile, parameter: Parameter, others: Sequence[str]) -> _Chosen | None:
    """The column of values, where another column names what each row holds."""
    header = file.header
    naming = [name for name in others if plain(name) in _QUANTITIES and name not in header.numeric]
    numeric = [name for name in header.numeric if name not in naming]
    values = (
        [name for name in numeric if plain(name) in _VALUES] or [n for n in numeric if plain(n) == "state"] or numeric
    )
    if len(naming) != 1 or len(values) != 1 or naming[0] in file.layout.description.where:
        return None
    texts = [
        text
        for text in file.distinct(naming[0])
        if text and (parameter_columns([text], parameter) or parameter_columns([text.rpartition(".")[2]], parameter))
    ]
    if len(texts) > 1:
        raise LoggerFileError(f"{listed(texts)} in column {naming[0]!r} may all be {parameter.id}; choose with --where")
    if not texts:
        return None
    note = f"the values are those of {values[0]!r} in the rows with {texts[0]!r} in {naming[0]!r}"
    return _Chosen(values[0], {naming[0]: texts[0]}, Described(name=".*", unit=split_unit(texts[0])[1]), note)


def _speed_column(header: Header) -> str | None:
    fits = parameter_columns(header.names, load_parameters()["wind-speed"])
    return header.names[fits[0]] if len(fits) == 1 else None


# What is refused


def _refuse_dropped(table: Table, said: Description) -> None:
    tolerated = TOLERATED if said.tolerate is None else said.tolerate
    hint = "--tolerate 1 reads the rest all the same"
    dropped = {reason: n for reason, n in table.skipped.items() if reason not in {SUMMED, REPEATED}}
    lost = sum(dropped.values())
    if lost > _FEW - 1 and lost > tolerated * (lost + len(table)) + 1e-9:
        reasons = "; ".join(note for note in table.notes if "rows left out" in note)
        what = "give --time-format" if UNREAD in dropped else "give --delimiter"
        raise LoggerFileError(f"{lost:,} of {lost + len(table):,} rows cannot be read: {reasons}; {what}; {hint}")
    ordered = instants(table.time)
    if tolerated < 1 and len(ordered) > 1 and (steps := np.diff(ordered)).max() > _LEAP:
        first, then = (str(np.datetime64(int(ordered[steps.argmax() + i]), "ms"))[:16] for i in (0, 1))
        raise LoggerFileError(
            f"the time leaps from {first} to {then}: perhaps the clock was set back to its begin; take those rows out, or give "
            "--tolerate 1 if it is right"
        )
    bare = (table.stamps.hour < 0) & ~table.stamps.absolute
    repeats = len(table) - len(instants(table.time))
    if bare.all() and repeats >= _FEW and repeats > tolerated * len(table):
        raise LoggerFileError(
            f"{len(table):,} rows have {len(table) - repeats:,} dates without a time of day: if another column holds it, give "
            "--time DATE,CLOCK; if the file holds several stations or parameters, choose one with --where COLUMN=TEXT"
        )


def _refuse_weightings(name: str, heading: Sequence[str], texts: Sequence[str]) -> None:
    """Refuse levels that are said to be weighted otherwise than by A, or to refer to another sound pressure than 20 \u00b5Pa."""
    for text in (name, *texts, *heading):
        if foreign_reference(text) is not None:
            raise LoggerFileError(
                f"the file says {text.strip()[:80]!r}: the levels of column {name!r} do not refer to 20 uPa; --unit 'dB(A)' "
                "says that they do"
            )
    if known_unit(name.rpartition(" ")[2], alone=True) != "dB(C)" and re.search(r"dB ?\(?[BDGZ]\b", name):
        raise LoggerFileError(
            f"column {name!r} is not weighted by A: choose another with --value, or give --unit 'dB(A)' if it is"
        )
    lines = [line.strip() for line in heading if not re.search(r"peak|峰", line, re.IGNORECASE)]
    said = {line: match["said"] for line in lines if (match := _WEIGHTING.search(line)) and not match["time"]}
    said |= {text: text for text in texts if text}
    weights = {line: {one.upper()[:1] for one in _WEIGHTS.findall(text)} for line, text in said.items()}
    for line in lines:
        if _OTHER_DECIBELS.search(line):
            weights[line] = {
                "C",
                *("A" for _ in re.findall(r"dB ?\(?A|LA(?:eq|F|S)|\bA[- ]weight", line, re.IGNORECASE)),
            }
    wrong = [line for line, found in weights.items() if found and "A" not in found]
    if wrong and not any("A" in found for found in weights.values()):
        raise LoggerFileError(
            f"the file says {wrong[0][:80]!r}: the levels of column {name!r} are perhaps not weighted by A; "
            "--unit 'dB(A)' says that they are"
        )


# Units


def _stated_unit(
    chosen: _Chosen,
    parameter: Parameter,
    header: Header,
    heading: Sequence[str],
    table: Table,
    unit_columns: Sequence[str],
    said: Description,
    notes: list[str],
) -> str | None:
    """The unit of a column; None if nothing states one.

    Raises
    ------
    LoggerFileError
        If two are stated, or one that cannot be converted.
    """
    if said.unit is not None:
        unit = known_unit(said.unit, alone=True) or said.unit
        return _convertible(unit, chosen.name, parameter, "--unit")
    refuse_corrections(heading)
    factors = factor_columns(list(table.flags), chosen.name)
    refuse_factors({name: table.flags[name].tolist() for name in factors}, chosen.name)
    for text in (
        chosen.name,
        header.units.get(chosen.name, ""),
        *(text for name in unit_columns for text in table.texts[name]),
    ):
        match = _SPECIES.search(text)
        species = match and match[match.lastindex or 0]
        if species and plain(species) not in _OWN_SPECIES:
            raise LoggerFileError(
                f"column {chosen.name!r} is given as {species}, which is not how the law counts {parameter.name_en}; "
                "convert it, or give --unit if it is"
            )
    stated: dict[str, str] = {}
    if (named := unit_of(chosen.name, parameter)) is not None:
        stated[named] = f"the name {chosen.name!r}"
    if (below := header.units.get(chosen.name)) is not None:
        stated.setdefault(below, "the line of units")
    if len(unit_columns) == 1:
        for text in table.texts[unit_columns[0]]:
            if text:
                stated.setdefault(known_unit(text, alone=True) or text, f"column {unit_columns[0]!r}")
    if chosen.described is not None and chosen.described.unit is not None and not stated:
        stated[known_unit(chosen.described.unit, alone=True) or chosen.described.unit] = "the description"
    differ = {_normal(unit, parameter): (where, unit) for unit, where in stated.items()}
    if len(differ) > 1:
        (where, unit), (there, another), *_ = differ.values()
        raise LoggerFileError(f"{where} says {unit} but {there} says {another}; give --unit")
    if stated:
        unit, where = next(iter(stated.items()))
        unit = _convertible(unit, chosen.name, parameter, where)
        _refuse_qualified(chosen)
        return unit
    if (unit_said := _unit_of_heading(chosen.name, parameter, heading, notes)) is not None:
        _refuse_qualified(chosen)
        return unit_said
    if (part := unclear(chosen.name)) is not None:
        raise LoggerFileError(
            f"column {chosen.name!r} says {part!r}, which may be a unit and is none that is known; give --unit"
        )
    return None


def _unit_of_heading(name: str, parameter: Parameter, heading: Sequence[str], notes: list[str]) -> str | None:
    """The unit that lines of the heading state.

    Raises
    ------
    LoggerFileError
        If it cannot be converted, or is open.
    """
    lines: dict[str, str] = {}
    others: dict[str, str] = {}
    for line in heading:
        if (match := _UNIT_LINE.search(line)) is None:
            continue
        found = known_unit(match["unit"], alone=True)
        if found is not None and convertible(found, parameter):
            lines[found] = line.strip()
        elif not line[: match.start()].strip(" \"'#;,\t"):
            others[line.strip()] = match["unit"]
    if not lines and len(others) == 1:
        ((line, unit),) = others.items()
        raise LoggerFileError(
            f"the heading says {line[:80]!r}, and {unit} cannot be converted to {parameter.unit}; give --unit"
        )
    if len(lines) > 1:
        raise LoggerFileError(f"the heading states several units, {', '.join(lines)}; give --unit")
    for unit, line in lines.items():
        notes.append(f"unit {unit}, as the heading says: {line!r}")
        return unit
    for line in heading:
        for text in _UNIT_LIKE.findall(line):
            other = known_unit(text, alone=True)
            if other is None or not convertible(other, parameter):
                continue
            if _named_in(line, parameter):
                notes.append(f"unit {other}, as the heading says: {line.strip()!r}")
                return other
            if _normal(other, parameter) != (1.0, 0.0):
                raise LoggerFileError(
                    f"column {name!r} states no unit, and a line of the heading speaks of {other}: "
                    f"{line.strip()[:80]!r}; give --unit"
                )
    return None


def _normal(unit: str, parameter: Parameter) -> tuple[float, float] | str:
    try:
        return conversion(unit, parameter.unit)
    except UnitError:
        return unit


def _convertible(unit: str, name: str, parameter: Parameter, where: str) -> str:
    if parameter.is_level and unit == "dB":
        return parameter.unit
    if not convertible(unit, parameter):
        raise LoggerFileError(
            f"column {name!r} is in {unit}, as {where} says, which cannot be converted to {parameter.unit}: choose another "
            "column with --value, or give --unit if it is not"
        )
    return unit


def _refuse_qualified(chosen: _Chosen) -> None:
    """Refuse a column whose name says more than parameter and unit: it may be a maximum, or of another place."""
    if chosen.is_asked_for or chosen.where or chosen.described is not None:
        return
    name = chosen.name
    if (more := qualified(name)) is not None:
        raise LoggerFileError(
            f"column {name!r} says {more!r}, which may make it something else: choose another with --value, or --value {name!r} if "
            "it is meant"
        )


def _refuse_beside_feet(name: str, others: Sequence[str]) -> None:
    """Refuse a temperature without a unit beside columns in units of the United States: it may be Fahrenheit."""
    for other in others:
        if (unit := split_unit(other)[1]) in _AMERICAN:
            raise LoggerFileError(
                f"column {name!r} states no unit, and column {other!r} is in {unit}: give --unit degC or --unit degF"
            )


def _refuse_hot_nights(
    name: str, time: NDArray[np.int64], value: NDArray[np.float64], parameter: Parameter, night: float
) -> None:
    """Refuse a temperature without a unit that stays high all day and night: it may be Fahrenheit."""
    finite = np.isfinite(value)
    if not finite.any() or np.ptp(time[finite]) < _DAY - _HOUR or (_spacing(time) or _DAY) > 3 * _HOUR:
        return
    low = float(np.percentile(value[finite], 5))
    if low > night:
        raise LoggerFileError(
            f"column {name!r} states no unit, and its values do not fall below {low:g} by day and night, which is unusual in "
            f"{parameter.unit}: give --unit degC or --unit degF"
        )


def _converted(value: NDArray[np.float64], unit: str, parameter: Parameter) -> NDArray[np.float64]:
    scale, offset = conversion(unit, parameter.unit)
    return value if (scale, offset) == (1.0, 0.0) else converted(value, scale, offset)


# Values


def _values(
    cells: NumberColumn, chosen: _Chosen, stated: str | None, parameter: Parameter, said: Description, notes: list[str]
) -> tuple[NDArray[np.float64], NDArray[np.uint8], NDArray[np.int8], NDArray[np.bool_]]:
    """Values in the parameter's unit, with flags, bounds and doubts."""
    size, kind = len(cells.value), cells.kind
    flag = np.full(size, NORMAL, np.uint8)
    bound = np.zeros(size, np.int8)
    doubtful = np.zeros(size, np.bool_)
    value = cells.value.copy()
    bound[np.isin(kind, (AT_MOST, NOT_DETECTED))] = -1
    bound[np.isin(kind, (AT_LEAST, OVER))] = 1
    flag[kind == OVER] = _OVER_RANGE
    name = chosen.name
    if (lost := int(np.count_nonzero(kind == NOT_DETECTED))) and said.detection_limit is None:
        raise LoggerFileError(
            f"column {name!r} says {lost:,} times that nothing was detected, without the limit: give --detection-limit"
        )
    if lost:
        value[kind == NOT_DETECTED] = said.detection_limit
    _refuse_texts(cells, name, said, notes)
    doubtful |= _too_wide(kind, name, notes)
    unit = _marked_units(cells, name, stated, parameter)
    if unit is None and not isinstance(cells.mark, np.ndarray):
        unit = parameter.unit
    if stated is None and unit is not None and parameter.unit != "1" and not parameter.is_level:
        notes.append(f"column {name!r} states no unit: its values are taken for {unit}; --unit says another")
    if unit is not None:
        value = _converted(value, unit, parameter)
    if cells.mark is not None:
        for mark in cells.marks:
            rows = cells.mark == mark
            found = _unit_of_mark(mark, parameter)
            if mark == "-" and mark not in said.marks:
                raise LoggerFileError(
                    f"column {name!r} has '-' behind numbers, which may be their sign; --mark '-=N' says that it is not"
                )
            if mark == "L":
                if "/L" not in parameter.unit:
                    raise LoggerFileError(
                        f"column {name!r} has 'L' behind numbers, which is no {parameter.unit}; give --unit"
                    )
            elif found is not None:
                value[rows] = _converted(cells.value[rows], found, parameter)
            elif mark in said.marks:
                flag[rows] = ord(said.marks[mark])
                notes.append(f"{np.count_nonzero(rows):,} readings with {mark!r}: flag {said.marks[mark]}")
            else:
                doubtful |= rows & (kind == MARKED)
                notes.append(
                    f"{np.count_nonzero(rows):,} readings have {mark!r} behind the number, whose meaning is not stated: no window "
                    f"that holds one is valid; --mark '{mark}=N' takes them as normal, --mark '{mark}=D' as faulty"
                )
    if cells.mark is None and said.unit is None:
        _refuse_unusual(value, name, parameter, stated)
    low, high = int(np.count_nonzero(bound < 0)), int(np.count_nonzero(bound > 0))
    if low:
        notes.append(
            f"{low:,} readings are below a limit of detection: they count as the limit, and means with them are at most the mean"
        )
    if high:
        over = int(np.count_nonzero(kind == OVER))
        notes.append(
            f"{high:,} readings are over range{f', {over:,} of them without a number' if over else ''}: means with them are at "
            "least the mean, and no window that holds one is valid"
        )
        doubtful |= bound > 0
    if parameter.is_direction and stated is None and cells.mark is None:
        _refuse_sectors(value, name)
    return value, flag, bound, doubtful


def _refuse_sectors(value: NDArray[np.float64], name: str) -> None:
    """Refuse directions that are whole numbers up to 16 alone, and several: they may count sectors of the wind rose."""
    found, counts = np.unique(value[np.isfinite(value)], return_counts=True)
    if len(found) >= _OFTEN and counts.sum() >= _ENOUGH and found[-1] <= _SECTORS and (found % 1 == 0).all():
        raise LoggerFileError(
            f"column {name!r} has whole numbers from {found[0]:g} to {found[-1]:g} alone, which may count sectors of the wind "
            "rose: --unit deg says that they are degrees"
        )


def _refuse_texts(cells: NumberColumn, name: str, said: Description, notes: list[str]) -> None:
    texts = int(np.count_nonzero(cells.kind == TEXT))
    if not texts:
        return
    some = f"{texts:,} cells of column {name!r} are no numbers, such as {first_texts(cells.texts)}"
    tolerated = TOLERATED if said.tolerate is None else said.tolerate
    numbers = int(np.count_nonzero(cells.kind != MISSING))
    if texts >= _FEW and texts > tolerated * numbers:
        raise LoggerFileError(
            f"{some}: if they stand for no value, say so with --missing; or choose another column with --value"
        )
    notes.append(some)


def _too_wide(kind: NDArray[np.uint8], name: str, notes: list[str]) -> NDArray[np.bool_]:
    """Which cells hold signs in the place of a number that was too wide for its column, and may have been high."""
    found: NDArray[np.bool_] = kind == WIDE
    if found.any():
        notes.append(
            f"{np.count_nonzero(found):,} cells of column {name!r} hold signs in the place of a number that was too wide for them: "
            "no window with one is valid; --missing with these signs leaves them out"
        )
    return found


def _unit_of_mark(mark: str, parameter: Parameter) -> str | None:
    """The unit that stands behind a number; None: none does, as where a flag of HJ 212 is the letter of a foreign unit."""
    unit = known_unit(mark, alone=True)
    return None if unit is not None and mark in FLAGS and not convertible(unit, parameter) else unit


def _marked_units(cells: NumberColumn, name: str, stated: str | None, parameter: Parameter) -> str | None:
    """The unit of the cells without a mark.

    Raises
    ------
    LoggerFileError
        If cells state a unit that cannot be converted, or another than the column does.
    """
    units = {unit for mark in cells.marks if (unit := _unit_of_mark(mark, parameter)) is not None}
    for unit in units:
        _convertible(unit, name, parameter, "a cell")
        if stated is not None and _normal(unit, parameter) != _normal(stated, parameter):
            raise LoggerFileError(f"column {name!r} is in {stated}, but cells of it are in {unit}; give --unit")
    if units and stated is None and (np.isin(cells.kind, (NUMBER, AT_MOST, AT_LEAST)) & (cells.mark == "")).any():
        raise LoggerFileError(
            f"some cells of column {name!r} are in {', '.join(sorted(units))}, others state no unit; give --unit"
        )
    return stated or (None if units else parameter.unit)


def _refuse_unusual(value: NDArray[np.float64], name: str, parameter: Parameter, stated: str | None) -> None:
    """Refuse values that are usual in another unit only: 0.04 may be milligrams, a humidity of 0.5 a share of 1.

    A unit that is stated is believed somewhat further than one that is not.
    """
    usual = parameter.usual
    finite = value[np.isfinite(value)]
    if usual is None or not len(finite):
        return
    low, high = (float(x) for x in np.percentile(finite, (5, 95)))
    further = 1 if stated is None else _BELIEVED
    if high >= min(usual.low / further, usual.low * further) and low <= usual.high * further:
        return
    for unit in usual.mistaken:
        if usual.low <= float(_converted(np.array([high]), unit, parameter)[0]) <= usual.high:
            raise LoggerFileError(
                f"column {name!r} states {stated or 'no unit'}, and its values, {low:g} to {high:g}, are unusual in "
                f"{parameter.unit}, but usual in {unit}; give --unit"
            )


def _codes(
    time: NDArray[np.int64], value: NDArray[np.float64], parameter: Parameter, notes: list[str]
) -> NDArray[np.bool_]:
    """Which values within the plausible range may be codes for no value: they repeat far from the rest."""
    doubtful = np.zeros(len(value), np.bool_)
    order = np.argsort(time, kind="stable")
    once = value[order[np.append([True], np.diff(time[order]) > 0)]] if len(time) else value
    inside = once[(once >= parameter.low) & (once <= parameter.high)]
    found, counts = np.unique(inside, return_counts=True)
    for code, times in ((found[i], int(counts[i])) for i in _candidates(found, counts)):
        if _is_far(code, found, counts, parameter, times):
            doubtful |= value == code
            notes.append(
                f"{code:g} stands {times:,} times, far from the other values, and may be a code for no value: no window that holds "
                f"it is valid; --missing {code:g} leaves it out, --missing none says that it is a value"
            )
    return doubtful


def _candidates(found: NDArray[np.float64], counts: NDArray[np.int64]) -> list[int]:
    """The extremes and typical codes; the other values lie among others."""
    ends = {*range(min(3, len(found))), *range(max(0, len(found) - 3), len(found))}
    return sorted(i for i in ends if counts[i] >= 2 or _CODES.fullmatch(f"{found[i]:g}"))


def _is_far(
    code: float, found: NDArray[np.float64], counts: NDArray[np.int64], parameter: Parameter, times: int
) -> bool:
    """Whether a value lies far from the others: by their range for a typical code, by several times that for any other."""
    others = (found != code) & np.array([_CODES.fullmatch(f"{x:g}") is None or abs(x) < 90 for x in found.tolist()])
    if counts[others].sum() < 3:
        return False
    rest = found[others]
    low, middle, high = _percentiles(rest, counts[others], (1, 50, 99))
    nearest = float(np.min(np.abs(rest - code)))
    typical = _CODES.fullmatch(f"{code:g}") is not None
    if code == 0:
        typical = parameter.theme == "dust" or parameter.id in _NEVER_NOTHING
    coded = typical or (code == 0 and parameter.unit == "degC")
    if coded and times >= _OFTEN and _is_apart(code, found, others, nearest, middle):
        return True
    if code == 0 and not coded:
        return False
    if code < 0 and times >= _OFTEN and parameter.unit != "degC":  # noise around 0 has more than one value
        return bool((rest >= 0).all())
    if parameter.is_total and not (typical and abs(code) > 90):
        return times >= _OFTEN and nearest > max(5 * float(np.ptp(rest)), 5.0)
    if typical:
        return nearest > max(high - low, 0.5 * abs(middle))
    far = max(5 * (high - low), _FAR.get(parameter.unit, 0.5 * max(abs(middle), 1.0)))
    beyond = code < rest[0] or code > rest[-1]
    if beyond and times >= _MANY and len(rest) >= _ENOUGH:
        far = min(far, max(10 * float(np.diff(rest).max()), 0.5 * (high - low)))
    return times >= _OFTEN and nearest > far


def _percentiles(found: NDArray[np.float64], counts: NDArray[np.int64], shares: Sequence[float]) -> list[float]:
    """Percentiles with linear interpolation of values that come as distinct ones in their order, each so many times."""
    ends = np.cumsum(counts)
    places = np.array(shares) / 100 * (ends[-1] - 1)
    below = np.floor(places)
    low, high = (found[np.searchsorted(ends, place, side="right")] for place in (below, np.ceil(places)))
    return [float(x) for x in low + (high - low) * (places - below)]


def _is_apart(
    code: float, found: NDArray[np.float64], others: NDArray[np.bool_], nearest: float, middle: float
) -> bool:
    """Whether a typical code lies beyond a gap in the values that is much wider than any between the others."""
    rest = found[others]
    beyond = code < rest[0] or code > rest[-1]
    return bool(
        beyond and len(rest) >= _ENOUGH and nearest > 2 * float(np.diff(rest).max()) and nearest > 0.25 * abs(middle)
    )


def _counts_on(
    chosen: _Chosen, value: NDArray[np.float64], parameter: Parameter, said: Description, notes: list[str]
) -> bool:
    """Whether a column counts on and on, so that its increments are the readings.

    Raises
    ------
    LoggerFileError
        If a sum never falls and nothing says whether it is one.
    """
    if said.total is not None:
        return said.total
    if not parameter.is_total:
        return chosen.described is not None and chosen.described.total
    finite = value[np.isfinite(value)]
    steps = np.diff(finite)
    rises, falls = int(np.count_nonzero(steps > 0)), int(np.count_nonzero(steps < 0))
    named = bool(chosen.described is not None and chosen.described.total) or TOTALS.search(chosen.name) is not None
    # A total stays where it is while nothing is added; a sum of an interval falls back to 0.
    above = int(np.count_nonzero(finite[:-1] > 0))
    running = falls <= 0.2 * above and above > 0
    if named and running and len(finite) > 1:
        return True
    if named:
        notes.append(
            f"column {chosen.name!r} falls as often as it rises: its values are taken as sums of their intervals"
        )
    elif running and (rises > 2 or (len(finite) > 3 and finite[0] > 0)):
        often = f"seldom falls ({falls} times)" if falls else "never falls"
        raise LoggerFileError(
            f"column {chosen.name!r} {often}: perhaps a running total: --total yes takes its increments, --total no its values"
        )
    return False


def _increments(time: NDArray[np.int64], value: NDArray[np.float64], notes: list[str]) -> NDArray[np.float64]:
    """What was added since the row before, in order of time; after a fall the total began at 0 again."""
    order = np.argsort(time, kind="stable")
    rows = order[np.isfinite(value[order])]
    steps = np.diff(value[rows])
    resets = steps < 0
    steps = np.where(resets, value[rows][1:], steps)
    found = np.full(len(value), np.nan)
    found[rows[1:]] = np.round(steps, _DECIMALS)
    again = f", which began again {np.count_nonzero(resets):,} times" if resets.any() else ""
    notes.append(f"values are the increments of a running total{again}; the first row has none")
    return found


# Time


def _spacing(time: NDArray[np.int64]) -> float | None:
    ordered = instants(time)
    return float(np.median(np.diff(ordered))) if len(ordered) > 1 else None


def instants(time: NDArray[np.int64]) -> NDArray[np.int64]:
    """Distinct instants in order; in files they mostly are that already, which sorting makes use of."""
    ordered = time if (np.diff(time) > 0).all() else np.sort(time, kind="stable")
    return ordered[np.append([True], np.diff(ordered) > 0)] if len(ordered) else ordered


def _begins(
    table: Table, stated: tuple[str | None, str], interval: float | None, notes: list[str]
) -> NDArray[np.int64]:
    """Begins of the intervals, where stamps stand at their ends."""
    which, where = stated
    if which is None and table.stamps.ends_of_hours() and (interval or 0) >= _HOUR:
        raise LoggerFileError(
            "hours run to 24 and none is 0: stamps may stand at the ends of their hours; give --stamps end or --stamps begin"
        )
    if which != "end":
        return table.time
    if interval is None:
        raise LoggerFileError(
            f"stamps are ends of intervals, {where}, but one instant shows no interval; give --interval"
        )
    notes.append(
        f"stamps are ends of intervals of {interval / 1000:g} s, {where if where == 'as said' else f'as {where} says'}"
    )
    return table.time - round(interval)


def _explained(
    name: str,
    unit: str | None,
    parameter: Parameter,
    interval: float | None,
    said: Description,
    table: Table,
    time: NDArray[np.int64],
    value: NDArray[np.float64],
) -> tuple[str, ...]:
    scale, offset = conversion(unit or parameter.unit, parameter.unit)
    how = "" if (scale, offset) == (1.0, 0.0) else f", times {scale:g}" + (f" plus {offset:g}" if offset else "")
    found = "as said" if said.interval is not None else f"the median of {len(table):,} rows"
    first = [
        f"{np.datetime64(int(t), 'ms')}Z {v:g}" for t, v in zip(time[:3].tolist(), value[:3].tolist(), strict=True)
    ]
    return (
        f"{parameter.id}: column {name!r} in {unit or f'{parameter.unit} (nothing states a unit)'}{how}",
        f"codes for no value: {listed(said.missing) if said.missing else 'none said'}",
        f"interval: {'none' if interval is None else f'{interval / 1000:g} s, {found}'}",
        f"first readings: {'; '.join(first)}",
    )
