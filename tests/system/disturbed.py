"""Messages of simulated mines, sent as badly as networks do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from greenmine.registry import Registry
from greenmine.simulators.messages import Message
from greenmine.simulators.mine import stream
from tests.simulators.payload_readers import READERS

HOUR = 3_600_000
DAY = 24 * HOUR
START = 20_244 * DAY
"""2025-06-05, in the past of any clock that runs these tests."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Messages in the order of sending."""

    messages: list[Message]
    held: list[list[tuple[str, int]]]
    """Channel key and instant of the readings in each."""

    @property
    def received(self) -> int:
        """Readings, repeats included."""
        return sum(map(len, self.held))

    @property
    def instants(self) -> set[tuple[str, int]]:
        """Different readings."""
        return {reading for readings in self.held for reading in readings}

    def part(self, count: int) -> Traffic:
        """The first messages."""
        return Traffic(self.messages[:count], self.held[:count])


def disturbed_traffic(registry: Registry, site: str, *, seed: int, days: int = 3) -> Traffic:
    """Messages of a site, simulated faults included; of them a tenth comes late, some two days late, and some come twice."""
    rng = np.random.default_rng(seed)
    messages = list(stream(registry, [site], seed, START, START + days * DAY))
    count = len(messages)
    sent = np.array([message.time_sent for message in messages], np.int64)
    delay = np.zeros(count, np.int64)
    for share, longest in ((0.08, HOUR), (0.02, 16 * HOUR)):
        touched = rng.random(count) < share
        delay[touched] = rng.integers(0, longest, touched.sum())
    delay[(rng.random(count) < 0.01) & (sent < START + (days - 2) * DAY)] = 2 * DAY
    twice = np.flatnonzero(rng.random(count) < 0.04)
    again = sent[twice] + delay[twice] + rng.integers(1, 3 * HOUR, len(twice))
    which = np.concatenate([np.arange(count), twice])
    when = np.concatenate([sent + delay, again])
    order = np.argsort(when, kind="stable")
    disturbed = [Message(int(when[i]), messages[which[i]].topic, messages[which[i]].payload) for i in order.tolist()]
    return traffic_of(registry, disturbed)


def traffic_of(registry: Registry, messages: Iterable[Message]) -> Traffic:
    """Messages as they are, with what they hold."""
    sent = list(messages)
    return Traffic(sent, [_instants(registry, message) for message in sent])


def _instants(registry: Registry, message: Message) -> list[tuple[str, int]]:
    _, _, site, device, _ = message.topic.split("/")
    profile = registry.profiles[registry.device(site, device).profile]
    channels = registry.device_channels(site, device)
    readings = READERS[profile.format](message.payload)
    return [(channels[profile.fields.get(name, name)].key, instant) for instant, name in readings]
