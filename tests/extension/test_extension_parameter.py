"""What docs/extend.md says is enough: a theme, a parameter, a limit and a payload format are in all that people see."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
import sqlalchemy as sa

from greenmine.collector.payloads.payload import BatchBuilder
from greenmine.evidence.bundle import Installation, build
from greenmine.evidence.verify import verify
from greenmine.grafana.dashboards import as_text, dashboards
from greenmine.grafana.edition import Edition
from greenmine.loading import load_registry
from greenmine.record import schema
from greenmine.record.archive.archive import Archive
from greenmine.record.archive.signing import SigningKey
from greenmine.record.record import Record
from greenmine.registry import Registry
from greenmine.reporting import Period
from greenmine.settings import Settings
from tests.api.serving import serving
from tests.api.signing import bearer, token_for
from tests.extension.vibration import CHANNEL, extended
from tests.grafana.simulated import DAY, simulate
from tests.processing.mine import at, channel
from tests.records import record_setting

FIRST = at("2026-11-16T00:00")
PERIOD = Period("2026-11-16", date(2026, 11, 16), date(2026, 11, 16))


class Extended(NamedTuple):
    settings: Settings
    folder: Path
    registry: Registry
    record: Record


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Extended:
    """A day and a half of Kunyin, with its geophone."""
    data = tmp_path_factory.mktemp("extended")
    folder = extended(data / "registry")
    registry = load_registry(folder)
    settings = Settings(data=data, registry=folder, **record_setting(data))
    return Extended(
        settings, folder, registry, simulate(settings, registry, ["kunyin"], FIRST, FIRST + 3 * DAY // 2, 3)
    )


@pytest.fixture(scope="module")
def client(mine: Extended) -> Iterator[httpx.Client]:
    headers = bearer(token_for(mine.settings.data))
    with (
        serving(mine.settings.data, mine.registry) as address,
        httpx.Client(base_url=address, headers=headers, timeout=30) as client,
    ):
        yield client


def test_the_simulator_measures_it_and_the_core_judges_it(mine: Extended) -> None:
    number = int(mine.record.channel_ids[channel(mine.registry, CHANNEL)])
    statistics = mine.record.rows(sa.select(schema.statistic).where(schema.statistic.c.channel == number))
    assert {row["window"] for row in statistics} >= {"hour", "day"}
    assert all(row["mean"] == row["maximum"] for row in statistics)
    verdicts = mine.record.rows(sa.select(schema.verdict).where(schema.verdict.c.rule.like("%/example-ppv")))
    assert {row["verdict"] for row in verdicts} <= {"meets", "exceeds"}
    assert len(verdicts) >= 30


def test_a_payload_format_is_data(mine: Extended) -> None:
    builder = BatchBuilder(mine.registry, mine.settings)
    payload = {"at": "2026-11-16T14:00:00+08:00", "peak_um_s": 400}
    builder.add("geophones/A7/peak", json.dumps(payload).encode(), at("2026-11-16T14:00:01"))
    batch = builder.finish()
    assert not batch.rejections
    assert batch.readings.value.tolist() == [0.4]
    assert mine.registry.channels[int(batch.readings.channel[0])].key == "kunyin/boundary/ppv"


@pytest.mark.parametrize(("language", "name"), [("zh", "振动"), ("en", "Vibration")])
def test_the_pages_show_it(client: httpx.Client, language: str, name: str) -> None:
    page = client.get("/sites/kunyin", headers={"Accept": "text/html", "Accept-Language": language}).text
    assert name in page
    latest = client.get("/api/v1/latest?site=kunyin").json()
    assert CHANNEL in json.dumps(latest)


@pytest.mark.parametrize(("language", "name"), [("zh", "振动"), ("en", "Vibration")])
def test_the_dashboards_show_it(mine: Extended, language: str, name: str) -> None:
    boards = dashboards(Edition(language, mine.registry, date(2026, 11, 16)))
    assert {board for board, model in boards.items() if name in as_text(model)} >= {"overview", "mine"}


def test_the_first_page_of_a_bundle_has_it_and_the_bundle_verifies(mine: Extended, tmp_path: Path) -> None:
    here = Installation(
        mine.record.engine,
        mine.registry,
        mine.folder,
        Archive(tmp_path / "archive"),
        SigningKey(tmp_path / "keys"),
        DAY,
    )
    bundle = tmp_path / "bundle.zip"
    build(here, "kunyin", PERIOD, bundle, FIRST + 5 * DAY)
    with zipfile.ZipFile(bundle) as archive:
        summary = json.loads(archive.read("figures.json"))["summary"]
    assert [part["judgement"] for part in summary if part["theme"] == "vibration"] == ["exceeds"]
    assert verify(bundle).findings == []
