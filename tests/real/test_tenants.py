"""A viewer of one enterprise sees that enterprise's data, by whatever way they ask."""

from __future__ import annotations

from typing import Any

import pytest

from greenmine.grafana.influx.influx import load_tokens
from greenmine.grafana.influx.influx_schema import DISTRICT, bucket_of
from greenmine.grafana.variables import UID
from tests.real.conftest import Installation, Provisioned
from tests.real.inboxes import VIEWER_PASSWORD
from tests.real.servers import Answer, Grafana, call

VIEWER = ("kunyin", VIEWER_PASSWORD)
SITES = 'SELECT last("code") FROM {source} WHERE $timeFilter GROUP BY "site"'
OTHERS = (DISTRICT, bucket_of("hengjie"))


def ask(
    grafana: Grafana, installation: Installation, query: str, org: int | None, account: tuple[str, str], **named: Any
) -> Answer:
    """Ask as a panel does."""
    asked = {"refId": "A", "query": query, "rawQuery": True, "resultFormat": "table", "intervalMs": 60_000}
    source = {"datasource": {"type": "influxdb", "uid": UID}} | named
    body = {"queries": [asked | source], "from": str(installation.start), "to": str(installation.end)}
    return grafana.call("POST", "/api/ds/query", body, org=org, account=account)


@pytest.fixture
def orgs(provisioned: Provisioned) -> dict[str, int]:
    return provisioned.grafana.organisations()


def test_the_own_bucket_can_be_asked_and_holds_the_own_mine_only(
    provisioned: Provisioned, installation: Installation, orgs: dict[str, int]
) -> None:
    answer = ask(provisioned.grafana, installation, SITES.format(source='"health"'), orgs["kunyin"], VIEWER)
    assert answer.status == 200
    assert b"kunyin" in answer.body
    assert not [e.id for e in installation.registry.enterprises if e.id != "kunyin" and e.id.encode() in answer.body]


@pytest.mark.parametrize("other", ["district", "hengjie"])
def test_another_organisation_lets_the_viewer_in_by_no_header(
    provisioned: Provisioned, installation: Installation, orgs: dict[str, int], other: str
) -> None:
    answer = ask(provisioned.grafana, installation, SITES.format(source='"health"'), orgs[other], VIEWER)
    assert answer.status in {401, 403}
    assert b"hengjie" not in answer.body


@pytest.mark.parametrize("other", OTHERS)
def test_another_bucket_cannot_be_named_in_a_query(
    provisioned: Provisioned, installation: Installation, orgs: dict[str, int], other: str
) -> None:
    source = f'"{other}"."autogen"."health"'
    answer = ask(provisioned.grafana, installation, SITES.format(source=source), orgs["kunyin"], VIEWER)
    assert not [frame for result in answer.json()["results"].values() for frame in result.get("frames", ())]
    assert answer.status != 200 or "error" in answer.json()["results"]["A"]


@pytest.mark.parametrize("other", ["district", "hengjie"])
def test_the_data_source_of_another_organisation_cannot_be_named(
    provisioned: Provisioned, installation: Installation, orgs: dict[str, int], other: str
) -> None:
    found = provisioned.grafana.get(f"/api/datasources/uid/{UID}", org=orgs[other])
    source = {"datasource": {"type": "influxdb", "id": found["id"]}, "datasourceId": found["id"]}
    query = SITES.format(source='"health"')
    answer = ask(provisioned.grafana, installation, query, orgs["kunyin"], VIEWER, **source)
    assert answer.status in {400, 403, 404}
    assert b"hengjie" not in answer.body


@pytest.mark.parametrize("path", ["health", "metrics", "debug/pprof/", "query?db=greenmine_kunyin&q=SHOW+DATABASES"])
@pytest.mark.parametrize("account", [VIEWER, None], ids=["viewer", "administrator"])
def test_the_data_source_proxy_is_shut(
    provisioned: Provisioned, orgs: dict[str, int], path: str, account: tuple[str, str] | None
) -> None:
    uid = f"/api/datasources/proxy/uid/{UID}/{path}"
    answer = provisioned.grafana.call("GET", uid, org=orgs["kunyin"], account=account)
    assert answer.status == 403
    assert b"whitelist" in answer.body


@pytest.mark.parametrize("path", ["/metrics", "/debug/pprof/", "/debug/pprof/cmdline"])
def test_influxdb_tells_nothing_of_itself_without_a_token(installation: Installation, path: str) -> None:
    assert call("GET", f"{installation.settings.influx_url}{path}").status in {403, 404}


def test_grafana_tells_no_alarms_of_organisations_without_a_token(provisioned: Provisioned) -> None:
    answer = call("GET", f"{provisioned.grafana.url}/metrics")
    assert answer.status == 404 or b"grafana_alerting" not in answer.body


@pytest.mark.parametrize("path", ["/api/orgs", "/api/org/users", "/api/users/search"])
def test_a_viewer_lists_neither_organisations_nor_people(
    provisioned: Provisioned, orgs: dict[str, int], path: str
) -> None:
    answer = provisioned.grafana.call("GET", path, org=orgs["kunyin"], account=VIEWER)
    assert answer.status == 403 or answer.json() == []


def test_a_viewer_sees_of_data_sources_only_the_own_one_without_its_token(
    provisioned: Provisioned, installation: Installation, orgs: dict[str, int]
) -> None:
    answer = provisioned.grafana.call("GET", "/api/datasources", org=orgs["kunyin"], account=VIEWER)
    (source,) = answer.json()
    assert (source["orgId"], source["jsonData"]["dbName"]) == (orgs["kunyin"], bucket_of("kunyin"))
    tokens = [token for one in load_tokens(installation.settings).values() for token in (one.read, one.write)]
    assert not any(token.encode() in answer.body for token in tokens)
