"""Checkpoint: what the core keeps in memory, written now and then, so that a start reads no more of the record than is newer."""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, contextmanager, suppress
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

_VERSION: Final = 5
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

_IGNORED: Final = "the checkpoint is ignored; building the state from the record"

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
    owner : str
        Where several processes use the file: who has the sites from now on. A former owner writes nothing of them any more.
    """

    def __init__(self, path: Path, identity: str, engine: Engine, bases: Mapping[str, Basis], owner: str = "") -> None:
        self._path = path
        self._owner = owner
        self._engine = engine
        registry = engine.registry
        self._channels: dict[str, slice] = {}
        self._rules: dict[str, slice] = {}
        self._digest: dict[str, str] = {}
        self._known: set[str] = set()
        """Sites of which the file holds what is in the engine, but for what was touched since."""
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

    def begin(self, newest: int) -> None:
        """Do away with a file that is not of this record, or of one that has gone on from an older state since.

        Parameters
        ----------
        newest : int
            Number of the newest block in the record at the start.
        """
        if self._owner:
            self._own()
        if not self._path.exists():
            return
        try:
            with self._readable() as connection:
                found = connection.execute("SELECT site FROM site WHERE position > ?", (newest,)).fetchall()
                beyond = next((row["site"] for row in found if not self._owner or row["site"] in self._digest), None)
        except (sqlite3.Error, OSError, ValueError) as error:
            self._do_away(str(error))
        else:
            if beyond is not None:
                self._do_away("it knows of more than the record")

    def read(self, sites: Collection[str], restated: Mapping[str, int]) -> dict[str, int]:
        """Fill the engine with what is known of some sites, of which there is nothing in it yet.

        Parameters
        ----------
        sites : collection of str
            Their ids.
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
        site = ""
        try:
            with ThreadPoolExecutor() as threads, self._readable() as connection:
                for site in sites:
                    row = connection.execute("SELECT * FROM site WHERE site = ?", (site,)).fetchone()
                    if (
                        row is not None
                        and row["digest"] == self._digest[site]
                        and self._restore(connection, threads, row)
                    ):
                        found[site] = row["position"]
                        if row["restated"] != restated.get(site, 0):
                            self._engine.alarms.forget(self._numbers(site))
        except (sqlite3.Error, OSError, ValueError) as error:
            for begun in {*found, site} - {""}:
                self._engine.forget(self._numbers(begun))
            self._do_away(str(error))
            return {}
        self._known.update(found)
        return found

    def _own(self) -> None:
        """Note whose the sites are, before anything is read: what a former owner writes afterwards would not fit to it."""
        try:
            with self._opened() as connection:
                rows = [(site, self._owner) for site in self._digest]
                connection.executemany("INSERT OR REPLACE INTO owner VALUES (?, ?)", rows)
        except (sqlite3.Error, OSError) as error:
            _log.warning("the checkpoint cannot be written", file=str(self._path), reason=str(error))

    def _is_own(self, connection: sqlite3.Connection, site: str) -> bool:
        """Whether nobody else has taken a site since; asked in the transaction that writes."""
        if not self._owner:
            return True
        connection.execute("BEGIN IMMEDIATE")
        found = connection.execute("SELECT owner FROM owner WHERE site = ?", (site,)).fetchone()
        return found is not None and found[0] == self._owner

    @contextmanager
    def _readable(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(f"file:{self._path.resolve()}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            if _version(connection) != _VERSION:
                raise ValueError("it has the form of another version")
            yield connection

    def _do_away(self, reason: str) -> None:
        _log.warning(_IGNORED, file=str(self._path), reason=reason)
        self._known.clear()
        self.close()
        for name in (self._path, *(Path(f"{self._path}{end}") for end in ("-wal", "-shm"))):
            with suppress(OSError):
                name.unlink(missing_ok=True)

    def _numbers(self, site: str) -> NDArray[np.intp]:
        """Indices of a site's channels."""
        return np.arange(self._channels[site].start, self._channels[site].stop)

    def _restore(self, connection: sqlite3.Connection, threads: ThreadPoolExecutor, kept: sqlite3.Row) -> bool:
        """Fill in a site; False where it is damaged."""
        engine, site = self._engine, kept["site"]
        channels = self._channels[site]

        def fill(row: sqlite3.Row) -> None:
            views, stored = self._views(channels, row["name"], row["place"]), _content(row)
            for ring, view in views.items():
                _put(view, stored[ring])
            for ring in views.keys() & set(_LIKE_HIGH):
                views[ring].view(np.uint64)[...] ^= views["high"].view(np.uint64)

        rings = connection.execute("SELECT * FROM ring WHERE site = ?", (site,)).fetchall()
        try:
            content = _content(kept)
            if content["rings"] != len(rings):
                raise ValueError("a part of it is missing")  # noqa: TRY301 - as all else that is wrong with it
            for name, view in self._arrays(site).items():
                _put(view, content[name])
            engine.health.restore_clocks(site, msgspec.convert(content["clocks"], dict[str, tuple[int, Any]]))
            # All have ended before anything is forgotten.
            for done in wait([threads.submit(fill, row) for row in rings]).done:
                done.result()
        except (ValueError, KeyError, IndexError, msgspec.MsgspecError) as error:
            _log.warning(_IGNORED, file=str(self._path), site=site, reason=str(error))
            engine.forget(self._numbers(site))
            return False
        engine.panes.touched[channels] = UNTOUCHED
        return True

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
        try:
            connection = self._opened()
            with connection:
                if not self._is_own(connection, site):
                    return
                if site not in self._known:  # whatever is there, nothing of it may stay
                    connection.execute("DELETE FROM ring WHERE site = ?", (site,))
                    tail = panes.tail[channels]
                    panes.touched[channels] = np.where(tail < 0, UNTOUCHED, tail)
                places = [("panes", place) for place in panes.places(channels, _WIDTH)]
                places += [("levels", place) for place in panes.hours_touched(channels)]
                connection.executemany(
                    "INSERT OR REPLACE INTO ring VALUES (:site, :name, :place, :size, :sum, :data)",
                    [
                        _packed(
                            {"site": site, "name": name, "place": place},
                            _alike(self._views(channels, name, place)),
                        )
                        for name, place in places
                    ],
                )
                (many,) = connection.execute("SELECT count(*) FROM ring WHERE site = ?", (site,)).fetchone()
                known = {"site": site, "digest": self._digest[site], "position": position, "restated": restated}
                connection.execute(
                    "INSERT OR REPLACE INTO site VALUES (:site, :digest, :position, :restated, :size, :sum, :data)",
                    _packed(known, self._arrays(site), clocks=self._engine.health.clocks(site), rings=many),
                )
        except (sqlite3.Error, OSError) as error:
            _log.warning("the checkpoint cannot be written", file=str(self._path), reason=str(error))
        else:
            self._known.add(site)
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
            if self._owner:
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS owner (site TEXT PRIMARY KEY, owner TEXT NOT NULL) WITHOUT ROWID"
                )
        return self._connection


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _alike(views: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Rings as they are stored."""
    some = views.keys() & set(_LIKE_HIGH)
    return views | {name: views[name].view(np.uint64) ^ views["high"].view(np.uint64) for name in some}


def _packed(known: dict[str, Any], views: dict[str, NDArray[Any]], **more: Any) -> dict[str, Any]:
    """A row: what is known of arrays, with length, checksum and compressed content."""
    plain = msgspec.msgpack.encode({name: view.tobytes() for name, view in views.items()} | more)
    row = known | {"size": len(plain), "data": pa.compress(plain, codec=_CODEC, asbytes=True)}
    return row | {"sum": _sum(row)}


def _sum(row: Mapping[str, Any]) -> int:
    """Checksum of a row: of its content, and of what tells where it belongs."""
    others = msgspec.json.encode([row[name] for name in sorted(row) if name not in {"data", "sum"}])
    return zlib.crc32(row["data"], zlib.crc32(others))


def _content(row: sqlite3.Row) -> dict[str, Any]:
    if _sum(dict(row)) != row["sum"]:
        raise ValueError("its content is damaged")
    found: dict[str, Any] = msgspec.msgpack.decode(
        pa.decompress(row["data"], decompressed_size=row["size"], codec=_CODEC)
    )
    return found


def _put(view: NDArray[Any], content: bytes) -> None:
    view[...] = np.frombuffer(content, view.dtype).reshape(view.shape)
