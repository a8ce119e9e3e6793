"""A judgement in words: the lines that ``greenmine judge`` prints for people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from greenmine.evidence.figures import ConclusionFigures
from greenmine.evidence.judging import (
    JudgedExceedance,
    JudgedWindow,
    JudgementDocument,
    RemovedWindow,
)
from greenmine.evidence.report.words import ReportWords
from greenmine.processing.summary import ADDRESSEES
from greenmine.wording.words import VERDICT_SIGNS

_LISTED = 50
"""Exceedances, and windows that marks take away, that are written out; the JSON document has all of them."""


def judgement_text(document: JudgementDocument, words: ReportWords) -> str:
    """Return the judgement as text: what the mine answers for comes first, then the quality around it, then its own targets."""
    return "".join(f"{line}\n" for site in document.sites for line in _site(document, site, words))


def _site(document: JudgementDocument, site: str, w: ReportWords) -> Iterator[str]:
    yield f"{w.name(w.registry.site(site))} · {w.span(document.first, document.last)}"
    summary = [row for row in document.summary if row.site == site]
    verdicts = _by_rule(v for v in document.verdicts if v.rule.startswith(f"{site}/"))
    for addressee in ADDRESSEES:
        rows = [row for row in summary if row.addressee == addressee]
        if not rows:
            continue
        yield ""
        yield w.t(f"addressee.{addressee}")
        for row in rows:
            yield from _conclusion(row, w)
            for rule in (r for r in w.registry.rules if r.key in verdicts):
                judged = verdicts[rule.key]
                if judged[0].addressee == addressee and w.judged(rule.key).parameter.theme == row.theme:
                    yield _rule(rule.key, judged, w)
    yield from _exceedances([e for e in document.exceedances if e.rule.startswith(f"{site}/")], w)
    yield from _removed([r for r in document.removed if r.rule.startswith(f"{site}/")], w)
    yield ""


def _by_rule(verdicts: Iterable[JudgedWindow]) -> dict[str, list[JudgedWindow]]:
    out: dict[str, list[JudgedWindow]] = defaultdict(list)
    for v in verdicts:
        out[v.rule].append(v)
    return out


def _conclusion(row: ConclusionFigures, w: ReportWords) -> Iterator[str]:
    told = w.conclusion(row.judgement, row.standing)
    running = f"{w.t('list.sentence')}{w.t('conclusion.running', n=row.running)}" if row.running else ""
    yield f"  {w.theme(row.theme)}: {VERDICT_SIGNS[row.judgement]} {told}{running}"
    if row.reasons:
        yield f"    {w.t('judged.because', reasons=_codes(row.reasons, w))}"
    if row.upwind_share is not None:
        yield f"    {w.t('judged.upwind', share=w.share(row.upwind_share), hours=row.upwind_hours)}"


def _rule(key: str, verdicts: list[JudgedWindow], w: ReportWords) -> str:
    counts = {name: sum(v.judgement == name for v in verdicts) for name in ("meets", "exceeds", "not assessable")}
    return "    " + w.t(
        "judged.rule",
        rule=w.rule(key),
        due=len(verdicts),
        meets=counts["meets"],
        exceeds=counts["exceeds"],
        open=counts["not assessable"],
    )


def _exceedances(rows: list[JudgedExceedance], w: ReportWords) -> Iterator[str]:
    if rows:
        yield ""
        yield w.t("judged.exceedances", n=len(rows))
    for e in rows[:_LISTED]:
        channel = w.judged(e.rule)
        yield "  " + w.t(
            "judged.exceedance",
            rule=w.rule(e.rule),
            start=w.moment(e.start),
            end=w.t("duration.open") if e.end is None else w.moment(e.end),
            peak=w.number(e.peak, channel.parameter.decimals),
            limit=w.plain(e.threshold),
            unit=w.unit(channel.parameter.unit),
        )
    yield from _more(rows, w)


def _removed(rows: list[RemovedWindow], w: ReportWords) -> Iterator[str]:
    if rows:
        yield ""
        yield w.t("judged.removed", n=len(rows))
    for r in rows[:_LISTED]:
        decimals = w.judged(r.rule).parameter.decimals
        yield "  " + w.t(
            f"judged.{r.state}",
            rule=w.rule(r.rule),
            start=w.moment(r.start),
            end=w.moment(r.end),
            value=w.number(r.value, decimals),
            after=w.number(r.value_with_marks, decimals),
            unit=w.unit(w.judged(r.rule).parameter.unit),
        )
        for m in r.marks:
            by = m.author if m.confirmed_by is None else w.t("judged.both", author=m.author, by=m.confirmed_by)
            yield "    " + w.t("judged.mark", kind=w.known(f"mark.{m.kind}", m.kind), reason=m.reason, by=by)
    yield from _more(rows, w)


def _more(rows: list[JudgedExceedance] | list[RemovedWindow], w: ReportWords) -> Iterator[str]:
    if rows[_LISTED:]:
        yield "  " + w.t("judged.more", n=len(rows) - _LISTED)


def _codes(codes: Iterable[str], w: ReportWords) -> str:
    return w.t("list.comma").join(w.known(f"reason.{code}", code) for code in codes)
