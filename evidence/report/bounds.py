"""Limits and targets as in force, with clause, dates and how far they may be relied on."""

from __future__ import annotations

from collections.abc import Sequence

from greenmine.evidence.figures import RuleFigures
from greenmine.evidence.report.blocks import Block, Column, Heading, Paragraph, Table
from greenmine.evidence.report.content import Content


def bounds(content: Content) -> list[Block]:
    """A row for each threshold that was in force within the period."""
    w = content.words
    legal = [rule for rule in content.figures.rules if rule.kind == "legal"]
    own = [rule for rule in content.figures.rules if rule.kind != "legal"]
    blocks: list[Block] = [Heading(text=w.t("bounds.heading")), Paragraph(text=w.t("bounds.who"))]
    blocks.append(_table(content, w.t("bounds.legal"), legal) if legal else Paragraph(text=w.t("bounds.no-legal")))
    if own:
        blocks.append(_table(content, w.t("bounds.own"), own))
    return [*blocks, *_notes(content)]


def _notes(content: Content) -> list[Block]:
    """What the catalogue remarks on limits; the same remark once."""
    w = content.words
    limits: dict[str, list[str]] = {}
    for key in dict.fromkeys(rule.limit for rule in content.figures.rules):
        limit = content.registry.limits[key]
        limits.setdefault(w.note(limit), []).append(w.name(limit))
    comma = w.t("list.comma")
    texts = [w.t("bounds.note", limits=comma.join(names), note=note) for note, names in limits.items() if note]
    return [Paragraph(text=text, small=True) for text in texts]


def _table(content: Content, caption: str, rules: Sequence[RuleFigures]) -> Table:
    w = content.words
    rows = [
        [
            w.station(rule.rule),
            w.limit(rule.rule),
            f"{w.bounds(threshold.low, threshold.high)} {w.unit(rule.unit)}".strip(),
            w.t(f"window.{rule.window}"),
            w.citation(threshold),
            w.span(threshold.valid_from, threshold.valid_to),
            w.confidence(threshold.confidence),
        ]
        for rule in rules
        for threshold in rule.thresholds
    ]
    heads = {"station": 2, "limit": 3, "bound": 0, "window": 0, "clause": 3, "in-force": 0, "confidence": 2}
    columns = [Column(w.t(f"column.{head}"), share=share) for head, share in heads.items()]
    return Table(caption=caption, columns=columns, rows=rows, small=True)
