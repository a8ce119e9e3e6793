"""The plan of the uplink: what of which site goes to which platform, from a file that is checked at start."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from math import log10
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from greenmine.collector.hj212.compose import Sender
from greenmine.collector.hj212.keys import KeyRing
from greenmine.collector.hj212.link import Terms
from greenmine.collector.hj212.rules import choices, rule
from greenmine.collector.hj212.secret import Secret
from greenmine.durations import parse_duration
from greenmine.registry import Channel, Registry
from greenmine.tables import DataFile, DataFileError, Entry, Id, nearest
from greenmine.units import UnitError, conversion

Command = Literal["2011", "2021", "2051", "2061", "2031"]
"""Kinds of report: instants, states of equipment, minutes, hours, days."""

_CODE: Final = re.compile(r"[0-9A-Za-z]+")
_WORD: Final = re.compile(r"[^;,&=#\s]{1,6}")
_DERIVED: Final = frozenset({"L10", "L50", "L90", "Ld", "Ln", "Ldn"})
"""Codes that are sent beside that of a sound level."""


class UplinkFactor(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One channel of the site and how it is sent."""

    station: str
    parameter: str
    code: str | None = None
    """Factor code; None: that of the catalogue of parameters."""
    instant: str | None = None
    """Factor code in 2011, where the platform wants another there, such as LA for a sound level."""
    unit: str | None = None
    """Unit in which it is sent; None: the parameter's own."""
    decimals: Annotated[int, msgspec.Meta(ge=0, le=6)] | None = None
    """Digits behind the point; None: those of the parameter, carried over to the unit."""


class UplinkFeed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One MN on one platform."""

    id: Id
    site: str
    host: str
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)]
    tls: bool = False
    ca: str | None = None
    """File of certificate authorities; None: the system's."""
    mn: Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z]{1,24}\Z")]
    password_env: str | None = None
    """Environment variable that holds PW."""
    password_file: str | None = None
    """File that holds PW."""
    keys_file: str | None = None
    """File with a line ``MN = KEY`` for each key of SM4, beside the plan; None: nothing is encrypted."""
    plain_length: bool = True
    """Whether encrypted frames tell the length of their plain segment, as in the examples of HJ 212-2025; else of what travels."""
    st: Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Z][0-9]\Z")]
    version: Literal[2017, 2025] = 2017
    commands: tuple[Command, ...] = ("2011", "2021", "2051", "2061", "2031")
    rtd_interval: int = 60
    """Distance of the instants of 2011 and 2021 [s]."""
    min_interval: int = 10
    """Length of the periods of 2051 [min]."""
    wait: str = "30s"
    """How long after its instant or period a report is made, so that all devices have had their say."""
    overtime: Annotated[float, msgspec.Meta(gt=0, le=99)] | None = None
    """How long to wait for an answer [s]; None: the standard's time."""
    recount: Annotated[int, msgspec.Meta(ge=1, le=99)] | None = None
    """How often to send again; None: as often as the standard says."""
    longest_pause: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 60.0
    """Longest pause before the next connection [s]."""
    heartbeat: Annotated[float, msgspec.Meta(gt=0, le=3600)] | None = None
    """Distance of the heartbeats of 2025 [s]; None: none are sent."""
    since: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    """What is older is sent only when the platform asks for it; None: older than the first start."""
    factors: Annotated[tuple[UplinkFactor, ...], msgspec.Meta(min_length=1)]


@dataclass(frozen=True, slots=True)
class UplinkCalibration:
    """Slope and offset in force before the first instant and from each instant on."""

    since: NDArray[np.int64]
    """Shape (k,) [ms UTC]."""
    slope: NDArray[np.float64]
    """Shape (k + 1,)."""
    offset: NDArray[np.float64]
    """Shape (k + 1,)."""


@dataclass(frozen=True, slots=True)
class UplinkColumn:
    """A factor, ready for use."""

    channel: Channel
    code: str
    instant: str
    """Code in 2011 and 2021."""
    scale: float
    offset: float
    """``value sent = (canonical value - offset) / scale``."""
    decimals: int
    calibration: UplinkCalibration

    @property
    def noise(self) -> bool:
        """Whether it is sound, which the standard sends in a form of its own."""
        return self.channel.parameter.theme == "noise"

    @property
    def state(self) -> bool:
        """Whether it is the state of equipment, which goes by 2021 alone."""
        return self.channel.parameter.is_state


@dataclass(frozen=True, slots=True)
class UplinkRoute:
    """A feed, ready for use."""

    id: str
    site: str
    zone: str
    host: str
    port: int
    tls: ssl.SSLContext | None
    sender: Sender
    keys: KeyRing
    """Those of SM4; none: nothing is encrypted."""
    plain_length: bool
    commands: tuple[Command, ...]
    rtd: int
    """[ms]"""
    minutes: int
    """[ms]"""
    wait: int
    """[ms]"""
    terms: Terms
    longest_pause: float
    """[s]"""
    heartbeat: float | None
    """[s]"""
    since: int | None
    """[ms UTC]"""
    day_hours: int
    """Hours of a day that are no night."""
    columns: tuple[UplinkColumn, ...]

    def columns_of(self, command: str) -> tuple[UplinkColumn, ...]:
        """The factors that a kind of report is made of."""
        return tuple(column for column in self.columns if column.state == (command == "2021"))


class PlanError(DataFileError):
    """A plan that cannot be used, with every fault found in it."""


def load_plan(path: Path, registry: Registry, environment: Mapping[str, str] = os.environ) -> tuple[UplinkRoute, ...]:
    """Read and check a plan.

    Parameters
    ----------
    path : Path
        TOML file with ``[[feeds]]``; see ``docs/uplink.md``.
    registry : Registry
        Has the sites and channels.
    environment : mapping
        Holds passwords.

    Raises
    ------
    PlanError
        With every fault: file, line, table, what is wrong and what would be right. Passwords are not part of it.
    """
    faults: list[str] = []
    routes: list[UplinkRoute] = []
    file = DataFile.read(path, path.name, faults)
    if file is not None:
        file.expect(["feeds"], faults)
        entries = file.entries("feeds", UplinkFeed, faults)
        if not entries and not faults:
            faults.append(f"{path.name}: has no [[feeds]]; write one for each MN on a platform")
        numbers: dict[tuple[str, int, str], str] = {}
        for entry in entries:
            if entry.value is None:
                continue
            feed = entry.value
            key = feed.host, feed.port, feed.mn
            if numbers.setdefault(key, feed.id) != feed.id:
                faults.append(f"{entry.place}: mn {feed.mn} at this platform is already that of {numbers[key]!r}")
            route = _route(feed, entry, path.parent, registry, environment, faults)
            if route is not None:
                routes.append(route)
    if faults:
        raise PlanError(faults)
    return tuple(routes)


def _route(
    feed: UplinkFeed,
    entry: Entry[UplinkFeed],
    folder: Path,
    registry: Registry,
    environment: Mapping[str, str],
    faults: list[str],
) -> UplinkRoute | None:
    before = len(faults)
    place = entry.place
    sites = [site.id for site in registry.sites]
    if feed.site not in sites:
        faults.append(f"{place}: site {feed.site!r} is not in the registry; {nearest(feed.site, sites)}")
        return None
    if not rule("rtd-least") <= feed.rtd_interval <= rule("rtd-most"):
        low, high = rule("rtd-least"), rule("rtd-most")
        faults.append(f"{place}: rtd_interval {feed.rtd_interval} is not from {low:g} to {high:g} seconds")
    if feed.heartbeat is not None and feed.version != 2025:
        faults.append(f"{place}: heartbeat needs version = 2025; earlier editions have none")
    columns = [
        column
        for number, factor in enumerate(feed.factors, start=1)
        if (column := _column(feed, factor, f"{place}: factors number {number}", registry, faults)) is not None
    ]
    fixed = feed.version == 2025 and any(column.noise for column in columns)
    minutes = choices("minute-intervals-noise-2025" if fixed else "minute-intervals")
    if feed.min_interval not in minutes and "2051" in feed.commands:
        why = " for noise of 2025" if fixed else ""
        faults.append(f"{place}: min_interval {feed.min_interval} is not one of {', '.join(map(str, minutes))}{why}")
    for names in ([column.code for column in columns], [column.instant for column in columns]):
        faults.extend(
            f"{place}: the code {code} is that of two factors; give one of the stations an MN of its own"
            for code in sorted({name for name in names if names.count(name) > 1})
        )
    password = _password(feed, place, folder, environment, faults)
    wait = 0
    try:
        wait = parse_duration(feed.wait)
    except ValueError as error:
        faults.append(f"{place}: wait {error}")
    tls = _tls(feed, place, folder, faults)
    keys = _keys(feed, place, folder, faults)
    if len(faults) > before or password is None or keys is None:
        return None
    site = registry.site(feed.site)
    return UplinkRoute(
        id=feed.id,
        site=feed.site,
        zone=site.zone,
        host=feed.host,
        port=feed.port,
        tls=tls,
        sender=Sender(feed.mn, feed.st, password, feed.version),
        keys=keys,
        plain_length=feed.plain_length,
        commands=feed.commands,
        rtd=feed.rtd_interval * 1000,
        minutes=feed.min_interval * 60_000,
        wait=wait,
        terms=Terms(
            rule("overtime") if feed.overtime is None else feed.overtime,
            int(rule("recount")) if feed.recount is None else feed.recount,
        ),
        longest_pause=feed.longest_pause,
        heartbeat=feed.heartbeat,
        since=None if feed.since is None else int(feed.since.timestamp() * 1000),
        day_hours=registry.conditions.night_start - registry.conditions.day_start,
        columns=tuple(columns),
    )


def _column(
    feed: UplinkFeed, factor: UplinkFactor, place: str, registry: Registry, faults: list[str]
) -> UplinkColumn | None:
    channels = {(c.station, c.parameter.id): c for c in registry.site_channels(feed.site)}
    channel = channels.get((factor.station, factor.parameter))
    if channel is None:
        known = [f"{station}/{parameter}" for station, parameter in channels]
        wanted = f"{factor.station}/{factor.parameter}"
        faults.append(f"{place}: {feed.site} has no channel {wanted!r}; {nearest(wanted, known)}")
        return None
    parameter = channel.parameter
    if parameter.is_state and factor.code is None:
        faults.append(f"{place}: equipment needs a code, such as SB1: what the platform's operator calls it")
        return None
    code = parameter.hj212 if factor.code is None else factor.code
    instant = code if factor.instant is None else factor.instant
    for name in (code, instant):
        if _CODE.fullmatch(name) is None:
            faults.append(f"{place}: {name!r} is no factor code; letters and digits are, such as a34002")
        elif parameter.theme == "noise" and name in _DERIVED:
            faults.append(f"{place}: {name} is sent beside the level that it is taken from; write Leq")
    try:
        scale, offset = (1.0, 0.0) if factor.unit is None else conversion(factor.unit, parameter.unit)
    except UnitError as error:
        faults.append(f"{place}: unit {error}")
        return None
    decimals = max(0, parameter.decimals + round(log10(abs(scale)))) if factor.decimals is None else factor.decimals
    return UplinkColumn(channel, code, instant, scale, offset, decimals, _calibration(registry, channel))


def _calibration(registry: Registry, channel: Channel) -> UplinkCalibration:
    steps = sorted(
        (int(entry.valid_from.timestamp() * 1000), entry.slope, entry.offset)
        for entry in registry.site(channel.site).calibrations
        if (entry.station, entry.parameter) == (channel.station, channel.parameter.id)
    )
    return UplinkCalibration(
        np.array([step[0] for step in steps], np.int64),
        np.array([1.0, *(step[1] for step in steps)]),
        np.array([0.0, *(step[2] for step in steps)]),
    )


def _password(
    feed: UplinkFeed, place: str, folder: Path, environment: Mapping[str, str], faults: list[str]
) -> Secret | None:
    if (feed.password_env is None) == (feed.password_file is None):
        faults.append(f"{place}: name either password_env or password_file, which holds the password")
        return None
    if feed.password_env is not None:
        word = environment.get(feed.password_env)
        source = f"the environment variable {feed.password_env}"
    else:
        path = folder / str(feed.password_file)
        source = f"the file {feed.password_file}"
        try:
            word = path.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError):
            word = None
    if word is None:
        faults.append(f"{place}: {source} holds no password; it is not there or cannot be read")
    elif _WORD.fullmatch(word) is None:
        faults.append(f"{place}: {source} holds no password of HJ 212: 1 to 6 signs without blanks and ; , & = #")
    else:
        return Secret(word)
    return None


def _keys(feed: UplinkFeed, place: str, folder: Path, faults: list[str]) -> KeyRing | None:
    if feed.keys_file is None:
        return KeyRing(None)
    if feed.version != 2025:
        faults.append(f"{place}: keys_file needs version = 2025; earlier editions encrypt nothing")
        return None
    try:
        keys = KeyRing(folder / feed.keys_file)
    except ValueError as error:
        faults.append(f"{place}: keys_file: {error}")
        return None
    if not keys.of(feed.mn):
        faults.append(f"{place}: keys_file: {feed.keys_file} has no key of {feed.mn}")
        return None
    return keys


def _tls(feed: UplinkFeed, place: str, folder: Path, faults: list[str]) -> ssl.SSLContext | None:
    if not feed.tls:
        if feed.ca is not None:
            faults.append(f"{place}: ca needs tls = true")
        return None
    try:
        return ssl.create_default_context(cafile=None if feed.ca is None else str(folder / feed.ca))
    except (OSError, ssl.SSLError) as error:
        faults.append(f"{place}: ca {feed.ca} cannot be read: {error}")
        return None
