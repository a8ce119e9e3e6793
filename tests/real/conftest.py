"""Five mines over some days, projected into a real InfluxDB 2 and shown by a real Grafana, with the commands of a user."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from greenmine.collector.payloads.payload import BatchBuilder
from greenmine.grafana.influx.influx import load_tokens
from greenmine.record import schema
from greenmine.record.record import Record
from greenmine.record.writer import Pipeline
from greenmine.registry import Registry
from greenmine.settings import Settings
from tests.grafana.simulated import DAY, HOUR, registry_of, sample, simulate
from tests.influxing import until
from tests.projecting import Projecting
from tests.real.inboxes import Inboxes
from tests.real.servers import ORG, Grafana, InfluxDB, StartedGrafana, StartedInfluxDB, missing, shipped

DAYS = 5
DUSTY = "greenmine/v1/kunyin/boundary-dust/readings"


@pytest.fixture(scope="session", autouse=True)
def _named() -> None:
    """Skip all of this folder, with one line, where no real servers are named."""
    if text := missing():
        pytest.skip(text)


@pytest.fixture(scope="session")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxDB]:
    """InfluxDB 2, empty where it is started here."""
    if "INFLUXD_BIN" in os.environ:
        with StartedInfluxDB(tmp_path_factory.mktemp("influx"), shipped("influxdb")) as server:
            yield server
    else:
        yield InfluxDB(os.environ["INFLUX_URL"], os.environ["INFLUX_ADMIN_TOKEN"])


@pytest.fixture(scope="session")
def inboxes() -> Iterator[Inboxes]:
    """Where alarms go: a web server for robots and webhooks, and a mail server."""
    with Inboxes() as made:
        yield made


@pytest.fixture(scope="session")
def grafana(tmp_path_factory: pytest.TempPathFactory, inboxes: Inboxes) -> Iterator[Grafana]:
    """Grafana, empty where it is started here, with the settings of docker-compose.yml."""
    if "GRAFANA_BIN" in os.environ:
        settings = shipped("grafana") | {
            "GF_SECURITY_COOKIE_SECURE": "false",  # the tests' browser speaks plain HTTP
            "GF_SMTP_ENABLED": "true",
            "GF_SMTP_HOST": f"127.0.0.1:{inboxes.mail_port}",
            "GF_SMTP_FROM_ADDRESS": "grafana@example.org",
            "GF_SMTP_STARTTLS_POLICY": "NoStartTLS",
        }
        with StartedGrafana(tmp_path_factory.mktemp("grafana"), settings) as server:
            yield server
    else:
        yield Grafana(os.environ["GRAFANA_URL"], os.environ["GRAFANA_PASSWORD"])


@dataclass
class Installation:
    """A record and how the commands of a user reach the servers."""

    folder: Path
    registry: Registry
    settings: Settings
    environment: dict[str, str]
    start: int
    """First instant of the record [ms UTC]."""
    end: int
    """Its last [ms UTC]; the newest 14:17 of a working day in Wanzhou."""

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a ``greenmine`` command to its end."""
        done = subprocess.run(
            [Path(sys.executable).with_name("greenmine"), *arguments],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert not check or done.returncode == 0, (arguments, done.stdout[-2000:], done.stderr[-2000:])
        return done


@pytest.fixture(scope="session")
def installation(
    tmp_path_factory: pytest.TempPathFactory, influx: InfluxDB, grafana: Grafana, inboxes: Inboxes
) -> Installation:
    """Five mines over some days, up to a working day's afternoon not long ago."""
    folder = tmp_path_factory.mktemp("installation")
    registry = registry_of(folder / "registry")
    now = datetime.now(UTC)
    end = now.replace(hour=6, minute=17, second=0, microsecond=0)
    while end > now or end.weekday() > 4:
        end -= timedelta(days=1)
    stop = round(end.timestamp() * 1000)
    given = {
        "GREENMINE_DATA": str(folder / "data"),
        "GREENMINE_REGISTRY": str(folder / "registry"),
        "GREENMINE_PUBLIC_URL": "https://mines.example.org",
        "GREENMINE_INFLUX_URL": influx.url,
        "GREENMINE_INFLUX_ORG": ORG,
        "GREENMINE_INFLUX_ADMIN_TOKEN": influx.token,
        "GREENMINE_GRAFANA_URL": grafana.url,
        "GREENMINE_GRAFANA_PASSWORD": grafana.password,
        "GREENMINE_GRAFANA_ACCESS": str(inboxes.access_file(folder)),
    }
    settings = Settings.model_validate(
        Settings().model_dump() | {name.removeprefix("GREENMINE_").lower(): value for name, value in given.items()}
    )
    settings.data.mkdir()
    record = simulate(settings, registry, [site.id for site in registry.sites], stop - DAYS * DAY, stop, seed=1)
    _raise_dust(settings, record, stop)
    blast = {"site": "kunyin", "station": "boundary", "start": stop - 3 * HOUR, "end": stop - 2 * HOUR, "made": stop}
    with record.transaction() as connection:
        connection.execute(sa.insert(schema.mark).values(**blast, kind="blasting", reason="爆破", author="test"))
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GREENMINE_")}
    return Installation(folder, registry, settings, clean | given, stop - DAYS * DAY, stop)


def _raise_dust(settings: Settings, record: Record, end: int) -> None:
    """Let an exceedance of a legal limit be under way: four hours of dense dust, between the readings that are there."""
    pipeline = Pipeline(record.registry, record, now=end)
    builder = BatchBuilder(record.registry, settings)
    for time_of in range(end - 4 * HOUR + 150_000, end, 300_000):
        stamp = datetime.fromtimestamp(time_of / 1000, UTC).isoformat()
        builder.add(DUSTY, f'{{"v":1,"time":"{stamp}","values":{{"tsp":9.0}},"flags":{{}}}}'.encode(), time_of + 200)
    pipeline.commit(builder.finish(), end)
    pipeline.wait(end)


@pytest.fixture(scope="session")
def projected(installation: Installation, influx: InfluxDB) -> Iterator[Projecting]:
    """Buckets and tokens, made by the command, and a running projection that has caught up."""
    installation.run("influx", "provision")
    with Projecting(installation.settings, installation.registry) as projection:
        until(projection.caught_up, f"the projection; {projection.lines()[-3:]}", 600)
        for bucket, tokens in load_tokens(installation.settings).items():
            lines = "\n".join(sample(minute, installation.end, bucket) for minute in range(60)).encode()
            path = f"/api/v2/write?org={ORG}&bucket={bucket}&precision=ms"
            assert influx.call("POST", path, lines, token=tokens.write).status == 204
        yield projection


@dataclass
class Provisioned:
    """Grafana as the command made it; it was empty before where it was started here."""

    grafana: Grafana
    projection: Projecting
    """It goes on meanwhile."""
    said: str
    """By the command."""
    seconds: float
    """Duration of the command."""


@pytest.fixture(scope="session")
def provisioned(installation: Installation, projected: Projecting, grafana: Grafana) -> Provisioned:
    """Grafana, provisioned once by the command."""
    begun = time.monotonic()
    done = installation.run("grafana", "provision")
    return Provisioned(grafana, projected, done.stdout, time.monotonic() - begun)
