"""Names of public classes: each stands for one thing in the project."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = sorted({path.parent.name for path in ROOT.glob("*/__init__.py")} - {"bench", "tests"})

SHARED = frozenset({
    "Block", "Column", "Cursor", "Entry", "Event", "Finding", "Health", "Message", "Outcome", "Part",
    "Period", "Record", "RefusedError", "Session", "Source", "Summary", "Table", "Tokens",
})  # fmt: skip
"""Names that several classes still have. A class that is renamed leaves the list; nothing is added to it."""


def classes(text: str) -> list[str]:
    """Names of the public classes of a module."""
    return [node.name for node in ast.parse(text).body if isinstance(node, ast.ClassDef) and node.name[0] != "_"]


@pytest.fixture(scope="module")
def shared() -> set[str]:
    """Names that more than one public class has."""
    files = (file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py"))  # does not follow links
    counts = Counter(name for file in files for name in classes(file.read_text(encoding="utf-8")))
    assert sum(counts.values()) > 300
    return {name for name, count in counts.items() if count > 1}


def test_no_name_is_given_a_second_time(shared: set[str]) -> None:
    assert shared - SHARED == set()


def test_no_name_stays_on_the_list_that_is_unique(shared: set[str]) -> None:
    assert SHARED - shared == set()


def test_public_classes_of_a_module_are_found() -> None:
    assert classes("class Pane: ...\nclass _Hidden: ...\ndef f():\n    class Inner: ...") == ["Pane"]
