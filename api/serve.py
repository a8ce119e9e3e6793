"""Running the web server."""

from __future__ import annotations

import gc
import socket
from contextlib import suppress
from threading import Thread
from typing import Final

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from greenmine.api.app import create_app
from greenmine.api.http.context import Context
from greenmine.api.http.security import HEADERS
from greenmine.api.pages.vega import bundle
from greenmine.registry import Registry
from greenmine.settings import Settings

_HEAD: Final = 32 * 1024
"""Most of a request's head that is kept while its end has not come [byte]: four lines as long as one may be."""


class Protocol(H11Protocol):
    """HTTP whose answer to what is no HTTP carries the security headers too."""

    def send_400_response(self, msg: str) -> None:
        """Answer, and close the connection."""
        headers = HEADERS | {"content-type": "text/plain; charset=utf-8", "connection": "close"}
        parts = (
            h11.Response(status_code=400, headers=list(headers.items()), reason="Bad Request"),
            h11.Data(data=msg.encode("ascii")),
            h11.EndOfMessage(),
        )
        for part in parts:
            self.transport.write(self.conn.send(part) or b"")
        self.transport.close()


class Server(uvicorn.Server):
    """A server that ends its live streams, which never end by themselves, when it shuts down."""

    def __init__(self, app: FastAPI, *, host: str = "127.0.0.1", port: int = 0) -> None:
        context = app.state.context
        assert isinstance(context, Context)
        proxies = context.addresses.proxies
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                http=Protocol,
                h11_max_incomplete_event_size=_HEAD,
                access_log=False,
                log_level="warning",
                timeout_graceful_shutdown=5,
                proxy_headers=bool(proxies),
                forwarded_allow_ips=list(proxies),
                server_header=False,
            )
        )
        self._context = context

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Shut down; streams see it within a second."""
        self._context.closing.set()
        await super().shutdown(sockets)


def serve(settings: Settings, registry: Registry) -> None:
    """Serve the API and the pages until interrupted.

    Raises
    ------
    ValueError
        The addresses in the settings cannot be read, or would carry passwords in the clear.
    SystemExit
        The port is in use.
    """
    server = Server(create_app(settings, registry), host=settings.host, port=settings.port)
    Thread(target=bundle, args=[settings.data], daemon=True).start()  # ready before the first page asks for it
    gc.collect()
    gc.freeze()  # a search for garbage among a province's channels and limits takes longer than a page
    with suppress(KeyboardInterrupt):
        server.run()
