"""Signing in, sessions, tokens and what guards them, over a real connection."""

from __future__ import annotations

import re
import socket
import sqlite3
import statistics
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from greenmine.api.accounts import passwords
from greenmine.api.accounts.lockout import BY_ACCOUNT, Lockout
from greenmine.api.accounts.passwords import WeakPasswordError, check_password
from greenmine.api.accounts.sessions import GRACE_MS, ROTATE_MS
from greenmine.api.http.addresses import check_addresses
from greenmine.api.http.pace import LARGEST
from greenmine.api.pages.sign_in import own_path
from greenmine.registry import Registry
from greenmine.settings import Settings
from tests.api.conftest import Served
from tests.api.filling import LOUD
from tests.api.serving import serving
from tests.api.signing import PASSWORD, accounts_in, bearer, browser, ensure_user, now, token_for
from tests.api.test_routes import problem_of

NEW = "lantern gravel piano comet"
DAY = 86_400_000


class Site:
    """A server with accounts, and browsers for it."""

    def __init__(self, data: Path, address: str) -> None:
        self.data = data
        self.address = address

    def browser(self) -> httpx.Client:
        return httpx.Client(base_url=self.address, headers={"Origin": self.address, "Accept": "text/html"}, timeout=20)


@pytest.fixture
def site(tmp_path: Path, registry: Registry) -> Iterator[Site]:
    """A server of the test's own."""
    yield from _site(tmp_path, registry)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Iterator[Site]:
    """A server for tests that change nothing but sign in."""
    yield from _site(tmp_path_factory.mktemp("shared"), registry)


def _site(data: Path, registry: Registry) -> Iterator[Site]:
    with accounts_in(data) as accounts:
        ensure_user(accounts, "li", "enterprise", LOUD, password=PASSWORD)
    with serving(data, registry) as address:
        yield Site(data, address)


def sign_in(client: httpx.Client, name: str = "li", password: str = PASSWORD, **more: str) -> httpx.Response:
    return client.post("/sign-in", data={"name": name, "password": password} | more)


def csrf_of(client: httpx.Client) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', client.get("/account").text)
    assert found is not None
    return found[1]


def test_signing_in_leads_where_one_wanted_to_go_and_out_again(site: Site) -> None:
    with site.browser() as client:
        answer = client.get(f"/sites/{LOUD}?lang=en")
        assert (answer.status_code, answer.headers["location"]) == (303, f"/sign-in?next=%2Fsites%2F{LOUD}%3Flang%3Den")
        answer = sign_in(client, next=f"/sites/{LOUD}")
        assert (answer.status_code, answer.headers["location"]) == (303, f"/sites/{LOUD}")
        cookie = answer.headers["set-cookie"]
        assert re.fullmatch(r"greenmine=[\w-]{43}; Path=/; HttpOnly; SameSite=Lax", cookie)
        assert client.get(f"/sites/{LOUD}").status_code == 200
        answer = client.post("/sign-out", data={"csrf": csrf_of(client)})
        assert answer.headers["location"] == "/sign-in"
        assert client.get(f"/sites/{LOUD}").status_code == 303
        client.cookies.set("greenmine", re.findall(r"=([\w-]{43})", cookie)[0])
        assert client.get(f"/sites/{LOUD}").status_code == 303


def test_programs_are_told_to_send_a_token(shared: Site) -> None:
    answer = httpx.get(f"{shared.address}/api/v1/sites")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="greenmine"'
    problem_of(answer)


def test_a_session_cannot_be_foisted_on_anybody(site: Site) -> None:
    with site.browser() as attacker, site.browser() as victim:
        sign_in(attacker)
        theirs = attacker.cookies["greenmine"]
        for foisted in (theirs, "A" * 43):
            victim.cookies.clear()
            victim.cookies.set("greenmine", foisted)
            answer = sign_in(victim, csrf="")
            mine = re.findall(r"greenmine=([\w-]{43})", answer.headers["set-cookie"])[0]
            assert mine != foisted
        assert attacker.get("/account").status_code == 303  # the session that the browser had before is over


@pytest.mark.parametrize("origin", [None, "null", "https://evil.example", "http://127.0.0.1:1", "http://localhost"])
@pytest.mark.parametrize("path", ["/sign-in", "/sign-out", "/account/tokens", "/api/v1/marks"])
def test_requests_of_other_sites_are_refused(shared: Site, origin: str | None, path: str) -> None:
    with shared.browser() as client:
        sign_in(client)
        del client.headers["origin"]
        headers = {"Accept": "application/json"} | ({} if origin is None else {"Origin": origin})
        answer = client.post(path, headers=headers, data={"csrf": csrf_of(client), "name": "li", "password": PASSWORD})
        assert answer.status_code == 403
        assert "Origin" in str(problem_of(answer)["detail"])
        assert client.get("/account").status_code == 200


@pytest.mark.parametrize("path", ["/sign-out", "/account/tokens", "/account/publications", "/api/v1/marks"])
@pytest.mark.parametrize("given", ["", "A" * 43])
def test_a_form_without_its_token_is_refused(shared: Site, path: str, given: str) -> None:
    with shared.browser() as client:
        sign_in(client)
        answer = client.post(path, data={"csrf": given, "name": "t"}, headers={"Accept": "application/json"})
        assert answer.status_code == 403
        with shared.browser() as other:
            sign_in(other)
            foreign = csrf_of(other)
        answer = client.post(path, headers={"X-CSRF-Token": foreign, "Accept": "application/json"})
        assert answer.status_code == 403


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/sites/hengjie?lang=en", "/sites/hengjie?lang=en"),
        ("/", "/"),
        ("//evil.example", "/"),
        ("https://evil.example/", "/"),
        ("https:evil.example", "/"),
        ("/\\evil.example", "/"),
        ("\\\\evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("/a\r\nSet-Cookie: x=y", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
        ("sites", "/"),
        ("http://[", "/"),
        ("/[", "/["),
    ],
)
def test_nobody_is_led_away_after_signing_in(shared: Site, text: str, path: str) -> None:
    assert own_path(text) == path
    with shared.browser() as client:
        page = client.get("/sign-in", params={"next": text})
        assert f'name="next" value="{path}"' in page.text


def test_no_header_can_be_injected(shared: Site) -> None:
    evil = "/x\r\nSet-Cookie: greenmine=evil\r\n\r\n<script>"
    with shared.browser() as client:
        answer = sign_in(client, next=evil)
        assert answer.headers["location"] == "/"
        assert "evil" not in str(answer.headers)
        answer = client.get("/sign-in", params={"next": evil, "lang": "en"})
        assert "evil" not in str(answer.headers)
        answer = client.get("/%0d%0aSet-Cookie:%20greenmine=evil")
        assert "evil" not in str(answer.headers)


def test_unknown_shut_and_wrong_look_alike_and_take_alike(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    costly = PasswordHash((Argon2Hasher(time_cost=2, memory_cost=1 << 14, parallelism=1),))
    monkeypatch.setattr("greenmine.api.accounts.passwords._HASH", costly)
    passwords._nobody.cache_clear()
    with accounts_in(site.data) as accounts:
        known = accounts.users.named("li")
        assert known is not None
        accounts.users.set_password(known, PASSWORD)
    with accounts_in(site.data) as accounts:
        shut = ensure_user(accounts, "shut", "supervisor", password=PASSWORD)
        accounts.users.disable(shut, now())
    answers: dict[str, str] = {}
    times: dict[str, list[float]] = {}
    with site.browser() as client:
        for name, password in [("li", "wrong password"), ("nobody", PASSWORD), ("shut", PASSWORD)] * 3:
            begin = time.perf_counter()
            answer = sign_in(client, name, password)
            times.setdefault(name, []).append(time.perf_counter() - begin)
            assert answer.status_code == 401
            text = re.sub(r'<span class="clock">.*?</span>', "", answer.text).replace(f'value="{name}"', "")
            answers[name] = text
    assert len(set(answers.values())) == 1
    # All of them hash once: without that, unknown names would be answered in a tenth of the time.
    assert min(map(statistics.median, times.values())) > 0.3 * max(map(min, times.values()))


def test_guessing_is_slowed_down_but_locks_nobody_out_for_good() -> None:
    lockout = Lockout()
    attempts = BY_ACCOUNT.amount
    assert [lockout.attempt("li", f"192.0.2.{i}", known=False) for i in range(attempts)] == [0] * attempts
    assert 0 < lockout.attempt("li", "192.0.2.99", known=False) <= 15 * 60
    assert lockout.attempt("li", "198.51.100.1", known=True) == 0
    assert lockout.attempt("wang", "192.0.2.99", known=False) == 0
    lockout.succeeded("li", "192.0.2.1", known=False)
    assert lockout.attempt("li", "192.0.2.1", known=False) == 0


def test_one_address_cannot_try_all_accounts() -> None:
    lockout = Lockout()
    waits = [lockout.attempt(f"user-{i}", f"2001:db8::{i:x}", known=False) for i in range(100)]
    assert waits[:60] == [0] * 60
    assert min(waits[60:]) > 0
    assert lockout.attempt("user", "2001:db8:1::1", known=False) == 0


def test_a_locked_account_says_when_to_try_again(site: Site) -> None:
    with site.browser() as client:
        codes = [sign_in(client, password="wrong").status_code for _ in range(11)]
        assert codes == [401] * 10 + [429]
        answer = sign_in(client)
        assert answer.status_code == 429
        assert 0 < int(answer.headers["retry-after"]) <= 15 * 60


def test_a_password_is_changed_and_ends_other_sessions(site: Site) -> None:
    with site.browser() as here, site.browser() as there:
        sign_in(here)
        sign_in(there)
        form = {"csrf": csrf_of(here), "current": PASSWORD, "new": NEW, "again": NEW}
        assert here.post("/account/password", data=form | {"current": "wrong"}).status_code == 400
        assert here.post("/account/password", data=form | {"again": "another"}).status_code == 400
        assert here.post("/account/password", data=form | {"new": "short", "again": "short"}).status_code == 400
        assert there.get("/account").status_code == 200
        assert here.post("/account/password", data=form).status_code == 200
        assert here.get("/account").status_code == 200
        assert there.get("/account").status_code == 303
        assert sign_in(there).status_code == 401
        assert sign_in(there, password=NEW).status_code == 303


@pytest.mark.parametrize(
    ("password", "key"),
    [
        ("Tr0ub4dor&3", "short"),
        ("x" * 257, "long"),
        ("passwordpassword", "obvious"),
        ("aaaaaaaaaaaaaaaa", "obvious"),
        ("123456789012345", "obvious"),
        ("greenminegreenmine", "obvious"),
        ("hengjie-hengjie", "obvious"),
    ],
)
def test_weak_passwords_are_refused(password: str, key: str) -> None:
    with pytest.raises(WeakPasswordError) as error:
        check_password(password, "hengjie")
    assert error.value.key == key


def test_sessions_rotate_and_end(tmp_path: Path) -> None:
    with accounts_in(tmp_path) as accounts:
        user = ensure_user(accounts, "li", "supervisor")
        sessions, start = accounts.sessions, now()
        first = sessions.begin(user, start)
        assert sessions.find("A" * 43, start) is None
        found = sessions.find(first, start + ROTATE_MS)
        assert found is not None
        second = found[2]
        assert second is not None
        assert sessions.find(first, start + ROTATE_MS + GRACE_MS - 1) is not None  # was under way
        assert sessions.find(first, start + ROTATE_MS + GRACE_MS) is None
        again = sessions.find(second, start + ROTATE_MS + GRACE_MS)
        assert again is not None
        assert again[0].csrf == found[0].csrf
        idle = Settings().session_idle_minutes * 60_000
        assert sessions.find(second, start + ROTATE_MS + GRACE_MS + idle) is None
        third, moment = sessions.begin(user, start), start
        while (seen := sessions.find(third, moment)) is not None:
            third = seen[2] or third
            moment += idle // 2
        assert moment - start == Settings().session_hours * 3_600_000


def test_nothing_that_opens_a_door_is_stored_in_the_clear(tmp_path: Path) -> None:
    with accounts_in(tmp_path) as accounts:
        user = ensure_user(accounts, "li", "supervisor", password=PASSWORD)
        secrets = [accounts.sessions.begin(user, now()), accounts.tokens.add(user, "t", now(), days=1), PASSWORD]
    assert all(len(secret) >= 43 for secret in secrets[:2])
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("accounts.sqlite*"))
    assert [secret for secret in secrets if secret.encode() in stored] == []
    assert (tmp_path / "accounts.sqlite").stat().st_mode & 0o077 == 0


def test_a_token_is_shown_once_and_works_until_revoked(site: Site) -> None:
    with site.browser() as client:
        sign_in(client)
        csrf = csrf_of(client)
        page = client.post("/account/tokens", data={"csrf": csrf, "name": "nightly", "days": "30", "sites": LOUD}).text
        (secret,) = re.findall(r"greenmine_[\w-]{43}", page)
        assert secret not in client.get("/account").text
        caller = httpx.get(f"{site.address}/api/v1/caller", headers=bearer(secret)).json()
        assert caller == {
            "name": "li/nightly",
            "role": "enterprise",
            "sites": [LOUD],
            "writable": [],
            "commentable": [],
        }
        (number,) = re.findall(r"/account/tokens/(\d+)/revoke", client.get("/account").text)
        assert client.post(f"/account/tokens/{number}/revoke", data={"csrf": csrf}).status_code == 303
        answer = httpx.get(f"{site.address}/api/v1/caller", headers=bearer(secret))
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == 'Bearer realm="greenmine", error="invalid_token"'
        foreign = {"csrf": csrf, "name": "t", "days": "1", "sites": "jiuchi"}
        assert client.post("/account/tokens", data=foreign).status_code == 404


@pytest.mark.parametrize("authorization", ["Bearer", "Bearer x", "Basic bGk6eA==", "greenmine_", "Bearer a b"])
def test_a_bad_token_is_refused_even_beside_a_session(shared: Site, authorization: str) -> None:
    with shared.browser() as client:
        sign_in(client)
        answer = client.get("/api/v1/sites", headers={"Authorization": authorization})
        assert answer.status_code == 401


def test_tokens_expire_and_end_with_the_account(tmp_path: Path) -> None:
    with accounts_in(tmp_path) as accounts:
        user = ensure_user(accounts, "li", "supervisor")
        start = now()
        secret = accounts.tokens.add(user, "t", start, days=1)
        assert accounts.tokens.find(secret, start + DAY - 1) is not None
        assert accounts.tokens.find(secret, start + DAY) is None
        cookie = accounts.sessions.begin(user, start)
        accounts.users.disable(user, start)
        assert accounts.tokens.find(secret, start) is None
        assert accounts.sessions.find(cookie, start) is None
        accounts.users.enable(user)
        assert accounts.tokens.find(secret, start) is not None
        assert accounts.sessions.find(cookie, start) is None


def test_the_live_stream_ends_with_the_token(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("greenmine.api.live.broadcast.CHECK_SECONDS", 0.5)
    secret = token_for(site.data, "passer", "supervisor")
    with httpx.stream("GET", f"{site.address}/api/v1/events", headers=bearer(secret), timeout=20) as answer:
        lines = answer.iter_lines()
        assert "event: ready" in [next(lines) for _ in range(3)]
        with accounts_in(site.data) as accounts:
            user = accounts.users.named("passer")
            assert user is not None
            accounts.users.disable(user, now())
        assert "event: latest" not in list(lines)  # ends


def test_a_large_body_is_refused(shared: Site) -> None:
    with shared.browser() as client:
        answer = client.post("/sign-in", data={"name": "x" * LARGEST}, headers={"Accept": "application/json"})
        assert answer.status_code == 413
        problem_of(answer)

        def pieces() -> Iterator[bytes]:
            yield from [b"name=" + b"x" * 10_000] * 10

        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        assert client.post("/sign-in", content=pieces(), headers=headers).status_code == 413
        assert client.get("/sign-in").status_code == 200


def test_a_body_that_trickles_in_is_given_up(shared: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("greenmine.api.http.pace.PATIENCE", 0.5)
    host, port = shared.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as line:
        line.sendall(
            f"POST /sign-in HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: {shared.address}\r\nContent-Length: 5000\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n\r\nname=".encode()
        )
        told = line.recv(4000)
    assert told.startswith(b"HTTP/1.1 408 ")
    assert httpx.get(f"{shared.address}/sign-in").status_code == 200


def test_the_audit_log_tells_what_happened_and_only_grows(site: Site) -> None:
    with site.browser() as client:
        sign_in(client, password="wrong")
        sign_in(client, name="correct horse battery")
        sign_in(client)
        headers = bearer(token_for(site.data))
        items = httpx.get(f"{site.address}/api/v1/audit", headers=headers).json()["items"]
        assert [(item["action"], item["name"]) for item in items] == [
            ("sign-in", "li"), ("sign-in-failed", "cor…"), ("sign-in-failed", "li"),
        ]  # fmt: skip
        own = client.get("/api/v1/audit").json()["items"]
        assert [item["action"] for item in own] == ["sign-in", "sign-in-failed"]
        assert {item["address"] for item in own} == {"127.0.0.1"}
        stranger = bearer(token_for(site.data, "stranger", "enterprise", "jiuchi"))
        assert httpx.get(f"{site.address}/api/v1/audit", headers=stranger).json()["items"] == []
        assert client.get("/audit").status_code == 200
    with closing(sqlite3.connect(site.data / "accounts.sqlite")) as connection:
        for statement in ("delete from audit", "update audit set name = 'x'"):
            with pytest.raises(sqlite3.IntegrityError, match="only grows"):
                connection.execute(statement)


def test_an_enterprise_makes_its_daily_compliance_public(served: Served) -> None:
    address = str(served.client.base_url)
    with browser(address, served.data, "heng", "enterprise", LOUD) as client:
        assert httpx.get(f"{address}/public/{LOUD}").status_code == 404
        form = {"csrf": csrf_of(client), "site": LOUD, "public": "true"}
        assert client.post("/account/publications", data=form).status_code == 303
        page = httpx.get(f"{address}/public/{LOUD}", headers={"Accept-Language": "en"})
        assert page.status_code == 200
        assert ">exceeds<" in page.text
        assert "data-channel" not in page.text
        assert served.registry.site(LOUD).name_en in httpx.get(f"{address}/public", params={"lang": "en"}).text
        audit = served.client.get("/api/v1/audit", params={"action": "published"}).json()["items"]
        assert [(item["name"], item["site"]) for item in audit] == [("heng", LOUD)]
        assert client.post("/account/publications", data=form | {"public": "false"}).status_code == 303
        assert httpx.get(f"{address}/public/{LOUD}").status_code == 404


def test_an_administrator_looks_after_the_accounts(site: Site) -> None:
    with browser(site.address, site.data, "root", "administrator") as client, site.browser() as newcomer:
        csrf = re.findall(r'name="csrf" value="([^"]+)"', client.get("/users").text)[0]
        form = {"csrf": csrf, "name": "Wang", "role": "enterprise", "enterprises": LOUD}
        password = re.findall(r'class="secret">([^<]+)<', client.post("/users", data=form).text)[0]
        assert sign_in(newcomer, "wang", password).status_code == 303
        assert newcomer.get("/users").status_code == 403
        assert client.post("/users", data=form).status_code == 400  # the name is taken
        with accounts_in(site.data) as accounts:
            (number,) = (user.id for user in accounts.users.all() if user.name == "wang")
            (own,) = (user.id for user in accounts.users.all() if user.name == "root")
        assert client.post(f"/users/{number}/disable", data={"csrf": csrf}).status_code == 303
        assert newcomer.get("/account").status_code == 303
        assert client.post(f"/users/{own}/disable", data={"csrf": csrf}).status_code == 400
        assert client.post(f"/users/{number}/enable", data={"csrf": csrf}).status_code == 303
        page = client.post(f"/users/{number}/password", data={"csrf": csrf}).text
        again = re.findall(r'class="secret">([^<]+)<', page)[0]
        assert sign_in(newcomer, "wang", password).status_code == 401
        assert sign_in(newcomer, "wang", again).status_code == 303


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"host": "0.0.0.0"}, "GREENMINE_HOST"),
        ({"host": "0.0.0.0", "public_url": "http://mines.example.org", "trusted_proxies": "10.0.0.1"}, "https://"),
        ({"host": "0.0.0.0", "public_url": "https://mines.example.org"}, "GREENMINE_TRUSTED_PROXIES"),
        ({"public_url": "mines.example.org"}, "GREENMINE_PUBLIC_URL"),
        ({"public_url": "https://a@b/"}, "GREENMINE_PUBLIC_URL"),
        ({"public_url": "https://mines.example.org/path"}, "GREENMINE_PUBLIC_URL"),
        ({"trusted_proxies": "proxy"}, "GREENMINE_TRUSTED_PROXIES"),
    ],
)
def test_addresses_that_would_carry_passwords_in_the_clear_are_refused(settings: dict[str, str], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        check_addresses(Settings(**settings))


def test_behind_a_proxy_cookies_are_secure_and_the_client_is_told(tmp_path: Path, registry: Registry) -> None:
    with accounts_in(tmp_path) as accounts:
        ensure_user(accounts, "li", "supervisor", password=PASSWORD)
    settings = {"public_url": "https://mines.example.org", "trusted_proxies": "127.0.0.1"}
    forwarded = {
        "X-Forwarded-Proto": "https",
        "X-Forwarded-For": "203.0.113.9, 198.51.100.7",
        "Host": "mines.example.org",
    }
    with (
        serving(tmp_path, registry, **settings) as address,
        httpx.Client(base_url=address, headers=forwarded) as client,
    ):
        client.headers["Origin"] = "https://mines.example.org"
        answer = sign_in(client)
        assert answer.status_code == 303
        cookie = answer.headers["set-cookie"]
        assert re.fullmatch(r"__Host-greenmine=[\w-]{43}; Path=/; HttpOnly; SameSite=Lax; Secure", cookie)
        assert "max-age" in answer.headers["strict-transport-security"]
        assert client.get("/account", headers={"Cookie": cookie.split(";")[0]}).status_code == 200
        plain = cookie.split(";")[0].removeprefix("__Host-")
        assert client.get("/account", headers={"Cookie": plain}).status_code == 401
        in_the_clear = client.get("/sign-in", headers={"X-Forwarded-Proto": "http"})
        assert in_the_clear.status_code == 400
        assert "in the clear" in in_the_clear.text
        assert client.get("/sign-in", headers={"Host": "other.example.org"}).status_code == 400
    with accounts_in(tmp_path) as accounts:
        assert {entry.address for entry in accounts.audit.read(None)} == {"198.51.100.7"}


def test_forwarded_headers_of_strangers_are_not_believed(site: Site) -> None:
    with site.browser() as client:
        answer = client.post(
            "/sign-in",
            data={"name": "li", "password": PASSWORD},
            headers={"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"},
        )
        assert answer.headers["set-cookie"].startswith("greenmine=")
    with accounts_in(site.data) as accounts:
        assert {entry.address for entry in accounts.audit.read(None)} == {"127.0.0.1"}


def test_health_and_metrics_tell_strangers_nothing(live: Served) -> None:
    address = str(live.client.base_url)
    health = httpx.get(f"{address}/healthz").json()
    assert (health["state"], health["workers"]) == ("running", [])
    assert live.client.get("/healthz").json()["workers"]
    assert httpx.get(f"{address}/metrics").status_code == 401
    own = httpx.get(f"{address}/metrics", headers=bearer(token_for(live.data, "monitor", "enterprise", "jiuchi"))).text
    devices = len(live.registry.site("jiuchi").devices)
    assert f"greenmine_stored_total {8640.0 * devices}" in own, "no other mine's"
    assert "greenmine_open_exceedances 0.0" in own
    assert "greenmine_worker" not in own


def test_metrics_are_open_to_this_machine_where_it_is_set(tmp_path: Path, registry: Registry) -> None:
    with serving(tmp_path, registry, metrics_loopback=True, metrics_sites=True) as address:
        assert f'site="{LOUD}"' in httpx.get(f"{address}/metrics").text
        assert httpx.get(f"{address}/metrics", headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 401
