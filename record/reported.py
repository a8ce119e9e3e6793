"""Aggregates that data loggers report: kept apart from our figures, and compared with them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import sqlalchemy as sa

from greenmine.collector.hj212.server.delivery import Report
from greenmine.processing.averaging import difference
from greenmine.processing.series import summarise
from greenmine.record import schema
from greenmine.record.follower import COMPARED
from greenmine.record.record import Record
from greenmine.record.rows import MetaRow, ReportedRow
from greenmine.record.writer import Pipeline

_KEY: Final = ("channel", "command", "start", "revision")
_VALUES: Final = ("end", "mean", "minimum", "maximum", "total", "flag")
_GRACE: Final = 120_000
"""A window is compared when it ended this long ago, so that our readings of it are there [ms]."""
_AT_ONCE: Final = 1_000
"""Windows compared in one transaction."""
_WINDOWS: Final = (("2061", "hour"), ("2031", "day"), ("2031", "daytime"))
"""Windows of our statistics that begin with those of reports; with noise a day's report says more of its day hours."""


def store(record: Record, connection: sa.Connection, reports: Sequence[Report], serial: int) -> None:
    """Store reports; one that says something else than before is a new revision, one that says the same changes nothing."""
    table = schema.reported
    said = {(int(record.channel_ids[r.channel]), r.command, r.start): r for r in reports}
    known = _known(connection, set(said))
    rows: list[ReportedRow] = []
    for (channel, command, start), r in said.items():
        old = known.get((channel, command, start))
        row = ReportedRow(
            channel=channel, command=command, start=start, revision=0 if old is None else old["revision"] + 1, latest=True,
            end=r.end, mean=_null(r.mean), minimum=_null(r.minimum), maximum=_null(r.maximum), total=_null(r.total),
            flag=r.flag, received=r.received, serial=serial,
        )  # fmt: skip
        if old is not None:
            if all(old[name] == getattr(row, name) for name in _VALUES):
                continue
            connection.execute(
                sa.update(table)
                .where(table.c.channel == channel, table.c.command == command, table.c.start == start, table.c.latest)
                .values(latest=False, serial=serial)
            )
        rows.append(row)
    record.insert(connection, table, rows)


def _known(connection: sa.Connection, keys: set[tuple[int, str, int]]) -> dict[tuple[int, str, int], Mapping[str, Any]]:
    c = schema.reported.c
    found: dict[tuple[int, str, int], Mapping[str, Any]] = {}
    for channel in {key[0] for key in keys}:
        starts = [key[2] for key in keys if key[0] == channel]
        statement = sa.select(schema.reported).where(
            c.channel == channel, c.command.in_(["2051", "2061", "2031"]), c.start.in_(starts), c.latest
        )
        for row in connection.execute(statement).mappings():
            found[row["channel"], row["command"], row["start"]] = dict(row)
    return found


def compare(pipeline: Pipeline, now: int) -> int:
    """Set our own mean of the same window beside reports that have none yet, or whose window we have restated.

    Ours is computed from the valid, calibrated readings in the window by the parameter's way of averaging, so that it is
    of what the logger had too; what a legal figure excludes (rain, wind, marks) is in it.

    Returns
    -------
    int
        How many were compared; a further call goes on.
    """
    record, table = pipeline.record, schema.reported
    c, s = table.c, schema.statistic.c
    # Others' reports are compared by the workers who have them; nobody's, by the one who has the first partition.
    mine = c.channel.in_(record.channel_ids.tolist()) if record.partitions != (0,) else sa.true()
    followed_by = COMPARED if record.partitions[0] == 0 else f"{COMPARED}-{record.partitions[0]}"
    new = sa.select(table).where(c.compared.is_(None), c.latest, c.end <= now - _GRACE, mine)
    new = new.order_by(c.channel, c.start).limit(_AT_ONCE)
    rows = record.rows(new)
    followed = record.rows(sa.select(schema.meta.c.value).where(schema.meta.c.key == followed_by))
    since = int(followed[0]["value"]) if followed else 0
    newest = record.rows(sa.select(sa.func.max(s.serial).label("serial")))[0]["serial"] or 0
    for command, window in _WINDOWS:
        restated = sa.and_(
            s.channel == c.channel, s.start == c.start, s.window == window, s.serial > since, s.revision > 0
        )
        rows += record.rows(
            sa.select(table)
            .join(schema.statistic, restated)
            .where(c.command == command, c.latest, c.compared.is_not(None), mine)
        )
    if not rows and newest == since:
        return 0
    index = {int(number): i for i, number in enumerate(record.channel_ids)}
    of_channel: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        if row["channel"] in index:
            of_channel[index[row["channel"]]].append(row)
    strangers = [row for row in rows if row["channel"] not in index]
    updates = [{**{name: row[name] for name in _KEY}, "compared": now} for row in strangers]
    updates += [update for channel, some in of_channel.items() for update in _compared(pipeline, channel, some, now)]
    with record.transaction() as connection:
        serial = record.serial(connection)
        for update in updates:
            where = [c[name] == update.pop(name) for name in _KEY]
            connection.execute(sa.update(table).where(*where).values(**update, serial=serial))
        record.upsert(connection, schema.meta, [MetaRow(key=followed_by, value=str(newest))])
    return len(updates)


def _compared(
    pipeline: Pipeline, channel: int, rows: Sequence[Mapping[str, Any]], now: int
) -> Iterator[dict[str, Any]]:
    starts, ends = (np.array([row[name] for row in rows], np.int64) for name in ("start", "end"))
    time, value = pipeline.samples(channel, int(starts.min()), int(ends.max()))
    averaging = pipeline.registry.channels[channel].parameter.averaging
    ours = summarise(time, value, averaging=averaging, windows=(starts, ends))
    for row, mean, count in zip(rows, ours.mean.tolist(), ours.count.tolist(), strict=True):
        apart = math.nan if row["mean"] is None else difference(averaging, row["mean"], mean)
        yield {
            **{name: row[name] for name in _KEY},
            "own_mean": _null(mean),
            "own_count": count,
            "difference": _null(apart),
            "compared": now,
        }


def _null(value: float) -> float | None:
    return None if math.isnan(value) else value
