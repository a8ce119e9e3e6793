"""``greenmine rejections``: what was not taken, and taking it in again."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import cyclopts
from rich.console import Console
from rich.table import Table

from greenmine.errors import SchemaError, StoreError
from greenmine.loading import load_registry
from greenmine.record.access import RecordAccess
from greenmine.record.reader import Scope
from greenmine.record.record import DatabaseError, migrate, open_engine, there_is, transaction
from greenmine.record.retry import ask
from greenmine.registry import Registry, RegistryError
from greenmine.settings import Settings
from greenmine.times import now, utc_text

app = cyclopts.App(name="rejections", help="List messages that were not taken, and have them taken in again.")


@app.command(name="list")
def listed(
    *,
    data: Path | None = None,
    site: str | None = None,
    device: str | None = None,
    reason: str | None = None,
    limit: int = 50,
    format: Literal["text", "json"] = "text",  # noqa: A002 - the option's name
) -> None:
    """Show rejected messages, the newest first.

    Parameters
    ----------
    data
        Directory of the installation. Default: GREENMINE_DATA, or var.
    site
        Id of a mine. Default: all.
    device
        Id of a device. Default: all.
    reason
        Code of a reason, such as future; see docs/payloads.md. Default: all.
    limit
        At most so many.
    format
        A text to read, or JSON.
    """
    settings, registry = _opened(data, site)
    access = RecordAccess(settings.record_place, registry)
    try:
        with access.queries() as queries:
            rows = queries.rejections(
                Scope(frozenset(_sites(registry, site))),
                site=site,
                limit=limit,
                before=None,
                device=device,
                reason=reason,
            )
    except (StoreError, DatabaseError) as error:
        raise SystemExit(f"greenmine rejections: {error}") from error
    finally:
        access.close()
    names = ("received", "site", "device", "reason", "readings", "size", "detail")
    found = [{name: getattr(row, name) for name in names} | {"received": utc_text(row.received)} for row in rows]
    if format == "json":
        sys.stdout.write(json.dumps(found, ensure_ascii=False, indent=2) + "\n")
        return
    table = Table(*names)
    for line in found:
        table.add_row(*map(str, line.values()))
    Console(width=None if sys.stdout.isatty() else 200).print(table)


@app.command
def retry(
    *,
    data: Path | None = None,
    site: str | None = None,
    device: str | None = None,
    reason: str | None = None,
    since: datetime | None = None,
) -> None:
    """Have rejected messages taken in again: after a profile was mended, a device registered, or a clock set.

    The running worker decodes them as if they had just come, whole; what it cannot take is rejected anew. Readings that are stored
    already are repeats. A message is taken in again once.

    Parameters
    ----------
    data
        Directory of the installation. Default: GREENMINE_DATA, or var.
    site
        Id of a mine, as the topic named it. Default: all of the registry.
    device
        Id of a device. Default: all.
    reason
        Code of a reason, such as unknown-device. Default: all.
    since
        Received at or after this time; UTC where it has no offset. Default: all that is kept.
    """
    settings, registry = _opened(data, site)
    begin = 0 if since is None else round((since if since.tzinfo else since.replace(tzinfo=UTC)).timestamp() * 1000)
    engine = open_engine(settings.record_place)
    try:
        migrate(engine)
        with transaction(engine, "the record") as connection:
            many, cut = ask(connection, _sites(registry, site), device, reason, begin, now())
    except (SchemaError, StoreError, DatabaseError) as error:
        raise SystemExit(f"greenmine rejections: {error}") from error
    finally:
        engine.dispose()
    left = f"; of {cut} more only the beginning was kept" if cut else ""
    sys.stdout.write(f"{many} messages will be taken in again by the worker{left}.\n")


def _opened(data: Path | None, site: str | None) -> tuple[Settings, Registry]:
    settings = Settings() if data is None else Settings(data=data)
    if not there_is(settings.record_place):
        raise SystemExit(f"greenmine rejections: no record at {settings.record_place}")
    try:
        registry = load_registry(settings.registry)
    except RegistryError as error:
        raise SystemExit(f"greenmine rejections: {error}") from error
    if site is not None and all(known.id != site for known in registry.sites):
        raise SystemExit(f"greenmine rejections: there is no mine {site!r} in the registry")
    return settings, registry


def _sites(registry: Registry, site: str | None) -> list[str]:
    return [known.id for known in registry.sites] if site is None else [site]
