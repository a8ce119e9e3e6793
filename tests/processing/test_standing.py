"""Standing: what makes a verdict indicative."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest

from greenmine.limits import load_limits
from greenmine.processing.engine import Engine, Judged, Outcome
from greenmine.processing.gas import DOUBTS
from greenmine.processing.identity import unknown
from greenmine.processing.standing import REASONS, instrument_reasons, lacks_checks, void_stretches
from greenmine.processing.wind import OBSTACLES
from greenmine.processing.windows import minute_of
from greenmine.readings import Readings
from greenmine.registry import AcousticCheck, Device
from greenmine.wording.messages import LANGUAGES, Language, texts
from tests.processing.mine import (
    BOUNDARY_SOUTH,
    HOUR,
    MINUTE,
    REFERENCE_NORTH,
    WEATHER,
    Station,
    at,
    channel,
    every,
    readings,
    registry_of,
)

LIMITS, _ = load_limits()
DAY = date(2026, 6, 1)
ZONE = ZoneInfo("Asia/Shanghai")


def device(**papers: object) -> Device:
    """A device that shows these papers."""
    return msgspec.convert({"id": "d", "profile": "p", "station": "s", "parameters": ["pm10", "laeq"]} | papers, Device)


def term(first: str, last: str, **more: str) -> dict[str, str]:
    return {"valid_from": first, "valid_to": last, "certificate": "No. 1"} | more


PAPERS = {
    "method": {"pm10": "beta-attenuation", "laeq": "noise-monitor"},
    "approval": {"pm10": "A", "laeq": "B"},
    "verified": [term("2026-01-01", "2026-12-31")],
    "grade": 2,
}


@pytest.mark.parametrize(
    ("limit", "parameter", "papers", "reasons"),
    [
        ("gb3095-pm10-day-class2", "pm10", {}, ["method-not-shown", "approval-not-shown", "verification-not-shown"]),
        ("gb3095-pm10-day-class2", "pm10", PAPERS, []),
        ("gb3095-pm10-day-class2", "pm10", PAPERS | {"method": {"pm10": "light-scattering"}}, []),
        ("gb3095-pm10-day-class2", "pm10", PAPERS | {"method": {"pm10": "guess"}}, ["method-not-named"]),
        ("gb3095-pm10-day-class2", "pm10", PAPERS | {"approval": {"laeq": "B"}}, ["approval-not-shown"]),
        (
            "gb3095-pm10-day-class2",
            "pm10",
            PAPERS | {"verified": [term("2025-01-01", "2026-05-31"), term("2026-06-02", "2026-12-31")]},
            ["verification-lapsed"],
        ),
        (
            "gb3095-pm10-day-class2",
            "pm10",
            PAPERS | {"verified": [term("2026-06-01", "2026-06-01")]},
            [],
        ),
        (
            "gb3095-pm10-day-class2",
            "pm10",
            PAPERS | {"verified": [term("2026-01-01", "2026-12-31", parameter="laeq")]},
            ["verification-not-shown"],
        ),
        ("gb12348-class2-day", "laeq", PAPERS, []),
        ("gb12348-class2-day", "laeq", PAPERS | {"grade": 1}, []),
        ("gb12348-class2-day", "laeq", PAPERS | {"grade": None}, ["grade-not-shown"]),
        ("gb16297-fugitive", "pm10", PAPERS, ["no-automatic-method"]),
    ],
)
def test_an_instrument_lacks_what_is_not_shown_of_it(
    limit: str, parameter: str, papers: dict[str, object], reasons: list[str]
) -> None:
    assert list(instrument_reasons(LIMITS[limit], device(**papers), parameter, DAY)) == reasons


def test_a_meter_of_class_two_does_not_do_where_class_one_is_asked_for() -> None:
    limit = LIMITS["gb12348-class2-day"]
    assert limit.instrument is not None
    strict = msgspec.structs.replace(limit, instrument=msgspec.structs.replace(limit.instrument, grade=1))
    assert list(instrument_reasons(strict, device(**PAPERS), "laeq", DAY)) == ["grade-insufficient"]


def check(hour: int, found: float, left: float | None = None) -> AcousticCheck:
    return AcousticCheck(time=datetime(2026, 6, 1, hour, tzinfo=ZONE), found=found, left=left)


@pytest.mark.parametrize(
    ("checks", "lacks"),
    [
        ([], True),
        ([check(5, 94.0)], True),
        ([check(23, 94.0)], True),
        ([check(5, 94.0), check(12, 94.0)], True),
        ([check(22, 94.0), check(6, 94.0)], False),
        ([check(5, 94.0), check(12, 94.0), check(23, 94.0)], False),
    ],
)
def test_a_day_of_noise_needs_an_acoustic_check_before_and_one_after(
    checks: Sequence[AcousticCheck], *, lacks: bool
) -> None:
    """GB 12348-2008, 5.1.2."""
    assert lacks_checks(checks, (minute_of(check(6, 0).time), minute_of(check(22, 0).time))) is lacks


@pytest.mark.parametrize(
    ("checks", "hours"),
    [
        ([check(5, 94.0), check(23, 94.5)], []),
        ([check(5, 94.0), check(23, 93.4)], [(5, 23)]),
        ([check(5, 93.0, 94.0), check(23, 94.2)], []),
        ([check(23, 94.2), check(5, 93.0, 94.0), check(1, 90.0)], [(1, 5)]),
        ([check(6, 94.0), check(22, 94.6), check(23, 94.0)], [(6, 22), (22, 23)]),
        ([check(6, 94.0), check(22, 94.6, 94.0), check(23, 94.0)], [(6, 22)]),
    ],
)
def test_what_lies_between_checks_that_differ_by_more_than_half_a_decibel_is_void(
    checks: Sequence[AcousticCheck], hours: list[tuple[int, int]]
) -> None:
    """GB 12348-2008, 5.1.2."""
    assert void_stretches(checks, 0.5) == [
        (minute_of(check(first, 0).time), minute_of(check(last, 0).time)) for first, last in hours
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_has_a_text(language: Language) -> None:
    known = texts("greenmine.wording", language)
    codes = [*REASONS, *filter(None, DOUBTS), *filter(None, OBSTACLES), "stability-unknown", "calibration-drift"]
    assert [code for code in codes if f"reason.{code}" not in known] == []


def test_the_catalogue_says_where_what_it_asks_of_instruments_comes_from() -> None:
    asked = {limit.instrument for limit in LIMITS.values() if limit.instrument is not None}
    assert {instrument.source for instrument in asked} == {
        "GB 12348-2008 cl. 5.1.1, 5.1.2",
        "GB 3096-2008 cl. 6.1",
        "GB 3095-2026 Table 3, cl. 5.3",
    }


START = at("2026-06-01T08:00:00")
NORTH = Station("north", ("tsp",), place=REFERENCE_NORTH)


def south(limit: str) -> Station:
    return Station("south", ("tsp",), limits=(limit,), place=BOUNDARY_SOUTH)


def outcome_of(folder: Path, stations: Sequence[Station], values: dict[str, float], more: str = "") -> Outcome:
    """What the core says of two days of steady values."""
    registry = registry_of(folder, {"mine": ("Asia/Shanghai", stations)}, more=more)
    engine = Engine(registry, unknown, lambda *_: (np.empty(0, np.int64), np.empty(0)))
    parts = [
        readings(channel(registry, f"mine/{key}"), every(START, START + 48 * HOUR), value)
        for key, value in values.items()
    ]
    return engine.ingest(Readings.concat(parts))


def hour_of(outcome: Outcome, hour: int) -> Judged:
    return next(v for v in outcome.verdicts if v.start == START // MINUTE + 60 * hour)


def result(station: str, start: str, end: str, value: float) -> str:
    return f"""
[[references]]
station = "{station}"
parameter = "tsp"
start = {start}+08:00
end = {end}+08:00
value = {value}
laboratory = "Laboratory"
certificate = "CMA 1"
method = "GB/T 15432"
document = "report.pdf"
"""


def test_every_verdict_says_why_it_is_indicative_even_one_that_cannot_be_given(tmp_path: Path) -> None:
    outcome = outcome_of(
        tmp_path, [Station("homes", ("pm10",), limits=("gb3095-pm10-day-class2",))], {"homes/pm10": 50}
    )
    told = [(v.verdict.judgement, v.verdict.standing, v.verdict.reasons) for v in outcome.verdicts]
    lacking = ("method-not-shown", "approval-not-shown", "verification-not-shown")
    assert told == [("not assessable", "indicative", lacking), ("meets", "indicative", lacking)]


def test_with_all_papers_and_an_official_number_a_verdict_is_statutory(tmp_path: Path) -> None:
    homes = Station(
        "homes",
        ("pm10",),
        limits=("gb3095-pm10-day-class2",),
        papers="""
method = { pm10 = "beta-attenuation" }
approval = { pm10 = "CCEP 1" }
verified = [{ valid_from = 2026-01-01, valid_to = 2026-06-01, certificate = "No. 1" }]
""",
    )
    outcome = outcome_of(tmp_path, [homes], {"homes/pm10": 50})
    assert [(v.verdict.standing, v.verdict.reasons) for v in outcome.verdicts] == [
        ("statutory", ()),
        ("indicative", ("verification-lapsed",)),
    ]


def test_a_target_of_the_enterprise_has_no_standing_at_law_and_no_reasons(tmp_path: Path) -> None:
    homes = Station("homes", ("pm10",), limits=("gb3095-pm10-day-class2",))
    target = """
[[stations.targets]]
limit = "gb3095-pm10-day-class2"
high = 60
valid_from = 2026-01-01
valid_to = 2026-12-31
source = "own"
"""
    outcome = outcome_of(tmp_path, [homes], {"homes/pm10": 50}, target)
    assert {v.verdict.reasons for v in outcome.verdicts if v.threshold.high == 60} == {()}


def test_a_reference_result_confirms_the_verdict_of_the_hour_in_which_its_own_ends(tmp_path: Path) -> None:
    lab = result("south", "2026-06-01T10:20:00", "2026-06-01T11:20:00", 880)
    outcome = outcome_of(tmp_path, [south("gb16297-fugitive")], {"south/tsp": 700}, lab)
    before, confirmed, after = (hour_of(outcome, hour) for hour in (2, 3, 4))
    assert confirmed.value == 880
    assert confirmed.verdict.judgement == "meets"
    assert (confirmed.begin, confirmed.finish) == (START // MINUTE + 140, START // MINUTE + 200)
    assert set(before.verdict.reasons) - set(confirmed.verdict.reasons) == {
        "no-automatic-method",
        "method-not-shown",
        "approval-not-shown",
        "verification-not-shown",
        "not-converted",
    }
    assert (before.value, after.value, after.verdict.reasons) == (700, 700, before.verdict.reasons)


@pytest.mark.parametrize(("online", "laboratory", "events"), [(700, 1200, 1), (1200, 900, 2)])
def test_exceedances_follow_a_reference_result_as_the_verdict_does(
    tmp_path: Path, online: float, laboratory: float, events: int
) -> None:
    lab = result("south", "2026-06-01T11:00:00", "2026-06-01T12:00:00", laboratory)
    outcome = outcome_of(tmp_path, [south("gb16297-fugitive")], {"south/tsp": online}, lab)
    exceeding = {v.start - START // MINUTE for v in outcome.verdicts if v.verdict.judgement == "exceeds"}
    assert (180 in exceeding) is (laboratory > 1000)
    last = {e.id: e for e in outcome.exceedances}.values()
    above = [range(e.start + 1, 1 << 40 if e.end is None else e.end + 1) for e in last]
    for verdict in outcome.verdicts:
        touched = any(r.start < verdict.end and verdict.start < r.stop for r in above)
        assert touched or verdict.verdict.judgement != "exceeds"
    assert len(above) == events


def test_a_difference_is_confirmed_by_results_of_one_hour_at_both_points(tmp_path: Path) -> None:
    values = {
        "north/tsp": 100,
        "south/tsp": 500,
        "weather/wind-speed": 2,
        "weather/wind-direction": 0,
        "weather/rain": 0,
    }
    hour = ("2026-06-01T11:00:00", "2026-06-01T12:00:00")
    stations = [NORTH, south("gb4915-difference"), WEATHER]
    both = outcome_of(tmp_path / "both", stations, values, result("south", *hour, 900) + result("north", *hour, 150))
    one = outcome_of(tmp_path / "one", stations, values, result("south", *hour, 900))
    assert (hour_of(both, 3).value, hour_of(both, 3).verdict.judgement) == (750, "exceeds")
    assert "no-automatic-method" not in hour_of(both, 3).verdict.reasons
    assert "no-automatic-method" in hour_of(one, 3).verdict.reasons
    assert hour_of(one, 3).value == 400


@pytest.mark.parametrize("limit", ["gb12348-class2-day", "gb12348-class2-night"])
@pytest.mark.parametrize(("after", "judgements"), [(94.4, {"exceeds"}), (94.6, {"not assessable"})])
def test_noise_between_checks_that_drifted_apart_is_not_judged_and_is_no_exceedance(
    tmp_path: Path, limit: str, after: float, judgements: set[str]
) -> None:
    checks = f"""
checks = [
  {{ time = 2026-05-01T08:00:00+08:00, found = 93.8, left = 94.0 }},
  {{ time = 2026-06-20T08:00:00+08:00, found = {after} }},
]
"""
    fence = Station("fence", ("laeq", "lafmax"), limits=(limit,), papers=checks)
    outcome = outcome_of(tmp_path, [fence], {"fence/laeq": 90, "fence/lafmax": 95})
    assert {v.verdict.judgement for v in outcome.verdicts[1:]} == judgements
    assert bool(outcome.exceedances) is (judgements == {"exceeds"})
    assert {"calibration-drift" in v.verdict.reason for v in outcome.verdicts[1:]} == {after == 94.6}
