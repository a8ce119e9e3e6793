"""Reference results: what a laboratory found at the same point and hour as an instrument."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from greenmine.processing.windows import minute_of, moment_of
from greenmine.registry import ReferenceResult, Registry, Rule


@dataclass(frozen=True, slots=True)
class ReferenceHour:
    """A laboratory's figure for a rule [the limit's unit], and the hour it was taken in [minutes since 1970 UTC, half-open]."""

    value: float
    begin: int
    finish: int


class References:
    """Reference results by the rules that they confirm: those of an hour's mean, and of a difference of such means.

    A result stands for the clock hour in which its own hour ends, in place of every online figure of that clock hour; hours that
    hold a part of its own are no higher than with it in place of its readings. A difference needs results of the same hour at its
    station and at one other.

    Parameters
    ----------
    registry : Registry
        Its sites carry the results.

    References
    ----------
    GB 16297-1996, 8.2, and GB 29620-2013, 4.4 (any one-hour mean); GB/T 15432 (total suspended particles by weighing).
    """

    def __init__(self, registry: Registry) -> None:
        self._found: dict[int, dict[int, ReferenceHour]] = defaultdict(dict)
        for rule in registry.rules:
            site = registry.site(rule.site)
            if site.references and rule.limit.window == "hour" and rule.limit.statistic in {"mean", "difference"}:
                for result in site.references:
                    value = _value(rule, result, site.references)
                    if value is not None:
                        finish = minute_of(result.end)
                        hour = finish - 1 - moment_of(finish - 1, site.zone).minute
                        self._found[rule.index][hour] = ReferenceHour(value, minute_of(result.start), finish)

    def __contains__(self, rule: int) -> bool:
        """Whether there are any of a rule."""
        return rule in self._found

    def ending_in(self, rule: int, hour: int) -> ReferenceHour | None:
        """Return the result that stands for the clock hour beginning with a minute; None if there is none."""
        return self.of(rule).get(hour)

    def of(self, rule: int) -> Mapping[int, ReferenceHour]:
        """Give all results of a rule by the first minutes of the clock hours for which they stand."""
        return self._found.get(rule, {})

    def within(self, rule: int, first: int, count: int) -> Iterator[tuple[slice, ReferenceHour]]:
        """Give the results that stand for some of ``count`` minutes from ``first`` on, with the places of these minutes."""
        for hour, result in self.of(rule).items():
            if hour < first + count and hour + 60 > first:
                yield slice(max(0, hour - first), hour + 60 - first), result


def _value(rule: Rule, result: ReferenceResult, results: tuple[ReferenceResult, ...]) -> float | None:
    """The figure that a result gives for a rule; None where it gives none."""
    if (result.station, result.parameter) != (rule.station, rule.limit.parameter):
        return None
    if rule.limit.statistic != "difference":
        return result.value
    upwind = [
        r.value
        for r in results
        if r.parameter == result.parameter
        and r.station != rule.station
        and (r.start, r.end) == (result.start, result.end)
    ]
    return result.value - upwind[0] if len(upwind) == 1 else None
