"""API tokens: keys of programs, each acting for its owner, on some sites, reading only or writing too, for a limited time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from greenmine.api.accounts import schema
from greenmine.api.accounts.secret import digest, new_secret
from greenmine.api.accounts.users import User
from greenmine.record.changes import Changes, Remembered

PREFIX: Final = "greenmine_"
"""Of every token, so that one that strayed into a repository or a log is recognised."""
LONGEST_DAYS: Final = 366
DAY: Final = 86_400_000
_TOUCH_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Token:
    """A key of a program, without the secret."""

    id: int
    name: str
    sites: tuple[str, ...] | None
    """None: all sites of its owner, also later ones."""
    write: bool
    created: int
    expires: int
    revoked: int | None
    used: int | None

    @staticmethod
    def of(row: sa.Row[Any]) -> Token:
        """Token of a row of the table."""
        sites = None if row.sites is None else tuple(row.sites)
        return Token(row.id, row.name, sites, row.write, row.created, row.expires, row.revoked, row.used)


class Tokens:
    """The tokens of an installation.

    Parameters
    ----------
    engine : Engine
        Of the file of the accounts.
    changes : Changes
        To that file.
    """

    def __init__(self, engine: sa.Engine, changes: Changes) -> None:
        self._engine = engine
        self._remembered = Remembered[str, tuple[Token, User]](changes)

    def add(
        self, user: User, name: str, now: int, *, days: int, sites: Sequence[str] | None = None, write: bool = False
    ) -> str:
        """Make a token; the answer is its secret, which cannot be seen again.

        Parameters
        ----------
        user : User
            Owner, for whom it acts.
        name : str
            What it is for; 1 to 64 characters.
        now : int
            The present instant [ms UTC].
        days : int
            How long it is good for; 1 to 366.
        sites : sequence of str, optional
            Sites that it is limited to. None: all of its owner.
        write : bool
            Whether it may change anything.

        Raises
        ------
        ValueError
            The name or the number of days is out of bounds.
        """
        name = name.strip()
        if not 1 <= len(name) <= 64 or not name.isprintable():
            raise ValueError("name: 1 to 64 printable characters would be right")
        if not 1 <= days <= LONGEST_DAYS:
            raise ValueError(f"days: 1 to {LONGEST_DAYS} would be right")
        secret = new_secret(PREFIX)
        row = {
            "hash": digest(secret),
            "user": user.id,
            "name": name,
            "sites": None if sites is None else list(sites),
            "write": write,
            "created": now,
            "expires": now + days * DAY,
        }
        with self._engine.begin() as connection:
            connection.execute(sa.insert(schema.token), [row])
        return secret

    def find(self, secret: str, now: int) -> tuple[Token, User] | None:
        """Token and owner of a secret; None for one that is unknown, expired, revoked, or of a shut account."""
        c = schema.token.c
        hashed = digest(secret)
        number = self._remembered.number()
        with self._engine.connect() as connection:
            row = connection.execute(
                sa.select(schema.token).where(c.hash == hashed, c.expires > now, c.revoked.is_(None))
            ).first()
            if row is None:
                return None
            user = connection.execute(
                sa.select(schema.user).where(schema.user.c.id == row.user, schema.user.c.disabled.is_(None))
            ).first()
        if user is None:
            return None
        if row.used is None or now - row.used >= _TOUCH_MS:
            with self._engine.begin() as connection:
                connection.execute(sa.update(schema.token).where(c.id == row.id).values(used=now))
        found = Token.of(row), User.of(user)
        self._remembered.put(hashed, found, number)
        return found

    def recall(self, secret: str, now: int) -> tuple[Token, User] | None:
        """The same as `find`, from memory: None also if the accounts were written to since, or the use is to be noted.

        A token that was revoked, or whose account was shut, by any process, is not recalled.
        """
        found = self._remembered.get(digest(secret))
        if found is None:
            return None
        token, _ = found
        fresh = token.used is not None and now - token.used < _TOUCH_MS
        return found if fresh and token.expires > now else None

    def of_user(self, user: User) -> list[Token]:
        """Tokens of a user, newest first, those that no longer work among them."""
        c = schema.token.c
        with self._engine.connect() as connection:
            found = connection.execute(sa.select(schema.token).where(c.user == user.id).order_by(c.id.desc()))
            return [Token.of(row) for row in found]

    def revoke(self, user: User, number: int, now: int) -> Token | None:
        """Revoke a token of a user; None if they have no such one that works."""
        c = schema.token.c
        mine = sa.and_(c.user == user.id, c.id == number, c.revoked.is_(None))
        with self._engine.begin() as connection:
            row = connection.execute(sa.select(schema.token).where(mine)).first()
            connection.execute(sa.update(schema.token).where(mine).values(revoked=now))
        return None if row is None else Token.of(row)
