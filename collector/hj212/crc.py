"""Check sums of data segments: that of the standard and the two that some fleets use instead."""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import Final, Literal

Variant = Literal["hj212", "modbus-high", "modbus-low"]
"""The standard's; CRC-16/MODBUS with its high byte first; the same with its low byte first."""

_POLYNOMIAL: Final = 0xA001
_HEX: Final = frozenset(string.hexdigits)


def _step(value: int) -> int:
    for _ in range(8):
        value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
    return value


_TABLE: Final = tuple(_step(value) for value in range(256))


def _powers(count: int) -> list[bytes]:
    """What 1, 2, 4, 8 ... steps make of the register's high byte."""
    powers = [bytes(value >> 8 for value in _TABLE)]
    while len(powers) < count:
        powers.append(powers[-1].translate(powers[-1]))
    return powers


_POWERS: Final = _powers(40)
"""Enough for as many bytes as there can be."""


def crc_hj212(data: bytes) -> int:
    """Check sum of the standard.

    The register is shifted by a byte before each byte enters, so its low byte is lost and only its high byte, eight
    bits, goes from byte to byte. This is what tells it from Modbus. A step being linear over XOR, the front half of the
    data can be carried over to where the back half stands, by as many steps at once, and joined with it: so the data
    halve until one byte is left.

    Parameters
    ----------
    data : bytes
        A data segment, without ``##``, length and line end.

    Returns
    -------
    int
        0 to 0xFFFF; of no bytes at all 0xFFFF.

    References
    ----------
    HJ 212-2017, Annex A.

    Examples
    --------
    >>> f"{crc_hj212(b'123456789'):04X}"
    '2F80'
    """
    if not data:
        return 0xFFFF
    size = len(data)
    left = bytes((data[0] ^ 0xFF,)) + data[1:]
    while size > 1:
        power = (size - 1).bit_length() - 1
        half = 1 << power
        far = left[: size - half].translate(_POWERS[power])
        left = (int.from_bytes(left[size - half :]) ^ int.from_bytes(far)).to_bytes(half)
        size = half
    return _TABLE[left[0]]


def crc_modbus(data: bytes) -> int:
    """Check sum CRC-16/MODBUS, which some fleets send in place of the standard's.

    Examples
    --------
    >>> f"{crc_modbus(b'123456789'):04X}"
    '4B37'
    """
    register = 0xFFFF
    for byte in data:
        register = (register >> 8) ^ _TABLE[(register ^ byte) & 0xFF]
    return register


def _hj212(data: bytes) -> str:
    return f"{crc_hj212(data):04X}"


def _modbus_high(data: bytes) -> str:
    return f"{crc_modbus(data):04X}"


def _modbus_low(data: bytes) -> str:
    value = crc_modbus(data)
    return f"{(value & 0xFF) << 8 | value >> 8:04X}"


CRC: Final[dict[Variant, Callable[[bytes], str]]] = {
    "hj212": _hj212,
    "modbus-high": _modbus_high,
    "modbus-low": _modbus_low,
}
"""The four capital digits that a frame with this segment carries."""


def is_crc(text: str) -> bool:
    """Whether these are four hexadecimal digits, capital or small."""
    return len(text) == 4 and _HEX.issuperset(text)


def fitting(data: bytes, given: str) -> Variant | None:
    """The variant of which a received check sum is the right one; None if of none.

    For diagnosis only: a frame is judged by the variant that its dialect names.
    """
    return next((name for name, crc in CRC.items() if crc(data) == given.upper()), None)
