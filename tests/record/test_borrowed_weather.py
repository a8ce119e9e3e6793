"""Noise that rests on the weather of another mine: in the pipeline at work, its ledgers, and after marks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from greenmine.loading import load_registry
from greenmine.record import schema
from greenmine.record.record import Record
from greenmine.record.writer import Pipeline
from greenmine.registry import RegistryError
from tests.processing.mine import DAY, HOUR, Station, calibration, feed, record_at
from tests.processing.two_mines import DAWN, END, HIGH, RULE, two_mines, weathered

NOW = END + 2 * HOUR


def verdict(record: Record) -> dict[str, Any]:
    v = schema.verdict.c
    (row,) = record.rows(sa.select(schema.verdict).where(v.rule == RULE, v.start == DAWN, v.latest))
    return dict(row)


def excluded(record: Record) -> int:
    s, c = schema.statistic.c, schema.channel.c
    here = sa.select(s.excluded).join_from(schema.statistic, schema.channel, s.channel == c.id)
    of_day = (c.key == "low/fence/laeq", s.window == "daytime", s.start == DAWN, s.latest)
    (row,) = record.rows(here.where(*of_day))
    return int(row["excluded"])


def shown(row: dict[str, Any]) -> bool:
    return "weather-not-shown" not in row["reasons"].split()


def test_the_weather_of_another_mine_is_shown_and_its_rain_left_out(tmp_path: Path) -> None:
    registry = two_mines(tmp_path / "registry")
    record = record_at(tmp_path / "record.sqlite", registry)
    feed(Pipeline(registry, record), [weathered(registry, rain=0.4)])
    assert shown(verdict(record))
    assert excluded(record) == 2 * 60


def test_of_the_other_mine_nothing_but_wind_and_rain_of_that_station_comes_over(tmp_path: Path) -> None:
    registry = two_mines(tmp_path / "registry")
    record = record_at(tmp_path / "record.sqlite", registry)
    feed(Pipeline(registry, record), [weathered(registry)])
    held = {c.key for c in registry.site_channels("low")}
    assert held == {"low/fence/laeq", "low/high.mast/wind-speed", "low/high.mast/rain"}
    station = registry.station("low", "high.mast")
    assert (station.name_zh, station.position) == ("矿山 · 点", registry.station("high", "mast").position)
    assert [c.key for c in registry.own_channels("low")] == ["low/fence/laeq"]


def test_both_ledgers_add_up(tmp_path: Path) -> None:
    registry = two_mines(tmp_path / "registry")
    record = record_at(tmp_path / "record.sqlite", registry)
    pipeline = Pipeline(registry, record)
    some = weathered(registry, DAWN, DAWN + 3 * HOUR)
    late = weathered(registry, DAWN - 3 * DAY, DAWN - 3 * DAY + HOUR)
    feed(pipeline, [some, some.take(np.arange(700)), late])
    sums = {}
    for row in record.rows(sa.select(schema.ledger)):
        assert row["received"] == row["stored"] + row["duplicate"] + row["rejected"] + row["late"], row
        total = sums.setdefault((row["site"], row["device"]), {"received": 0, "late": 0})
        for name in total:
            total[name] += row[name]
    assert sums["high", "mast"]["received"] == 2 * sums["low", "high.mast"]["received"] > 0, "two of four parameters"
    assert sums["low", "high.mast"]["late"] == 2 * 60


@pytest.mark.parametrize("gone", ["silent", "left"])
def test_a_station_that_is_silent_or_has_left_makes_the_verdict_indicative_and_stops_nothing(
    tmp_path: Path, gone: str
) -> None:
    registry = two_mines(tmp_path / "registry", high=HIGH if gone == "silent" else None)
    record = record_at(tmp_path / "record.sqlite", registry)
    some = weathered(registry)
    of = registry.channels
    feed(Pipeline(registry, record), [some.take(np.array([of[c].site == "low" for c in some.channel]))])
    row = verdict(record)
    assert (row["verdict"], shown(row)) == ("meets", False)
    assert row["value"] == pytest.approx(58.0)


def test_silence_of_the_other_mines_station_is_told_here_too(tmp_path: Path) -> None:
    registry = two_mines(tmp_path / "registry")
    record = record_at(tmp_path / "record.sqlite", registry)
    pipeline = Pipeline(registry, record)
    feed(pipeline, [weathered(registry, DAWN, DAWN + HOUR)])
    pipeline.wait(DAWN + 3 * HOUR)
    h, c = schema.health.c, schema.channel.c
    told = record.rows(
        sa.select(c.key, h.state).join_from(schema.health, schema.channel, h.channel == c.id).where(h.state == "silent")
    )
    assert {"low/high.mast/rain", "low/high.mast/wind-speed"} <= {row["key"] for row in told}


def test_a_mark_on_the_weather_station_restates_the_noise_that_rests_on_it(tmp_path: Path) -> None:
    """The rain gauge was at fault from nine to one: what it called rain was none, but nothing shows the weather then."""
    registry = two_mines(tmp_path / "registry")
    record = record_at(tmp_path / "record.sqlite", registry)
    pipeline = Pipeline(registry, record)
    feed(pipeline, [weathered(registry, rain=0.4)])
    assert (excluded(record), shown(verdict(record))) == (120, True)
    span = DAWN + 3 * HOUR, DAWN + 8 * HOUR
    pipeline.mark("high", "mast", None, span, "fault", "gauge", "A", NOW)
    while pipeline.carry_on(NOW):
        pass
    assert (excluded(record), shown(verdict(record))) == (0, False)
    marks = record.rows(sa.select(schema.mark).order_by(schema.mark.c.id))
    assert [(m["site"], m["station"], m["author"]) for m in marks] == [("high", "mast", "A"), ("low", "high.mast", "A")]


def test_a_mark_on_what_is_not_borrowed_is_no_business_of_others(tmp_path: Path) -> None:
    registry = two_mines(tmp_path / "registry")
    record = record_at(tmp_path / "record.sqlite", registry)
    pipeline = Pipeline(registry, record)
    feed(pipeline, [weathered(registry)])
    span = DAWN, DAWN + HOUR
    pipeline.mark("high", "north", None, span, "fault", "x", "A", NOW)
    pipeline.mark("high", "mast", "air-temperature", span, "fault", "x", "A", NOW)
    while pipeline.carry_on(NOW):
        pass
    assert {m["site"] for m in record.rows(sa.select(schema.mark))} == {"high"}


def test_readings_of_the_past_and_calibrations_of_the_other_mine_hold_here_too(tmp_path: Path) -> None:
    """A calibrated anemometer: 2 m/s read are 6 m/s of wind, which no noise is judged in."""
    more = calibration("mast", "wind-speed", "2026-06-01T10:00:00+08:00", 3.0)
    registry = two_mines(tmp_path / "registry", more=more)
    record = record_at(tmp_path / "record.sqlite", registry)
    feed(Pipeline(registry, record), [weathered(registry)])
    assert excluded(record) == 12 * 60


@pytest.mark.parametrize(
    ("weather", "high", "fault"),
    [
        ("high/masst", HIGH, "there is no station 'masst' of high; nearest: 'mast'"),
        ("high/north", HIGH, "high/north measures no wind-speed and no rain"),
        ("high/mast", (Station("mast", ("wind-speed",)),), "high/mast measures no rain"),
        ("low/fence", HIGH, "'low/fence' is of this site; write 'fence'"),
    ],
)
def test_what_another_mine_does_not_have_is_refused(
    tmp_path: Path, weather: str, high: tuple[Station, ...], fault: str
) -> None:
    with pytest.raises(RegistryError, match="weather") as found:
        two_mines(tmp_path, weather=weather, high=high)
    assert fault in str(found.value)


def test_a_station_of_the_same_id_is_refused(tmp_path: Path) -> None:
    two_mines(tmp_path)
    path = tmp_path / "sites" / "low.toml"
    path.write_text(path.read_text("utf-8") + Station("high.mast", ("pm10",)).text(), "utf-8")
    with pytest.raises(RegistryError, match="give it another"):
        load_registry(tmp_path)
