"""What every route needs: settings, registry, record, and the scope of the caller."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from api.addresses import Addresses
from api.caller import CallerOf
from api.kept import Kept
from api.lockout import Lockout
from api.problems import Problem
from api.queries import Queries, Scope
from api.record import Record
from greenmine.accounts.accounts import Accounts
from greenmine.evaluation import Evaluation
from greenmine.notices.notices import Notices
from greenmine.registry import Channel, Registry, Site
from greenmine.reporting import Reporting
from greenmine.settings import Settings
from greenmine.storage.changes import Remembered

if TYPE_CHECKING:
    from api.broadcast import Broadcast
    from api.provider import Provider


@dataclass(frozen=True, slots=True)
class Context:
    """State of the application, made once at start."""

    settings: Settings
    registry: Registry
    record: Record
    closing: Event
    """Set when the server shuts down: live streams end."""
    accounts: Accounts
    addresses: Addresses
    lockout: Lockout
    reporting: Reporting
    evaluation: Evaluation
    notices: Notices
    """Subscriptions, and what is still to be told."""
    provider: Provider | None
    """Where people may sign in as well."""
    broadcast: Broadcast
    """What all live streams listen to."""
    bodies: Kept = field(default_factory=Kept)
    """Encoded answers that cost much to make, by their entity tags."""
    asked: Remembered[Hashable, tuple[str, int | None]] = field(init=False)
    """Entity tags of answers by what was asked, and until when they hold [ms UTC], as long as the record stays as it is."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "asked", Remembered(self.record.changes))


def now() -> int:
    """The present instant [ms UTC]."""
    return time.time_ns() // 1_000_000


def context_of(request: Request) -> Context:
    """Context of the application that serves a request."""
    context = request.app.state.context
    assert isinstance(context, Context)
    return context


async def get_context(request: Request) -> Context:
    """The same as a dependency; these are coroutines so as not to wait for a thread."""
    return context_of(request)


async def get_scope(caller: CallerOf) -> Scope:
    """Sites that the caller may see."""
    return caller.scope


def get_queries(context: Annotated[Context, Depends(get_context)]) -> Iterator[Queries]:
    """Queries on one connection, for the length of a request."""
    with context.record.queries() as queries:
        yield queries


def visible_site(registry: Registry, scope: Scope, site: str) -> Site:
    """Site of an id; one that does not exist and one out of scope cannot be told apart."""
    if site not in scope:
        raise Problem(404, f"There is no site {site!r}; /api/v1/sites lists them.")
    return registry.site(site)


def visible_channel(registry: Registry, scope: Scope, key: str) -> Channel:
    """Channel of a key, likewise."""
    for channel in registry.channels:
        if channel.key == key and channel.site in scope:
            return channel
    raise Problem(404, f"There is no channel {key!r}; /api/v1/stations lists them as site/station/parameter.")


ContextOf = Annotated[Context, Depends(get_context)]
ScopeOf = Annotated[Scope, Depends(get_scope)]
QueriesOf = Annotated[Queries, Depends(get_queries)]
