"""Points of windows that are none any more leave the buckets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from greenmine.grafana.influx.feed import Feed
from greenmine.processing.rolling import hourly_statistics
from greenmine.record.bucket_cursors import Cursor
from greenmine.record.follower import heads
from greenmine.record.record import Record
from greenmine.record.writer import Pipeline
from greenmine.registry import Registry
from tests.processing.mine import EVENING, HOUR, MINE, feed, record_at, registry_of
from tests.processing.streams import pieces, stream
from tests.records import record_in

Series = tuple[str, frozenset[str], int]


def bucket_after(points: set[Series], registry: Registry, record: Record, cursor: Cursor) -> set[Series]:
    """What a bucket holds once it has taken what is beyond a cursor: measurement, tags and time [ms]."""
    made = Feed(registry, record.engine, cursor, None, hourly_statistics, 500, lambda: 0, {})
    for portion in made.portions(heads(record.engine)):
        for part in portion.parts.values():
            for gone in part.deletions:
                tags = {f"{name}={value}" for name, value in gone.tags}
                points = {
                    p
                    for p in points
                    if p[0] != gone.measurement or not tags <= p[1] or not gone.start <= p[2] <= gone.end
                }
            for line in part.lines["ms"]:
                series, *_, time = line.split(" ")
                name, *tags_of = series.split(",")
                points = points | {(name, frozenset(tags_of), int(time))}
    return points


def test_a_bucket_of_a_mine_whose_zone_was_changed_holds_what_a_new_one_does(tmp_path: Path) -> None:
    slow = tuple(replace(station, interval="300s") for station in MINE[2:4])
    old, new = (registry_of(tmp_path / zone[:3], {"mine": (zone, slow)}) for zone in ("Asia/Kolkata", "Asia/Shanghai"))
    record = record_at(record_in(tmp_path), old)
    rng = np.random.default_rng(0)
    feed(Pipeline(old, record), pieces(stream(old, rng, EVENING, EVENING + 40 * HOUR), rng, 2))
    before = heads(record.engine)
    points = bucket_after(set(), old, record, Cursor("raw"))
    record = Record(record.engine, new)
    pipeline = Pipeline(new, record)
    while pipeline.carry_on(EVENING):
        pass
    points = bucket_after(points, new, record, Cursor("raw", positions=before))
    anew = bucket_after(set(), new, record, Cursor("raw"))
    for name in ("statistic", "verdict", "day"):
        assert {p for p in points if p[0] == name} == {p for p in anew if p[0] == name} != set(), name
