"""``greenmine report``: write a report that is filed, of a mine or of the district."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from greenmine.evidence.filed.content import filed_report
from greenmine.evidence.filed.files import FORMS, written
from greenmine.loading import load_registry
from greenmine.record.access import RecordAccess
from greenmine.record.reader import Scope
from greenmine.record.record import DatabaseError, there_is
from greenmine.reporting import parse_period, reporting_of
from greenmine.settings import Settings
from greenmine.tables import DataFileError
from greenmine.wording.messages import Language


def report(
    *, period: str, out: Path, site: str | None = None, language: Language = "zh", data: Path | None = None
) -> None:
    """Write the report of a mine, or of the district, over a day, week, month, quarter, year or reporting period.

    Parameters
    ----------
    period
        2026-06-30, 2026-W05, 2026-06, 2026-Q2, 2026, 2026-H1, or 2026-01-01..2026-03-31.
    out
        The file to write; its ending says which: .xlsx, .pdf or .docx.
    site
        Id of the mine. Without it: all mines, and no figures of single stations.
    language
        zh or en.
    data
        Directory of the installation. Default: GREENMINE_DATA, or var.
    """
    settings = Settings() if data is None else Settings(data=data)
    form = next((form for form in FORMS if out.suffix.lower() == f".{form}"), None)
    if form is None:
        raise SystemExit(f"greenmine report: --out {out}: must end with .{', .'.join(FORMS)}")
    if not there_is(settings.record_place):
        raise SystemExit(
            f"greenmine report: no record at {settings.record_place}; start with `greenmine demo` or `greenmine run`"
        )
    try:
        registry = load_registry(settings.registry)
        sites = [one for one in registry.sites if site in {None, one.id}]
        if not sites:
            known = ", ".join(one.id for one in registry.sites)
            raise SystemExit(f"greenmine report: there is no site {site!r}; there are {known}")
        reporting = reporting_of(settings.registry)
        access = RecordAccess(settings.record_place, registry, settings.archive_place)
        with access.queries() as queries:
            found = filed_report(
                queries,
                Scope(frozenset(one.id for one in sites)),
                sites,
                parse_period(period, reporting),
                reporting,
                language,
                time.time_ns() // 1_000_000,
                district=site is None,
            )
        access.close()
        out.parent.mkdir(parents=True, exist_ok=True)
        part = out.with_name(f".{out.name}.part")
        part.write_bytes(written(found, form))
        part.replace(out)
    except (DataFileError, ValueError, OSError, DatabaseError) as error:
        raise SystemExit(f"greenmine report: {error}") from error
    sys.stdout.write(f"{out}: {found.title}, {found.days}\n")
