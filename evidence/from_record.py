"""What the record says and raw data cannot prove: handling, restatements, and the figures of the period before."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import sqlalchemy as sa

from greenmine.evidence.figures import RuleFigures, hourly_mean, limit_figures
from greenmine.evidence.recompute import Recomputed
from greenmine.limits import Threshold
from greenmine.processing.alarms import SlidingHour
from greenmine.processing.engine import Judged
from greenmine.processing.exceedances import Exceedance
from greenmine.processing.verdicts import Verdict
from greenmine.processing.windows import minute_of
from greenmine.record import schema
from greenmine.record.basis import PartChange, changes_since
from greenmine.registry import Registry, Site
from greenmine.reporting import Period

FROM_RECORD: Final = "record.json"
ATTACHMENTS: Final = "attachments"

_MS: Final = 60_000


class ExceedanceRow(msgspec.Struct, frozen=True):
    """An exceedance as the record has it; instants in ms UTC."""

    rule: str
    start: int
    end: int | None
    state: str
    peak: float | None
    minutes: int
    revision: int
    cause: str
    handling: str


class RestatementRow(msgspec.Struct, frozen=True):
    """A form of a verdict; instants in ms UTC."""

    rule: str
    start: int
    revision: int
    verdict: str
    value: float | None
    capture: float
    reason: str
    change: str
    issued: int


class HandlingRow(msgspec.Struct, frozen=True):
    """An entry in the history of an exceedance; instants in ms UTC."""

    rule: str
    start: int
    """Of the exceedance."""
    made: int
    author: str
    kind: str
    text: str
    name: str | None
    media_type: str | None
    size: int | None
    digest: str | None
    """SHA-256 of an attached file."""
    kept: bool
    """The file is in the bundle, as ``attachments/DIGEST``."""


class ClaimRow(msgspec.Struct, frozen=True):
    """A mark that would take exceedances away, and waits for a supervisor; instants in ms UTC."""

    station: str
    parameter: str | None
    start: int
    end: int
    kind: str
    reason: str
    author: str
    windows: int
    """Exceeding windows that it would take away."""


class LastChannel(msgspec.Struct, frozen=True):
    """A channel in the last period."""

    channel: str
    hours: int
    """Valid hours."""
    mean: float | None


class Last(msgspec.Struct, frozen=True):
    """The period before, as the record has it; the bundle of that period proves it."""

    period: str
    first: str
    last: str
    rules: list[RuleFigures]
    """Empty if the record holds no verdict of that period."""
    channels: list[LastChannel]


class FromRecord(msgspec.Struct, frozen=True):
    """``record.json``."""

    exceedances: list[ExceedanceRow]
    """Exceedances of the record that touch the period, with cause and handling."""
    restatements: list[RestatementRow]
    """Verdicts on the period that were issued more than once, each form with the reason of its issue."""
    handling: list[HandlingRow]
    """History of those exceedances, entry by entry."""
    changes: list[PartChange]
    """What was changed in registry and limits since the period began."""
    last: Last
    claims: list[ClaimRow] = []
    """Marks on the period that nobody has decided on yet."""


def from_record(
    engine: sa.Engine,
    registry: Registry,
    site: Site,
    periods: tuple[Period, Period],
    attachments: Path | None,
    folder: Path,
) -> FromRecord:
    """Ask the record, and copy the attached files that it names.

    Parameters
    ----------
    engine : Engine
        Of the record.
    registry : Registry
        Holds this site only.
    site : Site
        The site.
    periods : (Period, Period)
        The period, and the one before it.
    attachments : Path or None
        Where attached files lie, named by their digests.
    folder : Path
        Of the bundle.
    """
    period, last = periods
    start, end = bounds(period, site)
    keys = [rule.key for rule in registry.rules]
    x, v, h = schema.exceedance.c, schema.verdict.c, schema.handling.c
    touching = (x.rule.in_(keys), x.start < end, sa.or_(x.end.is_(None), x.end > start))
    episodes = (
        sa.select(x.rule, x.start, x.end, x.state, x.peak, x.minutes, x.revision, x.cause, x.handling)
        .where(*touching)
        .order_by(x.rule, x.start, x.id)
    )
    again = sa.select(v.rule, v.start).where(v.rule.in_(keys), v.start >= start, v.start < end, v.revision > 0)
    forms = (
        sa.select(v.rule, v.start, v.revision, v.verdict, v.value, v.capture, v.reason, v.change, v.issued)
        .where(sa.tuple_(v.rule, v.start).in_(again))
        .order_by(v.rule, v.start, v.revision)
    )
    history = (
        sa.select(x.rule, x.start, h.made, h.author, h.kind, h.text, h.name, h.media_type, h.size, h.digest)
        .join_from(schema.handling, schema.exceedance, h.exceedance == x.id)
        .where(*touching)
        .order_by(x.rule, x.start, x.id, h.id)
    )
    with engine.connect() as connection:
        return FromRecord(
            [ExceedanceRow(**row) for row in connection.execute(episodes).mappings()],
            [RestatementRow(**row) for row in connection.execute(forms).mappings()],
            [
                HandlingRow(**row, kept=_kept(row["digest"], attachments, folder))
                for row in connection.execute(history).mappings()
            ],
            changes_since(connection, site.id, start),
            _last(connection, registry, site, last),
            _claims(connection, site, start, end),
        )


def bounds(period: Period, site: Site) -> tuple[int, int]:
    """Instants at which a period begins and ends [ms UTC]."""
    zone = ZoneInfo(site.zone)
    first, last = (
        datetime.combine(day, time(), zone).astimezone(UTC) for day in (period.first, period.last + timedelta(days=1))
    )
    return minute_of(first) * _MS, minute_of(last) * _MS


def _kept(digest: str | None, attachments: Path | None, folder: Path) -> bool:
    """Copy a file of a digest into the bundle, if it is there and is what the digest says."""
    if digest is None or attachments is None:
        return False
    try:
        content = (attachments / digest[:2] / digest).read_bytes()
    except OSError:
        return False
    if hashlib.sha256(content).hexdigest() != digest:
        return False
    (folder / ATTACHMENTS).mkdir(exist_ok=True)
    (folder / ATTACHMENTS / digest).write_bytes(content)
    return True


def _claims(connection: sa.Connection, site: Site, start: int, end: int) -> list[ClaimRow]:
    r = schema.mark_request.c
    waiting = (
        sa.select(schema.mark_request)
        .where(r.site == site.id, r.state == "claimed", r.start < end, r.end > start)
        .order_by(r.start, r.id)
    )
    names = "station", "parameter", "start", "end", "kind", "reason", "author"
    return [
        ClaimRow(**{name: row[name] for name in names}, windows=len(msgspec.json.decode(row["removes"])))
        for row in connection.execute(waiting).mappings()
    ]


def _last(connection: sa.Connection, registry: Registry, site: Site, period: Period) -> Last:
    start, end = bounds(period, site)
    found = _judged(connection, registry, start, end)
    rules = limit_figures(registry, period, found) if found.verdicts else []
    return Last(
        period.name, period.first.isoformat(), period.last.isoformat(), rules, _means(connection, registry, start, end)
    )


def _judged(connection: sa.Connection, registry: Registry, start: int, end: int) -> Recomputed:
    """Verdicts, sliding hours and exceedances of the record, as far as figures of limits rest on them."""
    index = {rule.key: rule.index for rule in registry.rules}
    found = Recomputed.empty(start // _MS, end // _MS)
    v, h, x = schema.verdict.c, schema.sliding_hour.c, schema.exceedance.c
    for row in connection.execute(
        sa.select(schema.verdict).where(v.rule.in_(index), v.latest, v.start >= start, v.start < end)
    ):
        threshold = Threshold(
            valid_from=date.min, low=row.low, high=row.high, source="", clause="", confidence="recalled: unsure"
        )
        verdict = Verdict(row.verdict, row.reason, row.judged, None, None, tuple(row.reasons.split()))
        key = index[row.rule], row.start // _MS
        judged = row.begin // _MS, row.finish // _MS
        found.verdicts[key] = Judged(
            *key, row.end // _MS, *judged, row.value, row.capture, threshold, verdict, restated=False
        )
    hours = (h.hour >= found.start // 60, h.hour * 60 < found.end)
    for row in connection.execute(sa.select(schema.sliding_hour).where(h.rule.in_(index), *hours)):
        worst = np.nan if row.worst is None else row.worst
        found.sliding.put(SlidingHour(index[row.rule], row.hour, row.assessable, row.above, worst))
    for row in connection.execute(
        sa.select(schema.exceedance)
        .where(x.rule.in_(index), x.state != "withdrawn", x.start < end, sa.or_(x.end.is_(None), x.end > start))
        .order_by(x.rule, x.start, x.id)
    ):
        found.exceedances.append(_episode(row, index[row.rule]))
    return found


def _means(connection: sa.Connection, registry: Registry, start: int, end: int) -> list[LastChannel]:
    c, s = schema.channel.c, schema.statistic.c
    keys = [channel.key for channel in registry.channels]
    means: dict[str, list[float]] = defaultdict(list)
    query = (
        sa.select(c.key, s.mean)
        .join_from(schema.statistic, schema.channel, s.channel == c.id)
        .where(c.key.in_(keys), s.window == "hour", s.latest, s.valid, s.start >= start, s.start < end)
        .where(s.mean.is_not(None))
    )
    for row in connection.execute(query):
        means[row.key].append(row.mean)
    return [
        LastChannel(channel.key, len(means[channel.key]), hourly_mean(channel, means[channel.key]))
        for channel in registry.channels
        if means[channel.key]
    ]


def _episode(row: sa.Row[Any], rule: int) -> Exceedance:
    """An exceedance of the record; its instants end the minutes that the core names."""
    return Exceedance(
        id=row.id,
        rule=rule,
        start=row.start // _MS - 1,
        end=None if row.end is None else row.end // _MS - 1,
        peak=np.nan if row.peak is None else row.peak,
        peak_minute=row.start // _MS - 1 if row.peak_time is None else row.peak_time // _MS - 1,
        threshold=np.nan if row.threshold is None else row.threshold,
        minutes=row.minutes,
        revision=row.revision,
    )
