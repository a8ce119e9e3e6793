"""Whatever happens to InfluxDB or to the projection, nothing is lost and it catches up without help."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from greenmine.grafana.influx.influx import load_tokens
from greenmine.grafana.influx.influx_provision import provision
from greenmine.grafana.influx.influx_schema import DISTRICT, MEASUREMENTS, bucket_of
from greenmine.grafana.influx.projection import Projection
from greenmine.loading import load_registry
from greenmine.processing.rolling import hourly_statistics
from greenmine.record import schema
from greenmine.record.follower import heads
from greenmine.record.record import open_engine
from greenmine.record.rows import ROW
from greenmine.registry import Registry
from tests.influxing import RealInflux, real_influx, until
from tests.projecting import MONDAY, Mines, Projecting, projection_settings

KEPT = [m.name for m in MEASUREMENTS if not m.sample]
SITE = "jiuchi"
ADMIN = ("admin", "correct horse")

Points = dict[str, dict[tuple[tuple[str, Any], ...], dict[str, Any]]]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry()


def record_points(server: RealInflux, bucket: str = DISTRICT) -> Points:
    """Everything in a bucket that the record holds; not the samples of the moment."""
    return {name: points for name, points in server.export(bucket).items() if name in KEPT}


def fresh_points(mines: Mines, server: RealInflux) -> Points:
    """What a projection gives that has never been disturbed."""
    settings = projection_settings(mines.settings.data, server)
    for name in {c.bucket for c in Projection(settings, mines.registry, hourly_statistics).cursors.all()}:
        server.query(f'DROP DATABASE "{name}"')
    provision(settings, mines.registry)
    projection = Projection(settings, mines.registry, hourly_statistics)
    ends = heads(open_engine(settings.record_place, read_only=True))
    for name in projection.buckets:
        projection.cursors.reset(name, ends)
    while projection.turn():
        pass
    return record_points(server)


def test_killed_paused_and_emptied_under_load_it_catches_up(registry: Registry, tmp_path: Path) -> None:
    with real_influx(tmp_path / "influx") as server:
        mines = Mines(tmp_path / "data", registry, [SITE], 1.0)
        settings = projection_settings(tmp_path / "data", server)
        provision(settings, registry)
        with Projecting(settings, registry) as projecting:
            mines.go_on(2)
            until(projecting.cursors, "the first points")

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

            for bucket in (DISTRICT, bucket_of(SITE)):
                server.query(f'DROP DATABASE "{bucket}"')
            mines.go_on(2)
            until(lambda: projecting.cursors()[DISTRICT].generation > 0, "the discovery that the bucket is gone")
            projecting.await_all()

            projecting.kill()
            mines.pipeline.mark(
                SITE, "boundary", None, (MONDAY, MONDAY + 7_200_000), "calibration", "span", "staff", MONDAY + 10**8
            )
            projecting.start()
            mines.go_on()
            projecting.await_all()
        found = record_points(server)
        assert found == fresh_points(mines, server)
        assert len(found["reading"]) > 20_000


def test_a_bucket_emptied_between_two_writes_is_filled_again(registry: Registry, tmp_path: Path) -> None:
    with real_influx(tmp_path / "influx") as server:
        mines = Mines(tmp_path / "data", registry, [SITE], 0.1)
        mines.go_on()
        settings = projection_settings(tmp_path / "data", server)
        provision(settings, registry)
        projection = Projection(settings, registry, hourly_statistics, sample=0.0)
        while projection.turn():
            pass
        before, places = record_points(server), server.export(DISTRICT)["place"]
        assert len(places) == sum(len(site.stations) for site in registry.sites)
        server.query(f'DROP DATABASE "{DISTRICT}"; CREATE DATABASE "{DISTRICT}"')
        for _ in range(2):  # it looks twice before it believes that a bucket was emptied
            while projection.turn():
                pass
        assert record_points(server) == before
        assert server.export(DISTRICT)["place"] == places
        assert [c.bucket for c in projection.cursors.all() if c.generation] == [DISTRICT]


def test_a_point_that_influxdb_refuses_holds_up_no_other(registry: Registry, tmp_path: Path) -> None:
    with real_influx(tmp_path / "influx") as server:
        mines = Mines(tmp_path / "data", registry, [SITE], 0.1)
        mines.go_on()
        row = np.array([(2**60, 1.0, ord("N"), 0)], ROW)  # a time that InfluxDB cannot hold
        block = {"channel": 1, "hour": 2**60 // 3_600_000, "count": 1, "received": 0, "data": row.tobytes()}
        with mines.engine.begin() as connection:
            connection.execute(sa.insert(schema.reading_block), block)
            stored = connection.scalar(sa.select(sa.func.sum(schema.reading_block.c.count)))
        settings = projection_settings(tmp_path / "data", server)
        provision(settings, registry)
        projection = Projection(settings, registry, hourly_statistics)
        while projection.turn():
            pass
        assert len(record_points(server)["reading"]) == stored - 1
        assert {c.refused for c in projection.cursors.all() if c.bucket in {DISTRICT, bucket_of(SITE)}} == {1}


def test_a_full_influxdb_is_waited_for(registry: Registry, tmp_path: Path) -> None:
    full = "cache-max-memory-size = 200000\ncache-snapshot-memory-size = 1000000000\n"
    with real_influx(tmp_path / "influx", data=full) as server:
        mines = Mines(tmp_path / "data", registry, [SITE], 0.2)
        mines.go_on()
        settings = projection_settings(tmp_path / "data", server)
        provision(settings, registry)
        with Projecting(settings, registry) as projecting:
            until(lambda: projecting.cursors().get(DISTRICT) and projecting.cursors()[DISTRICT].trouble, "a refusal")
            assert "cache-max-memory-size" in projecting.cursors()[DISTRICT].trouble
            server.kill()
            server.configuration.write_text(server.configuration.read_text().replace(full, ""))
            server.start()
            projecting.await_all()
            assert all(not c.refused for c in projecting.cursors().values())
        assert record_points(server) == fresh_points(mines, server)


def test_without_valid_tokens_it_waits_and_a_read_token_opens_one_bucket(registry: Registry, tmp_path: Path) -> None:
    with real_influx(tmp_path / "influx", auth=True) as server:
        server.query(f"CREATE USER {ADMIN[0]} WITH PASSWORD '{ADMIN[1]}' WITH ALL PRIVILEGES")
        mines = Mines(tmp_path / "data", registry, [SITE], 0.05)
        mines.go_on()
        settings = projection_settings(tmp_path / "data", server)
        with_admin = projection_settings(tmp_path / "data", server, influx_admin_token=":".join(ADMIN))
        with Projecting(settings, registry) as projecting:
            until(lambda: projecting.cursors().get(DISTRICT) and projecting.cursors()[DISTRICT].trouble, "a refusal")
            assert "401" in projecting.cursors()[DISTRICT].trouble
            assert provision(with_admin, registry)
            assert provision(with_admin, registry) == []
            projecting.await_all()
        tokens = load_tokens(settings)
        statement = "SELECT count(value) FROM reading"
        reader = tuple(tokens[bucket_of(SITE)].read.split(":"))
        assert server.query(statement, bucket_of(SITE), user=reader)[0]["series"]
        with pytest.raises(AssertionError, match="not authorized"):
            server.query(statement, DISTRICT, user=reader)
        with pytest.raises(AssertionError, match="authorized"):
            server.query("DROP SERIES FROM reading", bucket_of(SITE), user=reader)
        assert {path.stat().st_mode & 0o777 for path in (tmp_path / "data").glob("influx-tokens.json")} == {0o600}


def test_a_bucket_that_is_refused_alone_falls_behind_alone_and_catches_up(registry: Registry, tmp_path: Path) -> None:
    with real_influx(tmp_path / "influx", auth=True) as server:
        server.query(f"CREATE USER {ADMIN[0]} WITH PASSWORD '{ADMIN[1]}' WITH ALL PRIVILEGES")
        server.user = ADMIN
        mines = Mines(tmp_path / "data", registry, [SITE], 1.0)
        mines.go_on(20)
        settings = projection_settings(tmp_path / "data", server)
        provision(projection_settings(tmp_path / "data", server, influx_admin_token=":".join(ADMIN)), registry)
        own = bucket_of(SITE)
        writer = load_tokens(settings)[own].write.split(":")[0]
        with Projecting(settings, registry) as projecting:
            projecting.await_all()
            server.query(f'REVOKE ALL ON "{own}" FROM "{writer}"')
            mines.go_on()
            until(lambda: projecting.caught_up(DISTRICT), "the district's bucket to go on")
            assert "not authorized" in projecting.cursors()[own].trouble
            assert not projecting.caught_up(own)
            server.query(f'GRANT ALL ON "{own}" TO "{writer}"')
            projecting.await_all()
        district = record_points(server)
        assert record_points(server, own) == district


def test_what_is_restated_leaves_nothing_of_what_was_written_before(registry: Registry, tmp_path: Path) -> None:
    with real_influx(tmp_path / "influx") as server:
        mines = Mines(tmp_path / "data", registry, ["hengjie"], 1.0)
        mines.go_on()
        episode = schema.exceedance
        with mines.engine.begin() as connection:
            connection.execute(sa.update(episode).values(end=episode.c.start + 10_800_000, state="closed"))
        settings = projection_settings(tmp_path / "data", server)
        provision(settings, registry)
        projection = Projection(settings, registry, hourly_statistics)
        while projection.turn():
            pass
        before = record_points(server)
        assert before["exceedance"]
        restate_by_hand(mines.engine)
        while projection.turn():
            pass
        after = record_points(server)
        assert {name for name in after if after[name] != before[name]} >= {
            "exceedance",
            "sliding",
            "rolling",
            "statistic",
        }
        assert {fields["state"] for fields in after["exceedance"].values()} >= {"superseded"}
        assert after == fresh_points(mines, server)


def restate_by_hand(engine: sa.Engine) -> None:
    """Give the first episode another start and let it go on, and take their values from a few hours and figures."""
    episode, earlier, hour = schema.exceedance, schema.exceedance_revision, schema.sliding_hour
    figure = schema.statistic
    with engine.begin() as connection:
        serial = 1 + max(connection.scalar(sa.select(sa.func.max(t.c.serial))) for t in (episode, hour, figure))
        old = connection.execute(sa.select(episode).limit(1)).mappings().one()
        connection.execute(sa.insert(earlier), {c.name: old[c.name] for c in earlier.columns})
        new = {
            "start": old["start"] - 7_200_000,
            "end": None,
            "state": "open",
            "revision": old["revision"] + 1,
            "serial": serial,
        }
        connection.execute(sa.update(episode).where(episode.c.id == old["id"]).values(new))
        first = connection.scalar(sa.select(sa.func.min(hour.c.hour)))
        silent = {"assessable": 0, "above": 0, "worst": None, "serial": serial}
        connection.execute(sa.update(hour).where(hour.c.hour <= first + 2).values(silent))
        rows = (
            connection.execute(sa.select(figure).where(figure.c.latest, figure.c.window == "hour").limit(5))
            .mappings()
            .all()
        )
        for row in rows:
            where = [figure.c[n] == row[n] for n in ("channel", "window", "start", "revision")]
            connection.execute(sa.update(figure).where(*where).values(latest=False))
            lost = {"mean": None, "minimum": None, "maximum": None, "valid": False, "count": 0}
            connection.execute(sa.insert(figure), {**row, **lost, "revision": row["revision"] + 1, "serial": serial})
