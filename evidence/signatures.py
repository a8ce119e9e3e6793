"""Signatures at the source: which readings a bundle's instruments signed themselves, and what contradicts what they signed."""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from greenmine.collector.payloads.payload import BatchBuilder
from greenmine.collector.payloads.signature import Signed, joined
from greenmine.evidence.sections import SignedFigures
from greenmine.evidence.source import Source
from greenmine.readings import Readings
from greenmine.record.archive.archive import Finding, bounds
from greenmine.reporting import Period
from greenmine.settings import Settings

_COLUMNS: Final = ["kind", "channel", "time", "value", "flag", "received", "device", "detail"]
_INSTANT: Final = np.dtype([("channel", "<i4"), ("time", "<i8")])
_SAID: Final = np.dtype([("channel", "<i4"), ("time", "<i8"), ("value", "<f8"), ("flag", "u1")])


_LONGEST: Final = 1 << 28
"""Longest payload [bytes]: what was taken once is within the bounds of then."""
_PROMPT: Final = 86_400_000
"""A reading that came within so long of its time [ms] was not too late to be stored."""


class _Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a row of a signed message holds besides its columns."""

    topic: str
    payload: str
    signature: str


@dataclass(frozen=True, slots=True)
class _Day:
    """What was found of one day."""

    held: NDArray[np.void]
    """Readings that are sealed."""
    signed: NDArray[np.void]
    """Readings in messages that their device signed."""
    faults: list[Finding]


def signs(source: Source) -> bool:
    """Whether any device of the mine has a key."""
    return any(device.keys for device in source.site.devices)


def signed_shares(source: Source, period: Period) -> list[SignedFigures]:
    """Readings of each device within a period, and how many of them it signed; nothing where no device has a key."""
    if not signs(source):
        return []
    owner = _owners(source)
    held, signed = Counter[str](), Counter[str]()
    for day in source.days:
        if period.first <= date.fromisoformat(day) <= period.last:
            found = _examined(source, day)
            devices = owner[found.held["channel"]]
            held.update(devices.tolist())
            signed.update(devices[np.isin(found.held, found.signed)].tolist())
    return [
        SignedFigures(device.id, held[device.id], signed[device.id])
        for device in source.site.devices
        if held[device.id]
    ]


def signature_faults(source: Source) -> Iterator[Finding]:
    """What contradicts the signatures: messages that no key of their device signed, and readings that are others than it signed."""
    for day in source.days if signs(source) else ():
        yield from _examined(source, day).faults


def _examined(source: Source, day: str) -> _Day:
    """Compare the readings of a day with the messages that were signed for it."""
    keys = {channel.key: channel.index for channel in source.registry.channels}
    faults: list[Finding] = []
    held, aside, signed, due = ([np.empty(0, _SAID)] for _ in range(4))
    for name, file in source.files(day):
        table = file.read(columns=_COLUMNS)
        kind = table["kind"].cast(pa.string())
        held.append(_said(table.filter(pc.equal(kind, "reading")), keys))
        aside.append(_said(table.filter(pc.is_in(kind, pa.array(["conflict", "late"]))), keys))
        rows, prompt, wrong = _decoded(source, table.filter(pc.equal(kind, "signed")).to_pylist())
        signed.append(rows)
        due.append(rows[prompt])
        faults += [Finding(f"{name}, {message}", what) for message, what in wrong]
    of_day, all_signed = np.concatenate(held), np.concatenate(signed)
    first, last = bounds(date.fromisoformat(day), ZoneInfo(source.site.zone))
    told = np.unique(all_signed)
    told = told[(told["time"] >= first) & (told["time"] < last)]
    told = told[~np.isin(_instants(told), _instants(np.concatenate([of_day[np.isin(of_day, all_signed)], *aside])))]
    bent = np.isin(_instants(told), _instants(of_day))
    for some, what in (
        (bent, "have another value or flag than their device signed"),
        (~bent & np.isin(told, np.concatenate(due)), "that their device signed are missing"),
    ):
        if some.any():
            one = told[some][0]
            key, when = source.registry.channels[int(one["channel"])].key, np.datetime64(int(one["time"]), "ms")
            faults.append(
                Finding(f"{day}, {key}", f"{np.count_nonzero(some)} readings {what}; the first is of {when}Z")
            )
    return _Day(of_day, all_signed, faults)


def _decoded(
    source: Source, rows: Sequence[dict[str, Any]]
) -> tuple[NDArray[np.void], NDArray[np.bool_], list[tuple[str, str]]]:
    """Readings of messages that their device signed, whether they came within a day, and what is wrong with the others."""
    wrong: list[tuple[str, str]] = []
    sent: list[tuple[dict[str, Any], _Said, bytes]] = []
    for row in rows:
        try:
            said = msgspec.json.decode(row["detail"] or "", type=_Said)
            sent.append((row, said, joined(Signed(base64.b64decode(said.payload), base64.b64decode(said.signature)))))
        except (msgspec.MsgspecError, binascii.Error, RecursionError) as error:
            wrong.append((_place(row), f"cannot be read: {error}"))
    builder = BatchBuilder(source.registry, Settings(payload_limit=_LONGEST))
    for row, said, message in sent:
        builder.add(said.topic, message, round(row["received"].timestamp() * 1000))
    batch = builder.finish()
    proven = {(one.device, base64.b64encode(one.signature).decode()) for one in batch.signed}
    details = {(one.topic, one.received): one.detail for one in batch.rejections}
    for row, said, _ in sent:
        if (row["device"], said.signature) not in proven:
            why = details.get(
                (said.topic, round(row["received"].timestamp() * 1000)), "it is another's, or holds no reading"
            )
            wrong.append((_place(row), f"is not signed by its device: {why}"))
    inside = np.isin(batch.message, [one.message for one in batch.signed])
    readings = batch.readings.take(inside)
    age = batch.message_received[batch.message[inside]] - readings.time
    return _rows(readings), (age >= 0) & (age < _PROMPT), wrong


def _place(row: dict[str, Any]) -> str:
    return f"message of {row['device']} received at {row['received']:%Y-%m-%d %H:%M:%S} UTC"


def _owners(source: Source) -> NDArray[np.str_]:
    """Device of each channel."""
    return np.array([channel.device for channel in source.registry.channels])


def _said(table: pa.Table, keys: dict[str, int]) -> NDArray[np.void]:
    """Readings of channels of the registry in rows of a sealed file."""
    channel = np.array([keys.get(key, -1) for key in table["channel"].to_pylist()], np.int32)
    flag = np.array([ord(letter or " ") for letter in table["flag"].to_pylist()], np.uint8)
    value = table["value"].fill_null(np.nan).to_numpy()
    readings = Readings(channel, table["time"].cast(pa.int64()).to_numpy(), value, flag)
    return _rows(readings.take(channel >= 0))


def _rows(readings: Readings) -> NDArray[np.void]:
    """Readings in a form in which they can be sought; no value is one value."""
    rows = np.empty(len(readings), _SAID)
    rows["channel"], rows["time"], rows["flag"] = readings.channel, readings.time, readings.flag
    rows["value"] = np.where(np.isnan(readings.value), -np.inf, readings.value)
    return rows


def _instants(rows: NDArray[np.void]) -> NDArray[np.void]:
    found = np.empty(len(rows), _INSTANT)
    found["channel"], found["time"] = rows["channel"], rows["time"]
    return found
