"""Which Grafana and InfluxDB the demo has."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pydantic import SecretStr

from greenmine.cli import board_contents, boards
from greenmine.settings import Settings
from tests.ports import free_port
from tests.system.composed import document


@pytest.mark.parametrize(("service", "given"), [("grafana", boards.GRAFANA), ("influxdb", boards.INFLUXDB)])
def test_both_servers_have_the_settings_of_an_installation(service: str, given: dict[str, str]) -> None:
    names = ("GREENMINE_GID", "GREENMINE_UID", "GREENMINE_PUBLIC_URL", "GREENMINE_GRAFANA_PUBLIC_URL")
    assert given.items() <= document(dict.fromkeys(names, "0"))["services"][service]["environment"].items()


def test_servers_of_an_installation_are_let_alone_unless_one_is_named_to_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(_env_file=None, data=tmp_path)  # type: ignore[call-arg]
    (tmp_path / "demo-accounts").write_text(json.dumps({"administrator": "secret"}))
    programs, home = tmp_path / "bin", tmp_path / "home"
    (home / "conf").mkdir(parents=True)
    (home / "conf" / "defaults.ini").touch()
    programs.mkdir()
    monkeypatch.setattr(boards, "_PLACES", str(programs))
    monkeypatch.setenv("GF_PATHS_HOME", str(home))
    for name in ("grafana", "influxd"):
        assert boards.with_boards(settings) is None
        (programs / name).touch(mode=0o755)
    found = boards.with_boards(settings)
    assert found is not None
    assert found.grafana_url != found.influx_url
    assert found.grafana_password is not None
    assert found.grafana_password.get_secret_value() == "secret"
    assert (tmp_path / "demo-boards").stat().st_mode & 0o777 == 0o600
    installation = {
        "grafana_url": "http://grafana.invalid", "grafana_password": SecretStr("theirs"), "influx_url": "http://influx.invalid",
        "influx_admin_token": SecretStr("theirs"), "influx_tokens": tmp_path / "tokens", "influx_org": "theirs",
    }  # fmt: skip
    named = settings.model_copy(update=installation)
    own = boards.with_boards(named)
    assert own is not None
    assert not {own.grafana_url, own.influx_url} & {named.grafana_url, named.influx_url}
    assert (own.influx_tokens, own.influx_org) == (None, "greenmine")
    assert "theirs" not in {
        s.get_secret_value() for s in (own.grafana_password, own.influx_admin_token) if s is not None
    }
    asked = boards.with_boards(named, "http://other.invalid")
    assert asked is not None
    assert (asked.grafana_url, asked.influx_url) == ("http://other.invalid", named.influx_url)
    with pytest.raises(ValueError, match="--grafana needs GREENMINE_GRAFANA_PASSWORD"):
        boards.with_boards(settings, "http://other.invalid")


@pytest.fixture
def forbidding() -> Iterator[tuple[str, list[str]]]:
    """Address of a server that knows nobody, and what it was asked."""
    asked: list[str] = []

    class Forbidding(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.command} {self.path}")
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Forbidding) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def test_an_influxdb_of_others_is_not_set_up_though_the_demo_had_its_own_before(
    tmp_path: Path, forbidding: tuple[str, list[str]]
) -> None:
    address, asked = forbidding
    (tmp_path / boards.BOARDS).write_text(
        json.dumps({"grafana": "a", "influxdb": "b", "address": "http://127.0.0.1:3000"})
    )
    given = {"influx_url": address, "influx_admin_token": SecretStr("wrong"), "grafana_password": SecretStr("theirs")}
    settings = Settings(_env_file=None, data=tmp_path).model_copy(update=given)  # type: ignore[call-arg]
    named = boards.with_boards(settings, "http://grafana.invalid")
    assert named is not None
    with pytest.raises(SystemExit, match="greenmine demo: InfluxDB answered 401: the token is not valid"):
        board_contents.fill(named, threading.Event())
    assert asked
    assert not [one for one in asked if "setup" in one]


def test_a_server_that_does_not_answer_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(board_contents, "_LONG", 0.0)
    port, stop = free_port(), threading.Event()
    given = {"influx_url": f"http://127.0.0.1:{port}", "influx_admin_token": SecretStr("any")}
    settings = Settings(_env_file=None, data=tmp_path).model_copy(update=given)  # type: ignore[call-arg]
    waiting = threading.Thread(target=board_contents.fill, args=(settings, stop))
    waiting.start()
    said = ""
    while waiting.is_alive() and not said:
        waiting.join(0.1)
        said = capsys.readouterr().err
    stop.set()
    waiting.join()
    assert f"still waiting: http://127.0.0.1:{port}" in said
