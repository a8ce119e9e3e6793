"""Answers that are kept: right away others after a commit, and never for who may not have them any more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from greenmine.registry import Registry
from tests.api.conftest import Served
from tests.api.filling import LOUD, add_reading, fill
from tests.api.serving import serving
from tests.api.signing import accounts_in, bearer, browser, ensure_user, now, token_for
from tests.records import record_in

KEY = f"{LOUD}/boundary/tsp"
LATEST = f"/api/v1/latest?site={LOUD}"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Iterator[tuple[str, Path]]:
    """A server and its data directory."""
    data = tmp_path_factory.mktemp("kept")
    engine = fill(record_in(data), registry, now())
    with serving(data, registry) as address:
        yield address, data
    engine.dispose()


def value_of(answer: httpx.Response) -> object:
    return next(item["value"] for item in answer.json()["items"] if item["channel"] == KEY)


def test_an_answer_is_another_one_right_after_a_commit(live: Served) -> None:
    channel = next(channel for channel in live.registry.channels if channel.key == KEY)
    live.client.get(LATEST)
    for i in range(5):
        add_reading(live.engine, channel, live.now + 60_000 + i, 500.0 + i)
        first, second = live.client.get(LATEST), live.client.get(LATEST)
        assert value_of(first) == value_of(second) == 500.0 + i
        assert first.headers["etag"] == second.headers["etag"]
        held = live.client.get(LATEST, headers={"If-None-Match": first.headers["etag"]})
        assert (held.status_code, held.content) == (304, b"")


@pytest.mark.parametrize("end", ["revoke", "disable"])
def test_a_token_is_refused_as_soon_as_another_process_ends_it(shop: tuple[str, Path], end: str) -> None:
    address, data = shop
    headers = bearer(token_for(data, f"{end}d", "supervisor"))
    for _ in range(3):
        assert httpx.get(f"{address}{LATEST}", headers=headers).status_code == 200
    with accounts_in(data) as accounts:  # connections of its own
        user = ensure_user(accounts, f"{end}d", "supervisor")
        if end == "revoke":
            accounts.tokens.revoke(user, accounts.tokens.of_user(user)[0].id, now())
        else:
            accounts.users.disable(user, now())
    assert httpx.get(f"{address}{LATEST}", headers=headers).status_code == 401


def test_a_session_that_ended_gets_nothing_more(shop: tuple[str, Path]) -> None:
    address, data = shop
    with browser(address, data, "leaving", "supervisor") as client:
        for _ in range(3):
            assert client.get(LATEST).status_code == 200
        with accounts_in(data) as accounts:
            user = ensure_user(accounts, "leaving", "supervisor")
            accounts.sessions.end(user, accounts.sessions.of_user(user, now())[0].id)
        assert client.get(LATEST, headers={"Accept": "*/*"}).status_code == 401


def test_what_is_kept_for_one_is_not_for_another(shop: tuple[str, Path]) -> None:
    address, data = shop
    for secret, status in (
        (token_for(data, "own", "enterprise", LOUD), 200),
        (token_for(data, "other", "enterprise", "jianggao"), 404),
        ("greenmine_unknown", 401),
    ):
        for _ in range(2):
            assert httpx.get(f"{address}{LATEST}", headers=bearer(secret)).status_code == status
    assert httpx.get(f"{address}{LATEST}").status_code == 401


def test_tokens_and_sessions_are_not_recalled_beyond_their_time(tmp_path: Path) -> None:
    with accounts_in(tmp_path) as accounts:
        user = ensure_user(accounts, "zhang", "supervisor")
        begin = now()
        secret = accounts.tokens.add(user, "test", begin, days=1)
        cookie = accounts.sessions.begin(user, begin)
        for _ in range(2):  # the first use of a token is noted
            accounts.tokens.find(secret, begin)
            accounts.sessions.find(cookie, begin)
        assert accounts.tokens.recall(secret, begin + 59_999) is not None
        assert accounts.sessions.recall(cookie, begin + 59_999) is not None
        for later in (60_000, 2 * 86_400_000):
            assert accounts.tokens.recall(secret, begin + later) is None
            assert accounts.sessions.recall(cookie, begin + later) is None


def test_a_commit_at_one_mine_leaves_pages_without_it_as_they_are(live: Served) -> None:
    channel = next(channel for channel in live.registry.channels if channel.key == KEY)
    size = live.registry.site_channels(LOUD)[0].index  # the first page ends before that mine
    before = live.client.get("/api/v1/latest", params={"size": size})
    behind = {"size": 1_000, "cursor": before.json()["next"]}
    first = live.client.get("/api/v1/latest", params=behind)
    assert KEY in first.text
    add_reading(live.engine, channel, live.now + 60_000, 500.0)
    again = live.client.get("/api/v1/latest", params={"size": size})
    assert again.headers["etag"] == before.headers["etag"]
    assert live.client.get("/api/v1/latest", params=behind).headers["etag"] != first.headers["etag"]
