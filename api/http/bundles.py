"""Evidence bundles: asking for them, fetching them, and opening them to an evaluator."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import FileResponse, Response

from greenmine.api.accounts.caller import Caller, CallerOf
from greenmine.api.accounts.shares import LONGEST_DAYS, Share
from greenmine.api.accounts.users import User
from greenmine.api.http import arguments
from greenmine.api.http.arguments import number_of
from greenmine.api.http.audit import Audit, AuditOf
from greenmine.api.http.bodies import decoded
from greenmine.api.http.context import Context
from greenmine.api.http.dependencies import ContextOf, Given, NothingGiven, QueriesOf, visible_site
from greenmine.api.http.exports import entity_tag, tagged, unchanged
from greenmine.api.http.problems import Problem
from greenmine.api.http.responses import JSON, listing
from greenmine.api.http.schemas import listed, single, taking, zipped
from greenmine.record.bundles import file_of
from greenmine.record.reader import Queries, Row
from greenmine.registry import Registry
from greenmine.reporting import parse_period
from greenmine.times import local, now
from greenmine.wording.messages import Language

router = APIRouter()

WAITING: Final = 5
"""Most bundles of a mine that may wait."""
SHARES: Final = 50
"""Most shares of a bundle."""

State = Literal["waiting", "running", "done", "failed", "removed"]


class NewBundle(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A bundle to be built: ``period`` is a reporting period, a month, or days; ``language`` that of its report."""

    site: Annotated[str, msgspec.Meta(max_length=80)]
    period: Annotated[str, msgspec.Meta(max_length=40)]
    language: Language = "zh"


class NewShare(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody that a bundle is to be opened to: by a link, or where ``evaluator`` names an account, by that."""

    receiver: Annotated[str, msgspec.Meta(max_length=100)]
    days: Annotated[int, msgspec.Meta(ge=1, le=LONGEST_DAYS)]
    evaluator: Annotated[str, msgspec.Meta(max_length=64)] | None = None


class BundleView(msgspec.Struct, frozen=True):
    """A bundle that was asked for: how far it is, and where to get it.

    ``first`` and ``last`` are the days that it is about. While it is ``running``, ``done`` of ``total`` parts of the ``step``
    are done. ``provisional`` are days that were not sealed when it was built. ``removed``: its file was kept long enough.
    """

    id: int
    site: str
    period: str
    first: str
    last: str
    language: Language
    state: State
    step: str
    done: int
    total: int
    author: str
    asked: datetime
    ended: datetime | None
    error: str
    provisional: list[str]
    size: int | None
    digest: str | None
    href: str | None


class ShareView(msgspec.Struct, frozen=True):
    """A bundle that is open to somebody; ``code`` belongs into the link and is told when it is made, and never again."""

    id: int
    bundle: int
    receiver: str
    evaluator: str | None
    author: str
    made: datetime
    expires: datetime
    state: Literal["good", "expired", "revoked"]
    used: datetime | None
    downloads: int
    code: str | None


@dataclass(frozen=True, slots=True)
class Seen:
    """A bundle that a caller may see, and by which share, if it is not of one of the caller's own mines."""

    row: Row
    share: Share | None


def bundle_view(registry: Registry, row: Row) -> BundleView:
    """A bundle as it is shown."""
    zone = registry.site(row.site).zone
    return BundleView(
        row.id,
        row.site,
        row.period,
        row.first,
        row.last,
        row.language,
        row.state,
        row.step,
        row.done,
        row.total,
        row.author,
        local(row.asked, zone),
        local(row.ended, zone) if row.ended is not None else None,
        row.error,
        json.loads(row.provisional),
        row.size,
        row.digest,
        f"/api/v1/bundles/{row.id}/file" if row.state == "done" else None,
    )


def share_view(context: Context, share: Share, instant: int, code: str | None = None) -> ShareView:
    """A share as it is shown."""
    zone = context.registry.site(share.site).zone
    user = None if share.evaluator is None else context.accounts.users.get(share.evaluator)
    return ShareView(
        share.id,
        share.bundle,
        share.receiver,
        None if user is None else user.name,
        share.author,
        local(share.created, zone),
        local(share.expires, zone),
        "good" if share.good(instant) else ("expired" if share.revoked is None else "revoked"),
        local(share.used, zone) if share.used is not None else None,
        share.downloads,
        code,
    )


def named(handed: Iterable[Share]) -> list[tuple[int, str]]:
    """Numbers and digests of the bundles that are handed over: no other file is ever given instead."""
    return [(share.bundle, share.digest) for share in handed]


def handed_to(context: Context, caller: Caller, instant: int) -> list[Share]:
    """What is open to an evaluator; nothing to a token that is limited to some sites."""
    if caller.role != "evaluator" or caller.user is None or caller.limited:
        return []
    return context.accounts.shares.handed_to(caller.user, instant)


def visible_bundle(context: Context, queries: Queries, caller: Caller, number: int) -> Seen:
    """A bundle of a site in scope, or one that was handed to the caller.

    Raises
    ------
    Problem
        404, if there is none, or the caller may not see it.
    """
    handed = handed_to(context, caller, now())
    rows = queries.bundles(caller.scope, named(handed), number=number, limit=1) if 0 <= number < 1 << 62 else []
    if not rows:
        raise Problem(404, f"There is no bundle {number}; /api/v1/bundles lists them.")
    row = rows[0]
    if row.site in caller.scope:
        return Seen(row, None)
    return Seen(row, next(share for share in handed if (share.bundle, share.digest) == (number, row.digest)))


def shareable_bundle(context: Context, queries: Queries, caller: Caller, number: int) -> Row:
    """A bundle that the caller may open to others, or shut.

    Raises
    ------
    Problem
        404 or 403, if there is none for the caller; 409, if it has no file.
    """
    row = visible_bundle(context, queries, caller, number).row
    if not caller.may_comment(row.site):
        raise Problem(403, f"{caller.name} may not share bundles of {row.site!r}.")
    if row.state != "done":
        raise Problem(409, f"Bundle {number} is {row.state}: there is no file to be shared.")
    return row


@router.get("/api/v1/bundles", responses=listed(BundleView))
def bundles(
    given: Given[arguments.BundlesArguments], request: Request, context: ContextOf, caller: CallerOf, queries: QueriesOf
) -> Response:
    """Evidence bundles that were asked for, newest first; to an evaluator, those that were handed to it."""
    if given.site is not None:
        visible_site(context.registry, caller.scope, given.site)
    before = number_of(given.cursor)
    handed = handed_to(context, caller, now())
    rows = queries.bundles(caller.scope, named(handed), site=given.site, before=before, limit=given.size + 1)
    tag = entity_tag(request, caller.scope, [tuple(row) for row in rows])
    items: list[Any] = [bundle_view(context.registry, row) for row in rows[: given.size]]
    following = str(rows[given.size - 1].id) if len(rows) > given.size else None
    return unchanged(request, tag) or tagged(listing(items, following), tag)


@router.post(
    "/api/v1/bundles",
    status_code=202,
    responses=single(BundleView, 202),
    openapi_extra=taking(NewBundle, {"site": "hengjie", "period": "2026-H1"}),
)
async def ask_for_bundle(
    _: NothingGiven, request: Request, context: ContextOf, caller: CallerOf, audit: AuditOf
) -> Response:
    """Ask for an evidence bundle; it is built by another process, and ``Location`` tells how far it is."""
    asked = await decoded(request, NewBundle)
    view = await run_in_threadpool(_ask, context, caller, audit, asked)
    response = JSON(view, 202)
    response.headers["Location"] = f"/api/v1/bundles/{view.id}"
    return response


@router.get("/api/v1/bundles/{number}", responses=single(BundleView))
def bundle(
    number: int, _: NothingGiven, request: Request, context: ContextOf, caller: CallerOf, queries: QueriesOf
) -> Response:
    """A bundle, and how far it is."""
    row = visible_bundle(context, queries, caller, number).row
    tag = entity_tag(request, caller.scope, tuple(row))
    return unchanged(request, tag) or tagged(JSON(bundle_view(context.registry, row)), tag)


@router.get("/api/v1/bundles/{number}/file", responses=zipped())
def bundle_file(
    number: int, _: NothingGiven, context: ContextOf, caller: CallerOf, queries: QueriesOf, audit: AuditOf
) -> Response:
    """The file of a bundle; it may be fetched in parts."""
    seen = visible_bundle(context, queries, caller, number)
    answer = file_response(context, seen.row)
    if seen.share is not None:
        context.accounts.shares.note_download(seen.share, now())
    audit.add("bundle-download", site=seen.row.site, subject=f"bundle {number}", period=seen.row.period)
    return answer


def file_response(context: Context, row: Row) -> FileResponse:
    """The file of a bundle, to be saved.

    Raises
    ------
    Problem
        404, where there is none.
    """
    path = file_of(context.settings.bundles, row.id)
    if row.state != "done" or not path.is_file():
        raise Problem(404, f"There is no file of bundle {row.id}: it is {row.state}.")
    headers = {"Cache-Control": "private, no-cache", "ETag": f'"{row.digest}"'}
    name = f"{row.site}-{row.period.replace('..', '-to-')}.zip"
    return FileResponse(path, media_type="application/zip", filename=name, headers=headers)


@router.get("/api/v1/bundles/{number}/shares", responses=listed(ShareView))
def shares(number: int, _: NothingGiven, context: ContextOf, caller: CallerOf, queries: QueriesOf) -> Response:
    """To whom a bundle is, or was, opened."""
    row = shareable_bundle(context, queries, caller, number)
    instant = now()
    found = context.accounts.shares.of_bundle(number, row.digest)
    return listing([share_view(context, share, instant) for share in found])


@router.post(
    "/api/v1/bundles/{number}/shares",
    status_code=201,
    responses=single(ShareView, 201),
    openapi_extra=taking(NewShare, {"receiver": "evaluation centre", "days": 30}),
)
async def share_bundle(
    number: int, _: NothingGiven, request: Request, context: ContextOf, caller: CallerOf, audit: AuditOf
) -> Response:
    """Open a bundle to somebody for some days: the ``code`` of the link is told here and never again."""
    await run_in_threadpool(_shareable, context, caller, number)
    asked = await decoded(request, NewShare)
    view = await run_in_threadpool(
        add_share, context, caller, audit, number, asked.receiver, asked.days, asked.evaluator
    )
    return JSON(view, 201)


@router.post("/api/v1/bundles/{number}/shares/{entry}/revoke", responses=single(ShareView))
def revoke_share(
    number: int, entry: int, _: NothingGiven, context: ContextOf, caller: CallerOf, queries: QueriesOf, audit: AuditOf
) -> Response:
    """Shut a bundle to somebody; what was downloaded stays with whoever has it."""
    return JSON(end_share(context, queries, caller, audit, number, entry))


def add_share(
    context: Context, caller: Caller, audit: Audit, number: int, receiver: str, days: int, evaluator: str | None
) -> ShareView:
    """Open a bundle to somebody.

    Raises
    ------
    Problem
        404 for a bundle that is not the caller's and for an evaluator that there is not, 403 where the caller may not share,
        400 for a receiver or a time out of bounds, 409 where there is no file or are too many shares.
    """
    row = _shareable(context, caller, number)
    user: User | None = None
    if evaluator:
        user = context.accounts.users.named(evaluator)
        if user is None or user.role != "evaluator" or user.disabled is not None:
            raise Problem(404, f"There is no evaluator {evaluator!r}; without one, a link is made.")
    instant = now()
    if len(context.accounts.shares.of_bundle(number, row.digest)) >= SHARES:
        raise Problem(409, f"Bundle {number} has been shared {SHARES} times: build it anew to share it further.")
    try:
        share, code = context.accounts.shares.add(
            number, row.digest, row.site, receiver, caller.name, instant, days=days, evaluator=user
        )
    except ValueError as error:
        raise Problem(400, str(error)) from None
    audit.add(
        "bundle-shared", site=row.site, subject=f"bundle {number}", receiver=share.receiver, days=days,
        evaluator="" if user is None else user.name,
    )  # fmt: skip
    return share_view(context, share, instant, code)


def end_share(context: Context, queries: Queries, caller: Caller, audit: Audit, number: int, entry: int) -> ShareView:
    """Shut a bundle to somebody; one that is shut already stays so.

    Raises
    ------
    Problem
        As `shareable_bundle`, and 404 where there is no such share.
    """
    row = shareable_bundle(context, queries, caller, number)
    instant = now()
    share = next((s for s in context.accounts.shares.of_bundle(number, row.digest) if s.id == entry), None)
    if share is None:
        raise Problem(404, f"There is no share {entry} of bundle {number}.")
    if share.good(instant):
        context.accounts.shares.revoke(share, instant)
        audit.add("share-revoked", site=row.site, subject=f"bundle {number}", receiver=share.receiver)
    shut = next(s for s in context.accounts.shares.of_bundle(number, row.digest) if s.id == entry)
    return share_view(context, shut, instant)


def _shareable(context: Context, caller: Caller, number: int) -> Row:
    with context.record.queries() as queries:
        return shareable_bundle(context, queries, caller, number)


def _ask(context: Context, caller: Caller, audit: Audit, asked: NewBundle) -> BundleView:
    site = visible_site(context.registry, caller.scope, asked.site)
    if not caller.may_comment(site.id):
        raise Problem(403, f"{caller.name} may not ask for bundles of {site.id!r}.")
    instant = now()
    try:
        period = parse_period(asked.period, context.reporting)
    except ValueError as error:
        raise Problem(400, str(error)) from None
    if period.first > local(instant, site.zone).date():
        raise Problem(400, f"period {period.name}: begins on {period.first}, which is still to come")
    with context.record.contributions(site.id) as contributions:
        if contributions.bundles_under_way(site.id, period.name, asked.language):
            raise Problem(409, f"A bundle of {site.id!r} for {period.name} in this language is under way already.")
        if contributions.bundles_under_way(site.id) >= WAITING:
            raise Problem(429, f"{WAITING} bundles of {site.id!r} are waiting already; is the builder running?")
        row = contributions.ask_for_bundle(site.id, period, asked.language, caller.name, instant)
    audit.add("bundle-asked", site=site.id, subject=f"bundle {row.id}", period=period.name)
    return bundle_view(context.registry, row)
