"""The command where the server parts are not installed."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement

WITHOUT = """
import sys
from importlib import util

missing = set(sys.argv.pop(1).split(","))

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name in missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
there = util.find_spec
util.find_spec = lambda name: None if name in missing else there(name)
from greenmine.cli import main
main()
"""
"""Runs the command as if some top-level modules were not installed."""


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def needed(distribution: str, extras: frozenset[str], found: set[tuple[str, frozenset[str]]]) -> None:
    """Collect what a distribution needs, to the last."""
    if (normal(distribution), extras) in found:
        return
    found.add((normal(distribution), extras))
    try:
        requirements = [Requirement(text) for text in requires(distribution) or ()]
    except PackageNotFoundError:
        return  # for another platform
    for requirement in requirements:
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": e}) for e in (*extras, "")):
            needed(requirement.name, frozenset(requirement.extras), found)


def missing() -> str:
    """Top-level modules that greenmine without its extra does not bring along."""
    found: set[tuple[str, frozenset[str]]] = set()
    needed("greenmine", frozenset(), found)
    light = {name for name, _ in found}
    modules = {m for m, owners in packages_distributions().items() if not light & {normal(o) for o in owners}}
    assert {"fastapi", "paho", "influxdb_client", "alembic"} <= modules
    assert not {"numpy", "pyarrow", "typst"} & modules
    return ",".join(sorted(modules))


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT, missing(), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
