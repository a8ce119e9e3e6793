"""Suggested causes of dust episodes that are over: computed once and kept, so that lists and files have them at hand."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from greenmine.processing.causes import suggest, window_of
from greenmine.processing.panes import MINUTE
from greenmine.readings import Readings
from greenmine.record import schema
from greenmine.record.claims import stored_mark
from greenmine.record.record import Record
from greenmine.record.rows import HOUR
from greenmine.times import DAY

SETTLED: Final = HOUR
"""So long after its end an episode is looked at: what other stations measured is there by then [ms]."""
OLDEST: Final = 31 * DAY
"""Episodes that ended longer ago are not looked at any more [ms]: their readings may lie in the archive."""
_PAUSE: Final = 5 * MINUTE
"""Between two looks for episodes that wait [ms]."""


class Suggestions:
    """Keeps what `greenmine.processing.causes` suggests of each dust episode; anew after a revision or a mark of blasting.

    Parameters
    ----------
    record : Record
        Bound to the registry.
    """

    def __init__(self, record: Record) -> None:
        self._record = record
        self._rules = {
            rule.key: rule
            for rule in record.registry.rules
            if record.registry.channels[rule.channel].parameter.theme == "dust"
        }
        self._waiting: deque[Mapping[str, Any]] = deque()
        self._looked = 0

    def carry_on(self, now: int) -> bool:
        """Look at one episode, the newest first; tell whether there may be more to do.

        Raises
        ------
        StoreError
            If the record cannot be read or written.
        """
        if not self._waiting and now - self._looked >= _PAUSE:
            self._looked = now
            self._waiting.extend(self._due(now))
        if not self._waiting:
            return False
        self._keep(self._waiting.popleft())  # one that cannot be read now comes again with the next look
        return True

    def _due(self, now: int) -> list[Mapping[str, Any]]:
        e, s, m = schema.exceedance.c, schema.suggestion.c, schema.mark.c
        blast = (
            sa.select(sa.func.max(m.id))
            .where(m.site == e.site, m.kind == "blasting", m.start < e.end, m.start > e.start - 2 * DAY)
            .scalar_subquery()
        )
        stale = sa.or_(s.exceedance.is_(None), s.revision != e.revision, s.mark < blast)
        ended = sa.and_(e.state == "closed", e.end <= now - SETTLED, e.end > now - OLDEST, e.peak_time.is_not(None))
        rows = self._record.rows(
            sa.select(schema.exceedance, sa.func.coalesce(blast, 0).label("mark"))
            .join_from(schema.exceedance, schema.suggestion, s.exceedance == e.id, isouter=True)
            .where(ended, stale)
            .order_by(e.end.desc(), e.id.desc())
        )
        return [row for row in rows if row["rule"] in self._rules]

    def _keep(self, row: Mapping[str, Any]) -> None:
        rule, m = self._rules[row["rule"]], schema.mark.c
        marks = self._record.rows(sa.select(schema.mark).where(m.site == rule.site, m.kind == "blasting"))
        span = window_of(rule, row["start"] // MINUTE, row["end"] // MINUTE, row["peak_time"] // MINUTE)
        found = suggest(self._record.registry, rule, span, partial(_readings, self._record), map(stored_mark, marks))
        told = {
            "exceedance": row["id"],
            "revision": row["revision"],
            "mark": row["mark"],
            "cause": None if found is None else found.cause,
            "share": None if found is None or found.cause is None else found.share,
        }
        with self._record.transaction() as connection:
            table, told["serial"] = schema.suggestion, self._record.serial(connection)
            connection.execute(sa.delete(table).where(table.c.exceedance == row["id"]))
            connection.execute(sa.insert(table), told)


def _readings(record: Record, channel: int, start: int, end: int) -> tuple[Readings, NDArray[np.uint8]]:
    return record.readings_of(range(channel, channel + 1), start, end)
