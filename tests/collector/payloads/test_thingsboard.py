# ruff: noqa: UP031 - JSON is full of braces
from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.collector.payloads.decoder_cases import RECEIVED, Decode, Refused, Rows

T = RECEIVED
SHARED = Path(__file__).parents[3] / "../shared/data/mqtt"


@pytest.mark.parametrize(
    ("payload", "rows"),
    [
        (
            '{"temperature":42,"humidity":73.5}',
            [("air-temperature", T, 42, "N"), ("humidity", T, 73.5, "N")],
        ),
        ('{"ts":%d,"values":{"humidity":73}}' % (T - 1), [("humidity", T - 1, 73, "N")]),
        (
            '[{"ts":%d,"values":{"humidity":73}},{"humidity":74},{"ts":%d,"values":{}}]' % (T - 1, T),
            [("humidity", T - 1, 73, "N"), ("humidity", T, 74, "N")],
        ),
        ('{"equipment-state":true}', [("equipment-state", T, 1, "N")]),
    ],
)
def test_takes_every_form(decode: Decode, payload: str, rows: Rows) -> None:
    assert decode("board", [payload.encode()]) == (rows, [])


@pytest.mark.parametrize(
    ("payload", "refused"),
    [
        ("7", [("wrong-shape", 1)]),
        ("[[]]", [("wrong-shape", 1)]),
        ('{"ts":%d,"values":[1]}' % T, [("wrong-shape", 1)]),
        ("{}", [("empty", 1)]),
        ("[]", [("empty", 1)]),
        ('{"ts":"noon","values":{"humidity":1}}', [("bad-time", 1)]),
        ('{"ts":true,"values":{"humidity":1}}', [("bad-time", 1)]),
        ('{"ts":%d,"values":{"humidity":1}}' % 10**40, [("bad-time", 1)]),
        ('{"ts":1,"values":{"humidity":1}}', [("ancient", 1)]),
        ('{"ts":%d,"values":{"humidity":1}}' % (T * 1000), [("future", 1)]),
        ('{"humidity":"73"}', [("not-a-number", 1)]),
        ('{"humidity":true}', [("not-a-number", 1)]),
        ('{"humidity":{"a":[1]}}', [("not-a-number", 1)]),
        ('{"humidity":%d}' % 10**400, [("not-finite", 1)]),
        ('{"humidity":null}', [("null-without-flag", 1)]),
        ('{"battery":3.6,"rssi":-71}', [("unknown-parameter", 2)]),
        ('{"humidity":%s}' % ("[" * 100_000), [("too-deep", 1)]),
    ],
)
def test_rejects(decode: Decode, payload: str, refused: Refused) -> None:
    assert decode("board", [payload.encode()]) == ([], refused)


def test_an_empty_entry_without_a_time_stands_for_no_reading(decode: Decode) -> None:
    payload = '[{},{"ts":%d,"values":{"pm10":5}}]' % T
    assert decode("board-timed", [payload.encode()]) == ([("pm10", T, 5, "N")], [])


def test_time_of_receipt_needs_leave(decode: Decode) -> None:
    payload = '[{"pm10":1},{"ts":%d,"values":{"pm10":2}}]' % T
    assert decode("board-timed", [payload.encode()]) == ([("pm10", T, 2, "N")], [("no-time", 1)])


def test_it_cannot_carry_promised_flags(decode: Decode) -> None:
    assert decode("board-flagged", [b'{"pm10":1}']) == ([], [("missing-flag", 1)])


@pytest.mark.skipif(not SHARED.exists(), reason="the shared examples are not here")
@pytest.mark.parametrize(
    ("name", "time"), [("thingsboard-flat.json", RECEIVED), ("thingsboard-ts-values.json", 1451649600512)]
)
def test_the_examples_of_the_vendor(decode: Decode, name: str, time: int) -> None:
    example = json.loads((SHARED / name).read_text())
    expected = [("air-temperature", time, 42, "N"), ("humidity", time, 73, "N")]
    assert decode("board", [example["payload"].encode()]) == (expected, [])
