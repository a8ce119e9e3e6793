"""The web server in a thread of the test, on a port of its own."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir
from threading import Thread
from typing import Any

from greenmine.api.app import create_app
from greenmine.api.serve import Server
from greenmine.registry import Registry
from greenmine.settings import Settings
from tests.records import record_setting

_SCRIPTS = Path(gettempdir()) / f"greenmine-scripts-{os.getuid()}"
"""Scripts of the charts, which a server takes seconds to make: those of the first that made them serve for all others."""


@contextmanager
def serving(data: Path, registry: Registry, /, **settings: Any) -> Iterator[str]:
    """Serve the record under a data directory; gives the address."""
    scripts = list(_SCRIPTS.glob("*"))
    for script in scripts:
        (data / "cache").mkdir(parents=True, exist_ok=True)
        shutil.copy(script, data / "cache")
    listener = socket.socket(
        proto=socket.IPPROTO_TCP
    )  # by which asyncio knows that small packets must not wait for each other
    listener.bind(("127.0.0.1", 0))
    app = create_app(Settings(data=data, **(record_setting(data) | settings)), registry)
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
        for made in (data / "cache").glob("vega-*.js") if not scripts else ():
            _SCRIPTS.mkdir(exist_ok=True)
            part = _SCRIPTS / f".{os.getpid()}"
            shutil.copy(made, part)
            part.replace(_SCRIPTS / made.name)
