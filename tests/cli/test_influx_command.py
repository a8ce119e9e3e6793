"""The commands of the projection, and its place beside the other processes."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import httpx
import pytest

from greenmine.api.app import create_app
from greenmine.cli import app, processes
from greenmine.cli.processes import Processes
from greenmine.grafana.influx.influx_provision import provision
from greenmine.grafana.influx.influx_schema import DISTRICT, bucket_of
from greenmine.loading import load_registry
from greenmine.settings import Settings
from tests.api.signing import bearer, token_for
from tests.influxing import RealInflux, real_influx, until
from tests.projecting import Mines, Projecting, projection_settings

SITE = "jiuchi"


def run(*words: str) -> None:
    app(list(words), result_action="return_value")


def count(server: RealInflux, bucket: str) -> int:
    rows = server.rows("SELECT count(value) FROM reading", bucket)
    return rows[0]["count"] if rows else 0


@pytest.mark.parametrize("elsewhere", [False, True])
def test_rebuild_makes_a_bucket_anew_by_itself_or_through_the_projection_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, elsewhere: bool
) -> None:
    registry = load_registry()
    with real_influx(tmp_path / "influx") as server:
        mines = Mines(tmp_path / "data", registry, [SITE], 0.05)
        mines.go_on()
        settings = projection_settings(tmp_path / "data", server)
        provision(settings, registry)
        monkeypatch.setenv("GREENMINE_INFLUX_URL", server.url)
        monkeypatch.setenv("GREENMINE_INFLUX_VERSION", "1")
        run("influx", "rebuild", "--data", str(settings.data))
        whole = count(server, bucket_of(SITE))
        assert whole > 1000
        assert count(server, DISTRICT) == whole
        server.query("DROP SERIES FROM reading", bucket_of(SITE))
        server.query("DROP SERIES FROM reading", DISTRICT)
        given = ("influx", "rebuild", "--data", str(settings.data), "--enterprise", SITE)
        if elsewhere:
            with Projecting(settings, registry):
                run(*given)
        else:
            run(*given)
        assert (count(server, bucket_of(SITE)), count(server, DISTRICT)) == (whole, 0)
    assert bucket_of(SITE) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--enterprise", "nobody"), "there is no enterprise 'nobody'; there are"),
        (("--from", "yesterday"), "'yesterday' is not an ISO 8601 time"),
        ((), "unable to open database file"),
    ],
)
def test_a_rebuild_that_cannot_be_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    monkeypatch.setenv("GREENMINE_INFLUX_URL", "http://127.0.0.1:1")
    with pytest.raises(SystemExit, match=said):
        run("influx", "rebuild", "--data", str(tmp_path), *words)


@pytest.mark.parametrize("command", ["project", "rebuild", "provision"])
def test_without_an_address_the_commands_say_which_setting_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.delenv("GREENMINE_INFLUX_URL", raising=False)
    with pytest.raises(SystemExit, match="GREENMINE_INFLUX_URL"):
        run("influx", command, "--data", str(tmp_path))


def test_metrics_tell_the_lag_even_when_the_projection_does_not_run(tmp_path: Path) -> None:
    registry = load_registry()
    with real_influx(tmp_path / "influx") as server:
        mines = Mines(tmp_path / "data", registry, [SITE], 0.05)
        mines.go_on(1)
        settings = projection_settings(tmp_path / "data", server)
        provision(settings, registry)
        with Projecting(settings, registry) as projecting:
            projecting.await_all()
        assert metrics(settings) == {"lag_seconds": 0.0, "backlog": 0.0}
        mines.go_on()
        found = metrics(settings)
        assert found["backlog"] > 0
        assert found["lag_seconds"] > 1000, "the simulated days lie in the past"


def metrics(settings: Settings) -> dict[str, float]:
    application = create_app(settings, load_registry())

    async def ask() -> str:
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            return (await client.get("/metrics", headers=bearer(token_for(settings.data)))).text

    prefix, follower = "greenmine_follower_", f'"projection/{DISTRICT}"'
    lines = [line for line in asyncio.run(ask()).splitlines() if line.startswith(prefix) and follower in line]
    found = {line.removeprefix(prefix).partition("{")[0]: float(line.split()[-1]) for line in lines}
    return {name: found[name] for name in ("lag_seconds", "backlog")}


def test_a_process_aside_that_is_killed_is_started_again_and_ends_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_REST", 0.0)
    with Processes() as running:
        running.start_aside("idler", "tests.projecting:idle", Settings(data=tmp_path))
        noted = tmp_path / "pids"
        until(lambda: noted.exists() and noted.read_text().endswith("\n"), "its start")
        os.kill(int(noted.read_text()), signal.SIGKILL)

        def again() -> bool:
            running.check()
            time.sleep(0.01)
            return len(noted.read_text().split()) == 2

        until(again, "its second start")
