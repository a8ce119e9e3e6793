"""The builder of evidence bundles: killed, stopped, started twice, and with bundles that cannot be built."""

from __future__ import annotations

import multiprocessing
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from greenmine.cli.builder import build_bundles
from greenmine.evidence.verify import verify
from greenmine.files import locked
from greenmine.record import schema
from greenmine.record.bundles import ATTEMPTS, Workbench, file_of
from greenmine.record.contributions import Contributions
from greenmine.record.record import Record, migrate, open_engine
from greenmine.record.writer import Pipeline
from greenmine.reporting import Period
from greenmine.settings import Settings
from tests.processing.mine import DAY, at, feed, registry_of
from tests.processing.streams import stream
from tests.records import record_in
from tests.system.running import until

FIRST = at("2026-03-02T00:00")
PERIOD = Period("2026-03-03..2026-03-04", date(2026, 3, 3), date(2026, 3, 4))
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["__main__", "greenmine.cli.builder"])


def build_for_ever(settings: Settings) -> None:
    build_bundles(settings, threading.Event())


def furnish(folder: Path) -> None:
    """An installation with three days of a mine."""
    registry = registry_of(folder / "registry")
    migrate(engine := open_engine(record_in(folder)))
    feed(
        Pipeline(registry, Record(engine, registry)),
        [stream(registry, np.random.default_rng(5), FIRST, FIRST + 3 * DAY)],
    )
    engine.dispose()


class Workshop:
    """An installation, and its builder."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(data=folder, registry=folder / "registry")
        self.engine = open_engine(self.settings.record_place)

    def ask(self, site: str = "mine") -> int:
        with self.engine.begin() as connection:
            return int(Contributions(connection, 0).ask_for_bundle(site, PERIOD, "zh", "li", FIRST).id)

    def row(self, number: int) -> sa.Row[Any]:
        with self.engine.connect() as connection:
            return connection.execute(sa.select(schema.bundle).where(schema.bundle.c.id == number)).one()

    def await_state(self, number: int, state: str) -> None:
        until(lambda: self.row(number).state == state, f"bundle {number} to be {state}")

    @contextmanager
    def building(self) -> Iterator[threading.Event]:
        """The builder in a thread, until the end or until the event is set."""
        stop = threading.Event()
        thread = threading.Thread(target=build_bundles, args=(self.settings, stop))
        thread.start()
        try:
            yield stop
        finally:
            stop.set()
            thread.join(60)

    def build_and_kill(self, number: int) -> None:
        """Start the builder in a process, and kill it when it has begun with a bundle."""
        before = self.row(number).attempts
        builder = _PROCESSES.Process(target=build_for_ever, args=(self.settings,))
        builder.start()
        until(lambda: self.row(number).attempts > before, f"bundle {number} to be begun with")
        builder.kill()
        builder.join(60)


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("furnished")
    furnish(folder)
    return folder


@pytest.fixture
def workshop(furnished: Path, tmp_path: Path) -> Iterator[Workshop]:
    shutil.copytree(furnished, tmp_path, dirs_exist_ok=True)
    made = Workshop(tmp_path)
    yield made
    made.engine.dispose()


def test_a_bundle_is_built_though_the_builder_is_killed_and_another_cannot_be_built(workshop: Workshop) -> None:
    wrong, right = workshop.ask("elsewhere"), workshop.ask()
    workshop.build_and_kill(right)
    leftover = workshop.settings.bundles / ".evidence-from-before"
    leftover.mkdir(exist_ok=True)
    with workshop.building():
        workshop.await_state(right, "done")
    row = workshop.row(right)
    path = file_of(workshop.settings.bundles, right)
    assert (row.attempts, row.size) == (2, path.stat().st_size)
    assert verify(path).findings == []
    assert sorted(p.name for p in workshop.settings.bundles.iterdir()) == [".lock", path.name]
    assert workshop.row(wrong).state == "failed"
    assert "no site 'elsewhere'" in workshop.row(wrong).error
    with workshop.engine.connect() as connection:
        sealed = connection.scalars(sa.select(schema.sealed_day.c.day)).all()
    assert sealed == ["2026-03-02", "2026-03-03", "2026-03-04"]


def test_a_bundle_that_ends_the_builder_each_time_is_given_up(workshop: Workshop) -> None:
    number = workshop.ask()
    for _ in range(ATTEMPTS):
        bench = Workbench(workshop.engine, workshop.settings.bundles)  # of another builder, which dies with the bundle
        bench.take_up(FIRST)
        begun = bench.next()
        assert begun is not None
    with workshop.building():
        workshop.await_state(number, "failed")
    assert "interrupted" in workshop.row(number).error


def test_one_builds_at_a_time_and_one_that_is_stopped_leaves_the_bundle_to_the_next_start(workshop: Workshop) -> None:
    number = workshop.ask()
    workshop.settings.bundles.mkdir()
    with locked(workshop.settings.bundles / ".lock"), workshop.building() as stop:
        assert not stop.wait(1.0)
        assert workshop.row(number).state == "waiting"
    with workshop.building() as stop:
        workshop.await_state(number, "running")
        stop.set()
    row = workshop.row(number)
    assert (row.state, row.attempts) in {("waiting", 0), ("done", 1)}, "done, if nothing was left to be asked"


def test_files_are_removed_after_their_time_and_stay_listed(workshop: Workshop) -> None:
    number = workshop.ask()
    bench = Workbench(workshop.engine, workshop.settings.bundles)
    workshop.settings.bundles.mkdir()
    assert bench.next() is not None
    file_of(workshop.settings.bundles, number).write_bytes(b"zip")
    bench.finish(number, [], FIRST)
    assert bench.remove(FIRST) == 0
    assert bench.remove(FIRST + 1) == 1
    assert (workshop.row(number).state, list(workshop.settings.bundles.iterdir())) == ("removed", [])
