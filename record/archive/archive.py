"""The archive: each day of a site, sealed as one Parquet file when its lateness has passed."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from numpy.typing import NDArray
from pyarrow import fs
from pyarrow import parquet as pq

from greenmine.files import locked
from greenmine.record import schema
from greenmine.record.archive.chain import ENTRY_SCHEMA, Chain, ChainError, Entry, Through, parse
from greenmine.record.archive.signing import Keyring, PublicKey, SigningKey
from greenmine.record.archive.tree import Root, digest, grown, newest, numbering, packed
from greenmine.record.basis import as_sealed
from greenmine.record.hour_blocks import hour_block
from greenmine.record.rows import HOUR, ROW
from greenmine.registry import Site
from greenmine.times import local, midnight

KINDS: Final = ("reading", "conflict", "late", "rejection", "mark", "signed", "ledger", "gap")
"""Kinds of rows in a sealed file, in their order."""

FIELDS: Final = pa.schema(
    [
        pa.field("kind", pa.dictionary(pa.int8(), pa.string()), nullable=False),
        pa.field("channel", pa.dictionary(pa.int32(), pa.string())),
        pa.field("time", pa.timestamp("ms", "UTC"), nullable=False),
        pa.field("value", pa.float64()),
        pa.field("flag", pa.dictionary(pa.int8(), pa.string())),
        pa.field("quality", pa.uint8()),
        pa.field("received", pa.timestamp("ms", "UTC"), nullable=False),
        pa.field("detail", pa.string()),
        pa.field("device", pa.dictionary(pa.int16(), pa.string())),
        pa.field("sequence", pa.int64()),
        pa.field("leaf", pa.int32()),
    ]
)
"""Columns of a sealed file; see docs/archive.md."""

_NEVER: Final = 1 << 53
"""An instant that no row reaches [ms UTC]."""
_GROUP: Final = 1 << 16
"""Rows from which on a row group is written: small ones are slow to read, large ones take memory."""

_PLAIN_ROWS: Final = 2_000_000
_PLAIN_BYTES: Final = 16 << 20
_DENSEST: Final = 50
"""A file of a day may have so many rows, and so many bytes unpacked, however small it is; beyond that each of its bytes is worth
a row, and so many bytes."""

_WRITING: Final = {
    "compression": "zstd",
    "compression_level": 6,
    "use_dictionary": ["kind", "channel", "value", "flag", "device", "leaf"],
    "column_encoding": {
        "time": "DELTA_BINARY_PACKED",
        "received": "DELTA_BINARY_PACKED",
        "sequence": "DELTA_BINARY_PACKED",
    },
}
"""Instants come at even distances, values are few: so a day of seconds takes a third of the space."""

_TABLE_OF: Final = {"reading": "block"}
"""Tables of kinds of rows that do not have their name."""
_TABLES: Final = {
    "block": schema.reading_block,
    "conflict": schema.conflict,
    "late": schema.late,
    "rejection": schema.rejection,
    "mark": schema.mark,
    "signed": schema.signed,
}


def _quiet(_done: int, _total: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong in an archive: where, and what."""

    place: str
    what: str


class Archive:
    """Where sealed days lie.

    Parameters
    ----------
    place : str or Path
        A directory, or the address of a store that pyarrow knows (``s3://bucket/folder``).

    Raises
    ------
    ChainError
        If there is no such kind of store.
    """

    def __init__(self, place: str | Path) -> None:
        if "://" in str(place):
            try:
                self._store, self._root = fs.FileSystem.from_uri(str(place))
            except (pa.ArrowInvalid, OSError) as error:
                told = urlsplit(str(place))  # without keys, which may stand in it
                name = f"{told.scheme}://{told.hostname}{told.path}"
                raise ChainError(f"{name}: is not the address of a store: {error}") from error
        else:
            self._store, self._root = fs.LocalFileSystem(), str(Path(place).absolute())

    def sites(self) -> list[str]:
        """Ids of all sites that have something here, in order; `ChainError` if they cannot be listed."""
        try:
            found = self._store.get_file_info(fs.FileSelector(self._root, allow_not_found=True))
        except OSError as error:
            raise ChainError(f"{self._root} cannot be listed: {error}") from error
        return sorted(info.base_name for info in found if info.type == fs.FileType.Directory)

    def place(self, site: str, file: str) -> tuple[str, fs.FileSystem]:
        """Path of a file of a site, and the store that it is in."""
        return f"{self._root}/{site}/{file}", self._store

    def chain(self, site: str) -> Chain:
        """The chain of a site, which may be empty."""
        return Chain(self._store, self._root, site)

    def table(self, site: str, entry: Entry) -> pa.Table:
        """Rows of a sealed file, with the columns of `FIELDS`."""
        return opened(self.chain(site).data(entry.file)).read()


def opened(content: bytes) -> pq.ParquetFile:
    """A sealed file, of which nothing but its description was read yet.

    Raises
    ------
    ArrowException, OSError
        If it is no Parquet file.
    ValueError
        If it has other columns, or unpacks to far more than any day of readings in so many bytes.
    """
    file = pq.ParquetFile(pa.BufferReader(content))
    if not file.schema_arrow.equals(FIELDS, check_metadata=True):
        raise ValueError("it has other columns than a sealed file, or notes")
    groups = [file.metadata.row_group(n) for n in range(file.num_row_groups)]
    rows, size = file.metadata.num_rows, sum(group.total_byte_size for group in groups)
    if rows > _PLAIN_ROWS + len(content) or size > _PLAIN_BYTES + _DENSEST * len(content):
        raise ValueError(
            f"{rows} rows, {size} bytes unpacked, from {len(content)} are more than a day of readings takes"
        )
    return file


def parts_of(file: pq.ParquetFile, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """A sealed file part by part, so that a day of many readings takes no more memory than one of few."""
    for batch in file.iter_batches(_GROUP, columns=columns, use_threads=False):
        yield pa.Table.from_batches([batch])


def seal(
    engine: sa.Engine, sites: Iterable[Site], archive: Archive, key: SigningKey, now: int, lateness: int
) -> Iterator[Entry]:
    """Seal the days that are due, and what came later for days that are sealed already.

    A day is due when it ended at least ``lateness`` ago; a day without any row is not sealed. Everything that the record holds
    for the day goes in: readings with flags and quality, conflicts, readings beyond the lateness, rejections received on the
    day, and marks that touch it. A later row for a sealed day goes into an addendum.

    Parameters
    ----------
    engine : Engine
        Of the record.
    sites : iterable of Site
        Each is sealed by itself.
    archive : Archive
        Where to.
    key : SigningKey
        Signs the entries.
    now : int
        The clock [ms UTC].
    lateness : int
        [ms].

    Yields
    ------
    Entry
        As they are stored.

    Raises
    ------
    ChainError
        If the archive cannot be read or written, or holds rows that the record does not have.
    """
    for site in sites:
        with locked(key.lock):
            yield from _seal_site(engine, site, archive.chain(site.id), key, now, lateness)


def grow(engine: sa.Engine, site: Site, now: int) -> Root:
    """Put what the record has received since the last turn into the site's hash tree; whoever calls holds the lock of the key.

    Parameters
    ----------
    engine : Engine
        Of the record.
    site : Site
        Whose.
    now : int
        The clock [ms UTC].

    Returns
    -------
    Root
        Of the tree now; the same as before where nothing came.

    Raises
    ------
    ChainError
        If the record does not have rows any more that are in the tree.
    """
    with engine.connect() as connection:
        site = as_sealed(connection, site)
        last, top = newest(connection, site.id), _top(connection)
        if last is not None and last.through == top:
            return last
        since = Through() if last is None else last.through
        if not since.within(top):
            raise ChainError(
                f"the tree of {site.id} holds rows that this record does not have: it was restored, or cut"
            )
        channels, zone = _channels(connection, site.id), ZoneInfo(site.zone)
        leaves = []
        for day in sorted(_days(connection, site, channels, since, None)):
            parts = _parts(connection, site.id, channels, bounds(day, zone), (since, top))
            content = digest(packed(_table(kind, len(columns["time"]), columns)) for kind, columns in parts)
            if content is not None:
                leaves.append((day.isoformat(), content))
    with engine.begin() as connection:
        return grown(connection, site.id, last, leaves, top, now)


def _seal_site(
    engine: sa.Engine, site: Site, chain: Chain, key: SigningKey, now: int, lateness: int
) -> Iterator[Entry]:
    entries = chain.entries()
    sealed: dict[date, Through] = {date.fromisoformat(entry.day): entry.through for entry in entries}
    parts = Counter(date.fromisoformat(entry.day) for entry in entries)
    count = len(entries)
    with engine.connect() as connection:
        site = as_sealed(connection, site)
    previous = hashlib.sha256(chain.content(count - 1)).hexdigest() if entries else ""
    zone = ZoneInfo(site.zone)
    head = head_of(engine, site.id)
    if head is not None and head.entries > count:
        raise ChainError(
            f"the chain of {site.id} has {count} entries, but the record remembers {head.entries}: it was cut off"
        )
    root = grow(engine, site, now)
    top = root.through
    with engine.connect() as connection:
        if entries and not entries[-1].through.within(top):
            raise ChainError(
                f"the archive of {site.id} holds rows that this record does not have: it is another installation's, "
                "or the record was restored from an older copy"
            )
        channels = _channels(connection, site.id)
        since, open_from = (head.through, bounds(head.due, zone)[0]) if entries and head else (Through(), 0)
        for day in sorted(_days(connection, site, channels, since, open_from)):
            _, end = bounds(day, zone)
            if day not in sealed and end + lateness > now:
                continue
            content, rows = _file(connection, site.id, channels, day, zone, (sealed.get(day, Through()), top))
            if not sum(rows.values()):
                continue
            part = parts[day]
            entry = Entry(
                form=ENTRY_SCHEMA,
                number=count,
                site=site.id,
                day=day.isoformat(),
                part=part,
                file=file_name(day.isoformat(), part),
                size=len(content),
                sha256=hashlib.sha256(content).hexdigest(),
                rows=rows,
                through=top,
                tree=root.head,
                sealed=now,
                software=version("greenmine"),
                key=key.public.fingerprint,
                previous=previous,
            )
            previous = chain.append(entry, content, key)
            parts[day] += 1
            count += 1
            yield entry
    due = local(now - lateness, zone).date()
    _remember(engine, site.id, Head(top, due, count, previous), {day.isoformat() for day in parts})


def file_name(day: str, part: int) -> str:
    """Name of the file of a day (``YYYY-MM-DD``) or of an addendum to it."""
    return f"{day}.{part}.parquet" if part else f"{day}.parquet"


def first_day(engine: sa.Engine, site: Site) -> date | None:
    """Local day of the first reading of a site; None before any came."""
    block = schema.reading_block.c
    with engine.connect() as connection:
        site = as_sealed(connection, site)
        hour = connection.scalar(
            sa.select(sa.func.min(block.hour)).where(block.channel.in_(list(_channels(connection, site.id))))
        )
    return None if hour is None else local(hour * HOUR, site.zone).date()


def unsealed(
    engine: sa.Engine, site: Site, day: date, entries: Iterable[Entry], root: Root | None
) -> tuple[bytes, dict[str, int]]:
    """The file of a day as it would be sealed with a tree, and its rows by kind; without what its entries hold already."""
    reached = {entry.day: entry.through for entry in entries}
    with engine.connect() as connection:
        site = as_sealed(connection, site)
        range_ = (reached.get(day.isoformat(), Through()), Through() if root is None else root.through)
        channels = _channels(connection, site.id)
        return _file(connection, site.id, channels, day, ZoneInfo(site.zone), range_)


def readings_of(chain: Chain, day: str, channel: str) -> tuple[NDArray[np.void], NDArray[np.int64]]:
    """Readings of a channel in all sealed files of a day, as blocks hold them.

    Parameters
    ----------
    chain : Chain
        Of the site.
    day : str
        ``YYYY-MM-DD``.
    channel : str
        Its key.

    Returns
    -------
    tuple of arrays
        Rows of ``greenmine.record.rows.ROW`` sorted by time, and when each was received [ms UTC].

    Raises
    ------
    ChainError
        If a file cannot be read.
    """
    names = [name for name in chain.data_files() if name.startswith(f"{day}.")]
    parts = [part for name in names for part in _of_channel(chain.data(name), channel)]
    table = pa.concat_tables(parts) if parts else FIELDS.empty_table()
    rows = np.empty(table.num_rows, ROW)
    rows["time"] = table["time"].cast(pa.int64()).to_numpy()
    rows["value"] = table["value"].to_numpy(zero_copy_only=False)
    rows["flag"] = table["flag"].to_numpy(zero_copy_only=False)
    rows["quality"] = table["quality"].to_numpy(zero_copy_only=False)
    order = np.argsort(rows["time"], kind="stable")
    return rows[order], table["received"].cast(pa.int64()).to_numpy()[order]


def verify(
    archive: Archive,
    site: str,
    key: PublicKey | Keyring,
    head: Head | None = None,
    progress: Callable[[int, int], None] = _quiet,
    days: Collection[str] | None = None,
) -> list[Finding]:
    """Check a site's chain from its first entry to its last, and every file.

    Parameters
    ----------
    archive : Archive
        Where it lies.
    site : str
        Id of the site.
    key : PublicKey or Keyring
        That the entries must be signed with; of keys that followed each other, no earlier one signs behind a later one.
    head : Head, optional
        What the record remembers of the chain: shows whether its end was cut off.
    progress : callable, optional
        Told the number of entries done and their number in all.
    days : collection of str, optional
        Only the files of these days (``YYYY-MM-DD``) are here, as in a bundle; None: all files are.

    Returns
    -------
    list of Finding
        Empty if everything is as it was sealed.
    """
    chain = archive.chain(site)
    numbers = chain.numbers()
    found: list[Finding] = []
    named: set[str] = set()
    parts: Counter[str] = Counter()
    previous = ""
    expected = turn = 0
    for done, number in enumerate(numbers):
        progress(done, len(numbers))
        place = f"{site}, entry {number}"
        found.extend(Finding(f"{site}, entry {missing}", "is missing") for missing in range(expected, number))
        expected = number + 1
        try:
            content = chain.content(number)
            entry, genuine = parse(content, place, key)
        except ChainError as error:
            found.append(Finding(place, str(error)))
            previous = ""
            continue
        found.extend(Finding(place, what) for what in _entry_faults(entry, site, number, parts, previous))
        holders = key.fingerprints[turn:]
        if not genuine or entry.key not in holders:
            right = " or ".join(f"{one[:16]}…" for one in holders)
            found.append(Finding(place, f"is not signed with the key {right}; it names {entry.key[:16]}…"))
        else:
            turn = key.fingerprints.index(entry.key)
        previous = hashlib.sha256(content).hexdigest()
        parts[entry.day] += 1
        named.add(entry.file)
        if days is not None and entry.day not in days:
            continue
        found.extend(Finding(f"{site}/{entry.file}", what) for what in _file_faults(chain, entry))
    found.extend(Finding(f"{site}/{name}", "is named by no entry") for name in chain.data_files() if name not in named)
    if head is not None and (head.entries > expected or (head.entries == expected and head.last != previous)):
        found.append(
            Finding(
                f"{site}, end of the chain", f"the record remembers {head.entries} entries, the last {head.last[:16]}…"
            )
        )
    return found


def reaching(chain: Chain, ring: Keyring, key: PublicKey) -> PublicKey | Keyring:
    """What a chain is checked with by someone who knows one key: all of the ring if its end is by that key or one named by it."""
    numbers = chain.numbers()
    if key not in ring.keys or not numbers:
        return key
    entry, genuine = parse(chain.content(numbers[-1]), f"{chain.site}, entry {numbers[-1]}", ring)
    following = ring.fingerprints[ring.keys.index(key) :]
    return ring if genuine and entry.key in following else key


def _of_channel(content: bytes, channel: str) -> Iterator[pa.Table]:
    """Readings of a channel in a sealed file, flags as their codes; only row groups that may hold some are read."""
    file = pq.ParquetFile(pa.BufferReader(content))
    sought = {"kind": "reading", "channel": channel}
    for group in range(file.num_row_groups):
        columns = file.metadata.row_group(group)
        limits = {name: columns.column(FIELDS.get_field_index(name)).statistics for name in sought}
        if any(b is not None and b.has_min_max and not b.min <= sought[name] <= b.max for name, b in limits.items()):
            continue
        table = file.read_row_group(group, use_threads=False)
        mine = pc.and_(pc.equal(table["kind"], "reading"), pc.equal(table["channel"], channel))
        table = table.filter(mine).combine_chunks()
        flags = table["flag"].combine_chunks()
        codes = np.array([ord(letter) for letter in flags.dictionary.to_pylist()], np.uint8)[flags.indices.to_numpy()]
        yield table.select(["time", "value", "quality", "received"]).append_column("flag", pa.array(codes))


def faults_of_day(chain: Chain, entries: Iterable[tuple[Entry, bool]]) -> list[Finding]:
    """What is wrong with the sealed files of a day; its entries come with whether they are signed as they should be."""
    found: list[Finding] = []
    for entry, genuine in entries:
        if not genuine:
            found.append(Finding(f"{chain.site}, entry {entry.number}", "is not signed with the installation's key"))
        found.extend(Finding(f"{chain.site}/{entry.file}", what) for what in _file_faults(chain, entry))
    return found


def _entry_faults(entry: Entry, site: str, number: int, parts: Counter[str], previous: str) -> Iterator[str]:
    if entry.form != ENTRY_SCHEMA:
        yield f"has the form {entry.form!r}; this version knows {ENTRY_SCHEMA!r}"
    if (entry.site, entry.number) != (site, number):
        yield f"says that it is entry {entry.number} of {entry.site}"
    if entry.part != parts[entry.day] or entry.file != file_name(entry.day, entry.part):
        yield f"names part {entry.part} of {entry.day}, in {entry.file}; part {parts[entry.day]} was due"
    if entry.previous != previous:
        yield "does not name the entry before it"


def _file_faults(chain: Chain, entry: Entry) -> Iterator[str]:
    try:
        content = chain.data(entry.file)
    except ChainError as error:
        yield str(error)
        return
    digest = hashlib.sha256(content).hexdigest()
    if (len(content), digest) != (entry.size, entry.sha256):
        yield f"has {len(content)} bytes of SHA-256 {digest[:16]}…; sealed were {entry.size} of {entry.sha256[:16]}…"
        return
    counted: Counter[str] = Counter()
    try:
        file = opened(content)
        for part in parts_of(file, ["kind"]):
            kinds = part["kind"].cast(pa.string())
            counted.update({row["values"]: row["counts"] for row in kinds.value_counts().to_pylist()})
    except (pa.ArrowException, OSError, ValueError) as error:
        yield f"is no Parquet file of a day: {' '.join(str(error).split())}"
        return
    if counted.total() != file.metadata.num_rows:
        yield f"holds {counted.total()} rows; its footer says {file.metadata.num_rows}"
    if counted != Counter(entry.rows):
        yield f"holds rows {dict(counted)}; its entry says {entry.rows}"


class Head(msgspec.Struct, frozen=True):
    """What the record remembers of a site's chain after a complete turn."""

    through: Through
    """Rows looked at: those up to it are sealed, or lie in a day that was not due."""
    due: date
    """First local day that was not due."""
    entries: int
    """Length of the chain."""
    last: str
    """SHA-256 of the last entry's file; a chain that was cut off at its end is noticed by it."""


def head_of(engine: sa.Engine, site: str) -> Head | None:
    """What the record remembers of a site's chain; None before its first turn."""
    table = schema.archive_head.c
    with engine.connect() as connection:
        text = connection.scalar(sa.select(table.head).where(table.site == site))
    return None if text is None else msgspec.json.decode(text, type=Head)


def _remember(engine: sa.Engine, site: str, head: Head, days: set[str]) -> None:
    table, sealed = schema.archive_head, schema.sealed_day
    text = msgspec.json.encode(head).decode()
    with engine.begin() as connection:
        if not connection.execute(sa.update(table).where(table.c.site == site).values(head=text)).rowcount:
            connection.execute(sa.insert(table).values(site=site, head=text))
        known = connection.scalars(sa.select(sealed.c.day).where(sealed.c.site == site))
        if new := sorted(days.difference(known)):
            connection.execute(sa.insert(sealed), [{"site": site, "day": day} for day in new])


def _top(connection: sa.Connection) -> Through:
    return Through(**{n: connection.scalar(sa.select(sa.func.max(t.c.id))) or 0 for n, t in _TABLES.items()})


def _channels(connection: sa.Connection, site: str) -> dict[int, str]:
    """All channels that the site ever had, in the order of their keys: number to key."""
    table = schema.channel.c
    rows = connection.execute(sa.select(table.id, table.key).order_by(table.key))
    return {number: key for number, key in rows if key.startswith(f"{site}/")}


def _days(
    connection: sa.Connection, site: Site, channels: Iterable[int], since: Through, open_from: int | None
) -> set[date]:
    """Local days with rows above a bound, or that end after an instant [ms UTC]; None: the rows alone decide."""
    zone = ZoneInfo(site.zone)
    open_from = _NEVER if open_from is None else open_from
    numbers = list(channels)
    instants: set[int] = set()
    block = schema.reading_block.c
    hours = sa.select(block.hour).where(
        block.channel.in_(numbers), sa.or_(block.id > since.block, block.hour >= open_from // HOUR)
    )
    for hour in connection.scalars(hours.distinct()):
        instants |= {hour * HOUR, hour * HOUR + HOUR - 1}  # midnight may come within an hour of UTC
    for name in ("conflict", "late"):
        column = _TABLES[name].c
        new = sa.or_(column.id > getattr(since, name), column.time >= open_from)
        instants |= set(connection.scalars(sa.select(column.time).where(column.channel.in_(numbers), new)))
    rejected, marked = schema.rejection.c, schema.mark.c
    new = sa.or_(rejected.id > since.rejection, rejected.received >= open_from)
    instants |= set(connection.scalars(sa.select(rejected.received).where(rejected.site == site.id, new)))
    signed = schema.signed.c
    new = sa.or_(signed.id > since.signed, signed.start >= open_from)
    instants |= set(connection.scalars(sa.select(signed.start).where(signed.site == site.id, new)))
    days = {local(instant, zone).date() for instant in instants}
    new = sa.or_(marked.id > since.mark, marked.end > open_from)
    for mark in connection.execute(sa.select(marked.start, marked.end).where(marked.site == site.id, new)):
        first, last = local(mark.start, zone).date(), local(mark.end - 1, zone).date()
        days |= {first + timedelta(days=n) for n in range((last - first).days + 1)}
    return days


def _file(
    connection: sa.Connection,
    site: str,
    channels: dict[int, str],
    day: date,
    zone: ZoneInfo,
    range_: tuple[Through, Through],
) -> tuple[bytes, dict[str, int]]:
    """The Parquet file of the rows of a day numbered above the first bound and up to the second."""
    rows = dict.fromkeys(KINDS, 0)
    buffer = io.BytesIO()
    group: list[pa.Table] = []
    leaves = numbering(connection, site, day.isoformat())
    with pq.ParquetWriter(buffer, FIELDS, **_WRITING) as writer:
        for kind, columns in _parts(connection, site, channels, bounds(day, zone), range_):
            count = len(columns["time"])
            if count:
                place = np.searchsorted(leaves[_TABLE_OF.get(kind, kind)], columns["id"])
                if place.max() >= len(leaves["number"]):
                    raise ChainError(f"{site}: rows of {day} are in no leaf of the tree: the record was edited")
                columns["leaf"] = leaves["number"][place]
                rows[kind] += count
                group.append(_table(kind, count, columns))
            if sum(table.num_rows for table in group) >= _GROUP:
                _write(writer, group)
        first = any(rows.values()) and range_[0] == Through()  # of an addendum, that of the day stands
        for kind, columns in _accounts(connection, site, day, bounds(day, zone)) if first else ():
            if count := len(columns["time"]):
                rows[kind] += count
                group.append(_table(kind, count, columns))
        _write(writer, group)
    return buffer.getvalue(), rows


def _write(writer: pq.ParquetWriter, group: list[pa.Table]) -> None:
    """Write tables as one row group, and forget them."""
    if group:
        writer.write_table(pa.concat_tables(group).unify_dictionaries().combine_chunks())
        group.clear()


def _accounts(
    connection: sa.Connection, site: str, day: date, span: tuple[int, int]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """What the record says of the devices on a day of receipt: their ledger, and which messages and spans are missing."""
    ledger, gap, missing = schema.ledger.c, schema.gap.c, schema.sequence_gap.c
    counted = connection.execute(
        sa.select(schema.ledger).where(ledger.site == site, ledger.day == day.isoformat()).order_by(ledger.device)
    ).all()
    yield "ledger", _said(span, counted, ("site", "device", "day", "serial"))
    passed = connection.execute(
        sa.select(schema.sequence_gap).where(missing.site == site).order_by(missing.device, missing.first)
    ).all()
    spans = connection.execute(
        sa.select(gap.device, gap.start, gap.end, gap.state, gap.filled, gap.source)
        .where(gap.site == site, gap.start < span[1], gap.end > span[0])
        .order_by(gap.device, gap.start)
    ).all()
    yield "gap", _said(span, (*passed, *spans), ("site", "device"))


def _said(span: tuple[int, int], rows: Sequence[Any], leave: Collection[str]) -> dict[str, Any]:
    told = [{name: value for name, value in row._mapping.items() if name not in leave} for row in rows]  # noqa: SLF001 - its public name
    return {
        "time": [span[0]] * len(rows),
        "received": [span[1]] * len(rows),
        "device": [row.device for row in rows],
        "detail": [_json(**one) for one in told],
    }


def _parts(
    connection: sa.Connection,
    site: str,
    channels: dict[int, str],
    span: tuple[int, int],
    range_: tuple[Through, Through],
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Columns by kind: readings channel by channel, so that no more than a channel's day is in memory."""
    (start, end), (above, upto) = span, range_

    def numbered(name: str) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
        column = _TABLES[name].c.id
        return column > getattr(above, name), column <= getattr(upto, name)

    block = schema.reading_block.c
    for number, channel in channels.items():
        found = connection.execute(
            sa.select(schema.reading_block)
            .where(
                block.channel == number,
                block.hour >= start // HOUR,
                block.hour <= (end - 1) // HOUR,
                block.id > above.block,
                sa.func.coalesce(block.first, block.id) <= upto.block,
            )
            .order_by(block.hour, block.id)
        ).all()
        if not found:
            continue
        if not all(row.data for row in found):
            raise ChainError(f"readings of {channel} were pruned from the record that this archive has not sealed")
        day = hour_block(found)
        keep = np.flatnonzero(
            (day.rows["time"] >= start)
            & (day.rows["time"] < end)
            & (day.number > above.block)
            & (day.number <= upto.block)
        )
        chosen = day.rows[keep]
        yield (
            "reading",
            {
                "channel": channel,
                "time": chosen["time"],
                "value": chosen["value"],
                "flag": chosen["flag"],
                "quality": chosen["quality"],
                "received": day.received[keep],
                "device": day.devices[0]
                if len(day.devices) == 1
                else np.array(day.devices, object)[day.device[keep]].tolist(),
                "sequence": day.sequence[keep],
                "id": day.number[keep],
            },
        )
    for kind in ("conflict", "late"):
        column = _TABLES[kind].c
        some = connection.execute(
            sa.select(_TABLES[kind])
            .where(column.channel.in_(list(channels)), column.time >= start, column.time < end, *numbered(kind))
            .order_by(column.id)
        ).all()
        yield (
            kind,
            {
                "channel": [channels[row.channel] for row in some],
                "time": [row.time for row in some],
                "value": [row.value for row in some],
                "flag": [ord(row.flag) for row in some],
                "received": [row.received for row in some],
                "id": [row.id for row in some],
            },
        )
    rejected, marked = schema.rejection.c, schema.mark.c
    within = (rejected.site == site, rejected.received >= start, rejected.received < end)
    some = connection.execute(
        sa.select(schema.rejection).where(*within, *numbered("rejection")).order_by(rejected.id)
    ).all()
    yield (
        "rejection",
        {
            "time": [row.received for row in some],
            "received": [row.received for row in some],
            "id": [row.id for row in some],
            "device": [row.device for row in some],
            "detail": [
                _json(
                    topic=row.topic, reason=row.reason, detail=row.detail, readings=row.readings,
                    size=row.size, payload=base64.b64encode(row.payload).decode(),
                )
                for row in some
            ],
        },
    )  # fmt: skip
    touching = (marked.site == site, marked.start < end, marked.end > start)
    some = connection.execute(sa.select(schema.mark).where(*touching, *numbered("mark")).order_by(marked.id)).all()
    yield (
        "mark",
        {
            "time": [row.start for row in some],
            "received": [row.made for row in some],
            "id": [row.id for row in some],
            "detail": [
                _json(
                    number=row.id, station=row.station, parameter=row.parameter, end=row.end, kind=row.kind, reason=row.reason,
                    author=row.author, **({} if row.confirmed_by is None else {"confirmed_by": row.confirmed_by}),
                )
                for row in some
            ],
        },
    )  # fmt: skip

    signed = schema.signed.c
    within = (signed.site == site, signed.start >= start, signed.start < end)
    some = connection.execute(sa.select(schema.signed).where(*within, *numbered("signed")).order_by(signed.id)).all()
    yield (
        "signed",
        {
            "time": [row.start for row in some],
            "received": [row.received for row in some],
            "id": [row.id for row in some],
            "device": [row.device for row in some],
            "sequence": [row.sequence for row in some],
            "detail": [
                _json(
                    topic=row.topic,
                    payload=base64.b64encode(row.payload).decode(),
                    signature=base64.b64encode(row.signature).decode(),
                )
                for row in some
            ],
        },
    )


def _table(kind: str, count: int, columns: dict[str, Any]) -> pa.Table:
    arrays: list[pa.Array] = []
    for field in FIELDS:
        given = columns.get(field.name)
        if field.name == "kind":
            array = _constant(kind, count, field.type)
        elif given is None:
            array = pa.nulls(count, field.type)
        elif isinstance(given, str):
            array = _constant(given, count, field.type)
        elif field.name == "flag":
            letters, codes = np.unique(np.asarray(given, np.uint8), return_inverse=True)
            array = pa.DictionaryArray.from_arrays(codes.astype(np.int8), [chr(letter) for letter in letters.tolist()])
        elif pa.types.is_dictionary(field.type):
            array = pa.array(given, pa.string()).dictionary_encode().cast(field.type)
        elif field.name == "sequence":
            numbers = np.asarray(given, np.int64)
            array = pa.array(numbers, field.type, mask=numbers < 0)
        else:
            array = pa.array(given, field.type)
        arrays.append(array)
    return pa.Table.from_arrays(arrays, schema=FIELDS)


def _constant(text: str, count: int, kind: pa.DictionaryType) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count), kind.index_type), pa.array([text]))


def _json(**values: Any) -> str:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def bounds(day: date, zone: ZoneInfo) -> tuple[int, int]:
    """Instants at which a local day begins and ends [ms UTC]."""
    return midnight(day, zone), midnight(day + timedelta(days=1), zone)
