"""`greenmine demo` where Grafana and InfluxDB are installed: both started, filled, and ended with it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import psutil

from tests.influxing import until
from tests.ports import free_port
from tests.real.servers import ORG, Grafana, StartedGrafana, StartedInfluxDB, shipped
from tests.system.running import COMMAND

PATIENCE = 300.0
"""Until Grafana has all its tables and dashboards, on a busy machine [s]."""
NEWEST = 'SELECT last("code") FROM "health" GROUP BY "site"'


def test_the_demo_shows_the_boards_to_supervisor_and_enterprise(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "influxd").symlink_to(os.environ["INFLUXD_BIN"])
    (programs / "grafana").symlink_to(os.environ["GRAFANA_BIN"])
    given = {"PATH": f"{programs}:{os.environ['PATH']}", "GF_PATHS_HOME": os.environ["GRAFANA_HOME"]}
    data, log = tmp_path / "var", tmp_path / "log"
    command = [COMMAND, "demo", "--days", "0.2", "--data", str(data), "--port", str(free_port())]
    with log.open("wb") as out:
        demo = subprocess.Popen(command, cwd=tmp_path, env={**os.environ, **given}, stdout=out, stderr=out)
    try:

        def told() -> re.Match[str] | None:
            assert demo.poll() is None, log.read_text()
            return re.search(r"Grafana: (http://127\.0\.0\.1:\d+)", log.read_text())

        until(told, f"Grafana's address: {log.read_text()}", PATIENCE)
        found = told()
        assert found is not None
        passwords = json.loads((data / "demo-accounts").read_text())
        for name, sites in (("supervisor", 5), ("kunyin", 1)):
            grafana = Grafana(found[1], passwords[name])
            until(lambda g=grafana, n=name, s=sites: len(seen(g, n)) == s, f"the mines of {name}", PATIENCE)
        assert [(data / name).stat().st_mode & 0o777 for name in ("demo-boards", "boards")] == [0o600, 0o700]
    finally:
        servers = [p for p in psutil.Process(demo.pid).children(recursive=True) if p.name() in {"influxd", "grafana"}]
        demo.send_signal(signal.SIGINT)
        assert demo.wait(60) == 0
    assert len(servers) == 2
    until(lambda: not any(server.is_running() for server in servers), "both servers to end")


def test_the_demo_fills_a_grafana_that_is_named_to_it(tmp_path: Path) -> None:
    data, log = tmp_path / "var", tmp_path / "log"
    with (
        StartedInfluxDB(tmp_path / "influx", shipped("influxdb")) as influx,
        StartedGrafana(tmp_path / "grafana", shipped("grafana")) as grafana,
    ):
        known = {"login": "kunyin", "password": grafana.password}
        assert grafana.call("POST", "/api/admin/users", known).status == 200
        given = {
            "GREENMINE_GRAFANA_PASSWORD": grafana.password,
            "GREENMINE_INFLUX_URL": influx.url,
            "GREENMINE_INFLUX_ORG": ORG,
            "GREENMINE_INFLUX_ADMIN_TOKEN": influx.token,
        }
        command = [
            COMMAND,
            "demo",
            "--days",
            "0.2",
            "--data",
            str(data),
            "--port",
            str(free_port()),
            "--grafana",
            grafana.url,
        ]
        with log.open("wb") as out:
            demo = subprocess.Popen(command, cwd=tmp_path, env={**os.environ, **given}, stdout=out, stderr=out)
        try:

            def told() -> bool:
                assert demo.poll() is None, log.read_text()
                return "they keep the passwords they had: kunyin\n" in log.read_text()

            until(told, f"Grafana's address, and who has a password: {log.read_text()}", PATIENCE)
            assert f"Grafana: {grafana.url}  (sign in as supervisor" in log.read_text()
            passwords = json.loads((data / "demo-accounts").read_text())
            for name, sites in (("supervisor", 5), ("hengjie", 1)):
                theirs = Grafana(grafana.url, passwords[name])
                until(lambda g=theirs, n=name, s=sites: len(seen(g, n)) == s, f"the mines of {name}", PATIENCE)
        finally:
            demo.send_signal(signal.SIGINT)
            assert demo.wait(60) == 0
        assert influx.process.poll() is None
        assert grafana.process.poll() is None


def seen(grafana: Grafana, name: str) -> set[str]:
    """Mines that an account sees."""
    account = (name, grafana.password)
    (org,) = grafana.get("/api/user/orgs", account=account)
    query = {"refId": "A", "query": NEWEST, "rawQuery": True, "resultFormat": "table"}
    body = {
        "queries": [query | {"datasource": {"type": "influxdb", "uid": "greenmine-influx"}}],
        "from": "now-2d",
        "to": "now",
    }
    answer = grafana.call("POST", "/api/ds/query", body, org=org["orgId"], account=account).json()
    frames = answer["results"]["A"].get("frames", [])
    return {str(site) for frame in frames for site in frame["data"]["values"][1]} if frames else set()
