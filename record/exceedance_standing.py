"""Standing of an exceedance: that of the verdicts behind it."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from greenmine.limits import LONG, threshold_on
from greenmine.processing.standing import Grounds
from greenmine.processing.verdicts import Standing
from greenmine.record import schema
from greenmine.registry import Registry, Rule
from greenmine.times import local

_MINUTE: Final = 60_000
"""[ms]"""
_LONGEST: Final = 2 * 86_400_000
"""Longer than any period but months and those beyond [ms]."""


def exceedance_standing(
    connection: sa.Connection, registry: Registry, grounds: Grounds, rule: Rule, row: Any
) -> Standing:
    """Return the standing of the verdicts behind an exceedance; before there is any, what limit and instrument allow.

    Parameters
    ----------
    connection : Connection
        To the record.
    registry : Registry
        Of the rule.
    grounds : Grounds
        Of the registry.
    rule : Rule
        The limit that is exceeded, at its station.
    row : row
        The exceedance.
    """
    v = schema.verdict.c
    overlapping = [v.end > row.start, *(() if row.end is None else (v.start < row.end,))]
    if rule.limit.window not in LONG:  # told by its start too, which the index knows
        overlapping.append(v.start > row.start - _LONGEST)
    behind = sa.select(v.reasons).where(v.rule == row.rule, v.latest, v.verdict == "exceeds", *overlapping)
    reasons = connection.scalars(behind).all()
    if reasons:
        return "indicative" if all(reasons) else "statutory"
    day = local(row.start, registry.site(rule.site).zone).date()
    threshold = threshold_on(rule.limit, day)
    if threshold is None:
        return "indicative"
    minutes = row.start // _MINUTE, (row.end or row.start) // _MINUTE + 1
    return "indicative" if grounds.of(rule.index, threshold, day, minutes) else "statutory"
