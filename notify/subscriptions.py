"""Subscriptions: who is told of what, by which way, when."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec
import sqlalchemy as sa

from greenmine.entries import ALL_SITES
from greenmine.notify import schema
from greenmine.notify.event import DISTRICT, INSTALLATION, REPORTS, EventKind
from greenmine.notify.quiet import QuietHours
from greenmine.notify.targets import Mqtt, Target, with_secret
from greenmine.record import outbox

MOST: Final = 50
"""Subscriptions of an owner."""

Language = Literal["zh", "en"]


class TooManyError(ValueError):
    """An owner has as many subscriptions as there may be."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """Somebody who is told.

    Parameters
    ----------
    enterprise : str or None
        Its owner; None: the district, which is told of all sites.
    target : Target
        By which way, with its secrets.
    events : tuple of EventKind
        Of what.
    sites : tuple of str or None
        Of which sites; None: of all of its owner, also later ones.
    failures, trouble : int, str
        How many attempts in a row have failed, and why the last one did.
    sent, last : int, int or None
        Messages delivered, and when the last was [ms UTC].
    """

    id: int
    enterprise: str | None
    name: str
    target: Target
    events: tuple[EventKind, ...]
    sites: tuple[str, ...] | None
    language: Language
    quiet: QuietHours | None
    enabled: bool
    author: str
    created: int
    failures: int = 0
    trouble: str = ""
    sent: int = 0
    last: int | None = None

    def __repr__(self) -> str:
        """Without the target, which holds secrets."""
        return f"<subscription {self.id} of {self.enterprise or 'the district'}>"

    def wants(self, kind: str, site: str, enterprise: str) -> bool:
        """Whether it is to be told of an event of a kind at a site of an enterprise; the district is in any case of `DISTRICT`.

        Who looks after all mines of the district gets its one report in place of one from each mine.
        """
        everything = self.enterprise is None and self.sites is None
        if kind in REPORTS and everything != (site == ALL_SITES):
            return False
        if kind in INSTALLATION:
            return self.enabled and self.enterprise is None
        mine = self.enterprise in {None, enterprise} and (self.sites is None or site in self.sites)
        sees = self.enterprise is None and kind in DISTRICT
        return self.enabled and mine and (kind in self.events or sees)


class Subscriptions:
    """The subscriptions of an installation.

    Parameters
    ----------
    engine : Engine
        Of the file of the notices.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def add(
        self,
        enterprise: str | None,
        name: str,
        target: Target,
        now: int,
        *,
        events: Sequence[EventKind],
        author: str,
        sites: Sequence[str] | None = None,
        language: Language = "zh",
        quiet: QuietHours | None = None,
    ) -> Subscription:
        """Make a subscription; a webhook without a secret gets one.

        Raises
        ------
        ValueError
            The name is none, no event is named, or the broker is to have quiet hours.
        TooManyError
            The owner has `MOST` already.
        """
        _check(name, events)
        if quiet is not None and isinstance(target, Mqtt):
            raise ValueError("quiet: the state at the broker is kept up to date at any time; leave it out")
        table = schema.subscription
        row = {
            "enterprise": enterprise, "name": name, "target": msgspec.json.encode(with_secret(target)).decode(),
            "events": json.dumps(list(dict.fromkeys(events))), "sites": None if sites is None else json.dumps(list(sites)),
            "language": language, "quiet": None if quiet is None else msgspec.json.encode(quiet).decode(), "enabled": True,
            "author": author[:140], "created": now,
        }  # fmt: skip
        with self._engine.begin() as connection:
            added = connection.execute(sa.insert(table).values(row).returning(table)).one()
            owned = sa.select(sa.func.count()).select_from(table).where(_owned_by(enterprise))
            if (connection.scalar(owned) or 0) > MOST:
                raise TooManyError(f"there are {MOST} subscriptions already; remove one first")
        return _subscription(added)

    def all(self) -> list[Subscription]:
        """All subscriptions, in the order in which they were made."""
        with self._engine.connect() as connection:
            return [_subscription(row) for row in connection.execute(_in_order())]

    def of(self, owners: Sequence[str | None]) -> list[Subscription]:
        """Those of some owners; None among them is the district."""
        with self._engine.connect() as connection:
            mine = sa.or_(sa.false(), *map(_owned_by, owners))
            return [_subscription(row) for row in connection.execute(_in_order().where(mine))]

    def get(self, number: int) -> Subscription | None:
        """The subscription of a number."""
        with self._engine.connect() as connection:
            row = connection.execute(_in_order().where(schema.subscription.c.id == number)).one_or_none()
        return None if row is None else _subscription(row)

    def change(self, subscription: Subscription, **changes: Any) -> Subscription:
        """Change name, events, sites, language, quiet hours, or whether it is enabled.

        Parameters
        ----------
        subscription : Subscription
            Which.
        **changes
            Attributes by their names.

        Raises
        ------
        ValueError
            As `add`.
        """
        _check(changes.get("name", subscription.name), changes.get("events", subscription.events))
        if changes.get("quiet") is not None and isinstance(subscription.target, Mqtt):
            raise ValueError("quiet: the state at the broker is kept up to date at any time; leave it out")
        for name in ("events", "sites"):
            if changes.get(name) is not None:
                changes[name] = json.dumps(list(dict.fromkeys(changes[name])))
        if changes.get("quiet") is not None:
            changes["quiet"] = msgspec.json.encode(changes["quiet"]).decode()
        with self._engine.begin() as connection:
            this = schema.subscription.c.id == subscription.id
            if changes:
                connection.execute(sa.update(schema.subscription).where(this).values(**changes))
            return _subscription(connection.execute(_in_order().where(this)).one())

    def remove(self, subscription: Subscription) -> None:
        """Remove a subscription, and what it has not been told yet."""
        with self._engine.begin() as connection:
            connection.execute(sa.delete(outbox.entry).where(outbox.entry.c.receiver == str(subscription.id)))
            connection.execute(sa.delete(schema.message).where(schema.message.c.subscription == subscription.id))
            connection.execute(sa.delete(schema.subscription).where(schema.subscription.c.id == subscription.id))


def _check(name: str, events: Sequence[str]) -> None:
    if not 1 <= len(name) <= 64 or not name.isprintable() or name != name.strip():
        raise ValueError("name: 1 to 64 printable characters would be right")
    if not events:
        raise ValueError("events: name at least one")


def _owned_by(owner: str | None) -> sa.ColumnElement[bool]:
    column = schema.subscription.c.enterprise
    return column.is_(None) if owner is None else column == owner


def _in_order() -> sa.Select[Any]:
    return sa.select(schema.subscription).order_by(schema.subscription.c.id)


def _subscription(row: sa.Row[Any]) -> Subscription:
    return Subscription(
        row.id, row.enterprise, row.name, msgspec.json.decode(row.target, type=Target), tuple(json.loads(row.events)),
        None if row.sites is None else tuple(json.loads(row.sites)), row.language,
        None if row.quiet is None else msgspec.json.decode(row.quiet, type=QuietHours), row.enabled, row.author, row.created,
        row.failures, row.trouble, row.sent, row.last,
    )  # fmt: skip
