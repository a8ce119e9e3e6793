"""Messages with several samples, devices or forms: each becomes what its case says, and every value is accounted for."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenmine.collector.payloads.payload import BatchBuilder
from greenmine.registry import Registry
from greenmine.settings import Settings
from tests.collector.payloads.decoder_cases import RECEIVED
from tests.message_cases import CASES, MessageCase, write_cases


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return write_cases(tmp_path_factory.mktemp("messages") / "registry")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_message_becomes_what_its_case_says(registry: Registry, case: MessageCase) -> None:
    builder = BatchBuilder(registry, Settings())
    builder.add(case.topic, case.payload, RECEIVED)
    batch = builder.finish()
    columns = (batch.readings.channel, batch.readings.time, batch.readings.value, batch.readings.flag)
    rows = [
        (registry.channels[channel].key.removeprefix("pit/"), time, value, chr(flag))
        for channel, time, value, flag in zip(*(column.tolist() for column in columns), strict=True)
    ]
    for expected in case.readings:
        found = [row for row in rows if row[0] == expected.key and expected.is_met_by(*row[1:], RECEIVED, RECEIVED)]
        assert found, (expected, rows, batch.rejections)
    assert len(rows) == len(case.readings) + case.repeated
    assert sorted((r.device, r.reason, r.readings) for r in batch.rejections) == case.rejected
    assert batch.received == case.found
    assert sorted(builder.deviations) == case.deviations
    assert all(case.says in rejection.detail for rejection in batch.rejections)
    assert batch.message_bytes.sum() == len(case.payload)


def test_every_case_says_what_it_is_about() -> None:
    page = (Path(__file__).parents[2] / "cases" / "messages" / "README.md").read_text(encoding="utf-8")
    assert [line.split(" | ")[0].removeprefix("| ") for line in page.splitlines() if line.startswith("| ")][2:] == [
        case.id for case in CASES
    ]


def test_a_payload_of_bytes_keeps_its_zero_bytes(registry: Registry) -> None:
    builder = BatchBuilder(registry, Settings())
    builder.add("bytes/twice", b"\x03\x67\xb8\x00", RECEIVED)
    batch = builder.finish()
    assert (batch.readings.value.tolist(), builder.deviations) == ([18.4], {})
