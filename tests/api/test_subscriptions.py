"""Subscriptions by API and page: whose they are, what is checked, what is never shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest

from greenmine.notify.store import Notices
from greenmine.notify.subscriptions import MOST
from greenmine.notify.targets import CLASSES, Mqtt
from greenmine.registry import Registry
from greenmine.settings import Settings
from tests.api.serving import serving
from tests.api.signing import bearer, browser, now, token_for

EVENTS = ["exceedance-opened", "station-silent"]
HOOK = {"kind": "webhook", "url": "https://hooks.example.org/T0/path-is-secret"}
DING = {"kind": "dingtalk", "token": "token-is-secret", "secret": "SEC-is-secret"}


class Office(NamedTuple):
    """A server that has no record yet: subscriptions need none."""

    client: httpx.Client
    address: str
    data: Path


def opened(data: Path, registry: Registry) -> Iterator[Office]:
    headers = bearer(token_for(data))
    with serving(data, registry) as address, httpx.Client(base_url=address, headers=headers, timeout=20) as client:
        yield Office(client, address, data)


@pytest.fixture
def office(tmp_path: Path, registry: Registry) -> Iterator[Office]:
    yield from opened(tmp_path, registry)


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Iterator[Office]:
    """One in which nothing is made."""
    yield from opened(tmp_path_factory.mktemp("front"), registry)


def enterprise(office: Office, *names: str, **token: Any) -> dict[str, str]:
    return bearer(token_for(office.data, "-".join(names), "enterprise", *names, **token))


def post(office: Office, body: dict[str, Any], headers: dict[str, str]) -> httpx.Response:
    whole = {"name": "room", "target": HOOK, "events": EVENTS} | body
    return office.client.post("/api/v1/subscriptions", json=whole, headers=headers)


def test_an_enterprise_looks_after_its_own(office: Office) -> None:
    own, other = enterprise(office, "hengjie"), enterprise(office, "jiuchi")
    answer = post(office, {"quiet": {"start": "22:00", "end": "07:00"}, "language": "en"}, own)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["secret"].startswith("whsec_")
    item = made["subscription"]
    assert (item["enterprise"], item["kind"], item["where"]) == ("hengjie", "webhook", "https://hooks.example.org/…")
    path = f"/api/v1/subscriptions/{item['id']}"
    everything = "".join(
        office.client.get(p, headers=own).text
        for p in ("/api/v1/subscriptions", path, f"{path}/messages", "/api/v1/audit")
    )
    assert "is-secret" not in everything
    assert made["secret"] not in everything
    assert "subscription-made" in everything
    assert "hooks.example.org" in everything

    changed = office.client.patch(path, json={"enabled": False, "quiet": None, "events": ["capture-low"]}, headers=own)
    assert changed.status_code == 200, changed.text
    assert (changed.json()["enabled"], changed.json()["quiet"], changed.json()["events"]) == (
        False,
        None,
        ["capture-low"],
    )
    assert changed.json()["name"] == "room"
    assert office.client.post(f"{path}/test", headers=own).status_code == 409, "it is switched off"
    office.client.patch(path, json={"enabled": True}, headers=own)
    assert office.client.post(f"{path}/test", headers=own).status_code == 202
    assert office.client.post(f"{path}/test", headers=own).status_code == 429, "one is under way"
    assert office.client.get(path, headers=own).json()["waiting"] == 1

    assert office.client.get("/api/v1/subscriptions", headers=other).json()["items"] == []
    assert office.client.delete(path, headers=other).status_code == 404
    assert office.client.get("/api/v1/subscriptions").json()["items"] != [], "an administrator sees all"
    office.client.patch(path, json={"name": "hall"})
    lines = office.client.get("/api/v1/audit", headers=own).json()["items"]
    assert (lines[0]["action"], lines[0]["subject"]) == ("subscription-changed", "hall")
    assert "hall" not in office.client.get("/api/v1/audit", headers=other).text
    gone = office.client.delete(path, headers=own)
    assert (gone.status_code, gone.content) == (204, b"")
    assert office.client.get(path, headers=own).status_code == 404


def test_the_district_is_its_supervisors(office: Office) -> None:
    supervisor = bearer(token_for(office.data, "district", "supervisor"))
    reading = bearer(token_for(office.data, "district", "supervisor", write=False))
    made = post(office, {"target": DING, "sites": ["jiuchi"]}, supervisor)
    assert made.status_code == 201, made.text
    assert made.json()["secret"] is None
    item = made.json()["subscription"]
    assert (item["enterprise"], item["where"], item["sites"]) == (None, "", ["jiuchi"])
    assert "is-secret" not in office.client.get("/api/v1/subscriptions", headers=reading).text
    assert len(office.client.get("/api/v1/subscriptions", headers=reading).json()["items"]) == 1
    assert post(office, {}, reading).status_code == 403
    assert post(office, {"enterprise": "hengjie"}, supervisor).status_code == 404
    assert office.client.get("/api/v1/subscriptions", headers=enterprise(office, "hengjie")).json()["items"] == []


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"sites": ["jiuchi"]}, 404, "no site 'jiuchi'"),
        ({"enterprise": "jiuchi"}, 404, "no enterprise 'jiuchi'"),
        ({"target": {"kind": "mail", "to": ["li@example.org"]}}, 409, "no mail server"),
        ({"target": {"kind": "mail", "to": ["li@example.org\nBcc: x@example.org"]}}, 400, "to:"),
        ({"target": {"kind": "webhook", "url": "https://u:p@example.org/"}}, 400, "url:"),
        ({"target": {"kind": "mqtt"}, "quiet": {"start": "22:00", "end": "07:00"}}, 400, "quiet:"),
        ({"quiet": {"start": "22:00", "end": "22:00"}}, 400, "quiet:"),
        ({"quiet": {"start": "24:00", "end": "07:00"}}, 400, "quiet:"),
        ({"events": []}, 400, "length"),
        ({"events": ["everything"]}, 400, "everything"),
        ({"name": "line\nbreak"}, 400, "name:"),
        ({"colour": "red"}, 400, "colour"),
    ],
)
def test_what_cannot_be_right_is_refused_with_the_reason(
    front: Office, body: dict[str, Any], status: int, words: str
) -> None:
    answer = post(front, body, enterprise(front, "hengjie"))
    assert answer.status_code == status, answer.text
    assert words in answer.json()["detail"]


def test_who_has_several_enterprises_says_for_which_and_there_is_an_end_of_them(office: Office) -> None:
    both = enterprise(office, "hengjie", "jiuchi")
    assert post(office, {}, both).status_code == 400
    assert post(office, {"enterprise": "jiuchi", "sites": ["hengjie"]}, both).status_code == 400
    notices = Notices(Settings(data=office.data))
    for number in range(MOST):
        notices.subscriptions.add("jiuchi", f"s{number}", Mqtt(), now(), events=["capture-low"], author="x")
    notices.close()
    assert post(office, {"enterprise": "jiuchi"}, both).status_code == 409
    assert post(office, {"enterprise": "hengjie"}, both).status_code == 201


def test_the_page_makes_tests_changes_and_removes(office: Office) -> None:
    with browser(office.address, office.data, "li", "enterprise", "hengjie") as client:
        page = client.get("/notifications")
        csrf = re.search(r'name="csrf" value="([^"]+)"', page.text)
        assert csrf is not None
        form = {"csrf": csrf[1], "kind": "webhook", "name": "<b>room", "url": HOOK["url"], "events": EVENTS}
        assert client.post("/notifications", data=form | {"csrf": "wrong"}).status_code == 403
        wrong = client.post("/notifications", data=form | {"url": "gopher://x"})
        assert wrong.status_code == 400
        assert "gopher://x" in wrong.text, "what was typed is kept"
        made = client.post("/notifications", data=form)
        secret = re.search(r"whsec_[^<]+", made.text)
        assert secret is not None
        again = client.get("/notifications").text
        assert secret[0] not in again
        assert "is-secret" not in again
        assert "&lt;b&gt;room" in again
        path = re.search(r'href="(/notifications/\d+)"', again)
        assert path is not None
        assert client.post(f"{path[1]}/test", data={"csrf": csrf[1]}).status_code == 303
        assert "1 waiting" in client.get(path[1]).text
        change = {"csrf": csrf[1], "name": "hall", "events": ["capture-low"], "quiet_start": "22:00"}
        assert client.post(path[1], data=change).status_code == 400
        assert client.post(path[1], data=change | {"quiet_end": "07:00"}).status_code == 303
        changed = client.get(path[1]).text
        assert "hall" in changed
        assert "switched off" in changed
        assert client.post(f"{path[1]}/remove", data={"csrf": csrf[1]}).status_code == 303
        assert client.get(path[1]).status_code == 404


def test_metrics_tell_what_is_still_to_be_told(office: Office) -> None:
    own = enterprise(office, "hengjie")
    number = post(office, {}, own).json()["subscription"]["id"]
    office.client.post(f"/api/v1/subscriptions/{number}/test", headers=own)
    text = office.client.get("/metrics").text
    assert 'greenmine_notifications_waiting{owner="hengjie"} 1.0' in text
    assert 'greenmine_notifications_sent_total{owner="hengjie"} 0.0' in text
    assert "greenmine_notifications" not in office.client.get("/metrics", headers=own).text


def test_mail_can_be_chosen_where_there_is_a_mail_server(tmp_path: Path, registry: Registry) -> None:
    data = tmp_path
    headers = bearer(token_for(data))
    with serving(data, registry, smtp_host="mail.example.org", smtp_from="x@example.org") as address:
        body = {"name": "x", "target": {"kind": "mail", "to": ["li@example.org"]}, "events": EVENTS}
        answer = httpx.post(f"{address}/api/v1/subscriptions", json=body, headers=headers)
    assert answer.json()["subscription"]["where"] == "li@example.org"


def test_the_form_of_every_kind_asks_for_what_it_needs(tmp_path: Path, registry: Registry) -> None:
    with (
        serving(tmp_path, registry, smtp_host="mail.example.org", smtp_from="x@example.org") as address,
        browser(address, tmp_path, "boss", "administrator") as client,
    ):
        for kind, target in CLASSES.items():
            form = client.get("/notifications", params={"kind": kind}).text
            assert f'name="kind" value="{kind}"' in form
            asked = set(re.findall(r'name="(\w+)"', form))
            assert {f.name for f in msgspec.structs.fields(target) if f.required} <= asked, kind
        assert 'name="kind" value="webhook"' in client.get("/notifications?kind=pigeon").text
