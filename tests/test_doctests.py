"""The examples in docstrings of what computes."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

from greenmine import evidence, processing, record

MODULES = [
    m.name
    for package in (processing, record, evidence)
    for m in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if ".migrations" not in m.name
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_docstrings_hold(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_examples_are_found() -> None:
    finder = doctest.DocTestFinder()
    found = [t for name in MODULES for t in finder.find(importlib.import_module(name)) if t.examples]
    assert len(found) >= 3
