"""What holds for all tests."""

from __future__ import annotations

import hypothesis
import pytest

from tests import records

# How long an example takes says something of the machine only.
hypothesis.settings.register_profile("greenmine", deadline=None)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=1_000)
hypothesis.settings.load_profile("greenmine")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let tests that open a record open it in another database."""
    parser.addoption("--record", choices=records.KINDS, default="sqlite", help="database of the records")


def pytest_configure(config: pytest.Config) -> None:
    records.chosen["kind"] = config.getoption("--record")
    config.addinivalue_line("markers", "sqlite(reason): what is tested is of a file of SQLite")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("sqlite"):
        if records.chosen["kind"] != "sqlite":
            pytest.skip(mark.args[0])


WAITING = {"system", "uplink", "notify"}
"""Folders of tests that mostly wait for processes and servers."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the files that wait among those that compute: whoever runs files side by side keeps the processors busy."""
    files = list(dict.fromkeys(item.path for item in items))
    waiting = [file for file in files if file.parent.name in WAITING]
    computing = [file for file in files if file.parent.name not in WAITING]
    turn = {file: place / len(group) for group in (waiting, computing) for place, file in enumerate(group)}
    items.sort(key=lambda item: turn[item.path])
