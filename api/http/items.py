"""Items of the lists that the JSON routes answer with, beside those of `greenmine.api.http.views`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from greenmine.registry import Position


class SiteItem(msgspec.Struct, frozen=True):
    """A mine, as in the registry."""

    site: str
    name_zh: str
    name_en: str
    enterprise: str
    zone: str
    township_zh: str | None
    product_zh: str
    product_en: str
    scale: str
    batch: int
    batch_years: str
    requirement_items: tuple[str, ...]
    position: Position
    stations: list[str]


class ChannelItem(msgspec.Struct, frozen=True):
    """One parameter at one station."""

    channel: str
    parameter: str
    name_zh: str
    name_en: str
    unit: str
    device: str
    interval_s: float


class RuleItem(msgspec.Struct, frozen=True):
    """One limit at one station."""

    rule: str
    limit: str
    channel: str


class StationItem(msgspec.Struct, frozen=True):
    """A place at a mine where instruments stand."""

    site: str
    station: str
    name_zh: str
    name_en: str
    role: str
    position: Position
    noise_class: str | None
    channels: list[ChannelItem]
    rules: list[RuleItem]


class ReadingItem(msgspec.Struct, frozen=True):
    """A reading as it came; ``quality`` 1: outside the plausible range."""

    time: datetime
    value: float | None
    flag: str
    quality: int


class StatisticItem(msgspec.Struct, frozen=True):
    """A figure over a legal window, in one of its revisions."""

    channel: str
    window: str
    start: datetime
    end: datetime
    mean: float | None
    minimum: float | None
    maximum: float | None
    count: int
    expected: float
    capture: float
    valid: bool
    hours: int | None
    excluded: int
    suspect: int
    l10: float | None
    l50: float | None
    l90: float | None
    unit: str
    revision: int
    latest: bool
    reason: str
    issued: datetime


class WindowItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """A figure computed now over any window; l10, l50 and l90 for sound only."""

    channel: str
    start: datetime
    end: datetime
    mean: float | None
    minimum: float | None
    maximum: float | None
    count: int
    capture: float
    unit: str
    l10: float | msgspec.UnsetType = msgspec.UNSET
    l50: float | msgspec.UnsetType = msgspec.UNSET
    l90: float | msgspec.UnsetType = msgspec.UNSET


class LedgerItem(msgspec.Struct, frozen=True):
    """What a device sent on a day: received = stored + duplicate + rejected + late."""

    site: str
    device: str
    day: str
    messages: int
    received: int
    stored: int
    duplicate: int
    conflict: int
    rejected: int
    late: int
    reordered: int
    sequence_last: int
    sequence_missing: int
    mean_latency_ms: float | None


class GapItem(msgspec.Struct, frozen=True):
    """Messages that never came, told by their sequence numbers: ``first`` to ``last``, both inclusive."""

    site: str
    device: str
    first: int
    last: int
    messages: int


class SideItem(msgspec.Struct, frozen=True):
    """A reading that is kept and not used: another value for an instant already stored, or one that came too late."""

    id: int
    channel: str
    time: datetime
    value: float | None
    flag: str
    received: datetime


class RejectionItem(msgspec.Struct, frozen=True):
    """What could not be taken, and why."""

    id: int
    received: datetime
    site: str
    device: str
    topic: str
    reason: str
    detail: str
    readings: int
    size: int


class HealthItem(msgspec.Struct, frozen=True):
    """A channel's state from an instant on."""

    channel: str
    state: str
    since: datetime
    detail: str


class MarkItem(msgspec.Struct, frozen=True):
    """A statement about a period; ``late``: made when figures of that period had been issued already."""

    id: int
    site: str
    station: str
    parameter: str | None
    start: datetime
    end: datetime
    kind: str
    reason: str
    author: str
    made: datetime
    late: bool
    confirmed_by: str | None
    """Supervisor who confirmed what it takes away; None: it takes no exceedance away."""


class RemovedItem(msgspec.Struct, frozen=True):
    """An exceeding window that a mark takes away, with the figure without it and with it (``after``)."""

    rule: str
    start: datetime
    end: datetime | None
    value: float | None
    after: float | None
    judgement: str
    """With the mark; empty for an exceedance that has no verdict yet."""


class MarkRequestItem(msgspec.Struct, frozen=True):
    """A mark that was asked for; the worker makes it within seconds of its end, or refuses it and says why.

    ``claimed``: it would take away the exceeding windows of ``removes``, and waits for a supervisor, who confirms or refuses it.
    """

    id: int
    site: str
    station: str
    parameter: str | None
    start: datetime
    end: datetime
    kind: str
    reason: str
    author: str
    made: datetime
    state: Literal["waiting", "claimed", "done", "refused"]
    answer: str
    mark: int | None
    answered: datetime | None
    decided_by: str | None
    removes: list[RemovedItem]


class Attachment(msgspec.Struct, frozen=True):
    """A file at an exceedance; ``digest`` is its SHA-256."""

    name: str
    media_type: str
    size: int
    digest: str
    href: str


class HandlingItem(msgspec.Struct, frozen=True):
    """What somebody did about an exceedance."""

    id: int
    made: datetime
    author: str
    kind: Literal["acknowledged", "cause", "handling", "comment", "attachment"]
    text: str
    attachment: Attachment | None


class EpisodeRevision(msgspec.Struct, frozen=True):
    """An earlier form of a restated exceedance."""

    revision: int
    start: datetime
    end: datetime | None
    state: str
    peak: float | None
    minutes_above: int
    changed: datetime


class VerdictRevision(msgspec.Struct, frozen=True):
    """One revision of a verdict; ``differs`` names what is other than in the revision before."""

    rule: str
    site: str
    station: str
    limit: str
    start: datetime
    end: datetime
    revision: int
    latest: bool
    verdict: str
    standing: str
    value: float | None
    judged: str | None
    low: float | None
    high: float | None
    capture: float
    reason: str
    detail: Any
    change: str
    issued: datetime
    differs: list[str]


class ReportedItem(msgspec.Struct, frozen=True):
    """An aggregate that a data logger computed itself, beside ours of the same window; ``difference`` is reported - own."""

    channel: str
    command: Literal["2051", "2061", "2031"]
    start: datetime
    end: datetime
    mean: float | None
    minimum: float | None
    maximum: float | None
    total: float | None
    flag: str
    unit: str
    revision: int
    received: datetime
    own_mean: float | None
    own_count: int | None
    difference: float | None
    compared: datetime | None


class LoggerGapItem(msgspec.Struct, frozen=True):
    """A span in which a data logger's readings are missing, and what came when they were asked back."""

    site: str
    device: str
    start: datetime
    end: datetime
    minutes: int
    state: Literal["open", "filled", "partly", "unfilled"]
    filled: int
    """Minutes that have come."""
    source: Literal["readings", "reported"] | None
    asked: int
    found: datetime
    changed: datetime


class InformationItem(msgspec.Struct, frozen=True):
    """What a data logger said beside values; ``content`` as ``name=text;name=text``."""

    id: int
    received: datetime
    site: str
    device: str
    command: str
    time: datetime | None
    content: str
