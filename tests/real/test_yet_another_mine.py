"""What comes later: Grafana starts again, a mine of a new enterprise joins, an enterprise gets a second mine."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from greenmine.grafana.influx.influx import load_tokens
from greenmine.grafana.influx.influx_schema import bucket_of
from greenmine.loading import load_registry
from tests.real.conftest import Installation, Provisioned
from tests.real.servers import Grafana, InfluxDB, Program

NEW = "newcomer"


def copied(folder: Path, mine: str, enterprise: str) -> None:
    """A mine like Hengjie's, of this enterprise."""
    text = (folder / "sites" / "hengjie.toml").read_text("utf-8")
    text = text.replace('id = "hengjie"', f'id = "{mine}"', 1).replace("恒杰", mine)
    text = text.replace('enterprise = "hengjie"', f'enterprise = "{enterprise}"')
    (folder / "sites" / f"{mine}.toml").write_text(text, "utf-8")


@pytest.fixture(scope="module")
def later(
    installation: Installation, provisioned: Provisioned, tmp_path_factory: pytest.TempPathFactory
) -> Installation:
    """The same installation with a new enterprise, and a second mine of another, in its registry."""
    assert provisioned.said
    folder = tmp_path_factory.mktemp("later") / "registry"
    shutil.copytree(installation.folder / "registry", folder)
    with (folder / "enterprises.toml").open("a", encoding="utf-8") as file:
        file.write(f'\n[[enterprises]]\nid = "{NEW}"\nname_zh = "新矿业"\nname_en = "New Mining"\n')
    copied(folder, NEW, NEW)
    copied(folder, "second", "hengjie")
    environment = installation.environment | {"GREENMINE_REGISTRY": str(folder)}
    return replace(installation, environment=environment, registry=load_registry(folder))


def test_a_grafana_that_starts_again_is_as_it_was(installation: Installation, provisioned: Provisioned) -> None:
    if not isinstance(provisioned.grafana, Program):
        pytest.skip("a server that runs elsewhere is not stopped")
    provisioned.grafana.stop()
    failed = installation.run("grafana", "provision", check=False)
    assert failed.returncode == 1
    assert "Grafana cannot be reached" in failed.stderr
    assert "Traceback" not in failed.stderr
    provisioned.grafana.start()
    organisations = len(provisioned.grafana.organisations())
    assert installation.run("grafana", "provision").stdout == f"0 changes, {organisations} organisations.\n"


def test_a_new_enterprise_and_a_second_mine_join_in_one_run(
    later: Installation, provisioned: Provisioned, influx: InfluxDB
) -> None:
    grafana = provisioned.grafana
    before = grafana.organisations()
    assert later.run("influx", "provision").stdout.startswith(f"{bucket_of(NEW)}: ")
    token = load_tokens(later.settings)[bucket_of(NEW)].read
    assert [r for r in influx.query("SHOW MEASUREMENTS", bucket_of(NEW), token=token) if r.get("series")] == []
    said = later.run("grafana", "provision").stdout
    assert f"{NEW}: create organisation 新矿业 ({NEW})" in said
    orgs = grafana.organisations()
    assert orgs.keys() - before.keys() == {NEW}
    assert later.run("grafana", "provision").stdout == f"0 changes, {len(orgs)} organisations.\n"
    assert names(grafana, orgs["district"], "greenmine-overview-zh", "site") >= {NEW, "second", "hengjie", "kunyin"}
    assert names(grafana, orgs["hengjie"], "greenmine-mine-zh", "site") == {"second", "hengjie"}
    assert names(grafana, orgs[NEW], "greenmine-mine-zh", "site") == {NEW}
    preferences = {key: grafana.get("/api/org/preferences", org=orgs[key]) for key in (NEW, "district")}
    assert preferences["district"]["homeDashboardUID"] == "greenmine-overview-zh"
    assert preferences[NEW] | {"homeDashboardUID": "greenmine-mine-zh", "language": "zh-Hans"} == preferences[NEW]
    assert not [row for row in grafana.get("/api/orgs?perpage=1000") if row["name"] == "Main Org."]


def test_what_somebody_changed_by_hand_is_set_right_or_left_alone(
    later: Installation, provisioned: Provisioned
) -> None:
    grafana = provisioned.grafana
    org = grafana.organisations()["district"]
    board = grafana.get("/api/dashboards/uid/greenmine-noise-zh", org=org)["dashboard"] | {"title": "别的标题"}
    body = {"dashboard": board, "folderUid": "greenmine-zh", "overwrite": True}
    assert grafana.call("POST", "/api/dashboards/db", body, org=org).status == 200
    own = {"dashboard": {"uid": "theirs", "title": "自己的看板", "panels": []}, "folderUid": "", "overwrite": False}
    assert grafana.call("POST", "/api/dashboards/db", own, org=org).status == 200
    assert grafana.call("PATCH", "/api/org/preferences", {"timezone": "utc"}, org=org).status == 200
    assert grafana.call("PUT", f"/api/orgs/{org}", {"name": "万州区生态环境局"}).status == 200
    said = later.run("grafana", "provision").stdout
    assert said.splitlines()[0].startswith("district: update dashboard greenmine-noise-zh (")
    assert said.splitlines()[1:] == [f"1 changes, {len(grafana.organisations())} organisations."]
    assert grafana.get("/api/dashboards/uid/theirs", org=org)["dashboard"]["title"] == "自己的看板"
    assert grafana.get("/api/org/preferences", org=org)["timezone"] == "utc"


def names(grafana: Grafana, org: int, uid: str, variable: str) -> set[str]:
    """Values that a variable of a dashboard offers."""
    found = grafana.get(f"/api/dashboards/uid/{uid}", org=org)["dashboard"]["templating"]["list"]
    (options,) = (v["options"] for v in found if v["name"] == variable)
    return {option["value"] for option in options if option["value"] != "$__all"}
