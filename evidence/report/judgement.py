"""A judgement as PDF: what ``greenmine judge`` found, a mine to a page, in the words of the report."""

from __future__ import annotations

import calendar
from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

from greenmine.evidence.borrowed import borrowed_sentence
from greenmine.evidence.judging import JudgementDocument, SiteConclusion
from greenmine.evidence.report.blocks import (
    Block,
    Break,
    Bullets,
    Column,
    Facts,
    Finding,
    Findings,
    Heading,
    Paragraph,
    Table,
    Title,
)
from greenmine.evidence.report.document import laid_out
from greenmine.evidence.report.judged import LISTED, by_rule, exceedance_lines, removed_lines
from greenmine.evidence.report.opening import concluded
from greenmine.evidence.report.words import ReportWords
from greenmine.limits import threshold_on
from greenmine.processing.summary import ADDRESSEES

EMBEDDED: Final = "judgement.json"
"""Name of the attachment."""


def judgement_pdf(document: JudgementDocument, words: ReportWords) -> bytes:
    """Lay out a judgement, with the whole of it as JSON inside.

    Raises
    ------
    FontMissingError
        If there is no font for it.
    """
    w = words
    mines = [w.name(w.registry.site(site)) for site in document.sites]
    blocks = [block for site in document.sites for block in _site(document, site, w)]
    title = f"{w.t('judged.title')} · {document.period}"
    return laid_out(
        {
            "language": w.language,
            "title": title,
            "author": w.t("list.comma").join(mines),
            "footer": title,
            "page": w.t("page.of", page="{page}", pages="{pages}"),
            "date": [int(part) for part in document.last.split("-")],
            "attachment": EMBEDDED,
            "blocks": msgspec.to_builtins(blocks[:-1]),
        },
        msgspec.json.format(msgspec.json.encode(document), indent=1),
        calendar.timegm(w.calendar(document.last).timetuple()),
    )


def _site(document: JudgementDocument, site: str, w: ReportWords) -> list[Block]:
    mine = w.registry.site(site)
    enterprise = next(e for e in w.registry.enterprises if e.id == mine.enterprise)
    facts = [
        (w.t("opening.enterprise"), w.name(enterprise)),
        (w.t("opening.period"), w.span(document.first, document.last)),
        (w.t("opening.zone"), mine.zone),
        (w.t("judged.registry"), document.registry),
    ]
    blocks: list[Block] = [Title(title=w.t("judged.title"), subtitle=w.name(mine)), Facts(rows=facts)]
    for addressee in ADDRESSEES:
        rows = [row for row in document.summary if row.site == site and row.addressee == addressee]
        if rows or addressee == "emission":
            blocks.append(Heading(text=w.t(f"addressee.{addressee}")))
            blocks.append(
                Findings(rows=[_finding(row, w) for row in rows])
                if rows
                else Paragraph(text=w.t("opening.no-emission"))
            )
    blocks.append(Paragraph(text=w.t("opening.rule"), small=True))
    blocks += [Paragraph(text=borrowed_sentence(one, w)) for one in document.borrowed_weather if one.site == site]
    removed = [r for r in document.removed if r.rule.startswith(f"{site}/")]
    exceedances = [e for e in document.exceedances if e.rule.startswith(f"{site}/")]
    blocks += _listed(w.t("judged.removed", n=len(removed)), len(removed), removed_lines(removed, w), w)
    blocks += _listed(
        w.t("judged.exceedances", n=len(exceedances)), len(exceedances), exceedance_lines(exceedances, w), w
    )
    return [*blocks, *_limits(document, site, w), Break()]


def _finding(row: SiteConclusion, w: ReportWords) -> Finding:
    lines = [w.t("opening.assessed", rules=row.rules, due=row.due, assessed=row.meets + row.exceeds)]
    if row.exceeds:
        lines.append(w.t("judged.exceeding", n=row.exceeds))
    return concluded(row, lines, w)


def _listed(heading: str, count: int, lines: Sequence[str], w: ReportWords) -> list[Block]:
    if not lines:
        return []
    more = [w.t("judged.more", n=count - LISTED)] if count > LISTED else []
    return [Heading(text=heading, level=2), Bullets(items=[*lines, *more])]


def _limits(document: JudgementDocument, site: str, w: ReportWords) -> list[Block]:
    rows: list[list[str]] = []
    for key, verdicts in by_rule(v for v in document.verdicts if v.rule.startswith(f"{site}/")).items():
        rule, last = w.rules[key], verdicts[-1]
        threshold = threshold_on(rule.limit, w.calendar(last.period_start))
        told: Counter[str] = Counter(v.judgement for v in verdicts)
        rows.append(
            [
                w.rule(key),
                f"{w.bounds(last.low, last.high)} {w.unit(rule.limit.unit)}",
                str(len(verdicts)),
                *(str(told[judgement]) for judgement in ("meets", "exceeds", "not assessable")),
                rule.limit.standard if threshold is None else w.citation(threshold),
            ]
        )
    names = ("limit", "value", "due", "meets", "exceeds", "open", "clause")
    columns = [
        Column(w.t(f"judged.{name}"), "right" if 1 <= n <= 5 else "left", 2 if n in {0, 6} else 0)
        for n, name in enumerate(names)
    ]
    return [Table(caption=w.t("judged.limits"), columns=columns, rows=rows)] if rows else []
