"""Figures, times and names in words, for one language of a report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from functools import cached_property
from typing import Any, Final

from greenmine.clauses import in_language
from greenmine.evidence.figures import ThresholdFigures
from greenmine.limits import Threshold
from greenmine.registry import Channel, Rule
from greenmine.wording.words import NOTHING, Words

_REASONS: Final = 3
"""Reasons of a conclusion that are named; the others are counted."""


class ReportWords(Words):
    """Words of a report."""

    package = "greenmine.evidence.report"

    def note(self, thing: Any) -> str:
        """Its note."""
        return str(thing.note_zh if self.language == "zh" else thing.note_en)

    def station(self, key: str) -> str:
        """Name of the station of a channel or a rule."""
        site, station, _ = key.split("/", 2)
        return self.name(self.registry.station(site, station))

    def channel(self, key: str) -> str:
        """Station and symbol of a channel."""
        return f"{self.station(key)} {self.channels[key].parameter.symbol}"

    def together(self, keys: Iterable[str]) -> str:
        """Several channels, by station."""
        stations: dict[str, list[str]] = {}
        for key in keys:
            stations.setdefault(self.station(key), []).append(self.channels[key].parameter.symbol)
        return self.t("list.comma").join(" ".join((station, *symbols)) for station, symbols in stations.items())

    def limit(self, key: str) -> str:
        """Name of the limit of a rule; of a target, with what it is."""
        limit = self.rules[key].limit
        kind = "" if limit.kind == "legal" else self.t("limit.of-kind", kind=self.t(f"limit.{limit.kind}"))
        return (
            self.name(self.registry.limits[limit.id]) + kind + (self.t("limit.indicative") if limit.indicative else "")
        )

    def rule(self, key: str) -> str:
        """Station and limit."""
        return f"{self.station(key)} · {self.limit(key)}"

    @cached_property
    def rules(self) -> dict[str, Rule]:
        """By key."""
        return {rule.key: rule for rule in self.registry.rules}

    @cached_property
    def channels(self) -> dict[str, Channel]:
        """By key."""
        return {channel.key: channel for channel in self.registry.channels}

    def judged(self, rule: str) -> Channel:
        """The channel that a rule judges."""
        return self.registry.channels[self.rules[rule].channel]

    def share(self, share: float | None) -> str:
        """Share of 1 in per cent; what is not zero is not told as zero, what is not all not as all."""
        return NOTHING if share is None else f"{self.percent(share)} %"

    def bounds(self, low: float | None, high: float | None) -> str:
        """What a threshold allows."""
        if low is not None and high is not None:
            return f"{self.plain(low)}–{self.plain(high)}"
        if low is None and high is None:
            return NOTHING
        return f"≤ {self.plain(high)}" if high is not None else f"≥ {self.plain(low)}"

    @staticmethod
    def moment(text: str | None) -> str:
        """Date and time of an ISO 8601 text."""
        return NOTHING if text is None else f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M}"

    @staticmethod
    def day(text: str) -> str:
        """Date of an ISO 8601 text."""
        return text[:10]

    def span(self, first: str, last: str | None) -> str:
        """From a day to another, both included; None: until further notice."""
        return self.t("span.since", first=first) if last is None else self.t("span.days", first=first, last=last)

    def minutes(self, minutes: int | None) -> str:
        """How long something lasted."""
        if minutes is None:
            return self.t("duration.open")
        if minutes < 60:
            return self.t("duration.minutes", m=minutes)
        if minutes < 2880:
            return self.t("duration.hours", h=minutes // 60, m=minutes % 60)
        return self.t("duration.days", d=minutes // 1440, h=minutes % 1440 // 60)

    def reasons(self, reasons: dict[str, int]) -> str:
        """Why windows are judged as they are, most frequent first."""
        ordered = sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))
        return self.t("list.comma").join(
            self.t("reason.times", reason=self.verdict_reason(reason), n=n) for reason, n in ordered
        )

    def first_reasons(self, codes: Sequence[str]) -> str:
        """Name the first reasons of a conclusion, and count the others."""
        named = self.t("list.comma").join(self.verdict_reason(code) for code in codes[:_REASONS])
        more = len(codes) - _REASONS
        return self.t("opening.more-reasons", reasons=named, n=more) if more > 0 else named

    def citation(self, threshold: Threshold | ThresholdFigures) -> str:
        """Standard and clause of a number of the law."""
        told = " ".join(dict.fromkeys(filter(None, (threshold.source, threshold.clause))))
        return in_language(told, self.language)

    @staticmethod
    def calendar(text: str) -> date:
        """The day of an ISO 8601 text."""
        return date.fromisoformat(text[:10])
