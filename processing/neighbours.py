"""Copies of readings for the sites that borrow the weather of another: there they are readings like all others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from greenmine.batch import Batch
from greenmine.readings import Readings
from greenmine.registry import Registry


def copied(registry: Registry, readings: Readings) -> tuple[NDArray[np.intp], Readings]:
    """Return copies of what other sites borrow, and the places of the readings that they are copies of.

    Nothing of a site goes to another but wind speed and rain of the station that the other one names.
    """
    if not registry.lent:
        return np.empty(0, np.intp), Readings.empty()
    rows = [(np.flatnonzero(readings.channel == source), there) for source, there in registry.lent]
    place = np.concatenate([found for found, _ in rows])
    channel = np.concatenate([np.full(len(found), there, np.int32) for found, there in rows])
    return place, replace(readings.take(place), channel=channel)


def shared(registry: Registry, batch: Batch) -> Batch:
    """Return a batch with copies of what other sites borrow behind its readings.

    They are messages of their own, of a device that goes by the id of the station at the site that borrows, so that the
    ledgers of both sites add up.
    """
    place, copies = copied(registry, batch.readings)
    if not len(copies):
        return batch
    channels = registry.channels
    senders = list(dict.fromkeys((channels[c].site, channels[c].device) for c in np.unique(copies.channel).tolist()))
    sender = np.array(
        [senders.index((channels[c].site, channels[c].device)) for c in copies.channel.tolist()], np.int64
    )
    source = batch.message[place].astype(np.int64)
    messages, message = np.unique(source * len(senders) + sender, return_inverse=True)
    of, by = np.divmod(messages, len(senders))
    size = len(messages)
    return replace(
        batch,
        readings=Readings.concat([batch.readings, copies]),
        message=np.concatenate([batch.message, (message + batch.messages).astype(np.int32)]),
        devices=[*batch.devices, *senders],
        message_device=np.concatenate([batch.message_device, (by + len(batch.devices)).astype(np.int32)]),
        message_seq=np.concatenate([batch.message_seq, np.full(size, -1, np.int64)]),
        message_received=np.concatenate([batch.message_received, batch.message_received[of]]),
        message_bytes=np.concatenate([batch.message_bytes, np.zeros(size, np.int64)]),
        message_readings=np.concatenate([batch.message_readings, np.bincount(message, minlength=size)]),
    )
