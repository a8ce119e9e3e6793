"""Figures, times and judgements in words, for the pages."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from itertools import starmap
from typing import Any, Final
from urllib.parse import urlencode

from greenmine.api.http.items import RemovedItem
from greenmine.api.http.views import ExceedanceView, Judgement, LatestView, LimitView, VerdictView
from greenmine.limits import Limit, addressee
from greenmine.times import DAY, HOUR, MINUTE
from greenmine.wording.words import NOTHING, Words

_POINTS: Final = ("n", "ne", "e", "se", "s", "sw", "w", "nw")


class Wording(Words):
    """Words of the pages."""

    package = "greenmine.api"

    def site_name(self, site: str) -> str:
        """Name of a mine, its id if it has left the registry."""
        try:
            return self.name(self.registry.site(site))
        except KeyError:
            return site

    def station(self, site: str, station: str) -> str:
        """Name of a station, its id if it has left the registry."""
        try:
            return self.name(self.registry.station(site, station))
        except KeyError:
            return station

    def parameter(self, parameter: str) -> str:
        """Name of a parameter; what is judged is known by its symbol, which Chinese names do not contain."""
        found = self.registry.parameters[parameter]
        name = self.name(found)
        measured = self.registry.is_judged(parameter) and not name.isascii()
        return f"{found.symbol} {name}" if measured and not name.startswith(found.symbol) else name

    def parameter_short(self, parameter: str) -> str:
        """Symbol of what is judged, else the name."""
        found = self.registry.parameters[parameter]
        return found.symbol if self.registry.is_judged(parameter) else self.name(found)

    def action(self, action: str) -> str:
        """What was done, by the audit log; the word itself where there is no text."""
        key = f"action.{action}"
        return self.t(key) if self.has_text(key) else action

    def facts(self, detail: Mapping[str, Any]) -> str:
        """Further facts of the audit log."""
        return self.t("audit.separator").join(
            self.t("audit.fact", name=self.known(f"fact.{name}", name), value=self._fact(name, value))
            for name, value in detail.items()
            if value not in ([], "", None)
        )

    def subject(self, subject: str) -> str:
        """What something was done to, by the audit log."""
        thing, _, number = subject.rpartition(" ")
        return self.known(f"subject.{thing}", subject).format(n=number)

    def citation(self, item: ExceedanceView) -> str:
        """Standard and clause of a limit."""
        return self.cited(f"{item.standard} {item.clause}".strip())

    def addressee(self, limit: Limit) -> str:
        """Whom a limit binds, by its code."""
        return addressee(limit)

    def why(self, verdict: VerdictView) -> str:
        """Address of the page of how a verdict came about; that of its days for a longer period."""
        return f"/explanation?{self.why_query(verdict)}"

    def why_query(self, verdict: VerdictView) -> str:
        """A verdict in the query of an address."""
        return urlencode({"rule": verdict.rule, "start": verdict.start.isoformat()})

    def _fact(self, name: str, value: Any) -> str:
        if isinstance(value, list):
            return ", ".join(map(str, value))
        if isinstance(value, bool):
            return self.t("fact.yes" if value else "fact.no")
        words = {"kind": f"mark.{value}", "role": f"user-role.{value}"}
        return self.known(words.get(name, ""), str(value))

    def state(self, value: float | None) -> str:
        """Whether equipment is on."""
        return NOTHING if value is None else self.t("site.state-on" if value else "site.state-off")

    def date_time(self, time: datetime | None) -> str:
        """Day and minute on the site's clock."""
        return f"{time:%m-%d %H:%M}" if time else NOTHING

    def span(self, start: datetime, end: datetime) -> str:
        """A span of time; the day is told once where both ends share it."""
        last = f"{end:%H:%M}" if start.date() == end.date() else self.date_time(end)
        return self.t("exceedance.span", start=self.date_time(start), end=last)

    def removed(self, item: RemovedItem) -> str:
        """An exceeding window that a mark takes away, with both figures."""
        rule = self.registry.rule(item.rule)
        if rule is None:
            return item.rule
        parameter = self.registry.channels[rule.channel].parameter
        span = self.date_time(item.start) if item.end is None else self.span(item.start, item.end)
        value, after = (self.figure(x, parameter) for x in (item.value, item.after))
        return self.t(
            "mark.removed", rule=f"{self.station(rule.site, rule.station)} · {self.name(rule.limit)}", span=span, value=value,
            after=after, unit=self.unit(parameter.unit),
        )  # fmt: skip

    def hour(self, start: datetime) -> str:
        """A clock hour."""
        return f"{start:%m-%d %H}:00–{(start.hour + 1) % 24 or 24:02d}:00"

    def ago(self, time: datetime | None, now: datetime) -> str:
        """How long ago an instant was."""
        if time is None:
            return NOTHING
        past = round((now - time).total_seconds() * 1000)
        if past < -MINUTE:
            return self.t("ago.future")
        past = max(0, past)
        for unit, length, most in (
            ("seconds", 1000, 2 * MINUTE),
            ("minutes", MINUTE, 2 * HOUR),
            ("hours", HOUR, 2 * DAY),
        ):
            if past < most:
                return self.t(f"ago.{unit}", n=past // length)
        return self.t("ago.days", n=past // DAY)

    def duration(self, minutes: int) -> str:
        """Length of time."""
        if minutes < 60:
            return self.t("duration.minutes", m=minutes)
        if minutes < 2880:
            return self.t("duration.hours", h=minutes // 60, m=minutes % 60)
        return self.t("duration.days", d=minutes // 1440, h=minutes % 1440 // 60)

    def part(self, share: float | None) -> str:
        """Share of 1 in per cent; what is not zero is not told as zero, what is not all not as all."""
        return NOTHING if share is None else self.t("limit.percent", share=self.percent(share))

    def bytes(self, size: int | None) -> str:
        """Size of a file."""
        if size is None:
            return NOTHING
        return f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{-(-size // 1000):,} kB"

    def bundle_step(self, step: str) -> str:
        """What is being done for a bundle; what the catalogue does not know is told as it is."""
        word, _, rest = step.partition(" ")
        key = f"evidence.step-{word}"
        return self.t(key, rest=rest) if self.has_text(key) else step or self.t("evidence.running")

    def trouble(self, text: str) -> str:
        """Why a notice was not delivered; what the catalogue does not know is told as it is."""
        key = f"notify.why-{text.replace(' ', '-')}"
        return self.t(key) if self.has_text(key) else text

    def left_out(self, site: str, station: str, excluded: int, suspect: int) -> str:
        """How many minutes of a day were excluded at a station, and how many are suspect; not both zero."""
        key = "both" if excluded and suspect else ("excluded-only" if excluded else "suspect-only")
        minutes = self.t(f"hourly.{key}", excluded=excluded, suspect=suspect)
        return self.t("hourly.summary", station=self.station(site, station), parts=minutes)

    def bounds(self, low: float | None, high: float | None) -> str:
        """What a limit allows."""
        if low is not None and high is not None:
            return self.t("limit.range", low=self.plain(low), high=self.plain(high))
        if high is not None:
            return self.t("limit.at-most", high=self.plain(high))
        return NOTHING if low is None else self.t("limit.at-least", low=self.plain(low))

    def standing(self, limit: LimitView) -> str:
        """How the running figure stands against its limit: share, distance in decibels, or inside a range."""
        if limit.running is None or limit.margin is None:
            return NOTHING
        if limit.unit == "dB(A)":
            key = "limit.under" if limit.margin >= 0 else "limit.beyond"
            return self.t(key, margin=self.number(abs(limit.margin), 1))
        if limit.low is not None or limit.share is None:
            return self.t("limit.inside" if limit.margin >= 0 else "limit.outside")
        return self.t("limit.percent", share=self.number(100 * limit.share))

    def direction(self, degrees: float) -> str:
        """Point of the compass that wind comes from."""
        return self.t(f"compass.{_POINTS[round(degrees / 45) % 8]}")

    def reason(self, judgement: Judgement) -> str:
        """Why a theme is judged as it is, and why that is an indication only."""
        said = self._verdict_reason(judgement)
        if judgement.standing == "statutory" or judgement.verdict == "not assessable":
            return said
        first, *others = map(self.verdict_reason, judgement.reasons)
        doubts = self.t("reason.doubts", first=first, n=len(others)) if others else first
        return self.t("reason.indicative", said=said, doubts=doubts)

    def _verdict_reason(self, judgement: Judgement) -> str:
        if judgement.verdict == "meets":
            limits = [limit for _, limit in judgement.behind if limit.low is None and limit.unit != "dB(A)"]
            shares = [
                limit.verdict.value / limit.high
                for limit in limits
                if limit.verdict and limit.verdict.value is not None and limit.high
            ]
            if not shares:
                return self.t("reason.meets", n=judgement.limits)
            nearest = self.t("limit.percent", share=self.number(100 * max(shares)))
            return self.t("reason.meets-near", n=judgement.limits, share=nearest)
        first = self.limit_reason(*judgement.behind[0])
        others = len(judgement.behind) - 1
        return self.t("reason.more", first=first, n=others) if others else first

    def running(self, judgement: Judgement) -> str:
        """What is above a limit by now, whatever the last verdict was."""
        return self.t("reason.running", limits=self.t("list.comma").join(starmap(self._running, judgement.running)))

    def _running(self, view: LatestView, limit: LimitView) -> str:
        named = f"{self.station(view.site, view.station)} · {self.limit_name(limit)}"
        if limit.margin is None or limit.margin >= 0:
            return named
        figure = self.running_figure(view, limit)
        bounds = self.bounds(limit.low, limit.high)
        return self.t("reason.running-figure", named=named, figure=figure, unit=self.unit(limit.unit), bounds=bounds)

    def all_reasons(self, judgement: Judgement) -> str:
        """Reason of every limit behind a judgement, and why it is indicative, one a line."""
        doubts = () if judgement.standing == "statutory" else judgement.reasons
        lines = [self.limit_reason(view, limit) for view, limit in judgement.behind]
        return "\n".join([*lines, *map(self.verdict_reason, doubts)])

    def limit_reason(self, view: LatestView, limit: LimitView) -> str:
        """Reason of the last verdict on a limit."""
        names = {"station": self.station(view.site, view.station), "limit": self.limit_name(limit)}
        verdict = limit.verdict
        if verdict is None:
            return self.t("reason.never", **names)
        detail = verdict.detail if isinstance(verdict.detail, dict) else {}
        bound = verdict.low if verdict.reason == "under-limit" or verdict.high is None else verdict.high
        key = f"reason.{verdict.reason}"
        code = self.known(key, verdict.reason)
        return self.t(
            key if "{station}" in code else "reason.other",
            **names,
            code=code,
            value=self.verdict_figure(verdict),
            unit=self.unit(limit.unit),
            bound=self.plain(bound),
            period=self.period(limit),
            have=self.plain(detail.get("have")),
            need=self.plain(detail.get("need")),
        )

    def verdict_figure(self, verdict: VerdictView) -> str:
        """Figure of a verdict as it was compared; its limit may have left the registry since."""
        limit = self.registry.limits.get(verdict.limit.split("#", 1)[0])
        if limit is None:
            return self.plain(verdict.value)
        return self.compared(limit, verdict.value, verdict.judged, verdict.low, verdict.high)

    def running_figure(self, view: LatestView, limit: LimitView) -> str:
        """Figure of a limit's period under way."""
        return self.figure(limit.running, self.registry.parameters[view.parameter], limit.low, limit.high)

    def peak(self, item: ExceedanceView, peak: float | None) -> str:
        """Highest figure of an exceedance, or of one of its forms."""
        parameter = self.registry.parameters.get(item.parameter)
        return self.plain(peak) if parameter is None else self.figure(peak, parameter, item.threshold)

    def headroom(self, view: LatestView, limit: LimitView) -> str:
        """What the rest of the window under way may average at most."""
        room = limit.headroom
        assert room is not None
        if room.state == "open" and room.hours == 0:
            return self.t("headroom.over")
        return self.t(
            f"headroom.{room.state}",
            value=NOTHING if room.value is None else self._allowance(room.value, view.parameter),
            unit=self.unit(limit.unit),
            hours=room.hours,
            missing=room.missing,
        )

    def limit_name(self, limit: LimitView) -> str:
        """Parameter and period of a limit, which within a card tell it well enough."""
        found = self.registry.limits.get(limit.id)
        symbol = self.registry.parameters[found.parameter].symbol if found else limit.id
        return f"{symbol} {self.t(f'window.{limit.window}')}"

    def period(self, limit: LimitView) -> str:
        """Period of the last verdict on a limit."""
        assert limit.verdict is not None
        start, end = limit.verdict.start, limit.verdict.end
        if limit.window in {"5min", "15min", "hour"}:
            return f"{start:%m-%d %H:%M}–{end:%H:%M}"
        return f"{start:%m-%d} {self.t(f'window.{limit.window}')}"

    def _allowance(self, value: float, parameter: str) -> str:
        """What may not be exceeded is never told higher than it is."""
        found = self.registry.parameters[parameter]
        places = found.places(value)
        return self.number(math.floor(value * 10.0**places) / 10.0**places, places)
