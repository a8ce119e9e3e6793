from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from greenmine.parameters import load_parameters
from greenmine.units import normal_unit
from greenmine.wording.unit_signs import SIGNS, sign

ROOT = Path(__file__).parents[3]
WRITTEN = {".py", ".toml", ".md", ".html", ".js", ".css", ".json", ".typ", ".yml"}


def test_no_text_of_ours_has_the_other_micro_sign() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = [ROOT / name for name in tracked.splitlines() if not name.startswith("tests/")]
    written = [path for path in files if path.suffix in WRITTEN and path.is_file()]
    assert len(written) > 300
    assert [path for path in written if "\u00b5" in path.read_text("utf-8")] == []


@pytest.mark.parametrize("unit", SIGNS)
def test_a_sign_is_read_as_its_unit(unit: str) -> None:
    assert normal_unit(sign(unit)) == unit


def test_every_unit_of_the_catalogue_is_written_with_signs() -> None:
    plain = {p.unit for p in load_parameters().values()}
    assert {sign(unit) for unit in plain if unit.startswith("u") or unit.endswith(("2", "3"))} == {"μg/m³", "μS/cm"}
