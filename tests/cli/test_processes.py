"""Processes of an installation: which begin again with a changed registry, and how one begins afresh."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from multiprocessing import forkserver
from pathlib import Path

import pytest

from greenmine.api.watching import WatchedRegistry
from greenmine.cli.processes import Processes
from greenmine.loading import load_registry
from greenmine.registry import DEFAULT
from greenmine.settings import Settings
from tests.system.running import until

_INSPECTION = '\n[[inspections]]\nday = 2026-01-05\nunit = "environment"\nfinding = "堆场未覆盖"\n'


def wait(settings: Settings, stop: threading.Event) -> None:
    """Note that a process began, and wait."""
    with (settings.data / "begun").open("a") as file:
        file.write("begun\n")
    stop.wait()


def end(settings: Settings, _stop: threading.Event) -> None:
    """Note that a process began, and end well."""
    with (settings.data / "ended").open("a") as file:
        file.write("ended\n")


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.mark.parametrize(
    ("old", "new", "again"),
    [("", _INSPECTION, {"archivist"}), ("high = 800", "high = 700", {"worker", "archivist"})],
    ids=["inspection", "target"],
)
def test_only_what_a_change_touches_begins_again(tmp_path: Path, old: str, new: str, again: set[str]) -> None:
    folder = tmp_path / "registry"
    shutil.copytree(DEFAULT, folder)
    path = folder / "sites" / "jiuchi.toml"
    with Processes() as processes:
        begun = {}
        for name in ("worker", "web", "archivist"):
            data = tmp_path / name
            data.mkdir()
            begun[name] = data / "begun"
            processes.start(name, "tests.cli.test_processes:wait", Settings(data=data, registry=folder))
        until(lambda: all(_lines(place) == 1 for place in begun.values()), "the processes to begin")
        stop = threading.Event()
        watching = threading.Thread(target=processes.watch, args=(stop, WatchedRegistry(folder, load_registry(folder))))
        watching.start()
        text = path.read_text("utf-8")
        path.write_text(text.replace(old, new, 1) if old else text + new, "utf-8")
        until(lambda: all(_lines(begun[name]) == 2 for name in again), "those that are touched to begin again")
        stop.set()
        watching.join()
    assert {name for name, place in begun.items() if _lines(place) == 2} == again


def test_a_process_that_ends_well_begins_afresh_at_once(tmp_path: Path) -> None:
    with Processes() as processes:
        processes.start_aside("builder", "tests.cli.test_processes:end", Settings(data=tmp_path))

        def again() -> bool:
            processes.check()
            return _lines(tmp_path / "ended") == 3

        until(again, "the process to begin twice more")


def test_what_forks_outlives_a_signal_to_all_processes_of_the_group(tmp_path: Path) -> None:
    with Processes() as processes:
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(forkserver._forkserver._forkserver_pid, number)  # type: ignore[attr-defined]
        processes.start("worker", "tests.cli.test_processes:wait", Settings(data=tmp_path))
        until(lambda: _lines(tmp_path / "begun") == 1, "the process to begin")


@pytest.mark.parametrize("module", ["greenmine.cli.demo", "greenmine.cli.run", "greenmine.notify.service"])
def test_a_process_that_mostly_waits_holds_nothing_that_computes_or_fills(module: str) -> None:
    code = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "greenmine" in loaded
    assert not {"pyarrow", "typst", "fontTools", "influxdb_client", "grafana_client"} & set(loaded)
