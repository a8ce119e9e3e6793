"""Windows of minutes, and windows of a day of which some may be beyond the limit (DB31/964-2016: six quarters)."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from greenmine.limits import CATALOGUE
from greenmine.loading import load_registry
from greenmine.processing.engine import Engine, Outcome
from greenmine.processing.identity import unknown
from greenmine.registry import Registry, RegistryError
from tests.processing.mine import DAY, HOUR, MINUTE, Station, at, every, readings, registry_of

START = at("2026-06-01T00:00:00")


def local(folder: Path, window: str, more: str = "") -> Registry:
    """A mine under a local rule on TSP: 1000 over a window."""
    folder.mkdir(exist_ok=True)
    rule = f"""
[[limits]]
id = "own-rule"
name_zh = "地方规则"
name_en = "Local rule"
standard = "DB"
parameter = "tsp"
statistic = "mean"
window = "{window}"
unit = "ug/m3"
validity = "hour"
rounding = "none"
{more}
thresholds = [{{ valid_from = 2017-01-01, high = 1000, source = "DB", clause = "1", confidence = "verified: secondary sources" }}]
"""
    (folder / "limits.toml").write_text(f"{CATALOGUE.read_text('utf-8')}\n{rule}", "utf-8")
    registry_of(folder, {"mine": ("Asia/Shanghai", [Station("fence", ("tsp",), limits=("own-rule",))])})
    return load_registry(folder)


def a_day(loud: list[tuple[int, int]], until: int = DAY + HOUR) -> np.ndarray:
    values = np.full(until // MINUTE, 500.0)
    for first, last in loud:
        values[first:last] = 1200.0
    return values


def outcome_of(registry: Registry, values: np.ndarray) -> Outcome:
    engine = Engine(registry, unknown, lambda *_: (np.empty(0, np.int64), np.empty(0)))
    return engine.ingest(readings(0, every(START, START + len(values) * MINUTE), values))


@pytest.mark.parametrize(("window", "width"), [("5min", 5), ("15min", 15)])
def test_each_window_of_the_clock_has_its_verdict_and_exceedance(tmp_path: Path, window: str, width: int) -> None:
    outcome = outcome_of(local(tmp_path, window), a_day([(60, 60 + width)]))
    day = [v for v in outcome.verdicts if v.start * MINUTE < START + DAY]
    assert len(day) == 1440 // width
    (beyond,) = [v for v in day if v.verdict.judgement == "exceeds"]
    assert (beyond.start * MINUTE, beyond.end - beyond.start, beyond.value) == (START + HOUR, width, 1200.0)
    (episode,) = outcome.exceedances
    assert (episode.start + 1, episode.minutes, episode.peak) == (beyond.start, width, 1200.0)


def test_a_window_with_too_few_minutes_is_not_assessable(tmp_path: Path) -> None:
    values = a_day([])
    values[60:62] = np.nan
    outcome = outcome_of(local(tmp_path, "5min"), values)
    lacking = [v for v in outcome.verdicts if v.verdict.judgement == "not assessable"]
    assert [v.start * MINUTE for v in lacking] == [START + HOUR]


@pytest.mark.parametrize(("quarters", "judgement", "episodes"), [(6, "meets", 0), (7, "exceeds", 7)])
def test_a_day_exceeds_from_the_first_quarter_on_that_is_not_allowed(
    tmp_path: Path, quarters: int, judgement: str, episodes: int
) -> None:
    outcome = outcome_of(
        local(tmp_path, "15min", "allowed = 6"), a_day([(60 * h, 60 * h + 15) for h in range(quarters)])
    )
    (day,) = outcome.verdicts
    assert (day.start * MINUTE, day.end * MINUTE, day.verdict.judgement) == (START, START + DAY, judgement)
    assert len(outcome.exceedances) == episodes


def test_a_day_with_too_few_windows_meets_nothing_and_may_exceed(tmp_path: Path) -> None:
    registry = local(tmp_path, "15min", "allowed = 6")
    for quarters, judgement in ((6, "not assessable"), (7, "exceeds")):
        values = a_day([(60 * h, 60 * h + 15) for h in range(quarters)])
        values[600:1440] = np.nan
        (day,) = outcome_of(registry, values).verdicts
        assert day.verdict.judgement == judgement


@pytest.mark.parametrize(
    ("window", "more", "fault"),
    [
        ("5min", "allowed = -1", "allowed must not be below 0"),
        ("15min", 'period = "working"', "period = 'working' is for means of a day"),
    ],
)
def test_what_does_not_suit_a_window_is_refused(tmp_path: Path, window: str, more: str, fault: str) -> None:
    with pytest.raises(RegistryError, match=re.escape(fault)):
        local(tmp_path, window, more)
