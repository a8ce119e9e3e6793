"""Batches made without a broker."""

from __future__ import annotations

import numpy as np

from greenmine.batch import Batch
from greenmine.readings import Readings
from greenmine.registry import Registry


def batch_of(registry: Registry, readings: Readings) -> Batch:
    """A batch in which each channel's readings came in one message, without sequence number, just now.

    Parameters
    ----------
    registry : Registry
        With one channel a device.
    readings : Readings
        Sorted by channel.
    """
    channels, message = np.unique(readings.channel, return_inverse=True)
    rows = len(channels)
    return Batch(
        readings=readings,
        message=message.astype(np.int32),
        devices=[(registry.channels[c].site, registry.channels[c].device) for c in channels.tolist()],
        message_device=np.arange(rows, dtype=np.int32),
        message_seq=np.full(rows, -1, np.int64),
        message_received=np.full(rows, int(readings.time.max()) + 100, np.int64),
        message_bytes=np.full(rows, 100, np.int64),
        message_readings=np.bincount(message, minlength=rows),
        rejections=[],
    )
