"""First page: the verdicts and what they rest on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, timedelta

from greenmine.evidence.figures import ConclusionFigures, RuleFigures
from greenmine.evidence.report.blocks import Block, Bullets, Facts, Finding, Findings, Heading, Paragraph, Title
from greenmine.evidence.report.content import Content
from greenmine.evidence.report.words import ReportWords
from greenmine.evidence.sections import RemovedFigures
from greenmine.times import local
from greenmine.wording.words import NOTHING

_LISTED = 8
"""Spans of provisional days, and groups of windows under marks, that are named."""


def opening(content: Content) -> list[Block]:
    """The mine, the period, what is concluded for each theme, and what is to be known before relying on it."""
    w, figures = content.words, content.figures
    enterprise = next(e for e in content.registry.enterprises if e.id == content.site.enterprise)
    return [
        Title(title=w.t("opening.title"), subtitle=w.name(content.site)),
        Facts(
            rows=[
                (w.t("opening.enterprise"), w.name(enterprise)),
                (
                    w.t("opening.period"),
                    _period(content),
                ),
                *([(w.t("opening.running"), _to_come(content))] if content.to_come else []),
                (w.t("opening.zone"), figures.zone),
                (w.t("opening.witnesses"), _witnessed(content)),
                (w.t("opening.changes"), _changes(content)),
                *([(w.t("opening.signatures"), _signed(content))] if content.figures.signed else []),
            ]
        ),
        *_conclusions(content),
        *_removed(content),
        *_claims(content),
        Paragraph(text=w.t("opening.rule"), small=True),
        Heading(text=w.t("opening.rests-on")),
        Bullets(items=_grounds(content)),
    ]


def _period(content: Content) -> str:
    """Name and days of the period; one that is named by its days has no other name."""
    w, figures = content.words, content.figures
    days = w.span(figures.first, figures.last)
    return days if figures.first in figures.period else w.t("opening.period-of", period=figures.period, days=days)


def _conclusions(content: Content) -> list[Block]:
    """What the enterprise answers for, which decides about the mine, and apart from it the quality around the mine."""
    w = content.words
    blocks: list[Block] = []
    for whom in ("emission", "quality"):
        rows = [_finding(content, summary) for summary in content.figures.summary if summary.addressee == whom]
        blocks.append(Heading(text=w.t(f"addressee.{whom}")))
        blocks.append(Findings(rows=rows) if rows else Paragraph(text=w.t(f"opening.no-{whom}")))
    return blocks


def _removed(content: Content) -> list[Block]:
    """What marks took out of the exceedances, counted by who made the marks, why, and who confirmed them."""
    w, removed = content.words, content.figures.removed
    if not removed:
        return []
    comma = w.t("list.comma")
    groups: dict[tuple[str, str], list[RemovedFigures]] = defaultdict(list)
    for r in removed:
        why = w.t(
            "opening.removed-why",
            kinds=comma.join(w.known(f"mark.{kind}", kind) for kind in r.kinds) or NOTHING,
            reasons=comma.join(r.reasons) or NOTHING,
            authors=comma.join(r.authors) or NOTHING,
            confirmed=comma.join(r.confirmed_by) or w.t("opening.unconfirmed"),
        )
        groups[r.rule, why].append(r)
    items = []
    for (rule, why), several in list(groups.items())[:_LISTED]:
        parameter = w.judged(rule).parameter
        worst = w.figure(max(r.value or 0.0 for r in several), parameter)
        unit = w.unit(parameter.unit)
        items.append(w.t("opening.removed", n=len(several), rule=w.rule(rule), value=worst, unit=unit, why=why))
    items += [w.t("opening.more-removed", n=len(groups) - _LISTED)] if len(groups) > _LISTED else []
    return [Heading(text=w.t("opening.removed-heading", n=len(removed)), level=2), Bullets(items=items)]


def _claims(content: Content) -> list[Block]:
    """Marks that would take exceedances away if somebody confirmed them: until then the exceedances stand."""
    w, claims = content.words, content.figures.claims
    if not claims:
        return []
    items = [
        w.t(
            "opening.claim",
            n=c.windows,
            place=w.station(place) if c.parameter is None else w.channel(f"{place}/{c.parameter}"),
            start=w.moment(c.start),
            end=w.moment(c.end),
            kind=w.known(f"mark.{c.kind}", c.kind),
            reason=c.reason or NOTHING,
            author=c.author or NOTHING,
        )
        for c in claims[:_LISTED]
        for place in (f"{content.figures.site}/{c.station}",)
    ]
    items += [w.t("opening.more-claims", n=len(claims) - _LISTED)] if len(claims) > _LISTED else []
    return [Heading(text=w.t("opening.claims-heading", n=len(claims)), level=2), Bullets(items=items)]


def _finding(content: Content, summary: ConclusionFigures) -> Finding:
    w = content.words
    bound = [rule for rule in content.legal(summary.theme) if rule.addressee == summary.addressee]
    assessed = summary.meets + summary.exceeds
    keys = {rule.rule for rule in bound}
    removed = sum(one.rule in keys for one in content.figures.removed)
    lines = [
        w.t("opening.assessed", rules=summary.rules, due=summary.due, assessed=assessed),
        w.t(
            # Above a limit by an indicative method is not yet an exceedance at law.
            "opening.above" if summary.standing == "indicative" else "opening.exceeding",
            windows=summary.exceeds,
            episodes=sum(rule.episodes for rule in bound),
        ),
        *([w.t("opening.removed-here", n=removed)] if removed else []),
        *(_worst(content, rule) for rule in bound if rule.exceeds),
        w.t("opening.least-share", share=w.share(summary.assessable_share)),
    ]
    return concluded(summary, lines, w)


def _worst(content: Content, rule: RuleFigures) -> str:
    """The worst figure of a limit that exceeds, with the bound that held then."""
    w = content.words
    parameter = w.judged(rule.rule).parameter
    then = [t for t in rule.thresholds if rule.worst_start is not None and t.valid_from <= rule.worst_start[:10]]
    low, high = (then[-1].low, then[-1].high) if then else (None, None)
    return w.t(
        "opening.worst",
        rule=w.rule(rule.rule),
        value=w.figure(rule.worst, parameter, low, high),
        bound=w.bounds(low, high),
        unit=w.unit(parameter.unit),
        start=w.moment(rule.worst_start),
    )


def concluded(row: ConclusionFigures, lines: Sequence[str], w: ReportWords) -> Finding:
    """Put a conclusion into words: what was counted, then what is under way, is lacking, and came from upwind."""
    more = []
    if row.running:
        more.append(w.t("conclusion.running", n=row.running))
    if row.lacking:
        more.append(w.t("opening.reasons", reasons=w.reasons(row.lacking)))
    if row.standing == "indicative" and row.judgement != "not assessable":
        more.append(w.t("opening.indicative", reasons=w.first_reasons(row.reasons)))
    if row.upwind_share is not None:
        more.append(w.t("opening.upwind", share=w.share(row.upwind_share), hours=row.upwind_hours))
    return Finding(
        theme=w.theme(row.theme),
        verdict=row.judgement,
        standing=row.standing,
        sign=w.conclusion_sign(row.judgement, row.standing),
        word=w.conclusion(row.judgement, row.standing),
        lines=[*lines, *more],
    )


def _grounds(content: Content) -> list[str]:
    w, channels = content.words, content.figures.channels
    received = sum(sum(channel.flags.values()) for channel in channels)
    due, valid = sum(channel.due for channel in channels), sum(channel.valid for channel in channels)
    days = content.provisional
    spans = _spans([w.calendar(day) for day in days])
    named = w.t("list.comma").join(
        first.isoformat() if first == last else w.t("span.days", first=first, last=last)
        for first, last in spans[:_LISTED]
    )
    if spans[_LISTED:]:
        named += w.t("opening.more-spans", n=len(spans) - _LISTED)
    return [
        w.t(
            "opening.readings",
            channels=len(channels),
            received=received,
            valid=valid,
            share=w.share(min(1.0, valid / due) if due else None),
        ),
        *_unbegun(content),
        *([w.t("opening.provisional", n=len(days), days=named)] if days else _sealed(content)),
        w.t("opening.unproven"),
        w.t("opening.recompute"),
    ]


def _unbegun(content: Content) -> list[str]:
    """Days before the first reading, if there are any."""
    if content.unbegun is None:
        return []
    first, last = content.unbegun
    return [
        content.words.t("opening.unbegun", n=(last - first).days + 1, days=content.words.span(str(first), str(last)))
    ]


def _sealed(content: Content) -> list[str]:
    """All days are sealed, of those on which there was something to seal."""
    if content.unbegun is None:
        return [content.words.t("opening.sealed")]
    began = str(content.unbegun[1]) < content.figures.last
    return [content.words.t("opening.sealed-since")] if began else []


def _to_come(content: Content) -> str:
    """Days of the period that were still to come."""
    return content.words.t("opening.to-come", days=content.words.span(*map(str, content.to_come or ())))


def _witnessed(content: Content) -> str:
    """Who outside holds a receipt for the data; without one the maker could have changed them before they were sealed."""
    w, told = content.words, content.witnessed
    if told is None:
        return w.t("opening.unwitnessed")
    names = w.t("list.comma").join(told.witnesses[:_LISTED])
    newest = f"{local(told.newest, content.figures.zone):%Y-%m-%d %H:%M}"
    return w.t("opening.witnessed", n=told.receipts, witnesses=names, newest=newest, days=told.days)


def _signed(content: Content) -> str:
    """How many of the readings the instruments signed themselves; those the maker cannot have changed."""
    w, figures = content.words, content.figures.signed
    readings, signed = sum(one.readings for one in figures), sum(one.signed for one in figures)
    devices = w.t("list.comma").join(one.device for one in figures if one.signed) or NOTHING
    return w.t("opening.signed", share=w.share(signed / readings), devices=devices)


def _changes(content: Content) -> str:
    """How often registry and limits were changed since the period began; the list is behind the restatements."""
    w, changes = content.words, content.figures.changes
    if not changes:
        return w.t("opening.unchanged")
    authors = w.t("list.comma").join(dict.fromkeys(one.author or w.t("changes.files") for one in changes))
    limits = sum(one.part.startswith(("threshold ", "rule ", "conditions")) for one in changes)
    return w.t("opening.changed", n=len(changes), limits=limits, authors=authors)


def _spans(days: Sequence[date]) -> list[tuple[date, date]]:
    """First and last of days that follow on each other."""
    spans: list[tuple[date, date]] = []
    for day in days:
        if spans and day == spans[-1][1] + timedelta(days=1):
            spans[-1] = spans[-1][0], day
        else:
            spans.append((day, day))
    return spans
