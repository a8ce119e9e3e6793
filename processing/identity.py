"""Which readings are new: a reading is identified by its channel and its instant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from greenmine.processing.panes import MINUTE, Panes
from greenmine.readings import Readings


class Stored(Protocol):
    """Looks up readings that were committed before."""

    def __call__(
        self, channel: NDArray[np.int32], time: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.uint8]]:
        """For each (channel, time): whether it is stored, with which value and flag."""
        ...


def unknown(
    channel: NDArray[np.int32], time: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.uint8]]:
    """Answer of a `Stored` that holds nothing."""
    return np.zeros(len(channel), np.bool_), np.full(len(time), np.nan), np.zeros(len(time), np.uint8)


@dataclass(frozen=True, slots=True)
class Sorted:
    """A batch told apart; each part is an index into the batch as it came.

    ``fresh`` is sorted by channel, then time. ``conflicting`` is a part of ``repeated``: same instant, other value.
    """

    fresh: NDArray[np.intp]
    repeated: NDArray[np.intp]
    conflicting: NDArray[np.intp]
    late: NDArray[np.intp]

    def accepted(self, readings: Readings) -> Sorted:
        """The same, where nothing is too late."""
        fresh = np.concatenate([self.fresh, self.late])
        order = _by_channel_and_time(readings.channel[fresh], readings.time[fresh])
        return Sorted(fresh[order], self.repeated, self.conflicting, self.late[:0])


def tell_apart(readings: Readings, panes: Panes, stored: Stored) -> Sorted:
    """Divide a batch into new readings, repeats, conflicts, and readings too late for the ring.

    The first reading of an instant counts; within a batch, the first that came.

    Parameters
    ----------
    readings : Readings
        In any order, repeats possible; finite times.
    panes : Panes
        Knows the instants of the ring.
    stored : Stored
        Asked only where the panes cannot exclude an earlier reading.
    """
    order = _by_channel_and_time(readings.channel, readings.time)
    channel, time = readings.channel[order], readings.time[order]
    again = np.zeros(len(order), np.bool_)
    again[1:] = (channel[1:] == channel[:-1]) & (time[1:] == time[:-1])
    conflicting = np.zeros(len(order), np.bool_)
    repeated = again.copy()
    if again.any():
        firsts, others = np.flatnonzero(~again), np.flatnonzero(again)
        here, there = order[others], order[firsts[np.searchsorted(firsts, others) - 1]]
        conflicting[again] = _differs(readings, here, readings.value[there], readings.flag[there])
    behind = np.flatnonzero(time <= panes.newest[channel])
    if not len(behind) and not again.any():
        none = np.empty(0, np.intp)
        return Sorted(order, none, none, none)
    doubtful = behind[panes.seen(channel[behind], time[behind])]
    if len(doubtful):
        known, value, flag = stored(channel[doubtful], time[doubtful])
        hit = doubtful[known]
        repeated[hit] = True
        conflicting[hit] = _differs(readings, order[hit], value[known], flag[known])
    late = np.zeros(len(order), np.bool_)
    late[behind] = ~repeated[behind] & ~panes.holds(channel[behind], time[behind] // MINUTE)
    fresh = np.flatnonzero(~(repeated | late))
    return Sorted(order[fresh], order[repeated], order[conflicting], order[late])


def _by_channel_and_time(channel: NDArray[np.int32], time: NDArray[np.int64]) -> NDArray[np.intp]:
    """Stable order by channel, then time; a radix sort by channel is enough where each channel comes in order."""
    if len(channel) and int(channel.max()) < 65_536:
        order = np.argsort(channel.astype(np.uint16), kind="stable")
        c, t = channel[order], time[order]
        back = np.flatnonzero((c[1:] == c[:-1]) & (t[1:] < t[:-1]))
        if len(back):
            mixed = np.zeros(int(c[-1]) + 1, np.bool_)
            mixed[c[back]] = True
            rows = np.flatnonzero(mixed[c])
            order[rows] = order[rows][_by_both(c[rows], t[rows])]
        return order
    return np.lexsort((time, channel))


def _by_both(channel: NDArray[np.int32], time: NDArray[np.int64]) -> NDArray[np.intp]:
    """Stable order by channel, then time; one key, where it fits, is faster for what is nearly in order."""
    first = int(time.min())
    span = int(time.max()) - first + 1
    if span >= 2**46:
        return np.lexsort((time, channel))
    return np.argsort(channel * np.int64(span) + (time - first), kind="stable")


def _differs(
    readings: Readings, index: NDArray[np.intp], value: NDArray[np.float64], flag: NDArray[np.uint8]
) -> NDArray[np.bool_]:
    ours = readings.value[index]
    same = (ours == value) | (np.isnan(ours) & np.isnan(value))
    differs: NDArray[np.bool_] = ~same | (readings.flag[index] != flag)
    return differs
