from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import stat
import subprocess
from base64 import b64decode
from pathlib import Path

import msgspec
import pytest

from greenmine.collector.mqtt.credentials import (
    PASSWORDS,
    RIGHTS,
    CredentialError,
    Credentials,
    device_rights,
    hashed,
    reload,
    rights,
)
from greenmine.loading import load_registry
from greenmine.registry import Registry


@pytest.fixture(scope="module")
def mines() -> Registry:
    return load_registry()


@pytest.fixture
def credentials(tmp_path: Path, mines: Registry) -> Credentials:
    return Credentials(tmp_path, mines)


def blocks(folder: Path) -> dict[str, list[str]]:
    """Rights by account."""
    parts = re.findall(r"^user (\S+)\n((?:topic .*\n)*)", (folder / RIGHTS).read_text(), re.MULTILINE)
    return {name: lines.splitlines() for name, lines in parts}


def test_the_hash_is_the_one_that_mosquittos_own_tool_makes(tmp_path: Path) -> None:
    tool = shutil.which("mosquitto_passwd")
    if tool is None:
        if "CI" in os.environ:
            pytest.fail("mosquitto is not installed")
        pytest.skip("mosquitto is not installed")
    file = tmp_path / "theirs"
    file.touch(0o600)
    subprocess.run([tool, "-b", file, "user", "pässword"], check=True)
    _, _, theirs = file.read_text().strip().partition(":")
    _, kind, _, salt, _ = theirs.split("$")
    assert kind == "7"
    assert hashed("pässword", b64decode(salt)) == theirs


def test_a_new_account_has_a_random_password_its_own_rights_and_files_for_the_broker_only(
    credentials: Credentials, tmp_path: Path
) -> None:
    first, second = credentials.add("yanjing/weather"), credentials.add("jiuchi/weather")
    assert first != second
    assert len(first) == len(second) == 32  # 192 bits
    assert blocks(tmp_path) == {
        f"{site}/weather": [
            f"topic write greenmine/v1/{site}/weather/readings",
            f"topic write greenmine/v1/{site}/weather/status",
        ]
        for site in ("yanjing", "jiuchi")
    }
    for name in (PASSWORDS, RIGHTS):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o640
        assert first not in (tmp_path / name).read_text()


@pytest.mark.parametrize(
    "account",
    ["yanjing/nothing", "nowhere/weather", "weather", "", "yanjing/", "admin", "yanjing/weather\nroot:x", "+/#"],
)
def test_only_devices_of_the_registry_get_an_account(credentials: Credentials, tmp_path: Path, account: str) -> None:
    with pytest.raises(CredentialError, match="the registry has no device"):
        credentials.add(account)
    assert list(tmp_path.iterdir()) == []


def test_an_account_is_not_replaced_unless_that_is_meant(credentials: Credentials, tmp_path: Path) -> None:
    credentials.add("yanjing/weather")
    before = (tmp_path / PASSWORDS).read_text()
    with pytest.raises(CredentialError, match="--renew"):
        credentials.add("yanjing/weather")
    assert (tmp_path / PASSWORDS).read_text() == before
    credentials.add("yanjing/weather", renew=True)
    assert (tmp_path / PASSWORDS).read_text() != before
    assert credentials.accounts() == ["yanjing/weather"]


def test_revoking_leaves_the_others_as_they_are(credentials: Credentials, tmp_path: Path) -> None:
    for account in ("yanjing/weather", "collector", "jiuchi/weather"):
        credentials.add(account)
    others = [line for line in (tmp_path / PASSWORDS).read_text().splitlines() if "yanjing" not in line]
    credentials.revoke("yanjing/weather")
    assert (tmp_path / PASSWORDS).read_text().splitlines() == others
    assert "yanjing" not in (tmp_path / RIGHTS).read_text()
    with pytest.raises(CredentialError, match="has no account"):
        credentials.revoke("yanjing/weather")


def test_a_device_that_left_the_registry_keeps_no_right(tmp_path: Path, mines: Registry) -> None:
    (tmp_path / PASSWORDS).write_text("old/device:$7$101$x$y\n")
    credentials = Credentials(tmp_path, mines)
    credentials.refresh()
    assert blocks(tmp_path) == {"old/device": []}
    credentials.revoke("old/device")
    assert credentials.accounts() == []


def test_no_device_may_read_and_no_right_has_a_wildcard(mines: Registry) -> None:
    for site in mines.sites:
        for device in site.devices:
            granted = device_rights(site.id, device, mines.profiles[device.profile])
            assert granted == rights(mines)[f"{site.id}/{device.id}"]
            assert all(right.startswith(f"write greenmine/v1/{site.id}/{device.id}/") for right in granted)
            assert not any(sign in right for right in granted for sign in "+#")


def _add(folder: Path, accounts: list[str]) -> None:
    credentials = Credentials(folder, load_registry())
    for account in accounts:
        credentials.add(account)


def test_two_who_change_accounts_at_once_lose_nothing(tmp_path: Path, mines: Registry) -> None:
    devices = [f"{site.id}/{device.id}" for site in mines.sites for device in site.devices]
    context = multiprocessing.get_context("forkserver")
    processes = [context.Process(target=_add, args=(tmp_path, devices[start::2])) for start in (0, 1)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert sorted(Credentials(tmp_path, mines).accounts()) == sorted(devices)
    assert sorted(path.name for path in tmp_path.iterdir()) == [RIGHTS, PASSWORDS]


def test_a_missing_folder_is_told(tmp_path: Path, mines: Registry) -> None:
    with pytest.raises(CredentialError, match="greenmine init"):
        Credentials(tmp_path / "none", mines).add("yanjing/weather")


@pytest.mark.parametrize("content", ["{own}", "4194304999", "none", ""])
def test_only_a_mosquitto_is_told_to_reload(tmp_path: Path, content: str) -> None:
    pid = tmp_path / "pid"
    pid.write_text(content.format(own=os.getpid()))
    with pytest.raises(CredentialError):
        reload(pid)
    with pytest.raises(CredentialError, match="no running broker"):
        reload(tmp_path / "none")


def test_a_device_of_another_make_may_publish_on_its_own_topics_only_and_the_collector_reads_them(
    mines: Registry,
) -> None:
    device = msgspec.structs.replace(mines.device("yanjing", "weather"), address="node-7")
    profile = msgspec.structs.replace(mines.profiles[device.profile], topics=("{address}/sensor/{name}/state",))
    assert device_rights("yanjing", device, profile)[2:] == ("write node-7/sensor/+/state",)
    assert rights(mines)["collector"][0] == "read greenmine/v1/+/+/readings"
