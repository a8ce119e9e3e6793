"""Basis: what a site's registry and limits say, as the record remembers it; what of it has changed, and by whom."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from datetime import date, datetime, time
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa

from greenmine.entries import Site
from greenmine.record import schema
from greenmine.registry import Registry

Basis = dict[str, tuple[int, str]]
"""Parts by name: the instant from which on each touches figures [ms UTC], or 0 for all time, or `UNTOUCHED`; and its content."""
UNTOUCHED: Final = 1 << 62
"""Of what is told to people, or says how readings come."""

_TOLD: Final = frozenset(
    {
        "name_zh", "name_en", "short_name_zh", "short_name_en", "note", "note_zh", "note_en", "symbol", "hj212", "usual",
        "enterprise", "township_zh", "product_zh", "product_en", "scale", "batch", "batch_years", "requirement_items",
        "documents", "measures", "profile", "address", "topics", "mn",
    }
)  # fmt: skip
"""Names of what is told to people, or says how readings come: no figure rests on it."""
_DATED: Final = frozenset({"calibrations", "references", "backgrounds", "checks", "verified", "thresholds"})
"""Names of lists whose entries hold from a day on: each entry is a part of its own."""


def bases_of(registry: Registry) -> dict[str, Basis]:
    """Return the parts on which the figures of each site rest."""
    shared: dict[int, msgspec.Raw] = {}

    def encoded(entry: Any) -> msgspec.Raw:
        # Limits and parameters are the same at many stations.
        if id(entry) not in shared:
            shared[id(entry)] = msgspec.Raw(msgspec.json.encode(_plain(entry), order="sorted"))
        return shared[id(entry)]

    return {site.id: dict(_parts(registry, site, encoded)) for site in registry.sites}


def _parts(
    registry: Registry, known: Site, encoded: Callable[[Any], msgspec.Raw]
) -> Iterator[tuple[str, tuple[int, str]]]:
    site, zone = known.id, ZoneInfo(known.zone)

    def part(name: str, since: int, content: Any) -> tuple[str, tuple[int, str]]:
        return name, (since, msgspec.json.encode(content, order="sorted").decode())

    def day(day: date) -> int:
        return round(datetime.combine(day, time(0), zone).timestamp() * 1000)

    def instant(moment: datetime) -> int:
        return round(moment.timestamp() * 1000)

    yield part("conditions", 0, registry.conditions)
    yield part("marks", 0, {theme.id: sorted(theme.marks) for theme in registry.themes.values()})
    yield part("site", 0, {k: v for k, v in _plain(known.without_file()).items() if k not in {"stations", "devices"}})
    yield part("words of site", UNTOUCHED, _told(known))
    for calibration in known.calibrations:
        place = f"{calibration.station}/{calibration.parameter}"
        since = instant(calibration.valid_from)
        yield part(f"calibration {place} {since}", since, (calibration.slope, calibration.offset))
    for number, result in enumerate(sorted(known.references, key=lambda r: (r.start, r.station, r.parameter))):
        yield part(f"reference {result.station}/{result.parameter} {number}", instant(result.start), result)
    for station in known.stations:
        yield part(f"station {station.id}", 0, _plain(station))
        yield part(f"words of station {station.id}", UNTOUCHED, _told(station))
        for level in station.backgrounds:
            yield part(f"background {station.id} {level.date} {level.period}", day(level.date), level.level)
    for device in known.devices:
        yield part(f"device {device.id}", 0, _plain(device))
        yield part(f"connection of device {device.id}", UNTOUCHED, _told(device))
        before = 0
        for check in sorted(device.checks, key=lambda c: c.time):
            # A drift that it finds voids what was measured since the one before.
            yield part(f"check {device.id} {check.time}", before, check)
            before = instant(check.time)
        for verification in device.verified:
            of = f"{device.id} {verification.parameter} {verification.valid_from}"
            yield part(f"verification {of}", day(verification.valid_from), verification)
    for channel in registry.site_channels(site):
        judged = encoded(channel.parameter), channel.interval, channel.upper if channel.upper < float("inf") else None
        yield part(f"channel {channel.key}", 0, judged)

    def key(channel: int) -> str:
        return registry.channels[channel].key

    for rule in registry.site_rules(site):
        at_work = rule.working
        working = None if at_work is None else (tuple(map(key, at_work.equipment)), at_work.hours)
        sources = list(map(key, (rule.channel, *rule.references))), None if rule.flow is None else key(rule.flow)
        yield part(f"rule {rule.key}", 0, (encoded(rule.limit), working, sources))
        for threshold in rule.limit.thresholds:
            of = f"{rule.key} {threshold.valid_from} {threshold.enterprises}"
            yield part(f"threshold {of}", day(threshold.valid_from), threshold)


def _plain(entry: Any) -> dict[str, Any]:
    told = msgspec.to_builtins(entry) if isinstance(entry, msgspec.Struct) else asdict(entry)
    return {name: value for name, value in told.items() if name not in _TOLD | _DATED}


def _told(entry: msgspec.Struct) -> dict[str, Any]:
    """What `_plain` leaves out, but for what is a part of its own."""
    return {name: value for name, value in msgspec.to_builtins(entry).items() if name in _TOLD}


def changed_since(before: Basis, now: Basis) -> int | None:
    """Return the earliest instant at which two bases differ [ms UTC], 0 for all time; None where they are the same."""
    different = [found[name][0] for name in before.keys() | now.keys() for found in (before, now) if name in found
                 and before.get(name) != now.get(name)]  # fmt: skip
    return min((since for since in different if since < UNTOUCHED), default=None)


class PartChange(msgspec.Struct, frozen=True):
    """A part of a site's registry or limits that was changed."""

    time: int
    """When it was taken up [ms UTC]."""
    author: str
    """Empty: in the files."""
    part: str
    before: str | None
    """JSON; None: it was not there."""
    after: str | None
    """JSON; None: it is gone."""


def announce(connection: sa.Connection, site: str, author: str, now: int) -> None:
    """Note who is about to change a site's files: what is next taken up of it is put down to that name, else to the files.

    The files themselves are read by the processes at their next start, see `take_over`.
    """
    row = {"site": site, "time": now, "author": author, "part": ""}
    connection.execute(sa.insert(schema.registry_change).values(**row))


def take_over(connection: sa.Connection, bases: Mapping[str, Basis], now: int, serial: int) -> dict[str, int]:
    """Note what registry and limits say from now on, and what of it has changed: the one place where a change is noticed.

    Parameters
    ----------
    connection : Connection
        To the record, in a transaction.
    bases : mapping of str to Basis
        From `bases_of`.
    now : int
        The clock [ms UTC].
    serial : int
        Number of the transaction.

    Returns
    -------
    dict of str to int
        Sites whose figures that touches, with the earliest instant [ms UTC].
    """
    table = schema.basis
    noted = {row.site: row.parts for row in connection.execute(sa.select(table))}
    changed: dict[str, int] = {}
    for site, parts in bases.items():
        text = msgspec.json.encode(parts, order="sorted").decode()
        if site not in noted:
            connection.execute(sa.insert(table).values(site=site, parts=text))
        elif noted[site] != text:
            before = msgspec.json.decode(noted[site], type=Basis)
            connection.execute(sa.update(table).where(table.c.site == site).values(parts=text))
            _note(connection, site, before, parts, now, serial)
            since = changed_since(before, parts)
            if since is not None:
                changed[site] = since
    # What was announced has now been taken up, or has changed nothing.
    connection.execute(sa.delete(schema.registry_change).where(schema.registry_change.c.part == ""))
    return changed


def _note(connection: sa.Connection, site: str, before: Basis, after: Basis, now: int, serial: int) -> None:
    c = schema.registry_change.c
    last = connection.execute(sa.select(c.part, c.author).where(c.site == site).order_by(c.id.desc()).limit(1)).first()
    author = last.author if last is not None and not last.part else ""
    words = any(since == UNTOUCHED for since, _ in before.values())  # a record of before 0.1.7 has not noted them
    rows = [
        {
            "site": site, "time": now, "author": author, "part": name[:300], "before": before.get(name, (0, None))[1],
            "after": after.get(name, (0, None))[1], "serial": serial,
        }
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name) and (words or (before | after)[name][0] != UNTOUCHED)
    ]  # fmt: skip
    if rows:
        connection.execute(sa.insert(schema.registry_change), rows)


def changes_since(connection: sa.Connection, site: str, start: int) -> list[PartChange]:
    """What was changed in a site's registry and limits since an instant [ms UTC], the oldest first."""
    c = schema.registry_change.c
    chosen = sa.select(c.time, c.author, c.part, c.before, c.after)
    rows = connection.execute(chosen.where(c.site == site, c.time >= start, c.part != "").order_by(c.id))
    return [PartChange(**row) for row in rows.mappings()]


def as_sealed(connection: sa.Connection, site: Site) -> Site:
    """Return a site with the zone whose days its hash tree and its archive have: that in which they began."""
    c, root, noted = schema.registry_change.c, schema.tree_root.c, schema.basis.c
    begun = connection.scalar(sa.select(sa.func.min(root.made)).where(root.site == site.id))
    if begun is None:
        return site
    changes = sa.select(c.before).where(c.site == site.id, c.part == "site", c.time >= begun, c.before.is_not(None))
    text = connection.scalar(changes.order_by(c.id).limit(1))
    if text is None:
        # What is not taken over yet by the worker does not hold yet.
        parts = connection.scalar(sa.select(noted.parts).where(noted.site == site.id))
        text = None if parts is None else msgspec.json.decode(parts, type=Basis).get("site", (0, None))[1]
    return site if text is None else msgspec.structs.replace(site, zone=msgspec.json.decode(text)["zone"])
