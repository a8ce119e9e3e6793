"""Files that people hand in: kept as they came, their readings taken in by the ordinary path with a source mark of their own."""

from __future__ import annotations

import hashlib
import io
import os
import zlib
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final
from zipfile import BadZipFile

import numpy as np
import sqlalchemy as sa

from greenmine.batch import Batch
from greenmine.readings import Readings
from greenmine.record import schema
from greenmine.record.results import UPLOADED
from greenmine.record.writer import Pipeline
from greenmine.registry import Registry

AT_ONCE: Final = 20_000
"""Readings that are taken in with one transaction."""


def keep(folder: Path, content: bytes) -> str:
    """Keep a file, durably, under the SHA-256 of its content, which is returned."""
    digest = hashlib.sha256(content).hexdigest()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with NamedTemporaryFile(dir=folder, prefix="part-", delete=False) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(folder / digest)
    return digest


def packed(readings: Readings, registry: Registry) -> bytes:
    """Write readings in order of time, with the names of their channels, so that another registry finds them again."""
    ordered = readings.take(np.argsort(readings.time, kind="stable"))
    keys = np.array([channel.key for channel in registry.channels], np.str_)
    names, channel = np.unique(keys[ordered.channel], return_inverse=True)
    content = io.BytesIO()
    np.savez_compressed(
        content, keys=names, channel=channel.astype(np.int32), time=ordered.time, value=ordered.value, flag=ordered.flag
    )
    return content.getvalue()


def unpacked(path: Path, registry: Registry) -> Readings:
    """Read what ``packed`` wrote to a file.

    Raises
    ------
    ValueError
        If it is gone or spoiled, or the registry no longer has a channel of it.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as found:
            keys, channel, *columns = (found[name] for name in ("keys", "channel", "time", "value", "flag"))
    except (OSError, EOFError, BadZipFile, KeyError, TypeError, ValueError, zlib.error) as fault:
        # The reason may name a path of this machine, which is nobody's business.
        raise ValueError("the file that was handed in cannot be read any more") from fault
    number = {channel.key: channel.index for channel in registry.channels}
    gone = [key for key in keys.tolist() if key not in number]
    if gone:
        raise ValueError(f"the registry has no channel {gone[0]} any more")
    index = np.array([number[key] for key in keys.tolist()], np.int32)
    return Readings(index[channel], *columns)


class UploadDesk:
    """Takes in what people handed in. Used in the one thread that writes the record.

    Parameters
    ----------
    pipeline : Pipeline
        Takes the readings.
    folder : Path
        Where files are kept.
    """

    def __init__(self, pipeline: Pipeline, folder: Path) -> None:
        self._pipeline, self._folder = pipeline, folder
        self._held: tuple[int, Readings] | None = None
        self._batch: Batch | None = None
        """What is being stored; given again as it is where the record could not take it."""

    def carry_on(self, now: int) -> bool:
        """Take in the next readings of the file that has waited longest; how far it is is stored in the same transaction.

        Parameters
        ----------
        now : int
            The clock [ms UTC].

        Returns
        -------
        bool
            Whether there may be more to do.

        Raises
        ------
        StoreError
            If the record cannot be read or written; the same readings are taken in again then.
        """
        record, table = self._pipeline.record, schema.upload
        mine = table.c.state == "waiting", record.own(table.c.site)
        waiting = record.rows(sa.select(table).where(*mine).order_by(table.c.id).limit(1))
        if not waiting:
            self._held = None
            return False
        row = waiting[0]
        if self._held is None or self._held[0] != row["id"]:
            try:
                self._held = row["id"], unpacked(self._folder / row["content"], self._pipeline.registry)
            except ValueError as error:
                refused = {"state": "refused", "answer": str(error)[:500], "answered": now}
                with record.transaction() as connection:
                    refused["serial"] = record.serial(connection)
                    connection.execute(sa.update(table).where(table.c.id == row["id"]).values(**refused))
                return True
        readings = self._held[1]
        some = readings.take(np.arange(row["done"], min(row["done"] + AT_ONCE, len(readings))))
        size = len(some)
        batch = self._batch or Batch(
            readings=some,
            message=np.zeros(size, np.int32),
            devices=[(row["site"], f"{UPLOADED}{row['id']}")],
            message_device=np.zeros(1, np.int32),
            message_seq=np.full(1, -1),
            message_received=np.full(1, now),
            message_readings=np.full(1, size),
            message_bytes=np.full(1, row["size"] if row["done"] == 0 else 0),
            rejections=[],
        )
        last = row["done"] + size >= len(readings)
        before = {name: row[name] for name in ("stored", "repeated", "conflicting", "late")}

        def beside(connection: sa.Connection, serial: int) -> None:
            parts = self._pipeline.parts
            # What lies behind the file's readings are copies for other sites.
            found = {
                name: int((rows < size).sum())
                for name, rows in (
                    ("stored", parts.fresh),
                    ("repeated", parts.repeated),
                    ("conflicting", parts.conflicting),
                    ("late", parts.late),
                )
            }
            values = {name: before[name] + found[name] for name in before}
            values |= {"done": row["done"] + size, "serial": serial}
            done = {"state": "done", "answered": now} if last else {}
            connection.execute(sa.update(table).where(table.c.id == row["id"]).values(**values, **done))

        self._batch = batch
        self._pipeline.commit(batch, now, beside)
        self._batch = None
        return True
