"""What a link opens: one evidence bundle, to whoever has the code of the link, for a while.

The code stands behind the ``#`` of the link, which browsers keep to themselves: it is in no address that the server, a proxy
or another page gets to see. The page sends it as a form.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from pydantic import Field
from starlette.responses import Response

from greenmine.api.accounts.shares import Share
from greenmine.api.http import arguments
from greenmine.api.http.audit import client_address
from greenmine.api.http.bundles import bundle_view, file_response, named
from greenmine.api.http.context import Context
from greenmine.api.http.dependencies import ContextOf, Given, QueriesOf
from greenmine.api.http.problems import Problem
from greenmine.api.pages.page import Page, PageOf
from greenmine.record.reader import Queries, Row, Scope
from greenmine.times import local, now

router = APIRouter()


class CodeForm(arguments.Filled):
    """The code of a link."""

    code: str = Field(max_length=200)


@router.get("/shared")
def shared(_: Given[arguments.PageArguments], page: PageOf) -> Response:
    """Page to which links lead; its script sends the code that stands behind the address."""
    return _page(page, None)


@router.post("/shared")
def open_shared(given: Annotated[CodeForm, Form()], page: PageOf, queries: QueriesOf) -> Response:
    """Page of the bundle that a code opens."""
    found = _opened(page.context, queries, given.code)
    return _page(page, found, given.code, status=200 if found else 404)


@router.post("/shared/file")
def shared_file(
    given: Annotated[CodeForm, Form()], request: Request, context: ContextOf, queries: QueriesOf
) -> Response:
    """The file of the bundle that a code opens."""
    found = _opened(context, queries, given.code)
    if found is None:
        raise Problem(404, "The link is unknown, has expired or was revoked; ask whoever sent it for another.")
    share, row = found
    answer = file_response(context, row)
    context.accounts.shares.note_download(share, now())
    context.accounts.audit.add(
        now(), "shared-download", user=None, name=share.receiver, address=client_address(request), site=share.site,
        subject=f"bundle {share.bundle}", share=share.id,
    )  # fmt: skip
    return answer


def _opened(context: Context, queries: Queries, code: str) -> tuple[Share, Row] | None:
    share = context.accounts.shares.find(code.strip(), now())
    if share is None:
        return None
    rows = queries.bundles(Scope(frozenset()), named([share]), number=share.bundle, state="done", limit=1)
    return (share, rows[0]) if rows else None


def _page(page: Page, found: tuple[Share, Row] | None, code: str = "", status: int = 200) -> Response:
    site = None if found is None else page.registry.site(found[0].site)
    return page.render(
        "shared.html",
        status=status,
        site=site,
        bundle=None if found is None else bundle_view(page.registry, found[1]),
        expires=None if found is None or site is None else local(found[0].expires, site.zone),
        code=code,
        wrong=bool(code) and found is None,
    )
