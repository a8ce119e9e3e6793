"""An installation with a few days of a mine, its evidence bundle, and what a dishonest maker could do to it."""

from __future__ import annotations

import base64
import hashlib
import json
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pypdfium2
import sqlalchemy as sa

from greenmine.evidence.bundle import Installation, build, pack
from greenmine.evidence.verify import verify as verified
from greenmine.record import schema
from greenmine.record.archive.archive import Archive, Finding
from greenmine.record.archive.signing import PublicKey, SigningKey
from greenmine.record.record import Record
from greenmine.record.writer import Pipeline
from greenmine.registry import Registry
from greenmine.reporting import Period
from tests.processing.mine import DAY, at, feed, record_at, registry_of
from tests.processing.streams import stream
from tests.records import record_in

Files = dict[str, bytes]
"""Contents of a bundle by name."""
FIRST = at("2026-03-02T00:00")
PERIOD = Period("2026-03-03..2026-03-05", date(2026, 3, 3), date(2026, 3, 5))
NOW = FIRST + 9 * DAY
CAUSE = "#strong[dry] $x$ \\u{41} \N{BROOM}\u202e\x07道路"
"""Typst's notation, a sign that the font lacks, and invisible ones."""


class Made:
    """An installation with six days of a mine, and a bundle of three of them."""

    def __init__(self, folder: Path) -> None:
        self.registry: Registry = registry_of(folder / "registry")
        self.record: Record = record_at(record_in(folder), self.registry)
        self.key = SigningKey(folder / "keys")
        self.pipeline = Pipeline(self.registry, self.record)
        rng = np.random.default_rng(5)
        whole = stream(self.registry, rng, FIRST, FIRST + 6 * DAY)
        for day in range(6):
            inside = (whole.time >= FIRST + day * DAY) & (whole.time < FIRST + (day + 1) * DAY)
            feed(self.pipeline, [whole.take(inside)])
        with self.record.transaction() as connection:
            said = [
                {"exceedance": number, "made": FIRST + 5 * DAY, "author": "A", "kind": kind, "text": text}
                for number in connection.execute(sa.select(schema.exceedance.c.id)).scalars().all()
                for kind, text in (("cause", CAUSE), ("handling", "=HYPERLINK(1)"))
            ]
            connection.execute(sa.insert(schema.handling), said)
        self.here = Installation(
            self.record.engine, self.registry, folder / "registry", Archive(folder / "archive"), self.key, DAY
        )
        self.bundle = folder / "bundle.zip"
        build(self.here, "mine", PERIOD, self.bundle, NOW)


def verify(bundle: Path, key: PublicKey | None = None) -> list[Finding]:
    """Findings about a bundle, whose catalogues may be another mine's."""
    return verified(bundle, frozenset() if key is None else {key.fingerprint}).findings


def contents(bundle: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(bundle) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def manifested(files: Files, key: SigningKey) -> Files:
    """The manifest made to fit the files and signed anew, as their maker could."""
    manifest = json.loads(files["manifest.json"])
    manifest["files"] = [
        {"name": n, "size": len(c), "sha256": hashlib.sha256(c).hexdigest()}
        for n, c in sorted(files.items())
        if n not in {"manifest.json", "manifest.sig"}
    ]
    manifest["key"] = key.public.fingerprint
    raw = json.dumps(manifest, ensure_ascii=False, indent=1).encode() + b"\n"
    return files | {"manifest.json": raw, "manifest.sig": base64.b64encode(key.sign(raw)) + b"\n"}


def packed(path: Path, files: Files, key: SigningKey | None = None) -> Path:
    """A bundle of these files; with a key, signed anew."""
    if key is not None:
        files = manifested(files, key)
    with path.open("wb") as file:
        pack(file, sorted(files.items()))
    return path


def edited(files: dict[str, bytes], name: str, change: Callable[[dict], None]) -> dict[str, bytes]:  # type: ignore[type-arg]
    document = json.loads(files[name])
    change(document)
    return files | {name: json.dumps(document, ensure_ascii=False, indent=1).encode() + b"\n"}


def page_text(report: bytes, number: int) -> str:
    """What can be read on a page, counted from 1."""
    text: str = pypdfium2.PdfDocument(report)[number - 1].get_textpage().get_text_bounded()
    return text


def whole_text(report: bytes) -> str:
    """What can be read on all pages."""
    return "\n".join(page_text(report, n + 1) for n in range(len(pypdfium2.PdfDocument(report))))
