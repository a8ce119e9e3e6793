"""One rule for what a person is told: from the verdicts of all limits to one conclusion for each theme and addressee."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from greenmine.limits import LONG, Addressee
from greenmine.processing.standing import REASONS
from greenmine.processing.verdicts import Judgement, Standing

_HIDES: Final = "over-range"
"""Reason of windows in which a value beyond the limit may be hidden: no share of other windows makes up for them."""

_IDLE: Final = ("not-working", "no-discharge")
"""Reasons of windows in which there was nothing to judge: they are no lack of data."""

ADDRESSEES: Final[tuple[Addressee, ...]] = ("emission", "quality", "own")
"""In the order in which a person is told of them: what the mine answers for comes first."""


class Told(Protocol):
    """The part of a verdict on which a conclusion rests."""

    @property
    def judgement(self) -> Judgement:
        """Meets, exceeds or not assessable."""

    @property
    def reason(self) -> str:
        """Why it was judged so."""

    @property
    def standing(self) -> Standing:
        """Statutory, or indicative."""

    @property
    def reasons(self) -> Sequence[str]:
        """Why it is indicative."""


@dataclass(frozen=True, slots=True)
class RuleTally:
    """The verdicts of one limit at one station over a span, counted; over the latest window, ``due`` is 1."""

    theme: str
    addressee: Addressee
    due: int
    """Windows that should have a verdict."""
    meets: int
    exceeds: int
    statutory_exceeds: int
    """Those of ``exceeds`` whose standing is statutory."""
    indicative: int
    """Those of ``meets`` and ``exceeds`` whose standing is indicative."""
    doubts: Mapping[str, int]
    """Why windows that were judged are indicative."""
    exceeding_doubts: Mapping[str, int]
    """The same, of those that exceed."""
    lacking: Mapping[str, int]
    """Why windows could not be assessed; ``no-data`` includes those without any verdict."""
    running: int = 0
    """Exceedances that last."""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The answer for one theme and addressee.

    A judgement ``exceeds`` with the standing ``indicative`` reads "above, by an indicative method: to be confirmed by a
    reference measurement". It never reads as compliance.
    """

    theme: str
    addressee: Addressee
    judgement: Judgement
    standing: Standing
    reasons: tuple[str, ...]
    """Why it is indicative, or not assessable; most frequent first."""
    rules: int
    """Limits that it rests on."""
    due: int
    meets: int
    exceeds: int
    assessable_share: float
    """Least share of a limit's windows that could be assessed."""
    lacking: Mapping[str, int]
    """Why windows could not be assessed, with their number."""
    running: int
    """Exceedances that last; to be told together with the judgement."""


def tally(theme: str, addressee: Addressee, verdicts: Iterable[Told], due: int, running: int = 0) -> RuleTally:
    """Count the verdicts of one limit at one station.

    Parameters
    ----------
    theme : str
        Theme of the parameter that the limit judges.
    addressee : str
        Whom the limit binds.
    verdicts : iterable of Told
        One for each window that has any.
    due : int
        Windows that should have one; the others lack data.
    running : int
        Exceedances of the limit that last.
    """
    judged: Counter[str] = Counter()
    doubts: Counter[str] = Counter()
    exceeding: Counter[str] = Counter()
    lacking: Counter[str] = Counter()
    statutory = indicative = 0
    for v in verdicts:
        judged[v.judgement] += 1
        if v.judgement == "not assessable":
            lacking[v.reason] += 1
        elif v.standing == "indicative":
            indicative += 1
            doubts.update(v.reasons)
            if v.judgement == "exceeds":
                exceeding.update(v.reasons)
        else:
            statutory += v.judgement == "exceeds"
    silent = due - judged.total()
    if silent > 0:
        lacking["no-data"] += silent
    return RuleTally(
        theme, addressee, max(due, judged.total()), judged["meets"], judged["exceeds"], statutory, indicative,
        doubts, exceeding, lacking, running,
    )  # fmt: skip


def stands_now(kind: str, window: str) -> bool:
    """Return whether limits of a kind and window have a say in what stands now: legal ones of less than a month."""
    return kind == "legal" and window not in LONG


def last_tally(theme: str, addressee: Addressee, last: Told | None, *, running: bool) -> RuleTally:
    """Count the last verdict of a limit alone; one that was never judged counts as not assessable: silence is never compliance."""
    return tally(theme, addressee, [] if last is None else [last], 1, int(running))


def conclude(tallies: Iterable[RuleTally], enough: float) -> list[Conclusion]:
    """One conclusion for each theme and addressee that has a limit, in the order of themes as they come, then addressees.

    A statutory ``exceeds`` decides before an indicative one. Either decides before everything else. ``meets`` is said only
    if of each limit's windows at least the share ``enough`` could be assessed: a limit with many windows must not hide one
    with few. Windows in which the mine did not work or discharge are left aside, and so is a limit without any window due,
    such as one of a year over a day. One window that was over range is enough to withhold it. All else is ``not assessable``.
    ``meets`` is statutory only if no verdict that it rests on is indicative.

    Parameters
    ----------
    tallies : iterable of RuleTally
        One for each limit at each station.
    enough : float
        Share 0..1 of `greenmine.reporting.Summary.assessable_share`.
    """
    groups: dict[str, dict[Addressee, list[RuleTally]]] = defaultdict(lambda: defaultdict(list))
    for one in tallies:
        groups[one.theme][one.addressee].append(one)
    return [
        _conclusion(theme, addressee, group[addressee], enough)
        for theme, group in groups.items()
        for addressee in ADDRESSEES
        if addressee in group
    ]


def _judgeable(tally: RuleTally) -> int:
    """Windows due in which there was something to judge."""
    return tally.due - sum(tally.lacking.get(code, 0) for code in _IDLE)


def _assessable_share(tally: RuleTally) -> float:
    return (tally.meets + tally.exceeds) / _judgeable(tally)


def _conclusion(theme: str, addressee: Addressee, rules: Sequence[RuleTally], enough: float) -> Conclusion:
    running = sum(r.running for r in rules)
    rules = [r for r in rules if r.due]
    share = min((_assessable_share(r) for r in rules if _judgeable(r)), default=0.0)
    lacking = _sum(r.lacking for r in rules)
    judgement: Judgement
    standing: Standing = "indicative"
    reasons: Mapping[str, int]
    if any(r.exceeds for r in rules):
        judgement = "exceeds"
        if any(r.statutory_exceeds for r in rules):
            standing = "statutory"
        reasons = _sum(r.exceeding_doubts for r in rules)
    elif share >= enough and _HIDES not in lacking:
        judgement = "meets"
        if not any(r.indicative for r in rules):
            standing = "statutory"
        reasons = _sum(r.doubts for r in rules)
    else:
        judgement, reasons = "not assessable", lacking
    return Conclusion(
        theme=theme,
        addressee=addressee,
        judgement=judgement,
        standing=standing,
        reasons=() if standing == "statutory" else _most_frequent_first(reasons),
        rules=len(rules),
        due=sum(r.due for r in rules),
        meets=sum(r.meets for r in rules),
        exceeds=sum(r.exceeds for r in rules),
        assessable_share=share,
        lacking=dict(sorted(lacking.items())),
        running=running,
    )


def _sum(counts: Iterable[Mapping[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for some in counts:
        total.update(some)
    return total


def _most_frequent_first(counts: Mapping[str, int]) -> tuple[str, ...]:
    order = {code: n for n, code in enumerate(REASONS)}
    return tuple(sorted(counts, key=lambda code: (-counts[code], order.get(code, len(order)), code)))
