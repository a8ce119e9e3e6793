"""Which processes `greenmine run` starts, by name."""

from __future__ import annotations

import pytest

from greenmine.cli.run import NAMED, TASKS, Part, parts
from greenmine.settings import Settings

EVERYTHING = Settings(
    influx_url="http://127.0.0.1:8086", uplink="plan.toml", jetstream="nats://127.0.0.1:4222", hj212_port=9212
)


def test_without_a_name_all_that_is_set_up_runs() -> None:
    assert parts(EVERYTHING, []) == [part for part in TASKS if part not in NAMED]
    assert parts(Settings(), []) == ["worker", "archivist", "builder", "web", "notifier"]


@pytest.mark.parametrize("part", [part for part in TASKS if part != "worker"])
def test_each_part_runs_by_itself(part: Part) -> None:
    assert parts(EVERYTHING, [part]) == [part]


def test_the_worker_brings_archivist_and_builder_unless_they_are_named() -> None:
    assert parts(Settings(), ["worker"]) == ["worker", "archivist", "builder"]
    assert parts(Settings(), ["archivist", "worker"]) == ["worker", "archivist"]


@pytest.mark.parametrize(
    ("part", "setting"),
    [("projection", "GREENMINE_INFLUX_URL"), ("uplink", "GREENMINE_UPLINK"), ("gateway", "GREENMINE_JETSTREAM")],
)
def test_a_part_that_is_not_set_up_says_which_setting_it_needs(part: Part, setting: str) -> None:
    with pytest.raises(SystemExit, match=setting):
        parts(Settings(), [part])
