"""Checkpoint: what the core keeps in memory, written now and then, so that a start reads no more of the record than is newer."""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import structlog
from numpy.typing import NDArray

from greenmine.processing.engine import Engine
from greenmine.processing.panes import UNTOUCHED
from greenmine.record.basis import Basis

_VERSION: Final = 4
"""Of the form of the file; another one is ignored."""
_CODEC: Final = "zstd"
"""Unpacks in two thirds of the time of zlib and packs in a third."""
_WIDTH: Final = 120
"""Places of the rings that lie in one row [min]."""
_LIKE_HIGH: Final = ("low", "total")
"""Rings stored as what differs from the highest value: nothing, in a minute of one reading."""
_TABLES: Final = """
CREATE TABLE site (site TEXT PRIMARY KEY, digest TEXT NOT NULL, position INTEGER NOT NULL, restated INTEGER NOT NULL,
                   size INTEGER NOT NULL, sum INTEGER NOT NULL, data BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE ring (site TEXT NOT NULL, name TEXT NOT NULL, place INTEGER NOT NULL, size INTEGER NOT NULL,
                   sum INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (site, name, place)) WITHOUT ROWID;
"""

_log = structlog.get_logger(__name__)


class Checkpoint:
    """The file of one record's checkpoint. Each site has a position of its own in the record: its newest block that is in it.

    Nothing depends on it: without it, or where it does not fit, the same state is built from the stored readings.

    Parameters
    ----------
    path : Path
        File; made if it does not exist.
    identity : str
        Of the record; that of another one is ignored.
    engine : Engine
        At work, with nothing in it yet.
    bases : mapping of str to Basis
        What the figures of each site rest on; what rested on something else is ignored.
    """

    def __init__(self, path: Path, identity: str, engine: Engine, bases: Mapping[str, Basis]) -> None:
        self._path = path
        self._engine = engine
        registry = engine.registry
        self._channels: dict[str, slice] = {}
        self._rules: dict[str, slice] = {}
        self._digest: dict[str, str] = {}
        self._known: dict[str, int] = {}
        """Sites that are in the file, each with its newest restatement of which it knows."""
        self._connection: sqlite3.Connection | None = None
        layout = [_VERSION, identity, engine.panes.minutes, engine.lateness, engine.alarms.length]
        watched = Counter(rule.site for rule in engine.alarms.rules)
        first = 0
        for site in registry.sites:
            own = registry.site_channels(site.id)
            self._channels[site.id] = slice(own[0].index, own[-1].index + 1) if own else slice(0, 0)
            self._rules[site.id] = slice(first, first := first + watched[site.id])
            content = msgspec.json.encode([layout, [c.key for c in own], bases[site.id]], order="sorted")
            self._digest[site.id] = hashlib.sha256(content).hexdigest()

    def read(self, newest: int, restated: Mapping[str, int]) -> dict[str, int]:
        """Fill the engine.

        Parameters
        ----------
        newest : int
            Number of the newest block in the record: what is beyond it is no checkpoint of this record.
        restated : mapping of str to int
            Transaction of the newest restatement of each site that had one; the alarms of one before it are left out.

        Returns
        -------
        dict of str to int
            Sites of which everything is in the engine up to a block, with that block's number. Others are as if nothing had been
            read.
        """
        found: dict[str, int] = {}
        if not self._path.exists():
            return found
        try:
            with (
                ThreadPoolExecutor() as threads,
                closing(sqlite3.connect(f"file:{self._path.resolve()}?mode=ro", uri=True)) as connection,
            ):
                connection.row_factory = sqlite3.Row
                for row in _sites(connection):
                    site = row["site"]
                    if row["digest"] == self._digest.get(site) and row["position"] <= newest:
                        found[site], self._known[site] = row["position"], row["restated"]
                        self._restore(connection, threads, site, _content(row))
                        if row["restated"] != restated.get(site, 0):
                            channels = self._channels[site]
                            self._engine.alarms.forget(np.arange(channels.start, channels.stop))
        except (sqlite3.Error, OSError, ValueError, KeyError, msgspec.MsgspecError) as error:
            _log.warning(
                "the checkpoint is ignored; building the state from the record", file=str(self._path), reason=str(error)
            )
            self._known.clear()
            for site in found:
                channels = self._channels[site]
                self._engine.forget(np.arange(channels.start, channels.stop))
            for name in (self._path, *(Path(f"{self._path}{end}") for end in ("-wal", "-shm"))):
                with suppress(OSError):
                    name.unlink(missing_ok=True)
            return {}
        return found

    def _restore(
        self, connection: sqlite3.Connection, threads: ThreadPoolExecutor, site: str, content: dict[str, Any]
    ) -> None:
        engine, channels = self._engine, self._channels[site]
        for name, view in self._arrays(site).items():
            _put(view, content[name])
        engine.health.restore_clocks(site, msgspec.convert(content["clocks"], dict[str, tuple[int, Any]]))
        rows = connection.execute("SELECT name, place, size, sum, data FROM ring WHERE site = ?", (site,)).fetchall()
        for row, stored in zip(rows, threads.map(_content, rows), strict=True):
            views = self._views(channels, row["name"], row["place"])
            for ring, view in views.items():
                _put(view, stored[ring])
            for ring in views.keys() & set(_LIKE_HIGH):
                views[ring].view(np.uint64)[...] ^= views["high"].view(np.uint64)
        engine.panes.touched[channels] = UNTOUCHED

    def _arrays(self, site: str) -> dict[str, NDArray[Any]]:
        """Views of what is kept once a channel or rule."""
        engine, channels = self._engine, self._channels[site]
        panes = {name: getattr(engine.panes, name)[channels] for name in ("head", "newest", "tail")}
        health = {f"health.{name}": view for name, view in engine.health.kept(channels).items()}
        alarms = {f"alarms.{name}": view for name, view in engine.alarms.kept(self._rules[site]).items()}
        return panes | health | alarms | {"wild": engine.wild[channels]}

    def _views(self, channels: slice, name: str, place: int) -> dict[str, NDArray[Any]]:
        panes = self._engine.panes
        if name == "levels":
            return {"levels": panes.hourly(channels, place)}
        return panes.rings(channels, place * _WIDTH, min((place + 1) * _WIDTH, panes.minutes))

    def write(self, site: str, position: int, restated: int) -> None:
        """Bring a site up to date: what was touched since the last time.

        Parameters
        ----------
        site : str
            Id of the site.
        position : int
            Number of the newest block in the record; all of it is in the engine.
        restated : int
            Transaction of the site's newest restatement; 0 if there was none.
        """
        panes, channels = self._engine.panes, self._channels[site]
        untouched = bool((panes.touched[channels] == UNTOUCHED).all())
        try:
            connection = self._opened()
            with connection:
                if untouched and self._known.get(site) == restated:
                    connection.execute("UPDATE site SET position = ? WHERE site = ?", (position, site))
                    return
                if site not in self._known:
                    connection.execute("DELETE FROM ring WHERE site = ?", (site,))
                places = [("panes", place) for place in panes.places(channels, _WIDTH)]
                places += [("levels", place) for place in panes.hours_touched(channels)]
                connection.executemany(
                    "INSERT OR REPLACE INTO ring VALUES (:site, :name, :place, :size, :sum, :data)",
                    [
                        {
                            "site": site,
                            "name": name,
                            "place": place,
                            **_packed(_alike(self._views(channels, name, place))),
                        }
                        for name, place in places
                    ],
                )
                state = _packed(self._arrays(site), clocks=self._engine.health.clocks(site))
                row = {"site": site, "digest": self._digest[site], "position": position, "restated": restated, **state}
                connection.execute(
                    "INSERT OR REPLACE INTO site VALUES (:site, :digest, :position, :restated, :size, :sum, :data)", row
                )
        except (sqlite3.Error, OSError) as error:
            _log.warning("the checkpoint cannot be written", file=str(self._path), reason=str(error))
        else:
            self._known[site] = restated
            panes.touched[channels] = UNTOUCHED

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = connection = sqlite3.connect(self._path, timeout=10, check_same_thread=False)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            if _version(connection) != _VERSION:
                connection.executescript(f"{_TABLES} PRAGMA user_version={_VERSION};")
        return self._connection


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _sites(connection: sqlite3.Connection) -> list[Any]:
    if _version(connection) != _VERSION:
        raise ValueError("it has the form of another version")
    return connection.execute("SELECT site, digest, position, restated, size, sum, data FROM site").fetchall()


def _alike(views: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Rings as they are stored."""
    some = views.keys() & set(_LIKE_HIGH)
    return views | {name: views[name].view(np.uint64) ^ views["high"].view(np.uint64) for name in some}


def _packed(views: dict[str, NDArray[Any]], **more: Any) -> dict[str, Any]:
    """Length, checksum and compressed content of arrays."""
    plain = msgspec.msgpack.encode({name: view.tobytes() for name, view in views.items()} | more)
    data = pa.compress(plain, codec=_CODEC, asbytes=True)
    return {"size": len(plain), "sum": zlib.crc32(data), "data": data}


def _content(row: sqlite3.Row) -> dict[str, Any]:
    if zlib.crc32(row["data"]) != row["sum"]:
        raise ValueError("its content is damaged")
    found: dict[str, Any] = msgspec.msgpack.decode(
        pa.decompress(row["data"], decompressed_size=row["size"], codec=_CODEC)
    )
    return found


def _put(view: NDArray[Any], content: bytes) -> None:
    view[...] = np.frombuffer(content, view.dtype).reshape(view.shape)
