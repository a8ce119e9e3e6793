"""What witnesses outside prove of the data of a bundle, and what nobody proves."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise

from greenmine.evidence.inclusion import moment
from greenmine.evidence.source import Source
from greenmine.record.archive.archive import Finding
from greenmine.record.archive.tree import KeptTree
from greenmine.record.archive.witness import KeptStatement, Receipt, Statement, Witnesses, check, statement_of


@dataclass(frozen=True, slots=True)
class Testimony:
    """A receipt that fits the bundle."""

    witness: str
    made: int
    """By the clock of the witness [ms UTC]; by that of the installation if it was kept."""
    size: int
    """Leaves of the tree that the witness was shown."""
    trusted: bool
    """Whether the witness is one that whoever checks named."""
    kept: bool
    """Whether it is a statement that who checks kept, and no receipt."""


def examine(
    receipts: Sequence[Receipt | KeptStatement],
    tree: KeptTree,
    source: Source,
    keys: Collection[str],
    trusted: Witnesses,
) -> tuple[list[Finding], list[Testimony], list[str]]:
    """Compare what witnesses were shown with what a bundle holds.

    Parameters
    ----------
    receipts : sequence of Receipt
        Those of the bundle, others that witnesses handed out, and statements that were kept; of these, some may be for other sites.
    tree : KeptTree
        Of the bundle.
    source : Source
        The bundle itself.
    keys : collection of str
        Fingerprints of the installation's keys.
    trusted : Witnesses
        Whom whoever checks trusts.

    Returns
    -------
    tuple of lists
        What contradicts the bundle; what fits it, the oldest first; and what shows that there is more by now than the bundle has.
    """
    site, chain = source.site.id, source.archive.chain(source.site.id)
    digests = [hashlib.sha256(chain.content(number)).hexdigest() for number in chain.numbers()]
    findings: list[Finding] = []
    fitting: list[tuple[Testimony, Statement]] = []
    bent: list[tuple[Testimony, Statement]] = []
    newer: list[Testimony] = []
    last = max([leaf.made for leaf in tree.leaves] + [entry.sealed for entry in source.entries], default=0)
    for number, receipt in enumerate(receipts):
        kept = isinstance(receipt, KeptStatement)
        place = f"receipt {number} of {receipt.witness}"
        try:
            statement, key, made, genuine = check(receipt, trusted)
        except ValueError as error:
            findings.append(Finding(place, str(error)))
            continue
        if kept and statement.site != site:
            continue
        if statement.site != site or key.fingerprint not in keys:
            findings.append(Finding(place, f"is for {statement.site} of the key {key.fingerprint[:16]}…"))
            continue
        seen = Testimony(receipt.witness, made, statement.tree.size, genuine, kept)
        root = tree.roots.get(statement.tree.size)
        if root == statement.tree.root and _in_chain(statement, digests):
            fitting.append((seen, statement))
        elif root is not None or _another_chain(statement, digests):
            bent.append((seen, statement))
        elif statement.tree.size > max(tree.roots):
            if statement.tree.made > last:
                newer.append(seen)
            else:
                bent.append((seen, statement))
    fitting.sort(key=lambda one: one[0].made)
    findings += _contradictions(bent, fitting, tree, digests)
    for (seen, statement), (after, later) in pairwise(fitting):
        if later.tree.size < statement.tree.size:
            what = f"shows fewer leaves at {moment(after.made)} than that of {seen.witness} at {moment(seen.made)}"
            findings.append(Finding(f"receipt of {after.witness}", what))
    for seen, statement in fitting:
        if abs(statement.tree.made - seen.made) > _APART and statement.tree.made > seen.made:
            what = f"is of {moment(seen.made)}; the installation's clock said {moment(statement.tree.made)}"
            findings.append(Finding(f"receipt of {seen.witness}", what))
    return findings, [seen for seen, _ in fitting], [*_newer(newer, last)]


def _newer(newer: Sequence[Testimony], last: int) -> Iterator[str]:
    """What witnesses were shown after the last thing that a bundle tells: it is older, or its end was cut off."""
    if newer:
        first = min(newer, key=lambda one: (one.made, one.size))
        yield (
            f"what came after {moment(last)} is not in the bundle, although {first.witness} was shown {first.size} leaves at "
            f"{moment(first.made)}: it was built before, or its end was cut off"
        )


def registries(receipts: Sequence[Receipt | KeptStatement], site: str, digest: str) -> Iterator[str]:
    """Registries of a site other than that of the bundle that witnesses were shown, and when; every edit is one."""
    seen: dict[str, list[int]] = {}
    for receipt in receipts:
        with suppress(ValueError):  # what is wrong with it is told elsewhere
            statement, _ = statement_of(receipt.signed)
            if statement.site != site:
                continue
            seen.setdefault(statement.registry, []).append(
                receipt.made if isinstance(receipt, Receipt) else statement.tree.made
            )
    for other, moments in seen.items():
        if other != digest:
            span = f"from {moment(min(moments))} to {moment(max(moments))}"
            yield f"the registry was edited: witnesses were shown another one ({other[:16]}…) {span}"
    if seen and digest not in seen:
        yield "no witness was shown the registry of the bundle"


_APART = 600_000
"""So far may the clocks of an installation and of a witness be apart [ms]."""


def _in_chain(statement: Statement, digests: Sequence[str]) -> bool:
    """Whether the chain that a witness was shown is the beginning of that of the bundle."""
    return statement.entries <= len(digests) and not _another_chain(statement, digests)


def _another_chain(statement: Statement, digests: Sequence[str]) -> bool:
    """Whether the chain of the bundle reaches as far as that which a witness was shown, and is another."""
    return 0 < statement.entries <= len(digests) and digests[statement.entries - 1] != statement.last


def _contradictions(
    bent: Sequence[tuple[Testimony, Statement]],
    fitting: Sequence[tuple[Testimony, Statement]],
    tree: KeptTree,
    digests: Sequence[str],
) -> list[Finding]:
    """The earliest contradiction, with the leaves among which the change is, and from when on it is certain."""
    if not bent:
        return []
    seen, statement = min(bent, key=lambda one: (one[1].tree.size, one[0].made))
    size = statement.tree.size
    first = max((one.tree.size for _, one in fitting if one.tree.size <= size), default=min(tree.roots))
    inside = [leaf for leaf in tree.leaves if first <= leaf.number < size]
    days = sorted({leaf.day for leaf in inside})
    named = f"leaves {first} to {size - 1}" + (f", of {days[0]} to {days[-1]}" if days else "")
    root = tree.roots.get(size)
    what = (
        f"was changed in {named}: {seen.witness} was shown another state"
        if root not in {None, statement.tree.root}
        else f"is shorter than the {size} leaves that {seen.witness} was shown"
        if root is None and not _another_chain(statement, digests)
        else f"has another chain of sealed days than {seen.witness} was shown"
    )
    more = f"; {len(bent) - 1} more receipts say so" if len(bent) > 1 else ""
    return [Finding("tree.parquet", f"{what}; certain for what had come by {moment(seen.made)}{more}")]


def uncertain(seen: Sequence[Testimony], tree: KeptTree) -> Iterator[str]:
    """What nobody outside shows of a tree that is whole, and how long each part of it could be changed.

    Parameters
    ----------
    seen : sequence of Testimony
        Receipts that fit, the oldest first.
    tree : KeptTree
        Of the bundle.
    """
    sure = [one for one in seen if one.trusted]
    if not sure:
        others = ", ".join(sorted({one.witness for one in seen}))
        lacking = (
            f"of a witness that was named; those of {others} may be by the maker itself" if seen else "from outside"
        )
        yield f"no receipt {lacking}: nothing shows that the maker did not change readings before they were sealed"
        return
    waits = []
    reached = tree.first
    for one in sure:
        if one.size <= reached:
            continue
        oldest = tree.leaves[reached - tree.first].made
        if one.kept:
            yield f"leaves {reached} to {one.size - 1} are those of {one.witness}: certain from when that was received"
        else:
            waits.append((one.made - oldest, reached, one.size - 1, oldest, one))
        reached = one.size
    if waits:
        usual = sorted(wait for wait, *_ in waits)[len(waits) // 2]
        yield f"what came may have been changed until a witness saw it, most often within {_span(usual)}, and in the turn before"
    for wait, first, last, oldest, one in sorted(waits, key=lambda each: -each[0])[:_LISTED]:
        if wait > _LONG:
            named = f"leaves {first} to {last}, put in from {moment(oldest)} on"
            yield f"{named}, may have been changed for {_span(wait)}: {one.witness} saw them first at {moment(one.made)}"
    if tree.first + len(tree.leaves) > reached:
        when = moment(tree.leaves[reached - tree.first].made)
        yield f"what was put into the tree from {when} on has no receipt yet: it may have been changed"


_LONG = 6 * 3_600_000
"""Leaves that waited longer for a witness are told one by one [ms]."""
_LISTED = 20


def _span(length: int) -> str:
    hours, minutes = divmod(max(0, round(length / 60_000)), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
