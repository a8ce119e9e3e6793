"""What a request leaves in the audit log, and which lines of it a caller may read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request

from greenmine.api.accounts.audit import AuditLog, Concern, Entry
from greenmine.api.accounts.caller import Caller, CallerOf
from greenmine.api.http.context import Context
from greenmine.api.http.dependencies import ContextOf
from greenmine.times import now


@dataclass(frozen=True, slots=True)
class Audit:
    """Writes lines of the audit log in the name of a request's caller."""

    log: AuditLog
    caller: Caller
    address: str

    def add(self, action: str, *, site: str | None = None, subject: str = "", **detail: Any) -> None:
        """Add a line.

        Parameters
        ----------
        action : str
            What was done, such as ``export``, ``mark``, ``acknowledge``.
        site : str, optional
            Site concerned; who may see it may read the line.
        subject : str
            What it was done to, such as the key of a rule or the number of an exceedance.
        **detail
            Further facts that JSON can hold.
        """
        self.log.add(
            now(),
            action,
            user=self.caller.user,
            name=self.caller.name,
            address=self.address,
            site=site,
            subject=subject,
            **detail,
        )


def get_audit(request: Request, context: ContextOf, caller: CallerOf) -> Audit:
    """Audit of a request."""
    return Audit(context.accounts.audit, caller, client_address(request))


AuditOf = Annotated[Audit, Depends(get_audit)]


def client_address(request: Request) -> str:
    """Address that a request came from, as the trusted proxy tells it."""
    return request.client.host if request.client is not None else ""


def concern(context: Context, caller: Caller) -> Concern | None:
    """Which lines a caller may read: administrators all; others those of themselves, their colleagues and their sites."""
    if _reads_all(caller):
        return None
    return Concern(_colleagues(context, caller), caller.scope)


def visible_entries(
    context: Context, caller: Caller, *, site: str | None, action: str | None, before: int | None, limit: int
) -> list[Entry]:
    """Lines that a caller may read, newest first; of other people's the address is left out."""
    entries = context.accounts.audit.read(
        concern(context, caller), site=site, action=action, before=before, limit=limit
    )
    if _reads_all(caller):
        return entries
    colleagues = _colleagues(context, caller)
    return [
        entry
        if entry.user in colleagues
        else Entry(entry.id, entry.time, None, entry.name, "", entry.action, entry.site, entry.subject, entry.detail)
        for entry in entries
    ]


def _reads_all(caller: Caller) -> bool:
    return caller.role == "administrator" and caller.oversees


def _colleagues(context: Context, caller: Caller) -> frozenset[int]:
    """The caller, and users of enterprises all of which are the caller's too; nobody for a token of some sites only."""
    user = None if caller.user is None else context.accounts.users.get(caller.user)
    if user is None or caller.limited:
        return frozenset()
    if user.role != "enterprise":
        return frozenset({user.id})
    others = context.accounts.users.all()
    return frozenset(
        other.id for other in others if other.role == "enterprise" and set(other.enterprises) <= set(user.enterprises)
    )
