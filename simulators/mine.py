"""A mine: its site in the registry, put together with all that the simulation knows, and the stream of its messages."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from heapq import merge
from math import log10
from operator import attrgetter
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from greenmine.processing.averaging import row_means
from greenmine.readings import Readings
from greenmine.registry import Channel, Device, Registry
from greenmine.simulators.activity import activity
from greenmine.simulators.clock import DAY_MS, MINUTE_MS, Clock
from greenmine.simulators.dust import SPRAYER_FACTOR, dust
from greenmine.simulators.faults import KINDS, Plans, drifted, frozen, skewed, slipped, within
from greenmine.simulators.instruments import MAINTENANCE, NORMAL, instrument_of, measure, respond, service
from greenmine.simulators.layout import character, layout
from greenmine.simulators.messages import Message, payloads, topic
from greenmine.simulators.random_streams import MINUTES_PER_DAY, Floats, RandomStreams, runs
from greenmine.simulators.signal import signal
from greenmine.simulators.sound import sound
from greenmine.simulators.truth import EventKind, InjectedFault, SimulatedEvent, Truth
from greenmine.simulators.water import water
from greenmine.simulators.weather import weather

_REGION = "region"
_LOOKBACK = 60
"""Minutes before a day that its sprayers, blasts and instruments remember."""
_SLIP_DIGITS = 3
"""Decimals that a value needs more after a slip by a thousand."""
_OVERTAKEN_BY = 1000
"""How long after its successor an overtaken message is sent [ms]."""
_BACKLOG_PACE = 20
"""Distance of the messages of a backlog [ms]."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Readings of a device, n instants of k channels, as the device believes them to be."""

    measured: NDArray[np.int64]
    """True instants of measurement, shape (n,) [ms UTC]."""
    times: NDArray[np.int64]
    """Instants by the device's clock, shape (n,) [ms UTC]."""
    values: Floats
    """In canonical units, shape (n, k); NaN for none."""
    flags: NDArray[np.uint8]
    """ASCII codes of the HJ 212 data flags, shape (n, k)."""


@dataclass(frozen=True, slots=True)
class _Day:
    """What is there to be measured on one UTC day, by channel index, and what happened."""

    values: dict[int, Floats]
    events: tuple[SimulatedEvent, ...]


class Mine:
    """One simulated site; what it yields depends on the registry, the seed and the instant only.

    Parameters
    ----------
    registry : Registry
        Holds the site.
    site : str
        Its identifier; KeyError if the registry has none such.
    seed : int
        Seed of the simulation.
    """

    def __init__(self, registry: Registry, site: str, seed: int) -> None:
        self.site = registry.site(site)
        self._registry = registry
        self._streams = RandomStreams(seed, site)
        self._region = RandomStreams(seed, _REGION)
        self._clock = Clock(self.site.zone)
        self._kind = character(self.site)
        self._places = layout(self.site)
        self._guarded = [s.id for s in self.site.stations if s.role == "boundary"]
        self._channels = {d.id: tuple(registry.device_channels(site, d.id).values()) for d in self.site.devices}
        self._day = lru_cache(maxsize=3)(self._simulate)

    def channels(self, device: str) -> tuple[Channel, ...]:
        """Channels of a device, in the order of its columns."""
        return self._channels[device]

    def events(self, day: int) -> tuple[SimulatedEvent, ...]:
        """What happened on a UTC day (days since 1970); what passes midnight is cut there."""
        return self._day(day).events

    def columns(self, device: Device, day: int, faults: Sequence[InjectedFault] = ()) -> Columns:
        """Readings of a device on one UTC day.

        Parameters
        ----------
        device : Device
            One of the site's.
        day : int
            Days since 1970.
        faults : sequence of InjectedFault
            Those that touch the values or the clock take effect; faults of other devices and of messages do not.

        Returns
        -------
        Columns
            A reading at ``t`` stands for the interval from ``t`` on, as ``DataTime`` of HJ 212 does.
        """
        channels = self._channels[device.id]
        interval = channels[0].interval
        first = -(-day * DAY_MS // interval) * interval
        measured = np.arange(first, (day + 1) * DAY_MS, interval, dtype=np.int64)
        times = measured
        values = np.column_stack([self._readings(channel, measured, day) for channel in channels])
        flags = np.full(values.shape, NORMAL, np.uint8)
        if self._serviced(device):
            minutes = service(self._streams, self._clock, device.id, _minutes(day))
            flags[:] = minutes[(measured - day * DAY_MS) // MINUTE_MS][:, None]
            for k, channel in enumerate(channels):
                checked = (flags[:, k] != NORMAL) & (flags[:, k] != MAINTENANCE)
                values[checked, k] = instrument_of(channel.parameter.id).check
            values[flags == MAINTENANCE] = np.nan
        mine = [f for f in faults if f.site == self.site.id and f.device == device.id]
        for fault in mine:
            k = next((k for k, channel in enumerate(channels) if channel.key == fault.channel), 0)
            decimals = channels[k].parameter.decimals
            match fault.kind:
                case "frozen":
                    values[:, k] = frozen(fault, measured, values[:, k])
                case "drift":
                    values[:, k] = np.round(drifted(fault, measured, values[:, k]), decimals)
                case "unit-slip":
                    values[:, k] = np.round(slipped(fault, measured, values[:, k]), decimals + _SLIP_DIGITS)
                case "clock-skew":
                    times = skewed(fault, measured)
                case "late" | "duplicate" | "reordered" | "gap" | "power-loss":
                    pass
        return Columns(measured, times, values, flags)

    def readings(self, day: int, faults: Sequence[InjectedFault] = ()) -> Readings:
        """Readings of all devices on one UTC day as columns, device by device; see ``columns``."""
        parts = []
        for device in self.site.devices:
            columns = self.columns(device, day, faults)
            index = np.array([channel.index for channel in self._channels[device.id]], np.int32)
            parts.append(
                Readings(
                    np.tile(index, len(columns.times)),
                    np.repeat(columns.times, len(index)),
                    columns.values.ravel(),
                    columns.flags.ravel(),
                )
            )
        return Readings.concat(parts)

    def messages(
        self, device: Device, day: int, start: int, end: int, faults: Sequence[InjectedFault] = ()
    ) -> list[Message]:
        """Messages of a device about what it measured on one UTC day.

        Parameters
        ----------
        device : Device
            One of the site's.
        day : int
            Days since 1970.
        start, end : int
            Only true instants of measurement from ``start`` to before ``end`` count [ms UTC].
        faults : sequence of InjectedFault
            All faults of the day.

        Returns
        -------
        list of Message
            In no particular order; some may be sent on a later day.
        """
        channels = self._channels[device.id]
        profile = self._registry.profiles[device.profile]
        interval = channels[0].interval
        rows = max(1, MINUTE_MS // interval)
        period = interval * rows
        columns = self.columns(device, day, faults)
        keep = (columns.measured >= start) & (columns.measured < end)
        if not self._serviced(device):
            keep &= np.isfinite(columns.values).any(axis=1)
        if not keep.any():
            return []
        measured = columns.measured[keep]
        scale = np.array([channel.scale for channel in channels])
        offset = np.array([channel.offset for channel in channels])
        sent_values = (columns.values[keep] - offset) / scale
        for k, channel in enumerate(channels):
            digits = max(0, channel.parameter.decimals + round(log10(abs(channel.scale))) + _SLIP_DIGITS)
            sent_values[:, k] = np.round(sent_values[:, k], digits)

        sequence = measured // period
        heads = np.flatnonzero(np.diff(sequence, prepend=sequence[0] - 1))
        tails = np.append(heads[1:], len(measured))
        encoded: list[bytes] = []
        flags, times = columns.flags[keep], columns.times[keep]
        names = [channel.parameter.id for channel in channels]
        if rows == 1:
            encoded = list(payloads(profile, names, times, sent_values, flags, sequence))
        else:
            for head, tail in zip(heads, tails, strict=True):
                part = slice(head, tail)
                encoded += payloads(
                    profile, names, times[part], sent_values[part], flags[part], sequence[head : head + 1], rows
                )
        taken = measured[heads]
        sent, copies = self._dispatch(device, day, measured[tails - 1], taken, period, faults)
        name = topic(self.site.id, device.id)
        return [Message(when, name, encoded[index]) for index, when in zip(copies.tolist(), sent.tolist(), strict=True)]

    def _dispatch(
        self,
        device: Device,
        day: int,
        last: NDArray[np.int64],
        taken: NDArray[np.int64],
        period: int,
        faults: Sequence[InjectedFault],
    ) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
        """When each message is sent, and which: faults delay, repeat, reorder and drop."""
        slack = min(period, MINUTE_MS) * 4 // 5
        phase = crc32(f"{self.site.id}/{device.id}".encode()) % slack
        whole = self._streams.generator("jitter", device.id, day).integers(
            0, slack // 25 + 1, size=DAY_MS // period + 2
        )
        sent = last + phase + whole[(taken - day * DAY_MS) // period]
        index = np.arange(len(taken))
        keep = np.ones(len(taken), bool)
        extra_sent, extra_index = [], []
        for fault in faults:
            if fault.site != self.site.id or fault.device not in {"", device.id}:
                continue
            touched = within(fault, taken)
            match fault.kind:
                case "late":
                    sent = np.where(touched, sent + int(fault.parameters["delay"]), sent)
                case "duplicate":
                    extra_sent.append(sent[touched] + int(fault.parameters["delay"]))
                    extra_index.append(index[touched])
                case "reordered":
                    sent = _overtaken(sent, taken, touched, period)
                case "gap":
                    keep &= ~touched
                case "power-loss" if fault.parameters["backlog"]:
                    waiting = fault.end + phase + _BACKLOG_PACE * ((taken - fault.start) // period)
                    sent = np.where(touched, waiting, sent)
                case "power-loss":
                    keep &= ~touched
                case "frozen" | "drift" | "unit-slip" | "clock-skew":
                    pass
        return np.concatenate([sent[keep], *extra_sent]), np.concatenate([index[keep], *extra_index])

    def _serviced(self, device: Device) -> bool:
        """A device that cannot say so is not serviced within the simulation."""
        return self._registry.profiles[device.profile].sends_flags

    def _readings(self, channel: Channel, measured: NDArray[np.int64], day: int) -> Floats:
        width = max(1, channel.interval // MINUTE_MS)
        index = (measured - day * DAY_MS) // MINUTE_MS
        minutes = self._day(day).values[channel.index]
        if index[-1] + width > MINUTES_PER_DAY:
            minutes = np.concatenate([minutes, self._day(day + 1).values[channel.index]])
        truth = minutes[index]
        if width > 1:
            spans = minutes[index[:, None] + np.arange(width)]
            truth = spans[:, 0] if channel.parameter.is_state else row_means(channel.parameter.averaging, spans)
        return measure(self._streams, channel.key, channel.parameter, truth, day)

    def _simulate(self, day: int) -> _Day:
        first = day * MINUTES_PER_DAY - _LOOKBACK
        count = MINUTES_PER_DAY + _LOOKBACK
        streams, region, clock, kind, places = self._streams, self._region, self._clock, self._kind, self._places
        air = weather(region, streams, clock, places.prevailing, first, count)
        work = activity(streams, clock, kind, first, count)
        flying = dust(streams, region, clock, kind, places, self._guarded, air, work, first)
        heard = sound(streams, clock, kind, places, air, work, flying.spraying, first)
        pond = water(streams, region, clock, kind, air, first)
        of_site = {
            "wind-speed": air.wind_speed,
            "wind-direction": air.wind_direction,
            "air-temperature": air.temperature,
            "humidity": air.humidity,
            "pressure": air.pressure,
            "rain": air.rain,
            "ss": pond.ss,
            "turbidity": pond.turbidity,
            "ph": pond.ph,
            "cod": pond.cod,
            "nh3-n": pond.ammonia,
            "conductivity": pond.conductivity,
            "do": pond.oxygen,
            "water-temperature": pond.temperature,
            "flow": pond.flow,
        }
        of_station = {
            "tsp": flying.tsp,
            "pm10": flying.pm10,
            "pm2.5": flying.pm25,
            "laeq": heard.laeq,
            "lafmax": heard.lafmax,
        }
        sprayers = {measure.equipment for measure in self.site.measures if measure.kind == "sprayers"}
        state = {True: flying.spraying.astype(float), False: work.crusher.astype(float)}
        values: dict[int, Floats] = {}
        for channel in self._registry.own_channels(self.site.id):
            name = channel.parameter.id
            if name == "equipment-state":
                truth = state[channel.station in sprayers]
            elif name in of_station:
                truth = of_station[name][channel.station]
            elif name in of_site:
                truth = of_site[name]
            else:
                truth = signal(streams, channel, work, first)
            values[channel.index] = respond(truth, instrument_of(name).response)[_LOOKBACK:]
        found = [
            *self._events("blast", work.blast, first, {}),
            *self._events("sprayers", flying.scheduled, first, {"factor": SPRAYER_FACTOR, "mode": "scheduled"}),
            *self._events("sprayers", flying.automatic, first, {"factor": SPRAYER_FACTOR, "mode": "automatic"}),
            *self._events("incident", work.incident, first, {}),
            *self._events("night-shift", work.night, first, {}),
            *self._events("overflow", pond.flow > 0 if kind.retains else np.zeros(count, bool), first, {}),
            *self._events("rain", air.rain > 0, first, {}, bridge=30),
        ]
        return _Day(values, tuple(sorted([*found, *self._services(day)], key=attrgetter("start"))))

    def _events(
        self, kind: EventKind, mask: NDArray[np.bool_], first: int, parameters: dict[str, float | str], bridge: int = 0
    ) -> list[SimulatedEvent]:
        """Runs of a mask within the day; pauses up to ``bridge`` minutes do not end an event."""
        mask = mask[_LOOKBACK:]
        for start, end in runs(~mask):
            if start > 0 and end < len(mask) and end - start <= bridge:
                mask = mask.copy()
                mask[start:end] = True
        begin = (first + _LOOKBACK) * MINUTE_MS
        return [
            SimulatedEvent(
                kind=kind,
                site=self.site.id,
                start=begin + start * MINUTE_MS,
                end=begin + end * MINUTE_MS,
                parameters=parameters,
            )
            for start, end in runs(mask)
        ]

    def _services(self, day: int) -> list[SimulatedEvent]:
        found = []
        for device in filter(self._serviced, self.site.devices):
            flags = service(self._streams, self._clock, device.id, _minutes(day))
            for start, end in runs(flags != NORMAL):
                found.append(
                    SimulatedEvent(
                        kind="maintenance" if flags[start] == MAINTENANCE else "calibration",
                        site=self.site.id,
                        device=device.id,
                        start=day * DAY_MS + start * MINUTE_MS,
                        end=day * DAY_MS + end * MINUTE_MS,
                    )
                )
        return found


def stream(
    registry: Registry,
    sites: Collection[str],
    seed: int,
    start: int,
    end: int | None,
    faults: Collection[str] = KINDS,
) -> Iterator[Message]:
    """Messages of some sites in the order in which they are sent, made day by day as they are asked for.

    Parameters
    ----------
    registry : Registry
        All of it takes part in the choice of faults.
    sites : collection of str
        Identifiers of the sites to simulate.
    seed : int
        Seed of the simulation.
    start, end : int, int or None
        True instants of measurement, ``end`` exclusive [ms UTC]; None: without end.
    faults : collection of str
        Kinds of fault to inject.

    Yields
    ------
    Message
        By ``time_sent``. The same seed, registry and start give the same messages. What is measured at an instant
        does not depend on the start, so two streams that meet are as good as one. Devices whose payloads are read by a
        mapping stay silent: nobody can write them from it.
    """
    mines = [Mine(registry, site, seed) for site in sites]
    plans = Plans(registry, seed)
    pending: list[Message] = []
    day = start // DAY_MS
    while end is None or day * DAY_MS < end:
        injected = [fault for fault in plans.day(day) if fault.kind in faults]
        until = (day + 1) * DAY_MS if end is None else min(end, (day + 1) * DAY_MS)
        fresh = [
            message
            for mine in mines
            for device in mine.site.devices
            if device.parameters and registry.profiles[device.profile].format != "mapped"
            for message in mine.messages(device, day, start, until, injected)
        ]
        fresh.sort(key=attrgetter("time_sent"))
        day += 1
        waiting: list[Message] = []
        for message in merge(pending, fresh, key=attrgetter("time_sent")):
            if message.time_sent < day * DAY_MS:
                yield message
            else:
                waiting.append(message)
        pending = waiting
    yield from pending


def truth(
    registry: Registry,
    sites: Collection[str],
    seed: int,
    start: int,
    end: int,
    faults: Collection[str] = KINDS,
) -> Truth:
    """Ground truth of the stream with the same arguments: its faults, cut to the span, and what happened."""
    plans = Plans(registry, seed)
    days = range(start // DAY_MS, -(-end // DAY_MS))
    injected = [f for day in days for f in plans.day(day) if f.kind in faults and f.site in sites]
    happened: list[SimulatedEvent] = []
    for site in sites:
        mine = Mine(registry, site, seed)
        happened += _joined([event for day in days for event in mine.events(day)])
    return Truth(
        seed=seed,
        registry=registry.digest,
        start=start,
        end=end,
        faults=tuple(sorted((f for f in injected if f.start < end and f.end > start), key=attrgetter("start"))),
        events=tuple(sorted((e for e in happened if e.start < end and e.end > start), key=attrgetter("start"))),
    )


def _joined(events: list[SimulatedEvent]) -> list[SimulatedEvent]:
    """Put together what was cut at midnight UTC."""
    joined: list[SimulatedEvent] = []
    for event in events:
        before = next(
            (
                i
                for i, e in enumerate(joined)
                if e.end == event.start
                and (e.kind, e.device, e.parameters) == (event.kind, event.device, event.parameters)
            ),
            None,
        )
        if before is None:
            joined.append(event)
        else:
            old = joined[before]
            joined[before] = SimulatedEvent(
                kind=old.kind,
                site=old.site,
                device=old.device,
                start=old.start,
                end=event.end,
                parameters=old.parameters,
            )
    return joined


def _minutes(day: int) -> NDArray[np.int64]:
    return np.arange(day * MINUTES_PER_DAY, (day + 1) * MINUTES_PER_DAY, dtype=np.int64)


def _overtaken(
    sent: NDArray[np.int64], taken: NDArray[np.int64], touched: NDArray[np.bool_], period: int
) -> NDArray[np.int64]:
    """Every other message is sent just after its successor, in pairs that do not depend on where the stream begins."""
    delayed = sent.copy()
    even = touched[:-1] & touched[1:] & (np.diff(taken) == period) & (taken[:-1] // period % 2 == 0)
    left = np.flatnonzero(even)
    delayed[left] = sent[left + 1] + _OVERTAKEN_BY
    return delayed
