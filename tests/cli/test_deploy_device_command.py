from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from greenmine.cli.init import init

COMMAND = Path(sys.executable).with_name("greenmine")


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    init(tmp_path, host=["localhost"], group=str(os.getgid()))
    return tmp_path


def greenmine(installation: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GREENMINE_")}
    return subprocess.run(
        [COMMAND, "device", *arguments],
        cwd=installation,
        env=clean | settings,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_password_is_shown_once_and_kept_nowhere(installation: Path) -> None:
    said = greenmine(installation, "add", "yanjing/weather")
    lines = dict(line.split(maxsplit=1) for line in said.stdout.splitlines())
    assert said.returncode == 0
    assert lines["user"] == "yanjing/weather"
    assert len(lines["password"]) == 32
    assert not any(
        lines["password"].encode() in path.read_bytes() for path in installation.rglob("*") if path.is_file()
    )
    assert "docker compose kill -s HUP broker" in said.stderr
    assert "systemctl reload greenmine-broker" in said.stderr

    again = greenmine(installation, "add", "yanjing/weather")
    assert (again.returncode, again.stdout) == (1, "")
    assert "--renew" in again.stderr


def test_a_wrong_name_is_answered_with_the_nearest(installation: Path) -> None:
    said = greenmine(installation, "add", "yanjing/wether")
    assert (said.returncode, said.stdout) == (1, "")
    assert "has no device 'yanjing/wether'; nearest: 'yanjing/weather'" in said.stderr


def test_the_list_tells_who_has_an_account_and_who_is_not_registered(installation: Path) -> None:
    greenmine(installation, "add", "yanjing/weather")
    with (installation / "broker" / "passwords").open("a") as file:
        file.write("gone/device:$7$101$x$y\n")
    rows = json.loads(greenmine(installation, "list", "--format", "json").stdout)
    assert [row["user"] for row in rows if row["account"]] == ["yanjing/weather", "gone/device"]
    assert [row["user"] for row in rows if not row["registered"]] == ["gone/device"]
    assert len(rows) == 39
    text = greenmine(installation, "list").stdout
    assert "not in the registry" in text
    assert "collector" not in text


def test_a_broker_that_cannot_be_told_is_an_error_after_the_change(installation: Path) -> None:
    said = greenmine(installation, "add", "yanjing/weather", GREENMINE_BROKER_PID=str(installation / "none.pid"))
    assert said.returncode == 1
    assert "password" in said.stdout
    assert "no running broker by" in said.stderr
    assert "Errno" not in said.stderr
    assert "holds from the broker's next start" in said.stderr


def test_outside_an_installation_it_says_what_is_missing(tmp_path: Path) -> None:
    said = greenmine(tmp_path, "list")
    assert said.returncode == 1
    assert "`greenmine init` makes it" in said.stderr
