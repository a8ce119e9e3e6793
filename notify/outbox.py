"""The outbox: what is still to be told, on disk, so that nothing is forgotten by a restart and nothing is told under two ids."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from greenmine.notify import schema
from greenmine.notify.event import TEST, Event
from greenmine.notify.quiet import quiet_until
from greenmine.notify.subscriptions import Subscription
from greenmine.notify.targets import GROUPED
from greenmine.record import outbox
from greenmine.record.follower import Positions
from greenmine.record.outbox import Backlog, EntryRow, Policy
from greenmine.record.record import transaction
from greenmine.registry import Registry

TOGETHER: Final = 50
"""Most notices in a message; the rest follows in the next one."""
KEPT_DAYS: Final = 30
"""Messages that are done are shown for so long."""
_DAY: Final = 86_400_000
_FOLLOWER: Final = "notifier"
_FOLLOWED: Final = ("exceedance", "health", "statistic", "mark_request", "registry_change")
"""Tables of the record that are followed, all of them up to the same transaction."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent at once."""

    id: str
    subscription: int
    digest: bool
    since: int
    """When the first of its notices was due [ms UTC]."""
    state: str
    """waiting, sent, dead."""
    attempts: int
    next: int
    """Not tried before [ms UTC]."""
    done: int | None
    trouble: str
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Load:
    """How the outbox of an owner stands."""

    enterprise: str | None
    waiting: int
    oldest: int | None
    """When the oldest that waits was due [ms UTC]."""
    dead: int
    sent: int


class Outbox:
    """The outbox of an installation.

    Parameters
    ----------
    engine : Engine
        Of the file of the notices.

    Raises
    ------
    StoreError
        By every method, when the file cannot be read or written.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    # What has been told of the record

    def serial(self) -> int | None:
        """Transaction of the record up to which it has been followed; None: it has not been yet."""
        positions = self.positions()
        return None if positions is None else min(positions.values())

    def positions(self) -> Positions | None:
        """The same for each table that is followed."""
        with self._transaction() as connection:
            return outbox.positions(connection, _FOLLOWER)

    def notified_states(self, subjects: Collection[str]) -> dict[str, str]:
        """States that have been told of subjects."""
        found: dict[str, str] = {}
        names = list(subjects)
        with self._transaction() as connection:
            for at in range(0, len(names), 500):
                c = schema.notified_state.c
                rows = connection.execute(
                    sa.select(c.subject, c.state).where(c.subject.in_(names[at : at + 500]))
                ).all()
                found.update((row.subject, row.state) for row in rows)
        return found

    def begin(self, serial: int, states: Mapping[str, str]) -> None:
        """Follow the record from here on: what it holds now counts as told."""
        with self._transaction() as connection:
            connection.execute(sa.delete(schema.notified_state))
            _remember(connection, states)
            _move(connection, serial)

    def enlist(
        self,
        serial: int,
        states: Mapping[str, str],
        events: Sequence[Event],
        subscriptions: Sequence[Subscription],
        registry: Registry,
        now: int,
    ) -> int:
        """Let events wait for whoever subscribed to them, and move on past the rows they come from, in one transaction.

        Returns
        -------
        int
            How many notices that makes.
        """
        sites = {site.id: site for site in registry.sites}
        rows = []
        for event in events:
            site = sites.get(event.site)  # none where the event is one of the district
            enterprise, zone = (site.enterprise, site.zone) if site is not None else ("", registry.sites[0].zone)
            rows += [_row(event, s, zone, now) for s in subscriptions if s.wants(event.kind, event.site, enterprise)]
        with self._transaction() as connection:
            outbox.put(connection, rows, Policy.EVERY)
            _remember(connection, states)
            _move(connection, serial)
        return len(rows)

    def test(self, subscription: Subscription, registry: Registry, now: int) -> bool:
        """Let a test wait for a subscription, quiet hours or not; False, and there is no other, if one waits already."""
        sites = [site for site in registry.sites if subscription.enterprise in {None, site.enterprise}]
        wanted = [site for site in sites if subscription.sites is None or site.id in subscription.sites]
        site = (wanted or sites or list(registry.sites))[0].id
        event = Event(TEST, site, f"subscription/{subscription.id}", now, TEST, newest=False, data={})
        e = outbox.entry.c
        waits = sa.select(e.id).where(e.receiver == str(subscription.id), e.key.startswith(f"{TEST}/"), ~e.done)
        with self._transaction() as connection:
            if connection.execute(waits.limit(1)).first() is not None:
                return False
            outbox.put(connection, [_row(event, subscription, None, now)], Policy.EVERY)
            return True

    # What is sent

    def due(self, now: int) -> set[int]:
        """Subscriptions for which something is to be sent now."""
        m = schema.message.c
        fresh = sa.select(outbox.entry.c.receiver.cast(sa.Integer)).where(outbox.ready(now))
        waiting = sa.select(m.subscription).where(m.state == "waiting", m.next <= now)
        with self._transaction() as connection:
            return set(connection.scalars(fresh.union(waiting)))

    def next(self, subscription: Subscription, now: int) -> Message | None:
        """The message to be sent to a subscription now, made of what is due if there is none; None: nothing is."""
        e, m = outbox.entry.c, schema.message.c
        with self._transaction() as connection:
            waiting = sa.select(schema.message).where(
                m.subscription == subscription.id, m.state == "waiting", m.next <= now
            )
            row = connection.execute(waiting.order_by(m.number).limit(1)).one_or_none()
            if row is None:
                open_ = sa.select(e.id, e.due, (e.due > e.made).label("held")).where(
                    e.receiver == str(subscription.id), outbox.ready(now)
                )
                chosen = _together(subscription, connection.execute(open_.order_by(e.id).limit(TOGETHER)).all())
                if not chosen:
                    return None
                row = _form(connection, subscription, chosen)
            return _message(connection, row)

    def sent(self, message: Message, now: int, remark: str = "") -> None:
        """A message has been delivered."""
        s = schema.subscription.c
        with self._transaction() as connection:
            _end(connection, message, "sent", now, remark)
            connection.execute(
                sa.update(schema.subscription)
                .where(s.id == message.subscription)
                .values(failures=0, trouble="", sent=s.sent + 1, last=now)
            )

    def failed(self, message: Message, again: int, trouble: str) -> None:
        """A message could not be delivered and is to be tried again at an instant [ms UTC]."""
        with self._transaction() as connection:
            connection.execute(
                sa.update(schema.message)
                .where(schema.message.c.id == message.id)
                .values(attempts=message.attempts + 1, next=again, trouble=trouble)
            )
            _note_failure(connection, message.subscription, trouble)

    def died(self, message: Message, now: int, trouble: str) -> None:
        """A message is given up."""
        with self._transaction() as connection:
            _end(connection, message, "dead", now, trouble)
            _note_failure(connection, message.subscription, trouble)

    def prune(self, now: int) -> None:
        """Forget messages that have been done for `KEPT_DAYS`."""
        m = schema.message.c
        old = sa.select(m.id).where(m.state != "waiting", m.done < now - KEPT_DAYS * _DAY)
        with self._transaction() as connection:
            connection.execute(sa.delete(outbox.entry).where(outbox.entry.c.message.in_(old)))
            connection.execute(sa.delete(schema.message).where(m.id.in_(old)))

    # What is shown

    def messages(self, subscription: Subscription, limit: int) -> list[Message]:
        """Messages of a subscription, newest first."""
        m = schema.message.c
        with self._transaction() as connection:
            rows = connection.execute(
                sa.select(schema.message)
                .where(m.subscription == subscription.id)
                .order_by(m.number.desc())
                .limit(limit)
            ).all()
            return [_message(connection, row) for row in rows]

    def waiting(self) -> dict[int, Backlog]:
        """What is not delivered, for each subscription for which there is something."""
        with self._transaction() as connection:
            return {int(receiver): backlog for receiver, backlog in outbox.backlogs(connection).items()}

    def loads(self) -> list[Load]:
        """How the outboxes of all owners stand."""
        s, m = schema.subscription.c, schema.message.c
        dead = (
            sa.select(m.subscription, sa.func.count().label("dead"))
            .where(m.state == "dead")
            .group_by(m.subscription)
            .subquery()
        )
        query = sa.select(s.id, s.enterprise, s.sent, sa.func.coalesce(dead.c.dead, 0).label("dead")).join(
            dead, dead.c.subscription == s.id, isouter=True
        )
        found: dict[str | None, Load] = {}
        with self._transaction() as connection:
            backlogs = outbox.backlogs(connection)
            for row in connection.execute(query.order_by(s.enterprise)):
                before = found.get(row.enterprise, Load(row.enterprise, 0, None, 0, 0))
                own = backlogs.get(str(row.id), Backlog())
                found[row.enterprise] = Load(
                    enterprise=row.enterprise,
                    waiting=before.waiting + own.waiting,
                    oldest=min((time for time in (before.oldest, own.oldest) if time is not None), default=None),
                    dead=before.dead + row.dead,
                    sent=before.sent + row.sent,
                )
        return list(found.values())

    def _transaction(self) -> AbstractContextManager[sa.Connection]:
        return transaction(self._engine, "the file of the notices")


def _row(event: Event, subscription: Subscription, zone: str | None, now: int) -> EntryRow:
    """A notice; without a zone there are no quiet hours."""
    until = None if zone is None else quiet_until(subscription.quiet, now, zone)
    key = str(uuid.uuid4())
    return EntryRow(
        receiver=str(subscription.id),
        key=f"{TEST}/{key}" if event.kind == TEST else key,
        made=now,
        due=now if until is None else until,
        data=msgspec.json.encode(event).decode(),
    )


def _together(subscription: Subscription, rows: Sequence[Any]) -> list[Any]:
    """The first notices of ``rows`` that make one message: all for people; for programs one, or a digest of what was held."""
    if not rows:
        return []
    if rows[0].held:
        return [row for row in rows if row.held]
    if isinstance(subscription.target, GROUPED):
        return [row for row in rows if not row.held]
    return list(rows[:1])


def _form(connection: sa.Connection, subscription: Subscription, chosen: Sequence[Any]) -> sa.Row[Any]:
    row = {
        "id": str(uuid.uuid4()), "subscription": subscription.id, "digest": chosen[0].held, "since": min(n.due for n in chosen),
        "state": "waiting", "attempts": 0, "next": 0, "trouble": "",
    }  # fmt: skip
    made = connection.execute(sa.insert(schema.message).values(row).returning(schema.message)).one()
    these = outbox.entry.c.id.in_([n.id for n in chosen])
    connection.execute(sa.update(outbox.entry).where(these).values(message=made.id))
    return made


def _message(connection: sa.Connection, row: sa.Row[Any]) -> Message:
    e = outbox.entry.c
    data = connection.scalars(sa.select(e.data).where(e.message == row.id).order_by(e.id))
    events = tuple(msgspec.json.decode(text, type=Event) for text in data)
    return Message(
        id=row.id, subscription=row.subscription, digest=row.digest, since=row.since, state=row.state, attempts=row.attempts,
        next=row.next, done=row.done, trouble=row.trouble, events=events,
    )  # fmt: skip


def _end(connection: sa.Connection, message: Message, state: str, now: int, trouble: str) -> None:
    connection.execute(
        sa.update(schema.message)
        .where(schema.message.c.id == message.id)
        .values(state=state, attempts=message.attempts + 1, done=now, trouble=trouble)
    )
    connection.execute(sa.update(outbox.entry).where(outbox.entry.c.message == message.id).values(done=True))


def _note_failure(connection: sa.Connection, subscription: int, trouble: str) -> None:
    s = schema.subscription.c
    failed = sa.update(schema.subscription).where(s.id == subscription)
    connection.execute(failed.values(failures=s.failures + 1, trouble=trouble))


def _remember(connection: sa.Connection, states: Mapping[str, str]) -> None:
    if states:
        fresh = insert(schema.notified_state)
        again = fresh.on_conflict_do_update(index_elements=["subject"], set_={"state": fresh.excluded.state})
        connection.execute(again, [{"subject": subject, "state": state} for subject, state in states.items()])


def _move(connection: sa.Connection, serial: int) -> None:
    outbox.move(connection, _FOLLOWER, dict.fromkeys(_FOLLOWED, serial))
