"""The disk is full: the worker says so once, keeps what it has, and goes on when there is room again."""

from __future__ import annotations

import resource
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from greenmine.registry import Registry
from tests.system.disturbed import Traffic
from tests.system.running import RestartableBroker, Worker, until
from tests.system.stored import Stored

REFUSED = "the record takes no readings"
QUOTA = 1_500_000
"""Room for tables and the first hours [bytes]."""


@dataclass
class Quota:
    """A folder with little room."""

    folder: Path
    impose: Callable[[Worker], None]
    lift: Callable[[Worker], None]


def _mount(*options: str) -> None:
    subprocess.run(["mount", *options], check=True, capture_output=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Quota]:
    """A file system of its own; only root may mount it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    try:
        _mount("-t", "tmpfs", "-o", f"size={QUOTA}", "tmpfs", str(disk))
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("may not mount a file system")
    yield Quota(disk, lambda _: None, lambda _: _mount("-o", "remount,size=500m", str(disk)))
    subprocess.run(["umount", str(disk)], check=True)


@pytest.fixture
def file_limit(tmp_path: Path) -> Quota:
    """The kernel's limit for the files of a process."""

    def limit(worker: Worker, size: int) -> None:
        resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    return Quota(tmp_path, lambda worker: limit(worker, QUOTA), lambda worker: limit(worker, resource.RLIM_INFINITY))


def _nothing(_: Worker) -> None:
    """The worker waits."""


def _kill(worker: Worker) -> None:
    """What it has not stored it must not have acknowledged."""
    worker.kill()
    worker.start()


@pytest.mark.parametrize(("quota", "meanwhile"), [("small_disk", _nothing), ("file_limit", _kill)])
def test_a_full_disk_costs_nothing_but_time(
    quota: str,
    meanwhile: Callable[[Worker], None],
    request: pytest.FixtureRequest,
    brokers: type[RestartableBroker],
    traffic: Traffic,
    mines: Registry,
    tmp_path: Path,
) -> None:
    disk: Quota = request.getfixturevalue(quota)
    part = traffic.part(6_000)
    with (
        brokers(tmp_path / "broker") as broker,
        Worker(tmp_path, broker.port, data=disk.folder, batch_readings=300) as worker,
    ):
        worker.await_connection()
        disk.impose(worker)
        broker.publish(part.messages)
        until(lambda: sum(REFUSED in line for line in worker.lines()), "the worker to say that the disk is full")
        stored = worker.count("received")
        time.sleep(2)
        assert worker.count("received") == stored < part.received
        assert worker.alive()
        (line,) = [line for line in worker.lines() if '"level": "error"' in line]
        assert REFUSED in line
        assert "the record cannot be written" in line
        meanwhile(worker)
        disk.lift(worker)
        worker.await_all(worker.accounted, len(part.instants))
        worker.stop()
        found = Stored(worker.record, mines)
    counts = Counter(found.instants())
    assert set(counts.values()) == {1}
    assert counts.keys() | found.late == part.instants
    assert all(received == sum(parts) for received, *parts in found.ledger_rows)
