"""What people say: handling of exceedances, attachments, marks; and what is refused."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest
from sqlalchemy import func, select, update

from greenmine.api.http.attachments import checked_name, disposition, path_of
from greenmine.api.http.problems import Problem
from greenmine.record import schema
from greenmine.registry import Registry
from greenmine.times import HOUR
from tests.api.conftest import Served, _served
from tests.api.filling import LOUD

PNG = b"\x89PNG\r\n\x1a\n" + bytes(32)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Iterator[Served]:
    """One record for all tests here: what is refused leaves no trace, and each success has an exceedance of its own."""
    yield from _served(tmp_path_factory.mktemp("handled"), registry)


def say(served: Served, number: int, kind: str, text: str = "") -> httpx.Response:
    return served.client.post(f"/api/v1/exceedances/{number}/handling", json={"kind": kind, "text": text})


def attach(served: Served, name: str, content: bytes = PNG, number: int = 1) -> httpx.Response:
    return served.client.post(f"/api/v1/exceedances/{number}/attachments", params={"name": name}, content=content)


def files_of(served: Served) -> list[Path]:
    return [path for path in (served.data / "attachments").rglob("*") if path.is_file()]


def test_handling_is_kept_in_order_and_shown_with_the_exceedance(live: Served) -> None:
    with live.engine.begin() as connection:
        before = connection.scalar(select(func.max(schema.exceedance.c.serial)))
    assert before is not None
    for kind, text in (("acknowledged", ""), ("cause", "dry"), ("cause", "dry road"), ("handling", "watered")):
        answer = say(live, 3, kind, text)
        assert answer.status_code == 201, answer.text
        assert answer.json()["kind"] == kind
    body = live.client.get("/api/v1/exceedances/3").json()
    assert [(e["kind"], e["text"]) for e in body["handling"]] == [
        ("acknowledged", ""),
        ("cause", "dry"),
        ("cause", "dry road"),
        ("handling", "watered"),
    ]
    assert body["exceedance"]["cause"] == "dry road"
    assert body["exceedance"]["handling"] == "watered"
    assert body["exceedance"]["acknowledged"] is not None
    with live.engine.begin() as connection:
        row = connection.execute(select(schema.exceedance).where(schema.exceedance.c.id == 3)).one()
    assert row.serial > before, "whoever follows the record sees the change"
    assert row.changed < live.now + HOUR


def test_what_was_done_and_downloaded_stands_in_the_audit_log(live: Served) -> None:
    assert say(live, 5, "comment", "seen from the road").status_code == 201
    assert live.client.get(f"/api/v1/ledger?site={LOUD}&format=csv").status_code == 200
    lines = live.client.get(f"/api/v1/audit?site={LOUD}").json()["items"]
    assert [(line["action"], line["site"]) for line in lines[:2]] == [("export", LOUD), ("comment", LOUD)]
    assert lines[1]["subject"] == "exceedance 5"


def test_an_exceedance_is_acknowledged_once(live: Served) -> None:
    assert say(live, 2, "acknowledged").status_code == 201
    again = say(live, 2, "acknowledged")
    assert again.status_code == 409
    assert "acknowledged already" in again.json()["detail"]


@pytest.mark.parametrize(
    ("body", "status", "part"),
    [
        ({"kind": "cause", "text": "  "}, 400, "must say something"),
        ({"kind": "praise", "text": "x"}, 400, "praise"),
        ({"kind": "cause", "text": "x", "author": "somebody else"}, 400, "author"),
        ({"kind": "cause", "text": "x" * 4001}, 400, "4000"),
        ({"kind": "cause", "text": 7}, 400, "text"),
        ([], 400, "object"),
    ],
)
def test_what_is_no_entry_is_refused(live: Served, body: object, status: int, part: str) -> None:
    answer = live.client.post("/api/v1/exceedances/1/handling", json=body)
    assert answer.status_code == status
    assert part in answer.json()["detail"]
    assert live.client.get("/api/v1/exceedances/1").json()["handling"] == []


def test_only_json_is_taken_so_that_no_form_of_another_site_can_send_it(live: Served) -> None:
    answer = live.client.post(
        "/api/v1/exceedances/1/handling", content=b'{"kind":"acknowledged"}', headers={"Content-Type": "text/plain"}
    )
    assert answer.status_code == 415


@pytest.mark.parametrize("number", ["999", "-1", str(1 << 70)])
@pytest.mark.parametrize("path", ["", "/attachments/1"])
def test_what_does_not_exist_is_404(live: Served, number: str, path: str) -> None:
    assert live.client.get(f"/api/v1/exceedances/{number}{path}").status_code == 404
    if not path:
        assert say(live, int(number), "acknowledged").status_code == 404


def test_a_file_is_kept_by_its_digest_and_given_back_to_be_saved(live: Served) -> None:
    answer = attach(live, "道路 1.png", PNG + b"own", 4)
    assert answer.status_code == 201, answer.text
    kept = answer.json()["attachment"]
    assert kept["size"] == len(PNG) + 3
    path = next(path for path in files_of(live) if path.name == kept["digest"])
    assert path.parent.name == kept["digest"][:2]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    got = live.client.get(kept["href"])
    assert got.content == PNG + b"own"
    assert got.headers["content-type"] == "image/png"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["content-disposition"] == (
        "attachment; filename=\"__ 1.png\"; filename*=UTF-8''%E9%81%93%E8%B7%AF%201.png"
    )
    elsewhere = kept["href"].replace("exceedances/4/", "exceedances/2/")
    assert live.client.get(elsewhere).status_code == 404


@pytest.mark.parametrize(
    "name",
    [
        "../../record.sqlite.png",
        "..\\x.png",
        "/etc/passwd.png",
        "a/b.png",
        ".png",
        "a\nb.png",
        "a\r\nSet-Cookie: x=y.png",
        "a\x00.png",
        "a\u202egnp.exe.png",
        'a".png',
        "C:x.png",
        " ",
        "x" * 198 + ".png",
    ],
)
def test_a_name_that_is_more_than_a_name_is_refused(live: Served, name: str) -> None:
    before = files_of(live)
    answer = attach(live, name)
    assert answer.status_code in {400, 415}
    assert files_of(live) == before


@pytest.mark.parametrize(
    ("name", "content", "status"),
    [
        ("page.html", b"<script>", 415),
        ("picture.svg", b"<svg/>", 415),
        ("program.exe", b"MZ", 415),
        ("none", PNG, 415),
        ("picture.png", b"<html>", 415),
        ("paper.pdf", PNG, 415),
        ("text.txt", b"a\0b", 415),
        ("empty.txt", b"", 400),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused(live: Served, name: str, content: bytes, status: int) -> None:
    before = files_of(live)
    answer = attach(live, name, content)
    assert answer.status_code == status
    assert files_of(live) == before
    assert live.client.get("/api/v1/exceedances/1").json()["handling"] == []


def test_a_file_too_large_is_refused_whether_it_says_so_or_not(live: Served) -> None:
    large = b"a" * 10_000_001
    before = files_of(live)
    assert attach(live, "large.txt", large).status_code == 413

    def pieces() -> object:
        for start in range(0, len(large), 1 << 20):
            yield large[start : start + (1 << 20)]

    answer = live.client.post("/api/v1/exceedances/1/attachments?name=large.txt", content=pieces())
    assert answer.status_code == 413
    assert files_of(live) == before
    body = {"kind": "comment", "text": "x" * 70_000}
    assert live.client.post("/api/v1/exceedances/1/handling", json=body).status_code == 413


def test_names_that_pass_the_door_are_harmless_in_a_header() -> None:
    header = disposition(checked_name("报告 (1);x=y.pdf"))
    assert header.isascii()
    assert "\n" not in header
    assert header.count('"') == 2
    with pytest.raises(Problem):
        checked_name("a;b")
    with pytest.raises(AssertionError):
        path_of(Path(), "../" * 21 + "a")


def test_a_mark_that_is_asked_for_waits_for_the_worker(live: Served) -> None:
    mark = {
        "site": LOUD, "station": "boundary", "kind": "maintenance", "reason": "inlet cleaned",
        "start": "2026-11-22T10:00:00+08:00", "end": "2026-11-22T11:30:00+08:00",
    }  # fmt: skip
    answer = live.client.post("/api/v1/marks", json=mark)
    assert answer.status_code == 202, answer.text
    place = answer.headers["location"]
    assert live.client.get(place).json()["state"] == "waiting"
    assert live.client.get("/api/v1/marks").json()["items"] == []
    table = schema.mark_request
    with live.engine.begin() as connection:
        connection.execute(update(table).values(state="refused", answer="because", answered=live.now))
    assert live.client.get(place).json()["answer"] == "because"
    listed = live.client.get(f"/api/v1/mark-requests?site={LOUD}").json()["items"]
    assert [item["state"] for item in listed] == ["refused"]


@pytest.mark.parametrize(
    ("change", "status", "part"),
    [
        ({"site": "nowhere"}, 404, "no site"),
        ({"station": "nowhere"}, 404, "no station"),
        ({"parameter": "gold"}, 400, "measures"),
        ({"kind": "holiday"}, 400, "holiday"),
        ({"reason": " "}, 400, "must say something"),
        ({"start": "2026-11-22T10:00:00"}, 400, "offset"),
        ({"end": "2026-11-22T10:00:00+08:00"}, 400, "before"),
        ({"end": "2027-11-22T10:00:00+08:00"}, 400, "a day ahead"),
        ({"author": "me"}, 400, "author"),
    ],
)
def test_a_mark_that_cannot_be_is_refused(live: Served, change: dict[str, str], status: int, part: str) -> None:
    mark = {
        "site": LOUD, "station": "boundary", "kind": "stop", "reason": "x",
        "start": "2026-11-22T10:00:00+08:00", "end": "2026-11-22T11:30:00+08:00",
    }  # fmt: skip
    answer = live.client.post("/api/v1/marks", json=mark | change)
    assert answer.status_code == status
    assert part in answer.json()["detail"]
    assert not any(r["state"] == "waiting" for r in live.client.get("/api/v1/mark-requests").json()["items"])


@pytest.mark.sqlite("databases of the tests have their tables from the start")
def test_without_a_record_nothing_can_be_said(bare: httpx.Client) -> None:
    mark = {
        "site": LOUD, "station": "boundary", "kind": "stop", "reason": "x",
        "start": "2026-11-22T10:00:00+08:00", "end": "2026-11-22T11:30:00+08:00",
    }  # fmt: skip
    answer = bare.post("/api/v1/marks", json=mark)
    assert answer.status_code == 503
    assert msgspec.json.decode(answer.content)["detail"].startswith("There is no record yet")


def test_an_exceedance_of_dust_has_a_suggested_cause_and_what_it_rests_on(live: Served) -> None:
    items = live.client.get("/api/v1/exceedances", params={"site": LOUD}).json()["items"]
    of = {item["parameter"]: item["id"] for item in sorted(items, key=lambda item: item["start"])}
    dust = live.client.get(f"/api/v1/exceedances/{of['tsp']}").json()
    found, item = dust["suggestion"], dust["exceedance"]
    assert found["cause"] in {"outside", "dry", "works"}
    assert found["end"][:16] == item["peak_time"][:16]
    assert {"sprayer", "crusher"} <= found["running"].keys()
    assert live.client.get(f"/api/v1/exceedances/{of['laeq']}").json()["suggestion"] is None
    page = live.client.get(f"/exceedances/{of['tsp']}", params={"lang": "en"}).text
    assert "Suggested cause" in page
    assert "not a finding" in page
