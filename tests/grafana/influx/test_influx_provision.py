"""Provisioning of InfluxDB 2, against a server that keeps its API's documented semantics; of 1.x, on a real one."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenmine.cli import app
from greenmine.grafana.influx.influx import InfluxError, load_tokens
from greenmine.grafana.influx.influx_provision import buckets, provision
from greenmine.grafana.influx.influx_schema import bucket_of
from greenmine.loading import load_registry
from greenmine.registry import Registry
from greenmine.settings import Settings
from tests.influx_api import OPERATOR, Api, influx_api
from tests.influxing import real_influx
from tests.projecting import projection_settings


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry()


@pytest.fixture
def api() -> Iterator[Api]:
    with influx_api() as running:
        yield running


def settings_for(api: Api, folder: Path, **given: object) -> Settings:
    chosen = {"data": folder, "influx_url": api.url, "influx_admin_token": OPERATOR, **given}
    return Settings.model_validate(Settings().model_dump() | chosen)


def test_every_enterprise_gets_a_bucket_a_mapping_and_tokens_for_it_only(
    api: Api, registry: Registry, tmp_path: Path
) -> None:
    for number in range(30):
        api.add_bucket(f"other-{number}")
    settings = settings_for(api, tmp_path)
    provision(settings, registry)
    numbers = {b["name"]: b["id"] for b in api.buckets.values()}
    assert set(buckets(registry)) <= set(numbers)
    assert {m["database"]: m["bucketID"] for m in api.mappings.values()} == {n: numbers[n] for n in buckets(registry)}
    rights = {
        a["token"]: {(p["action"], p["resource"]["type"], p["resource"]["id"]) for p in a["permissions"]}
        for a in api.authorizations.values()
    }
    for name, tokens in load_tokens(settings).items():
        assert rights.pop(tokens.write) == {(action, "buckets", numbers[name]) for action in ("read", "write")}
        assert rights.pop(tokens.read) == {("read", "buckets", numbers[name])}
    assert not rights
    assert (tmp_path / "influx-tokens.json").stat().st_mode & 0o777 == 0o600


def test_done_again_it_changes_nothing(api: Api, registry: Registry, tmp_path: Path) -> None:
    settings = settings_for(api, tmp_path)
    assert provision(settings, registry)
    tokens = load_tokens(settings)
    api.changes.clear()
    assert provision(settings, registry) == []
    assert api.changes == []
    assert load_tokens(settings) == tokens


def test_a_bucket_that_was_removed_is_made_again_with_its_mapping_and_tokens(
    api: Api, registry: Registry, tmp_path: Path
) -> None:
    settings = settings_for(api, tmp_path)
    provision(settings, registry)
    before = load_tokens(settings)
    name = bucket_of("jiuchi")
    del api.buckets[next(b["id"] for b in api.buckets.values() if b["name"] == name)]
    assert {step.bucket for step in provision(settings, registry)} == {name}
    after = load_tokens(settings)
    assert {n for n in after if after[n] != before[n]} == {name}
    assert api.bearer(before[name].write) is None
    assert [m["bucketID"] in api.buckets for m in api.mappings.values()] == [True] * len(buckets(registry))
    assert provision(settings, registry) == []


def test_tokens_that_were_lost_are_replaced_and_the_old_ones_revoked(
    api: Api, registry: Registry, tmp_path: Path
) -> None:
    settings = settings_for(api, tmp_path)
    provision(settings, registry)
    before = load_tokens(settings)
    (tmp_path / "influx-tokens.json").unlink()
    provision(settings, registry)
    after = load_tokens(settings)
    assert all(api.bearer(tokens.read) is None and api.bearer(tokens.write) is None for tokens in before.values())
    assert all(api.bearer(tokens.read) for tokens in after.values())
    assert len(api.authorizations) == 2 * len(buckets(registry))


def test_retention_follows_the_setting(api: Api, registry: Registry, tmp_path: Path) -> None:
    other = api.add_bucket("other", 60)
    provision(settings_for(api, tmp_path), registry)
    settings = settings_for(api, tmp_path, influx_retention_days=400)
    assert {step.what for step in provision(settings, registry)} == {"retention set"}
    seconds = {b["name"]: b["retentionRules"][0]["everySeconds"] for b in api.buckets.values()}
    assert seconds.pop("other") == 60
    assert other["id"] in api.buckets
    assert set(seconds.values()) == {400 * 86_400}
    assert provision(settings, registry) == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"influx_admin_token": "wrong"}, "401: the token is not valid"),
        ({"influx_org": "nobody"}, "nobody"),
        ({"influx_url": "http://127.0.0.1:1"}, "127.0.0.1:1"),
    ],
)
def test_what_is_wrong_is_said(
    api: Api, registry: Registry, tmp_path: Path, given: dict[str, object], words: str
) -> None:
    with pytest.raises(InfluxError, match=words):
        provision(settings_for(api, tmp_path, **given), registry)
    assert not list(tmp_path.iterdir())


def test_the_command_prints_tokens_only_when_asked(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GREENMINE_INFLUX_URL", api.url)
    monkeypatch.setenv("GREENMINE_INFLUX_ADMIN_TOKEN", OPERATOR)
    app(["influx", "provision", "--data", str(tmp_path)], result_action="return_value")
    said = capsys.readouterr()
    assert "greenmine_jiuchi: read token made" in said.out
    assert "secret-" not in said.out + said.err
    app(["influx", "provision", "--data", str(tmp_path), "--show"], result_action="return_value")
    token = json.loads((tmp_path / "influx-tokens.json").read_text())["greenmine_jiuchi"]["read"]
    assert f"greenmine_jiuchi read {token}\n" in capsys.readouterr().out


def test_the_command_waits_for_a_server_that_is_starting(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GREENMINE_INFLUX_URL", api.url)
    monkeypatch.setenv("GREENMINE_INFLUX_ADMIN_TOKEN", OPERATOR)
    api.starting = 3
    app(["influx", "provision", "--data", str(tmp_path)], result_action="return_value")
    assert "greenmine_jiuchi: read token made" in capsys.readouterr().out


def test_the_command_does_not_wait_where_it_is_not_let_in(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GREENMINE_INFLUX_URL", api.url)
    monkeypatch.setenv("GREENMINE_INFLUX_ADMIN_TOKEN", "wrong")
    begun = time.monotonic()
    with pytest.raises(SystemExit, match="401"):
        app(["influx", "provision", "--data", str(tmp_path)], result_action="return_value")
    assert time.monotonic() - begun < 30


def test_retention_of_a_real_influxdb_1_follows_the_setting(registry: Registry, tmp_path: Path) -> None:
    with real_influx(tmp_path / "influx") as server:
        for days, duration in ((400, "9600h0m0s"), (30, "720h0m0s"), (0, "0s")):
            settings = projection_settings(tmp_path, server, influx_retention_days=days)
            assert provision(settings, registry)
            assert provision(settings, registry) == []
            (policy,) = server.rows("SHOW RETENTION POLICIES", bucket_of("jiuchi"))
            assert policy["duration"] == duration
