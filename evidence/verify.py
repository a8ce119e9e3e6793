"""Checking a bundle without trusting its maker: signature, digests, chain, and every figure computed anew."""

from __future__ import annotations

import base64
import binascii
import filecmp
import hashlib
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from datetime import date
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any, Final

import msgspec
import pyarrow as pa
from pyarrow import parquet as pq

from greenmine.evidence.bundle import (
    FIGURES,
    FORM,
    HOURS,
    KEY,
    MANIFEST,
    REPORT,
    SIGNATURE,
    WORKBOOK,
    Manifest,
    files_in,
    pack,
    pretty,
    report_content,
)
from greenmine.evidence.compute import compute
from greenmine.evidence.differences import differences
from greenmine.evidence.figures import FiguresDocument, hours_table
from greenmine.evidence.from_record import ATTACHMENTS, ATTESTED, Attested
from greenmine.evidence.recompute import days_needed
from greenmine.evidence.report.check import report_differences, workbook_differences
from greenmine.evidence.requirements import DOCUMENTS
from greenmine.evidence.source import ARCHIVE, PROVISIONAL, REGISTRY, Source
from greenmine.record.archive.archive import Archive, Finding
from greenmine.record.archive.archive import verify as verify_chain
from greenmine.record.archive.chain import ChainError
from greenmine.record.archive.signing import PublicKey
from greenmine.registry import RegistryError
from greenmine.reporting import Period
from greenmine.tables import DataFileError

_LONGEST: Final = 366
"""Days of a period."""
_LARGEST: Final = 8 << 30
"""Bytes that a bundle may unpack to."""

_INPUTS: Final = (
    MANIFEST,
    SIGNATURE,
    KEY,
    ATTESTED,
    *(f"{name}/" for name in (REGISTRY, ARCHIVE, PROVISIONAL, DOCUMENTS)),
)

_UNSOUND: Final = (
    RegistryError, DataFileError, ChainError, msgspec.MsgspecError, pa.ArrowException,
    OSError, ValueError, KeyError, TypeError, OverflowError, RuntimeError,
)  # fmt: skip
"""What may be raised by files that their maker signed although they are not what they should be."""

Progress = Callable[[int, int], None]


def verify(bundle: Path, key: PublicKey | None = None, progress: Progress = lambda *_: None) -> list[Finding]:
    """Check a bundle.

    Parameters
    ----------
    bundle : Path
        The zip.
    key : PublicKey, optional
        That it must be signed with; None: the one that it brings along, which shows only that it is whole.
    progress : callable, optional
        Told days computed and their number.

    Returns
    -------
    list of Finding
        Empty if the bundle is what its maker signed, and every figure follows from its raw data.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="greenmine-verify-") as name:
        folder = Path(name)
        faults = list(_unpacked(bundle, folder))
        if faults:
            return faults
        manifest, faults = _manifest(folder, key)
        if manifest is None:
            return faults
        faults += _digests(folder, manifest)
        if any(fault.place.startswith(_INPUTS) for fault in faults):
            return faults  # what the figures rest on is not what was signed
        try:
            whole = not faults  # what is not what was signed need not be drawn anew
            return faults + _content(folder, manifest, key or PublicKey.read(folder / KEY), progress, whole=whole)
        except _UNSOUND as error:
            return [*faults, Finding(bundle.name, f"its figures cannot be computed: {error}")]


def _unpacked(bundle: Path, folder: Path) -> Iterator[Finding]:
    """Unpack into a folder; what is wrong with the zip itself."""
    try:
        with zipfile.ZipFile(bundle) as archive:
            infos = archive.infolist()
            if sum(info.file_size for info in infos) > min(_LARGEST, bundle.stat().st_size):
                yield Finding(bundle.name, "unpacks to more than it holds")
                return
            for info in infos:
                path = PurePosixPath(info.filename)
                if path.is_absolute() or ".." in path.parts or "\\" in info.filename or info.is_dir():
                    yield Finding(f"{bundle.name}: {info.filename!r}", "is no name for a file of a bundle")
                    return
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(info))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, OSError) as error:
        if isinstance(error, OSError) and not bundle.exists():
            raise
        yield Finding(bundle.name, f"is damaged: {error}")
        return
    again = folder.with_suffix(".again")
    try:
        with again.open("wb") as file:
            pack(file, files_in(folder))
        same = filecmp.cmp(again, bundle, shallow=False)
    finally:
        again.unlink(missing_ok=True)
    if not same:
        yield Finding(bundle.name, "is not packed as a bundle is: something in the zip was changed")


def _manifest(folder: Path, key: PublicKey | None) -> tuple[Manifest | None, list[Finding]]:
    try:
        raw, signature = (folder / MANIFEST).read_bytes(), (folder / SIGNATURE).read_bytes()
    except OSError:
        return None, [Finding(MANIFEST, f"or {SIGNATURE} is missing")]
    try:
        given = PublicKey.read(folder / KEY)
    except (OSError, ValueError):
        return None, [Finding(KEY, "is missing or no Ed25519 public key")]
    faults = []
    if key is not None and key != given:
        faults.append(Finding(KEY, f"is the key {given.fingerprint[:16]}…; it had to be {key.fingerprint[:16]}…"))
    try:
        decoded = base64.b64decode(signature.removesuffix(b"\n"), validate=True)
    except binascii.Error:
        decoded = b""
    if signature != base64.b64encode(decoded) + b"\n" or not (key or given).verifies(decoded, raw):
        faults.append(Finding(SIGNATURE, f"is not that of {MANIFEST} by the key {(key or given).fingerprint[:16]}…"))
    try:
        manifest = msgspec.json.decode(raw, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return None, [*faults, Finding(MANIFEST, f"cannot be read: {error}")]
    if manifest.form != FORM:
        return None, [*faults, Finding(MANIFEST, f"has the form {manifest.form!r}; this version knows {FORM!r}")]
    return manifest, faults


def _digests(folder: Path, manifest: Manifest) -> list[Finding]:
    there = {name: content for name, content in files_in(folder) if name not in {MANIFEST, SIGNATURE}}
    faults = []
    for file in manifest.files:
        content = there.pop(file.name, None)
        if content is None:
            faults.append(Finding(file.name, "is missing"))
        elif (len(content), hashlib.sha256(content).hexdigest()) != (file.size, file.sha256):
            faults.append(Finding(file.name, "is not the file that the manifest names"))
    faults.extend(Finding(name, "is not in the manifest") for name in there)
    return faults


def _content(folder: Path, manifest: Manifest, key: PublicKey, progress: Progress, *, whole: bool) -> list[Finding]:
    period = Period(manifest.period, date.fromisoformat(manifest.first), date.fromisoformat(manifest.last))
    if not 0 <= (period.last - period.first).days < _LONGEST:
        return [Finding(MANIFEST, f"names a period from {period.first} to {period.last}")]
    days = {day.isoformat() for day in days_needed(period)}
    faults = verify_chain(Archive(folder / ARCHIVE), manifest.site, key, days=days)
    if faults:
        return faults
    source = Source(folder)
    if source.site.id != manifest.site:
        return [Finding(MANIFEST, f"names the site {manifest.site}; the registry holds {source.site.id}")]
    sealed = {entry.day for entry in source.entries}
    faults.extend(
        Finding(f"{PROVISIONAL}/{path.name}", "is not told of in the manifest, or the day is sealed")
        for path in sorted((folder / PROVISIONAL).glob("*"))
        if path.stem in sealed or (path.stem not in manifest.provisional and _within(path.stem, period))
    )
    faults += _attachments(folder, source.attested)
    written = (folder / FIGURES).read_bytes()
    told = msgspec.json.decode(written, type=FiguresDocument)
    found, figures = compute(source, period, progress)
    bent = differences(FIGURES, told, figures)
    faults += bent
    hours, computed = pq.read_table(folder / HOURS), hours_table(source.registry, found)
    if not hours.equals(computed):  # as on the machine that built it
        faults += differences(HOURS, _columns(hours), _columns(computed))
    del found, hours, computed  # their memory serves for the report
    if whole:
        true, text = (figures, pretty(figures)) if bent else (told, written)
        faults += workbook_differences(folder / WORKBOOK, true, manifest.makers)
        drawn = report_content(manifest, source, true)
        faults += report_differences(folder / REPORT, drawn, text, manifest.makers)
    if faults and manifest.software != (mine := version("greenmine")):
        other = f"names greenmine {manifest.software}; this is {mine}, which may compute and draw otherwise"
        faults.append(Finding(MANIFEST, f"{other}: check with that version as well"))
    return faults


def _attachments(folder: Path, told: Attested) -> list[Finding]:
    """Attached files that are not what the history of handling says."""
    named = {row.digest for row in told.handling if row.kept}
    there = {path.name: path for path in (folder / ATTACHMENTS).glob("*")}
    return [
        *(Finding(f"{ATTACHMENTS}/{name}", "is missing") for name in sorted(named - there.keys(), key=str)),
        *(Finding(f"{ATTACHMENTS}/{name}", f"is not named in {ATTESTED}") for name in sorted(there.keys() - named)),
        *(
            Finding(f"{ATTACHMENTS}/{name}", "does not have the digest that names it")
            for name, path in sorted(there.items())
            if hashlib.sha256(path.read_bytes()).hexdigest() != name
        ),
    ]


def _within(day: str, period: Period) -> bool:
    return period.first.isoformat() <= day <= period.last.isoformat()


def _columns(table: pa.Table) -> dict[str, list[Any]]:
    return {name: table[name].to_pylist() for name in table.column_names}
