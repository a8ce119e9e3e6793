"""Working time and sound events in the record: neither order nor restatement nor restarts change what the law says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from greenmine.loading import load_registry
from greenmine.readings import Readings
from greenmine.record.writer import Pipeline
from greenmine.registry import Registry
from tests.processing.mine import (
    HOUR,
    MINUTE,
    WEATHER,
    Held,
    Station,
    assert_same,
    at,
    feed,
    held,
    record_at,
    registry_of,
)
from tests.processing.streams import disordered, far_later, pieces, stream
from tests.records import record_in

EVENING = at("2026-06-01T19:13:00")
LIMITS = (
    "gb12348-class2-day",
    "gb12348-class2-night",
    "gb12348-class2-night-frequent",
    "gb12348-class2-night-occasional",
)


@pytest.fixture(scope="module")
def working(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """A mine whose crusher tells when it works."""
    folder = tmp_path_factory.mktemp("working")
    stations = (
        Station("fence", ("laeq", "lafmax"), limits=LIMITS),
        Station("crusher", ("equipment-state",), "300s"),
        WEATHER,
    )
    registry_of(folder, {"mine": ("Asia/Shanghai", stations)})
    path = folder / "sites" / "mine.toml"
    path.write_text('working = { equipment = "crusher" }\n' + path.read_text("utf-8"), "utf-8")
    return load_registry(folder)


def end(registry: Registry, folder: Path, parts: list[Readings], lateness: int, restarts: tuple[int, ...] = ()) -> Held:
    """What a new record holds in the end."""
    folder.mkdir()
    record = record_at(record_in(folder), registry)
    pipeline = Pipeline(registry, record, lateness=lateness)
    for number, part in enumerate(parts):
        if number in restarts:
            pipeline = Pipeline(registry, record, lateness=lateness)
        feed(pipeline, [part])
    found = held(record)
    record.engine.dispose()
    return found


@pytest.mark.parametrize("seed", range(4))
def test_any_order_gives_the_same(working: Registry, tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    some = stream(working, rng, EVENING, EVENING + 38 * HOUR)
    later = far_later(working, EVENING + 90 * HOUR)
    one = end(working, tmp_path / "one", [*pieces(some, rng, 3), later], 180)
    mixed = disordered(some, rng, 180 * MINUTE)
    other = end(working, tmp_path / "other", [*pieces(mixed, rng, 9), later], 180, restarts=(3, 6))
    assert_same(one, other)


@pytest.mark.parametrize("seed", range(4))
def test_a_verdict_exceeds_if_and_only_if_there_is_an_exceedance(working: Registry, tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    some = stream(working, rng, EVENING, EVENING + 60 * HOUR)
    found = end(working, tmp_path / "record", [*pieces(some, rng, 5), far_later(working, EVENING + 120 * HOUR)], 180)
    exceeding = {key for key, v in found.verdicts.items() if v[1] == "exceeds"}
    assert exceeding
    holding = {
        (key, start)
        for key, since in found.exceedances
        for (rule, start), v in found.verdicts.items()
        if rule == key and start <= since < v[0]
    }
    assert holding == exceeding
