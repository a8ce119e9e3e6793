"""Check sums, against values published elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenmine.collector.hj212.crc import CRC, crc_hj212, fitting, is_crc

VECTORS = Path(__file__).parents[3] / "../shared/data/hj212/crc-vectors.json"
ANNEX_A = b"QN=20160801085857223;ST=32;CN=1062;PW=100000;MN=010000A8900016F000169DC0;Flag=5;CP=&&RtdInterval=30&&"


@pytest.mark.parametrize(
    ("data", "crc"), [(ANNEX_A, "1C80"), (b"123456789", "2F80"), (b"A", "7080"), (b"", "FFFF")], ids=str
)
def test_the_standards_check_sum(data: bytes, crc: str) -> None:
    assert CRC["hj212"](data) == crc


def test_modbus_in_both_byte_orders() -> None:
    assert (CRC["modbus-high"](b"123456789"), CRC["modbus-low"](b"123456789")) == ("4B37", "374B")


@given(st.binary(max_size=1200))
def test_it_is_the_algorithm_of_annex_a_bit_by_bit(data: bytes) -> None:
    register = 0xFFFF
    for byte in data:
        register = (register >> 8) ^ byte
        for _ in range(8):
            low, register = register & 1, register >> 1
            register ^= 0xA001 * low
    assert crc_hj212(data) == register


@given(st.binary(min_size=1))
def test_its_low_byte_is_one_of_eight(data: bytes) -> None:
    assert crc_hj212(data) & 0xFF in {0x00, 0x01, 0x40, 0x41, 0x80, 0x81, 0xC0, 0xC1}


@pytest.mark.parametrize(
    ("given_", "variant"), [("1c80", "hj212"), ("0759", "modbus-high"), ("5907", "modbus-low"), ("0000", None)]
)
def test_the_variant_that_fits_is_named_for_diagnosis(given_: str, variant: str | None) -> None:
    assert fitting(ANNEX_A, given_) == variant


@pytest.mark.parametrize("text", ["1C8", "1C8G", "1C800", "+1C8", "１C80"])
def test_other_texts_are_no_check_sums(text: str) -> None:
    assert not is_crc(text)


@pytest.mark.skipif(not VECTORS.exists(), reason="the shared data is not here")
def test_published_vectors() -> None:
    vectors = json.loads(VECTORS.read_text())["vectors"]
    assert {v["data"]: v["hj212"] for v in vectors} == {v["data"]: CRC["hj212"](v["data"].encode()) for v in vectors}
    modbus = [v for v in vectors if "modbus" in v]
    assert [v["modbus"] for v in modbus] == [CRC["modbus-high"](v["data"].encode()) for v in modbus]
    assert len(modbus) > 1
