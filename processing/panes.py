"""Panes: the one-minute aggregates of all channels, in ring arrays. Every window is a sum over panes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from greenmine.parameters import Averaging
from greenmine.processing.averaging import directions_among, levels_among
from greenmine.processing.levels import BINS, energy, histogram_bin

MINUTE: Final = 60_000
"""[ms]"""

UNTOUCHED: Final = 1 << 62
"""No minute: nothing has changed."""

T = TypeVar("T", bound=np.generic)
Index = NDArray[np.integer[Any]]
"""Indices of channels."""

_PIECE: Final = 32_768
"""Readings handled at once; keeps the working set within the cache."""
_BIT: Final = np.left_shift(np.uint64(1), np.arange(60, dtype=np.uint64))
"""The bit of each second of a minute."""


@dataclass(frozen=True, slots=True)
class Block:
    """Panes of k rows over m consecutive minutes each; shapes (k, m).

    ``total`` is the sum of the values, of 10^(L/10) for sound, of unit-vector cosines for directions;
    ``other`` the sum of the sines (zero for all else). ``over`` tells that a value was beyond the range of its instrument, so
    that the sums are lower bounds. ``held`` is how many of the readings due the pane's readings speak for.
    Empty panes: count, sums and held 0, low +inf, high -inf.
    """

    count: NDArray[np.uint16]
    total: NDArray[np.float64]
    other: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    over: NDArray[np.bool_]
    held: NDArray[np.float64]


class Panes:
    """Ring arrays of one-minute panes for n channels.

    Parameters
    ----------
    averaging : sequence of str
        Way of averaging of each channel.
    minutes : int
        Length of the ring: longest window plus allowed lateness [min]; a multiple of 60.
    shift : int array (n,), optional
        Minutes by which a channel's local hours start before UTC hours; 0 for zones of whole hours.
    lateness : int, optional
        A reading this much older than its channel's newest is still taken in [min]; the whole ring if not given.
    interval : int array (n,), optional
        Distance of the readings due [ms]; a minute if not given.
    begun : bool
        False: nothing of a channel is asked for before `begin` or `clear`.

    Notes
    -----
    A pane belongs to the minutes since 1970 that contain its readings; a reading at hh:mm:00.000 opens the
    minute. Each channel moves on its own: its ring holds the ``minutes`` up to its newest reading, so a device
    that sends an old backlog does not disturb the others. Memory per channel is 37 bytes a minute, and
    2,602 bytes an hour more for sound. A minute has at most 60,000 instants, so 16 bits count them.
    """

    def __init__(
        self,
        averaging: Sequence[Averaging],
        minutes: int,
        shift: NDArray[np.int64] | None = None,
        lateness: int | None = None,
        interval: NDArray[np.int64] | None = None,
        *,
        begun: bool = True,
    ) -> None:
        if minutes % 60:
            raise ValueError(f"ring of {minutes} minutes: must be whole hours")
        n = len(averaging)
        self.minutes = minutes
        self._lateness = minutes if lateness is None else lateness
        self.head: NDArray[np.int64] = np.full(n, -1, np.int64)
        """Minute of each channel's newest reading; -1 before the first."""
        self.newest: NDArray[np.int64] = np.full(n, -1, np.int64)
        """Instant of each channel's newest reading [ms UTC]; -1 before the first."""
        self.tail: NDArray[np.int64] = np.full(n, -1, np.int64)
        """Minute of each channel's first reading since the start of the ring; -1 before the first."""
        self.touched: NDArray[np.int64] = np.full(n, UNTOUCHED, np.int64)
        """Earliest minute of each channel whose pane has changed; `UNTOUCHED` for whoever has taken notice to set again."""
        self.sound = levels_among(averaging)
        self.vector = directions_among(averaging)
        self._sound_row = np.where(self.sound, np.cumsum(self.sound) - 1, -1)
        self._vector_row = np.where(self.vector, np.cumsum(self.vector) - 1, -1)
        self._shift = np.zeros(n, np.int64) if shift is None else shift
        self._count: NDArray[np.uint16] = np.zeros((n, minutes), np.uint16)
        self._total: NDArray[np.float64] = np.zeros((n, minutes))
        self._low: NDArray[np.float64] = np.zeros((n, minutes))
        self._high: NDArray[np.float64] = np.zeros((n, minutes))
        self._seen: NDArray[np.uint64] = np.zeros((n, minutes), np.uint64)
        self._over: NDArray[np.bool_] = np.zeros((n, minutes), np.bool_)
        self._early: NDArray[np.uint8] = np.zeros((n, minutes), np.uint8)
        self._late: NDArray[np.uint8] = np.zeros((n, minutes), np.uint8)
        every = np.full(n, MINUTE) if interval is None else interval
        self._due = MINUTE / every
        self._span = -(-every // MINUTE)
        self._apart = 60.0 - 0.25 * np.minimum(every, MINUTE) / 1000.0
        """From this distance on [s] one reading more than are due in a minute is one that wavered, not one of a second logger."""
        self._plain: dict[str, tuple[NDArray[Any], Any]] = {
            "count": (self._count, 0), "total": (self._total, 0.0), "low": (self._low, np.inf), "high": (self._high, -np.inf),
            "seen": (self._seen, 0), "over": (self._over, False), "early": (self._early, 60), "late": (self._late, 0),
        }  # fmt: skip
        """Rings that every channel has, by name, each with what an empty pane holds."""
        self._other: NDArray[np.float64] = np.zeros((int(self.vector.sum()), minutes))
        self._hours = minutes // 60 + 1
        self._histogram: NDArray[np.uint16] = np.zeros((self._hours, int(self.sound.sum()), BINS), np.uint16)
        if begun:
            self.begin(slice(None))

    def begin(self, channels: Index | slice) -> None:
        """Make the rings of channels ready for their first reading.

        Memory that was never written takes longer to come by than to fill, and is needed at the first reading only.
        """
        for ring, empty in self._plain.values():
            if empty:
                ring[channels] = empty

    def __len__(self) -> int:
        return len(self.head)

    @property
    def nbytes(self) -> int:
        """Bytes held by the arrays."""
        rings = [ring for ring, _ in self._plain.values()]
        return sum(ring.nbytes for ring in (*rings, self._other, self._histogram))

    def holds(self, channel: Index, minute: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether a minute is inside the channel's allowed lateness, or ahead of its newest reading."""
        recent: NDArray[np.bool_] = minute > self.head[channel] - self._lateness
        return recent

    def seen(self, channel: Index, time: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether an instant may have a reading already.

        Exact for instants after the channel's newest, and for whole seconds inside the ring; True ("may have") for the rest.
        """
        minute = time // MINUTE
        second, rest = np.divmod(time - minute * MINUTE, 1000)
        bit = np.left_shift(np.uint64(1), second.astype(np.uint64))
        known = (self._seen[channel, minute % self.minutes] & bit) != 0
        inside = minute > self.head[channel] - self.minutes
        seen: NDArray[np.bool_] = (time <= self.newest[channel]) & ((rest != 0) | known | ~inside)
        return seen

    def advance(self, channel: Index, minute: NDArray[np.int64]) -> None:
        """Move channels (each at most once) on to a newer minute, emptying the panes in between."""
        old = self.head[channel]
        fresh = old < 0
        ahead = (minute > old) & ~fresh
        self.head[channel] = np.maximum(minute, old)
        self.tail[channel] = np.where(fresh, minute, self.tail[channel])
        if not ahead.any():
            return
        channel, minute, old = channel[ahead], minute[ahead], old[ahead]
        self.touched[channel] = np.minimum(self.touched[channel], old + 1)
        steps = np.minimum(minute - old, self.minutes)
        rows = np.repeat(channel, steps)
        offset = np.arange(len(rows)) - np.repeat(np.cumsum(steps) - steps, steps)
        columns = (np.repeat(minute, steps) - offset) % self.minutes
        cell = rows * self.minutes + columns
        for ring, empty in self._plain.values():
            ring.reshape(-1)[cell] = empty
        vector = self.vector[rows]
        if vector.any():
            self._other[self._vector_row[rows[vector]], columns[vector]] = 0.0
        loud = self.sound[channel]
        if loud.any():
            self._clear_hours(channel[loud], old[loud], minute[loud])

    def _clear_hours(self, channel: Index, old: NDArray[np.int64], new: NDArray[np.int64]) -> None:
        shift = self._shift[channel]
        first, last = (old + shift) // 60 + 1, (new + shift) // 60
        if not (first <= last).any():
            return
        steps = np.clip(last - first + 1, 0, self._hours)
        rows = np.repeat(channel, steps)
        offset = np.arange(len(rows)) - np.repeat(np.cumsum(steps) - steps, steps)
        self._histogram[(np.repeat(last, steps) - offset) % self._hours, self._sound_row[rows]] = 0

    def clear(self, channel: Index) -> None:
        """Empty channels, as before their first reading."""
        for since in (self.head, self.newest, self.tail):
            since[channel] = -1
        self.touched[channel] = 0
        for ring, empty in self._plain.values():
            ring[channel] = empty
        self._other[self._vector_row[channel[self.vector[channel]]]] = 0.0
        self._histogram[:, self._sound_row[channel[self.sound[channel]]]] = 0

    def places(self, channels: slice, width: int) -> list[int]:
        """Stretches of ``width`` places of the rings in which panes of neighbouring channels were touched, by number."""
        since = np.maximum(self.touched[channels], self.head[channels] - self.minutes + 1)
        spans = {
            (first, last)
            for first, last in zip(since.tolist(), self.head[channels].tolist(), strict=True)
            if first <= last
        }
        return sorted({m % self.minutes // width for first, last in spans for m in (*range(first, last, 60), last)})

    def hours_touched(self, channels: slice) -> list[int]:
        """Places of the hourly histograms in which those of neighbouring channels were touched."""
        sound = np.flatnonzero(self.sound[channels]) + channels.start
        first, last = ((m[sound] + self._shift[sound]) // 60 for m in (self.touched, self.head))
        first = np.maximum(first, last - self._hours + 1)
        spans = set(zip(first.tolist(), last.tolist(), strict=True))
        return sorted({hour % self._hours for begin, end in spans for hour in range(begin, end + 1)})

    def rings(self, channels: slice, first: int, last: int) -> dict[str, NDArray[Any]]:
        """Views of neighbouring channels' rings at the places ``first .. last - 1``, by name."""
        turning = _own(self._vector_row[channels])
        views: dict[str, NDArray[Any]] = {name: ring[channels, first:last] for name, (ring, _) in self._plain.items()}
        return views | {"other": self._other[turning, first:last]}

    def hourly(self, channels: slice, place: int) -> NDArray[np.uint16]:
        """View of neighbouring channels' level histograms of one hour of the ring."""
        return self._histogram[place, _own(self._sound_row[channels])]

    def add(
        self,
        channel: Index,
        time: NDArray[np.int64],
        value: NDArray[np.float64],
        valid: NDArray[np.bool_],
        over: NDArray[np.bool_] | None = None,
    ) -> None:
        """Take in readings that are new (`seen` decides) and inside the ring.

        Parameters
        ----------
        channel, time, value : arrays (n,)
            Sorted by channel, then time; every (channel, time) once.
        valid : bool array (n,)
            Readings that do not count leave only their instant.
        over : bool array (n,), optional
            Readings beyond the range of their instrument; with or without a value that counts. None: there are none.
        """
        for k in range(0, len(time), _PIECE):
            piece = slice(k, k + _PIECE)
            self._add(channel[piece], time[piece], value[piece], valid[piece])
        if over is not None and over.any():
            self._over[channel[over], time[over] // MINUTE % self.minutes] = True

    def _add(
        self, channel: Index, time: NDArray[np.int64], value: NDArray[np.float64], valid: NDArray[np.bool_]
    ) -> None:
        minute = time // MINUTE
        opens = np.empty(len(time), np.bool_)
        opens[0] = True
        opens[1:] = (minute[1:] != minute[:-1]) | (channel[1:] != channel[:-1])
        starts = np.flatnonzero(opens)
        # From here on one entry a pane, as far as possible: readings are many, panes few.
        channel, minute = channel[starts], minute[starts]
        counts = np.diff(np.append(starts, len(time)))
        first, last = _runs(channel)
        self.advance(channel[last], minute[last])
        self.tail[channel[first]] = np.minimum(self.tail[channel[first]], minute[first])
        self.touched[channel[first]] = np.minimum(self.touched[channel[first]], minute[first])
        self.newest[channel[last]] = np.maximum(self.newest[channel[last]], time[(starts + counts - 1)[last]])
        cell = channel * self.minutes + minute % self.minutes
        within = (time - np.repeat(minute * MINUTE, counts)).astype(np.int32)
        second = (within // 1000).astype(np.uint8)
        bits = _BIT[second]
        fraction = within != second * np.int32(1000)
        if fraction.any():
            bits[fraction] = 0
        self._seen.reshape(-1)[cell] |= np.bitwise_or.reduceat(bits, starts)
        if not valid.all():
            value, second = value[np.flatnonzero(valid)], second[valid]
            counts = np.add.reduceat(valid, starts, dtype=np.intp)
            filled = np.flatnonzero(counts)
            if not len(filled):
                return
            channel, minute, cell, counts = channel[filled], minute[filled], cell[filled], counts[filled]
            starts = np.cumsum(counts) - counts
        self._count.reshape(-1)[cell] += counts.astype(np.uint16)
        early, late = self._early.reshape(-1), self._late.reshape(-1)
        early[cell] = np.minimum(early[cell], second[starts])
        late[cell] = np.maximum(late[cell], second[starts + counts - 1])
        low, high = self._low.reshape(-1), self._high.reshape(-1)
        low[cell] = np.minimum(low[cell], np.minimum.reduceat(value, starts))
        high[cell] = np.maximum(high[cell], np.maximum.reduceat(value, starts))
        self._total.reshape(-1)[cell] += np.add.reduceat(self._weigh(channel, minute, counts, value), starts)
        turning = self.vector[channel]
        if turning.any():
            sines = np.add.reduceat(np.sin(np.deg2rad(value)), starts)[turning]
            self._other[self._vector_row[channel[turning]], cell[turning] % self.minutes] += sines

    def _weigh(
        self, channel: Index, minute: NDArray[np.int64], counts: NDArray[np.intp], value: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """What is summed: the value, its energy (noting the level in the histogram), or its cosine.

        The values are those of panes with so many readings each.
        """
        loud, turning = self.sound[channel], self.vector[channel]
        weighed = value
        if loud.any():
            row = channel[loud]
            hour = (minute[loud] + self._shift[row]) // 60
            base = (hour % self._hours * self._histogram.shape[1] + self._sound_row[row]) * BINS
            chosen = slice(None) if len(row) == len(channel) else np.repeat(loud, counts)
            levels = value[chosen]
            np.add.at(self._histogram.reshape(-1), np.repeat(base, counts[loud]) + histogram_bin(levels), np.uint16(1))
            if isinstance(chosen, slice):
                return energy(levels)
            weighed = value.copy()
            weighed[chosen] = energy(levels)
        if turning.any():
            chosen = np.repeat(turning, counts)
            weighed = weighed.copy()
            weighed[chosen] = np.cos(np.deg2rad(value[chosen]))
        return weighed

    def block(self, channel: Index, start: NDArray[np.int64], width: int) -> Block:
        """Panes of the minutes ``start .. start + width - 1`` of each channel; outside the ring they are empty.

        What is returned may share memory with the ring: read it before anything is added, and do not write to it.

        Parameters
        ----------
        channel, start : int arrays (k,)
            Rows wanted and their first minute since 1970.
        width : int
            Minutes.
        """
        sums = self.sums(channel, start, width)
        low = self._part(self._low, channel, start, width)
        high = self._part(self._high, channel, start, width)
        over = self._part(self._over, channel, start, width)
        outside = self._outside(channel, start, width)
        if outside is not None:
            low, high = np.where(outside, np.inf, low), np.where(outside, -np.inf, high)
            over = over & ~outside
        return Block(*sums, low, high, over, self._held(channel, start, width))

    def _held(self, channel: Index, start: NDArray[np.int64], width: int) -> NDArray[np.float64]:
        """How many of the readings due those of each pane speak for, shape (k, width).

        However often an instrument sends in a minute, it has measured that minute and no other; and a reading of a longer
        interval speaks for no more than the time since the one before it. One reading more than are due counts where it lies
        apart from the others and a minute beside it lacks one: its stamp wavered. A choice of this project.
        """
        cap = np.maximum(1.0, self._due[channel])[:, None]
        count = self._part(self._count, channel, start - 2, width + 4)
        outside = self._outside(channel, start - 2, width + 4)
        if outside is not None:
            count = np.where(outside, np.uint16(0), count)
        held: NDArray[np.float64] = count.astype(np.float64)
        if (count.max(axis=1, initial=0) > cap[:, 0]).any():
            many = count > cap
            held = np.minimum(held, cap)
            apart = self._part(self._late, channel, start - 2, width + 4).astype(np.int64)
            apart -= self._part(self._early, channel, start - 2, width + 4)
            spare = np.where(many & (apart >= self._apart[channel][:, None]), np.minimum(1.0, count - cap), 0.0)
            lack = cap - held
            later, earlier = np.zeros_like(spare), np.zeros_like(spare)
            later[:, :-1] = np.minimum(spare[:, :-1], lack[:, 1:])
            lack[:, 1:] -= later[:, :-1]
            earlier[:, 1:] = np.minimum((spare - later)[:, 1:], lack[:, :-1])
            held += later + earlier
        held = held[:, 2:-2]
        for row in np.flatnonzero(self._span[channel] > 1).tolist():
            held[row] = self._due[channel[row]] * self._gaps(channel[row], int(start[row]), width)
        return held

    def changed_since(self, channel: Index, minute: NDArray[np.int64]) -> NDArray[np.int64]:
        """First minute of each channel whose pane is not as it was before readings came for a minute, or for later ones too.

        Where a minute has more readings than are due, it may lend them to those beside it.
        """
        count = self._part(self._count, channel, minute - 1, 2)
        lends = (count > np.maximum(1.0, self._due[channel])[:, None]).any(axis=1)
        changed: NDArray[np.int64] = minute - 2 * lends
        return changed

    def _gaps(self, channel: int, start: int, width: int) -> NDArray[np.float64]:
        """Minutes since the reading before, at most an interval, for minutes of one channel that have a reading; else 0."""
        span = int(self._span[channel])
        one, first = np.array([channel]), np.array([start - span])
        there = self._part(self._count, one, first, width + span)[0] > 0
        outside = self._outside(one, first, width + span)
        if outside is not None:
            there &= ~outside[0]
        minute = np.arange(width + span)
        newest = np.maximum.accumulate(np.where(there, minute, -span))
        gap = np.minimum(span, minute - np.append(-span, newest[:-1]))
        return np.where(there, gap, 0)[span:].astype(np.float64)

    def sums(
        self, channel: Index, start: NDArray[np.int64], width: int
    ) -> tuple[NDArray[np.uint16], NDArray[np.float64], NDArray[np.float64]]:
        """Count, total and other of a `block`, for those who need no extremes."""
        count = self._part(self._count, channel, start, width)
        total = self._part(self._total, channel, start, width)
        turning = self.vector[channel]
        if turning.any():
            other = np.zeros_like(total)
            other[turning] = self._part(self._other, self._vector_row[channel[turning]], start[turning], width)
        else:
            other = np.broadcast_to(np.zeros(1), total.shape)
        outside = self._outside(channel, start, width)
        if outside is not None:
            count = np.where(outside, np.uint16(0), count)
            total, other = np.where(outside, 0.0, total), np.where(outside, 0.0, other)
        return count, total, other

    def _part(self, ring: NDArray[T], row: Index, start: NDArray[np.int64], width: int) -> NDArray[T]:
        """Stretches of a ring (rows, minutes), without copying where that can be."""
        part: NDArray[T]
        if len(row) and (start == start[0]).all() and width <= self.minutes:
            first = int(start[0]) % self.minutes
            head = min(width, self.minutes - first)
            # Neighbouring rows are copied fastest.
            rows = slice(int(row[0]), int(row[-1]) + 1) if (row[1:] == row[:-1] + 1).all() else row
            if head == width:
                part = ring[rows, first : first + width]
                return part
            part = np.empty((len(row), width), ring.dtype)
            part[:, :head] = ring[rows, first : first + head]
            part[:, head:] = ring[rows, : width - head]
        else:
            part = ring[row[:, None], (start[:, None] + np.arange(width)) % self.minutes]
        return part

    def _outside(self, channel: Index, start: NDArray[np.int64], width: int) -> NDArray[np.bool_] | None:
        """Which panes of a block the ring does not hold, shape (k, width), or (1, width) for all alike; None: it holds all."""
        head = self.head[channel]
        if (start + width - 1 <= head).all() and (start > head - self.minutes).all():
            return None
        if (start == start[0]).all() and (head == head[0]).all():
            start, head = start[:1], head[:1]
        minute = start[:, None] + np.arange(width)
        outside: NDArray[np.bool_] = (minute > head[:, None]) | (minute <= head[:, None] - self.minutes)
        return outside

    def histogram(self, channel: Index, hour: NDArray[np.int64], hours: int = 1) -> NDArray[np.int64]:
        """Level histograms of sound channels, summed over consecutive hours.

        Parameters
        ----------
        channel : int array (k,)
            Sound channels.
        hour : int array (k,)
            First local hour: (minute + shift) // 60.
        hours : int
            How many.

        Returns
        -------
        int64 array (k, BINS)
        """
        slots = (hour[:, None] + np.arange(hours)) % self._hours
        picked = self._histogram[slots, self._sound_row[channel][:, None]]
        newest = (self.head[channel] + self._shift[channel]) // 60
        outside = hour[:, None] + np.arange(hours)
        inside = (outside <= newest[:, None]) & (outside > newest[:, None] - self._hours)
        out: NDArray[np.int64] = (picked * inside[:, :, None]).sum(axis=1, dtype=np.int64)
        return out


def _own(rows: NDArray[np.int64]) -> slice:
    """The rows of a ring that not all channels have, of neighbouring channels; -1 is none."""
    own = rows[rows >= 0]
    return slice(int(own[0]), int(own[-1]) + 1) if len(own) else slice(0, 0)


def _runs(channel: Index) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First and last place of each run of one channel."""
    change = np.flatnonzero(channel[1:] != channel[:-1])
    return np.append(0, change + 1), np.append(change, len(channel) - 1)
