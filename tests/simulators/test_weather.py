from __future__ import annotations

import numpy as np
import pytest

from greenmine.simulators.clock import Clock
from greenmine.simulators.layout import character
from greenmine.simulators.random_streams import RandomStreams
from greenmine.simulators.water import water
from greenmine.simulators.weather import rain, weather

YEAR = 365 * 1440
FIRST = 20_700 * 1440


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_week_has_some_rain_and_most_hours_are_dry(seed):
    fallen = rain(RandomStreams(seed, "region"), FIRST, YEAR)
    weeks = fallen[: 52 * 7 * 1440].reshape(52, -1)
    assert (weeks.sum(axis=1) > 3).all()
    assert (fallen.reshape(-1, 60).sum(axis=1) > 0).mean() < 0.15


def test_rain_comes_in_tips_of_a_tenth_of_a_millimetre():
    fallen = rain(RandomStreams(1, "region"), FIRST, 30 * 1440)
    np.testing.assert_allclose(fallen * 10, np.round(fallen * 10), atol=1e-9)


def test_the_wind_mostly_blows_from_the_prevailing_side_and_is_stronger_in_the_afternoon():
    clock = Clock("Asia/Shanghai")
    air = weather(RandomStreams(1, "region"), RandomStreams(1, "site"), clock, 40.0, FIRST, 30 * 1440)
    hour = clock.local_minutes(FIRST, 30 * 1440) // 60 % 24
    deviation = np.abs((air.wind_direction - 40 + 180) % 360 - 180)
    assert np.median(deviation) < 40
    assert air.wind_speed[(hour >= 13) & (hour < 17)].mean() > 1.5 * air.wind_speed[(hour >= 1) & (hour < 5)].mean()


def test_the_pond_is_turbid_after_rain_and_clears(registry):
    region, local, clock = RandomStreams(1, "region"), RandomStreams(1, "kunyin"), Clock("Asia/Shanghai")
    air = weather(region, local, clock, 40.0, FIRST, 30 * 1440)
    pond = water(local, region, clock, character(registry.site("kunyin")), air, FIRST)
    wet, dry = air.wetness > 0.9, air.wetness < 0.01
    assert pond.ss[wet].mean() > 3 * pond.ss[dry].mean()
    assert pond.turbidity[wet].mean() > 3 * pond.turbidity[dry].mean()
    assert pond.ss[dry].max() < 70
