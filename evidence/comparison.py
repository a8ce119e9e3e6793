"""A period beside the one before it, and beside the enterprise's own stricter targets."""

from __future__ import annotations

from greenmine.evidence.figures import FiguresDocument, RuleFigures, hourly_mean
from greenmine.evidence.from_record import Last
from greenmine.evidence.recompute import Recomputed
from greenmine.evidence.sections import ChannelComparison, Comparison, RuleComparison, TargetComparison
from greenmine.registry import Registry


def comparison(
    registry: Registry, found: Recomputed, figures: FiguresDocument, last: Last, enough: float
) -> Comparison:
    """Compare a period.

    Parameters
    ----------
    registry : Registry
        Holds the site only.
    found : Recomputed
        The period.
    figures : FiguresDocument
        Its limits.
    last : Last
        The period before, as the record has it.
    enough : float
        Share of a target's windows that must be assessable before it can be met.
    """
    before = {rule.rule: rule for rule in last.rules}
    return Comparison(
        period=last.period,
        first=last.first,
        last=last.last,
        available=bool(before) or bool(last.channels),
        rules=[_rule(now, before[now.rule]) for now in figures.rules if now.rule in before],
        channels=_channels(registry, found, last),
        targets=_targets(figures, enough),
    )


def _rule(now: RuleFigures, last: RuleFigures) -> RuleComparison:
    return RuleComparison(
        rule=now.rule,
        share_meeting=now.share_meeting,
        last_share_meeting=last.share_meeting,
        share_above=now.share_above,
        last_share_above=last.share_above,
        episodes=now.episodes,
        last_episodes=last.episodes,
        worst=now.worst,
        last_worst=last.worst,
    )


def _channels(registry: Registry, found: Recomputed, last: Last) -> list[ChannelComparison]:
    before = {entry.channel: entry for entry in last.channels}
    compared = []
    for channel in (channel for channel in registry.channels if channel.key in before):
        means = [s.mean for s in found.hours.get(channel.index, ()) if s.valid and s.mean is not None]
        compared.append(
            ChannelComparison(
                channel=channel.key,
                unit=channel.parameter.unit,
                hours=len(means),
                last_hours=before[channel.key].hours,
                mean=hourly_mean(channel, means),
                last_mean=before[channel.key].mean,
            )
        )
    return compared


def _targets(figures: FiguresDocument, enough: float) -> list[TargetComparison]:
    legal = {rule.rule: rule for rule in figures.rules}
    compared = []
    for target in figures.rules:
        law = legal[target.rule.split("#")[0]]
        if law is target or not target.thresholds:
            continue
        assessable = (target.meets + target.exceeds) / target.periods if target.periods else 0.0
        own = target.thresholds[-1]
        theirs = law.thresholds[-1] if law.thresholds else None
        compared.append(
            TargetComparison(
                rule=law.rule,
                target=target.rule,
                kind=target.kind,
                low=own.low,
                high=own.high,
                legal_low=None if theirs is None else theirs.low,
                legal_high=None if theirs is None else theirs.high,
                verdict="exceeds" if target.exceeds else "meets" if assessable >= enough else "not assessable",
                share_meeting=target.share_meeting,
                legal_share_meeting=law.share_meeting,
            )
        )
    return compared
