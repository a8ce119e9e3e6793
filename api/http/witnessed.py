"""Witness for other installations: what they state of their data is countersigned and kept. And what this one states."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from greenmine.api.http.audit import Audit, AuditOf
from greenmine.api.http.bodies import decoded
from greenmine.api.http.context import Context
from greenmine.api.http.dependencies import ContextOf, NothingGiven
from greenmine.api.http.problems import Problem
from greenmine.api.http.responses import JSON, listing
from greenmine.api.http.schemas import listed, single, taking
from greenmine.record.archive.signing import SigningKey, fingerprints
from greenmine.record.archive.witness import (
    Receipt,
    SignedStatement,
    contradicted,
    countersigned,
    keep,
    statement_of,
    statements_in,
)
from greenmine.times import now

router = APIRouter()

_EXAMPLE: Final[dict[str, Any]] = {
    "statement": '{"form":"greenmine-statement-1","site":"kunyin"}',
    "signature": "c2lnbmF0dXJl",
    "key": "a2V5",
}


@router.post(
    "/api/v1/witnessed",
    status_code=201,
    responses=single(Receipt, 201),
    openapi_extra=taking(SignedStatement, _EXAMPLE),
)
async def witness(_: NothingGiven, request: Request, context: ContextOf, audit: AuditOf) -> Response:
    """Countersign and keep the state of another installation's data; its key must be in the file of GREENMINE_WITNESS_FOR."""
    given = await decoded(request, SignedStatement)
    return JSON(await run_in_threadpool(_countersign, context, audit, given), 201)


def _countersign(context: Context, audit: Audit, given: SignedStatement) -> Receipt:
    settings = context.settings
    known = {} if settings.witness_for is None else fingerprints(settings.witness_for)
    try:
        statement, key = statement_of(given)
    except ValueError as error:
        raise Problem(400, f"The statement {error}.") from error
    if key.fingerprint not in known:
        raise Problem(403, f"The key {key.fingerprint[:16]}… is none of those that this installation is a witness for.")
    own = SigningKey(settings.keys)
    receipt = countersigned(given, f"{own.public.fingerprint[:16]}…", own, now())
    contrary = contradicted(context.record.writable, statement, key)
    keep(context.record.writable, receipt, own=False)  # what contradicts is what a witness is for
    if contrary:
        audit.add("witness-contradiction", subject=key.fingerprint, of=statement.site, leaves=statement.tree.size)
        raise Problem(409, f"At {statement.tree.size} leaves another root was shown before; both are kept.")
    return receipt


@router.get("/api/v1/public/statements", responses=listed(SignedStatement))
def statements(_: NothingGiven, context: ContextOf) -> Response:
    """Signed state of the data of the mines that are public, for everybody to keep."""
    public = context.accounts.publications.sites()
    told = statements_in(context.settings.statements)
    return listing([told[site] for site in sorted(public) if site in told])
