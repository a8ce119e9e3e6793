"""What stands now, as points: the conclusion on each mine, and the headroom of each window under way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final

from greenmine.grafana.influx.feed import rule_tags
from greenmine.grafana.influx.influx_schema import BY_NAME, finding_of
from greenmine.grafana.influx.lines import Encoder
from greenmine.limits import addressee, threshold_on
from greenmine.processing.headroom import State, headroom_under_way
from greenmine.processing.summary import RuleTally, conclude, last_tally, stands_now
from greenmine.processing.verdicts import Verdict
from greenmine.record.reader import Queries, Row, Scope
from greenmine.registry import Rule
from greenmine.times import local

_HOUR: Final = 3_600_000
_DAY: Final = 24 * _HOUR
_STATES: Final[Mapping[State, int]] = {"open": 0, "not-assessable": 1, "exceeds": 2}


def standing_lines(queries: Queries) -> dict[str, list[str]]:
    """Return lines of ``conclusion`` and ``headroom`` by enterprise, as of the end of the record's newest hour.

    The conclusion is that of the tiles of the web pages: from the last verdict on each legal limit in force, but for those of
    months and longer. A limit that was never judged counts as not assessable.

    Parameters
    ----------
    queries : Queries
        On the record.
    """
    registry = queries.registry
    everything = Scope(frozenset(site.id for site in registry.sites))
    now = queries.newest_hour(everything)
    if now is None:
        return {}
    last, lasting = queries.last_verdicts(everything), queries.exceeding_rules(everything)
    hours = queries.hours(everything, now - _DAY - _HOUR, now)
    days = {site.id: local(now, site.zone).date() for site in registry.sites}
    by_site: dict[str, list[Rule]] = defaultdict(list)
    for rule in registry.rules:
        by_site[rule.site].append(rule)
    found: dict[str, list[str]] = defaultdict(list)
    for site in registry.sites:
        rules = by_site[site.id]
        told = _conclusions(site.enterprise, site.id, _tallies(queries, rules, last, lasting, days[site.id]), now)
        found[site.enterprise] += [*told, *_headrooms(queries, rules, hours, now)]
    return found


def _tallies(
    queries: Queries, rules: Iterable[Rule], last: Mapping[str, Row], lasting: set[str], day: date
) -> Iterable[RuleTally]:
    for rule in rules:
        limit = rule.limit
        if not stands_now(limit.kind, limit.window) or threshold_on(limit, day) is None:
            continue
        row = last.get(rule.key)
        told = None if row is None else Verdict(row.verdict, row.reason, None, None, None, tuple(row.reasons.split()))
        theme = queries.registry.parameters[limit.parameter].theme
        yield last_tally(theme, addressee(limit), told, running=rule.key in lasting)


def _conclusions(enterprise: str, site: str, tallies: Iterable[RuleTally], now: int) -> Iterable[str]:
    encoder = Encoder(BY_NAME["conclusion"])
    for one in conclude(tallies, 1.0):
        values = (finding_of(one.judgement, one.standing), next(iter(one.reasons), ""), one.rules, one.running)
        yield encoder.line(encoder.series(enterprise, site, one.theme, one.addressee), values, now)


def _headrooms(queries: Queries, rules: Iterable[Rule], hours: Mapping[str, Sequence[Any]], now: int) -> Iterable[str]:
    encoder, registry = Encoder(BY_NAME["headroom"]), queries.registry
    for rule in rules:
        channel = registry.channels[rule.channel]
        under_way = headroom_under_way(registry, rule, hours.get(channel.key, ()), now)
        if under_way is None:
            continue
        room, (_, end) = under_way
        values = (_STATES[room.state], room.value or 0.0, room.hours, room.missing, end * 60_000)
        yield encoder.line(encoder.series(*rule_tags(registry, rule)), values, now)
