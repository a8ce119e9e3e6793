"""What must hold of verdicts whatever was measured, through the function that ``greenmine judge`` runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenmine.evidence.judging import (
    JudgedExceedance,
    JudgedWindow,
    JudgementDocument,
    MarkStatement,
    judge_readings,
)
from greenmine.loading import load_registry
from greenmine.processing.engine import Engine, nothing
from greenmine.processing.exclusion import KINDS, Mark
from greenmine.processing.identity import unknown
from greenmine.readings import Readings
from greenmine.registry import Registry
from greenmine.reporting import load_reporting, parse_period
from tests.cases.law_case import SITE, LawCase

START = int(datetime.fromisoformat("2026-04-08T00:00+08:00").timestamp()) * 1000
HOURS = 54
"""Of readings: two days and the night of the second."""
MINUTE = 60_000
PERIOD = parse_period("2026-04-08/2026-04-09", load_reporting())
REPORTING = load_reporting()

LIMITS = {
    "boundary": ["gb16297-fugitive", "gb12348-class2-day", "gb12348-class2-night"],
    "homes": ["gb3095-pm10-day-class2", "gb3096-class2-night"],
    "outfall": ["zero-discharge", "gb8978-cod-level1"],
}
LEVELS = {
    "boundary/tsp": (100.0, 990.0, 1000.0, 1004.0, 1900.0),
    "boundary/laeq": (40.0, 49.0, 50.0, 59.0, 60.4, 66.0),
    "homes/pm10": (60.0, 119.0, 121.0, 300.0),
    "homes/laeq": (40.0, 49.9, 50.0, 58.0),
    "outfall/flow": (0.0, 0.0, 3.0),
    "outfall/cod": (60.0, 100.0, 140.0),
}
"""Around the limits, where verdicts turn."""
LACKING = {"too-few-minutes", "too-few-hours", "no-data"}
RANK = {"meets": 0, "not assessable": 1, "exceeds": 2}

common = settings(
    max_examples=settings.default.max_examples // 25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
"""An example judges two days, which takes a while: few at a time, others every time; many with the profile ``thorough``."""


@dataclass(frozen=True)
class Mine:
    registry: Registry

    def judged(self, readings: Readings) -> JudgementDocument:
        return judge_readings(self.registry, [SITE], PERIOD, REPORTING, readings, [])

    def channel(self, key: str) -> int:
        return next(c.index for c in self.registry.channels if c.key == f"{SITE}/{key}")


def mine(folder: Path, **more: object) -> Mine:
    case = LawCase(folder)
    case.__dict__["table"] = {"limits": LIMITS, **more}
    return Mine(load_registry(case.registry(folder / "registry")))


@pytest.fixture(scope="module")
def pit(tmp_path_factory: pytest.TempPathFactory) -> Mine:
    return mine(tmp_path_factory.mktemp("pit"))


Run = tuple[float, int, int, int]
"""Some hours alike: their level, the first minute of each, how many minutes it has, and how many hours."""


def runs(key: str) -> st.SearchStrategy[list[Run]]:
    """Hours of a channel: steady for a while, so that whole days can be assessed, and with holes."""
    held = st.tuples(
        st.sampled_from(LEVELS[key]),
        st.sampled_from((0, 0, 0, 15, 30)),
        st.sampled_from((60, 60, 60, 60, 45, 44, 20, 0)),
        st.integers(1, 14),
    )
    return st.lists(held, min_size=4, max_size=12)


def hours(some: Sequence[Run]) -> list[tuple[float, int, int]]:
    """Level, first and last minute of each hour."""
    return [(level, first, min(60, first + count)) for level, first, count, n in some for _ in range(n)][:HOURS]


def series(pit: Mine, key: str, some: Sequence[Run]) -> Readings:
    interval = pit.registry.channels[pit.channel(key)].interval // MINUTE
    rows = [
        (60 * h + m, level) for h, (level, first, last) in enumerate(hours(some)) for m in range(first, last, interval)
    ]
    minutes, values = [m for m, _ in rows], [level for _, level in rows]
    n = len(minutes)
    return Readings(
        np.full(n, pit.channel(key), np.int32), START + np.array(minutes, np.int64) * MINUTE,
        np.array(values, np.float64), np.full(n, ord("N"), np.uint8),
    )  # fmt: skip


def together(pit: Mine, drawn: Mapping[str, Sequence[Run]]) -> Readings:
    return Readings.concat([series(pit, key, some) for key, some in drawn.items()])


measured = st.fixed_dictionaries({key: runs(key) for key in LEVELS})


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def overlap(v: JudgedWindow, e: JudgedExceedance) -> bool:
    """Whether an episode shares a minute with the period whose verdict it belongs to."""
    return moment(e.start) < moment(v.period_end) and (e.end is None or moment(e.end) > moment(v.period_start))


@common
@given(drawn=measured)
def test_every_verdict_that_exceeds_is_an_event_and_every_event_has_such_a_verdict(pit: Mine, drawn) -> None:
    found = pit.judged(together(pit, drawn))
    exceeding: dict[str, list[JudgedWindow]] = defaultdict(list)
    for v in found.verdicts:
        if v.judgement == "exceeds":
            exceeding[v.rule].append(v)
    events: dict[str, list[JudgedExceedance]] = defaultdict(list)
    for e in found.exceedances:
        events[e.rule].append(e)
    assert [v for some in exceeding.values() for v in some if not any(overlap(v, e) for e in events[v.rule])] == []
    assert [e for e in found.exceedances if not any(overlap(v, e) for v in exceeding[e.rule])] == []


@common
@given(drawn=measured, seed=st.integers(0, 2**32 - 1))
def test_the_order_of_rows_changes_nothing(pit: Mine, drawn, seed: int) -> None:
    readings = together(pit, drawn)
    order = np.random.default_rng(seed).permutation(len(readings))
    assert pit.judged(readings.take(order)) == pit.judged(readings)


def live(pit: Mine, readings: Readings, arrival: np.ndarray) -> tuple[dict, set]:
    """Latest verdicts and exceedances of an engine to which readings come in an order of their own."""

    def samples(channel: int, start: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        mine = (readings.channel == channel) & (readings.time >= start) & (readings.time < end)
        mine &= readings.flag == ord("N")
        return readings.time[mine], readings.value[mine]

    engine = Engine(pit.registry, unknown, samples)
    outcomes = [engine.ingest(readings.take(part)) for part in np.array_split(np.argsort(arrival, kind="stable"), 12)]
    last = nothing()
    rows = np.flatnonzero(engine.panes.head >= 0)
    engine.go_on(rows, np.full(len(engine.panes), START // MINUTE + (HOURS + 24) * 60, np.int64), last)
    verdicts, exceedances = {}, {}
    for outcome in (*outcomes, last):
        verdicts |= {(v.rule, v.start): v.verdict.judgement for v in outcome.verdicts}
        exceedances |= {e.id: e for e in outcome.exceedances}
    return verdicts, {(e.rule, e.start, e.end, e.minutes) for e in exceedances.values() if not e.withdrawn}


@common
@given(drawn=measured, seed=st.integers(0, 2**32 - 1), held=st.integers(1, 20 * 60))
def test_lateness_within_what_is_accepted_changes_nothing(pit: Mine, drawn, seed: int, held: int) -> None:
    readings = together(pit, drawn)
    rng = np.random.default_rng(seed)
    hour = (readings.time - START) // (60 * MINUTE)
    delay = rng.integers(0, held, HOURS)[hour] * MINUTE
    assert live(pit, readings, readings.time + delay) == live(pit, readings, readings.time)


@pytest.fixture(scope="module")
def looser(tmp_path_factory: pytest.TempPathFactory) -> tuple[Mine, Mine]:
    """The same rules at 300 and at 900; whole hours, any kind of window."""
    base = {
        "name_zh": "限值", "name_en": "Limit", "standard": "DB", "parameter": "tsp", "unit": "ug/m3", "rounding": "none",
    }  # fmt: skip
    made = []
    for high in (300, 900):
        threshold = [{
            "valid_from": datetime(2020, 1, 1).date(), "high": high, "source": "DB", "clause": "1",  # noqa: DTZ001
            "confidence": "recalled: unsure",
        }]  # fmt: skip
        catalogue = [
            base | {"id": f"own-{s}-{w}", "statistic": s, "window": w, "validity": v, "thresholds": threshold}
            for s in ("mean", "maximum")
            for w, v in (("hour", "hour"), ("day", "ambient-day"))
        ]
        limits = {"boundary": [row["id"] for row in catalogue]}
        made.append(mine(tmp_path_factory.mktemp(f"limit-{high}"), limits=limits, catalogue=catalogue))
    return made[0], made[1]


@common
@given(
    some=runs("boundary/tsp"),
    scale=st.floats(0.05, 3),
    over=st.lists(st.integers(0, HOURS * 60), max_size=40),
)
def test_a_looser_limit_never_makes_a_verdict_worse(
    looser: tuple[Mine, Mine], some, scale: float, over: list[int]
) -> None:
    strict, loose = looser
    readings = series(strict, "boundary/tsp", some)
    readings = replace(readings, value=np.round(readings.value * scale, 1), flag=flagged(readings, over))
    worse = [
        (a, b)
        for a, b in zip(strict.judged(readings).verdicts, loose.judged(readings).verdicts, strict=True)
        if RANK[b.judgement] > RANK[a.judgement]
    ]
    assert worse == []


def flagged(readings: Readings, over: list[int]) -> np.ndarray:
    """Flags in which some minutes are over range."""
    minute = (readings.time - START) // MINUTE
    return np.where(np.isin(minute, over), np.uint8(ord("T")), readings.flag)


@common
@given(
    drawn=measured,
    over=st.lists(st.integers(0, HOURS * 60), min_size=1, max_size=200),
    more=st.floats(1, 1.5),
)
def test_over_range_never_turns_an_exceedance_into_compliance(pit: Mine, drawn, over: list[int], more: float) -> None:
    before = together(pit, drawn)
    flag = flagged(before, over)
    value = np.where(flag == ord("T"), before.value * more, before.value)
    was, now = pit.judged(before), pit.judged(replace(before, flag=flag, value=value))
    turned = [
        (a, b)
        for a, b in zip(was.verdicts, now.verdicts, strict=True)
        if a.judgement == "exceeds" and b.judgement == "meets"
    ]
    assert turned == []
    assert [
        (a, b)
        for a, b in zip(was.summary, now.summary, strict=True)
        if a.judgement == "exceeds" and b.judgement == "meets"
    ] == []


spans = st.lists(
    st.tuples(st.integers(0, HOURS * 60), st.integers(1, 600), st.sampled_from(sorted(KINDS))), min_size=1, max_size=4
)


def exceeding(pit: Mine, readings: Readings, said, by: str | None) -> tuple[set, set, list]:
    """Windows that exceed without marks and with them, and what is told of those taken away."""
    marks = [
        MarkStatement(Mark(SITE, station, None, START // MINUTE + at, START // MINUTE + at + n, kind), "", "mine", by)
        for at, n, kind in said
        for station in ("boundary", "homes", "outfall")
    ]
    plain, marked = (judge_readings(pit.registry, [SITE], PERIOD, REPORTING, readings, m) for m in ([], marks))
    above, still = (
        {(v.rule, v.period_start) for v in found.verdicts if v.judgement == "exceeds"} for found in (plain, marked)
    )
    return above, still, marked.removed


@common
@given(drawn=measured, said=spans)
def test_a_mark_that_nobody_confirmed_takes_no_exceedance_away(pit: Mine, drawn, said) -> None:
    above, still, removed = exceeding(pit, together(pit, drawn), said, None)
    assert above <= still
    assert {row.state for row in removed} <= {"claimed"}


@common
@given(drawn=measured, said=spans)
def test_every_exceedance_that_confirmed_marks_take_away_is_listed(pit: Mine, drawn, said) -> None:
    above, still, removed = exceeding(pit, together(pit, drawn), said, "supervisor")
    assert len(removed) == len(above - still)
    assert all(row.state == "confirmed" and row.marks for row in removed)


@common
@given(some=runs("boundary/tsp"))
def test_an_hour_below_the_validity_rule_is_not_assessable(pit: Mine, some) -> None:
    hour = "gb16297-fugitive"
    verdicts = [v for v in pit.judged(series(pit, "boundary/tsp", some)).verdicts if v.limit == hour]
    present = np.zeros(HOURS * 60, np.bool_)
    for h, (_, first, last) in enumerate(hours(some)):
        present[h * 60 + first : h * 60 + last] = True
    sliding = np.convolve(present, np.ones(60, np.int64))[: HOURS * 60]
    for h, v in enumerate(verdicts):
        if sliding[h * 60 : h * 60 + 60].max() < 45:
            assert v.judgement == "not assessable"
            assert LACKING & set(v.reasons)


@common
@given(some=runs("homes/pm10"))
def test_a_day_below_the_validity_rule_is_not_assessable(pit: Mine, some) -> None:
    days = [v for v in pit.judged(series(pit, "homes/pm10", some)).verdicts if v.limit == "gb3095-pm10-day-class2"]
    counts = [last - first for _, first, last in hours(some)]
    for d, v in enumerate(days):
        valid = sum(count >= 45 for count in counts[d * 24 : d * 24 + 24])
        assert (v.judgement == "not assessable") == (valid < 20)
        assert valid >= 20 or LACKING & set(v.reasons)


@common
@given(drawn=measured)
def test_every_window_has_one_verdict(pit: Mine, drawn) -> None:
    found = pit.judged(together(pit, drawn))
    keys = [(v.rule, v.start) for v in found.verdicts]
    assert len(set(keys)) == len(keys)
    due = {"gb16297-fugitive": 48, "zero-discharge": 48}
    for rule in pit.registry.rules:
        assert sum(v.rule == rule.key for v in found.verdicts) == due.get(rule.limit.id, 2)
