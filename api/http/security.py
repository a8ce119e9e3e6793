"""What stands before all routes: the right address, an encrypted line, and the headers that keep pages to their own code."""

from __future__ import annotations

from collections import Counter
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from greenmine.api.http.addresses import Addresses, host_name, is_loopback
from greenmine.api.http.problems import Problem, problem_response

HEADERS: Final = {
    # Charts are evaluated by Vega's expression interpreter, so no 'unsafe-eval' is needed.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: with it, browsers hide the origin of a form that is sent to its own server.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
"""On every answer."""
_ENCRYPTED: Final = {"Strict-Transport-Security": "max-age=31536000"}
_LINE: Final = 8192
"""Longest address, and longest header field, in bytes: what the proxy's configuration takes. Quoted cookies are read in time that
grows with the square of their length."""
_PRIVATE: Final = {"Cache-Control": "private, no-cache"}
"""What a caller may see is no other's: caches shared by several keep nothing."""


class Guard:
    """Answers only to its own names and not in the clear, and adds the security headers to every response.

    Parameters
    ----------
    app : ASGIApp
        What is protected.
    addresses : Addresses
        By which the server may be called.
    """

    def __init__(self, app: ASGIApp, addresses: Addresses) -> None:
        self._app = app
        self._addresses = addresses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on, one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        secure = scope["scheme"] == "https"
        state = scope.setdefault("state", {})

        replaced = False

        async def send_with_headers(message: Message) -> None:
            nonlocal replaced
            if replaced and message["type"] == "http.response.body" and "problem" not in message:
                return
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if message["status"] == 413 and headers.get("content-type", "").startswith("text/plain"):
                    replaced = True  # the framework's own answer becomes a problem like all others
                    too_large = Problem(
                        413, "The body is larger than is taken here; docs/api.md says how large it may be."
                    )
                    await problem_response(too_large, scope["path"])(scope, receive, send_problem)
                    return
                for name, value in (HEADERS | (_ENCRYPTED if secure else {})).items():
                    headers.setdefault(name, value)
                if not scope["path"].startswith("/static/"):
                    for name, value in _PRIVATE.items():
                        headers.setdefault(name, value)
                if "new_cookie" in state:
                    headers.append("Set-Cookie", state["new_cookie"])
            await send(message)

        async def send_problem(message: Message) -> None:
            await send_with_headers({**message, "problem": True})

        problem = self._problem(connection, secure=secure)
        if problem is not None:
            await problem_response(problem, scope["path"])(scope, receive, send_with_headers)
        else:
            await self._app(scope, receive, send_with_headers)

    def _problem(self, connection: HTTPConnection, *, secure: bool) -> Problem | None:
        lines = [
            connection.scope["raw_path"] + connection.scope["query_string"],
            *(value for _, value in connection.headers.raw),
        ]
        if any(len(line) > _LINE for line in lines):
            return Problem(431, "An address or a header field is longer than the 8 kB that are taken here.")
        known = self._addresses.hosts
        if host_name(connection.headers.get("host", "")) not in known:
            return Problem(400, f"Host: call this server by one of {', '.join(sorted(known))}")
        if not secure and connection.client is not None and not is_loopback(connection.client.host):
            return Problem(400, "This server is not called in the clear; use https://")
        counts = Counter(name for name, _ in connection.query_params.multi_items())
        if twice := next((name for name, count in counts.items() if count > 1), None):
            return Problem(400, f"{twice[:80]!r} is given more than once; each parameter has one value")
        return None
