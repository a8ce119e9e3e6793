"""The air quality index by the table and the clauses of HJ 633-2026."""

from __future__ import annotations

import pytest

from greenmine.evidence.air_index import air_index, air_index_table


@pytest.mark.parametrize(
    ("parameter", "mean", "concentration", "iaqi"),
    [
        ("pm10", 0.0, 0, 0),
        ("pm10", 50.0, 50, 50),
        ("pm10", 51.0, 51, 51),  # 50 + 50/70, up
        ("pm10", 85.0, 85, 75),
        ("pm10", 120.5, 120, 100),  # half to the even number
        ("pm10", 121.5, 122, 101),  # 100 + 50 * 2/130, up
        ("pm10", 420.0, 420, 300),
        ("pm10", 421.0, 421, 302),  # 300 + 100/80, up
        ("pm10", 600.0, 600, 500),
        ("pm10", 1200.0, 1200, 500),  # 4.1.1: at most 500
        ("pm2.5", 36.0, 36, 52),
        ("pm2.5", 61.0, 61, 101),
        ("pm2.5", 250.4, 250, 300),
    ],
)
def test_a_sub_index_lies_on_the_line_between_two_rows_of_the_table(
    parameter: str, mean: float, concentration: int, iaqi: int
) -> None:
    found = air_index(air_index_table(), {parameter: mean}).sub_indices[parameter]
    assert (found.concentration, found.iaqi) == (concentration, iaqi)


def test_with_pollutants_missing_an_index_is_given_only_above_100() -> None:
    low = air_index(air_index_table(), {"pm10": 120.0, "pm2.5": 40.0})
    assert (low.aqi, low.primary, low.missing) == (None, (), ("so2", "no2", "co", "o3"))
    high = air_index(air_index_table(), {"pm10": 121.0, "pm2.5": 40.0})
    assert (high.aqi, high.primary) == (101, ("pm10",))


def test_equal_pollutants_are_both_primary() -> None:
    assert air_index(air_index_table(), {"pm10": 250.0, "pm2.5": 115.0}).primary == ("pm10", "pm2.5")


def test_without_any_mean_there_is_no_index() -> None:
    assert air_index(air_index_table(), {}).aqi is None
