"""Verdicts: the worked facts of the standards."""

from __future__ import annotations

from datetime import date

import pytest

from greenmine.limits import Limit, Threshold, load_limits, threshold_on
from greenmine.processing.verdicts import Figure, judge

LIMITS, _ = load_limits()


def on(limit: str, day: str = "2026-06-01") -> tuple[Limit, Threshold]:
    threshold = threshold_on(LIMITS[limit], date.fromisoformat(day))
    assert threshold is not None
    return LIMITS[limit], threshold


def said(limit: str, value: float | None, share: float = 1.0, hours: int | None = 24, day: str = "2026-06-01") -> str:
    return judge(*on(limit, day), Figure(value, share, hours)).judgement


@pytest.mark.parametrize(
    ("day", "value", "judgement"),
    [
        ("2026-02-28", 130.0, "meets"),
        ("2026-03-01", 130.0, "exceeds"),
        ("2026-03-01", 120.0, "meets"),
        ("2026-03-01", 120.5, "meets"),  # rounds to 120
        ("2026-03-01", 120.51, "exceeds"),
        ("2030-12-31", 120.0, "meets"),
        ("2031-01-01", 120.0, "exceeds"),
    ],
)
def test_pm10_is_judged_by_the_standard_of_its_day(day: str, value: float, judgement: str) -> None:
    assert said("gb3095-pm10-day-class2", value, day=day) == judgement


@pytest.mark.parametrize(("hours", "judgement"), [(19, "not assessable"), (20, "meets"), (24, "meets")])
def test_a_day_of_nineteen_hours_cannot_be_judged(hours: int, judgement: str) -> None:
    verdict = judge(*on("gb3095-pm10-day-class2"), Figure(80.0, hours / 24, hours))
    assert verdict.judgement == judgement


def test_a_day_that_cannot_be_judged_says_why() -> None:
    verdict = judge(*on("gb3095-pm10-day-class2"), Figure(500.0, 19 / 24, 19))
    assert (verdict.reason, verdict.have, verdict.need, verdict.judged) == ("too-few-hours", 19, 20, "500")


@pytest.mark.parametrize(
    ("limit", "value", "judgement"),
    [
        ("gb4915-difference", 620.0 - 150.0, "meets"),
        ("gb16297-fugitive", 620.0, "meets"),
        ("gb4915-difference", 500.0, "meets"),
        ("gb4915-difference", 500.1, "exceeds"),
        ("gb16297-fugitive", 1000.0000000001, "meets"),  # the order of summation, nothing else
        ("gb16297-fugitive", 1000.0001, "exceeds"),
    ],
)
def test_fugitive_dust_is_judged_by_its_full_value(limit: str, value: float, judgement: str) -> None:
    assert said(limit, value) == judgement


@pytest.mark.parametrize(
    ("value", "judged", "judgement"),
    [(60.0, "60", "meets"), (60.5, "60", "meets"), (60.500000000000007, "60", "meets"), (60.51, "61", "exceeds")],
)
def test_noise_that_was_corrected_is_judged_after_rounding(value: float, judged: str, judgement: str) -> None:
    verdict = judge(*on("gb12348-class2-day"), Figure(value, 1.0, 16, corrected=True))
    assert (verdict.judged, verdict.judgement) == (judged, judgement)


def test_noise_that_was_not_corrected_is_judged_as_it_is() -> None:
    assert said("gb12348-class2-day", 60.4) == "exceeds"


@pytest.mark.parametrize(
    ("value", "judgement", "reason"),
    [
        (4.9, "exceeds", "under-limit"),
        (5.0, "meets", "within-limit"),
        (9.0, "meets", "within-limit"),
    ],
)
def test_dissolved_oxygen_has_a_lower_limit(value: float, judgement: str, reason: str) -> None:
    verdict = judge(*on("gb3838-class3-do"), Figure(value, 1.0, 24))
    assert (verdict.judgement, verdict.reason) == (judgement, reason)


@pytest.mark.parametrize(
    ("value", "judgement", "reason"),
    [
        (5.99, "exceeds", "under-limit"),
        (6.0, "meets", "within-limit"),
        (9.0, "meets", "within-limit"),
        (9.01, "exceeds", "above-limit"),
    ],
)
def test_ph_has_a_band(value: float, judgement: str, reason: str) -> None:
    verdict = judge(*on("gb8978-ph"), Figure(value, 1.0, 24))
    assert (verdict.judgement, verdict.reason) == (judgement, reason)


@pytest.mark.parametrize(
    ("value", "hours", "judgement"),
    [(60.1, 8, "exceeds"), (60.1, 1, "exceeds"), (60.0, 8, "meets"), (60.0, 5, "not assessable")],
)
def test_a_maximum_beyond_its_limit_stands_with_little_data(value: float, hours: int, judgement: str) -> None:
    assert said("gb12348-class2-night-frequent", value, hours / 8, hours) == judgement


@pytest.mark.parametrize(("share", "judgement"), [(44 / 60, "not assessable"), (0.75, "meets"), (1.0, "meets")])
def test_an_hour_needs_forty_five_minutes(share: float, judgement: str) -> None:
    verdict = judge(*on("gb16297-fugitive"), Figure(10.0, share))
    assert verdict.judgement == judgement


def test_an_hour_with_too_little_data_never_meets_nor_exceeds() -> None:
    verdict = judge(*on("gb16297-fugitive"), Figure(5000.0, 44 / 60))
    assert (verdict.judgement, verdict.reason, verdict.have, verdict.need) == (
        "not assessable",
        "too-few-minutes",
        44.0,
        45,
    )


@pytest.mark.parametrize("limit", sorted(LIMITS))
def test_without_data_no_limit_is_met(limit: str) -> None:
    day = max(t.valid_from for t in LIMITS[limit].thresholds if t.confidence != "text to be confirmed")
    threshold = threshold_on(LIMITS[limit], day)
    assert threshold is not None
    verdict = judge(LIMITS[limit], threshold, Figure(None, 0.0, 0))
    assert (verdict.judgement, verdict.reason) == ("not assessable", "no-data")


def test_by_a_text_that_was_not_seen_nothing_is_judged() -> None:
    limit, threshold = on("gb4915-difference", "2028-01-01")
    verdict = judge(limit, threshold, Figure(900.0, 1.0))
    assert (verdict.judgement, verdict.reason) == ("not assessable", "limit-unconfirmed")


def test_an_obstacle_forbids_an_assessment_whatever_the_data() -> None:
    verdict = judge(*on("gb4915-difference"), Figure(900.0, 1.0, None, "calm"))
    assert (verdict.judgement, verdict.reason) == ("not assessable", "calm")


def test_any_outflow_exceeds_zero_discharge() -> None:
    assert said("zero-discharge", 0.0) == "meets"
    assert said("zero-discharge", 0.1, 0.25) == "exceeds"
