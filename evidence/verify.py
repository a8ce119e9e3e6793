"""Checking a bundle without trusting its maker: signature, digests, chain, and every figure computed anew."""

from __future__ import annotations

import base64
import binascii
import filecmp
import hashlib
import io
import shutil
import stat
import struct
import tempfile
import zipfile
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
from pyarrow import parquet as pq

from greenmine.evidence.bundle import (
    ABOUT,
    FIGURES,
    FORM,
    HOURS,
    KEY,
    KEYS,
    MANIFEST,
    README,
    REPORT,
    SIGNATURE,
    TREE,
    WORKBOOK,
    Manifest,
    pack,
    pretty,
    report_content,
    settled,
)
from greenmine.evidence.compute import compute
from greenmine.evidence.deviations import Departure, deviations, stated_deviations
from greenmine.evidence.differences import differences
from greenmine.evidence.figures import FiguresDocument, hours_table
from greenmine.evidence.from_record import ATTACHMENTS, FROM_RECORD, FromRecord
from greenmine.evidence.inclusion import inclusion
from greenmine.evidence.memory import release_memory
from greenmine.evidence.receipts import Testimony, examine, registries, uncertain
from greenmine.evidence.report.check import report_differences, workbook_differences
from greenmine.evidence.report.document import makers
from greenmine.evidence.report.font import FontMissingError
from greenmine.evidence.requirements import DOCUMENTS
from greenmine.evidence.signatures import signature_faults
from greenmine.evidence.site_registry import digest_in, files_in, names_in, write_site_registry
from greenmine.evidence.source import ARCHIVE, PROVISIONAL, RECEIPTS, REGISTRY, Source
from greenmine.record.archive.archive import Finding
from greenmine.record.archive.archive import verify as verify_chain
from greenmine.record.archive.chain import ChainError
from greenmine.record.archive.signing import Keyring, PublicKey, Succession
from greenmine.record.archive.tree import KeptTree
from greenmine.record.archive.witness import KeptStatement, Receipt, Witnesses
from greenmine.registry import RegistryError
from greenmine.reporting import Period
from greenmine.tables import DataFileError

_LONGEST: Final = 366
"""Days of a period."""
_LARGEST: Final = 8 << 30
"""Bytes that a bundle may unpack to."""
_DIRECTORY: Final = 16 << 20
"""Longest table of contents of a zip [bytes], some hundred thousand files."""
_TEXTS: Final = {
    MANIFEST: 32 << 20,
    SIGNATURE: 1 << 10,
    KEY: 1 << 10,
    KEYS: 1 << 20,
    RECEIPTS: 32 << 20,
    FROM_RECORD: 64 << 20,
    FIGURES: 64 << 20,
}
"""Longest texts by name [bytes]."""
_TEXT: Final = 4 << 20
"""Longest file of the registry [bytes]."""
_NAME: Final = 240
"""Longest name [bytes]."""
_TOP: Final = frozenset(
    {MANIFEST, SIGNATURE, KEY, KEYS, FIGURES, HOURS, REPORT, WORKBOOK, FROM_RECORD, README, TREE, RECEIPTS}
)
"""Files of a bundle that are in no folder."""
_FOLDERS: Final = frozenset({REGISTRY, ARCHIVE, PROVISIONAL, DOCUMENTS, ATTACHMENTS})
_LINK: Final = 1 << 16
"""Longest entry of a chain [bytes]."""
_FILE: Final = 256 << 20
"""Longest other file [bytes]."""

_NOBODY: Final = Witnesses()

_INPUTS: Final = (
    MANIFEST,
    SIGNATURE,
    KEY,
    KEYS,
    TREE,
    RECEIPTS,
    FROM_RECORD,
    *(f"{name}/" for name in (REGISTRY, ARCHIVE, PROVISIONAL, DOCUMENTS)),
)

_UNSOUND: Final = (
    RegistryError, DataFileError, ChainError, msgspec.MsgspecError, pa.ArrowException,
    OSError, ValueError, KeyError, TypeError, OverflowError, RuntimeError,
)  # fmt: skip
"""What may be raised by files that their maker signed although they are not what they should be."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found out about a bundle."""

    findings: list[Finding]
    """Empty if the bundle is what its maker signed, and every figure follows from its raw data."""
    key: PublicKey | None = None
    """That it is signed with; None if it has none."""
    trusted: bool = False
    """Whether that key is one of those given."""
    deviations: list[Departure] = field(default_factory=list)
    """Of its catalogues from those that are trusted."""
    software: str = ""
    """Version of greenmine that made it, as it says."""
    remarks: list[str] = field(default_factory=list)
    """What is no fault, and should be known."""
    receipts: list[Testimony] = field(default_factory=list)
    """Receipts of witnesses outside that fit, the oldest first."""
    earlier: tuple[str, ...] = ()
    """Fingerprints of the keys whose place that key took, the oldest first."""
    undrawn: bool = False
    """Whether report and workbook are still to be compared, with the figures that `figures_checked` left in the folder."""

    @property
    def lawful(self) -> bool:
        """Whether no number of the law was changed."""
        return not any(deviation.legal for deviation in self.deviations)


def verify(
    bundle: Path,
    keys: Collection[str] = (),
    progress: Progress = lambda *_: None,
    *,
    catalogues: Path | None = None,
    witnesses: Witnesses = _NOBODY,
    receipts: Sequence[Receipt | KeptStatement] = (),
    workspace: Path | None = None,
) -> Verified:
    """Check a bundle: `figures_checked`, and then `drawings_checked`.

    Parameters
    ----------
    workspace : Path, optional
        Where to unpack; None: a directory for temporary files. The others are those of `figures_checked`.
    """
    with tempfile.TemporaryDirectory(prefix="greenmine-verify-", dir=workspace) as name:
        found = figures_checked(
            bundle, Path(name), keys, progress, catalogues=catalogues, witnesses=witnesses, receipts=receipts
        )
        return replace(found, findings=drawings_checked(Path(name), found.findings)) if found.undrawn else found


def figures_checked(
    bundle: Path,
    folder: Path,
    keys: Collection[str] = (),
    progress: Progress = lambda *_: None,
    *,
    catalogues: Path | None = None,
    witnesses: Witnesses = _NOBODY,
    receipts: Sequence[Receipt | KeptStatement] = (),
) -> Verified:
    """Check all of a bundle but whether report and workbook say what the figures do.

    Parameters
    ----------
    bundle : Path
        The zip.
    folder : Path
        Empty; it is unpacked there.
    keys : collection of str
        Fingerprints of keys that are trusted; it must be signed with one of them, or with one that they named. Empty: with the one
        that it brings along, which shows only that it is whole.
    progress : callable, optional
        Told days computed and their number.
    catalogues : Path, optional
        Directory of catalogues that are trusted, see `deviations`.
    witnesses : Witnesses, optional
        Those that are trusted.
    receipts : sequence of Receipt or KeptStatement
        That witnesses handed out, or that were kept, besides those of the bundle.

    Raises
    ------
    OSError
        If the file cannot be read.
    DataFileError
        If a catalogue that is to be trusted is not sound.
    """
    faults = list(_unpacked(bundle, folder))
    if faults:
        return Verified(faults)
    known = frozenset(keys)
    manifest, ring, faults = _manifest(folder, known)
    key = None if ring is None else ring.newest
    if manifest is None or ring is None:
        return Verified(faults, key)
    trusted = not known.isdisjoint(ring.fingerprints)
    faults += _digests(folder, manifest)
    if any(fault.place.startswith(_INPUTS) for fault in faults):
        return Verified(faults, key, trusted, software=manifest.software)  # figures rest on what was not signed
    remarks = [*_made_otherwise(folder, manifest)]
    seen: list[Testimony] = []
    try:
        source = _source(folder, manifest)
    except _UNSOUND as error:
        stated = stated_deviations(folder, catalogues)
        return Verified([*faults, _uncomputable(bundle.name, error)], key, trusted, stated, manifest.software)
    deviating = deviations(source, catalogues)
    whole = not faults  # what is not what was signed need not be drawn anew
    undrawn = False
    try:
        raw, seen, open_ = verify_raw(folder, source, ring, receipts, witnesses)
        faults += raw
        remarks += open_
        if not raw:
            release_memory()
            faults += _content(folder, manifest, source, progress)
            undrawn = whole
            if not whole:
                faults += _of_another_version(manifest)
    except _UNSOUND as error:
        faults.append(_uncomputable(bundle.name, error))
    return Verified(
        faults, key, trusted, deviating, manifest.software, remarks, seen, ring.fingerprints[:-1], undrawn=undrawn
    )


def drawings_checked(folder: Path, before: list[Finding]) -> list[Finding]:
    """Compare report and workbook of a bundle with the figures that `figures_checked` left.

    Parameters
    ----------
    folder : Path
        Where that unpacked it.
    before : list of Finding
        What it found.

    Returns
    -------
    list of Finding
        Those before, and what is found now.
    """
    manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    faults = list(before)
    try:
        text = (folder / FIGURES).read_bytes()
        figures = msgspec.json.decode(text, type=FiguresDocument)
        faults += workbook_differences(folder / WORKBOOK, figures, manifest.makers)
        content = report_content(manifest, _source(folder, manifest), figures)
        del figures
        release_memory()
        faults += report_differences(folder / REPORT, content, text, manifest.makers)
    except _UNSOUND as error:
        faults.append(_uncomputable(REPORT, error))
    return faults + (_of_another_version(manifest) if faults else [])


def _of_another_version(manifest: Manifest) -> list[Finding]:
    mine = version("greenmine")
    if manifest.software == mine:
        return []
    other = f"names greenmine {manifest.software}; this is {mine}, which may compute and draw otherwise"
    return [Finding(MANIFEST, f"{other}: check with that version as well")]


def _made_otherwise(folder: Path, manifest: Manifest) -> Iterator[str]:
    """What is compared less closely, as the manifest says that other versions made it; its maker may say so of anything."""
    try:
        mine = makers()
    except FontMissingError:
        return  # the report cannot be drawn anew, which is a finding
    told = {name: manifest.makers.get(name) for name in mine}
    if told["xlsxwriter"] != mine["xlsxwriter"]:
        yield (
            f"{WORKBOOK} is told to be written by xlsxwriter {told['xlsxwriter']}, here is {mine['xlsxwriter']}: its cells are "
            "compared, and not how they are shown (formats, hidden rows)"
        )
    others = [name for name in mine if name != "xlsxwriter" and told[name] != mine[name]]
    if others:
        yield (
            f"{REPORT} is told to be drawn by another {' and '.join(others)} than is here: its text is compared, and its looks "
            "roughly; look at it, and draw it with those"
        )
    readme = folder / README
    if manifest.software != version("greenmine") and not (readme.is_file() and readme.read_bytes() == ABOUT):
        yield f"{README} is not that of this version, and was not compared; the manifest names greenmine {manifest.software}"


def _source(folder: Path, manifest: Manifest) -> Source:
    return Source(folder, _period(manifest))


def _uncomputable(place: str, error: Exception) -> Finding:
    return Finding(place, f"its figures cannot be computed: {' '.join(str(error).split())}")


def _unpacked(bundle: Path, folder: Path) -> Iterator[Finding]:
    """Unpack into a folder; what is wrong with the zip itself."""
    try:
        if _directory_size(bundle) > _DIRECTORY:
            yield Finding(bundle.name, "names more files than a bundle has")
            return
        with zipfile.ZipFile(bundle) as archive:
            infos = archive.infolist()
            if wrong := _misnamed(infos):
                yield Finding(f"{bundle.name}: {wrong[0][:_LINK_SHOWN]!r}", wrong[1])
                return
            if sum(info.file_size for info in infos) > min(_LARGEST, bundle.stat().st_size):
                yield Finding(bundle.name, "unpacks to more than it holds")
                return
            for info in infos:
                target = folder / info.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(info) as file, target.open("wb") as copy:
                    shutil.copyfileobj(file, copy)
    except (
        zipfile.BadZipFile,
        RuntimeError,
        EOFError,
        ValueError,
        struct.error,
        OSError,
    ) as error:
        if isinstance(error, OSError) and not bundle.exists():
            raise
        yield Finding(bundle.name, f"is damaged: {getattr(error, 'strerror', None) or error}")
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


_LINK_SHOWN: Final = 100
"""Characters of a name that are shown."""


def _directory_size(bundle: Path) -> int:
    """Length of a zip's table of contents as its end tells it [bytes]; the table is read into memory whole."""
    with bundle.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - _END.size))
        signature, told = _END.unpack(file.read().rjust(_END.size, b"\0"))
        if signature != b"PK\x05\x06":
            raise ValueError("it does not end as a zip without a comment does")
        if told == 0xFFFFFFFF:
            raise ValueError("its table of contents is beyond what a zip of four gigabytes has")
        file.seek(max(0, size - _END.size - 20))
        if file.read(4) == b"PK\x06\x07":  # zip64: its own end tells the length
            return size if size < _LARGEST else _DIRECTORY + 1
    return int(told)


_END: Final = struct.Struct("<4s8xI6x")
"""End of a zip without a comment: signature, and length of the table of contents."""


def _misnamed(infos: Sequence[zipfile.ZipInfo]) -> tuple[str, str] | None:
    """The first file whose name no file of a bundle has, is there twice, or is longer than such a file may be."""
    names: set[str] = set()
    for info in infos:
        name = info.orig_filename
        parts = name.split("/")
        plain = name == info.filename and name.isprintable() and "\\" not in name and ":" not in name
        if not plain or not {"", ".", ".."}.isdisjoint(parts) or len(name.encode()) > _NAME:
            return name, "is no name for a file of a bundle"
        if name in names:
            return name, "is there twice"
        names.add(name)
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 or stat.S_IFMT(info.external_attr >> 16):
            return name, "is not stored as a file of a bundle is"
        if (len(parts) == 1 and name not in _TOP) or (len(parts) > 1 and parts[0] not in _FOLDERS):
            return name, "is no file of a bundle"
        longest = _TEXTS.get(name) or (_TEXT if parts[0] == REGISTRY else _LINK if "chain" in parts[:-1] else _FILE)
        if info.file_size > longest:
            return name, f"has {info.file_size} bytes; such a file has at most {longest}"
    return None


def _manifest(folder: Path, keys: frozenset[str]) -> tuple[Manifest | None, Keyring | None, list[Finding]]:
    try:
        raw, signature = (folder / MANIFEST).read_bytes(), (folder / SIGNATURE).read_bytes()
    except OSError:
        return None, None, [Finding(MANIFEST, f"or {SIGNATURE} is missing")]
    try:
        key = PublicKey.read(folder / KEY)
    except (OSError, ValueError):
        return None, None, [Finding(KEY, "is missing or no Ed25519 public key")]
    try:
        ring = Keyring.of(key, _successions(folder))
    except (OSError, ValueError, RecursionError) as error:
        return None, Keyring((key,)), [Finding(KEYS, f"is missing, or {error}")]
    faults = []
    if keys and keys.isdisjoint(ring.fingerprints):
        due = " or ".join(f"{fingerprint[:16]}…" for fingerprint in sorted(keys))
        faults.append(Finding(KEY, f"is the key {key.fingerprint[:16]}…; it had to be {due}"))
    try:
        decoded = base64.b64decode(signature.removesuffix(b"\n"), validate=True)
    except binascii.Error:
        decoded = b""
    if signature != base64.b64encode(decoded) + b"\n" or not key.verifies(decoded, raw):
        faults.append(Finding(SIGNATURE, f"is not that of {MANIFEST} by the key {key.fingerprint[:16]}…"))
    try:
        manifest = msgspec.json.decode(raw, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return None, ring, [*faults, Finding(MANIFEST, f"cannot be read: {error}")]
    if manifest.form != FORM:
        return None, ring, [*faults, Finding(MANIFEST, f"has the form {manifest.form!r}; this version knows {FORM!r}")]
    if manifest.key != key.fingerprint:
        faults.append(
            Finding(MANIFEST, f"names the key {manifest.key[:16]!r}; it is signed with {key.fingerprint[:16]}…")
        )
    return manifest, ring, faults


def _successions(folder: Path) -> list[Succession]:
    return msgspec.json.decode((folder / KEYS).read_bytes(), type=list[Succession])


def _digests(folder: Path, manifest: Manifest) -> list[Finding]:
    there = {name: folder / name for name in names_in(folder) if name not in {MANIFEST, SIGNATURE}}
    faults = []
    for file in manifest.files:
        path = there.pop(file.name, None)
        if path is None:
            faults.append(Finding(file.name, "is missing"))
            continue
        with path.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        if (path.stat().st_size, digest) != (file.size, file.sha256):
            faults.append(Finding(file.name, "is not the file that the manifest names"))
    faults.extend(Finding(name, "is not in the manifest") for name in there)
    return faults


def verify_raw(
    folder: Path,
    source: Source,
    key: PublicKey | Keyring,
    receipts: Sequence[Receipt | KeptStatement] = (),
    witnesses: Witnesses = _NOBODY,
) -> tuple[list[Finding], list[Testimony], list[str]]:
    """Check the raw data of a bundle: chain of sealed days, hash tree, and receipts of witnesses.

    Returns
    -------
    tuple of lists
        Findings; receipts that fit; and what cannot be excluded.
    """
    site = source.site.id
    if faults := verify_chain(source.archive, site, key, days=source.wanted):
        return faults, [], []
    tree = KeptTree((folder / TREE).read_bytes(), site)
    missing, remarks, unnumbered = inclusion(source, tree, TREE)
    given = [*source.receipts, *receipts]
    bent, seen, newer = examine(given, tree, source, key.fingerprints, witnesses)
    registry = [*registries(given, site, digest_in(folder / REGISTRY))]
    return (
        [*missing, *bent, *signature_faults(source)],
        seen,
        [*remarks, *newer, *registry, *_open(tree, seen, unnumbered)],
    )


def _open(tree: KeptTree, seen: Sequence[Testimony], unnumbered: Collection[str]) -> Iterator[str]:
    """What cannot be excluded of data that are whole."""
    yield from uncertain(seen, tree)
    yield f"what people said and attached ({FROM_RECORD}, {ATTACHMENTS}/, {DOCUMENTS}/) is the record's word: no tree holds it"
    if unnumbered:
        names = ", ".join(sorted(unnumbered))
        yield f"devices that do not number their messages: {names}: what was dropped before it was received cannot be seen"


def _content(folder: Path, manifest: Manifest, source: Source, progress: Progress) -> list[Finding]:
    period = _period(manifest)
    faults: list[Finding] = []
    if source.site.id != manifest.site:
        return [Finding(MANIFEST, f"names the site {manifest.site}; the registry holds {source.site.id}")]
    sealed = {entry.day for entry in source.entries}
    faults.extend(
        Finding(f"{PROVISIONAL}/{path.name}", "is not told of in the manifest, or the day is sealed")
        for path in sorted((folder / PROVISIONAL).glob("*"))
        if path.stem in sealed or (path.stem not in manifest.provisional and _within(path.stem, period))
    )
    faults += _attachments(folder, source.from_record)
    written = (folder / FIGURES).read_bytes()
    told = msgspec.json.decode(written, type=FiguresDocument)
    faults += _foreign(folder, manifest, source, told)
    found, figures = compute(source, period, progress)
    bent = differences(FIGURES, told, figures)
    faults += bent
    computed = hours_table(source.registry, found)
    if pq.read_metadata(folder / HOURS).num_rows != computed.num_rows:
        return [*faults, Finding(HOURS, f"holds other rows than the {computed.num_rows} that are computed")]
    hours = pq.read_table(folder / HOURS)
    if hours.schema.metadata:
        faults.append(Finding(HOURS, "holds notes besides its rows"))
    if not hours.equals(computed):  # as on the machine that built it
        faults += differences(HOURS, _columns(hours), _columns(computed))
    if bent:
        (folder / FIGURES).write_bytes(settled(figures))  # report and workbook are to say what is true
    return faults


def _foreign(folder: Path, manifest: Manifest, source: Source, told: FiguresDocument) -> Iterator[Finding]:
    """Texts that hold more, or other things, than was read from them."""
    due = {
        MANIFEST: pretty(manifest),
        FIGURES: pretty(told),
        FROM_RECORD: pretty(source.from_record),
        RECEIPTS: pretty(source.receipts),
        KEYS: pretty(_successions(folder)),
        KEY: PublicKey.read(folder / KEY).pem,
    }
    if manifest.software == version("greenmine"):
        due[README] = ABOUT
    with tempfile.TemporaryDirectory() as name:
        write_site_registry(source.registry, folder / REGISTRY, source.site, Path(name) / REGISTRY)
        due |= {f"{REGISTRY}/{one}": content for one, content in files_in(Path(name) / REGISTRY)}
    due |= {
        f"{DOCUMENTS}/{one.file}": (folder / DOCUMENTS / one.file).read_bytes()
        for one in source.site.documents
        if (folder / DOCUMENTS / one.file).is_file()
    }
    for name in names_in(folder):
        if name.startswith((f"{REGISTRY}/", f"{DOCUMENTS}/")) and name not in due:
            yield Finding(name, "is no file of the registry, nor named by it")
    for name, content in due.items():
        if not (folder / name).is_file() or (folder / name).read_bytes() != content:
            yield Finding(name, "is not written as that of a bundle is: something was put into it, or it is missing")


def _period(manifest: Manifest) -> Period:
    """Days that the manifest names; ValueError if they are none, or more than a period has."""
    period = Period(manifest.period, date.fromisoformat(manifest.first), date.fromisoformat(manifest.last))
    if not 0 <= (period.last - period.first).days < _LONGEST:
        raise ValueError(f"{MANIFEST} names a period from {period.first} to {period.last}")
    return period


def _attachments(folder: Path, told: FromRecord) -> list[Finding]:
    """Attached files that are not what the history of handling says."""
    named = {row.digest for row in told.handling if row.kept}
    there = {path.name: path for path in (folder / ATTACHMENTS).glob("*")}
    return [
        *(Finding(f"{ATTACHMENTS}/{name}", "is missing") for name in sorted(named - there.keys(), key=str)),
        *(Finding(f"{ATTACHMENTS}/{name}", f"is not named in {FROM_RECORD}") for name in sorted(there.keys() - named)),
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
