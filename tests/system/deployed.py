"""The broker as `greenmine init` configures it, run for real on this machine, and clients for it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from greenmine.cli.init import init
from greenmine.collector.mqtt.credentials import Credentials
from greenmine.loading import load_registry
from tests.ports import free_port
from tests.system.running import PATIENCE, until

PLACES = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
QUIET = 0.15
"""How long something that must not come is waited for, after what must come has come [s]."""


class Installation:
    """What `greenmine init` makes, in a folder."""

    def __init__(self, folder: Path, *, simulator: bool = False) -> None:
        self.folder = folder
        init(folder, host=["localhost"], group=str(os.getgid()), simulator=simulator)
        self.ca = folder / "authority" / "ca.crt"

    def secret(self, name: str) -> str:
        return (self.folder / "secrets" / name).read_text()

    def credentials(self) -> Credentials:
        return Credentials(self.folder / "broker", load_registry())

    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.ca)


class DeployedBroker:
    """Mosquitto with the configuration of an installation for Docker; only what the container gives is changed.

    That is: where the mounted folders lie, the ports, and root in place of the image's user where root runs the tests.
    """

    def __init__(self, installation: Installation, state: Path) -> None:
        program = shutil.which("mosquitto", path=PLACES)
        assert program is not None
        state.mkdir(parents=True, exist_ok=True)
        self.port, self.simulator_port = free_port(), free_port()
        self.pid_file = state / "mosquitto.pid"
        text = (installation.folder / "broker" / "mosquitto.conf").read_text()
        changes = {
            "/mosquitto/config": str(installation.folder / "broker"),
            "/mosquitto/data": str(state),
            "/tmp/mosquitto.pid": str(self.pid_file),
            "listener 8883": f"listener {self.port} 127.0.0.1",
            "listener 8884": f"listener {self.simulator_port} 127.0.0.1",
            **({"user mosquitto": "user root"} if os.geteuid() == 0 else {}),
        }
        for old, new in changes.items():
            assert old in text or old == "listener 8884", old
            text = text.replace(old, new)
        self._configuration = state / "mosquitto.conf"
        self._configuration.write_text(text)
        script = (installation.folder / "broker" / "start.sh").read_text()
        script = script.replace("/mosquitto/config/mosquitto.conf", str(self._configuration))
        for old, new in (changes | {"18831": str(free_port())}).items():
            script = script.replace(old, new)
        self._script = state / "start.sh"
        self._script.write_text(script)
        self._command = ["/bin/sh", str(self._script)]
        self.log = state / "mosquitto.log"
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log)
        until(self._accepts, f"the broker: {self.log.read_text()}", 10)

    def _accepts(self) -> bool:
        """Whether it listens, and would not be ended by a SIGHUP, to which it begins to listen only later."""
        assert self.process.poll() is None, self.log.read_text()
        with socket.socket() as client:
            listens = client.connect_ex(("127.0.0.1", self.port)) == 0
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        caught = int(status.split("SigCgt:")[1].split()[0], 16)
        return listens and bool(caught & 1 << signal.SIGHUP - 1)

    def reload(self) -> None:
        self.process.send_signal(signal.SIGHUP)

    def certificate(self) -> str:
        """The one that it shows now."""
        return ssl.get_server_certificate(("localhost", self.port))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)


class Client:
    """Somebody with an account, who notes what comes; it never tries again by itself."""

    def __init__(
        self,
        port: int,
        user: str | None,
        password: str | None,
        tls: ssl.SSLContext | None,
        *,
        client: str = "",
        clean: bool = True,
        will: str | None = None,
    ) -> None:
        self.port = port
        self.received: list[tuple[str, bytes]] = []
        self.answer: str | None = None
        self.ended = False
        self._acknowledged: set[int] = set()
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=client, clean_session=clean, reconnect_on_failure=False
        )
        if user is not None:
            self._client.username_pw_set(user, password)
        if tls is not None:
            self._client.tls_set_context(tls)
        if will is not None:
            self._client.will_set(will, b"will", qos=1)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = lambda _client, _data, message: self.received.append((message.topic, message.payload))
        self._client.on_subscribe = lambda _client, _data, mid, _reasons, _properties: self._acknowledged.add(mid)
        self._client.connect("localhost", port)
        self._client.loop_start()
        until(lambda: self.answer is not None or self.ended, "an answer", 10)

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self.answer = str(reason)

    def _on_disconnect(self, *_: Any) -> None:
        self.ended = True

    def subscribe(self, topic: str) -> None:
        _, mid = self._client.subscribe(topic, qos=1)
        until(lambda: mid in self._acknowledged, f"the answer to the subscription of {topic}", 10)

    def publish(self, topic: str, payload: bytes = b"x", *, retain: bool = False) -> None:
        """Publish, and wait for the acknowledgement."""
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(10)

    def try_publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish what may be forbidden: Mosquitto 2.0 acknowledges that too, drops it, and may end the connection."""
        message = self._client.publish(topic, payload, qos=1, retain=retain)
        until(lambda: self.ended or message.is_published(), "the broker to do something", 10)

    def await_message(self, topic: str, payload: bytes) -> None:
        until(lambda: (topic, payload) in self.received, f"{payload!r} on {topic}, of {self.received}", 10)

    def vanish(self) -> None:
        """Lose the connection without a goodbye."""
        sock: Any = self._client.socket()
        sock.shutdown(socket.SHUT_RDWR)
        until(lambda: self.ended, "the end of the connection", 10)
        self._client.loop_stop()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()


def quiet() -> None:
    """Give what must not come the time to come."""
    time.sleep(QUIET)
