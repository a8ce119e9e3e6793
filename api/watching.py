"""Looking out for changes of a registry's files, by whomever they were made."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import structlog

from greenmine.loading import load_registry
from greenmine.registry import Registry, RegistryError

_log = structlog.get_logger(__name__)
_Stamp = frozenset[tuple[str, int, int]]
EVERY: Final = 1.0
"""How often to look [s]."""


class WatchedRegistry:
    """A registry and the state of its files.

    Parameters
    ----------
    path : Path, optional
        Its directory; None: the one that ships, which does not change.
    current : Registry
        The one that is in use.
    """

    def __init__(self, path: Path | None, current: Registry) -> None:
        self._path = path
        self.current = current
        self._stamp = self._look()

    def changed(self) -> Registry | None:
        """Return the registry if its files hold another one; None also while they are not sound, which is logged once."""
        stamp = self._look()
        if self._path is None or stamp == self._stamp:
            return None
        self._stamp = stamp
        try:
            found = load_registry(self._path)
        except RegistryError as error:
            _log.warning(
                "the registry has changed and is not sound; the former stays in use", faults=list(error.faults)
            )
            return None
        if found.digest == self.current.digest:
            return None
        self.current = found
        return found

    def _look(self) -> _Stamp:
        paths = [] if self._path is None else [*self._path.glob("*.toml"), *self._path.glob("sites/*.toml")]
        found = set()
        for path in paths:
            try:
                status = path.stat()
            except FileNotFoundError:  # replaced at this moment
                continue
            found.add((path.name, status.st_mtime_ns, status.st_size))
        return frozenset(found)
