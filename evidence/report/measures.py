"""What measures leave of dust and noise, and how fast sprayers answer."""

from __future__ import annotations

from greenmine.evidence.report.blocks import Block, Column, Heading, Paragraph, Table
from greenmine.evidence.report.content import Content
from greenmine.evidence.sections import EffectFigures
from greenmine.wording.words import NOTHING

_LISTED = 60
"""Answers to exceedances that are listed."""


def measures(content: Content) -> list[Block]:
    """Effect of each measure with its interval, and what equipment did at exceedances."""
    w, effects = content.words, content.figures.effects
    blocks: list[Block] = [Heading(text=w.t("measures.heading"))]
    if not effects:
        return [*blocks, Paragraph(text=w.t("measures.none")), *_responses(content)]
    heads = {
        "measure": 3,
        "channel": 4,
        "design": 4,
        "reduction": 3,
        "bounds": 0,
        "mean-on": 0,
        "mean-off": 0,
        "sample": 4,
    }
    columns = [Column(w.t(f"column.{head}"), share=share) for head, share in heads.items()]
    rows = [_row(content, effect) for effect in effects]
    notes = dict.fromkeys(w.note(effect) for effect in effects)
    blocks += [Paragraph(text=note) for note in notes if note]
    blocks += [
        Paragraph(text=w.t("measures.meaning")),
        Table(caption=w.t("measures.table"), columns=columns, rows=rows, small=True),
    ]
    if any(effect.open_to_bias for effect in effects):
        blocks.append(Paragraph(text=w.t("measures.bias"), small=True))
    return [*blocks, *_responses(content)]


def _row(content: Content, effect: EffectFigures) -> list[str]:
    w = content.words
    parameter = w.channels[effect.channel].parameter
    against = "" if effect.reference is None else w.t("measures.minus", channel=w.channel(effect.reference))
    sample = w.t(
        "measures.sample",
        comparisons=effect.comparisons,
        days=effect.days,
        on=effect.minutes_on,
        off=effect.minutes_off,
    )
    if effect.remaining is None or effect.low is None or effect.high is None:
        reduction, interval = w.known(f"measures.{effect.reason}", effect.reason), NOTHING
    else:
        reduction = _percent(1 - effect.remaining)
        interval = w.t("measures.from-to", low=_percent(1 - effect.high), high=_percent(1 - effect.low))
        if effect.reduction_db is not None:
            reduction += f" ({w.number(effect.reduction_db, 1)} dB)"
    means = (
        f"{w.figure(mean, parameter)} {w.unit(effect.unit)}" if mean is not None else NOTHING for mean in _means(effect)
    )
    mark = " *" if effect.open_to_bias else ""
    design = w.known(f"measures.{effect.design}", effect.design)
    return [w.name(effect), w.channel(effect.channel) + against, design + mark, reduction, interval, *means, sample]


def _means(effect: EffectFigures) -> tuple[float | None, float | None]:
    return effect.mean_on, effect.mean_off


def _percent(share: float) -> str:
    """Also below zero: what a measure makes worse."""
    return f"{100 * share:.1f} %".replace("-", "−")


def _responses(content: Content) -> list[Block]:
    w, responses = content.words, content.figures.responses
    if not responses:
        return []
    names = {effect.measure: w.name(effect) for effect in content.figures.effects}
    rows = [
        [
            w.moment(r.start),
            w.rule(r.rule),
            names.get(r.measure, r.measure),
            w.t("measures.running") if r.running else _minutes(content, r.response_minutes),
            _minutes(content, r.return_minutes),
            _minutes(content, r.running_minutes),
        ]
        for r in responses[:_LISTED]
    ]
    heads = {"start": 0, "limit": 3, "measure": 1, "response": 0, "return": 0, "running": 0}
    columns = [Column(w.t(f"column.{head}"), share=share) for head, share in heads.items()]
    caption = w.t("measures.responses", shown=len(rows), all=len(responses))
    return [Table(caption=caption, columns=columns, rows=rows, small=True)]


def _minutes(content: Content, minutes: int | None) -> str:
    return NOTHING if minutes is None else content.words.minutes(minutes)
