from __future__ import annotations

from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest

from greenmine.limits import CATALOGUE, LONG, limit_for, limits_table, load_limits, threshold_on
from greenmine.loading import load_registry
from greenmine.parameters import load_parameters
from greenmine.tables import DataFileError

DOCS = Path(__file__).parents[2] / "docs" / "limits.md"

LIMITS, CONDITIONS = load_limits()


@pytest.mark.parametrize(
    ("limit", "day", "high"),
    [
        ("gb3095-pm10-day-class2", "2026-02-28", 150),
        ("gb3095-pm10-day-class2", "2026-03-01", 120),
        ("gb3095-pm10-day-class2", "2030-12-31", 120),
        ("gb3095-pm10-day-class2", "2031-01-01", 100),
        ("gb3095-pm2.5-day-class2", "2026-02-28", 75),
        ("gb3095-pm2.5-day-class2", "2026-03-01", 60),
        ("gb3095-pm2.5-day-class2", "2031-01-01", 50),
        ("gb3095-pm10-day-class1", "2026-03-01", 50),
        ("gb3095-pm2.5-day-class1", "2030-12-31", 35),
        ("gb3095-pm2.5-day-class1", "2031-01-01", 25),
        ("gb3095-tsp-day-class1", "2026-03-01", 120),
        ("gb3095-tsp-day-class2", "2031-01-01", 300),
        ("gb16297-fugitive", "2026-11-22", 1000),
        ("db50-418-fugitive", "2026-11-22", 1000),
        ("gb29620-boundary-tsp", "2014-01-01", 1000),
        ("gb4915-difference", "2026-11-22", 500),
        ("db50-656-difference", "2026-11-22", 500),
        ("gb12348-class0-day", "2026-11-22", 50),
        ("gb12348-class0-night", "2026-11-22", 40),
        ("gb12348-class1-day", "2026-11-22", 55),
        ("gb12348-class1-night", "2026-11-22", 45),
        ("gb12348-class2-day", "2026-11-22", 60),
        ("gb12348-class2-night", "2026-11-22", 50),
        ("gb12348-class3-day", "2026-11-22", 65),
        ("gb12348-class3-night", "2026-11-22", 55),
        ("gb12348-class4-day", "2026-11-22", 70),
        ("gb12348-class4-night", "2026-11-22", 55),
        ("gb12348-class2-night-frequent", "2026-11-22", 60),
        ("gb12348-class2-night-occasional", "2026-11-22", 65),
        ("gb3096-class1-day", "2026-11-22", 55),
        ("gb3096-class4a-night", "2026-11-22", 55),
        ("gb3096-class4b-night", "2026-11-22", 60),
        ("gb3096-class1-night-sudden", "2026-11-22", 60),
        ("gb8978-ph", "2026-11-22", 9),
        ("gb8978-ss-level1", "2026-11-22", 70),
        ("gb8978-ss-level2", "2026-11-22", 300),
        ("gb8978-cod-level1", "2026-11-22", 100),
        ("gb8978-cod-level2", "2026-11-22", 150),
        ("gb8978-nh3-n-level1", "2026-11-22", 15),
        ("gb8978-nh3-n-level2", "2026-11-22", 25),
        ("gb3838-class2-cod", "2026-11-22", 15),
        ("gb3838-class3-nh3-n", "2026-11-22", 1.0),
        ("gb3838-class4-nh3-n", "2026-11-22", 1.5),
        ("zero-discharge", "2026-11-22", 0),
    ],
)
def test_the_value_in_force_on_a_day_is_that_of_the_standard(limit: str, day: str, high: float):
    threshold = threshold_on(LIMITS[limit], date.fromisoformat(day))
    assert threshold is not None
    assert threshold.high == high


@pytest.mark.parametrize(
    ("limit", "low"), [("gb8978-ph", 6), ("gb3838-class2-do", 6), ("gb3838-class3-do", 5), ("gb3838-class4-do", 3)]
)
def test_lower_values_are_those_of_the_standard(limit: str, low: float):
    threshold = threshold_on(LIMITS[limit], date(2026, 11, 22))
    assert threshold is not None
    assert threshold.low == low


def test_before_its_first_day_a_limit_is_not_in_force():
    limit = LIMITS["db50-418-fugitive"]
    assert threshold_on(limit, date(2016, 1, 31)) is None
    assert threshold_on(limit, date(2016, 2, 1)) == limit.thresholds[0]


@pytest.mark.parametrize("limit", [limit for limit in LIMITS.values() if len(limit.thresholds) > 1], ids=lambda x: x.id)
@pytest.mark.parametrize("established", [None, date(2026, 4, 1)])
def test_one_edition_follows_the_other_without_a_gap(limit, established):
    thresholds = limit_for(limit, established).thresholds
    days = [(a.valid_to.toordinal() + 1, b.valid_from.toordinal()) for a, b in pairwise(thresholds)]
    assert [ends for ends, _ in days] == [begins for _, begins in days]
    assert thresholds[-1].valid_to is None


@pytest.mark.parametrize(
    ("established", "day", "high"),
    [
        (None, "2026-03-31", 500),
        (None, "2027-12-31", 500),
        (None, "2028-01-01", None),
        ("2026-03-31", "2027-12-31", 500),
        ("2026-04-01", "2026-04-01", None),
        ("2026-05-20", "2026-12-01", None),
    ],
)
def test_the_value_of_gb_4915_ends_where_its_amendment_holds(established: str | None, day: str, high: float | None):
    limit = limit_for(LIMITS["gb4915-difference"], date.fromisoformat(established) if established else None)
    threshold = threshold_on(limit, date.fromisoformat(day))
    assert threshold is not None
    assert threshold.high == high
    assert (threshold.confidence == "text to be confirmed") is (high is None)


def test_what_was_read_in_an_official_text_names_its_file():
    sources = load_registry().sources
    official = {t.source for x in LIMITS.values() for t in x.thresholds if t.confidence == "verified: official text"}
    assert official == set(sources)
    assert all(f"| {name} | {digest} |" in DOCS.read_text(encoding="utf-8") for name, digest in sources.items())


def test_the_change_of_gb_3095_cites_the_edition_in_force():
    limit = LIMITS["gb3095-pm10-day-class2"]
    assert threshold_on(limit, date(2026, 2, 28)).source == "GB 3095-2012"
    assert threshold_on(limit, date(2026, 3, 1)).source == "GB 3095-2026"


@pytest.mark.parametrize(
    ("limit", "window", "minutes", "hours"),
    [
        ("gb3095-pm10-day-class2", "day", 45, 20),
        ("gb3095-tsp-day-class2", "day", 45, 24),
        ("gb12348-class2-day", "daytime", 45, 12),
        ("gb12348-class2-night", "nighttime", 45, 6),
        ("db50-418-fugitive", "hour", 45, None),
        ("gb8978-cod-level1", "day", 45, 18),
    ],
)
def test_each_window_needs_its_share_of_data(limit: str, window: str, minutes: int, hours: int | None):
    row = LIMITS[limit]
    assert (row.window, row.validity.minutes_per_hour, row.validity.hours) == (window, minutes, hours)


def test_corrected_boundary_noise_is_judged_in_whole_decibels_and_all_else_unrounded():
    assert (LIMITS["gb12348-class2-night"].rounding.compare, LIMITS["gb12348-class2-night"].rounding.digits) == (
        "corrected",
        0,
    )
    assert LIMITS["db50-418-fugitive"].rounding.compare == "full"


def test_online_values_without_an_automatic_method_are_indications():
    indicative = {limit.parameter for limit in LIMITS.values() if limit.indicative}
    legal = {limit.parameter for limit in LIMITS.values() if not limit.indicative}
    assert indicative == {"tsp", "ss"}
    assert not indicative & legal


def test_every_noise_limit_leaves_out_bad_weather_and_no_other_does():
    assert {limit.parameter for limit in LIMITS.values() if limit.exclude_weather} == {"laeq", "lafmax"}
    assert {limit.parameter for limit in LIMITS.values() if not limit.exclude_weather}.isdisjoint({"laeq", "lafmax"})


@pytest.mark.parametrize("limit", LIMITS.values(), ids=lambda limit: limit.id)
def test_each_limit_says_where_it_comes_from_and_when_it_alarms(limit):
    minutes = {"hour": 60, "daytime": 60, "nighttime": 60, "day": 1440}
    if limit.event is not None or limit.window in LONG:
        assert limit.alarm is None  # told when the night, or the year, is over
    else:
        slides = {"maximum": 1, "range": 60}.get(limit.statistic, minutes[limit.window])
        assert limit.alarm.sliding_minutes == slides
    assert limit.unit == load_parameters()[limit.parameter].unit
    for threshold in limit.thresholds:
        assert threshold.source
        assert threshold.clause
        assert threshold.confidence.startswith(("verified: ", "recalled: ", "text to be confirmed"))


def test_conditions_of_measurement_have_a_source():
    assert (CONDITIONS.day_start, CONDITIONS.night_start, CONDITIONS.wind_invalid) == (6, 22, 5.0)
    assert (CONDITIONS.difference_wind_minimum, CONDITIONS.difference_sector) == (1.0, 45.0)
    assert (CONDITIONS.minutes_per_hour, CONDITIONS.day_hours) == (45, 20)
    assert (CONDITIONS.daytime_hours, CONDITIONS.nighttime_hours) == (12, 6)
    assert "GB 12348-2008" in CONDITIONS.source
    assert "HJ/T 55-2000" in CONDITIONS.source
    assert CONDITIONS.confidence == "recalled: unsure"


@pytest.mark.parametrize("limit", LIMITS.values(), ids=lambda limit: limit.id)
def test_each_limit_is_documented_with_every_threshold(limit):
    rows = limits_table([limit]).splitlines()[2:]
    documented = DOCS.read_text(encoding="utf-8").splitlines()
    assert len(rows) == len(limit.thresholds)
    assert [row for row in rows if row not in documented] == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('parameter = "pm10"', 'parameter = "pm-10"', ["there is no parameter 'pm-10'; nearest: 'pm10'"]),
        ('unit = "ug/m3"', 'unit = "mg/m3"', ["unit 'mg/m3' must be that of pm10: 'ug/m3'"]),
        ('validity = "ambient-day"', 'validity = "ambient"', ["no [validity.ambient]; nearest: 'ambient-day'"]),
        (
            "valid_from = 2026-03-01",
            "valid_from = 2026-02-28",
            ["thresholds number 2", "must be in order and not overlap"],
        ),
        ("valid_to = 2026-02-28, ", "", ["thresholds number 2", "ends never"]),
        ("valid_to = 2026-02-28", "valid_to = 2015-02-28", ["valid_to 2015-02-28 comes before valid_from 2016-01-01"]),
        ("valid_from = 2026-03-01", 'valid_from = "1 March"', ["valid_from: '1 March' does not fit", "date"]),
        ("high = 50, ", "", ["thresholds: give low, high or both"]),
        ("low = 6, high = 9", "low = 9, high = 6", ["low 9 lies above high 6"]),
        (
            'confidence = "verified: secondary sources" },',
            'confidence = "sure" },',
            ["'sure' is not one of 'verified: official text'"],
        ),
        ('window = "day"', 'window = "week"', ["'week' is not one of '1min', '5min', '15min', 'hour', '8h'"]),
        ("minutes_per_hour = 45\nhours = 20\n", "minutes_per_hour = 45\n", ["say how many valid hours a day needs"]),
        ("minutes_per_hour = 45\nhours = 20\n", "minutes_per_hour = 75\nhours = 20\n", ["must be from 1 to 60"]),
        ("day_start = 6", "day_start = 23", ["[conditions]", "day_start must come before night_start"]),
        (
            "[conditions]",
            "[condition]",
            ["'condition' is not a key here; nearest: 'conditions'", "[conditions] is missing"],
        ),
        ("delay_minutes = 10", "delay_minutes = 0", ["delay_minutes and clear_minutes must be at least 1"]),
        ("\nhours = 20", "\nhours = 0", ["validity: hours must be from 1 to 24"]),
        ("\nhours = 20", "\nhours = 25", ["validity: hours must be from 1 to 24"]),
        ("days = 324", "days = 367", ["validity: days must be from 1 to 366"]),
        ("days_per_month = 27", "days_per_month = 0", ["days_per_month must be from 1 to 31"]),
        ("temperature = 273,", "temperature = 0,", ["temperature must be from 250 to 330 K"]),
        ("pressure = 101325,", "pressure = 101.325,", ["pressure from 80000 to 110000 Pa"]),
        ("high = 1000", "high = 1000000", ["high 1e+06 is no tsp that can be measured", "from -10 to 20000 ug/m3"]),
        ("drift = 0.5", "drift = -0.5", ["drift must not be below 0"]),
        ("wind_invalid = 5.0", "wind_invalid = 0.0", ["wind_invalid must be above 0"]),
        ("difference_sector = 45.0", "difference_sector = 180.0", ["difference_sector must be above 0 and at most 90"]),
        ("steady_variation = 3.0", "steady_variation = -1.0", ["steady_variation must not be below 0"]),
        ("sigma = [15.0, 30.0,", "sigma = [30.0, 15.0,", ["sigma must be three numbers above 0, each larger"]),
        ('window = "hour"', 'window = "15min"\nallowed = 96', ["allowed must be below 96"]),
    ],
)
def test_a_fault_is_named_with_its_place_and_the_right_form(tmp_path: Path, old: str, new: str, expected: list[str]):
    text = CATALOGUE.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "limits.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(DataFileError) as caught:
        load_limits(path)
    for part in ["limits.toml", *expected]:
        assert part in str(caught.value)


def test_a_wrong_name_of_a_shared_rule_is_one_fault(tmp_path: Path):
    text = CATALOGUE.read_text(encoding="utf-8")
    path = tmp_path / "limits.toml"
    path.write_text(text.replace('validity = "ambient-day"', 'validity = "ambient"', 1), encoding="utf-8")
    with pytest.raises(DataFileError) as caught:
        load_limits(path)
    assert len(caught.value.faults) == 1
