"""The server for data loggers beside whatever else the process does."""

from __future__ import annotations

import threading

from greenmine.collector.hj212.server.server import LoggerServer


class ServerThread(threading.Thread):
    """Runs a server in a thread of its own; when the server fails, everything that waits for ``stop`` ends.

    Parameters
    ----------
    server : LoggerServer
        Not yet running.
    stop : threading.Event
        The one that the server was given.
    """

    def __init__(self, server: LoggerServer, stop: threading.Event) -> None:
        super().__init__(name="loggers")
        self.server = server
        self._halt = stop
        self._error: Exception | None = None

    def run(self) -> None:
        """Serve until ``stop`` is set."""
        try:
            self.server.run()
        except Exception as error:  # noqa: BLE001 - raised again by ``end``
            self._error = error
            self._halt.set()

    def end(self) -> None:
        """Stop the server, wait for its last commit and answers, and raise what it failed with."""
        self._halt.set()
        self.join()
        if self._error is not None:
            raise self._error
