"""Real servers, InfluxDB 2 and Grafana: started from their programs, or running elsewhere.

======================================== ============================================================================
``INFLUXD_BIN``                          program ``influxd`` of InfluxDB 2
``INFLUX_URL``, ``INFLUX_ADMIN_TOKEN``   or a running server that may be filled, with an operator's token
``GRAFANA_BIN``, ``GRAFANA_HOME``        program ``grafana`` and its home, the folder with ``conf`` and ``public``
``GRAFANA_URL``, ``GRAFANA_PASSWORD``    or a running server that may be provisioned, with the password of ``admin``
======================================== ============================================================================
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import signal
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.influxing import PATIENCE, Asked, until
from tests.ports import free_ports
from tests.system.composed import document

ORG = "greenmine"
ADMIN = "admin"


def missing() -> str:
    """What the environment does not name, in one line; empty where both servers are named."""
    named = os.environ
    influx = "INFLUXD_BIN" in named or {"INFLUX_URL", "INFLUX_ADMIN_TOKEN"} <= named.keys()
    grafana = {"GRAFANA_BIN", "GRAFANA_HOME"} <= named.keys() or {"GRAFANA_URL", "GRAFANA_PASSWORD"} <= named.keys()
    if influx and grafana:
        return ""
    return (
        "no real servers: set INFLUXD_BIN, or INFLUX_URL and INFLUX_ADMIN_TOKEN;"
        " and GRAFANA_BIN and GRAFANA_HOME, or GRAFANA_URL and GRAFANA_PASSWORD"
    )


@dataclass(frozen=True)
class Answer:
    """Status and body of an HTTP answer."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


def call(
    method: str, url: str, *, headers: Mapping[str, str] | None = None, body: Any = None, timeout: float = PATIENCE
) -> Answer:
    """Ask a server; an answer of any status is an answer. A mapping or list is sent as JSON, bytes as a form."""
    given = dict(headers or {})
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        given.setdefault("Content-Type", "application/json")
    request = urllib.request.Request(url, body, given, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return Answer(answer.status, answer.read())
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.read())


class Program(ABC):
    """A server that is started from its program, and can be killed and started again on the files that it left."""

    process: subprocess.Popen[bytes]

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.log = folder / f"{name}.log"
        (self.port,) = free_ports(1)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                cwd=self.folder,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            until(self._answers, f"{self.command()[0]}, see {self.log}")
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """End it as the kernel does when memory is short."""
        self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        """Let it take connections and answer nothing."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def proceed(self) -> None:
        """End a pause."""
        os.kill(self.process.pid, signal.SIGCONT)

    def stop(self) -> None:
        """End it in good order."""
        if self.process.poll() is None:
            self.proceed()
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @abstractmethod
    def command(self) -> list[str]:
        """Program with its arguments."""

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """Variables that it needs besides those of this process."""

    @abstractmethod
    def health(self) -> str:
        """Path that answers 200 when it is ready."""

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text(errors="replace").splitlines()[-5:]
        try:
            with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)) as connection:
                connection.request("GET", self.health())
                return connection.getresponse().status == 200
        except OSError:
            return False


class InfluxDB(Asked):
    """InfluxDB 2 with an operator's token."""

    def __init__(self, url: str, token: str) -> None:
        self.url, self.token = url, token

    def query(self, statement: str, database: str | None = None, *, token: str | None = None) -> list[dict[str, Any]]:
        """Ask by InfluxQL; the ``results`` of the answer, times in ns."""
        given = {"q": statement, "epoch": "ns", **({} if database is None else {"db": database})}
        answer = self.call("POST", "/query", urllib.parse.urlencode(given).encode(), token=token).json()
        assert "results" in answer, answer
        results: list[dict[str, Any]] = answer["results"]
        for result in results:
            assert "error" not in result, f"{statement}: {result['error']}"
        return results

    def call(self, method: str, path: str, body: Any = None, *, token: str | None = None) -> Answer:
        """Ask by its API; as the operator, unless another token is given."""
        headers = {"Authorization": f"Token {self.token if token is None else token}"}
        if isinstance(body, bytes):
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        return call(method, f"{self.url}{path}", headers=headers, body=body)


class StartedInfluxDB(Program, InfluxDB):
    """InfluxDB 2 on a folder and a port of its own, set up with secrets of its own.

    Parameters
    ----------
    folder : Path
        Where it keeps its files.
    settings : mapping
        Its ``INFLUXD_...`` settings.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        Program.__init__(self, folder, "influxd")
        self.token = secrets.token_urlsafe(24)
        self._settings = dict(settings)
        self.start()
        setup = {
            "username": ADMIN,
            "password": secrets.token_urlsafe(24),
            "org": ORG,
            "bucket": "setup",
            "token": self.token,
        }
        answer = call("POST", f"{self.url}/api/v2/setup", body=setup)
        if answer.status != 201:
            self.kill()
            raise AssertionError(answer)

    def command(self) -> list[str]:
        return [
            os.environ["INFLUXD_BIN"],
            f"--http-bind-address=127.0.0.1:{self.port}",
            f"--bolt-path={self.folder / 'influxd.bolt'}",
            f"--engine-path={self.folder / 'engine'}",
            "--log-level=error",
        ]

    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), **self._settings}

    def health(self) -> str:
        return "/api/v2/setup"  # /health and /ready answer before the rest does


class Grafana:
    """Grafana with its server administrator."""

    def __init__(self, url: str, password: str) -> None:
        self.url, self.password = url.rstrip("/"), password

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        org: int | None = None,
        account: tuple[str, str] | None = None,
        timeout: float = PATIENCE,
    ) -> Answer:
        """Ask by its API, in one organisation; as the administrator, unless another account is given."""
        login = ":".join(account or (ADMIN, self.password))
        headers = {"Authorization": f"Basic {b64encode(login.encode()).decode()}"}
        if org is not None:
            headers["X-Grafana-Org-Id"] = str(org)
        return call(method, f"{self.url}{path}", headers=headers, body=body, timeout=timeout)

    def get(self, path: str, *, org: int | None = None, account: tuple[str, str] | None = None) -> Any:
        """What a path holds; it must be there."""
        answer = self.call("GET", path, org=org, account=account)
        assert answer.status == 200, (path, answer)
        return answer.json()

    def organisations(self) -> dict[str, int]:
        """Id of each organisation by its key: ``district``, or the id of the enterprise."""
        rows = self.get("/api/orgs?perpage=1000")
        return {"district" if row["id"] == 1 else row["name"].rpartition("(")[2].rstrip(")"): row["id"] for row in rows}


class StartedGrafana(Program, Grafana):
    """Grafana on a folder and a port of its own.

    Parameters
    ----------
    folder : Path
        Where it keeps its files.
    settings : mapping
        Its ``GF_...`` settings.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        Program.__init__(self, folder, "grafana")
        self.password = secrets.token_urlsafe(24)
        self._settings = dict(settings)
        self.start()

    def command(self) -> list[str]:
        return [os.environ["GRAFANA_BIN"], "server", f"--homepath={os.environ['GRAFANA_HOME']}"]

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            **self._settings,
            "GF_PATHS_DATA": str(self.folder / "data"),
            "GF_PATHS_LOGS": str(self.folder / "logs"),
            "GF_PATHS_PLUGINS": str(self.folder / "plugins"),
            "GF_PATHS_PROVISIONING": str(self.folder / "provisioning"),
            "GF_SERVER_HTTP_ADDR": "127.0.0.1",
            "GF_SERVER_HTTP_PORT": str(self.port),
            "GF_SERVER_ROOT_URL": self.url,
            "GF_SECURITY_ADMIN_PASSWORD": self.password,
            "GF_SECURITY_SECRET_KEY": self.password,
            "GF_LOG_LEVEL": "warn",
        }

    def health(self) -> str:
        return "/api/health"


def shipped(service: str) -> dict[str, str]:
    """Settings of a service in docker-compose.yml, but for what names files of its container."""
    given = {"GREENMINE_GID": "0", "GREENMINE_UID": "0", "GREENMINE_PUBLIC_URL": "", "GREENMINE_GRAFANA_PUBLIC_URL": ""}
    settings: dict[str, str] = document(given)["services"][service]["environment"]
    return {name: value for name, value in settings.items() if not name.endswith(("_FILE", "_URL"))}
