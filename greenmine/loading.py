"""Reading a registry's files and checking them against each other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final, TypeVar
from zoneinfo import ZoneInfo, available_timezones

import msgspec

from greenmine import limits, parameters
from greenmine.durations import parse_duration
from greenmine.entries import Calibration, Device, Enterprise, Profile, Site, Station
from greenmine.registry import Channel, Registry, RegistryError, Rule
from greenmine.resolution import Known, SiteFile, SiteResolution, Speech
from greenmine.tables import DataFile, Entry, build, nearest
from greenmine.units import UnitError, conversion

S = TypeVar("S", bound=msgspec.Struct)

_FORM: Final = "a registry is a directory with enterprises.toml, profiles.toml and sites/*.toml"
_ARRAYS: Final = ("stations", "devices", "calibrations")


def load(path: Path) -> Registry:
    """The registry in a directory; see `greenmine.registry.load_registry`."""
    if not path.is_dir():
        raise RegistryError([f"{path} is not a directory; {_FORM}"])
    return _Loader(path).registry()


class _Loader:
    """One reading of a registry; ``faults`` and ``files`` grow on the way."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.faults: list[str] = []
        self.files: list[DataFile] = []

    def registry(self) -> Registry:
        """All of it, or RegistryError with every fault."""
        file = self._catalogue(parameters.CATALOGUE)
        self.parameters = parameters.read_parameters(file, self.faults) if file else {}
        file = self._catalogue(limits.CATALOGUE)
        known_limits, conditions = limits.read_limits(file, self.parameters, self.faults) if file else ({}, None)
        enterprises = self._entries("enterprises", Enterprise)
        profiles = self._entries("profiles", Profile)
        speeches = {entry.id: self._speech(entry) for entry in profiles if entry.id is not None}
        sites = self._sites([entry.id for entry in enterprises if entry.id is not None])

        self._check_loggers(sites)
        known = Known(self.parameters, known_limits, speeches, self.faults)
        channels: list[Channel] = []
        rules: list[Rule] = []
        for site in sites:
            resolution = SiteResolution(site, known, first_channel=len(channels), first_rule=len(rules))
            channels += resolution.channels.values()
            rules += resolution.rules
        if self.faults or conditions is None:
            raise RegistryError(self.faults)
        return Registry(
            enterprises=_values(enterprises),
            sites=tuple(site.site for site in sites if site.site is not None),
            profiles={profile.id: profile for profile in _values(profiles)},
            parameters=self.parameters,
            limits=known_limits,
            conditions=conditions,
            channels=tuple(channels),
            rules=tuple(rules),
            digest=_digest(self.files),
        )

    def _read(self, path: Path, name: str) -> DataFile | None:
        file = DataFile.read(path, name, self.faults)
        if file is not None:
            self.files.append(file)
        return file

    def _catalogue(self, shipped: Path) -> DataFile | None:
        own = self.path / shipped.name
        return self._read(own, own.name) if own.exists() else self._read(shipped, f"catalogues/{shipped.name}")

    def _entries(self, key: str, kind: type[S]) -> list[Entry[S]]:
        file = self._read(self.path / f"{key}.toml", f"{key}.toml")
        if file is None:
            return []
        file.expect([key], self.faults)
        return file.entries(key, kind, self.faults)

    def _speech(self, entry: Entry[Profile]) -> Speech | None:
        """What follows from a profile; None if it is faulty."""
        profile = entry.value
        if profile is None:
            return None
        before = len(self.faults)
        self._check_zone(profile.zone, f"{entry.place}: zone")
        interval = 0
        try:
            interval = parse_duration(profile.interval)
        except ValueError as error:
            self.faults.append(f"{entry.place}: interval: {error}")
        conversions: dict[str, tuple[float, float]] = {}
        for name, unit in profile.units.items():
            try:
                conversions[name] = conversion(unit, self.parameters[name].unit)
            except KeyError:
                self.faults.append(f"{entry.place}: units: {_no_parameter(name, self.parameters)}")
            except UnitError as error:
                self.faults.append(f"{entry.place}: units: {name}: {error}")
        given: dict[str, str] = {}
        for field, name in profile.fields.items():
            if name not in self.parameters:
                self.faults.append(f"{entry.place}: fields: {_no_parameter(name, self.parameters)}")
            elif given.setdefault(name, field) != field:
                self.faults.append(
                    f"{entry.place}: fields: {given[name]!r} and {field!r} both stand for {name}; keep one"
                )
        if profile.hj212 is not None and profile.format != "hj212":
            self.faults.append(f"{entry.place}: hj212: belongs to profiles of the format hj212, not {profile.format}")
        return Speech(profile, interval, conversions) if len(self.faults) == before else None

    def _check_loggers(self, sites: list[SiteFile]) -> None:
        """A logger says its MN and nothing else of who it is, so no two may have the same."""
        owners: dict[str, str] = {}
        for site in sites:
            for entry in site.devices:
                mn = entry.value.mn if entry.value else ""
                if mn and owners.setdefault(mn, entry.place) != entry.place:
                    self.faults.append(f"{entry.place}: mn: {mn} is already that of {owners[mn]}")

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
            return SiteFile(path.stem, None, [], [], [])
        stations = file.entries("stations", Station, self.faults)
        devices = file.entries("devices", Device, self.faults)
        calibrations = file.entries("calibrations", Calibration, self.faults)
        site = build(Site, {key: value for key, value in file.table.items() if key not in _ARRAYS}, name, self.faults)
        if site is not None:
            self._check_zone(site.zone, f"{name}: zone")
            if site.id != path.stem:
                self.faults.append(f"{name}: id {site.id!r} and the file's name {path.stem!r} must be the same")
            if site.enterprise not in enterprises:
                near = nearest(site.enterprise, enterprises)
                self.faults.append(f"{name}: enterprise: there is no enterprise {site.enterprise!r}; {near}")
            site = msgspec.structs.replace(
                site, stations=_values(stations), devices=_values(devices), calibrations=_values(calibrations)
            )
        return SiteFile(path.stem, site, stations, devices, calibrations)

    def _check_zone(self, zone: str, place: str) -> None:
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError):  # OSError: the name of a folder, such as "Asia"
            near = nearest(zone, sorted(available_timezones()))
            self.faults.append(f"{place}: there is no time zone {zone!r}; {near}")


def _values(entries: Iterable[Entry[S]]) -> tuple[S, ...]:
    return tuple(entry.value for entry in entries if entry.value is not None)


def _no_parameter(name: str, known: Iterable[str]) -> str:
    return f"there is no parameter {name!r}; {nearest(name, known)}"


def _digest(files: list[DataFile]) -> str:
    """SHA-256 over names, lengths and contents, so that no two sets of files are written alike."""
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda file: file.name):
        digest.update(f"{file.name}\n{len(file.content)}\n".encode())
        digest.update(file.content)
    return digest.hexdigest()
