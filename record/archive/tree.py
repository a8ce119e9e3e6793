"""The hash tree of a site (RFC 6962, 2.1): what was received, leaf by leaf in the order in which it came."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from numpy.typing import NDArray
from pyarrow import parquet as pq

from greenmine.record import schema
from greenmine.record.archive.chain import Through, TreeHead

_PACKED: Final = np.dtype(
    [
        ("kind", "V32"), ("channel", "V32"), ("device", "V32"), ("time", "<i8"), ("value", "<f8"), ("flag", "V32"),
        ("quality", "u1"), ("received", "<i8"), ("sequence", "<i8"), ("detail", "V32"),
    ]
)  # fmt: skip
"""A row as it is hashed: texts by their SHA-256, nothing as zero, no value as NaN, no sequence number as -1."""
_ABSENT: Final = {"value": float("nan"), "sequence": -1}


class Leaf(msgspec.Struct, frozen=True):
    """What was received for a local day between one turn and the next."""

    number: int
    """Place in the tree, from 0."""
    day: str
    """``YYYY-MM-DD``."""
    made: int
    """When it was put into the tree [ms UTC]: all of it had come by then."""
    digest: str
    """Of its rows, see `digest`; hexadecimal."""

    def hashed(self, site: str) -> bytes:
        """Hash of the leaf."""
        return _leaf(msgspec.json.encode(msgspec.structs.asdict(self) | {"site": site}, order="deterministic"))


class Frontier:
    """The full subtrees of a tree, from which its root follows, and that of any tree that goes on from it.

    Parameters
    ----------
    size : int
        Leaves.
    nodes : sequence of bytes
        Roots of the full subtrees, the largest first.

    Raises
    ------
    ValueError
        If a tree of this size has another number of them.
    """

    def __init__(self, size: int = 0, nodes: Sequence[bytes] = ()) -> None:
        if size < 0 or size.bit_count() != len(nodes) or any(len(node) != 32 for node in nodes):
            raise ValueError(f"a tree of {size} leaves does not have {len(nodes)} full subtrees")
        self.size, self.nodes = size, list(nodes)

    def append(self, hashed: bytes) -> None:
        """Put a leaf's hash behind all others."""
        full = self.size
        while full & 1:
            hashed = _node(self.nodes.pop(), hashed)
            full >>= 1
        self.nodes.append(hashed)
        self.size += 1

    @property
    def root(self) -> str:
        """Root hash, in hexadecimal."""
        if not self.nodes:
            return hashlib.sha256(b"").hexdigest()
        *others, found = self.nodes
        for node in reversed(others):
            found = _node(node, found)
        return found.hex()


class Root(msgspec.Struct, frozen=True):
    """State of a tree after a turn."""

    head: TreeHead
    through: Through
    """Rows of the record that are in it."""
    frontier: Frontier


def digest(parts: Iterable[NDArray[np.void]]) -> str | None:
    """SHA-256 of packed rows, in hexadecimal; they come part by part. None if there is no row."""
    found, count = hashlib.sha256(), 0
    for rows in parts:
        found.update(rows.tobytes())
        count += len(rows)
    return found.hexdigest() if count else None


def packed(table: pa.Table) -> NDArray[np.void]:
    """Rows of a sealed table as they are hashed, in its order."""
    out = np.zeros(table.num_rows, _PACKED)
    for name in _PACKED.names or ():
        column = table[name].combine_chunks()
        if _PACKED[name].kind == "V":
            out[name] = _texts(column)
        else:
            column = column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
            out[name] = column.fill_null(_ABSENT.get(name, 0)).to_numpy(zero_copy_only=False)
    out["value"][np.isnan(out["value"])] = np.nan  # one form of it
    return out


def by_leaf(parts: Iterable[pa.Table]) -> Iterator[tuple[int, str, int]]:
    """Leaves of the rows of a sealed file that came in through the tree: number, digest, and the latest receipt [ms UTC].

    The file comes part by part in its order, and no more than a part is held.
    """
    hashes: dict[int, Any] = {}
    latest: dict[int, int] = {}
    for part in parts:
        table = part.filter(part["leaf"].is_valid())
        rows, leaf = packed(table), table["leaf"].to_numpy()
        order = np.argsort(leaf, kind="stable")
        numbers, starts = np.unique(leaf[order], return_index=True)
        for number, some in zip(numbers.tolist(), np.split(rows[order], starts[1:]), strict=len(numbers) > 0):
            hashes.setdefault(number, hashlib.sha256()).update(some.tobytes())
            latest[number] = max(latest.get(number, 0), int(some["received"].max()))
    for number in sorted(hashes):
        yield number, hashes[number].hexdigest(), latest[number]


def newest(connection: sa.Connection, site: str) -> Root | None:
    """The tree of a site as the record has it; None before its first turn."""
    table = schema.tree_root
    row = connection.execute(
        sa.select(table).where(table.c.site == site).order_by(table.c.size.desc(), table.c.made.desc()).limit(1)
    ).first()
    if row is None:
        return None
    nodes = [row.frontier[start : start + 32] for start in range(0, len(row.frontier), 32)]
    through = msgspec.json.decode(row.through, type=Through)
    return Root(TreeHead(row.size, row.root, row.made), through, Frontier(row.size, nodes))


def grown(
    connection: sa.Connection,
    site: str,
    last: Root | None,
    leaves: Iterable[tuple[str, str]],
    through: Through,
    now: int,
) -> Root:
    """Store leaves (day and digest of each) behind those of a tree, and the root that follows."""
    frontier = Frontier() if last is None else Frontier(last.frontier.size, last.frontier.nodes)
    bounds = msgspec.structs.asdict(through)
    for day, content in leaves:
        leaf = Leaf(frontier.size, day, now, content)
        frontier.append(leaf.hashed(site))
        connection.execute(sa.insert(schema.tree_leaf).values(site=site, **msgspec.structs.asdict(leaf), **bounds))
    head = TreeHead(frontier.size, frontier.root, now)
    connection.execute(
        sa.insert(schema.tree_root).values(
            site=site, size=head.size, root=head.root, made=now, frontier=b"".join(frontier.nodes),
            through=msgspec.json.encode(through).decode(),
        )
    )  # fmt: skip
    return Root(head, through, frontier)


def leaves_of(connection: sa.Connection, site: str, first: int = 0) -> list[Leaf]:
    """Leaves of a site from a number on."""
    c = schema.tree_leaf.c
    chosen = sa.select(c.number, c.day, c.made, c.digest).where(c.site == site, c.number >= first).order_by(c.number)
    return [Leaf(**row) for row in connection.execute(chosen).mappings()]


def numbering(connection: sa.Connection, site: str, day: str) -> dict[str, Any]:
    """Leaves of a day by the highest row of each table that is in them: which leaf a row is in follows from its number."""
    c = schema.tree_leaf.c
    rows = connection.execute(sa.select(schema.tree_leaf).where(c.site == site, c.day == day).order_by(c.number)).all()
    found = {name: np.array([getattr(row, name) for row in rows], np.int64) for name in Through.__struct_fields__}
    return found | {"number": np.array([row.number for row in rows], np.int32)}


def kept_tree(engine: sa.Engine, site: str, days: Collection[str], size: int) -> bytes:
    """The part of a tree of so many leaves that shows rows of these days to be in it, as a Parquet file.

    Its leaves begin with the first of those days; ``before`` in its metadata are the full subtrees of all leaves before them.
    """
    with engine.connect() as connection:
        leaves = leaves_of(connection, site)[:size]
    first = next((leaf.number for leaf in leaves if leaf.day in days), len(leaves))
    before = Frontier()
    for leaf in leaves[:first]:
        before.append(leaf.hashed(site))
    kept = leaves[first:]
    columns = {
        "day": [leaf.day for leaf in kept],
        "made": [leaf.made for leaf in kept],
        "digest": [bytes.fromhex(leaf.digest) for leaf in kept],
    }
    told = {"first": str(first), "before": b"".join(before.nodes).hex()}
    table = pa.Table.from_pydict(columns, schema=_LEAVES.with_metadata(told))
    buffer = io.BytesIO()
    pq.write_table(
        table, buffer, compression="zstd", use_dictionary=["day"], column_encoding={"made": "DELTA_BINARY_PACKED"}
    )
    return buffer.getvalue()


class KeptTree:
    """A tree as a bundle has it.

    Parameters
    ----------
    content : bytes
        From `kept_tree`.
    site : str
        Whose.

    Raises
    ------
    ValueError, ArrowException
        If it is nothing of the kind.
    """

    def __init__(self, content: bytes, site: str) -> None:
        file = pq.ParquetFile(pa.BufferReader(content))
        if not file.schema_arrow.equals(_LEAVES) or file.metadata.num_rows > _MOST:
            raise ValueError("is not the tree of a bundle")
        told = file.schema_arrow.metadata or {}
        first, before = int(told.get(b"first", b"x")), bytes.fromhex(told.get(b"before", b"x").decode())
        nodes = [before[start : start + 32] for start in range(0, len(before), 32)]
        frontier = Frontier(first, nodes)
        self.first = first
        """Number of the first leaf that is kept."""
        self.roots = {first: frontier.root}
        """Root by size, from that of the first leaf on."""
        self.leaves: list[Leaf] = []
        columns = file.read().to_pydict()
        for number, (day, made, content_digest) in enumerate(zip(*columns.values(), strict=True), start=first):
            leaf = Leaf(number, day, made, content_digest.hex())
            self.leaves.append(leaf)
            frontier.append(leaf.hashed(site))
            self.roots[frontier.size] = frontier.root

    def leaf(self, number: int) -> Leaf | None:
        """A leaf by its number; None if it is not among those kept."""
        place = number - self.first
        return self.leaves[place] if 0 <= place < len(self.leaves) else None


_LEAVES: Final = pa.schema(
    [
        pa.field("day", pa.string(), nullable=False),
        pa.field("made", pa.int64(), nullable=False),
        pa.field("digest", pa.binary(32), nullable=False),
    ]
)
_MOST: Final = 2_000_000
"""Leaves of a bundle."""


def _texts(column: pa.Array) -> NDArray[np.void]:
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    hashes = [b"" if text is None else hashlib.sha256(text.encode()).digest() for text in column.dictionary.to_pylist()]
    known = np.array([*hashes, b""], "V32")
    codes = column.indices.cast(pa.int64()).fill_null(len(hashes)).to_numpy(zero_copy_only=False)
    found: NDArray[np.void] = known[codes]
    return found


def _leaf(content: bytes) -> bytes:
    return hashlib.sha256(b"\0" + content).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()
