"""Signing in at an OpenID Connect provider."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from joserfc.jwk import OctKey, RSAKey

from greenmine.api.accounts.providers import provider_of
from greenmine.api.accounts.users import User
from greenmine.registry import Registry
from greenmine.settings import Settings
from tests.api.oidc_provider import CLIENT, SECRET, OidcProvider
from tests.api.serving import serving
from tests.api.signing import accounts_in, ensure_user, now

ROLES = (
    "staff=supervisor, hengjie=enterprise:hengjie, jiuchi=enterprise:jiuchi, auditors=evaluator, "
    "office=township:九池乡+新田镇"
)
TOWNSHIP_SITES = ["jiuchi", "yanjing"]


class House(NamedTuple):
    provider: OidcProvider
    address: str
    data: Path

    def browser(self) -> httpx.Client:
        return httpx.Client(base_url=self.address, headers={"Accept": "text/html", "Accept-Language": "en"}, timeout=20)

    def user(self, name: str) -> User | None:
        with accounts_in(self.data) as accounts:
            return accounts.users.named(name)

    def actions(self) -> list[str]:
        with accounts_in(self.data) as accounts:
            return [entry.action for entry in accounts.audit.read(None)]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Iterator[House]:
    data = tmp_path_factory.mktemp("oidc")
    provider = OidcProvider()
    given = {
        "oidc_issuer": provider.issuer,
        "oidc_client": CLIENT,
        "oidc_secret": SECRET,
        "oidc_name": "district login",
    }
    with accounts_in(data) as accounts:
        ensure_user(accounts, "boss", "administrator")
    with serving(data, registry, oidc_roles=ROLES, **given) as address:
        yield House(provider, address, data)
    provider.close()


@pytest.fixture
def house(shared: House) -> Iterator[House]:
    """The house, with a provider that does everything right to begin with."""
    provider = shared.provider
    right = {
        name: getattr(provider, name) for name in ("claims", "token", "answer", "userinfo", "key", "signer", "header")
    }
    yield shared
    for name, value in right.items():
        setattr(provider, name, value)


def come(client: httpx.Client, path: str = "/") -> httpx.Response:
    """Through the provider and back, as a browser does; the last answer."""
    begun = client.get("/sign-in/oidc", params={"next": path})
    assert begun.status_code == 303, begun.text
    at_provider = httpx.get(begun.headers["location"])
    return client.get(at_provider.headers["location"])


def test_a_person_signs_in_and_has_the_role_that_the_claims_give(house: House) -> None:
    provider = house.provider
    with house.browser() as client:
        assert "Sign in with district login" in client.get("/sign-in").text
        client.cookies.set("greenmine", "fixed-by-an-attacker")
        answer = come(client, "/sites/hengjie")
        assert (answer.status_code, answer.headers["location"]) == (303, "/sites/hengjie")
        assert client.get("/api/v1/caller", headers={"Accept": "*/*"}).json()["sites"] == ["hengjie"]
        first = client.cookies.get("greenmine", domain="127.0.0.1")
        assert first not in {None, "fixed-by-an-attacker"}
        come(client)
        assert client.cookies.get("greenmine", domain="127.0.0.1") != first, "the session is another one"
        with house.browser() as old:
            old.cookies.set("greenmine", str(first))
            assert old.get("/account").status_code == 303, "the one before has ended"
    asked = provider.asked[-1]
    assert asked["response_type"] == "code"
    assert asked["code_challenge_method"] == "S256"
    assert asked["scope"] == "openid profile"
    assert len({query["state"] for query in provider.asked}) == len(provider.asked)
    assert len({query["nonce"] for query in provider.asked}) == len(provider.asked)
    made = house.user("li-wei")
    assert made is not None
    assert (made.role, made.enterprises, made.has_password) == ("enterprise", ("hengjie",), False)

    provider.claims = {**provider.claims, "groups": ["jiuchi", "hengjie", "unknown"]}
    with house.browser() as client:
        come(client)
        assert client.get("/api/v1/caller", headers={"Accept": "*/*"}).json()["sites"] == ["hengjie", "jiuchi"]
        provider.claims = {**provider.claims, "groups": "staff"}
        come(client)
        assert client.get("/api/v1/caller", headers={"Accept": "*/*"}).json()["role"] == "supervisor"
        provider.claims = {**provider.claims, "groups": ["office", "jiuchi"]}
        come(client)
        told = client.get("/api/v1/caller", headers={"Accept": "*/*"}).json()
        assert (told["role"], told["sites"]) == ("township", TOWNSHIP_SITES)
        provider.claims = {**provider.claims, "groups": "staff"}
        come(client)
        assert client.get("/api/v1/caller", headers={"Accept": "*/*"}).json()["role"] == "supervisor"
    assert house.actions().count("user-assigned") == 4
    with accounts_in(house.data) as accounts:
        assert len(accounts.users.all()) == 2


def test_claims_that_only_userinfo_has_count_if_they_are_about_the_same_person(house: House) -> None:
    provider = house.provider
    provider.claims = {"sub": "u-2", "email": "wang@example.org"}
    provider.userinfo = {"sub": "u-2", "groups": ["auditors"]}
    with house.browser() as client:
        assert come(client).status_code == 303
    made = house.user("wang@example.org")
    assert made is not None
    assert made.role == "evaluator"
    provider.userinfo = {"sub": "u-3", "groups": ["staff"]}
    with house.browser() as client:
        assert come(client).status_code == 401


PAST = {"iat": int(time.time()) - 7_200, "exp": int(time.time()) - 3_600}


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"token": {"nonce": "another"}}, 401),
        ({"token": {"iss": "https://evil.example"}}, 401),
        ({"token": {"aud": "another"}}, 401),
        ({"token": {"aud": [CLIENT, "another"], "azp": "another"}}, 401),
        ({"token": PAST}, 401),
        ({"signer": RSAKey.generate_key(2048, {"kid": "one"})}, 401),
        ({"signer": OctKey.import_key(SECRET), "header": {"alg": "HS256"}}, 401),
        ({"header": {"alg": "none"}}, 401),
        ({"answer": {"state": "another"}}, 401),
        ({"answer": {"iss": "https://evil.example"}}, 401),
        ({"answer": {"code": "another"}}, 401),
        ({"answer": {"error": "access_denied\r\nX: y"}}, 401),
        ({"claims": {"sub": "u-4", "preferred_username": "eve", "groups": ["nobody", 7]}}, 403),
        ({"claims": {"sub": "u-4", "preferred_username": "eve", "groups": ["administrator"]}}, 403),
        ({"claims": {"sub": "u-5", "preferred_username": "BOSS", "groups": ["staff"]}}, 403),
    ],
)
def test_what_is_not_right_signs_nobody_in(house: House, change: dict[str, Any], status: int) -> None:
    for name, value in change.items():
        setattr(house.provider, name, value)
    with house.browser() as client:
        answer = come(client)
        assert answer.status_code == status, answer.text
        assert 'role="alert"' in answer.text
        assert client.get("/account").status_code == 303
    with accounts_in(house.data) as accounts:
        assert accounts.audit.read(None, limit=1)[0].action == "sign-in-failed"
        assert [user.name for user in accounts.users.all() if user.name in {"eve", "boss"}] == ["boss"]
        assert [user.role for user in accounts.users.all() if user.name == "boss"] == ["administrator"]


def test_an_answer_belongs_to_the_browser_that_began_and_serves_once(house: House) -> None:
    with house.browser() as mine, house.browser() as others:
        begun = mine.get("/sign-in/oidc", params={"next": "//evil.example"})
        back = httpx.get(begun.headers["location"]).headers["location"]
        assert others.get(back).status_code == 401
        answer = mine.get(back)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert mine.get(back).status_code == 401
        flow = begun.headers["set-cookie"]
    assert "HttpOnly" in flow
    assert "SameSite=lax" in flow


def test_a_shut_account_stays_shut(house: House) -> None:
    house.provider.claims = {"sub": "u-6", "preferred_username": "gone", "groups": ["staff"]}
    with house.browser() as client:
        come(client)
    with accounts_in(house.data) as accounts:
        found = accounts.users.named("gone")
        assert found is not None
        accounts.users.disable(found, now())
    with house.browser() as client:
        assert come(client).status_code == 403


def test_a_provider_with_new_keys_is_asked_for_them(house: House) -> None:
    house.provider.claims = {"sub": "u-7", "preferred_username": "new-keys", "groups": ["staff"]}
    house.provider.key = RSAKey.generate_key(2048, {"kid": "two"})
    house.provider.header = {"alg": "RS256", "kid": "two"}
    with house.browser() as client:
        assert come(client).status_code == 303


@pytest.mark.parametrize(
    "given",
    [
        {"oidc_client": ""},
        {"oidc_issuer": "http://login.example.org"},
        {"oidc_roles": ""},
        {"oidc_roles": "boss=administrator"},
        {"oidc_roles": "x=enterprise"},
        {"oidc_roles": "x=enterprise:nobody"},
        {"oidc_roles": "staff=supervisor:hengjie"},
        {"oidc_roles": "office=township"},
        {"oidc_roles": "office=township:nowhere"},
        {"oidc_role_claim": "groups["},
    ],
)
def test_settings_that_make_no_sense_are_refused_at_the_start(registry: Registry, given: dict[str, str]) -> None:
    right = {"oidc_issuer": "https://login.example.org", "oidc_client": "x", "oidc_roles": "staff=supervisor"}
    assert provider_of(Settings(**right), registry) is not None  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="GREENMINE_OIDC"):
        provider_of(Settings(**(right | given)), registry)  # type: ignore[arg-type]


def test_a_provider_that_is_away_is_told(tmp_path: Path, registry: Registry) -> None:
    given = {"oidc_issuer": "http://127.0.0.1:9", "oidc_client": "x", "oidc_roles": "staff=supervisor"}
    with serving(tmp_path, registry, **given) as address:
        answer = httpx.get(f"{address}/sign-in/oidc", headers={"Accept-Language": "en"})
    assert answer.status_code == 503
    assert "cannot be reached" in answer.text
