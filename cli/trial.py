"""A province on one machine, to be tried: three nats-servers, PostgreSQL with a standby, workers, pages, simulated mines."""

from __future__ import annotations

import asyncio
import getpass
import os
import pwd
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Self

from pydantic import SecretStr

from greenmine import times
from greenmine.api.accounts.secret import new_secret
from greenmine.cli.mines import stored
from greenmine.cli.processes import Processes
from greenmine.cli.run import TASKS, prepare
from greenmine.cli.visitors import PASSWORDS, welcome
from greenmine.collector.jetstream.accounts import GATEWAY, OPERATOR, NatsCredentials
from greenmine.collector.jetstream.configuration import ServerNode, replicas
from greenmine.collector.jetstream.connection import (
    STREAM,
    JetStreamError,
    NatsAccount,
    closed,
    connected,
    stream_info,
)
from greenmine.collector.jetstream.streams import bring_about, wanted_streams
from greenmine.collector.mqtt.broker import dying_with_us
from greenmine.collector.mqtt.credentials import COLLECTOR, MONITOR, SIMULATOR
from greenmine.errors import StoreError
from greenmine.files import replace
from greenmine.loading import load_registry
from greenmine.places import RecordServer
from greenmine.record.record import DatabaseError
from greenmine.record.standby import answers, make_database, promote, wait_for_standby
from greenmine.registry import DEFAULT, Registry
from greenmine.settings import OWN_REGISTRY, Settings
from greenmine.simulators.faults import KINDS
from greenmine.simulators.mine import stream
from greenmine.simulators.publish import connection, publish

HERE: Final = "127.0.0.1"
WORKERS: Final = 2
"""How many share the partitions."""
_NODES: Final = ("n1", "n2", "n3")
_SEED: Final = 1
_PATIENCE: Final = 60.0
"""Longest time for a server to start [s]."""
_AGAIN: Final = 20.0
"""After so long a server that was killed is started again [s]."""
_EVERY: Final = 5.0
"""How often messages are counted [s]."""
_DRAIN: Final = 120.0
"""How long the record may take for the last of them [s]."""
_LOOK: Final = 0.5
"""How often the servers are looked at [s]."""
_USER: Final = "postgres"
"""Runs PostgreSQL where the trial is root's, whom it refuses."""
_POSTGRESQL: Final = os.pathsep.join(
    (*map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), os.environ.get("PATH", ""))
)


class TrialError(RuntimeError):
    """The trial cannot begin or go on; the text says why."""


def run_trial(directory: Path, port: int, days: float, stop: threading.Event) -> None:
    """Bring all of it up in an empty folder, until ``stop`` is set; then nothing of it runs any more.

    Raises
    ------
    TrialError, OSError
        A program or a port is missing, or the folder is not empty.
    """
    programs = _programs()
    if directory.exists() and any(directory.iterdir()):
        raise TrialError(f"{directory} is not empty; a trial begins in a folder of its own")
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o711)  # PostgreSQL may be another user's
    directory = directory.resolve()
    closed_to_others = [place for place in directory.parents if not place.stat().st_mode & 0o001]
    if os.getuid() == 0 and closed_to_others:
        raise TrialError(
            f"PostgreSQL runs as {_USER}, who may not enter {closed_to_others[0]}; take a folder such as /srv/trial"
        )
    shutil.copytree(DEFAULT, directory / "data" / OWN_REGISTRY)
    registry = load_registry(directory / "data" / OWN_REGISTRY)
    with ExitStack() as stack:
        record = stack.enter_context(_Record(directory / "postgresql", programs))
        log = stack.enter_context(_Log(directory / "log", programs["nats-server"], registry))
        settings = Settings(
            data=directory / "data",
            registry=directory / "data" / OWN_REGISTRY,
            port=port,
            record=record.address,
            record_password=record.password,
            metrics_loopback=True,
            _env_file=None,  # type: ignore[call-arg]  # pydantic-settings' own
            **log.settings(COLLECTOR),
        )
        log.make_streams(settings)
        prepare(settings)
        visitors = welcome(settings, registry)
        mines = settings.model_copy(
            update={"broker_port": stack.enter_context(_relay(log.mqtt_ports)), **log.settings(SIMULATOR)}
        )
        processes = stack.enter_context(Processes())
        for number in range(WORKERS):
            processes.start_aside(f"worker {number + 1}", TASKS["worker"], settings)
        for part in ("archivist", "builder"):
            processes.start_aside(part, TASKS[part], settings)
        processes.start("web", TASKS["web"], settings)
        (directory / "since").write_text(str(times.now() - round(days * times.DAY)))
        with Processes() as sending:
            sending.start_aside("simulator", "greenmine.cli.trial:simulate", mines)
            _say(f"http://{HERE}:{port}/sign-in   user {visitors[0].name}, password {visitors[0].password}")
            _say(f"more accounts: {directory / 'data' / PASSWORDS}; logs: {directory}/*/*.log; Ctrl-C ends all of it")
            for server in (*log.servers, *record.servers):
                _say(f"{server.name:12} process {server.pid}")
            threading.Thread(target=_count, args=(log, settings, stop), daemon=True).start()
            while not stop.wait(_LOOK):
                for started in (processes, sending):
                    started.check()
                record.look()
                log.look()
        _count(log, settings, None)


def _count(log: _Log, settings: Settings, stop: threading.Event | None) -> None:
    """Say again and again how many messages the log has, and the ledger of the record; in the end, when it has all of them.

    Raises
    ------
    TrialError
        It does not take all of them.
    """
    deadline = time.monotonic() + _DRAIN
    while stop is None or not stop.wait(_EVERY):
        with suppress(JetStreamError, DatabaseError, StoreError):
            there = asyncio.run(log.messages(settings))
            counted, _ = stored(settings)
            if stop is not None or there == counted:
                _say(f"messages: {there} in the log, {counted} in the record")
            if stop is None and there == counted:
                return
        if stop is None:
            if time.monotonic() > deadline:
                raise TrialError(f"the record did not take all of the log in {_DRAIN:.0f} s")
            time.sleep(_LOOK)


def simulate(settings: Settings, stop: threading.Event) -> None:
    """Send what the simulated mines measured since the trial's beginning, then go on live."""
    registry = load_registry(settings.registry)
    begin = int((settings.data.parent / "since").read_text())
    messages = stream(registry, [site.id for site in registry.sites], _SEED, begin, None, KINDS)
    host, port, access = connection(settings, None)
    publish(messages, host, port, speed=1.0, since=times.now(), keep=0.0, stop=stop, **access)


class _Server:
    """A server's process, which ends with ours."""

    def __init__(self, name: str, command: Sequence[str], log: Path, *, ending: str = "TERM", **how: Any) -> None:
        self.name = name
        prefix = dying_with_us()
        self._command = (*(ending if word == "TERM" else word for word in prefix), *command)
        self._log, self._how = log, how
        self._due = 0.0
        self.given_up = False
        """Another one has taken its place for good."""
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as errors:
            self._process = subprocess.Popen(  # noqa: S603 - the programs were looked up, the rest is ours
                self._command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, process_group=0, **self._how
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def lives(self) -> bool:
        return self._process.poll() is None

    def look(self) -> bool:
        """Tell if it has just ended; after a while it is started again."""
        if self.lives() or self.given_up:
            return False
        if not self._due:
            self._due = time.monotonic() + _AGAIN
            return True
        if time.monotonic() > self._due:
            self._due = 0.0
            self.start()
            _say(f"{self.name} is started again: process {self.pid}")
        return False

    def wait_for(self, ready: Callable[[], bool]) -> None:
        """Wait until it answers.

        Raises
        ------
        TrialError
            It does not.
        """
        deadline = time.monotonic() + _PATIENCE
        while not ready():
            if not self.lives() or time.monotonic() > deadline:
                last = " ".join(self._log.read_text(errors="replace").splitlines()[-2:])
                raise TrialError(f"{self.name} did not start: {last} (its log is {self._log})")
            time.sleep(0.05)

    def end(self, number: int) -> None:
        if self.lives():
            self._process.send_signal(number)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


class _Record:
    """PostgreSQL, and a standby that it waits for, which takes its place where it ends."""

    def __init__(self, folder: Path, programs: Mapping[str, str]) -> None:
        self._folder, self._programs = folder, programs
        self.password = SecretStr(new_secret())
        self._ports = _free_ports(2)
        hosts = ",".join(f"{HERE}:{port}" for port in self._ports)
        self.address = f"postgresql://greenmine@{hosts}/greenmine?target_session_attrs=read-write"
        self.servers: list[_Server] = []

    def __enter__(self) -> Self:
        try:
            self._begin()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _begin(self) -> None:
        self._folder.mkdir()
        word = self._folder / "password"
        replace(word, self.password.get_secret_value(), 0o600)
        if os.getuid() == 0:
            shutil.chown(self._folder, _USER)
            shutil.chown(word, _USER)
        primary, standby = (self._folder / name for name in ("first", "second"))
        make = ("-D", str(primary), "-E", "UTF8", "--locale=C", "-A", "scram-sha-256", "-U", "greenmine")
        self._run("initdb", *make, f"--pwfile={word}")
        word.unlink()
        self._start("record 1", primary, self._ports[0])
        make_database(self._at(self._ports[0]), "greenmine")
        where = f"host={HERE} port={self._ports[0]} user=greenmine application_name=second"
        self._run("pg_basebackup", "-D", str(standby), "-R", "-c", "fast", "-d", where)
        self._start("record 2", standby, self._ports[1])
        wait_for_standby(self._at(self._ports[0]), "second")

    def _start(self, name: str, data: Path, port: int) -> None:
        settings = (f"port={port}", "unix_socket_directories=", f"listen_addresses={HERE}")
        options = [word for setting in settings for word in ("-c", setting)]
        command = (self._programs["postgres"], "-D", str(data), *options)
        server = _Server(name, command, self._folder / f"{data.name}.log", ending="INT", **self._as_other())
        self.servers.append(server)
        server.wait_for(lambda: answers(self._at(port)))

    def _run(self, program: str, *arguments: str) -> None:
        given = {"env": {**os.environ, "PGPASSWORD": self.password.get_secret_value()}, **self._as_other()}
        done = subprocess.run(  # noqa: S603 - as above
            [self._programs[program], *arguments], capture_output=True, text=True, check=False, **given
        )
        if done.returncode:
            raise TrialError(f"{program}: {done.stderr.strip().splitlines()[-1:]}")

    @staticmethod
    def _as_other() -> dict[str, Any]:
        if os.getuid() != 0:
            return {}
        user = pwd.getpwnam(_USER)
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": "/", "umask": 0o077}

    def _at(self, port: int) -> RecordServer:
        return RecordServer(f"postgresql://greenmine@{HERE}:{port}/postgres", self.password)

    def look(self) -> None:
        """Let the standby take the place of a server that has ended, as Patroni would."""
        first, second = self.servers
        for server in self.servers:
            if not server.look():
                continue
            _say(f"{server.name} has ended")
            if server is first and second.lives():
                first.given_up = True
                promote(self._at(self._ports[1]))
                _say(f"{second.name} has taken its place, without a standby from now on")

    def _end(self) -> None:
        for server in self.servers:
            server.end(2)


class _Log:
    """Three nats-servers that keep every message."""

    def __init__(self, folder: Path, program: str, registry: Registry) -> None:
        self._folder, self._program = folder, program
        folder.mkdir()
        ports = iter(_free_ports(4 * len(_NODES)))
        routes = {name: next(ports) for name in _NODES}
        peers = {name: f"{HERE}:{port}" for name, port in routes.items()}
        self._nodes = [
            ServerNode(
                name,
                folder / name,
                folder / f"{name}.pid",
                port=next(ports),
                mqtt_port=next(ports),
                monitor=next(ports),
                route=routes[name],
                peers=peers,
            )
            for name in _NODES
        ]
        credentials = NatsCredentials(folder, registry)
        accounts = (COLLECTOR, MONITOR, OPERATOR, GATEWAY, SIMULATOR)
        self._passwords = {account: credentials.add(account) for account in accounts}
        self.servers: list[_Server] = []

    @property
    def mqtt_ports(self) -> list[int]:
        return [node.mqtt_port for node in self._nodes]

    def settings(self, account: str) -> dict[str, Any]:
        """Settings of who uses the log by an account."""
        return {
            "jetstream": ",".join(f"nats://{HERE}:{node.port}" for node in self._nodes),
            "broker_user": account,
            "broker_password": SecretStr(self._passwords[account]),
            "jetstream_monitor_password": SecretStr(self._passwords[MONITOR]),
            "jetstream_gateway_password": SecretStr(self._passwords[GATEWAY]),
        }

    def __enter__(self) -> Self:
        try:
            for node in self._nodes:
                file = self._folder / f"{node.name}.conf"
                file.write_text(node.configuration())
                log = self._folder / f"{node.name}.log"
                self.servers.append(_Server(node.name, (self._program, "-c", str(file)), log))
            for node, server in zip(self._nodes, self.servers, strict=True):
                server.wait_for(lambda port=node.mqtt_port: _accepts(port))  # type: ignore[misc]  # bound at once
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for server in self.servers:
            server.end(15)

    def make_streams(self, settings: Settings) -> None:
        """Make the streams as soon as the servers have chosen a leader."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                asyncio.run(self._made(settings))
            except JetStreamError as error:
                if time.monotonic() > deadline:
                    raise TrialError(str(error)) from error
                time.sleep(0.2)
            else:
                return

    async def _made(self, settings: Settings) -> None:
        client = await connected(settings, NatsAccount(OPERATOR, self._passwords[OPERATOR]))
        try:
            wanted = wanted_streams(settings.jetstream_days, replicas(len(self._nodes)))
            await bring_about(client, wanted, dry=False)
        finally:
            await closed(client)

    async def messages(self, settings: Settings) -> int:
        """Count what the log has."""
        client = await connected(settings)
        try:
            info = await stream_info(client, STREAM)
            return 0 if info is None else int(info["state"]["last_seq"])
        finally:
            await closed(client)

    def look(self) -> None:
        for server in self.servers:
            if server.look():
                _say(f"{server.name} has ended; the other two go on")


@contextmanager
def _relay(ports: Sequence[int]) -> Iterator[int]:
    """A port that leads to any of several that answers, as a balancer before the servers does."""
    loop = asyncio.new_event_loop()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for port in random.sample(ports, len(ports)):
            with suppress(OSError):
                there = await asyncio.open_connection(HERE, port)
                await asyncio.gather(pass_on(reader, there[1]), pass_on(there[0], writer))
                return
        writer.close()

    server = loop.run_until_complete(asyncio.start_server(accept, HERE, 0))
    thread = threading.Thread(target=loop.run_forever, name="relay", daemon=True)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def _programs() -> dict[str, str]:
    """Where the programs are.

    Raises
    ------
    TrialError
        One is not installed.
    """
    beside = Path(sys.executable).with_name("nats-server")
    found = {"nats-server": str(beside) if beside.exists() else shutil.which("nats-server")}
    found |= {name: shutil.which(name, path=_POSTGRESQL) for name in ("initdb", "pg_basebackup", "postgres")}
    if missing := [name for name, place in found.items() if place is None]:
        raise TrialError(
            f"there is no {', '.join(missing)}; nats-server 2.14 or later comes from its makers or by go install, "
            "the others from apt-get install postgresql"
        )
    if os.getuid() == 0 and _USER not in {user.pw_name for user in pwd.getpwall()}:
        raise TrialError(f"PostgreSQL does not run as {getpass.getuser()}; begin as another user")
    return {name: place for name, place in found.items() if place is not None}


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((HERE, 0))
        return [one.getsockname()[1] for one in sockets]


def _accepts(port: int) -> bool:
    with suppress(OSError), socket.create_connection((HERE, port), timeout=1):
        return True
    return False


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
