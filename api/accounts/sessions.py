"""Sessions: browsers that are signed in.

The cookie is 256 random bits. It is replaced at intervals; the one before it is taken for another minute, for requests that
were under way. A session ends when it is idle, old, or ended, when the password changes, and when the account
is shut.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from greenmine.api.accounts import schema
from greenmine.api.accounts.secret import digest, new_secret
from greenmine.api.accounts.users import User
from greenmine.record.changes import Changes, Remembered

ROTATE_MS: Final = 15 * 60_000
GRACE_MS: Final = 60_000
_TOUCH_MS: Final = 60_000
"""The time of last use is written at most this often."""


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that is signed in."""

    id: int
    csrf: str
    """Synchroniser token: forms carry it, other sites cannot read it."""
    created: int
    used: int
    address: str
    agent: str

    @staticmethod
    def of(row: sa.Row[Any]) -> Session:
        """Session of a row of the table."""
        return Session(row.id, row.csrf, row.created, row.used, row.address, row.agent)


class Sessions:
    """The sessions of an installation.

    Parameters
    ----------
    engine : Engine
        Of the file of the accounts.
    changes : Changes
        To that file.
    idle, absolute : int
        A session ends after so long without a request, and so long after its beginning [ms].
    """

    def __init__(self, engine: sa.Engine, changes: Changes, *, idle: int, absolute: int) -> None:
        self._engine = engine
        self._remembered = Remembered[str, tuple[Session, User, int]](changes)
        self._idle = idle
        self._absolute = absolute

    def begin(self, user: User, now: int, *, address: str = "", agent: str = "") -> str:
        """Begin a session; the answer is its cookie. Sessions that are over are cleared away."""
        secret = new_secret()
        row = {
            "hash": digest(secret),
            "csrf": new_secret(),
            "user": user.id,
            "created": now,
            "rotated": now,
            "used": now,
            "address": address[:64],
            "agent": agent[:200],
        }
        with self._engine.begin() as connection:
            connection.execute(sa.delete(schema.session).where(sa.not_(self._lives(now))))
            connection.execute(sa.insert(schema.session), [row])
        return secret

    def find(self, cookie: str, now: int) -> tuple[Session, User, str | None] | None:
        """Session and user of a cookie, and the cookie that takes its place from now on, if it is time.

        None for a cookie that is unknown, over, replaced too long ago, or of a user whose account is shut.
        """
        hashed = digest(cookie)
        number = self._remembered.number()
        c = schema.session.c
        known = sa.or_(c.hash == hashed, sa.and_(c.previous == hashed, c.rotated > now - GRACE_MS))
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(schema.session).where(known, self._lives(now))).first()
            if row is None:
                return None
            user = connection.execute(
                sa.select(schema.user).where(schema.user.c.id == row.user, schema.user.c.disabled.is_(None))
            ).first()
        if user is None:
            return None
        session, owner = Session.of(row), User.of(user)
        if row.hash == hashed:
            self._remembered.put(hashed, (session, owner, row.rotated), number)
        return session, owner, self._freshen(row, hashed, now)

    def recall(self, cookie: str, now: int) -> tuple[Session, User] | None:
        """Session and user of a cookie from memory.

        None also if the accounts were written to since, or the session's use is to be noted or its cookie replaced. A session that
        was ended, or whose account was shut, by any process, is not recalled.
        """
        found = self._remembered.get(digest(cookie))
        if found is None:
            return None
        session, user, rotated = found
        fresh = now - session.used < min(_TOUCH_MS, self._idle) and now - rotated < ROTATE_MS
        return (session, user) if fresh and session.created > now - self._absolute else None

    def lives(self, number: int, now: int) -> bool:
        """Whether a session goes on."""
        c = schema.session.c
        with self._engine.connect() as connection:
            return connection.execute(sa.select(c.id).where(c.id == number, self._lives(now))).first() is not None

    def of_user(self, user: User, now: int) -> list[Session]:
        """Sessions of a user, newest first."""
        c = schema.session.c
        with self._engine.connect() as connection:
            found = connection.execute(
                sa.select(schema.session)
                .where(c.user == user.id, self._lives(now))
                .order_by(c.used.desc(), c.id.desc())
            )
            return [Session.of(row) for row in found]

    def end(self, user: User, number: int) -> bool:
        """End a session of a user; False if they have no such one."""
        c = schema.session.c
        with self._engine.begin() as connection:
            return bool(connection.execute(sa.delete(schema.session).where(c.user == user.id, c.id == number)).rowcount)

    def _freshen(self, row: sa.Row[Any], hashed: str, now: int) -> str | None:
        """Note the use, and replace a cookie that has served for long; of requests at one time only one replaces it."""
        c = schema.session.c
        secret = new_secret()
        if row.hash == hashed and now - row.rotated >= ROTATE_MS:
            change = sa.update(schema.session).where(c.id == row.id, c.hash == hashed)
            values = {"hash": digest(secret), "previous": hashed, "rotated": now, "used": now}
        elif now - row.used >= _TOUCH_MS:
            change = sa.update(schema.session).where(c.id == row.id)
            values = {"used": now}
        else:
            return None
        with self._engine.begin() as connection:
            changed = connection.execute(change.values(**values)).rowcount
        return secret if changed and "hash" in values else None

    def _lives(self, now: int) -> sa.ColumnElement[bool]:
        c = schema.session.c
        return sa.and_(c.used > now - self._idle, c.created > now - self._absolute)
