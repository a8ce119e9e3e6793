"""``greenmine cluster``: nats-servers of an installation, and the streams in which they keep readings."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import string
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import cyclopts
from cyclopts import Parameter

from greenmine.cli.authority import Authority
from greenmine.cli.trial import TrialError, run_trial
from greenmine.collector.jetstream.accounts import GATEWAY, OPERATOR, NatsCredentials
from greenmine.collector.jetstream.configuration import (
    CLIENT_PORT,
    MQTT_PORT,
    ROUTE_PORT,
    ServerFiles,
    ServerNode,
    replicas,
)
from greenmine.collector.jetstream.connection import JetStreamError, NatsAccount, addresses, closed, connected
from greenmine.collector.jetstream.inspection import server_faults
from greenmine.collector.jetstream.streams import bring_about, wanted_streams
from greenmine.collector.mqtt.credentials import COLLECTOR, MONITOR, NOTIFIER, CredentialError
from greenmine.files import replace
from greenmine.loading import load_registry
from greenmine.registry import RegistryError
from greenmine.settings import MOST_PARTITIONS, Settings

app = cyclopts.App(name="cluster", help="nats-servers in place of Mosquitto: their configuration, and their streams.")

_FOLDER: Final = "cluster"
_UNIT: Final = Path(__file__).parent / "deployment" / "cluster" / "greenmine-nats@.service"
_WORKER: Final = Path("systemd", "greenmine-worker.service")
_STATE: Final = Path("/var/lib/greenmine-nats")
_RUN: Final = Path("/run/greenmine-nats")
_INSIDE: Final = ("localhost", "127.0.0.1", "::1")
_SECRETS: Final = {
    COLLECTOR: "greenmine_broker_password",
    NOTIFIER: "greenmine_notify_broker_password",
    OPERATOR: "greenmine_jetstream_operator_password",
    GATEWAY: "greenmine_jetstream_gateway_password",
    MONITOR: "greenmine_jetstream_monitor_password",
}
"""Accounts of services, and the files of their passwords."""
_READABLE: Final = 0o640


@app.command
def init(
    directory: Path = Path(), /, *, node: Annotated[list[str], Parameter(negative="")], partitions: int | None = None
) -> None:
    """Make configuration, certificates and accounts of nats-servers, in an installation of `greenmine init --without-docker`.

    What exists is kept, and a difference is told; a file that was removed is made anew.

    Parameters
    ----------
    directory
        Of the installation. Default: the working directory.
    node
        NAME=HOST of each server, such as n1=10.0.0.1: one, or three.
    partitions
        Into how many partitions the mines fall, for several workers: 4, 16 or 64. Fixed when the record is begun.
    """
    try:
        _Cluster(directory.resolve(), _nodes(node), partitions).make()
    except (RegistryError, CredentialError, ValueError, OSError) as error:
        raise SystemExit(f"greenmine cluster init: {error}") from error


@app.command
def apply(*, dry_run: Annotated[bool, Parameter(negative="")] = False) -> None:
    """Make or change the streams of the servers that GREENMINE_JETSTREAM names; nothing where they are as they should be.

    Exits with 1, and changes nothing, where a server is too old or acknowledges before its disk is sure.

    Parameters
    ----------
    dry_run
        Only say what would be done.
    """
    settings = Settings()
    password = settings.jetstream_operator_password
    if settings.jetstream is None or password is None:
        raise SystemExit(
            "greenmine cluster apply: GREENMINE_JETSTREAM and GREENMINE_JETSTREAM_OPERATOR_PASSWORD are needed; "
            "greenmine cluster init says what they are"
        )
    try:
        done = asyncio.run(_applied(settings, NatsAccount(OPERATOR, password.get_secret_value()), dry=dry_run))
    except (JetStreamError, ValueError, OSError) as error:
        raise SystemExit(f"greenmine cluster apply: {error}") from error
    sys.stdout.write("".join(f"{'would change' if dry_run else 'changed'}  {line}\n" for line in done))
    if not done:
        sys.stdout.write("the streams are as they should be\n")


@app.command
def trial(directory: Path, /, *, port: int = 8000, days: float = 0.25) -> None:
    """Bring up a province on this machine, to be tried: servers, workers, pages and simulated mines, all in one folder.

    Three nats-servers, PostgreSQL with a standby that it waits for, two workers, and what they bring with them. Kill any
    of them: it prints their processes, and starts again what was killed; a killed PostgreSQL is followed by its standby. Nothing
    is reached from other machines. Ctrl-C ends it and leaves no process behind.

    Parameters
    ----------
    directory
        An empty folder, or a new one.
    port
        Port of the pages on 127.0.0.1.
    days
        Days of history that the mines send first.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        run_trial(directory, port, days, stop)
    except (TrialError, RegistryError, OSError) as error:
        raise SystemExit(f"greenmine cluster trial: {error}") from error


async def _applied(settings: Settings, account: NatsAccount, *, dry: bool) -> list[str]:
    faults = await server_faults(settings)
    if faults:
        raise JetStreamError("; ".join(f"{fault.what}: {fault.fix}" for fault in faults))
    client = await connected(settings, account)
    try:
        wanted = wanted_streams(settings.jetstream_days, replicas(len(addresses(settings))))
        return await bring_about(client, wanted, dry=dry)
    finally:
        await closed(client)


def _nodes(given: list[str]) -> dict[str, str]:
    """Name and host of each server."""
    pairs = [text.partition("=") for text in given]
    nodes = {name: host for name, _, host in pairs}
    plain = set(string.ascii_letters + string.digits + "-")
    if not all(name and host and plain.issuperset(name) for name, _, host in pairs) or len(nodes) != len(pairs):
        raise ValueError(f"--node {' '.join(given)}: write each once as NAME=HOST, such as n1=10.0.0.1")
    if len(nodes) not in {1, 3}:
        raise ValueError(f"{len(nodes)} servers keep no message safer than fewer do; name one, or three")
    return nodes


class _Cluster:
    """The servers in the making."""

    def __init__(self, directory: Path, nodes: Mapping[str, str], partitions: int | None) -> None:
        self._directory = directory
        self._nodes = nodes
        self._partitions = partitions
        if partitions is not None and not 1 <= partitions <= MOST_PARTITIONS:
            raise ValueError(f"--partitions {partitions}: from 1 to {MOST_PARTITIONS}")
        self._certificate, key = (directory / "authority" / name for name in ("ca.crt", "ca.key"))
        if not (self._certificate.exists() and key.exists()):
            raise ValueError(f"{directory} has no authority; greenmine init --without-docker makes one")
        self._authority = Authority.read(self._certificate, key)
        self._group = directory.stat().st_gid

    def make(self) -> None:
        self._folder(_FOLDER)
        for name, host in self._nodes.items():
            self._folder(f"{_FOLDER}/{name}")
            self._issue(name, host)
            self._render(f"{_FOLDER}/{name}/nats-server.conf", self._node(name).configuration())
        self._accounts()
        unit = string.Template(_UNIT.read_text()).substitute(directory=self._directory, group=self._group)
        self._render(f"{_FOLDER}/{_UNIT.name}", unit)
        self._services()
        self._render(f"{_FOLDER}/settings.env", self._settings())

    def _node(self, name: str) -> ServerNode:
        alone = len(self._nodes) == 1
        files = self._directory / _FOLDER / name
        return ServerNode(
            name,
            _STATE / name,
            _RUN / f"{name}.pid",
            accounts="../accounts.conf",
            host="0.0.0.0",  # noqa: S104 - workers and the other servers come from outside
            mqtt_host="0.0.0.0",  # noqa: S104 - and so do devices
            files=ServerFiles(files / "server.crt", files / "server.key", self._certificate),
            peers={} if alone else {other: f"{host}:{ROUTE_PORT}" for other, host in self._nodes.items()},
        )

    def _issue(self, name: str, host: str) -> None:
        certificate, key = (self._directory / _FOLDER / name / file for file in ("server.crt", "server.key"))
        if certificate.exists() and key.exists():
            _say("kept", f"{_FOLDER}/{name}/server.crt")
            return
        self._authority.issue([host, *_INSIDE], certificate, key, datetime.now(UTC), client=True)
        _say("made", f"{_FOLDER}/{name}/server.crt", f"for {host}")

    def _accounts(self) -> None:
        """Make the accounts; services keep the passwords that they have."""
        credentials = NatsCredentials(self._directory / _FOLDER, load_registry(self._directory / "registry"))
        for account, file in _SECRETS.items():
            place = self._directory / "secrets" / file
            known = place.read_text().strip() if place.exists() else None
            if account in credentials.accounts() and known is not None:
                _say("kept", f"secrets/{file}")
                continue
            password = secrets.token_urlsafe(24) if known is None else known
            credentials.add(account, renew=True, password=password)
            if known is None:
                replace(place, password, _READABLE, self._group)
            _say("kept" if known else "made", f"secrets/{file}")
        credentials.refresh()

    def _services(self) -> None:
        """Units of any number of workers, and of the gateway for data loggers, as that of the one worker."""
        one = self._directory / _WORKER
        if not one.exists():
            raise ValueError(f"{one} is missing; greenmine init --without-docker makes it")
        common = one.read_text().replace(" greenmine-broker.service", "")
        self._render(f"{_FOLDER}/greenmine-worker@.service", common.replace("greenmine: ", "greenmine %i: "))
        what, part = "gateway for data loggers", "--only gateway"
        gateway = common.replace("collector, processing and record", what).replace("--only worker", part)
        self._render(f"{_FOLDER}/greenmine-gateway.service", gateway)

    def _settings(self) -> str:
        """Settings of the worker and of `greenmine device`, to be put into .env in place of the broker's."""
        hosts = [f"[{host}]" if ":" in host else host for host in self._nodes.values()]
        lines = {
            "GREENMINE_JETSTREAM": ",".join(f"tls://{host}:{CLIENT_PORT}" for host in hosts),
            "GREENMINE_BROKER_HOST": next(iter(self._nodes.values())),
            "GREENMINE_BROKER_PORT": str(MQTT_PORT),
            "GREENMINE_BROKER_TLS": "true",
            "GREENMINE_BROKER_CA": str(self._certificate),
            "GREENMINE_BROKER_USER": COLLECTOR,
            "GREENMINE_BROKER_FILES": str(self._directory / _FOLDER),
            "GREENMINE_BROKER_PID": str(_RUN / f"{next(iter(self._nodes))}.pid"),
        }
        if self._partitions is not None:
            lines["GREENMINE_PARTITIONS"] = str(self._partitions)
        return "".join(f"{name}={value}\n" for name, value in lines.items())

    def _folder(self, name: str) -> None:
        folder = self._directory / name
        if not folder.is_dir():
            folder.mkdir()
            os.chown(folder, -1, self._group)
            folder.chmod(0o750)

    def _render(self, name: str, content: str) -> None:
        """Write a file that may have been edited since: then it is kept, and a difference is told."""
        path = self._directory / name
        if not path.exists():
            replace(path, content, _READABLE, self._group)
            _say("made", name)
        elif path.read_text() == content:
            _say("kept", name)
        else:
            _say("kept", name, "differs from what would be written now; remove it to have it made anew")


def _say(what: str, name: str, more: str = "") -> None:
    sys.stdout.write(f"{what}  {name}{f'  {more}' if more else ''}\n")
