"""Figures as people are told them, for every limit of the catalogue."""

from __future__ import annotations

import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenmine.api.pages.wording import Wording
from greenmine.limits import Limit, threshold_on
from greenmine.loading import load_registry
from greenmine.processing.verdicts import Figure, judge
from greenmine.rounding import told

_REGISTRY = load_registry()
_DAY = date(2026, 11, 1)
_LIMITS = [
    limit for limit in _REGISTRY.limits.values() if (t := threshold_on(limit, _DAY)) and (t.low, t.high) != (None, None)
]
_CONCENTRATIONS = [
    one for one in _LIMITS if one.rounding.compare == "full" and _REGISTRY.parameters[one.parameter].is_concentration
]
_WORDS = Wording("en", _REGISTRY)


def _compared(limit: Limit, value: float) -> tuple[str, str]:
    threshold = threshold_on(limit, _DAY)
    assert threshold is not None
    verdict = judge(limit, threshold, Figure(value, 1.0, 24, stands=True))
    return verdict.judgement, _WORDS.compared(limit, value, verdict.judged, threshold.low, threshold.high)


@given(st.sampled_from(_LIMITS), st.floats(0.01, 2.0))
def test_a_told_figure_is_on_the_side_of_the_limit_that_the_verdict_says(limit: Limit, share: float) -> None:
    threshold = threshold_on(limit, _DAY)
    assert threshold is not None
    bound = threshold.high if threshold.high is not None else threshold.low
    assert bound is not None
    _, text = _compared(limit, share * bound)
    shown = float(text)
    exact = float(told(share * bound, 9))
    if limit.rounding.compare == "full":
        for one in (threshold.low, threshold.high):
            assert one is None or ((shown > one) - (shown < one)) == ((exact > one) - (exact < one))


@pytest.mark.parametrize("limit", _CONCENTRATIONS, ids=lambda limit: limit.id)
def test_a_concentration_away_from_its_limit_has_three_significant_figures(limit: Limit) -> None:
    threshold = threshold_on(limit, _DAY)
    assert threshold is not None
    bound = threshold.high if threshold.high is not None else threshold.low
    assert bound is not None
    _, text = _compared(limit, bound * 2.576828169)
    digits = re.sub(r"^0\.0*|\.", "", text)
    assert len(digits) == 3 or ("." not in text and len(digits) > 3)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (257.682816909, "258"),
        (70.04, "70.04"),
        (70.0, "70.0"),
        (9.996, "10.0"),
        (0.043217, "0.0432"),
        (None, "—"),
        (float("nan"), "—"),
    ],
)
def test_suspended_solids_are_told_as_the_rule_has_it(value: float | None, said: str) -> None:
    limit = _REGISTRY.limits["gb8978-ss-level1"]
    assert _WORDS.compared(limit, value, None, None, 70.0) == said


def test_a_tie_goes_to_the_even_digit_and_has_a_true_minus_sign() -> None:
    assert [_WORDS.number(x, 0) for x in (60.500000000000007, 61.5, -1.5, -0.2)] == ["60", "62", "−2", "0"]
