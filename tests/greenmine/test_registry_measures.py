"""Measures and documents of a site: what is wrong with them is told where it stands."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from greenmine.evidence.evaluation import CATALOGUE, load_evaluation
from greenmine.loading import load_registry
from greenmine.registry import DEFAULT, RegistryError
from greenmine.tables import DataFileError

DOCUMENT = '\n[[documents]]\nitem = "{item}"\nfile = "{file}"\ntitle_zh = "证明"\n'


def faults(folder: Path, old: str, new: str) -> str:
    directory = Path(shutil.copytree(DEFAULT, folder / "registry"))
    path = directory / "sites/kunyin.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(RegistryError) as caught:
        load_registry(directory)
    (fault,) = caught.value.faults
    return fault


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('equipment = "sprayer"\nruns', 'equipment = "boundary"\nruns', "no station with equipment-state 'boundary'"),
        ('equipment = "sprayer"\n', "since = 2026-01-01\n", "runs are those of an equipment"),
        ('equipment = "sprayer"\n', 'equipment = "sprayer"\nsince = 2026-01-01\n', "either equipment"),
        ('"07:40-08:05"', '"08:05-07:40"', "must end after it begins"),
        ('"07:40-08:05"', '"7:40-8:05"', "does not fit"),
        ('reference = "reference"', 'reference = "outfall"', "no channel of outfall for 'tsp'"),
        ('activity = "crusher"', 'activity = "weather"', "no station with equipment-state 'weather'"),
        ('kind = "sprayers"', 'kind = "prayers"', "is not one of"),
    ],
)
def test_a_faulty_measure_is_one_fault(tmp_path: Path, old: str, new: str, told: str) -> None:
    fault = faults(tmp_path, old, new)
    assert told in fault
    assert "kunyin.toml, line 1" in fault
    assert '[[measures]] number 1 "sprayers"' in fault


@pytest.mark.parametrize(
    ("item", "file", "told"),
    [
        ("降尘", "plan.pdf", "no requirement item '降尘'; nearest: '降尘降噪'"),
        ("降尘降噪", "../../etc/passwd", "does not fit"),
        ("降尘降噪", ".hidden", "does not fit"),
        ("降尘降噪", "a/b.pdf", "does not fit"),
    ],
)
def test_a_faulty_document_is_one_fault(tmp_path: Path, item: str, file: str, told: str) -> None:
    end = 'source = "企业喷淋制度（示例） rules of the enterprise (example)"\n'
    assert told in faults(tmp_path, end, end + DOCUMENT.format(item=item, file=file))


def test_a_faulty_catalogue_of_evaluation_is_refused(tmp_path: Path) -> None:
    shipped = CATALOGUE.read_text(encoding="utf-8")
    bent = shipped.replace('proof = ["dust"', 'proof = ["smell"', 1).replace('theme = "water"', 'theme = "taste"')
    (tmp_path / "evaluation.toml").write_text(bent, encoding="utf-8")
    with pytest.raises(DataFileError, match=r"no proof 'smell'[\s\S]*no theme 'taste'"):
        load_evaluation(tmp_path / "evaluation.toml")
