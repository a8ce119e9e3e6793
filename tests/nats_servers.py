"""Real nats-servers under test, configured as the product does it, that can be killed and started again."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from greenmine.cli.authority import Authority
from greenmine.collector.jetstream.accounts import GATEWAY, OPERATOR, NatsCredentials
from greenmine.collector.jetstream.configuration import ServerFiles, ServerNode, replicas
from greenmine.collector.jetstream.connection import (
    SOURCE,
    STREAM,
    JetStreamError,
    NatsAccount,
    asked,
    closed,
    connected,
)
from greenmine.collector.jetstream.streams import bring_about, wanted_streams
from greenmine.collector.mqtt.broker import dying_with_us
from greenmine.collector.mqtt.credentials import COLLECTOR, MONITOR, NOTIFIER, SIMULATOR
from greenmine.collector.mqtt.tls import broker_tls
from greenmine.registry import Registry
from greenmine.settings import Settings
from greenmine.simulators.messages import Message
from greenmine.simulators.pace import Speed
from greenmine.simulators.publish import Published, publish
from tests.cutting import Ways
from tests.ports import free_ports

_PATIENCE = 60.0
_SERVICES = (COLLECTOR, MONITOR, NOTIFIER, OPERATOR, GATEWAY, SIMULATOR)


def nats_program() -> str:
    """The server's program: a laptop without it skips, continuous integration fails."""
    beside = Path(sys.executable).with_name("nats-server")
    found = os.environ.get("NATS_SERVER") or (str(beside) if beside.exists() else shutil.which("nats-server"))
    if found is None:
        missing = "nats-server is not installed; with Go: .ci/nats-server"
        if "CI" in os.environ:
            pytest.fail(missing)
        pytest.skip(missing)
    return found


class NatsCluster:
    """One nats-server or several, on the loopback interface, with the accounts of a registry and the product's streams."""

    def __init__(
        self,
        folder: Path,
        registry: Registry,
        nodes: int = 1,
        *,
        streams: bool = True,
        careless: bool = False,
        tls: bool = False,
        ways: Ways | None = None,
    ) -> None:
        self._program = nats_program()
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._authority = folder / "ca.crt" if tls else None
        files = self._certificates(nodes)
        ports = iter(free_ports(4 * nodes))
        names = [f"n{number}" for number in range(nodes)]
        routes = {name: next(ports) for name in names}
        self._ways = ways
        peers = {name: self._peers(name, routes) if nodes > 1 else {} for name in names}
        self.nodes = [
            ServerNode(
                name,
                folder / name,
                folder / f"{name}.pid",
                port=next(ports),
                mqtt_port=next(ports),
                monitor=next(ports),
                route=routes[name],
                peers=peers[name],
                files=files.get(name),
            )
            for name in names
        ]
        self.credentials = NatsCredentials(folder, registry)
        self.passwords = {account: self.credentials.add(account) for account in _SERVICES}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        for node in self.nodes:
            configuration = node.configuration()
            if ways is not None:  # or they tell each other of ways around
                configuration = configuration.replace("cluster {", 'cluster {\n    advertise: "127.0.0.1:1"', 1)
            if careless:
                configuration = configuration.replace("sync_interval: always", "")
            (folder / f"{node.name}.conf").write_text(configuration)
            self.start(node.name)
        if streams:
            self.make_streams()

    def _peers(self, name: str, routes: Mapping[str, int]) -> dict[str, str]:
        """Where a node finds the others: directly, or by ways that can be cut."""
        ports = {
            other: port if self._ways is None or other == name else self._ways.add(f"{name} {other}", port)
            for other, port in routes.items()
        }
        return {other: f"127.0.0.1:{port}" for other, port in ports.items()}

    def _between(self, name: str) -> list[str]:
        others = [node.name for node in self.nodes if node.name != name]
        return [way for other in others for way in (f"{name} {other}", f"{other} {name}")]

    def cut_off(self, name: str) -> None:
        """Let nothing pass between a node and the others."""
        assert self._ways is not None
        self._ways.cut(*self._between(name))

    def mend(self, name: str) -> None:
        """Let all pass again."""
        assert self._ways is not None
        self._ways.mend(*self._between(name))

    def _certificates(self, nodes: int) -> dict[str, ServerFiles]:
        """Certificates of all nodes, as `greenmine cluster init` issues them; none without TLS."""
        if self._authority is None:
            return {}
        authority = Authority.make("test", datetime.now(UTC))
        authority.write(self._authority, self._authority.with_suffix(".key"))
        made = {}
        for name in (f"n{number}" for number in range(nodes)):
            certificate, key = (self._folder / f"{name}{ending}" for ending in (".crt", ".key"))
            authority.issue(["127.0.0.1"], certificate, key, datetime.now(UTC), client=True)
            made[name] = ServerFiles(certificate, key, self._authority)
        return made

    @property
    def port(self) -> int:
        """Of the first node, for devices."""
        return self.nodes[0].mqtt_port

    @property
    def ports(self) -> list[int]:
        """Of all nodes, for devices."""
        return [node.mqtt_port for node in self.nodes]

    def settings(self, account: str = COLLECTOR) -> dict[str, Any]:
        """Settings of a worker that reads from this log."""
        scheme = "nats" if self._authority is None else "tls"
        return {
            "jetstream": ",".join(f"{scheme}://127.0.0.1:{node.port}" for node in self.nodes),
            "broker_tls": self._authority is not None,
            "broker_ca": self._authority,
            "broker_user": account,
            "broker_password": self.passwords[account],
        }

    def process(self, name: str) -> int:
        """Id of a node's process."""
        return self._running[name].pid

    def device(self, name: str) -> str:
        """Make an account for a device, known to all nodes at once; its password."""
        password = self.credentials.add(name)
        for name_ in self._running:
            self.reload(name_)
        return password

    def reload(self, name: str) -> None:
        """Have a node read its accounts again."""
        done = subprocess.run(
            [self._program, "--signal", f"reload={self._running[name].pid}"], capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
        time.sleep(0.5)

    def make_streams(self) -> list[str]:
        """Do what `greenmine cluster apply` does, as soon as the servers answer; what was done."""
        wanted = wanted_streams(7, replicas(len(self.nodes)))
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                return asyncio.run(self._made(wanted))
            except JetStreamError as error:
                if time.monotonic() > deadline:
                    raise AssertionError(error) from error
                time.sleep(0.2)

    async def _made(self, wanted: Mapping[str, Mapping[str, Any]]) -> list[str]:
        client = await connected(self._operator(), NatsAccount(OPERATOR, self.passwords[OPERATOR]))
        try:
            return await bring_about(client, wanted, dry=False)
        finally:
            await closed(client)

    def _operator(self) -> Settings:
        return Settings.model_validate(Settings().model_dump() | self.settings(OPERATOR))

    def ask(self, api: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Ask JetStream as the operator, and again while servers are away."""

        async def once() -> dict[str, Any]:
            client = await connected(self._operator())
            try:
                return await asked(client, api, body)
            finally:
                await closed(client)

        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                return asyncio.run(once())
            except JetStreamError as error:
                if time.monotonic() > deadline:
                    raise AssertionError(error) from error
                time.sleep(0.2)

    def info(self, stream: str) -> dict[str, Any]:
        """What JetStream says of a stream."""
        return self.ask(f"STREAM.INFO.{stream}")

    def leader(self, stream: str) -> str:
        """Name of the server that leads a stream."""
        return str(self.info(stream)["cluster"]["leader"])

    def settled(self) -> int:
        """Number of the newest message of the log, as soon as all that was acknowledged is in it."""
        deadline = time.monotonic() + _PATIENCE
        while (last := self.info(STREAM)["state"]["last_seq"]) < self.info(SOURCE)["state"]["last_seq"]:
            assert time.monotonic() < deadline, f"the log is at {last} of {self.info(SOURCE)['state']}"
            time.sleep(0.1)
        return int(last)

    def start(self, name: str = "n0") -> None:
        log = (self._folder / f"{name}.log").open("ab")
        self._running[name] = subprocess.Popen(
            [*dying_with_us(), self._program, "-c", str(self._folder / f"{name}.conf")],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            process_group=0,
        )
        log.close()
        self._await(name)

    def _await(self, name: str) -> None:
        """Wait until a node takes connections of devices."""
        port = next(node.mqtt_port for node in self.nodes if node.name == name)
        deadline = time.monotonic() + _PATIENCE
        while True:
            assert self._running[name].poll() is None, (self._folder / f"{name}.log").read_text()[-500:]
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=1):
                    return
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def kill(self, name: str = "n0") -> None:
        """End a node as the kernel does when memory is short."""
        self._running[name].kill()
        self._running.pop(name).wait(_PATIENCE)

    def send(
        self, messages: Iterable[Message], *, connections: int = 6, speed: Speed = "max", keep: float = 0.0
    ) -> int:
        """Publish with QoS 1 over several connections, a device's messages in order over one; how many were acknowledged."""
        parts: dict[str, list[Message]] = {}
        for message in messages:
            parts.setdefault(message.topic, []).append(message)
        shares: list[list[Message]] = [[] for _ in range(connections)]
        for part in sorted(parts.values(), key=len, reverse=True):
            min(shares, key=len).extend(part)
        since = min(message.time_sent for part in parts.values() for message in part)
        with ThreadPoolExecutor(connections) as pool:
            sent = [
                pool.submit(
                    self._publish,
                    sorted(share, key=lambda message: message.time_sent),
                    self.ports[number % len(self.ports)],
                    speed=speed,
                    keep=keep,
                    since=None if speed == "max" else since,
                )
                for number, share in enumerate(shares)
                if share
            ]
            return sum(done.result().messages for done in sent)

    def _publish(self, messages: list[Message], port: int, **how: Any) -> Published:
        """Publish, as a device would that tries until it is let in."""
        settings = Settings.model_validate(Settings().model_dump() | self.settings(SIMULATOR))
        account = {"user": SIMULATOR, "password": self.passwords[SIMULATOR], "tls": broker_tls(settings)}
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                return publish(messages, "127.0.0.1", port, **account, **how)
            except ConnectionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
