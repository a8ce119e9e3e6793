"""States of equipment, as ``SBxxx-RS`` says them."""

from __future__ import annotations

from typing import Final

_STATES: Final[dict[int, tuple[float | None, str]]] = {
    0: (0.0, "N"), 1: (1.0, "N"), 2: (None, "C"), 3: (None, "M"), 4: (None, "D"), 5: (None, "M"),
}  # fmt: skip
"""Off, on, calibration, maintenance, alarm, blow-back (HJ 212-2017, 6.6.4)."""
_NUMBERS: Final = {state: number for number, state in reversed(_STATES.items())}


def read_state(number: float) -> tuple[float | None, str]:
    """Value and data flag of a state; of a number that is none, a fault.

    Examples
    --------
    >>> read_state(1), read_state(3), read_state(7)
    ((1.0, 'N'), (None, 'M'), (None, 'D'))
    """
    return _STATES.get(int(number), (None, "D")) if number == int(number) else (None, "D")


def write_state(value: float, flag: str) -> int | None:
    """The state of a value, NaN if there is none, and its data flag; None: no state says that.

    Examples
    --------
    >>> write_state(0.0, "N"), write_state(float("nan"), "M"), write_state(float("nan"), "B")
    (0, 3, None)
    """
    return _NUMBERS.get((value, "N") if flag == "N" else (None, flag))
