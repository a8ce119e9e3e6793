"""JSON Schemas of the payload formats, made from the types that decode them.

``python -m greenmine.collector.payloads.schemas`` writes them to ``docs/schemas``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from greenmine.collector.payloads.own import Listed, Single, Stepped
from greenmine.collector.payloads.senml import SenmlRecord
from greenmine.collector.payloads.thingsboard import Flat, Timed

_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[str, dict[str, Any]]:
    """The schema of each format, by file name."""
    return {
        "own-v1.json": _own(),
        "senml.json": _senml(),
        "thingsboard.json": _thingsboard(),
    }


def write_schemas(directory: Path) -> None:
    """Write all schemas into a directory, which is made if absent."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas().items():
        (directory / name).write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _own() -> dict[str, Any]:
    references, components = msgspec.json.schema_components([Single, Listed, Stepped], ref_template="#/$defs/{name}")
    return {"$schema": _DRAFT, "title": "Readings, version 1", "anyOf": list(references), "$defs": components}


def _senml() -> dict[str, Any]:
    (pack,), components = msgspec.json.schema_components([list[SenmlRecord]], ref_template="#/$defs/{name}")
    return {"$schema": _DRAFT, "title": "SenML pack (RFC 8428)", **pack, "$defs": components}


def _thingsboard() -> dict[str, Any]:
    (timed, flat), components = msgspec.json.schema_components([Timed, Flat], ref_template="#/$defs/{name}")
    entry = {"anyOf": [timed, flat]}
    forms = [timed, flat, {"type": "array", "items": entry}]
    return {"$schema": _DRAFT, "title": "ThingsBoard telemetry", "anyOf": forms, "$defs": components}


if __name__ == "__main__":
    write_schemas(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs/schemas"))
