"""Bundles are asked for, listed, fetched, and opened to those who see nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import insert, select, update

from greenmine.api.accounts.schema import share as share_table
from greenmine.record import schema
from greenmine.reporting import around, load_reporting
from greenmine.times import local
from tests.api.conftest import Served
from tests.api.filling import LOUD, add_bundle
from tests.api.signing import accounts_in, bearer, browser, ensure_user, now, token_for

HOUR = 3_600_000
ITEM = "降尘降噪"


def test_a_bundle_is_asked_for_once_and_waits(live: Served) -> None:
    asked = live.client.post("/api/v1/bundles", json={"site": LOUD, "period": "2026-10"})
    assert asked.status_code == 202
    view = live.client.get(asked.headers["location"]).json()
    assert (view["state"], view["first"], view["last"], view["href"]) == ("waiting", "2026-10-01", "2026-10-31", None)
    assert view["author"] == "tester/test"
    again = live.client.post("/api/v1/bundles", json={"site": LOUD, "period": "2026-10"})
    assert again.status_code == 409
    assert live.client.get(f"{asked.headers['location']}/file").status_code == 404
    shared = live.client.post(f"{asked.headers['location']}/shares", json={"receiver": "x", "days": 1})
    assert shared.status_code == 409, "there is no file yet"
    for month in range(1, 5):
        live.client.post("/api/v1/bundles", json={"site": LOUD, "period": f"2026-0{month}"})
    assert live.client.post("/api/v1/bundles", json={"site": LOUD, "period": "2026-05"}).status_code == 429
    listed = live.client.get("/api/v1/bundles", params={"site": LOUD, "size": 2}).json()
    assert [item["period"] for item in listed["items"]] == ["2026-04", "2026-03"]
    rest = live.client.get("/api/v1/bundles", params={"site": LOUD, "size": 9, "cursor": listed["next"]}).json()
    assert [item["period"] for item in rest["items"]] == ["2026-02", "2026-01", "2026-10"]


@pytest.mark.parametrize("period", ["2026-13", "H1", "2099-H1", "", "2026-01-02..2026-01-01", "9999-12"])
def test_a_period_that_is_none_or_to_come_is_refused(served: Served, period: str) -> None:
    answer = served.client.post("/api/v1/bundles", json={"site": LOUD, "period": period})
    assert answer.status_code == 400
    assert "period" in answer.json()["detail"]


def test_a_link_opens_one_bundle_until_it_is_revoked(live: Served) -> None:
    number, content = add_bundle(live.engine, live.data, LOUD)
    made = live.client.post(f"/api/v1/bundles/{number}/shares", json={"receiver": "评估中心", "days": 7}).json()
    code = made["code"]
    listed = live.client.get(f"/api/v1/bundles/{number}/shares").json()["items"]
    assert [(item["receiver"], item["code"], item["downloads"]) for item in listed] == [("评估中心", None, 0)]
    with accounts_in(live.data) as accounts, accounts.shares._engine.connect() as connection:
        stored = str(connection.execute(select(share_table)).all())
    assert code not in stored, "the code is told once and not kept"

    with httpx.Client(base_url=live.client.base_url, headers={"Origin": str(live.client.base_url)}) as public:
        assert "<form" in public.get("/shared").text
        page = public.post("/shared", data={"code": code})
        assert page.status_code == 200
        assert live.registry.site(LOUD).name_zh in page.text
        file = public.post("/shared/file", data={"code": code})
        assert (file.content, file.headers["content-type"]) == (content, "application/zip")
        assert f'filename="{LOUD}-2026-H1.zip"' in file.headers["content-disposition"]
        for wrong in ("share_wrong", "", code[:-1], f"{code}x" * 9):
            assert public.post("/shared/file", data={"code": wrong}).status_code in {400, 404}
        assert public.get(f"/api/v1/bundles/{number}").status_code == 401
        foreign = public.post("/shared/file", data={"code": code}, headers={"Origin": "https://elsewhere.example"})
        assert foreign.status_code == 403

        [line] = live.client.get("/api/v1/audit", params={"action": "shared-download"}).json()["items"]
        assert (line["name"], line["subject"], line["site"]) == ("评估中心", f"bundle {number}", LOUD)
        assert live.client.get(f"/api/v1/bundles/{number}/shares").json()["items"][0]["downloads"] == 1
        revoked = live.client.post(f"/api/v1/bundles/{number}/shares/{made['id']}/revoke").json()
        assert revoked["state"] == "revoked"
        assert public.post("/shared", data={"code": code}).status_code == 404
        assert public.post("/shared/file", data={"code": code}).status_code == 404


def test_a_link_ends_with_its_time_and_with_its_file(live: Served) -> None:
    number, _ = add_bundle(live.engine, live.data, LOUD)
    codes = [
        live.client.post(f"/api/v1/bundles/{number}/shares", json={"receiver": "x", "days": 1}).json()["code"]
        for _ in range(2)
    ]
    with accounts_in(live.data) as accounts, accounts.shares._engine.begin() as connection:
        connection.execute(update(share_table).where(share_table.c.id == 1).values(expires=now() - 1))
    with httpx.Client(base_url=live.client.base_url, headers={"Origin": str(live.client.base_url)}) as public:
        assert [public.post("/shared", data={"code": code}).status_code for code in codes] == [404, 200]
        with live.engine.begin() as connection:  # as in a record that was made anew: another bundle bears the number
            connection.execute(update(schema.bundle).values(digest="0" * 64))
        assert public.post("/shared/file", data={"code": codes[1]}).status_code == 404


def test_an_evaluator_sees_what_was_handed_to_it_and_nothing_else(live: Served) -> None:
    number, content = add_bundle(live.engine, live.data, LOUD)
    other, _ = add_bundle(live.engine, live.data, LOUD, period="2025-H2")
    headers = bearer(token_for(live.data, "assessor", "evaluator"))
    with httpx.Client(base_url=live.client.base_url, headers=headers) as evaluator:
        assert evaluator.get("/api/v1/bundles").json()["items"] == []
        shares = f"/api/v1/bundles/{number}/shares"
        assert live.client.post(shares, json={"receiver": "x", "days": 1, "evaluator": "tester"}).status_code == 404, (
            "only evaluators are handed bundles"
        )
        made = live.client.post(shares, json={"receiver": "centre", "days": 5, "evaluator": "assessor"}).json()
        assert (made["evaluator"], made["code"]) == ("assessor", None)
        assert [item["id"] for item in evaluator.get("/api/v1/bundles").json()["items"]] == [number]
        assert evaluator.get(f"/api/v1/bundles/{number}/file").content == content
        assert evaluator.get(f"/api/v1/bundles/{other}").status_code == 404
        assert evaluator.get(shares).status_code == 403
        assert evaluator.post(shares, json={"receiver": "friend", "days": 5}).status_code == 403
        assert evaluator.get(f"/sites/{LOUD}/evidence").status_code == 404
        assert evaluator.get("/api/v1/reporting").json()["items"] == []
        live.client.post(f"{shares}/{made['id']}/revoke")
        assert evaluator.get("/api/v1/bundles").json()["items"] == []
        assert evaluator.get(f"/api/v1/bundles/{number}/file").status_code == 404


def test_a_link_is_shown_once_on_the_page(live: Served) -> None:
    number, _ = add_bundle(live.engine, live.data, LOUD)
    with browser(str(live.client.base_url).rstrip("/"), live.data, "boss", "enterprise", LOUD) as page:
        assert "Share with an evaluator" in page.get(f"/bundles/{number}").text
        with accounts_in(live.data) as accounts:
            session = accounts.sessions.of_user(ensure_user(accounts, "boss", "enterprise"), now())[0]
        form = {"receiver": "<b>centre", "days": "3", "csrf": session.csrf}
        made = page.post(f"/bundles/{number}/shares", data=form).text
        assert str(page.base_url).rstrip("/") + "/shared#share_" in made
        assert "&lt;b&gt;centre" in made
        later = page.get(f"/bundles/{number}").text
        assert "share_" not in later
        gone = page.post(f"/bundles/{number}/shares/1/revoke", data={"csrf": session.csrf})
        assert (gone.status_code, gone.headers["location"]) == (303, f"/bundles/{number}")
        assert "revoked" in page.get(f"/bundles/{number}").text


def test_the_calendar_tells_days_left_days_missing_and_capture(live: Served) -> None:
    site = live.registry.site(LOUD)
    today = local(live.now, site.zone).date()
    last, present, following = around(today, load_reporting())
    due = local(live.now - 24 * HOUR, site.zone).date()
    # All days of the present period that are due but the first, one that is not due, and one of the period before.
    days = [present.first + timedelta(days=n) for n in range(1, (due - present.first).days)]
    with live.engine.begin() as connection:
        connection.execute(
            insert(schema.sealed_day),
            [{"site": LOUD, "day": day.isoformat()} for day in (*days, due + timedelta(days=1), last.last)],
        )
    number, _ = add_bundle(live.engine, live.data, LOUD, period=present.name)
    found = live.client.get("/api/v1/reporting", params={"site": LOUD}).json()["items"]
    assert [(item["period"], item["state"], item["days_left"]) for item in found] == [
        (last.name, "ended", (last.last - today).days),
        (present.name, "running", (present.last - today).days),
        (following.name, "coming", (following.last - today).days),
    ]
    whole = (last.last - last.first).days + 1
    assert [(item["days_due"], item["days_missing"]) for item in found] == [
        (whole, whole - 1),
        ((due - present.first).days, min(1, (due - present.first).days)),
        (0, 0),
    ]
    assert [item["bundle"] for item in found] == [None, number, None]
    # The record was filled with the whole hours of one day.
    begun = datetime.combine(present.first, datetime.min.time()).replace(tzinfo=UTC).timestamp() * 1000 - 8 * HOUR
    hours = live.now // HOUR - begun / HOUR
    assert found[1]["capture"] == pytest.approx(24 / hours, rel=0.05)
    assert (found[0]["capture"], found[2]["capture"]) == (0, None)


def test_what_an_enterprise_says_of_an_item_is_kept_with_author_and_history(live: Served) -> None:
    client = live.client
    items = client.get("/api/v1/assessments", params={"site": LOUD}).json()["items"]
    assert [item["item"] for item in items] == list(live.registry.site(LOUD).requirement_items)
    assert {item["state"] for item in items} == {"open"}
    assert ("Dust and noise control", True) in {(item["name_en"], bool(item["proof_en"])) for item in items}
    for state, text in (("underway", "third sprayer ordered"), ("met", "")):
        said = client.post("/api/v1/assessments", json={"site": LOUD, "item": ITEM, "state": state, "text": text})
        assert said.status_code == 201
    where = {"site": LOUD, "item": ITEM, "name": "验收单.pdf"}
    kept = client.post("/api/v1/assessments/attachments", params=where, content=b"%PDF-1.7 receipt")
    assert kept.status_code == 201
    fetched = client.get(kept.json()["attachment"]["href"])
    assert (fetched.content, fetched.headers["content-type"]) == (b"%PDF-1.7 receipt", "application/pdf")
    [item] = [i for i in client.get("/api/v1/assessments", params={"site": LOUD}).json()["items"] if i["item"] == ITEM]
    assert (item["state"], item["text"], item["author"]) == ("met", "", "tester/test")
    assert [(entry["state"], entry["text"]) for entry in item["history"]] == [
        ("underway", "third sprayer ordered"),
        ("met", ""),
        (None, ""),
    ]
    earlier = client.get("/api/v1/assessments", params={"site": LOUD, "period": "2025-H1"}).json()["items"]
    assert {i["state"] for i in earlier} == {"open"}, "each period has its own"
    lines = client.get("/api/v1/audit", params={"site": LOUD}).json()["items"]
    assert [(line["action"], line["subject"]) for line in lines] == [
        ("assessment-file", ITEM),
        ("assessment", ITEM),
        ("assessment", ITEM),
    ]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"item": "no such thing", "state": "met"}, 404),
        ({"item": ITEM, "state": "splendid"}, 400),
        ({"item": ITEM, "state": "met", "period": "2026-10"}, 400),
        ({"item": ITEM, "state": "met", "text": "x" * 5_000}, 400),
    ],
)
def test_what_cannot_be_said_of_an_item_is_refused(served: Served, body: dict[str, str], status: int) -> None:
    assert served.client.post("/api/v1/assessments", json={"site": LOUD, **body}).status_code == status


def test_a_supervisor_reads_the_assessment_and_does_not_write_it(served: Served) -> None:
    headers = bearer(token_for(served.data, "watch", "supervisor"))
    with httpx.Client(base_url=served.client.base_url, headers=headers) as client:
        assert client.get("/api/v1/assessments", params={"site": LOUD}).status_code == 200
        body = {"site": LOUD, "item": ITEM, "state": "met"}
        assert client.post("/api/v1/assessments", json=body).status_code == 403
