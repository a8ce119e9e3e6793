"""Users, for administrators."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from pydantic import Field
from starlette.responses import RedirectResponse, Response

from greenmine.api.accounts.caller import Caller, CallerOf
from greenmine.api.accounts.secret import new_secret
from greenmine.api.accounts.users import ROLES, User, UserRole
from greenmine.api.http import arguments
from greenmine.api.http.audit import AuditOf
from greenmine.api.http.context import Context
from greenmine.api.http.dependencies import ContextOf, Given
from greenmine.api.http.problems import Problem
from greenmine.api.pages.rendering import language_of, render
from greenmine.api.pages.wording import Wording
from greenmine.registry import townships
from greenmine.times import local, now
from greenmine.wording.messages import Language

router = APIRouter()


class UserForm(arguments.Filled):
    """A new account."""

    name: str
    role: UserRole
    enterprises: list[str] = Field([])
    townships: list[str] = Field([])


@router.get("/users")
def users(given: Given[arguments.PageArguments], request: Request, context: ContextOf, caller: CallerOf) -> Response:
    """Page of all users."""
    _administrator(caller)
    return _page(request, context, given.lang)


@router.post("/users")
def add_user(
    given: Annotated[UserForm, Form()], request: Request, context: ContextOf, caller: CallerOf, audit: AuditOf
) -> Response:
    """Make an account; the page that answers shows its first password, once."""
    _administrator(caller)
    known = {enterprise.id for enterprise in context.registry.enterprises}
    if not set(given.enterprises) <= known:
        raise Problem(400, f"enterprises: of {', '.join(sorted(known))}")
    if not set(given.townships) <= set(townships(context.registry)):
        raise Problem(400, f"townships: of {', '.join(townships(context.registry))}")
    password = new_secret()
    try:
        user = context.accounts.users.add(
            given.name,
            given.role,
            now(),
            enterprises=given.enterprises,
            townships=given.townships,
            password=password,
        )
    except ValueError as error:
        return _page(request, context, None, fault=str(error), status=400)
    audit.add(
        "user-added",
        subject=user.name,
        role=user.role,
        enterprises=list(user.enterprises),
        townships=list(user.townships),
    )
    return _page(request, context, None, user=user, password=password)


@router.post("/users/{number}/password")
def reset_password(
    number: int,
    _: Annotated[arguments.Filled, Form()],
    request: Request,
    context: ContextOf,
    caller: CallerOf,
    audit: AuditOf,
) -> Response:
    """Give an account a new password, shown once; its sessions end."""
    _administrator(caller)
    user = _user(context, number)
    password = new_secret()
    context.accounts.users.set_password(user, password)
    audit.add("password-reset", subject=user.name)
    return _page(request, context, None, user=user, password=password)


@router.post("/users/{number}/disable")
def disable_user(
    number: int, _: Annotated[arguments.Filled, Form()], context: ContextOf, caller: CallerOf, audit: AuditOf
) -> Response:
    """Shut an account."""
    _administrator(caller)
    user = _user(context, number)
    if user.id == caller.user:
        raise Problem(400, "Nobody shuts their own account: somebody has to be able to open it again.")
    context.accounts.users.disable(user, now())
    audit.add("user-disabled", subject=user.name)
    return RedirectResponse("/users", 303)


@router.post("/users/{number}/enable")
def enable_user(
    number: int, _: Annotated[arguments.Filled, Form()], context: ContextOf, caller: CallerOf, audit: AuditOf
) -> Response:
    """Open an account again."""
    _administrator(caller)
    user = _user(context, number)
    context.accounts.users.enable(user)
    audit.add("user-enabled", subject=user.name)
    return RedirectResponse("/users", 303)


def _administrator(caller: Caller) -> None:
    if caller.role != "administrator" or caller.session is None:
        raise Problem(403, "Accounts are looked after by an administrator who is signed in.")


def _user(context: Context, number: int) -> User:
    user = context.accounts.users.get(number)
    if user is None:
        raise Problem(404, f"There is no user {number}; /users lists them.")
    return user


def _page(
    request: Request,
    context: Context,
    chosen: Language | None,
    *,
    user: User | None = None,
    password: str = "",
    fault: str = "",
    status: int = 200,
) -> Response:
    registry = context.registry
    wording = Wording(language_of(request, chosen), registry)
    zone = registry.sites[0].zone if registry.sites else "UTC"
    page = render(
        request,
        "users.html",
        wording,
        chosen,
        now(),
        notice=None,
        events="",
        users=[(known, local(known.created, zone)) for known in context.accounts.users.all()],
        enterprises={enterprise.id: enterprise for enterprise in registry.enterprises},
        townships=townships(registry),
        roles=ROLES,
        user=user,
        password=password,
        fault=fault,
    )
    page.status_code = status
    return page
