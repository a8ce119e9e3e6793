"""A broker on the loopback interface, for the demo and for tests."""

from __future__ import annotations

import os
import shutil
import socket
import string
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

import structlog

HOST: Final = "127.0.0.1"
MESSAGE_LIMIT: Final = 20_000_000
"""Largest message that the broker takes [bytes]: the collector is to see and count what is too large for it."""
QUEUE_LIMIT: Final = 64_000_000
"""Payloads that the demo's broker, which has nothing before it, keeps for a collector that is away [bytes]."""
TEMPLATE: Final = Path(__file__).with_name("mosquitto.conf")
"""The configuration that ships, with ``$access``, ``$directory``, ``$queue`` and ``$message`` to fill in."""
DEMO: Final = TEMPLATE.with_name("mosquitto-demo.conf")
"""Access without accounts from this machine only, with ``$port`` and ``$user`` to fill in."""

_PATIENCE: Final = 10.0
"""Longest time for a broker to start or to end [s]."""
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Broker:
    """A running broker; as a context manager it stops at the end.

    Parameters
    ----------
    kind : {"mosquitto", "iotcore"}
        Which broker it is. Only Mosquitto keeps sessions and queues when it ends.
    host : str
        Always the loopback address.
    port : int
        Where it listens.
    pid : int or None
        Mosquitto's process; None for iotcore, which manages its own.
    stop : callable
        Ends it in order, so that what it keeps is saved; a second call does nothing.
    """

    kind: Literal["mosquitto", "iotcore"]
    host: str
    port: int
    pid: int | None
    stop: Callable[[], None]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()


def start_broker(directory: Path, port: int | None = None) -> Broker:
    """Start Mosquitto, or iotcore where there is no Mosquitto, and wait until it accepts connections.

    On Linux it also ends when the thread that calls this does: call it from one that lives as long as the broker should.

    Parameters
    ----------
    directory : Path
        Where Mosquitto's configuration, log, sessions and queue lie; made if absent.
    port : int or None
        Where it listens; None: at a free port.

    Returns
    -------
    Broker
        To be stopped by the caller.

    Raises
    ------
    OSError
        The port is taken, or the broker did not start.
    """
    port = _claim(0 if port is None else port)
    program = _mosquitto()
    if program is not None:
        _log.info("starting mosquitto", program=program, port=port)
        return _start_mosquitto(program, directory, port)
    _log.warning("mosquitto is not installed; starting iotcore, which forgets what it keeps when it ends", port=port)
    import iotcore  # noqa: PLC0415 - not needed where Mosquitto is

    server = iotcore.Broker(port=port, listen=HOST, max_payload_size=MESSAGE_LIMIT)
    server.start()
    return Broker("iotcore", HOST, port, None, server.stop)


def broker_configuration(access: str, directory: Path, queue: int) -> str:
    """Mosquitto's configuration, the same in the demo and in production but for who may come in.

    Parameters
    ----------
    access : str
        Listeners and accounts, as lines of the configuration.
    directory : Path
        Where sessions and queues are kept, as the broker sees it.
    queue : int
        Payloads kept for a collector that is away [bytes]; what comes beyond is acknowledged and dropped. 0: no bound.
    """
    template = string.Template(TEMPLATE.read_text())
    return template.substitute(access=access.rstrip(), directory=directory, queue=queue, message=MESSAGE_LIMIT)


def _claim(port: int) -> int:
    """Check that a port is free, or find one for 0; another broker there must not be taken for ours."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise OSError(f"port {port} of {HOST} is taken; end what listens there or choose another") from error
        return int(probe.getsockname()[1])


def _mosquitto() -> str | None:
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def _start_mosquitto(program: str, directory: Path, port: int) -> Broker:
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    configuration = directory / "mosquitto.conf"
    # Started by root it would become the user mosquitto, who may not write here.
    user = "root" if os.geteuid() == 0 else "mosquitto"
    access = string.Template(DEMO.read_text()).substitute(port=port, user=user)
    configuration.write_text(broker_configuration(access, directory, QUEUE_LIMIT))
    log = directory / "mosquitto.log"
    with log.open("ab") as errors:
        # Its own process group: Ctrl-C is for the one that started it, which then stops it when all else has ended.
        process = subprocess.Popen(  # noqa: S603 - the program was looked up, the rest is ours
            [*dying_with_us(), program, "-c", str(configuration)],
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            process_group=0,
        )

    def stop() -> None:
        process.terminate()
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    deadline = time.monotonic() + _PATIENCE
    while not _accepts(port):
        if process.poll() is not None or time.monotonic() > deadline:
            stop()
            last = "; ".join(log.read_text(errors="replace").splitlines()[-2:])
            raise OSError(f"mosquitto did not start: {last} (its log is {log})")
        time.sleep(0.01)
    return Broker("mosquitto", HOST, port, process.pid, stop)


def dying_with_us() -> list[str]:
    """What to put before a command so that it ends in order when the thread that starts it is killed.

    Nothing where this cannot be had; the setpriv of BusyBox is without it.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return []
    said = subprocess.run([setpriv, "--help"], capture_output=True, text=True, check=False).stdout  # noqa: S603
    return [setpriv, "--pdeathsig", "TERM"] if "--pdeathsig" in said else []


def _accepts(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=1.0):
            return True
    except OSError:
        return False
