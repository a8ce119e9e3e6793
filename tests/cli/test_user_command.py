"""The accounts by command, and those of the demo."""

from __future__ import annotations

import json
import socket
import stat
from pathlib import Path

import pytest

from greenmine.api.accounts.accounts import Accounts
from greenmine.cli import app
from greenmine.cli.visitors import ADMINISTRATOR, PASSWORDS, SUPERVISOR, TOKEN, TOWNSHIP, welcome
from greenmine.loading import load_registry
from greenmine.settings import Settings

PASSWORD = "kiln otter brass umbrella"


def run(*words: object) -> None:
    with pytest.raises(SystemExit) as ended:
        app(["user", *map(str, words)], exit_on_error=False)
    assert ended.value.code in {None, 0}, ended.value.code


def test_accounts_are_made_listed_shut_and_opened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("add", "Wang", "--role", "administrator", "--data", tmp_path)
    made = capsys.readouterr().out.strip()
    secret = tmp_path / "password"
    secret.write_text(f"{PASSWORD}\n")
    run("add", "li", "--role", "enterprise", "--enterprise", "hengjie", "--password-file", secret, "--data", tmp_path)
    assert capsys.readouterr().out == ""
    run("list", "--format", "json", "--data", tmp_path)
    listed = json.loads(capsys.readouterr().out)
    assert [(user["name"], user["role"], user["enterprises"]) for user in listed] == [
        ("li", "enterprise", "hengjie"),
        ("wang", "administrator", ""),
    ]
    accounts = Accounts(Settings(data=tmp_path))
    assert accounts.users.sign_in("WANG", made) is not None
    assert accounts.users.sign_in("li", PASSWORD) is not None
    run("token", "li", "nightly", "--site", "hengjie", "--data", tmp_path)
    token = capsys.readouterr().out.strip()
    assert accounts.tokens.find(token, 0) is not None
    run("disable", "li", "--data", tmp_path)
    assert accounts.users.sign_in("li", PASSWORD) is None
    assert accounts.tokens.find(token, 0) is None
    run("enable", "li", "--data", tmp_path)
    run("password", "li", "--data", tmp_path)
    renewed = capsys.readouterr().out.strip()
    assert accounts.users.sign_in("li", PASSWORD) is None
    assert accounts.users.sign_in("li", renewed) is not None
    assert [entry.action for entry in accounts.audit.read(None)] == [
        "password-reset", "user-enabled", "user-disabled", "token-made", "user-added", "user-added",
    ]  # fmt: skip
    accounts.close()


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["add", "li", "--role", "enterprise"], "at least one"),
        (["add", "li", "--role", "supervisor", "--enterprise", "hengjie"], "belong to the role enterprise"),
        (["add", "li", "--role", "enterprise", "--enterprise", "nobody"], "hengjie"),
        (["add", "li", "--role", "township"], "at least one"),
        (["add", "li", "--role", "township", "--township", "nowhere"], "九池乡"),
        (["add", "li", "--role", "supervisor", "--township", "九池乡"], "belong to the role township"),
        (["add", "a b", "--role", "supervisor"], "2 to 64"),
        (["disable", "nobody"], "no such account"),
        (["token", "nobody", "x"], "no such account"),
        (["add", "li", "--role", "supervisor", "--password-file", "missing"], "missing"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, words: list[str], part: str) -> None:
    with pytest.raises(SystemExit) as ended:
        app(["user", *words, "--data", str(tmp_path)], exit_on_error=False)
    assert str(ended.value).startswith("greenmine user: ")
    assert part in str(ended.value)


def test_the_demo_keeps_its_accounts_and_its_token(tmp_path: Path) -> None:
    settings, registry = Settings(data=tmp_path), load_registry()
    first = welcome(settings, registry)
    token = (tmp_path / TOKEN).read_text().strip()
    assert welcome(settings, registry) == first
    assert (tmp_path / TOKEN).read_text().strip() == token
    assert [visitor.name for visitor in first] == [
        ADMINISTRATOR,
        SUPERVISOR,
        TOWNSHIP,
        *(e.id for e in registry.enterprises),
    ]
    accounts = Accounts(settings)
    assert [v.name for v in first if accounts.users.sign_in(v.name, v.password) is None] == []
    supervisor = accounts.users.named(SUPERVISOR)
    assert supervisor is not None
    assert supervisor.role == "supervisor"
    found = accounts.tokens.find(token, 0)
    assert found is not None
    assert (found[0].write, found[1].role) == (True, "administrator")
    accounts.close()
    for name in (PASSWORDS, TOKEN, settings.accounts.name):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_the_demo_refuses_a_port_that_is_taken_before_it_begins(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(SystemExit) as ended:
            app(["demo", "--port", str(port), "--data", str(tmp_path / "demo")], exit_on_error=False)
    assert f"port {port} of 127.0.0.1" in str(ended.value)
    assert not (tmp_path / "demo").exists()
