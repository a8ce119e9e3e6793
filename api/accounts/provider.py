"""An OpenID Connect provider: authorization code flow with PKCE, and what of its claims becomes role and name here.

References
----------
OpenID Connect Core 1.0 (2014, with errata set 2), 3.1; RFC 7636 (PKCE); RFC 9207 (issuer in the response); RFC 9700, 2025
(security of OAuth 2.0).
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Mapping
from typing import Any, Final, cast
from urllib.parse import urlsplit

import httpx2
import jmespath
import msgspec
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oidc.core import CodeIDToken
from cryptography.fernet import Fernet, InvalidToken
from jmespath.exceptions import JMESPathError
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from greenmine.api.accounts.persons import LASTS, Person, SignInError
from greenmine.api.accounts.secret import digest
from greenmine.api.accounts.users import Identity, UserRole
from greenmine.api.http.addresses import is_loopback
from greenmine.registry import Registry, townships
from greenmine.settings import Settings
from greenmine.tls import trusting

_TIMEOUT: Final = 10.0
_LEEWAY: Final = 60
"""How far the provider's clock may be off [s]."""
_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""With a key that only the provider has; never with the client's secret, and never none."""
_ROLES: Final[tuple[UserRole, ...]] = ("supervisor", "township", "enterprise", "evaluator")
"""Roles that a provider can give, the widest first. Administrators are made here."""
_UNFIT: Final = re.compile(r"[^\w.@+-]+")


class Flow(msgspec.Struct, frozen=True):
    """What a browser that is signing in carries in a sealed cookie."""

    state: str
    nonce: str
    verifier: str
    redirect: str
    next: str


class Provider:
    """The provider of an installation.

    Parameters
    ----------
    settings : Settings
        Its issuer, the client there, and what its claims mean.
    registry : Registry
        Which enterprises and townships there are.

    Raises
    ------
    ValueError
        The settings make no sense.
    """

    def __init__(self, settings: Settings, registry: Registry) -> None:
        if not settings.oidc_issuer or not settings.oidc_client:
            raise ValueError("GREENMINE_OIDC_ISSUER and GREENMINE_OIDC_CLIENT belong together")
        _check_address(settings.oidc_issuer, "GREENMINE_OIDC_ISSUER")
        self.name = settings.oidc_name
        self._settings = settings
        self._roles = _roles(settings.oidc_roles, registry)
        try:
            self._claim = jmespath.compile(settings.oidc_role_claim)
        except JMESPathError as error:
            told = str(error).splitlines()[0]
            raise ValueError(f"GREENMINE_OIDC_ROLE_CLAIM: {settings.oidc_role_claim!r}: {told}") from error
        self._tls = trusting(settings.oidc_ca, "GREENMINE_OIDC_CA")
        self._seal = Fernet(Fernet.generate_key())
        self._turn = threading.Lock()
        self._found: dict[str, Any] | None = None
        self._keys: KeySet | None = None

    def begin(self, redirect: str, next_path: str) -> tuple[str, str]:
        """Address at the provider to which a browser is led, and the sealed flow that it keeps until it comes back.

        Raises
        ------
        SignInError
            The provider cannot be reached.
        """
        state, nonce, verifier = (secrets.token_urlsafe(48) for _ in range(3))
        flow = Flow(state, nonce, verifier, redirect, next_path)
        with self._client(redirect) as client:
            address, _ = client.create_authorization_url(
                self._metadata()["authorization_endpoint"],
                state=flow.state,
                nonce=flow.nonce,
                code_verifier=flow.verifier,
            )
        return str(address), self._seal.encrypt(msgspec.json.encode(flow)).decode()

    def opened(self, sealed: str, answer: Mapping[str, str]) -> Flow:
        """The flow to which an answer of the provider belongs.

        Raises
        ------
        SignInError
            It belongs to none that this browser began, is too late, or is of another provider.
        """
        try:
            flow = msgspec.json.decode(self._seal.decrypt(sealed, ttl=LASTS), type=Flow)
        except InvalidToken:
            raise SignInError("oidc-late", "no sign-in of this browser is under way") from None
        if not secrets.compare_digest(answer.get("state", "").encode(), flow.state.encode()):
            raise SignInError("oidc-failed", "the answer belongs to another sign-in")
        if answer.get("iss", self._settings.oidc_issuer) != self._settings.oidc_issuer:
            raise SignInError("oidc-failed", "the answer is of another provider")
        if "error" in answer or "code" not in answer:
            raise SignInError("oidc-failed", f"the provider says {answer.get('error', 'nothing')[:60]!r}")
        return flow

    def finish(self, flow: Flow, code: str) -> Person:
        """Who has signed in.

        Parameters
        ----------
        flow : Flow
            From `opened`.
        code : str
            From the provider's answer.

        Raises
        ------
        SignInError
            The provider does not know the code, its token is not valid, or its claims give no role.
        """
        try:
            claims = self._claims(flow, code)
        except (AuthlibBaseError, JoseError, httpx2.HTTPError, KeyError, TypeError, ValueError) as error:
            raise SignInError("oidc-failed", f"{type(error).__name__}: {error}"[:200]) from error
        role, several = self._role(claims)
        subject = str(claims["sub"])
        given = claims.get(self._settings.oidc_name_claim) or claims.get("email") or subject
        name = _UNFIT.sub("-", str(given))[:64].lstrip(".@+-")
        assert self._settings.oidc_issuer is not None
        identity = Identity(self._settings.oidc_issuer, subject)
        return Person(
            identity,
            name if len(name) > 1 else f"user-{digest(subject)[:12]}",
            role,
            enterprises=several if role == "enterprise" else (),
            townships=several if role == "township" else (),
        )

    def _claims(self, flow: Flow, code: str) -> dict[str, Any]:
        metadata = self._metadata()
        with self._client(flow.redirect) as client:
            token = client.fetch_token(metadata["token_endpoint"], code=code, code_verifier=flow.verifier)
            claims = self._verified(str(token["id_token"]), flow.nonce, str(token.get("access_token", "")))
            if self._claim.search(claims) is None and "userinfo_endpoint" in metadata:
                more = client.get(metadata["userinfo_endpoint"])
                more.raise_for_status()
                told = more.json()
                if told["sub"] != claims["sub"]:
                    raise ValueError("userinfo is about somebody else")
                claims = told | claims
        return claims

    def _verified(self, token: str, nonce: str, access_token: str) -> dict[str, Any]:
        """Claims of an ID token: signed by the provider, for this client, now, and for this flow."""
        metadata = self._metadata()
        told = metadata.get("id_token_signing_alg_values_supported", ["RS256"])
        algorithms = [name for name in _ALGORITHMS if name in told]
        try:
            decoded = jwt.decode(token, self._key_set(), algorithms=algorithms)
        except (JoseError, ValueError):  # the provider may have new keys
            decoded = jwt.decode(token, self._key_set(anew=True), algorithms=algorithms)
        client = self._settings.oidc_client
        options = {"iss": {"essential": True, "value": metadata["issuer"]}, "aud": {"essential": True, "value": client}}
        params = {"nonce": nonce, "client_id": client, "access_token": access_token}
        CodeIDToken(decoded.claims, decoded.header, options, params).validate(leeway=_LEEWAY)
        return dict(decoded.claims)

    def _role(self, claims: Mapping[str, Any]) -> tuple[UserRole, tuple[str, ...]]:
        found = self._claim.search(claims)
        values = found if isinstance(found, list) else [found]
        given = [self._roles[value] for value in values if isinstance(value, str) and value in self._roles]
        for role in _ROLES:
            if role in {name for name, _ in given}:
                return role, tuple(sorted({e for name, several in given if name == role for e in several}))
        raise SignInError("oidc-no-role", "the claims give no role")

    def _metadata(self) -> dict[str, Any]:
        """What the provider says of itself, asked for once."""
        with self._turn:
            if self._found is None:
                issuer = self._settings.oidc_issuer or ""
                found = self._get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
                if found.get("issuer") != issuer:
                    raise SignInError("oidc-unreachable", f"the provider calls itself {found.get('issuer')!r}")
                for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                    try:
                        _check_address(str(found.get(name)), name)
                    except ValueError as error:
                        raise SignInError("oidc-unreachable", str(error)) from error
                self._found = found
            return self._found

    def _key_set(self, *, anew: bool = False) -> KeySet:
        metadata = self._metadata()
        with self._turn:
            if self._keys is None or anew:
                self._keys = KeySet.import_key_set(cast("Any", self._get(metadata["jwks_uri"])))
            return self._keys

    def _get(self, address: str) -> dict[str, Any]:
        try:
            with httpx2.Client(verify=self._tls, timeout=_TIMEOUT) as client:
                answer = client.get(address)
                answer.raise_for_status()
                found = answer.json()
        except (httpx2.HTTPError, ValueError) as error:
            raise SignInError("oidc-unreachable", f"the provider cannot be reached: {type(error).__name__}") from error
        if not isinstance(found, dict):
            raise SignInError("oidc-unreachable", "the provider does not answer with an object")
        return found

    def _client(self, redirect: str) -> OAuth2Client:
        secret = self._settings.oidc_secret
        return OAuth2Client(
            self._settings.oidc_client,
            None if secret is None else secret.get_secret_value(),
            token_endpoint_auth_method="none" if secret is None else "client_secret_basic",
            scope=self._settings.oidc_scopes,
            redirect_uri=redirect,
            code_challenge_method="S256",
            verify=self._tls,
            timeout=_TIMEOUT,
        )


def _check_address(address: str, name: str) -> None:
    parts = urlsplit(address)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        raise ValueError(f"{name}: {address!r} must be an https:// address")


def _roles(text: str, registry: Registry) -> dict[str, tuple[UserRole, tuple[str, ...]]]:
    """What values of the claim mean: a role, and the enterprises or townships that belong to it."""
    known: dict[UserRole, set[str]] = {
        "enterprise": {enterprise.id for enterprise in registry.enterprises},
        "township": set(townships(registry)),
    }
    found: dict[str, tuple[UserRole, tuple[str, ...]]] = {}
    for part in (part.strip() for part in text.split(",") if part.strip()):
        value, _, meaning = part.rpartition("=")
        name, _, places = meaning.strip().partition(":")
        role = next((role for role in _ROLES if role == name), None)
        several = tuple(place.strip() for place in places.split("+") if place.strip())
        if not value.strip() or role is None:
            raise ValueError(
                f"GREENMINE_OIDC_ROLES: {part!r}; such as staff=supervisor or hengjie=enterprise:hengjie would be right, "
                f"with one of {', '.join(_ROLES)}; administrators are made by `greenmine user add`"
            )
        there = known.get(role, set())
        if bool(there) != bool(several) or not set(several) <= there:
            names = ", ".join(sorted(there)) or "none for this role"
            raise ValueError(f"GREENMINE_OIDC_ROLES: {part!r}; behind the colon belong, joined by +: {names}")
        found[value.strip()] = (role, several)
    if not found:
        raise ValueError(
            "GREENMINE_OIDC_ROLES: without it nobody could sign in; such as staff=supervisor would be right"
        )
    return found
