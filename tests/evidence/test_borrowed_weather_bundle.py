"""A bundle of a mine whose noise rests on the weather of another one: complete, and nothing of the other mine besides."""

from __future__ import annotations

import io
import json
import re
from datetime import date
from pathlib import Path

import pytest
from pyarrow import parquet as pq

from greenmine.evidence.bundle import Installation, build
from greenmine.record.archive.archive import Archive
from greenmine.record.archive.signing import SigningKey
from greenmine.record.writer import Pipeline
from greenmine.reporting import Period
from tests.evidence.bundles import contents, packed, verify, whole_text
from tests.processing.mine import DAY, HOUR, feed, record_at
from tests.processing.two_mines import DAWN, END, RULE, two_mines, weathered

pytestmark = pytest.mark.usefixtures("font")

PERIOD = Period("2026-06-01..2026-06-01", date(2026, 6, 1), date(2026, 6, 1))
NOW = END + 5 * DAY


class Lent:
    """Two mines with a day of rain, and the bundle of the one that borrows, in English."""

    def __init__(self, folder: Path) -> None:
        self.registry = two_mines(folder / "registry")
        record = record_at(folder / "record.sqlite", self.registry)
        pipeline = Pipeline(self.registry, record)
        feed(pipeline, [weathered(self.registry, DAWN - 6 * HOUR, END + 20 * HOUR, rain=0.4)])
        span = DAWN + 10 * HOUR, DAWN + 11 * HOUR
        pipeline.mark("high", "mast", "rain", span, "maintenance", "cleaned", "B", NOW - DAY)
        pipeline.mark("high", "north", "tsp", span, "maintenance", "secret", "B", NOW - DAY)
        while pipeline.carry_on(NOW - DAY):
            pass
        self.key = SigningKey(folder / "keys")
        self.here = Installation(
            record.engine, self.registry, folder / "registry", Archive(folder / "archive"), self.key, DAY
        )
        self.bundle = folder / "bundle.zip"
        build(self.here, "low", PERIOD, self.bundle, NOW, language="en")
        self.files = contents(self.bundle)


@pytest.fixture(scope="module")
def lent(tmp_path_factory: pytest.TempPathFactory) -> Lent:
    return Lent(tmp_path_factory.mktemp("lent"))


def test_the_bundle_verifies_and_its_verdict_rests_on_the_weather_of_the_other_mine(lent: Lent) -> None:
    assert verify(lent.bundle, lent.key.public) == []
    figures = json.loads(lent.files["figures.json"])
    (judged,) = [v for v in figures["verdicts"] if v["rule"] == RULE]
    assert (judged["verdict"], judged["reasons"].count("weather-not-shown")) == ("meets", 0)
    (window,) = [w for w in figures["windows"] if w["channel"] == "low/fence/laeq" and w["window"] == "daytime"]
    assert window["excluded"] == 120


def test_it_holds_wind_and_rain_of_that_station_and_nothing_else_of_the_other_mine(lent: Lent) -> None:
    channels = {
        channel
        for name, content in lent.files.items()
        if name.endswith(".parquet") and name.startswith(("archive/", "provisional/"))
        for channel in pq.read_table(io.BytesIO(content), columns=["channel"])["channel"].to_pylist()
        if channel
    }
    assert channels == {"low/fence/laeq", "low/high.mast/wind-speed", "low/high.mast/rain"}
    assert not [name for name in lent.files if "high" in name]
    for name, content in lent.files.items():
        if not name.endswith((".pdf", ".xlsx")):
            for foreign in (b"high/north", b"high/gate", b'air-temperature"]', b"secret", b"777.0", b"66.6"):
                assert foreign not in content or name == "registry/parameters.toml", (name, foreign)
    assert [m["station"] for m in json.loads(lent.files["figures.json"])["marks"]] == ["high.mast"]


def test_the_report_says_whose_weather_it_is_where_and_how_far_away(lent: Lent) -> None:
    text = re.sub(r"\s+", " ", whole_text(lent.files["report.pdf"]))
    assert "that of another mine: Mine · Station (30.0200, 108.0300), 2.9 km away" in text
    assert "Station (30.0000, 108.0100)" in text


def test_a_weather_station_that_was_moved_is_found(lent: Lent, tmp_path: Path) -> None:
    """Signed anew by its own maker: what is drawn no longer fits."""
    text = lent.files["registry/neighbours.toml"].decode()
    moved = lent.files | {"registry/neighbours.toml": text.replace("30.02", "30.001").encode()}
    found = verify(packed(tmp_path / "moved.zip", moved, lent.key), lent.key.public)
    assert "report.pdf: page 3" in {f.place for f in found}


def test_the_other_mines_bundle_knows_nothing_of_who_borrows(lent: Lent, tmp_path: Path) -> None:
    build(lent.here, "high", PERIOD, tmp_path / "high.zip", NOW)
    assert verify(tmp_path / "high.zip", lent.key.public) == []
    assert not [name for name, content in contents(tmp_path / "high.zip").items() if b"low/" in content]
