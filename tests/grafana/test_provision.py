"""Provisioning through the API of a server that keeps Grafana's documented semantics."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from greenmine.cli.grafana import provision as command
from greenmine.grafana.access import Access, load_access
from greenmine.grafana.organisation import Organisation, organisations
from greenmine.grafana.provision import ProvisionChange, differences, provision
from greenmine.grafana.server import GrafanaError, GrafanaServer, UnreachableError
from greenmine.loading import load_registry
from greenmine.registry import DEFAULT
from greenmine.tables import DataFileError
from tests.grafana.grafana_server import PASSWORD, USER, FakeGrafana, Org, serving
from tests.influxing import until

REGISTRY = load_registry()
DAY = date(2026, 11, 25)
ACCESS = """
[[users]]
id = "duty"
login = "duty"
organisation = "district"
role = "Editor"
password_file = "duty-password"

[[users]]
id = "kunyin-manager"
login = "manager"
organisation = "kunyin"

[[contacts]]
id = "duty"
organisation = "district"
kind = "email"
addresses = ["duty@example.org", "second@example.org"]

[[contacts]]
id = "group"
organisation = "district"
kind = "wecom"
url_file = "group-url"
enterprises = ["kunyin", "jiuchi"]
rules = ["exceedance"]

[[contacts]]
id = "robot"
organisation = "kunyin"
kind = "dingtalk"
url = "https://example.org/robot?access_token=1"

[[contacts]]
id = "hook"
organisation = "kunyin"
kind = "webhook"
url = "https://example.org/hook"
"""


@pytest.fixture
def grafana() -> FakeGrafana:
    return FakeGrafana()


@pytest.fixture
def url(grafana: FakeGrafana) -> Iterator[str]:
    with serving(grafana) as address:
        yield address


@pytest.fixture
def access(tmp_path: Path) -> Access:
    return load_access(access_file(tmp_path), REGISTRY)


def access_file(folder: Path, text: str = ACCESS, group: str = "https://example.org/send?key=1") -> Path:
    (folder / "access.toml").write_text(text, "utf-8")
    (folder / "duty-password").write_text("first password\n")
    (folder / "group-url").write_text(f"{group}\n")
    return folder / "access.toml"


def wanted_of(access: Access, tokens: dict[str, str] | None = None) -> list[Organisation]:
    """The district and two enterprises, which is enough and quicker."""
    given = (
        {"greenmine_district": "t0", "greenmine_kunyin": "t1", "greenmine_hengjie": "t2"} if tokens is None else tokens
    )
    made = organisations(REGISTRY, DAY, "http://influxdb:8086", given, access)
    return [o for o in made if o.key in {"district", "kunyin", "hengjie"}]


def run(url: str, wanted: list[Organisation], access: Access, *, dry: bool = False) -> list[ProvisionChange]:
    changes, faults = attempt(url, wanted, access, dry=dry)
    assert faults == []
    return changes


def attempt(
    url: str, wanted: list[Organisation], access: Access, *, dry: bool = False, patience: float = 10.0
) -> tuple[list[ProvisionChange], list[str]]:
    changes: list[ProvisionChange] = []
    with GrafanaServer(url, USER, PASSWORD) as server:
        return changes, provision(server, wanted, access, changes.append, dry=dry, patience=patience)


def state(grafana: FakeGrafana) -> str:
    return json.dumps(
        [vars(o) for o in grafana.orgs.values()] + list(grafana.accounts.values()), default=str, sort_keys=True
    )


def shape(text: str) -> str:
    """A state without the numbers that Grafana counts up."""
    return re.sub(r'"(id|version)": \d+', "", text)


def org(grafana: FakeGrafana, key: str):
    return next(o for n, o in grafana.orgs.items() if (n == 1 if key == "district" else o.name.endswith(f" ({key})")))


def test_organisations_are_finished_and_what_somebody_chose_stays(
    grafana: FakeGrafana, url: str, access: Access
) -> None:
    grafana.orgs[1].preferences = {"timezone": "utc", "theme": "light"}
    run(url, wanted_of(access), access)
    assert org(grafana, "district").name == "绿色矿山监测（区县）"
    chinese = {"language": "zh-Hans", "weekStart": "monday"}
    given = {"timezone": "utc", "theme": "light"}
    assert org(grafana, "district").preferences == chinese | given | {"homeDashboardUID": "greenmine-overview-zh"}
    own = {"timezone": "Asia/Shanghai", "homeDashboardUID": "greenmine-mine-zh"}
    assert org(grafana, "kunyin").preferences == chinese | own
    grafana.orgs[1].name = "万州区生态环境局"
    assert run(url, wanted_of(access), access) == []
    assert org(grafana, "district").name == "万州区生态环境局"


def test_each_organisation_gets_its_own_token_and_dashboards(grafana: FakeGrafana, url: str, access: Access) -> None:
    run(url, wanted_of(access), access)
    district, kunyin, hengjie = (org(grafana, key) for key in ("district", "kunyin", "hengjie"))
    for one, token, database in (
        (district, "t0", "greenmine_district"),
        (kunyin, "t1", "greenmine_kunyin"),
        (hengjie, "t2", "greenmine_hengjie"),
    ):
        (source,) = one.sources.values()
        assert source["database"] == source["jsonData"]["dbName"] == database
        assert source["secureJsonData"] == {"httpHeaderValue1": f"Token {token}"}
        assert source["jsonData"]["httpHeaderName1"] == "Authorization"
        assert token not in json.dumps(source["jsonData"])
        names = ("exceedance", "warning", "silent", "capture", "lag", "unseen")
        assert set(one.rules) == {f"greenmine-{n}" for n in names}
    assert len(district.dashboards) == len(kunyin.dashboards) == 16
    assert len(hengjie.dashboards) == 14
    assert "kunyin" not in json.dumps([hengjie.dashboards, hengjie.rules, hengjie.templates])
    assert hengjie.members == {1: "Admin"}


def test_users_and_contacts_come_from_the_file(grafana: FakeGrafana, url: str, access: Access) -> None:
    changes = run(url, wanted_of(access), access)
    roles = {a["login"]: (a["password"], n) for n, a in grafana.accounts.items()}
    district, kunyin = org(grafana, "district"), org(grafana, "kunyin")
    assert district.members[roles["duty"][1]] == "Editor"
    assert kunyin.members[roles["manager"][1]] == "Viewer"
    assert roles["duty"][0] == "first password"
    shown = [c.detail for c in changes if c.kind == "user" and "shown only now" in c.detail]
    assert len(shown) == 1
    assert shown[0].endswith(roles["manager"][0])
    assert "first password" not in str([c for c in changes if c.name == "duty"])
    kinds = {c["type"] for c in (*district.contacts.values(), *kunyin.contacts.values()) if c["uid"] != "default"}
    assert kinds == {"email", "wecom", "dingding", "webhook"}
    routes = district.policies["routes"]
    assert [r["receiver"] for r in routes] == ["greenmine-duty", "greenmine-group"]
    assert all(r["group_by"] == ["enterprise", "alertname"] and r["continue"] for r in routes)
    assert routes[1]["object_matchers"] == [
        ["enterprise", "=~", "|kunyin|jiuchi"],
        ["rule", "=~", "exceedance"],
        ["system", "=", "greenmine"],
    ]
    assert district.policies["receiver"] == "grafana-default-email"


def test_where_nobody_is_told_alerts_do_not_go_to_the_address_that_grafana_comes_with(
    grafana: FakeGrafana, url: str, access: Access
) -> None:
    run(url, wanted_of(access), access)
    (route,) = org(grafana, "hengjie").policies["routes"]
    assert route["object_matchers"] == [["system", "=", "greenmine"]]
    (mute,) = (org(grafana, "hengjie").mute_timings[name] for name in route["mute_time_intervals"])
    assert mute["time_intervals"] == [{"times": [{"start_time": "00:00", "end_time": "24:00"}]}]
    run(url, wanted_of(Access()), Access())
    (route,) = grafana.orgs[1].policies["routes"]
    assert route["mute_time_intervals"] == ["greenmine-nobody"]
    run(url, wanted_of(access), access)
    assert not any("mute_time_intervals" in route for route in grafana.orgs[1].policies["routes"])


def test_twice_changes_nothing(grafana: FakeGrafana, url: str, access: Access) -> None:
    assert run(url, wanted_of(access), access)
    before = state(grafana)
    grafana.writes.clear()
    assert run(url, wanted_of(access), access) == []
    assert grafana.writes == []
    assert state(grafana) == before


def test_a_dry_run_tells_the_changes_and_makes_none(grafana: FakeGrafana, url: str, access: Access) -> None:
    before = state(grafana)
    told = run(url, wanted_of(access), access, dry=True)
    assert state(grafana) == before
    assert grafana.writes == []
    made = run(url, wanted_of(access), access)
    assert [(c.organisation, c.action, c.kind, c.name) for c in told] == [
        (c.organisation, c.action, c.kind, c.name) for c in made
    ]


def test_what_is_not_ours_is_left_alone(grafana: FakeGrafana, url: str, access: Access) -> None:
    first = grafana.orgs[1]
    first.sources["theirs"] = {"id": 900, "uid": "theirs", "name": "Prometheus", "isDefault": True}
    first.folders["theirs"] = {"uid": "theirs", "title": "Theirs", "version": 3}
    first.dashboards["theirs"] = {
        "dashboard": {"uid": "theirs", "title": "T", "id": 901},
        "meta": {"folderUid": "theirs"},
    }
    first.rules["theirs"] = {"uid": "theirs", "title": "Theirs", "provenance": ""}
    first.contacts["theirs"] = {"uid": "theirs", "name": "Theirs", "type": "email", "settings": {}, "provenance": ""}
    first.policies["routes"] = [{"receiver": "Theirs", "object_matchers": [["team", "=", "a"]]}]
    theirs = copy.deepcopy(
        [getattr(first, n)["theirs"] for n in ("sources", "folders", "dashboards", "rules", "contacts")]
    )
    run(url, wanted_of(access), access)
    run(url, wanted_of(Access()), Access())
    assert [getattr(first, n)["theirs"] for n in ("sources", "folders", "dashboards", "rules", "contacts")] == theirs
    assert first.policies["routes"][1:] == [{"receiver": "Theirs", "object_matchers": [["team", "=", "a"]]}]
    assert first.policies["provenance"] == ""
    assert set(first.contacts) == {"default", "theirs"}


def test_policies_that_another_tool_provisioned_keep_its_mark(grafana: FakeGrafana, url: str, access: Access) -> None:
    grafana.orgs[1].policies["provenance"] = "api"
    run(url, wanted_of(access), access)
    assert grafana.orgs[1].policies["provenance"] == "api"
    assert len(grafana.orgs[1].policies["routes"]) == 2


def test_what_somebody_changed_is_set_right(grafana: FakeGrafana, url: str, access: Access) -> None:
    run(url, wanted_of(access), access)
    before = state(grafana)
    first = grafana.orgs[1]
    first.dashboards["greenmine-dust-zh"]["dashboard"]["title"] = "Mine"
    first.sources["greenmine-influx"]["url"] = "http://elsewhere:8086"
    first.folders["greenmine-zh"]["title"] = "Elsewhere"
    first.rules["greenmine-silent"]["for"] = "1h"
    first.templates["greenmine"]["template"] = '{{ define "greenmine.title" }}{{ end }}'
    first.dashboards["greenmine-old-zh"] = copy.deepcopy(first.dashboards["greenmine-dust-en"])
    first.rules["greenmine-old"] = {"uid": "greenmine-old", "title": "Old", "provenance": "api"}
    changes = {(c.action, c.kind, c.name) for c in run(url, wanted_of(access), access)}
    assert changes == {
        ("update", "dashboard", "greenmine-dust-zh"),
        ("update", "data source", "greenmine-influx"),
        ("update", "folder", "绿色矿山监测"),
        ("update", "alert rule", "greenmine-silent"),
        ("update", "message template", "greenmine"),
        ("delete", "dashboard", "greenmine-old-zh"),
        ("delete", "alert rule", "greenmine-old"),
    }
    first.dashboards["greenmine-dust-zh"]["dashboard"]["version"] = 1
    first.folders["greenmine-zh"]["version"] = 1
    assert state(grafana) == before


@pytest.mark.parametrize(
    ("key", "change", "kind"),
    [
        ("district", lambda org: org.rules["greenmine-exceedance"].update(isPaused=True), "alert rule"),
        ("district", lambda org: setattr(org, "interval", 3600), "group of alert rules"),
        ("district", lambda org: org.policies["routes"].insert(0, {"receiver": "Theirs"}), "notification policies"),
        ("hengjie", lambda org: org.mute_timings["greenmine-nobody"].update(time_intervals=[]), "mute timing"),
    ],
    ids=["paused", "seldom", "behind another policy", "mute never"],
)
def test_what_kept_alarms_from_being_told_is_set_right(
    grafana: FakeGrafana, url: str, access: Access, key: str, change: Callable[[Org], None], kind: str
) -> None:
    theirs = {"uid": "theirs", "name": "Theirs", "type": "email", "settings": {}, "provenance": ""}
    grafana.orgs[1].contacts["theirs"] = dict(theirs)
    grafana.orgs[1].policies["routes"] = [{"receiver": "Theirs"}]
    run(url, wanted_of(access), access)
    before = state(grafana)
    one = grafana.orgs[1] if key == "district" else org(grafana, key)
    if kind == "notification policies":
        one.policies["routes"].pop()
    change(one)
    assert [(c.action, c.kind) for c in run(url, wanted_of(access), access)] == [("update", kind)]
    assert state(grafana) == before


def test_editors_see_our_folders_and_edit_the_one_of_their_own(grafana: FakeGrafana, url: str, access: Access) -> None:
    run(url, wanted_of(access), access)
    first = grafana.orgs[1]
    seen = [{"role": "Viewer", "permission": 1}, {"role": "Editor", "permission": 1}]
    assert first.rights["greenmine-zh"] == first.rights["greenmine-en"] == seen
    assert {"role": "Editor", "permission": 2} in first.rights["greenmine-own"]
    team = {"teamId": 7, "permission": 2}
    first.rights["greenmine-zh"] = [team, {"role": "Editor", "permission": 2}]
    first.rights["greenmine-own"] = []
    (change,) = run(url, wanted_of(access), access)
    assert (change.action, change.kind, change.name) == ("update", "rights of folder", "绿色矿山监测")
    assert first.rights == {"greenmine-zh": [team, *seen], "greenmine-en": seen, "greenmine-own": []}


def test_a_changed_token_or_secret_address_is_noticed(
    grafana: FakeGrafana, url: str, access: Access, tmp_path: Path
) -> None:
    run(url, wanted_of(access), access)
    changed = load_access(access_file(tmp_path, group="https://example.org/send?key=2"), REGISTRY)
    tokens = {"greenmine_district": "new", "greenmine_kunyin": "t1", "greenmine_hengjie": "t2"}
    changes = run(url, wanted_of(changed, tokens), changed)
    assert [(c.organisation, c.action, c.kind, c.name) for c in changes] == [
        ("district", "update", "data source", "greenmine-influx"),
        ("district", "create", "contact point", "greenmine-group"),
        ("district", "delete", "contact point", "greenmine-group"),
    ]
    first = grafana.orgs[1]
    assert first.sources["greenmine-influx"]["secureJsonData"] == {"httpHeaderValue1": "Token new"}
    assert [c["settings"]["url"] for c in first.contacts.values() if c["type"] == "wecom"] == [
        "https://example.org/send?key=2"
    ]


def test_what_comes_from_files_is_left_to_them(grafana: FakeGrafana, url: str, access: Access) -> None:
    run(url, wanted_of(access), access)
    first = grafana.orgs[1]
    first.sources["greenmine-influx"] |= {"readOnly": True, "url": "http://elsewhere:8086"}
    first.dashboards["greenmine-dust-zh"]["dashboard"]["title"] = "Mine"
    first.dashboards["greenmine-dust-zh"]["meta"]["provisioned"] = True
    first.rules["greenmine-silent"] |= {"for": "1h", "provenance": "file"}
    changes = run(url, wanted_of(access), access)
    assert {(c.action, c.name) for c in changes} == {
        ("leave", "greenmine-influx"),
        ("leave", "greenmine-dust-zh"),
        ("leave", "greenmine-silent"),
    }


def test_a_dashboard_that_changes_meanwhile_is_an_error_and_the_next_run_goes_on(
    grafana: FakeGrafana, url: str, access: Access
) -> None:
    run(url, wanted_of(access), access)
    grafana.orgs[1].dashboards["greenmine-dust-zh"]["dashboard"]["title"] = "Mine"

    def meanwhile(one, uid: str) -> None:
        one.dashboards[uid]["dashboard"]["version"] += 1

    grafana.before_save = meanwhile
    _, (fault,) = attempt(url, wanted_of(access), access)
    assert re.search(r"dashboard greenmine-dust-zh.*changed.*run it again", fault)
    grafana.before_save = lambda _org, _uid: None
    assert [c.name for c in run(url, wanted_of(access), access)] == ["greenmine-dust-zh"]


def test_where_one_thing_fails_the_others_go_on_and_the_next_run_completes(
    grafana: FakeGrafana, url: str, access: Access
) -> None:
    grafana.fail = lambda method, path: 400 if method == "POST" and path.endswith("/alert-rules") else 0
    _, faults = attempt(url, wanted_of(access), access)
    assert len(faults) == 3 * 6
    assert all("alert rule greenmine-" in fault for fault in faults)
    grafana.fail = lambda _method, _path: 0
    assert {(c.action, c.kind) for c in run(url, wanted_of(access), access)} == {("create", "alert rule")}
    assert run(url, wanted_of(access), access) == []
    assert len(grafana.orgs) == 3


def test_what_a_busy_grafana_refuses_is_asked_for_again(grafana: FakeGrafana, url: str, access: Access) -> None:
    refused: list[str] = []

    def busy(method: str, path: str) -> int:
        if method == "GET" or path in refused:
            return 0
        refused.append(path)
        return 500

    grafana.fail = busy
    run(url, wanted_of(access), access)
    assert refused
    assert run(url, wanted_of(access), access) == []


def test_where_one_organisation_fails_the_others_are_complete(grafana: FakeGrafana, url: str, access: Access) -> None:
    run(url, wanted_of(access), access)
    complete = state(grafana)
    org(grafana, "kunyin").name = "Elsewhere (kunyin)"
    for one in grafana.orgs.values():
        one.dashboards.clear()
    number = next(n for n, o in grafana.orgs.items() if o.name.endswith("(kunyin)"))
    grafana.fail = lambda method, path: 500 if method == "PUT" and path == f"/orgs/{number}" else 0
    _, (fault,) = attempt(url, wanted_of(access), access)
    assert "(kunyin)" in fault
    assert [len(org(grafana, key).dashboards) for key in ("district", "kunyin", "hengjie")] == [16, 0, 14]
    grafana.fail = lambda _method, _path: 0
    run(url, wanted_of(access), access)
    assert shape(state(grafana)) == shape(complete)


def test_a_new_organisation_is_waited_for_until_it_has_an_alertmanager(
    grafana: FakeGrafana, url: str, access: Access
) -> None:
    grafana.late = 3.0
    assert run(url, wanted_of(access), access)
    assert run(url, wanted_of(access), access) == []
    assert "greenmine" in org(grafana, "hengjie").templates


def test_an_organisation_that_gets_no_alertmanager_has_all_but_messages(
    grafana: FakeGrafana, url: str, access: Access
) -> None:
    grafana.late = 1e9
    _, faults = attempt(url, wanted_of(access), access, patience=0.0)
    assert [fault.partition(":")[0] for fault in faults] == ["kunyin", "hengjie"]
    assert all("no Alertmanager configuration" in fault for fault in faults)
    assert len(org(grafana, "hengjie").rules) == 6
    assert "greenmine" in org(grafana, "district").templates


def test_a_version_that_is_not_told_is_taken_for_the_newest(grafana: FakeGrafana, url: str) -> None:
    grafana.version = ""
    with GrafanaServer(url, USER, PASSWORD) as server:
        assert server.release() > 11


@pytest.mark.parametrize(("version", "states"), [("10.4.2", {"OK"}), ("11.0.0", {"KeepLast"})])
def test_rules_keep_their_state_where_the_version_can(
    grafana: FakeGrafana, url: str, access: Access, version: str, states: set[str]
) -> None:
    grafana.version = version
    run(url, wanted_of(access), access)
    rules = grafana.orgs[1].rules
    assert {rule["execErrState"] for uid, rule in rules.items() if uid != "greenmine-unseen"} == states
    assert rules["greenmine-unseen"]["execErrState"] == rules["greenmine-unseen"]["noDataState"] == "Alerting"
    assert run(url, wanted_of(access), access) == []


def test_a_foreign_thing_of_our_name_is_a_fault_in_words(grafana: FakeGrafana, url: str, access: Access) -> None:
    grafana.orgs[1].folders["theirs"] = {"uid": "theirs", "title": "绿色矿山监测", "version": 1}
    _, faults = attempt(url, wanted_of(access), access)
    assert re.search(r"folder 绿色矿山监测.*rename it", faults[0])


def test_a_server_that_goes_away_ends_the_run(grafana: FakeGrafana, access: Access) -> None:
    with serving(grafana) as address:
        pass
    with pytest.raises(UnreachableError, match="cannot be reached"):
        attempt(address, wanted_of(access), access)


def test_a_wrong_password_is_an_error_in_words_without_the_password(url: str, access: Access) -> None:
    with (
        GrafanaServer(url, USER, "wrong one") as server,
        pytest.raises(GrafanaError, match="GREENMINE_GRAFANA_USER") as error,
    ):
        provision(server, wanted_of(access), access, lambda _: None)
    assert "wrong one" not in str(error.value)


@pytest.mark.parametrize("name", ["Old name (kunyin)", "A name without its id"])
def test_an_organisation_is_found_again_by_its_id_or_bucket_and_renamed(
    grafana: FakeGrafana, url: str, access: Access, name: str
) -> None:
    grafana.orgs[90] = Org("Somebody else's, without the account")
    run(url, wanted_of(access), access)
    kunyin = org(grafana, "kunyin")
    kunyin.name = name
    assert [(c.action, c.kind) for c in run(url, wanted_of(access), access)] == [("update", "organisation")]
    assert kunyin.name == "重庆市万州区坤银矿业有限公司 (kunyin)"
    assert len(grafana.orgs) == 4


def test_the_account_joins_an_organisation_that_somebody_else_made(
    grafana: FakeGrafana, url: str, access: Access
) -> None:
    run(url, wanted_of(access), access)
    org(grafana, "kunyin").members = {1: "Admin"}
    del org(grafana, "hengjie").members[1]
    run(url, wanted_of(access), access)
    assert org(grafana, "hengjie").members[1] == "Admin"


@pytest.mark.parametrize(
    ("wanted", "present", "expected"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, []),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, ["a.b[1]"]),
        ({"a": [1]}, {"a": [1, 2]}, ["a"]),
        ({"a": "secret"}, {"a": "[REDACTED]"}, []),
        ({"a": ""}, {}, []),
        ({"a": 2}, {}, ["a"]),
    ],
)
def test_what_grafana_adds_or_hides_is_no_difference(wanted: object, present: object, expected: list[str]) -> None:
    assert differences(wanted, present) == expected


def test_the_command_shows_what_it_does(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {
        "GRAFANA_URL": f"{url}/",
        "GRAFANA_PASSWORD": PASSWORD,
        "GRAFANA_ACCESS": str(access_file(tmp_path)),
        "INFLUX_URL": "http://influxdb:8086",
    }.items():
        monkeypatch.setenv(f"GREENMINE_{name}", value)
    command(data=tmp_path, dry_run=True)
    assert "kunyin: create organisation" in capsys.readouterr().out
    command(data=tmp_path)
    capsys.readouterr()
    command(data=tmp_path)
    shown = capsys.readouterr().out
    assert shown.strip() == "0 changes, 6 organisations."
    assert PASSWORD not in shown


def test_the_command_ends_with_status_1_and_lists_what_failed(
    grafana: FakeGrafana, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"GRAFANA_URL": url, "GRAFANA_PASSWORD": PASSWORD, "INFLUX_URL": "http://influxdb:8086"}.items():
        monkeypatch.setenv(f"GREENMINE_{name}", value)
    grafana.fail = lambda method, path: 500 if method == "POST" and path == "/datasources" else 0
    with pytest.raises(SystemExit) as error:
        command(data=tmp_path)
    assert "district: data source greenmine-influx" in str(error.value)
    assert "kunyin: data source greenmine-influx" in str(error.value)


def test_watching_brings_a_new_token_and_a_changed_registry_to_grafana(
    grafana: FakeGrafana, url: str, tmp_path: Path
) -> None:
    shutil.copytree(DEFAULT, tmp_path / "registry")
    tokens = tmp_path / "influx-tokens.json"
    tokens.write_text('{"greenmine_kunyin": {"read": "first"}}')
    given = {
        "GREENMINE_GRAFANA_URL": url,
        "GREENMINE_GRAFANA_PASSWORD": PASSWORD,
        "GREENMINE_INFLUX_URL": "http://influxdb:8086",
        "GREENMINE_REGISTRY": str(tmp_path / "registry"),
        "GREENMINE_DATA": str(tmp_path),
    }

    def token() -> str:
        sources = [one.sources for one in grafana.orgs.values() if one.name.endswith("(kunyin)") and one.sources]
        return sources[0]["greenmine-influx"]["secureJsonData"]["httpHeaderValue1"] if sources else ""

    program = [Path(sys.executable).with_name("greenmine"), "grafana", "provision", "--watch"]
    with subprocess.Popen(program, env=os.environ | given, cwd=tmp_path, stdout=subprocess.DEVNULL) as watching:
        try:
            until(lambda: token() == "Token first", "the first token")
            tokens.write_text('{"greenmine_kunyin": {"read": "second"}}')
            until(lambda: token() == "Token second", "the second token")
            enterprises = tmp_path / "registry" / "enterprises.toml"
            enterprises.write_text(enterprises.read_text("utf-8").replace("坤银矿业", "新坤银矿业"), "utf-8")
            until(lambda: any("新坤银" in one.name for one in grafana.orgs.values()), "the new name")
        finally:
            watching.terminate()


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            'organisation = "kunyin"\nkind = "dingtalk"',
            'organisation = "kunyn"\nkind = "dingtalk"',
            "nearest: 'kunyin'",
        ),
        ('enterprises = ["kunyin", "jiuchi"]', 'enterprises = ["nobody"]', "enterprise 'nobody' is unknown"),
        ('url = "https://example.org/hook"', 'url = "example.org"', "must begin with https://"),
        ('url = "https://example.org/hook"', "", "url or url_file"),
        ('password_file = "duty-password"', 'password_file = "none"', "none cannot be read"),
        ('addresses = ["duty@example.org", "second@example.org"]', "", "has addresses and no url"),
        ('role = "Editor"', 'role = "Owner"', "not one of"),
        (
            'organisation = "kunyin"\n\n',
            'organisation = "kunyin"\nrole = "Admin"\n\n',
            "Admin is for the district only",
        ),
    ],
)
def test_a_fault_of_the_file_is_told_with_its_place(tmp_path: Path, old: str, new: str, fault: str) -> None:
    assert ACCESS.count(old) == 1
    with pytest.raises(DataFileError, match=r"access\.toml, line") as error:
        load_access(access_file(tmp_path, ACCESS.replace(old, new)), REGISTRY)
    assert fault in str(error.value)
