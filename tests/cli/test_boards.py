"""Which Grafana and InfluxDB the demo has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from greenmine.cli import boards
from greenmine.settings import Settings
from tests.system.composed import document


@pytest.mark.parametrize(("service", "given"), [("grafana", boards.GRAFANA), ("influxdb", boards.INFLUXDB)])
def test_both_servers_have_the_settings_of_an_installation(service: str, given: dict[str, str]) -> None:
    names = ("GREENMINE_GID", "GREENMINE_UID", "GREENMINE_PUBLIC_URL", "GREENMINE_GRAFANA_PUBLIC_URL")
    assert given.items() <= document(dict.fromkeys(names, "0"))["services"][service]["environment"].items()


def test_named_servers_are_used_and_others_only_where_both_programs_are(
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
    named = settings.model_copy(update={"grafana_url": "http://grafana.invalid", "influx_url": "http://influx.invalid"})
    assert boards.with_boards(named) is named
