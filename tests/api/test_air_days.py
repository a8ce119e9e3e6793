"""The air quality index of days on the pages, and the same of evidence and ``greenmine judge``."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from greenmine.api.http.air_days import AirDay, air_days
from greenmine.evidence.air import AirIndexDay
from greenmine.evidence.judging import judge_readings
from greenmine.readings import Readings
from greenmine.record.reader import Queries, Scope
from greenmine.record.writer import Pipeline
from greenmine.reporting import Period, load_reporting
from tests.processing.mine import DAY, HOUR, MINUTE, Station, at, channel, every, feed, readings, record_at, registry_of

FIRST = at("2026-03-02T00:00")
PERIOD = Period("2026-03-02..2026-03-06", date(2026, 3, 2), date(2026, 3, 6))
STATIONS = (
    Station("homes", ("pm10",), limits=("gb3095-pm10-day-class2",), role="receptor"),
    Station("village", ("pm10",), role="receptor"),  # without a limit there
    Station("fence", ("pm10",), limits=("gb3095-pm10-day-class2",)),
)
CLEAN, DUSTY, SHORT, HIDDEN, HIDDEN_HIGH = range(5)


def day_of(index: int, day: int) -> Readings:
    times = every(FIRST + day * DAY, FIRST + day * DAY + (19 * HOUR if day == SHORT else DAY), MINUTE)
    values = np.full(len(times), 260.0 if day in {DUSTY, HIDDEN_HIGH} else 60.0)
    flags = np.full(len(times), ord("N"))
    if day in {HIDDEN, HIDDEN_HIGH}:
        flags[600] = ord("T")
    return readings(index, times, values, flags.tolist())


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[AirDay], list[AirIndexDay]]:
    """Of the same readings: what the page of a live record tells, and what is judged without one."""
    folder: Path = tmp_path_factory.mktemp("air")
    registry = registry_of(folder / "registry", {"mine": ("Asia/Shanghai", STATIONS)})
    record = record_at(folder / "record.sqlite", registry)
    indices = [channel(registry, f"mine/{station.id}/pm10") for station in STATIONS]
    days = [Readings.concat([day_of(index, day) for index in indices]) for day in range(5)]
    after = Readings.concat([readings(index, [FIRST + 5 * DAY + HOUR], 60.0) for index in indices])
    ordered = [day.take(np.argsort(day.time, kind="stable")) for day in (*days, after)]
    feed(Pipeline(registry, record), ordered)
    with record.engine.connect() as connection:
        queries = Queries(connection, registry)
        shown = air_days(queries, Scope(frozenset({"mine"})), registry.site("mine"), FIRST, FIRST + 5 * DAY)
    judged = judge_readings(registry, ["mine"], PERIOD, load_reporting(), Readings.concat(ordered), [])
    return shown, judged.air_index


def test_pages_and_evidence_give_the_same_days(found: tuple[list[AirDay], list[AirIndexDay]]) -> None:
    shown, judged = found
    assert {(one.station, one.day): one.index for one in shown} == {(one.station, one.day): one.index for one in judged}
    assert {one.standing for one in shown} == {"indicative"}


def test_a_day_that_is_short_or_over_range_is_missing_and_the_newest_is_first(
    found: tuple[list[AirDay], list[AirIndexDay]],
) -> None:
    shown, _ = found
    assert [(one.day.isoformat(), one.station, one.index.aqi) for one in shown] == [
        ("2026-03-03", "village", 155),
        ("2026-03-03", "homes", 155),
        ("2026-03-02", "village", None),
        ("2026-03-02", "homes", None),
    ]
