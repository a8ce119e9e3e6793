"""`python -m bench.figures FOLDER`: every figure of a fixed simulated week of five mines, as text.

Made with two versions of the code, two folders are compared by `diff -r`: whatever a change does to a figure is a line.
"""

from __future__ import annotations

import csv
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from greenmine.evidence.bundle import Installation, build
from greenmine.loading import load_registry
from greenmine.record import schema
from greenmine.record.archive.archive import Archive
from greenmine.record.archive.signing import SigningKey
from greenmine.registry import DEFAULT
from greenmine.reporting import parse_period, reporting_of
from tests.projecting import DAY, MONDAY, Mines

_TABLES: Final = (
    schema.statistic, schema.verdict, schema.exceedance, schema.exceedance_revision, schema.sliding_hour, schema.health,
    schema.ledger,
)  # fmt: skip
_LEFT_OUT: Final = {"serial"}
"""Numbers of transactions: no figures."""
_DAYS: Final = 7


def write(folder: Path) -> None:
    """Simulate the week, and write tables and bundles' figures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    registry = load_registry()
    sites = [site.id for site in registry.sites]
    with tempfile.TemporaryDirectory(prefix="greenmine-bench-") as name:
        place = Path(name)
        mines = Mines(place, registry, sites, _DAYS)
        mines.go_on()
        with mines.engine.connect() as connection:
            for table in _TABLES:
                names = [c.name for c in table.columns if c.name not in _LEFT_OUT]
                rows = connection.execute(sa.select(*(table.c[n] for n in names))).all()
                with (folder / f"{table.name}.csv").open("w", encoding="utf-8", newline="") as file:
                    writer = csv.writer(file)
                    writer.writerow(names)
                    writer.writerows(sorted([repr(value) for value in row] for row in rows))
        period = parse_period("2026-11-09..2026-11-15", reporting_of(DEFAULT))
        here = Installation(
            mines.engine,
            registry,
            DEFAULT,
            Archive(place / "archive"),
            SigningKey(place / "keys"),
            DAY,
            place / "attachments",
        )
        for site in sites:
            build(here, site, period, place / "bundle.zip", MONDAY + 30 * DAY)
            with zipfile.ZipFile(place / "bundle.zip") as bundle:
                (folder / f"{site}.json").write_bytes(bundle.read("figures.json"))
            (place / "bundle.zip").unlink()


if __name__ == "__main__":
    write(Path(sys.argv[1]))
