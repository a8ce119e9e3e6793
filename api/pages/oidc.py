"""Signing in at an OpenID Connect provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog
from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from greenmine.api.accounts.persons import LASTS, Person, SignInError
from greenmine.api.accounts.users import User
from greenmine.api.http.audit import client_address
from greenmine.api.http.context import Context
from greenmine.api.http.dependencies import Given
from greenmine.api.http.problems import Problem
from greenmine.api.pages.page import Page, PageOf
from greenmine.api.pages.sign_in import SignInArguments, begin_session, end_session_of, own_path, refusal
from greenmine.times import now

if TYPE_CHECKING:  # its libraries take 15 MB, and most installations have no provider
    from greenmine.api.accounts.provider import Provider

router = APIRouter()

START: Final = "/sign-in/oidc"
BACK: Final = "/sign-in/oidc/callback"
_COOKIE: Final = "greenmine-oidc"
_STATUS: Final = {"oidc-unreachable": 503, "oidc-no-role": 403, "oidc-taken": 403, "oidc-shut": 403}
_log = structlog.get_logger(__name__)


@router.get(START)
def begin(given: Given[SignInArguments], page: PageOf) -> Response:
    """Lead the browser to the provider."""
    provider = _provider(page.context)
    try:
        address, sealed = provider.begin(_own_address(page.request, page.context), own_path(given.next))
    except SignInError as error:
        return _refused(page, error)
    answer = RedirectResponse(address, 303)
    _set_cookie(answer, page.request, sealed, LASTS)
    return answer


@router.get(BACK)
def come_back(page: PageOf) -> Response:
    """Begin a session for whom the provider has sent back; its answer may carry parameters of all kinds."""
    context, caller, request = page.context, page.caller, page.request
    provider = _provider(context)
    told = dict(request.query_params)
    try:
        flow = provider.opened(request.cookies.get(_COOKIE, ""), told)
        person = provider.finish(flow, told["code"])
        user = _user(context, person)
    except SignInError as error:
        answer = _refused(page, error)
    else:
        if caller.session is not None and caller.user is not None:
            end_session_of(context, caller.user, caller.session.id)
        answer = begin_session(request, context, user, flow.next)
    _set_cookie(answer, request, "", 0)
    return answer


def _user(context: Context, person: Person) -> User:
    """The account of a person, made if this is the first time; an account of another by the same name is never taken over."""
    users = context.accounts.users
    user = users.identified(person.identity)
    role, enterprises, townships = person.role, person.enterprises, person.townships
    done = None
    if user is None:
        try:
            user = users.add(
                person.name, role, now(), enterprises=enterprises, townships=townships, identity=person.identity
            )
        except ValueError as error:
            raise SignInError("oidc-taken", str(error)) from error
        done = "user-added"
    if user.disabled is not None:
        raise SignInError("oidc-shut", f"the account {user.name!r} is shut")
    if (user.role, user.enterprises, user.townships) != (role, enterprises, townships):
        user = users.assign(user, role, enterprises=enterprises, townships=townships)
        done = "user-assigned"
    if done is not None:
        context.accounts.audit.add(
            now(), done, user=user.id, name=user.name, subject=user.name, role=role, enterprises=list(enterprises),
            townships=list(townships),
        )  # fmt: skip
    return user


def _refused(page: Page, error: SignInError) -> Response:
    _log.warning("sign-in at the provider failed", reason=str(error))
    page.context.accounts.audit.add(
        now(),
        "sign-in-failed",
        user=None,
        name="OpenID Connect",
        address=client_address(page.request),
        reason=error.key,
    )
    return refusal(page, error.key, _STATUS.get(error.key, 401))


def _provider(context: Context) -> Provider:
    if context.provider is None:
        raise Problem(404, "There is no OpenID Connect provider; people sign in at /sign-in.")
    return context.provider


def _own_address(request: Request, context: Context) -> str:
    """Where the provider sends browsers back to: the public address where there is one."""
    told = context.settings.public_url.split(",")[0].strip().rstrip("/")
    return (told or f"{request.url.scheme}://{request.url.netloc}") + BACK


def _set_cookie(answer: Response, request: Request, value: str, lasts: int) -> None:
    secure = request.url.scheme == "https"
    answer.set_cookie(_COOKIE, value, max_age=lasts, path=START, secure=secure, httponly=True, samesite="lax")
