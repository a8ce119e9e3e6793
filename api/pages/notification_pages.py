"""Pages of notifications: the subscriptions, and one of them with its messages and what can be changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Form
from pydantic import Field
from starlette.responses import RedirectResponse, Response

from greenmine.api.accounts.caller import Caller, CallerOf
from greenmine.api.http import arguments, subscriptions
from greenmine.api.http.audit import AuditOf
from greenmine.api.http.dependencies import ContextOf, Given
from greenmine.api.http.problems import Problem
from greenmine.api.http.subscriptions import NewSubscription, SubscriptionChange, visible_subscription
from greenmine.api.pages.page import Page, PageOf
from greenmine.notify.event import EVENTS, INSTALLATION, EventKind
from greenmine.notify.targets import CLASSES, KINDS
from greenmine.registry import Site

router = APIRouter()

_DISTRICT = ""
_PATH = "/notifications"


class NotificationsArguments(arguments.PageArguments):
    """Of which kind a subscription is to be made."""

    kind: str = Field(default=KINDS[0], max_length=80)


class WishForm(arguments.Filled):
    """What is told, of which mines, in which language, and when not."""

    name: str = Field(max_length=200)
    events: list[str] = Field(default=[], max_length=50)
    sites: list[str] = Field(default=[], max_length=1_000)
    language: str = "zh"
    quiet_start: str = ""
    quiet_end: str = ""

    def wishes(self) -> dict[str, Any]:
        """As a JSON document has them."""
        quiet = {"start": self.quiet_start, "end": self.quiet_end} if self.quiet_start or self.quiet_end else None
        return {
            "name": self.name.strip(),
            "events": self.events,
            "sites": self.sites or None,
            "language": self.language,
            "quiet": quiet,
        }


class NewForm(WishForm):
    """A new subscription; of the target the fields of its kind."""

    kind: str = Field(default=KINDS[0], max_length=80)
    enterprise: str = Field(default=_DISTRICT, max_length=80)
    url: str = Field(default="", max_length=2_000)
    to: str = Field(default="", max_length=6_000)
    token: str = Field(default="", max_length=200)
    secret: str = Field(default="", max_length=200)
    key: str = Field(default="", max_length=200)

    def target(self) -> dict[str, Any]:
        """As a JSON document has it."""
        names = CLASSES[self.kind].__struct_fields__ if self.kind in CLASSES else ()
        given = {name: getattr(self, name).strip() for name in names}
        if "to" in given:
            given["to"] = given["to"].replace(",", " ").replace(";", " ").split()
        return {"kind": self.kind} | given


class ChangeForm(WishForm):
    """Changes of a subscription."""

    enabled: bool = False


@router.get(_PATH)
def notifications(given: Given[NotificationsArguments], page: PageOf) -> Response:
    """Page of subscriptions."""
    return _list(page, given.kind)


@router.post(_PATH)
def make_subscription(given: Annotated[NewForm, Form()], page: PageOf, audit: AuditOf) -> Response:
    """Make a subscription; the page that answers shows its secret, once."""
    _signed_in(page.caller)
    asked = given.wishes() | {"target": given.target(), "enterprise": given.enterprise or None}
    try:
        made = subscriptions.make(page.context, page.caller, audit, msgspec.convert(asked, NewSubscription))
    except msgspec.ValidationError as error:
        return _list(page, given.kind, form=given, fault=str(error), status=400)
    except Problem as problem:
        if problem.status not in {400, 409}:
            raise
        return _list(page, given.kind, form=given, fault=problem.detail, status=problem.status)
    secret = subscriptions.secret_of(made)
    return _list(page, given.kind, secret=secret or "", made=made.name)


@router.get(_PATH + "/{number}")
def notification(number: int, _: Given[arguments.PageArguments], page: PageOf) -> Response:
    """Page of one subscription."""
    return _one(page, number)


@router.post(_PATH + "/{number}")
def change_notification(number: int, given: Annotated[ChangeForm, Form()], page: PageOf, audit: AuditOf) -> Response:
    """Change a subscription."""
    _signed_in(page.caller)
    found = visible_subscription(page.context, page.caller, number)
    try:
        asked = msgspec.convert(given.wishes() | {"enabled": given.enabled}, SubscriptionChange)
        subscriptions.change(page.context, page.caller, audit, found, asked)
    except msgspec.ValidationError as error:
        return _one(page, number, fault=str(error), status=400)
    except Problem as problem:
        if problem.status != 400:
            raise
        return _one(page, number, fault=problem.detail, status=400)
    return RedirectResponse(f"{_PATH}/{number}", 303)


@router.post(_PATH + "/{number}/test")
def try_notification(
    number: int, _: Annotated[arguments.Filled, Form()], context: ContextOf, caller: CallerOf, audit: AuditOf
) -> Response:
    """Send a test."""
    _signed_in(caller)
    found = visible_subscription(context, caller, number)
    try:
        subscriptions.try_out(context, caller, audit, found)
    except Problem as problem:
        if problem.status != 429:
            raise  # that one is under way already can be seen on the page
    return RedirectResponse(f"{_PATH}/{number}", 303)


@router.post(_PATH + "/{number}/remove")
def remove_notification(
    number: int, _: Annotated[arguments.Filled, Form()], context: ContextOf, caller: CallerOf, audit: AuditOf
) -> Response:
    """Remove a subscription."""
    _signed_in(caller)
    subscriptions.remove(context, caller, audit, visible_subscription(context, caller, number))
    return RedirectResponse(_PATH, 303)


def _signed_in(caller: Caller) -> None:
    if caller.session is None:
        raise Problem(403, "This page is for who is signed in; tokens use /api/v1/subscriptions.")


def _list(
    page: Page,
    kind: str,
    *,
    form: NewForm | None = None,
    fault: str = "",
    secret: str = "",
    made: str = "",
    status: int = 200,
) -> Response:
    context, caller = page.context, page.caller
    _signed_in(caller)
    known = subscriptions.owners(context, caller)
    kinds = [name for name in KINDS if name != "mail" or context.settings.smtp_host is not None]
    return _page(
        page,
        "notifications.html",
        status=status,
        all_events=_events(known),
        sites=_sites(page, None),
        items=subscriptions.items(context, context.notices.subscriptions.of(known)),
        owners=known,
        kinds=kinds,
        kind=kind if kind in kinds else kinds[0],
        form=form
        or NewForm(name="", events=["exceedance-opened", "exceedance-closed", "station-silent", "station-flooding"]),
        fault=fault,
        secret=secret,
        made=made,
    )


def _one(page: Page, number: int, *, fault: str = "", status: int = 200) -> Response:
    _signed_in(page.caller)
    found = visible_subscription(page.context, page.caller, number)
    [item] = subscriptions.items(page.context, [found])
    return _page(
        page,
        "notification.html",
        status=status,
        all_events=_events([found.enterprise]),
        sites=_sites(page, found.enterprise),
        item=item,
        messages=subscriptions.message_items(page.context, found),
        form=ChangeForm(
            name=found.name,
            events=list(found.events),
            sites=list(found.sites or ()),
            language=found.language,
            quiet_start="" if found.quiet is None else found.quiet.start,
            quiet_end="" if found.quiet is None else found.quiet.end,
            enabled=found.enabled,
        ),
        fault=fault,
    )


def _events(owners: Sequence[str | None]) -> list[EventKind]:
    """Events of which somebody among the owners can be told; None is the district."""
    return [kind for kind in EVENTS if None in owners or kind not in INSTALLATION]


def _sites(page: Page, owner: str | None) -> list[Site]:
    """Sites of which an owner can be told, as far as the caller sees them."""
    return [site for site in page.sites if owner in {None, site.enterprise}]


def _page(page: Page, template: str, **values: Any) -> Response:
    enterprises = {enterprise.id: enterprise for enterprise in page.registry.enterprises}
    return page.render(template, enterprises=enterprises, **values)
