"""What a record holds, read without the project's own queries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from greenmine.places import Place
from greenmine.record.hour_blocks import unpacked
from greenmine.record.record import open_engine
from greenmine.record.rows import ROW
from greenmine.registry import Registry

Rows = dict[tuple[Any, ...], tuple[Any, ...]]

_STATISTIC = """
    select c.key, s."window", s.start, s."end", s.mean, s.minimum, s.maximum, s.count, s.expected, s.capture, s.valid, s.hours,
           s.excluded, s.suspect, s.l10, s.l50, s.l90
    from statistic s join channel c on c.id = s.channel where s.latest"""
_VERDICT = (
    'select rule, start, "end", verdict, value, judged, low, high, capture, reason, detail from verdict where latest'
)
_SLIDING = "select rule, hour, assessable, above, worst from sliding_hour"
_EXCEEDANCE = """
    select rule, start, "end", state, peak, peak_time, threshold, minutes from exceedance where state <> 'withdrawn'"""


class Stored:
    """The contents of a record that no worker writes any more."""

    def __init__(self, record: Place, registry: Registry) -> None:
        self._keys = {channel.key for channel in registry.channels}
        engine = open_engine(record, read_only=True)
        with engine.connect() as connection:
            self._connection = connection
            self.blocks = self._blocks()
            """Readings by channel key: arrays of ROW in the order of storing."""
            self.late = {
                (key, time) for key, time in self._all("select key, time from late join channel c on c.id = channel")
            }
            self.ledger = {
                name: self._all(f"select coalesce(sum({name}), 0) from ledger")[0][0]
                for name in ("messages", "received", "stored", "duplicate", "conflict", "rejected", "late", "reordered")
            }
            self.ledger_rows = self._all("select received, stored, duplicate, rejected, late from ledger")
            self.rejected = self._all("select coalesce(sum(readings), 0) from rejection")[0][0]
            self.statistics = self._keyed(_STATISTIC, 3)
            self.verdicts = self._keyed(_VERDICT, 2)
            self.sliding = self._keyed(_SLIDING, 2)
            self.exceedances = self._keyed(_EXCEEDANCE, 2)
        engine.dispose()

    def instants(self) -> list[tuple[str, int]]:
        """Every stored (channel key, instant), as often as it is stored."""
        return [(key, time) for key, rows in self.blocks.items() for time in rows["time"].tolist()]

    def _all(self, statement: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self._connection.exec_driver_sql(statement)]

    def _keyed(self, statement: str, keys: int) -> Rows:
        rows = self._all(statement)
        found = {row[:keys]: row[keys:] for row in rows}
        assert len(found) == len(rows), "two rows are the latest for one window, or two episodes begin together"
        return found

    def _blocks(self) -> Mapping[str, NDArray[np.void]]:
        parts: dict[str, list[NDArray[np.void]]] = {}
        for key, data, first in self._all(
            "select key, data, first from reading_block b join channel c on c.id = b.channel order by b.id"
        ):
            parts.setdefault(key, []).append(np.frombuffer(data, ROW) if first is None else unpacked(data).rows)
        return {key: np.concatenate(some) for key, some in parts.items()}


def assert_same(found: Rows, expected: Rows) -> None:
    """The same rows; numbers may differ by the order of summation."""
    assert found.keys() == expected.keys()
    different = {
        key: (row, expected[key])
        for key, row in found.items()
        if not all(_agree(a, b) for a, b in zip(row, expected[key], strict=True))
    }
    assert not different, dict(list(different.items())[:5])


def _agree(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return a == pytest.approx(b, rel=1e-12, abs=1e-12)
    return bool(a == b)
