"""Messages with a signature behind them: whose it is, and what becomes of those without."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from greenmine.batch import Batch
from greenmine.collector.payloads.payload import BatchBuilder
from greenmine.collector.payloads.signature import sealing, sign
from greenmine.loading import load_registry
from greenmine.registry import Registry, RegistryError
from greenmine.settings import Settings
from tests.processing.mine import DAY, HOUR, at, registry_of

TOPIC = "greenmine/v1/mine/homes/readings"
NOON = at("2026-03-04T12:00")
KEY, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2))


def keyed(folder: Path, *terms: str, device: str = "homes") -> Registry:
    """The mine, with keys of a device."""
    registry_of(folder)
    path = folder / "sites" / "mine.toml"
    head, _, tail = path.read_text().partition(f'[[devices]]\nid = "{device}"\n')
    path.write_text(f'{head}[[devices]]\nid = "{device}"\nkeys = [{", ".join(terms)}]\n{tail}')
    return load_registry(folder)


def term(key: Ed25519PrivateKey, first: str, last: str | None = None) -> str:
    public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    return f'{{ public = "{public}", valid_from = {first}' + ("" if last is None else f", valid_to = {last}") + " }"


def payload(time: int, value: float = 81.2, seq: int = 1) -> bytes:
    return b'{"v": 1, "seq": %d, "time": %d, "values": {"pm10": %r}, "flags": {}}' % (seq, time, value)


def taken(registry: Registry, message: bytes, received: int = NOON, topic: str = TOPIC) -> Batch:
    builder = BatchBuilder(registry, Settings())
    builder.add(topic, message, received)
    return builder.finish()


def test_a_signed_message_is_taken_and_comes_with_its_batch(tmp_path: Path) -> None:
    registry = keyed(tmp_path, term(KEY, "2026-01-01"))
    batch = taken(registry, sign(TOPIC, payload(NOON), KEY))
    (signed,) = batch.signed
    assert batch.rejections == []
    assert (signed.device, signed.sequence, signed.start, signed.end) == ("homes", 1, NOON, NOON)
    assert (signed.payload, len(signed.signature)) == (payload(NOON), 64)


@pytest.mark.parametrize(
    ("message", "topic", "reason"),
    [
        (payload(NOON), TOPIC, "unsigned"),
        (sign(TOPIC, payload(NOON), OTHER), TOPIC, "bad-signature"),
        (sign(TOPIC, payload(NOON), KEY).replace(b"81.2", b"41.2"), TOPIC, "bad-signature"),
        (sign("greenmine/v1/mine/fence/readings", payload(NOON), KEY), TOPIC, "bad-signature"),
        (sign(TOPIC, payload(NOON), KEY)[:-4], TOPIC, "unsigned"),
    ],
    ids=["unsigned", "another key", "edited", "another topic", "cut"],
)
def test_what_no_key_of_the_device_signed_is_rejected_whole(
    tmp_path: Path, message: bytes, topic: str, reason: str
) -> None:
    batch = taken(keyed(tmp_path, term(KEY, "2026-01-01")), message, topic=topic)
    (rejection,) = batch.rejections
    assert (rejection.reason, rejection.payload, len(batch.readings), batch.signed) == (reason, message, 0, [])


def test_a_key_holds_from_its_first_day_to_its_last_by_the_clock_of_the_mine(tmp_path: Path) -> None:
    registry = keyed(tmp_path, term(KEY, "2026-03-04", "2026-03-04"), term(OTHER, "2026-03-05"))
    midnight = at("2026-03-04T00:00")
    by_day = {
        "before": taken(registry, payload(midnight - 1000), midnight - 1),
        "first": taken(registry, sign(TOPIC, payload(midnight), KEY), midnight),
        "last": taken(registry, sign(TOPIC, payload(midnight), KEY), midnight + DAY - 1),
        "after": taken(registry, sign(TOPIC, payload(midnight), KEY), midnight + DAY),
        "next": taken(registry, sign(TOPIC, payload(midnight), OTHER), midnight + DAY),
    }
    assert {when: len(batch.readings) for when, batch in by_day.items()} == {
        "before": 1, "first": 1, "last": 1, "after": 0, "next": 1,
    }  # fmt: skip
    assert [when for when, batch in by_day.items() if batch.signed] == ["first", "last", "next"]


def test_a_backlog_is_kept_once_for_each_local_day_of_its_readings(tmp_path: Path) -> None:
    times = [at("2026-02-01T23:59"), at("2026-03-03T23:59"), at("2026-03-04T00:00"), NOON - HOUR]
    body = b'{"v": 1, "times": %s, "columns": {"pm10": [1.0, 2.0, 3.0, 4.0]}, "flags": {}}' % str(times).encode()
    batch = taken(keyed(tmp_path, term(KEY, "2026-01-01")), sign(TOPIC, body, KEY))
    assert [(one.start, one.end) for one in batch.signed] == [
        (times[0], times[0]),
        (times[1], times[1]),
        (times[2], times[3]),
    ]


def test_a_signature_of_a_device_without_a_key_says_nothing(tmp_path: Path) -> None:
    batch = taken(registry_of(tmp_path), sign(TOPIC, payload(NOON), KEY))
    assert (len(batch.readings), batch.signed, batch.rejections) == (1, [], [])


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        (term(KEY, "2026-03-04", "2026-03-03"), "valid_to 2026-03-03 comes before valid_from 2026-03-04"),
        ('{ public = "short", valid_from = 2026-01-01 }', "public"),
    ],
)
def test_a_key_that_is_none_or_ends_before_it_begins_is_a_fault_of_the_registry(
    tmp_path: Path, entry: str, fault: str
) -> None:
    with pytest.raises(RegistryError, match=fault):
        keyed(tmp_path, entry)


def _pem(key: Ed25519PrivateKey | X25519PrivateKey) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def test_a_key_of_a_file_signs_and_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(_pem(KEY))
    assert sealing(path)(TOPIC, b"{}") == sign(TOPIC, b"{}", KEY)
    for content in (b"nonsense", _pem(X25519PrivateKey.generate())):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"key\.pem: is"):
            sealing(path)
