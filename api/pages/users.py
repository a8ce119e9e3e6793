"""Users, for administrators."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form
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
from greenmine.api.pages.page import Page, PageOf
from greenmine.registry import townships
from greenmine.times import local, now

router = APIRouter()


class UserForm(arguments.Filled):
    """A new account."""

    name: str
    role: UserRole
    enterprises: list[str] = Field([])
    townships: list[str] = Field([])


@router.get("/users")
def users(_: Given[arguments.PageArguments], page: PageOf) -> Response:
    """Page of all users."""
    _administrator(page.caller)
    return _page(page)


@router.post("/users")
def add_user(given: Annotated[UserForm, Form()], page: PageOf, audit: AuditOf) -> Response:
    """Make an account; the page that answers shows its first password, once."""
    _administrator(page.caller)
    known = {enterprise.id for enterprise in page.registry.enterprises}
    if not set(given.enterprises) <= known:
        raise Problem(400, f"enterprises: of {', '.join(sorted(known))}")
    if not set(given.townships) <= set(townships(page.registry)):
        raise Problem(400, f"townships: of {', '.join(townships(page.registry))}")
    password = new_secret()
    try:
        user = page.context.accounts.users.add(
            given.name,
            given.role,
            now(),
            enterprises=given.enterprises,
            townships=given.townships,
            password=password,
        )
    except ValueError as error:
        return _page(page, fault=str(error), status=400)
    audit.add(
        "user-added",
        subject=user.name,
        role=user.role,
        enterprises=list(user.enterprises),
        townships=list(user.townships),
    )
    return _page(page, user=user, password=password)


@router.post("/users/{number}/password")
def reset_password(number: int, _: Annotated[arguments.Filled, Form()], page: PageOf, audit: AuditOf) -> Response:
    """Give an account a new password, shown once; its sessions end."""
    _administrator(page.caller)
    user = _user(page.context, number)
    password = new_secret()
    page.context.accounts.users.set_password(user, password)
    audit.add("password-reset", subject=user.name)
    return _page(page, user=user, password=password)


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


def _page(page: Page, *, user: User | None = None, password: str = "", fault: str = "", status: int = 200) -> Response:
    registry = page.registry
    return page.render(
        "users.html",
        status=status,
        users=[(known, local(known.created, page.zone)) for known in page.context.accounts.users.all()],
        enterprises={enterprise.id: enterprise for enterprise in registry.enterprises},
        townships=townships(registry),
        roles=ROLES,
        user=user,
        password=password,
        fault=fault,
    )
