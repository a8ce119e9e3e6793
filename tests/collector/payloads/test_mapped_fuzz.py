"""20,000 mutated payloads of shipped profiles: each is taken, ignored or counted, and good ones between them are unharmed."""

from __future__ import annotations

import random
import resource
from collections import Counter
from pathlib import Path

from greenmine.batch import Batch
from greenmine.collector.payloads.payload import BatchBuilder
from greenmine.settings import Settings
from tests.collector.payloads.decoder_cases import RECEIVED
from tests.collector.payloads.mapped_cases import written_registry

COUNT = 20_000
BATCH = 1_000
MEMORY_KB = 100_000

PROFILES = """
[[profiles]]
id = "tasmota-local"
based_on = "tasmota"
zone = "Asia/Shanghai"

[[profiles]]
id = "lora"
based_on = "chirpstack-v4"
interval = "10min"
[profiles.mapping]
values = [{ parameter = "pm10", value = "object.pm10", unit = "ug/m3" }]

[[profiles]]
id = "datastreams"
based_on = "sensorthings"
interval = "60s"
[profiles.mapping]
values = [{ parameter = "pm10", name = "1", value = "result", unit = "ug/m3" }]

[[profiles]]
id = "own"
format = "greenmine"
zone = "UTC"
interval = "1s"
sends_flags = false
units = { pm10 = "ug/m3" }
"""
DEVICES = {
    "tasmota": ("tasmota-local", ["pm10", "air-temperature", "pressure"], 'address = "a"'),
    "airrohr": ("airrohr", ["pm10", "laeq", "humidity"], 'address = "a"'),
    "esphome": ("esphome", ["pm10"], 'address = "a"'),
    "airgradient": ("airgradient", ["pm10", "pm1"], 'address = "a"'),
    "lora": ("lora", ["pm10"], 'address = "a"'),
    "sounds": ("milesight-ws302", ["laeq", "lafmax"], 'address = "b"'),
    "weather": ("milesight-wts506", ["pressure", "wind-speed"], 'address = "c"'),
    "things": ("datastreams", ["pm10"], ""),
    "own": ("own", ["pm10"], ""),
}
GOOD: tuple[tuple[str, bytes], ...] = (
    (
        "tele/a/SENSOR",
        (
            b'{"Time":"2026-11-22T10:00:00","BME280":{"Temperature":20.5,"Pressure":977.0},"SDS0X1":{"PM10":5.8},'
            b'"PressureUnit":"hPa","TempUnit":"C"}'
        ),
    ),
    (
        "airrohr/a",
        (
            b'{"esp8266id":12,"sensordatavalues":[{"value_type":"SDS_P1","value":"35.67"},'
            b'{"value_type":"DNMS_noise_LAeq","value":"-1.0"},{"value_type":"BME280_humidity","value":"66.73"}]}'
        ),
    ),
    ("a/sensor/pm_10/state", b"23.4"),
    ("airgradient/readings/a", b'{"wifi":-46,"pm01":3,"pm02":7,"pm10":8}'),
    ("application/x/device/a/event/up", b'{"time":"2026-11-22T02:00:00+00:00","object":{"pm10":"13.25"}}'),
    ("application/x/device/b/event/up", b'{"time":"2026-11-22T02:00:00Z","data":"AXVkBVsFPwLaAWoC"}'),
    ("v3/x/devices/c/up", b'{"received_at":"2026-11-22T02:00:00Z","uplink_message":{"frm_payload":"BnNPJweSAQA="}}'),
    ("v1.1/Datastreams(1)/Observations", b'{"phenomenonTime":"2026-11-22T02:00:00.000Z","result":21.6}'),
)
TOKENS = (
    b"null",
    b"true",
    b"[]",
    b"{}",
    b'""',
    b"1e999",
    b"-1",
    b"9" * 400,
    b"[" * 3000,
    b'"2026"',
    b"\xff",
    b"\0",
    b",",
    b"NaN",
)


def mutated(chance: random.Random, payload: bytes) -> bytes:
    """A payload with some bytes changed, cut, doubled, or hostile ones put in."""
    for _ in range(chance.randrange(1, 4)):
        place, end = sorted(chance.randrange(len(payload) + 1) for _ in range(2))
        payload = chance.choice(
            (
                payload[:place] + bytes([chance.randrange(256)]) + payload[place + 1 :],
                payload[:place] + payload[end:],
                payload[:end] + payload[place:],
                payload[:place] + chance.choice(TOKENS) + payload[end:],
                payload[:place],
            )
        )
    return payload


def own(sequence: int) -> bytes:
    return b'{"v":1,"seq":%d,"time":%d,"values":{"pm10":1}}' % (sequence, RECEIVED)


def test_20000_mutated_payloads_of_shipped_profiles(tmp_path: Path) -> None:
    builder = BatchBuilder(written_registry(tmp_path, PROFILES, DEVICES), Settings())
    chance = random.Random(212)
    reasons: Counter[str] = Counter()
    unharmed: list[int] = []

    def account(batch: Batch) -> None:
        reasons.update(rejection.reason for rejection in batch.rejections)
        assert all(rejection.detail and rejection.readings >= 1 for rejection in batch.rejections)
        sequence = batch.message_seq[batch.message]
        unharmed.extend(sequence[sequence >= 0].tolist())

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(COUNT):
        topic, payload = chance.choice(GOOD)
        builder.add(topic, mutated(chance, payload), RECEIVED)
        builder.add("greenmine/v1/pit/own/readings", own(number), RECEIVED)
        if len(builder) >= BATCH:
            account(builder.finish())
    account(builder.finish())
    assert unharmed == list(range(COUNT))
    expected = {
        "not-json",
        "not-utf8",
        "wrong-shape",
        "too-deep",
        "empty",
        "no-time",
        "bad-time",
        "unit",
        "not-a-number",
    }
    assert expected <= reasons.keys()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY_KB


def test_the_payloads_that_are_mutated_are_sound(tmp_path: Path) -> None:
    builder = BatchBuilder(written_registry(tmp_path, PROFILES, DEVICES), Settings())
    for topic, payload in GOOD:
        builder.add(topic, payload, RECEIVED)
    batch = builder.finish()
    assert batch.rejections == []
    assert set(batch.message.tolist()) == set(range(len(GOOD)))
