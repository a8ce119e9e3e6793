"""Charts that reports and pages share: maps to scale, and wind roses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from greenmine.evidence.charts import Place, Point, curve_chart, site_map, wind_rose


def test_a_map_is_to_scale_and_holds_all_places() -> None:
    places = [Place("pit", "pit", 0.0, 0.0), Place("1", "boundary", 310.0, -40.0), Place("2", "receptor", -90.0, 505.0)]
    spec = site_map(places, title="map", north="N")
    assert spec["width"] == spec["height"]
    scales = [spec["layer"][0]["encoding"][axis]["scale"]["domain"] for axis in ("x", "y")]
    assert scales[0] == scales[1]
    low, high = scales[0]
    assert low < -505 < 505 < high
    assert spec["datasets"]["places"][1] == {"label": "1", "role": "boundary", "east": 310.0, "north": -40.0}


@pytest.mark.parametrize(
    ("means", "rings"),
    [
        ([10.0, None, 95.0, 40.0], [50.0, 100.0]),
        ([None] * 4, [0.5, 1.0]),
        ([0.0, 0.003, 0.0, 0.0], [0.001, 0.002, 0.003]),
    ],
)
def test_a_wind_rose_has_a_sector_for_each_mean_within_its_rings(means: list[float | None], rings: list[float]) -> None:
    spec = wind_rose(means, title="rose", points="NESW")
    assert sorted(ring["value"] for ring in spec["datasets"]["rings"]) == pytest.approx(rings)
    sectors = spec["datasets"]["points"]
    assert [sector["value"] for sector in sectors] == [mean for mean in means if mean is not None]
    assert all(sector["from"] < sector["to"] for sector in sectors)
    assert [point["text"] for point in spec["datasets"]["compass"]] == list("NESW")


def test_directions_are_points_from_0_to_360_and_no_line() -> None:
    start = datetime(2026, 11, 30, tzinfo=UTC)
    words = {name: name for name in ("time", "mean", "low", "high", "note", "judged", "limit")}
    span = start, start + timedelta(hours=1)
    spec = curve_chart([Point(start, 350.0, 1.0, 359.0)], [], {}, span, title="wind", columns=words, directions=True)
    marks = [layer["mark"]["type"] for layer in spec["layer"]]
    assert "circle" in marks
    assert not {"line", "area"} & set(marks)
    (drawn,) = [layer for layer in spec["layer"] if layer["mark"]["type"] == "circle"]
    assert drawn["encoding"]["y"]["scale"]["domain"] == [0, 360]
