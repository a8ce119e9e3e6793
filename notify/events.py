"""From changes of the record to events, by what has been told before."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from greenmine.limits import addressee, threshold_on
from greenmine.notify.event import Event, EventKind
from greenmine.processing.standing import Grounds
from greenmine.record import schema
from greenmine.record.exceedance_standing import exceedance_standing
from greenmine.record.follower import PORTION, newest
from greenmine.registry import Channel, Registry, Rule
from greenmine.times import local

Notified = Callable[[Collection[str]], Mapping[str, str]]
"""States that have been told of subjects."""


@dataclass(frozen=True, slots=True)
class RecordNews:
    """What follows from a portion of the record."""

    serial: int
    """The newest transaction that was looked at."""
    events: list[Event]
    """In the order in which they were written."""
    states: dict[str, str]
    """States that are told with these."""
    more: bool
    """Whether there is more behind it."""


@dataclass(frozen=True, slots=True)
class _Portion:
    """Transactions of the record that are looked through, and what follows from them."""

    connection: sa.Connection
    begin: int
    end: int
    notified: Notified
    events: list[Event] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=dict)

    def holds(self, serial: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
        """Condition that a row was written by one of them."""
        return sa.and_(serial > self.begin, serial <= self.end)


class Follower:
    """Tells what is new in the record.

    Parameters
    ----------
    registry : Registry
        What it does not know is left out.
    engine : Engine
        Of the record; is only read.
    capture : float
        A day on which less than this share of the expected readings was valid is told.
    """

    def __init__(self, registry: Registry, engine: sa.Engine, capture: float) -> None:
        self._registry = registry
        self._engine = engine
        self._capture = capture
        self._rules = {rule.key: rule for rule in registry.rules}
        self._grounds = Grounds(registry)
        self._sites = {site.id for site in registry.sites}
        self._keys = {channel.key: channel for channel in registry.channels}

    def states(self) -> tuple[int, dict[str, str]]:
        """Newest transaction of the record, and the states of all that it holds: what one who begins now is not told."""
        head = newest(self._engine)
        with self._engine.connect() as connection:
            e = schema.exceedance.c
            found = {
                f"exceedance/{row.id}": _episode(row)
                for row in connection.execute(sa.select(e.id, e.state, e.revision))
            }
            found |= {f"channel/{number}": row.state for number, row in self._health(connection, None).items()}
        return head, found

    def look(self, serial: int, notified: Notified) -> RecordNews:
        """What is new in a portion of the record beyond a transaction.

        Parameters
        ----------
        serial : int
            The transaction.
        notified : callable
            States that have been told.

        Raises
        ------
        DBAPIError
            The record cannot be read.
        """
        head = newest(self._engine)
        with self._engine.connect() as connection:
            end = min(head, serial + PORTION)
            portion = _Portion(connection, serial, end, notified)
            if end > serial:
                for part in (self._exceedances, self._silence, self._captures, self._claims, self._registry_changes):
                    part(portion)
        return RecordNews(serial=end, events=portion.events, states=portion.states, more=end < head)

    def _exceedances(self, portion: _Portion) -> None:
        e = schema.exceedance.c
        rows = portion.connection.execute(
            sa.select(schema.exceedance).where(portion.holds(e.serial)).order_by(e.serial, e.id)
        ).all()
        before = portion.notified([f"exceedance/{row.id}" for row in rows])
        for row in rows:
            subject, state = f"exceedance/{row.id}", _episode(row)
            rule = self._rules.get(row.rule)
            if before.get(subject) == state or rule is None:
                continue
            portion.states[subject] = state
            later = sa.select(e.id).where(e.rule == row.rule, e.start > row.start, e.state != "withdrawn").limit(1)
            last = portion.connection.execute(later).first() is None
            theme = "exceedance" if rule.limit.kind == "legal" else "warning"
            for word in _words(before.get(subject), row):
                kind: EventKind = f"{theme}-{word}"  # type: ignore[assignment]
                time = row.end if word == "closed" else row.start if word == "opened" else row.changed
                data = self._episode_data(portion.connection, rule, row)
                portion.events.append(
                    Event(kind, row.site, subject, time, f"{rule.station}/{_level(rule)}", last, data)
                )

    def _episode_data(self, connection: sa.Connection, rule: Rule, row: sa.Row[Any]) -> dict[str, Any]:
        zone = self._registry.site(rule.site).zone
        threshold = threshold_on(rule.limit, local(row.start, zone).date())
        return {
            "addressee": addressee(rule.limit),
            "standing": exceedance_standing(connection, self._registry, self._grounds, rule, row),
            "exceedance": row.id, "rule": rule.key, "station": rule.station, "limit": rule.limit.id, "kind": rule.limit.kind,
            "parameter": rule.limit.parameter, "window": rule.limit.window, "unit": rule.limit.unit, "threshold": row.threshold,
            "standard": rule.limit.standard, "clause": "" if threshold is None else threshold.clause, "peak": row.peak,
            "peak_time": _iso(row.peak_time, zone), "start": _iso(row.start, zone), "end": _iso(row.end, zone),
            "minutes_above": row.minutes, "state": row.state, "revision": row.revision, "href": f"/exceedances/{row.id}",
        }  # fmt: skip

    def _silence(self, portion: _Portion) -> None:
        h = schema.health.c
        changed = set(portion.connection.scalars(sa.select(h.channel).where(portion.holds(h.serial)).distinct()))
        if not changed:
            return
        latest = self._health(portion.connection, changed)
        before = portion.notified([f"channel/{number}" for number in latest])
        found: dict[tuple[EventKind, str, str], list[tuple[Channel, sa.Row[Any]]]] = defaultdict(list)
        channels = self._numbers(portion.connection)
        for number, row in latest.items():
            subject = f"channel/{number}"
            channel = channels.get(number)
            was = before.get(subject, "good")
            if channel is None or row.state == was:
                continue
            portion.states[subject] = row.state
            if "silent" in {row.state, was}:
                kind: EventKind = "station-silent" if row.state == "silent" else "station-back"
                found[kind, channel.site, channel.station].append((channel, row))
            if "flooding" in {row.state, was}:
                kind = "station-flooding" if row.state == "flooding" else "station-calm"
                found[kind, channel.site, channel.station].append((channel, row))
        if not found:
            return
        silent = {n for n, row in self._health(portion.connection, None).items() if row.state == "silent"}
        for (kind, site, station), several in found.items():
            zone = self._registry.site(site).zone
            all_of_it = {n for n, channel in channels.items() if (channel.site, channel.station) == (site, station)}
            data = {
                "station": station,
                "channels": [
                    {"parameter": channel.parameter.id, "since": _iso(row.since, zone)} for channel, row in several
                ],
                "whole_station": all_of_it <= silent,
                "silent": sorted(channels[n].parameter.id for n in all_of_it & silent),
                "href": f"/sites/{site}/stations/{station}",
            }
            time = max(row.since for _, row in several)
            place = f"{station}/flooding" if kind in {"station-flooding", "station-calm"} else station
            portion.events.append(Event(kind, site, f"station/{site}/{station}", time, place, newest=True, data=data))

    def _captures(self, portion: _Portion) -> None:
        s = schema.statistic.c
        rows = portion.connection.execute(
            sa.select(s.channel, s.start, s.capture).where(
                portion.holds(s.serial), s.window == "day", s.latest, s.capture < self._capture
            )
        ).all()
        before = portion.notified([f"capture/{row.channel}/{row.start}" for row in rows])
        found: dict[tuple[int, str, str], list[tuple[Channel, float]]] = defaultdict(list)
        channels = self._numbers(portion.connection) if rows else {}
        for row in rows:
            subject, channel = f"capture/{row.channel}/{row.start}", channels.get(row.channel)
            if subject not in before and channel is not None:
                portion.states[subject] = "low"
                found[row.start, channel.site, channel.station].append((channel, row.capture))
        for (start, site, station), several in sorted(found.items(), key=lambda item: item[0]):
            day = local(start, self._registry.site(site).zone).date().isoformat()
            data = {
                "station": station,
                "day": day,
                "required": self._capture,
                "channels": [{"parameter": channel.parameter.id, "capture": share} for channel, share in several],
                "href": f"/sites/{site}/quality",
            }
            subject = f"capture/{site}/{station}/{day}"
            portion.events.append(
                Event("capture-low", site, subject, start, f"{station}/capture", newest=True, data=data)
            )

    def _claims(self, portion: _Portion) -> None:
        r = schema.mark_request.c
        rows = portion.connection.execute(
            sa.select(schema.mark_request).where(portion.holds(r.serial), r.state == "claimed").order_by(r.serial, r.id)
        ).all()
        before = portion.notified([f"claim/{row.id}" for row in rows])
        for row in rows:
            subject = f"claim/{row.id}"
            if subject in before or row.site not in self._sites:
                continue
            portion.states[subject] = "claimed"
            zone = self._registry.site(row.site).zone
            data = {
                "station": row.station, "parameter": row.parameter, "mark": row.kind, "reason": row.reason, "author": row.author,
                "start": _iso(row.start, zone), "end": _iso(row.end, zone), "removes": len(json.loads(row.removes)),
                "href": f"/sites/{row.site}/quality#marks",
            }  # fmt: skip
            place = f"{row.station}/marks"
            portion.events.append(
                Event("mark-claimed", row.site, subject, row.answered or row.made, place, newest=True, data=data)
            )

    def _registry_changes(self, portion: _Portion) -> None:
        c = schema.registry_change.c
        rows = portion.connection.execute(
            sa.select(schema.registry_change).where(portion.holds(c.serial), c.part != "").order_by(c.id)
        ).all()
        found: dict[tuple[str, int], list[sa.Row[Any]]] = defaultdict(list)
        for row in rows:
            found[row.site, row.serial].append(row)
        before = portion.notified([f"registry/{site}/{serial}" for site, serial in found])
        for (site, serial), some in found.items():
            subject = f"registry/{site}/{serial}"
            if subject in before or site not in self._sites:
                continue
            portion.states[subject] = "changed"
            data = {"author": some[0].author, "parts": [row.part for row in some], "href": "/audit"}
            portion.events.append(
                Event("registry-changed", site, subject, some[0].time, "registry", newest=True, data=data)
            )

    def _health(self, connection: sa.Connection, some: Collection[int] | None) -> dict[int, Any]:
        """Newest state of channels, by their numbers; None: of all."""
        h = schema.health.c
        last = sa.select(h.channel, sa.func.max(h.since).label("since")).group_by(h.channel)
        if some is not None:
            last = last.where(h.channel.in_(some))
        latest = last.subquery()
        rows = connection.execute(
            sa.select(h.channel, h.state, h.since).join(
                latest, sa.and_(h.channel == latest.c.channel, h.since == latest.c.since)
            )
        )
        return {row.channel: row for row in rows}

    def _numbers(self, connection: sa.Connection) -> dict[int, Channel]:
        rows = connection.execute(sa.select(schema.channel.c.id, schema.channel.c.key))
        return {number: self._keys[key] for number, key in rows if key in self._keys}


def _episode(row: Any) -> str:
    return f"{row.state}/{row.revision}"


def _words(before: str | None, row: sa.Row[Any]) -> list[str]:
    """What has become of an episode that was told in a state; that an open one grows is nothing."""
    if before is None:
        return {"open": ["opened"], "closed": ["opened", "closed"]}.get(row.state, [])
    if before.split("/")[0] == "open" and row.state == "closed":
        return ["closed"]
    return ["restated"]


def _level(rule: Rule) -> str:
    """Limit of a rule, and which target it is, without the sign that MQTT keeps for itself."""
    return rule.key.split("/", 2)[2].replace("#", "/")


def _iso(time: int | None, zone: str) -> str | None:
    return None if time is None else local(time, zone).isoformat()
