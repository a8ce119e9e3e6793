"""The law as it is written: each folder of ``law`` through ``greenmine judge``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from greenmine.cli.judge import judge
from greenmine.wording.messages import texts
from tests.cases.law_case import CASES, LawCase, differences

ALL = [LawCase(folder) for folder in sorted(CASES.iterdir()) if folder.is_dir()]


def marked(case: LawCase) -> object:
    waits = case.table.get("waits")
    return pytest.param(case, id=case.folder.name, marks=[pytest.mark.xfail(reason=waits)] if waits else [])


@pytest.mark.parametrize("case", [marked(case) for case in ALL])
def test_the_law_is_judged_as_it_is_written(case: LawCase, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = 0
    try:
        judge(**case.call(tmp_path), format="json")
    except SystemExit as end:
        status = end.code
    out = capsys.readouterr()
    assert status < 2, out.err
    found = json.loads(out.out)
    assert differences(case.expected, found) == []
    codes = {code for v in found["verdicts"] for code in (*v["reasons"], v["reason"])}
    assert {f"reason.{code}" for code in codes} <= texts("greenmine.wording", "zh").keys()
    assert status == case.expected["status"]


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.folder.name)
def test_a_case_names_its_clause(case: LawCase) -> None:
    text = (case.folder / "README.md").read_text(encoding="utf-8")
    assert "Clause: " in text
    assert {p.name for p in case.folder.iterdir()} <= {"README.md", "case.toml", "expected.json", "readings.csv"}


def test_there_are_at_least_sixty_cases() -> None:
    assert len(ALL) >= 60
