"""A file is the same for ``analyse``, ``judge``, ``replay`` and who hands it in: equal readings, or the same refusal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from greenmine.cli.analyse import _used
from greenmine.collector.files import Description, LoggerFileError, read_series, read_station
from greenmine.collector.files.series import refuse_conflicts
from greenmine.loading import load_registry
from greenmine.parameters import load_parameters
from greenmine.readings import NORMAL
from greenmine.registry import Registry
from tests.pit import device, write_pit

FOLDER = Path(__file__).parents[2] / "cases/files"
PM10 = load_parameters()["pm10"]
CASES = [
    "hours-across",
    "make-tsi-dusttrak-mass",
    "member-of-an-object",
    "milligrams-in-the-cells",
    "rows-for-each-parameter",
    "row-without-a-middle-cell",
    "bounds-of-detection",
    "unix-seconds",
    "hours-by-their-end",
    "newest-first",
    "several-values-of-an-instant",
    "two-columns-of-one-name",
    "no-unit-and-unusual-values",
    "particles-are-no-mass",
    "several-stations",
    "xls-with-hidden-rows",
    "clock-of-twelve-hours",
]
Outcome = tuple[list[int], list[float]] | str


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    profile = '[[profiles]]\nid = "own"\nformat = "greenmine"\ninterval = "900s"\nsends_flags = true\nzone = "Asia/Shanghai"\n'
    profile += 'units = { pm10 = "ug/m3" }\n'
    return load_registry(write_pit(tmp_path_factory.mktemp("pit") / "r", profile, [device("gate", "own", ["pm10"])]))


def outcome(read: Callable[[], tuple[list[int], list[float]]]) -> Outcome:
    try:
        return read()
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize("name", CASES)
def test_a_file_becomes_the_same_by_each_way(registry: Registry, name: str) -> None:
    (file,) = (path for path in (FOLDER / name).iterdir() if path.stem == "log")

    def analysed() -> tuple[list[int], list[float]]:
        (series,) = read_series(file, [PM10], zone="Asia/Shanghai")
        used = _used(series, Description(), [])
        return used.time.tolist(), used.value.tolist()

    def kept() -> tuple[list[int], list[float]]:
        readings = read_station(file, registry, ("pit", "gate")).readings
        times, first = np.unique(readings.time, return_index=True)
        value = readings.value[first]
        counts = (readings.flag[first] == NORMAL) & (value >= PM10.low) & (value <= PM10.high)
        return times[counts].tolist(), value[counts].tolist()

    assert outcome(kept) == outcome(analysed)


def test_values_in_doubt_have_windows_that_are_not_valid_or_are_not_kept_at_all(registry: Registry) -> None:
    file = FOLDER / "code-9999-in-the-range" / "log.csv"
    (series,) = read_series(file, [PM10])
    assert series.doubtful.sum() == 10
    refuse_conflicts(series, Description())
    for keep in (series.refuse_doubts, lambda: read_station(file, registry, ("pit", "gate"))):
        with pytest.raises(
            LoggerFileError, match=r"10 values \(9999\) may stand for no value: .*--missing 9999 leaves it out"
        ):
            keep()
