"""``greenmine evidence build``: a bundle of a mine and a period."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from greenmine.evidence.bundle import Installation
from greenmine.evidence.bundle import build as build_bundle
from greenmine.loading import load_registry
from greenmine.record.archive.archive import Archive
from greenmine.record.archive.chain import ChainError
from greenmine.record.archive.signing import SigningKey
from greenmine.record.record import DatabaseError, migrate, open_engine, there_is
from greenmine.registry import RegistryError
from greenmine.reporting import parse_period, reporting_of
from greenmine.settings import Settings
from greenmine.tables import DataFileError
from greenmine.wording.messages import Language


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
    if not there_is(settings.record_place):
        raise SystemExit(
            f"greenmine evidence: no record at {settings.record_place}; start with `greenmine demo` or `greenmine run`"
        )
    try:
        registry = load_registry(settings.registry)
        if site not in (known := [s.id for s in registry.sites]):
            raise SystemExit(f"greenmine evidence: there is no site {site!r}; there are {', '.join(known)}")
        reporting = reporting_of(settings.registry)
        migrate(engine := open_engine(settings.record_place))
        here = Installation(
            engine,
            registry,
            settings.registry,
            Archive(settings.archive_place),
            SigningKey(settings.keys),
            settings.lateness_hours * 3_600_000,
            settings.attachments,
        )
        with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
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
            f"not sealed yet, more may come for them: {len(manifest.provisional)} of the days from {first} to {last}\n"
        )
