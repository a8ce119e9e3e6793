"""The audit log: who did what, to what, when and from where. It only grows; strangers cannot make it grow without bound."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final

import sqlalchemy as sa
from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from greenmine.api.accounts import schema

STRANGERS: Final = parse("200 per hour")
"""Lines of those who have not signed in; what is beyond them is counted in the next line."""
FAILED: Final = "sign-in-failed"
CHANGED: Final = "registry-changed"


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the audit log."""

    id: int
    time: int
    user: int | None
    name: str
    address: str
    action: str
    site: str | None
    subject: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Concern:
    """Which entries somebody may read: those about these sites, and those of these users that are about no other site."""

    users: Collection[int]
    sites: Collection[str]


class AuditLog:
    """The audit log of an installation.

    Parameters
    ----------
    engine : Engine
        Of the file of the accounts.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._untold = 0
        self._taking = Lock()

    def add(
        self,
        time: int,
        action: str,
        *,
        user: int | None,
        name: str,
        address: str = "",
        site: str | None = None,
        subject: str = "",
        **detail: Any,
    ) -> None:
        """Add a line; of strangers only so many an hour, with the number of those left out before as ``untold``.

        Parameters
        ----------
        time : int
            When [ms UTC].
        action : str
            What was done, as a word of the API such as ``sign-in`` or ``export``.
        user : int or None
            Who; None for one who is not known.
        name, address : str
            Their name and the address that they came from.
        site : str, optional
            The site concerned: those who may see it may read the line.
        subject : str
            What it was done to; cut after 200 characters.
        **detail
            Further facts that JSON can hold; no secrets.
        """
        if action == FAILED or (user is None and site is None):
            if not self._limiter.hit(STRANGERS):
                self._untold += 1
                return
            if self._untold:
                detail["untold"], self._untold = self._untold, 0
        row = {
            "time": time,
            "user": user,
            "name": name[:140],
            "address": address[:64],
            "action": action,
            "site": site,
            "subject": subject[:200],
            "detail": detail,
        }
        with self._engine.begin() as connection:
            connection.execute(sa.insert(schema.audit), [row])

    def take_changes(self, newer: Callable[[int], Iterable[Any]]) -> None:
        """Add what was changed in registries and limits, with what was before and after; whoever reads the log calls this.

        Parameters
        ----------
        newer : callable
            Changes beyond a number, see `greenmine.record.reader.Queries.registry_changes`.
        """
        with self._taking:
            last = next(iter(self.read(None, action=CHANGED, limit=1)), None)
            for row in newer(0 if last is None else last.detail["number"]):
                self.add(
                    row.time, CHANGED, user=None, name=row.author or "(files)", site=row.site, subject=row.part,
                    number=row.id, before=row.before, after=row.after,
                )  # fmt: skip

    def read(
        self,
        concern: Concern | None,
        *,
        site: str | None = None,
        action: str | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[Entry]:
        """Lines, newest first.

        Parameters
        ----------
        concern : Concern or None
            Whom they concern; None: all lines.
        site, action : str, optional
            Only of this site, only of this kind.
        before : int, optional
            Only those with a smaller number.
        limit : int
            At most so many.
        """
        c = schema.audit.c
        query = sa.select(schema.audit).order_by(c.id.desc()).limit(limit)
        if concern is not None:
            own = sa.and_(c.user.in_(concern.users), c.site.is_(None))
            query = query.where(sa.or_(own, c.site.in_(concern.sites)))
        for column, value in ((c.site, site), (c.action, action)):
            if value is not None:
                query = query.where(column == value)
        if before is not None:
            query = query.where(c.id < before)
        with self._engine.connect() as connection:
            return [Entry(**row) for row in connection.execute(query).mappings()]

    def came_from(self, user: int, address: str, since: int) -> bool:
        """Whether a user has signed in from an address since an instant [ms UTC]."""
        c = schema.audit.c
        mine = sa.and_(c.user == user, c.action == "sign-in", c.address == address, c.time >= since)
        with self._engine.connect() as connection:
            return connection.execute(sa.select(c.id).where(mine).limit(1)).first() is not None
