"""By which addresses the web server may be called, and whether it may be called from other machines at all."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from greenmine.settings import Settings, web_address

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
"""Names of this machine; any other that is not in the settings is an attempt to rebind a foreign name to it."""

_PORT = re.compile(r":\d{1,5}$")


@dataclass(frozen=True, slots=True)
class Addresses:
    """Names and origins of the web server.

    Parameters
    ----------
    hosts : frozenset of str
        Names by which it may be called.
    origins : frozenset of str
        Public origins, such as ``https://mines.example.org``.
    proxies : tuple of str
        Addresses or networks whose X-Forwarded-For and X-Forwarded-Proto are believed.
    """

    hosts: frozenset[str]
    origins: frozenset[str]
    proxies: tuple[str, ...]

    def own(self, connection: HTTPConnection, origin: str) -> bool:
        """Whether an origin is that of this server, as the request called it or as the settings call it."""
        here = f"{connection.url.scheme}://{connection.headers.get('host', '')}"
        return origin in self.origins or origin == here


def check_addresses(settings: Settings) -> Addresses:
    """Addresses by the settings.

    Raises
    ------
    ValueError
        ``public_url`` or ``trusted_proxies`` cannot be read; or ``host`` is an address that other machines can reach, and
        passwords would go over the net in the clear.
    """
    origins = frozenset(_origin(url) for url in _parts(settings.public_url))
    proxies = tuple(_network(text) for text in _parts(settings.trusted_proxies))
    if not is_loopback(settings.host):
        if not origins or not all(origin.startswith("https://") for origin in origins):
            raise ValueError(
                f"host {settings.host!r}: without TLS the web server serves this machine only; set GREENMINE_HOST to 127.0.0.1, "
                "or GREENMINE_PUBLIC_URL to the https:// address of the TLS proxy before it, and GREENMINE_TRUSTED_PROXIES "
                "to the proxy's own"
            )
        if not proxies:
            raise ValueError(
                f"host {settings.host!r}: GREENMINE_TRUSTED_PROXIES is empty; the address of the TLS proxy would be right"
            )
    names = frozenset(urlsplit(origin).hostname or "" for origin in origins)
    return Addresses(LOOPBACK | names, origins, proxies)


def is_loopback(host: str) -> bool:
    """Whether only this machine can be, or be reached by, an address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def from_this_machine(connection: HTTPConnection) -> bool:
    """Whether a request comes from this machine itself, by no proxy."""
    client = connection.client
    return client is not None and is_loopback(client.host) and "x-forwarded-for" not in connection.headers


def host_name(host: str) -> str:
    """Name in a Host header, without the port."""
    return _PORT.sub("", host).strip("[]").lower()


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _origin(url: str) -> str:
    fault = f"GREENMINE_PUBLIC_URL: {url!r} is no address such as https://mines.example.org"
    try:
        parts = urlsplit(web_address(url))
    except ValueError:
        raise ValueError(fault) from None
    if parts.path.strip("/") or parts.query or "@" in url:
        raise ValueError(fault)
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _network(text: str) -> str:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        raise ValueError(
            f"GREENMINE_TRUSTED_PROXIES: {text!r} is no address or network such as 127.0.0.1 or 10.0.0.0/24"
        ) from None
    return text
