"""Checking an evidence bundle as ``greenmine evidence verify`` does: the check, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from greenmine.evidence.inclusion import moment
from greenmine.evidence.receipts import Testimony
from greenmine.evidence.verify import Verified, verify
from greenmine.record.archive.signing import PublicKey, fingerprints
from greenmine.record.archive.witness import Witnesses, read_receipts


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
) -> tuple[list[str], int | str]:
    """Check a bundle; the parameters are those of the command.

    Returns
    -------
    tuple
        Lines that say what was found, and the status to exit with.

    Raises
    ------
    ValueError, OSError
        If the command was called wrongly.
    """
    owners = {PublicKey.read(path).fingerprint: str(path) for path in key}
    if trust is not None:
        owners |= fingerprints(trust)
    found = verify(
        bundle,
        frozenset(owners),
        progress,
        catalogues=catalogues,
        witnesses=Witnesses.read(witness),
        receipts=read_receipts(receipts),
        workspace=workspace,
    )
    lines = [f"{finding.place}: {finding.what}" for finding in found.findings]
    lines += _about(found, owners)
    lines = ["".join(sign if sign.isprintable() else "\ufffd" for sign in line) for line in lines]  # texts of its maker
    if found.findings:
        return lines, f"{len(found.findings)} {'finding' if len(found.findings) == 1 else 'findings'}"
    lines.append(f"{bundle}: whole; every figure follows from the raw data")
    if found.lawful and not found.trusted:
        lines.append("whole, but by an unknown key: give the key that you know with --key or --trust")
    return lines, 1 if not found.lawful else 0 if found.trusted else 3


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
    for name, some in _by_witness(found.receipts).items():
        whose = "trusted" if some[-1].trusted else "not named with --witness"
        span = f"from {moment(some[0].made)} to {moment(some[-1].made)}"
        lines.append(f"witness {name} ({whose}): {len(some)} receipts, {span}")
    lines += [f"remark: {remark}" for remark in found.remarks]
    if found.deviations:
        lines.append(f"the bundle was made by greenmine {found.software}")
    if not found.lawful:
        lines.append("the verdicts are not those of the law: a legal limit, or what it is judged by, was changed")
    return lines


def _by_witness(receipts: Sequence[Testimony]) -> dict[str, list[Testimony]]:
    found: dict[str, list[Testimony]] = {}
    for one in receipts:
        found.setdefault(one.witness, []).append(one)
    return found
