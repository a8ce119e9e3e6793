"""What holds for all tests."""

from __future__ import annotations

import hypothesis
import pytest

# How long an example takes says something of the machine only.
hypothesis.settings.register_profile("greenmine", deadline=None)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=1_000)
hypothesis.settings.load_profile("greenmine")

WAITING = {"system", "uplink", "notify"}
"""Folders of tests that mostly wait for processes and servers."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the files that wait among those that compute: whoever runs files side by side keeps the processors busy."""
    files = list(dict.fromkeys(item.path for item in items))
    waiting = [file for file in files if file.parent.name in WAITING]
    computing = [file for file in files if file.parent.name not in WAITING]
    turn = {file: place / len(group) for group in (waiting, computing) for place, file in enumerate(group)}
    items.sort(key=lambda item: turn[item.path])
