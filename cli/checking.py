"""Checking an evidence bundle as ``greenmine evidence verify`` does: the check, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from greenmine.evidence.bounded import Onward
from greenmine.evidence.inclusion import moment
from greenmine.evidence.receipts import Testimony
from greenmine.evidence.verify import Verified, drawings_checked, figures_checked
from greenmine.record.archive.archive import Finding
from greenmine.record.archive.signing import PublicKey, fingerprints
from greenmine.record.archive.witness import Witnesses, read_receipts

_LONGEST: Final = 2_000
"""Characters of a line: what a bundle says of itself may have millions."""


def checked(
    bundle: Path,
    progress: Callable[[int, int], None],
    *,
    key: Sequence[Path],
    trust: Path | None,
    catalogues: Path | None,
    witness: Sequence[Path],
    receipts: Sequence[Path],
    workspace: Path,
) -> tuple[list[str], int | str] | Onward:
    """Check a bundle; the parameters are those of the command.

    Returns
    -------
    tuple or Onward
        Lines that say what was found, and the status to exit with.

    Raises
    ------
    ValueError, OSError
        If the command was called wrongly.
    """
    owners = {PublicKey.read(path).fingerprint: str(path) for path in key}
    if trust is not None:
        owners |= fingerprints(trust)
    folder = workspace / "bundle"
    folder.mkdir()
    found = figures_checked(
        bundle,
        folder,
        frozenset(owners),
        progress,
        catalogues=catalogues,
        witnesses=Witnesses.read(witness),
        receipts=read_receipts(receipts),
    )
    said = Said(_about(found, owners), lawful=found.lawful, trusted=found.trusted)
    if found.undrawn:
        return Onward(_drawn, (bundle, found.findings, said))
    return _told(bundle, found.findings, said)


@dataclass(frozen=True, slots=True)
class Said:
    """What is to be said of a bundle besides the findings."""

    lines: list[str]
    lawful: bool
    trusted: bool


def _drawn(
    bundle: Path, found: list[Finding], said: Said, _progress: Callable[[int, int], None], *, workspace: Path, **_: Any
) -> tuple[list[str], int | str]:
    return _told(bundle, drawings_checked(workspace / "bundle", found), said)


def _told(bundle: Path, found: Sequence[Finding], said: Said) -> tuple[list[str], int | str]:
    lines = [f"{finding.place}: {finding.what}" for finding in found] + said.lines
    lines = ["".join(sign if sign.isprintable() else "\ufffd" for sign in line) for line in lines]  # texts of its maker
    lines = [line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…" for line in lines]
    if found:
        return lines, f"{len(found)} {'finding' if len(found) == 1 else 'findings'}"
    lines.append(f"{bundle}: whole; every figure follows from the raw data")
    if said.lawful and not said.trusted:
        lines.append("whole, but by an unknown key: give the key that you know with --key or --trust")
    return lines, 1 if not said.lawful else 0 if said.trusted else 3


def _about(found: Verified, owners: dict[str, str]) -> list[str]:
    """What is to be known besides the findings: key, deviations, witnesses and remarks."""
    lines = []
    if found.key is not None:
        known = [owners[one] for one in (found.key.fingerprint, *reversed(found.earlier)) if one in owners]
        whose = known[0] if known else "nobody that was named; ask its maker on another way"
        lines.append(f"key: {found.key.fingerprint}, of {whose}")
        lines += [f"it took the place of the key {fingerprint}" for fingerprint in found.earlier]
    mine = version("greenmine")
    for one in found.deviations:
        mark = "legal" if one.legal else "other"
        lines.append(f"deviation ({mark}): {one.place}: {one.told}; greenmine {mine} has {one.trusted}")
    for name, some in _by_witness(found.receipts):
        whose = "trusted" if some[-1].trusted else "not named with --witness: may be the maker itself"
        span = f"from {moment(some[0].made)} to {moment(some[-1].made)}"
        what = "statements that were kept; their times are the maker's word" if some[-1].kept else f"receipts, {span}"
        lines.append(f"witness {name} ({whose}): {len(some)} {what}")
    lines += [f"remark: {remark}" for remark in found.remarks]
    if found.deviations:
        lines.append(f"the bundle was made by greenmine {found.software}")
    if not found.lawful:
        lines.append("the verdicts are not those of the law: a legal limit, or what it is judged by, was changed")
    return lines


def _by_witness(receipts: Sequence[Testimony]) -> list[tuple[str, list[Testimony]]]:
    """Receipts of each witness; those of one that was named are kept apart from others that say its name."""
    found: dict[tuple[str, bool, bool], list[Testimony]] = {}
    for one in receipts:
        found.setdefault((one.witness, one.trusted, one.kept), []).append(one)
    return [(name, some) for (name, *_), some in found.items()]
