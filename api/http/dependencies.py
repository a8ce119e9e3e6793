"""What routes depend on: the context, the scope of the caller, and queries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, TypeVar

from fastapi import Depends, Query, Request

from greenmine.api.accounts.caller import CallerOf
from greenmine.api.http.arguments import NoArguments
from greenmine.api.http.context import Context
from greenmine.api.http.problems import Problem
from greenmine.record.reader import Queries, Scope
from greenmine.registry import Channel, Registry, Site

_T = TypeVar("_T")


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
    channel = registry.channel(key)
    if channel is not None and channel.site in scope:
        return channel
    raise Problem(404, f"There is no channel {key!r}; /api/v1/stations lists them as site/station/parameter.")


Given = Annotated[_T, Query()]
"""The query parameters of a route, all in one model."""
NothingGiven = Given[NoArguments]
"""None, and a refusal of any."""
ContextOf = Annotated[Context, Depends(get_context)]
ScopeOf = Annotated[Scope, Depends(get_scope)]
QueriesOf = Annotated[Queries, Depends(get_queries)]
