"""What routes take and give, in the OpenAPI document: schemas and examples made from the structs themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from fastapi import FastAPI

from greenmine.api.http.attachments import TYPES
from greenmine.api.http.formats import MEDIA_TYPES

_REF: Final = "#/components/schemas/{name}"
_KINDS: Final[set[type]] = set()
_TIME: Final = "2026-11-22T10:00:00+08:00"
_LATER: Final = "2026-11-22T11:00:00+08:00"
_EXAMPLES: Final[dict[str, Any]] = {
    "channel": "hengjie/boundary/tsp", "rule": "hengjie/boundary/gb29620-boundary-tsp", "site": "hengjie", "station": "boundary",
    "limit": "gb29620-boundary-tsp", "id": 7, "start": _TIME, "end": _LATER, "time": _TIME, "since": _TIME, "until": _LATER,
    "issued": _LATER, "made": _LATER, "changed": _LATER, "received": _LATER, "answered": _LATER, "acknowledged": _LATER,
    "last_time": _LATER, "peak_time": _TIME, "updated": _LATER, "parameter": "tsp", "unit": "ug/m3", "zone": "Asia/Shanghai",
    "name_zh": "边界", "name_en": "Boundary", "device": "dust-1", "day": "2026-11-22", "flag": "N", "last_flag": "N",
    "window": "hour", "author": "zhang", "standard": "GB 29620-2013", "clause": "Table 3, cl. 4.4", "verdict": "meets",
    "reason": "within-limit", "judged": "812", "value": 812.4, "mean": 812.4, "low": None, "high": 1000.0, "capture": 0.98,
    "change": "first", "kind": "legal", "state": "closed", "cause": "dry road", "handling": "road watered",
    "text": "road watered", "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "name": "road.jpg",
    "media_type": "image/jpeg", "href": "/api/v1/exceedances/7/attachments/3", "span": "7d",
}  # fmt: skip
"""Values by the name of a field; what is not here is made from its type."""
_BY_TYPE: Final = {"string": "text", "integer": 1, "number": 1.0, "boolean": True, "null": None}


def listed(*kinds: type[msgspec.Struct], files: bool = False) -> dict[int | str, dict[str, Any]]:
    """Responses of a route that answers with a list of structs; with ``files``, in the other formats too."""
    _KINDS.update(kinds)
    items = [_ref(kind) for kind in kinds]
    schema = {
        "type": "object",
        "required": ["items", "next"],
        "properties": {
            "items": {"type": "array", "items": {"anyOf": items} if len(items) > 1 else items[0]},
            "next": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
    }
    content: dict[str, Any] = {"application/json": {"schema": schema}}
    if files:
        content |= {
            media.split(";")[0]: {"schema": {"type": "string", "format": "binary"}}
            for name, media in MEDIA_TYPES.items()
            if name != "json"
        }
    return _with_problems({200: {"description": "A list", "content": content}, 304: {"description": "Unchanged"}})


def single(kind: type[msgspec.Struct], status: int = 200) -> dict[int | str, dict[str, Any]]:
    """Responses of a route that answers with one struct."""
    _KINDS.add(kind)
    content = {"application/json": {"schema": _ref(kind)}}
    return _with_problems({status: {"description": _words(kind), "content": content}})


def nothing() -> dict[int | str, dict[str, Any]]:
    """Responses of a route that answers with nothing but its success."""
    return _with_problems({204: {"description": "Done"}})


def file() -> dict[int | str, dict[str, Any]]:
    """Responses of a route that answers with an attached file."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    media = sorted({media.split(";")[0] for media, _ in TYPES.values()})
    return _with_problems({200: {"description": "The file", "content": dict.fromkeys(media, binary)}})


def zipped() -> dict[int | str, dict[str, Any]]:
    """Responses of a route that answers with a zip, or a part of it."""
    content = {"application/zip": {"schema": {"type": "string", "format": "binary"}}}
    return _with_problems({200: {"description": "The file", "content": content}})


def problems() -> dict[int | str, dict[str, Any]]:
    """Responses of a route when it fails."""
    return _with_problems({})


def taking(kind: type[msgspec.Struct], example: Mapping[str, Any]) -> dict[str, Any]:
    """Request body of one struct."""
    _KINDS.add(kind)
    msgspec.convert(example, kind)
    content = {"application/json": {"schema": _ref(kind), "example": dict(example)}}
    return {"requestBody": {"required": True, "content": content}}


def taking_file() -> dict[str, Any]:
    """Request body of a file."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {"requestBody": {"required": True, "content": {"application/octet-stream": binary}}}


def install(app: FastAPI) -> None:
    """Add the schemas of all structs, and of problems, to the OpenAPI document of an application."""
    plain = app.openapi

    def complete() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = plain()
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            kinds = sorted(_KINDS, key=lambda kind: kind.__name__)
            schemas |= _without_tuples(msgspec.json.schema_components(kinds, ref_template=_REF)[1])
            schemas["Problem"] = _PROBLEM
            for operations in document["paths"].values():
                for operation in operations.values():
                    answers = operation["responses"]
                    answers.pop("422", None)  # every fault of a request is a problem of status 400
                    for content in (answer.get("content", {}).get("application/json") for answer in answers.values()):
                        if content and content.get("schema"):
                            content["example"] = _example(content["schema"], schemas)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = complete  # type: ignore[method-assign]


def _without_tuples(schema: Any) -> Any:
    """The schema with tuples as arrays of a length: many readers of OpenAPI do not know ``prefixItems``."""
    if isinstance(schema, list):
        return [_without_tuples(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: _without_tuples(part) for name, part in schema.items() if name != "prefixItems"}
    if "prefixItems" in schema:
        kinds = [kind for i, kind in enumerate(schema["prefixItems"]) if kind not in schema["prefixItems"][:i]]
        plain["items"] = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    return plain


_PROBLEM: Final = {
    "type": "object",
    "description": "Problem details (RFC 9457): the one shape of every error",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        **{name: {"type": "string"} for name in ("type", "title", "detail", "detail_zh", "instance")},
        "status": {"type": "integer"},
        "errors": {
            "type": "array",
            "items": {"type": "object", "properties": {name: {"type": "string"} for name in ("parameter", "detail")}},
        },
    },
    "example": {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": "colour: unknown parameter",
        "instance": "/api/v1/sites",
        "errors": [{"parameter": "colour", "detail": "unknown parameter"}],
    },
}


def _with_problems(found: dict[int | str, dict[str, Any]]) -> dict[int | str, dict[str, Any]]:
    content = {"application/problem+json": {"schema": {"$ref": _REF.format(name="Problem")}}}
    return {
        **found,
        "4XX": {"description": "A problem", "content": content},
        503: {"description": "A problem", "content": content},
    }


def _ref(kind: type) -> dict[str, Any]:
    return {"$ref": _REF.format(name=kind.__name__)}


def _words(kind: type) -> str:
    return " ".join((kind.__doc__ or kind.__name__).split())


def _example(schema: Mapping[str, Any], components: Mapping[str, Any], name: str = "") -> Any:
    """A value of a schema; that of its name, where there is one of the right type."""
    if "$ref" in schema:
        return _example(components[schema["$ref"].rsplit("/", 1)[1]], components, name)
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        kinds = {option.get("type") for option in schema["anyOf"]}
        if name in _EXAMPLES and _EXAMPLES[name] is None and "null" in kinds:
            return None
        return _example(next(option for option in schema["anyOf"] if option.get("type") != "null"), components, name)
    match schema.get("type"):
        case "object":
            fields = schema.get("properties", {})
            return {field: _example(fields[field], components, field) for field in schema.get("required", fields)}
        case "array" if "prefixItems" in schema:
            return [_example(part, components) for part in schema["prefixItems"]]
        case "array":
            return [_example(schema.get("items", {}), components, name)] if schema.get("items") else []
        case "string" if schema.get("format") == "date-time":
            return _EXAMPLES.get(name, _TIME)
        case kind:
            known = _EXAMPLES.get(name)
            fits = {"string": str, "integer": int, "number": int | float, "boolean": bool}.get(str(kind), object)
            return known if known is not None and isinstance(known, fits) else _BY_TYPE.get(str(kind), {})
