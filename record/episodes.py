"""Exceedances in the record: rows of the table `exceedance` and the episodes that the core knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from greenmine.processing.engine import DAY
from greenmine.processing.exceedances import Exceedance
from greenmine.processing.panes import MINUTE
from greenmine.record import schema
from greenmine.record.record import Record
from greenmine.record.rows import EpisodeRow
from greenmine.registry import Registry

RANGE: Final = 40
"""Bits of the numbers of exceedances in the range of a partition; those of 1,024 partitions stay whole in JSON."""


class Episodes:
    """The stored exceedances of a registry's rules.

    Parameters
    ----------
    registry : Registry
        Whose rules they are of.
    record : Record
        Where they are stored.
    """

    def __init__(self, registry: Registry, record: Record) -> None:
        self._registry, self._record = registry, record
        self._rule_index = {rule.key: rule.index for rule in registry.rules}
        self._changed = record.highest(schema.exceedance.c.changed)

    def recent(self, site: str, newest: NDArray[np.int64]) -> list[Exceedance]:
        """The stored episodes of a site that may still change, by the newest minutes of its channels [min]; -1 for none."""
        return self.since(site, int(newest[newest >= 0].min(initial=2**62)) - 4 * DAY * MINUTE)

    def since(self, site: str, time: int) -> list[Exceedance]:
        """The stored episodes of a site that last or ended after an instant [ms UTC]."""
        table = schema.exceedance.c
        return self._those(sa.and_(table.site == site, sa.or_(table.end.is_(None), table.end > time)))

    def next_id(self) -> int:
        """Return the id of the next episode that begins.

        They are counted in memory. Each worker does it in the range of its first partition, which nobody else has meanwhile.
        """
        number, first = schema.exceedance.c.id, self._record.partitions[0] << RANGE
        mine = sa.select(sa.func.max(number).label("last")).where(number >= first, number < first + (1 << RANGE))
        return int(self._record.rows(mine)[0]["last"] or first) + 1

    def store(self, connection: sa.Connection, found: Sequence[Exceedance], now: int, serial: int) -> None:
        """Store episodes that are new or have changed; of the latter the former revision is kept.

        Parameters
        ----------
        connection : Connection
            In a transaction on the record.
        found : sequence of Exceedance
            The last of each id counts.
        now : int
            The clock [ms UTC].
        serial : int
            Number of the transaction.
        """
        last = {e.id: e for e in found}
        if last:  # strictly growing from commit to commit: it is the cursor of those who follow
            self._changed = max(now, self._changed + 1)
        table = schema.exceedance
        for e in last.values():
            if e.revision:
                _keep_former(connection, sa.and_(table.c.id == e.id, table.c.revision < e.revision))
        rows = [
            EpisodeRow(
                id=e.id, rule=self._registry.rules[e.rule].key, site=self._registry.rules[e.rule].site, start=instant(e.start),
                end=None if e.end is None else instant(e.end),
                state="withdrawn" if e.withdrawn else "open" if e.end is None else "closed",
                peak=e.peak, peak_time=instant(e.peak_minute), threshold=e.threshold, minutes=e.minutes, revision=e.revision,
                changed=self._changed, serial=serial,
            )
            for e in last.values()
        ]  # fmt: skip
        self._record.upsert(connection, table, rows)

    def end_without_limit(self, connection: sa.Connection, now: int, serial: int) -> None:
        """Close the episodes that last above limits which the registry has no more: no reading will end them.

        Parameters
        ----------
        connection : Connection
            In a transaction on the record.
        now : int
            The clock [ms UTC], which becomes their end.
        serial : int
            Number of the transaction.
        """
        c = schema.exceedance.c
        lasting = sa.select(c.id, c.rule).where(
            c.state == "open", c.site.in_([site.id for site in self._registry.sites])
        )
        left = [row.id for row in connection.execute(lasting) if row.rule not in self._rule_index]
        if not left:
            return
        self._changed = max(now, self._changed + 1)
        _keep_former(connection, c.id.in_(left))
        ended = {"state": "closed", "end": sa.case((c.start > now, c.start), else_=now), "changed": self._changed}
        chosen = sa.update(schema.exceedance).where(c.id.in_(left))
        connection.execute(chosen.values(**ended, revision=c.revision + 1, serial=serial))

    def _those(self, condition: sa.ColumnElement[bool]) -> list[Exceedance]:
        """The stored episodes of rules that still exist, without those that were withdrawn."""
        index = self._rule_index
        statement = sa.select(schema.exceedance).where(schema.exceedance.c.state != "withdrawn", condition)
        return [
            Exceedance(
                id=row["id"],
                rule=index[row["rule"]],
                start=_minute(row["start"]),
                end=None if row["end"] is None else _minute(row["end"]),
                peak=float("nan") if row["peak"] is None else row["peak"],
                peak_minute=_minute(row["peak_time"]),
                threshold=float("nan") if row["threshold"] is None else row["threshold"],
                minutes=row["minutes"],
                revision=row["revision"],
            )
            for row in self._record.rows(statement)
            if row["rule"] in index
        ]


def _keep_former(connection: sa.Connection, chosen: sa.ColumnElement[bool]) -> None:
    """Keep some episodes as they are, before they are changed."""
    table, old = schema.exceedance, schema.exceedance_revision
    kept = [c.name for c in old.columns]
    connection.execute(sa.insert(old).from_select(kept, sa.select(*(table.c[c] for c in kept)).where(chosen)))


def instant(minute: int) -> int:
    """Instant [ms] at which the window of a sliding statistic's minute ends."""
    return (minute + 1) * MINUTE


def _minute(instant: int) -> int:
    return instant // MINUTE - 1
