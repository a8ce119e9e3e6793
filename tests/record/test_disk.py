"""How long a disk lasts: for ever growing, or once pruning keeps pace."""

from __future__ import annotations

import pytest

from greenmine.record.disk import lasting_days

DAYS = {"2026-03-01": 400_000, "2026-03-02": 1_000_000}


@pytest.mark.parametrize(
    ("free", "raw_days", "days"),
    [
        (740_000_000, 0, 10.0),  # 62 bytes a reading in the record, 12 in the archive, of the day that had most
        (740_000_000, 400, 10.0),  # full before anything is pruned
        (740_000_000, 5, 5 + 370 / 30),  # from then on 18 and 12 bytes
    ],
)
def test_a_disk_lasts_so_many_days(free: int, raw_days: int, days: float) -> None:
    assert lasting_days(free, DAYS, raw_days) == pytest.approx(days)


def test_where_nothing_comes_nothing_is_said() -> None:
    assert lasting_days(1, {}, 0) is None
