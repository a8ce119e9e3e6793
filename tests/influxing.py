"""A real InfluxDB for tests: Debian's 1.6.7 behind an nginx that gives it the write path of InfluxDB 2."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.parse
from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Self

import pytest

from tests.ports import free_ports

PATIENCE = 120.0
"""Longest time for anything to happen on a busy machine [s]."""
_PLACES = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))

_INFLUXD = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
dir = "{folder}/meta"
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
query-log-enabled = false
{data}
[http]
bind-address = "127.0.0.1:{port}"
log-enabled = false
auth-enabled = {auth}
{http}
[monitor]
store-enabled = false
"""

# The arguments of a rewritten address replace those of the request.
_NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
worker_processes 1;
events {{ worker_connections 128; }}
http {{
    access_log off;
    client_max_body_size 100m;
    client_body_buffer_size 100m;
    proxy_max_temp_file_size 0;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location = /api/v2/write {{
            proxy_pass http://127.0.0.1:{influxd}/write?db=$arg_bucket&precision=$arg_precision;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
        location / {{
            proxy_pass http://127.0.0.1:{influxd};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"""


class Asked(ABC):
    """An InfluxDB that answers InfluxQL."""

    @abstractmethod
    def query(self, statement: str, database: str | None = None) -> list[dict[str, Any]]:
        """The ``results`` of an answer, times in ns."""

    def rows(self, statement: str, database: str) -> list[dict[str, Any]]:
        """Rows of a query as mappings, tags of ``GROUP BY`` included, times in ns."""
        return [
            {**series.get("tags", {}), **dict(zip(series["columns"], values, strict=True))}
            for result in self.query(statement, database)
            for series in result.get("series", ())
            for values in series["values"]
        ]

    def export(self, database: str) -> dict[str, dict[tuple[tuple[str, Any], ...], dict[str, Any]]]:
        """Everything a database holds: for each measurement, identity (tags and time) → fields.

        Read with ``GROUP BY *``, so that tags and fields cannot be taken for each other.
        """
        found: dict[str, dict[tuple[tuple[str, Any], ...], dict[str, Any]]] = {}
        for measurement in (row["name"] for row in self.rows("SHOW MEASUREMENTS", database)):
            points = found.setdefault(measurement, {})
            for result in self.query(f'SELECT * FROM "{measurement}" GROUP BY *', database):
                for series in result.get("series", ()):
                    tags = tuple(sorted((k, v) for k, v in series.get("tags", {}).items() if v != ""))
                    for values in series["values"]:
                        row = dict(zip(series["columns"], values, strict=True))
                        time_of = row.pop("time")
                        points[*tags, ("time", time_of)] = {k: v for k, v in row.items() if v is not None}
        return found


class RealInflux(Asked):
    """influxd and nginx on a folder and ports of their own; influxd can be killed, paused and started again.

    Parameters
    ----------
    folder : Path
        Where both keep their files.
    auth : bool
        Whether influxd asks for user and password.
    data, http : str
        Further lines for these sections of influxd's configuration.
    """

    def __init__(self, folder: Path, *, auth: bool = False, data: str = "", http: str = "") -> None:
        self.user: tuple[str, str] | None = None
        """Whoever asks where a query names nobody."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.backend, self.port, rpc = free_ports(3)
        self.configuration = folder / "influxdb.conf"
        self.configuration.write_text(
            _INFLUXD.format(folder=folder, port=self.backend, rpc=rpc, auth=str(auth).lower(), data=data, http=http)
        )
        nginx = folder / "nginx.conf"
        nginx.write_text(_NGINX.format(folder=folder, port=self.port, influxd=self.backend))
        self._log = (folder / "servers.log").open("ab")
        self._nginx = self._spawn("nginx", "-p", str(folder), "-c", str(nginx))
        self.start()

    @property
    def url(self) -> str:
        """Address of the InfluxDB 2 write path, and of ``/query``."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start influxd, on the files that it left."""
        self.influxd = self._spawn("influxd", "-config", str(self.configuration))
        self._await(self.influxd, self.backend)
        self._await(self._nginx, self.port)

    def kill(self) -> None:
        """End influxd as the kernel does when memory is short."""
        self.influxd.kill()
        self.influxd.wait()

    def pause(self) -> None:
        """Let influxd take connections and answer nothing."""
        os.kill(self.influxd.pid, signal.SIGSTOP)

    def proceed(self) -> None:
        os.kill(self.influxd.pid, signal.SIGCONT)

    def stop(self) -> None:
        """End both."""
        for process in (self.influxd, self._nginx):
            if process.poll() is None:
                os.kill(process.pid, signal.SIGCONT)
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        self._log.close()

    def query(
        self, statement: str, database: str | None = None, *, user: tuple[str, str] | None = None
    ) -> list[dict[str, Any]]:
        """Ask influxd itself; the ``results`` of its answer, times in ns."""
        given = {"q": statement, "epoch": "ns", **({} if database is None else {"db": database})}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        user = user or self.user
        if user is not None:
            headers["Authorization"] = "Basic " + b64encode(":".join(user).encode()).decode()
        with closing(http.client.HTTPConnection("127.0.0.1", self.backend, timeout=PATIENCE)) as connection:
            connection.request("POST", "/query", urllib.parse.urlencode(given), headers)
            answer = json.loads(connection.getresponse().read())
        assert "error" not in answer, answer["error"]
        results: list[dict[str, Any]] = answer["results"]
        for result in results:
            assert "error" not in result, f"{statement}: {result['error']}"
        return results

    def _spawn(self, *command: str) -> subprocess.Popen[bytes]:
        program = shutil.which(command[0], path=_PLACES)
        assert program is not None
        return subprocess.Popen([program, *command[1:]], stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)

    def _await(self, process: subprocess.Popen[bytes], port: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while not _answers(port):
            said = (self.folder / "servers.log").read_text(errors="replace").splitlines()[-5:]
            assert process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.02)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


@contextmanager
def real_influx(folder: Path, **options: Any) -> Iterator[RealInflux]:
    """A running `RealInflux`; a laptop without the servers skips the test, continuous integration fails it."""
    missing = [name for name in ("influxd", "nginx") if shutil.which(name, path=_PLACES) is None]
    if missing:
        text = f"{' and '.join(missing)} not installed; on Debian: apt-get install influxdb nginx-light"
        if "CI" in os.environ:
            pytest.fail(text)
        pytest.skip(text)
    with RealInflux(folder, **options) as server:
        yield server


def until(condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)


def _answers(port: int) -> bool:
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=2)) as connection:
            connection.request("GET", "/ping")
            return connection.getresponse().status == 204
    except OSError:
        return False
