"""The air quality index (空气质量指数) of a day, by HJ 633-2026: numbers are in the catalogue ``air-index.toml``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import cache
from itertools import pairwise
from typing import Final

import msgspec

from greenmine.limits import Confidence
from greenmine.rounding import round_half_even
from greenmine.tables import CATALOGUES

CATALOGUE: Final = CATALOGUES / "air-index.toml"
"""The catalogue that ships with the package."""


class AirIndexTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Sub-indices and the concentrations that they stand for, since a day."""

    standard: str
    sha256: str
    clause: str
    confidence: Confidence
    valid_from: date
    index: tuple[int, ...]
    pollutants: tuple[str, ...]
    """All that belong to the index of a day."""
    published_above: int
    """With a pollutant missing, an index is given only above this."""
    primary_above: int
    """Above this the pollutant of the highest sub-index is the primary one."""
    day: dict[str, tuple[int, ...]]
    """By parameter: means of a day, in the order of ``index``."""


class SubIndex(msgspec.Struct, frozen=True):
    """Sub-index (IAQI 分指数) of one pollutant, and the rounded concentration behind it."""

    concentration: int
    iaqi: int


class AirIndex(msgspec.Struct, frozen=True):
    """Index of a day; ``aqi`` is None (NA) where pollutants are missing and none of the others is high."""

    sub_indices: dict[str, SubIndex]
    missing: tuple[str, ...]
    aqi: int | None
    primary: tuple[str, ...]
    """Primary pollutants (首要污染物); several if they are equal, none without an index or where the air is good."""


@cache
def air_index_table() -> AirIndexTable:
    """The table that ships with the package."""
    return msgspec.toml.decode(CATALOGUE.read_bytes(), type=AirIndexTable)


def air_index(table: AirIndexTable, means: Mapping[str, float]) -> AirIndex:
    """Give the index of a day.

    Parameters
    ----------
    table : AirIndexTable
        In force on that day.
    means : mapping of str to float
        Valid daily means by parameter [μg/m³]; pollutants that are not in it are missing.

    References
    ----------
    HJ 633-2026, 4.2.2 (rounded to whole numbers by GB/T 8170), 4.2.4 and Table 3 (straight line between two rows), 4.2.6 (always
    up to the next whole number), 4.1.1 (at most 500), 4.3.1 (primary pollutant), 5.3.1 (missing pollutants).

    Examples
    --------
    >>> found = air_index(air_index_table(), {"pm10": 121.0, "pm2.5": 36.0})
    >>> found.sub_indices["pm10"].iaqi, found.sub_indices["pm2.5"].iaqi, found.aqi, found.primary
    (101, 52, 101, ('pm10',))
    """
    sub_indices = {p: _sub_index(table, p, means[p]) for p in table.pollutants if p in means and p in table.day}
    missing = tuple(p for p in table.pollutants if p not in sub_indices)
    highest = max((s.iaqi for s in sub_indices.values()), default=None)
    aqi = None if highest is None or (missing and highest <= table.published_above) else highest
    primary = tuple(
        p for p, s in sub_indices.items() if aqi is not None and aqi > table.primary_above and s.iaqi == aqi
    )
    return AirIndex(sub_indices, missing, aqi, primary)


def _sub_index(table: AirIndexTable, parameter: str, mean: float) -> SubIndex:
    concentration = max(0, int(round_half_even(mean, 0)))
    rows = zip(pairwise(table.day[parameter]), pairwise(table.index), strict=True)
    for (low, high), (first, last) in rows:
        if concentration <= high:
            up = -(-(last - first) * (concentration - low) // (high - low))  # to the next whole number
            return SubIndex(concentration, first + up)
    return SubIndex(concentration, table.index[-1])
