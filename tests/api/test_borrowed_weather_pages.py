"""What an enterprise sees of the weather of another one's mine on which its noise rests: that, and nothing else."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from greenmine.loading import load_registry
from greenmine.record.record import Record, migrate, open_engine
from greenmine.record.writer import Pipeline
from tests.api.serving import serving
from tests.api.signing import bearer, token_for
from tests.processing.mine import ENTERPRISE, HOUR, feed
from tests.processing.two_mines import DAWN, END, RULE, two_mines, weathered
from tests.records import record_in

SPAN = {"from": "2026-06-01T06:00:00+08:00", "to": "2026-06-02T06:00:00+08:00"}


class Neighbours(NamedTuple):
    borrower: httpx.Client
    """Of the enterprise whose mine borrows."""
    lender: httpx.Client


@pytest.fixture(scope="module")
def neighbours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neighbours]:
    folder = tmp_path_factory.mktemp("neighbours")
    two_mines(folder / "registry")
    (folder / "registry/enterprises.toml").write_text(ENTERPRISE + ENTERPRISE.replace('"owner"', '"hill"'), "utf-8")
    path = folder / "registry/sites/high.toml"
    path.write_text(path.read_text("utf-8").replace('enterprise = "owner"', 'enterprise = "hill"'), "utf-8")
    registry = load_registry(folder / "registry")
    engine = open_engine(record_in(folder))
    migrate(engine)
    feed(Pipeline(registry, Record(engine, registry)), [weathered(registry, DAWN, END + HOUR, rain=0.4)])
    tokens = [bearer(token_for(folder, name, "enterprise", name)) for name in ("owner", "hill")]
    with (
        serving(folder, registry, registry=folder / "registry") as address,
        httpx.Client(base_url=address, headers=tokens[0], timeout=30) as borrower,
        httpx.Client(base_url=address, headers=tokens[1], timeout=30) as lender,
    ):
        yield Neighbours(borrower, lender)


def words(client: httpx.Client, path: str, **query: str) -> str:
    answer = client.get(path, params={"lang": "en", **query}, headers={"Accept": "text/html"})
    assert answer.status_code == 200, answer.text
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", answer.text)))


@pytest.mark.parametrize("parameter", ["rain", "wind-speed"])
def test_the_weather_that_is_named_is_seen_as_that_of_the_other_mine(neighbours: Neighbours, parameter: str) -> None:
    query = {"channel": f"low/high.mast/{parameter}", **SPAN}
    own = neighbours.borrower.get("/api/v1/readings", params=query).json()["items"]
    source = neighbours.lender.get("/api/v1/readings", params=query | {"channel": f"high/mast/{parameter}"}).json()
    assert [(r["time"], r["value"]) for r in own] == [(r["time"], r["value"]) for r in source["items"]]
    assert own


@pytest.mark.parametrize(
    "key",
    ["high/mast/rain", "high/mast/wind-direction", "high/north/tsp", "high/gate/laeq", "low/high.mast/wind-direction"],
)
def test_nothing_else_of_the_other_mine_is_there(neighbours: Neighbours, key: str) -> None:
    assert neighbours.borrower.get("/api/v1/readings", params={"channel": key, **SPAN}).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/stations",
        "/api/v1/latest",
        "/api/v1/ledger",
        "/api/v1/verdicts",
        "/",
        "/sites/low",
        "/sites/low/stations/high.mast",
    ],
)
def test_no_page_of_the_borrower_tells_of_dust_or_noise_over_there(neighbours: Neighbours, path: str) -> None:
    answer = neighbours.borrower.get(path, headers={"Accept": "text/html" if not path.startswith("/api") else "*/*"})
    assert answer.status_code == 200
    assert not re.search(r"high/(north|gate)|\b777\b|66\.6", answer.text)


def test_the_lender_sees_nothing_of_who_borrows(neighbours: Neighbours) -> None:
    assert neighbours.lender.get("/sites/low").status_code == 404
    assert "low/" not in neighbours.lender.get("/api/v1/latest").text


def test_the_explanation_says_whose_weather_it_is_and_how_far_away(neighbours: Neighbours) -> None:
    query = {"rule": RULE, "start": "2026-06-01T06:00:00+08:00"}
    found = neighbours.borrower.get("/api/v1/explanation", params=query).json()
    assert found["agrees"]
    lent = found["window"]["borrowed_weather"]
    assert (lent["weather"], lent["distance"], lent["weather_longitude"]) == ("high/mast", 2942.0, 108.03)
    assert found["window"]["excluded"] == 120
    assert "that of another mine: Mine · Station (30.0200, 108.0300), 2.9 km away" in words(
        neighbours.borrower, "/explanation", **query
    )


def test_the_page_of_the_mine_names_the_station_of_the_other(neighbours: Neighbours) -> None:
    assert "Mine · Station" in words(neighbours.borrower, "/sites/low").split("Weather", 1)[1]


def test_anybody_comes_to_the_verdict_again_with_the_weather_in_the_file(
    neighbours: Neighbours, tmp_path: Path
) -> None:
    query = {"rule": RULE, "start": "2026-06-01T06:00:00+08:00"}
    answer = neighbours.borrower.get("/api/v1/explanation/recomputation", params=query)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        archive.extractall(tmp_path)
    call = [sys.executable, "-m", "greenmine", "judge", "--registry", "registry", "--readings", "readings.csv"]
    call += ["--period", "2026-06-01", "--format", "csv"]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr  # 58 dB at night
    (row,) = [line for line in done.stdout.splitlines() if line.startswith(f"{RULE},")]
    assert "meets" in row
    assert "weather-not-shown" not in row
