"""``greenmine evidence``: build bundles of figures and raw data, and check them."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

import cyclopts
from rich.console import Console
from rich.progress import Progress, TaskID

from greenmine.cli.bounded import Bounds, BoundsError, bounded
from greenmine.evidence.bundle import Installation
from greenmine.evidence.bundle import build as build_bundle
from greenmine.evidence.inclusion import moment
from greenmine.evidence.receipts import Testimony
from greenmine.evidence.verify import Verified
from greenmine.evidence.verify import verify as verify_bundle
from greenmine.loading import load_registry
from greenmine.record.archive.archive import Archive
from greenmine.record.archive.chain import ChainError
from greenmine.record.archive.signing import PublicKey, SigningKey, fingerprints
from greenmine.record.archive.witness import Witnesses, read_receipts
from greenmine.record.record import DatabaseError, migrate, open_engine
from greenmine.registry import RegistryError
from greenmine.reporting import parse_period, reporting_of
from greenmine.settings import Settings
from greenmine.tables import DataFileError
from greenmine.wording.messages import Language

_MEMORY: Final = 480_000_000
_MEMORY_SHARE: Final = 16
"""Memory that a check may take: so much, and for the figures of a long period so many times the bundle beyond `_PLAIN` [bytes]."""
_PLAIN: Final = 8_000_000
_SECONDS: Final = 55.0
_BYTES_A_SECOND: Final = 200_000
"""Processor time that it may take [s], and for how many bytes of the bundle a second more."""

app = cyclopts.App(name="evidence", help="Build evidence bundles for a mine and a period, and check them.")


@app.command
def build(*, site: str, period: str, out: Path, language: Language = "zh", data: Path | None = None) -> None:
    """Build a bundle: report, figures, sealed raw data, registry, limits, manifest and signature in one zip.

    Days that are due are sealed first; days that are not due yet go in as provisional.

    Parameters
    ----------
    site
        Id of the mine; `greenmine registry list` shows them.
    period
        2026-H1 or 2026-H2 (reporting periods), 2026-06-30, 2026-06, 2026-Q2, 2026, or 2026-01-01..2026-03-31.
    out
        The zip to write.
    language
        Of the report: zh or en.
    data
        Directory of the installation. Default: GREENMINE_DATA, or var.
    """
    settings = Settings() if data is None else Settings(data=data)
    if not settings.record.exists():
        raise SystemExit(
            f"greenmine evidence: no record at {settings.record}; start with `greenmine demo` or `greenmine run`"
        )
    try:
        registry = load_registry(settings.registry)
        if site not in (known := [s.id for s in registry.sites]):
            raise SystemExit(f"greenmine evidence: there is no site {site!r}; there are {', '.join(known)}")
        reporting = reporting_of(settings.registry)
        migrate(engine := open_engine(settings.record))
        here = Installation(
            engine,
            registry,
            settings.registry,
            Archive(settings.archive_place),
            SigningKey(settings.keys),
            settings.lateness_hours * 3_600_000,
            settings.attachments,
        )
        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("", total=None)
            manifest = build_bundle(
                here,
                site,
                parse_period(period, reporting),
                out,
                time.time_ns() // 1_000_000,
                lambda what, done, total: bar.update(task, description=what, completed=done, total=total or None),
                language=language,
            )
    except (RegistryError, DataFileError, ChainError, ValueError, OSError, DatabaseError) as error:
        raise SystemExit(f"greenmine evidence build: {error}") from error
    sys.stdout.write(f"{out}: {manifest.site}, {manifest.first} to {manifest.last}, {len(manifest.files)} files\n")
    if manifest.provisional:
        first, last = manifest.provisional[0], manifest.provisional[-1]
        sys.stdout.write(
            f"provisional, more may come for them: {len(manifest.provisional)} days between {first} and {last}\n"
        )


@app.command
def verify(
    bundle: Path,
    /,
    *,
    key: Sequence[Path] = (),
    trust: Path | None = None,
    catalogues: Path | None = None,
    witness: Sequence[Path] = (),
    receipts: Sequence[Path] = (),
    memory: int | None = None,
    seconds: int | None = None,
) -> None:
    """Check a bundle: signature, digests, chain of sealed days, and every figure computed anew. Works offline.

    Says which key it is signed with, and where its catalogues of limits and of all else differ from those that ship. Exits with 0
    if the bundle is whole, by a key that is trusted, and no number of the law was changed; 1 if there are findings, or a legal
    limit was changed; 2 if it was called wrongly; 3 if all is whole but nothing shows whose key it is.

    Parameters
    ----------
    bundle
        The zip.
    key
        Public key of its maker (PEM), as handed out before; may be given several times. Without it and --trust the key in the
        bundle is used, which shows only that the bundle is whole.
    trust
        File of keys that are trusted: in each line the fingerprint of one, and behind it whose it is.
    catalogues
        Directory with limits.toml, parameters.toml and others that are trusted in place of those that ship.
    witness
        Witness that is trusted (PEM): the roots of a time-stamp authority, or the public key of another installation; may be given
        several times.
    receipts
        Receipts that a witness handed out, as `greenmine archive receipts` writes them; may be given several times.
    memory
        Most memory that it may take [MB]. Default: 480, or more for a larger bundle.
    seconds
        Most processor time that it may take [s]. Default: 55, or more for a larger bundle.
    """
    try:
        if not bundle.is_file():
            raise ValueError(f"{bundle}: is not there, or no file")  # noqa: TRY301 - said as the others are
        owners = _trusted(key, trust)
        size = bundle.stat().st_size
        with Progress(console=Console(stderr=True), transient=True) as bar:
            task: TaskID = bar.add_task("computing", total=None)
            found = bounded(
                verify_bundle,
                (bundle, frozenset(owners)),
                {
                    "catalogues": catalogues,
                    "witnesses": Witnesses.read(witness),
                    "receipts": read_receipts(receipts),
                },
                Bounds(
                    _MEMORY + _MEMORY_SHARE * max(0, size - _PLAIN) if memory is None else memory * 1_000_000,
                    _SECONDS + size / _BYTES_A_SECOND if seconds is None else seconds,
                ),
                lambda done, total: bar.update(task, completed=done, total=total),
            )
    except (ValueError, OSError) as error:
        sys.stderr.write(f"greenmine evidence verify: {' '.join(str(error).split())}\n")
        raise SystemExit(2) from error
    except BoundsError as error:
        sys.stdout.write(f"{bundle}: {error}\n")
        raise SystemExit("1 finding") from error
    _tell(bundle, found, owners)


def _trusted(keys: Sequence[Path], trust: Path | None) -> dict[str, str]:
    """Fingerprints that are trusted, and where each is from."""
    owners = {PublicKey.read(path).fingerprint: str(path) for path in keys}
    if trust is not None:
        owners |= fingerprints(trust)
    return owners


def _by_witness(receipts: Sequence[Testimony]) -> dict[str, list[Testimony]]:
    found: dict[str, list[Testimony]] = {}
    for one in receipts:
        found.setdefault(one.witness, []).append(one)
    return found


def _tell(bundle: Path, found: Verified, owners: dict[str, str]) -> None:
    """Print what was found, and exit with its status."""
    say = sys.stdout.write
    for finding in found.findings:
        say(f"{finding.place}: {finding.what}\n")
    if found.key is not None:
        known = [owners[one] for one in (found.key.fingerprint, *reversed(found.earlier)) if one in owners]
        whose = known[0] if known else "nobody that was named; ask its maker on another way"
        say(f"key: {found.key.fingerprint}, of {whose}\n")
        for fingerprint in found.earlier:
            say(f"it took the place of the key {fingerprint}\n")
    mine = version("greenmine")
    for one in found.deviations:
        mark = "legal" if one.legal else "other"
        say(f"deviation ({mark}): {one.place}: {one.told}; greenmine {mine} has {one.trusted}\n")
    for name, some in _by_witness(found.receipts).items():
        whose = "trusted" if some[-1].trusted else "not named with --witness"
        say(f"witness {name} ({whose}): {len(some)} receipts, from {moment(some[0].made)} to {moment(some[-1].made)}\n")
    for remark in found.remarks:
        say(f"remark: {remark}\n")
    if found.deviations:
        say(f"the bundle was made by greenmine {found.software}\n")
    if not found.lawful:
        say("the verdicts are not those of the law: a legal limit, or what it is judged by, was changed\n")
    if found.findings:
        raise SystemExit(f"{len(found.findings)} {'finding' if len(found.findings) == 1 else 'findings'}")
    say(f"{bundle}: whole; every figure follows from the raw data\n")
    if not found.lawful:
        raise SystemExit(1)
    if not found.trusted:
        say("whole, but by an unknown key: give the key that you know with --key or --trust\n")
        raise SystemExit(3)
