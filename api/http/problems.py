"""One shape for every error: problem details for HTTP (RFC 9457)."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from greenmine.errors import NoRecordError, StoreError
from greenmine.record.record import DatabaseError
from greenmine.wording.sentences import chinese_sentence

DAY_FORM: Final = r"^\d{4}-\d\d-\d\d$"
"""Pattern of a day in a request."""
WALL_FORM: Final = r"^\d{4}-\d\d-\d\dT\d\d:\d\d$"
"""Pattern of a time by the site's clock in a request."""


class Problem(Exception):  # noqa: N818 - RFC 9457's word
    """An answer other than success.

    Parameters
    ----------
    status : int
        HTTP status.
    detail : str
        What was wrong, where, and what would be right.
    errors : list of dict, optional
        One entry per fault of the request: ``{"parameter": ..., "detail": ...}``.
    headers : dict, optional
        Headers of the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        errors: list[dict[str, str]] | None = None,
        *,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = headers


def problem_response(problem: Problem, path: str, headers: dict[str, str] | None = None) -> Response:
    """Response of type ``application/problem+json``."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "instance": path,
    }
    if (chinese := chinese_sentence(problem.detail)) is not None:
        body["detail_zh"] = chinese
    if problem.errors:
        body["errors"] = problem.errors
    return Response(msgspec.json.encode(body), problem.status, headers, "application/problem+json")


def install(app: FastAPI, page: Callable[[Request, Problem], Response]) -> None:
    """Answer every error of an application with problem details; a browser that asks for a page gets one."""
    app.state.error_page = page
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(DatabaseError, _record)
    app.add_exception_handler(StoreError, _record)
    app.add_exception_handler(Exception, _unexpected)


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return _answer(request, error, error.headers)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    known = {
        404: f"There is nothing at {request.url.path}; the routes are listed in docs/api.md.",
        405: f"{request.method} is not possible here; use {(error.headers or {}).get('Allow', 'GET')}.",
    }
    problem = Problem(error.status_code, known.get(error.status_code, str(error.detail)))
    return _answer(request, problem, dict(error.headers or {}))


async def _validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [{"parameter": str(fault["loc"][-1]), "detail": _sentence(fault)} for fault in error.errors()]
    detail = "; ".join(f"{fault['parameter']}: {fault['detail']}" for fault in errors)
    return _answer(request, Problem(400, detail, errors))


async def _record(request: Request, error: Exception) -> Response:
    known = isinstance(error, NoRecordError)
    return _answer(
        request, Problem(503, str(error) if known else "The record cannot be read at the moment; try again.")
    )


async def _unexpected(request: Request, _: Exception) -> Response:
    return _answer(request, Problem(500, "The server failed on this request; its log says why."))


def _answer(request: Request, problem: Problem, headers: dict[str, str] | None = None) -> Response:
    wants_page = "text/html" in request.headers.get("accept", "")
    if wants_page and not request.url.path.startswith("/api/"):
        if problem.status == 401 and request.method == "GET":
            here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"/sign-in?{urlencode({'next': here})}", 303, {"Cache-Control": "no-store"})
        page: Response = request.app.state.error_page(request, problem)
        page.headers.update(headers or {})
        return page
    return problem_response(problem, request.url.path, headers)


_FAULTS: Final = {
    "extra_forbidden": "unknown parameter",
    "missing": "required",
    "int_parsing": "a whole number is expected",
    "int_from_float": "a whole number is expected",
    "float_parsing": "a number is expected",
    "bool_parsing": "true or false is expected",
    "greater_than": "a number above {gt} is expected",
    "greater_than_equal": "a number of {ge} or more is expected",
    "less_than": "a number below {lt} is expected",
    "less_than_equal": "a number of {le} or less is expected",
    "literal_error": "one of {expected} is expected",
    "enum": "one of {expected} is expected",
    "string_too_short": "at least {min_length} characters are expected",
    "string_too_long": "at most {max_length} characters are expected",
    "json_invalid": "is no JSON",
}
"""What is said of a fault that pydantic finds, by its type; what is in braces comes from its context."""
_FORMS: Final = {
    DAY_FORM: "a day such as 2026-11-30 is expected",
    WALL_FORM: "a time such as 2026-11-30T10:00 is expected",
}
"""The same of a text that has not the form of a pattern."""


def _sentence(fault: dict[str, Any]) -> str:
    context = {name: str(value).replace(" or ", ", ") for name, value in fault.get("ctx", {}).items()}
    told = _FORMS.get(context.get("pattern", ""), _FAULTS.get(fault["type"]))
    return str(fault["msg"]).removeprefix("Value error, ") if told is None else told.format_map(context)
