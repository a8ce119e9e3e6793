"""A bundle of a simulated mine with gaps, late data and a calibration: every figure is that of an independent computation."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.truth import Case


@pytest.mark.usefixtures("font")
def test_figures_are_what_the_simulated_mine_was(tmp_path: Path) -> None:
    case = Case(tmp_path, days=6, seed=1)
    compared = 0
    for count, wrong in case.compare():
        assert wrong == []
        compared += count
    assert compared > 10_000
    figures = case.figures
    assert [x["rule"] for x in figures["exceedances"]] == ["hengjie/boundary/gb29620-boundary-tsp"]
    assert case.missing["hengjie/boundary/tsp"] == 360
    assert case.missing["hengjie/receptor/pm10"] == 360
    assert [c["slope"] for c in figures["calibrations"]] == [1.6]
