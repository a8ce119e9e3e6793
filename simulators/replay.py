"""Replay: the rows of a file as messages of a device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from greenmine.collector.files import Table
from greenmine.registry import Device, Registry
from greenmine.simulators.messages import Message, payloads, topic


class Replay:
    """Turns a table into messages in the project's own JSON, batched in columns.

    Values are sent as they stand in the file, so they are in the units of the device's profile. Cells that are no
    numbers are left out: rows that lack the same columns share messages.

    Parameters
    ----------
    registry : Registry
        Holds site and device.
    table : Table
        The rows, in the order of the file.
    site, device : str
        Who seems to send it.
    mapping : mapping of str to str
        Column of the file to parameter of the device.
    batch : int
        Readings per message, about: a message holds whole rows, at least one.

    Raises
    ------
    ValueError
        For a site, device, column or parameter that does not exist, two columns for one parameter, a device that does
        not speak the project's own JSON, or a batch below 1, saying what would be right.
    """

    def __init__(
        self, registry: Registry, table: Table, site: str, device: str, mapping: Mapping[str, str], batch: int = 60
    ) -> None:
        entry = _device(registry, site, device)
        self._profile = registry.profiles[entry.profile]
        if self._profile.format != "greenmine":
            raise ValueError(
                f"device '{device}' speaks {self._profile.format}; replay needs a device whose profile has "
                f'format = "greenmine"'
            )
        if not mapping:
            raise ValueError("nothing to replay: map at least one column, such as COLUMN=pm10")
        if batch < 1:
            raise ValueError(f"{batch} readings per message are too few; 1 or more would be right")
        for column, parameter in mapping.items():
            if column not in table.columns:
                raise ValueError(f"the file has no column '{column}'; it has {', '.join(table.columns)}")
            if parameter not in entry.parameters:
                raise ValueError(
                    f"device '{device}' does not measure '{parameter}'; it measures {', '.join(entry.parameters)}"
                )
            if list(mapping.values()).count(parameter) > 1:
                raise ValueError(f"two columns are mapped to '{parameter}'; one would be right")
        self._topic = topic(site, device)
        self._parameters = list(mapping.values())
        self._values = np.column_stack([table.columns[column] for column in mapping]).astype(np.float64)
        self._times = np.asarray(table.time, np.int64)
        self._rows = max(1, batch // len(mapping))
        self.skipped = int((~np.isfinite(self._values)).sum())
        """Cells left out because they are no numbers."""
        self.readings = self._values.size - self.skipped
        """Readings that will be sent."""

    @property
    def span(self) -> tuple[int, int]:
        """First and last instant [ms UTC]; zeros for an empty file."""
        return (int(self._times.min()), int(self._times.max())) if len(self._times) else (0, 0)

    def messages(self) -> Iterator[Message]:
        """Messages in the order of the file, numbered from 0; none is sent before what precedes it in the file."""
        latest = np.maximum.accumulate(self._times)
        sequence = 0
        for at in range(0, len(self._times), self._rows):
            part = slice(at, at + self._rows)
            values, times, sent = self._values[part], self._times[part], int(latest[part][-1])
            present = np.isfinite(values)
            for pattern in np.unique(present, axis=0)[::-1]:
                chosen = (present == pattern).all(axis=1)
                if not pattern.any():
                    continue
                names = [name for name, there in zip(self._parameters, pattern, strict=True) if there]
                cells = values[chosen][:, pattern]
                flags = np.full(cells.shape, ord("N"), np.uint8)
                number = np.array([sequence])
                rows = max(2, len(cells))  # a list of one time is still columns
                for payload in payloads(self._profile, names, times[chosen], cells, flags, number, rows):
                    yield Message(sent, self._topic, payload)
                sequence += 1


def _device(registry: Registry, site: str, device: str) -> Device:
    try:
        return registry.device(site, device)
    except KeyError:
        known = ", ".join(f"{s.id}/{d.id}" for s in registry.sites for d in s.devices)
        raise ValueError(f"the registry has no device '{device}' at site '{site}'; it has {known}") from None
