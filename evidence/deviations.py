"""Where the catalogues of a bundle say something else than those that whoever checks it trusts."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from greenmine import limits, parameters, reporting, shipped_profiles, themes
from greenmine.evidence import evaluation
from greenmine.evidence.source import REGISTRY, Source
from greenmine.limits import Limit
from greenmine.tables import catalogue_of

Path_ = tuple[str | int, ...]
"""Keys that lead to a value."""

_WORDS: Final = frozenset(
    {"name_zh", "name_en", "note_zh", "note_en", "text_zh", "text_en", "symbol", "decimals", "hj212", "usual", "alarm"}
)
"""Keys on which no verdict rests: names, remarks, and settings of this project for alarms."""
_ASKED: Final = {("summary", "assessable_share")}
"""Keys of other catalogues on which the conclusion rests."""
_LONGEST: Final = 80
"""Characters of a value that are shown."""


@dataclass(frozen=True, slots=True)
class Departure:
    """A value of a bundle's catalogues that is another one than in those that are trusted."""

    place: str
    """Catalogue, id and key."""
    told: str
    """What the bundle says."""
    trusted: str
    """What it had to be, and by which clause."""
    legal: bool
    """Whether legal verdicts rest on it: then they are not lawful."""


def deviations(source: Source, catalogues: Path | None = None) -> list[Departure]:
    """All deviations of a bundle's catalogues, with the values of both sides.

    Parameters
    ----------
    source : Source
        The bundle.
    catalogues : Path, optional
        Directory of the catalogues that are trusted; what is not in it, and None: those that ship with this version.

    Raises
    ------
    DataFileError
        If a catalogue of that directory is not sound.
    """
    trusted = partial(catalogue_of, catalogues)
    own, registry = themes.load_themes(trusted(themes.CATALOGUE)), source.registry
    measured = parameters.load_parameters(trusted(parameters.CATALOGUE), own)
    bounds, conditions = limits.load_limits(trusted(limits.CATALOGUE), measured, own)
    found = [
        *_compared(limits.CATALOGUE.name, registry.limits, bounds),
        *_compared(f"{limits.CATALOGUE.name}: conditions", registry.conditions, conditions),
        *_compared(parameters.CATALOGUE.name, registry.parameters, measured),
        *_compared(themes.CATALOGUE.name, registry.themes, own),
        *_compared(reporting.CATALOGUE.name, source.reporting, reporting.load_reporting(trusted(reporting.CATALOGUE))),
        *_compared(
            evaluation.CATALOGUE.name,
            source.evaluation,
            evaluation.load_evaluation(trusted(evaluation.CATALOGUE), own),
        ),
    ]
    return [*found, *_profiles(source, catalogues), *_calibrations(source), *_results(source)]


def stated_deviations(folder: Path, catalogues: Path | None = None) -> list[Departure]:
    """Deviations of limits as the files state them, of an unpacked bundle whose registry is not sound."""
    shipped = limits.CATALOGUE
    try:
        told, trusted = _rows(folder / REGISTRY / shipped.name), _rows(catalogue_of(catalogues, shipped))
    except (OSError, ValueError, RecursionError):
        return []
    found = []
    for name in told.keys() & trusted.keys():
        for path, left, right in _differences(told[name], trusted[name], (name,)):
            if not _WORDS.intersection(path):
                legal = "legal" in {side[name].get("kind", "legal") for side in (told, trusted)}
                right_side = f"{_shown(right)} ({trusted[name].get('standard', '')})"
                found.append(Departure(f"{shipped.name}: {name}{_keys(path[1:])}", _shown(left), right_side, legal))
    return found


def _rows(file: Path) -> dict[str, dict[str, Any]]:
    """Limits of a file by id, unchecked."""
    return _by_id(file.read_text("utf-8"), "limits")


def _by_id(text: str, *lists: str) -> dict[str, dict[str, Any]]:
    """Rows of lists of a catalogue by id, unchecked."""
    table = tomllib.loads(text)
    rows = [row for name in lists if isinstance(some := table.get(name), list) for row in some]
    return {str(row.get("id")): row for row in rows if isinstance(row, dict)}


def _compared(catalogue: str, told: Any, trusted: Any) -> list[Departure]:
    judging = catalogue.split(".", maxsplit=1)[0] in {"limits", "parameters", "themes"}
    found = []
    for path, left, right in _differences(told, trusted, ()):
        legal = (judging and not _WORDS.intersection(path) and _binds(path, told, trusted)) or path in _ASKED
        place = f"{catalogue}: {path[0]}{_keys(path[1:])}"
        found.append(Departure(place, _shown(left), _shown(right) + _clause(path, trusted), legal))
    return found


def _binds(path: Path_, told: Any, trusted: Any) -> bool:
    """Whether the law is meant; targets and warning values of a catalogue are the enterprise's own."""
    if not isinstance(told, Mapping):
        return True
    both = [side[path[0]] for side in (told, trusted) if path[0] in side]
    return any(not isinstance(one, Limit) or one.kind == "legal" for one in both)


def _differences(told: Any, trusted: Any, path: Path_) -> Iterator[tuple[Path_, Any, Any]]:
    if told == trusted:
        return
    told, trusted = (msgspec.structs.asdict(s) if isinstance(s, msgspec.Struct) else s for s in (told, trusted))
    if isinstance(told, Mapping) and isinstance(trusted, Mapping):
        for key in sorted({*told, *trusted}):
            yield from _differences(told.get(key), trusted.get(key), (*path, key))
    elif isinstance(told, list | tuple) and isinstance(trusted, list | tuple) and len(told) == len(trusted):
        for number, (left, right) in enumerate(zip(told, trusted, strict=True)):
            yield from _differences(left, right, (*path, number))
    else:
        yield path, told, trusted


def _keys(path: Path_) -> str:
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)


def _shown(value: Any) -> str:
    """A value, short; an entry that only one side has is not told in full."""
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return f"an entry {value.get('id', '')}".strip()
    if isinstance(value, list | tuple) and value and isinstance(value[0], msgspec.Struct):
        return f"{len(value)} entries"
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _clause(path: Path_, trusted: Any) -> str:
    """Standard and clause of a limit's threshold, or of the limit."""
    limit = trusted.get(path[0]) if path and isinstance(trusted, Mapping) else None
    if not isinstance(limit, Limit):
        return ""
    if path[1:2] == ("thresholds",) and len(path) > 2:
        return f" ({limit.thresholds[int(path[2])].citation})"
    return f" ({limit.standard})"


def _profiles(source: Source, catalogues: Path | None) -> Iterator[Departure]:
    """Shipped profiles that say something else, and what devices' own profiles make of values and times besides units."""
    kept, shipped = shipped_profiles.KEPT, shipped_profiles.CATALOGUE
    own = source.catalogue(kept)
    trusted = shipped if catalogues is None or not (catalogues / kept).exists() else catalogues / kept
    told, due = (
        _by_id(path.read_text("utf-8"), "profiles", "templates") for path in (own if own.exists() else shipped, trusted)
    )
    yield from _compared(kept, told, due)
    for device in source.site.devices:
        profile = source.registry.profiles[device.profile]
        place = f"registry: {source.site.id}/{device.id}: profile {profile.id}"
        if profile.zone not in {"", source.site.zone}:
            what = f"{source.site.zone}, the zone of the mine"
            yield Departure(f"{place}: zone", profile.zone, what, legal=False)
        if profile.id in due or profile.mapping is None:
            continue
        for value in profile.mapping.values:
            if value.scale != 1.0 and value.parameter in device.parameters:
                yield Departure(f"{place}: {value.parameter}", f"scale {value.scale}", "the value as sent", legal=False)


def _calibrations(source: Source) -> Iterator[Departure]:
    """Calibrations that change what is judged: no catalogue says what they should be."""
    for calibration in source.site.calibrations:
        if (calibration.slope, calibration.offset) != (1.0, 0.0):
            place = (
                f"registry: {calibration.station}/{calibration.parameter}: calibration from {calibration.valid_from}"
            )
            told = f"slope {calibration.slope}, offset {calibration.offset} ({calibration.certificate})"
            yield Departure(place, told, "the value as measured", legal=False)


def _results(source: Source) -> Iterator[Departure]:
    """Results of laboratories that stand in place of what was measured: nothing in the raw data shows them."""
    zone = ZoneInfo(source.site.zone)
    for result in source.site.references:
        if result.end.astimezone(zone).date().isoformat() in source.wanted:
            place = f"registry: {result.station}/{result.parameter}: laboratory's result until {result.end}"
            told = f"{result.value} ({result.laboratory}, {result.document})"
            yield Departure(place, told, "the values as measured", legal=False)
