"""How far each bucket of the projection has come: a small file of its own, as the record has one writer only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import msgspec
import sqlalchemy as sa

from greenmine.record.follower import FOLLOWED, Positions
from greenmine.record.record import open_engine
from greenmine.record.rows import HOUR

FILE: Final = "projection.sqlite"
"""Name in the data directory."""

_metadata = sa.MetaData()
_bucket = sa.Table(
    "cursor",
    _metadata,
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("positions", sa.Text, nullable=False),
    sa.Column("reached", sa.Text, nullable=False),
    sa.Column("since", sa.BigInteger),
    sa.Column("clear", sa.Boolean, nullable=False),
    sa.Column("hour", sa.Integer, nullable=False),
    sa.Column("sample", sa.BigInteger),
    sa.Column("written", sa.BigInteger, nullable=False),
    sa.Column("refused", sa.BigInteger, nullable=False),
    sa.Column("failures", sa.BigInteger, nullable=False),
    sa.Column("trouble", sa.Text, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Cursor:
    """State of a bucket.

    Parameters
    ----------
    bucket : str
        Its name.
    generation : int
        How often it was made anew; what was begun under an earlier one must not move the cursor.
    positions : mapping of str to int
        See `Positions`.
    reached : mapping of str to int
        Up to here the bucket is being made anew: there is nothing in it yet that would have to be removed.
    since : int or None
        If it is made anew from this instant on [ms UTC]: rows up to ``reached`` and before it are in the bucket already.
    clear : bool
        Whether what it holds is to be removed first, as a person asked.
    hour : int
        Newest hour of a sliding statistic that the bucket may hold [hours since 1970 UTC]; -1 if none.
    sample : int or None
        Time of the last sample that was seen in it [ms UTC].
    written, refused, failures : int
        Counts since it was last made anew: points written, points that InfluxDB refused for good, failed writes.
    trouble : str
        Why the last write failed; empty if it did not.
    """

    bucket: str
    generation: int = 0
    positions: Positions = field(default_factory=dict)
    reached: Positions = field(default_factory=dict)
    since: int | None = None
    clear: bool = False
    hour: int = -1
    sample: int | None = None
    written: int = 0
    refused: int = 0
    failures: int = 0
    trouble: str = ""

    def position(self, table: str) -> int:
        """How far a table's rows have been written."""
        return self.positions.get(table, -1)

    @property
    def whole(self) -> Positions:
        """Positions of all tables, of those too that nothing has been written of."""
        return {table: self.position(table) for table in FOLLOWED}

    @property
    def place(self) -> tuple[object, ...]:
        """What is still to be written depends on this only: buckets at the same place get the same lines."""
        making = any(self.position(table) < end for table, end in self.reached.items())
        return (
            tuple(self.whole.values()),
            self.hour,
            (self.since, tuple(sorted(self.reached.items()))) if making else None,
        )

    def anew(self, table: str) -> int:
        """Up to where a table's rows are written to an empty bucket."""
        return self.reached.get(table, -1)


class Cursors:
    """The file of cursors.

    Parameters
    ----------
    path : Path
        The file; made if it does not exist.
    """

    def __init__(self, path: Path) -> None:
        self._engine = open_engine(path)
        _metadata.create_all(self._engine)

    def all(self) -> list[Cursor]:
        """The cursors of all buckets, by name."""
        with self._engine.connect() as connection:
            return _all(connection)

    def get(self, bucket: str) -> Cursor | None:
        """The cursor of a bucket, None if it has none yet."""
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(_bucket).where(_bucket.c.name == bucket)).one_or_none()
        return None if row is None else _cursor(row)

    def begin(self, bucket: str, heads: Positions) -> Cursor:
        """The cursor of a bucket; a new one is to be made from the whole record, which ends at ``heads``."""
        found = self.get(bucket)
        if found is None:
            found = Cursor(bucket, reached=dict(heads))
            with self._change() as connection:
                connection.execute(sa.insert(_bucket), _row(found))
        return found

    def keep(self, cursor: Cursor) -> bool:
        """Store a cursor durably; False, and nothing is stored, if its bucket is being made anew since it was read."""
        where = (_bucket.c.name == cursor.bucket, _bucket.c.generation == cursor.generation)
        with self._change() as connection:
            return connection.execute(sa.update(_bucket).where(*where).values(_row(cursor))).rowcount == 1

    def reset(self, bucket: str, heads: Positions, since: int | None = None) -> Cursor:
        """Order a bucket to be emptied and made anew, all of it or from an instant on [ms UTC]: only where a person asks for it."""
        with self._change() as connection:
            row = connection.execute(sa.select(_bucket).where(_bucket.c.name == bucket)).one_or_none()
            if row is None:
                fresh = Cursor(bucket, reached=dict(heads), clear=True)
                connection.execute(sa.insert(_bucket), _row(fresh))
                return fresh
            old = _cursor(row)
            if since is not None and (old.clear or any(old.position(t) < end for t, end in old.reached.items())):
                since = None if old.since is None else min(since, old.since)  # it was being made anew: that still holds
                positions = old.reached
            else:
                positions = old.positions
            fresh = Cursor(
                bucket,
                generation=old.generation + 1,
                reached=dict(heads if since is None else positions),
                since=since,
                clear=True,
                hour=-1 if since is None else since // HOUR,
            )
            connection.execute(sa.update(_bucket).where(_bucket.c.name == bucket).values(_row(fresh)))
            return fresh

    def refill(self, bucket: str) -> Cursor:
        """Order that all of the record is written to a bucket once more, over whatever it still holds."""
        with self._change() as connection:
            row = connection.execute(sa.select(_bucket).where(_bucket.c.name == bucket)).one()
            old = _cursor(row)
            # What has been written in its present form leaves nothing behind that would have to be removed.
            known = {table: max(old.position(table), end) for table, end in old.reached.items()}
            fresh = replace(
                old, generation=old.generation + 1, reached={**old.positions, **known}, positions={}, since=None
            )
            connection.execute(sa.update(_bucket).where(_bucket.c.name == bucket).values(_row(fresh)))
            return fresh

    @contextmanager
    def _change(self) -> Iterator[sa.Connection]:
        with self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
            connection.commit()


def stored_cursors(path: Path) -> list[Cursor]:
    """What a file of cursors holds, for processes that only look; nothing where there is no projection yet."""
    if not path.exists():
        return []
    engine = open_engine(path, read_only=True)
    try:
        with engine.connect() as connection:
            return _all(connection) if sa.inspect(connection).has_table(_bucket.name) else []
    finally:
        engine.dispose()


def _all(connection: sa.Connection) -> list[Cursor]:
    return [_cursor(row) for row in connection.execute(sa.select(_bucket).order_by(_bucket.c.name))]


def _row(cursor: Cursor) -> dict[str, object]:
    return {
        "name": cursor.bucket, "generation": cursor.generation, "since": cursor.since, "clear": cursor.clear, "hour": cursor.hour,
        "positions": msgspec.json.encode(cursor.positions).decode(), "reached": msgspec.json.encode(cursor.reached).decode(),
        "sample": cursor.sample, "written": cursor.written, "refused": cursor.refused,
        "failures": cursor.failures, "trouble": cursor.trouble,
    }  # fmt: skip


def _cursor(row: sa.Row[tuple[object, ...]]) -> Cursor:
    given = dict(row._mapping)  # noqa: SLF001 - the public way to a row's names
    positions, reached = (msgspec.json.decode(given.pop(n), type=dict[str, int]) for n in ("positions", "reached"))
    return replace(Cursor(given.pop("name")), positions=positions, reached=reached, **given)
