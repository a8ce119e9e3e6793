"""What the rest of a running window may average."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenmine.limits import load_limits, threshold_on
from greenmine.parameters import load_parameters
from greenmine.processing.headroom import headroom
from greenmine.processing.levels import equivalent_level
from greenmine.processing.verdicts import Figure, judge

LIMITS, _ = load_limits()
PARAMETERS = load_parameters()
DAY = date(2026, 6, 1)
PM10 = LIMITS["gb3095-pm10-day-class2"]
NIGHT = LIMITS["gb3096-class2-night"]


def of(limit, means, gone, hours):
    return headroom(limit, threshold_on(limit, DAY), PARAMETERS[limit.parameter], means, gone, hours)


@given(st.lists(st.floats(0, 400), min_size=4, max_size=23))
def test_with_what_the_rest_may_average_the_day_meets_and_with_more_it_exceeds(means: list[float]) -> None:
    found = of(PM10, means, len(means), 24)
    threshold = threshold_on(PM10, DAY)
    assert threshold is not None
    if found.state == "exceeds":
        day = np.mean([*means, *[0.0] * (24 - len(means))])
        assert judge(PM10, threshold, Figure(float(day), 1.0, 24)).judgement == "exceeds"
        return
    for more, judgement in ((-0.1, "meets"), (0.1, "exceeds")):
        rest = [found.value + more * 24 / found.hours] * found.hours
        day = float(np.mean([*means, *rest]))
        assert judge(PM10, threshold, Figure(day, 1.0, 24)).judgement == judgement


def test_missing_hours_make_a_window_that_cannot_be_assessed_any_more() -> None:
    assert of(PM10, [50.0] * 5, 9, 24).state == "open"
    lost = of(PM10, [50.0] * 4, 9, 24)
    assert (lost.state, lost.missing, lost.hours) == ("not-assessable", 5, 15)


def test_sound_is_averaged_by_its_energy() -> None:
    found = of(NIGHT, [52.0] * 4, 4, 8)
    assert equivalent_level(np.array([52.0] * 4 + [found.value] * 4)) == pytest.approx(50.0)
    assert of(NIGHT, [60.0] * 4, 4, 8).state == "exceeds"


@pytest.mark.parametrize("name", ["gb16297-fugitive", "gb12348-class2-day", "gb3838-class3-do"])
def test_limits_without_an_upper_mean_of_a_whole_period_have_no_headroom(name: str) -> None:
    assert of(LIMITS[name], [1.0], 1, 24) is None
