"""``greenmine archive``: seal days, check the chains, list what is sealed, let what is sealed leave the record."""

from __future__ import annotations

import csv
import json
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from datetime import date
from datetime import time as time_of_day
from functools import partial
from pathlib import Path
from typing import Annotated, Final, Literal

import cyclopts
import msgspec
import pyarrow as pa
import structlog
from cyclopts import Parameter
from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table

from greenmine import times
from greenmine.errors import StoreError
from greenmine.evidence.site_registry import registry_digest
from greenmine.files import locked, replace
from greenmine.loading import load_registry
from greenmine.record.archive.archive import Archive, grow, head_of, reaching, verify
from greenmine.record.archive.archive import seal as seal_days
from greenmine.record.archive.chain import ChainError
from greenmine.record.archive.pruning import prune
from greenmine.record.archive.signing import PublicKey, SigningKey, read_keyring
from greenmine.record.archive.witness import keep, receipts_of, stated, statement_of, statements_in
from greenmine.record.hour_blocks import merge
from greenmine.record.record import DatabaseError, Engine, migrate, open_engine, there_is
from greenmine.registry import Registry, RegistryError
from greenmine.settings import Settings

app = cyclopts.App(name="archive", help="Seal days of raw data in a signed hash chain for each site, and check them.")

_HOUR: Final = 3_600_000
_EVERY: Final = 3600.0
"""How often the archivist looks for days that are due [s]."""

_log = structlog.get_logger(__name__)


@app.command
def seal(*, data: Path | None = None) -> None:
    """Seal the days whose lateness has passed, and what came later for days that are sealed.

    ``greenmine run`` does the same every hour.

    Parameters
    ----------
    data
        Directory of the installation. Default: GREENMINE_DATA, or var.
    """
    settings, registry = _installation(data)
    try:
        migrate(engine := open_engine(settings.record_place))
        archive, key = Archive(settings.archive_place), SigningKey(settings.keys)
        for entry in seal_days(engine, registry.sites, archive, key, times.now(), settings.lateness_hours * _HOUR):
            sys.stdout.write(f"{entry.site}  {entry.day}  part {entry.part}  {sum(entry.rows.values()):>9} rows\n")
            sys.stdout.flush()
    except (ChainError, ValueError, OSError, DatabaseError) as error:
        raise SystemExit(f"greenmine archive seal: {error}") from error


@app.command(name="verify")
def verify_(*, data: Path | None = None, site: Sequence[str] = (), key: Path | None = None) -> None:
    """Check every entry, signature and file of the archive; exits with 1 if anything is not as it was sealed.

    Parameters
    ----------
    data
        Directory of the installation. Default: GREENMINE_DATA, or var.
    site
        Only this site; may be given several times. Default: all.
    key
        Public key to check with (PEM). Default: those of the installation; give a copy that was kept elsewhere
        to find out whether the whole archive was signed anew. A key that took its place since, or that it took the place of, counts
        where the chain leads to it.
    """
    settings, registry = _installation(data)
    try:
        ring = read_keyring(settings.keys)
        kept = None if key is None else PublicKey.read(key)
        archive = Archive(settings.archive_place)
        engine = open_engine(settings.record_place, read_only=True)
        wrong = 0
        with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
            for one in _chosen(registry, site):
                report = partial(_report, bar, bar.add_task(one, total=None))
                checked = ring if kept is None else reaching(archive.chain(one), ring, kept)
                for finding in verify(archive, one, checked, head_of(engine, one), report):
                    wrong += 1
                    sys.stdout.write(f"{finding.place}: {finding.what}\n")
                sys.stdout.write(f"{one}: {len(archive.chain(one).numbers())} entries checked\n")
    except (ChainError, ValueError, OSError, DatabaseError) as error:
        raise SystemExit(f"greenmine archive verify: {error}") from error
    if wrong:
        raise SystemExit(f"{wrong} {'finding' if wrong == 1 else 'findings'}")


@app.command(name="list")
def list_(*, data: Path | None = None, site: Sequence[str] = (), format: Literal["text", "json"] = "text") -> None:  # noqa: A002 - the option's name
    """List the sealed days.

    Parameters
    ----------
    data
        Directory of the installation. Default: GREENMINE_DATA, or var.
    site
        Only this site; may be given several times. Default: all.
    format
        A table to read, or a JSON list of the entries.
    """
    settings, registry = _installation(data)
    try:
        archive = Archive(settings.archive_place)
        entries = [entry for one in _chosen(registry, site) for entry in archive.chain(one).entries()]
    except ChainError as error:
        raise SystemExit(f"greenmine archive list: {error}") from error
    if format == "json":
        sys.stdout.write(json.dumps(msgspec.to_builtins(entries), ensure_ascii=False, indent=2) + "\n")
        return
    table = Table("site", "day", "part", "readings", "other rows", "bytes", "SHA-256")
    for entry in entries:
        readings = entry.rows["reading"]
        table.add_row(
            entry.site, entry.day, str(entry.part), f"{readings:,}", f"{sum(entry.rows.values()) - readings:,}",
            f"{entry.size:,}", f"{entry.sha256[:16]}…",
        )  # fmt: skip
    Console().print(table)


@app.command
def query(
    question: str,
    /,
    *,
    data: Path | None = None,
    archive: Annotated[list[str] | None, Parameter(negative="")] = None,
    site: Annotated[list[str] | None, Parameter(negative="")] = None,
    first: date | None = None,
    last: date | None = None,
    format: Literal["csv", "json"] = "csv",  # noqa: A002 - the option's name
) -> None:
    """Answer a question in SQL about sealed days, of this installation or of many.

    The tables are `reading`, and `sealed` with rows of all kinds, both with the columns of a sealed file and site, day and part;
    see docs/archive.md. It reads sealed files only, of which each is what its entry says, and writes nothing.

    Parameters
    ----------
    question
        One SELECT in the words of DuckDB.
    data
        Directory of the installation. Default: GREENMINE_DATA, or var.
    archive
        Directory or address of an archive; may be given several times. Default: that of the installation.
    site
        Only this site; may be given several times. Default: all.
    first
        First day, YYYY-MM-DD. Default: the oldest.
    last
        Last day. Default: the newest.
    format
        CSV, or an object of JSON on each line.
    """
    from greenmine.record.archive.querying import QueryError, answers, sealed_files  # noqa: PLC0415 - loads DuckDB

    settings = Settings() if data is None else Settings(data=data)
    try:
        files = []
        for place in archive or [settings.archive_place]:
            there = Archive(place)
            sites = [one for one in there.sites() if site is None or one in site]
            files += sealed_files(there, sites, first, last)
        _write(answers(question, files), format)
    except (ChainError, QueryError, OSError) as error:
        raise SystemExit(f"greenmine archive query: {error}") from error


def _write(batches: Iterable[pa.RecordBatch], form: Literal["csv", "json"]) -> None:
    writer = csv.writer(sys.stdout)
    for number, batch in enumerate(batches):
        if form == "csv" and not number:
            writer.writerow(batch.schema.names)
        for row in batch.to_pylist():
            cells = {
                name: cell.isoformat() if isinstance(cell, date | time_of_day) else cell for name, cell in row.items()
            }
            if form == "csv":
                writer.writerow(cells.values())
            else:
                sys.stdout.write(json.dumps(cells, ensure_ascii=False, default=str) + "\n")


@app.command(name="prune")
def prune_(*, data: Path | None = None, site: Sequence[str] = (), days: int | None = None) -> None:
    """Let readings of sealed days leave the record; from then on they are read from the archive.

    Only what the archive gives back byte for byte leaves. ``greenmine run`` does the same every hour where GREENMINE_RAW_DAYS
    is set.

    Parameters
    ----------
    data
        Directory of the installation. Default: GREENMINE_DATA, or var.
    site
        Only this site; may be given several times. Default: all.
    days
        How long readings stay after their day has ended. Default: GREENMINE_RAW_DAYS.
    """
    settings, registry = _installation(data)
    days = settings.raw_days if days is None else days
    if days < 1:
        raise SystemExit("greenmine archive prune: say how long readings stay: --days, or GREENMINE_RAW_DAYS")
    chosen = set(_chosen(registry, site))
    try:
        migrate(engine := open_engine(settings.record_place))
        public = SigningKey(settings.keys).ring
        sites = [one for one in registry.sites if one.id in chosen]
        for found in prune(engine, registry, settings.archive_place, public, times.now(), days, sites):
            stay = f", {found.kept} stay: the archive gives them back otherwise" if found.kept else ""
            sys.stdout.write(f"{found.site}  {found.day}  {found.readings:>9} readings{stay}\n")
            sys.stdout.flush()
    except (ChainError, StoreError, ValueError, OSError, DatabaseError) as error:
        raise SystemExit(f"greenmine archive prune: {error}") from error


def archivist(settings: Settings, stop: threading.Event) -> None:
    """Put what came into the hash trees every few minutes, and seal and prune what is due every hour, until ``stop`` is set.

    What fails is tried again at the next turn.
    """
    registry = load_registry(settings.registry)
    engine = open_engine(settings.record_place)
    due, looked, witnessing = 0.0, False, None
    while not stop.is_set():
        try:
            archive, key = Archive(settings.archive_place), SigningKey(settings.keys)
            with locked(key.lock):
                roots = {site.id: grow(engine, site, times.now()) for site in registry.sites}
            witnessing = witnessing or Witnessing(engine, registry, settings)
            witnessing.turn(archive, key, times.now())
            if time.monotonic() < due:
                stop.wait(settings.root_minutes * 60)
                continue
            due = time.monotonic() + _EVERY
            for name, root in roots.items():
                for _ in merge(engine, name, root.through.block, times.now(), everything=not looked):
                    if stop.is_set():
                        return
            looked = True
            for entry in seal_days(engine, registry.sites, archive, key, times.now(), settings.lateness_hours * _HOUR):
                _log.info("sealed", site=entry.site, day=entry.day, part=entry.part, rows=sum(entry.rows.values()))
                if stop.is_set():
                    return
            if settings.raw_days:
                days, sites = settings.raw_days, registry.sites
                for left in prune(engine, registry, settings.archive_place, key.ring, times.now(), days, sites):
                    _log.info("pruned", site=left.site, day=left.day, readings=left.readings, kept=left.kept)
                    if stop.is_set():
                        return
        except (ChainError, StoreError, ValueError, OSError, DatabaseError) as error:
            _log.error("the archive is not looked after; trying again", error=str(error))
        stop.wait(settings.root_minutes * 60)


class Witnessing:
    """Rounds of what is new among the witnesses: to each when it is due; one that cannot be reached is shown the next state."""

    def __init__(self, engine: Engine, registry: Registry, settings: Settings) -> None:
        # Whoever only checks an archive has no mail client, and need not have it.
        from greenmine.notify.witnesses import load_witnesses  # noqa: PLC0415

        self._engine, self._registry, self._settings = engine, registry, settings
        self._witnesses = load_witnesses(settings.witnesses)
        self._shown = {
            (witness.id, site.id): (receipt.signed, statement_of(receipt.signed)[0].tree.made)
            for witness in self._witnesses
            for site in registry.sites
            for receipt in receipts_of(engine, site.id, witness=witness.id, last=True)
        }
        """What each was shown last of a site, and when by the clock of this installation [ms UTC]."""
        self._mailed = statements_in(self._mailbox)
        """What was shown last to those that give no receipt, by witness and site."""
        for witness in self._witnesses:
            for site in registry.sites:
                if (signed := self._mailed.get(f"{witness.id}/{site.id}")) is not None:
                    self._shown[witness.id, site.id] = signed, statement_of(signed)[0].tree.made

    @property
    def _mailbox(self) -> Path:
        return self._settings.statements.with_name("mailed.json")

    def turn(self, archive: Archive, key: SigningKey, now: int) -> None:
        """Show what is due, and write down what this installation states for everybody."""
        from greenmine.notify.witnesses import WitnessError, show  # noqa: PLC0415 - as above

        told, every = statements_in(self._settings.statements), self._settings.witness_minutes * 60_000
        for site in self._registry.sites:
            digest = registry_digest(self._registry, self._settings.registry, site)
            signed = stated(self._engine, archive.chain(site.id), key, digest)
            if signed is None:
                continue
            for witness in self._witnesses:
                before, when = self._shown.get((witness.id, site.id), (None, -_NEVER))
                if before == signed or now - when < every:
                    continue
                try:
                    receipt = show(witness, signed, self._settings)
                except WitnessError as error:
                    _log.error(
                        "a witness was not reached; trying again", witness=witness.id, site=site.id, error=str(error)
                    )
                    continue
                if receipt is not None:
                    keep(self._engine, receipt, own=True)
                else:
                    self._mailed[f"{witness.id}/{site.id}"] = signed
                    replace(self._mailbox, msgspec.json.encode(self._mailed), 0o640)
                self._shown[witness.id, site.id] = signed, now
            if told.get(site.id) != signed:
                told[site.id] = signed
                replace(self._settings.statements, msgspec.json.encode(told), 0o640)


_NEVER: Final = 1 << 53
"""Longer ago than anything [ms]."""


@app.command
def receipts(*, site: str, out: Path, key: str | None = None, data: Path | None = None) -> None:
    """Write receipts into a file, for whoever checks a bundle: those that witnesses gave, or that were given to another.

    Parameters
    ----------
    site
        Id of the mine.
    out
        The file, JSON.
    key
        Fingerprint of the other installation, for which this one is a witness. Default: this installation itself.
    data
        Directory of the installation. Default: GREENMINE_DATA, or var.
    """
    settings, _ = _installation(data)
    try:
        found = receipts_of(open_engine(settings.record_place, read_only=True), site, key=key)
        out.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    except (OSError, DatabaseError) as error:
        raise SystemExit(f"greenmine archive receipts: {error}") from error
    sys.stdout.write(f"{out}: {len(found)} receipts\n")


def _report(bar: Progress, task: TaskID, done: int, total: int) -> None:
    bar.update(task, completed=done, total=total)


def _installation(data: Path | None) -> tuple[Settings, Registry]:
    settings = Settings() if data is None else Settings(data=data)
    if not there_is(settings.record_place):
        raise SystemExit(
            f"greenmine archive: no record at {settings.record_place}; start with `greenmine demo` or `greenmine run`"
        )
    try:
        return settings, load_registry(settings.registry)
    except RegistryError as error:
        raise SystemExit(f"greenmine archive: {error}") from error


def _chosen(registry: Registry, site: Sequence[str]) -> list[str]:
    known = [s.id for s in registry.sites]
    if unknown := [s for s in site if s not in known]:
        raise SystemExit(f"greenmine archive: there is no site {', '.join(unknown)}; there are {', '.join(known)}")
    return list(site) or known
