"""Reading a registry's files and checking them against each other."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from greenmine import limits, parameters, shipped_profiles, themes
from greenmine.entries import (
    ALL_SITES,
    Approval,
    Calibration,
    Device,
    Document,
    Enterprise,
    Inspection,
    Measure,
    Neighbour,
    Profile,
    ReferenceResult,
    Site,
    Stage,
    Station,
)
from greenmine.profiles import ProfileCheck, check_zone
from greenmine.registry import DEFAULT, Channel, Registry, RegistryError, Rule
from greenmine.resolution import Known, SiteFile, SiteResolution, Speech, neighbour_of
from greenmine.routes import Claim, claimed
from greenmine.shipped_profiles import ShippedProfiles
from greenmine.tables import DataFile, Entry, build, nearest

Complete = Callable[[dict[str, Any], str], dict[str, Any]]
S = TypeVar("S", bound=msgspec.Struct)

_FORM: Final = "a registry is a directory with enterprises.toml, profiles.toml and sites/*.toml"
_KEPT: Final[dict[str, type[msgspec.Struct]]] = {"stages": Stage, "approvals": Approval, "inspections": Inspection}
"""Arrays that nothing else refers to."""
NEIGHBOURS: Final = "neighbours.toml"
"""File of a registry that holds one site, as in a bundle: what it has to know of a weather station of another."""
_ARRAYS: Final = ("stations", "devices", "calibrations", "references", "measures", "documents", *_KEPT)


def load_registry(path: Path | None = None, also: Iterable[str] = ()) -> Registry:
    """Read and check a registry.

    Parameters
    ----------
    path : Path, optional
        Directory with ``enterprises.toml``, ``profiles.toml`` and ``sites/*.toml``; files ``themes.toml``,
        ``parameters.toml`` and ``limits.toml`` in it take the place of the catalogues that ship with the package.
        None: the default registry.
    also : iterable of str
        Shipped profiles to be among ``profiles`` besides those that devices use.

    Returns
    -------
    Registry

    Raises
    ------
    RegistryError
        With every fault: file, line, table, what is wrong and what would be right.
    """
    path = DEFAULT if path is None else path
    if not path.is_dir():
        raise RegistryError([f"{path} is not a directory; {_FORM}"])
    return _Loader(path, also).registry()


class _Loader:
    """One reading of a registry; ``faults`` and ``files`` grow on the way."""

    def __init__(self, path: Path, also: Iterable[str]) -> None:
        self.path = path
        self.also = also
        self.faults: list[str] = []
        self.files: list[DataFile] = []

    def registry(self) -> Registry:
        """All of it, or RegistryError with every fault."""
        file = self._catalogue(themes.CATALOGUE)
        known_themes = themes.read_themes(file, self.faults) if file else {}
        file = self._catalogue(parameters.CATALOGUE)
        self.parameters = parameters.read_parameters(file, known_themes, self.faults) if file else {}
        file = self._catalogue(limits.CATALOGUE)
        self.limits, conditions = (
            limits.read_limits(file, self.parameters, known_themes, self.faults) if file else ({}, None)
        )
        sources = limits.read_sources(file, self.faults) if file else {}
        enterprises = self._entries("enterprises", Enterprise)
        kept = self.path / shipped_profiles.KEPT
        others = ShippedProfiles(
            self._read(kept, kept.name)
            if kept.exists()
            else self._read(shipped_profiles.CATALOGUE, f"catalogues/{shipped_profiles.CATALOGUE.name}"),
            self.faults,
        )
        check = ProfileCheck(self.parameters, others, self.faults)
        spoken = self._profiles(others)
        speeches = {entry.id: check.speech(entry) for entry in spoken if entry.id is not None}
        sites = self._sites([entry.id for entry in enterprises if entry.id is not None])
        used = {device.value.profile for site in sites for device in site.devices if device.value is not None}
        shipped = others.entries(used | set(self.also), self.parameters)
        speeches |= {entry.id: check.speech(entry) for entry in shipped if entry.id is not None}

        self._check_loggers(sites)
        known = Known(self.parameters, self.limits, dict.fromkeys(others.ids) | speeches, self.faults, others.refusal)
        channels: list[Channel] = []
        rules: list[Rule] = []
        neighbours = self._neighbours(sites, known)
        for site in sites:
            resolution = SiteResolution(
                site,
                known,
                first_channel=len(channels),
                first_rule=len(rules),
                neighbour=neighbours.get(site.id),
            )
            channels += resolution.channels.values()
            rules += resolution.rules
        claimed(_claims(sites, speeches), self.faults, others.refused_topic)
        if self.faults or conditions is None:
            raise RegistryError(self.faults)
        return Registry(
            enterprises=_values(enterprises),
            sites=tuple(
                site.site.borrowing(neighbours[site.id]) if site.id in neighbours else site.site
                for site in sites
                if site.site is not None
            ),
            profiles={profile.id: profile for profile in _values([*spoken, *shipped])},
            themes=known_themes,
            parameters=self.parameters,
            limits=self.limits,
            conditions=conditions,
            channels=tuple(channels),
            rules=tuple(rules),
            digest=_digest(self.files),
            sources=sources,
            neighbours=neighbours,
        )

    def _read(self, path: Path, name: str) -> DataFile | None:
        file = DataFile.read(path, name, self.faults)
        if file is not None:
            self.files.append(file)
        return file

    def _catalogue(self, shipped: Path) -> DataFile | None:
        own = self.path / shipped.name
        return self._read(own, own.name) if own.exists() else self._read(shipped, f"catalogues/{shipped.name}")

    def _entries(self, key: str, kind: type[S], complete: Complete = lambda row, _place: row) -> list[Entry[S]]:
        file = self._read(self.path / f"{key}.toml", f"{key}.toml")
        if file is None:
            return []
        file.expect([key], self.faults)
        return file.entries(key, kind, self.faults, complete)

    def _profiles(self, others: ShippedProfiles) -> list[Entry[Profile]]:
        """The installation's own profiles."""
        entries = self._entries("profiles", Profile, lambda row, place: others.complete(row, place, self.parameters))
        for entry in entries:
            if entry.id in {*others.ids, *others.templates}:
                self.faults.append(
                    f'{entry.place}: a profile "{entry.id}" ships with greenmine; choose another id, '
                    f'and based_on = "{entry.id}" to build upon it'
                )
        return entries

    def _neighbours(self, sites: list[SiteFile], known: Known) -> dict[str, Neighbour]:
        """By site: the weather station of another that it names, as the registry has that site, else as it was written out."""
        written = self._entries("neighbours", Neighbour) if (self.path / NEIGHBOURS).exists() else []
        there = {f"{one.site}/{one.station}": one for one in _values(written)}
        found = {}
        for file in sites:
            if file.site is None:
                continue
            named = file.site.weather or ""
            one = neighbour_of(file.site, sites, known)
            if one is None and named.partition("/")[0] not in {other.id for other in sites}:
                one = there.get(named)
            if one is not None:
                found[file.id] = one
        return found

    def _check_loggers(self, sites: list[SiteFile]) -> None:
        """A logger says its MN and nothing else of who it is, so no two sites may have the same."""
        owners: dict[str, tuple[str, str]] = {}
        for site in sites:
            for entry in site.devices:
                mn = entry.value.mn if entry.value else ""
                owner, place = owners.setdefault(mn, (site.id, entry.place))
                if mn and owner != site.id:
                    self.faults.append(f"{entry.place}: mn: {mn} is already that of {place}")

    def _check_kept(self, key: str, entries: list[Entry[Any]]) -> None:
        """A deadline comes after the look that set it, what is done was found before; approvals name limits that there are."""
        for entry in entries:
            if key == "approvals" and entry.value is not None:
                self.faults.extend(
                    f"{entry.place}: limits: there is no limit {limit!r}; {nearest(limit, self.limits)}"
                    for limit in entry.value.limits
                    if limit not in self.limits
                )
            if key == "inspections" and entry.value is not None:
                self.faults.extend(
                    f"{entry.place}: {name}: {when} lies before the inspection of {entry.value.day}"
                    for name in ("deadline", "done")
                    if (when := getattr(entry.value, name)) is not None and when < entry.value.day
                )

    def _sites(self, enterprises: list[str]) -> list[SiteFile]:
        """The site files in the order of batch and id."""
        paths = sorted((self.path / "sites").glob("*.toml"))
        if not paths:
            self.faults.append(f"{self.path} has no sites/*.toml; {_FORM}")
        sites = [self._site(path, enterprises) for path in paths]
        return sorted(sites, key=lambda file: (file.site.batch if file.site else 0, file.id))

    def _site(self, path: Path, enterprises: list[str]) -> SiteFile:
        name = f"sites/{path.name}"
        file = self._read(path, name)
        if file is None:
            return SiteFile(path.stem, None, [], [], [], [], [], [])
        stations = file.entries("stations", Station, self.faults)
        devices = file.entries("devices", Device, self.faults)
        calibrations = file.entries("calibrations", Calibration, self.faults)
        references = file.entries("references", ReferenceResult, self.faults)
        measures = file.entries("measures", Measure, self.faults)
        documents = file.entries("documents", Document, self.faults)
        kept = {key: file.entries(key, kind, self.faults) for key, kind in _KEPT.items()}
        for key, entries in kept.items():
            self._check_kept(key, entries)
        site = build(Site, {key: value for key, value in file.table.items() if key not in _ARRAYS}, name, self.faults)
        if site is not None:
            check_zone(site.zone, f"{name}: zone", self.faults)
            if site.id != path.stem:
                self.faults.append(f"{name}: id {site.id!r} and the file's name {path.stem!r} must be the same")
            if site.id == ALL_SITES:
                self.faults.append(f"{name}: id: {ALL_SITES!r} stands for all mines together; choose another one")
            if site.enterprise not in enterprises:
                near = nearest(site.enterprise, enterprises)
                self.faults.append(f"{name}: enterprise: there is no enterprise {site.enterprise!r}; {near}")
            site = msgspec.structs.replace(
                site,
                stations=_values(stations),
                devices=_values(devices),
                calibrations=_values(calibrations),
                references=_values(references),
                measures=_values(measures),
                documents=_values(documents),
                **{key: _values(entries) for key, entries in kept.items()},
            )
        return SiteFile(path.stem, site, stations, devices, calibrations, references, measures, documents)


def _values(entries: Iterable[Entry[S]]) -> tuple[S, ...]:
    return tuple(entry.value for entry in entries if entry.value is not None)


def _claims(sites: Iterable[SiteFile], speeches: dict[str, Speech | None]) -> Iterator[Claim]:
    """The sound devices of sound profiles."""
    for site in sites:
        for entry in site.devices:
            speech = speeches.get(entry.value.profile) if entry.value is not None else None
            if entry.value is not None and speech is not None:
                yield Claim(entry.place, site.id, entry.value, speech.profile)


def _digest(files: list[DataFile]) -> str:
    """SHA-256 over names, lengths and contents, so that no two sets of files are written alike."""
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda file: file.name):
        digest.update(f"{file.name}\n{len(file.content)}\n".encode())
        digest.update(file.content)
    return digest.hexdigest()
