"""The description of a new make in the documentation, carried out as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from greenmine.collector.files import read_description, read_series
from greenmine.parameters import load_parameters

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("page", ["files.md", "files.zh.md"])
def test_the_example_is_read_by_its_description(tmp_path: Path, page: str) -> None:
    file, described = re.findall(
        r"^   ```(?:toml)?\n(.*?)^   ```", (DOCS / page).read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    (tmp_path / "log.txt").write_text(re.sub(r"^   ", "", file, flags=re.MULTILINE))
    (tmp_path / "my-logger.toml").write_text(re.sub(r"^   ", "", described, flags=re.MULTILINE))
    said = read_description(tmp_path / "my-logger.toml")
    (read,) = read_series(tmp_path / "log.txt", [load_parameters()["pm10"]], said)
    assert [(time, value, chr(flag)) for time, value, flag in zip(read.time, read.value, read.flag, strict=True)] == [
        (1763355600000, 24.0, "N"),
        (1763355660000, 26.0, "D"),
    ]
