"""Standing of verdicts: why a judgement is indicative (参考) and not statutory (法定)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from functools import lru_cache
from itertools import pairwise
from typing import Final

from greenmine.limits import Limit, Threshold, addressee
from greenmine.processing.windows import minute_of, moment_of, windows_touching
from greenmine.registry import AcousticCheck, Device, Registry, Rule

REASONS: Final = (
    "no-automatic-method",
    "limit-unconfirmed",
    "method-not-shown",
    "method-not-named",
    "approval-not-shown",
    "verification-not-shown",
    "verification-lapsed",
    "grade-not-shown",
    "grade-insufficient",
    "calibration-not-shown",
)
"""Codes, in the order in which they are told; their texts are in `greenmine.wording`."""

OFFICIAL: Final = "verified: official text"
"""Confidence of a number that was read in the standard itself."""


class Grounds:
    """Reasons from limit and instrument, for every rule of a registry.

    Parameters
    ----------
    registry : Registry
        Its devices say what is shown of the instruments.
    """

    def __init__(self, registry: Registry) -> None:
        self._rules = registry.rules
        self._instruments = {
            rule.index: [
                (registry.device(channel.site, channel.device), channel.parameter.id)
                for channel in (registry.channels[index] for index in (rule.channel, *rule.references))
            ]
            for rule in registry.rules
        }
        self._on = lru_cache(maxsize=1 << 16)(self._papers)

    def of(
        self, rule: int, threshold: Threshold, day: date, period: tuple[int, int], *, confirmed: bool = False
    ) -> tuple[str, ...]:
        """Return why a verdict is indicative; nothing where it is statutory, or where a target has no standing at law.

        Parameters
        ----------
        rule : int
            Index of the rule.
        threshold : Threshold
            The one in force.
        day : date
            Local day of the verdict.
        period : (int, int)
            What was judged [minutes since 1970 UTC, half-open].
        confirmed : bool
            A laboratory's result was judged: what is not shown of the instrument no longer matters.
        """
        limit = self._rules[rule].limit
        if addressee(limit) == "own":
            return ()
        found = set(() if confirmed else self._on(rule, day))
        if threshold.confidence != OFFICIAL:
            found.add("limit-unconfirmed")
        if limit.instrument is not None and limit.instrument.drift is not None and not confirmed:
            device, _ = self._instruments[rule][0]
            if lacks_checks(device.checks, period):
                found.add("calibration-not-shown")
        return tuple(reason for reason in REASONS if reason in found)

    def _papers(self, rule: int, day: date) -> frozenset[str]:
        limit = self._rules[rule].limit
        return frozenset(
            reason
            for device, parameter in self._instruments[rule]
            for reason in instrument_reasons(limit, device, parameter, day)
        )


def instrument_reasons(limit: Limit, device: Device, parameter: str, day: date) -> Iterable[str]:
    """Give what a device lacks on a day for a verdict of a limit to be statutory.

    References
    ----------
    GB 12348-2008, 5.1.1 (class), 5.1.2 (verification in its term); GB 3095-2026, Table 3 (automatic methods), 5.3.
    """
    asked = limit.instrument
    method = device.method.get(parameter)
    if limit.indicative:
        yield "no-automatic-method"
    if method is None:
        yield "method-not-shown"
    elif asked is not None and asked.methods and method not in asked.methods:
        yield "method-not-named"
    if parameter not in device.approval:
        yield "approval-not-shown"
    terms = [term for term in device.verified if term.parameter in (None, parameter)]
    if not terms:
        yield "verification-not-shown"
    elif not any(term.valid_from <= day <= term.valid_to for term in terms):
        yield "verification-lapsed"
    if asked is not None and asked.grade is not None:
        if device.grade is None:
            yield "grade-not-shown"
        elif device.grade > asked.grade:
            yield "grade-insufficient"


def lacks_checks(checks: Sequence[AcousticCheck], period: tuple[int, int]) -> bool:
    """Return whether there is no acoustic check before a period, or none after it [minutes since 1970 UTC, half-open].

    References
    ----------
    GB 12348-2008, 5.1.2 (before and after every measurement).
    """
    times = [minute_of(check.time) for check in checks]
    return not times or min(times) > period[0] or max(times) < period[1]


def void_stretches(checks: Sequence[AcousticCheck], drift: float) -> list[tuple[int, int]]:
    """Return the stretches between two checks of which the later found another level than the earlier had left.

    Parameters
    ----------
    checks : sequence of AcousticCheck
        In any order.
    drift : float
        Largest difference allowed [dB].

    Returns
    -------
    list of (int, int)
        Minutes since 1970 UTC, half-open: what was measured then is void.

    References
    ----------
    GB 12348-2008, 5.1.2 (at most 0.5 dB, else the result is void).
    """
    ordered = sorted(checks, key=lambda check: check.time)
    return [
        (minute_of(before.time), minute_of(after.time))
        for before, after in pairwise(ordered)
        if abs(after.found - (before.found if before.left is None else before.left)) > drift + 1e-9
    ]


def void_periods(registry: Registry, rule: Rule) -> list[tuple[int, int]]:
    """Return the periods of a rule that touch a void stretch of one of its instruments [minutes since 1970 UTC, half-open]."""
    limit, zone = rule.limit, registry.site(rule.site).zone
    if limit.instrument is None or limit.instrument.drift is None:
        return []
    channel = registry.channels[rule.channel]
    found = []
    for first, last in void_stretches(registry.device(channel.site, channel.device).checks, limit.instrument.drift):
        if limit.window == "hour":
            found.append((first - moment_of(first, zone).minute, last + -moment_of(last, zone).minute % 60))
        else:
            found += windows_touching(limit.window, first, last, zone, registry.conditions)
    return found
