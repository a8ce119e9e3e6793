"""What keeps the pages to this machine and to their own code."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Problem, problem_response

HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})
"""Names by which the server may be called; any other is an attempt to rebind a foreign name to this machine."""

_PORT = re.compile(r":\d{1,5}$")

_HEADERS: Final = {
    # Charts are evaluated by Vega's expression interpreter, so no 'unsafe-eval' is needed.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def require_loopback(host: str) -> None:
    """Refuse an address that other machines could reach.

    Raises
    ------
    ValueError
        ``host`` is neither ``localhost`` nor a loopback address.
    """
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ValueError(
            f"host {host!r}: the web server has no accounts yet and serves this machine only; "
            "set GREENMINE_HOST to 127.0.0.1, ::1 or localhost"
        )


class Guard:
    """Answers only to this machine's names, and adds the security headers to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on, one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        if scope["type"] == "http" and _called_by(scope) not in HOSTS:
            problem = Problem(400, f"Host: call this server by one of {', '.join(sorted(HOSTS))}")
            await problem_response(problem, scope["path"])(scope, receive, send_with_headers)
        else:
            await self._app(scope, receive, send_with_headers)


def _called_by(scope: Scope) -> str:
    host = Headers(scope=scope).get("host", "")
    return _PORT.sub("", host).strip("[]").lower()
