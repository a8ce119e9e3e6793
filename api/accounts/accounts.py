"""The accounts of an installation, in the file ``accounts.sqlite`` of its data directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from greenmine.api.accounts.audit import AuditLog
from greenmine.api.accounts.publications import Publications
from greenmine.api.accounts.sessions import Sessions
from greenmine.api.accounts.shares import Shares
from greenmine.api.accounts.tokens import Tokens
from greenmine.api.accounts.users import Users
from greenmine.record.changes import Changes
from greenmine.record.record import migrate, open_engine
from greenmine.settings import Settings

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_MINUTE: Final = 60_000


class Accounts:
    """Opens the accounts; the file is made, readable by its owner only, if there is none.

    Parameters
    ----------
    settings : Settings
        Where they are, and how long sessions last.
    """

    def __init__(self, settings: Settings) -> None:
        path = settings.accounts
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        self._engine = open_engine(path)
        migrate(self._engine, _MIGRATIONS)
        self._changes = Changes(path)
        self.users = Users(self._engine)
        self.sessions = Sessions(
            self._engine,
            self._changes,
            idle=settings.session_idle_minutes * _MINUTE,
            absolute=settings.session_hours * 60 * _MINUTE,
        )
        self.tokens = Tokens(self._engine, self._changes)
        self.publications = Publications(self._engine, self._changes)
        self.audit = AuditLog(self._engine)
        self.shares = Shares(self._engine)

    def close(self) -> None:
        """Close all connections."""
        self._changes.close()
        self._engine.dispose()
