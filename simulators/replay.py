"""Replay: the readings of a file as messages of a device."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from itertools import count

import numpy as np
from numpy.typing import NDArray

from greenmine.collector.files import FileReadings
from greenmine.registry import Device, Registry
from greenmine.simulators.messages import Message, payloads, topic
from greenmine.units import conversion
from greenmine.zones import Zone

_LINK = ord("B")
_GRACE = 5 * 60_000
"""So long after the end of a window it is surely issued."""
_DAY = 86_400_000


class Replay:
    """Turns readings into messages in the project's own JSON, batched in columns.

    Values are sent in the units of the device's profile. Rows without a number are left out: rows that lack the same
    parameters share messages.

    Parameters
    ----------
    registry : Registry
        Holds site and device.
    series : sequence of FileReadings
        The readings, in the order of the file, one for each parameter.
    site, device : str
        Who seems to send them.
    batch : int
        Readings per message, about: a message holds whole rows, at least one.
    shift : int
        Added to all instants [ms].

    Raises
    ------
    ValueError
        For a site, device or parameter that does not exist, two series for one parameter, readings that are in doubt, a device
        that does not speak the project's own JSON, or a batch below 1, saying what would be right.
    """

    def __init__(
        self,
        registry: Registry,
        series: Sequence[FileReadings],
        site: str,
        device: str,
        batch: int = 60,
        shift: int = 0,
    ) -> None:
        entry = _device(registry, site, device)
        self._profile = registry.profiles[entry.profile]
        if self._profile.format != "greenmine":
            raise ValueError(
                f"device '{device}' speaks {self._profile.format}; replay needs a device whose profile has "
                f'format = "greenmine"'
            )
        if not series:
            raise ValueError("nothing to replay: map at least one column, such as COLUMN=pm10")
        if batch < 1:
            raise ValueError(f"{batch} readings per message are too few; 1 or more would be right")
        self._names = [one.parameter.id for one in series]
        for one in series:
            name = one.parameter.id
            if name not in entry.parameters:
                raise ValueError(
                    f"device '{device}' does not measure '{name}'; it measures {', '.join(entry.parameters)}"
                )
            if self._names.count(name) > 1:
                raise ValueError(f"two columns are mapped to '{name}'; one would be right")
            one.refuse_doubts()
        self._topic = topic(site, device)
        self._zone = registry.site(site).zone
        self._batch = batch
        self._groups = [_Group([one], shift, registry, self._profile.units) for one in series]
        if all(np.array_equal(one.time, series[0].time) for one in series):
            self._groups = [_Group(series, shift, registry, self._profile.units)]
        self.skipped = sum(int(np.count_nonzero(np.isnan(group.values))) for group in self._groups)
        """Rows without a number, counted for each parameter."""
        self.readings = sum(group.values.size for group in self._groups) - self.skipped
        """Readings that will be sent."""

    @property
    def span(self) -> tuple[int, int]:
        """First and last instant [ms UTC]; zeros for an empty file."""
        times = [group.times for group in self._groups if len(group.times)]
        return (min(int(t.min()) for t in times), max(int(t.max()) for t in times)) if times else (0, 0)

    def messages(self) -> Iterator[Message]:
        """Messages in the order of the file, numbered from 0; none is sent before what precedes it in the file."""
        numbers = count()
        parts = heapq.merge(*(group.parts(self._batch) for group in self._groups), key=lambda part: part[0])
        for sent, group, chosen, columns in parts:
            names = [group.names[c] for c in np.flatnonzero(columns).tolist()]
            cells, flags = group.values[chosen][:, columns], group.flags[chosen][:, columns]
            number = np.array([next(numbers)])
            rows = max(2, len(cells))  # a list of one time is still columns
            for payload in payloads(self._profile, names, group.times[chosen], cells, flags, number, rows):
                yield Message(sent, self._topic, payload)

    def closing(self) -> Iterator[Message]:
        """Messages without a value, flag B, after the end of the last hour and of the last day: they close the last windows.

        Raises
        ------
        ValueError
            If the device's profile sends no flags, without which a reading cannot say that it has no value.
        """
        if not self._profile.sends_flags:
            raise ValueError(
                "--finish needs a device whose profile sends flags; without them nothing but a value can be sent"
            )
        end = _end_of_day(self.span[1], self._zone) + _GRACE
        size = (1, len(self._names))
        flags, values = np.full(size, _LINK, np.uint8), np.full(size, np.nan)
        for payload in payloads(self._profile, self._names, np.array([end]), values, flags, np.array([0]), 2):
            yield Message(end, self._topic, payload)


class _Group:
    """Parameters whose rows are the same."""

    def __init__(self, series: Sequence[FileReadings], shift: int, registry: Registry, units: dict[str, str]) -> None:
        self.names = [one.parameter.id for one in series]
        self.times = series[0].time + shift
        columns = []
        for one in series:
            own = registry.parameters[one.parameter.id].unit
            scale, offset = conversion(units.get(one.parameter.id, own), own)
            columns.append(one.value if (scale, offset) == (1.0, 0.0) else np.round((one.value - offset) / scale, 12))
        self.values = np.column_stack(columns)
        self.flags = np.column_stack([one.flag for one in series])

    def parts(self, batch: int) -> Iterator[tuple[int, _Group, NDArray[np.intp], NDArray[np.bool_]]]:
        """When to send which rows with which columns."""
        latest = np.maximum.accumulate(self.times)
        rows = max(1, batch // len(self.names))
        for at in range(0, len(self.times), rows):
            present = np.isfinite(self.values[at : at + rows])
            sent = int(latest[at : at + rows][-1])
            for pattern in np.unique(present, axis=0)[::-1]:
                if pattern.any():
                    yield sent, self, at + np.flatnonzero((present == pattern).all(axis=1)), pattern


def _end_of_day(time: int, zone: str) -> int:
    clock = Zone(zone)
    local = int(clock.local(time))
    return int(clock.utc((local // _DAY + 1) * _DAY))


def _device(registry: Registry, site: str, device: str) -> Device:
    try:
        return registry.device(site, device)
    except KeyError:
        known = ", ".join(f"{s.id}/{d.id}" for s in registry.sites for d in s.devices)
        raise ValueError(f"the registry has no device '{device}' at site '{site}'; it has {known}") from None
