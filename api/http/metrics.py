"""Metrics in the Prometheus text format, computed from the record on every scrape."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from greenmine.grafana.influx.influx_schema import DISTRICT, bucket_of
from greenmine.notify.outbox import Outbox as Notices
from greenmine.record.bucket_cursors import FILE as CURSORS
from greenmine.record.bucket_cursors import Cursor, stored_cursors
from greenmine.record.follower import Positions
from greenmine.record.reader import Queries, Scope
from greenmine.uplink.outbox import FILE as OUTBOX
from greenmine.uplink.outbox import State, UplinkOutbox

_LEDGER = {
    "messages": "Messages received",
    "received": "Readings received",
    "stored": "Readings stored",
    "duplicate": "Readings that repeated a stored one",
    "conflict": "Repeats with another value",
    "rejected": "Readings rejected",
    "late": "Readings later than accepted",
}
_ALIVE = 10_000
"""An uplink that has said nothing for this long is taken as stopped [ms]."""


def metrics(
    queries: Queries, scope: Scope, now: int, data: Path, notices: Notices, faults: int, *, workers: bool, sites: bool
) -> bytes:
    """Metrics of the sites in scope at an instant [ms UTC]; with ``sites`` one by one, else all together.

    With ``workers``, those of the workers, of the projection and the uplink, whose files are in the directory ``data``, of
    the notifications and of the live stream, whose ``faults`` are given, too: they cover all sites.
    """
    registry = CollectorRegistry()
    registry.register(_Families(queries, scope, now, data, notices, faults, workers=workers, sites=sites))
    return generate_latest(registry)


class _Families(Collector):
    def __init__(
        self,
        queries: Queries,
        scope: Scope,
        now: int,
        data: Path,
        notices: Notices,
        faults: int,
        *,
        workers: bool,
        sites: bool,
    ) -> None:
        self._queries = queries
        self._scope = scope
        self._now = now
        self._data = data
        self._notices = notices
        self._faults = faults
        self._of_workers = workers
        self._labels = ["site"] if sites else []

    def describe(self) -> Iterator[Metric]:
        yield from ()

    def collect(self) -> Iterator[Metric]:
        totals = self._queries.ledger_totals(self._scope)
        for name, text in _LEDGER.items():
            counter = CounterMetricFamily(f"greenmine_{name}", f"{text}, by the ledger.", labels=self._labels)
            yield self._told(counter, {row.site: getattr(row, name) for row in totals}, sum)
        missing = GaugeMetricFamily(
            "greenmine_sequence_missing", "Message sequence numbers not (yet) seen.", labels=self._labels
        )
        yield self._told(missing, {row.site: row.sequence_missing for row in totals}, sum)
        age = GaugeMetricFamily(
            "greenmine_newest_reading_age_seconds", "Age of the newest reading.", labels=self._labels
        )
        times = self._queries.newest_times(self._scope)
        yield self._told(age, {site: (self._now - time) / 1000 for site, time in sorted(times.items())}, min)
        unfinished = GaugeMetricFamily("greenmine_open_exceedances", "Exceedances under way.", labels=self._labels)
        counts = self._queries.open_exceedances(self._scope)
        yield self._told(unfinished, {site: counts.get(site, 0) for site in sorted(self._scope)}, sum)
        if self._of_workers:
            yield CounterMetricFamily(
                "greenmine_live_stream_faults", "Faults that ended all live streams.", value=self._faults
            )
            yield from self._workers()
            cursors, states = self._visible_cursors(), self._uplink_states()
            yield from self._followers(cursors, states)
            yield from self._projection(cursors)
            yield from self._uplink(states)
            yield from self._notifications()

    def _told(
        self,
        family: CounterMetricFamily | GaugeMetricFamily,
        values: dict[str, float],
        together: Callable[[Iterable[float]], float],
    ) -> Metric:
        """Fill a family with the values of sites, or with what they are together."""
        if self._labels:
            for site, value in values.items():
                family.add_metric([site], value)
        elif values:
            family.add_metric([], together(values.values()))
        return family

    def _workers(self) -> Iterator[Metric]:
        age = GaugeMetricFamily("greenmine_worker_age_seconds", "Time since a worker last reported.", labels=["worker"])
        figure = GaugeMetricFamily(
            "greenmine_worker", "Figures that a worker reports of itself.", labels=["worker", "figure"]
        )
        free = shutil.disk_usage(self._data).free
        yield GaugeMetricFamily("greenmine_disk_free_bytes", "Room under the data directory.", value=free)
        for worker in self._queries.workers():
            age.add_metric([worker.name], (self._now - worker.updated) / 1000)
            for name, value in sorted(_numbers(msgspec.json.decode(worker.status))):
                figure.add_metric([worker.name, name], value)
        yield age
        yield figure

    def _followers(self, cursors: Sequence[Cursor], states: Sequence[State]) -> Iterator[Metric]:
        """How far behind the record each is who follows it, told from the positions: right even where one does not run."""
        followed: dict[str, Positions | None] = {f"projection/{cursor.bucket}": cursor.whole for cursor in cursors}
        followed |= {f"uplink/{state.feed}": state.followed for state in states}
        followed |= {"notifier": self._notices.positions(), "reported": self._queries.compared()}
        lag = GaugeMetricFamily(
            "greenmine_follower_lag_seconds", "Age of the oldest row that it has not read.", labels=["follower"]
        )
        backlog = GaugeMetricFamily("greenmine_follower_backlog", "Rows that it has not read.", labels=["follower"])
        for name, positions in followed.items():
            if positions:
                oldest, rows = self._queries.behind(positions)
                lag.add_metric([name], 0.0 if oldest is None else max(0, self._now - oldest) / 1000)
                backlog.add_metric([name], rows)
        yield from (lag, backlog)

    def _projection(self, found: Sequence[Cursor]) -> Iterator[Metric]:
        """What InfluxDB did not take."""
        if not found:
            return
        refused = GaugeMetricFamily(
            "greenmine_projection_refused", "Points that InfluxDB refused for good.", labels=["bucket"]
        )
        failures = GaugeMetricFamily(
            "greenmine_projection_failures", "Writes that were tried again.", labels=["bucket"]
        )
        for cursor in found:
            refused.add_metric([cursor.bucket], cursor.refused)
            failures.add_metric([cursor.bucket], cursor.failures)
        yield from (refused, failures)

    def _uplink_states(self) -> list[State]:
        path = self._data / OUTBOX
        if not path.exists():
            return []
        outbox = UplinkOutbox(path, read_only=True)
        try:
            return outbox.states(self._now)
        finally:
            outbox.close()

    def _uplink(self, states: Sequence[State]) -> Iterator[Metric]:
        """How far the authority's platforms are behind, told from the uplink's file: right even if it does not run."""
        if not states:
            return
        connected = GaugeMetricFamily(
            "greenmine_uplink_connected", "Whether the platform is connected.", labels=["feed"]
        )
        backlog = GaugeMetricFamily("greenmine_uplink_backlog", "Reports that wait for the platform.", labels=["feed"])
        lag = GaugeMetricFamily(
            "greenmine_uplink_lag_seconds", "How long the oldest report could have been sent.", labels=["feed"]
        )
        acknowledged = CounterMetricFamily("greenmine_uplink_acknowledged", "Reports acknowledged.", labels=["feed"])
        age = GaugeMetricFamily(
            "greenmine_uplink_acknowledgement_age_seconds", "Time since the newest acknowledgement.", labels=["feed"]
        )
        for state in states:
            feed = [state.feed]
            connected.add_metric(feed, state.connected and self._now - state.told < _ALIVE)
            backlog.add_metric(feed, state.waiting)
            lag.add_metric(feed, 0.0 if state.oldest is None else (self._now - state.oldest) / 1000)
            acknowledged.add_metric(feed, state.acknowledged)
            if state.last:
                age.add_metric(feed, (self._now - state.last) / 1000)
        yield from (connected, backlog, lag, acknowledged, age)

    def _notifications(self) -> Iterator[Metric]:
        """What is still to be told, by whose subscriptions: right even if the notifier does not run."""
        waiting = GaugeMetricFamily(
            "greenmine_notifications_waiting",
            "Notices that are not delivered, those of quiet hours too.",
            labels=["owner"],
        )
        age = GaugeMetricFamily(
            "greenmine_notifications_age_seconds", "Since when the oldest of them is due.", labels=["owner"]
        )
        dead = GaugeMetricFamily(
            "greenmine_notifications_dead", "Messages given up in the last 30 days.", labels=["owner"]
        )
        sent = CounterMetricFamily("greenmine_notifications_sent", "Messages delivered.", labels=["owner"])
        for load in self._notices.loads():
            owner = [load.enterprise or "district"]
            waiting.add_metric(owner, load.waiting)
            age.add_metric(owner, 0.0 if load.oldest is None else max(0, self._now - load.oldest) / 1000)
            dead.add_metric(owner, load.dead)
            sent.add_metric(owner, load.sent)
        yield from (waiting, age, dead, sent)

    def _visible_cursors(self) -> list[Cursor]:
        sites = self._queries.registry.sites
        visible = {bucket_of(site.enterprise) for site in sites if site.id in self._scope}
        if all(site.id in self._scope for site in sites):
            visible.add(DISTRICT)
        return [cursor for cursor in stored_cursors(self._data / CURSORS) if cursor.bucket in visible]


def _numbers(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _numbers(part, f"{name}.{key}" if name else key)
    elif isinstance(value, bool | int | float):
        yield name, float(value)
