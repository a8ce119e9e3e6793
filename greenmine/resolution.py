"""What follows from a site's stations and devices: its channels, and the rules that judge them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import msgspec

from greenmine.entries import (
    Calibration,
    Device,
    Document,
    Measure,
    Neighbour,
    Profile,
    ReferenceResult,
    Site,
    Station,
    Target,
)
from greenmine.limits import SHORT, Limit, Threshold, limit_for, not_measurable
from greenmine.parameters import Parameter
from greenmine.registry import Channel, Rule, WorkingTime
from greenmine.tables import Entry, nearest

_WIND: Final = ("wind-speed", "wind-direction")
_WEATHER: Final = ("wind-speed", "rain")
_FLOW: Final = "flow"
_STATE: Final = "equipment-state"


@dataclass(frozen=True, slots=True)
class Speech:
    """A profile with its interval [ms] and its factors and offsets per parameter."""

    profile: Profile
    interval: int
    conversions: dict[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Known:
    """What a site may refer to, and where its faults go."""

    parameters: dict[str, Parameter]
    limits: dict[str, Limit]
    profiles: dict[str, Speech | None]
    """None: the profile is faulty, which has been said, or ships and no device uses it."""
    faults: list[str]
    refusal: Callable[[str], str | None]
    """Why a profile that is not among them cannot be used; None: nothing is known of it."""


@dataclass(frozen=True, slots=True)
class SiteFile:
    """A site's file as far as it could be read."""

    id: str
    site: Site | None
    stations: list[Entry[Station]]
    devices: list[Entry[Device]]
    calibrations: list[Entry[Calibration]]
    references: list[Entry[ReferenceResult]]
    measures: list[Entry[Measure]]
    documents: list[Entry[Document]]


class SiteResolution:
    """The channels and rules of one site.

    Parameters
    ----------
    file : SiteFile
        The site.
    known : Known
        What it may refer to; its ``faults`` receive what is wrong.
    first_channel, first_rule : int
        Index of the site's first channel and rule.
    neighbour : Neighbour, optional
        Station of another site whose weather holds for the noise.
    """

    def __init__(
        self,
        file: SiteFile,
        known: Known,
        *,
        first_channel: int,
        first_rule: int,
        neighbour: Neighbour | None = None,
    ) -> None:
        self._file = file
        self._known = known
        self._faults = known.faults
        self._stations = [entry.id for entry in file.stations if entry.id is not None]
        self._servers: dict[tuple[str, str], Device] = {}
        """The device that serves a parameter of a station, sound or not: a faulty device is one fault, not several."""
        for entry in file.devices:
            if entry.value is not None:
                self._check_device(entry.place, entry.value)
        self.channels = self._channels(first_channel)
        if neighbour is not None:
            self._borrow(neighbour, first_channel)
        self._working = self._working_time()
        self.rules = self._rules(first_rule)
        self._check_weather()
        self._check_calibrations()
        self._check_references()
        for measure in file.measures:
            if measure.value is not None:
                self._check_measure(measure.place, measure.value)
        for document in file.documents:
            if document.value is not None and file.site is not None:
                self._find(document.value.item, file.site.requirement_items, "requirement item", document.place)

    def _check_device(self, place: str, device: Device) -> None:
        self._find(device.station, self._stations, "station", f"{place}: station")
        speech = self._speech(place, device.profile)
        if speech is not None and (speech.profile.format == "hj212") is not bool(device.mn):
            self._faults.append(f"{place}: mn belongs to devices of the format hj212, which each need one")
        for name in device.parameters:
            if not self._find(name, self._known.parameters, "parameter", f"{place}: parameters"):
                continue
            if speech is not None and name not in speech.conversions:
                self._faults.append(
                    f'{place}: profile "{device.profile}" {_lacks(speech.profile, self._known.parameters[name])}'
                )
            other = self._servers.setdefault((device.station, name), device)
            if other is not device:
                self._faults.append(f'{place}: {device.station}/{name} is already served by the device "{other.id}"')
        for key in ("measures_to", "method", "approval"):
            for name in getattr(device, key):
                self._find(name, device.parameters, "parameter of this device", f"{place}: {key}")
        for name, end in device.measures_to.items():
            if name in self._known.parameters and end <= max(self._known.parameters[name].low, 0.0):
                self._faults.append(f"{place}: measures_to: {name} must be above 0")
        for number, term in enumerate(device.verified, start=1):
            if term.parameter is not None:
                self._find(
                    term.parameter, device.parameters, "parameter of this device", f"{place}: verified number {number}"
                )
            if term.valid_to < term.valid_from:
                self._faults.append(
                    f"{place}: verified number {number}: valid_to {term.valid_to} comes before valid_from {term.valid_from}"
                )
        for number, held in enumerate(device.keys, start=1):
            if held.valid_to is not None and held.valid_to < held.valid_from:
                self._faults.append(
                    f"{place}: keys number {number}: valid_to {held.valid_to} comes before valid_from {held.valid_from}"
                )
        if device.keys and speech is not None and (speech.profile.receive_time or device.mn):
            self._faults.append(
                f"{place}: keys: nobody signs the time of receipt; a device that signs needs a profile of MQTT that sends its time"
            )
        repeated = sorted({name for name in device.parameters if device.parameters.count(name) > 1})
        self._faults.extend(f"{place}: parameters: {name} is there twice" for name in repeated)

    def _speech(self, place: str, profile: str) -> Speech | None:
        """The profile of a device, or None and a fault."""
        refusal = self._known.refusal(profile)
        if profile not in self._known.profiles and refusal is not None:
            self._faults.append(f"{place}: profile: {refusal}")
            return None
        named = self._find(profile, self._known.profiles, "profile", f"{place}: profile")
        return self._known.profiles[profile] if named else None

    def _channels(self, first: int) -> dict[tuple[str, str], Channel]:
        """Channels by station and parameter, in the order of stations, devices and their parameters."""
        order = {station: number for number, station in enumerate(self._stations)}
        found: dict[tuple[str, str], Channel] = {}
        for (station, name), device in sorted(self._servers.items(), key=lambda item: order.get(item[0][0], -1)):
            speech = self._known.profiles.get(device.profile)
            if speech is None or name not in speech.conversions:
                continue
            scale, offset = speech.conversions[name]
            found[station, name] = Channel(
                index=first + len(found),
                key=f"{self._file.id}/{station}/{name}",
                site=self._file.id,
                station=station,
                device=device.id,
                parameter=self._known.parameters[name],
                interval=speech.interval,
                scale=scale,
                offset=offset,
                sends_flags=speech.profile.sends_flags,
                upper=device.measures_to.get(name, math.inf),
            )
        return found

    def _borrow(self, neighbour: Neighbour, first: int) -> None:
        """Add channels for copies of another site's weather, behind the site's own."""
        station = neighbour.id
        if station in self._stations:
            self._faults.append(
                f"sites/{self._file.id}.toml: weather: a station of this site has the id {station!r}, by which the one of "
                f"{neighbour.site} goes here; give it another"
            )
        for name, interval in sorted(neighbour.intervals.items()):
            if name not in self._known.parameters:
                continue
            self.channels[station, name] = Channel(
                index=first + len(self.channels),
                key=f"{self._file.id}/{station}/{name}",
                site=self._file.id,
                station=station,
                device=station,
                parameter=self._known.parameters[name],
                interval=interval,
                scale=1.0,
                offset=0.0,
                sends_flags=True,
                upper=neighbour.measures_to.get(name, math.inf),
                origin=f"{neighbour.site}/{neighbour.station}/{name}",
            )

    def _rules(self, first: int) -> list[Rule]:
        """Rules in the order of stations and their limits, each followed by its targets."""
        found: list[Rule] = []
        for entry in self._file.stations:
            station = entry.value
            if station is None:
                continue
            days = [(background.period, background.date) for background in station.backgrounds]
            self._faults.extend(
                f"{entry.place}: backgrounds: the {period} has another background from {day}"
                for period, day in sorted({d for d in days if days.count(d) > 1})
            )
            if station.flow is not None and not any(device.value is None for device in self._file.devices):
                metered = [at for at, name in self._servers if name == _FLOW]
                self._find(station.flow, metered, f"station with {_FLOW}", f"{entry.place}: flow")
            for limit in self._limits(entry.place, station):
                targets = [target for target in station.targets if target.limit == limit.id]
                for number, target in enumerate(targets, start=1):
                    self._check_target(f"{entry.place}, targets for {limit.id} number {number}", limit, target)
                channel = self.channels.get((station.id, limit.parameter))
                if channel is None:
                    continue
                references = self._references(station, limit)
                for suffix, judged in [("", limit), *_own(limit, targets)]:
                    key = f"{self._file.id}/{station.id}/{limit.id}{suffix}"
                    index = first + len(found)
                    backgrounds = [
                        b for b in station.backgrounds if (judged.period, judged.window) == ("working", b.period)
                    ]
                    found.append(
                        Rule(
                            index=index,
                            key=key,
                            site=self._file.id,
                            station=station.id,
                            limit=judged,
                            channel=channel.index,
                            references=references,
                            working=self._working if judged.period == "working" else None,
                            flow=self._flow(station) if judged.due == "discharge" else None,
                            backgrounds=tuple(sorted(backgrounds, key=lambda b: b.date)),
                        )
                    )
        return found

    def _limits(self, place: str, station: Station) -> list[Limit]:
        """The limits of a station that exist; what its lists of limits and targets have wrong is reported."""
        found: list[Limit] = []
        for name in dict.fromkeys(station.limits):
            if station.limits.count(name) > 1:
                self._faults.append(f"{place}: limits: {name} is there twice")
            if self._find(name, self._known.limits, "limit", f"{place}: limits"):
                found.append(
                    limit_for(self._known.limits[name], self._file.site.established if self._file.site else None)
                )
                self._check_limit(place, station, found[-1])
        for target in station.targets:
            self._find(target.limit, station.limits, "limit of this station", f"{place}: targets: limit")
        return found

    def _check_limit(self, place: str, station: Station, limit: Limit) -> None:
        if any(entry.value is None for entry in self._file.devices):
            return  # what the faulty device would have served is unknown
        if (station.id, limit.parameter) not in self._servers:
            served = ", ".join(name for at, name in self._servers if at == station.id) or "nothing"
            self._faults.append(
                f"{place}: limits: {limit.id} judges {limit.parameter}, which no device serves here (served: {served}); "
                "add it to a device of this station or leave the limit out"
            )
        device = self._servers.get((station.id, limit.parameter))
        speech = None if device is None else self._known.profiles.get(device.profile)
        if device is not None and speech is not None and speech.interval > 60_000 * SHORT.get(limit.window, 60):
            self._faults.append(
                f'{place}: limits: {limit.id} judges windows of {limit.window}, and the device "{device.id}" sends '
                f"{limit.parameter} every {speech.interval / 1000:g} s: that says nothing of them"
            )
        if limit.works and self._file.site is not None and not self._file.site.works:
            self._faults.append(
                f"{place}: limits: {limit.id} binds brick and tile works; give the site works = true, or take a limit for quarries"
            )
        if limit.statistic == "county-difference":
            county = self._file.site.county if self._file.site is not None else None
            if (county, limit.parameter) not in self._servers or county == station.id:
                self._faults.append(
                    f"{place}: limits: {limit.id} subtracts what the county measures; name as county a station of the site that "
                    f"has its {limit.parameter}"
                )
        if limit.statistic != "difference":
            return
        if not any(name == limit.parameter and at != station.id for at, name in self._servers):
            self._faults.append(
                f"{place}: limits: {limit.id} is a difference and needs {limit.parameter} at another station of the site"
            )
        for wind in _WIND:
            if all(name != wind for _, name in self._servers):
                self._faults.append(f"{place}: limits: {limit.id} is a difference and needs {wind} at the site")

    def _check_target(self, place: str, limit: Limit, target: Target) -> None:
        parameter = self._known.parameters.get(limit.parameter)
        if parameter is not None:
            wrong = not_measurable(limit, parameter, target.low, target.high)
            self._faults.extend(f"{place}: {text}" for text in wrong)
        if target.low is None and target.high is None:
            self._faults.append(f"{place}: give low, high or both")
        if target.low is not None and target.high is not None and target.low > target.high:
            self._faults.append(f"{place}: low {target.low:g} lies above high {target.high:g}")
        if target.valid_to is not None and target.valid_to < target.valid_from:
            self._faults.append(f"{place}: valid_to {target.valid_to} comes before valid_from {target.valid_from}")
        for legal in limit.thresholds:
            if not _overlap(target, legal) or (legal.low is None and legal.high is None):
                continue
            since = f"in force from {max(target.valid_from, legal.valid_from)}"
            if target.high is not None and (legal.high is None or target.high > legal.high):
                allowed = "there is no upper one" if legal.high is None else f"{legal.high:g} {limit.unit}"
                self._faults.append(
                    f"{place}: high {target.high:g} is not stricter than the legal value {since}: {allowed}"
                )
            if target.low is not None and (legal.low is None or target.low < legal.low):
                allowed = "there is no lower one" if legal.low is None else f"{legal.low:g} {limit.unit}"
                self._faults.append(
                    f"{place}: low {target.low:g} is not stricter than the legal value {since}: {allowed}"
                )

    def _flow(self, station: Station) -> int | None:
        """The channel that tells when water is discharged at a station."""
        meter = self.channels.get((station.flow or station.id, _FLOW))
        return None if meter is None else meter.index

    def _references(self, station: Station, limit: Limit) -> tuple[int, ...]:
        if limit.statistic == "county-difference" and self._file.site is not None:
            county = self.channels.get((self._file.site.county or "", limit.parameter))
            return () if county is None else (county.index,)
        if limit.statistic != "difference":
            return ()
        return tuple(
            channel.index
            for (at, name), channel in self.channels.items()
            if name == limit.parameter and at != station.id
        )

    def _working_time(self) -> WorkingTime | None:
        """How working time is known; None: not at all."""
        working = self._file.site.working if self._file.site is not None else None
        if working is None:
            return None
        place = f"sites/{self._file.id}.toml: working"
        named = (working.equipment,) if isinstance(working.equipment, str) else working.equipment
        if not named and not working.hours:
            self._faults.append(f"{place}: give equipment, hours or both")
        if not any(entry.value is None for entry in self._file.devices):
            state = [at for at, name in self._servers if name == _STATE]
            for station in named:
                self._find(station, state, f"station with {_STATE}", f"{place}: equipment")
        hours = []
        for text in working.hours:
            first, last = (60 * int(clock[:2]) + int(clock[3:]) for clock in text.split("-"))
            if first == last:
                self._faults.append(f"{place}: hours: {text} must end after it begins; 00:00-24:00 is the whole day")
            hours.append((first, last if last > first else last + 1440))
        served = [self.channels[at, _STATE].index for at in named if (at, _STATE) in self.channels]
        return WorkingTime(tuple(served), tuple(hours))

    def _check_weather(self) -> None:
        site = self._file.site
        if site is None or site.weather is None or any(entry.value is None for entry in self._file.devices):
            return
        if "/" in site.weather:
            return  # of another site: `neighbour_of`
        served = {at for at, name in self._servers if name in _WEATHER}
        self._find(site.weather, served, "station with wind-speed or rain", f"sites/{self._file.id}.toml: weather")

    def _check_calibrations(self) -> None:
        seen: set[tuple[str, str, object]] = set()
        for entry in self._file.calibrations:
            calibration = entry.value
            if calibration is None:
                continue
            station, parameter = calibration.station, calibration.parameter
            if self._find(station, self._stations, "station", f"{entry.place}: station"):
                served = [name for at, name in self._servers if at == station]
                self._find(parameter, served, f"channel of {station} for", f"{entry.place}: parameter")
            if calibration.slope <= 0:
                self._faults.append(f"{entry.place}: slope must be above 0; 1.0 leaves values as they are")
            if (station, parameter, calibration.valid_from) in seen:
                self._faults.append(f"{entry.place}: {station}/{parameter} has another calibration from this instant")
            seen.add((station, parameter, calibration.valid_from))

    def _check_references(self) -> None:
        seen: set[tuple[str, str, object]] = set()
        for entry in self._file.references:
            result = entry.value
            if result is None:
                continue
            station, parameter = result.station, result.parameter
            if self._find(station, self._stations, "station", f"{entry.place}: station"):
                served = [name for at, name in self._servers if at == station]
                if self._find(parameter, served, f"channel of {station} for", f"{entry.place}: parameter"):
                    self._check_measurable(entry.place, self._known.parameters[parameter], result.value)
            if result.end - result.start != timedelta(hours=1):
                self._faults.append(f"{entry.place}: start and end must be an hour apart: it is the result of one hour")
            hour = (result.end - timedelta(microseconds=1)).replace(minute=0, second=0, microsecond=0)
            if (station, parameter, hour) in seen:
                self._faults.append(f"{entry.place}: {station}/{parameter} has another result that ends in this hour")
            seen.add((station, parameter, hour))

    def _check_measurable(self, place: str, parameter: Parameter, value: float) -> None:
        """A laboratory finds nothing below zero, and nothing beyond all that is plausible."""
        least = max(parameter.low, 0.0)
        if not least <= value <= parameter.high:
            self._faults.append(
                f"{place}: value {value:g} is no {parameter.id} that can be found: "
                f"those lie from {least:g} to {parameter.high:g} {parameter.unit}"
            )

    def _check_measure(self, place: str, measure: Measure) -> None:
        if (measure.equipment is None) is (measure.since is None):
            self._faults.append(
                f"{place}: give either equipment, which is on and off, or since, before and after which"
            )
        if measure.runs and measure.equipment is None:
            self._faults.append(f"{place}: runs are those of an equipment; name it")
        for run in measure.runs:
            first, last = run.split("-")
            if first >= last:
                self._faults.append(f"{place}: runs: {run} must end after it begins, on the same day")
        if not any(entry.value is None for entry in self._file.devices):  # what a faulty device would serve is unknown
            self._check_channels(place, measure)

    def _check_channels(self, place: str, measure: Measure) -> None:
        """The channels that a measure needs."""
        state = [at for at, name in self._servers if name == _STATE]
        for key in ("equipment", "activity"):
            named = getattr(measure, key)
            if named is not None:
                self._find(named, state, f"station with {_STATE}", f"{place}: {key}")
        for key in ("station", "reference"):
            named = getattr(measure, key)
            if named is not None and self._find(named, self._stations, "station", f"{place}: {key}"):
                served = [name for at, name in self._servers if at == named]
                self._find(measure.parameter, served, f"channel of {named} for", f"{place}: parameter")
        parameter = self._known.parameters.get(measure.parameter)
        if parameter is not None and parameter.theme not in {"dust", "noise"}:
            self._faults.append(f"{place}: parameter: {measure.parameter} is neither dust nor noise")
        if parameter is not None and parameter.theme == "dust":
            self._faults.extend(
                f"{place}: an effect on dust is told at comparable wind and needs {wind} at the site"
                for wind in _WIND
                if all(name != wind for _, name in self._servers)
            )

    def _find(self, name: str, known: Iterable[str], what: str, place: str) -> bool:
        known = list(known)
        if name in known:
            return True
        self._faults.append(f"{place}: there is no {what} {name!r}; {nearest(name, known)}")
        return False


def neighbour_of(site: Site, others: Iterable[SiteFile], known: Known) -> Neighbour | None:
    """Return the weather station of another site that a site names; None: it names none, or there is no such site.

    A site that has left the registry stops nothing: its weather is not shown any more. What the site lacks, or a station of it, is
    a fault.
    """
    name, slash, station = (site.weather or "").partition("/")
    other = next((file for file in others if file.id == name), None)
    if not slash or other is None or other.site is None or any(entry.value is None for entry in other.devices):
        return None
    place = f"sites/{site.id}.toml: weather"
    if name == site.id:
        known.faults.append(f"{place}: {site.weather!r} is of this site; write {station!r}")
        return None
    found = next((one for one in other.site.stations if one.id == station), None)
    if found is None:
        there = [one.id for one in other.site.stations]
        known.faults.append(f"{place}: there is no station {station!r} of {name}; {nearest(station, there)}")
        return None
    served = {
        parameter: device
        for device in other.site.devices
        if device.station == station
        for parameter in device.parameters
        if parameter in _WEATHER
    }
    if missing := [parameter for parameter in _WEATHER if parameter not in served]:
        known.faults.append(
            f"{place}: {site.weather} measures no {' and no '.join(missing)}; noise needs wind and rain of one station"
        )
        return None
    speeches = {parameter: known.profiles.get(device.profile) for parameter, device in served.items()}
    owner = other.site
    return Neighbour(
        site=name,
        station=station,
        name_zh=f"{owner.short_name_zh or owner.name_zh} · {found.name_zh}",
        name_en=f"{owner.short_name_en or owner.name_en} · {found.name_en}",
        position=found.position,
        intervals={parameter: speech.interval for parameter, speech in speeches.items() if speech is not None},
        measures_to={
            parameter: device.measures_to[parameter]
            for parameter, device in served.items()
            if parameter in device.measures_to
        },
        calibrations=tuple(one for one in owner.calibrations if one.station == station and one.parameter in served),
    )


def _lacks(profile: Profile, parameter: Parameter) -> str:
    """What a profile must say for a parameter to be had from it."""
    if profile.mapping is not None:
        found = ", ".join(dict.fromkeys(value.parameter for value in profile.mapping.values))
        return f"finds no {parameter.id} (it finds: {found}); add it to the values of its mapping"
    return f'names no unit for {parameter.id}; add {parameter.id} to its units, such as "{parameter.id}" = "{parameter.unit}"'


def _own(limit: Limit, targets: list[Target]) -> list[tuple[str, Limit]]:
    """A legal limit with the values of a station's own targets, and what their rules' keys end with."""
    return [
        (
            f"#target-{number}",
            msgspec.structs.replace(
                limit,
                kind=target.kind,
                thresholds=(
                    Threshold(
                        valid_from=target.valid_from,
                        valid_to=target.valid_to,
                        low=target.low,
                        high=target.high,
                        source=target.source,
                        clause="",
                        confidence="set by the enterprise",
                    ),
                ),
            ),
        )
        for number, target in enumerate(targets, start=1)
    ]


def _overlap(target: Target, legal: Threshold) -> bool:
    """Whether both are in force on some day; first and last days are included."""
    return target.valid_from <= (legal.valid_to or date.max) and legal.valid_from <= (target.valid_to or date.max)
