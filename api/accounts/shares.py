"""Shares: evidence bundles that are open, for a while, to somebody who does not see their mine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from greenmine.api.accounts import schema
from greenmine.api.accounts.secret import digest, new_secret
from greenmine.api.accounts.users import User

DAY: Final = 86_400_000
LONGEST_DAYS: Final = 180
PREFIX: Final = "share_"
"""What a code begins with, so that one that leaked can be found by search."""


@dataclass(frozen=True, slots=True)
class Share:
    """A bundle that is open to somebody."""

    id: int
    evaluator: int | None
    """Account that it is handed to; None: it is a link."""
    bundle: int
    digest: str
    """SHA-256 of the bundle's file."""
    site: str
    receiver: str
    author: str
    created: int
    expires: int
    revoked: int | None
    used: int | None
    downloads: int

    @staticmethod
    def of(row: sa.Row[Any]) -> Share:
        """Share of a row of the table."""
        return Share(**{name: getattr(row, name) for name in Share.__dataclass_fields__})

    def good(self, now: int) -> bool:
        """Whether it still opens the bundle."""
        return self.revoked is None and self.expires > now


class Shares:
    """The shares of an installation.

    Parameters
    ----------
    engine : Engine
        Of the file of the accounts.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def add(
        self,
        bundle: int,
        file: str,
        site: str,
        receiver: str,
        author: str,
        now: int,
        *,
        days: int,
        evaluator: User | None = None,
    ) -> tuple[Share, str | None]:
        """Open a bundle to somebody.

        Parameters
        ----------
        bundle : int
            Its number in the record.
        file : str
            SHA-256 of its file.
        site : str
            Whose bundle it is.
        receiver : str
            For whom; 1 to 100 printable characters.
        author : str
            Who opens it.
        now : int
            The present instant [ms UTC].
        days : int
            For how long; 1 to 180.
        evaluator : User, optional
            Account that it is handed to; None: a link is made.

        Returns
        -------
        tuple of Share and str or None
            The share, and the code of a link, which is not stored.

        Raises
        ------
        ValueError
            The receiver or the number of days is out of bounds.
        """
        receiver = receiver.strip()
        if not 1 <= len(receiver) <= 100 or not receiver.isprintable():
            raise ValueError("receiver: 1 to 100 printable characters would be right")
        if not 1 <= days <= LONGEST_DAYS:
            raise ValueError(f"days: 1 to {LONGEST_DAYS} would be right")
        code = new_secret(PREFIX) if evaluator is None else None
        row = {
            "hash": None if code is None else digest(code),
            "evaluator": None if evaluator is None else evaluator.id,
            "bundle": bundle,
            "digest": file,
            "site": site,
            "receiver": receiver,
            "author": author,
            "created": now,
            "expires": now + days * DAY,
            "downloads": 0,
        }
        with self._engine.begin() as connection:
            added = connection.execute(sa.insert(schema.share).values(row).returning(schema.share)).one()
        return Share.of(added), code

    def find(self, code: str, now: int) -> Share | None:
        """The share that a code opens; None for one that is unknown, expired or revoked."""
        return next(iter(self._good(now, schema.share.c.hash == digest(code))), None)

    def handed_to(self, user: int, now: int) -> list[Share]:
        """What is open to an account, newest first."""
        return self._good(now, schema.share.c.evaluator == user)

    def of_bundle(self, bundle: int, file: str) -> list[Share]:
        """Shares of a bundle, newest first, those that no longer open it among them."""
        c = schema.share.c
        mine = sa.select(schema.share).where(c.bundle == bundle, c.digest == file).order_by(c.id.desc())
        with self._engine.connect() as connection:
            return [Share.of(row) for row in connection.execute(mine)]

    def revoke(self, share: Share, now: int) -> None:
        """Shut a bundle again; what was downloaded stays with whoever has it."""
        self._update(share, revoked=now)

    def note_download(self, share: Share, now: int) -> None:
        """Remember that it was used."""
        self._update(share, used=now, downloads=schema.share.c.downloads + 1)

    def _good(self, now: int, condition: sa.ColumnElement[bool]) -> list[Share]:
        c = schema.share.c
        good = sa.select(schema.share).where(condition, c.expires > now, c.revoked.is_(None)).order_by(c.id.desc())
        with self._engine.connect() as connection:
            return [Share.of(row) for row in connection.execute(good)]

    def _update(self, share: Share, **values: Any) -> None:
        with self._engine.begin() as connection:
            connection.execute(sa.update(schema.share).where(schema.share.c.id == share.id).values(**values))
