"""Channels of one mine that arrive hours apart: what rests on several of them is the same in the end as if all came in order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from greenmine.loading import load_registry
from greenmine.readings import Readings
from greenmine.record.writer import Pipeline
from greenmine.registry import Registry
from tests.processing.mine import HOUR, MINE, MINUTE, Held, Station, assert_same, at, feed, held, record_at, registry_of
from tests.processing.streams import far_later, pieces, stream
from tests.records import record_in

EVENING = at("2026-06-01T17:13:00")
END = EVENING + 33 * HOUR
LATENESS = 180
"""Minutes; the ring holds no more than the longest window, this, and four hours."""
CRUSHER = Station("crusher", ("equipment-state",), "300s")
BEYOND = 27 * HOUR
"""So far apart that neither ring holds what the other one has just got."""


@pytest.fixture(scope="module")
def working(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """A mine whose noise rests on weather and crusher, and whose dust rests on the wind and a second station."""
    folder = tmp_path_factory.mktemp("skew")
    without = [station for station in MINE if station.id not in {"homes", "pond"}]
    registry_of(folder, {"mine": ("Asia/Shanghai", (*without, CRUSHER))})
    path = folder / "sites" / "mine.toml"
    path.write_text('working = { equipment = "crusher" }\n' + path.read_text("utf-8"), "utf-8")
    return load_registry(folder)


@pytest.fixture(scope="module")
def some(working: Registry) -> Readings:
    return stream(working, np.random.default_rng(1), EVENING, END)


@pytest.fixture(scope="module")
def undisturbed(working: Registry, some: Readings, tmp_path_factory: pytest.TempPathFactory) -> Held:
    return end(working, record_in(tmp_path_factory.mktemp("undisturbed")), [some])


def end(registry: Registry, path: Path, parts: list[Readings], restart: int = -1) -> Held:
    """What a new record holds in the end; restatements have one step after each part, and are carried out at last."""
    record = record_at(path, registry)
    pipeline = Pipeline(registry, record, lateness=LATENESS)
    for number, part in enumerate([*parts, far_later(registry, END + 80 * HOUR)]):
        if number == restart:
            pipeline = Pipeline(registry, record, lateness=LATENESS)
        feed(pipeline, [part])
        pipeline.wait(int(part.time.max()) + MINUTE)
        pipeline.carry_on(END)
    while pipeline.carry_on(END):
        pass
    found = held(record)
    record.engine.dispose()
    return found


def delayed(some: Readings, delay: np.ndarray) -> Readings:
    """Readings in the order in which they come, if each channel is late by as much [ms]."""
    return some.take(np.argsort(some.time + delay[some.channel], kind="stable"))


@pytest.mark.parametrize(
    "late",
    [("weather",), ("fence",), ("south", "crusher")],
    ids="-".join,
)
def test_stations_that_come_a_day_after_the_others_change_nothing(
    working: Registry, some: Readings, undisturbed: Held, tmp_path: Path, late: tuple[str, ...]
) -> None:
    delay = np.array([BEYOND * (c.station in late) for c in working.channels])
    parts = pieces(delayed(some, delay), np.random.default_rng(2), 5)
    assert_same(undisturbed, end(working, record_in(tmp_path), parts))


@pytest.mark.parametrize("most", [170, 2500])
def test_channels_that_come_apart_by_any_time_change_nothing(
    working: Registry, some: Readings, undisturbed: Held, tmp_path: Path, most: int
) -> None:
    rng = np.random.default_rng(most)
    delay = rng.integers(0, most, len(working.channels)) * MINUTE
    parts = pieces(delayed(some, delay), rng, 6)
    assert_same(undisturbed, end(working, record_in(tmp_path), parts, restart=3))
