"""The ledger: for every device and day, received = stored + duplicate + rejected + late; both sides are counted by themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from greenmine.batch import Batch
from greenmine.processing.engine import Outcome

_DAY: Final = 86_400_000
_RESTART: Final = 1_000
"""A sequence number this far under the highest is a device that began to count anew, not a late message."""
_GAPS: Final = 1_000
"""Gaps kept open for a device; beyond it the oldest are given up as missed."""


@dataclass(slots=True)
class LedgerEntry:
    """Counts of one device on one day of receipt, to be added to the ledger; readings unless said otherwise."""

    site: str
    device: str
    day: str
    messages: int = 0
    received: int = 0
    stored: int = 0
    duplicate: int = 0
    conflict: int = 0
    rejected: int = 0
    late: int = 0
    reordered: int = 0
    sequence_last: int = -1
    sequence_missing: int = 0
    latency_sum: int = 0


def entries(batch: Batch, outcome: Outcome, offset: Callable[[str], int]) -> list[LedgerEntry]:
    """Count a batch.

    Parameters
    ----------
    batch : Batch
        What came.
    outcome : Outcome
        What became of its readings.
    offset : callable
        What a site's local time is ahead of UTC [ms].

    Returns
    -------
    list of Entry
        One a device and day. Messages whose topic names no device of the registry are counted under what the topic says.
    """
    strangers = {r.message: (r.site, r.device) for r in batch.rejections if batch.message_device[r.message] < 0}
    devices = [*batch.devices, *dict.fromkeys(strangers.values())]
    number = {device: i for i, device in enumerate(devices)}
    owner = batch.message_device.astype(np.int64)
    for message in np.flatnonzero(owner < 0):
        owner[message] = number[strangers[int(message)]]
    ahead = np.array([offset(site) for site, _ in devices], np.int64)
    day = (batch.message_received + ahead[owner]) // _DAY
    keys, group = np.unique(owner * 1_000_000 + day, return_inverse=True)
    found = [
        LedgerEntry(*devices[int(key) // 1_000_000], str(np.datetime64(int(key) % 1_000_000, "D"))) for key in keys
    ]
    row = group[batch.message] if len(batch.message) else np.empty(0, np.intp)
    parts = outcome.parts
    latency = batch.message_received[batch.message[parts.fresh]] - batch.readings.time[parts.fresh]
    for name, index, weights in (
        ("messages", np.arange(batch.messages), None),
        ("received", np.arange(batch.messages), batch.message_readings),
        ("stored", parts.fresh, None),
        ("duplicate", parts.repeated, None),
        ("conflict", parts.conflicting, None),
        ("late", parts.late, None),
        ("reordered", parts.fresh[outcome.reordered], None),
        ("latency_sum", parts.fresh, latency),
    ):
        places = group[index] if name in {"messages", "received"} else row[index]
        for entry, count in zip(found, np.bincount(places, weights, len(found)).tolist(), strict=True):
            setattr(entry, name, int(count))
    for rejection in batch.rejections:
        found[group[rejection.message]].rejected += rejection.readings
    return found


@dataclass(slots=True)
class _Counter:
    last: int
    gaps: list[tuple[int, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SequenceNews:
    """What a batch told of one device's message sequence; ``gaps`` is None where they are as before."""

    last: int
    missing: int
    gaps: list[tuple[int, int]] | None


class Sequences:
    """Follows the message sequence numbers of devices: what was passed over, and what of it came later."""

    def __init__(self) -> None:
        self._counters: dict[tuple[str, str], _Counter] = {}

    def restore(self, device: tuple[str, str], last: int, gaps: Iterable[tuple[int, int]]) -> None:
        """Take over what the record says of a device."""
        self._counters[device] = _Counter(last, sorted(gaps))

    def take(self, batch: Batch) -> dict[tuple[str, str], SequenceNews]:
        """Take in the sequence numbers of a batch; devices without any are left out."""
        with_number = batch.message_seq >= 0
        with_number &= batch.message_device >= 0
        chosen = np.flatnonzero(with_number)
        if not len(chosen):
            return {}
        order = chosen[np.argsort(batch.message_device[chosen], kind="stable")]
        owner = batch.message_device[order]
        starts = np.flatnonzero(np.append(True, np.diff(owner) != 0))
        return {
            batch.devices[int(owner[start])]: self._follow(batch.devices[int(owner[start])], batch.message_seq[part])
            for start, part in zip(starts, np.split(order, starts[1:]), strict=True)
        }

    def _follow(self, device: tuple[str, str], numbers: NDArray[np.int64]) -> SequenceNews:
        counter = self._counters.get(device)
        if counter is None:
            counter = self._counters[device] = _Counter(int(numbers[0]) - 1)
        first, last = int(numbers[0]), int(numbers[-1])
        if first == counter.last + 1 and last - first == len(numbers) - 1 and (np.diff(numbers) == 1).all():
            counter.last = last
            return SequenceNews(last, 0, None)
        missing, changed = 0, False
        for n in numbers.tolist():
            if n > counter.last:
                if n > counter.last + 1:
                    counter.gaps.append((counter.last + 1, n - 1))
                    missing += n - 1 - counter.last
                    changed = True
                counter.last = n
            elif self._fill(counter, n):
                missing -= 1
                changed = True
            elif n < counter.last - _RESTART:
                # Numbers of the old count can no longer be told from those of the new one.
                changed |= bool(counter.gaps)
                counter.last, counter.gaps = n, []
        del counter.gaps[:-_GAPS]
        return SequenceNews(counter.last, missing, counter.gaps if changed else None)

    @staticmethod
    def _fill(counter: _Counter, n: int) -> bool:
        for i, (first, last) in enumerate(counter.gaps):
            if first <= n <= last:
                counter.gaps[i : i + 1] = [g for g in ((first, n - 1), (n + 1, last)) if g[0] <= g[1]]
                return True
        return False
