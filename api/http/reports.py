"""Reports that are filed, made from the record when they are asked for."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from greenmine.api.accounts.caller import CallerOf
from greenmine.api.http import arguments
from greenmine.api.http.audit import get_audit
from greenmine.api.http.dependencies import ContextOf, Given, QueriesOf, visible_site
from greenmine.api.http.problems import Problem
from greenmine.api.http.schemas import file
from greenmine.reporting import parse_period
from greenmine.times import now

router = APIRouter()

MEDIA_TYPES: Final = {
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}


@router.get("/api/v1/report", responses=file())
def report_file(
    given: Given[arguments.ReportArguments], request: Request, context: ContextOf, caller: CallerOf, queries: QueriesOf
) -> Response:
    """Report of a mine over a period, or of all mines for those who oversee them, as XLSX, PDF or DOCX."""
    from greenmine.evidence.filed.content import filed_report  # noqa: PLC0415 - loads Arrow
    from greenmine.evidence.filed.files import written  # noqa: PLC0415 - likewise

    if given.site:
        sites = [visible_site(context.registry, caller.scope, given.site)]
    elif caller.oversees:
        sites = [site for site in context.registry.sites if site.id in caller.scope]
    else:
        raise Problem(400, "site: required; only who oversees all mines may have the report of the district")
    try:
        period = parse_period(given.period, context.reporting)
        report = filed_report(
            queries, caller.scope, sites, period, context.reporting, given.lang, now(), district=not given.site
        )
    except ValueError as error:
        raise Problem(400, f"period: {error}") from None
    name = f"{given.site or 'district'}-{period.name.replace('..', '-to-')}.{given.format}"
    get_audit(request, context, caller).add("export", site=given.site or None, subject="report", query=name)
    return Response(
        written(report, given.format),
        media_type=MEDIA_TYPES[given.format],
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
