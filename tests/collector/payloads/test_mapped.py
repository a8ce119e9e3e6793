"""Payloads of other makers' devices: what a mapping makes of them, and what becomes of hostile ones."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenmine.collector.payloads.content import ELEMENTS
from greenmine.collector.payloads.payload import BatchBuilder
from greenmine.registry import Registry
from greenmine.settings import Settings
from tests.collector.payloads.decoder_cases import RECEIVED, Refused, Rows
from tests.collector.payloads.mapped_cases import profile, written_registry

PAGE = (Path(__file__).parents[3] / "docs" / "profiles.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```(?:json|text) (\S+) readings=(\d+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
DOCUMENTED = "".join(
    block.split("[[devices]]")[0] for block in re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
)


@pytest.fixture
def registry(tmp_path: Path) -> Callable[..., Registry]:
    """A registry of profiles, and of devices: each with its profile, parameters and further keys."""

    def make(profiles: str, **devices: tuple[str, list[str], str]) -> Registry:
        return written_registry(tmp_path, profiles, devices)

    return make


@pytest.fixture
def read(registry: Callable[..., Registry]) -> Callable[..., tuple[Rows, Refused]]:
    """What a payload becomes with a mapping for pm10 and others."""

    def run(
        mapping: str, payload: Any, *, parameters: tuple[str, ...] = ("pm10",), **words: Any
    ) -> tuple[Rows, Refused]:
        made = registry(profile(mapping, **words), d=("p", list(parameters), ""))
        builder = BatchBuilder(made, Settings())
        content = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        builder.add("greenmine/v1/pit/d/readings", content, RECEIVED)
        return outcome(made, builder)

    return run


def outcome(registry: Registry, builder: BatchBuilder) -> tuple[Rows, Refused]:
    batch = builder.finish()
    columns = (batch.readings.channel, batch.readings.time, batch.readings.value, batch.readings.flag)
    rows: Rows = [
        (registry.channels[channel].parameter.id, time, None if math.isnan(value) else value, chr(flag))
        for channel, time, value, flag in zip(*(column.tolist() for column in columns), strict=True)
    ]
    return rows, [(rejection.reason, rejection.readings) for rejection in batch.rejections]


PM10 = 'values = [{ parameter = "pm10", value = "p", unit = "ug/m3" }]'
TIMED = 'time = "t"\n' + PM10
N = "N"


@pytest.mark.parametrize(("name", "readings", "payload"), EXAMPLES)
def test_the_examples_of_the_page_become_readings(
    registry: Callable[..., Registry], name: str, readings: str, payload: str
) -> None:
    text = DOCUMENTED[DOCUMENTED.index(f'id = "{name}"') :].split("[[profiles]]")[0]
    parameters = re.findall(r'parameter = "(\S+)"', text)
    made = registry("[[profiles]]\n" + text, d=(name, parameters, 'address = "202"'))
    builder = BatchBuilder(made, Settings())
    builder.add("greenmine/v1/pit/d/readings", payload.encode(), RECEIVED)
    rows, refused = outcome(made, builder)
    assert (len(rows), refused) == (int(readings), [])


def test_all_profiles_of_the_page_are_sound(registry: Callable[..., Registry]) -> None:
    ids = re.findall(r'^id = "(\S+)"', DOCUMENTED, re.MULTILINE)
    assert len(ids) == 12
    assert set(ids) <= registry(DOCUMENTED, d=("lora-dust", ["pm10"], 'address = "x"')).profiles.keys()


@pytest.mark.parametrize(
    ("sent", "value"),
    [(5, 5.0), (5.5, 5.5), ("35.67", 35.67), (" -1e2 ", -100.0), (".5", 0.5), ("7.", 7.0), ([4], 4.0), (0, 0.0)],
)
def test_a_number_may_be_a_text_or_the_only_one_of_a_list(
    read: Callable[..., tuple[Rows, Refused]], sent: Any, value: float
) -> None:
    assert read(PM10, {"p": sent}) == ([("pm10", RECEIVED, value, N)], [])


@pytest.mark.parametrize(
    ("sent", "reason", "readings"),
    [
        ("12 ug", "not-a-number", 1),
        ("1_000", "not-a-number", 1),
        ("nan", "not-a-number", 1),
        ("", "not-a-number", 1),
        ("9" * 65, "not-a-number", 1),
        ("１２", "not-a-number", 1),
        (True, "not-a-number", 1),
        ({"v": 1}, "not-a-number", 1),
        ([[1]], "not-a-number", 1),
        ([1, 2, 3], "wrong-shape", 3),
        ("1e300", "not-finite", 1),
        (10**400, "not-finite", 1),
        ("1e999", "not-finite", 1),
        ([None], "null-without-flag", 1),
        (None, "empty", 1),
        ([], "empty", 1),
    ],
)
def test_what_is_no_number_is_rejected(
    read: Callable[..., tuple[Rows, Refused]], sent: Any, reason: str, readings: int
) -> None:
    assert read(PM10, {"p": sent}) == ([], [(reason, readings)])


@pytest.mark.parametrize(
    ("form", "sent", "instant"),
    [
        ("iso", "2026-11-22T02:00:00Z", RECEIVED),
        ("iso", "2026-11-22T10:00:00+0800", RECEIVED),
        ("iso", "2026-11-22 10:00:00", RECEIVED),
        ("iso", "2026-11-22T02:00:00.123456789Z", RECEIVED + 123),
        ("s", RECEIVED // 1000, RECEIVED),
        ("s", f"{RECEIVED // 1000}.5", RECEIVED + 500),
        ("ms", RECEIVED, RECEIVED),
        ("ms", str(RECEIVED), RECEIVED),
        ("%d.%m.%Y %H:%M:%S", "22.11.2026 10:00:00", RECEIVED),
        ("%Y%m%d%H%M%S%z", "20261122020000+0000", RECEIVED),
    ],
)
def test_times_are_read_in_their_form_and_zone(
    read: Callable[..., tuple[Rows, Refused]], form: str, sent: Any, instant: int
) -> None:
    mapping = f'time_form = "{form}"\n{TIMED}'
    assert read(mapping, {"t": sent, "p": 1}, zone="Asia/Shanghai") == ([("pm10", instant, 1.0, N)], [])


@pytest.mark.parametrize(
    ("form", "sent"),
    [
        ("iso", RECEIVED),
        ("iso", "yesterday"),
        ("iso", "2026-11-22T10:00:00Z/2026-11-22T11:00:00Z"),
        ("iso", True),
        ("iso", {}),
        ("s", "soon"),
        ("s", 1e300),
        ("s", False),
        ("ms", 10**400),
        ("%d.%m.%Y %H:%M", "2026-11-22T10:00"),
    ],
)
def test_what_is_no_time_of_the_form_is_rejected(
    read: Callable[..., tuple[Rows, Refused]], form: str, sent: Any
) -> None:
    mapping = f'time_form = "{form}"\n{TIMED}'
    assert read(mapping, {"t": sent, "p": 1}, zone="UTC") == ([], [("bad-time", 1)])


@pytest.mark.parametrize(("form", "sent"), [("iso", "2026-11-22T10:00:00"), ("%d.%m.%Y %H:%M", "22.11.2026 10:00")])
def test_a_time_without_offset_needs_a_zone(read: Callable[..., tuple[Rows, Refused]], form: str, sent: str) -> None:
    mapping = f'time_form = "{form}"\n{TIMED}'
    assert read(mapping, {"t": sent, "p": 1}) == ([], [("no-zone", 1)])


@pytest.mark.parametrize(("period", "instant"), [("start", RECEIVED - 3_600_000), ("end", RECEIVED)])
def test_an_interval_is_stamped_as_the_profile_says(
    read: Callable[..., tuple[Rows, Refused]], period: str, instant: int
) -> None:
    sent = "2026-11-22T01:00:00Z/2026-11-22T02:00:00Z"
    mapping = f'period = "{period}"\n{TIMED}'
    assert read(mapping, {"t": sent, "p": 1}) == ([("pm10", instant, 1.0, N)], [])


def test_without_a_time_the_profile_must_allow_that_of_receipt(read: Callable[..., tuple[Rows, Refused]]) -> None:
    assert read(TIMED, {"p": 1}, receive=False) == ([], [("no-time", 1)])


COLUMNS = 'time_form = "ms"\nflag = "f"\n' + TIMED


@pytest.mark.parametrize(
    ("payload", "rows", "refused"),
    [
        (
            {"t": [RECEIVED - 1, RECEIVED], "p": [1, None], "f": ["N", "D"]},
            [("pm10", RECEIVED - 1, 1.0, "N"), ("pm10", RECEIVED, None, "D")],
            [],
        ),
        ({"t": [RECEIVED], "p": [1, 2]}, [], [("lengths-differ", 2)]),
        ({"t": [RECEIVED, RECEIVED], "p": [1, 2], "f": ["N"]}, [], [("lengths-differ", 2)]),
        ({"t": [RECEIVED, "x"], "p": [1, 2]}, [("pm10", RECEIVED, 1.0, "N")], [("bad-time", 1)]),
        ({"t": [RECEIVED, RECEIVED], "p": [1, "x"]}, [("pm10", RECEIVED, 1.0, "N")], [("not-a-number", 1)]),
        ({"t": [], "p": [1]}, [], [("lengths-differ", 1)]),
    ],
)
def test_columns_have_a_time_for_each_value(
    read: Callable[..., tuple[Rows, Refused]], payload: Any, rows: Rows, refused: Refused
) -> None:
    assert read(COLUMNS, payload) == (rows, refused)


@pytest.mark.parametrize(
    ("mapping", "sent", "rows", "refused"),
    [
        ('flag = "f"', {"f": "M"}, [("pm10", RECEIVED, 1.0, "M")], []),
        ('flag = "f"', {}, [("pm10", RECEIVED, 1.0, "N")], []),
        ('flag = "f"', {"f": "ok"}, [], [("bad-flag", 1)]),
        ('flag = "f"', {"f": {}}, [], [("bad-flag", 1)]),
        ('flag = "f"\nflags = { ok = "N", 0 = "D", true = "C" }', {"f": "ok"}, [("pm10", RECEIVED, 1.0, "N")], []),
        ('flag = "f"\nflags = { ok = "N", 0 = "D", true = "C" }', {"f": 0}, [("pm10", RECEIVED, 1.0, "D")], []),
        ('flag = "f"\nflags = { ok = "N", 0 = "D", true = "C" }', {"f": True}, [("pm10", RECEIVED, 1.0, "C")], []),
        ('flag = "f"\nflags = { ok = "N", 0 = "D", true = "C" }', {"f": "N"}, [], [("bad-flag", 1)]),
    ],
)
def test_flags_are_those_of_the_profile(
    read: Callable[..., tuple[Rows, Refused]], mapping: str, sent: dict[str, Any], rows: Rows, refused: Refused
) -> None:
    assert read(f"{mapping}\n{PM10}", {"p": 1} | sent) == (rows, refused)


def test_a_device_that_promises_flags_must_send_them(read: Callable[..., tuple[Rows, Refused]]) -> None:
    mapping = f'flag = "f"\n{PM10}'
    assert read(mapping, {"p": 1}, flags=True) == ([], [("missing-flag", 1)])


VALUE = 'values = [{{ parameter = "{}", value = "p", {} }}]'


@pytest.mark.parametrize(
    ("parameter", "more", "payload", "value", "flag"),
    [
        ("pm10", 'unit = "mg/m3"', {"p": 0.25}, 250.0, "N"),
        ("pm10", 'unit = "ug/m3", scale = 0.1', {"p": 337}, 33.7, "N"),
        ("air-temperature", 'unit = "degF", scale = 0.1', {"p": 2120}, 100.0, "N"),
        ("air-temperature", 'unit_from = "u", units = { F = "degF", C = "degC" }', {"p": 212, "u": "F"}, 100.0, "N"),
        ("air-temperature", 'unit_from = "u", units = { F = "degF", C = "degC" }', {"p": 212, "u": "C"}, 212.0, "N"),
        ("equipment-state", 'unit = "1"', {"p": True}, 1.0, "N"),
        ("pm10", 'unit = "ug/m3", sentinels = { "-1" = "D" }', {"p": 1}, 1.0, "N"),
    ],
)
def test_a_value_means_what_the_profile_says(
    read: Callable[..., tuple[Rows, Refused]],
    parameter: str,
    more: str,
    payload: Any,
    value: float,
    flag: str,
) -> None:
    ((_, _, found, letter),), refused = read(VALUE.format(parameter, more), payload, parameters=(parameter,))
    assert refused == []
    assert found == pytest.approx(value, rel=1e-12)
    assert letter == flag


@pytest.mark.parametrize(
    ("more", "payload", "flag"),
    [
        ('sentinels = { "-1" = "D" }', {"p": "-1.00"}, "D"),
        ('sentinels = { "-1.0" = "D" }', {"p": -1}, "D"),
        ('sentinels = { nan = "F" }', {"p": "nan"}, "F"),
        ('sentinels = { nan = "F" }, flag = "f"', {"p": "nan", "f": "M"}, "M"),
    ],
)
def test_what_stands_for_no_value_is_kept_empty_with_its_flag(
    read: Callable[..., tuple[Rows, Refused]], more: str, payload: Any, flag: str
) -> None:
    mapping = VALUE.format("pm10", f'unit = "ug/m3", {more}')
    assert read(mapping, payload) == ([("pm10", RECEIVED, None, flag)], [])


@pytest.mark.parametrize("unit", ["K", "degC", "", None, 5, [], "m**9**9**9"])
def test_a_unit_that_the_profile_does_not_know_is_rejected(
    read: Callable[..., tuple[Rows, Refused]], unit: Any
) -> None:
    mapping = VALUE.format("air-temperature", 'unit_from = "u", units = { C = "degC" }')
    assert read(mapping, {"p": 1, "u": unit}, parameters=("air-temperature",)) == ([], [("unit", 1)])


def test_only_what_the_device_has_is_read(read: Callable[..., tuple[Rows, Refused]]) -> None:
    mapping = """values = [
      { parameter = "pm10", value = "p", unit = "ug/m3" },
      { parameter = "pm2.5", value = "q.nothing(p)", unit = "ug/m3" },
    ]"""
    mapping = mapping.replace("q.nothing(p)", "q")
    assert read(mapping, {"p": 1, "q": "no number"}) == ([("pm10", RECEIVED, 1.0, N)], [])


def test_a_message_without_readings_may_be_as_it_should_be(read: Callable[..., tuple[Rows, Refused]]) -> None:
    assert read(f'ignore = "!(a.b)"\n{PM10}', {"a": 1}) == ([], [])


def test_what_is_not_to_be_ignored_is_rejected(read: Callable[..., tuple[Rows, Refused]]) -> None:
    assert read(f'ignore = "!(a.b)"\n{PM10}', {"a": {"b": 0}}) == ([], [("empty", 1)])


@pytest.mark.parametrize(
    ("samples", "reason"),
    [(None, "empty"), ([], "empty"), ({"p": 1}, "wrong-shape"), ("x", "wrong-shape"), ([1, "x", None], "empty")],
)
def test_samples_are_a_list(read: Callable[..., tuple[Rows, Refused]], samples: Any, reason: str) -> None:
    assert read(f'samples = "s"\n{PM10}', {"s": samples}) == ([], [(reason, 1)])


def test_a_bad_sample_spoils_no_other(read: Callable[..., tuple[Rows, Refused]]) -> None:
    samples = [{"t": RECEIVED, "p": 1}, {"t": "x", "p": 2}, {"p": 3}, {"t": RECEIVED + 9, "p": "4"}, {}]
    rows, refused = read(f'samples = "@"\ntime_form = "ms"\n{TIMED}', samples, receive=False)
    assert rows == [("pm10", RECEIVED, 1.0, N), ("pm10", RECEIVED + 9, 4.0, N)]
    assert sorted(refused) == [("bad-time", 1), ("no-time", 1)]


BINARY = """
[profiles.mapping.binary]
source = "d"
encoding = "{encoding}"
order = "{order}"
records = [
  {{ tag = "01", parts = [{{ name = "a", type = "s16" }}] }},
  {{ tag = "02", skip = 2 }},
]
"""
DECODED = 'values = [{ parameter = "pm10", value = "binary.a", unit = "ug/m3" }]'


@pytest.mark.parametrize(
    ("encoding", "order", "sent", "value"),
    [
        ("hex", "little", "01feff", -2.0),
        ("hex", "big", "01feff", -257.0),
        ("base64", "little", "Af7/", -2.0),
        ("hex", "little", "02ffff010100", 1.0),
    ],
)
def test_numbers_are_read_out_of_records(
    read: Callable[..., tuple[Rows, Refused]], encoding: str, order: str, sent: str, value: float
) -> None:
    mapping = DECODED + BINARY.format(encoding=encoding, order=order)
    assert read(mapping, {"d": sent}) == ([("pm10", RECEIVED, value, N)], [])


@pytest.mark.parametrize("sent", ["03", "01", "0102", "02ff", "0102030", "xx", 5, [], {}, True])
def test_records_that_cannot_be_read_are_rejected(read: Callable[..., tuple[Rows, Refused]], sent: Any) -> None:
    mapping = DECODED + BINARY.format(encoding="hex", order="little")
    assert read(mapping, {"d": sent}) == ([], [("wrong-shape", 1)])


def test_a_frame_of_hj212_that_is_damaged_is_rejected(read: Callable[..., tuple[Rows, Refused]]) -> None:
    mapping = 'payload = "hj212"\n' + PM10
    assert read(mapping, b"##0010QN=1;CN=2011&&0000") == ([], [("wrong-shape", 1)])


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"[" * 100_000, "too-deep"),
        (b'{"p":' * 100_000, "too-deep"),
        (b'{"p":[' + b"1," * ELEMENTS + b"1]}", "too-large"),
        (b"\xff", "not-utf8"),
        (b"{", "not-json"),
        (b"", "not-json"),
        (b"NaN", "not-json"),
        (b'{"p":' + b"9" * 100_000 + b"}", "wrong-shape"),
        (b"5", "empty"),
        (b'"p"', "empty"),
        (b"null", "empty"),
        (b"[]", "empty"),
    ],
)
def test_a_hostile_payload_is_one_rejection(
    read: Callable[..., tuple[Rows, Refused]], payload: bytes, reason: str
) -> None:
    assert read(PM10, payload) == ([], [(reason, 1)])


ODD = (
    "to_string(p)",
    "sum(p)",
    "sort(p)",
    "max_by(p, &a)",
    "ceil(p)",
    "join(',', p)",
    "items(p)",
    "p[?a > `1`].b",
    "merge(p, @)",
    "map(&abs(a), p)",
    "reverse(p)",
    "length(p)",
    "not_null(p, @)",
    "p[::0]",
)
ANY_UNIT = "u || 'a'"
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just(10**18),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["p", "a", "t", "f", "d"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@pytest.fixture
def odd(registry: Callable[..., Registry]) -> BatchBuilder:
    """Devices whose expressions use what fails on odd data."""
    words = 'samples = "s"\ntime = "t"\nflag = "f"\nflags = {{ a = "D" }}\nignore = "{0}"\n'
    profiles = "".join(
        profile(
            (words.format(text) if number % 2 else 'time = "t"\ntime_form = "s"\n')
            + f'values = [{{ parameter = "pm10", value = "{text}", unit_from = "{ANY_UNIT}", units = {{ a = "ug/m3" }} }}]'
            + BINARY.format(encoding="base64", order="big"),
            name=f"p{number}",
        )
        for number, text in enumerate(ODD)
    )
    made = registry(profiles, **{f"d{number}": (f"p{number}", ["pm10"], "") for number in range(len(ODD))})
    return BatchBuilder(made, Settings())


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, len(ODD) - 1), JSON, st.booleans()), max_size=4))
def test_whatever_an_expression_returns_is_taken_or_rejected(
    odd: BatchBuilder, messages: list[tuple[int, Any, bool]]
) -> None:
    for number, document, listed in messages:
        content = {"s": [document], "p": document} if listed else document
        odd.add(f"greenmine/v1/pit/d{number}/readings", json.dumps(content).encode(), RECEIVED)
    batch = odd.finish()
    assert batch.messages == len(messages)
    assert all(rejection.readings >= 1 and rejection.detail for rejection in batch.rejections)
    assert len({(r.message, r.reason) for r in batch.rejections}) == len(batch.rejections)
    assert (abs(batch.readings.value[batch.readings.value == batch.readings.value]) < 1e9).all()


TOPICS = profile(PM10, name="a", topics='["plant/{address}/up"]') + profile(
    'address = "id"\n' + PM10, name="b", topics='["events"]'
)


@pytest.mark.parametrize(
    ("topic", "payload", "device", "reason"),
    [
        ("plant/one/up", {"p": 1}, "one", None),
        ("plant/two/up", {"p": 1}, None, "unknown-device"),
        ("plant/one/down", {"p": 1}, None, "unknown-topic"),
        ("own/place", {"p": 1}, "three", None),
        ("plant/three/up", {"p": 1}, None, "unknown-device"),
        ("events", {"p": 1, "id": 17}, "two", None),
        ("events", {"p": 1, "id": "17"}, "two", None),
        ("events", {"p": 1, "id": 18}, None, "unknown-device"),
        ("events", {"p": 1, "id": 17.0}, None, "unknown-device"),
        ("events", {"p": 1}, None, "unknown-device"),
        ("events", [], None, "unknown-device"),
        ("greenmine/v1/pit/one/readings", {"p": 1}, "one", None),
        ("greenmine/v1/pit/nobody/readings", {"p": 1}, None, "unknown-device"),
        ("plant/one/up", {"p": "x"}, "one", "not-a-number"),
    ],
)
def test_a_message_is_of_the_device_that_its_topic_or_payload_names(
    registry: Callable[..., Registry], topic: str, payload: Any, device: str | None, reason: str | None
) -> None:
    made = registry(
        TOPICS,
        one=("a", ["pm10"], 'address = "one"'),
        two=("b", ["pm10"], 'address = "17"'),
        three=("a", ["pm10"], 'address = "three"\ntopics = ["own/place"]'),
    )
    builder = BatchBuilder(made, Settings())
    builder.add(topic, json.dumps(payload).encode(), RECEIVED)
    batch = builder.finish()
    assert batch.devices == ([] if device is None else [("pit", device)])
    assert [rejection.reason for rejection in batch.rejections] == ([] if reason is None else [reason])
    assert [r.device for r in batch.rejections if device] == ([] if reason is None or device is None else [device])
    assert len(batch.readings) == (reason is None)


def test_a_payload_that_should_tell_the_device_and_is_none_is_rejected(registry: Callable[..., Registry]) -> None:
    made = registry(TOPICS, two=("b", ["pm10"], 'address = "17"'))
    builder = BatchBuilder(made, Settings())
    for content in (b"{", b"\xff", b"[" * 100_000, b'"x",' * ELEMENTS):
        builder.add("events", content, RECEIVED)
    reasons = [rejection.reason for rejection in builder.finish().rejections]
    assert reasons == ["not-json", "not-utf8", "too-deep", "too-large"]


def test_values_are_told_apart_by_the_topic(registry: Callable[..., Registry]) -> None:
    values = """values = [
      { parameter = "pm10", name = "big", value = "@", unit = "ug/m3" },
      { parameter = "pm2.5", name = "small", value = "@", unit = "ug/m3" },
    ]"""
    made = registry(
        profile(values, topics='["{address}/{name}/state"]'), d=("p", ["pm10", "pm2.5"], 'address = "node"')
    )
    builder = BatchBuilder(made, Settings())
    for topic, payload in (("node/big/state", b"9"), ("node/small/state", b"4"), ("node/other/state", b"1")):
        builder.add(topic, payload, RECEIVED)
    rows, refused = outcome(made, builder)
    assert rows == [("pm10", RECEIVED, 9.0, N), ("pm2.5", RECEIVED, 4.0, N)]
    assert refused == [("unknown-device", 1)]


@pytest.mark.parametrize(
    ("spoken", "payload", "reasons"),
    [
        ("p", b'{"p": 1}', ["no-time"]),
        ("p", b'{"p": 1, "t": "2026-11-22T10:00:00+08:00"}', []),
        ("board", b'{"pm10": 1}', ["no-time"]),
        ("board", b'{"ts": 1795312800000, "values": {"pm10": 1}}', []),
        ("senml", b'[{"n": "pm10", "v": 1}]', ["no-time"]),
        ("senml", b'[{"n": "pm10", "v": 1, "t": 1795312800}]', []),
    ],
)
def test_a_retained_message_has_no_time_of_receipt(
    registry: Callable[..., Registry], spoken: str, payload: bytes, reasons: list[str]
) -> None:
    others = """
    [[profiles]]
    id = "board"
    format = "thingsboard"
    zone = "UTC"
    interval = "1s"
    sends_flags = false
    receive_time = true
    units = { pm10 = "ug/m3" }
    """
    profiles = profile(TIMED) + others + others.replace('"board"', '"senml"').replace('"thingsboard"', '"senml"')
    builder = BatchBuilder(registry(profiles, d=(spoken, ["pm10"], "")), Settings())
    builder.add("greenmine/v1/pit/d/readings", payload, RECEIVED + 5, retained=True)
    batch = builder.finish()
    assert [rejection.reason for rejection in batch.rejections] == reasons
    assert batch.readings.time.tolist() == [RECEIVED] * (1 - len(reasons))
