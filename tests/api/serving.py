"""The web server in a thread of the test, on a port of its own."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

from api.app import create_app
from api.serve import Server
from greenmine.registry import Registry
from greenmine.settings import Settings


@contextmanager
def serving(data: Path, registry: Registry, **settings: Any) -> Iterator[str]:
    """Serve the record under a data directory; gives the address."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    app = create_app(Settings(data=data, **settings), registry)
    server = Server(app)
    thread = Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while not server.started:
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.02)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
