"""Health of channels: silent, frozen, skewed, implausible and flooding are different states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from greenmine.durations import show_duration
from greenmine.processing.panes import MINUTE
from greenmine.registry import Registry

State = Literal["good", "silent", "frozen", "skewed", "implausible", "flooding"]

SKEW: Final = 60_000
"""A device whose stamps are ahead of the clock by more than this is skewed [ms]."""
SKEW_BEHIND: Final = 180_000
"""A device that keeps this far behind the clock while it keeps pace with it is skewed [ms]."""
SKEW_SPAN: Final = 300_000
"""Pace is told over at least this much time of receipt [ms]."""
OUT_OF_RANGE: Final = 0.25
"""An hour with this share of readings outside the plausible range is implausible."""
CALM: Final = 300_000
"""A device that has kept its budget for this long floods no longer [ms]."""
SLIP: Final = 100.0
"""A mean this many times what is usual, or this part of it, is implausible: a unit slip is a factor of 1000."""


@dataclass(frozen=True, slots=True)
class Change:
    """A channel's state changed at an instant [ms UTC]."""

    channel: int
    state: State
    since: int
    detail: str


class Health:
    """Keeps the state of every channel; time comes in with the readings, there is no clock.

    Parameters
    ----------
    registry : Registry
        Intervals and checks of the channels.
    silent_minutes : int
        Without a valid reading for this long, or for three intervals if that is longer, a channel is silent.
    """

    def __init__(self, registry: Registry, silent_minutes: int) -> None:
        channels = registry.channels
        self.patience: NDArray[np.int64] = np.array(
            [max(silent_minutes * MINUTE, 3 * c.interval) for c in channels], np.int64
        )
        self._least_patience = int(self.patience.min(initial=2**62))
        frozen = [c.parameter.checks.frozen_minutes for c in channels]
        self._frozen_after = np.array([np.inf if f is None else f * MINUTE for f in frozen])
        self._newest = np.full(len(channels), -1, np.int64)
        self._constant = np.full(len(channels), np.nan)
        self._constant_since = np.zeros(len(channels), np.int64)
        self._since = np.zeros(len(channels), np.int64)
        self.state: list[State] = ["good"] * len(channels)
        self._good: NDArray[np.bool_] = np.ones(len(channels), np.bool_)
        self._device = {(c.site, c.device): [] for c in channels}  # type: dict[tuple[str, str], list[int]]
        for c in channels:
            self._device[c.site, c.device].append(c.index)
        self._of = [(c.site, c.device) for c in channels]
        self._flooding: dict[tuple[str, str], int] = {}
        self._stamp: dict[tuple[str, str], int] = {}
        self._pace: dict[tuple[str, str], tuple[int, int, int]] = {}

    def restore(self, channel: int, state: State, since: int) -> None:
        """Take over a stored state."""
        self.state[channel] = state
        self._good[channel] = state == "good"
        self._since[channel] = since
        if state == "flooding":
            self._flooding[self._of[channel]] = since

    def clear(self, channels: NDArray[np.intp]) -> None:
        """Forget what is known of channels, and of the clocks of their devices."""
        self._newest[channels], self._constant[channels] = -1, np.nan
        self._constant_since[channels], self._since[channels], self._good[channels] = 0, 0, True
        for c in channels.tolist():
            self.state[c] = "good"
        gone = set(channels.tolist())
        for device, served in self._device.items():
            if gone.intersection(served):
                self._stamp.pop(device, None)
                self._pace.pop(device, None)

    def kept(self, channels: slice) -> dict[str, NDArray[Any]]:
        """Views of what is known of neighbouring channels, by name, besides their states."""
        return {
            "newest": self._newest[channels], "constant": self._constant[channels],
            "constant_since": self._constant_since[channels],
        }  # fmt: skip

    def clocks(self, site: str) -> dict[str, tuple[int, tuple[int, int, int] | None]]:
        """What is known of the clocks of a site's devices: newest stamp, and where pace began to be kept."""
        return {
            device: (stamp, self._pace.get((owner, device)))
            for (owner, device), stamp in self._stamp.items()
            if owner == site
        }

    def restore_clocks(self, site: str, clocks: Mapping[str, tuple[int, tuple[int, int, int] | None]]) -> None:
        """Take over what `clocks` said."""
        for device, (stamp, pace) in clocks.items():
            self._stamp[site, device] = stamp
            if pace is not None:
                self._pace[site, device] = pace

    def readings(self, channel: NDArray[np.intp], time: NDArray[np.int64], value: NDArray[np.float64]) -> list[Change]:
        """Take in new readings, sorted by channel and time: gaps, returns, frozen values.

        They are the valid ones, and with a value of NaN those that only show that somebody works on the instrument.

        A gap longer than the channel's patience is reported with its beginning, also when it is only seen afterwards.
        Readings older than the channel's newest are passed over: health is told in the order of time.
        """
        ahead = time > self._newest[channel]
        if not ahead.all():
            kept = np.flatnonzero(ahead)
            channel, time, value = channel[kept], time[kept], value[kept]
        if not len(time):
            return []
        changes: list[Change] = []
        first = np.append(0, np.flatnonzero(channel[1:] != channel[:-1]) + 1)
        last = np.append(first[1:], len(channel)) - 1
        rows = channel[first]
        newest = self._newest[rows]
        changes.extend(
            Change(int(rows[k]), "good", int(time[first[k]]), "first reading") for k in np.flatnonzero(newest < 0)
        )
        # Only these can come after a gap: the first of each channel, and those after more than the least patience.
        late = np.empty(len(time), np.bool_)
        late[1:] = time[1:] - time[:-1] > self._least_patience
        late[first] = True
        after = np.flatnonzero(late)
        before = time[after - 1]
        before[np.searchsorted(after, first)] = newest
        gaps = after[(time[after] - before > self.patience[channel[after]]) & (before >= 0)]
        for i, begun in zip(gaps.tolist(), before[np.searchsorted(after, gaps)].tolist(), strict=True):
            c = int(channel[i])
            changes.extend(self._to(c, "silent", begun, "no valid reading"))
            changes.extend(self._to(c, "good", int(time[i]), "readings again"))
        for k in np.flatnonzero(~self._good[rows]):
            if self.state[c := int(rows[k])] == "silent":
                changes.extend(self._to(c, "good", int(time[first[k]]), "readings again"))
        changes.extend(self._stuck(channel, time, value, first, last, gaps))
        self._newest[rows] = np.maximum(self._newest[rows], time[last])
        return changes

    def _stuck(
        self,
        channel: NDArray[np.intp],
        time: NDArray[np.int64],
        value: NDArray[np.float64],
        first: NDArray[np.intp],
        last: NDArray[np.intp],
        gaps: NDArray[np.intp],
    ) -> list[Change]:
        """Find values that do not move; over a gap nobody knows whether they did."""
        rows = channel[first]
        moved = np.empty(len(value), np.bool_)
        moved[1:] = value[1:] != value[:-1]
        moved[first] = value[first] != self._constant[rows]
        moved[gaps] = True
        begun = np.maximum.reduceat(np.where(moved, np.arange(len(value)), -1), first)
        since = np.where(begun >= 0, time[begun], self._constant_since[rows])
        earliest = np.where(moved[first], time[first], self._constant_since[rows])
        # The others have no stretch that is long enough, and nothing to recover from.
        doubtful = (time[last] - earliest >= self._frozen_after[rows]) | (~self._good[rows] & (begun >= 0))
        changes: list[Change] = []
        for k in np.flatnonzero(doubtful):
            piece = slice(int(first[k]), int(last[k]) + 1)
            changes.extend(self._follow(int(rows[k]), time[piece], moved[piece]))
        self._constant[rows] = value[last]
        self._constant_since[rows] = since
        return changes

    def _follow(self, c: int, time: NDArray[np.int64], moved: NDArray[np.bool_]) -> list[Change]:
        begun = np.maximum.accumulate(np.where(moved, np.arange(len(time)), -1))
        # A stretch that began in an earlier batch keeps its beginning.
        since = np.where(begun >= 0, time[begun], self._constant_since[c])
        stuck = time - since >= self._frozen_after[c]
        changes: list[Change] = []
        for i in np.flatnonzero(np.diff(stuck, prepend=self.state[c] == "frozen")):
            if stuck[i]:
                changes.extend(self._to(c, "frozen", int(since[i]), "the value does not move"))
            elif self.state[c] == "frozen":
                changes.extend(self._to(c, "good", int(time[i]), "the value moves again"))
        return changes

    def message(self, device: tuple[str, str], received: int, newest: int) -> list[Change]:
        """Take in when a message came and the newest stamp in it [ms]: is the device's clock right?

        Ahead of the clock is skewed at once. Behind it may be a backlog: skewed only when the stamps keep pace with the
        clock while staying behind it.
        """
        if newest <= self._stamp.get(device, -1):
            return []  # a repeat, or overtaken on the way: it tells nothing of the clock
        lag = received - newest
        # A stamp from far in the future must not be what all later ones are older than.
        self._stamp[device] = newest = min(newest, received + 2 * SKEW)
        channels = self._device.get(device, [])
        if lag < -SKEW:
            self._pace.pop(device, None)
            return self._all(channels, "skewed", newest, f"{show_duration(-lag)} ahead")
        start = self._pace.get(device)
        if lag <= SKEW_BEHIND or start is None:
            self._pace[device] = (received, newest, lag)
            if lag <= SKEW_BEHIND:
                return [
                    x for c in channels if self.state[c] == "skewed" for x in self._to(c, "good", newest, "clock right")
                ]
            return []
        elapsed, advanced = received - start[0], newest - start[1]
        if start[2] <= SKEW_BEHIND or elapsed < 0:
            self._pace[device] = (received, newest, lag)
            return []
        if elapsed < SKEW_SPAN:
            return []
        self._pace[device] = (received, newest, lag)
        if 0.8 <= advanced / elapsed <= 1.25:
            return self._all(channels, "skewed", start[1], f"{show_duration(lag)} behind")
        return []

    def hour(self, channel: int, since: int, mean: float, usual: float, share_out_of_range: float) -> list[Change]:
        """Compare a mean within an hour with what is usual.

        Parameters
        ----------
        channel : int
            A channel of dust or water.
        since : int
            Where the oddest part of the hour begins [ms UTC].
        mean, usual : float
            Mean of that part, and median of the hourly means of the day before; NaN where there is none.
        share_out_of_range : float
            Part of the hour's readings that was outside the plausible range.
        """
        if share_out_of_range >= OUT_OF_RANGE:
            return self._to(channel, "implausible", since, "out of the plausible range")
        ratio = abs(mean / usual) if usual else float("nan")
        if ratio >= SLIP or 0 < ratio <= 1 / SLIP:
            return self._to(channel, "implausible", since, f"{ratio:.3g} times what is usual")
        if self.state[channel] == "implausible" and mean == mean:  # noqa: PLR0124 - not NaN
            return self._to(channel, "good", since, "plausible again")
        return []

    def flood(self, device: tuple[str, str], now: int) -> list[Change]:
        """Take in that a device sent more than its budget at an instant [ms]; until it keeps it, that is its state."""
        known = device in self._flooding
        self._flooding[device] = now
        return [] if known else self._all(self._device.get(device, []), "flooding", now, "more than its budget")

    def _calm(self, now: int) -> list[Change]:
        """End the flooding of devices that have kept their budget for a while."""
        calm = [device for device, last in self._flooding.items() if now - last > CALM]
        for device in calm:
            del self._flooding[device]
        return [x for d in calm for x in self._all(self._device.get(d, []), "good", now, "within its budget again")]

    def clock(self, now: int, waiting: NDArray[np.bool_]) -> list[Change]:
        """Find the devices that have become calm, and the channels of ``waiting`` that have fallen silent, by ``now`` [ms]."""
        calm = self._calm(now)
        silent = np.flatnonzero(waiting & (self._newest >= 0) & (now - self._newest > self.patience))
        return calm + [
            x for c in map(int, silent) for x in self._to(c, "silent", int(self._newest[c]), "no valid reading")
        ]

    def _all(self, channels: list[int], state: State, since: int, detail: str) -> list[Change]:
        return [x for c in channels for x in self._to(c, state, since, detail)]

    def _to(self, channel: int, state: State, since: int, detail: str) -> list[Change]:
        if self.state[channel] == state or (state != "flooding" and self._of[channel] in self._flooding):
            return []
        self.state[channel] = state
        self._good[channel] = state == "good"
        # The newest change is the state, so none may be put before the last one.
        self._since[channel] = since = max(since, int(self._since[channel]))
        return [Change(channel, state, since, detail)]
