"""The web application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from threading import Event, Thread

from fastapi import Depends, FastAPI
from starlette.staticfiles import StaticFiles

from greenmine.api.accounts.accounts import Accounts
from greenmine.api.accounts.caller import admit
from greenmine.api.accounts.lockout import Lockout
from greenmine.api.accounts.providers import provider_of
from greenmine.api.http import (
    air_days,
    assessments,
    bundles,
    calendar,
    curves,
    data_quality,
    explanations,
    handling,
    loggers,
    marks,
    problems,
    reports,
    routes,
    schemas,
    subscriptions,
    uploads,
    witnessed,
)
from greenmine.api.http.addresses import check_addresses
from greenmine.api.http.answers import Repeats
from greenmine.api.http.context import Context
from greenmine.api.http.head import HeadRequests
from greenmine.api.http.pace import LARGEST, Pace
from greenmine.api.http.security import Guard
from greenmine.api.live.broadcast import Broadcast
from greenmine.api.pages import (
    account,
    audit,
    comparison_page,
    download_page,
    evidence_pages,
    exceedance_pages,
    explanation_page,
    file_page,
    notification_pages,
    oidc,
    pages,
    public,
    quality_page,
    registry_pages,
    report_page,
    shared,
    sign_in,
    station_page,
    upload_page,
    users,
    wall_page,
)
from greenmine.api.watching import EVERY, WatchedRegistry
from greenmine.evidence.evaluation import evaluation_of
from greenmine.notify.store import Notices
from greenmine.record.access import RecordAccess
from greenmine.registry import Registry
from greenmine.reporting import reporting_of
from greenmine.settings import Settings


def _follow(context: Context, path: Path) -> None:
    """Take up another registry as soon as its files are changed and sound."""
    watched = WatchedRegistry(path, context.registry)
    while not context.closing.wait(EVERY):
        if (found := watched.changed()) is not None:
            context.renew(found)


def create_app(settings: Settings, registry: Registry) -> FastAPI:
    """Application that shows the record of an installation, and writes into it what people say.

    Parameters
    ----------
    settings : Settings
        Where record and accounts are, and by which addresses the server is called.
    registry : Registry
        What is measured where.

    Raises
    ------
    ValueError
        The addresses in the settings cannot be read, or would carry passwords in the clear; or those of the OpenID Connect
        provider make no sense.
    """
    addresses = check_addresses(settings)
    provider = provider_of(settings, registry)
    accounts = Accounts(settings)
    record = RecordAccess(settings.record_place, registry, settings.archive_place)
    notices = Notices(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if settings.registry is not None:
            Thread(target=_follow, args=[context, settings.registry], daemon=True).start()
        yield
        closing.set()
        record.close()
        accounts.close()
        notices.close()

    app = FastAPI(
        title="greenmine",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
        dependencies=[Depends(admit)],
        generate_unique_id_function=lambda route: route.name,
    )
    closing = Event()
    context = Context(
        settings,
        registry,
        record,
        closing,
        accounts,
        addresses,
        Lockout(),
        reporting_of(settings.registry),
        evaluation_of(settings.registry, registry.themes),
        notices,
        provider,
        Broadcast(record, closing),
    )
    app.state.context = context
    problems.install(app, pages.error_page)
    # What is asked for most is found first.
    for part in (curves, routes, data_quality, explanations, marks, loggers, subscriptions):
        app.include_router(part.router, max_body_size=LARGEST)
    for part in (air_days, bundles, calendar, reports, witnessed):
        app.include_router(part.router, max_body_size=LARGEST)
    for part in (handling, assessments):
        app.include_router(part.router, max_body_size=settings.attachment_bytes)
    app.include_router(uploads.router, max_body_size=settings.upload_bytes)
    for part in (account, audit):
        app.include_router(part.api, max_body_size=LARGEST)
    for part in (
        pages,
        station_page,
        upload_page,
        exceedance_pages,
        explanation_page,
        file_page,
        quality_page,
        download_page,
        comparison_page,
    ):
        app.include_router(part.router, include_in_schema=False, max_body_size=LARGEST)
    for part in (
        sign_in,
        account,
        users,
        audit,
        public,
        evidence_pages,
        report_page,
        wall_page,
        shared,
        notification_pages,
        oidc,
    ):
        app.include_router(part.router, include_in_schema=False, max_body_size=LARGEST)
    app.include_router(registry_pages.router, include_in_schema=False, max_body_size=registry_pages.LARGEST_FILE)
    app.mount("/static", StaticFiles(directory=str(files("greenmine.api").joinpath("static"))), name="static")
    app.add_middleware(Pace)
    app.add_middleware(HeadRequests)
    app.add_middleware(Repeats, context=context)
    app.add_middleware(Guard, addresses=addresses)
    schemas.install(app)
    return app
