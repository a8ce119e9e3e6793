"""What the pipeline makes of simulated messages with known faults."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Final

import numpy as np

from greenmine.batch import Batch
from greenmine.collector.payloads.payload import BatchBuilder
from greenmine.processing.engine import Outcome
from greenmine.processing.health import Change
from greenmine.record.record import Record, migrate, open_engine
from greenmine.record.writer import Pipeline
from greenmine.registry import Registry
from greenmine.settings import Settings
from greenmine.simulators.messages import Message
from greenmine.simulators.score import Detection

_STEP: Final = 300_000
"""Messages are taken in by stretches of this much simulated time of receipt [ms]."""
_LATE: Final = 600_000
"""A reading that came this long after its instant came late [ms]."""
_OFTEN: Final = 300_000
"""A device that reports at least this often shows a loss of power soon [ms]."""
_KINDS: Final = {"silent": "gap", "frozen": "frozen", "skewed": "clock-skew", "implausible": "unit-slip"}
"""State of a channel → the fault that it stands for."""


def detect(
    registry: Registry,
    settings: Settings,
    messages: Iterable[Message],
    until: int,
    progress: Callable[[int, int], None],
) -> list[Detection]:
    """Send messages through decoder, core and record, with their own time as the clock, and list what was noticed.

    Parameters
    ----------
    registry : Registry
        What the messages were made from.
    settings : Settings
        Of the collector and the core.
    messages : iterable of Message
        In order of ``time_sent``.
    until : int
        End of the simulation [ms UTC]: later messages are stragglers, and silence after it means nothing.
    progress : callable
        Told the number of messages done and the instant reached [ms UTC].
    """
    found: list[Detection] = []
    changes: list[Change] = []
    newest: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine(Path(folder) / "record.sqlite")
        migrate(engine)
        pipeline = Pipeline(registry, Record(engine, registry), silent_minutes=settings.silent_minutes)
        builder = BatchBuilder(registry, settings)
        done = end = 0
        for step, stretch in groupby(messages, lambda m: m.time_sent // _STEP):
            for quiet in range(end + _STEP, min(step * _STEP, until) + 1, _STEP) if end else ():
                changes.extend(pipeline.wait(quiet).health)
            end = (step + 1) * _STEP
            for message in stretch:
                builder.add(message.topic, message.payload, message.time_sent)
                done += 1
            batch = builder.finish()
            outcome = pipeline.commit(batch, end)
            found.extend(_arrivals(batch, outcome, newest))
            changes.extend(outcome.health)
            if end <= until:
                changes.extend(pipeline.wait(end).health)
            progress(done, end)
        engine.dispose()
    states = list(_states(registry, changes, until))
    return [*found, *states, *_power_losses(registry, states)]


def _arrivals(batch: Batch, outcome: Outcome, newest: dict[str, int]) -> Iterator[Detection]:
    """Readings that came late or again, and messages that were overtaken; ``newest`` is each device's newest instant."""
    readings, parts = batch.readings, outcome.parts
    received = batch.message_received[batch.message]
    new = np.concatenate([parts.fresh, parts.late])
    late = new[received[new] - readings.time[new] > _LATE]
    for kind, chosen in (("late", late), ("duplicate", parts.repeated)):
        owner = batch.message_device[batch.message[chosen]]
        for index in np.unique(owner):
            times = readings.time[chosen[owner == index]]
            yield Detection(kind, "/".join(batch.devices[int(index)]), int(times.min()), int(times.max()))
    instant = np.full(batch.messages, -1, np.int64)
    np.maximum.at(instant, batch.message[new], readings.time[new])
    for message in np.flatnonzero(instant >= 0):
        key, at = "/".join(batch.devices[int(batch.message_device[message])]), int(instant[message])
        if at < newest.get(key, -1):
            yield Detection("reordered", key, at, at)
        newest[key] = max(at, newest.get(key, -1))


def _states(registry: Registry, changes: Iterable[Change], end: int) -> Iterator[Detection]:
    """Spans of the states of channels; silence and a wrong clock are their device's."""
    by_channel: dict[int, list[Change]] = defaultdict(list)
    for change in changes:
        by_channel[change.channel].append(change)
    for index, history in by_channel.items():
        channel = registry.channels[index]
        for here, following in zip(history, [*history[1:], None], strict=True):
            if here.state in _KINDS:
                whole = here.state in {"silent", "skewed"}
                key = f"{channel.site}/{channel.device}" if whole else channel.key
                until = end if following is None else following.since
                yield Detection(_KINDS[here.state], key, here.since, max(until, here.since))


def _power_losses(registry: Registry, states: Iterable[Detection]) -> Iterator[Detection]:
    """Times at which all devices of a site were silent together; those that report seldom cannot tell and are left out."""
    silent: dict[str, dict[str, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
    for detection in states:
        if detection.kind == "gap":
            site, device = detection.key.split("/")
            silent[site][device].append((detection.start, detection.end))
    for site, devices in silent.items():
        common: list[tuple[int, int]] = [(0, 2**62)]
        for device in {c.device for c in registry.site_channels(site) if c.interval <= _OFTEN}:
            spans = sorted(set(devices.get(device, ())))
            common = [(max(a, c), min(b, d)) for a, b in common for c, d in spans if max(a, c) < min(b, d)]
        for start, end in sorted(set(common)):
            yield Detection("power-loss", site, start, end)
