"""Keys that may change while they are used."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import structlog

from greenmine.collector.hj212.sm4 import Sm4Key, check_sm4, read_keys

_GLANCE: Final = 1.0
"""How often it is looked whether the file has changed [s]."""

_log = structlog.get_logger(__name__)


class KeyRing:
    """The keys of a file, read again when it changes, so that a new key needs no restart.

    Parameters
    ----------
    path : Path or None
        See ``read_keys``; None: there are no keys.

    Raises
    ------
    ValueError
        If the file is wrong now, or the system has no SM4. A file that becomes wrong later is logged, and the keys stay.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._looked = time.monotonic()
        self._seen = self._stamp()
        self._keys: dict[str, tuple[Sm4Key, ...]] = {}
        if path is not None:
            check_sm4()
            self._keys = read_keys(path)

    @property
    def numbers(self) -> list[str]:
        """The MN that have keys."""
        return list(self._keys)

    def of(self, mn: str) -> tuple[Sm4Key, ...]:
        """The keys of an MN, the newest first; empty: it has none."""
        now = time.monotonic()
        if self._path is not None and now - self._looked >= _GLANCE:
            self._looked = now
            self._look(self._path)
        return self._keys.get(mn, ())

    def _look(self, path: Path) -> None:
        stamp = self._stamp()
        if stamp in {self._seen, None}:
            return
        self._seen = stamp
        try:
            self._keys = read_keys(path)
        except ValueError as error:
            _log.error("the keys are kept as they were", error=str(error))
        else:
            _log.info("the keys were read again", numbers=len(self._keys))

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat() if self._path is not None else None
        except OSError:
            return None
        return None if found is None else (found.st_mtime_ns, found.st_size, found.st_ino)
