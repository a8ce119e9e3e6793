"""Pages of evidence: the calendar of reporting dates, bundles and whom they are open to, and the self-assessment."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Request
from pydantic import Field
from starlette.responses import RedirectResponse, Response

from greenmine.api.accounts.caller import Caller, CallerOf
from greenmine.api.accounts.shares import LONGEST_DAYS
from greenmine.api.http import arguments
from greenmine.api.http.assessments import STATES, assessment_of, period_named
from greenmine.api.http.attachments import TYPES
from greenmine.api.http.audit import AuditOf
from greenmine.api.http.bundles import (
    BundleView,
    ShareView,
    add_share,
    bundle_view,
    end_share,
    handed_to,
    named,
    share_view,
    visible_bundle,
)
from greenmine.api.http.calendar import reporting_dates
from greenmine.api.http.context import Context
from greenmine.api.http.dependencies import ContextOf, Given, QueriesOf, visible_site
from greenmine.api.http.health import service_health
from greenmine.api.pages.pages import notice_of
from greenmine.api.pages.rendering import language_of, render
from greenmine.api.pages.wording import Wording
from greenmine.record.bundles import file_of
from greenmine.record.reader import Queries
from greenmine.reporting import around
from greenmine.times import local, now
from greenmine.wording.messages import Language

router = APIRouter()

SHOWN: Final = 50
"""Most bundles on a page; the API has all."""


class ShareForm(arguments.Filled):
    """Whom a bundle is to be opened to, and for how long; without an account, by a link."""

    receiver: str = Field(min_length=1, max_length=100)
    days: int = Field(30, ge=1, le=LONGEST_DAYS)
    evaluator: str = Field("", max_length=64)


@router.get("/evidence")
def all_evidence(
    given: Given[arguments.PageArguments], request: Request, context: ContextOf, caller: CallerOf, queries: QueriesOf
) -> Response:
    """Page of the reporting dates and bundles of all mines; to an evaluator, of the bundles that were handed to it."""
    instant = now()
    rows = queries.bundles(caller.scope, named(handed_to(context, caller, instant)), limit=SHOWN)
    sites = [site for site in context.registry.sites if site.id in caller.scope]
    dates = {site.id: reporting_dates(context, queries, caller.scope, site, instant) for site in sites}
    return _render(
        request, context, queries, given.lang, "evidence.html",
        sites=sites,
        dates=dates,
        bundles=[bundle_view(context.registry, row) for row in rows],
        all_sites={site.id: site for site in context.registry.sites},
    )  # fmt: skip


@router.get("/sites/{site}/evidence")
def site_evidence(
    site: str,
    given: Given[arguments.PageArguments],
    request: Request,
    context: ContextOf,
    caller: CallerOf,
    queries: QueriesOf,
) -> Response:
    """Page of the reporting dates and bundles of a mine."""
    shown = visible_site(context.registry, caller.scope, site)
    dates = reporting_dates(context, queries, caller.scope, shown, now())
    rows = queries.bundles(caller.scope, site=site, limit=SHOWN)
    return _render(
        request, context, queries, given.lang, "site-evidence.html",
        site=shown,
        dates=dates,
        bundles=[bundle_view(context.registry, row) for row in rows],
        asks=caller.may_comment(site),
    )  # fmt: skip


@router.get("/sites/{site}/assessment")
def assessment_page(
    site: str,
    given: Given[arguments.AssessmentPageArguments],
    request: Request,
    context: ContextOf,
    caller: CallerOf,
    queries: QueriesOf,
) -> Response:
    """Page of the self-assessment of a mine."""
    shown = visible_site(context.registry, caller.scope, site)
    instant = now()
    period = period_named(context.reporting, shown, given.period, instant)
    items = assessment_of(queries, caller.scope, context.evaluation, shown, period)
    return _render(
        request, context, queries, given.lang, "assessment.html",
        site=shown,
        period=period,
        periods=around(local(instant, shown.zone).date(), context.reporting),
        items=items,
        states=STATES,
        count={state: sum(item.state == state for item in items) for state in STATES},
        acts=caller.may_act(site),
        endings=",".join(sorted(TYPES)),
        megabytes=context.settings.attachment_bytes // 1_000_000,
    )  # fmt: skip


@router.get("/bundles/{number}")
def bundle_page(
    number: int,
    given: Given[arguments.PageArguments],
    request: Request,
    context: ContextOf,
    caller: CallerOf,
    queries: QueriesOf,
) -> Response:
    """Page of a bundle: what it is about, its file, and whom it is open to."""
    return _bundle_page(request, context, caller, queries, number, given.lang)


@router.post("/bundles/{number}/shares")
def share_on_page(
    number: int,
    given: Annotated[ShareForm, Form()],
    request: Request,
    context: ContextOf,
    caller: CallerOf,
    queries: QueriesOf,
    audit: AuditOf,
) -> Response:
    """Open a bundle to somebody; the page that answers shows the link, once."""
    made = add_share(context, caller, audit, number, given.receiver, given.days, given.evaluator or None)
    return _bundle_page(request, context, caller, queries, number, None, made)


@router.post("/bundles/{number}/shares/{entry}/revoke")
def revoke_on_page(
    number: int,
    entry: int,
    _: Annotated[arguments.Filled, Form()],
    context: ContextOf,
    caller: CallerOf,
    queries: QueriesOf,
    audit: AuditOf,
) -> Response:
    """Shut a bundle to somebody."""
    end_share(context, queries, caller, audit, number, entry)
    return RedirectResponse(f"/bundles/{number}", 303)


def _bundle_page(
    request: Request,
    context: Context,
    caller: Caller,
    queries: Queries,
    number: int,
    chosen: Language | None,
    made: ShareView | None = None,
) -> Response:
    seen = visible_bundle(context, queries, caller, number)
    view: BundleView = bundle_view(context.registry, seen.row)
    instant = now()
    shares = caller.may_comment(view.site) and view.digest is not None
    return _render(
        request, context, queries, chosen, "bundle.html",
        site=context.registry.site(view.site),
        bundle=view,
        there=view.state == "done" and file_of(context.settings.bundles, number).is_file(),
        own=view.site in caller.scope,
        shares=[share_view(context, share, instant) for share in context.accounts.shares.of_bundle(number, view.digest)]
        if shares and view.digest is not None
        else None,
        made=made,
        link=f"{request.url.scheme}://{request.url.netloc}/shared#{made.code}" if made is not None and made.code else "",
        longest=LONGEST_DAYS,
    )  # fmt: skip


def _render(
    request: Request, context: Context, queries: Queries, chosen: Language | None, template: str, **values: Any
) -> Response:
    wording = Wording(language_of(request, chosen), context.registry)
    instant = now()
    notice = notice_of(wording, service_health(queries, instant))
    names = {period.id: period for period in context.reporting.periods}
    return render(request, template, wording, chosen, instant, notice=notice, events="", names=names, **values)
