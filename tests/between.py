"""A proxy before a server, which can answer in its place."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote_plus

import urllib3


@dataclass(frozen=True)
class Answer:
    """What the proxy says itself."""

    status: int = 200
    body: bytes = b""
    missing: int = 0
    """Bytes that its length promises and that do not come."""


@dataclass
class Between:
    """State of the proxy."""

    url: str
    answers: dict[str, Answer] = field(default_factory=dict)
    """By path: what is answered instead of the server."""
    seen: list[str] = field(default_factory=list)
    """Requests in the order in which they came: method, path and body."""

    def deletions(self) -> list[str]:
        """Requests that would remove something."""
        words = ("/api/v2/delete", "DELETE FROM", "DROP ")
        return [request for request in self.seen if any(word in request for word in words)]


@contextmanager
def between(server: str) -> Iterator[Between]:
    """Run a proxy before the server at this address."""
    state = Between("")
    pool = urllib3.PoolManager(retries=False)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.partition("?")[0]
            state.seen.append(f"{self.command} {self.path} {unquote_plus(body.decode(errors='replace'))}")
            answer = state.answers.get(path)
            if answer is None:
                headers = {k: v for k, v in self.headers.items() if k not in {"Host", "Accept-Encoding"}}
                given = pool.request(self.command, server + self.path, body=body, headers=headers)
                answer = Answer(given.status, given.data)
            self.send_response(answer.status)
            if answer.status != 204:
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer.body) + answer.missing))
            self.end_headers()
            self.wfile.write(answer.body)
            self.close_connection = bool(answer.missing)

        do_GET = do_POST = do_PATCH = do_DELETE = serve  # noqa: N815 - the names that the server calls

        def log_message(self, *_: object) -> None:
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.daemon_threads = True
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    state.url = f"http://127.0.0.1:{running.server_port}"
    try:
        yield state
    finally:
        running.shutdown()
        running.server_close()
        thread.join()
        pool.clear()
