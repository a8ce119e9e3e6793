"""The registry: enterprises, sites, stations, devices and channels, from data files checked at start."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from typing import Final

from greenmine.entries import (
    AcousticCheck,
    Background,
    Calibration,
    Device,
    Document,
    Enterprise,
    Measure,
    Neighbour,
    Position,
    Profile,
    ReferenceResult,
    Role,
    Site,
    Station,
    Target,
)
from greenmine.limits import Conditions, Limit
from greenmine.parameters import Parameter
from greenmine.tables import CATALOGUES, DataFileError
from greenmine.themes import Theme

__all__ = [
    "DEFAULT",
    "AcousticCheck",
    "Background",
    "Calibration",
    "Channel",
    "Device",
    "Document",
    "Enterprise",
    "Measure",
    "Neighbour",
    "Position",
    "Profile",
    "ReferenceResult",
    "Registry",
    "RegistryError",
    "Role",
    "Rule",
    "Site",
    "Station",
    "Target",
    "WorkingTime",
]

DEFAULT: Final = CATALOGUES / "registry"
"""The registry that ships with the package: five mines of Wanzhou, with example stations."""


class RegistryError(DataFileError):
    """A registry that cannot be used, with every fault found in it."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One parameter at one station: the smallest stream of readings."""

    index: int
    key: str
    """``site/station/parameter``."""
    site: str
    station: str
    device: str
    parameter: Parameter
    interval: int
    """Time between readings [ms]."""
    scale: float
    """``canonical value = scale * value sent + offset``."""
    offset: float
    sends_flags: bool
    upper: float = math.inf
    """Upper end of the instrument's measuring range, in the canonical unit; a value beyond it is a lower bound."""
    origin: str = ""
    """Key of the channel of another site whose readings these are copies of; empty: its own."""


@dataclass(frozen=True, slots=True)
class WorkingTime:
    """How the working time of a site is known."""

    equipment: tuple[int, ...]
    """Channels of ``equipment-state``: the site works while one of them is on."""
    hours: tuple[tuple[int, int], ...]
    """Timetable [minutes of the local day, half-open; beyond 1440: of the next day]; it holds where the equipment is silent."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One limit at one station."""

    index: int
    key: str
    """``site/station/limit``, with ``#target-1`` … behind it for the station's own targets."""
    site: str
    station: str
    limit: Limit
    """For a target: the legal limit with its thresholds replaced and its kind changed."""
    channel: int
    """Index of the judged channel."""
    references: tuple[int, ...]
    """Channels of the same parameter that are subtracted: for the statistic ``difference`` at the other stations of the site, of
    which one lies upwind; for ``county-difference`` that of the county's station; else ()."""
    working: WorkingTime | None = None
    """For limits on working time: how it is known; None: it is not, or all time counts."""
    flow: int | None = None
    """For limits on hours of discharge: channel of the flow meter; None: there is none, or all hours count."""
    backgrounds: tuple[Background, ...] = ()
    """For limits on the noise of a source: background levels of their period, by day."""

    def moved(self, index: int, place: Mapping[int, int]) -> Rule:
        """Return the same rule where it and its channels have other numbers."""
        working = self.working and replace(self.working, equipment=tuple(place[c] for c in self.working.equipment))
        return replace(
            self,
            index=index,
            channel=place[self.channel],
            references=tuple(place[c] for c in self.references),
            working=working,
            flow=None if self.flow is None else place[self.flow],
        )

    def background_on(self, day: date) -> float | None:
        """Background level that holds on a day; None: none was measured up to then."""
        return next((b.level for b in reversed(self.backgrounds) if b.date <= day), None)


def townships(registry: Registry) -> list[str]:
    """Townships and subdistricts of the mines, each once, in the order of the sites."""
    return list(dict.fromkeys(site.township_zh for site in registry.sites if site.township_zh))


@dataclass(frozen=True)
class Registry:
    """What is measured where, by what, and judged how. Sites are in the order of batch and id."""

    enterprises: tuple[Enterprise, ...]
    sites: tuple[Site, ...]
    profiles: dict[str, Profile]
    themes: dict[str, Theme]
    """In the order in which they are shown."""
    parameters: dict[str, Parameter]
    limits: dict[str, Limit]
    conditions: Conditions
    channels: tuple[Channel, ...]
    """In the order of sites, stations, devices and their parameters; the index counts through."""
    rules: tuple[Rule, ...]
    """In the order of sites, stations and their limits, each followed by its targets."""
    digest: str
    """SHA-256 over all files that it was read from."""
    sources: dict[str, str] = field(default_factory=dict)
    """SHA-256 of the texts in which limits were read, by the standard's name."""
    neighbours: dict[str, Neighbour] = field(default_factory=dict)
    """By site: the weather station of another one on which its noise rests."""

    @cached_property
    def judged_themes(self) -> tuple[Theme, ...]:
        """Themes that limits may judge, in order."""
        return tuple(theme for theme in self.themes.values() if theme.judged)

    def is_judged(self, parameter: str) -> bool:
        """Return whether limits may judge a parameter; KeyError if there is no such parameter."""
        return self.themes[self.parameters[parameter].theme].judged

    def measured(self) -> Registry:
        """What is measured where and judged how: without the mines' acceptance files, and without a digest."""
        return replace(self, digest="", sites=tuple(site.without_file() for site in self.sites))

    def part(self, sites: Collection[str]) -> Registry:
        """Return some sites of it, with all that they rest on; channels and rules are counted anew."""
        if len(sites) == len(self.sites):
            return self
        channels = tuple(c for c in self.channels if c.site in sites)
        place = {c.index: index for index, c in enumerate(channels)}
        rules = tuple(rule for rule in self.rules if rule.site in sites)
        return replace(
            self,
            sites=tuple(site for site in self.sites if site.id in sites),
            channels=tuple(replace(c, index=place[c.index]) for c in channels),
            rules=tuple(rule.moved(index, place) for index, rule in enumerate(rules)),
            neighbours={site: one for site, one in self.neighbours.items() if site in sites},
        )

    def site(self, site: str) -> Site:
        """The site of this id; KeyError if there is none."""
        return self._sites[site]

    def station(self, site: str, station: str) -> Station:
        """The station of these ids; KeyError if there is none."""
        return self._stations[site, station]

    def device(self, site: str, device: str) -> Device:
        """The device of these ids; KeyError if there is none."""
        return self._devices[site, device]

    def device_channels(self, site: str, device: str) -> dict[str, Channel]:
        """The channels of a device by parameter; KeyError if there is no such device."""
        return self._device_channels[site, device]

    def site_channels(self, site: str) -> tuple[Channel, ...]:
        """The channels of a site; KeyError if there is no such site."""
        return self._site_channels[site]

    def own_channels(self, site: str) -> tuple[Channel, ...]:
        """The channels of a site without the weather that another one lends it; KeyError if there is no such site."""
        return tuple(channel for channel in self._site_channels[site] if not channel.origin)

    @cached_property
    def lent(self) -> tuple[tuple[int, int], ...]:
        """Channels of weather that other sites borrow, each with the channel there that holds the copies."""
        index = {channel.key: channel.index for channel in self.channels}
        return tuple((index[c.origin], c.index) for c in self.channels if c.origin in index)

    def borrowers(self, site: str, station: str) -> list[str]:
        """Ids of the sites whose noise rests on the weather of a station of another."""
        return [one for one, n in self.neighbours.items() if (n.site, n.station) == (site, station)]

    def site_rules(self, site: str) -> tuple[Rule, ...]:
        """The rules of a site; KeyError if there is no such site."""
        return self._site_rules[site]

    def channel(self, key: str) -> Channel | None:
        """The channel of this key; None if there is none."""
        return self._channels_by_key.get(key)

    def rule(self, key: str) -> Rule | None:
        """The rule of this key; None if there is none."""
        return self._rules_by_key.get(key)

    @cached_property
    def _sites(self) -> dict[str, Site]:
        return {site.id: site for site in self.sites}

    @cached_property
    def _stations(self) -> dict[tuple[str, str], Station]:
        return {(site.id, station.id): station for site in self.sites for station in site.stations}

    @cached_property
    def _devices(self) -> dict[tuple[str, str], Device]:
        return {(site.id, device.id): device for site in self.sites for device in site.devices}

    @cached_property
    def _device_channels(self) -> dict[tuple[str, str], dict[str, Channel]]:
        found: dict[tuple[str, str], dict[str, Channel]] = {key: {} for key in self._devices}
        for channel in self.channels:
            if not channel.origin:
                found[channel.site, channel.device][channel.parameter.id] = channel
        return found

    @cached_property
    def _site_channels(self) -> dict[str, tuple[Channel, ...]]:
        found: dict[str, list[Channel]] = {site.id: [] for site in self.sites}
        for channel in self.channels:
            found[channel.site].append(channel)
        return {site: tuple(some) for site, some in found.items()}

    @cached_property
    def _site_rules(self) -> dict[str, tuple[Rule, ...]]:
        found: dict[str, list[Rule]] = {site.id: [] for site in self.sites}
        for rule in self.rules:
            found[rule.site].append(rule)
        return {site: tuple(some) for site, some in found.items()}

    @cached_property
    def _channels_by_key(self) -> dict[str, Channel]:
        return {channel.key: channel for channel in self.channels}

    @cached_property
    def _rules_by_key(self) -> dict[str, Rule]:
        return {rule.key: rule for rule in self.rules}
