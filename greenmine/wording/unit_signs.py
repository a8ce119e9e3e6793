"""Signs of units: how people read them, while catalogues and payloads keep to ASCII."""

from __future__ import annotations

from typing import Final

SIGNS: Final = {
    "ug/m3": "μg/m³",
    "mg/m3": "mg/m³",
    "uS/cm": "μS/cm",
    "degC": "°C",
    "deg": "°",
    "1": "",
}
"""Sign by canonical unit, where they differ. Micro is the letter U+03BC, as in GB 2312 and Grafana, never U+00B5."""


def sign(unit: str) -> str:
    """Return the sign of a canonical unit; the unit itself where it has no other.

    Examples
    --------
    >>> sign("ug/m3"), sign("mm/s")
    ('μg/m³', 'mm/s')
    """
    return SIGNS.get(unit, unit)
