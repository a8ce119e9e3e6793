"""A device as the decoders see it: which names it may use, and how it speaks."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from greenmine.registry import Registry


@dataclass(frozen=True, slots=True)
class Source:
    """What a decoder needs to know of a device.

    Parameters
    ----------
    zone : ZoneInfo or None
        Zone of times without an offset; None: the profile does not say.
    sends_flags : bool
        Whether the device states data flags.
    receive_time : bool
        Whether a reading without a time takes the time of receipt.
    channels : dict of str to int
        Name in the payload → index of the channel.
    units : dict of str to str
        Name in the payload → unit that the device sends.
    states : frozenset of str
        Names in the payload that stand for a state, where true and false are 1 and 0.
    """

    zone: ZoneInfo | None
    sends_flags: bool
    receive_time: bool
    channels: dict[str, int]
    units: dict[str, str]
    states: frozenset[str]

    @staticmethod
    def of(registry: Registry, site: str, device: str) -> Source:
        """The device as the registry describes it.

        A parameter goes by its own id, or by the profile's field name where it has one.

        Raises
        ------
        KeyError
            The registry has no such site or device.
        """
        profile = registry.profiles[registry.device(site, device).profile]
        channels = registry.device_channels(site, device)
        renamed = set(profile.fields.values())
        names = {parameter: parameter for parameter in channels if parameter not in renamed}
        names |= {field: parameter for field, parameter in profile.fields.items() if parameter in channels}
        return Source(
            zone=ZoneInfo(profile.zone) if profile.zone else None,
            sends_flags=profile.sends_flags,
            receive_time=profile.receive_time,
            channels={name: channels[parameter].index for name, parameter in names.items()},
            units={name: profile.units[parameter] for name, parameter in names.items() if parameter in profile.units},
            states=frozenset(n for n, p in names.items() if channels[p].parameter.is_state),
        )

    def unknown(self, name: str) -> str:
        """Say that the device has no parameter of this name, and which it has."""
        return f"'{name[:80]}' is no parameter of this device; it has {', '.join(sorted(self.channels))}"
