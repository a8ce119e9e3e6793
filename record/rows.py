"""The form of readings in a block, and the rows that the worker writes; fields are columns of their table, by name."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

ROW: Final = np.dtype([("time", "<i8"), ("value", "<f8"), ("flag", "u1"), ("quality", "u1")])
"""A reading in a block: instant [ms UTC], value in the canonical unit, HJ 212 flag, bits of ``greenmine.processing.flags``."""

HOUR: Final = 3_600_000
"""[ms]"""


class BlockRow(NamedTuple):
    """A row of ``reading_block``."""

    channel: int
    hour: int
    count: int  # type: ignore[assignment]  # hides the method of tuples
    received: int
    data: memoryview
    device: str
    sequence: memoryview


class CurrentRow(NamedTuple):
    """A row of ``current``."""

    key: str
    kind: str
    site: str
    time: int
    data: bytes = b""


class AsideRow(NamedTuple):
    """A row of ``conflict`` or ``late``."""

    channel: int
    time: int
    value: float | None
    flag: str
    received: int


class RejectionRow(NamedTuple):
    """A row of ``rejection``."""

    received: int
    site: str
    device: str
    topic: str
    reason: str
    detail: str
    readings: int
    size: int
    payload: bytes


class SignedRow(NamedTuple):
    """A row of ``signed``."""

    site: str
    device: str
    topic: str
    received: int
    sequence: int
    start: int
    end: int
    payload: bytes
    signature: bytes


class LedgerRow(NamedTuple):
    """A row of ``ledger``: counts to be added to those of the day."""

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
    latency_sum: int
    serial: int


class LedgerTotalRow(NamedTuple):
    """A row of ``ledger_total``: counts to be added to those of the site."""

    site: str
    messages: int
    received: int
    stored: int
    duplicate: int
    conflict: int
    rejected: int
    late: int
    sequence_missing: int


class SequenceGapRow(NamedTuple):
    """A row of ``sequence_gap``."""

    site: str
    device: str
    first: int
    last: int


class StatisticRow(NamedTuple):
    """A row of ``statistic``."""

    channel: int
    window: str
    start: int
    revision: int
    latest: bool
    end: int
    mean: float | None
    minimum: float | None
    maximum: float | None
    count: int  # type: ignore[assignment]  # hides the method of tuples
    expected: float
    capture: float
    valid: bool
    hours: int | None
    excluded: int
    over: int
    suspect: int
    l10: float | None
    l50: float | None
    l90: float | None
    reason: str
    issued: int
    serial: int


class VerdictRow(NamedTuple):
    """A row of ``verdict``."""

    rule: str
    start: int
    revision: int
    latest: bool
    end: int
    begin: int
    finish: int
    verdict: str
    value: float | None
    judged: str | None
    low: float | None
    high: float | None
    capture: float
    reason: str
    reasons: str
    detail: str
    change: str
    issued: int
    serial: int


class SlidingHourRow(NamedTuple):
    """A row of ``sliding_hour``."""

    rule: str
    hour: int
    assessable: int
    above: int
    worst: float | None
    serial: int


class EpisodeRow(NamedTuple):
    """A row of ``exceedance``, as far as the worker writes it."""

    id: int
    rule: str
    site: str
    start: int
    end: int | None
    state: str
    peak: float
    peak_time: int
    threshold: float
    minutes: int
    revision: int
    changed: int
    serial: int


class HealthRow(NamedTuple):
    """A row of ``health``."""

    channel: int
    state: str
    since: int
    detail: str
    serial: int


class WorkerRow(NamedTuple):
    """A row of ``worker``."""

    name: str
    updated: int
    status: str


class MetaRow(NamedTuple):
    """A row of ``meta``."""

    key: str
    value: str


class InformationRow(NamedTuple):
    """A row of ``information``."""

    received: int
    site: str
    device: str
    command: str
    time: int | None
    content: str


class FrameRow(NamedTuple):
    """A row of ``frame``."""

    received: int
    site: str
    device: str
    data: bytes
    sha256: bytes


class GapRow(NamedTuple):
    """A row of ``gap``."""

    site: str
    device: str
    start: int
    end: int
    found: int
    state: str
    filled: int
    source: str
    asked: int
    changed: int
    serial: int


class ReportedRow(NamedTuple):
    """A row of ``reported``, before it is compared."""

    channel: int
    command: str
    start: int
    revision: int
    latest: bool
    end: int
    mean: float | None
    minimum: float | None
    maximum: float | None
    total: float | None
    flag: str
    received: int
    serial: int
