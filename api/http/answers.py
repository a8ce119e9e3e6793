"""Answers that are made once, and handed out to whoever asks the same until what they rest on changes.

Of a kept answer three things are known: the question with the scope of who asked, by `Context.response_cache` as long as nothing is
committed to the record; its entity tag, made of the version of what it rests on; and its body, by that tag. So after a commit
that does not concern it the version is looked up, and nothing is made anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable

from fastapi import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Connection

from greenmine.api.accounts.caller import recalled
from greenmine.api.http.context import Context
from greenmine.api.http.exports import entity_tag, tagged, unchanged
from greenmine.record.reader import Queries, Scope


def kept_answer(
    request: Request,
    context: Context,
    scope: Scope,
    version: Callable[[Queries], object],
    make: Callable[[Queries], bytes],
    *facts: object,
    until: int | None = None,
) -> Response:
    """Answer with a JSON body and its entity tag, and keep both.

    Parameters
    ----------
    version : callable
        What changes whenever the answer does.
    make : callable
        Gives the encoded body; run only if none is kept.
    *facts : object
        What the answer rests on beside the question, the scope and the record, such as the minute in which it was asked.
    until : int, optional
        Instant [ms UTC] from which on the facts are others.
    """
    number = context.response_cache.number()
    with context.record.queries() as queries:
        tag = entity_tag(request, scope, version(queries), context.registry.digest, *facts)
        body = context.bodies.get(tag)
        if body is None:
            body = make(queries)
            context.bodies.put(tag, body)
    context.response_cache.put(_question(request, scope), (tag, until), number)
    return unchanged(request, tag) or _json(body, tag)


class Repeats:
    """Hands out kept answers before anything else is done for a request but to know who sends it.

    Parameters
    ----------
    app : ASGIApp
        Makes the answers.
    context : Context
        Holds them.
    """

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app = app
        self._context = context

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Answer, or hand on, one request."""
        answer = self._answer(Request(scope)) if scope["type"] == "http" and scope["method"] == "GET" else None
        await (answer or self._app)(scope, receive, send)

    def _answer(self, request: Request) -> Response | None:
        context = self._context
        if not context.response_cache:
            return None
        now = time.time_ns() // 1_000_000
        caller = recalled(request, context, now)
        found = context.response_cache.get(_question(request, caller.scope)) if caller is not None else None
        if found is None:
            return None
        tag, until = found
        body = context.bodies.get(tag)
        if body is None or (until is not None and now >= until):
            return None
        return unchanged(request, tag) or _json(body, tag)


def _question(request: Request, scope: Scope) -> Hashable:
    return request.scope["path"], request.scope["query_string"], request.headers.get("accept", ""), scope


def _json(body: bytes, tag: str) -> Response:
    return tagged(Response(body, media_type="application/json"), tag)
