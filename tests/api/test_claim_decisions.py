"""Claims by API and page: who decides about a mark that would take an exceedance away, and what they are shown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import insert

from greenmine.record import schema
from greenmine.registry import Registry
from greenmine.times import HOUR
from tests.api.conftest import Served, _served
from tests.api.filling import LOUD
from tests.api.signing import bearer, token_for


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Iterator[Served]:
    """One record for all tests here: each has a claim of its own."""
    yield from _served(tmp_path_factory.mktemp("claimed"), registry)


def claimed(live: Served, author: str = "li") -> int:
    row = {
        "site": LOUD, "station": "boundary", "parameter": None, "start": live.now - 4 * HOUR, "end": live.now - HOUR,
        "kind": "fault", "reason": "hose off", "author": author, "made": live.now, "state": "claimed", "answer": "",
        "removes": json.dumps([
            {"rule": next(r.key for r in live.registry.rules if r.site == LOUD), "start": live.now - 4 * HOUR,
             "end": live.now - 3 * HOUR, "value": 1234.5, "after": None, "judgement": "not assessable"}
        ]),
    }  # fmt: skip
    with live.engine.begin() as connection:
        return int(connection.execute(insert(schema.mark_request).values(row)).inserted_primary_key[0])


def decide(live: Served, number: int, headers: dict[str, str], **body: str) -> httpx.Response:
    return live.client.post(f"/api/v1/mark-requests/{number}/decision", json=body, headers=headers)


def test_a_supervisor_decides_about_a_claim_once(live: Served) -> None:
    number = claimed(live)
    owner = bearer(token_for(live.data, "li", "enterprise", "hengjie"))
    wang = bearer(token_for(live.data, "wang", "supervisor"))
    assert decide(live, number, owner, decision="confirm").status_code in {403, 404}
    assert decide(live, number, wang, decision="refuse").status_code == 400, "a refusal has a reason"
    confirmed = decide(live, number, wang, decision="confirm")
    assert confirmed.status_code == 200, confirmed.text
    assert (confirmed.json()["state"], confirmed.json()["decided_by"]) == ("waiting", "wang/test")
    assert confirmed.json()["removes"][0]["value"] == 1234.5
    assert decide(live, number, wang, decision="refuse", reason="x").status_code == 409
    actions = [line["action"] for line in live.client.get("/api/v1/audit").json()["items"]]
    assert "claim-confirm" in actions


def test_nobody_decides_about_a_claim_of_their_own(live: Served) -> None:
    number = claimed(live, author="tester/test")
    assert decide(live, number, {}, decision="confirm").status_code == 403


def test_the_page_shows_a_claim_with_both_figures_and_lets_a_supervisor_decide(live: Served) -> None:
    number = claimed(live)
    wang = {**bearer(token_for(live.data, "wang", "supervisor")), "Accept-Language": "en"}
    page = live.client.get(f"/sites/{LOUD}/quality", headers=wang).text
    assert "counts for nothing until a supervisor confirms it" in page
    assert re.search(r"(?<![\d.])1234(?![\d.])", page), "1234.5, half to the even digit"
    assert f'data-post="/api/v1/mark-requests/{number}/decision"' in page
    assert 'value="boundary/tsp" data-kinds="blasting calibration fault maintenance"' not in page, (
        "no form for who may not mark"
    )
    form = live.client.get(f"/sites/{LOUD}/quality").text
    assert 'value="boundary/tsp" data-kinds="blasting calibration fault maintenance"' in form
