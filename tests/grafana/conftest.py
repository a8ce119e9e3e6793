"""Seven simulated days in a real InfluxDB, projected as they are in service."""

from __future__ import annotations

import json
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from greenmine.grafana.edition import Edition
from greenmine.grafana.influx.influx_provision import provision
from greenmine.grafana.influx.projection import Projection, cursors_file
from greenmine.processing.rolling import hourly_statistics
from greenmine.record import schema
from greenmine.record.bucket_cursors import stored_cursors
from greenmine.record.follower import heads
from greenmine.record.record import Record, open_engine
from greenmine.registry import Registry
from greenmine.settings import Settings
from tests.grafana.simulated import END, HOUR, SITES, START, registry_of, sample, simulate
from tests.influxing import RealInflux, real_influx
from tests.projecting import projection_settings

DISTRICT = "greenmine_district"


@dataclass
class Projected:
    """A record and the InfluxDB that holds its projection."""

    settings: Settings
    registry: Registry
    record: Record
    server: RealInflux

    def ask(self, query: str, database: str = DISTRICT) -> dict[str, Any]:
        """Answer to one statement, asked as Grafana's data source does: POST, times in ms."""
        body = urllib.parse.urlencode({"db": database, "epoch": "ms", "q": query}).encode()
        with urllib.request.urlopen(f"{self.server.url}/query", body, timeout=60) as answer:
            results = json.load(answer)["results"]
        assert len(results) == 1, "a query is one statement, or Grafana takes the answers for those of other queries"
        result: dict[str, Any] = results[0]
        return result


@pytest.fixture(scope="session")
def projected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Projected]:
    """Three mines: with outfall, with a pond and legal differences, with early warnings."""
    folder = tmp_path_factory.mktemp("projected")
    registry = registry_of(folder / "registry")
    with real_influx(folder / "influx") as server:
        settings = projection_settings(folder, server, influx_timeout_seconds=30.0, influx_batch=20_000)
        record = simulate(settings, registry, SITES, START, END, seed=1)
        mark = {"site": "kunyin", "station": "boundary", "start": END - 3 * HOUR, "end": END - 2 * HOUR}
        with record.transaction() as connection:
            connection.execute(
                sa.insert(schema.mark).values(**mark, kind="blasting", reason="爆破", author="test", made=END)
            )
        provision(settings, registry)
        _project(settings, registry)
        # What the running processes say of themselves is sampled, at the time of the sample: here as in the simulated hours.
        samples = [sample(minute, END) for minute in range(60)]
        write = f"{server.url}/api/v2/write?bucket={DISTRICT}&precision=ms&org=greenmine"
        with urllib.request.urlopen(write, "\n".join(samples).encode(), timeout=60) as answer:
            assert answer.status == 204
        yield Projected(settings, registry, record, server)


def _project(settings: Settings, registry: Registry) -> None:
    projection = Projection(settings, registry, hourly_statistics)
    engine = open_engine(settings.record_place, read_only=True)
    deadline = time.monotonic() + 300

    def caught_up() -> bool:
        assert time.monotonic() < deadline, "waited in vain for the projection"
        ends = heads(engine)
        found = {c.bucket: c for c in stored_cursors(cursors_file(settings))}
        return all(
            name in found and not found[name].clear and all(found[name].position(t) >= end for t, end in ends.items())
            for name in projection.buckets
        )

    projection.run(threading.Event(), caught_up)
    engine.dispose()


@pytest.fixture(scope="session")
def edition(projected: Projected) -> Edition:
    """The dashboards' edition in Chinese, on the last simulated day."""
    return Edition("zh", projected.registry, datetime.fromtimestamp(END / 1000, UTC).date())
