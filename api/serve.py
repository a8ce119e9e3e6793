"""Running the web server."""

from __future__ import annotations

import socket
from contextlib import suppress
from threading import Thread

import uvicorn
from fastapi import FastAPI

from greenmine.api.app import create_app
from greenmine.api.http.context import Context
from greenmine.api.pages.vega import bundle
from greenmine.registry import Registry
from greenmine.settings import Settings


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
    with suppress(KeyboardInterrupt):
        server.run()
