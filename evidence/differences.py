"""Where two documents of figures differ."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from greenmine.record.archive.archive import Finding

_SAME: Final = 1e-9
"""Figures that differ by less, relatively, are the same: other machines add up in another order."""
_SHOWN: Final = 20
"""Differences listed for one file."""


def differences(name: str, told: Any, computed: Any) -> list[Finding]:
    """Places at which a document of a bundle says something else than what is computed; the first ones, and how many more."""
    found = [
        Finding(f"{name}: {place}", f"says {left!r}; computed: {right!r}")
        for place, left, right in _compare(told, computed, "")
    ]
    if len(found) > _SHOWN:
        return [*found[:_SHOWN], Finding(name, f"has {len(found) - _SHOWN} more differences")]
    return found


def _compare(told: Any, computed: Any, place: str) -> Iterator[tuple[str, Any, Any]]:
    """Places at which two documents differ, with both values."""
    if told == computed:
        return
    if isinstance(told, msgspec.Struct) and type(told) is type(computed):
        told, computed = msgspec.structs.asdict(told), msgspec.structs.asdict(computed)
    if isinstance(told, dict) and isinstance(computed, dict):
        for key in sorted(told.keys() | computed.keys()):
            yield from _compare(told.get(key), computed.get(key), f"{place}.{key}" if place else key)
    elif isinstance(told, list | tuple) and isinstance(computed, list | tuple):
        if len(told) != len(computed):
            yield place, f"{len(told)} rows", f"{len(computed)} rows"
        for number, (left, right) in enumerate(zip(told, computed, strict=False)):
            yield from _compare(left, right, f"{place}[{number}]")
    elif isinstance(told, float) and isinstance(computed, float):
        if not math.isclose(told, computed, rel_tol=_SAME, abs_tol=1e-12):
            yield place, told, computed
    else:
        yield place, told, computed
