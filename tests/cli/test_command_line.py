"""What the command says when something is wrong: one line, and no traceback."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from greenmine.cli import _faults
from greenmine.record.record import migrate, open_engine
from greenmine.settings import Settings

COMMAND = Path(sys.executable).with_name("greenmine")


def said(folder: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("GREENMINE_")}
    run = [COMMAND, *arguments]
    done = subprocess.run(
        run, cwd=folder, env=clean | environment, capture_output=True, text=True, check=False, timeout=120
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GREENMINE_BROKER_PORT", "abc"),
        ("GREENMINE_DEVICE_MESSAGES", "many"),
        ("GREENMINE_SMTP_PORT", "-1"),
        ("GREENMINE_INFLUX_URL", "http://[::1"),
        ("GREENMINE_SECRETS", "/dev/null"),
    ],
)
def test_a_setting_that_cannot_be_read_is_one_line_with_its_name(tmp_path: Path, name: str, value: str) -> None:
    status, _, error = said(tmp_path, "status", **{name: value})
    assert status == 1
    assert error.count("\n") == 1
    assert f"{name}={value}" in error


@pytest.mark.parametrize(
    ("only", "named", "given"),
    [
        ("worker", "GREENMINE_BROKER_CA", {"GREENMINE_BROKER_TLS": "true"}),
        ("worker", "GREENMINE_HJ212_SM4_KEYS", {"GREENMINE_HJ212_PORT": "0"}),
        ("worker", "GREENMINE_HJ212_CERTIFICATE", {"GREENMINE_HJ212_PORT": "0"}),
        ("archivist", "GREENMINE_WITNESSES", {}),
        ("web", "GREENMINE_WITNESS_FOR", {}),
        ("notifier", "GREENMINE_NOTIFY_CA", {}),
    ],
)
def test_a_file_that_a_setting_names_and_that_is_not_there_is_one_line_at_the_start(
    tmp_path: Path, only: str, named: str, given: dict[str, str]
) -> None:
    status, _, error = said(tmp_path, "run", "--only", only, **{named: "nothing.pem"}, **given)
    assert status == 1
    assert error.count("\n") == 1
    assert "nothing.pem" in error


def test_a_fault_of_settings_is_one_line_that_can_be_read_whatever_was_given() -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(broker_port="a\nb\u202e", device_messages="9" * 5_000)
    told = _faults(caught.value)
    assert told.startswith("GREENMINE_BROKER_PORT=a\\nb\\u202e: ")
    assert told.isprintable()
    assert len(told) < 700


def test_the_list_of_commands_says_what_each_does(tmp_path: Path) -> None:
    status, listed, _ = said(tmp_path, "--help", COLUMNS="150")
    rows = [
        line.strip("│ ").split(maxsplit=1) for line in listed.splitlines() if line.startswith("│") and "--" not in line
    ]
    assert status == 0
    assert len(rows) > 20
    assert [name for name, *told in rows if not told] == []


def test_a_directory_that_is_a_file_is_one_line_without_a_number(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    status, _, error = said(tmp_path, "run", "--data", "data")
    assert status == 1
    assert error.count("\n") == 1
    assert "data" in error
    assert "Errno" not in error


@pytest.mark.parametrize(
    "command",
    [
        "files try nothing.csv",
        "judge --readings nothing.csv --period 2026-12-01",
        "evidence verify bundle.zip --key nothing.csv",
        "key list",
    ],
)
def test_a_file_that_is_not_there_is_named_without_a_number(tmp_path: Path, command: str) -> None:
    (tmp_path / "bundle.zip").write_bytes(b"")
    status, _, error = said(tmp_path, *command.split())
    assert status
    assert "No such file or directory" in error
    assert "Errno" not in error


def test_a_database_without_its_journal_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "record.sqlite"
    engine = open_engine(file)
    migrate(engine)
    engine.dispose()
    whole = file.read_bytes()
    file.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    status, _, error = said(tmp_path, "status", "--data", ".")
    assert status == 1
    assert error.count("\n") == 1
    assert "Traceback" not in error


def test_a_database_whose_journal_was_lost_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    engine = open_engine(tmp_path / "there" / "record.sqlite")
    migrate(engine)
    shutil.copy(tmp_path / "there" / "record.sqlite", tmp_path)  # what was written is in the journal that stays behind
    engine.dispose()
    status, _, error = said(tmp_path, "status", "--data", ".")
    assert (status, error.count("\n")) == (1, 1)
    assert "put it back from a backup" in error


def test_what_a_command_makes_is_not_for_others(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        status, _, error = said(tmp_path, "user", "add", "chief", "--role", "administrator", "--data", "data")
    finally:
        os.umask(before)
    made = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert status == 0, error
    assert made
    assert [path.name for path in made if path.stat().st_mode & 0o137] == []


def test_status_names_record_and_registry(tmp_path: Path) -> None:
    engine = open_engine(tmp_path / "record.sqlite")
    migrate(engine)
    engine.dispose()
    _, out, _ = said(tmp_path, "status", "--data", ".", COLUMNS="300")
    assert "registry" in out
    assert "record.sqlite" in out


def test_completion_can_be_installed(tmp_path: Path) -> None:
    status, out, _ = said(tmp_path, "completion", "--help")
    assert status == 0
    assert "bash" in out
