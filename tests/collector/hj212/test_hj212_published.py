"""Every frame that was found published decodes as its source, or the standard, says."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from greenmine.collector.hj212.crc import Variant
from greenmine.collector.hj212.dialect import Dialect
from greenmine.collector.hj212.document import FrameDocument, describe, encode_document
from greenmine.collector.hj212.frame import Frame, Framer, read_line

FILE = Path(__file__).parents[3] / "../shared/data/hj212/frames.jsonl"
FRAMES = [json.loads(line) for line in FILE.read_text().splitlines()] if FILE.exists() else []
VARIANTS: dict[str, Variant] = {"modbus, high byte first": "modbus-high", "modbus, low byte first": "modbus-low"}
IGNORES_CHECKS = {"pub-002", "pub-004", "pub-005", "pub-009"}
"""Their sources take them although length or check sum is wrong; by HJ 212-2017, clause 6, they are not executed."""

pytestmark = pytest.mark.skipif(not FRAMES, reason="the shared data is not here")


def ids(chosen: list[dict[str, Any]]) -> list[str]:
    return [entry["id"] for entry in chosen]


def decoded(frame: Frame, dialect: Dialect | None = None) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(msgspec.json.encode(describe(frame, dialect or Dialect())))
    return found


def line_of(entry: dict[str, Any]) -> dict[str, Any]:
    return decoded(read_line(entry["frame"].encode()))


def pairs(found: dict[str, Any]) -> dict[str, Any]:
    """Values and flags by name, as the sources write them."""
    return {f"{value['code']}-{value['kind']}": value["value"] for value in found["values"]} | {
        f"{value['code']}-Flag": value["flag"] for value in found["values"] if value["flag"]
    }


def test_all_frames_are_here() -> None:
    assert len(FRAMES) == 125


@pytest.mark.parametrize("entry", FRAMES, ids=ids(FRAMES))
def test_length_and_check_sum_are_judged_as_published(entry: dict[str, Any]) -> None:
    found = line_of(entry)
    assert found["ok"] is bool(entry["length_ok"] and entry["crc_ok"])
    assert (found["length"] or {}).get("actual") == entry["length_actual"]
    assert (found["length"] or {}).get("declared") == entry["length_declared"]
    assert (found["crc"] or {}).get("given") == entry["crc_given"]
    assert (found["crc"] or {}).get("computed") == entry["crc_hj212"]


@pytest.mark.parametrize("entry", FRAMES, ids=ids(FRAMES))
def test_a_stream_gives_what_the_line_gives(entry: dict[str, Any]) -> None:
    framer = Framer()
    (frame,) = framer.feed(entry["frame"].encode()) + framer.close()
    found, line = decoded(frame), line_of(entry)
    del found["deviations"], line["deviations"]
    assert found == line


OTHER = [entry for entry in FRAMES if entry["crc_variant"] in VARIANTS]


@pytest.mark.parametrize("entry", OTHER, ids=ids(OTHER))
def test_a_frame_with_the_check_sum_of_modbus_is_sound_only_where_the_profile_says_so(entry: dict[str, Any]) -> None:
    variant = VARIANTS[entry["crc_variant"]]
    assert variant in line_of(entry)["text"]
    dialect = Dialect(crc=variant)
    assert decoded(read_line(entry["frame"].encode(), dialect), dialect)["ok"]


SAID = [entry for entry in FRAMES if "peer_accepts" in (entry["expected"] or {}) and entry["id"] not in IGNORES_CHECKS]


@pytest.mark.parametrize("entry", SAID, ids=ids(SAID))
def test_a_frame_is_taken_where_its_source_takes_it(entry: dict[str, Any]) -> None:
    assert line_of(entry)["ok"] is entry["expected"]["peer_accepts"]


TAKEN = [entry for entry in FRAMES if entry["id"] in IGNORES_CHECKS]


@pytest.mark.parametrize("entry", TAKEN, ids=ids(TAKEN))
def test_a_frame_whose_length_or_check_sum_is_wrong_is_not_sound_although_its_source_does_not_check(
    entry: dict[str, Any],
) -> None:
    assert line_of(entry)["error"] in {"length", "crc"}


EXPECTED: dict[str, dict[str, Any]] = {
    "pub-004": {"w01018-Rtd": 6.5, "w01001-Rtd": 25.3},
    "pub-009": {"B01-Rtd": 36.91, "011-Rtd": 231.0, "011-Flag": "N", "060-Rtd": 1.803, "060-Flag": "N"},
    "pub-017": {"w01001-Rtd": 8.33, "w01014-Rtd": 1425, "w21003-Rtd": 0.09055002, "w23002-Flag": "N"},
    "pub-037": {"B01-Rtd": 36.91, "011-Rtd": 231.0, "011-Flag": "N", "060-Rtd": 1.803, "060-Flag": "N"},
    "pub-044": {"w01008-SampleTime": "20231008132300", "w01008-Rtd": 123.456},
    "pub-045": {"w01010-Avg": 28.4, "w01019-Avg": 1.022},
    "pub-047": {"a34004-Avg": 14, "a34002-Avg": 31, "a01007-Avg": 1, "a01007-Flag": "N"},
    "pub-068": {"a34004-Avg": 2.1, "a34004-Min": 1.8, "a34004-Max": 2.5, "a34004-Cou": 10.5},
    "pub-071": {"w01001-Rtd": 7.5, "w01001-Flag": "N", "w01018-Rtd": 25.3, "w21003-Rtd": 1.2},
    "pub-013": {"a01005-Avg": None, "a01005-Flag": "B", "a34004-Avg": 0.0123},
    "pub-111": {"i11001-Info": "//时间校准//"},
}


@pytest.mark.parametrize("name", EXPECTED)
def test_values_are_those_of_the_source(name: str) -> None:
    (entry,) = [entry for entry in FRAMES if entry["id"] == name]
    found = pairs(line_of(entry))
    assert {key: found[key] for key in EXPECTED[name]} == EXPECTED[name]


HEADERS: dict[str, dict[str, Any]] = {
    "pub-002": {"cn": "9011", "version": 2017},
    "pub-004": {"cn": "2011", "st": "32", "mn": "88888880000001"},
    "pub-009": {"st": "32", "cn": "2011", "mn": "LD130133000015", "time": "2016-08-24T00:38:17+08:00"},
    "pub-017": {"qn": "20210301111100112", "st": "21", "version": 2025, "time": "2021-03-01T11:11:00+08:00"},
    "pub-036": {"version": 2025, "cn": "1011"},
    "pub-039": {"cn": "2061", "st": "22"},
    "pub-041": {"cn": "9014", "qn": "20260706103512345"},
    "pub-070": {"pnum": 3, "pno": 1, "flag": {"answer": True, "split": True, "number": 7}},
    "pub-071": {"version": 2017, "flag": {"answer": True, "split": False, "number": 5}},
    "pub-123": {"fields": [{"name": "QN", "value": "20040516010101001"}, {"name": "CN", "value": "2051"}]},
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers_are_those_of_the_source(name: str) -> None:
    (entry,) = [entry for entry in FRAMES if entry["id"] == name]
    found = line_of(entry)
    assert {key: found[key] for key in HEADERS[name]} == HEADERS[name]


@pytest.mark.parametrize(
    ("tag", "deviation"),
    [
        ("lower-case-crc", "lower-case-crc"),
        ("bad-time", "bad-time"),
        ("empty-mn", "no-mn"),
        ("flag-mismatch", "split-without-numbers"),
        ("flag-m", "unknown-data-flag"),
        ("no-cp", "no-cp"),
        ("odd-key", "odd-code"),
        ("odd-suffix", "unknown-kind"),
        ("prefix", "leading-junk"),
        ("short-qn", "bad-qn"),
        ("ST101", "bad-st"),
        ("vendor", "unknown-name"),
        ("comma-sep", "mixed-group"),
    ],
)
def test_what_the_collectors_of_the_frames_noticed_is_a_deviation(tag: str, deviation: str) -> None:
    tagged = [entry for entry in FRAMES if tag in entry["tags"]]
    assert tagged
    assert [entry["id"] for entry in tagged if deviation not in line_of(entry)["deviations"]] == []


@pytest.mark.parametrize("entry", FRAMES, ids=ids(FRAMES))
def test_no_password_is_shown(entry: dict[str, Any]) -> None:
    _, _, rest = entry["frame"].partition("PW=")
    password = rest.partition(";")[0].partition("&")[0] or "no password"
    text = json.dumps(line_of(entry))
    assert f"PW={password}" not in text
    assert f'"{password}"' not in text


HIDING = {"pub-091"}
"""It carries a new password, which decoding hides."""
SOUND = [entry for entry in FRAMES if entry["length_ok"] and entry["crc_ok"] and entry["id"] not in HIDING]


@pytest.mark.parametrize("entry", SOUND, ids=ids(SOUND))
def test_encoding_is_the_inverse_of_decoding(entry: dict[str, Any]) -> None:
    raw = entry["frame"][entry["frame"].index("##") :].rstrip("\r\n")
    password = raw.partition("PW=")[2].partition(";")[0]
    text = msgspec.json.encode(describe(read_line(raw.encode())))
    again = encode_document(msgspec.json.Decoder(FrameDocument, float_hook=Decimal).decode(text), password)
    assert again.decode() == raw[:-4] + raw[-4:].upper() + "\r\n"
