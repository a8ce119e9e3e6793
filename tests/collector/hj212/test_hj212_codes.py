"""The code tables, against our parameters."""

from __future__ import annotations

import pytest

from greenmine.collector.hj212.codes import VERSIONS, Version, codes
from greenmine.parameters import load_parameters

PARAMETERS = load_parameters()
NO_FACTOR = {"equipment-state"}


@pytest.mark.parametrize("parameter", sorted(PARAMETERS.keys() - NO_FACTOR))
def test_a_parameter_is_found_by_the_code_that_its_catalogue_names(parameter: str) -> None:
    factor = codes(VERSIONS[-1]).by_code[PARAMETERS[parameter].hj212]
    assert factor.parameter == parameter


@pytest.mark.parametrize(
    ("old", "new"), [("B01", "w00000"), ("001", "w01001"), ("003", "w01012"), ("011", "w01018"), ("060", "w21003")]
)
def test_an_old_code_is_the_parameter_of_its_successor(old: str, new: str) -> None:
    factor, successor = codes(2005).by_code[old], codes(2017).by_code[new]
    assert factor.successor == new
    assert factor.parameter == successor.parameter is not None


def test_every_successor_exists() -> None:
    successors = [factor.successor for factor in codes(2025).factors if factor.successor]
    assert [code for code in successors if code not in codes(2017).by_code] == []
    assert len(successors) == 10


def test_every_parameter_of_a_factor_exists() -> None:
    named = {factor.parameter for factor in codes(2025).factors} - {None}
    assert named == PARAMETERS.keys() - NO_FACTOR


@pytest.mark.parametrize("version", VERSIONS)
def test_no_code_stands_twice(version: Version) -> None:
    assert len(codes(version).by_code) == len(codes(version).factors)


@pytest.mark.parametrize(
    ("code", "versions"),
    [("2051", [2005, 2017, 2025]), ("1063", [2017, 2025]), ("2052", [2025]), ("9015", [2025]), ("3015", [2017])],
)
def test_a_command_belongs_to_its_editions(code: str, versions: list[int]) -> None:
    assert [version for version in VERSIONS if code in codes(version).commands] == versions


def test_the_returns_and_systems_of_2017() -> None:
    table = codes(2017)
    assert (table.request_returns["9"], table.execution_returns["100"]) == ("CRC wrong", "no data")
    assert table.systems["39"] == "construction-site dust source"
    assert set(table.flags) == set("NFMSDCTB")


@pytest.mark.parametrize(("code", "largest"), [("a34002", 999.999), ("a01008", 9999.0), ("w01003", None)])
def test_the_largest_number_of_a_type(code: str, largest: float | None) -> None:
    factor = codes(VERSIONS[-1]).by_code[code]
    assert factor.largest == largest
