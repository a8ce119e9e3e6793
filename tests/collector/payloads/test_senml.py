# ruff: noqa: UP031 - JSON is full of braces
from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.collector.payloads.decoder_cases import RECEIVED, Decode, Refused, Rows

T = RECEIVED
S = T // 1000
SHARED = Path(__file__).parents[3] / "../shared/data/mqtt"


@pytest.mark.parametrize(
    ("payload", "rows"),
    [
        ('[{"n":"current","u":"A","t":%d,"v":1.5}]' % S, [("pm10", T, 1.5, "N")]),
        ('[{"n":"current","t":%s,"v":1.5}]' % (S + 0.25), [("pm10", T + 250, 1.5, "N")]),
        ('[{"n":"current","v":1.5}]', [("pm10", T, 1.5, "N")]),
        ('[{"n":"current","t":-5.5,"v":1.5}]', [("pm10", T - 5500, 1.5, "N")]),
        ('[{"bn":"urn:mine:4:","bt":%d},{"n":"current","t":1,"v":1}]' % S, [("pm10", T + 1000, 1, "N")]),
        (
            '[{"bn":"mine/","bt":%d,"bv":10,"n":"current","v":1},{"n":"current","t":1,"v":2},{"bv":0,"n":"current",'
            '"t":2,"v":3}]' % S,
            [("pm10", T, 11, "N"), ("pm10", T + 1000, 12, "N"), ("pm10", T + 2000, 3, "N")],
        ),
        ('[{"n":"urn:dev:ow:10e2073a01080063","u":"Cel","v":23.1}]', [("air-temperature", T, 23.1, "N")]),
        ('[{"n":"water-temperature","u":"Cel","v":9}]', [("water-temperature", T, 9, "N")]),
        (
            '[{"n":"equipment-state","vb":true},{"n":"equipment-state","t":-1,"vb":false}]',
            [("equipment-state", T, 1, "N"), ("equipment-state", T - 1000, 0, "N")],
        ),
        ('[{"n":"current","v":1,"unheard":{"of":[]},"note":"a_"}]', [("pm10", T, 1, "N")]),
    ],
)
def test_resolves_a_pack(decode: Decode, payload: str, rows: Rows) -> None:
    assert decode("senml", [payload.encode()]) == (rows, [])


@pytest.mark.parametrize(
    ("payload", "refused"),
    [
        ('{"n":"current","v":1}', [("wrong-shape", 1)]),
        ('[{"n":"current","v":"1"}]', [("wrong-shape", 1)]),
        ('[{"n":"current","v":1,"bver":11}]', [("wrong-shape", 1)]),
        ('[{"n":"current","v":1},{"n":"current","v":1,"must_":0}]', [("wrong-shape", 2)]),
        ('[{"n":"current","v":1,"deep":%s}]' % ("[" * 100_000), [("too-deep", 1)]),
        ('[{"n":"current","v":1,"v":2}]', [("wrong-shape", 3)]),
        ("[]", [("empty", 1)]),
        ('[{"bn":"mine/","bt":1}]', [("empty", 1)]),
        ('[{"n":"voltage","v":1}]', [("unknown-parameter", 1)]),
        ("[{}]", [("unknown-parameter", 1)]),
        ('[{"n":"current","u":"V","v":1}]', [("unit", 1)]),
        ('[{"bu":"V","n":"current","v":1},{"n":"current","v":2}]', [("unit", 2)]),
        ('[{"n":"current","vs":"high"}]', [("not-a-number", 1)]),
        ('[{"n":"current","vb":true}]', [("not-a-number", 1)]),
        ('[{"n":"current","s":5}]', [("not-a-number", 1)]),
        ('[{"n":"current","t":1e308,"v":1}]', [("bad-time", 1)]),
        ('[{"bt":1e308,"n":"current","t":1e308,"v":1}]', [("bad-time", 1)]),
        ('[{"n":"current","t":300.001,"v":1}]', [("future", 1)]),
        ('[{"n":"current","t":300000000,"v":1}]', [("ancient", 1)]),
        ('[{"bv":1e308,"n":"current","v":1e308}]', [("not-finite", 1)]),
    ],
)
def test_rejects(decode: Decode, payload: str, refused: Refused) -> None:
    assert decode("senml", [payload.encode()]) == ([], refused)


def test_time_of_receipt_needs_leave(decode: Decode) -> None:
    payload = '[{"n":"pm10","v":1},{"n":"pm10","t":%d,"v":2}]' % S
    assert decode("senml-timed", [payload.encode()]) == ([("pm10", T, 2, "N")], [("no-time", 1)])


def test_it_cannot_carry_promised_flags(decode: Decode) -> None:
    payload = '[{"n":"pm10","t":%d,"v":1},{"n":"pm10","t":%d,"v":2}]' % (S, S + 1)
    assert decode("senml-flagged", [payload.encode()]) == ([], [("missing-flag", 2)])


@pytest.mark.skipif(not SHARED.exists(), reason="the shared examples are not here")
def test_the_example_of_the_standard(decode: Decode) -> None:
    example = json.loads((SHARED / "senml-rfc8428-multiple.json").read_text())
    expected = [
        ("pm10", round(record["t"] * 1000), record["v"], "N")
        for record in example["expected"]["records"]
        if record["n"].endswith("current")
    ]
    assert len(expected) == 6
    assert decode("senml", [example["payload"].encode()]) == (expected, [("unknown-parameter", 1)])
