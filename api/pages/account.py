"""The account of a user: password, sessions, tokens, and which of their mines are public."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Form
from pydantic import Field
from starlette.responses import RedirectResponse, Response

from greenmine.api.accounts.caller import Caller, CallerOf, Role
from greenmine.api.accounts.passwords import WeakPasswordError
from greenmine.api.accounts.tokens import LONGEST_DAYS, Token
from greenmine.api.accounts.users import User
from greenmine.api.http import arguments
from greenmine.api.http.audit import AuditOf
from greenmine.api.http.context import Context
from greenmine.api.http.dependencies import ContextOf, Given, NothingGiven, visible_site
from greenmine.api.http.problems import Problem
from greenmine.api.http.responses import JSON
from greenmine.api.http.schemas import single
from greenmine.api.pages.page import Page, PageOf
from greenmine.times import local, now

router = APIRouter()
api = APIRouter()


class PasswordForm(arguments.Filled):
    """The old password and the new one, twice."""

    current: str
    new: str
    again: str


class TokenForm(arguments.Filled):
    """What a new token is for, how long it is good, and what it may."""

    name: str = Field(min_length=1, max_length=64)
    days: int = Field(90, ge=1, le=LONGEST_DAYS)
    sites: list[str] = Field([])
    write: bool = False


class PublicationForm(arguments.Filled):
    """Whether anybody may see the daily compliance of a site."""

    site: str
    public: bool = False


class CallerView(msgspec.Struct, frozen=True):
    """Whoever asks, the sites that they see, and those that they may act on and comment on."""

    name: str
    role: Role
    sites: list[str]
    writable: list[str]
    commentable: list[str]


@api.get("/api/v1/caller", responses=single(CallerView))
def caller_view(_: NothingGiven, caller: CallerOf) -> Response:
    """Who you are to the server, which sites you see and may act on."""
    return JSON(CallerView(caller.name, caller.role, *map(sorted, (caller.scope, caller.writable, caller.commentable))))


@router.get("/account")
def account(_: Given[arguments.PageArguments], page: PageOf) -> Response:
    """Page of the account."""
    return _page(page)


@router.post("/account/password")
def change_password(given: Annotated[PasswordForm, Form()], page: PageOf, audit: AuditOf) -> Response:
    """Change the password; all other sessions end."""
    context = page.context
    user, session = _signed_in(context, page.caller)
    wait = context.lockout.attempt(user.name, audit.address, known=True)
    if wait:
        return _page(page, fault="locked", minutes=-(-wait // 60), status=429)
    if context.accounts.users.sign_in(user.name, given.current) is None:
        audit.add("password-refused")
        return _page(page, fault="wrong", status=400)
    context.lockout.succeeded(user.name, audit.address, known=True)
    if given.new != given.again:
        return _page(page, fault="different", status=400)
    try:
        context.accounts.users.set_password(user, given.new, keep=session)
    except WeakPasswordError as error:
        return _page(page, fault=error.key, status=400)
    audit.add("password-changed")
    return _page(page, done="password")


@router.post("/account/sessions/{number}/end")
def end_session(
    number: int, _: Annotated[arguments.Filled, Form()], context: ContextOf, caller: CallerOf, audit: AuditOf
) -> Response:
    """End one of the caller's sessions."""
    user, _session = _signed_in(context, caller)
    if not context.accounts.sessions.end(user, number):
        raise Problem(404, f"There is no session {number}; /account lists them.")
    audit.add("session-ended", subject=str(number))
    return RedirectResponse("/account", 303)


@router.post("/account/tokens")
def make_token(given: Annotated[TokenForm, Form()], page: PageOf, audit: AuditOf) -> Response:
    """Make a token; the page that answers shows it, once."""
    user, _ = _signed_in(page.context, page.caller)
    sites = sorted({page.site(site).id for site in given.sites})
    write = given.write and bool(page.caller.commentable)
    try:
        secret = page.context.accounts.tokens.add(
            user, given.name, now(), days=given.days, sites=sites or None, write=write
        )
    except ValueError as error:
        raise Problem(400, str(error)) from error
    audit.add("token-made", subject=given.name, days=given.days, sites=sites, write=write)
    return _page(page, secret=secret)


@router.post("/account/tokens/{number}/revoke")
def revoke_token(
    number: int, _: Annotated[arguments.Filled, Form()], context: ContextOf, caller: CallerOf, audit: AuditOf
) -> Response:
    """Revoke one of the caller's tokens."""
    user, _session = _signed_in(context, caller)
    token = context.accounts.tokens.revoke(user, number, now())
    if token is None:
        raise Problem(404, f"There is no token {number} in use; /account lists them.")
    audit.add("token-revoked", subject=token.name)
    return RedirectResponse("/account", 303)


@router.post("/account/publications")
def publish(
    given: Annotated[PublicationForm, Form()], context: ContextOf, caller: CallerOf, audit: AuditOf
) -> Response:
    """Let anybody see the daily compliance of a mine, or no longer."""
    site = visible_site(context.registry, caller.scope, given.site)
    _signed_in(context, caller)
    if caller.role != "enterprise":
        raise Problem(403, "Only the enterprise of a mine makes it public.")
    if context.accounts.publications.switch(site.id, now(), public=given.public):
        audit.add("published" if given.public else "unpublished", site=site.id)
    return RedirectResponse("/account", 303)


def _signed_in(context: Context, caller: Caller) -> tuple[User, int]:
    """The user of a session, and its number; tokens do not change accounts."""
    user = None if caller.user is None else context.accounts.users.get(caller.user)
    if user is None or caller.session is None:
        raise Problem(403, "Accounts are changed on their pages by whoever is signed in, not by a token.")
    return user, caller.session.id


def _page(
    page: Page, *, fault: str = "", minutes: int = 0, done: str = "", secret: str = "", status: int = 200
) -> Response:
    accounts = page.context.accounts
    user, session = _signed_in(page.context, page.caller)
    return page.render(
        "account.html",
        status=status,
        user=user,
        sites=page.sites,
        public=accounts.publications.sites(),
        sessions=[
            (found, local(found.used, page.zone), local(found.created, page.zone), found.id == session)
            for found in accounts.sessions.of_user(user, page.instant)
        ],
        tokens=[_token(page, token) for token in accounts.tokens.of_user(user)],
        longest=LONGEST_DAYS,
        fault=page.wording.t(f"account.fault-{fault}", minutes=minutes) if fault else "",
        done=done,
        secret=secret,
    )


def _token(page: Page, token: Token) -> dict[str, Any]:
    state = "revoked" if token.revoked is not None else ("expired" if token.expires <= page.instant else "good")
    return {
        "token": token,
        "state": state,
        "expires": local(token.expires, page.zone),
        "used": None if token.used is None else local(token.used, page.zone),
    }
