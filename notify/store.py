"""The notices of an installation, in the file ``notices.sqlite`` of its data directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from greenmine.notify.outbox import Outbox
from greenmine.notify.subscriptions import Subscriptions
from greenmine.record.record import migrate, open_engine
from greenmine.settings import Settings

_MIGRATIONS: Final = Path(__file__).parent / "migrations"


class Notices:
    """Opens the notices; the file is made, readable by its owner only, if there is none.

    Parameters
    ----------
    settings : Settings
        Where they are.
    """

    def __init__(self, settings: Settings) -> None:
        path = settings.notices
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        self._engine = open_engine(path)
        migrate(self._engine, _MIGRATIONS)
        self.subscriptions = Subscriptions(self._engine)
        self.outbox = Outbox(self._engine)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()
