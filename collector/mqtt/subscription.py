"""What the session on the broker is subscribed to, across restarts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
import structlog

_log = structlog.get_logger(__name__)


class _Memory(msgspec.Struct):
    session: str
    filters: list[str]


class TopicSubscriptions:
    """Topics wanted, and those that the persistent session still has from earlier.

    A broker keeps the subscriptions of a persistent session and tells nobody which these are. So they are written down:
    what was subscribed to and is wanted no longer can then be given up, and its messages do not come for ever.

    Parameters
    ----------
    wanted : iterable of str
        Filters, besides the devices' own topics.
    session : str
        Broker and client identifier; what was written down for another session is not of this one.
    file : Path or None
        Where it is written down; None: nowhere.
    """

    def __init__(self, wanted: Iterable[str] = (), session: str = "", file: Path | None = None) -> None:
        self.wanted = list(dict.fromkeys(wanted))
        self._session = session
        self._file = file

    def stale(self) -> list[str]:
        """What the session may still have and is wanted no longer."""
        return [text for text in self._remembered() if text not in self.wanted]

    def begin(self) -> None:
        """Write down that the session is about to have what is wanted, besides what it has."""
        self._remember([*self.wanted, *self.stale()])

    def settle(self) -> None:
        """Write down that the session has only what is wanted."""
        self._remember(self.wanted)

    def _remembered(self) -> list[str]:
        if self._file is None or not self._file.exists():
            return []
        try:
            memory = msgspec.json.decode(self._file.read_bytes(), type=_Memory)
        except (OSError, msgspec.MsgspecError) as error:
            _log.warning("earlier subscriptions cannot be read; they stay", file=str(self._file), error=str(error))
            return []
        return [*filter(None, memory.filters)] if memory.session == self._session else []

    def _remember(self, filters: list[str]) -> None:
        if self._file is None or filters == self._remembered():
            return
        fresh = self._file.with_suffix(".new")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_bytes(msgspec.json.encode(_Memory(self._session, filters)))
            fresh.replace(self._file)
        except OSError as error:
            _log.warning("subscriptions cannot be written down", file=str(self._file), error=str(error))
