"""docker-compose.yml and the Dockerfile: their linters, what they promise, and their services started for real.

The images of InfluxDB 2 and Grafana cannot be had here, nor a container engine: those two are only checked as text.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import sqlite3
import ssl
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from greenmine.cli import app
from greenmine.cli.init import init
from tests.system.composed import FILE, ROOT, Composition, document, variables
from tests.system.deployed import Client
from tests.system.running import RestartableBroker, until

BIN = Path(sys.executable).parent
OURS = (
    "ingress",
    "worker",
    "api",
    "influxdb-provision",
    "projection",
    "grafana-provision",
    "simulator",
    "tools",
    "backup",
    "notifier",
)
RUNNING = ("broker", "ingress", "worker", "api", "proxy")


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installation")
    init(folder, host=["localhost"], group=str(os.getgid()), simulator=True)
    return folder


@pytest.fixture(scope="module")
def compose(installation: Path) -> dict[str, Any]:
    return document(variables(installation / ".env"))


def required(program: str, package: str) -> str:
    """A program of Debian's: a laptop without it skips, continuous integration fails."""
    found = shutil.which(program, path=os.pathsep.join((os.environ["PATH"], "/usr/sbin")))
    if found is None:
        missing = f"{program} is not installed; on Debian: apt-get install {package}"
        if "CI" in os.environ:
            pytest.fail(missing)
        pytest.skip(missing)
    return found


def test_compose_accepts_the_file(installation: Path) -> None:
    run = [required("docker-compose", "docker-compose"), "-f", FILE, "--env-file", installation / ".env", "config"]
    said = subprocess.run(run, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (said.returncode, said.stderr) == (0, "")


def test_compose_refuses_to_start_before_init(tmp_path: Path) -> None:
    (tmp_path / ".env").touch()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GREENMINE_")}
    run = [required("docker-compose", "docker-compose"), "-f", FILE, "--env-file", tmp_path / ".env", "config"]
    said = subprocess.run(run, capture_output=True, text=True, check=False, env=clean)
    assert said.returncode != 0
    assert "run greenmine init first" in said.stderr


def test_the_dockerfile_passes_its_linter() -> None:
    said = subprocess.run([BIN / "hadolint", ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout) == (0, "")


def test_the_compose_file_passes_the_security_linter_but_for_what_is_meant() -> None:
    run = [BIN / "compose-lint", "check", "--format", "json", FILE]
    found = json.loads(subprocess.run(run, capture_output=True, text=True, check=False).stdout)["findings"]
    meant = {
        ("CL-0019", None),  # digests cannot be looked up where this is written; docs/deploy.md says how to add them
        ("CL-0005", "ingress"),  # devices reach it
        ("CL-0005", "proxy"),  # people reach it
    }
    others = [
        each
        for each in found
        if not {(each["rule_id"], None), (each["rule_id"], each["service"])} & meant
        # The directory in which the secrets lie is none itself.
        and "'GREENMINE_SECRETS'" not in each["message"]
    ]
    assert found
    assert others == []


def test_everything_is_pinned(compose: dict[str, Any]) -> None:
    images = [service["image"] for service in compose["services"].values()]
    images += re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert [image for image in images if not re.search(r":\d+\.\d+\.\d+", image)] == []


def test_every_service_is_confined(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert {"mem_limit", "cpus", "pids_limit"} <= service.keys(), name
        assert "privileged" not in service, name
        assert "build" in service or service["user"].split(":")[0] not in {"0", "root"}, name
        assert (
            not {"healthcheck"} - service.keys()
            or service.get("restart") in {"no", "on-failure"}
            or name in {"projection", "notifier", "simulator", "grafana-provision"}
        )
    assert "\nUSER $ID:$ID\n" in (ROOT / "Dockerfile").read_text()


def test_only_three_ports_are_open_and_networks_lead_nowhere_else(compose: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}
    assert published == {"ingress": ["8883:8882"], "proxy": ["443:8443", "3443:3443"]}
    outward = {name for name, network in compose["networks"].items() if not network.get("internal")}
    reaching = {n for n, service in compose["services"].items() if outward & set(service.get("networks", ()))}
    assert reaching == {"ingress", "proxy", "grafana", "notifier"}
    assert all("networks" in s or s["network_mode"] == "none" for s in compose["services"].values())


def test_grafana_sends_mail_by_the_server_of_the_notifications(installation: Path) -> None:
    mail = {"GREENMINE_SMTP_HOST": "mail.example.org", "GREENMINE_SMTP_FROM": "mines@example.org"}
    settings = document(variables(installation / ".env") | mail)["services"]["grafana"]["environment"]
    assert (settings["GF_SMTP_ENABLED"], settings["GF_SMTP_HOST"]) == ("true", "mail.example.org:587")
    assert settings["GF_SMTP_FROM_ADDRESS"] == "mines@example.org"


def test_no_secret_stands_in_the_file_or_in_an_environment(compose: dict[str, Any], installation: Path) -> None:
    secrets = [path.read_text() for path in (installation / "secrets").iterdir()]
    text = json.dumps(compose)
    assert not any(secret in text for secret in secrets)
    assert not any(secret in (installation / ".env").read_text() for secret in secrets)
    for service in compose["services"].values():
        for name, value in service.get("environment", {}).items():
            assert not re.search(r"PASSWORD|TOKEN|KEY", name) or value == "true" or value.startswith("/run/secrets/")


def test_what_is_mounted_is_made_by_init_and_readable_by_the_group(compose: dict[str, Any], installation: Path) -> None:
    mounted = {secret["file"] for secret in compose["secrets"].values()}
    for service in compose["services"].values():
        mounted |= {m.split(":")[0] for m in service.get("volumes", []) if m.startswith("./")}
        names = [s if isinstance(s, str) else s["source"] for s in service.get("secrets", [])]
        assert set(names) <= compose["secrets"].keys()
    files = [path for name in mounted for path in (installation / name, *(installation / name).rglob("*"))]
    assert len(files) > 20
    assert [path for path in files if not path.stat().st_mode & stat.S_IRGRP] == []
    assert not any("ca.key" in str(path) for path in files)


def test_volumes_networks_and_dependencies_exist(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        named = {m.split(":")[0] for m in service.get("volumes", []) if not m.startswith(".")}
        assert named <= compose["volumes"].keys()
        assert set(service.get("networks", ())) <= compose["networks"].keys()
        assert service.get("depends_on", {}).keys() <= compose["services"].keys()
        for other, how in service.get("depends_on", {}).items():
            assert how["condition"] != "service_healthy" or "healthcheck" in compose["services"][other]


@pytest.mark.parametrize("name", OURS)
def test_the_command_of_a_service_exists(compose: dict[str, Any], name: str) -> None:
    command = compose["services"][name]["command"]
    if command[0] not in list(app):
        pytest.skip(f"there is no command {command[0]} yet")
    app.parse_args(command, exit_on_error=False, print_error=False)


def test_all_services_of_ours_are_named_here(compose: dict[str, Any]) -> None:
    assert {name for name, service in compose["services"].items() if "build" in service} == set(OURS)


def test_the_build_gets_all_packages_and_no_secret() -> None:
    copied = set(re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    sources = {source for line in copied for source in line.split()}
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert sources == allowed
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "bench"}
    assert packages <= allowed
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"


def test_our_image_has_a_folder_of_its_user_for_every_volume(compose: dict[str, Any]) -> None:
    made = re.search(r"install -d -o greenmine .* -m 0750 (.*)", (ROOT / "Dockerfile").read_text())
    assert made is not None
    for name in OURS:
        for mount in compose["services"][name].get("volumes", []):
            source, target = mount.split(":")[:2]
            assert source.startswith(".") or target in made[1].split(), (name, target)


@pytest.fixture(scope="module")
def running(
    installation: Path,
    brokers: type[RestartableBroker],  # noqa: ARG001 - the need for Mosquitto
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Composition]:
    """Broker, ingress, worker, api and proxy, as docker-compose.yml describes them."""
    required("mosquitto_sub", "mosquitto-clients")
    required("nginx", "nginx-light")
    composition = Composition(installation, tmp_path_factory.mktemp("state"))
    broker, ingress, worker, api, proxy = map(composition.service, RUNNING)
    broker.localise("/mosquitto/config/mosquitto.conf")
    broker.localise("/mosquitto/config/start.sh")
    proxy.localise("/etc/greenmine/nginx.conf")
    with ExitStack() as stack:
        for service in (broker, ingress, worker, api, proxy):
            stack.enter_context(service)
            waited_for = service

            def healthy() -> bool:
                assert waited_for.process.poll() is None, waited_for.log.read_text()  # noqa: B023 - used at once
                time.sleep(0.3)  # a check costs the service time
                return waited_for.check().returncode == 0  # noqa: B023

            until(healthy, f"{service.name} to be healthy")
        yield composition


@pytest.mark.parametrize("name", RUNNING)
def test_a_service_that_is_absent_is_not_healthy(running: Composition, name: str, tmp_path: Path) -> None:
    assert Composition(running.installation, tmp_path).service(name).check().returncode != 0


def test_the_pages_come_over_tls_by_the_proxy_and_from_the_worker(running: Composition, installation: Path) -> None:
    context = ssl.create_default_context(cafile=installation / "authority" / "ca.crt")
    address = f"https://localhost:{running.ports['8443']}/healthz"
    with urllib.request.urlopen(address, context=context, timeout=10) as answer:
        health = json.load(answer)
    assert health["state"] == "running"
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        urllib.request.urlopen(address, context=ssl.create_default_context(), timeout=10)


def test_a_page_comes_whole_by_the_proxy(running: Composition, installation: Path) -> None:
    context = ssl.create_default_context(cafile=installation / "authority" / "ca.crt")
    for name in ("/static/style.css", "/static/vega.js"):
        direct = urllib.request.urlopen(f"http://127.0.0.1:{running.ports['8000']}{name}", timeout=20).read()
        proxied = urllib.request.urlopen(
            f"https://localhost:{running.ports['8443']}{name}", context=context, timeout=20
        )
        assert len(direct) > 1000
        assert proxied.read() == direct
        assert "content-security-policy" in proxied.headers


def test_the_door_to_grafana_is_there_and_says_when_nobody_is_behind_it(
    running: Composition, installation: Path
) -> None:
    context = ssl.create_default_context(cafile=installation / "authority" / "ca.crt")
    with pytest.raises(urllib.error.HTTPError, match="502"):
        urllib.request.urlopen(f"https://localhost:{running.ports['3443']}/", context=context, timeout=10)


def test_proxy_broker_and_ingress_speak_no_plain_text(running: Composition) -> None:
    for port in ("8443", "8883", "8882"):
        with socket.create_connection(("localhost", int(running.ports[port])), timeout=5) as plain:
            plain.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = b""
            with suppress(ConnectionResetError):
                answer = plain.recv(100)
        assert not answer.startswith(b"HTTP/1.1 200")


def test_a_device_comes_in_over_tls_by_the_ingress(running: Composition, installation: Path) -> None:
    password = (installation / "secrets" / "broker_monitor_password").read_text()
    trusting = ssl.create_default_context(cafile=installation / "authority" / "ca.crt")
    with Client(int(running.ports["8882"]), "monitor", password, trusting) as client:
        client.subscribe("$SYS/broker/uptime")
        until(lambda: client.received, "what the broker says", 10)


def test_the_simulator_fills_the_record_and_the_record_can_be_copied(running: Composition) -> None:
    def messages(record: Path) -> int:
        with closing(sqlite3.connect(f"file:{record}?mode=ro", uri=True)) as connection:
            return int(connection.execute("select coalesce(sum(messages), 0) from ledger").fetchone()[0])

    volumes = running.state / "volumes"
    simulator = running.service("simulator")
    simulator.description["command"] += ["--start", (datetime.now(UTC) - timedelta(minutes=10)).isoformat()]
    with simulator:
        until(lambda: messages(volumes / "record" / "record.sqlite") > 50, f"readings: {simulator.log.read_text()}")
        assert simulator.process.poll() is None
    copied = running.service("backup").run()
    assert (copied.returncode, copied.stderr) == (0, "")
    assert messages(volumes / "backup" / "record.sqlite") > 50


def test_accounts_are_made_with_the_service_for_tools(running: Composition) -> None:
    tools = running.service("tools")
    added = tools.run("device", "add", "yanjing/weather")
    assert added.returncode == 0
    assert "docker compose kill -s HUP broker" in added.stderr
    listed = json.loads(tools.run("device", "list", "--format", "json").stdout)
    assert [row["user"] for row in listed if row["account"]] == ["yanjing/weather"]
    assert tools.run("device", "revoke", "yanjing/weather").returncode == 0
    refused = tools.run("device", "revoke", "collector")
    assert refused.returncode == 1
    assert "is no device" in refused.stderr
