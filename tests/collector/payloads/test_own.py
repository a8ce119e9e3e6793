# ruff: noqa: UP031 - JSON is full of braces
from __future__ import annotations

import pytest

from tests.collector.payloads.decoder_cases import RECEIVED, Decode, Refused, Rows

T = RECEIVED


@pytest.mark.parametrize(
    ("payload", "rows"),
    [
        ('{"v":1,"time":%d,"values":{"pm10":81.2}}' % T, [("pm10", T, 81.2, "N")]),
        ('{"v":1,"time":"2026-11-22T10:00:00","values":{"pm10":81}}', [("pm10", T, 81.0, "N")]),
        ('{"v":1,"time":"2026-11-22T02:00:00Z","values":{"pm10":81}}', [("pm10", T, 81.0, "N")]),
        (
            '{"v":1,"seq":7,"time":%d,"values":{"pm10":81.2,"laeq":null},"flags":{"laeq":"D"}}' % T,
            [("pm10", T, 81.2, "N"), ("laeq", T, None, "D")],
        ),
        (
            '{"v":1,"start":%d,"step":1000,"columns":{"pm10":[1,2],"laeq":[3,4]},"flags":{"laeq":"NM"}}' % (T - 1000),
            [("pm10", T - 1000, 1, "N"), ("pm10", T, 2, "N"), ("laeq", T - 1000, 3, "N"), ("laeq", T, 4, "M")],
        ),
        (
            '{"v":1,"start":"2026-11-22T09:59:59","step":1000,"columns":{"pm10":[1,2]}}',
            [("pm10", T - 1000, 1, "N"), ("pm10", T, 2, "N")],
        ),
        (
            '{"v":1,"times":[%d,"2026-11-22T02:00Z"],"columns":{"pm10":[1.5,null]},"flags":{"pm10":"NB"}}' % (T - 5),
            [("pm10", T - 5, 1.5, "N"), ("pm10", T, None, "B")],
        ),
        ('{"v":1,"time":%d,"values":{"pm10":1e5}}' % (T + 300_000), [("pm10", T + 300_000, 1e5, "N")]),
    ],
)
def test_takes_what_is_right(decode: Decode, payload: str, rows: Rows) -> None:
    assert decode("plain", [payload.encode()]) == (rows, [])


@pytest.mark.parametrize(
    ("payload", "refused"),
    [
        ("", [("not-json", 1)]),
        ('{"v":1,"time":%d,"values":{"pm10":81.2}' % T, [("not-json", 1)]),
        ('{"v":1,"time":%d,"values":{"pm10":81.2,"tsp":9,"pm10":18.2}}' % T, [("wrong-shape", 3)]),
        ('{"v":1,"time":%d,"values":{"pm10":NaN}}' % T, [("not-json", 1)]),
        ('{"v":2,"time":%d,"values":{"pm10":81.2}}' % T, [("wrong-shape", 1)]),
        ('{"time":%d,"values":{"pm10":81.2}}' % T, [("wrong-shape", 1)]),
        ('{"v":1,"values":{"pm10":81.2}}', [("wrong-shape", 1)]),
        ('{"v":1,"time":%d,"values":{"pm10":"81.2"}}' % T, [("wrong-shape", 1)]),
        ('{"v":1,"time":%d,"values":{"pm10":true}}' % T, [("wrong-shape", 1)]),
        ('{"v":1,"time":%d,"values":{"pm10":1e999}}' % T, [("wrong-shape", 1)]),
        ('{"v":1,"time":%d,"values":{"pm10":1},"flag":{}}' % T, [("wrong-shape", 1)]),
        ('{"v":1,"seq":-1,"time":%d,"values":{"pm10":1}}' % T, [("wrong-shape", 1)]),
        ('{"v":1,"time":%d,"values":{"pm10":1}}' % 10**30, [("wrong-shape", 1)]),
        ('{"v":1,"start":%d,"step":0,"columns":{"pm10":[1]}}' % T, [("wrong-shape", 1)]),
        ('{"v":1,"time":%d,"values":{}}' % T, [("empty", 1)]),
        ('{"v":1,"times":[],"columns":{"pm10":[]}}', [("empty", 1)]),
        ('{"v":1,"start":%d,"step":1,"columns":{}}' % T, [("empty", 1)]),
        ('{"v":1,"times":[%d],"columns":{"pm10":[1,2],"laeq":[3]}}' % T, [("lengths-differ", 3)]),
        ('{"v":1,"start":%d,"step":1,"columns":{"pm10":[1,2],"laeq":[3]}}' % T, [("lengths-differ", 3)]),
        ('{"v":1,"times":[%d],"columns":{"pm10":[1]},"flags":{"pm10":"NN"}}' % T, [("lengths-differ", 1)]),
        ('{"v":1,"time":%d,"values":{"pm10":1},"flags":{"laeq":"D"}}' % T, [("bad-flag", 1)]),
        ('{"v":1,"time":"noon","values":{"pm10":1,"laeq":2}}', [("bad-time", 2)]),
        ('{"v":1,"start":"noon","step":1,"columns":{"pm10":[1,2]}}', [("bad-time", 2)]),
        ('{"v":1,"time":%d,"values":{"pm10":1}}' % (T + 300_001), [("future", 1)]),
        ('{"v":1,"time":946684799999,"values":{"pm10":1}}', [("ancient", 1)]),
        ('{"v":1,"time":0,"values":{"pm10":1}}', [("ancient", 1)]),
    ],
)
def test_rejects_a_message(decode: Decode, payload: str, refused: Refused) -> None:
    assert decode("plain", [payload.encode()]) == ([], refused)


@pytest.mark.parametrize(
    ("values", "flags", "refused"),
    [
        ('"pm99":1', "", [("unknown-parameter", 1)]),
        ('"laeq":1e308', "", [("not-finite", 1)]),
        ('"laeq":-1e9', "", [("not-finite", 1)]),
        ('"laeq":null', "", [("null-without-flag", 1)]),
        ('"laeq":null', '"laeq":"N"', [("null-without-flag", 1)]),
        ('"laeq":50', '"laeq":"X"', [("bad-flag", 1)]),
        ('"laeq":50', '"laeq":"正"', [("bad-flag", 1)]),
        ('"laeq":50', '"laeq":"NN"', [("bad-flag", 1)]),
        ('"laeq":50', '"laeq":""', [("bad-flag", 1)]),
    ],
)
def test_rejects_one_reading_and_takes_the_rest(decode: Decode, values: str, flags: str, refused: Refused) -> None:
    payload = '{"v":1,"time":%d,"values":{"pm10":81.2,%s},"flags":{%s}}' % (T, values, flags)
    assert decode("plain", [payload.encode()]) == ([("pm10", T, 81.2, "N")], refused)


def test_rejects_single_readings_of_columns_by_reason(decode: Decode) -> None:
    payload = (
        '{"v":1,"times":[%d,"noon",0,%d],"columns":{"pm10":[1,2,3,4],"laeq":[50,51,52,1e300],"dew":[1,2,3,4]},'
        '"flags":{"laeq":"正NNN"}}' % (T, T + 10**9)
    )
    rows, refused = decode("plain", [payload.encode()])
    assert rows == [("pm10", T, 1, "N")]
    assert sorted(refused) == sorted(
        [("unknown-parameter", 4), ("bad-flag", 1), ("bad-time", 2), ("ancient", 2), ("not-finite", 1), ("future", 1)]
    )


@pytest.mark.parametrize(
    ("payload", "rows", "refused"),
    [
        ('{"v":1,"time":%d,"values":{"pH":7.1},"flags":{}}' % T, [("ph", T, 7.1, "N")], []),
        ('{"v":1,"time":%d,"values":{"pH":7.1},"flags":{"pH":"M"}}' % T, [("ph", T, 7.1, "M")], []),
        ('{"v":1,"time":%d,"values":{"pH":7.1}}' % T, [], [("missing-flag", 1)]),
        ('{"v":1,"start":%d,"step":1,"columns":{"pH":[7.1,7.2]}}' % T, [], [("missing-flag", 2)]),
        ('{"v":1,"time":%d,"values":{"ph":7.1},"flags":{}}' % T, [], [("unknown-parameter", 1)]),
    ],
)
def test_a_device_that_promises_flags_must_send_them(
    decode: Decode, payload: str, rows: Rows, refused: Refused
) -> None:
    assert decode("flagged", [payload.encode()]) == (rows, refused)


def test_values_come_in_canonical_units(decode: Decode) -> None:
    rows, _ = decode("flagged", [b'{"v":1,"time":%d,"values":{"water-temperature":59},"flags":{}}' % T])
    assert rows == [("water-temperature", T, pytest.approx(15.0, abs=1e-12), "N")]
