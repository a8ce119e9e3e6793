"""The period beside the one before it, and beside stricter targets of the enterprise."""

from __future__ import annotations

from greenmine.evidence.report.blocks import Block, Column, Heading, Paragraph, Table
from greenmine.evidence.report.content import Content
from greenmine.evidence.sections import Comparison


def comparison(content: Content) -> list[Block]:
    """Limits, means and targets, this period and the last."""
    w, found = content.words, content.figures.comparison
    head = Heading(text=w.t("comparison.heading"))
    if found is None:
        return [head, Paragraph(text=w.t("comparison.none"))]
    span = w.span(found.first, found.last)
    blocks: list[Block] = [head]
    if found.available:
        blocks += [Paragraph(text=w.t("comparison.last", span=span)), _rules(content, found)]
        blocks += [_channels(content, found)] if found.channels else []
    else:
        blocks.append(Paragraph(text=w.t("comparison.unavailable", span=span)))
    if found.targets:
        blocks.append(_targets(content, found))
    return blocks


def _rules(content: Content, found: Comparison) -> Table:
    w = content.words
    rows = []
    for r in found.rules:
        parameter = w.judged(r.rule).parameter
        pairs = (
            (w.share(r.last_share_meeting), w.share(r.share_meeting)),
            (w.share(r.last_share_above), w.share(r.share_above)),
            (str(r.last_episodes), str(r.episodes)),
            (w.figure(r.last_worst, parameter), w.figure(r.worst, parameter)),
        )
        rows.append([w.station(r.rule), w.limit(r.rule), *(w.t("comparison.pair", last=a, now=b) for a, b in pairs)])
    heads = ("share-meeting", "share-above", "episodes", "worst")
    columns = [
        Column(w.t("column.station"), share=1),
        Column(w.t("column.limit"), share=2),
        *(Column(w.t(f"column.{name}"), "right") for name in heads),
    ]
    return Table(caption=w.t("comparison.rules"), columns=columns, rows=rows, small=True)


def _channels(content: Content, found: Comparison) -> Table:
    w = content.words
    rows = []
    for c in found.channels:
        parameter = w.channels[c.channel].parameter
        change = None if not c.last_mean or c.mean is None else c.mean - c.last_mean
        rows.append(
            [
                w.channel(c.channel),
                w.unit(c.unit),
                str(c.last_hours),
                w.figure(c.last_mean, parameter),
                str(c.hours),
                w.figure(c.mean, parameter),
                w.figure(change, parameter),
            ]
        )
    heads = ("last-hours", "last-mean", "hours", "mean", "difference")
    columns = [
        Column(w.t("column.channel"), share=1),
        Column(w.t("column.unit")),
        *(Column(w.t(f"column.{name}"), "right") for name in heads),
    ]
    return Table(caption=w.t("comparison.channels"), columns=columns, rows=rows, small=True)


def _targets(content: Content, found: Comparison) -> Table:
    w = content.words
    rows = [
        [
            w.station(t.rule),
            w.limit(t.target),
            w.bounds(t.legal_low, t.legal_high),
            w.bounds(t.low, t.high),
            w.t(f"verdict.{t.verdict.replace(' ', '-')}"),
            w.share(t.share_meeting),
            w.share(t.legal_share_meeting),
        ]
        for t in found.targets
    ]
    heads = ("legal-bound", "own-bound", "verdict-own", "share-meeting-own", "share-meeting-legal")
    columns = [
        Column(w.t("column.station"), share=1),
        Column(w.t("column.limit"), share=2),
        *(Column(w.t(f"column.{name}")) for name in heads),
    ]
    return Table(caption=w.t("comparison.targets"), columns=columns, rows=rows, small=True)
