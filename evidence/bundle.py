"""Building a bundle: sealed days, registry, figures, manifest and signature in one zip."""

from __future__ import annotations

import base64
import hashlib
import io
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec
from pyarrow import parquet as pq

from greenmine.evidence.compute import compute
from greenmine.evidence.figures import FiguresDocument, hours_table
from greenmine.evidence.from_record import FROM_RECORD, from_record
from greenmine.evidence.memory import release_memory
from greenmine.evidence.recompute import days_needed
from greenmine.evidence.report.content import Content, Witnessed
from greenmine.evidence.report.document import makers, pdf
from greenmine.evidence.report.workbook import workbook
from greenmine.evidence.requirements import DOCUMENTS
from greenmine.evidence.site_registry import files_in, write_site_registry
from greenmine.evidence.source import ARCHIVE, PROVISIONAL, RECEIPTS, REGISTRY, Source
from greenmine.record.archive.archive import Archive, faults_of_day, first_day, seal, unsealed
from greenmine.record.archive.chain import ChainError, Entry, parse
from greenmine.record.archive.signing import SigningKey
from greenmine.record.archive.tree import KeptTree, Root, kept_tree, newest
from greenmine.record.archive.witness import chosen, receipts_of, statement_of
from greenmine.record.record import Engine
from greenmine.registry import DEFAULT, Registry, Site
from greenmine.reporting import Period, period_before
from greenmine.times import local
from greenmine.wording.messages import Language

FORM: Final = "greenmine-bundle-1"
"""Names the form of a bundle; a later form will have another name."""
MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "manifest.sig"
FIGURES: Final = "figures.json"
HOURS: Final = "hours.parquet"
REPORT: Final = "report.pdf"
TREE: Final = "tree.parquet"
WORKBOOK: Final = "figures.xlsx"
KEY: Final = "key.pub"
KEYS: Final = "keys.json"
"""How the key came to sign: successions from the first key of the installation on."""
README: Final = "README.txt"

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""Time of all files in the zip: the same content has the same bytes."""

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""


class PackedFile(msgspec.Struct, frozen=True):
    """A file of the bundle."""

    name: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``manifest.json``: all files of a bundle but itself and its signature."""

    form: str
    site: str
    period: str
    first: str
    last: str
    software: str
    key: str
    """Fingerprint of the key that signed it."""
    language: Language
    """Of the report."""
    makers: dict[str, str]
    """Versions of what drew the report: others may draw it a little otherwise."""
    provisional: list[str]
    """Days that were not sealed yet when the bundle was built: more may come for them."""
    files: list[PackedFile]


@dataclass(frozen=True, slots=True)
class Installation:
    """Where a bundle is built from."""

    engine: Engine
    registry: Registry
    registry_folder: Path | None
    """Directory of the registry; None: the one that ships with the package."""
    archive: Archive
    key: SigningKey
    lateness: int
    """[ms]"""
    attachments: Path | None = None
    """Folder of the files attached to exceedances; None: there are none."""


def build(
    here: Installation,
    site: str,
    period: Period,
    out: Path,
    now: int,
    progress: Progress = lambda *_: None,
    *,
    language: Language = "zh",
) -> Manifest:
    """Build a bundle.

    Parameters
    ----------
    here : Installation
        Its days that are due are sealed first.
    site : str
        Id of the site.
    period : Period
        Local days.
    out : Path
        The zip; written whole or not at all.
    now : int
        The clock [ms UTC]: days that ended less than the lateness ago are provisional.
    progress : callable, optional
        See `Progress`.
    language : str
        Of the report.

    Raises
    ------
    KeyError
        If there is no such site.
    ValueError
        If the period has not begun, or if there is no font for the report (`FontMissingError`).
    ChainError, OSError
        If the archive or the target cannot be read or written.
    """
    place = here.registry.site(site)
    made_by = makers()
    if _today(now, place) < period.first:
        raise ValueError(f"period {period.name}: begins on {period.first}, which is still to come")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".evidence-", dir=out.parent) as name:
        folder = Path(name)
        provisional = collect(here, place, period, folder, now, progress)
        source = Source(folder, period)
        periods = period, period_before(period, source.reporting)
        told = from_record(here.engine, source.registry, source.site, periods, here.attachments, folder)
        (folder / FROM_RECORD).write_bytes(settled(told))
        release_memory()
        found, figures = compute(source, period, lambda done, total: progress("computing", done, total))
        written = settled(figures)
        figures = msgspec.json.decode(written, type=FiguresDocument)  # as whoever verifies reads them
        (folder / FIGURES).write_bytes(written)
        pq.write_table(hours_table(source.registry, found), folder / HOURS, compression="zstd")
        del found  # its memory serves for the report
        release_memory()
        (folder / KEY).write_bytes(here.key.public.pem)
        (folder / KEYS).write_bytes(pretty(here.key.ring.successions))
        (folder / README).write_bytes(ABOUT)
        manifest = Manifest(
            form=FORM,
            site=site,
            period=period.name,
            first=period.first.isoformat(),
            last=period.last.isoformat(),
            software=version("greenmine"),
            key=here.key.public.fingerprint,
            language=language,
            makers=made_by,
            provisional=[day.isoformat() for day in provisional],
            files=[],
        )
        progress("drawing the report", 0, 0)
        (folder / WORKBOOK).write_bytes(workbook(figures))
        (folder / REPORT).write_bytes(pdf(report_content(manifest, source, figures), written))
        packed = [PackedFile(n, len(c), hashlib.sha256(c).hexdigest()) for n, c in files_in(folder)]
        manifest = msgspec.structs.replace(manifest, files=packed)
        raw = pretty(manifest)
        (folder / MANIFEST).write_bytes(raw)
        (folder / SIGNATURE).write_bytes(base64.b64encode(here.key.sign(raw)) + b"\n")
        part = folder / "bundle.zip.part"
        with part.open("wb") as file:
            pack(file, ((n, c) for n, c in files_in(folder) if n != part.name))
        part.replace(out)
    return manifest


def collect(here: Installation, site: Site, period: Period, folder: Path, now: int, progress: Progress) -> list[date]:
    """Put into a folder what figures rest on: registry, sealed days, their tree and receipts; returns days that are not sealed."""
    write_site_registry(here.registry, here.registry_folder, site, folder / REGISTRY)
    _documents(here, site, folder / DOCUMENTS)
    for entry in seal(here.engine, [site], here.archive, here.key, now, here.lateness):
        progress(f"sealing {entry.day}", 0, 0)
    with here.engine.connect() as connection:
        root = newest(connection, site.id)
    size = 0 if root is None else root.head.size  # what comes meanwhile is for another bundle
    entries = _chain(here, site, folder, size)
    provisional = _days(here, site, period, folder, now, progress, entries, root)
    (folder / TREE).write_bytes(kept_tree(here.engine, site.id, {day.isoformat() for day in days_needed(period)}, size))
    given = [
        receipt
        for receipt in receipts_of(here.engine, site.id)
        if (said := statement_of(receipt.signed)[0]).tree.size <= size and said.entries <= len(entries)
    ]
    (folder / RECEIPTS).write_bytes(pretty(chosen(given, KeptTree((folder / TREE).read_bytes(), site.id).first)))
    return provisional


def report_content(manifest: Manifest, source: Source, figures: FiguresDocument) -> Content:
    """What the report of a bundle tells of; building and verifying do the same."""
    return Content(
        manifest.language,
        figures,
        source.registry,
        manifest.provisional,
        _unbegun(manifest, source),
        _to_come(manifest, source),
        manifest.key,
        manifest.software,
        _witnessed(source),
    )


def _witnessed(source: Source) -> Witnessed | None:
    """Who outside was shown the state of the data, and when last by the clock of the witness; None: nobody was."""
    receipts = source.receipts
    if not receipts:
        return None
    newest = max(receipt.made for receipt in receipts)
    days = sum(entry.number < max(statement_of(r.signed)[0].entries for r in receipts) for entry in source.entries)
    return Witnessed(sorted({receipt.witness for receipt in receipts}), len(receipts), newest, days)


def _to_come(manifest: Manifest, source: Source) -> tuple[date, date] | None:
    """Days behind that of building, which is provisional itself; without it the period had ended."""
    reached = max([*manifest.provisional, *(entry.day for entry in source.entries)], default=manifest.last)
    if reached >= manifest.last:
        return None
    return date.fromisoformat(reached) + timedelta(days=1), date.fromisoformat(manifest.last)


def _unbegun(manifest: Manifest, source: Source) -> tuple[date, date] | None:
    """Days before the first that is sealed or provisional: nothing had ever come, so there is nothing to seal."""
    last = date.fromisoformat(manifest.last)
    begun = min([*manifest.provisional, *(entry.day for entry in source.entries)], default="9999-12-31")
    if begun <= manifest.first:
        return None
    return date.fromisoformat(manifest.first), min(last, date.fromisoformat(begun) - timedelta(days=1))


def pack(file: io.BufferedIOBase, files: Iterable[tuple[str, bytes]]) -> None:
    """Write a zip without compression (what is large in it is compressed already): its bytes follow from names and contents."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files:
            info = zipfile.ZipInfo(name, _EPOCH)
            info.external_attr = 0o644 << 16
            archive.writestr(info, content)


def _documents(here: Installation, site: Site, folder: Path) -> None:
    """Copy the documents of the site's requirement items; the figures tell of those that are missing."""
    for document in site.documents:
        given = (here.registry_folder or DEFAULT) / DOCUMENTS / site.id / document.file
        if given.is_file():
            folder.mkdir(exist_ok=True)
            shutil.copyfile(given, folder / document.file)


def _chain(here: Installation, site: Site, folder: Path, size: int) -> list[tuple[Entry, bool]]:
    """Copy the chain up to a tree of so many leaves; its entries, and whether each is signed by the installation."""
    chain = here.archive.chain(site.id)
    target = folder / ARCHIVE / site.id / "chain"
    target.mkdir(parents=True)
    found = []
    for number in chain.numbers():
        content = chain.content(number)
        entry, genuine = parse(content, f"{site.id}, entry {number}", here.key.ring)
        if entry.tree.size > size:
            break
        found.append((entry, genuine))
        (target / f"{number:08d}.json").write_bytes(content)
    return found


def _days(
    here: Installation,
    site: Site,
    period: Period,
    folder: Path,
    now: int,
    progress: Progress,
    entries: Sequence[tuple[Entry, bool]],
    root: Root | None,
) -> list[date]:
    """Copy the files of the days needed; returns the days of which something is not sealed."""
    chain = here.archive.chain(site.id)
    days, today, begun = days_needed(period), _today(now, site), first_day(here.engine, site)
    provisional = []
    for done, day in enumerate(days):
        progress("collecting", done, len(days))
        mine = [(entry, genuine) for entry, genuine in entries if entry.day == day.isoformat()]
        if wrong := faults_of_day(chain, mine):
            raise ChainError(f"{wrong[0].place}: {wrong[0].what}; no bundle is built of what was not sealed so")
        for entry, _ in mine:
            (folder / ARCHIVE / site.id / entry.file).write_bytes(chain.data(entry.file))
        if mine or day > today:
            continue
        content, rows = unsealed(here.engine, site, day, (), root)
        if sum(rows.values()):
            (folder / PROVISIONAL).mkdir(exist_ok=True)
            (folder / PROVISIONAL / f"{day}.parquet").write_bytes(content)
        if sum(rows.values()) or day == today or (begun is not None and day >= begun):  # else there is nothing to seal
            provisional.append(day)
    return [day for day in provisional if period.first <= day <= period.last]


def _today(now: int, site: Site) -> date:
    return local(now, site.zone).date()


def pretty(value: msgspec.Struct | Sequence[msgspec.Struct]) -> bytes:
    """A document of a bundle, as it is written."""
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"


def settled(document: msgspec.Struct) -> bytes:
    """A document that is written the same once it was read."""
    return pretty(msgspec.json.decode(msgspec.json.encode(document), type=type(document)))


ABOUT: Final = """\
证据包 Evidence bundle

report.pdf                    报告 the report, with figures.json inside
figures.json, figures.xlsx, hours.parquet
                              统计值和判定 figures and verdicts, all computed from archive/ and registry/
tree.parquet, receipts.json   接收数据的哈希树、外部见证回执 the hash tree in which the raw data were put as they came, and
                              receipts of witnesses outside for it
archive/, provisional/        原始数据 raw data: sealed days in their hash chain; days that were not sealed yet
registry/                     监测点、限值、参数 stations, limits and parameters as in force
record.json                   系统记录的处置、重新判定和上期数据 handling, restatements and the last period as the record has them;
                              raw data cannot prove these
attachments/, documents/      处置附件、要求事项的证明文件 files attached to the handling, and documents of requirement items
manifest.json, manifest.sig   清单和签名 digest of every file, signed (Ed25519); key.pub is the key, keys.json how it took the
                              place of those before it

校验 To check all of it, offline: greenmine evidence verify BUNDLE.zip --key KEY.pub
KEY.pub: 另行取得的公钥 a copy of the public key that did not come with the bundle.
""".encode()
"""What README.txt says."""
