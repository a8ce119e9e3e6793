"""`greenmine cluster` on real nats-servers: what it makes is what they run by, and what loses readings is refused."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenmine.cli import cluster
from greenmine.cli.credentials import add
from greenmine.cli.doctor import CHECKS
from greenmine.cli.init import init
from greenmine.collector.jetstream.configuration import OLDEST
from greenmine.collector.jetstream.connection import SOURCE, STREAM
from greenmine.collector.jetstream.inspection import _setup_faults
from greenmine.collector.jetstream.streams import deviations, wanted_streams
from greenmine.loading import load_registry
from greenmine.settings import Settings
from tests.nats_servers import NatsCluster, nats_program

COMMAND = Path(sys.executable).with_name("greenmine")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    """A server without streams."""
    with NatsCluster(tmp_path_factory.mktemp("cluster-command"), load_registry(), streams=False) as running:
        yield running


@pytest.fixture
def configured(log: NatsCluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The environment of a worker's machine."""
    monkeypatch.chdir(tmp_path)
    for name, value in log.settings().items():
        monkeypatch.setenv(f"GREENMINE_{name.upper()}", str(value or ""))
    for account in ("operator", "monitor"):
        monkeypatch.setenv(f"GREENMINE_JETSTREAM_{account.upper()}_PASSWORD", log.passwords[account])


def findings() -> list[str]:
    return [finding.what for finding in CHECKS["log"](Settings())]


@pytest.mark.usefixtures("configured")
def test_streams_are_made_once_and_the_doctor_then_finds_nothing(
    log: NatsCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    assert findings() == [f"there is no stream {SOURCE}", f"there is no stream {STREAM}"]
    cluster.apply(dry_run=True)
    assert capsys.readouterr().out == f"would change  made {SOURCE}\nwould change  made {STREAM}\n"
    assert len(findings()) == 2
    cluster.apply()
    assert capsys.readouterr().out == f"changed  made {SOURCE}\nchanged  made {STREAM}\n"
    assert findings() == []
    cluster.apply()
    assert capsys.readouterr().out == "the streams are as they should be\n"
    log.ask(f"STREAM.UPDATE.{STREAM}", {**log.info(STREAM)["config"], "max_age": 3_600_000_000_000})
    assert findings() == [f"max_age of stream {STREAM} is 0.0416667 d, not 7 d"]
    cluster.apply()
    assert findings() == []
    log.ask(f"STREAM.UPDATE.{STREAM}", {**log.info(STREAM)["config"], "sources": None})
    assert findings() == [f"stream {STREAM} does not source {SOURCE}"]
    cluster.apply()
    assert findings() == []


@pytest.mark.usefixtures("configured")
def test_a_server_that_acknowledges_before_its_disk_is_sure_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with NatsCluster(tmp_path / "careless", load_registry(), streams=False, careless=True) as careless:
        for name, value in careless.settings().items():
            monkeypatch.setenv(f"GREENMINE_{name.upper()}", str(value or ""))
        for account in ("operator", "monitor"):
            monkeypatch.setenv(f"GREENMINE_JETSTREAM_{account.upper()}_PASSWORD", careless.passwords[account])
        assert any("its sync_interval is not always" in what for what in findings())
        with pytest.raises(SystemExit, match="set sync_interval: always"):
            cluster.apply()


@pytest.mark.usefixtures("configured")
def test_a_server_that_is_not_there_and_an_account_that_is_not_let_in_are_told(
    log: NatsCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GREENMINE_JETSTREAM", f"{log.settings()['jetstream']},nats://127.0.0.1:1")
    assert any(what == "1 of 2 nats-servers answer" for what in findings())
    monkeypatch.setenv("GREENMINE_BROKER_PASSWORD", "wrong")
    assert any(what.startswith("no nats-server is reached") for what in findings())


@pytest.mark.parametrize(
    ("version", "faults"), [("2.9.10", 1), ("2.13.99", 1), ("2.14.0", 0), ("2.15.0-RC.1", 0), ("10.0.1", 0)]
)
def test_a_server_that_is_too_old_is_refused(version: str, faults: int) -> None:
    answer = {"server": {"name": "n0", "ver": version}, "data": {"jetstream": {"config": {"sync_always": True}}}}
    assert len(_setup_faults(answer)) == faults
    assert OLDEST == (2, 14)


def test_a_stream_of_nats_servers_own_making_deviates() -> None:
    wanted = wanted_streams(7, 1)[SOURCE]
    assert deviations(wanted, {**wanted, "retention": "interest"}) == [
        f"retention of stream {SOURCE} is interest, not limits"
    ]


def made(folder: Path, nodes: list[str]) -> Path:
    init(folder, host=["localhost"], group=str(os.getgid()), without_docker=True)
    cluster.init(folder, node=nodes)
    return folder / "cluster"


@pytest.mark.parametrize("nodes", [["n1=10.0.0.1"], ["a=10.0.0.1", "b=10.0.0.2", "c=mines.example"]], ids=len)
def test_nats_server_takes_the_configuration_of_each_node(tmp_path: Path, nodes: list[str]) -> None:
    folder = made(tmp_path, nodes)
    for node in nodes:
        file = folder / node.partition("=")[0] / "nats-server.conf"
        done = subprocess.run([nats_program(), "-t", "-c", str(file)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert file.read_text().count("sync_interval: always") == 1


def test_units_of_a_cluster_pass_systemds_own_check(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    units = sorted(made(tmp_path, ["n1=10.0.0.1"]).glob("*.service"))
    assert [unit.stem for unit in units] == ["greenmine-gateway", "greenmine-nats@", "greenmine-worker@"]
    # Programs that are not installed on this machine are no fault of the units.
    programs = re.compile(r"^ExecStart=\S+", re.MULTILINE)
    for unit in units:
        unit.write_text(programs.sub("ExecStart=/bin/true", unit.read_text()))
    run = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *units]
    said = subprocess.run(run, capture_output=True, text=True, check=False)
    assert [line for line in said.stderr.splitlines() if "greenmine" in line] == []


@pytest.mark.parametrize("partitions", [None, 16])
def test_settings_say_into_how_many_partitions_the_mines_fall(
    tmp_path: Path, partitions: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    init(tmp_path, host=["localhost"], group=str(os.getgid()), without_docker=True)
    cluster.init(tmp_path, node=["n1=10.0.0.1"], partitions=partitions)
    for line in (tmp_path / "cluster" / "settings.env").read_text().splitlines():
        monkeypatch.setenv(*line.split("=", 1))
    assert Settings().partitions == (partitions or 1)


def test_the_second_time_changes_nothing_and_passwords_stay(tmp_path: Path) -> None:
    folder = made(tmp_path, ["n1=10.0.0.1"])
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.name != ".lock"}
    cluster.init(tmp_path, node=["n1=10.0.0.1"])
    assert {path: path.read_bytes() for path in before} == before
    assert '"collector"' in (folder / "accounts.conf").read_text()
    assert (tmp_path / "secrets" / "greenmine_broker_password").read_text() not in (
        folder / "accounts.conf"
    ).read_text()


def test_a_device_gets_an_account_with_its_own_subjects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made(tmp_path, ["n1=10.0.0.1"])
    monkeypatch.setenv("GREENMINE_JETSTREAM", "nats://127.0.0.1:4222")
    monkeypatch.setenv("GREENMINE_BROKER_FILES", str(folder))
    add("yanjing/weather")
    assert "password" in capsys.readouterr().out
    line = next(text for text in (folder / "accounts.conf").read_text().splitlines() if '"yanjing/weather"' in text)
    assert '"publish": ["greenmine.v1.yanjing.weather.readings", "greenmine.v1.yanjing.weather.status"' in line
    assert '"subscribe": {"deny": ">"}' in line


def test_a_gateway_may_put_frames_into_the_log_and_read_nothing(tmp_path: Path) -> None:
    folder = made(tmp_path, ["n1=10.0.0.1"])
    line = next(text for text in (folder / "accounts.conf").read_text().splitlines() if '"user": "gateway"' in text)
    account = json.loads(line)
    assert account["permissions"] == {
        "publish": "$MQTT.msgs.greenmine.v1.*.*.hj212", "subscribe": "_INBOX_gateway.>"
    }  # fmt: skip
    assert account["allowed_connection_types"] == ["STANDARD"]
    assert (tmp_path / "secrets" / "greenmine_jetstream_gateway_password").stat().st_mode & 0o007 == 0


@pytest.mark.parametrize("nodes", [["10.0.0.1"], ["a=1", "a=2"], ["a=1", "b=2"], ["a b=1"], ["=1"]])
def test_nodes_that_cannot_be_are_refused(tmp_path: Path, nodes: list[str]) -> None:
    with pytest.raises(SystemExit, match="greenmine cluster init"):
        cluster.init(tmp_path, node=nodes)


def test_more_partitions_than_the_settings_take_are_refused(tmp_path: Path) -> None:
    made(tmp_path, ["n1=10.0.0.1"])
    with pytest.raises(SystemExit, match="greenmine cluster init: --partitions 1025: from 1 to 1024"):
        cluster.init(tmp_path, node=["n1=10.0.0.1"], partitions=1_025)


def test_an_installation_without_an_authority_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="greenmine init --without-docker makes one"):
        cluster.init(tmp_path, node=["n1=10.0.0.1"])


def test_the_command_says_what_it_needs(tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GREENMINE_")}
    done = subprocess.run(
        [COMMAND, "cluster", "apply"], capture_output=True, text=True, check=False, cwd=tmp_path, env=clean
    )
    assert done.returncode == 1
    assert "GREENMINE_JETSTREAM_OPERATOR_PASSWORD" in done.stderr
