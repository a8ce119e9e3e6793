"""What strangers and greedy callers send: it is refused in one way, and bounded."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from greenmine.api.accounts.audit import FAILED
from greenmine.api.http.security import HEADERS
from greenmine.record import schema
from greenmine.record.record import open_engine
from greenmine.registry import Registry
from tests.api.conftest import Served
from tests.api.filling import LOUD
from tests.api.serving import serving
from tests.api.signing import accounts_in, bearer, now, token_for
from tests.records import record_in

CHANNEL = f"{LOUD}/boundary/tsp"


@pytest.mark.parametrize("instant", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
@pytest.mark.parametrize("name", ["from", "to"])
def test_an_instant_at_the_end_of_the_calendar_is_refused(served: Served, name: str, instant: str) -> None:
    answer = served.client.get("/api/v1/readings", params={"channel": CHANNEL, name: instant})
    assert answer.status_code == 400
    assert name in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/api/v1/sites", "/api/v1/latest", "/sign-in", "/health", "/api/v1/nothing"])
def test_head_is_answered_as_get_is_but_without_the_body(served: Served, path: str) -> None:
    head, get = served.client.head(path), served.client.get(path)
    assert head.status_code == get.status_code
    assert head.headers["content-type"] == get.headers["content-type"]
    assert head.content == b""


def test_head_of_the_live_stream_ends(live: Served) -> None:
    answer = live.client.head("/api/v1/events")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("text", ["a\x00b", "a\x1bb", "a\x7fb", "a\x9bb", "\u200b", "a\u202eb"])
def test_control_characters_are_refused(live: Served, text: str) -> None:
    assert live.client.get("/api/v1/latest", params={"site": text}).status_code == 400
    exceedance = live.client.get("/api/v1/exceedances?size=1").json()["items"][0]["id"]
    said = {"kind": "acknowledged", "text": text}
    answer = live.client.post(f"/api/v1/exceedances/{exceedance}/handling", json=said)
    assert answer.status_code == 400
    assert "control character" in answer.json()["detail"]


@pytest.mark.parametrize(
    "sent",
    [b"NONSENSE\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nX: \x00\r\n\r\n", b"GET /%zz HTTP/9\r\n\r\n"],
)
def test_what_is_no_http_is_answered_with_the_security_headers(served: Served, sent: bytes) -> None:
    with socket.create_connection((served.client.base_url.host, served.client.base_url.port or 80), 10) as connection:
        connection.sendall(sent)
        answer = connection.recv(65_536).lower()
    assert answer.startswith(b"http/1.1 400")
    for name in HEADERS:
        assert answer.count(name.lower().encode() + b":") == 1


@pytest.mark.parametrize("period", ["0001", "0001-W01", "0001-01", "9999", "1969-12-31", "2200-01"])
def test_a_period_beyond_the_calendar_is_refused(served: Served, period: str) -> None:
    for path in ("/api/v1/report", "/api/v1/assessments"):
        answer = served.client.get(path, params={"site": LOUD, "period": period})
        assert answer.status_code == 400, path


@pytest.mark.parametrize("period", ["2026", "2026-06", "1970", "2026-06-30"])
def test_an_assessment_is_of_a_reporting_period(served: Served, period: str) -> None:
    assert served.client.get("/api/v1/assessments", params={"site": LOUD, "period": period}).status_code == 400
    page = served.client.get(f"/sites/{LOUD}/assessment", params={"period": period})
    assert page.status_code in {302, 303, 400, 404}


def test_a_parameter_that_is_given_twice_is_refused(served: Served) -> None:
    answer = served.client.get(f"/api/v1/latest?site={LOUD}&site={LOUD}")
    assert answer.status_code == 400
    assert "'site' is given more than once" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("address", "headers"),
    [
        ("/sign-in?" + "&".join(f"{number:x}=" for number in range(3000)), {}),
        ("/sign-in", {"Cookie": 'session="' + "\\" * 9000}),
        ("/sign-in", {"Accept": "text/html," * 1000}),
    ],
)
def test_an_address_or_a_field_that_costs_the_square_of_its_length_to_read_is_refused(
    served: Served, address: str, headers: dict[str, str]
) -> None:
    answer = served.client.get(address, headers=headers)
    assert answer.status_code == 431
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.json()["detail_zh"] == "网址或请求头字段超过本处的上限 8 kB。"


def test_what_names_no_mine_is_shown_to_administrators_alone(live: Served, registry: Registry) -> None:
    row = {
        "received": now(), "site": "NOWHERE", "device": "gate", "topic": "greenmine/v1/NOWHERE/gate/readings",
        "reason": "unknown-device", "detail": "", "readings": 1, "size": 2, "payload": b"{}",
    }  # fmt: skip
    with open_engine(record_in(live.data)).begin() as connection:
        connection.execute(sa.insert(schema.rejection), row)
    with serving(live.data, registry) as address:

        def shown(**who: object) -> set[str]:
            headers = bearer(token_for(live.data, **who))
            answer = httpx.get(f"{address}/api/v1/rejections", headers=headers, timeout=20)
            return {item["site"] for item in answer.json()["items"]}

        assert "NOWHERE" in shown(name="chief", role="administrator")
        assert "NOWHERE" not in shown(name="watch", role="supervisor")


def test_streams_of_a_user_and_of_an_address_are_bounded(live: Served, registry: Registry) -> None:
    settings = {"user_streams": 2, "address_streams": 3}
    data = live.data
    first, second = (bearer(token_for(data, name)) for name in ("one", "two"))
    with serving(data, registry, **settings) as address, ExitStack() as held:

        def opened(headers: dict[str, str]) -> int:
            client = held.enter_context(httpx.Client(base_url=address, headers=headers, timeout=20))
            return held.enter_context(client.stream("GET", "/api/v1/events")).status_code

        assert [opened(first) for _ in range(3)] == [200, 200, 429]
        assert [opened(second) for _ in range(2)] == [200, 429]
        assert httpx.get(f"{address}/sign-in").status_code == 200


def test_lines_of_strangers_in_the_audit_log_are_bounded_and_counted(tmp_path: Path) -> None:
    with accounts_in(tmp_path) as accounts:
        for number in range(5_000):
            accounts.audit.add(now(), FAILED, user=None, name=f"n{number}")
        accounts.audit.add(now(), "sign-in", user=1, name="somebody")
        lines = accounts.audit.read(None, limit=1_000)
    assert len(lines) == 201
    assert lines[0].action == "sign-in"
