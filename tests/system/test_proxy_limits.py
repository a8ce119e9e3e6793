"""The proxy that ships, with real nginx: slow and greedy callers do not shut out others."""

from __future__ import annotations

import http.client
import os
import resource
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.system.deployed import PLACES
from tests.system.proxied import Proxy

SLOW = 1_100
"""Connections; the default of nginx is 1024 in all."""


class Pages(BaseHTTPRequestHandler):
    """Answers every page, and holds a stream open until the server ends."""

    protocol_version = "HTTP/1.1"
    closing = threading.Event()

    def do_GET(self) -> None:
        if self.path.startswith("/api/v1/events"):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"retry: 2000\n\n")
            self.wfile.flush()
            self.closing.wait(60)
            return
        self.send_response(200)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 512


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    if shutil.which("nginx", path=PLACES) is None:
        if "CI" in os.environ:
            pytest.fail("nginx is not installed; on Debian: apt-get install nginx-light")
        pytest.skip("nginx is not installed; on Debian: apt-get install nginx-light")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 8192), hard), hard))
    Pages.closing.clear()
    pages = Server(("127.0.0.1", 0), Pages)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    made = Proxy(tmp_path_factory.mktemp("proxy"), pages.server_address[1])
    yield made
    Pages.closing.set()
    made.close()
    pages.shutdown()
    pages.server_close()


def test_connections_that_say_nothing_or_half_a_header_shut_nobody_out(proxy: Proxy) -> None:
    with ExitStack() as held:
        for number in range(SLOW):
            plain = socket.create_connection(("127.0.0.1", proxy.port), 10)
            held.callback(plain.close)
            if number % 10 == 0:
                slow = proxy.connect()
                held.callback(slow.close)
                slow.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ")
        assert proxy.get().status == 200
        assert proxy.get(source="127.0.0.2").status == 200


def test_streams_of_one_address_are_bounded_and_pages_go_on(proxy: Proxy) -> None:
    with ExitStack() as held:
        heads = []
        for _ in range(130):
            stream = proxy.connect()
            held.callback(stream.close)
            stream.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            heads.append(stream.recv(64).split()[1])
        assert (heads.count(b"200"), heads.count(b"429")) == (100, 30)
        assert proxy.get().status == 200
        assert proxy.get(source="127.0.0.2").status == 200


def test_who_asks_too_often_is_refused_for_a_while_and_others_are_not(proxy: Proxy) -> None:
    asked = b"GET /sign-in HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with closing(proxy.connect("127.0.0.3")) as greedy:
        statuses = []
        for _ in range(600):
            greedy.sendall(asked)
            answer = http.client.HTTPResponse(greedy)
            answer.begin()
            answer.read()
            statuses.append(answer.status)
            if answer.status == 429:
                break
    assert statuses[-1] == 429
    assert len(statuses) > 300
    assert proxy.get(source="127.0.0.2").status == 200


@pytest.mark.parametrize(
    "request_", [b"NONSENSE\r\n\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 40_000 + b"\r\n\r\n"]
)
def test_errors_of_the_proxy_itself_carry_the_security_headers(proxy: Proxy, request_: bytes) -> None:
    with closing(proxy.connect()) as connection:
        connection.sendall(request_)
        answer = connection.recv(4096).lower()
    assert answer.startswith(b"http/1.1 400")
    for header in (b"x-content-type-options", b"content-security-policy", b"strict-transport-security"):
        assert answer.count(header) == 1


def test_a_header_that_a_page_has_is_not_sent_twice(proxy: Proxy) -> None:
    assert proxy.get().headers.get_all("X-Content-Type-Options") == ["nosniff"]
