"""Pages of lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from greenmine.record.reader import Queries

Page = Callable[[Queries, str | None, int], tuple[list[Any], str | None]]
"""Items from a cursor on, at most so many, and the cursor of the next page."""
