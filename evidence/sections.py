"""What a report says besides statistics and verdicts: the forms of these sections of ``figures.json``."""

from __future__ import annotations

from typing import Literal

import msgspec

NOTE_ZH = "无法定公式；管理措施"
NOTE_EN = "no statutory formula; management measure"

ProofResult = Literal["meets", "exceeds", "not assessable", "shown", "not shown"]
"""A verdict on a theme, or whether an effect or enough data was shown."""


class EffectFigures(msgspec.Struct, frozen=True):
    """What a measure leaves of the mine's own dust or noise; see `greenmine.evidence.effect`."""

    measure: str
    name_zh: str
    name_en: str
    kind: str
    channel: str
    reference: str | None
    """Channel that was subtracted."""
    equipment: str | None
    """Channel that told when the measure was on."""
    design: str
    """``timetable``: its runs against the minutes before; ``on-off``, ``before-after``: within classes of wind and hour."""
    remaining: float | None
    """With the measure ÷ without it; of sound energies for noise."""
    low: float | None
    """Bounds of ``remaining`` at the level ``confidence``."""
    high: float | None
    reduction_db: float | None
    """For noise: -10 lg ``remaining``."""
    mean_on: float | None
    """Means of the compared minutes as they were, in ``unit``; they differ in wind and work, which ``remaining`` does not."""
    mean_off: float | None
    unit: str
    comparisons: int
    """Runs, or classes of wind and hour."""
    days: int
    minutes_on: int
    minutes_off: int
    confidence: float
    reason: str
    """Why there is no figure: ``no-data``, ``too-few-days``, ``unbounded``; else empty."""
    open_to_bias: bool
    """The equipment may have been started because of what it acts on."""
    note_zh: str
    note_en: str


class ResponseFigures(msgspec.Struct, frozen=True):
    """What equipment did at an exceedance, and how long that lasted."""

    measure: str
    rule: str
    start: str
    running: bool
    """It ran when the exceedance began."""
    response_minutes: int | None
    """From the beginning until it ran; None: it did not run before the end, or its state is not known."""
    return_minutes: int | None
    """From the beginning until the values had returned; None: they had not at the end of the data."""
    running_minutes: int | None
    """From when it ran until the values had returned."""


class RuleComparison(msgspec.Struct, frozen=True):
    """A limit in this period and the last."""

    rule: str
    share_meeting: float | None
    last_share_meeting: float | None
    share_above: float | None
    last_share_above: float | None
    episodes: int
    last_episodes: int
    worst: float | None
    last_worst: float | None


class ChannelComparison(msgspec.Struct, frozen=True):
    """Mean of a channel's valid hours in this period and the last."""

    channel: str
    unit: str
    hours: int
    last_hours: int
    mean: float | None
    last_mean: float | None


class TargetComparison(msgspec.Struct, frozen=True):
    """A limit and a stricter target of the enterprise."""

    rule: str
    target: str
    """Key of the target."""
    kind: str
    low: float | None
    """The target's value that was in force last."""
    high: float | None
    legal_low: float | None
    legal_high: float | None
    verdict: Literal["meets", "exceeds", "not assessable"]
    """On the target, over the period."""
    share_meeting: float | None
    legal_share_meeting: float | None


class Comparison(msgspec.Struct, frozen=True):
    """The period beside the one before it, and beside own targets."""

    period: str
    first: str
    last: str
    available: bool
    """Whether there are figures of the last period; if not, the lists that need them are empty."""
    rules: list[RuleComparison]
    channels: list[ChannelComparison]
    targets: list[TargetComparison]


class ProofFigures(msgspec.Struct, frozen=True):
    """What readings prove of an item."""

    kind: str
    """``dust``, ``noise``, ``water``: the summary's verdict; ``effect``; ``capture``."""
    result: ProofResult
    value: float | None
    """Capture, or what remains with the most effective measure."""


class DocumentFigures(msgspec.Struct, frozen=True):
    """A document of an item."""

    file: str
    title_zh: str
    title_en: str
    size: int | None
    """None: the file is missing."""
    sha256: str | None


class RequirementFigures(msgspec.Struct, frozen=True):
    """An item that the mine is asked for."""

    item: str
    name_en: str
    text_zh: str
    text_en: str
    supporting: bool
    """Readings only support the documents."""
    result: Literal["shown", "exceeds", "not assessable", "documents", "open"]
    """``documents``: files are attached, a person judges them; ``open``: nothing proves it."""
    proofs: list[ProofFigures]
    documents: list[DocumentFigures]


class IndicatorFigures(msgspec.Struct, frozen=True):
    """A group of indicators."""

    code: str
    name_zh: str
    name_en: str
    points: float | None
    """None: not confirmed."""
    proofs: list[ProofFigures]


class IndicatorSetFigures(msgspec.Struct, frozen=True):
    """An edition of indicators of green-mine evaluation."""

    id: str
    name_zh: str
    name_en: str
    edition: str
    valid_from: str | None
    points: float | None
    pass_points: float | None
    pass_group_share: float | None
    source: str
    confidence: str
    groups: list[IndicatorFigures]


class CalibrationFigures(msgspec.Struct, frozen=True):
    """A calibration in force within the period: true value = slope · raw + offset."""

    channel: str
    valid_from: str
    slope: float
    offset: float
    certificate: str
    note: str


class MarkFigures(msgspec.Struct, frozen=True):
    """A mark that touches the period."""

    station: str
    parameter: str | None
    start: str
    end: str
    kind: str
    excludes: bool
    """Readings under it do not count."""
    reason: str
    author: str
    made: str
    confirmed_by: str | None = None
    """Who confirmed it; None: nobody had to, or did."""


class RemovedFigures(msgspec.Struct, frozen=True):
    """A window that exceeds by all readings and no longer does with the marks: both figures, by whom, and why."""

    rule: str
    start: str
    end: str
    value: float | None
    """By all readings."""
    value_with_marks: float | None
    verdict_with_marks: str
    kinds: list[str]
    authors: list[str]
    reasons: list[str]
    confirmed_by: list[str]


class ClaimFigures(msgspec.Struct, frozen=True):
    """A mark that would take exceedances away and waits for a supervisor; told by the record, not by raw data."""

    station: str
    parameter: str | None
    start: str
    end: str
    kind: str
    reason: str
    author: str
    windows: int
    """Exceeding windows that it would take away."""


class RestatementFigures(msgspec.Struct, frozen=True):
    """A form of a verdict that was issued more than once; told by the record, not by raw data."""

    rule: str
    start: str
    revision: int
    verdict: str
    value: float | None
    capture: float
    reason: str
    change: str
    """Why it was issued."""
    issued: str


class ChangeFigures(msgspec.Struct, frozen=True):
    """A part of registry or limits that was changed since the period began; told by the record, not by raw data."""

    made: str
    author: str
    """Empty: in the files."""
    part: str
    before: str | None
    after: str | None


class HandlingFigures(msgspec.Struct, frozen=True):
    """What somebody did about an exceedance; told by the record, not by raw data."""

    rule: str
    start: str
    """Of the exceedance."""
    made: str
    author: str
    kind: str
    text: str
    name: str | None
    """Of an attached file."""
    size: int | None
    sha256: str | None
    file: str | None
    """Where it lies in the bundle; None: nothing is attached, or the file is missing."""


class FormulaFigures(msgspec.Struct, frozen=True):
    """A formula."""

    id: str
    name_zh: str
    name_en: str
    formula: str
    source: str


class CitationFigures(msgspec.Struct, frozen=True):
    """A law in force on the last day of the period."""

    name_zh: str
    name_en: str
    theme: str | None
    source: str
    confidence: str


class SignedFigures(msgspec.Struct, frozen=True):
    """Readings of a device within the period, and how many of them it signed."""

    device: str
    readings: int
    signed: int
