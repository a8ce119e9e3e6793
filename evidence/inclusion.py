"""Whether all that a bundle holds of its days is in the hash tree, and all that the tree has of them in the bundle."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import suppress
from datetime import UTC

import pyarrow as pa
import pyarrow.compute as pc

from greenmine.evidence.source import Source
from greenmine.record.archive.archive import Finding, parts_of
from greenmine.record.archive.tree import KeptTree, by_leaf
from greenmine.times import local

_BACKWARDS = 60_000
"""So far may a clock be set back that is kept right [ms]."""
_UNBOUND = frozenset({"ledger", "gap"})
"""Kinds of rows that are counted as messages come, and so are no leaves."""
_WAITED = 3_600_000
"""What came so long before it was put into the tree is told of [ms]: it waited, or was put in afterwards."""


def inclusion(source: Source, tree: KeptTree, place: str) -> tuple[list[Finding], list[str], set[str]]:
    """Check each day of a bundle against the tree.

    Parameters
    ----------
    source : Source
        The bundle.
    tree : KeptTree
        Its part of the tree.
    place : str
        Name of its file.

    Returns
    -------
    tuple
        Findings; remarks on what is no fault by itself; and devices that do not number their messages.
    """
    found = [*_clock(tree, place), *_heads(source, tree, place)]
    remarks: list[str] = []
    unnumbered: set[str] = set()
    held: dict[str, set[int]] = defaultdict(set)
    unbound: set[str] = set()
    days = source.days
    for day in days:
        for name, file in source.files(day):
            latest: list[int] = []
            unproven: set[str] = set()
            for part in parts_of(file, ["kind", "device", "sequence", "leaf"]):
                bare = pc.and_(pc.equal(part["kind"].cast(pa.string()), "reading"), part["sequence"].is_null())
                unnumbered.update(filter(None, part.filter(bare)["device"].cast(pa.string()).unique().to_pylist()))
                unproven.update(part.filter(part["leaf"].is_null())["kind"].cast(pa.string()).unique().to_pylist())
            for number, content, received in by_leaf(parts_of(file)):
                leaf = tree.leaf(number)
                if leaf is None or leaf.day != day or leaf.digest != content or number in held[day]:
                    when = f", put in at {moment(leaf.made)}" if leaf is not None else ""
                    found.append(Finding(name, f"its rows of leaf {number} are not those of the tree{when}"))
                elif received > leaf.made + _BACKWARDS:
                    found.append(
                        Finding(name, f"leaf {number} was put in at {moment(leaf.made)}, before what is in it came")
                    )
                elif leaf.made - received > _WAITED:
                    latest.append(number)
                held[day].add(number)
            unbound |= unproven & _UNBOUND
            if not unproven <= _UNBOUND:
                found.append(Finding(name, "holds rows that are in no leaf of the tree"))
            if latest:
                waited = f"{len(latest)} leaves from {latest[0]} on"
                remarks.append(f"{name}: {waited} were put in over an hour after their rows came")
    known = set(days)
    last = max([*days, *_begun(source, tree)], default="")
    ahead: list[int] = []
    for leaf in tree.leaves:
        if leaf.day not in source.wanted or leaf.number in held.get(leaf.day, ()):
            continue
        if leaf.day > last:
            ahead.append(leaf.number)
            continue
        what = "its file" if leaf.day in known else "the bundle"
        found.append(
            Finding(f"{leaf.day}, leaf {leaf.number}", f"put in at {moment(leaf.made)}, is missing from {what}")
        )
    if ahead:
        remarks.append(
            f"{len(ahead)} leaves from {ahead[0]} on are of days that had not begun: they are not in the bundle"
        )
    remarks += _before(source, tree, known)
    if unbound:
        named = " and ".join(sorted(unbound))
        remarks.append(
            f"rows of {named} are in no leaf of the tree: what they say may have been changed until their day was sealed"
        )
    return found, remarks, unnumbered


def _before(source: Source, tree: KeptTree, known: Collection[str]) -> Iterator[str]:
    """Days of which a bundle has nothing, although leaves of theirs may be among those in front of its part of the tree."""
    first = min((leaf.day for leaf in tree.leaves), default="9999")
    if tree.first and (empty := sorted(day for day in source.wanted if day < first and day not in known)):
        yield (
            f"nothing of {', '.join(empty)} is in the bundle: whether anything had come for these days cannot be seen, "
            f"as the {tree.first} leaves in front of its part of the tree may be of them"
        )


def _begun(source: Source, tree: KeptTree) -> Iterator[str]:
    """The local day on which the last leaf was put in: it had begun, so whatever the tree has of it and before is in a bundle."""
    for leaf in tree.leaves[-1:]:
        with suppress(OverflowError, ValueError, OSError):
            yield local(leaf.made, source.site.zone).date().isoformat()


def _clock(tree: KeptTree, place: str) -> Iterator[Finding]:
    before = 0
    for leaf in tree.leaves:
        if leaf.made < before - _BACKWARDS:
            yield Finding(
                place, f"leaf {leaf.number} is of {moment(leaf.made)}, before that of the leaf in front of it"
            )
        before = max(before, leaf.made)


def _heads(source: Source, tree: KeptTree, place: str) -> Iterator[Finding]:
    """Roots that entries of the chain name; those from before the first leaf cannot be told."""
    for entry in source.entries:
        if (root := tree.roots.get(entry.tree.size)) is not None and root != entry.tree.root:
            yield Finding(
                place, f"has another root at {entry.tree.size} leaves than entry {entry.number}, of {entry.day}"
            )
        elif root is None and tree.leaves and entry.tree.size > tree.leaves[0].number:
            yield Finding(place, f"is shorter than the {entry.tree.size} leaves that entry {entry.number} names")


def moment(instant: int) -> str:
    """An instant [ms UTC] as people read it."""
    try:
        return f"{local(instant, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):
        return f"{instant} ms"
