"""``greenmine backup``: consistent copies of the databases, keys, attached files and archive, while the system runs."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Final

from greenmine.errors import SchemaError, StoreError
from greenmine.places import Place
from greenmine.record.copying import CopyError
from greenmine.record.copying import copy as copy_record
from greenmine.settings import Settings

_RECORD: Final = "record.sqlite"
_KEYS: Final = "keys"
_ARCHIVE: Final = "archive"
"""Where the archive lies unless a setting says otherwise; one that lies elsewhere is looked after there."""


def backup(directory: Path, /, *, data: Path | None = None) -> None:
    """Copy every database of an installation, each as it stood at one instant, its signing key, attached files and archive.

    The system goes on meanwhile. A copy takes the place of the one from before only when it is complete, and of a database
    when it has been checked. A record on a server of PostgreSQL becomes a file record.sqlite, which greenmine record copy puts
    into a database again. Sealed files of the archive are copied once. To restore, stop the services and put the files in the
    place of those in the data directory, without the -wal and -shm files there.

    Parameters
    ----------
    directory
        Where the copies go; made if absent. Best on another disk.
    data
        Directory of all state. Default: GREENMINE_DATA, or var.
    """
    settings = Settings() if data is None else Settings(data=data)
    served = not isinstance(settings.record_place, Path)
    # A file of before, beside a server, is not the record.
    sources = [path for path in sorted(settings.data.glob("*.sqlite")) if not (served and path.name == _RECORD)]
    if not sources and not served:
        raise SystemExit(f"greenmine backup: there is no database in {settings.data}")
    if directory.resolve() == settings.data.resolve():
        raise SystemExit(f"greenmine backup: {directory} is the data directory itself; choose another")
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if served:
            sys.stdout.write(f"{directory / _RECORD}  {_copy_served(settings.record_place, directory)} bytes\n")
        for source in sources:
            size = _copy(source, directory / source.name)
            sys.stdout.write(f"{directory / source.name}  {size} bytes\n")
        # After the record: an archive may be ahead of what the record knows of it, not behind.
        copied = sum(
            _copy_files(source, directory / name)
            for source, name in (
                (settings.keys, _KEYS),
                (settings.attachments, settings.attachments.name),
                (settings.uploads, settings.uploads.name),
                (settings.data / _ARCHIVE, _ARCHIVE),
            )
        )
        sys.stdout.write(f"{copied} new files of keys, attachments, uploads and archive\n")
    except (OSError, sqlite3.Error, CopyError, StoreError, SchemaError) as error:
        raise SystemExit(f"greenmine backup: {error}") from error


def _copy_served(place: Place, directory: Path) -> int:
    """Copy the record of a server into a file, as it stands at one instant, and compare both; its size [bytes]."""
    target = directory / _RECORD
    partial = directory / f"{_RECORD}.partial"
    for left in directory.glob(f"{partial.name}*"):
        left.unlink()
    os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    for _ in copy_record(place, partial):
        pass
    with closing(sqlite3.connect(partial)) as copy:
        copy.execute("pragma journal_mode = delete")  # one file that holds everything
    partial.replace(target)
    return target.stat().st_size


def _copy(source: Path, target: Path) -> int:
    """Copy a database; its size [bytes]."""
    partial = target.with_name(f"{target.name}.partial")
    partial.unlink(missing_ok=True)
    os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with (
        closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as original,
        closing(sqlite3.connect(partial)) as copy,
    ):
        original.backup(copy)  # in one step: a snapshot, and with the write-ahead log nobody has to wait
        copy.execute("pragma journal_mode = delete")  # one file that holds everything
        copy.row_factory = sqlite3.Row
        found = copy.execute("pragma quick_check(1)").fetchone()["quick_check"]
    if found != "ok":
        raise SystemExit(f"greenmine backup: {source} is damaged ({found}); the copy from before is kept")
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(target)
    return target.stat().st_size


def _copy_files(source: Path, target: Path) -> int:
    """Copy files that never change once they are there, where the copy is missing or cut off; how many those were."""
    copied = 0
    for path in sorted(source.rglob("*")):
        copy = target / path.relative_to(source)
        if not path.is_file() or (copy.exists() and copy.stat().st_size == path.stat().st_size):
            continue
        copy.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        partial = copy.with_name(f"{copy.name}.partial")
        shutil.copy2(path, partial)
        partial.replace(copy)
        copied += 1
    return copied
