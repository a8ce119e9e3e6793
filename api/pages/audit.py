"""The audit log, as far as it concerns the caller."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final

import msgspec
from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from greenmine.api.accounts.audit import Entry
from greenmine.api.accounts.caller import CallerOf
from greenmine.api.http import arguments
from greenmine.api.http.audit import visible_entries
from greenmine.api.http.dependencies import ContextOf, Given, visible_site
from greenmine.api.http.problems import Problem
from greenmine.api.http.responses import listing
from greenmine.api.http.schemas import listed
from greenmine.api.pages.page import PageOf
from greenmine.registry import Registry
from greenmine.times import local

router = APIRouter()
api = APIRouter()

SHOWN: Final = 100
_CURSOR = re.compile(r"\d{1,18}")


class AuditPageArguments(arguments.PageArguments):
    """A page of lines, from before a line on."""

    before: int | None = Field(None, ge=1, lt=1 << 62)


class AuditItem(msgspec.Struct, frozen=True):
    """A line of the audit log: who did what, to what. The address is told of one's own colleagues only."""

    id: int
    time: datetime
    name: str
    address: str | None
    action: str
    site: str | None
    subject: str | None
    detail: dict[str, Any]


@api.get("/api/v1/audit", responses=listed(AuditItem))
def audit_log(given: Given[arguments.AuditArguments], context: ContextOf, caller: CallerOf) -> Response:
    """What was done by whom, newest first: what you and your colleagues did, and what concerns the sites that you see."""
    if given.site is not None:
        visible_site(context.registry, caller.scope, given.site)
    if given.cursor is not None and not _CURSOR.fullmatch(given.cursor):
        raise Problem(400, f"cursor: {given.cursor!r} is not the 'next' of an answer of this route")
    entries = visible_entries(
        context,
        caller,
        site=given.site,
        action=given.action,
        before=None if given.cursor is None else int(given.cursor),
        limit=given.size + 1,
    )
    following = str(entries[given.size - 1].id) if len(entries) > given.size else None
    return listing([_item(context.registry, entry) for entry in entries[: given.size]], following)


@router.get("/audit")
def audit_page(given: Given[AuditPageArguments], page: PageOf) -> Response:
    """Page of the audit log."""
    registry = page.registry
    entries = visible_entries(page.context, page.caller, site=None, action=None, before=given.before, limit=SHOWN + 1)
    return page.render(
        "audit.html",
        entries=[(entry, local(entry.time, _zone(registry, entry.site))) for entry in entries[:SHOWN]],
        following=entries[SHOWN - 1].id if len(entries) > SHOWN else None,
        first=given.before is None,
        sites={site.id: site for site in registry.sites},
    )


def _item(registry: Registry, entry: Entry) -> AuditItem:
    return AuditItem(
        entry.id,
        local(entry.time, _zone(registry, entry.site)),
        entry.name,
        entry.address or None,
        entry.action,
        entry.site,
        entry.subject or None,
        entry.detail,
    )


def _zone(registry: Registry, site: str | None) -> str:
    zones = {found.id: found.zone for found in registry.sites}
    return zones.get(site or "", registry.sites[0].zone if registry.sites else "UTC")
