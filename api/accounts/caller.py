"""Who asks: name, role, and the sites that they may see and act on."""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Annotated, Final, Literal

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool

from greenmine.api.accounts.sessions import Session
from greenmine.api.accounts.tokens import Token
from greenmine.api.accounts.users import User
from greenmine.api.http.context import Context
from greenmine.api.http.problems import Problem
from greenmine.record.reader import Scope
from greenmine.registry import Registry, Site

Role = Literal["administrator", "supervisor", "township", "enterprise", "evaluator", "public"]

NOWHERE: Final = Scope(frozenset())
OPEN: Final = frozenset(
    {
        *("/healthz", "/metrics", "/sign-in", "/public", "/public/{site}", "/static/vega.js"),
        *("/shared", "/shared/file", "/api/v1/witnessed", "/api/v1/public/statements"),
        *("/sign-in/oidc", "/sign-in/oidc/callback"),
    }
)
"""Routes for everybody: what they show beyond that is their own business."""
SIGNED: Final = frozenset({"/api/v1/witnessed"})
"""Routes whose bodies carry the signature of who sends them; who calls does not matter."""
CSRF_HEADER: Final = "X-CSRF-Token"
CSRF_FIELD: Final = "csrf"

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_CHALLENGE: Final = 'Bearer realm="greenmine"'


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request.

    Parameters
    ----------
    name : str
        Name of the user, with that of the token behind it (``user/token``); for the audit log.
    user : int or None
        Number of the account; None for the public.
    role : Role
        What kind of caller it is.
    scope : Scope
        Sites that it may read; everything else does not exist for it.
    writable : Scope
        Sites that it may act on: mark, acknowledge, hand in. Part of ``scope``.
    commentable : Scope
        Sites on which it may comment: those that it may act on, and for a supervisor and for staff of a township all that it sees.
    session : Session, optional
        Of a browser that is signed in; None for a token and for the public.
    limited : bool
        Whether it is a token for some sites only.
    """

    name: str
    user: int | None
    role: Role
    scope: Scope
    writable: Scope = NOWHERE
    commentable: Scope = NOWHERE
    session: Session | None = None
    limited: bool = False

    def may_act(self, site: str) -> bool:
        """Whether it may change something about a site."""
        return site in self.writable

    def may_comment(self, site: str) -> bool:
        """Whether it may comment on something of a site."""
        return site in self.commentable

    @property
    def oversees(self) -> bool:
        """Whether it sees all mines and what the installation says of itself."""
        return self.role in {"administrator", "supervisor"} and not self.limited


def caller_of(
    user: User,
    registry: Registry,
    *,
    session: Session | None = None,
    token: str = "",
    sites: Collection[str] | None = None,
) -> Caller:
    """Caller of an account.

    Parameters
    ----------
    user : User
        Whose account it is.
    registry : Registry
        Says which sites there are, and whose.
    session : Session, optional
        If it comes by a browser.
    token : str
        Name of the token that it comes by.
    sites : collection of str, optional
        What the token is limited to.
    """
    readable = Scope(frozenset(site.id for site in registry.sites if _reads(user, site)))
    if sites is not None:
        readable = Scope(readable & frozenset(sites))
    acts = user.role in {"administrator", "enterprise"}
    return Caller(
        f"{user.name}/{token}" if token else user.name,
        user.id,
        user.role,
        readable,
        readable if acts else NOWHERE,
        readable if acts or user.role in {"supervisor", "township"} else NOWHERE,
        session,
        limited=sites is not None,
    )


async def get_caller(request: Request) -> Caller:
    """Caller of a request that was admitted."""
    caller: Caller = request.state.caller
    return caller


CallerOf = Annotated[Caller, Depends(get_caller)]


async def admit(request: Request) -> None:
    """What comes before every route: the public sees open routes only, and no other site sends requests in a user's name.

    A caller is known by a token, else by a session; else it is the public.

    A browser attaches the cookie of a session to requests that other sites make it send. So whatever changes something needs the
    origin of this server, and the synchroniser token that only its own pages know: in the header ``X-CSRF-Token``, or in the
    field ``csrf`` of a form. Tokens in ``Authorization`` are not attached by browsers and need neither, nor do signed bodies.

    Raises
    ------
    Problem
        401 for the public and for a token that is unknown, expired or revoked, 403 for requests of foreign origin.
    """
    caller = await _caller(request)
    request.state.caller = caller
    path = request.scope["route"].path
    if caller.role == "public" and path not in OPEN:
        raise unauthenticated()
    if request.method in _SAFE or "authorization" in request.headers or path in SIGNED:
        return
    context: Context = request.app.state.context
    if not context.addresses.own(request, request.headers.get("origin", "")):
        raise Problem(403, "Origin: only pages of this server may send this; programs use an API token.")
    if caller.session is not None and path != "/sign-in" and not await _carries(request, caller.session.csrf):
        raise Problem(403, f"{CSRF_HEADER}: the form is from an earlier session; load its page again.")


async def still_admitted(request: Request, caller: Caller) -> bool:
    """Whether a caller admitted a while ago would be admitted now: its session goes on, or its token is good."""
    context: Context = request.app.state.context
    now = time.time_ns() // 1_000_000
    if recalled(request, context, now) is not None:
        return True
    if caller.session is not None:  # its cookie may have been replaced since
        return await run_in_threadpool(context.accounts.sessions.lives, caller.session.id, now)
    secret = _secret(request.headers.get("authorization", ""))
    return await run_in_threadpool(context.accounts.tokens.find, secret, now) is not None


def unauthenticated() -> Problem:
    """What the public is told of a route that is not for it."""
    return Problem(
        401,
        "Sign in at /sign-in, or send an API token as 'Authorization: Bearer'.",
        headers={"WWW-Authenticate": _CHALLENGE},
    )


def cookie_name(request: Request) -> str:
    """Name of the session's cookie: over TLS with the prefix by which browsers keep it to this host."""
    return "__Host-greenmine" if request.url.scheme == "https" else "greenmine"


def cookie(request: Request, value: str, *, over: bool = False) -> str:
    """Header that sets, or clears, the cookie of a session."""
    parts = [f"{cookie_name(request)}={value}", "Path=/", "HttpOnly", "SameSite=Lax"]
    parts += ["Secure"] if request.url.scheme == "https" else []
    parts += ["Max-Age=0"] if over else []
    return "; ".join(parts)


def _reads(user: User, site: Site) -> bool:
    if user.role == "enterprise":
        return site.enterprise in user.enterprises
    if user.role == "township":
        return site.township_zh in user.townships
    return user.role in {"administrator", "supervisor"}


def _all_sites(registry: Registry) -> frozenset[str]:
    return frozenset(site.id for site in registry.sites)


def recalled(request: Request, context: Context, now: int) -> Caller | None:
    """Caller by a token or a session known from a request before, while the accounts are as they were then.

    None also for the public, and if something about the token or session is to be noted.
    """
    authorization = request.headers.get("authorization")
    if authorization is not None:
        secret = _secret(authorization)
        token = context.accounts.tokens.recall(secret, now) if secret else None
        return _of_token(context, *token) if token is not None else None
    value = request.cookies.get(cookie_name(request))
    session = context.accounts.sessions.recall(value, now) if value else None
    return caller_of(session[1], context.registry, session=session[0]) if session is not None else None


async def _caller(request: Request) -> Caller:
    context: Context = request.app.state.context
    now = time.time_ns() // 1_000_000
    if (known := recalled(request, context, now)) is not None:
        return known
    authorization = request.headers.get("authorization")
    if authorization is not None:
        return await _by_token(context, authorization, now)
    return await _by_session(context, request, now) or await _public(context)


async def _public(context: Context) -> Caller:
    publications = context.accounts.publications
    sites = publications.recall()
    if sites is None:
        sites = await run_in_threadpool(publications.sites)
    return Caller("public", None, "public", Scope(sites & _all_sites(context.registry)))


async def _by_token(context: Context, authorization: str, now: int) -> Caller:
    secret = _secret(authorization)
    found = await run_in_threadpool(context.accounts.tokens.find, secret, now) if secret else None
    if found is None:
        raise Problem(
            401,
            "Authorization: the token is unknown, expired or revoked.",
            headers={"WWW-Authenticate": f'{_CHALLENGE}, error="invalid_token"'},
        )
    return _of_token(context, *found)


def _of_token(context: Context, token: Token, user: User) -> Caller:
    caller = caller_of(user, context.registry, token=token.name, sites=token.sites)
    if token.write:
        return caller
    return replace(caller, writable=NOWHERE, commentable=NOWHERE)


def _secret(authorization: str) -> str:
    """API token of a header; empty if it holds none."""
    scheme, _, secret = authorization.partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""


async def _by_session(context: Context, request: Request, now: int) -> Caller | None:
    value = request.cookies.get(cookie_name(request))
    found = await run_in_threadpool(context.accounts.sessions.find, value, now) if value else None
    if found is None:
        return None
    session, user, replaced = found
    if replaced is not None:
        request.state.new_cookie = cookie(request, replaced)
    return caller_of(user, context.registry, session=session)


async def _carries(request: Request, csrf: str) -> bool:
    given: object = request.headers.get(CSRF_HEADER)
    if given is None and request.headers.get("content-type", "").startswith(
        ("application/x-www-form-urlencoded", "multipart/form-data")
    ):
        given = (await request.form()).get(CSRF_FIELD)
    return isinstance(given, str) and secrets.compare_digest(given.encode(), csrf.encode())
