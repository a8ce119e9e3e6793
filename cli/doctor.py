"""``greenmine doctor``: what is not as it should be, and what to do about it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from greenmine.cli.authority import expiry, issued_by
from greenmine.collector.jetstream.inspection import LogFault, log_faults
from greenmine.collector.mqtt.queue import OVERHEAD
from greenmine.durations import show_duration
from greenmine.errors import StoreError
from greenmine.loading import load_registry
from greenmine.record.access import RecordAccess
from greenmine.record.disk import lasting_days
from greenmine.record.postgresql import state_of
from greenmine.record.reader import Queries, Scope
from greenmine.record.record import DatabaseError, there_is
from greenmine.record.sharing import SharingWorker
from greenmine.record.status import WorkerStatus
from greenmine.registry import RegistryError
from greenmine.settings import Settings
from greenmine.times import DAY, HOUR, local, now, utc_text
from greenmine.wording.messages import Language
from greenmine.wording.sentences import chinese_sentence

Level = Literal["wrong", "soon"]

ABSENCE: Final = 3_600.0
"""How long the broker has to keep what comes while the collector is away: an upgrade with its migration [s]."""
HORIZON: Final = 90
"""Days that the disk has to last."""
_SLOW_SYNC: Final = 0.1
"""A disk that takes longer to be sure of a page makes every commit wait [s]."""
_LEFT: Final = 30
"""A certificate that ends within so many days is to be renewed."""
_SKEW: Final = 120_000
"""Devices whose readings are ahead of the clock, or behind it, by this much [ms]."""
_OLD: Final = 2 * HOUR
"""Readings of most devices that are older may be those of a clock that is ahead; hours are sent when they are over [ms]."""
_SET_CLOCK: Final = "set the clock by NTP (timedatectl set-ntp true)"
_SEE_LOG: Final = "start it; its log says why it ended"
_ALIVE: Final = 10_000
_POSTGRESQL: Final = 15
"""Oldest version of PostgreSQL that was tried."""


class DoctorFinding(msgspec.Struct, frozen=True):
    """Something that is wrong, or soon will be, and what to do about it."""

    check: str
    level: Level
    what: str
    fix: str


Check = Callable[[Settings], Iterator[DoctorFinding]]


def doctor(
    *,
    data: Path | None = None,
    format: Literal["text", "json"] = "text",  # noqa: A002 - the option's name
    language: Language = "en",
) -> None:
    """Look for what is not as it should be.

    Registry, worker, server of the record, queue, log, disk, clock, permissions, certificates, versions.

    Exits with 0 when nothing is wrong, else with 1.

    Parameters
    ----------
    data
        Directory of the installation. Default: GREENMINE_DATA, or var.
    format
        A sentence and a fix for each finding, or JSON.
    language
        Of the sentences: zh or en.
    """
    settings = Settings() if data is None else Settings(data=data)
    found = [finding for check in CHECKS.values() for finding in check(settings)]
    if language == "zh":
        found = [
            msgspec.structs.replace(
                one, what=chinese_sentence(one.what) or one.what, fix=chinese_sentence(one.fix) or one.fix
            )
            for one in found
        ]
    if format == "json":
        sys.stdout.write(json.dumps(msgspec.to_builtins(found), ensure_ascii=False, indent=2) + "\n")
    else:
        for finding in found:
            level = {"wrong": "有误", "soon": "将到"}[finding.level] if language == "zh" else finding.level
            sys.stdout.write(f"{level}{'：' if language == 'zh' else ': '}{finding.what}\n    {finding.fix}\n")
        checks = ", ".join(CHECKS)
        if language == "zh":
            sys.stdout.write(f"{len(CHECKS)} 项检查，{len(found)} 处发现：{checks}\n")
        else:
            sys.stdout.write(
                f"{len(found)} finding{'s' if len(found) != 1 else ''} in {len(CHECKS)} checks: {checks}\n"
            )
    if any(finding.level == "wrong" for finding in found):
        raise SystemExit(1)


def _registry(settings: Settings) -> Iterator[DoctorFinding]:
    try:
        load_registry(settings.registry)
    except RegistryError as error:
        yield DoctorFinding(
            "registry", "wrong", f"the registry cannot be read: {error}", "mend it; greenmine registry check says more"
        )


def _worker(settings: Settings) -> Iterator[DoctorFinding]:
    try:
        workers = _sharing(settings)
        said, age = _status(settings)
    except (RegistryError, StoreError, DatabaseError) as error:
        yield DoctorFinding(
            "worker",
            "wrong",
            f"the record cannot be read: {_line(error)}",
            "put it back from a backup (docs/deploy.md)",
        )
        return
    if workers:
        for worker in workers:
            yield from _sharing_findings(worker)
    elif said is None:
        yield DoctorFinding(
            "worker", "wrong", f"no worker has run on {settings.data}", "start greenmine run, or name another --data"
        )
    elif abs(age) > _ALIVE:
        what = f"the worker has said nothing for {age // 1000} s"
        if age < 0:
            what = "the worker has said nothing since this machine's clock was set back"
        yield DoctorFinding("worker", "wrong", what, _SEE_LOG)
    elif not said.connected:
        yield DoctorFinding(
            "worker",
            "wrong",
            f"the worker has no connection to the broker {said.broker}",
            "see that the broker runs and its account is right",
        )


def _sharing_findings(worker: SharingWorker) -> Iterator[DoctorFinding]:
    """Look at one of several workers, or at what nobody has."""
    name, listed = worker.name, ", ".join(map(str, worker.partitions))
    if not name:
        what, fix = f"nobody reads the partitions {listed}", "start a worker; its log says why it takes none"
    elif not worker.updated:
        what, fix = f"the worker {name} tells nothing, and has the partitions {listed}", _SEE_LOG
    elif abs(now() - worker.updated) > _ALIVE and listed:
        what = f"the worker {name} told of itself last at {utc_text(worker.updated)}, and has the partitions {listed}"
        fix = _SEE_LOG
    elif abs(now() - worker.updated) > _ALIVE:
        what = f"the worker {name} told of itself last at {utc_text(worker.updated)}, and has no partition any more"
        fix = "start it; where another one has taken its place, it is forgotten within ten minutes"
    elif worker.status is not None and not (said := msgspec.json.decode(worker.status, type=WorkerStatus)).connected:
        what = f"the worker {name} has no connection to the log {said.broker}"
        fix = "see that the nats-servers run and its account is right"
    else:
        return
    yield DoctorFinding("worker", "wrong", what, fix)


def _server(settings: Settings) -> Iterator[DoctorFinding]:
    """Look at the server of the record, where there is one."""
    place = settings.record_place
    if isinstance(place, Path):
        return
    try:
        state = state_of(place)
    except StoreError as error:
        yield DoctorFinding("server", "wrong", _line(error), "start PostgreSQL; see GREENMINE_RECORD and its password")
        return
    if state.version < _POSTGRESQL:
        yield DoctorFinding(
            "server", "wrong", f"PostgreSQL is {state.version}", f"use {_POSTGRESQL} or later: nothing else was tried"
        )
    if not (state.fsync and state.full_page_writes):
        yield DoctorFinding(
            "server", "wrong", "PostgreSQL does not wait for its disk", "set fsync and full_page_writes on"
        )
    if not (state.local or state.verified):
        yield DoctorFinding(
            "server",
            "wrong",
            "the way to the server of the record crosses a network and leads to whoever answers at its address"
            if state.encrypted
            else "the way to the server of the record crosses a network and is not encrypted",
            "add ?sslmode=verify-full&sslrootcert=FILE to GREENMINE_RECORD",
        )


def _queue(settings: Settings) -> Iterator[DoctorFinding]:
    """Look at what waits at the broker, and compare what it keeps with what comes while the collector is away."""
    file = settings.broker_files / "mosquitto.conf"
    if not file.exists():
        return
    bound = re.search(r"^max_queued_bytes (\d+)", file.read_text(), re.MULTILINE)
    if bound is None or int(bound[1]):
        yield DoctorFinding(
            "queue",
            "wrong",
            f"by {file} the broker acknowledges and drops what its queue does not hold",
            "remove it, run greenmine init, and let devices in by greenmine ingress alone",
        )
        return
    if not (settings.broker_files / "start.sh").exists():
        yield DoctorFinding(
            "queue",
            "wrong",
            "what the broker gets before the worker's first connection is lost",
            "run greenmine init, and start the broker by broker/start.sh",
        )
    try:
        said, _ = _status(settings)
    except (RegistryError, StoreError, DatabaseError):
        return
    if said is None:
        return
    if said.behind:
        yield DoctorFinding(
            "queue",
            "wrong",
            f"{(said.queue or 0) / 1e6:.0f} MB of messages wait at the broker, of at most {settings.broker_queue / 1e6:.0f}",
            "see in /metrics and on the pages which device sends so much, and what keeps the worker busy",
        )
    span = (now() - said.started) / 1000
    if span < 60 or not said.bytes:
        return
    growth = (said.messages * OVERHEAD + said.bytes) / span
    hold = settings.broker_queue / growth
    if hold < ABSENCE:
        yield DoctorFinding(
            "queue",
            "wrong",
            f"the broker's queue is full {hold / 60:.0f} min after the collector has gone, and devices are not let in then",
            f"let GREENMINE_BROKER_QUEUE be {growth * ABSENCE:.0f}, and give the broker twice that memory",
        )


def _log(settings: Settings) -> Iterator[DoctorFinding]:
    """Look at the log and its servers, where readings come from one."""
    if settings.jetstream is None:
        return
    try:
        faults = asyncio.run(log_faults(settings))
    except (ValueError, OSError) as error:
        faults = [LogFault(str(error), "mend the setting")]
    for fault in faults:
        yield DoctorFinding("log", "wrong", fault.what, fault.fix)
    try:
        told = [msgspec.json.decode(one.status, type=WorkerStatus) for one in _sharing(settings) if one.status]
        if not told:
            told = [said for said, _ in [_status(settings)] if said is not None]
    except (RegistryError, StoreError, DatabaseError):
        return
    if any(said.behind for said in told):
        yield DoctorFinding(
            "log",
            "wrong",
            f"about {sum(said.queue or 0 for said in told) / 1e6:.0f} MB of messages wait in the log",
            "see in /metrics and on the pages which device sends so much, and what keeps the worker busy",
        )
    if missing := max((said.missing for said in told), default=0):  # each of several counts the same gap
        yield DoctorFinding(
            "log",
            "wrong",
            f"{missing} messages were gone from the log before the worker came to read them",
            "the worker's log says when; set GREENMINE_JETSTREAM_DAYS higher, and run greenmine cluster apply",
        )


def _disk(settings: Settings) -> Iterator[DoctorFinding]:
    if not settings.data.is_dir():
        return
    free = shutil.disk_usage(settings.data).free
    if free < 1_000_000_000:
        yield DoctorFinding(
            "disk", "wrong", f"{free / 1e6:.0f} MB are free under {settings.data}", "make room; set GREENMINE_RAW_DAYS"
        )
        return
    try:
        registry = load_registry(settings.registry)
        access = RecordAccess(settings.record_place, registry)
        with access.queries() as queries:
            lasts = horizon(settings, queries, Scope(frozenset(site.id for site in registry.sites)))
        access.close()
    except (RegistryError, StoreError, DatabaseError):  # another check's finding
        return
    if lasts is not None and lasts < HORIZON:
        yield DoctorFinding(
            "disk",
            "soon",
            f"the disk under {settings.data} lasts {lasts:.0f} days at the most of a day",
            "add disk" if settings.raw_days else "set GREENMINE_RAW_DAYS, or add disk",
        )


def horizon(settings: Settings, queries: Queries, scope: Scope) -> float | None:
    """How many days the disk under the data directory lasts at the most of a day of the last week.

    None if nothing came, or if the record is elsewhere.
    """
    if not isinstance(settings.record_place, Path):
        return None
    stored = queries.stored_by_day(scope, local(now() - 7 * DAY, "UTC").date().isoformat())
    return lasting_days(shutil.disk_usage(settings.data).free, stored, settings.raw_days)


def _sync(settings: Settings) -> Iterator[DoctorFinding]:
    """Measure how long the disk takes to be sure."""
    if not settings.data.is_dir():
        return
    place = settings.data / f".doctor-{os.getpid()}"
    try:
        took = []
        with place.open("wb") as file:
            for _ in range(5):
                begun = time.monotonic()
                file.write(b"x" * 4096)
                file.flush()
                os.fsync(file.fileno())
                took.append(time.monotonic() - begun)
    except OSError as error:
        yield DoctorFinding(
            "fsync",
            "wrong",
            f"{settings.data} cannot be written: {error.strerror}",
            "give it to the user of the services",
        )
        return
    finally:
        place.unlink(missing_ok=True)
    kinds = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    held = [(parts[1], parts[2]) for parts in kinds if settings.data.resolve().is_relative_to(parts[1])]
    kind = max(held, key=lambda mount: len(mount[0]), default=("", ""))[1]
    if kind in {"tmpfs", "ramfs"}:
        yield DoctorFinding(
            "fsync",
            "wrong",
            f"{settings.data} lies in memory ({kind}) and is gone after a restart",
            "move it to a disk",
        )
    elif kind.startswith(("nfs", "cifs", "smb", "fuse.sshfs")):
        yield DoctorFinding(
            "fsync",
            "wrong",
            f"{settings.data} lies on a network ({kind}), where SQLite's locks do not hold",
            "move it to a local disk",
        )
    elif sorted(took)[2] > _SLOW_SYNC:
        yield DoctorFinding(
            "fsync", "soon", f"the disk takes {sorted(took)[2] * 1000:.0f} ms to be sure of a page", "use a faster disk"
        )


def _clock(settings: Settings) -> Iterator[DoctorFinding]:
    """Doubt our own clock before the devices' where most of them agree with each other, and not with us."""
    try:
        said, age = _status(settings)
    except (RegistryError, StoreError, DatabaseError):
        return
    if said is None or abs(age) > _ALIVE:
        return
    ahead = show_duration(abs(said.clock))
    if said.clock > _SKEW:
        what = f"most devices are ahead of this machine by {ahead}: its clock is behind"
        if said.doubted:
            what = f"its clock is behind: most devices are ahead of this machine by {ahead}, and readings are held until it is set"
        yield DoctorFinding("clock", "wrong", what, _SET_CLOCK)
    elif said.clock < -_OLD:
        yield DoctorFinding(
            "clock",
            "wrong",
            f"the newest readings of most devices are {ahead} old: this machine's clock is ahead, or they come that late",
            _SET_CLOCK,
        )


def _permissions(settings: Settings) -> Iterator[DoctorFinding]:
    places = [settings.data, settings.broker_files, *([settings.secrets] if settings.secrets else [])]
    for place in places:
        files = dict(_files(place))
        bare = [path for path, told in files.items() if told.st_mode & 0o007 and path.suffix not in {".crt", ".pub"}]
        if bare:
            yield DoctorFinding(
                "permissions",
                "wrong",
                f"{len(bare)} files under {place} are for everybody on this machine, such as {bare[0].relative_to(place)}",
                f"chmod -R o-rwx {place}",
            )
        owner = place.stat() if files and place == settings.data else None
        foreign = [path for path, told in files.items() if owner is not None and not _may_write(owner, told)]
        if foreign:
            yield DoctorFinding(
                "permissions",
                "wrong",
                f"{len(foreign)} files under {place} are not of its owner, who may not write them, such as "
                f"{foreign[0].relative_to(place)}",
                f"chown -R --reference={place} {place}; run commands as the user of the services",
            )


def _files(place: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Files under a directory; some may go while they are looked at."""
    for path in place.rglob("*") if place.is_dir() else ():
        with suppress(FileNotFoundError):
            if path.is_file() and not path.is_symlink():
                yield path, path.stat()


def _may_write(owner: os.stat_result, file: os.stat_result) -> bool:
    """Return whether the owner of a directory may write a file in it; not if somebody ran a command there as another user."""
    return owner.st_uid in {0, file.st_uid} or (owner.st_gid == file.st_gid and bool(file.st_mode & 0o020))


def _certificates(settings: Settings) -> Iterator[DoctorFinding]:
    base = settings.broker_files.parent
    named = [settings.broker_ca, settings.broker_certificate, settings.hj212_certificate]
    authority = base / "authority" / "ca.crt"
    fixes = {
        base / "broker" / "server.crt": "greenmine init --renew-certificates",
        base / "proxy" / "server.crt": "greenmine init --renew-certificates",
        authority: f"move {authority.parent} away, run greenmine init --renew-certificates, and give every device the new ca.crt",
    }
    for file in dict.fromkeys(path for path in (*named, *fixes) if path is not None and path.is_file()):
        fix = fixes.get(file, "have a new one made by whoever made it")
        try:
            left = (expiry(file) - datetime.now(UTC)).days
        except (ValueError, OSError) as error:
            yield DoctorFinding("certificates", "wrong", f"{file} cannot be read: {_line(error)}", fix)
            continue
        if left < 0:
            yield DoctorFinding("certificates", "wrong", f"{file} has ended", fix)
        elif left < _LEFT:
            yield DoctorFinding("certificates", "soon", f"{file} ends in {left} days", fix)
        elif file in fixes and not issued_by(file, authority):
            yield DoctorFinding(
                "certificates", "wrong", f"{file} is not of the authority {authority}, by which devices know it", fix
            )


def _versions(_settings: Settings) -> Iterator[DoctorFinding]:
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        return
    said = subprocess.run([program, "-h"], capture_output=True, text=True, check=False).stdout  # noqa: S603 - looked up
    version = re.search(r"version (\d+)\.(\d+)", said)
    if version is not None and (int(version[1]), int(version[2])) < (2, 0):
        yield DoctorFinding(
            "versions",
            "wrong",
            f"Mosquitto is {version[1]}.{version[2]}",
            "use 2.0 or later: what it keeps rests on that",
        )


CHECKS: Final[dict[str, Check]] = {
    "registry": _registry,
    "worker": _worker,
    "server": _server,
    "queue": _queue,
    "log": _log,
    "disk": _disk,
    "fsync": _sync,
    "clock": _clock,
    "permissions": _permissions,
    "certificates": _certificates,
    "versions": _versions,
}
"""All checks, by name."""


def _sharing(settings: Settings) -> list[SharingWorker]:
    """Who has which partitions, where there are several."""
    if not there_is(settings.record_place):
        return []
    access = RecordAccess(settings.record_place, load_registry(settings.registry))
    with access.queries() as queries:
        found = queries.sharing()
    access.close()
    return found


def _status(settings: Settings) -> tuple[WorkerStatus | None, int]:
    """What the worker said last, and how long ago [ms]."""
    if not there_is(settings.record_place):
        return None, 0
    access = RecordAccess(settings.record_place, load_registry(settings.registry))
    with access.queries() as queries:
        worker = max(queries.workers(), key=lambda row: row.updated, default=None)
    access.close()
    if worker is None:
        return None, 0
    return msgspec.json.decode(worker.status, type=WorkerStatus), now() - worker.updated


def _line(error: Any) -> str:
    return str(getattr(error, "orig", error)).splitlines()[0]
