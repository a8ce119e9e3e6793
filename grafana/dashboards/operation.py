"""Data quality and operation: capture, health, ledger, latency, projection, broker and process."""

from __future__ import annotations

from typing import Final

from greenmine.grafana import tables, variables
from greenmine.grafana.board import Board, Json
from greenmine.grafana.edition import Edition
from greenmine.grafana.panels import AMBER, CLOCK, GREEN, RED, Column, curves, figure, grid, mapping, steps
from greenmine.grafana.queries import HOUR, RANGE, SITES, STATIONS, series, table, until

_LEDGER: Final = ("received", "stored", "duplicate", "conflict", "rejected", "late", "reordered", "missing")


def build(edition: Edition, *, district: bool = True) -> Json:
    """Build the dashboard; for an enterprise without the process, which serves all."""
    chosen = [
        variables.source(edition),
        variables.enterprise(edition),
        variables.site(edition),
        variables.station(edition),
    ]
    board = Board(edition, "operation", chosen, span="now-7d", refresh="30s")
    key = "operation.{}".format
    board.add(
        figure(
            edition,
            key("capture"),
            [series(_capture(""))],
            unit="percentunit",
            thresholds=tables.CAPTURE,
            defaults={"decimals": 1},
        ),
        6,
        4,
    )
    board.add(
        figure(
            edition,
            key("lag"),
            [series(_lag())],
            unit=edition.span("s"),
            thresholds=steps((None, GREEN), (60, AMBER), (300, RED)),
        ),
        6,
        4,
    )
    board.add(
        figure(
            edition,
            key("latency"),
            [series(_latency_now())],
            unit=edition.span("s"),
            color="none",
            defaults={"decimals": 0},
        ),
        6,
        4,
    )
    board.add(
        figure(
            edition,
            key("rejected"),
            [series(f'SELECT sum("rejected") AS "rejected" FROM "ledger" WHERE {RANGE} AND {SITES}')],
            thresholds=steps((None, GREEN), (1, AMBER)),
            nothing="0",
        ),
        6,
        4,
    )
    board.add(
        curves(
            edition,
            key("capture-hours"),
            [series(_capture_hours(), "$tag_site")],
            unit="percentunit",
            stepped=True,
            interval=HOUR,
            defaults={"min": 0, "max": 1},
        ),
        12,
        9,
    )
    board.add(_captures(edition, key("captures")), 12, 9)
    board.add(tables.health(edition, key("health")), 14, 10)
    board.add(_rejections(edition, key("rejections")), 10, 10)
    board.add(_ledger(edition, key("ledger")), 24, 11)
    board.add(
        curves(
            edition,
            key("latencies"),
            [series(_latencies(edition), "$tag_site")],
            unit=edition.span("s"),
            points=True,
        ),
        12,
        8,
    )
    board.add(
        curves(
            edition,
            key("projection"),
            [series(_lags(), "$tag_bucket", "A")],
            unit=edition.span("s"),
            interval="1m",
        ),
        12,
        8,
    )
    if district:
        board.add(_process(edition, key("process")), 24, 4)
        board.add(
            curves(
                edition,
                key("messages"),
                [series(_rate(), edition.t("operation.messages.series"))],
                unit=edition.t("operation.messages.unit"),
                defaults={"decimals": 2},
                interval="1m",
            ),
            12,
            8,
        )
        board.add(
            curves(
                edition,
                key("commits"),
                [series(_worker(f"commit_{q}"), q, q.upper()) for q in ("p50", "p99")],
                unit="suffix:ms",
                interval="1m",
            ),
            12,
            8,
        )
    return board.made()


def _capture(tail: str) -> str:
    return f'SELECT mean("capture") AS "capture" FROM "statistic" WHERE {RANGE} AND "window" = \'hour\' AND {STATIONS}{tail}'


def _capture_hours() -> str:
    return _capture(' GROUP BY time($__interval), "site" fill(null)')


def _captures(edition: Edition, key: str) -> Json:
    query = _capture(' GROUP BY "site", "station", "parameter"')
    return grid(
        edition,
        key,
        [table(query)],
        [
            tables.site(edition),
            tables.station(edition),
            tables.parameter(edition),
            tables.capture(edition, width=110),
            Column(source="Time"),
        ],
        sort=(edition.t("column.capture"), False),
    )


def _rejections(edition: Edition, key: str) -> Json:
    query = (
        f'SELECT count("readings") AS "messages", sum("readings") AS "readings" FROM "rejection" WHERE {RANGE} AND {SITES}'
        ' GROUP BY "site", "device", "reason"'
    )
    return grid(
        edition,
        key,
        [table(query)],
        [
            tables.site(edition, wrapped=True, width=90),
            Column(source="device", title=edition.t("column.device"), wrapped=True, width=100),
            Column(
                source="reason",
                title=edition.t("column.reason"),
                words=mapping(edition.shared("rejection")),
                wrapped=True,
                width=110,
            ),
            Column(source="messages", title=edition.t("column.messages"), thresholds=steps((None, AMBER)), gauge=True),
            Column(source="readings", title=edition.t("column.readings"), width=75),
            Column(source="Time"),
        ],
        sort=(edition.t("column.messages"), True),
    )


def _ledger(edition: Edition, key: str) -> Json:
    fields = ", ".join([*(f'"{name}"' for name in ("messages", *_LEDGER)), '"latency_mean" / 1000 AS "latency"'])
    # A day's point lies on its midnight: the day in which the range begins belongs to it.
    query = (
        f'SELECT {fields} FROM "ledger" WHERE time > ${{__from}}ms - 1d AND time <= ${{__to}}ms AND {SITES}'
        ' GROUP BY "site", "device"'
    )
    return grid(
        edition,
        key,
        [table(query)],
        [
            Column(source="Time", title=edition.t("column.day"), unit="time:YYYY-MM-DD", width=110),
            tables.site(edition, wrapped=True, width=110),
            Column(source="device", title=edition.t("column.device"), wrapped=True, width=110),
            Column(source="messages", title=edition.t("column.messages")),
            *(Column(source=name, title=edition.t(f"column.{name}")) for name in _LEDGER),
            Column(source="latency", title=edition.t("column.latency"), unit=edition.span("s"), decimals=0),
        ],
        sort=(edition.t("column.day"), True),
    )


def _latency_now() -> str:
    return (
        f'SELECT mean("latency_mean") / 1000 AS "latency" FROM (SELECT last("latency_mean") AS "latency_mean" FROM "ledger"'
        f' WHERE {until(2)} AND {SITES} GROUP BY "site", "device")'
    )


def _latencies(edition: Edition) -> str:
    return (
        f'SELECT mean("latency_mean") / 1000 AS "latency" FROM "ledger" WHERE {RANGE} AND {SITES}'
        f' GROUP BY {edition.days}, "site" fill(none)'
    )


def _lag() -> str:
    return f'SELECT max("lag") AS "lag" FROM (SELECT last("lag") AS "lag" FROM "projection" WHERE {until(1)} GROUP BY "bucket")'


def _lags() -> str:
    return f'SELECT max("lag") AS "lag" FROM "projection" WHERE {RANGE} GROUP BY time($__interval), "bucket" fill(null)'


def _worker(field: str) -> str:
    return f'SELECT mean("{field}") AS "{field}" FROM "worker" WHERE {RANGE} GROUP BY time($__interval) fill(null)'


def _rate() -> str:
    return (
        f'SELECT non_negative_derivative(max("messages"), 1s) AS "rate" FROM "worker" WHERE {RANGE}'
        " GROUP BY time($__interval) fill(none)"
    )


def _process(edition: Edition, key: str) -> Json:
    query = (
        'SELECT last("connected") AS "connected", "messages", "unacknowledged", "retries", "failures", "uptime" / 3600 AS "hours"'
        f' FROM "worker" WHERE {until(1)} GROUP BY "name"'
    )
    connected = mapping({"0": (edition.t("state.disconnected"), RED), "1": (edition.t("state.connected"), GREEN)})
    return grid(
        edition,
        key,
        [table(query)],
        [
            Column(source="name", title=edition.t("column.process")),
            Column(source="connected", title=edition.t("column.broker"), words=connected, colored=True),
            Column(source="messages", title=edition.t("column.messages")),
            Column(source="unacknowledged", title=edition.t("column.unacknowledged")),
            Column(source="retries", title=edition.t("column.retries")),
            Column(source="failures", title=edition.t("column.failures")),
            Column(source="hours", title=edition.t("column.uptime"), unit=edition.span("h"), decimals=1),
            Column(source="Time", title=edition.t("column.age"), unit=CLOCK),
        ],
    )
