"""Code tables of the three editions: systems, commands, returns, flags, kinds of value and factors."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final, Literal, get_args

import msgspec

Version = Literal[2005, 2017, 2025]
"""Edition of the standard."""

VERSIONS: Final[tuple[Version, ...]] = get_args(Version)
_TABLES: Final = Path(__file__).parent / "codes"


class Factor(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a factor code stands for."""

    code: str
    name_zh: str
    name_en: str
    unit: str
    """Printed default. The unit that a device sends stands in its profile, per MN and factor; never taken from here."""
    type: str | None = None
    """Printed type: N3.1 has at most 3 digits before and 1 behind the point."""
    parameter: str | None = None
    """Id of our parameter that it is; None: none of ours."""
    successor: str | None = None
    """Its code in the editions after 2005."""
    note: str | None = None

    @property
    def largest(self) -> float | None:
        """Largest number of its type, which stands for "no value"; None where no type is printed."""
        if self.type is None:
            return None
        whole, _, part = self.type[1:].partition(".")
        return float("9" * int(whole) + "." + "9" * int(part or 0) if part else "9" * int(whole))


class Sentinel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A number that stands for "no value"."""

    value: float
    flag: str | None = None
    """Only beside this data flag; None: always."""
    source: str


class Codes(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The tables of one edition, with what it takes over from the one before."""

    source: str
    inherits: str | None = None
    removed: frozenset[str] = frozenset()
    """Commands that the edition before had."""
    systems: dict[str, str] = {}
    """By ST."""
    commands: dict[str, str] = {}
    """By CN."""
    request_returns: dict[str, str] = {}
    """By QnRtn."""
    execution_returns: dict[str, str] = {}
    """By ExeRtn."""
    flags: dict[str, str] = {}
    """By data flag."""
    kinds: dict[str, str] = {}
    """By what follows the hyphen of a factor's value."""
    names: dict[str, str] = {}
    """By CP name without a factor."""
    factors: tuple[Factor, ...] = ()
    sentinels: tuple[Sentinel, ...] = ()
    reports: frozenset[str] = frozenset()
    """Commands by which a logger tells something unasked; what comes by another one is not understood."""

    @property
    def by_code(self) -> dict[str, Factor]:
        """The factors by their code."""
        return {factor.code: factor for factor in self.factors}


@cache
def codes(version: Version) -> Codes:
    """The tables of an edition.

    Parameters
    ----------
    version : {2005, 2017, 2025}
        Year of the edition. A factor code that an older edition has is in the newer ones too: loggers of 2017 send
        codes of 2005, and the two never collide.
    """
    own = msgspec.toml.decode((_TABLES / f"{version}.toml").read_bytes(), type=Codes)
    older = next((year for year in VERSIONS if str(year) == own.inherits), None)
    if older is None:
        return own
    base = codes(older)
    commands = {code: name for code, name in base.commands.items() if code not in own.removed}
    return msgspec.structs.replace(
        own,
        systems=base.systems | own.systems,
        commands=commands | own.commands,
        request_returns=base.request_returns | own.request_returns,
        execution_returns=base.execution_returns | own.execution_returns,
        flags=base.flags | own.flags,
        kinds=base.kinds | own.kinds,
        names=base.names | own.names,
        factors=base.factors + own.factors,
        sentinels=base.sentinels + own.sentinels,
        reports=base.reports | own.reports,
    )
