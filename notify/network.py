"""Connections to addresses that enterprises name: none may lead into the network that the installation stands in.

Names are resolved here, every address is checked, and the connection is made to the address that was checked: a name that
means another address a moment later changes nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from typing import Any, Final

import httpcore2

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
"""All that is given out as global unicast (RFC 4291, 2.4). What lies outside may be translated within a network, such as
``64:ff9b:1::/48`` (RFC 8215) and ``::ffff:0:a.b.c.d`` (RFC 2765): what stands behind it, nobody outside can know."""
_COMPATIBLE: Final = ipaddress.IPv6Network("::/96")
"""``::a.b.c.d``, deprecated by RFC 4291, 2.5.5.1; some systems still route it to the IPv4 address."""


_NOT_GIVEN_OUT: Final = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20")))
"""Reserved, whatever this version of Python knows of them: assignments of protocols (RFC 6890), relays of 6to4 (RFC 7526), examples
(RFC 9637)."""


class ForbiddenAddressError(OSError):
    """A name that stands for no address that may be called."""


def networks(text: str) -> tuple[Network, ...]:
    """Networks of a setting, with commas.

    Raises
    ------
    ValueError
        One of them is none.
    """
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ValueError(f"GREENMINE_NOTIFY_PRIVATE_NETWORKS: {error}") from error


def may_be_called(address: str, private: Iterable[Network]) -> bool:
    """Whether an address is public, or in one of the networks that are allowed besides.

    Loopback, link-local, private, shared, multicast and reserved addresses are not public; nor are IPv6 addresses that
    stand for such an IPv4 address (mapped, compatible, 6to4, NAT64).
    """
    parsed: Address = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour
        if inner is None and (parsed in _NAT64 or parsed in _COMPATIBLE):
            inner = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
        parsed = parsed if inner is None else inner
    if any(parsed.version == network.version and parsed in network for network in private):
        return True
    if (parsed.version == 6 and parsed not in _UNICAST) or any(parsed in network for network in _NOT_GIVEN_OUT):
        return False
    return parsed.is_global and not parsed.is_multicast


class GuardedBackend(httpcore2.AnyIOBackend):
    """Network of an HTTP client that connects to public addresses, and to those of ``private``, only.

    Parameters
    ----------
    private : iterable of Network
        What may be called besides.
    """

    def __init__(self, private: Iterable[Network]) -> None:
        self._private = tuple(private)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - as in the class that it takes the place of
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first address of a host that may be called and answers.

        Raises
        ------
        ForbiddenAddressError
            None of its addresses may be called.
        httpcore2.ConnectError, httpcore2.ConnectTimeout
            It has no address, or none answers.
        """
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError("the name has no address") from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        allowed = [address for address in addresses if may_be_called(address, self._private)]
        if not allowed:
            raise ForbiddenAddressError("the name stands for no public address")
        trouble: Exception | None = None
        for address in allowed:
            try:
                return await super().connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                trouble = error
        assert trouble is not None
        raise trouble
