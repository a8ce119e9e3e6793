"""Laboratories' results beside online hours, and the air quality index, from figures of a period."""

from __future__ import annotations

from datetime import date, datetime

import msgspec
import pytest

from greenmine.evidence.air import Statistics, period_air_index, reference_figures
from greenmine.limits import Window
from greenmine.loading import load_registry
from greenmine.processing.engine import Statistic
from greenmine.processing.windows import minute_of
from greenmine.registry import ReferenceResult, Registry, Site
from greenmine.reporting import Period

PERIOD = Period("2026-04-08", date(2026, 4, 8), date(2026, 4, 8))


@pytest.fixture(scope="module")
def jiuchi() -> Registry:
    return load_registry()


def moment(hour: int, day: int = 8) -> datetime:
    return datetime.fromisoformat(f"2026-04-{day:02d}T{hour:02d}:00+08:00")


def statistic(
    registry: Registry, key: str, start: datetime, mean: float, window: Window = "hour", over: int = 0
) -> Statistics:
    channel = next(c.index for c in registry.channels if c.key == f"jiuchi/{key}")
    first = minute_of(start)
    found = Statistic(
        channel, window, first, first + 60, mean, mean, mean, 60, 60.0, 1.0, True, 24, 0, over, 0, (None,) * 3, False
    )  # fmt: skip
    return {(channel, window, first): found}


def result(start: datetime, value: float) -> ReferenceResult:
    return ReferenceResult(
        station="boundary", parameter="tsp", start=start, end=start.replace(hour=start.hour + 1), value=value,
        laboratory="L", certificate="CMA 1", method="GB/T 15432-1995", document="report 1",
    )  # fmt: skip


def with_results(registry: Registry, *results: ReferenceResult) -> Site:
    return msgspec.structs.replace(registry.site("jiuchi"), references=results)


def test_a_result_stands_beside_the_valid_online_hour_of_its_period(jiuchi: Registry) -> None:
    site = with_results(
        jiuchi,
        result(moment(11), 800.0),
        result(moment(10), 1100.0),
        result(moment(12), 700.0),
        result(moment(10, 9), 1.0),
    )
    statistics = {
        **statistic(jiuchi, "boundary/tsp", moment(10), 900.0),
        **statistic(jiuchi, "boundary/tsp", moment(12), 650.0, over=3),
    }
    channel = next(key[0] for key in statistics)
    found = reference_figures(jiuchi, site, PERIOD, {channel: list(statistics.values())})
    assert [(one.start[11:16], one.value, one.online) for one in found] == [
        ("10:00", 1100.0, 900.0),
        ("11:00", 800.0, None),
        ("12:00", 700.0, None),
    ]
    assert found[0].end[11:16] == "11:00"


def test_the_index_is_of_homes_and_takes_no_lower_bound(jiuchi: Registry) -> None:
    statistics = {
        **statistic(jiuchi, "receptor/pm10", moment(0), 121.0, "day"),
        **statistic(jiuchi, "receptor/pm2.5", moment(0), 36.0, "day", over=1),
        **statistic(jiuchi, "boundary/pm10", moment(0), 300.0, "day"),
    }
    (day,) = period_air_index(jiuchi, PERIOD, statistics)
    assert (day.station, day.day.isoformat(), day.index.aqi, day.index.primary) == (
        "receptor",
        "2026-04-08",
        101,
        ("pm10",),
    )
    assert "pm2.5" in day.index.missing
