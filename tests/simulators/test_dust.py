from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from greenmine.simulators.activity import activity
from greenmine.simulators.clock import Clock
from greenmine.simulators.dust import SPRAYER_FACTOR, dust, plume
from greenmine.simulators.layout import LocalPoint, character, layout
from greenmine.simulators.random_streams import RandomStreams
from greenmine.simulators.weather import weather

SOURCE = LocalPoint(0.0, 0.0, 2.0)
ONE = np.ones(1)


def test_there_is_no_dust_upwind_and_most_on_the_axis():
    north = LocalPoint(0.0, 200.0, 3.0)
    blowing_from = np.array([0.0, 180.0, 160.0])
    upwind, axis, beside = plume(np.ones(3), np.full(3, 3.0), blowing_from, SOURCE, north)
    assert upwind == 0
    assert axis > beside > 0


def test_twice_the_emission_or_half_the_wind_is_twice_the_dust():
    east = LocalPoint(250.0, 0.0, 3.0)
    west_wind = np.array([270.0])
    base = plume(ONE, 4 * ONE, west_wind, SOURCE, east)
    np.testing.assert_allclose(plume(2 * ONE, 4 * ONE, west_wind, SOURCE, east), 2 * base)
    np.testing.assert_allclose(plume(ONE, 2 * ONE, west_wind, SOURCE, east), 2 * base)


def test_dust_thins_out_with_distance():
    steps = [plume(ONE, 3 * ONE, np.array([270.0]), SOURCE, LocalPoint(x, 0.0, 3.0))[0] for x in (100.0, 200.0, 400.0)]
    assert steps == sorted(steps, reverse=True)


@pytest.mark.parametrize("kind", ["tsp", "pm10", "pm25"])
def test_sprayers_leave_the_known_share_of_what_the_mine_adds(registry, monday, kind):
    site = registry.site("kunyin")
    streams, region, clock = RandomStreams(1, site.id), RandomStreams(1, "region"), Clock(site.zone)
    mine, places = character(site), layout(site)
    first, count = monday // 60_000, 600
    air = replace(
        weather(region, streams, clock, places.prevailing, first, count), rain=np.zeros(count), wetness=np.zeros(count)
    )
    work = replace(activity(streams, clock, mine, first, count), incident=np.zeros(count, bool))

    def station(**changes):
        columns = dust(streams, region, clock, mine, places, [], air, replace(work, **changes), first)
        return getattr(columns, kind)["boundary"]

    idle = replace(mine, output=0.0)
    background = getattr(dust(streams, region, clock, idle, places, [], air, work, first), kind)["boundary"]
    dry, sprayed = station(spray=np.zeros(count, bool)), station(spray=np.ones(count, bool))
    assert (dry - background).max() > 50
    np.testing.assert_allclose(sprayed - background, SPRAYER_FACTOR * (dry - background), rtol=1e-9, atol=1e-9)


def test_high_dust_starts_the_sprayers_and_an_incident_stops_them(registry, monday):
    site = registry.site("yanjing")
    streams, region, clock = RandomStreams(1, site.id), RandomStreams(1, "region"), Clock(site.zone)
    places = layout(site)
    first, count = monday // 60_000, 600
    dusty = replace(character(site), output=30.0)
    air = replace(
        weather(region, streams, clock, places.prevailing, first, count), rain=np.zeros(count), wetness=np.zeros(count)
    )
    work = activity(streams, clock, dusty, first, count)
    fine = replace(work, spray=np.zeros(count, bool), incident=np.zeros(count, bool))
    broken = replace(fine, incident=np.ones(count, bool))
    assert dust(streams, region, clock, dusty, places, ["boundary"], air, fine, first).automatic.any()
    assert not dust(streams, region, clock, dusty, places, ["boundary"], air, broken, first).spraying.any()
    assert not dust(streams, region, clock, dusty, places, [], air, fine, first).spraying.any()
