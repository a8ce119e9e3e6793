"""What the tests of the server for data loggers share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.collector.hj212.hj212_station import Station


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Station]]:
    """Starts a server; ``mine`` are arguments of ``write_mine``, the others are settings."""
    with ExitStack() as stack:

        def start(mine: dict[str, Any] | None = None, **settings: Any) -> Station:
            return stack.enter_context(Station(tmp_path, mine or {"more": "obeys = false"}, settings))

        yield start
