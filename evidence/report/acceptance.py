"""The acceptance file: stages, approvals, what limits rest on, and inspections."""

from __future__ import annotations

from collections.abc import Sequence

from greenmine.evidence.report.blocks import Block, Column, Heading, Paragraph, Table
from greenmine.evidence.report.content import Content
from greenmine.evidence.report.words import ReportWords
from greenmine.wording.words import NOTHING


def acceptance(content: Content) -> list[Block]:
    """What the registry of the bundle holds of the mine's way to acceptance."""
    w, site = content.words, content.site
    stages = [
        [w.t(f"stage-of.{one.stage}"), f"{one.day}", one.by or NOTHING, one.file or NOTHING]
        for one in sorted(site.stages, key=lambda stage: stage.day)
    ]
    approvals = [
        [w.t(f"approval-of.{one.kind}"), one.number, one.issuer, f"{one.day}", one.file or NOTHING]
        for one in sorted(site.approvals, key=lambda approval: approval.day)
    ]
    limits = []
    for rule in content.figures.rules:
        if rule.kind == "legal":
            rests = site.approvals_of(w.rules[rule.rule].limit.id)
            said = w.t("list.comma").join(one.number for one in rests) or w.t("acceptance.no-basis")
            limits.append([w.rule(rule.rule), said])
    inspections = [
        [
            f"{one.day}",
            w.t(f"unit-of.{one.unit}"),
            one.finding,
            f"{one.deadline or NOTHING}",
            " ".join(filter(None, (f"{one.done or ''}", one.note))) or NOTHING,
        ]
        for one in sorted(site.inspections, key=lambda inspection: inspection.day)
    ]
    return [
        Heading(text=w.t("acceptance.heading")),
        _listed(w, "stages", {"stage": 2, "day": 0, "by": 3, "file": 3}, stages),
        _listed(w, "approvals", {"kind": 2, "number": 3, "issuer": 3, "day": 0, "file": 2}, approvals),
        _listed(w, "bases", {"limit": 3, "basis": 2}, limits, "no-limits"),
        _listed(w, "inspections", {"day": 0, "unit": 0, "finding": 4, "deadline": 0, "done": 2}, inspections),
    ]


def _listed(w: ReportWords, name: str, heads: dict[str, int], rows: Sequence[list[str]], none: str = "") -> Block:
    if not rows:
        return Paragraph(text=w.t(f"acceptance.{none or f'no-{name}'}"))
    columns = [Column(w.t(f"acceptance.{head}"), share=share) for head, share in heads.items()]
    return Table(caption=w.t(f"acceptance.{name}"), columns=columns, rows=list(rows))
