"""The page of a mine's acceptance file: stages, approvals, what limits rest on, inspections, instruments, documents."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from greenmine.api.http import arguments
from greenmine.api.http.dependencies import ContextOf, ScopeOf, visible_site
from greenmine.api.pages.rendering import language_of, render
from greenmine.api.pages.wording import Wording
from greenmine.limits import threshold_on
from greenmine.registry import DEFAULT
from greenmine.times import local, now

router = APIRouter()


@router.get("/sites/{site}/file")
def acceptance_file(
    site: str,
    given: Annotated[arguments.PageArguments, Query()],
    request: Request,
    context: ContextOf,
    scope: ScopeOf,
) -> Response:
    """Page of a mine's acceptance file."""
    registry = context.registry
    shown = visible_site(registry, scope, site)
    instant = now()
    today = local(instant, shown.zone).date()
    legal = [
        (rule, threshold)
        for rule in registry.site_rules(site)
        if rule.limit.kind == "legal" and (threshold := threshold_on(rule.limit, today)) is not None
    ]
    folder = (context.settings.registry or DEFAULT) / "documents" / site
    named = [
        *(one.file for one in shown.stages),
        *(one.file for one in shown.approvals),
        *(one.file for one in shown.inspections),
        *(one.file for one in shown.documents),
    ]
    return render(
        request,
        "file.html",
        Wording(language_of(request, given.lang), registry),
        given.lang,
        instant,
        notice=None,
        events="",
        site=shown,
        stages=sorted(shown.stages, key=lambda stage: stage.day),
        approvals=sorted(shown.approvals, key=lambda approval: approval.day),
        limits=legal,
        inspections=sorted(shown.inspections, key=lambda inspection: inspection.day, reverse=True),
        missing={name for name in named if name is not None and not (folder / name).is_file()},
        today=today,
    )
