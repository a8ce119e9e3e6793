"""What people add to the record: marks asked for, handling of exceedances, self-assessments, bundles asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from greenmine.record import schema
from greenmine.record.reader import Row
from greenmine.reporting import Period
from greenmine.wording.messages import Language

Step = Literal["acknowledged", "cause", "handling", "comment", "attachment"]
"""Kind of an entry in the history of an exceedance."""


@dataclass(frozen=True, slots=True)
class Contributions:
    """Writes of one transaction. Rows are only added; who may add them is for the caller to know.

    Parameters
    ----------
    _connection : Connection
        In a transaction on the record.
    _serial : int
        Its number, which changed rows get.
    """

    _connection: sa.Connection
    _serial: int

    def marks_waiting(self, site: str) -> int:
        """Number of marks that were asked for at a site and not made or refused yet."""
        c = schema.mark_request.c
        return self._count(schema.mark_request, c.site == site, c.state == "waiting")

    def ask_for_mark(self, values: Mapping[str, object]) -> Row:
        """Ask the worker for a mark."""
        return self._add(schema.mark_request, {**values, "state": "waiting", "answer": "", "serial": self._serial})

    def decide_claim(self, number: int, name: str, now: int, refusal: str | None) -> Row | None:
        """Confirm a claim, so that the worker makes the mark, or refuse it with a reason; None if it is no claim (any more)."""
        c = schema.mark_request.c
        values: dict[str, object] = {"decided_by": name, "serial": self._serial}
        values |= {"state": "waiting"} if refusal is None else {"state": "refused", "answer": refusal, "answered": now}
        return self._connection.execute(
            sa.update(schema.mark_request)
            .where(c.id == number, c.state == "claimed")
            .values(**values)
            .returning(schema.mark_request)
        ).one_or_none()

    def uploads_waiting(self, site: str) -> int:
        """Number of files of a site that were handed in and not taken in yet."""
        c = schema.upload.c
        return self._count(schema.upload, c.site == site, c.state == "waiting")

    def hand_in(self, values: Mapping[str, object]) -> Row:
        """Ask the worker to take in the readings of a file."""
        counts = dict.fromkeys(("done", "stored", "repeated", "conflicting", "late"), 0)
        return self._add(schema.upload, {**values, **counts, "state": "waiting", "answer": "", "serial": self._serial})

    def exceedance(self, number: int) -> Row:
        """An exceedance that is known to be there."""
        return self._connection.execute(sa.select(schema.exceedance).where(schema.exceedance.c.id == number)).one()

    def steps(self, number: int) -> int:
        """Number of entries in the history of an exceedance."""
        return self._count(schema.handling, schema.handling.c.exceedance == number)

    def handle(self, number: int, kind: Step, text: str, values: Mapping[str, object]) -> Row:
        """Add an entry to the history of an exceedance, which takes over what it says of its state.

        Parameters
        ----------
        number : int
            Of the exceedance.
        kind : str
            Of the entry.
        text : str
            What is said.
        values : mapping
            ``made``, ``author``, and for an attachment the columns of the file.
        """
        added = self._add(schema.handling, {"exceedance": number, "kind": kind, "text": text, **values})
        change: dict[str, object] = {"serial": self._serial}
        if kind == "acknowledged":
            change["acknowledged"] = values["made"]
        elif kind in {"cause", "handling"}:
            change[kind] = text
        exceedance = schema.exceedance
        self._connection.execute(sa.update(exceedance).where(exceedance.c.id == number).values(**change))
        return added

    def assessed(self, site: str, period: str) -> int:
        """Number of entries in the self-assessment of a site for a period."""
        c = schema.assessment.c
        return self._count(schema.assessment, c.site == site, c.period == period)

    def assess(self, values: Mapping[str, object]) -> Row:
        """Add an entry to a self-assessment."""
        return self._add(schema.assessment, values)

    def bundles_under_way(self, site: str, period: str | None = None, language: Language | None = None) -> int:
        """Number of bundles of a site that wait or are being built: of all, or of a period in a language."""
        c = schema.bundle.c
        where = [c.site == site, c.state.in_(("waiting", "running"))]
        where += [
            column == value for column, value in ((c.period, period), (c.language, language)) if value is not None
        ]
        return self._count(schema.bundle, *where)

    def ask_for_bundle(self, site: str, period: Period, language: Language, author: str, now: int) -> Row:
        """Ask the builder for a bundle; it waits for its turn."""
        return self._add(schema.bundle, {
            "site": site, "period": period.name, "first": period.first.isoformat(), "last": period.last.isoformat(),
            "language": language, "author": author, "asked": now, "state": "waiting", "attempts": 0, "step": "", "done": 0,
            "total": 0, "error": "", "provisional": "[]",
        })  # fmt: skip

    def _count(self, table: sa.Table, *where: sa.ColumnElement[bool]) -> int:
        return self._connection.scalar(sa.select(sa.func.count()).select_from(table).where(*where)) or 0

    def _add(self, table: sa.Table, values: Mapping[str, Any]) -> Row:
        return self._connection.execute(sa.insert(table).values(values).returning(table)).one()
