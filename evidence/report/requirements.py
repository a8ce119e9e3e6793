"""What a green mine is asked for, and what readings and documents show of it."""

from __future__ import annotations

from collections.abc import Sequence

from greenmine.evidence.evaluation import PROOFS
from greenmine.evidence.report.blocks import Block, Column, Heading, Paragraph, Table
from greenmine.evidence.report.content import Content
from greenmine.evidence.sections import IndicatorSetFigures, ProofFigures
from greenmine.wording.words import NOTHING


def requirements(content: Content) -> list[Block]:
    """The site's own items."""
    w, items = content.words, content.figures.requirements
    blocks: list[Block] = [Heading(text=w.t("requirements.heading"))]
    if not items:
        return [*blocks, Paragraph(text=w.t("requirements.none"))]
    zh = content.language == "zh"
    rows = []
    for item in items:
        titles = [d.title_zh if zh or not d.title_en else d.title_en for d in item.documents]
        files = [
            w.t("requirements.missing", title=title)
            if d.sha256 is None
            else w.t("requirements.file", title=title, digest=d.sha256[:16])
            for title, d in zip(titles, item.documents, strict=True)
        ]
        rows.append(
            [
                item.item if zh or not item.name_en else f"{item.name_en} ({item.item})",
                (item.text_zh if zh else item.text_en) or NOTHING,
                _proofs(content, item.proofs) + (w.t("requirements.supporting") if item.supporting else ""),
                w.t("list.comma").join(files) or NOTHING,
                w.t(f"requirements.result-{item.result.replace(' ', '-')}"),
            ]
        )
    heads = {"item": 2, "asked": 3, "proof": 3, "documents": 3, "result": 2}
    columns = [Column(w.t(f"column.{head}"), share=share) for head, share in heads.items()]
    blocks += [
        Paragraph(text=w.t("requirements.meaning")),
        Table(caption=w.t("requirements.table"), columns=columns, rows=rows, small=True),
    ]
    return blocks


def indicators(content: Content) -> list[Block]:
    """Editions of indicators for the evaluation of green mines."""
    w, sets = content.words, content.figures.indicators
    if not sets:
        return []
    tables = [block for edition in sets for block in _edition(content, edition)]
    return [Heading(text=w.t("indicators.heading")), Paragraph(text=w.t("indicators.meaning")), *tables]


def _edition(content: Content, edition: IndicatorSetFigures) -> list[Block]:
    w = content.words
    rows = [
        [
            group.code,
            _named(content, group.name_zh, group.name_en),
            w.t("indicators.unconfirmed") if group.points is None else w.plain(group.points),
            _proofs(content, group.proofs),
            "",
        ]
        for group in edition.groups
    ]
    heads = {"code": 0, "indicator": 3, "points": 0, "proof": 4, "own-points": 2}
    columns = [Column(w.t(f"column.{head}"), share=share) for head, share in heads.items()]
    confidence = w.confidence(edition.confidence)
    terms = [w.t("indicators.source", source=edition.source, confidence=confidence)]
    if edition.points is not None:
        terms.append(w.t("indicators.points", points=w.plain(edition.points)))
    if edition.pass_points is not None:
        terms.append(w.t("indicators.pass", points=w.plain(edition.pass_points)))
    if edition.pass_group_share is not None:
        terms.append(w.t("indicators.pass-share", share=w.share(edition.pass_group_share)))
    name = w.t("indicators.name", name=_named(content, edition.name_zh, edition.name_en), edition=edition.edition)
    return [
        Table(caption=name, columns=columns, rows=rows, small=True),
        Paragraph(text=w.t("list.sentence").join(terms), small=True),
    ]


def _named(content: Content, chinese: str, english: str) -> str:
    return chinese if content.language == "zh" or not english else english


def _proofs(content: Content, proofs: Sequence[ProofFigures]) -> str:
    w = content.words
    texts = []
    for proof in proofs:
        name = w.t(f"proof.{proof.kind}") if proof.kind in PROOFS else w.theme(proof.kind)
        result = w.t(f"proof.result-{proof.result.replace(' ', '-')}")
        value = "" if proof.value is None else w.t(f"proof.value-{proof.kind}", value=w.share(proof.value))
        texts.append(w.t("proof.said", name=name, result=result) + value)
    return w.t("list.comma").join(texts) or NOTHING
