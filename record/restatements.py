"""What is computed again: spans that are queued, marks that are asked for, one short step after another."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from greenmine.processing.engine import DAY, Engine, Judged
from greenmine.processing.exclusion import EXCLUDING, KINDS, Mark, carried, excluded_channels
from greenmine.processing.panes import MINUTE
from greenmine.processing.restatement import Restatement, Restating
from greenmine.readings import Readings
from greenmine.record import schema
from greenmine.record.claims import REVIEW, Claims, stored_mark
from greenmine.record.episodes import Episodes, instant
from greenmine.record.record import Record
from greenmine.record.results import Issue, Results
from greenmine.record.rows import CurrentRow

CHANGED: Final = "limits or instruments"
"""Reason of what is restated because registry or limits were changed."""
_AT_ONCE: Final = 7 * DAY * MINUTE
"""So much of a span is restated in one transaction [ms]; less where a mine has many channels, for commits wait for it."""
_AT_ONCE_CHANNELS: Final = 14
"""At most so many channels are restated by `_AT_ONCE`."""
_LAST: Final = 1 << 40
"""A minute after all readings."""


@dataclass(frozen=True, slots=True)
class _Job:
    """A restatement that is underway, up to ``until`` of its span [ms UTC]; with the mark and the request that it is for."""

    restating: Restating
    site: str
    span: tuple[int, int]
    reason: str
    until: int | None = None
    mark: dict[str, Any] | None = None
    request: int | None = None
    queued: int | None = None
    anew: bool = False
    """Whether it begins with the first figure of the mine."""


class Restatements:
    """The queue of spans that are computed again, and the one that is underway.

    Parameters
    ----------
    engine : Engine
        The state that a restatement starts from, and that learns of new marks.
    record : Record
        Has the queue and the requests.
    results : Results
        Stores what comes out.
    episodes : Episodes
        The stored exceedances.
    claims : Claims
        The marks that nobody confirmed.
    whole : callable
        Given sites, a context: whatever goes wrong in it, their state is built again.
    """

    def __init__(
        self,
        engine: Engine,
        record: Record,
        results: Results,
        episodes: Episodes,
        claims: Claims,
        whole: Callable[[Iterable[str]], AbstractContextManager[None]],
    ) -> None:
        self._engine, self._record, self._results = engine, record, results
        self._episodes, self._claims, self._whole = episodes, claims, whole
        self._registry = engine.registry
        self._sites = [site.id for site in engine.registry.sites]
        self._job: _Job | None = None
        self._tried = 0
        told = schema.current.c
        restated = record.rows(sa.select(told.site, told.time).where(told.kind == "restated"))
        self.newest = {row["site"]: row["time"] for row in restated}
        """Transaction of the newest restatement of each site that had one."""

    def abandon(self) -> None:
        """Leave what is underway; it begins again, after others."""
        self._job = None

    def take(self, sites: Collection[str], readings: Readings, quality: NDArray[np.uint8]) -> None:
        """Give new readings of some sites to the restatement that is underway, if it is of one of them."""
        if self._job is not None and self._job.site in sites:
            self._job.restating.take(readings, quality)

    def queue(self, connection: sa.Connection, site: str, span: tuple[int, int], reason: str) -> None:
        """Queue a span [ms UTC] for restatement, as one with what waits for the same reason not far from it."""
        table = schema.restatement
        c = table.c
        beside = sa.and_(c.start <= span[1] + DAY * MINUTE, c.end >= span[0] - DAY * MINUTE)
        underway = -1 if self._job is None or self._job.queued is None else self._job.queued
        same = sa.and_(c.site == site, c.reason == reason, c.id != underway, beside)
        some = connection.execute(sa.select(table).where(same)).all()
        connection.execute(sa.delete(table).where(same))
        start, end = min([span[0], *(row.start for row in some)]), max([span[1], *(row.end for row in some)])
        connection.execute(sa.insert(table).values(site=site, start=start, end=end, reason=reason))

    def look_again(self, connection: sa.Connection, verdicts: Iterable[Judged]) -> None:
        """Queue a review of the marks that may take away what verdicts do not say."""
        for site, span in self._claims.spans(verdicts):
            self.queue(connection, site, span, REVIEW)

    def restate(self, site: str, start: int, end: int, now: int, reason: str) -> None:
        """Compute windows again; as `greenmine.record.writer.Pipeline.restate`."""
        self._at_once(_Job(self._restating(site, (start, end)), site, (start, end), reason), now)

    def mark(
        self,
        site: str,
        station: str,
        parameter: str | None,
        span: tuple[int, int],
        kind: str,
        reason: str,
        author: str,
        now: int,
    ) -> None:
        """Store a mark and restate what it touches; as `greenmine.record.writer.Pipeline.mark`."""
        if fault := self._fault(site, station, parameter, span, kind):
            raise ValueError(fault)
        row = {
            "site": site, "station": station, "parameter": parameter, "start": span[0], "end": span[1], "kind": kind,
            "reason": reason, "author": author,
        }  # fmt: skip
        self._at_once(self._marking(row), now)

    def step(self, now: int) -> bool:
        """Go one step on; as `greenmine.record.writer.Pipeline.carry_on`. Tell whether there may be more to do."""
        if self._job is None:
            return self._take_up(now)
        job = self._job
        try:
            found = job.restating.step()
            if found is not None:
                self._finish(job, found, now)
                self._job = None
        except BaseException:
            self._job = None
            raise
        return True

    def _fault(self, site: str, station: str, parameter: str | None, span: tuple[int, int], kind: str) -> str:
        """Why a mark cannot be made; empty if it can."""
        if all(s.id != station for known in self._registry.sites if known.id == site for s in known.stations):
            return f"there is no station {site}/{station}"
        measured = [c.parameter.id for c in self._registry.site_channels(site) if c.station == station]
        if kind not in KINDS:
            return f"mark of the kind {kind!r}: must be one of {', '.join(sorted(KINDS))}"
        if parameter is not None and parameter not in measured:
            return f"mark for {parameter!r}: {site}/{station} measures {', '.join(measured)}"
        if kind in EXCLUDING and not excluded_channels(
            self._registry, Mark(site, station, parameter, span[0] // MINUTE, span[1] // MINUTE, kind)
        ):
            return f"mark of the kind {kind!r}: takes nothing out of {', '.join(measured) if parameter is None else parameter}"
        if span[0] >= span[1]:
            return f"mark from {span[0]} to {span[1]}: must end after its beginning"
        return ""

    def _at_once(self, job: _Job, now: int) -> None:
        while (found := job.restating.step()) is None:
            pass
        self._finish(job, found, now)

    def _take_up(self, now: int) -> bool:
        """Begin the mark that has been asked for longest, or else a restatement that is queued."""
        table, queue = schema.mark_request, schema.restatement
        # What is still to come cannot be told yet.
        ready = sa.or_(table.c.end <= now, table.c.decided_by.is_not(None), table.c.kind.not_in(sorted(EXCLUDING)))
        waiting = self._record.rows(
            sa.select(table)
            .where(table.c.state == "waiting", self._record.own(table.c.site), ready)
            .order_by(table.c.id)
            .limit(1)
        )
        for row in waiting:
            if fault := self._fault(
                row["site"], row["station"], row["parameter"], (row["start"], row["end"]), row["kind"]
            ):
                refused = {"state": "refused", "answer": fault, "answered": now}
                with self._record.transaction() as connection:
                    refused["serial"] = self._record.serial(connection)
                    connection.execute(sa.update(table).where(table.c.id == row["id"]).values(**refused))
                return True
            names = "site", "station", "parameter", "start", "end", "kind", "reason", "author"
            mark = {name: row[name] for name in names} | {"confirmed_by": row["decided_by"]}
            # Whether it takes an exceedance away is told of its whole span.
            whole = row["decided_by"] is None and row["kind"] in EXCLUDING
            most = None if whole else self._at_most(row["site"])
            self._job = self._marking(mark, row["id"], most)
            return True
        queued = sa.select(queue).where(queue.c.site.in_(self._sites)).order_by(queue.c.id <= self._tried, queue.c.id)
        for row in self._record.rows(queued.limit(1)):
            self._tried = row["id"]
            since = self._first_hours(row["site"])
            start = max(row["start"], int(since[since >= 0].min(initial=row["end"] // MINUTE)) * MINUTE)
            span = start, min(row["end"], start + self._at_most(row["site"]))
            restating = self._restating(row["site"], span, confirmed=row["reason"] == REVIEW)
            asked, anew = (start, row["end"]), row["start"] == 0
            self._job = _Job(restating, row["site"], asked, row["reason"], span[1], queued=row["id"], anew=anew)
            return True
        return False

    def _at_most(self, site: str) -> int:
        """So much of a span is restated in one transaction [ms]: whole days."""
        share = _AT_ONCE_CHANNELS / max(_AT_ONCE_CHANNELS, len(self._registry.site_channels(site)))
        return max(DAY, int(_AT_ONCE // MINUTE * share) // DAY * DAY) * MINUTE

    def _marking(self, mark: dict[str, Any], request: int | None = None, most: int | None = None) -> _Job:
        """The work that a mark makes, at most for ``most`` [ms] of its span at first."""
        start, end = mark["start"], mark["end"]
        until = end if most is None else min(end, start + most)
        restating = self._restating(mark["site"], (start, until), stored_mark(mark))
        return _Job(restating, mark["site"], (start, end), f"mark: {mark['kind']}", until, mark, request)

    def _restating(self, site: str, span: tuple[int, int], *more: Mark, confirmed: bool = False) -> Restating:
        """The work of a span with all marks and some more; ``confirmed``: with those alone that a supervisor confirmed."""
        c = schema.mark.c
        mine = sa.and_(c.site == site, c.confirmed_by.is_not(None)) if confirmed else c.site == site
        marks = [stored_mark(row) for row in self._record.rows(sa.select(schema.mark).where(mine))]
        return Restating(
            self._engine,
            self._record.readings_of,
            site,
            (span[0] // MINUTE, -(-span[1] // MINUTE)),
            [*marks, *more],
            self._first_hours(site),
            lambda since: self._episodes.since(site, instant(since)),
        )

    def _first_hours(self, site: str) -> NDArray[np.int64]:
        """First hour issued of each channel of a site, or of its first reading, which may have come later [min]; -1: none was."""
        table, block = schema.statistic.c, schema.reading_block.c
        channels = np.array([c.index for c in self._registry.site_channels(site)], np.intp)
        issued = sa.select(sa.func.min(table.start)).where(
            table.window == "hour", table.channel == sa.bindparam("number")
        )
        stored = sa.select(sa.func.min(block.hour)).where(block.channel == sa.bindparam("number"))
        found = []
        with self._record.transaction() as connection:
            for number in self._record.channel_ids[channels].tolist():
                start = connection.scalar(issued, {"number": number})
                hour = None if start is None else connection.scalar(stored, {"number": number})
                found.append((-1 if start is None else start // MINUTE, _LAST if hour is None else hour * 60))
        first, minute = np.array(found, np.int64).reshape(-1, 2).T
        hours = np.minimum(first, self._engine.hour_of(channels, minute))
        for i in np.flatnonzero((first >= 0) & (first != self._engine.hour_of(channels, first))).tolist():
            # It was issued under a zone whose hours begin otherwise.
            start = int(minute[i]) * MINUTE
            times = self._record.readings(int(channels[i]), start, start + 60 * MINUTE)["time"]
            earliest = times[0] // MINUTE if len(times) else first[i]
            hours[i] = self._engine.hour_of(channels[i : i + 1], np.array([earliest]))[0]
        return np.where(first < 0, -1, hours)

    def _dequeue(self, connection: sa.Connection, job: _Job) -> None:
        """Take what was done from the queue, and leave the rest of a long span in it."""
        queue = schema.restatement
        connection.execute(sa.delete(queue).where(queue.c.id == job.queued))
        if job.until is not None and job.until < job.span[1]:
            rest = {"site": job.site, "start": job.until, "end": job.span[1], "reason": job.reason}
            connection.execute(sa.insert(queue).values(rest))

    def _finish(self, job: _Job, found: Restatement, now: int) -> None:
        if job.request is not None and job.mark is not None and job.mark["confirmed_by"] is None:
            removes = self._claims.removed(found.verdicts)
            removes += self._withdrawn(found, {window["rule"] for window in removes})
            if removes:
                asked = schema.mark_request.c.id == job.request
                claimed = {"state": "claimed", "removes": json.dumps(removes), "answered": now}
                with self._record.transaction() as connection:
                    claimed["serial"] = self._record.serial(connection)
                    connection.execute(sa.update(schema.mark_request).where(asked).values(**claimed))
                return
        if job.reason == REVIEW:
            self._review(job, found, now)
            return
        made = None
        with self._record.transaction() as connection:
            serial = self._record.serial(connection)
            if job.mark is not None:
                made = connection.execute(sa.insert(schema.mark), job.mark | {"made": now}).inserted_primary_key
                assert made is not None
                done = {"state": "done", "mark": made[0], "answered": now, "serial": serial}
                asked = schema.mark_request.c.id == job.request
                connection.execute(sa.update(schema.mark_request).where(asked).values(**done))
                self._carry(connection, job.mark, now, serial)
            self._dequeue(connection, job)
            issue = Issue(now, job.reason, serial)
            self._results.store_outcome(connection, found, issue)
            self._results.store_current(connection, found, {job.site}, issue.serial)
            if job.reason == CHANGED:
                span = 0 if job.anew else job.span[0], job.span[1] if job.until is None else job.until
                self._results.retire(connection, self._registry.site(job.site), span, serial)
            if job.mark is None:
                self.look_again(connection, found.verdicts)
            told = CurrentRow(job.site, "restated", job.site, issue.serial)
            self._record.upsert(connection, schema.current, [told], newer="time")
        self.newest[job.site] = issue.serial
        with self._whole({job.site}):
            if job.mark is not None and made is not None:
                self._engine.exclusion.add(stored_mark(job.mark))
                self._claims.add(job.mark | {"id": made[0], "confirmed_by": job.mark.get("confirmed_by")})
            alarms, rules = self._engine.alarms, {r.index for r in self._registry.site_rules(job.site)}
            channels = np.array([c.index for c in self._registry.site_channels(job.site)], np.intp)
            alarms.forget(channels)
            recent = self._episodes.recent(job.site, self._engine.panes.newest[channels])
            alarms.restore(recent, self._episodes.next_id(), rules)

    def _carry(self, connection: sa.Connection, mark: Mapping[str, Any], now: int, serial: int) -> None:
        """Ask for a mark of a weather station at the sites that borrow its weather, too: there it may become a claim."""
        for one in carried(self._registry, stored_mark(mark)):
            names = "parameter", "start", "end", "kind", "reason", "author"
            asked = {name: mark[name] for name in names} | {"site": one.site, "station": one.station}
            values = {"made": now, "state": "waiting", "answer": "", "serial": serial}
            connection.execute(sa.insert(schema.mark_request), asked | values)

    def _review(self, job: _Job, found: Restatement, now: int) -> None:
        """Make claims of the marks that take something away by now; ``found`` is what holds without those that nobody confirmed."""
        hidden = self._claims.hidden(found.verdicts)
        with self._record.transaction() as connection:
            serial = self._record.serial(connection)
            self._dequeue(connection, job)
            withheld = self._claims.withhold(connection, hidden, now, serial)
            if withheld:
                first, last = min(m.start for m in withheld), max(m.end for m in withheld)
                self.queue(connection, job.site, (first * MINUTE, last * MINUTE), "mark: claim")
        with self._whole({job.site}):
            self._claims.forget(hidden)
            for mark in withheld:
                self._engine.exclusion.remove(mark)

    def _withdrawn(self, found: Restatement, told: Collection[str]) -> list[dict[str, Any]]:
        """Exceedances that leave, but of the rules of which is told already."""
        gone = [(self._registry.rules[e.rule].key, e) for e in found.exceedances if e.withdrawn]
        return [
            {"rule": key, "start": instant(e.start), "end": None if e.end is None else instant(e.end), "value": e.peak,
             "after": None, "judgement": ""}
            for key, e in gone if key not in told
        ]  # fmt: skip
