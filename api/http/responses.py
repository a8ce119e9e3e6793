"""JSON answers, encoded by msgspec."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import Response


class JSON(Response):
    """A JSON body of builtins, structs and aware times; NaN becomes null."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Encode the content."""
        return msgspec.json.encode(content)


def listing(items: list[Any], following: str | None = None) -> JSON:
    """A list, and the cursor of its next page."""
    return JSON({"items": items, "next": following})


def listing_bytes(items: list[Any], following: str | None = None) -> bytes:
    """The same, encoded."""
    return msgspec.json.encode({"items": items, "next": following})
