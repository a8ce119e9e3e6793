"""The schema of the projection is sound, and its page is the one that the code makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenmine.grafana.influx.influx_schema import MEASUREMENTS, Measurement, schema_tables

PAGE = Path(__file__).parents[3] / "docs" / "influx.md"


def test_the_page_lists_what_the_code_writes() -> None:
    written = "python -m greenmine.grafana.influx.influx_schema"
    assert schema_tables(MEASUREMENTS) in PAGE.read_text(), f"docs/influx.md must hold what `{written}` prints"


@pytest.mark.parametrize("measurement", MEASUREMENTS, ids=lambda m: m.name)
def test_no_name_is_both_tag_and_field(measurement: Measurement) -> None:
    names = [t.name for t in measurement.tags] + [f.name for f in measurement.fields]
    assert len(set(names)) == len(names)
    assert "time" not in names


def test_a_measurement_is_described_once() -> None:
    assert len({m.name for m in MEASUREMENTS}) == len(MEASUREMENTS)
