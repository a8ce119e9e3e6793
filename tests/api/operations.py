"""Every operation of the server: those of its OpenAPI document, and the pages beside it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from fastapi.routing import APIRoute, iter_route_contexts

from greenmine.api.app import create_app
from greenmine.loading import load_registry
from greenmine.settings import Settings


class Operation(NamedTuple):
    """Something that can be asked of the server."""

    id: str
    """operationId of the document; of pages ``GET /path``."""
    method: str
    path: str
    parameters: tuple[str, ...]
    """Names of its parameters in path and query."""


@cache
def document_and_pages() -> tuple[dict[str, Any], list[Operation]]:
    """The OpenAPI document of the application, and its pages."""
    with TemporaryDirectory() as data:
        app = create_app(Settings(data=Path(data)), load_registry())
        document = app.openapi()
        pages = [
            Operation(f"{method} {route.path}", method, str(route.path), _parameters(route))
            for route in iter_route_contexts(app.routes)
            if isinstance(route.original_route, APIRoute) and route.path not in document["paths"]
            for method in sorted(route.methods or ())
        ]
        app.state.context.accounts.close()
        app.state.context.notices.close()
    return document, pages


def operations() -> list[Operation]:
    """Operations of the document and pages."""
    document, pages = document_and_pages()
    return [
        *(
            Operation(
                operation["operationId"],
                method.upper(),
                path,
                tuple(p["name"] for p in operation.get("parameters", ())),
            )
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        ),
        *pages,
    ]


def _parameters(route: Any) -> tuple[str, ...]:
    names = [field.alias for field in route.dependant.path_params]
    for field in route.dependant.query_params:
        kind = field.field_info.annotation
        names += [info.alias or name for name, info in kind.model_fields.items()]
    return tuple(names)
