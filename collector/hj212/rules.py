"""Numbers of the exchange between a logger and a platform, from the standard."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

import msgspec

_FILE: Final = Path(__file__).parent / "codes" / "rules.toml"


class _Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    value: float
    source: str


class _Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    values: tuple[int, ...]
    source: str


class _Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rules: tuple[_Rule, ...]
    choices: tuple[_Choice, ...]


@cache
def _rules() -> _Rules:
    return msgspec.toml.decode(_FILE.read_bytes(), type=_Rules)


@cache
def rule(name: str) -> float:
    """A number by its name in ``codes/rules.toml``; KeyError if there is none.

    Examples
    --------
    >>> rule("overtime"), rule("recount")
    (10.0, 3.0)
    """
    return {rule.name: rule.value for rule in _rules().rules}[name]


@cache
def choices(name: str) -> tuple[int, ...]:
    """The numbers that may be chosen from, by their name in ``codes/rules.toml``; KeyError if there is none."""
    return {choice.name: choice.values for choice in _rules().choices}[name]
