from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenmine.collector.payloads.payload import BatchBuilder
from greenmine.registry import Registry
from greenmine.settings import Settings
from tests.collector.payloads.decoder_cases import PROFILES, RECEIVED, Decode

TOPIC = "greenmine/v1/pit/plain/readings"


def single(time: int, value: float, sequence: int | None = None) -> bytes:
    return json.dumps({"v": 1, "seq": sequence, "time": time, "values": {"pm10": value}}).encode()


@pytest.mark.parametrize(
    ("topic", "reason", "site", "device"),
    [
        ("greenmine/v1/pit/nobody/readings", "unknown-device", "pit", "nobody"),
        ("greenmine/v1/elsewhere/plain/readings", "unknown-device", "elsewhere", "plain"),
        (f"greenmine/v1/pit/{'x' * 200}/readings", "unknown-device", "pit", "x" * 80),
        ("greenmine/v1/pit/plain/status", "unknown-topic", "", ""),
        ("greenmine/v2/pit/plain/readings", "unknown-topic", "", ""),
        ("", "unknown-topic", "", ""),
    ],
)
def test_a_topic_must_name_a_device(builder: BatchBuilder, topic: str, reason: str, site: str, device: str) -> None:
    builder.add(topic, single(RECEIVED, 1), RECEIVED)
    batch = builder.finish()
    (rejection,) = batch.rejections
    assert (rejection.reason, rejection.site, rejection.device, rejection.topic) == (reason, site, device, topic)
    assert batch.message_device.tolist() == [-1]
    assert batch.devices == []


def test_a_payload_beyond_the_limit_is_not_decoded(registry: Registry) -> None:
    builder = BatchBuilder(registry, Settings(payload_limit=100))
    good = single(RECEIVED, 1).ljust(100)
    builder.add(TOPIC, good, RECEIVED)
    builder.add(TOPIC, good + b" ", RECEIVED)
    batch = builder.finish()
    (rejection,) = batch.rejections
    assert len(batch.readings) == 1
    assert (rejection.reason, rejection.size, rejection.payload) == ("too-large", 101, good + b" ")


def test_bad_utf8_is_told_from_bad_json(decode: Decode) -> None:
    payloads = [
        b'{"v":1,"time":1,"values":{"pm\xff10":1}}',
        b"\xff",
        b"{",
        b'{"v":1,"time":"\xc3(","values":{"pm10":1}}',
    ]
    _, refused = decode("plain", payloads)
    assert refused == [("not-utf8", 1), ("not-utf8", 1), ("not-json", 1), ("not-utf8", 1)]


def test_a_batch_says_for_each_message_what_came_of_it(builder: BatchBuilder, registry: Registry) -> None:
    builder.add(TOPIC, single(RECEIVED, 1, 5), RECEIVED)
    builder.add("greenmine/v1/pit/nobody/readings", single(RECEIVED, 1, 6), RECEIVED + 1)
    builder.add("greenmine/v1/pit/board/readings", b'{"humidity":50,"battery":3}', RECEIVED + 2)
    builder.add(TOPIC, b'{"v":1,"seq":7,"start":%d,"step":9,"columns":{"pm10":[1,2,1e99]}}' % RECEIVED, RECEIVED + 3)
    builder.add(TOPIC, b'{"v":1,"seq":8,"time":%d,"values":{}}' % RECEIVED, RECEIVED + 4)
    builder.add(TOPIC, b"{", RECEIVED + 5)
    assert len(builder) == 6
    batch = builder.finish()
    assert batch.messages == 6
    assert batch.message.tolist() == [0, 2, 3, 3]
    assert [registry.channels[c].parameter.id for c in batch.readings.channel] == ["pm10", "humidity", "pm10", "pm10"]
    assert [batch.devices[d] for d in batch.message_device[[0, 2, 3, 4, 5]]] == [
        ("pit", name) for name in ("plain", "board", "plain", "plain", "plain")
    ]
    assert batch.message_device[1] == -1
    assert batch.message_seq.tolist() == [5, -1, -1, 7, 8, -1]
    assert batch.message_received.tolist() == [RECEIVED + i for i in range(6)]
    assert batch.message_bytes[5] == 1
    assert [(r.message, r.reason, r.readings) for r in batch.rejections] == [
        (1, "unknown-device", 1),
        (2, "unknown-parameter", 1),
        (3, "not-finite", 1),
        (4, "empty", 1),
        (5, "not-json", 1),
    ]
    assert batch.received == 9


def test_batches_do_not_share_anything(builder: BatchBuilder) -> None:
    builder.add(TOPIC, single(RECEIVED, 1), RECEIVED)
    first = builder.finish()
    builder.add(TOPIC, b"{", RECEIVED)
    second = builder.finish()
    third = builder.finish()
    assert (len(first.readings), len(first.rejections)) == (1, 0)
    assert (len(second.readings), len(second.rejections)) == (0, 1)
    assert (third.messages, third.received, third.devices) == (0, 0, [])


NAMES = st.sampled_from(["pm10", "laeq", "equipment-state", "current", "humidity", "temperature", "pH", "x", ""])
NUMBERS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just([])
TIMES = st.sampled_from([RECEIVED, RECEIVED / 1000, 0, -1, 2**53, 10**30, "2026-11-22T10:00", "x", None, 1e308])
FLAGS = st.text("NFMSDCTBX正", max_size=3)
LIKE_READINGS: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {},
    optional={
        "v": st.sampled_from([1, 1, 1, 2, 0.5]),
        "seq": st.integers(),
        "time": TIMES,
        "times": st.lists(TIMES, max_size=3),
        "start": TIMES,
        "step": st.integers(-1, 2**40),
        "values": st.dictionaries(NAMES, NUMBERS, max_size=3),
        "columns": st.dictionaries(NAMES, st.lists(NUMBERS, max_size=3), max_size=3),
        "flags": st.dictionaries(NAMES, FLAGS, max_size=3),
        "ts": TIMES,
        "bn": NAMES,
        "bt": TIMES,
        "bv": NUMBERS,
        "n": NAMES,
        "t": TIMES,
        "u": NAMES,
        "vb": NUMBERS,
        "x_": NUMBERS,
        "humidity": NUMBERS,
    },
)
PAYLOADS = st.binary(max_size=200) | (LIKE_READINGS | st.lists(LIKE_READINGS, max_size=3)).map(
    lambda data: json.dumps(data, ensure_ascii=False).encode()
)


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from([profile.id for profile in PROFILES]), PAYLOADS), max_size=4))
def test_whatever_comes_is_taken_or_rejected(builder: BatchBuilder, messages: list[tuple[str, bytes]]) -> None:
    for device, payload in messages:
        builder.add(f"greenmine/v1/pit/{device}/readings", payload, RECEIVED)
    batch = builder.finish()
    accounted = set(batch.message.tolist()) | {rejection.message for rejection in batch.rejections}
    assert accounted == set(range(len(messages)))
    assert all(rejection.readings >= 1 and rejection.detail for rejection in batch.rejections)
    assert len({(r.message, r.reason) for r in batch.rejections}) == len(batch.rejections)
    assert (batch.readings.time <= RECEIVED + 300_000).all()
    assert (abs(batch.readings.value[batch.readings.value == batch.readings.value]) < 1e9).all()


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["pm10", "laeq", "x"]),
            st.sampled_from([1.0, 1e300, None]),
            st.sampled_from("NDX"),
        ),
        min_size=1,
        max_size=30,
    ),
    st.sampled_from([RECEIVED, RECEIVED + 10**7, 0]),
)
def test_the_account_of_columns_adds_up(
    builder: BatchBuilder, cells: list[tuple[str, float | None, str]], time: int
) -> None:
    columns: dict[str, list[float | None]] = {}
    flags: dict[str, str] = {}
    rows = len(cells)
    for name, value, flag in cells:
        columns.setdefault(name, [value] * rows)
        flags.setdefault(name, flag * rows)
    message = {"v": 1, "times": [time] * rows, "columns": columns, "flags": flags}
    builder.add(TOPIC, json.dumps(message).encode(), RECEIVED)
    assert builder.finish().received == rows * len(columns)
