from __future__ import annotations

import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from greenmine.loading import load_registry
from greenmine.registry import Registry
from greenmine.simulators.clock import DAY_MS
from tests.ports import free_port

MOSQUITTO = Path("/usr/sbin/mosquitto")


@pytest.fixture(scope="session")
def registry() -> Registry:
    return load_registry()


@pytest.fixture(scope="session")
def sites(registry: Registry) -> list[str]:
    return [site.id for site in registry.sites]


@pytest.fixture(scope="session")
def monday() -> int:
    """A Monday 08:00 in Wanzhou [ms UTC]: days of UTC begin in the middle of its working hours."""
    return 20766 * DAY_MS


class Broker:
    """A real Mosquitto on a free port of the loopback, restartable with its state."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\n"
            "max_queued_messages 0\nmax_inflight_messages 0\n"
            f"persistence true\npersistence_location {folder}/\nuser root\n"
        )
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [str(MOSQUITTO), "-c", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        end = time.monotonic() + 10
        while time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise RuntimeError("mosquitto does not answer")

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(10)

    def restart(self) -> None:
        self.stop()
        self.start()


@pytest.fixture
def broker(tmp_path: Path):
    if not MOSQUITTO.exists():
        pytest.skip("mosquitto is not installed")
    running = Broker(tmp_path)
    yield running
    running.stop()
