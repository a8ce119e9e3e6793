"""A judgement in words: the lines that ``greenmine judge`` prints for people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from greenmine.evidence.borrowed import borrowed_sentence
from greenmine.evidence.figures import ConclusionFigures
from greenmine.evidence.judging import (
    JudgedExceedance,
    JudgedWindow,
    JudgementDocument,
    RemovedWindow,
    RemovingMark,
)
from greenmine.evidence.report.words import ReportWords
from greenmine.processing.summary import ADDRESSEES

LISTED: Final = 50
"""Exceedances, and windows that marks take away, that are written out; the JSON document has all of them."""


def judgement_text(document: JudgementDocument, words: ReportWords) -> str:
    """Return the judgement as text: what the mine answers for comes first, then the quality around it, then its own targets."""
    return "".join(f"{line}\n" for site in document.sites for line in _site(document, site, words))


def _site(document: JudgementDocument, site: str, w: ReportWords) -> Iterator[str]:
    yield f"{w.name(w.registry.site(site))} · {w.span(document.first, document.last)}"
    summary = [row for row in document.summary if row.site == site]
    verdicts = by_rule(v for v in document.verdicts if v.rule.startswith(f"{site}/"))
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
    yield from (borrowed_sentence(one, w) for one in document.borrowed_weather if one.site == site)
    yield from _exceedances([e for e in document.exceedances if e.rule.startswith(f"{site}/")], w)
    yield from _removed([r for r in document.removed if r.rule.startswith(f"{site}/")], w)
    yield ""


def by_rule(verdicts: Iterable[JudgedWindow]) -> dict[str, list[JudgedWindow]]:
    """Return the windows of each limit, by the key of its rule."""
    out: dict[str, list[JudgedWindow]] = defaultdict(list)
    for v in verdicts:
        out[v.rule].append(v)
    return out


def _conclusion(row: ConclusionFigures, w: ReportWords) -> Iterator[str]:
    told = w.conclusion(row.judgement, row.standing)
    running = f"{w.t('list.sentence')}{w.t('conclusion.running', n=row.running)}" if row.running else ""
    yield f"  {w.theme(row.theme)}: {w.conclusion_sign(row.judgement, row.standing)} {told}{running}"
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
    yield from (f"  {line}" for line in exceedance_lines(rows, w))
    yield from _more(rows, w)


def exceedance_lines(rows: Sequence[JudgedExceedance], w: ReportWords) -> list[str]:
    """Return the first exceedances, a line each."""
    return [_exceedance(e, w) for e in rows[:LISTED]]


def _exceedance(e: JudgedExceedance, w: ReportWords) -> str:
    channel = w.judged(e.rule)
    return w.t(
        "judged.exceedance",
        rule=w.rule(e.rule),
        start=w.moment(e.start),
        end=w.t("duration.open") if e.end is None else w.moment(e.end),
        peak=w.figure(e.peak, channel.parameter, e.threshold),
        limit=w.plain(e.threshold),
        unit=w.unit(channel.parameter.unit),
    )


def _removed(rows: list[RemovedWindow], w: ReportWords) -> Iterator[str]:
    if rows:
        yield ""
        yield w.t("judged.removed", n=len(rows))
    for line in removed_lines(rows, w):
        yield from (f"  {part}" for part in line.split("\n"))
    yield from _more(rows, w)


def removed_lines(rows: Sequence[RemovedWindow], w: ReportWords) -> list[str]:
    """Return the first windows that marks take away, or would: both figures, and after a line break each mark with its author."""
    return ["\n".join([_window(r, w), *(f"  {_mark(m, w)}" for m in r.marks)]) for r in rows[:LISTED]]


def _window(r: RemovedWindow, w: ReportWords) -> str:
    parameter = w.judged(r.rule).parameter
    return w.t(
        f"judged.{r.state}",
        rule=w.rule(r.rule),
        start=w.moment(r.start),
        end=w.moment(r.end),
        value=w.figure(r.value, parameter),
        after=w.figure(r.value_with_marks, parameter),
        unit=w.unit(parameter.unit),
    )


def _mark(m: RemovingMark, w: ReportWords) -> str:
    by = m.author if m.confirmed_by is None else w.t("judged.both", author=m.author, by=m.confirmed_by)
    return w.t("judged.mark", kind=w.known(f"mark.{m.kind}", m.kind), reason=m.reason, by=by)


def _more(rows: list[JudgedExceedance] | list[RemovedWindow], w: ReportWords) -> Iterator[str]:
    if rows[LISTED:]:
        yield "  " + w.t("judged.more", n=len(rows) - LISTED)


def _codes(codes: Iterable[str], w: ReportWords) -> str:
    return w.t("list.comma").join(w.known(f"reason.{code}", code) for code in codes)
