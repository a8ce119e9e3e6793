"""The contracts of imports: each catches what it forbids, and no circle is left."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "greenmine"
LINKED = sorted(path.name for path in PACKAGE.iterdir() if path.is_symlink())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONTRACTS = {contract["name"]: contract for contract in PROJECT["tool"]["importlinter"]["contracts"]}

PLANTED = {
    "Layers": [
        ("greenmine/units.py", "import greenmine.record.rows"),
        ("greenmine/units.py", "from greenmine.processing import panes"),
        ("collector/payloads/own.py", "from greenmine.processing import panes"),
        ("processing/panes.py", "from greenmine.record import rows"),
        ("record/writer.py", "from greenmine.evidence import bundle"),
        ("evidence/bundle.py", "from greenmine.simulators import mine"),
        ("evidence/bundle.py", "from greenmine.notify import service"),
        ("uplink/plan.py", "from greenmine.notify import store"),
        ("notify/service.py", "from greenmine.api.http import views"),
        ("api/app.py", "from greenmine.cli import web"),
        ("greenmine/novelty.py", '"""A module that is in no layer."""'),
    ],
    "Nobody imports the command": [
        ("api/app.py", "from greenmine.cli import web"),
        ("greenmine/units.py", "def late():\n    from greenmine.cli import main\n\n    return main"),
    ],
    "The core is pure": [
        ("processing/panes.py", "import sqlalchemy"),
        ("processing/panes.py", "from structlog import get_logger"),
        ("processing/panes.py", "from greenmine.settings import Settings"),
        ("processing/panes.py", "from greenmine.times import now"),
        ("processing/panes.py", "from greenmine.record import schema"),
        ("processing/panes.py", "import paho.mqtt.client"),
        ("greenmine/readings.py", "import sqlite3"),
    ],
    "Decoders know no store": [
        ("collector/payloads/own.py", "from greenmine.record import record"),
        ("collector/hj212/server/server.py", "import sqlalchemy as sa"),
        ("collector/files/table.py", "import sqlite3"),
    ],
    "The codec of HJ 212 knows neither decoders nor the server": [
        ("collector/hj212/frame.py", "from greenmine.collector.payloads import payload"),
        ("collector/hj212/message.py", "from greenmine.collector.hj212.server import server"),
    ],
    "SQL is in the record; accounts and notices have small schemas of their own": [
        ("processing/panes.py", "import sqlalchemy"),
        ("api/app.py", "from sqlalchemy import select"),
        ("simulators/mine.py", "import sqlite3"),
        ("api/http/marks.py", "import sqlalchemy as sa"),
        ("api/pages/quality_page.py", "from sqlalchemy import select"),
        ("cli/run.py", "from alembic import command"),
    ],
    "Pages and routes know no tables": [
        ("api/http/marks.py", "from greenmine.record import schema"),
        ("api/pages/shared.py", "from greenmine.record.schema import bundle"),
    ],
}
"""For each contract: files, and what is put at their ends."""

CORE = {
    "bisect",
    "collections",
    "dataclasses",
    "datetime",
    "decimal",
    "functools",
    "itertools",
    "math",
    "msgspec",
    "typing",
    "zoneinfo",
}
"""Of the standard library, what computes: no clock but as an argument, no files, no threads."""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the product's source."""
    copy = tmp_path_factory.mktemp("tree")
    for folder in ("greenmine", *LINKED):
        shutil.copytree(ROOT / folder, copy / folder, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


@pytest.fixture
def planted(tree: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """The copy with a fault in it."""
    name, addition = request.param
    file = tree / name
    before = file.read_text(encoding="utf-8") if file.exists() else None
    file.write_text(f"{before or ''}\n{addition}\n", encoding="utf-8")
    yield tree
    if before is None:
        file.unlink()
    else:
        file.write_text(before, encoding="utf-8")


def broken(tree: Path) -> set[str]:
    """Names of the contracts that import-linter finds broken."""
    program = f"import sys; sys.path.insert(0, {str(tree)!r}); from importlinter.cli import lint_imports_command as lint; lint()"
    command = [sys.executable, "-c", program, "--no-cache", "--config", "pyproject.toml"]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    assert "Contracts: " in done.stdout, done.stdout + done.stderr
    return set(re.findall(r"^(.*) BROKEN\b", done.stdout, re.MULTILINE))


def test_the_tree_as_it_is_keeps_all_contracts(tree: Path) -> None:
    assert broken(tree) == set()


@pytest.mark.parametrize(
    ("planted", "contract"),
    [pytest.param(fault, name, id=f"{fault[0]}: {fault[1]}") for name, faults in PLANTED.items() for fault in faults],
    indirect=["planted"],
)
def test_a_planted_import_is_caught(planted: Path, contract: str) -> None:
    assert contract in broken(planted)


def test_a_fault_is_planted_for_each_contract() -> None:
    assert set(PLANTED) == set(CONTRACTS)


def test_no_exception_is_wide_on_both_sides() -> None:
    for contract in CONTRACTS.values():
        for exception in contract.get("ignore_imports", ()):
            assert not all("*" in side for side in exception.split("->")), exception


def test_each_folder_of_ours_is_linked() -> None:
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"greenmine", "bench", "tests"}
    assert set(LINKED) == folders
    assert [(PACKAGE / name).readlink() for name in LINKED] == [Path("..") / name for name in LINKED]


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    """All imports of ours, late ones and those for annotations alone among them."""
    return grimp.build_graph("greenmine", include_external_packages=True, cache_dir=None)


def test_no_imports_go_in_circles(graph: grimp.ImportGraph) -> None:
    modules = {name for name in graph.modules if name.startswith("greenmine")}
    below = {name: graph.find_modules_directly_imported_by(name) & modules for name in modules}
    while ends := {name for name, imported in below.items() if not imported & below.keys()}:
        below = {name: imported for name, imported in below.items() if name not in ends}
    assert below == {}, "these are in a circle, or import one"


def test_the_core_takes_numpy_and_vocabulary_only(graph: grimp.ImportGraph) -> None:
    core = {"greenmine.processing"} | graph.find_descendants("greenmine.processing")
    imported = {name for module in core for name in graph.find_modules_directly_imported_by(module)} - core
    vocabulary = {path.stem for path in PACKAGE.iterdir() if not path.is_symlink()}
    foreign = {name for name in imported if name.split(".")[0] != "greenmine"}
    assert foreign <= {"numpy", "__future__"} | CORE
    assert {name.split(".")[1] for name in imported - foreign} <= vocabulary


def _late_imports(file: Path) -> Iterator[tuple[int, bool]]:
    """Lines of imports in functions and for annotations alone, and whether a comment beside or above says why."""
    text = file.read_text(encoding="utf-8")
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        late = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        typed = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if not late and not typed:
            continue
        for statement in node.body:
            if isinstance(statement, ast.Import | ast.ImportFrom):
                place = statement.lineno - 1
                said = _comment(lines[place])
                while not said and lines[place].lstrip().startswith(("from ", "import ", "if TYPE_CHECKING")):
                    place -= 1
                    said = _comment(lines[place])
                yield statement.lineno, said


def _comment(line: str) -> bool:
    """Whether a line has a comment that says something."""
    return bool(re.search(r"#\s*(?!noqa)\w|# noqa: \w+ -+ \w", line))


def test_a_late_import_says_why() -> None:
    files = [file for folder in ("greenmine", *LINKED) for file in (ROOT / folder).rglob("*.py")]
    silent = [f"{file.relative_to(ROOT)}:{line}" for file in files for line, said in _late_imports(file) if not said]
    assert silent == []
