from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest

from greenmine.simulators.clock import Clock


@pytest.mark.parametrize(
    ("zone", "offset"),
    [
        ("Asia/Shanghai", [480, 480, 480]),
        ("Europe/Berlin", [60, 120, 120]),
        ("Asia/Kathmandu", [345, 345, 345]),
    ],
)
def test_offsets_follow_the_zone_through_the_change_of_summer_time(zone, offset):
    change = datetime.fromisoformat("2026-03-29T01:00+00:00").timestamp() * 1000
    times = np.array([change - 1, change, change + 60_000], np.int64)
    assert Clock(zone).offsets(times).tolist() == offset


def test_local_minutes_are_those_of_the_wall_clock():
    first = int(datetime.fromisoformat("2026-11-22T16:30+00:00").timestamp() // 60)
    assert Clock("Asia/Shanghai").local_minutes(first, 2)[1] % 1440 == 31
