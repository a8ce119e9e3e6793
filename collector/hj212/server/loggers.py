"""The data loggers of the registry, each with its password."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from zoneinfo import ZoneInfo

from greenmine.collector.hj212.codes import VERSIONS, codes
from greenmine.collector.hj212.dialect import Dialect
from greenmine.collector.hj212.message import Message
from greenmine.collector.hj212.secret import Secret
from greenmine.collector.hj212.server.pace import FramePace
from greenmine.collector.hj212.server.plausibility import UnitCheck
from greenmine.entries import LoggerProfile
from greenmine.parameters import Parameter
from greenmine.registry import Channel, Registry
from greenmine.settings import Settings

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
    password : Secret
        Its PW.
    speech : LoggerProfile
        How it speaks.
    dialect : Dialect
        What of that concerns the codec.
    sends_flags, receive_time : bool
        See ``greenmine.entries.Profile``.
    channels : dict of str to Channel
        By factor code, or by code, hyphen and kind.
    units : UnitCheck
        Whether its values fit their units.
    pace : FramePace
        Bounds its frames, on however many connections.
    """

    number: int
    site: str
    device: str
    mn: str
    password: Secret
    speech: LoggerProfile
    dialect: Dialect
    sends_flags: bool
    receive_time: bool
    channels: dict[str, Channel]
    units: UnitCheck
    pace: FramePace = field(compare=False)

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

    def admits(self, message: Message) -> bool:
        """Whether the message carries the right password."""
        return message.password is not None and self.password == message.password

    def unknown(self, name: str) -> str:
        """Say that it has no factor of this name, and which it has."""
        return f"'{name[:40]}' is no factor of this logger; it has {', '.join(sorted(self.channels))}"


def load_loggers(registry: Registry, settings: Settings) -> dict[str, Logger]:
    """The loggers of a registry by MN.

    Raises
    ------
    ValueError
        If a logger has no password, the file of passwords cannot be read, or it names an MN that no device has.
    """
    devices = [(site.id, device) for site in registry.sites for device in site.devices]
    passwords = _passwords(settings)
    loggers: dict[str, Logger] = {}
    without: list[str] = []
    for number, (site, device) in enumerate(devices):
        if not device.mn:
            continue
        password = passwords.pop(device.mn, None) or settings.hj212_password
        if password is None or not (text := password if isinstance(password, str) else password.get_secret_value()):
            without.append(f"{device.mn} ({site}/{device.id})")
            continue
        profile = registry.profiles[device.profile]
        speech = profile.hj212 or LoggerProfile()
        channels = registry.device_channels(site, device.id)
        loggers[device.mn] = Logger(
            number=number,
            site=site,
            device=device.id,
            mn=device.mn,
            password=Secret(text),
            speech=speech,
            dialect=Dialect(
                speech.crc, ZoneInfo(profile.zone), settings.hj212_segment_bytes, frozenset(speech.sentinels)
            ),
            sends_flags=profile.sends_flags,
            receive_time=profile.receive_time,
            channels=_names(channels, profile.fields),
            units=UnitCheck(channels.values(), profile.units),
            pace=FramePace(settings.hj212_rate),
        )
    if without:
        raise ValueError(
            f"no password for the loggers {', '.join(without)}; set GREENMINE_HJ212_PASSWORD, or name them in the file "
            "of GREENMINE_HJ212_PASSWORDS"
        )
    if passwords:
        raise ValueError(f"{settings.hj212_passwords}: no device of the registry has the MN {', '.join(passwords)}")
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
    return names | {name: channels[parameter] for name, parameter in fields.items() if parameter in channels}


def _codes(parameter: Parameter) -> list[str]:
    factors = codes(VERSIONS[-1]).factors
    return [parameter.hj212, *(factor.code for factor in factors if factor.parameter == parameter.id)]


def _passwords(settings: Settings) -> dict[str, str]:
    path = settings.hj212_passwords
    if path is None:
        return {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: the passwords of the loggers cannot be read: {error}") from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        mn, equals, password = (part.strip() for part in line.partition("="))
        if not mn or not equals or not password:
            raise ValueError(f"{path}, line {number}: each line is MN = PW")
        found[mn] = password
    return found
