"""Pages of exceedances: the list, and one of them with its history and what can be done about it."""

from __future__ import annotations

import re
from typing import Any, Final

from fastapi import APIRouter
from starlette.responses import Response

from greenmine.api.http import arguments
from greenmine.api.http.attachments import TYPES
from greenmine.api.http.dependencies import Given
from greenmine.api.http.handling import ExceedanceDetail, exceedance_detail
from greenmine.api.http.views import VerdictView, exceedance_view, verdict_view
from greenmine.api.pages.page import RecordPage, RecordPageOf
from greenmine.record.reader import Queries, Scope
from greenmine.times import DAY, HOUR, local, milliseconds

router = APIRouter()

SHOWN: Final = 100
_VERDICTS: Final = 12
"""Verdicts listed on the page of an exceedance."""
_CURSOR = re.compile(r"(\d{1,18})-(\d{1,18})")


@router.get("/exceedances")
def all_exceedances(given: Given[arguments.ExceedancePageArguments], page: RecordPageOf) -> Response:
    """Page of the exceedances of all mines."""
    return _list(page, given, None)


@router.get("/sites/{site}/exceedances")
def site_exceedances(site: str, given: Given[arguments.ExceedancePageArguments], page: RecordPageOf) -> Response:
    """Page of the exceedances of one mine."""
    page.site(site)
    return _list(page, given, site)


@router.get("/exceedances/{number}")
def exceedance_page(number: int, _: Given[arguments.PageArguments], page: RecordPageOf) -> Response:
    """Page of one exceedance."""
    instant = page.instant
    detail = exceedance_detail(page.queries, page.scope, number, instant)
    item = detail.exceedance
    site = page.registry.site(item.site)
    start = milliseconds(item.start) - 2 * HOUR
    end = (milliseconds(item.end) if item.end is not None else instant) + 2 * HOUR
    rule = page.registry.rule(item.rule)
    return page.render(
        "exceedance.html",
        site=site,
        item=item,
        suggestion=detail.suggestion,
        timeline=_timeline(detail),
        verdicts=_verdicts(page.queries, page.scope, detail, instant),
        indicative=rule is not None and rule.limit.indicative,
        start=local(start, site.zone),
        end=local(min(end, start + 31 * 24 * HOUR), site.zone),
        drawn=rule is not None and rule.limit.statistic != "difference",
        acts=page.caller.may_act(item.site),
        comments=page.caller.may_comment(item.site),
        endings=",".join(sorted(TYPES)),
        megabytes=page.context.settings.attachment_bytes // 1_000_000,
    )


def _list(page: RecordPage, given: arguments.ExceedancePageArguments, site: str | None) -> Response:
    cursor = arguments.cursor_parts(_CURSOR, given.cursor)
    rows = page.queries.exceedances(
        page.scope,
        0,
        1 << 62,
        site=site,
        state=given.state or None,
        todo=given.todo,
        limit=SHOWN + 1,
        before=(int(cursor[1]), int(cursor[2])) if cursor else None,
    )
    last = rows[SHOWN - 1] if len(rows) > SHOWN else None
    return page.render(
        "exceedances.html",
        site=page.registry.site(site) if site is not None else None,
        items=[exceedance_view(page.registry, row, page.instant) for row in rows[:SHOWN]],
        filters=given,
        next=f"{last.start}-{last.id}" if last is not None else None,
        events="/api/v1/events" if site is None else f"/api/v1/events?site={site}",
    )


def _verdicts(queries: Queries, scope: Scope, detail: ExceedanceDetail, instant: int) -> list[VerdictView]:
    """Verdicts that say that the limit is exceeded, of windows that share an instant with the exceedance."""
    item = detail.exceedance
    start, end = milliseconds(item.start), milliseconds(item.end) if item.end is not None else instant
    found = queries.verdicts(
        scope, start - DAY, end, site=item.site, limit_id=None, limit=_VERDICTS * 24, key=item.rule
    )
    views = [verdict_view(queries.registry, row) for row in found if row.end > start and row.verdict == "exceeds"]
    return views[:_VERDICTS]


def _timeline(detail: ExceedanceDetail) -> list[tuple[Any, str, Any]]:
    """Forms of the exceedance and entries of its handling, in order of time: (when, kind, which)."""
    forms: list[tuple[Any, str, Any]] = [(form.changed, "form", form) for form in detail.revisions]
    item = detail.exceedance
    entries: list[tuple[Any, str, Any]] = [(entry.made, entry.kind, entry) for entry in detail.handling]
    return sorted([*forms, (item.changed, "form", item), *entries], key=lambda step: step[0])
