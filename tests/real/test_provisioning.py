"""Grafana provisioned by the command: from empty in one run, and a second run that changes nothing."""

from __future__ import annotations

import re

import pytest

from greenmine.grafana.alerts import RULES
from tests.influxing import until
from tests.real.conftest import Installation, Provisioned

LONGEST = 180
"""The first run waits for the Alertmanagers of new organisations [s]."""


def test_one_run_makes_everything(
    provisioned: Provisioned, installation: Installation, record_property: pytest.RecordProperty
) -> None:
    record_property("seconds", provisioned.seconds)
    organisations = len(installation.registry.enterprises) + 1
    assert re.search(rf"^\d+ changes, {organisations} organisations\.$", provisioned.said, re.MULTILINE)
    assert provisioned.seconds < LONGEST
    assert len(provisioned.grafana.organisations()) == organisations


def test_a_second_run_changes_nothing(provisioned: Provisioned, installation: Installation) -> None:
    organisations = len(provisioned.grafana.organisations())
    assert installation.run("grafana", "provision").stdout == f"0 changes, {organisations} organisations.\n"


def test_what_kept_alarms_from_being_told_is_set_right(provisioned: Provisioned, installation: Installation) -> None:
    grafana, organisations = provisioned.grafana, provisioned.grafana.organisations()
    api, org = "/api/v1/provisioning", organisations["hengjie"]
    rule = grafana.get(f"{api}/alert-rules/greenmine-silent", org=org)
    path = f"{api}/folder/{rule['folderUID']}/rule-groups/{rule['ruleGroup']}"
    group = grafana.get(path, org=org)
    policies = grafana.get(f"{api}/policies", org=org)
    policies["routes"].insert(0, {"receiver": policies["receiver"], "object_matchers": [["team", "=", "a"]]})
    (muting,) = grafana.get(f"{api}/mute-timings", org=org)
    muting["time_intervals"] = [{"times": [{"start_time": "00:00", "end_time": "00:01"}]}]
    paused = [row | {"isPaused": row["uid"] == rule["uid"]} for row in group["rules"]]
    for place, body in (
        (path, group | {"interval": 3600, "rules": paused}),
        (f"{api}/policies", policies),
        (f"{api}/mute-timings/{muting['name']}", muting),
        (f"/api/orgs/{org}", {"name": "A name without its id"}),
    ):
        assert grafana.call("PUT", place, body, org=org).status in {200, 202}, place
    said = installation.run("grafana", "provision").stdout
    kinds = "organisation|mute timing|notification policies|alert rule|group of alert rules"
    changed = re.findall(rf"^hengjie: update ({kinds}) ", said, re.MULTILINE)
    assert changed == ["organisation", "mute timing", "notification policies", "alert rule", "group of alert rules"]
    assert said.endswith(f"5 changes, {len(organisations)} organisations.\n")
    assert grafana.organisations() == organisations
    assert installation.run("grafana", "provision").stdout == f"0 changes, {len(organisations)} organisations.\n"


@pytest.mark.parametrize(("folder", "status"), [("greenmine-zh", 403), ("greenmine-own", 200)])
def test_an_editor_changes_no_dashboard_of_ours_and_makes_own_ones(
    provisioned: Provisioned, folder: str, status: int
) -> None:
    grafana = provisioned.grafana
    account = (f"editor-{folder}", "a first password")
    made = {"login": account[0], "password": account[1], "OrgId": 1}
    number = grafana.call("POST", "/api/admin/users", made).json()["id"]
    assert grafana.call("PATCH", f"/api/org/users/{number}", {"role": "Editor"}).status == 200
    body = {"dashboard": {"title": "Own", "panels": []}, "folderUid": folder}
    assert grafana.call("POST", "/api/dashboards/db", body, account=account).status == status
    assert grafana.call("GET", "/api/dashboards/uid/greenmine-dust-zh", account=account).status == 200


def test_every_rule_is_healthy_in_every_organisation(provisioned: Provisioned) -> None:
    for key, org in provisioned.grafana.organisations().items():

        def rules(org: int = org) -> dict[str, str]:
            told = provisioned.grafana.get("/api/prometheus/grafana/api/v1/rules", org=org)
            found = [rule for group in told["data"]["groups"] for rule in group["rules"]]
            return {rule["uid"]: rule["health"] for rule in found if rule["lastEvaluation"] > "0001-01-02"}

        until(lambda rules=rules: len(rules()) == len(RULES), f"the rules of {key}: {rules()}")
        assert set(rules().values()) == {"ok"}, (key, rules())
