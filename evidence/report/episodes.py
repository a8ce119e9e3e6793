"""Exceedances with cause and handling, and verdicts that were issued more than once."""

from __future__ import annotations

from collections.abc import Iterable

from greenmine.evidence.figures import ExceedanceFigures
from greenmine.evidence.report.blocks import Block, Column, Heading, Paragraph, Table
from greenmine.evidence.report.content import Content
from greenmine.evidence.sections import HandlingFigures, RestatementFigures
from greenmine.wording.words import NOTHING

_LISTED = 100
"""Rows of a list; the tables hold the others."""


def episodes(content: Content) -> list[Block]:
    """The longest exceedances in order of time; those of own targets and warnings are in the tables."""
    w = content.words
    legal = {rule.rule for rule in content.figures.rules if rule.kind == "legal"}
    mine = [e for e in content.figures.exceedances if e.rule in legal]
    others = len(content.figures.exceedances) - len(mine)
    blocks: list[Block] = [Heading(text=w.t("episodes.heading"))]
    if not mine:
        blocks.append(Paragraph(text=w.t("episodes.none")))
    else:
        longest = sorted(mine, key=lambda e: (-e.minutes, e.start, e.rule))[:_LISTED]
        rows = [_row(content, e) for e in sorted(longest, key=lambda e: (e.start, e.rule))]
        heads = {"start": 0, "limit": 4, "lasted": 0, "peak": 0, "bound": 0, "cause": 3, "handling": 3}
        columns = [Column(w.t(f"column.{head}"), share=share) for head, share in heads.items()]
        caption = w.t("episodes.table", shown=len(rows), all=len(mine))
        blocks += [
            Paragraph(text=w.t("episodes.meaning")),
            Table(caption=caption, columns=columns, rows=rows, small=True),
        ]
    if others:
        blocks.append(Paragraph(text=w.t("episodes.others", n=others), small=True))
    return [*blocks, *_history(content)]


def _row(content: Content, e: ExceedanceFigures) -> list[str]:
    w = content.words
    channel = w.judged(e.rule)
    return [
        w.moment(e.start),
        w.rule(e.rule),
        w.minutes(e.duration),
        w.figure(e.peak, channel.parameter, e.threshold),
        f"{w.plain(e.threshold)} {w.unit(channel.parameter.unit)}".strip(),
        _last(content, e, "cause"),
        _last(content, e, "handling"),
    ]


def _last(content: Content, e: ExceedanceFigures, kind: str) -> str:
    """The newest text of a kind in the history of an exceedance."""
    said = [h.text for h in content.figures.handling if (h.rule, h.start, h.kind) == (e.rule, e.start, kind)]
    return said[-1] if said else NOTHING


def _history(content: Content) -> list[Block]:
    """Who did what when about the exceedances, and the files attached."""
    w, history = content.words, content.figures.handling
    if not history:
        return []
    rows = [
        [
            w.moment(h.start),
            w.rule(h.rule),
            w.moment(h.made),
            h.author,
            w.known(f"handling.{h.kind}", h.kind),
            h.text if h.sha256 is None else _file(content, h),
        ]
        for h in history[:_LISTED]
    ]
    heads = {"exceedance": 0, "limit": 2, "when": 0, "author": 1, "act": 0, "text": 4}
    columns = [Column(w.t(f"column.{head}"), share=share) for head, share in heads.items()]
    caption = w.t("handling.table", shown=len(rows), all=len(history))
    return [Table(caption=caption, columns=columns, rows=rows, small=True)]


def _file(content: Content, h: HandlingFigures) -> str:
    key = "handling.missing" if h.file is None else "handling.file"
    return content.words.t(key, name=h.name or NOTHING, digest=(h.sha256 or "")[:16])


def restatements(content: Content) -> list[Block]:
    """Verdicts of the period that late data, a mark or a calibration changed, form by form."""
    w, forms = content.words, content.figures.restatements
    changed = list(_changed(forms))
    same = len(_windows(forms)) - len(_windows(changed))
    blocks: list[Block] = [Heading(text=w.t("restated.heading")), Paragraph(text=w.t("restated.meaning"))]
    if same:
        blocks.append(Paragraph(text=w.t("restated.again", n=same)))
    if not changed:
        return [*blocks, Paragraph(text=w.t("restated.none"))]
    rows = [
        [
            w.moment(form.start),
            w.rule(form.rule),
            str(form.revision),
            w.t(f"verdict.{form.verdict.replace(' ', '-')}"),
            w.figure(form.value, w.judged(form.rule).parameter),
            w.moment(form.issued),
            content.words.change(form.change),
        ]
        for form in changed[:_LISTED]
    ]
    heads = {"window-start": 0, "limit": 2, "revision": 0, "verdict": 0, "value": 0, "issued": 0, "change": 1}
    columns = [Column(w.t(f"column.{head}"), share=share) for head, share in heads.items()]
    caption = w.t("restated.table", shown=len(rows), all=len(changed))
    return [*blocks, Table(caption=caption, columns=columns, rows=rows, small=True)]


def _changed(forms: Iterable[RestatementFigures]) -> Iterable[RestatementFigures]:
    """Forms of the windows whose verdict is not the same in all of them."""
    for window in _windows(forms).values():
        if len({form.verdict for form in window}) > 1:
            yield from window


def _windows(forms: Iterable[RestatementFigures]) -> dict[tuple[str, str], list[RestatementFigures]]:
    """Forms by rule and start."""
    windows: dict[tuple[str, str], list[RestatementFigures]] = {}
    for form in forms:
        windows.setdefault((form.rule, form.start), []).append(form)
    return windows
