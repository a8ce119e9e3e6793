"""Requests over HTTP: no redirect is followed, little of an answer is read, and every failure is told in one way."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Final

import httpcore2

from greenmine.notify.failure import DeliveryError
from greenmine.notify.network import ForbiddenAddressError

_ANSWER: Final = 65_536
"""What is read of an answer [bytes]."""
_LATER: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses by which a receiver says that it is not able at present, RFC 9110; all other failures are about the message."""
_LONGEST_REST: Final = 3_600.0


class Http:
    """A client.

    Parameters
    ----------
    context : SSLContext
        For https.
    backend : AsyncNetworkBackend
        How it connects.
    timeout : float
        For each step of a request [s].
    """

    def __init__(self, context: ssl.SSLContext, backend: httpcore2.AsyncNetworkBackend, timeout: float) -> None:
        self._timeout = dict.fromkeys(("connect", "read", "write", "pool"), timeout)
        # A receiver that hangs must not keep others from a connection, so there is no bound on their number.
        self._pool = httpcore2.AsyncConnectionPool(
            context, network_backend=backend, max_connections=None, keepalive_expiry=5
        )

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> bytes:
        """Post a body; the answer to a success.

        Raises
        ------
        DeliveryError
            There was no success.
        """
        try:
            extensions = {"timeout": self._timeout}
            async with self._pool.stream(
                "POST", url, headers=list(headers.items()), content=body, extensions=extensions
            ) as response:
                answer = b""
                async for part in response.aiter_stream():
                    answer += part
                    if len(answer) > _ANSWER:
                        break
                _judge(response)
                return answer[:_ANSWER]
        except ForbiddenAddressError as error:
            raise DeliveryError(str(error)) from None
        except httpcore2.TimeoutException:
            raise DeliveryError("no answer in time") from None
        except (httpcore2.NetworkError, OSError, ssl.SSLError) as error:
            raise DeliveryError(_cause(error)) from None
        except (httpcore2.ProtocolError, httpcore2.UnsupportedProtocol):
            raise DeliveryError("the answer is no HTTP") from None

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.aclose()


def _judge(response: httpcore2.Response) -> None:
    status = response.status
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        raise DeliveryError(f"HTTP {status}: redirects are not followed", refused=True)
    after = dict(response.headers).get(b"retry-after", b"") or dict(response.headers).get(b"Retry-After", b"")
    rest = min(float(after), _LONGEST_REST) if after.isdigit() and len(after) < 10 else 0.0
    raise DeliveryError(f"HTTP {status}", refused=status not in _LATER, gone=status == 410, rest=rest)


def _cause(error: Exception) -> str:
    """Why there is no connection: what may be shown to whoever named the address."""
    text = str(error)
    if "certificate" in text.lower():
        return "the certificate is not trusted"
    return {"": "the connection failed"}.get(
        text, text.replace("All connection attempts failed", "nobody answers there")
    )[:200]
