"""Subscriptions: who is told of what, by which way. Of an enterprise by its own users, of the district by its supervisors."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from msgspec import UNSET, UnsetType
from starlette.responses import Response

from greenmine.api.accounts.caller import Caller, CallerOf
from greenmine.api.http.audit import Audit, AuditOf
from greenmine.api.http.bodies import decoded
from greenmine.api.http.context import Context
from greenmine.api.http.dependencies import ContextOf, NothingGiven, visible_site
from greenmine.api.http.problems import Problem
from greenmine.api.http.responses import JSON, listing
from greenmine.api.http.schemas import listed, nothing, single, taking
from greenmine.notify.event import EventKind
from greenmine.notify.outbox import Message
from greenmine.notify.quiet import QuietHours
from greenmine.notify.subscriptions import Subscription, TooManyError
from greenmine.notify.targets import Mail, Target, Webhook, kind_of, shown
from greenmine.record.outbox import Backlog
from greenmine.times import local, now

router = APIRouter()

SHOWN: Final = 100
"""Messages of a subscription that are shown."""

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_Events = Annotated[list[EventKind], msgspec.Meta(min_length=1, max_length=20)]
_Sites = Annotated[list[Annotated[str, msgspec.Meta(max_length=80)]], msgspec.Meta(min_length=1, max_length=1_000)]
Language = Literal["zh", "en"]


class NewSubscription(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A subscription to be made. Without an ``enterprise``: the caller's only one, or the district for who oversees it."""

    name: _Name
    target: Target
    events: _Events
    enterprise: Annotated[str, msgspec.Meta(max_length=80)] | None = None
    sites: _Sites | None = None
    language: Language = "zh"
    quiet: QuietHours | None = None


class SubscriptionChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be changed; what is not named stays. The target cannot be changed: make another subscription."""

    name: _Name | UnsetType = UNSET
    events: _Events | UnsetType = UNSET
    sites: _Sites | UnsetType | None = UNSET
    language: Language | UnsetType = UNSET
    quiet: QuietHours | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET


class SubscriptionItem(msgspec.Struct, frozen=True):
    """A subscription; its secrets are never shown. ``where`` is an origin or addresses, ``enterprise`` null the district's."""

    id: int
    enterprise: str | None
    name: str
    kind: str
    where: str
    events: list[str]
    sites: list[str] | None
    language: str
    quiet: QuietHours | None
    enabled: bool
    author: str
    created: datetime
    sent: int
    last: datetime | None
    waiting: int
    held: int
    failures: int
    trouble: str


class MadeSubscription(msgspec.Struct, frozen=True):
    """A subscription that was made; of a webhook the secret that it signs with, this once."""

    subscription: SubscriptionItem
    secret: str | None


class EventItem(msgspec.Struct, frozen=True):
    """What a message tells of."""

    kind: str
    site: str
    subject: str
    time: datetime


class MessageItem(msgspec.Struct, frozen=True):
    """A message: ``waiting`` to be delivered (``next``: not before), ``sent``, or ``dead``; why the last attempt failed."""

    id: str
    state: str
    digest: bool
    since: datetime
    attempts: int
    next: datetime | None
    done: datetime | None
    trouble: str
    events: list[EventItem]


_EXAMPLE: Final = {
    "name": "Control room",
    "target": {"kind": "webhook", "url": "https://example.org/hook"},
    "events": ["exceedance-opened", "exceedance-closed"],
    "quiet": {"start": "22:00", "end": "07:00"},
}


def owners(context: Context, caller: Caller) -> list[str | None]:
    """Whose subscriptions a caller sees; None among them is the district. A token of some sites only sees none."""
    enterprises = [enterprise.id for enterprise in context.registry.enterprises]
    if caller.limited:
        return []
    match caller.role:
        case "administrator":
            return [None, *enterprises]
        case "supervisor":
            return [None]
        case "enterprise":
            own = {site.enterprise for site in context.registry.sites if site.id in caller.scope}
            return [enterprise for enterprise in enterprises if enterprise in own]
    return []


def visible_subscription(context: Context, caller: Caller, number: int) -> Subscription:
    """Subscription of a number; one that does not exist and another's cannot be told apart."""
    found = context.notices.subscriptions.get(number) if 0 <= number < 1 << 62 else None
    if found is None or found.enterprise not in owners(context, caller):
        raise Problem(404, f"There is no subscription {number}; /api/v1/subscriptions lists them.")
    return found


def manage(caller: Caller) -> None:
    """See that a caller may change subscriptions that it sees.

    Raises
    ------
    Problem
        403: it comes by a token that may only read.
    """
    if not caller.commentable:
        raise Problem(403, f"{caller.name} may not change subscriptions.")


def make(context: Context, caller: Caller, audit: Audit, asked: NewSubscription) -> Subscription:
    """Make a subscription.

    Raises
    ------
    Problem
        404 for an owner or a site that is not the caller's, 403 as `manage`, 400 for what makes no sense, 409 where there
        is no mail server or are too many.
    """
    owner = _owner(context, caller, asked.enterprise)
    manage(caller)
    _check_sites(context, caller, owner, asked.sites)
    if isinstance(asked.target, Mail) and context.settings.smtp_host is None:
        raise Problem(409, "target: this installation has no mail server; GREENMINE_SMTP_HOST names one.")
    try:
        made = context.notices.subscriptions.add(
            owner,
            asked.name,
            asked.target,
            now(),
            events=asked.events,
            author=caller.name,
            sites=asked.sites,
            language=asked.language,
            quiet=asked.quiet,
        )
    except TooManyError as error:
        raise Problem(409, str(error)) from error
    except ValueError as error:
        raise Problem(400, str(error)) from error
    _note(context, audit, "subscription-made", made, events=list(made.events))
    return made


def change(
    context: Context, caller: Caller, audit: Audit, subscription: Subscription, asked: SubscriptionChange
) -> Subscription:
    """Change a subscription; as `make`."""
    manage(caller)
    changes = {
        name: value for name in SubscriptionChange.__struct_fields__ if (value := getattr(asked, name)) is not UNSET
    }
    _check_sites(context, caller, subscription.enterprise, changes.get("sites"))
    try:
        changed = context.notices.subscriptions.change(subscription, **changes)
    except ValueError as error:
        raise Problem(400, str(error)) from error
    _note(context, audit, "subscription-changed", changed, changed=sorted(changes))
    return changed


def try_out(context: Context, caller: Caller, audit: Audit, subscription: Subscription) -> None:
    """Have a test sent, one at a time.

    Raises
    ------
    Problem
        409 if it is switched off, 429 while one is under way, and as `manage`.
    """
    manage(caller)
    if not subscription.enabled:
        raise Problem(409, "The subscription is switched off; nothing is sent by it.")
    if not context.notices.outbox.test(subscription, context.registry, now()):
        raise Problem(429, "A test is under way already; the messages of the subscription tell what becomes of it.")
    _note(context, audit, "subscription-tested", subscription)


def remove(context: Context, caller: Caller, audit: Audit, subscription: Subscription) -> None:
    """Remove a subscription; as `manage`."""
    manage(caller)
    context.notices.subscriptions.remove(subscription)
    _note(context, audit, "subscription-removed", subscription)


def secret_of(subscription: Subscription) -> str | None:
    """What a webhook signs with."""
    return subscription.target.secret if isinstance(subscription.target, Webhook) else None


def items(context: Context, found: list[Subscription]) -> list[SubscriptionItem]:
    """Subscriptions as they are shown."""
    waiting = context.notices.outbox.waiting() if found else {}
    return [_item(context, subscription, waiting.get(subscription.id, Backlog())) for subscription in found]


def message_items(context: Context, subscription: Subscription) -> list[MessageItem]:
    """The newest messages of a subscription, as they are shown."""
    zone = _zone(context, subscription)
    return [_message(message, zone) for message in context.notices.outbox.messages(subscription, SHOWN)]


@router.get("/api/v1/subscriptions", responses=listed(SubscriptionItem))
def subscriptions(_: NothingGiven, context: ContextOf, caller: CallerOf) -> Response:
    """Subscriptions of your enterprise, or of the district, with how they fare."""
    return listing(items(context, context.notices.subscriptions.of(owners(context, caller))))


@router.post(
    "/api/v1/subscriptions",
    status_code=201,
    responses=single(MadeSubscription, 201),
    openapi_extra=taking(NewSubscription, _EXAMPLE),
)
async def subscribe(
    _: NothingGiven, request: Request, context: ContextOf, caller: CallerOf, audit: AuditOf
) -> Response:
    """Have events told by webhook, e-mail, a robot in DingTalk or WeCom, or at the broker."""
    asked = await decoded(request, NewSubscription)
    made = await run_in_threadpool(make, context, caller, audit, asked)
    [item] = await run_in_threadpool(items, context, [made])
    return JSON(MadeSubscription(item, secret_of(made)), 201)


@router.get("/api/v1/subscriptions/{number}", responses=single(SubscriptionItem))
def subscription(number: int, _: NothingGiven, context: ContextOf, caller: CallerOf) -> Response:
    """One subscription."""
    return JSON(items(context, [visible_subscription(context, caller, number)])[0])


@router.patch(
    "/api/v1/subscriptions/{number}",
    responses=single(SubscriptionItem),
    openapi_extra=taking(SubscriptionChange, {"enabled": False}),
)
async def change_subscription(
    number: int, _: NothingGiven, request: Request, context: ContextOf, caller: CallerOf, audit: AuditOf
) -> Response:
    """Change what is told, when and in which language, or switch it off and on."""
    found = await run_in_threadpool(visible_subscription, context, caller, number)
    asked = await decoded(request, SubscriptionChange)
    changed = await run_in_threadpool(change, context, caller, audit, found, asked)
    [item] = await run_in_threadpool(items, context, [changed])
    return JSON(item)


@router.delete("/api/v1/subscriptions/{number}", status_code=204, responses=nothing())
def unsubscribe(number: int, _: NothingGiven, context: ContextOf, caller: CallerOf, audit: AuditOf) -> Response:
    """Remove a subscription, and what it has not been told yet."""
    remove(context, caller, audit, visible_subscription(context, caller, number))
    return Response(status_code=204)


@router.post("/api/v1/subscriptions/{number}/test", status_code=202, responses=single(SubscriptionItem, 202))
def try_subscription(number: int, _: NothingGiven, context: ContextOf, caller: CallerOf, audit: AuditOf) -> Response:
    """Send a test, quiet hours or not; the messages of the subscription tell what became of it."""
    found = visible_subscription(context, caller, number)
    try_out(context, caller, audit, found)
    return JSON(items(context, [found])[0], 202)


@router.get("/api/v1/subscriptions/{number}/messages", responses=listed(MessageItem))
def subscription_messages(number: int, _: NothingGiven, context: ContextOf, caller: CallerOf) -> Response:
    """The newest 100 messages of a subscription, newest first: delivered, waiting, or given up and why."""
    return listing(message_items(context, visible_subscription(context, caller, number)))


def _owner(context: Context, caller: Caller, named: str | None) -> str | None:
    known = owners(context, caller)
    if named is not None:
        if named not in known:
            raise Problem(404, f"There is no enterprise {named!r} whose subscriptions you look after.")
        return named
    if caller.role == "enterprise" and len(known) > 1:
        raise Problem(400, f"enterprise: name one of {', '.join(map(str, known))}")
    if not known:
        raise Problem(403, f"{caller.name} may not make subscriptions.")
    return known[0]


def _check_sites(context: Context, caller: Caller, owner: str | None, sites: list[str] | None) -> None:
    for site in sites or ():
        found = visible_site(context.registry, caller.scope, site)
        if owner not in {None, found.enterprise}:
            raise Problem(400, f"sites: {site!r} is not of {owner!r}")


def _note(context: Context, audit: Audit, action: str, subscription: Subscription, **detail: Any) -> None:
    """Note it in the audit log, never the target, which holds secrets; an enterprise reads what an administrator did to its own."""
    owner = subscription.enterprise or "district"
    sites = (site.id for site in context.registry.sites if site.enterprise == subscription.enterprise)
    site = next(sites, None) if audit.caller.role == "administrator" else None
    kind = kind_of(subscription.target)
    audit.add(action, site=site, subject=subscription.name, number=subscription.id, owner=owner, kind=kind, **detail)


def _zone(context: Context, subscription: Subscription) -> str:
    sites = [site for site in context.registry.sites if subscription.enterprise in {None, site.enterprise}]
    return sites[0].zone if sites else "UTC"


def _item(context: Context, subscription: Subscription, backlog: Backlog) -> SubscriptionItem:
    zone = _zone(context, subscription)
    return SubscriptionItem(
        subscription.id, subscription.enterprise, subscription.name, kind_of(subscription.target), shown(subscription.target),
        list(subscription.events), None if subscription.sites is None else list(subscription.sites), subscription.language,
        subscription.quiet, subscription.enabled, subscription.author, local(subscription.created, zone), subscription.sent,
        None if subscription.last is None else local(subscription.last, zone), backlog.waiting, backlog.held, subscription.failures,
        subscription.trouble,
    )  # fmt: skip


def _message(message: Message, zone: str) -> MessageItem:
    return MessageItem(
        message.id,
        message.state,
        message.digest,
        local(message.since, zone),
        message.attempts,
        local(message.next, zone) if message.state == "waiting" and message.next else None,
        None if message.done is None else local(message.done, zone),
        message.trouble,
        [EventItem(event.kind, event.site, event.subject, local(event.time, zone)) for event in message.events],
    )
