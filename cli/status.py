"""``greenmine status``: is everything arriving?"""

from __future__ import annotations

import json
import math
import sys
import time
from datetime import UTC
from pathlib import Path
from typing import Any, Literal

import msgspec
from rich.console import Console
from rich.table import Table

from greenmine.cli.doctor import horizon
from greenmine.errors import StoreError
from greenmine.loading import load_registry
from greenmine.record.access import RecordAccess
from greenmine.record.reader import Scope
from greenmine.record.record import DatabaseError, there_is
from greenmine.record.sharing import SharingWorker
from greenmine.record.status import WorkerStatus
from greenmine.registry import DEFAULT, Registry, RegistryError
from greenmine.settings import Settings
from greenmine.times import local, utc_text
from greenmine.uplink.outbox import FILE, UplinkOutbox

_ALIVE = 10_000
"""A worker that has said nothing for this long is taken as stopped [ms]."""
_CENTURY = 36_525
"""Of so many days the figure says nothing any more [days]."""


def status(*, data: Path | None = None, format: Literal["text", "json"] = "text") -> None:  # noqa: A002 - the option's name
    """Show whether the worker runs, what it has stored, and which exceedances are open.

    Exits with 0 when a worker runs and is connected to the broker, if any device needs one; else with 1. With several partitions,
    all workers must, and each partition be somebody's.

    Parameters
    ----------
    data
        Directory of the installation. Default: GREENMINE_DATA, or var.
    format
        A text to read, or JSON.
    """
    settings = Settings() if data is None else Settings(data=data)
    if not there_is(settings.record_place):
        raise SystemExit(
            f"greenmine status: no record at {settings.record_place}; start with `greenmine demo` or `greenmine run`"
        )
    try:
        found = _look(settings, load_registry(settings.registry))
    except (RegistryError, StoreError, DatabaseError) as error:
        raise SystemExit(f"greenmine status: {error}") from error
    if format == "json":
        sys.stdout.write(json.dumps(found, ensure_ascii=False, indent=2) + "\n")
    else:
        _print(found)
    if not found["worker"]["running"] or not found["worker"]["connected"]:
        raise SystemExit(1)


def _look(settings: Settings, registry: Registry) -> dict[str, Any]:
    counts = ("messages", "received", "stored", "duplicate", "conflict", "rejected", "late")
    access, scope = RecordAccess(settings.record_place, registry), Scope(frozenset(site.id for site in registry.sites))
    with access.queries() as queries:
        worker = max(queries.workers(), key=lambda row: row.updated, default=None)
        totals = {row.site: {c: int(getattr(row, c)) for c in counts} for row in queries.ledger_totals(scope)}
        open_now = queries.open_exceedances(scope)
        lasts = horizon(settings, queries, scope)
        sharing = queries.sharing()
    access.close()
    said = None if worker is None else msgspec.json.decode(worker.status, type=WorkerStatus)
    age = None if worker is None else time.time_ns() // 1_000_000 - worker.updated
    shared = [_sharing(one) for one in sharing]
    return {
        "record": str(settings.record_place),
        "registry": str(settings.registry or DEFAULT),
        "worker": {
            "running": all(one["running"] for one in shared) if shared else age is not None and abs(age) < _ALIVE,
            "connected": all(one["connected"] for one in shared) if shared else said is not None and said.connected,
            "last_message": None if said is None or not said.last_message else utc_text(said.last_message),
            **(
                {}
                if said is None
                else {
                    "broker": said.broker,
                    "messages": said.messages,
                    "commit_p99": said.commit_p99,
                    "queue": said.queue,
                    "behind": said.behind,
                }
            ),
            "loggers": None if said is None or said.loggers is None else msgspec.to_builtins(said.loggers),
        },
        "sites": [
            {
                "site": site.id,
                "name": site.name_zh,
                "ledger": totals.get(site.id, dict.fromkeys(counts, 0)),
                "open_exceedances": open_now.get(site.id, 0),
            }
            for site in registry.sites
        ],
        **({"workers": shared} if shared else {}),
        "disk_days": None if lasts is None else round(lasts),
        "uplink": _uplink(settings),
    }


def _sharing(worker: SharingWorker) -> dict[str, Any]:
    """One of several workers, or nobody, with what it has."""
    said = None if worker.status is None else msgspec.json.decode(worker.status, type=WorkerStatus)
    return {
        "worker": worker.name or None,
        "running": worker.name != "" and abs(time.time_ns() // 1_000_000 - worker.updated) < _ALIVE,
        "connected": said.connected if said is not None else not worker.partitions,
        "last_told": utc_text(worker.updated) if worker.updated else None,
        "messages": None if said is None else said.messages,
        "queue": None if said is None else said.queue,
        "partitions": [
            {"partition": number, "read_to": utc_text(read) if read else None}
            for number, read in worker.partitions.items()
        ],
    }


def _uplink(settings: Settings) -> list[dict[str, Any]]:
    """How far the authority's platforms are behind."""
    path = settings.data / FILE
    if not path.exists():
        return []
    now = time.time_ns() // 1_000_000
    return [
        {
            "feed": state.feed,
            "running": abs(now - state.told) < _ALIVE,
            "connected": state.connected,
            "waiting": state.waiting,
            "oldest": None if state.oldest is None else utc_text(state.oldest),
            "acknowledged": state.acknowledged,
            "last_acknowledged": None if not state.last else utc_text(state.last),
            "trouble": state.trouble,
        }
        for state in UplinkOutbox(path, read_only=True).states(now)
    ]


def _print(found: dict[str, Any]) -> None:
    worker = found["worker"]
    console = Console()
    running = "runs" if worker["running"] else "does not run"
    connected = "connected" if worker["connected"] else "not connected"
    if worker.get("broker") == "":
        connected = "no broker needed"
    what = f"The worker {running}, {connected}"
    if "workers" in found:
        few = sum(one["running"] and one["connected"] for one in found["workers"])
        what = f"{few} of {sum(one['worker'] is not None for one in found['workers'])} workers run and are connected"
    console.print(
        f"Record {found['record']}, registry {found['registry']}. "
        f"{what}; last message {worker['last_message'] or 'none'}."
    )
    if "workers" in found:
        console.print(_workers(found["workers"]))
    if worker.get("behind"):
        console.print(f"{worker['queue'] / 1e6:.0f} MB of messages wait at the broker; devices are let in more slowly.")
    if found["disk_days"] is not None:
        days = found["disk_days"]
        lasts = f"{days:,} days" if days < _CENTURY else "for more than a century"
        console.print(f"The disk lasts {lasts} at the most of a day of the last week.")
    if (loggers := worker["loggers"]) is not None:
        console.print(
            f"Data loggers: port {loggers['port']}, {loggers['connections']} connections, {loggers['frames']} frames, "
            f"{loggers['answered']} answered, {sum(loggers['damaged'].values())} damaged, "
            f"{loggers['strangers'] + loggers['passwords']} dropped; "
            f"newest frame {local(loggers['newest'], UTC).isoformat(timespec='seconds') if loggers['newest'] else 'none'}."
        )
    table = Table("site", "name", "received", "stored", "duplicate", "rejected", "late", "open exceedances")
    for site in found["sites"]:
        ledger = site["ledger"]
        cells = (ledger[c] for c in ("received", "stored", "duplicate", "rejected", "late"))
        table.add_row(site["site"], site["name"], *(str(c) for c in cells), str(site["open_exceedances"]))
    console.print(table)
    for feed in found["uplink"]:
        connected = (
            "connected" if feed["running"] and feed["connected"] else f"not connected ({feed['trouble'] or 'stopped'})"
        )
        waiting = f"{feed['waiting']} reports wait" + (
            f", the oldest since {feed['oldest']}" if feed["waiting"] else ""
        )
        console.print(f"Uplink {feed['feed']}: {connected}; {feed['acknowledged']} acknowledged; {waiting}.")


def _workers(workers: list[dict[str, Any]]) -> Table:
    """Each partition with who has it, and how far it is read."""
    table = Table("partition", "worker", "told of itself", "read to", "waiting")
    for one in sorted(workers, key=lambda one: [part["partition"] for part in one["partitions"]] or [math.inf]):
        state = "runs" if one["running"] else f"silent since {one['last_told'] or 'ever'}"
        if one["worker"] is None:
            state = ""
        elif one["running"] and not one["connected"]:
            state = "not connected"
        waiting = "unknown" if one["queue"] is None else f"{one['queue'] / 1e6:.1f} MB"
        for part in one["partitions"] or [{"partition": "none", "read_to": ""}]:
            row = (str(part["partition"]), one["worker"] or "NOBODY", state, part["read_to"] or "", waiting)
            table.add_row(*row)
    return table
