"""Values found in messages of any format = stored + duplicate + rejected + late, conflicts being among the duplicates."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenmine.collector.hj212.encode import encode_frame
from greenmine.collector.payloads.payload import BatchBuilder
from greenmine.record import schema
from greenmine.record.writer import Pipeline
from greenmine.settings import Settings
from tests.collector.payloads.mapped_cases import profile, written_registry
from tests.processing.mine import record_at
from tests.records import record_in

NOW = 1_795_312_800_000
HOUR = 3_600_000
NAMES = ("pm10", "laeq", "nonsense")

PLAIN = """
[[profiles]]
id = "{0}"
format = "{0}"
zone = "UTC"
interval = "1s"
sends_flags = false
receive_time = true
units = {{ pm10 = "mg/m3", laeq = "dB(A)" }}
"""
ROWS = """
samples = "rows"
time = "t"
time_form = "ms"
values = [{ parameter = "pm10", value = "pm10", unit = "mg/m3" }, { parameter = "laeq", value = "laeq", unit = "dB" }]
"""
GATEWAY = """
devices = "items(@)"
address = "[0]"
samples = "[1]"
time = "t"
time_form = "ms"
values = [{ parameter = "pm10", value = "pm10", unit = "mg/m3" }, { parameter = "laeq", value = "laeq", unit = "dB" }]
"""
FRAMES = """
payload = "hj212"
time = "time"
values = [
  { parameter = "pm10", value = "values[?code=='a34002'].value", unit = "mg/m3" },
  { parameter = "laeq", value = "values[?code=='Leq'].value", unit = "dB" },
]
"""
PROFILES = (
    "".join(PLAIN.format(name) for name in ("greenmine", "senml", "thingsboard"))
    + profile(ROWS, name="rows")
    + profile(GATEWAY, name="gateway", topics='["gateway"]')
    + profile(FRAMES, name="frames")
)
OWN = "greenmine/v1/pit/%s/readings"

instants = st.sampled_from([*range(NOW - 5000, NOW, 1000), NOW - 300 * HOUR, NOW + 10**9, 5, 2**60])
values = st.one_of(
    st.none(), st.sampled_from([0.05, 50.0, 1e12, math.nan]), st.floats(0, 100).map(lambda x: round(x, 3))
)
samples = st.lists(
    st.tuples(instants, st.dictionaries(st.sampled_from(NAMES), values, min_size=1)), min_size=1, max_size=5
)
Sample = tuple[int, dict[str, float | None]]
Message = tuple[str, bytes, int]
"""Topic, payload, values found in it."""


def _known(found: list[Sample]) -> int:
    """Values that a mapping looks for; null is nothing there."""
    return sum(v is not None for _, row in found for name, v in row.items() if name != "nonsense")


def _all(found: list[Sample]) -> int:
    return sum(len(row) for _, row in found)


def _said(document: Any) -> bytes:
    """JSON as devices write it; what is no number becomes a text."""
    return json.dumps(document, default=str).replace("NaN", '"nan"').encode()


def singles(found: list[Sample]) -> list[Message]:
    kept = [(time, {n: v for n, v in row.items() if v is None or v == v}) for time, row in found]  # noqa: PLR0124 - not NaN
    return [
        (OWN % "greenmine", _said({"v": 1, "time": min(time, 2**53), "values": row}), max(len(row), 1))
        for time, row in kept
    ]


def columns(found: list[Sample]) -> list[Message]:
    times = [min(time, 2**53) for time, _ in found]
    column = [row.get("pm10", 1.0) for _, row in found]
    column = [1.0 if v is None or math.isnan(v) else v for v in column]
    payload = _said({"v": 1, "times": times, "columns": {"pm10": column, "nonsense": column}})
    return [(OWN % "greenmine", payload, 2 * len(found))]


def senml(found: list[Sample]) -> list[Message]:
    pack = [{"n": n, "t": time / 1000, "v": v} for time, row in found for n, v in row.items() if v is None or v == v]  # noqa: PLR0124
    pack += [{"n": "pm10", "vs": "text"}, {"n": "laeq", "t": 1795312800}]
    return [(OWN % "senml", _said(pack), len(pack))]


def telemetry(found: list[Sample]) -> list[Message]:
    return [(OWN % "thingsboard", _said([{"ts": time, "values": row} for time, row in found]), _all(found))]


def rows(found: list[Sample]) -> list[Message]:
    return [(OWN % "rows", _said({"rows": [{"t": time, **row} for time, row in found]}), max(_known(found), 1))]


def gateway(found: list[Sample]) -> list[Message]:
    parts = [{"t": time, **row} for time, row in found]
    said = {"one": parts, "two": parts[:1], "stranger": parts}
    return [("gateway", _said(said), max(_known(found), 1) + max(_known(found[:1]), 1) + 1)]


def frames(found: list[Sample]) -> list[Message]:
    made = []
    for _, row in found:
        items = [f"{code}-Rtd={row[name]},{code}-Flag=N" for name, code in CODES.items() if name in row]
        segment = f"ST=39;CN=2011;MN=1;Flag=4;CP=&&DataTime=20261122095900;{';'.join(items)};zz-Rtd=1&&"
        made.append((OWN % "frames", encode_frame(segment.encode()), max(len(items), 1)))
    return made


CODES = {"pm10": "a34002", "laeq": "Leq"}
FORMATS: tuple[Callable[[list[Sample]], list[Message]], ...] = (
    singles,
    columns,
    senml,
    telemetry,
    rows,
    gateway,
    frames,
)


class Receiver:
    """What receives and commits, on a record of its own."""

    def __init__(self, folder: Path) -> None:
        both = ["pm10", "laeq"]
        devices = {name: (name, both, "") for name in ("greenmine", "senml", "thingsboard", "rows", "frames")}
        devices |= {name: ("gateway", both, f'address = "{name}"') for name in ("one", "two")}
        registry = written_registry(folder, PROFILES, devices)
        self.builder = BatchBuilder(registry, Settings())
        self.record = record_at(record_in(folder), registry)
        self.pipeline = Pipeline(registry, self.record, lateness=60, grace=2, silent_minutes=15, now=NOW)

    def take(self, messages: list[Message]) -> dict[str, int]:
        """Commit messages; what the ledger has more than before."""
        before = self._ledger()
        for topic, payload, _ in messages:
            self.builder.add(topic, payload, NOW)
        self.pipeline.commit(self.builder.finish(), NOW)
        return {name: count - before[name] for name, count in self._ledger().items()}

    def _ledger(self) -> dict[str, int]:
        names = ("received", "stored", "duplicate", "conflict", "rejected", "late")
        sums = [sa.func.coalesce(sa.func.sum(schema.ledger.c[name]), 0) for name in names]
        (row,) = self.record.rows(sa.select(*(part.label(name) for part, name in zip(sums, names, strict=True))))
        return {name: int(row[name]) for name in names}


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Receiver:
    return Receiver(tmp_path_factory.mktemp("counted"))


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(FORMATS), samples), min_size=1, max_size=4))
def test_every_value_found_is_in_the_ledger(
    receiver: Receiver, sent: list[tuple[Callable[[list[Sample]], list[Message]], list[Sample]]]
) -> None:
    messages = [message for write, found in sent for message in write(found)]
    counted = receiver.take(messages)
    assert counted["received"] == sum(found for _, _, found in messages)
    assert counted["received"] == counted["stored"] + counted["duplicate"] + counted["rejected"] + counted["late"]
    assert counted["conflict"] <= counted["duplicate"]


def test_each_share_of_the_ledger_is_reached(receiver: Receiver) -> None:
    one = [(NOW - 1500, {"pm10": 0.04})]
    again = [(NOW - 1500, {"pm10": 0.05})]
    old = [(NOW - 300 * HOUR, {"pm10": 0.06})]
    receiver.take(rows(one))
    counted = receiver.take([*rows(one), *rows(again), *rows(old), *telemetry([(NOW, {"nonsense": 1.0})])])
    assert (counted["late"], counted["rejected"], counted["duplicate"], counted["conflict"]) == (1, 1, 2, 1)
