from __future__ import annotations

from collections import Counter
from itertools import islice, pairwise

import numpy as np
import pytest

from greenmine.simulators.clock import DAY_MS, MINUTE_MS
from greenmine.simulators.dust import SPRAYER_FACTOR
from greenmine.simulators.mine import Mine, stream, truth

HOUR_MS = 60 * MINUTE_MS


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(registry, sites, monday):
    one, again, other = (list(stream(registry, sites, seed, monday, monday + 3 * HOUR_MS)) for seed in (1, 1, 2))
    assert len(one) > 5000
    assert one == again
    assert one != other


def test_streams_that_meet_are_as_good_as_one(registry, sites, monday):
    cuts = [0, HOUR_MS, 16 * HOUR_MS + 7 * MINUTE_MS, DAY_MS, DAY_MS + 5 * MINUTE_MS, DAY_MS + 6 * HOUR_MS]
    whole = stream(registry, sites, 1, monday, monday + cuts[-1])
    parts = [m for begin, end in pairwise(cuts) for m in stream(registry, sites, 1, monday + begin, monday + end)]
    assert Counter(map(repr, parts)) == Counter(map(repr, whole))


def test_messages_come_in_the_order_of_sending(registry, sites, monday):
    sent = [message.time_sent for message in stream(registry, sites, 1, monday, monday + 2 * DAY_MS)]
    assert sent == sorted(sent)
    assert sent[0] >= monday


def test_a_site_alone_sends_what_it_sends_among_others(registry, sites, monday):
    alone = list(stream(registry, ["kunyin"], 1, monday, monday + DAY_MS))
    among = [m for m in stream(registry, sites, 1, monday, monday + DAY_MS) if m.topic.split("/")[2] == "kunyin"]
    assert alone == among


def test_a_stream_without_end_goes_on_over_midnight(registry, monday):
    start = monday + DAY_MS - 2 * MINUTE_MS
    messages = list(islice(stream(registry, ["kunyin"], 1, start, None, ()), 60))
    assert messages[0].time_sent < monday + DAY_MS < messages[-1].time_sent


def test_messages_of_a_minute_are_spread_over_it_and_sent_after_the_instant_they_are_about(registry, sites, monday):
    sent = [m.time_sent for m in stream(registry, sites, 1, monday, monday + MINUTE_MS, ())]
    assert len({(time - monday) // 5000 for time in sent}) >= 6
    assert all(monday <= time < monday + MINUTE_MS for time in sent)


def test_without_faults_every_instant_of_every_device_is_there_once(registry, sites, monday):
    counts = Counter(m.topic for m in stream(registry, sites, 1, monday, monday + DAY_MS, ()))
    expected = {f"greenmine/v1/{c.site}/{c.device}/readings": DAY_MS // c.interval for c in registry.channels}
    assert counts == expected


def test_readings_as_columns_are_complete_and_plausible(registry, monday):
    mine = Mine(registry, "kunyin", 1)
    readings = mine.readings(monday // DAY_MS)
    channels = registry.site_channels("kunyin")
    assert set(np.unique(readings.channel)) == {channel.index for channel in channels}
    for channel in channels:
        chosen = (readings.channel == channel.index) & (readings.flag == ord("N"))
        values = readings.value[chosen]
        assert chosen.sum() > 0.9 * DAY_MS // channel.interval
        assert np.isfinite(values).all()
        assert channel.parameter.low <= values.min() <= values.max() <= channel.parameter.high


def test_a_working_instrument_never_looks_frozen(registry, monday):
    mine = Mine(registry, "kunyin", 1)
    readings = mine.readings(monday // DAY_MS)
    checked = [c for c in registry.site_channels("kunyin") if c.parameter.checks.frozen_minutes is not None]
    assert len(checked) > 10
    for channel in checked:
        values = readings.value[readings.channel == channel.index]
        changes = np.flatnonzero(np.diff(values, prepend=np.inf, append=-np.inf))
        longest = np.diff(changes).max() * channel.interval / MINUTE_MS
        assert longest < channel.parameter.checks.frozen_minutes / 2


def _day_values(registry, site, key, monday, days):
    mine = Mine(registry, site, 1)
    index = next(c.index for c in registry.channels if c.key == key)
    first = monday // DAY_MS
    found = []
    for day in range(first, first + days):
        readings = mine.readings(day)
        chosen = (readings.channel == index) & (readings.flag == ord("N"))
        found.append(np.column_stack([readings.time[chosen], readings.value[chosen]]))
    return np.concatenate(found)


def _hourly(columns):
    hours, where = np.unique(columns[:, 0] // HOUR_MS, return_inverse=True)
    return hours, np.bincount(where, columns[:, 1]) / np.bincount(where)


@pytest.mark.parametrize("week", range(6))
def test_every_week_has_dust_above_the_limit_somewhere_and_mostly_none(registry, monday, week):
    start = monday + 7 * week * DAY_MS
    dusty = []
    for site in ("kunyin", "yanjing", "hengjie", "jianggao"):
        hours, tsp = _hourly(_day_values(registry, site, f"{site}/boundary/tsp", start, 7))
        dusty.append((tsp > 1000).sum())
        assert (tsp > 1000).mean() < 0.08
        assert set((hours[tsp > 1000] + 8) % 24) <= set(range(7, 19))
    assert sum(dusty) >= 3


def test_the_well_run_mine_stays_far_below_the_dust_limit(registry, monday):
    _, tsp = _hourly(_day_values(registry, "jiuchi", "jiuchi/boundary/tsp", monday, 14))
    assert tsp.max() < 600


def test_the_cement_mine_is_too_loud_in_some_nights_and_never_by_day(registry, monday):
    laeq = _day_values(registry, "yanjing", "yanjing/boundary/laeq", monday, 7)
    local = laeq[:, 0] // HOUR_MS + 8
    night = (local % 24 >= 22) | (local % 24 < 6)
    evening = (local + 2) // 24
    levels = [10 * np.log10(np.mean(10 ** (laeq[night & (evening == e), 1] / 10))) for e in np.unique(evening[night])]
    assert 1 <= sum(level > 50 for level in levels) <= 4
    assert 10 * np.log10(np.mean(10 ** (laeq[~night, 1] / 10))) < 60


def test_one_pond_exceeds_the_limit_of_suspended_solids_after_rain(registry, monday):
    ss = _day_values(registry, "kunyin", "kunyin/outfall/ss", monday, 14)
    days, where = np.unique((ss[:, 0] + 8 * HOUR_MS) // DAY_MS, return_inverse=True)
    daily = np.bincount(where, ss[:, 1]) / np.bincount(where)
    assert 1 <= (daily > 70).sum() <= len(days) // 2


def test_a_pond_without_discharge_overflows_only_when_it_rains(registry, monday):
    flow = _day_values(registry, "yanjing", "yanjing/pond/flow", monday, 28)
    assert (flow[:, 1] == 0).mean() > 0.8
    assert (flow[:, 1] >= 0).all()
    overflows = [
        e for e in truth(registry, ["yanjing"], 1, monday, monday + 28 * DAY_MS, ()).events if e.kind == "overflow"
    ]
    flowing = flow[flow[:, 1] > 0, 0]
    assert len(flowing) > 0
    assert all(any(e.start - 15 * MINUTE_MS <= time <= e.end for e in overflows) for time in flowing)


def test_the_truth_tells_what_happened(registry, sites, monday):
    known = truth(registry, sites, 1, monday, monday + 7 * DAY_MS)
    events = Counter(event.kind for event in known.events)
    assert {"blast", "sprayers", "incident", "night-shift", "rain", "maintenance", "calibration"} <= set(events)
    assert all(event.start < event.end for event in known.events)
    sprayers = [event for event in known.events if event.kind == "sprayers"]
    assert {event.parameters["factor"] for event in sprayers} == {SPRAYER_FACTOR}
    assert {event.parameters["mode"] for event in sprayers} == {"scheduled", "automatic"}
    assert known.registry == registry.digest


def test_an_event_over_midnight_is_one_event(registry, monday):
    known = truth(registry, ["jianggao"], 1, monday, monday + 28 * DAY_MS, ())
    ends = {(event.kind, event.device, event.end) for event in known.events}
    assert not any((e.kind, e.device, e.start) in ends for e in known.events if e.kind != "sprayers")


def test_blasts_are_heard(registry, monday):
    mine = Mine(registry, "kunyin", 1)
    index = next(c.index for c in registry.channels if c.key == "kunyin/boundary/lafmax")
    blasts = [
        (day, e.start)
        for day in range(monday // DAY_MS, monday // DAY_MS + 7)
        for e in mine.events(day)
        if e.kind == "blast"
    ]
    assert len(blasts) >= 5
    for day, start in blasts:
        readings = mine.readings(day)
        chosen = readings.channel == index
        quiet = np.nanmedian(readings.value[chosen])
        assert readings.value[chosen & (readings.time == start)][0] > quiet + 10


@pytest.mark.parametrize("flag", ["M", "C"])
def test_service_is_flagged_and_told(registry, monday, flag):
    mine = Mine(registry, "jiuchi", 1)
    kinds = {"M": "maintenance", "C": "calibration"}
    marked, told = set(), set()
    for day in range(monday // DAY_MS, monday // DAY_MS + 7):
        readings = mine.readings(day)
        chosen = readings.flag == ord(flag)
        marked |= {
            (registry.channels[c].device, int(t))
            for c, t in zip(readings.channel[chosen], readings.time[chosen], strict=True)
        }
        for event in (e for e in mine.events(day) if e.kind == kinds[flag]):
            interval = next(iter(registry.device_channels("jiuchi", event.device).values())).interval
            first = -(-event.start // interval) * interval
            told |= {(event.device, t) for t in range(first, event.end, interval)}
    assert len(marked) > 20
    assert marked == told
