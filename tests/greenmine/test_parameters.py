from __future__ import annotations

from pathlib import Path
from typing import get_args

import msgspec
import pytest

from greenmine.entries import Level
from greenmine.parameters import CATALOGUE, load_parameters
from greenmine.tables import DataFileError

DOCS = Path(__file__).parents[2] / "docs" / "registry.md"

IDS = [
    "pm10",
    "pm2.5",
    "tsp",
    "laeq",
    "lafmax",
    "ph",
    "ss",
    "turbidity",
    "cod",
    "nh3-n",
    "conductivity",
    "do",
    "water-temperature",
    "flow",
    "wind-speed",
    "wind-direction",
    "air-temperature",
    "humidity",
    "pressure",
    "rain",
    "equipment-state",
    "pm1",
    "laf",
]


def test_the_catalogue_holds_the_parameters_in_order():
    assert list(load_parameters()) == IDS


@pytest.mark.parametrize(
    ("parameter", "averaging"),
    [
        ("pm10", "arithmetic"),
        ("laeq", "energy"),
        ("lafmax", "maximum"),
        ("wind-direction", "vector"),
        ("rain", "sum"),
        ("equipment-state", "state"),
    ],
)
def test_each_parameter_says_how_it_is_averaged(parameter: str, averaging: str):
    assert load_parameters()[parameter].averaging == averaging


def test_no_registry_may_tell_of_a_level_that_no_instrument_could():
    (bound,) = (part for part in get_args(Level) if isinstance(part, msgspec.Meta))
    assert {(p.low, p.high) for p in load_parameters().values() if p.unit == "dB(A)"} == {(bound.ge, bound.le)}


@pytest.mark.parametrize("sentinel", [-9999.0, -999.0, -99.9, 999_999.0])
@pytest.mark.parametrize("parameter", IDS)
def test_sentinels_are_not_plausible(parameter: str, sentinel: float):
    row = load_parameters()[parameter]
    assert not row.low <= sentinel <= row.high


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("pm10", -3.0),
        ("tsp", 15_000.0),
        ("laeq", 17.0),
        ("laeq", 130.0),
        ("turbidity", -0.4),
        ("turbidity", 4_000.0),
        ("humidity", 100.9),
        ("pressure", 98.2),
        ("wind-direction", 360.0),
        ("flow", -0.02),
    ],
)
def test_what_instruments_do_report_is_plausible(parameter: str, value: float):
    row = load_parameters()[parameter]
    assert row.low <= value <= row.high


def test_pressure_in_hectopascals_is_not_plausible_as_kilopascals():
    assert load_parameters()["pressure"].high < 800


@pytest.mark.parametrize(
    ("parameter", "code"),
    [
        ("pm10", "a34002"),
        ("pm2.5", "a34004"),
        ("tsp", "a34001"),
        ("laeq", "Leq"),
        ("ph", "w01001"),
        ("nh3-n", "w21003"),
    ],
)
def test_codes_are_those_of_hj_212_annex_b(parameter: str, code: str):
    assert load_parameters()[parameter].hj212 == code


def test_no_two_parameters_share_a_code():
    codes = [parameter.hj212 for parameter in load_parameters().values()]
    assert sorted(set(codes)) == sorted(codes)


@pytest.mark.parametrize("parameter", IDS)
def test_each_parameter_is_documented(parameter: str):
    row = load_parameters()[parameter]
    assert f"| `{row.id}` | {row.name_en} {row.name_zh} | {row.unit} |" in DOCS.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('id = "pm2.5"', 'id = "pm10"', ["number 2", "the id 'pm10' is already that of number 1"]),
        ('id = "pm2.5"', 'id = "PM 2.5"', ["line 2", "'PM 2.5'", "lower-case"]),
        ('averaging = "energy"', 'averaging = "mean"', ['"laeq"', "'mean' is not one of 'arithmetic', 'energy'"]),
        ("low = 0\nhigh = 160", "low = 160\nhigh = 160", ['"laeq"', "low 160 must lie under high 160"]),
        ("low = 0\nhigh = 14\n", "low = nan\nhigh = 14\n", ['"ph"', "low: nan does not fit"]),
        ('unit = "NTU"\n', "", ['"turbidity"', "unit is missing; a text"]),
        ("frozen_minutes = 60 }", "frozen = 60 }", ["checks", "'frozen' is not a key", "nearest: 'frozen_minutes'"]),
        ("spike = 40", "spike = 0", ['"laeq"', "spike must be above 0"]),
        (
            "low = 0.3, high = 5000",
            "low = 0.3, high = 50000",
            ['"pm10"', "usual: low must lie under high, and both in"],
        ),
        ('mistaken = ["mg/m3", "ng/m3"]', 'mistaken = ["mg"]', ['"pm10"', "usual: mistaken: 'mg' cannot be converted"]),
        ("averaging", "averaging = = ", ["is not valid TOML", "line"]),
    ],
)
def test_a_fault_is_named_with_its_place_and_the_right_form(tmp_path: Path, old: str, new: str, expected: list[str]):
    text = CATALOGUE.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "parameters.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(DataFileError) as caught:
        load_parameters(path)
    for part in ["parameters.toml", *expected]:
        assert part in str(caught.value)


def test_a_file_saved_with_a_byte_order_mark_is_read(tmp_path: Path):
    path = tmp_path / "parameters.toml"
    path.write_bytes(b"\xef\xbb\xbf" + CATALOGUE.read_bytes())
    assert list(load_parameters(path)) == IDS


def test_a_single_table_in_place_of_an_array_is_a_fault(tmp_path: Path):
    path = tmp_path / "parameters.toml"
    path.write_text('[parameters]\nid = "pm10"\n', encoding="utf-8")
    with pytest.raises(DataFileError, match=r"parameters must be an array of tables; write \[\[parameters\]\]"):
        load_parameters(path)


def test_a_missing_file_is_one_fault(tmp_path: Path):
    with pytest.raises(DataFileError) as caught:
        load_parameters(tmp_path / "missing.toml")
    assert len(caught.value.faults) == 1
    assert "cannot be read" in caught.value.faults[0]


def test_a_file_in_another_encoding_is_one_fault(tmp_path: Path):
    path = tmp_path / "parameters.toml"
    path.write_bytes("# 粉尘".encode("gbk"))
    with pytest.raises(DataFileError) as caught:
        load_parameters(path)
    assert len(caught.value.faults) == 1
    assert "is not UTF-8 text" in caught.value.faults[0]
