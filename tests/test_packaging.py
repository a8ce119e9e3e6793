"""One package is installed, whatever folders it comes from and wherever it is used."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from setuptools import find_packages

ROOT = Path(__file__).parents[1]
FOLDERS = sorted(path.name for path in (ROOT / "greenmine").iterdir() if path.is_symlink())


def test_all_packages_are_found_and_all_are_ours() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    there = {
        ".".join(Path(folder).relative_to(ROOT).parts)
        for folder, _, files in os.walk(ROOT / "greenmine", followlinks=True)
        if "__init__.py" in files
    }
    assert set(find_packages(str(ROOT), **project["tool"]["setuptools"]["packages"]["find"])) == there


def test_one_name_is_installed() -> None:
    assert (metadata.distribution("greenmine").read_text("top_level.txt") or "").split() == ["greenmine"]


PROGRAMS = [("-m", "greenmine", "--version"), ("-c", "import greenmine.api.app, greenmine.cli.run")]


@pytest.mark.parametrize("program", PROGRAMS)
def test_it_works_beside_folders_of_the_same_names(program: tuple[str, ...], tmp_path: Path) -> None:
    for name in FOLDERS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise AssertionError('this is not ours')\n", encoding="utf-8")
    done = subprocess.run([sys.executable, *program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
