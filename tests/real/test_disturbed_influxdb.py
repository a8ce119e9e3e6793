"""The projection on a real InfluxDB 2: killed, paused, emptied, restated or full, it holds the same points afterwards."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from greenmine.grafana.influx.influx_provision import provision
from greenmine.grafana.influx.influx_schema import DISTRICT, MEASUREMENTS, bucket_of
from greenmine.grafana.influx.projection import Projection
from greenmine.loading import load_registry
from greenmine.processing.rolling import hourly_statistics
from greenmine.registry import Registry
from greenmine.settings import Settings
from tests.grafana.influx.test_projection_disturbed import restate_by_hand
from tests.influxing import until
from tests.projecting import Mines, Projecting
from tests.real.servers import ORG, StartedInfluxDB, shipped

SITE = "hengjie"
KEPT = [m.name for m in MEASUREMENTS if not m.sample]


@pytest.fixture(scope="session", autouse=True)
def _named() -> None:
    """Skip where there is no server that may be killed; Grafana is not needed."""
    if "INFLUXD_BIN" not in os.environ:
        pytest.skip("no real InfluxDB that may be killed: set INFLUXD_BIN")


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[StartedInfluxDB]:
    with StartedInfluxDB(tmp_path / "influx", shipped("influxdb")) as running:
        yield running


def settings_for(server: StartedInfluxDB, folder: Path) -> Settings:
    given = {"data": folder, "influx_url": server.url, "influx_org": ORG, "influx_admin_token": server.token}
    return Settings.model_validate(Settings().model_dump() | given | {"influx_timeout_seconds": 5.0})


def points(server: StartedInfluxDB, bucket: str = DISTRICT) -> dict[str, Any]:
    """Everything in a bucket that the record holds; not the samples of the moment."""
    return {name: found for name, found in server.export(bucket).items() if name in KEPT}


def undisturbed(server: StartedInfluxDB, mines: Mines, folder: Path) -> dict[str, Any]:
    """What a projection gives to empty buckets in one go."""
    for bucket in server.call("GET", "/api/v2/buckets?limit=100").json()["buckets"]:
        if bucket["type"] == "user":
            assert server.call("DELETE", f"/api/v2/buckets/{bucket['id']}").status == 204
    folder.mkdir()
    settings = settings_for(server, folder)
    settings.record_place.symlink_to(mines.settings.record_place)
    provision(settings, mines.registry)
    projection = Projection(settings, mines.registry, hourly_statistics)
    while projection.turn():
        pass
    return points(server)


def test_killed_paused_emptied_and_restated_it_holds_the_same_points(
    server: StartedInfluxDB, registry: Registry, tmp_path: Path
) -> None:
    mines = Mines(tmp_path / "data", registry, [SITE], 1.0)
    settings = settings_for(server, tmp_path / "data")
    provision(settings, registry)
    with Projecting(settings, registry) as projecting:
        mines.go_on(4)
        projecting.await_all()

        server.kill()
        mines.go_on(2)
        until(lambda: projecting.cursors()[DISTRICT].failures, "a failed write")
        server.start()
        projecting.await_all()

        server.pause()
        mines.go_on(2)
        failures = projecting.cursors()[DISTRICT].failures
        until(lambda: projecting.cursors()[DISTRICT].failures > failures, "a write without answer")
        server.proceed()
        projecting.await_all()

        everything = {"start": "1970-01-01T00:00:00Z", "stop": "2100-01-01T00:00:00Z"}
        for bucket in (DISTRICT, bucket_of(SITE)):
            assert server.call("POST", f"/api/v2/delete?org={ORG}&bucket={bucket}", everything).status == 204
            until(lambda b=bucket: projecting.cursors()[b].generation, "the discovery that the bucket was emptied")
        mines.go_on()
        projecting.await_all()
        restate_by_hand(mines.engine)
        projecting.await_all()
        assert {c.generation for c in projecting.cursors().values()} <= {0, 1}
        assert not any(c.refused for c in projecting.cursors().values())
        time.sleep(25)  # two looks more: nothing is found missing that is there
        assert {c.generation for c in projecting.cursors().values()} <= {0, 1}
    found, own = points(server), points(server, bucket_of(SITE))
    assert found == own
    assert len(found["reading"]) > 10_000
    assert found == undisturbed(server, mines, tmp_path / "again")


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of so many bytes, which root may make."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=False, capture_output=True
    )
    if done.returncode:
        pytest.skip(f"no file system can be mounted: {done.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_is_waited_for(registry: Registry, tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "disk", "640m") as disk,
        StartedInfluxDB(disk / "influx", shipped("influxdb")) as server,
    ):
        mines = Mines(tmp_path / "data", registry, [SITE], 1.0)
        settings = settings_for(server, tmp_path / "data")
        provision(settings, registry)
        with Projecting(settings, registry) as projecting:
            mines.go_on(2)
            projecting.await_all()
            ballast = disk / "ballast"
            with ballast.open("wb") as file:
                try:
                    while True:
                        file.write(bytes(65_536))
                        file.flush()
                except OSError:
                    pass
            mines.go_on()
            until(lambda: projecting.cursors()[DISTRICT].failures, "a write that the full disk refuses")
            ballast.unlink()
            server.kill()  # what it could not open while there was no room it opens at its next start only
            server.start()
            projecting.await_all()
            assert not any(c.refused for c in projecting.cursors().values())
        found = points(server)
        assert len(found["reading"]) > 10_000
        assert found == undisturbed(server, mines, tmp_path / "again")
