"""``greenmine analyse`` on the files of ``tests/cases/files``: right, or refused."""

from __future__ import annotations

import csv
import io
import json
import shlex
from pathlib import Path

import pytest

from greenmine.cli import app
from greenmine.wording.sentences import chinese_sentence

FOLDER = Path(__file__).parents[1] / "cases/files"
CASES = sorted(folder for folder in FOLDER.iterdir() if folder.is_dir())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_file_is_read_rightly_or_refused(case, capsys):
    expected = json.loads((case / "expected.json").read_text(encoding="utf-8"))
    (file,) = (path for path in case.iterdir() if path.stem == "log")
    with pytest.raises(SystemExit) as end:
        app(["analyse", str(file), *shlex.split(expected["asked"])])
    out, err = capsys.readouterr()
    notes = [line.removeprefix("note: ") for line in err.splitlines() if line.startswith("note: ")]
    assert (end.value.code or 0) == expected["status"], err
    refused = [line for line in err.splitlines() if line.startswith("greenmine analyse: ")]
    assert [told for told in notes + refused if chinese_sentence(told) is None] == []
    for text in expected["says"]:
        assert text in err
    rows = {row["start"]: row for row in csv.DictReader(io.StringIO(out)) if row["count"] != "0"}
    hours = expected.get("hours", {})
    assert rows.keys() == hours.keys()
    for start, (mean, count, *capture) in hours.items():
        row = rows[start]
        found = float(row["mean"]), int(row["count"]), float(row["capture"])
        assert found == pytest.approx((mean, count, *(capture or [1.0])), abs=1e-9)
    assert [start for start, row in rows.items() if row["valid"] == "true"] == expected.get("valid", list(rows))


def test_every_case_is_explained():
    lines = (FOLDER / "README.md").read_text(encoding="utf-8").splitlines()
    assert [line.split("|")[1].strip() for line in lines if line.startswith("| ")][2:] == [case.name for case in CASES]
