"""Who asks: name, role, and the sites that they may see and act on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, Literal

from fastapi import Depends, Request

from api.queries import Scope

if TYPE_CHECKING:
    from api.context import Context

Role = Literal["administrator", "supervisor", "enterprise", "evaluator", "public"]

NOWHERE: Final = Scope(frozenset())


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request.

    Parameters
    ----------
    name : str
        Name of the user, with that of the token behind it (``user/token``); for the audit log.
    user : int or None
        Number of the account; None for the public.
    role : Role
        What kind of caller it is.
    scope : Scope
        Sites that it may read; everything else does not exist for it.
    writable : Scope
        Sites that it may act on: mark, acknowledge, hand in. Part of ``scope``.
    commentable : Scope
        Sites on which it may comment: those that it may act on, and for a supervisor all.
    """

    name: str
    user: int | None
    role: Role
    scope: Scope
    writable: Scope = NOWHERE
    commentable: Scope = NOWHERE

    def may_act(self, site: str) -> bool:
        """Whether it may change something about a site."""
        return site in self.writable

    def may_comment(self, site: str) -> bool:
        """Whether it may comment on something of a site."""
        return site in self.commentable

    @property
    def oversees(self) -> bool:
        """Whether it sees all mines and what the installation says of itself."""
        return self.role in {"administrator", "supervisor"}


def get_caller(request: Request) -> Caller:
    """Caller of a request: an administrator, as long as there are no accounts and only loopback is served."""
    context: Context = request.app.state.context
    everything = Scope(frozenset(site.id for site in context.registry.sites))
    return Caller("administrator", None, "administrator", everything, everything, everything)


CallerOf = Annotated[Caller, Depends(get_caller)]
