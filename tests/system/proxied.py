"""nginx with the configuration of an installation, before pages that run already."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import ssl
import subprocess
from contextlib import closing
from pathlib import Path

from greenmine.cli.init import init
from tests.ports import free_port
from tests.system.deployed import PLACES
from tests.system.running import until


class Proxy:
    """nginx with the configuration of an installation without Docker; only ports, and where files lie, are changed.

    Parameters
    ----------
    folder : Path
        Empty; the configuration goes into it.
    pages : int
        Port of the pages on 127.0.0.1.
    """

    def __init__(self, folder: Path, pages: int) -> None:
        program = shutil.which("nginx", path=PLACES)
        assert program is not None
        init(folder, host=["localhost"], group=str(os.getgid()), without_docker=True)
        self.port, grafana, health = free_port(), free_port(), free_port()
        text = (folder / "proxy" / "nginx.conf").read_text()
        changes = {
            "/run/greenmine-proxy": str(folder),
            "listen 443 ": f"listen {self.port} ",
            "listen 3443 ": f"listen {grafana} ",
            "127.0.0.1:8081": f"127.0.0.1:{health}",
            "http://127.0.0.1:8000": f"http://127.0.0.1:{pages}",
        }
        for old, new in changes.items():
            assert old in text, old
            text = text.replace(old, new)
        configuration = folder / "nginx.conf"
        configuration.write_text(text)
        log = (folder / "nginx.log").open("wb")
        command = [program, "-c", configuration, "-e", "stderr", "-g", "daemon off; master_process off;"]
        self.process = subprocess.Popen(command, stderr=log)
        log.close()
        self.tls = ssl.create_default_context(cafile=folder / "authority" / "ca.crt")
        until(self._listens, "nginx", 10)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def connect(self, source: str = "127.0.0.1") -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self.port), 10, source_address=(source, 0))
        return self.tls.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=True)

    def get(self, path: str = "/sign-in", source: str = "127.0.0.1", more: str = "") -> http.client.HTTPResponse:
        """Answer to a request, its body read; ``more`` are header lines."""
        with closing(self.connect(source)) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n".encode())
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            answer.read()
            return answer

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(10)
