"""What is kept of readings that were not taken: all within a device's budget, then samples; the ledger counts everything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeVar

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from greenmine.batch import Batch
from greenmine.budgets import Meter, Rate
from greenmine.record import schema
from greenmine.record.record import Record
from greenmine.registry import Registry
from greenmine.times import DAY, MINUTE, day_end, local

SAMPLE: Final = MINUTE
"""Beyond the budget one row in this time is kept, so that it can be seen what still comes [ms]."""
_OVER_BUDGET: Final = "over-budget"
_UNBOUNDED: Final = Rate()
_T = TypeVar("_T")


class RefusedRoom:
    """Room for rejected, late and conflicting readings, a budget for each device and day.

    Parameters
    ----------
    registry : Registry
        Whose the channels are, and the sites' zones.
    rows : Rate
        Rows of a device; by default without bound.
    size : Rate
        Bytes of their payloads; likewise.
    sample : int
        How much of a payload is kept beyond the budget [bytes].
    """

    def __init__(
        self, registry: Registry, rows: Rate = _UNBOUNDED, size: Rate = _UNBOUNDED, sample: int = 2_000
    ) -> None:
        self._rates = rows, size
        self._sample = sample
        self._zone = {site.id: site.zone for site in registry.sites}
        self._devices = list(dict.fromkeys((c.site, c.device) for c in registry.channels))
        number = {device: i for i, device in enumerate(self._devices)}
        self._device = np.array([number[c.site, c.device] for c in registry.channels], np.intp)
        self._meters: dict[tuple[str, str], tuple[int, Meter, Meter]] = {}
        self._sampled: dict[tuple[str, str], int] = {}
        self._over: set[tuple[str, str]] = set()

    def restore(self, record: Record, now: int) -> None:
        """Count the rejections that are kept of this day already, as after a start."""
        t = schema.rejection.c
        counted = sa.select(
            t.site, t.device, sa.func.count().label("rows"), sa.func.sum(sa.func.length(t.payload)).label("size")
        )
        days = _alike({site: day_end(now, zone) - DAY for site, zone in self._zone.items()})
        begun = sa.or_(*(sa.and_(t.site.in_(sites), t.received >= day) for day, sites in days.items()))
        for row in record.rows(counted.where(begun).group_by(t.site, t.device)):
            rows, size = self._of((row["site"], row["device"]), now)
            rows.used, size.used = float(row["rows"]), float(row["size"])

    def payload(self, site: str, device: str, payload: bytes, now: int) -> bytes | None:
        """What is kept of a payload: all of it, the beginning as a sample, or no row at all (None)."""
        rows, size = self._of((site, device), now)
        if rows.fits(1, now) and size.fits(len(payload), now):
            rows.take(1, now)
            size.take(len(payload), now)
            return payload
        self._over.add((site, device))
        return payload[: self._sample] if self._samples((site, device), now) else None

    def rows(self, channel: NDArray[np.int32], rows: NDArray[np.intp], now: int) -> NDArray[np.intp]:
        """Those of some readings that are kept.

        Parameters
        ----------
        channel : int32 array (n,)
            Channels of all readings.
        rows : int array
            Which readings want to be kept, ascending.
        now : int
            The clock [ms UTC].

        Returns
        -------
        int array
            Of each device as many as there is room for, or one as a sample.
        """
        if not len(rows):
            return rows
        owner = self._device[channel[rows]]
        kept = [self._some(self._devices[device], rows[owner == device], now) for device in np.unique(owner)]
        return np.sort(np.concatenate(kept))

    def overflowed(self, batch: Batch) -> Iterable[tuple[str, str]]:
        """Devices that were beyond a budget since the last call, or had a message of the batch refused for it."""
        over = self._over | {(r.site, r.device) for r in batch.rejections if r.reason == _OVER_BUDGET}
        self._over = set()
        return sorted(over)

    def _some(self, device: tuple[str, str], rows: NDArray[np.intp], now: int) -> NDArray[np.intp]:
        meter, _ = self._of(device, now)
        kept = min(len(rows), meter.room(now))
        meter.take(kept, now)
        if kept < len(rows):
            self._over.add(device)
            kept += self._samples(device, now)
        return rows[:kept]

    def _of(self, device: tuple[str, str], now: int) -> tuple[Meter, Meter]:
        found = self._meters.get(device)
        if found is None or now >= found[0]:
            ends = day_end(now, self._zone.get(device[0], "UTC"))
            found = self._meters[device] = ends, Meter(self._rates[0]), Meter(self._rates[1])
        return found[1], found[2]

    def _samples(self, device: tuple[str, str], now: int) -> bool:
        last = self._sampled.get(device)
        if last is not None and 0 <= now - last < SAMPLE:
            return False
        self._sampled[device] = now
        return True


def sent_today(record: Record, registry: Registry, now: int) -> Iterator[tuple[str, str, int, int]]:
    """Site, device, messages and accepted readings of each device that sent something on the day of an instant [ms UTC]."""
    t = schema.ledger.c
    days = _alike({site.id: local(now, site.zone).date().isoformat() for site in registry.sites})
    begun = (sa.and_(t.site.in_(sites), t.day == day) for day, sites in days.items())
    for row in record.rows(sa.select(t.site, t.device, t.messages, t.received, t.rejected).where(sa.or_(*begun))):
        yield row["site"], row["device"], row["messages"], row["received"] - row["rejected"]


def _alike(of: Mapping[str, _T]) -> dict[_T, list[str]]:
    """Sites by what they have in common: a database refuses a condition of a thousand parts."""
    found: dict[_T, list[str]] = {}
    for site, common in of.items():
        found.setdefault(common, []).append(site)
    return found
