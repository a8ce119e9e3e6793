"""The data loggers of the registry, each with its password."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from greenmine.collector.hj212.codes import VERSIONS, codes
from greenmine.collector.hj212.dialect import Dialect
from greenmine.collector.hj212.message import Message, Value
from greenmine.collector.hj212.secret import Secret
from greenmine.collector.hj212.server.pace import FramePace
from greenmine.collector.hj212.server.plausibility import UnitCheck
from greenmine.entries import LoggerProfile
from greenmine.parameters import Parameter
from greenmine.registry import Channel, Registry
from greenmine.settings import Settings

Network = IPv4Network | IPv6Network

DAY_LEVEL: Final = "Ld-DayData"
"""The equivalent level of the day hours, beside ``Leq-Data`` in a day's report of noise (HJ 212-2017, C.27)."""


@dataclass(frozen=True, slots=True)
class Logger:
    """A data logger as the server sees it.

    Parameters
    ----------
    number : int
        Index of the device among those of all sites.
    site, device, mn : str
        Ids, and how it names itself.
    password : Secret or None
        Its PW; None: it is admitted by its address alone.
    addresses : tuple of ip_network
        Where it may call from without PW.
    speech : LoggerProfile
        How it speaks.
    dialect : Dialect
        What of that concerns the codec.
    sends_flags, receive_time : bool
        See ``greenmine.entries.Profile``.
    channels : dict of str to Channel
        By factor code, or by code, hyphen and kind.
    in_small_letters : dict of str to Channel
        The same, for loggers that send capitals.
    units : UnitCheck
        Whether its values fit their units.
    pace : FramePace
        Bounds its frames, on however many connections.
    others : tuple of Logger
        Devices at further stations that speak through it, with the same MN.
    """

    number: int
    site: str
    device: str
    mn: str
    password: Secret | None
    addresses: tuple[Network, ...]
    speech: LoggerProfile
    dialect: Dialect
    sends_flags: bool
    receive_time: bool
    channels: dict[str, Channel]
    in_small_letters: dict[str, Channel]
    units: UnitCheck
    pace: FramePace = field(compare=False)
    others: tuple[Logger, ...] = ()

    @property
    def real_time(self) -> bool | None:
        """Whether it is to send real-time data; None: as it likes."""
        if self.speech.real_time is not None:
            return self.speech.real_time
        return self.speech.readings_from == "2011" or None

    @property
    def equipment_state(self) -> bool | None:
        """Whether it is to send the state of equipment; None: as it likes."""
        if self.speech.equipment_state is not None:
            return self.speech.equipment_state
        return any(channel.parameter.is_state for channel in self.channels.values()) or None

    def admits(self, message: Message, address: str) -> bool:
        """Whether the message carries the right password, or comes without one from where it may."""
        if self.password is not None and message.password is not None and message.password.reveal():
            return self.password == message.password
        try:
            return bool(self.addresses) and any(ip_address(address) in network for network in self.addresses)
        except ValueError:  # no address of the internet
            return False

    def channel(self, name: str) -> Channel | None:
        """The channel of a factor code, or of code, hyphen and kind, in whatever letters; None: it has none."""
        return self.channels.get(name) or self.in_small_letters.get(name.lower())

    def shares(self, message: Message) -> list[tuple[Logger, Message]]:
        """What of a message is of each of its devices: by ST, and by factor code."""
        if not self.others:
            return [(self, message)]
        fitting = [one for one in (self, *self.others) if one.speech.st in {"", message.st}] or [self]
        values: dict[str, list[Value]] = {}
        for value in message.values:
            names = (f"{value.code}-{value.kind}", value.code)
            owner = next((one for name in names for one in fitting if one.channel(name) is not None), fitting[0])
            values.setdefault(owner.device, []).append(value)
        owners = [one for one in fitting if one.device in values] or fitting[:1]
        return [(one, replace(message, values=tuple(values.get(one.device, ())))) for one in owners]

    def unknown(self, name: str) -> str:
        """Say that it has no factor of this name, and which it has."""
        return f"'{name[:40]}' is no factor of this logger; it has {', '.join(sorted(self.channels))}"


def load_loggers(registry: Registry, settings: Settings, *, admitting: bool = True) -> dict[str, Logger]:
    """The loggers of a registry by MN.

    Parameters
    ----------
    registry : Registry
        Names them.
    settings : Settings
        ``hj212_...``.
    admitting : bool
        Whether they are to be let in; without that, passwords and addresses are not looked at.

    Raises
    ------
    ValueError
        If a logger has no password, the file of passwords cannot be read, or it names an MN that no device has.
    """
    devices = [(site.id, device) for site in registry.sites for device in site.devices]
    passwords = _lines(settings.hj212_passwords if admitting else None, "passwords", "PW")
    places = _lines(settings.hj212_addresses if admitting else None, "addresses", "ADDRESS")
    addresses = {mn: _networks(text, settings) for mn, text in places.items()}
    if strangers := addresses.keys() - {device.mn for _, device in devices}:
        raise ValueError(
            f"{settings.hj212_addresses}: no device of the registry has the MN {', '.join(sorted(strangers))}"
        )
    loggers: dict[str, Logger] = {}
    without: list[str] = []
    named: set[str] = set()
    for number, (site, device) in enumerate(devices):
        if not device.mn:
            continue
        common = settings.hj212_password
        text = passwords.get(device.mn, "")
        named.add(device.mn)
        if not text and common is not None and device.mn not in addresses:
            text = common.get_secret_value()
        if admitting and not text and device.mn not in addresses:
            without.append(f"{device.mn} ({site}/{device.id})")
            continue
        profile = registry.profiles[device.profile]
        speech = profile.hj212 or LoggerProfile()
        channels = registry.device_channels(site, device.id)
        logger = Logger(
            number=number,
            site=site,
            device=device.id,
            mn=device.mn,
            password=Secret(text) if text else None,
            addresses=addresses.get(device.mn, ()),
            speech=speech,
            dialect=Dialect(
                crc=speech.crc,
                crc_of=tuple(speech.crc_of.items()),
                zone=ZoneInfo(profile.zone),
                limit=settings.hj212_segment_bytes,
                sentinels=frozenset(speech.sentinels),
                plain_length=speech.plain_length,
            ),
            sends_flags=profile.sends_flags,
            receive_time=profile.receive_time,
            channels=(names := _names(channels, profile.fields)),
            in_small_letters={name.lower(): channel for name, channel in names.items()},
            units=UnitCheck(channels.values(), profile.units),
            pace=FramePace(settings.hj212_rate),
        )
        first = loggers.setdefault(device.mn, logger)
        if first is not logger:
            _check_together(first, logger)
            loggers[device.mn] = replace(first, others=(*first.others, logger))
    if without:
        raise ValueError(
            f"no password for the loggers {', '.join(without)}; set GREENMINE_HJ212_PASSWORD, or name them in the file "
            "of GREENMINE_HJ212_PASSWORDS"
        )
    if strangers := passwords.keys() - named:
        raise ValueError(
            f"{settings.hj212_passwords}: no device of the registry has the MN {', '.join(sorted(strangers))}"
        )
    return loggers


def _names(channels: dict[str, Channel], fields: dict[str, str]) -> dict[str, Channel]:
    """Channels by the factor codes that mean them: those of the profile, else those of all editions."""
    renamed = set(fields.values())
    names = {
        name: channel
        for parameter, channel in channels.items()
        if parameter not in renamed
        for name in _codes(channel.parameter)
    }
    if "laeq" in channels:
        names[DAY_LEVEL] = channels["laeq"]
    names |= {name: channels[parameter] for name, parameter in fields.items() if parameter in channels}
    return names


def _check_together(first: Logger, other: Logger) -> None:
    """Make sure that devices of one MN speak alike, and that each value is of one of them.

    Raises
    ------
    ValueError
        If not.
    """
    for one in (first, *first.others):
        devices = f"MN {first.mn}: {one.site}/{one.device} and {other.site}/{other.device}"
        alike = [msgspec.structs.replace(x.speech, st="", ignored=(), states={}, on_above={}) for x in (one, other)]
        if alike[0] != alike[1] or one.dialect.zone != other.dialect.zone:
            raise ValueError(
                f"{devices} are one logger; their profiles may differ in st, units, fields and states only"
            )
        both = sorted(one.channels.keys() & other.channels.keys())
        if both and (one.speech.st == other.speech.st or "" in {one.speech.st, other.speech.st}):
            raise ValueError(
                f"{devices} both have the factor {both[0]}; say which is whose, by st or by fields in their profiles"
            )


def _codes(parameter: Parameter) -> list[str]:
    factors = codes(VERSIONS[-1]).factors
    return [parameter.hj212, *(factor.code for factor in factors if factor.parameter == parameter.id)]


def _networks(text: str, settings: Settings) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(part.strip()) for part in text.split(","))
    except ValueError as error:
        raise ValueError(f"{settings.hj212_addresses}: {error}") from None


def _lines(path: Path | None, what: str, behind: str) -> dict[str, str]:
    """What a file says of each MN; empty where there is no file."""
    if path is None:
        return {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: the {what} of the loggers cannot be read: {error}") from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        mn, equals, text = (part.strip() for part in line.partition("="))
        if not mn or not equals or not text:
            raise ValueError(f"{path}, line {number}: each line is MN = {behind}")
        found[mn] = text
    return found
