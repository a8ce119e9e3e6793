"""Which device a topic of other makers' belongs to: worked out once from the registry, and checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from greenmine.entries import Device, Profile
from greenmine.mapping import Mapping
from greenmine.registry import Registry
from greenmine.topics import OWN, TopicError, TopicPattern, covers, overlap

MOST_FILTERS: Final = 500
"""Most topics that are subscribed to for other makers' devices."""
_NO_MAPPING: Final = Mapping()
_SHARED: Final = ("devices", "address", "payload")
"""What mappings say alike that share a topic."""
_OWN: Final = TopicPattern(OWN).filter({})


@dataclass(frozen=True, slots=True)
class Claim:
    """A device, and where it stands in its file."""

    place: str
    site: str
    device: Device
    profile: Profile


@dataclass(frozen=True, slots=True)
class Route:
    """Whose a message is.

    Parameters
    ----------
    site, device : str
        The device of the registry.
    name : str or None
        Which of its values the message carries; None: the topic does not say.
    """

    site: str
    device: str
    name: str | None


@dataclass(slots=True)
class Table:
    """The devices that share a pattern of topics.

    Parameters
    ----------
    pattern : TopicPattern
        Their topics.
    mapping : Mapping
        Says how the address is found in a payload, where the topic does not tell the devices apart; all of them have it alike.
    routes : dict of tuple of str to Route
        What the topic says at ``pattern.places``, then the address in the payload if there is one → whose it is.
    """

    pattern: TopicPattern
    mapping: Mapping
    routes: dict[tuple[str, ...], Route] = field(default_factory=dict)

    def filters(self) -> list[str]:
        """What to subscribe to, in order and without repeats."""
        return list(dict.fromkeys(self.pattern.filter(_known(route)) for route in self.routes.values()))


def routes(registry: Registry) -> list[Table]:
    """The tables of a registry, which has been checked.

    Returns
    -------
    list of Table
        Empty where no device speaks on other topics than its own.
    """
    claims = (
        Claim("", site.id, device, registry.profiles[device.profile])
        for site in registry.sites
        for device in site.devices
    )
    faults: list[str] = []
    tables = claimed(claims, faults)
    assert not faults, faults
    return tables


def filters(tables: Iterable[Table]) -> list[str]:
    """All that is to be subscribed to; what another filter takes in anyway is left out, so that nothing comes twice."""
    wanted = list(dict.fromkeys(text for table in tables for text in table.filters()))
    return [text for text in wanted if not any(covers(other, text) for other in wanted if other != text)]


def claimed(
    claims: Iterable[Claim], faults: list[str], refused: Callable[[TopicPattern], str | None] = lambda _pattern: None
) -> list[Table]:
    """The tables of some devices.

    Parameters
    ----------
    claims : iterable of Claim
        The devices.
    faults : list of str
        Receives what is wrong: a device without what its topics need, a message that two devices would claim.
    refused : callable, optional
        Says why a pattern of a device's own cannot be received; None: it can.
    """
    tables: dict[str, Table] = {}
    places: dict[Route, str] = {}
    for claim in claims:
        for text in claim.device.topics or claim.profile.topics:
            try:
                pattern = TopicPattern(text)
            except TopicError as error:
                if claim.device.topics:  # those of a profile were checked with it
                    faults.append(f"{claim.place}: topics: {error}")
                continue
            if claim.device.topics and (why := refused(pattern)) is not None:
                faults.append(f"{claim.place}: topics: {text!r}: {why}")
                continue
            _claim(claim, pattern, tables, places, faults)
    _check_apart(list(tables.values()), places, faults)
    wanted = filters(tables.values())
    if len(wanted) > MOST_FILTERS:
        faults.append(
            f"the devices need {len(wanted)} subscriptions, and {MOST_FILTERS} are the most; "
            "let topics with {address} take the place of single ones"
        )
    return list(tables.values())


def _claim(
    claim: Claim, pattern: TopicPattern, tables: dict[str, Table], places: dict[Route, str], faults: list[str]
) -> None:
    device, mapping = claim.device, claim.profile.mapping or _NO_MAPPING
    fault = _unfit(claim, pattern, mapping)
    if fault is not None:
        faults.append(f"{claim.place}: {fault}")
        return
    table = tables.setdefault(pattern.text, Table(pattern, mapping))
    if any(getattr(table.mapping, key) != getattr(mapping, key) for key in _SHARED):
        faults.append(
            f"{claim.place}: {pattern.text!r} is also the topic of a device whose profile finds the address otherwise; "
            f"on one topic, {', '.join(_SHARED)} must be the same"
        )
        return
    names: Iterable[str | None] = [None]
    if "name" in pattern.places:
        names = dict.fromkeys(value.name for value in mapping.values if value.parameter in device.parameters)
    for name in names:
        route = Route(claim.site, device.id, name)
        said = {"site": claim.site, "device": device.id, "address": device.address, "name": name or ""}
        key = tuple(said[place] for place in pattern.places) + ((device.address,) if mapping.address else ())
        other = table.routes.setdefault(key, route)
        places.setdefault(route, claim.place)
        if other != route:
            faults.append(
                f"{claim.place}: messages on {pattern.text!r}{_which(key)} already belong to {other.site}/{other.device}; "
                "give each device its own address or topics"
            )


def _unfit(claim: Claim, pattern: TopicPattern, mapping: Mapping) -> str | None:
    """Why a device cannot have this pattern; None: it can."""
    device, text = claim.device, pattern.text
    by_address = "address" in pattern.places or mapping.address is not None
    if by_address and not device.address:
        return (
            f'address is missing: what tells this device from others on {text!r}, such as address = "a8404187d187106e"'
        )
    if "address" in pattern.places and set(device.address) & set("/+#"):
        return f"address: {device.address!r} has a sign that no level of a topic has: /, + or #"
    if "address" in pattern.places and mapping.address is not None:
        return f"{text!r} and the profile's mapping both say where the address stands; keep one"
    named = [value for value in mapping.values if value.parameter in device.parameters]
    if "name" in pattern.places and not (named and all(value.name for value in named)):
        return f'{text!r} has a {{name}}, so each value of the profile\'s mapping needs one, such as name = "pm_10"'
    if "name" not in pattern.places and any(value.name for value in named):
        return f'the values of profile "{claim.profile.id}" have names, so {text!r} needs a {{name}} to tell them apart'
    if overlap(pattern.filter({}), _OWN):
        return f"{text!r} takes messages of {OWN}, which are the devices' own; write it more narrowly"
    return None


def _check_apart(tables: list[Table], places: dict[Route, str], faults: list[str]) -> None:
    """Report devices of different patterns that would claim one message."""
    for number, table in enumerate(tables):
        for other in tables[:number]:
            if not overlap(table.pattern.filter({}), other.pattern.filter({})):
                continue
            for key, route in table.routes.items():
                mine = _exact(table, key)
                for other_key, rival in other.routes.items():
                    if overlap(mine, _exact(other, other_key)):
                        faults.append(
                            f"{places[route]}: {table.pattern.text!r} takes messages that {other.pattern.text!r} gives to "
                            f"{rival.site}/{rival.device}; write one of them more narrowly"
                        )


def _exact(table: Table, key: tuple[str, ...]) -> str:
    """Filter of the messages of one route."""
    return table.pattern.filter(dict(zip(table.pattern.places, key, strict=False)))


def _known(route: Route) -> dict[str, str]:
    """What is written out in a subscription: names, so that values nobody reads do not even arrive."""
    return {} if route.name is None else {"name": route.name}


def _which(key: tuple[str, ...]) -> str:
    said = [part for part in key if part]
    return f" ({', '.join(said)})" if said else ""
