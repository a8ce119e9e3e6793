"""Pages of evidence: the calendar of reporting dates, bundles and whom they are open to, and the self-assessment."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Form
from pydantic import Field
from starlette.responses import RedirectResponse, Response

from greenmine.api.accounts.caller import CallerOf
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
from greenmine.api.http.dependencies import ContextOf, Given, QueriesOf
from greenmine.api.pages.page import RecordPage, RecordPageOf
from greenmine.api.pages.selection import selection
from greenmine.record.bundles import file_of
from greenmine.reporting import around
from greenmine.times import local, now

router = APIRouter()

SHOWN: Final = 50
"""Most bundles on a page; the API has all."""


class ShareForm(arguments.Filled):
    """Whom a bundle is to be opened to, and for how long; without an account, by a link."""

    receiver: str = Field(min_length=1, max_length=100)
    days: int = Field(30, ge=1, le=LONGEST_DAYS)
    evaluator: str = Field("", max_length=64)


@router.get("/evidence")
def all_evidence(given: Given[arguments.SelectionArguments], page: RecordPageOf) -> Response:
    """Page of the reporting dates of all mines, fifty at a time, and of bundles; to an evaluator, of those handed to it."""
    queries, scope, registry = page.queries, page.scope, page.registry
    chosen = selection(queries, scope, page.wording, given)
    rows = queries.bundles(scope, named(handed_to(page.context, page.caller, page.instant)), limit=SHOWN)
    dates = {site.id: reporting_dates(page.context, queries, scope, site, page.instant) for site in chosen.sites}
    return _render(
        page, "evidence.html",
        selection=chosen,
        dates=dates,
        bundles=[bundle_view(registry, row) for row in rows],
        all_sites={site.id: site for site in registry.sites},
    )  # fmt: skip


@router.get("/sites/{site}/evidence")
def site_evidence(site: str, _: Given[arguments.PageArguments], page: RecordPageOf) -> Response:
    """Page of the reporting dates and bundles of a mine."""
    queries = page.queries
    shown = page.site(site)
    dates = reporting_dates(page.context, queries, page.scope, shown, now())
    rows = queries.bundles(page.scope, site=site, limit=SHOWN)
    return _render(
        page, "site-evidence.html",
        site=shown,
        dates=dates,
        bundles=[bundle_view(page.registry, row) for row in rows],
        asks=page.caller.may_comment(site),
    )  # fmt: skip


@router.get("/sites/{site}/assessment")
def assessment_page(site: str, given: Given[arguments.AssessmentPageArguments], page: RecordPageOf) -> Response:
    """Page of the self-assessment of a mine."""
    shown = page.site(site)
    period = period_named(page.context.reporting, shown, given.period, page.instant)
    items = assessment_of(page.queries, page.scope, page.context.evaluation, shown, period)
    return _render(
        page, "assessment.html",
        site=shown,
        period=period,
        periods=around(local(page.instant, shown.zone).date(), page.context.reporting),
        items=items,
        states=STATES,
        count={state: sum(item.state == state for item in items) for state in STATES},
        acts=page.caller.may_act(site),
        endings=",".join(sorted(TYPES)),
        megabytes=page.context.settings.attachment_bytes // 1_000_000,
    )  # fmt: skip


@router.get("/bundles/{number}")
def bundle_page(number: int, _: Given[arguments.PageArguments], page: RecordPageOf) -> Response:
    """Page of a bundle: what it is about, its file, and whom it is open to."""
    return _bundle_page(page, number)


@router.post("/bundles/{number}/shares")
def share_on_page(number: int, given: Annotated[ShareForm, Form()], page: RecordPageOf, audit: AuditOf) -> Response:
    """Open a bundle to somebody; the page that answers shows the link, once."""
    made = add_share(page.context, page.caller, audit, number, given.receiver, given.days, given.evaluator or None)
    return _bundle_page(page, number, made)


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


def _bundle_page(page: RecordPage, number: int, made: ShareView | None = None) -> Response:
    context, registry = page.context, page.registry
    seen = visible_bundle(context, page.queries, page.caller, number)
    view: BundleView = bundle_view(registry, seen.row)
    shares = page.caller.may_comment(view.site) and view.digest is not None
    return _render(
        page, "bundle.html",
        site=registry.site(view.site),
        bundle=view,
        there=view.state == "done" and file_of(context.settings.bundles, number).is_file(),
        own=view.site in page.scope,
        shares=[share_view(context, share, page.instant) for share in context.accounts.shares.of_bundle(number, view.digest)]
        if shares and view.digest is not None
        else None,
        made=made,
        link=f"{page.request.url.scheme}://{page.request.url.netloc}/shared#{made.code}" if made is not None and made.code else "",
        longest=LONGEST_DAYS,
    )  # fmt: skip


def _render(page: RecordPage, template: str, **values: Any) -> Response:
    names = {period.id: period for period in page.context.reporting.periods}
    return page.render(template, names=names, **values)
