"""Standing of verdicts: why a judgement is indicative (参考) and not statutory (法定)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from functools import lru_cache
from typing import Final

from greenmine.limits import Limit, Threshold, addressee
from greenmine.processing.windows import minute_of
from greenmine.registry import AcousticCheck, Device, Registry

REASONS: Final = (
    "limit-unconfirmed",
    "no-automatic-method",
    "method-not-shown",
    "method-not-named",
    "approval-not-shown",
    "verification-not-shown",
    "verification-lapsed",
    "grade-not-shown",
    "grade-insufficient",
    "calibration-not-shown",
    "calibration-drift",
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
        drift = limit.instrument.drift if limit.instrument is not None else None
        if drift is not None and not confirmed:
            for device, _ in self._instruments[rule]:
                found.update(acoustic_reasons(device.checks, drift, period))
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


def acoustic_reasons(checks: Sequence[AcousticCheck], drift: float, period: tuple[int, int]) -> Iterable[str]:
    """Give what the acoustic checks around a period lack: one before, one after, and little change between them.

    Parameters
    ----------
    checks : sequence of AcousticCheck
        In any order.
    drift : float
        Largest change allowed from what the check before left to what the check after found [dB].
    period : (int, int)
        Minutes since 1970 UTC, half-open.

    References
    ----------
    GB 12348-2008, 5.1.2: before and after every measurement, at most 0.5 dB apart, else the result is void.
    """
    begin, finish = period
    before = max((c for c in checks if minute_of(c.time) <= begin), key=lambda c: c.time, default=None)
    after = min((c for c in checks if minute_of(c.time) >= finish), key=lambda c: c.time, default=None)
    if before is None or after is None:
        yield "calibration-not-shown"
    elif abs(after.found - (before.found if before.left is None else before.left)) > drift + 1e-9:
        yield "calibration-drift"
