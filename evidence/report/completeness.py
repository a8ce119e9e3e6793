"""How much of the data came, and where it is missing."""

from __future__ import annotations

from greenmine.evidence.report.blocks import Block, Column, Heading, Paragraph, Table
from greenmine.evidence.report.content import Content
from greenmine.wording.words import NOTHING

_BESIDE = 8
"""Months that have room beside the other columns."""
_LONGEST = 15
"""Gaps that the report lists."""
_MARKS = 50
"""Marks that it lists."""


def completeness(content: Content) -> list[Block]:
    """Transmission and capture by channel and month, data flags, and the longest gaps."""
    w = content.words
    return [
        Heading(text=w.t("data.heading")),
        Paragraph(text=w.t("data.meaning")),
        *_capture(content),
        *_flags(content),
        *_gaps(content),
        *_marks(content),
    ]


def _capture(content: Content) -> list[Table]:
    """Over the period and by month; months stand in a table of their own where they are many."""
    w, channels = content.words, content.figures.channels
    rows = [
        [
            w.channel(c.channel),
            w.number(c.due),
            w.share(min(1.0, sum(c.flags.values()) / c.due)),
            w.share(c.capture),
            str(c.excluded_minutes) if c.excluded_minutes else NOTHING,
        ]
        for c in channels
    ]
    named = Column(w.t("column.channel"), share=1)
    heads = ("due", "transmission", "capture", "excluded-minutes")
    columns = [named, *(Column(w.t(f"column.{head}"), "right") for head in heads)]
    months = [Column(month.month[2:], "right") for month in channels[0].months] if channels else []
    by_month = [[w.share(month.capture) for month in c.months] for c in channels]
    if len(months) <= _BESIDE:
        joined = [row + more for row, more in zip(rows, by_month, strict=True)]
        return [Table(caption=w.t("data.capture-both"), columns=columns + months, rows=joined, small=True)]
    alone = [[row[0], *more] for row, more in zip(rows, by_month, strict=True)]
    return [
        Table(caption=w.t("data.capture"), columns=columns, rows=rows, small=True),
        Table(caption=w.t("data.capture-months"), columns=[named, *months], rows=alone, small=True),
    ]


def _flags(content: Content) -> list[Block]:
    w = content.words
    channels = [c for c in content.figures.channels if c.flags.keys() - {"N"}]
    flags = sorted({flag for c in channels for flag in c.flags} - {"N"})
    if not flags:
        return [Paragraph(text=w.t("data.no-flags"))]
    rows = [[w.channel(c.channel), *(str(c.flags.get(flag, NOTHING)) for flag in flags)] for c in channels]
    names = [f"{flag} {w.known(f'flag.{flag}', '')}".strip() for flag in flags]
    columns = [Column(w.t("column.channel"), share=1), *(Column(name, "right") for name in names)]
    return [Table(caption=w.t("data.flags"), columns=columns, rows=rows)]


def _gaps(content: Content) -> list[Block]:
    w, gaps = content.words, content.figures.gaps
    if not gaps:
        return [Paragraph(text=w.t("data.no-gaps"))]
    together: dict[tuple[str, str, int, int, int], list[str]] = {}
    for gap in gaps:
        key = gap.start, gap.end, gap.hours, gap.silent, gap.excluded
        together.setdefault(key, []).append(gap.channel)
    longest = sorted(together.items(), key=lambda item: (-item[0][2], item))[:_LONGEST]
    rows = [
        [
            w.together(channels),
            w.moment(start),
            w.moment(end),
            *map(str, (hours, silent, excluded, hours - silent - excluded)),
        ]
        for (start, end, hours, silent, excluded), channels in longest
    ]
    columns = [
        Column(w.t("column.channel"), share=1),
        Column(w.t("column.start")),
        Column(w.t("column.end")),
        *(Column(w.t(f"column.{head}"), "right") for head in ("hours", "silent", "excluded", "too-few")),
    ]
    caption = w.t("data.gaps", shown=sum(len(channels) for _, channels in longest), all=len(gaps))
    return [Table(caption=caption, columns=columns, rows=rows)]


def _marks(content: Content) -> list[Block]:
    w, marks = content.words, content.figures.marks
    if not marks:
        return []
    rows = [
        [
            w.name(content.registry.station(content.site.id, mark.station)),
            NOTHING if mark.parameter is None else content.registry.parameters[mark.parameter].symbol,
            w.moment(mark.start),
            w.moment(mark.end),
            w.known(f"mark.{mark.kind}", mark.kind) + ("" if mark.excludes else w.t("mark.counts")),
            mark.reason,
            mark.author,
            w.moment(mark.made),
        ]
        for mark in marks[:_MARKS]
    ]
    heads = {"station": 2, "parameter": 0, "start": 0, "end": 0, "kind": 1, "reason": 3, "author": 1, "made": 0}
    columns = [Column(w.t(f"column.{head}"), share=share) for head, share in heads.items()]
    caption = w.t("data.marks", shown=len(rows), all=len(marks))
    return [Table(caption=caption, columns=columns, rows=rows, small=True)]
