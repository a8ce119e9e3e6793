"""How figures come about, by which rules, and how anyone checks them."""

from __future__ import annotations

from greenmine.evidence.report.blocks import Block, Bullets, Column, Heading, Paragraph, Table
from greenmine.evidence.report.content import Content
from greenmine.wording.words import NOTHING


def method(content: Content) -> list[Block]:
    """Formulas, and for each limit its rule of validity and of rounding with their sources."""
    w, conditions = content.words, content.registry.conditions
    hours = {
        "day": conditions.day_start,
        "night": conditions.night_start,
        "wind": w.plain(conditions.wind_invalid),
        "known": w.plain(100 * conditions.known_share),
        "calm": w.plain(conditions.difference_wind_minimum),
        "sector": w.plain(conditions.difference_sector),
    }
    rules = [
        w.t(f"method.{key}", **hours)
        for key in ("others", "periods", "weather", "difference", "capture", "verdict", "sliding")
    ]
    return [
        Heading(text=w.t("method.heading")),
        Heading(text=w.t("method.formulas"), level=2),
        Bullets(items=rules),
        Paragraph(text=w.t("method.source", source=conditions.source), small=True),
        *_formulas(content),
        _rules(content),
        *_citations(content),
    ]


def _formulas(content: Content) -> list[Block]:
    w, formulas = content.words, content.figures.formulas
    if not formulas:
        return []
    rows = [[w.name(f), f.formula, f.source] for f in formulas]
    heads = {"quantity": 2, "formula": 3, "source": 4}
    columns = [Column(w.t(f"column.{head}"), share=share) for head, share in heads.items()]
    return [Table(caption=w.t("method.formula-table"), columns=columns, rows=rows, small=True)]


def _citations(content: Content) -> list[Block]:
    w, citations = content.words, content.figures.citations
    if not citations:
        return []
    rows = [
        [
            w.name(c),
            NOTHING if c.theme is None else w.theme(c.theme),
            c.source,
            w.confidence(c.confidence),
        ]
        for c in citations
    ]
    heads = {"law": 4, "theme": 0, "source": 4, "confidence": 2}
    columns = [Column(w.t(f"column.{head}"), share=share) for head, share in heads.items()]
    caption = w.t("method.citations", day=content.figures.last)
    return [Table(caption=caption, columns=columns, rows=rows, small=True)]


def _rules(content: Content) -> Table:
    w = content.words
    limits = dict.fromkeys(rule.limit for rule in content.figures.rules)
    rows = []
    for key in limits:
        limit = content.registry.limits[key]
        validity = w.t("method.minutes", minutes=limit.validity.minutes_per_hour)
        if limit.validity.hours is not None:
            validity += w.t("method.hours", hours=limit.validity.hours)
        rounding = w.t(f"method.{limit.rounding.compare}", digits=limit.rounding.digits)
        rows.append(
            [
                w.name(limit),
                limit.standard,
                w.t("method.with-source", rule=validity, source=limit.validity.source),
                w.t("method.with-source", rule=rounding, source=limit.rounding.source),
            ]
        )
    heads = {"limit": 3, "standard": 0, "validity": 4, "rounding": 4}
    columns = [Column(w.t(f"column.{head}"), share=share) for head, share in heads.items()]
    if not rows:
        rows = [[NOTHING] * len(columns)]
    return Table(caption=w.t("method.rules"), columns=columns, rows=rows, small=True)


def checking(content: Content) -> list[Block]:
    """What is in the bundle, and how to compute it anew."""
    w = content.words
    items = [w.t(f"checking.{key}") for key in ("command", "key", "recomputed", "embedded", "limits")]
    return [
        Heading(text=w.t("checking.heading")),
        Bullets(items=items),
        Paragraph(
            text=w.t("checking.made", software=content.software, key=content.key, registry=content.figures.registry),
            small=True,
        ),
    ]
