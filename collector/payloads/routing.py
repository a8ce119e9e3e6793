"""From the topics of other makers' devices to the devices of the registry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Final

from greenmine.collector.payloads.content import Opened, PayloadContent, evaluate, tidied
from greenmine.collector.payloads.mapped import MappedDecoder, device_parts, is_ignored
from greenmine.collector.payloads.numeral import text
from greenmine.collector.payloads.reading_buffer import FormatDecoder
from greenmine.collector.payloads.reasons import Reason, RefusedError
from greenmine.expression import expression
from greenmine.registry import Registry
from greenmine.routes import Route, Table, routes

_REMEMBERED: Final = 10_000
"""Topics whose devices are remembered."""
_SHOWN: Final = 80

Match = tuple["_Devices", tuple[str, ...]]
"""Devices that share a pattern, and what a topic says at its places."""


@dataclass(frozen=True, slots=True)
class DeviceShare:
    """What of a message is of one device.

    Parameters
    ----------
    route : Route or None
        Whose it is; None: of nobody in the registry.
    take : callable
        Given the time of receipt, puts the readings into the buffer, or raises ``RefusedError``.
    """

    route: Route | None
    take: Callable[[int], None]


class Router:
    """Finds the devices that a message is of, by its topic and where need be by addresses in its payload.

    Parameters
    ----------
    registry : Registry
        Says which topics belong to which device.
    make : callable
        Gives the decoder of a route; called once for each.
    deviations : Counter
        Counts what is tolerated in payloads.
    """

    __slots__ = ("_matches", "_tables")

    def __init__(
        self,
        registry: Registry,
        make: Callable[[Route], FormatDecoder],
        deviations: Counter[str],
    ) -> None:
        self._tables = [_Devices(table, make, deviations) for table in routes(registry)]
        self._matches = lru_cache(_REMEMBERED)(self._look)

    def find(self, topic: str, payload: bytes) -> list[DeviceShare] | None:
        """The shares of a message, none of one that is to be ignored; None if its topic is none of any device's.

        Raises
        ------
        RefusedError
            It is a topic of devices, but of none in the registry; or the payload does not tell which.
        msgspec.MsgspecError, UnicodeDecodeError, RecursionError
            The payload, which should tell, cannot be decoded.
        """
        refused: RefusedError | None = None
        for devices, said in self._matches(topic):
            try:
                return devices.find(said, payload)
            except RefusedError as error:
                refused = refused or error
        if refused is not None:
            raise refused
        return None

    def named(self, topic: str) -> Route | None:
        """Route of a message by its topic alone; None if the topic does not tell."""
        for devices, said in self._matches(topic):
            if (route := devices.named(said)) is not None:
                return route
        return None

    def owners(self, topic: str) -> list[Route]:
        """Routes of all devices that a message on a topic may be of."""
        found: list[Route] = []
        for devices, said in self._matches(topic):
            found += devices.owners(said)
        return found

    def _look(self, topic: str) -> list[Match]:
        matches = ((devices, devices.table.pattern.match(topic)) for devices in self._tables)
        return [(devices, said) for devices, said in matches if said is not None]


class _Devices:
    """The devices that share a pattern of topics."""

    def __init__(self, table: Table, make: Callable[[Route], FormatDecoder], deviations: Counter[str]) -> None:
        self.table = table
        mapping = table.mapping
        self._address = None if mapping.address is None else expression(mapping.address)
        self._parts = None if mapping.devices is None else expression(mapping.devices)
        self._ignore = None if mapping.ignore is None else expression(mapping.ignore)
        self._content = PayloadContent(mapping)
        self._deviations = deviations
        self._routes = {key: (route, make(route)) for key, route in table.routes.items()}

    def owners(self, said: tuple[str, ...]) -> list[Route]:
        if self._address is None:
            return [self._routes[said][0]] if said in self._routes else []
        return [route for key, (route, _) in self._routes.items() if key[: len(said)] == said]

    def named(self, said: tuple[str, ...]) -> Route | None:
        found = self._routes.get(said)
        return None if self._address is not None or found is None else found[0]

    def find(self, said: tuple[str, ...], payload: bytes) -> list[DeviceShare]:
        payload = tidied(payload, self._content.kind, self._deviations)
        if self._address is None:
            route, decoder = self._found(said)
            return [DeviceShare(route, partial(decoder.decode, payload))]
        opened = self._content.open(payload)
        if self._parts is None:
            return [self._share((*said, self._read_address(opened.document, opened)), opened, [opened.document])]
        try:
            parts = device_parts(self._parts, opened.document)
        except RefusedError:
            if is_ignored(self._ignore, opened.document):
                return []
            raise
        groups: dict[tuple[str, ...], list[Any]] = {}
        for part in parts:
            try:
                key = (*said, self._read_address(part, opened))
            except RefusedError:
                key = _NO_ADDRESS
            groups.setdefault(key if key in self._routes else _NO_ADDRESS, []).append(part)
        strangers = groups.pop(_NO_ADDRESS, [])
        shares = [self._share(key, opened, parts) for key, parts in groups.items()]
        return [*shares, DeviceShare(None, partial(self._refuse, strangers, opened))] if strangers else shares

    def _share(self, key: tuple[str, ...], opened: Opened, parts: list[Any]) -> DeviceShare:
        route, decoder = self._found(key)
        assert isinstance(decoder, MappedDecoder)
        return DeviceShare(route, partial(decoder.take, opened, parts))

    def _found(self, key: tuple[str, ...]) -> tuple[Route, FormatDecoder]:
        found = self._routes.get(key)
        if found is None:
            raise RefusedError(Reason.UNKNOWN_DEVICE, self._missing(key))
        return found

    def _missing(self, key: tuple[str, ...]) -> str:
        places = (*self.table.pattern.places, *(() if self._address is None else ("address",)))
        said = ", ".join(f"{place} '{part[:_SHOWN]}'" for place, part in zip(places, key, strict=True))
        return f"the registry has no device on {self.table.pattern.text!r} with {said}"

    def _refuse(self, strangers: list[Any], opened: Opened, _received: int) -> None:
        """Refuse the parts of devices that the registry does not have."""
        try:
            first = f"address '{self._read_address(strangers[0], opened)[:_SHOWN]}'"
        except RefusedError as refused:
            first = refused.detail
        detail = f"{len(strangers)} parts are of no device on {self.table.pattern.text!r}, the first: {first}"
        raise RefusedError(Reason.UNKNOWN_DEVICE, detail, len(strangers))

    def _read_address(self, part: Any, opened: Opened) -> str:
        assert self._address is not None
        said = text(evaluate(self._address, part, opened.document))
        if said is None:
            detail = "the payload says no address at the place that the profile's mapping states"
            raise RefusedError(Reason.UNKNOWN_DEVICE, detail)
        return said


_NO_ADDRESS: Final = ("",) * 9
"""Key of no route."""
