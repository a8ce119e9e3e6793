"""From the topics of other makers' devices to the devices of the registry."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from greenmine.collector.payloads.content import Content, evaluate
from greenmine.collector.payloads.numeral import text
from greenmine.collector.payloads.reading_buffer import Decoder
from greenmine.collector.payloads.reasons import Reason, RefusedError
from greenmine.expression import expression
from greenmine.registry import Registry
from greenmine.routes import Route, Table, routes

_REMEMBERED: Final = 10_000
"""Topics whose devices are remembered."""
_SHOWN: Final = 80

Match = tuple["_Devices", tuple[str, ...]]
"""Devices that share a pattern, and what a topic says at its places."""


class Router:
    """Finds the device that a message is of, by its topic and where need be by an address in its payload.

    Parameters
    ----------
    registry : Registry
        Says which topics belong to which device.
    make : callable
        Gives the decoder of a route; called once for each.
    """

    __slots__ = ("_matches", "_tables")

    def __init__(self, registry: Registry, make: Callable[[Route], Decoder]) -> None:
        self._tables = [_Devices(table, make) for table in routes(registry)]
        self._matches = lru_cache(_REMEMBERED)(self._look)

    def find(self, topic: str, payload: bytes) -> tuple[Route, Decoder] | None:
        """Route and decoder of a message; None if its topic is none of any device's.

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

    def _look(self, topic: str) -> list[Match]:
        matches = ((devices, devices.table.pattern.match(topic)) for devices in self._tables)
        return [(devices, said) for devices, said in matches if said is not None]


class _Devices:
    """The devices that share a pattern of topics."""

    def __init__(self, table: Table, make: Callable[[Route], Decoder]) -> None:
        self.table = table
        address = table.mapping.address
        self._address = None if address is None else expression(address)
        self._content = Content(table.mapping)
        self._routes = {key: (route, make(route)) for key, route in table.routes.items()}

    def named(self, said: tuple[str, ...]) -> Route | None:
        found = self._routes.get(said)
        return None if self._address is not None or found is None else found[0]

    def find(self, said: tuple[str, ...], payload: bytes) -> tuple[Route, Decoder]:
        key = said
        if self._address is not None:
            key = (*said, _address(evaluate(self._address, self._content.open(payload))))
        found = self._routes.get(key)
        if found is None:
            raise RefusedError(Reason.UNKNOWN_DEVICE, self._missing(key))
        return found

    def _missing(self, key: tuple[str, ...]) -> str:
        places = (*self.table.pattern.places, *(() if self._address is None else ("address",)))
        said = ", ".join(f"{place} '{part[:_SHOWN]}'" for place, part in zip(places, key, strict=True))
        return f"the registry has no device on {self.table.pattern.text!r} with {said}"


def _address(found: Any) -> str:
    said = text(found)
    if said is None:
        detail = "the payload says no address at the place that the profile's mapping states"
        raise RefusedError(Reason.UNKNOWN_DEVICE, detail)
    return said
