"""What the system tests share: the need for Mosquitto, and one undisturbed run to compare with."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import expect

from greenmine.files import locked
from greenmine.loading import load_registry
from greenmine.registry import Registry
from tests.records import chosen, record_in
from tests.system.disturbed import Traffic, disturbed_traffic
from tests.system.running import Environment, RestartableBroker, Worker
from tests.system.stored import Stored

expect.set_options(timeout=20_000)  # [ms]: pages are slow to be drawn on a busy machine
_PLACES = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))


@pytest.fixture(scope="session")
def brokers() -> type[RestartableBroker]:
    """Starts real Mosquitto on a folder: a laptop without it skips, continuous integration fails."""
    if shutil.which("mosquitto", path=_PLACES) is None:
        missing = "mosquitto is not installed; on Debian: apt-get install mosquitto"
        if "CI" in os.environ:
            pytest.fail(missing)
        pytest.skip(missing)
    return RestartableBroker


def _common(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that processes which test side by side have in common."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Environment of the processes under test; all share compiled modules, so that starts are quick."""
    return Environment(_common(tmp_path_factory) / "compiled")


@pytest.fixture(scope="session")
def mines() -> Registry:
    """The default registry."""
    return load_registry()


@pytest.fixture(scope="session")
def traffic(mines: Registry) -> Traffic:
    """A mine's messages of three days, with repeats, disorder and delays."""
    return disturbed_traffic(mines, "yanjing", seed=20170113)


@pytest.fixture(scope="session")
def undisturbed(
    brokers: type[RestartableBroker],
    mines: Registry,
    traffic: Traffic,
    tmp_path_factory: pytest.TempPathFactory,
) -> Stored:
    """What the record holds when nothing goes wrong; processes that test side by side share one run."""
    # A file of SQLite outlives the process that made it, a server of records does not.
    base = _common(tmp_path_factory) if chosen["kind"] == "sqlite" else tmp_path_factory.getbasetemp()
    folder = base / "undisturbed"
    folder.mkdir(exist_ok=True)
    with locked(folder / "lock"):
        if not (folder / "done").exists():
            with brokers(folder / "broker") as broker, Worker(folder, broker.port) as worker:
                worker.await_connection()
                broker.publish(traffic.messages)
                worker.await_all(lambda: worker.count("received"), traffic.received)
            (folder / "done").touch()
    return Stored(record_in(folder), mines)
