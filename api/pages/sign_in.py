"""Signing in and out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from greenmine.api.accounts.caller import CallerOf, cookie
from greenmine.api.accounts.lockout import KNOWN_DAYS
from greenmine.api.accounts.users import User, plain_name
from greenmine.api.http import arguments
from greenmine.api.http.audit import client_address
from greenmine.api.http.context import Context
from greenmine.api.http.dependencies import ContextOf, Given
from greenmine.api.pages.page import Page, PageOf
from greenmine.times import DAY, now

router = APIRouter()

_SHOWN = 3
"""Characters of an unknown name that the audit log keeps: people type passwords into the wrong field."""


class SignInArguments(arguments.PageArguments):
    """Where to go after."""

    next: str = "/"


class SignInForm(arguments.Filled):
    """Name and password."""

    name: str
    password: str
    next: str = "/"


@router.get("/sign-in")
def sign_in_page(given: Given[SignInArguments], page: PageOf) -> Response:
    """Page to sign in."""
    if page.caller.session is not None:
        return RedirectResponse(own_path(given.next), 303)
    return _page(page, own_path(given.next))


@router.post("/sign-in")
def sign_in(given: Annotated[SignInForm, Form()], page: PageOf) -> Response:
    """Begin a session under a new cookie; one that the browser had before ends."""
    context, caller, instant = page.context, page.caller, page.instant
    accounts = context.accounts
    address = client_address(page.request)
    name = plain_name(given.name)
    user = accounts.users.named(name)
    known = accounts.audit.came_from(-1 if user is None else user.id, address, instant - KNOWN_DAYS * DAY)
    wait = context.lockout.attempt(name, address, known=known)
    next_path = own_path(given.next)
    if wait:
        minutes = -(-wait // 60)
        answer = _page(page, next_path, given.name, fault="locked", minutes=minutes, status=429)
        answer.headers["Retry-After"] = str(wait)
        return answer
    try:
        right = accounts.users.sign_in(given.name, given.password)
    except TimeoutError:
        return _page(page, next_path, given.name, fault="busy", status=503)
    if right is None:
        told = name if user is not None else f"{name[:_SHOWN]}…"
        accounts.audit.add(
            instant, "sign-in-failed", user=None if user is None else user.id, name=told, address=address
        )
        return _page(page, next_path, given.name, fault="wrong", status=401)
    context.lockout.succeeded(name, address, known=known)
    if caller.session is not None and caller.user is not None:
        end_session_of(context, caller.user, caller.session.id)
    return begin_session(page.request, context, right, next_path)


@router.post("/sign-out")
def sign_out(
    _: Annotated[arguments.Filled, Form()], request: Request, context: ContextOf, caller: CallerOf
) -> Response:
    """End the session."""
    if caller.session is not None and caller.user is not None:
        end_session_of(context, caller.user, caller.session.id)
        context.accounts.audit.add(
            now(), "sign-out", user=caller.user, name=caller.name, address=client_address(request)
        )
    request.state.new_cookie = cookie(request, "", over=True)
    return RedirectResponse("/sign-in", 303)


def begin_session(request: Request, context: Context, user: User, next_path: str) -> Response:
    """Answer that signs a user in."""
    instant, address = now(), client_address(request)
    secret = context.accounts.sessions.begin(
        user, instant, address=address, agent=request.headers.get("user-agent", "")
    )
    context.accounts.audit.add(instant, "sign-in", user=user.id, name=user.name, address=address)
    request.state.new_cookie = cookie(request, secret)
    return RedirectResponse(next_path, 303)


def refusal(page: Page, fault: str, status: int) -> Response:
    """Page to sign in that says why nobody was."""
    return _page(page, "/", fault=fault, status=status)


def own_path(text: str) -> str:
    """A path of this server; ``/`` for anything that a browser could take for another address."""
    plain = text.startswith("/") and not text.startswith("//") and text.isprintable() and "\\" not in text
    return text if plain else "/"


def end_session_of(context: Context, number: int, session: int) -> None:
    """End a session of a user."""
    user = context.accounts.users.get(number)
    if user is not None:
        context.accounts.sessions.end(user, session)


def _page(
    page: Page, next_path: str, name: str = "", *, fault: str = "", minutes: int = 0, status: int = 200
) -> Response:
    context = page.context
    return page.render(
        "sign-in.html",
        status=status,
        next=next_path,
        name=name,
        fault=page.wording.t(f"sign-in.{fault}", minutes=minutes) if fault else "",
        public=bool(context.accounts.publications.sites()),
        provider=None if context.provider is None else context.provider.name,
    )
