"""What is kept of a mine is what would be computed now, and is computed again only for the mine whose figures changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from greenmine.api.http.kept_per_mine import KeptPerMine
from greenmine.api.http.views import LimitView, latest
from greenmine.record.access import RecordAccess
from greenmine.record.reader import Scope
from greenmine.record.writer import Pipeline
from greenmine.times import HOUR, MINUTE
from tests.processing.mine import EVENING, Station, every, feed, readings, record_at, registry_of
from tests.records import record_in


def test_each_mine_is_concluded_on_anew_when_its_figures_or_the_hour_change(tmp_path: Path) -> None:
    stations = [Station("homes", ("pm10", "tsp"), limits=("gb3095-pm10-day-class2", "gb3095-tsp-day-class2"))]
    zones = {"west": "Asia/Kolkata", "east": "Asia/Shanghai"}
    registry = registry_of(tmp_path, {site: (zone, stations) for site, zone in zones.items()})
    pipeline = Pipeline(registry, record_at(record_in(tmp_path), registry))
    access = RecordAccess(record_in(tmp_path), registry)
    both, kept, rng = Scope(frozenset(zones)), KeptPerMine[list[list[LimitView]]](), np.random.default_rng(9)
    until = dict.fromkeys(zones, EVENING)
    anew: list[set[str]] = []

    def sent(site: str, minutes: int) -> None:
        channel = next(c.index for c in registry.channels if c.site == site)
        span = every(until[site], until[site] + minutes * MINUTE)
        feed(pipeline, [readings(channel, span, float(rng.integers(40, 400)))])
        until[site] += minutes * MINUTE

    def look(instant: int) -> set[str]:
        """Sites on which it was concluded; what is told of all must be what is concluded now."""
        made: set[str] = set()
        with access.queries() as queries:

            def conclude(some: Scope) -> dict[str, list[list[LimitView]]]:
                return {
                    site: [view.limits for view in latest(queries, Scope(frozenset({site})), instant)] for site in some
                }

            def noted(some: Scope) -> dict[str, list[list[LimitView]]]:
                made.update(some)
                return conclude(some)

            assert kept.of(queries, both, instant, noted) == conclude(both)
        anew.append(made)
        return made

    clock = EVENING + 2 * HOUR + 45 * MINUTE
    for site in zones:
        sent(site, 150)
    assert look(clock) == both
    assert look(clock + MINUTE) == set()
    sent("east", 5)
    assert look(clock + 2 * MINUTE) == set(), "readings are no figures"
    sent("west", 120)
    assert look(clock + 3 * MINUTE) == {"west"}
    for step in range(5):  # the hours of the zones begin half an hour apart
        sent(("east", "west")[step % 2], 60)
        look(clock + step * 50 * MINUTE)
        look(EVENING + (3 + step) * HOUR)
    assert {"east"} in anew
    access.close()
