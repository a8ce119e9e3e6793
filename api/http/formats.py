"""Formats of a list: a page of JSON, or all of it as CSV, JSON lines, XLSX, Arrow or Parquet."""

from __future__ import annotations

from typing import Final, Literal

Format = Literal["json", "ndjson", "csv", "xlsx", "arrow", "parquet"]
"""``json`` is a page of a list; the others hold all of it."""

MEDIA_TYPES: Final[dict[Format, str]] = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
}
XLSX_ROWS: Final = 1_048_576
"""Rows of a worksheet, its heading included."""


class TooManyRowsError(ValueError):
    """More rows than a worksheet holds."""


def chosen(format: Format | None, accept: str) -> Format:  # noqa: A002 - the word of the API
    """Format asked for by parameter, else by the first known media type of an Accept header; JSON otherwise."""
    if format is not None:
        return format
    known = {media.split(";")[0]: name for name, media in MEDIA_TYPES.items()}
    for part in accept.split(","):
        media = part.split(";")[0].strip().lower()
        if media in known:
            return known[media]
    return "json"
