"""The page on HJ 212 names everything that decoding may say, and its example is true."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from greenmine.collector.hj212.codes import codes
from greenmine.collector.hj212.crc import Variant
from greenmine.collector.hj212.deviation import Deviation, Fault
from greenmine.collector.hj212.document import FrameDocument, describe
from greenmine.collector.hj212.frame import read_line
from greenmine.collector.hj212.message import Reason
from greenmine.collector.hj212.server.counters import ServerCounters
from greenmine.entries import LoggerProfile
from tests.collector.hj212.hj212_frames import frame

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/hj212.md").read_text()
NAMES = [*Deviation, *Fault, *get_args(Reason), *get_args(Variant), *FrameDocument.__struct_fields__]
EXAMPLE = (
    b"QN=20160801085857223;ST=39;CN=2011;PW=123456;MN=010000A8900016F000169DC0;Flag=5;CP=&&"
    b"DataTime=20160801085857;a34002-Rtd=52.10,a34002-Flag=N;LA-Rtd=--,LA-Flag=D&&"
)


@pytest.mark.parametrize("name", sorted(set(NAMES)))
def test_a_name_is_explained(name: str) -> None:
    assert f"`{name}`" in PAGE


def test_the_example_is_what_is_printed() -> None:
    (text,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert json.loads(text) == json.loads(msgspec.json.encode(describe(read_line(frame(EXAMPLE)))))


def test_the_table_of_codes_is_that_of_the_code() -> None:
    rows = set(re.findall(r"^\| `(\w+)` \| (?:`(\w+)`)? ?\| `([\w.-]+)` \|", PAGE, re.MULTILINE))
    old = {factor.successor: factor.code for factor in codes(2005).factors}
    new = [factor for factor in codes(2017).factors if factor.parameter and factor.successor is None]
    assert rows == {(factor.code, old.get(factor.code, ""), factor.parameter) for factor in new}


@pytest.mark.parametrize("name", sorted(ServerCounters().figures()))
def test_a_counter_of_the_server_is_documented(name: str) -> None:
    assert f"`{name}`" in PAGE


@pytest.mark.parametrize("name", LoggerProfile.__struct_fields__)
def test_a_key_of_a_logger_profile_is_documented(name: str) -> None:
    assert f"| `{name}` |" in (ROOT / "docs/registry.md").read_text()
