"""What holds for all tests."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of whole systems take longest and wait most: they come first, beside each other, and none is left for the end."""
    items.sort(key=lambda item: not item.nodeid.startswith(("tests/system/", "tests/uplink/", "tests/notify/")))
