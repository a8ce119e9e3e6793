"""Claims: marks that take exceedances away count for nothing until a supervisor confirms them (decree 820, article 25)."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from greenmine.processing.engine import DAY, Judged
from greenmine.processing.exclusion import EXCLUDING, Mark, excluded_channels, rests_on
from greenmine.processing.panes import MINUTE
from greenmine.processing.slide import HOUR
from greenmine.record import schema
from greenmine.record.record import Record
from greenmine.registry import Registry

REVIEW: Final = "review of marks"
"""Reason of a queued span whose marks are looked at again."""

Window = dict[str, Any]
"""A window that a mark takes away: rule, start, end, value, and value and judgement that are left."""


@dataclass(frozen=True, slots=True)
class _Unconfirmed:
    """A mark that nobody confirmed, with the rules that it may decide."""

    id: int
    mark: Mark
    rules: frozenset[int]

    def touches(self, rule: int, start: int, end: int) -> bool:
        """Whether it may decide a window of a rule [min]; where any hour counts, one reaches back by that."""
        return rule in self.rules and self.mark.start < end and self.mark.end > start - HOUR


class Claims:
    """Marks that were made because they took nothing away, and what they take away since.

    A window that is issued later, or again with late readings, may exceed without them. Then they become claims.

    Parameters
    ----------
    registry : Registry
        Says which rules rest on which channels.
    record : Record
        Its marks.
    """

    def __init__(self, registry: Registry, record: Record) -> None:
        self._registry, self._record = registry, record
        self._rules = {rule.key: rule.index for rule in registry.rules}
        self._made: dict[str, list[_Unconfirmed]] = defaultdict(list)
        c = schema.mark.c
        for row in record.rows(sa.select(schema.mark).where(c.confirmed_by.is_(None))):
            self.add(row)

    def add(self, row: Mapping[str, Any]) -> None:
        """Take in a mark that was made: a row of the record with its ``id``."""
        mark = stored_mark(row)
        excluded = set(excluded_channels(self._registry, mark)) if mark.kind in EXCLUDING else set()
        if excluded and row["confirmed_by"] is None:
            rules = [r for r in self._registry.rules if r.site == mark.site and excluded & rests_on(self._registry, r)]
            self._made[mark.site].append(_Unconfirmed(row["id"], mark, frozenset(r.index for r in rules)))

    def spans(self, verdicts: Iterable[Judged]) -> list[tuple[str, tuple[int, int]]]:
        """Return sites and spans [ms UTC] of marks that may take away what verdicts no longer say."""
        if not self._made:
            return []
        found: dict[int, tuple[str, tuple[int, int]]] = {}
        for v in verdicts:
            site = self._registry.rules[v.rule].site
            if site in self._made and v.verdict.judgement != "exceeds":
                for one in self._made[site]:
                    if one.touches(v.rule, v.start, v.end):
                        found[one.id] = site, (one.mark.start * MINUTE, one.mark.end * MINUTE)
        return list(found.values())

    def hidden(self, without: Sequence[Judged]) -> dict[int, list[Window]]:
        """Return what marks take away, by their ids.

        Parameters
        ----------
        without : sequence of Judged
            Verdicts as they would be if no mark counted that nobody confirmed.
        """
        beyond = {(self._registry.rules[v.rule].key, v.start * MINUTE): v for v in without}
        gone = [
            {"rule": row["rule"], "start": row["start"], "end": row["end"], "value": v.value, "after": row["value"],
             "judgement": row["verdict"]}
            for row in self._stored([v for v in without if v.verdict.judgement == "exceeds"])
            if row["verdict"] != "exceeds" and (v := beyond.get((row["rule"], row["start"]))) is not None
            and v.verdict.judgement == "exceeds"
        ]  # fmt: skip
        found: dict[int, list[Window]] = defaultdict(list)
        for window in gone:
            rule = self._rules[window["rule"]]
            for one in self._made[self._registry.rules[rule].site]:
                if one.touches(rule, window["start"] // MINUTE, window["end"] // MINUTE):
                    found[one.id].append(window)
        return found

    def removed(self, now: Sequence[Judged]) -> list[Window]:
        """Return the stored windows that exceed, and would not any more by these verdicts."""
        after = {(self._registry.rules[v.rule].key, v.start * MINUTE): v for v in now}
        return [
            {"rule": row["rule"], "start": row["start"], "end": row["end"], "value": row["value"], "after": v.value,
             "judgement": v.verdict.judgement}
            for row in self._stored(now)
            if row["verdict"] == "exceeds" and (v := after.get((row["rule"], row["start"]))) is not None
            and v.verdict.judgement != "exceeds"
        ]  # fmt: skip

    def _stored(self, some: Sequence[Judged]) -> Sequence[Mapping[str, Any]]:
        """The latest stored verdicts of the rules and the time of some others."""
        if not some:
            return []
        v = schema.verdict.c
        first, last = (min(s.start for s in some) - DAY) * MINUTE, (max(s.end for s in some) + DAY) * MINUTE
        keys = {self._registry.rules[s.rule].key for s in some}
        return self._record.rows(
            sa.select(v.rule, v.start, v.end, v.value, v.verdict).where(
                v.latest, v.rule.in_(keys), v.start >= first, v.start < last
            )
        )

    def withhold(
        self, connection: sa.Connection, hidden: Mapping[int, Sequence[Window]], now: int, serial: int
    ) -> list[Mark]:
        """Make claims of marks, which no longer count, and return them.

        Parameters
        ----------
        connection : Connection
            In a transaction on the record.
        hidden : mapping
            As of `hidden`.
        now : int
            The clock [ms UTC].
        serial : int
            Number of the transaction.
        """
        marks, requests = schema.mark, schema.mark_request
        for number, windows in hidden.items():
            row = connection.execute(sa.select(marks).where(marks.c.id == number)).mappings().one()
            claimed = {
                "state": "claimed", "removes": json.dumps(windows), "answered": now, "mark": None, "serial": serial,
            }  # fmt: skip
            asked = connection.execute(sa.update(requests).where(requests.c.mark == number).values(**claimed))
            if not asked.rowcount:
                names = "site", "station", "parameter", "start", "end", "kind", "reason", "author", "made"
                said = {name: row[name] for name in names}
                connection.execute(sa.insert(requests).values(said | claimed | {"answer": ""}))
            connection.execute(sa.delete(marks).where(marks.c.id == number))
        return [one.mark for some in self._made.values() for one in some if one.id in hidden]

    def forget(self, numbers: Iterable[int]) -> None:
        """Leave marks out from now on, by their ids."""
        gone = set(numbers)
        for site, some in self._made.items():
            self._made[site] = [one for one in some if one.id not in gone]


def stored_mark(row: Mapping[str, Any]) -> Mark:
    """A mark of the record [ms UTC]; it holds for the whole of the minutes that it touches."""
    start, end = row["start"] // MINUTE, -(-row["end"] // MINUTE)
    return Mark(row["site"], row["station"], row["parameter"], start, end, row["kind"])
