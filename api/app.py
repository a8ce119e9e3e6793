"""The web application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from threading import Event

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from api import (
    bookkeeping,
    comparison_page,
    curves,
    download_page,
    exceedance_pages,
    explanations,
    handling,
    marks,
    pages,
    problems,
    quality_page,
    routes,
    schemas,
    station_page,
)
from api.context import Context
from api.record import Record
from api.security import Guard, require_loopback
from greenmine.registry import Registry
from greenmine.settings import Settings


def create_app(settings: Settings, registry: Registry) -> FastAPI:
    """Application that shows the record of an installation, and writes into it what people say.

    Parameters
    ----------
    settings : Settings
        Where the record is; its ``host`` must be a loopback address.
    registry : Registry
        What is measured where.

    Raises
    ------
    ValueError
        ``settings.host`` is not a loopback address.
    """
    require_loopback(settings.host)
    record = Record(settings.record, registry)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        record.close()

    app = FastAPI(
        title="greenmine",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.state.context = Context(settings, registry, record, Event())
    problems.install(app, pages.error_page)
    for part in (routes, bookkeeping, explanations, handling, marks, curves):
        app.include_router(part.router)
    for page in (pages, station_page, exceedance_pages, quality_page, download_page, comparison_page):
        app.include_router(page.router, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=str(files("api").joinpath("static"))), name="static")
    app.add_middleware(Guard)
    schemas.install(app)
    return app
