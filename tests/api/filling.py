"""A record with plausible content, made by plain inserts, for tests of what reads it."""

from __future__ import annotations

import hashlib
import math
import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
from sqlalchemy import Connection, Engine, Integer, Table, create_engine, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from greenmine.limits import threshold_on
from greenmine.places import Place
from greenmine.record import schema
from greenmine.record.reader import valid
from greenmine.record.record import next_serial, open_engine
from greenmine.record.rows import ROW
from greenmine.registry import Channel, Registry, Rule
from greenmine.times import DAY, HOUR, MINUTE, local

LEVELS = {
    "pm10": 62,
    "pm2.5": 31,
    "tsp": 190,
    "laeq": 51,
    "lafmax": 61,
    "ph": 7.3,
    "ss": 34,
    "turbidity": 22,
    "cod": 48,
    "nh3-n": 4.2,
    "conductivity": 620,
    "do": 7.1,
    "water-temperature": 15.5,
    "flow": 3.4,
    "wind-speed": 2.1,
    "wind-direction": 130,
    "air-temperature": 14.2,
    "humidity": 71,
    "pressure": 98.2,
    "rain": 0,
    "equipment-state": 1,
}
SWING = {"laeq": 0.1, "lafmax": 0.1, "ph": 0.03, "pressure": 0.003, "equipment-state": 0, "water-temperature": 0.1}
LOUD = "hengjie"
"""The site with exceedances."""


def engine_of(place: Place) -> Engine:
    """Writable record with all tables."""
    if not isinstance(place, Path):
        engine = open_engine(place)
        with engine.begin() as connection:
            for table, source, key, time in _NOTED:
                connection.exec_driver_sql(_SERVED.format(table=table, source=source, key=key, time=time))
        return engine
    place.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(place)) as file:
        file.executescript("PRAGMA journal_mode=WAL;" + _statements())
    return create_engine(f"sqlite:///{place}")


@cache
def _statements() -> str:
    """All tables, which take longer to be put into words than to be made."""
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        schema.metadata.create_all(connection)
        for table, source, key, time in _NOTED:
            connection.exec_driver_sql(_NOTE.format(table=table, source=source, key=key, kind=table, time=time))
            connection.exec_driver_sql(_CHANGE.format(table=table, source=source, key=key))
        made = connection.exec_driver_sql(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name != 'sqlite_sequence' ORDER BY rowid"
        )
        return ";".join(["BEGIN", *made.scalars(), "COMMIT;"])


_NOTED = (
    ("health", "channel WHERE id = NEW.channel", "key", "NEW.since"),
    ("verdict", "(SELECT 1) AS one WHERE NEW.latest", "NEW.rule", "NEW.start"),
)
"""What plain inserts say of the current state, as the worker does: table, source of the key, key, and time."""
_SITE = "substr({key}, 1, instr({key}, '/') - 1)"
_NOTE = f"""CREATE TRIGGER noted_{{table}} AFTER INSERT ON {{table}} BEGIN
INSERT INTO current (key, kind, site, time, data) SELECT {{key}}, '{{kind}}', {_SITE}, {{time}}, x'' FROM {{source}}
ON CONFLICT (key, kind) DO UPDATE SET time = max(time, excluded.time); END"""
_CHANGE = f"""CREATE TRIGGER changed_{{table}} AFTER INSERT ON {{table}} BEGIN
INSERT INTO current (key, kind, site, time, data) SELECT {_SITE}, 'change', {_SITE}, 1, x'' FROM {{source}}
ON CONFLICT (key, kind) DO UPDATE SET time = time + 1; END"""


_SERVED = """CREATE FUNCTION noted_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
INSERT INTO current (key, kind, site, time, data) SELECT {key}, '{table}', split_part({key}, '/', 1), {time}, '' FROM {source}
ON CONFLICT (key, kind) DO UPDATE SET time = greatest(current.time, excluded.time);
INSERT INTO current (key, kind, site, time, data) SELECT split_part({key}, '/', 1), 'change', split_part({key}, '/', 1), 1, ''
FROM {source} ON CONFLICT (key, kind) DO UPDATE SET time = current.time + 1;
RETURN NEW; END $$; CREATE TRIGGER noted_{table} AFTER INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION noted_{table}()"""


def fill(place: Place, registry: Registry, now: int, days: int = 1) -> Engine:
    """Fill a record with the days before ``now`` [ms UTC]."""
    engine = engine_of(place)
    rng = np.random.default_rng(5)
    with engine.begin() as connection:
        connection.execute(insert(schema.channel), [{"id": 1000 - c.index, "key": c.key} for c in registry.channels])
        for channel in registry.channels:
            _readings(connection, channel, rng, now, days)
        _judgements(connection, registry, now, days)
        _bookkeeping(connection, registry, now, days)
    return engine


def number_of(channel: Channel) -> int:
    """Number of a channel in the filled record: not its index in the registry."""
    return 1000 - channel.index


def add_reading(engine: Engine, channel: Channel, time: int, value: float, flag: str = "N", quality: int = 0) -> None:
    """Commit one reading as a block of its own."""
    row = np.array([(time, value, ord(flag), quality)], ROW)
    with engine.begin() as connection:
        connection.execute(
            insert(schema.reading_block).values(
                channel=number_of(channel), hour=time // HOUR, count=1, received=time, data=row.tobytes()
            )
        )
        for kind in ("reading", "valid") if valid(row).all() else ("reading",):
            new = {"site": channel.site, "time": time, "data": row.tobytes()}
            note_current(connection, channel.key, kind, **new)
        change = schema.current.c.kind == "change", schema.current.c.site == channel.site
        connection.execute(update(schema.current).where(*change).values(time=schema.current.c.time + 1))


def note_current(connection: Connection, key: str, kind: str, **values: object) -> None:
    """Note something newer, as the worker does."""
    row = {"key": key, "kind": kind, "data": b""} | values
    insert_for = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    connection.execute(
        insert_for(schema.current).values(row).on_conflict_do_update(index_elements=["key", "kind"], set_=row)
    )


def add_exceedance(engine: Engine, rule: Rule, start: int, changed: int, end: int | None = None) -> int:
    """Commit an exceedance and tell its id."""
    with engine.begin() as connection:
        row = _exceedance(rule, start, end, changed) | {"serial": next_serial(connection)}
        connection.execute(insert(schema.exceedance).values(row))
        number = connection.scalar(select(func.max(schema.exceedance.c.id)))
    assert number is not None
    return number


def add_bundle(engine: Engine, data: Path, site: str, period: str = "2026-H1", **values: object) -> tuple[int, bytes]:
    """A bundle that is done, with a file that stands for one; its number and the file's content."""
    content = f"a bundle of {site}".encode()
    row = {
        "site": site, "period": period, "first": "2025-12-06", "last": "2026-06-20", "language": "zh", "author": "li",
        "asked": 1_782_000_000_000, "state": "done", "attempts": 1, "step": "", "done": 0, "total": 0, "ended": 1_782_000_060_000,
        "error": "", "provisional": "[]", "size": len(content), "digest": hashlib.sha256(content).hexdigest(),
    }  # fmt: skip
    with engine.begin() as connection:
        number: int = connection.execute(
            insert(schema.bundle).values(row | values).returning(schema.bundle.c.id)
        ).scalar_one()
    (data / "bundles").mkdir(exist_ok=True)
    (data / "bundles" / f"{number}.zip").write_bytes(content)
    return number, content


def _insert(connection: Connection, table: Table, rows: list[dict[str, object]]) -> None:
    """Insert rows; counters that they do not name are zero."""
    zero = {
        column.name: 0
        for column in table.columns
        if not column.nullable and column.name != "id" and isinstance(column.type, Integer)
    }
    connection.execute(insert(table), [{**zero, **row} for row in rows])


def _readings(connection: Connection, channel: Channel, rng: np.random.Generator, now: int, days: int) -> None:
    last = now // channel.interval * channel.interval
    times = np.arange(last - days * DAY, last + 1, channel.interval)
    level = LEVELS[channel.parameter.id] * (1.25 if channel.station == "boundary" else 0.9)
    if channel.parameter.id == "ph":
        level = LEVELS["ph"]
    swing = SWING.get(channel.parameter.id, 0.5)
    local_hour = (times / HOUR + 8) % 24
    day_shape = np.clip(np.sin((local_hour - 6) / 14 * math.pi), -0.4, 1)
    noise = np.convolve(rng.normal(0, 1, len(times) + 30), np.ones(31) / 8, "valid")
    values = level * (1 + swing * (0.6 * day_shape + 0.25 * noise))
    if channel.site == LOUD:
        values *= 1.02 if channel.parameter.unit == "dB(A)" else 1.3
    if channel.parameter.averaging == "state":
        values = (local_hour > 7).astype(float)
    if channel.parameter.averaging == "sum":
        values = np.where(np.sin(times / (9 * HOUR)) > 0.97, 0.1, 0.0)
    values = np.round(values, channel.parameter.decimals)
    rows = np.zeros(len(times), ROW)
    rows["time"], rows["value"], rows["flag"] = times, values, ord("N")
    hours = times // HOUR
    blocks, statistics = [], []
    sound = channel.parameter.averaging == "energy"
    for hour in np.unique(hours):
        part = rows[hours == hour]
        start = int(hour) * HOUR
        blocks.append(
            {
                "channel": number_of(channel),
                "hour": int(hour),
                "count": len(part),
                "received": int(part["time"][-1]),
                "data": part.tobytes(),
            }
        )
        if start + HOUR > now:
            continue
        mean = 10 * np.log10(np.mean(10 ** (part["value"] / 10))) if sound else np.mean(part["value"])
        levels = np.percentile(part["value"], (90, 50, 10)) if sound else (None, None, None)
        statistics.append(
            {
                "channel": number_of(channel),
                "window": "hour",
                "start": start,
                "revision": 0,
                "latest": True,
                "end": start + HOUR,
                "mean": float(mean),
                "minimum": float(part["value"].min()),
                "maximum": float(part["value"].max()),
                "count": len(part),
                "expected": HOUR / channel.interval,
                "capture": len(part) * channel.interval / HOUR,
                "valid": True,
                "hours": None,
                "excluded": 0,
                "l10": levels[0],
                "l50": levels[1],
                "l90": levels[2],
                "reason": "first",
                "issued": start + HOUR,
            }
        )
    connection.execute(insert(schema.reading_block), blocks)
    for kind in ("reading", "valid"):
        newest = {"time": int(rows["time"][-1]), "data": rows[-1].tobytes()}
        note_current(connection, channel.key, kind, site=channel.site, **newest)
    _insert(connection, schema.statistic, statistics)
    connection.execute(
        insert(schema.health).values(channel=number_of(channel), state="good", since=now - days * DAY, detail="")
    )


def _judgements(connection: Connection, registry: Registry, now: int, days: int) -> None:
    verdicts, hours, means = [], [], []
    for rule in registry.rules:
        threshold = threshold_on(rule.limit, local(now, registry.site(rule.site).zone).date())
        if threshold is None:
            continue
        for start, end in _periods(rule, now, days):
            outcome, reason, detail = _outcome(rule)
            bound = threshold.high if threshold.high is not None else threshold.low
            value = (bound or 0) * {"meets": 0.62, "exceeds": 1.18, "not assessable": 0.4}[outcome]
            if threshold.low is not None and threshold.high is not None:
                value = (threshold.low + threshold.high) / 2
            verdicts.append(
                {
                    "rule": rule.key,
                    "start": start,
                    "revision": 0,
                    "latest": True,
                    "end": end,
                    "verdict": outcome,
                    "value": value,
                    "judged": f"{value:.0f}",
                    "low": threshold.low,
                    "high": threshold.high,
                    "capture": 0.97,
                    "reason": reason,
                    "detail": msgspec.json.encode(detail).decode(),
                    "change": "first",
                    "issued": end,
                }
            )
            if (rule.limit.window, rule.limit.statistic, rule.limit.kind) == ("day", "mean", "legal"):
                means.append(
                    {
                        "channel": number_of(registry.channels[rule.channel]),
                        "window": "day",
                        "start": start,
                        "revision": 0,
                        "latest": True,
                        "end": end,
                        "mean": value,
                        "count": 1397,
                        "expected": 1440.0,
                        "capture": 0.97,
                        "valid": outcome != "not assessable",
                        "hours": detail["have"] or 24,
                        "excluded": 0,
                        "reason": "first",
                        "issued": end,
                    }
                )
        hours.extend(
            {
                "rule": rule.key,
                "hour": hour,
                "assessable": (1 << 60) - 1,
                "above": (1 << 10) - 1 if rule.site == LOUD and (now // HOUR - hour) % 24 == 6 else 0,
                "worst": 1.0,
            }
            for hour in range((now - days * DAY) // HOUR, now // HOUR)
        )
    _insert(connection, schema.verdict, verdicts)
    _insert(connection, schema.statistic, means)
    connection.execute(insert(schema.sliding_hour), hours)
    loud = [rule for rule in registry.rules if rule.site == LOUD and rule.limit.kind == "legal"]
    rows = [
        _exceedance(loud[0], now - 95 * MINUTE, None, now - 90 * MINUTE),
        *(
            _exceedance(
                loud[i % 3],
                now - (5 + 9 * i) * HOUR,
                now - (4 + 9 * i) * HOUR + 7 * i * MINUTE,
                now - (4 + 9 * i) * HOUR,
            )
            for i in range(8)
        ),
    ]
    rows.sort(key=lambda row: row["changed"])
    _insert(connection, schema.exceedance, rows)
    dusty = select(schema.exceedance.c.id).where(
        schema.exceedance.c.rule.in_([r.key for r in loud if registry.channels[r.channel].parameter.theme == "dust"]),
        schema.exceedance.c.state == "closed",
    )
    suggested = [
        {"exceedance": number, "revision": 0, "mark": 0, "cause": "outside", "share": 0.8}
        for number in connection.scalars(dusty)
    ]
    _insert(connection, schema.suggestion, suggested)


def _outcome(rule: Rule) -> tuple[str, str, dict[str, float]]:
    if rule.limit.statistic == "difference":
        return "not assessable", "calm", {"have": 0.4, "need": 1}
    if rule.site == LOUD and rule.limit.parameter in {"tsp", "laeq"}:
        return "exceeds", "above-limit", {"have": 0, "need": 0}
    if rule.site == "kunyin" and rule.limit.parameter == "pm10":
        return "not assessable", "too-few-hours", {"have": 14, "need": 20}
    return "meets", "within-limit", {"have": 0, "need": 0}


def _periods(rule: Rule, now: int, days: int) -> list[tuple[int, int]]:
    if rule.limit.window == "hour":
        return [(hour * HOUR, hour * HOUR + HOUR) for hour in range((now - days * DAY) // HOUR, now // HOUR)]
    midnight = (now + 8 * HOUR) // DAY * DAY - 8 * HOUR
    first, length = {"day": (0, 24), "daytime": (6, 16), "nighttime": (-2, 8)}[rule.limit.window]
    starts = [midnight - day * DAY + first * HOUR for day in range(days, -1, -1)]
    return [(start, start + length * HOUR) for start in starts if start + length * HOUR <= now]


def _exceedance(rule: Rule, start: int, end: int | None, changed: int) -> dict[str, object]:
    high = rule.limit.thresholds[-1].high or 1
    return {
        "rule": rule.key,
        "site": rule.site,
        "start": start,
        "end": end,
        "state": "open" if end is None else "closed",
        "peak": round(high * 1.23, 1),
        "peak_time": start + 20 * MINUTE,
        "threshold": high,
        "minutes": 41,
        "revision": 0,
        "changed": changed,
        "cause": "",
        "handling": "",
    }


def _bookkeeping(connection: Connection, registry: Registry, now: int, days: int) -> None:
    rows = [
        {
            "site": site.id,
            "device": device.id,
            "day": f"{local(now - back * DAY, site.zone):%Y-%m-%d}",
            "messages": 1440,
            "received": 8652,
            "stored": 8640,
            "duplicate": 8,
            "conflict": 0,
            "rejected": 3,
            "late": 1,
            "sequence_missing": 2,
            "latency_sum": 8640 * 45,
        }
        for site in registry.sites
        for device in site.devices
        for back in range(days)
    ]
    _insert(connection, schema.ledger, rows)
    names = [column.name for column in schema.ledger_total.columns if column.name != "site"]
    sums = select(schema.ledger.c.site, *(func.sum(schema.ledger.c[name]) for name in names)).group_by("site")
    connection.execute(insert(schema.ledger_total).from_select(["site", *names], sums))
    connection.execute(
        insert(schema.rejection),
        [
            {
                "received": now - i * MINUTE,
                "site": registry.sites[i % 2].id,
                "device": "dust-1",
                "topic": f"greenmine/v1/{registry.sites[i % 2].id}/dust-1/readings",
                "reason": "not-json",
                "detail": "the payload is not JSON",
                "readings": 1,
                "size": 12,
                "payload": b"{",
            }
            for i in range(5)
        ],
    )
    status = {"connected": True, "messages": 52_133, "commit_ms": {"p50": 3.1, "p99": 9.8}}
    connection.execute(
        insert(schema.worker).values(name="collector", updated=now, status=msgspec.json.encode(status).decode())
    )
