"""100,000 mutated payloads: each is counted with its reason, and the good ones between them are unharmed."""

from __future__ import annotations

import random
import resource
from collections import Counter
from collections.abc import Callable

from greenmine.batch import Batch
from greenmine.collector.payloads.payload import BatchBuilder
from greenmine.collector.payloads.reasons import Reason
from tests.collector.payloads.decoder_cases import RECEIVED

COUNT = 100_000
BATCH = 2_000
MEMORY_KB = 100_000

OWN = b'{"v":1,"seq":%d,"time":%d,"values":{"pm10":%s}}'
HUGE = b'{"v":1,"time":1,"values":{"pm10":1}}'.ljust(10_000_000)
DEEP = b'{"humidity":' + b"[" * 50_000

Mutation = Callable[[random.Random, int], tuple[str, bytes]]


def own(seq: int, time: int = RECEIVED, value: bytes = b"1") -> bytes:
    return OWN % (seq, time, value)


def truncated(chance: random.Random, seq: int) -> tuple[str, bytes]:
    whole = own(seq)
    return "plain", whole[: chance.randrange(len(whole))]


def bad_utf8(chance: random.Random, seq: int) -> tuple[str, bytes]:
    payload = own(seq).replace(b"pm10", b"pm" + bytes([chance.randrange(0x80, 0xC0)]) + b"10")
    return "plain", payload


def wrong_type(chance: random.Random, seq: int) -> tuple[str, bytes]:
    return "plain", own(seq, value=chance.choice([b'"1"', b"true", b"[]", b"{}", b'"NaN"', b"1e999"]))


def not_a_number(chance: random.Random, _seq: int) -> tuple[str, bytes]:
    return "board", b'{"humidity":%s}' % chance.choice([b'"1"', b"true", b"[]", b"{}", b'"NaN"'])


def unknown_device(chance: random.Random, seq: int) -> tuple[str, bytes]:
    return f"device-{chance.randrange(10**9)}", own(seq)


MUTATIONS: dict[Reason, Mutation] = {
    Reason.NOT_JSON: truncated,
    Reason.NOT_UTF8: bad_utf8,
    Reason.WRONG_SHAPE: wrong_type,
    Reason.NOT_A_NUMBER: not_a_number,
    Reason.UNKNOWN_DEVICE: unknown_device,
    Reason.TOO_LARGE: lambda _, __: ("plain", HUGE),
    Reason.TOO_DEEP: lambda chance, _: ("board", DEEP[: chance.randrange(2_000, len(DEEP))]),
    Reason.NOT_FINITE: lambda chance, seq: ("plain", own(seq, value=chance.choice([b"1e308", b"-1e308", b"1e9"]))),
    Reason.FUTURE: lambda chance, seq: ("plain", own(seq, RECEIVED + 300_001 + chance.randrange(2**52))),
    Reason.ANCIENT: lambda chance, seq: ("plain", own(seq, 946_684_799_999 - chance.randrange(2**52))),
    Reason.NULL_WITHOUT_FLAG: lambda _, seq: ("plain", own(seq, value=b"null")),
    Reason.UNKNOWN_PARAMETER: lambda chance, _: ("board", b'{"x%d":1}' % chance.randrange(10**9)),
    Reason.EMPTY: lambda chance, _: ("senml", chance.choice([b"[]", b'[{"bt":1}]'])),
    Reason.NO_TIME: lambda chance, _: ("board-timed", b'{"pm10":%d}' % chance.randrange(100)),
}


def test_100000_mutated_payloads(builder: BatchBuilder) -> None:
    chance = random.Random(8428)
    reasons = list(MUTATIONS)
    expected: Counter[str] = Counter()
    counted: Counter[str] = Counter()
    good: list[int] = []
    taken: list[int] = []

    def account(batch: Batch) -> None:
        counted.update(rejection.reason for rejection in batch.rejections)
        taken.extend(batch.message_seq[batch.message].tolist())
        assert batch.received == batch.messages

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for seq in range(COUNT):
        reason = chance.choice(reasons)
        device, payload = MUTATIONS[reason](chance, seq)
        builder.add(f"greenmine/v1/pit/{device}/readings", payload, RECEIVED)
        expected[reason] += 1
        sound = COUNT + seq
        builder.add("greenmine/v1/pit/plain/readings", own(sound), RECEIVED)
        good.append(sound)
        if len(builder) >= BATCH:
            account(builder.finish())
    account(builder.finish())
    assert counted == expected
    assert set(expected) == set(MUTATIONS)
    assert taken == good
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY_KB
