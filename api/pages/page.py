"""A page that was asked for: by whom, in which language, when, and what it is made of."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import Depends, Request
from starlette.responses import Response

from greenmine.api.accounts.caller import CallerOf
from greenmine.api.http.dependencies import ContextOf, QueriesOf, visible_site
from greenmine.api.http.health import ServiceHealth, service_health
from greenmine.api.pages.rendering import language_of, render
from greenmine.api.pages.wording import Wording
from greenmine.registry import Site
from greenmine.times import MINUTE, local, now
from greenmine.wording.messages import LANGUAGES


class Page:
    """A page of what is not in the record.

    Attributes
    ----------
    scope : Scope
        Sites that the caller may see.
    wording : Wording
        Words of the language that was asked for, else that of earlier pages or of the browser.
    instant : int
        Time of the page [ms UTC].
    """

    def __init__(self, request: Request, context: ContextOf, caller: CallerOf) -> None:
        self.request, self.context, self.caller = request, context, caller
        self.registry, self.scope = context.registry, caller.scope
        asked = request.query_params.get("lang")
        self._chosen = next((language for language in LANGUAGES if language == asked), None)
        self.wording = Wording(language_of(request, self._chosen), context.registry)
        self.instant = now()

    @property
    def notice(self) -> str | None:
        """What the reader must know before believing the page."""
        return None

    @property
    def zone(self) -> str:
        """Time zone of what concerns no single mine."""
        return self.registry.sites[0].zone if self.registry.sites else "UTC"

    @property
    def sites(self) -> list[Site]:
        """Mines that the caller may see."""
        return [site for site in self.registry.sites if site.id in self.scope]

    def site(self, site: str) -> Site:
        """A mine that the caller may see; a page of any other is not found."""
        return visible_site(self.registry, self.scope, site)

    def render(self, template: str, *, status: int = 200, events: str = "", **values: Any) -> Response:
        """Fill a template of ``templates``; ``events`` is the address of the live stream, empty for a page that does not update."""
        given = {"notice": self.notice, "events": events} | values
        page = render(self.request, template, self.wording, self._chosen, self.instant, **given)
        page.status_code = status
        return page


class RecordPage(Page):
    """A page of what is in the record, with a banner while nothing comes in."""

    def __init__(self, request: Request, context: ContextOf, caller: CallerOf, queries: QueriesOf) -> None:
        super().__init__(request, context, caller)
        self.queries = queries

    @cached_property
    def service(self) -> ServiceHealth:
        """Health of the collector."""
        return service_health(self.queries, self.instant)

    @property
    def notice(self) -> str | None:
        """What the reader must know of the collector before believing the page; None while all is well."""
        t, service = self.wording.t, self.service
        if service.state == "no worker yet":
            return t("collector.none")
        if service.state == "stopped":
            newest = max(worker.updated for worker in service.workers)
            return t("collector.stopped", time=self.wording.date_time(newest.astimezone(ZoneInfo(self.zone))))
        for worker in service.workers:
            if worker.running and worker.status.get("connected") is False:
                last = worker.status.get("last_message")
                broker = worker.status.get("broker", "")
                if not last:
                    return t("collector.unheard", broker=broker)
                return t("collector.disconnected", broker=broker, time=self.wording.date_time(local(last, self.zone)))
            if worker.running and worker.status.get("doubted"):
                return t("collector.clock", minutes=round(worker.status["clock"] / MINUTE))
            if worker.running and worker.status.get("behind"):
                return t("collector.behind", size=round(worker.status["queue"] / 1e6))
        return None


PageOf = Annotated[Page, Depends()]
RecordPageOf = Annotated[RecordPage, Depends()]
